"""What the properties of random damage (exercise 1.4) are made from. Pictures are `(4, 1, 36, 36)`.

Every tolerance is five standard deviations of a fair result, which one right answer in a million misses.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from course_lib.check.core import Answer, Trial


def damage(t: Trial, share: float | None = None) -> tuple[Tensor, Tensor, float]:
    """The student's result in x's type, where it differs from x (bool), and the share asked for."""
    x, drawn = t.args()
    asked = drawn if share is None else share
    y = t.answer(t.student, x.clone(), asked).to(x)
    return y, differs(y, x), asked


def differs(y: Tensor, x: Tensor) -> Tensor:
    """True where a pixel is not that of x, which is never quite black or white."""
    return (y.to(x) - x).abs() > 1e-4


def tolerance(p: float, n: int) -> float:
    """How far the share of hits in n independent tries may be from their probability p."""
    return 5 * sqrt(p * (1 - p) / n)


def by_rand(value: Answer) -> Answer:
    """A wrong answer from `value(x, u, share)`, where u holds a random number from 0 to 1 for each pixel."""
    return lambda x, share: value(x, torch.rand_like(x), share)


def coin(x: Tensor) -> Tensor:
    """-1 or +1 for each number in x."""
    return torch.sign(torch.rand_like(x) - 0.5)
