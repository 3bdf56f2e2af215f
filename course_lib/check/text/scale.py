"""Exercise 7.2: latents get the size that diffusion expects, and lose it again: 2112.10752, appendix G."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from course_lib.check.compare import difference, not_a_tensor, same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial, Value
from course_lib.check.explain import NOTHING_YET, Complaint, NotAttempted, kind_of
from course_lib.check.properties import recognised
from course_lib.check.text.scale_slips import (
    ALREADY,
    LATENTS,
    PARTS,
    PICTURES,
    SCALES,
    Decoder,
    Encoder,
    Scaled,
    scaled,
)

Scene = tuple[Encoder, Decoder, Tensor, Tensor, Tensor]  # and x to measure on, other pictures, latents


def _scene(generator: torch.Generator) -> Scene:
    """40 pictures to measure on, pale and strong ones, so many that N or N - 1 in the deviation makes no
    difference, and three others, all pale."""
    contrast = torch.linspace(0.1, 1, 40)[torch.randperm(40, generator=generator), None, None, None]
    x = contrast * (torch.rand(40, 3, 8, 8, generator=generator) * 2 - 1)
    others = 0.3 * torch.randn(3, 3, 8, 8, generator=generator) + 0.2
    z = torch.randn(5, 4, 4, 4, generator=generator)
    return Encoder(generator), Decoder(generator), x, others, z


def _built(answer: Answer, encode: Encoder, decode: Decoder, x: Tensor, *rest: Tensor) -> Scaled:
    made = answer(encode, decode, x)
    if getattr(made, "scale", None) is ...:
        raise NotAttempted(NOTHING_YET)
    if not hasattr(made, "scale"):
        raise Complaint("Your object has no `scale`. Keep the number: `self.scale = ...` in `__init__`.")
    return made


def _scale(answer: Answer, *scene: Value) -> Value:
    return _built(answer, *scene).scale


def _latents(answer: Answer, *scene: Value) -> Value:
    return _built(answer, *scene).to_latents(scene[3])


def _pictures(answer: Answer, *scene: Value) -> Value:
    return _built(answer, *scene).to_pictures(scene[4])


def _one_number(t: Trial) -> str | None:
    yours = t.answer(t.student)
    if isinstance(yours, int | float | np.number):
        return None
    if not isinstance(yours, Tensor):
        return f"Your `scale` is {kind_of(yours)}. It is one number, `(...).std()`."
    if yours.dim() == 0:
        return None
    told = recognised(t, PARTS, 0.05, 1e-3)
    return told or f"Your `scale` has shape {tuple(yours.shape)}. It is one number for all, of shape ()."


def _seen(observe: Callable[..., Value], name: str, look: Callable[[Trial], str | None]) -> Property:
    """A property of one of the three things that the object is for."""

    def test(t: Trial) -> str | None:
        return look(Trial(t.student, t.reference, t.draw, observe, t.seed))

    return Property(name, test)


def _values(mistakes: Mistakes, say: Callable[[Tensor, Tensor], str]) -> Callable[[Trial], str | None]:
    """Those of the reference; N or N - 1 in the deviation are both right."""

    def look(t: Trial) -> str | None:
        right, yours = t.answer(t.reference), t.answer(t.student)
        if not isinstance(yours, float | int | np.number) and not_a_tensor(yours):
            return not_a_tensor(yours)
        if same(yours, right, 1e-3, 1e-3):
            return None
        told = recognised(t, mistakes, 1e-3, 1e-3)
        shapes = getattr(yours, "shape", ()) == right.shape
        return f"{told} {say(yours, right) if shapes else difference(yours, right)}".strip()

    return look


def _spreads(yours: Tensor, right: Tensor) -> str:
    if same(yours.std(), right.std(), 1e-2, 0):
        return difference(yours, right)
    return f"Your latents have a standard deviation of {yours.std():.3g}, where {right.std():.3g} is right."


def _scales(yours: Tensor, right: Tensor) -> str:
    return f"Your scale is {float(yours):.4g}; the latents have a standard deviation of {right:.4g}."


def _steady(t: Trial) -> str | None:
    encode, decode, x, others, z = t.args()
    made = _built(t.student, encode, decode, x)
    before = torch.as_tensor(made.scale).clone()
    made.to_latents(others)
    made.to_pictures(z)
    if same(before, made.scale, 0, 0):
        return None
    return f"`scale` changes when the object is used: it was {before:.3g}, and is {made.scale:.3g}. {ALREADY}"


def _untouched(t: Trial) -> str | None:
    encode, decode, *tensors = t.args()
    x, others, z = tensors
    made = _built(t.student, encode, decode, x)
    made.to_latents(others)
    made.to_pictures(z)
    for name, before, after in zip(("x", "x", "z"), t.args()[2:], tensors, strict=True):
        if not same(before, after, 0, 0):
            return (
                f"Your code changes its input `{name}` in place. Compute something new: `z * s`, not "
                "`z *= s`."
            )
    return None


class _Moves(scaled()):  # type: ignore[misc]
    """Measures again whenever it is used, but uses what it had."""

    scale: Tensor

    def to_latents(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        found, self.scale = z / self.scale, z.std()
        return found


class _InPlace(scaled()):  # type: ignore[misc]
    def to_pictures(self, z: Tensor) -> Tensor:
        z *= self.scale
        return self.decode(z)


def _of(prop: Property, mistakes: Mistakes) -> Property:
    return Property(prop.name, prop.test, mistakes)


latent_scale = Exercise(
    id="7.2",
    title="The size of a latent",
    difficulty=2,
    minutes=8,
    hints=(
        "Three lines. In `__init__`: which latents belong to the pictures `x`, and how widely do all their "
        "numbers together spread? Going into the latent, a spread of s becomes 1. Coming back, it becomes s "
        "again, before the decoder sees it.",
        "`.std()` of a tensor is the standard deviation of all its numbers at once, when no dimension is "
        "named. Measure it once, and keep it as `self.scale`. On the way in, what is divided by it: "
        "pictures or latents? On the way back the same step is undone: before decoding, or after?",
    ),
    reference=scaled(),
    draw=_scene,
    properties=(
        _of(_seen(_scale, "one number for all", _one_number), PARTS),
        _of(_seen(_scale, "the scale", _values(SCALES, _scales)), SCALES),
        _of(_seen(_latents, "latents of other pictures", _values(LATENTS, _spreads)), LATENTS),
        _of(_seen(_pictures, "the way back", _values(PICTURES, difference)), PICTURES),
        Property("the scale stays", _steady, ((_Moves, "`scale` changes when"),)),
        Property("inputs left unchanged", _untouched, ((_InPlace, "changes its input `z` in place"),)),
    ),
)
