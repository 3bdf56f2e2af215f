"""What the properties of this package share: encoder outputs to test with, and how a mistake is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import torch
from torch import Tensor

from course_lib.check.core import Mistakes, Property, Trial
from course_lib.check.properties import recognised


def told(name: str, look: Callable[[Trial], str | None], mistakes: Mistakes) -> Property:
    """A property that says what `look` saw, after the sentence of the mistake that gives the same values."""

    def test(t: Trial) -> str | None:
        seen = look(t)
        return None if seen is None else f"{recognised(t, mistakes)} {seen}".strip()

    return Property(name, test, mistakes)


def on(draw: Callable[[torch.Generator], tuple], prop: Property) -> Property:
    """The same property, tested on inputs of its own."""
    return Property(prop.name, lambda t: prop.test(replace(t, draw=draw)), prop.mistakes)


def named(name: str, prop: Property) -> Property:
    """The same property under another name, where an exercise has it more than once."""
    return replace(prop, name=name)


def posterior(rows: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """mu, logvar (rows, width) as an encoder gives them: halves of one tensor, so not contiguous.

    mu has a spread of 1.2; logvar lies between -2.5 and 1.5.
    """
    both = torch.rand(rows, 2 * width, generator=generator) * 4 - 2.5
    both[:, :width] = 1.2 * torch.randn(rows, width, generator=generator)
    mu, logvar = both.chunk(2, dim=1)
    return mu, logvar


def tolerance(spread: float, n: int, times: float = 5) -> float:
    """How far the mean of n independent numbers with this standard deviation may be from its expectation.

    Five standard deviations of a fair result: one right answer in a million misses. Squares need `times=6`
    for that, since large ones are more frequent than a normal distribution has them.
    """
    return times * spread / sqrt(n)
