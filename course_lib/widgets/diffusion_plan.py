"""What is sampled in a page: pictures of which shape, from which noise levels, with which choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from course_lib.samplers import timesteps
from course_lib.widgets.page import WidgetError

_MOST_STEPS = 1000
_MOST_CHOICES = 6


class Plan(NamedTuple):
    """Checked arguments of a LiveDenoiser; see there."""

    alpha_bar: torch.Tensor  # (T + 1,) float64
    shape: tuple[int, int, int]
    names: list[str]
    null: int | None
    steps: list[int]
    label: int
    guidance: float
    seed: int
    clip: bool

    def state(self) -> dict[str, object]:
        """The part of the page's state that says what can be sampled."""
        return {
            "shape": list(self.shape),
            "plans": visits(self.alpha_bar, self.steps),
            "names": self.names,
            "null": -1 if self.null is None else self.null,
            "steps": self.steps[0],
            "label": self.label,
            "guidance": self.guidance,
            "seed": self.seed,
            "clip": self.clip,
        }


def checked_plan(
    alpha_bar: ArrayLike | torch.Tensor,
    shape: Sequence[int],
    names: Sequence[str] | None,
    null: int | None,
    steps: Sequence[int],
    label: int,
    guidance: float,
    seed: int,
    clip: bool,
) -> Plan:
    """The plan for what the user gave. Raises `WidgetError` on bad input."""
    table = checked_table(alpha_bar)
    size = checked_shape(shape)
    classes = [] if names is None else [str(name) for name in names]
    if null is not None and (not classes or not whole(null, 0, 10**6)):
        raise WidgetError(
            f"null is a label that means no class, a whole number beside names; it is {null!r}."
        )
    if not whole(label, 0, max(len(classes) - 1, 0)):
        raise WidgetError(f"label must be from 0 to {max(len(classes) - 1, 0)}, but it is {label!r}.")
    choices, strength = checked_steps(steps, table), checked_guidance(guidance)
    strength = strength if null is not None else 1.0
    return Plan(table, size, classes, null, choices, label, strength, checked_seed(seed), bool(clip))


def visits(alpha_bar: torch.Tensor, steps: Sequence[int]) -> dict[str, list[list[float]]]:
    """For each number of steps the times that it visits, noise first, each with its alpha_bar."""
    T = len(alpha_bar) - 1
    return {str(n): [[t, float(alpha_bar[t])] for t in timesteps(T, n)] for n in sorted(steps)}


def checked_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """(C, H, W) of a picture. Raises `WidgetError` on bad input, as all below do."""
    size = tuple(shape) if isinstance(shape, Sequence | torch.Size) else ()
    if len(size) != 3 or not all(whole(n, 1, 4096) for n in size) or size[0] not in (1, 3):
        raise WidgetError(f"shape must be (C, H, W) with C = 1 or 3, but it is {shape!r}.")
    return size


def checked_steps(steps: Sequence[int], table: torch.Tensor) -> list[int]:
    """The numbers of steps to choose from, each once."""
    choices = list(steps) if isinstance(steps, Sequence) else [steps]
    most = min(len(table) - 1, _MOST_STEPS)
    if not 1 <= len(choices) <= _MOST_CHOICES or not all(whole(n, 1, most) for n in choices):
        raise WidgetError(
            f"steps must be 1 to {_MOST_CHOICES} whole numbers from 1 to {most}, such as (20, 5), but it is "
            f"{steps!r}."
        )
    return list(dict.fromkeys(choices))


def checked_guidance(guidance: float) -> float:
    """A guidance from 0 to 8."""
    if not isinstance(guidance, int | float) or not 0 <= guidance <= 8:
        raise WidgetError(f"guidance must be a number from 0 to 8, but it is {guidance!r}.")
    return float(guidance)


def checked_seed(seed: int) -> int:
    """A seed of `page_noise`."""
    if not whole(seed, 0, 2**32 - 1):
        raise WidgetError(f"seed must be a whole number from 0 to {2**32 - 1}, but it is {seed!r}.")
    return seed


def whole(value: object, low: int, high: int) -> bool:
    """Whether `value` is a whole number from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def checked_table(alpha_bar: ArrayLike | torch.Tensor) -> torch.Tensor:
    """A noise schedule (T + 1,) as float64."""
    try:
        plain = alpha_bar.detach().cpu() if isinstance(alpha_bar, torch.Tensor) else alpha_bar
        table = torch.as_tensor(np.asarray(plain, dtype=np.float64))
    except (TypeError, ValueError):
        raise WidgetError(
            f"alpha_bar must be numbers, from t = 0 to T, but it is {alpha_bar!r:.80}."
        ) from None
    falls = table.ndim == 1 and len(table) > 1 and bool((table[1:] < table[:-1]).all())
    if not falls or abs(float(table[0]) - 1) > 1e-6 or float(table[-1]) <= 0:
        raise WidgetError(
            "alpha_bar must fall from exactly 1 at t = 0 to a number above 0 at t = T, (T + 1,) in all: "
            "schedules.alpha_bars makes such a table."
        )
    return table
