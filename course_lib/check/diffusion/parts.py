"""What exercises of notebook 06 share: random noise tables, and properties of one of two results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from course_lib.check.core import Property, Trial
from course_lib.check.explain import kind_of


def table(T: int, generator: torch.Generator) -> Tensor:
    """A random alpha_bar (T + 1,), float32: it falls from exactly 1 at t = 0, in steps that all differ."""
    alphas = 0.6 + 0.35 * torch.rand(T, generator=generator)
    return torch.cat([torch.ones(1), alphas.cumprod(0)])


def times(B: int, T: int, generator: torch.Generator, first: int = 1) -> Tensor:
    """B different times in first .. T, in no order; (B,) int64."""
    return torch.randperm(T + 1 - first, generator=generator)[:B] + first


def picture_wise(a: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return a.view(-1, 1, 1, 1)


def two_tensors(
    names: str, why: Callable[[tuple, tuple], str | None] = lambda yours, right: None
) -> Property:
    """Two tensors of the reference's shapes; `why` explains other shapes, as far as it knows them."""

    def test(t: Trial) -> str | None:
        right, yours = t.answer(t.reference), t.answer(t.student)
        if not isinstance(yours, tuple | list) or len(yours) != 2:
            seen = f"{len(yours)} things" if isinstance(yours, tuple | list) else kind_of(yours)
            return f"You return {seen}. Return two tensors: `{names}`."
        for name, x in zip(names.split(", "), yours, strict=True):
            if not isinstance(x, Tensor):
                return f"Your {name} is {kind_of(x)}. Return two tensors: `{names}`."
        shapes = tuple(tuple(x.shape) for x in yours), tuple(tuple(x.shape) for x in right)
        if shapes[0] == shapes[1]:
            return None
        return why(*shapes) or (
            f"`{names}` have shapes {shapes[0][0]} and {shapes[0][1]}, they should have {shapes[1][0]} and "
            f"{shapes[1][1]}."
        )

    return Property("two tensors", test)


def part(place: int, prop: Property) -> Property:
    """The same property, of one of the two things that are returned."""

    def test(t: Trial) -> str | None:
        return prop.test(replace(t, observe=lambda who, *args: t.observe(who, *args)[place]))

    return replace(prop, test=test)
