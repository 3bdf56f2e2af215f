"""A property of the exercises that ask for two numbers."""

from __future__ import annotations

from numbers import Real

import numpy as np
from torch import Tensor

from course_lib.check.core import Mistakes, Property, Trial, Value
from course_lib.check.explain import kind_of


def two_numbers(what: str, mistakes: Mistakes = ()) -> Property:
    """A tuple (or a list) of two numbers; a tensor or an array with one element counts as one."""

    def test(t: Trial) -> str | None:
        value = t.answer(t.student)
        if not isinstance(value, tuple | list):
            return f"You return {kind_of(value)}. Return two numbers: {what}."
        if len(value) != 2:
            return f"You return {len(value)} things. Return two numbers: {what}."
        for place, part in zip(("first", "second"), value, strict=True):
            if not _is_number(part):
                shape = f" of shape {tuple(part.shape)}" if isinstance(part, Tensor | np.ndarray) else ""
                return f"Your {place} thing is {kind_of(part)}{shape}. Return two numbers: {what}."
        return None

    return Property("two numbers", test, mistakes)


def _is_number(value: Value) -> bool:
    if isinstance(value, Tensor | np.ndarray):
        return value.shape == ()
    return isinstance(value, Real) and not isinstance(value, bool)
