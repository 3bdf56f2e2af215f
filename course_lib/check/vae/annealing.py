"""Exercise 2.5: the weight of the KL grows from 0 during a warm-up."""

from __future__ import annotations

from numbers import Real

import torch

from course_lib.check import explain
from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial, Value
from course_lib.check.vae.told import on, told


def _beta_at(step: int, warmup: int, final: float) -> float:
    return final if step >= warmup else final * step / warmup


def _warm_up(generator: torch.Generator) -> tuple[int, float]:
    """warmup from 6 to 14 steps, final from 1.3 to 2.3: with 1 some mistakes would not show."""
    warmup = int(torch.randint(6, 15, (), generator=generator))
    return warmup, 1.3 + torch.rand((), generator=generator).item()


def _curve(answer: Answer, warmup: int, final: float) -> list[Value]:
    """The answer at each step up to three warm-ups, and long after that."""
    return [answer(step, warmup, final) for step in [*range(3 * warmup + 2), 1000 * warmup + 3]]


def _is_number(value: Value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _returns_a_number(t: Trial) -> str | None:
    for value in t.answer(t.student):
        if not _is_number(value):
            way = " Use `.item()`, or `min` and `max` of Python." if hasattr(value, "item") else ""
            return f"You return {explain.kind_of(value)}. Return a plain number, a float.{way}"
    return None


MISTAKES: Mistakes = (
    (
        lambda step, warmup, final: final * step / warmup,
        "After the warm-up your weight goes on growing: it must stay at `final`.",
    ),
    (
        lambda step, warmup, final: final * (1 - min(1, step / warmup)),
        "Your weight falls from `final` to 0. It must rise from 0 to `final`.",
    ),
    (
        lambda step, warmup, final: final * (1 - step / warmup),
        "Your weight falls, and goes on below 0. It must rise from 0 to `final`, and stay there.",
    ),
    (
        lambda step, warmup, final: 0.0 if step < warmup else final,
        "Your weight is 0 during the whole warm-up and then jumps to `final`: is there a `//`, which rounds "
        "down, where `/` should be?",
    ),
    (
        lambda step, warmup, final: final * (step // warmup),
        "Your weight grows in stairs: `//` rounds down, so use `/`. And it must stay at `final` in the end.",
    ),
    (
        lambda step, warmup, final: 0.0 if step <= warmup else final,
        "Your weight is 0 during the whole warm-up and then jumps to `final`. It must grow evenly.",
    ),
    (
        lambda step, warmup, final: min(1.0, step / warmup),
        "`final` plays no part: your weight ends at 1. Multiply with it.",
    ),
    (
        lambda step, warmup, final: min(final, step / warmup),
        "You cut at `final`, but the line still rises to 1 during the warm-up. Multiply the share with "
        "`final`: it must be reached at step `warmup`, not earlier or later.",
    ),
    (
        lambda step, warmup, final: final * min(1, (step + 1) / warmup),
        "You are one step ahead: at step 0 the weight must be 0. Leave the + 1 out.",
    ),
    (
        lambda step, warmup, final: final * min(1, (step + 1) / (warmup + 1)),
        "At step 0 the weight must be 0: divide `step` by `warmup`, without adding 1.",
    ),
    (
        lambda step, warmup, final: final * min(1, step / (warmup - 1)),
        "Your weight reaches `final` one step too early: divide by `warmup`, not by `warmup - 1`.",
    ),
    (
        lambda step, warmup, final: final * min(1, step / (warmup + 1)),
        "Your weight reaches `final` one step too late: divide by `warmup`, not by `warmup + 1`.",
    ),
    (
        lambda step, warmup, final: final * max(0, min(1, (step - 1) / warmup)),
        "You are one step late: at step `warmup` the weight must be `final`. Leave the - 1 out.",
    ),
    (
        lambda step, warmup, final: final * (step % warmup) / warmup,
        "After the warm-up your weight starts again from 0, as in cyclical annealing. Here it must stay at "
        "`final`.",
    ),
    (
        lambda step, warmup, final: final * step / warmup if step <= warmup else 0.0,
        "After the warm-up your weight falls back to 0. It must stay at `final`.",
    ),
    (
        lambda step, warmup, final: final * step / warmup if step <= warmup else 1.0,
        "After the warm-up your weight is 1. It must stay at `final`.",
    ),
    (
        lambda step, warmup, final: min(1.0, step / final),
        "You divide by `final`. Divide by `warmup`, and multiply with `final`.",
    ),
    (
        lambda step, warmup, final: min(final, float(step)),
        "Your weight grows by 1 at each step, up to `final`. Divide `step` by `warmup`, and multiply with "
        "`final`.",
    ),
    (
        lambda step, warmup, final: min(final, final * step),
        "`warmup` plays no part: divide `step` by it.",
    ),
    (
        lambda step, warmup, final: max(final, final * step / warmup),
        "Your weight is never below `final`, and grows in the end: you take the larger of two numbers. Use "
        "`min`.",
    ),
    (
        lambda step, warmup, final: final,
        "Your weight is `final` from the start: there is no warm-up.",
    ),
    (lambda step, warmup, final: 0.0, "Your weight is always 0."),
)


def _line(t: Trial) -> str | None:
    warmup, final = t.args()
    yours, right = t.answer(t.student), t.answer(t.reference)
    for step, (a, b) in enumerate(zip(yours, right, strict=True)):
        if not same(a, b, 1e-5, 1e-6):
            at = f"step {step}" if step < len(yours) - 1 else f"step {1000 * warmup + 3}, long after,"
            return (
                f"With warmup = {warmup} and final = {final:.3g}, at {at} you return {a:.4g}; it should be "
                f"{b:.4g}."
            )
    return None


def _long(generator: torch.Generator) -> tuple[int, float]:
    """A warm-up as in training, of about a hundred steps, to a weight below 1."""
    warmup, final = _warm_up(generator)
    return 12 * warmup + 1, final / 3


BY_ZERO = (
    "With warmup = 0 your code divides by 0. Then there is no warm-up: return `final` before the division."
)


def _no_warm_up(t: Trial) -> str | None:
    _, final = t.args()
    for step in (0, 1, 7):
        try:
            yours = t.student(step, 0, final)
        except ZeroDivisionError:
            return BY_ZERO
        if not (_is_number(yours) and same(yours, final, 1e-5, 1e-6)):
            return (
                f"With warmup = 0 the weight must be `final` = {final:.3g} from the start; at step {step} "
                f"you return {yours}."
            )
    return None


def _at_least_one(step: int, warmup: int, final: float) -> float:
    return final * min(1.0, step / max(1, warmup))


beta_at = Exercise(
    id="2.5",
    title="The KL warms up",
    difficulty=1,
    minutes=5,
    hints=(
        "Draw the curve: a straight line up to step `warmup`, then a level one. Which share of the warm-up "
        "is over at a given step, and what is the largest share there is?",
        "`step / warmup` is that share while it lasts; `min(1.0, ...)` keeps it at 1 afterwards. With "
        "warmup = 0 there is nothing to divide by.",
        "If `step >= warmup`, return `final`; that is right for warmup = 0, too. Otherwise return "
        "`final * step / warmup`.",
    ),
    reference=_beta_at,
    draw=_warm_up,
    observe=_curve,
    properties=(
        Property(
            "returns a number",
            _returns_a_number,
            ((lambda *a: torch.tensor(_beta_at(*a)), "You return a Tensor. Return a plain number"),),
        ),
        told("a line, then a level", _line, MISTAKES),
        on(_long, Property("a long warm-up", _line)),
        Property(
            "no warm-up at all",
            _no_warm_up,
            (
                (lambda step, warmup, final: final * min(1.0, step / warmup), BY_ZERO),
                (_at_least_one, "With warmup = 0 the weight must be"),
            ),
        ),
    ),
)
