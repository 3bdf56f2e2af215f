"""Exercise 6.7: classifier-free guidance, arXiv 2207.12598, eq. 6 with guidance = 1 + w."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes
from course_lib.check.diffusion.mixtures import between, mixture, noises, picture, steady
from course_lib.check.explain import Complaint, kind_of
from course_lib.check.properties import device_kept, dtype_kept, input_unchanged
from course_lib.check.vae.told import on

NONE = 10  # the label that tells no class
Net = Callable[..., Tensor]  # (x, t, y) -> the noise
Scene = tuple["Told", Tensor, Tensor, Tensor, float]  # eps, x, t, y, guidance
Mix = Callable[[Tensor, Tensor, float], Tensor]  # of told, untold, guidance


class Told:
    """Stands in for a network that knows ten classes: what it says depends on x, t and y, each by itself.

    Raises Complaint for calls that a true network would stop at, or misunderstand.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.scale, self.shift = torch.randn(2, NONE + 1, generator=generator)

    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        self._look(x, t, y)
        if y is None:
            y = torch.full_like(t, NONE)
        if not x.device == t.device == y.device:
            raise RuntimeError("Expected all tensors to be on the same device")
        column = (len(x), *[1] * (x.dim() - 1))
        scale, shift = (known.to(x)[y].view(column) for known in (self.scale, self.shift))
        return (scale * x).sin() + shift * (1 + t.to(x).view(column) / 50)

    def _look(self, x: object, t: object, y: object) -> None:
        if not isinstance(x, Tensor) or not isinstance(t, Tensor):
            odd = x if not isinstance(x, Tensor) else t
            raise Complaint(
                f"The network is called as `eps(x, t, y)`, with tensors; you give it {kind_of(odd)}."
            )
        if y is not None and not isinstance(y, Tensor):
            raise Complaint(
                f"You give the network {kind_of(y)} for y. It wants a tensor with one label for each "
                "picture: `torch.full_like(y, 10)` has no class for any."
            )
        for name, value in (("t", t), ("y", y)):
            if isinstance(value, Tensor) and value.shape != (len(x),):
                raise Complaint(
                    f"You show the network {len(x)} pictures with {name} of shape {tuple(value.shape)}. It "
                    f"wants one {name} for each picture."
                )
        if isinstance(y, Tensor):
            self._look_at_labels(y)

    def _look_at_labels(self, y: Tensor) -> None:
        if y.is_floating_point() or y.dtype == torch.bool:
            raise Complaint(f"You give the network labels of type {y.dtype}. They are whole numbers (int64).")
        if y.device.type != "meta" and not ((y >= 0) & (y <= NONE)).all():
            wrong = y[(y < 0) | (y > NONE)][0].item()
            raise Complaint(f"You ask the network for label {wrong}. There are 0 to 9, and 10 for no class.")


def guide(told: Tensor, untold: Tensor, guidance: float) -> Tensor:
    return untold + guidance * (told - untold)


def guided(
    mix: Mix = guide,
    none: Callable[[Tensor], Tensor] = lambda y: torch.full_like(y, NONE),  # labels of the second pass
    time: Callable[[Tensor], Tensor] = lambda t: t,  # times of the second pass
    seen: Callable[[Tensor], Tensor] = lambda x: x,  # pictures of the second pass
) -> Answer:
    """The right answer, but for what is said here."""

    def guided_eps(eps: Net, x: Tensor, t: Tensor, y: Tensor, guidance: float) -> Tensor:
        return mix(eps(x, t, y), eps(seen(x), time(t), none(y)), guidance)

    return guided_eps


def _scene(generator: torch.Generator, guidance: float | None = None) -> Scene:
    """A network, x (B, 2, 4, 5), t and y (B,); no label is 0 or 9, and not all are alike."""
    (x,) = noises(1, generator)
    t = torch.randint(100, 900, (len(x),), generator=generator)
    y = 1 + torch.randperm(8, generator=generator)[: len(x)]
    strength = between(15, 60, generator) / 10 + 0.05
    return Told(generator), x, t, y, strength if guidance is None else guidance


def _with(guidance: float) -> Callable[[torch.Generator], Scene]:
    return lambda generator: _scene(generator, guidance)


def _parts(eps: Told, x: Tensor, t: Tensor, y: Tensor, guidance: float) -> Mapping[str, Tensor]:
    return {"told": eps(x, t, y), "untold": eps(x, t)}


def _where(eps: Told, x: Tensor, t: Tensor, y: Tensor, guidance: float) -> str:
    return f"With guidance {guidance:g}"


