"""Exercise 7.3: what positions find among words. Cross-attention with a mask, arXiv 1706.03762, eq. 1."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.diffusion.mixtures import between
from course_lib.check.properties import (
    close_to,
    device_kept,
    dtype_kept,
    input_unchanged,
    recognised,
    shape,
)
from course_lib.check.text.attention_slips import (
    MISTAKES,
    NO_NUMBERS,
    NOTHING_LEFT,
    PLUS,
    ROOTS,
    TIMES_INFINITY,
    attention,
    hidden,
)
from course_lib.check.vae.told import named, on

Scene = tuple[Tensor, Tensor, Tensor, Tensor]  # q, k, v, mask


def _scene(generator: torch.Generator, positions: int = 6) -> Scene:
    """As many positions as words, so that wrong axes give numbers. Each caption has the opening and one or
    two of the next four places: one that the others lack, and perhaps another. The last place is padding in
    all, so that what any caption has is not all there is."""
    L, d = 6, 5
    q = torch.randn(3, 2, positions, d, generator=generator)
    k, v = torch.randn(2, 3, 2, L, d, generator=generator)
    mask = torch.zeros(3, L, dtype=torch.bool)
    mask[:, 0] = True
    *own, shared = 1 + torch.randperm(4, generator=generator)
    for row, place in zip(mask, own, strict=True):
        row[place], row[shared] = True, between(0, 1, generator) == 1
    return 1.5 * q, k, v, mask


def _many_positions(generator: torch.Generator) -> Scene:
    return _scene(generator, positions=9)


def _strong(generator: torch.Generator) -> Scene:
    """Scores of some hundreds: below 0 for words, above it for padding."""
    q, k, v, mask = _scene(generator)
    k = torch.where(mask[:, None, :, None], -0.5 - k.abs(), k.abs())
    return 150 * (0.5 + q.abs()), k, v, mask


def _no_number(t: Trial) -> str:
    """Why all is nan: tried again where nothing is padding."""
    q, k, v, mask = t.args()
    everywhere = (q, k, v, torch.ones_like(mask))
    yours = t.answer(t.student, *everywhere)
    if yours.isnan().any():
        return TIMES_INFINITY
    return PLUS if same(yours, t.answer(t.reference, *everywhere), 1e-4, 1e-5) else NOTHING_LEFT


def _values(t: Trial) -> str | None:
    right, yours = t.answer(t.reference), t.answer(t.student)
    if same(yours, right, 1e-4, 1e-5):
        return None
    if yours.isnan().all():
        return _no_number(t)
    told = recognised(t, MISTAKES) or recognised(replace(t, draw=_many_positions), ROOTS)
    return f"{told} {difference(yours, right)}".strip()


def _large(t: Trial) -> str | None:
    yours = t.answer(t.student)
    if not yours.isfinite().all():
        return (
            "With large scores, some hundreds, your result is not a number: in float32 e^-300 is 0 and e^300 "
            "infinite, or all weight was on the padding before you took it out. Hide the padding first, then "
            "use `softmax`, which takes the largest score away before it raises e to the others."
        )
    if same(yours, t.answer(t.reference), 1e-3, 1e-4):
        return None
    q, k, v, mask = t.args()
    weights = t.answer(t.student, q, k, torch.ones_like(v), mask)  # what they add up to
    if (weights < 0.5).any():
        return (
            "With large scores, some hundreds, the weights of the words no longer add up to 1: e to a number "
            "far below the largest score is 0 in float32, and 0 it stays. Hide the padding before the "
            "softmax."
        )
    return (
        "With large scores, some hundreds, words of the padding are found. Their score has to be so low that "
        "none is below it: minus infinity, `-torch.inf`."
    )


def _exponentials(s: Tensor, mask: Tensor) -> Tensor:
    e = s.exp() * mask[:, None, None, :]
    return e / e.sum(-1, keepdim=True)


def _late(s: Tensor, mask: Tensor) -> Tensor:
    w = s.softmax(-1) * mask[:, None, None, :]
    return w / w.sum(-1, keepdim=True)


def _late_and_safe(s: Tensor, mask: Tensor) -> Tensor:
    w = s.softmax(-1) * mask[:, None, None, :]
    return w / (w.sum(-1, keepdim=True) + 1e-8)


def _low(s: Tensor, mask: Tensor) -> Tensor:
    return hidden(s, mask, -100.0).softmax(-1)


def _shape(t: Trial) -> str | None:
    """(B, heads, P, d)."""
    q, k, v, _ = t.args()
    b, heads, p, d = q.shape
    meanings = {
        (b, heads, p, k.shape[2]): "Those are the weights. Multiply the values with them: `weights @ v`.",
        (b, p, heads * d): "Leave the heads apart: the network joins them.",
        (b, heads, d, p): "The last two axes are exchanged.",
    }
    return shape(meanings).test(t)


cross_attention = Exercise(
    id="7.3",
    title="Which word is for me?",
    difficulty=3,
    minutes=15,
    hints=(
        "From left to right: compare each query with each key (a matrix product, in which the keys are "
        "transposed), divide, hide the padding, make weights out of scores, and take the mean of the values "
        "with these weights (another matrix product).",
        "`q @ k.transpose(2, 3)` is (B, heads, P, L). The mask is (B, L): `mask[:, None, None, :]` fits it. "
        "`scores.masked_fill(m, -torch.inf)` fills where m is True. Where do you want that?",
        "`weights = scores.softmax(-1)`: over the words. Then `weights @ v` is (B, heads, P, d). What is "
        "still missing between the first product and the mask? d is `q.shape[-1]`.",
    ),
    reference=attention(),
    draw=_scene,
    properties=(
        Property("shape", _shape),
        Property("softmax(q k^T / sqrt(d)) v", _values, (*MISTAKES, *ROOTS, *NO_NUMBERS)),
        on(
            _strong,
            Property(
                "large scores",
                _large,
                (
                    (attention(weights=_exponentials), "your result is not a number"),
                    (attention(weights=_late), "your result is not a number"),
                    (attention(weights=_late_and_safe), "no longer add up to 1"),
                    (attention(weights=_low), "words of the padding are found"),
                ),
            ),
        ),
        on(_many_positions, named("a picture of 9 positions", close_to())),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
