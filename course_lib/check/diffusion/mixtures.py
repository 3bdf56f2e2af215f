"""What the step exercises share: small noise schedules, and a result told as a mixture of what went in.

All of these steps are sums of pictures with weights, such as 1.2 x - 0.4 eps. So a wrong result can be taken
apart: its weights say more than the value of one pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Answer, Mistakes, Property, Trial
from course_lib.check.explain import kind_of
from course_lib.check.properties import recognised

Parts = Callable[..., Mapping[str, Tensor]]  # the inputs of a trial -> name -> picture that is mixed
Where = Callable[..., str]  # the inputs of a trial -> the numbers that the weights come from


NOT_FINITE = (
    "Some of your numbers are infinite or not a number: is there the root of a negative number, or a "
    "division by 0? `alpha_bar` falls from 1 at t = 0, so `alpha_bar[t] / alpha_bar[s]` is less than 1 "
    "for s < t."
)


class At(NamedTuple):
    """A step from time t down to s: what the schedule says there, each a tensor ()."""

    a: Tensor  # alpha_bar[t]
    a_s: Tensor  # alpha_bar[s]

    @property
    def alpha(self) -> Tensor:
        """Of a stride from s to t; for s = t - 1 the paper's alpha_t."""
        return self.a / self.a_s

    @property
    def beta(self) -> Tensor:
        return 1 - self.alpha

    def guess(self, x: Tensor, eps: Tensor) -> Tensor:
        """x_0 from x_t and the noise in it, DDPM eq. 15."""
        return (x - (1 - self.a).sqrt() * eps) / self.a.sqrt()


def between(lowest: int, highest: int, generator: torch.Generator) -> int:
    """A random whole number; both ends can come."""
    return int(torch.randint(lowest, highest + 1, (), generator=generator))


def schedule(generator: torch.Generator) -> Tensor:
    """alpha_bar (T + 1,) of a short schedule, T from 12 to 20. No two betas are alike."""
    T = between(12, 20, generator)
    betas = 0.03 + 0.2 * (torch.randperm(T, generator=generator) + torch.rand(T, generator=generator)) / T
    return torch.cat([torch.ones(1), (1 - betas).cumprod(0)])


def noises(number: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """So many pictures (B, 2, 4, 5) of N(0, I), B from 2 to 4."""
    rows = between(2, 4, generator)
    return tuple(torch.randn(number, rows, 2, 4, 5, generator=generator))


def mixture(
    name: str, parts: Parts, where: Where, mistakes: Mistakes = (), what: str = "your result"
) -> Property:
    """The values of the reference. If they differ: the sentence of a typical mistake, and both mixtures."""

    def test(t: Trial) -> str | None:
        right, yours = t.answer(t.reference), t.answer(t.student)
        if same(yours, right, 1e-4, 1e-5):
            return None
        if not yours.isfinite().all():
            return NOT_FINITE
        return f"{recognised(t, mistakes)} {_compared(t, yours, right)}".strip()

    def _compared(t: Trial, yours: Tensor, right: Tensor) -> str:
        pictures = parts(*t.args())
        found, wanted = spoken(yours, pictures), spoken(right, pictures)
        if found is None or wanted is None or found == wanted:
            return difference(yours, right)
        return f"{where(*t.args())} {what} is {found}; it should be {wanted}."

    return Property(name, test, mistakes)


def weights(value: Tensor, pictures: Mapping[str, Tensor]) -> dict[str, float] | None:
    """How much of each picture is in `value`; None if it is no mixture of them."""
    columns = torch.stack([p.detach().double().flatten() for p in pictures.values()], 1)
    mixed = value.detach().double().flatten()
    if mixed.shape != columns[:, 0].shape or not mixed.isfinite().all():
        return None
    found = torch.linalg.lstsq(columns, mixed).solution
    if not torch.allclose(columns @ found, mixed, rtol=1e-3, atol=1e-3):
        return None
    return dict(zip(pictures, found.tolist(), strict=True))


def spoken(value: Tensor, pictures: Mapping[str, Tensor]) -> str | None:
    """The mixture in words, "1.2 x - 0.4 eps"; None if it is none."""
    found = weights(value, pictures)
    if found is None:
        return None
    seen = [(round(w, 3), part) for part, w in found.items() if abs(w) >= 5e-4]
    text = "".join(f" {'-' if w < 0 else '+'} {abs(w):.3g} {part}" for w, part in seen)
    return (text[3:] if text.startswith(" + ") else text[1:]) or "0 everywhere"


def steady(sentence: str, mistake: Answer) -> Property:
    """Two calls with the same inputs give the same, although torch's random numbers have gone on."""

    def test(t: Trial) -> str | None:
        first, second = t.answers(t.student, 2)
        return None if same(first, second, 0.0, 0.0) else sentence

    return Property("no noise of its own", test, ((mistake, sentence),))


def picture(sentence: str) -> Property:
    """A tensor of the shape of x, the first picture that goes in."""

    def test(t: Trial) -> str | None:
        value = t.answer(t.student)
        right = t.answer(t.reference)
        if not isinstance(value, Tensor):
            return f"You return {kind_of(value)}. {sentence}"
        if value.shape == right.shape:
            return None
        return f"Your result has shape {tuple(value.shape)}, it should be {tuple(right.shape)}. {sentence}"

    return Property("a tensor of the shape of x", test)