def _batched(join: Callable[[Tensor], Tensor]) -> Answer:
    """One pass over a batch twice as long, joined in another order than the labels."""

    def guided_eps(eps: Net, x: Tensor, t: Tensor, y: Tensor, guidance: float) -> Tensor:
        labels = torch.cat([y, torch.full_like(y, NONE)])
        told, untold = eps(join(x), join(t), labels).chunk(2)
        return guide(told, untold, guidance)

    return guided_eps


SAME_INPUT = "Both passes see the same x at the same t; only the label differs."

MISTAKES: Mistakes = (
    (
        guided(lambda told, untold, g: told + g * (untold - told)),
        "Told and untold are exchanged: you walk away from the class. Begin at untold, and walk towards "
        "told.",
    ),
    (
        guided(lambda told, untold, g: (1 + g) * told - g * untold),
        "That is the paper's formula with its weight w. Our guidance is 1 + w, so that 1 is the class as it "
        "was learnt: begin at untold, not at told.",
    ),
    (
        guided(lambda told, untold, g: untold - g * (told - untold)),
        "The sign is wrong: from untold you walk away from told. Add the difference.",
    ),
    (
        guided(lambda told, untold, g: told + g * told - untold),
        "Brackets: guidance multiplies the whole difference, told - untold.",
    ),
    (
        guided(lambda told, untold, g: told),
        "That is told alone, as with guidance 1: either both passes are given y, or guidance plays no part.",
    ),
    (
        guided(lambda told, untold, g: untold),
        "That is untold alone: the class is told in neither pass, or guidance plays no part.",
    ),
    (
        guided(lambda told, untold, g: untold + g * told),
        "You add all of told. Add `guidance` times the difference, told - untold.",
    ),
    (
        guided(lambda told, untold, g: g * told),
        "You only make told larger: untold plays no part, or cancels for want of brackets. It is the "
        "difference, told - untold, that guidance multiplies.",
    ),
    (
        guided(lambda told, untold, g: g * (told - untold)),
        "That is the difference only. Begin at untold: add it.",
    ),
    (guided(lambda told, untold, g: told - untold), "That is the difference only."),
    (
        guided(lambda told, untold, g: (told + untold) / 2),
        "You take the mean of both, and guidance plays no part.",
    ),
    (
        guided(lambda told, untold, g: guide(told, untold, g) / g),
        "You divide by guidance at the end. The two weights, guidance and 1 - guidance, add up to 1 already.",
    ),
    (
        guided(none=torch.zeros_like),
        "Your second pass asks for class 0, T-shirts. The label that tells no class is 10.",
    ),
    (
        guided(none=lambda y: torch.full_like(y, NONE - 1)),
        "Your second pass asks for class 9, ankle boots. The classes are 0 to 9; the label that tells none "
        "is 10.",
    ),
    (guided(time=lambda t: t - 1), f"Your second pass has another time. {SAME_INPUT}"),
    (guided(time=torch.zeros_like), f"Your second pass has t = 0. {SAME_INPUT}"),
    (guided(seen=torch.zeros_like), f"Your second pass sees an empty picture. {SAME_INPUT}"),
    (
        guided(seen=lambda x: x.flip(0)),
        f"Your second pass sees the pictures in another order. {SAME_INPUT}",
    ),
    (
        _batched(lambda x: x.repeat_interleave(2, 0)),
        "`repeat_interleave` puts the two copies of a picture side by side, but your labels stand in two "
        "halves. Join the pictures as the labels: `torch.cat([x, x])`.",
    ),
)

OWN = (
    "Two calls with the same inputs give different results: something is drawn. Nothing is random here; both "
    "passes see the same x."
)

guided_eps = Exercise(
    id="6.7",
    title="Told and untold",
    difficulty=2,
    minutes=8,
    hints=(
        "You need two answers of the network for the same pictures at the same time: one with `y`, and one "
        "in which every label says that there is no class. Then look at a line through the two answers: "
        "where on it is guidance 0, where is 1?",
        "`told = eps(x, t, y)`, and `untold` the same with `torch.full_like(y, 10)` in place of y. Begin at "
        "untold and go `guidance` times the way from there to told.",
    ),
    reference=guided(),
    draw=_scene,
    properties=(
        picture("The result is noise in x, so it has the shape of x."),
        steady(OWN, guided(seen=lambda x: x + torch.randn_like(x))),
        mixture("any guidance above 1", _parts, _where, MISTAKES),
        on(
            _with(0.35),
            mixture(
                "in between",
                _parts,
                _where,
                (
                    (
                        guided(lambda told, untold, g: guide(told, untold, max(g, 1))),
                        "You keep guidance at 1 or above. In between, the class counts only in part.",
                    ),
                ),
            ),
        ),
        on(_with(1.0), mixture("guidance 1 is told", _parts, _where)),
        on(_with(0.0), mixture("guidance 0 is untold", _parts, _where)),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
