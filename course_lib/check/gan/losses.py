"""Exercise 3.1: what D and G minimise, from logits. The answer is a pair of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import FunctionType

import torch
from torch import Tensor

from course_lib.check import explain
from course_lib.check.core import Answer, Exercise, Property, Value
from course_lib.check.gan.loss_slips import (
    D_SHAPES,
    D_SURE,
    D_VALUES,
    G_SHAPES,
    G_SURE,
    G_VALUES,
    right_d,
    right_g,
)
from course_lib.check.properties import close_to, device_kept, dtype_kept, gradient_flows, returns_tensor
from course_lib.check.vae.told import named, on

BOTH = "Give the check both functions, D's first: `check.gan.losses((d_loss, g_loss))`."


def _part(both: Answer, number: int) -> Callable[..., Value]:
    """One function of the pair; a stub, a wrong signature and a missing `return` are noticed at its call."""
    if not isinstance(both, tuple | list) or len(both) != 2:
        raise explain.Complaint(BOTH)
    function = both[number]
    if function is None or function is ...:
        raise explain.NotAttempted(explain.NOTHING_YET)
    if not callable(function):
        raise explain.Complaint(BOTH)
    return explain.watched(function, False) if isinstance(function, FunctionType) else function


def _of_d(both: Answer, on_real: Tensor, on_fake: Tensor) -> Value:
    return _part(both, 0)(on_real, on_fake)


def _of_g(both: Answer, on_fake: Tensor) -> Value:
    return _part(both, 1)(on_fake)


def _verdicts(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """D's logits on real and on made samples, (B,) each: columns of one tensor, so not contiguous."""
    rows = int(torch.randint(5, 10, (), generator=generator))
    both = 2 * torch.randn(rows, 2, generator=generator) + torch.tensor([0.7, -0.4])
    return both[:, 0], both[:, 1]


def _sure(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same where D is very sure, and now and then wrong: logits from ±120 to ±180, of both signs."""
    size = 120 + 60 * torch.rand(6, 2, generator=generator)
    sign = torch.tensor([1.0, -1.0]).repeat(3)[torch.randperm(6, generator=generator)]
    return size[:, 0] * sign, -size[:, 1] * sign


def _for_g(prop: Property) -> Property:
    """The same property for G's loss, which is given the made samples only."""

    def test(trial: Value) -> str | None:
        return prop.test(replace(trial, draw=lambda g: trial.draw(g)[1:], observe=_of_g))

    return Property(prop.name, test, prop.mistakes)


losses = Exercise(
    id="3.1",
    title="Two losses",
    difficulty=2,
    minutes=10,
    hints=(
        "D's loss is a sum of two means, one over the real and one over the made samples. Write it with "
        "probabilities first; then find, for each logarithm, the function of the logit that it is.",
        "`sigmoid(a)` is the probability of a logit a. log sigmoid(a) = -softplus(-a), and since "
        "1 - sigmoid(a) = sigmoid(-a), log(1 - sigmoid(a)) = -softplus(a). `F.softplus` never overflows.",
        "`d_loss` is `F.softplus(-on_real).mean() + F.softplus(on_fake).mean()`. G wants the made samples to "
        "be called real, so its loss is the first of these two terms, but on `on_fake`.",
    ),
    reference=(right_d, right_g),
    draw=_verdicts,
    observe=_of_d,
    properties=(
        named("d_loss: a tensor", returns_tensor()),
        close_to(*D_SHAPES, *D_VALUES, name="d_loss: its value"),
        on(_sure, close_to(*D_SURE, name="d_loss: logits of ±150")),
        named("d_loss: gradient for the real", gradient_flows(0)),
        named("d_loss: gradient for the made", gradient_flows(1)),
        named("d_loss: dtype", dtype_kept()),
        named("d_loss: device", device_kept()),
        _for_g(named("g_loss: a tensor", returns_tensor())),
        _for_g(close_to(*G_SHAPES, *G_VALUES, name="g_loss: its value")),
        on(_sure, _for_g(close_to(*G_SURE, name="g_loss: logits of ±150"))),
        _for_g(named("g_loss: gradient", gradient_flows(0))),
        _for_g(named("g_loss: dtype", dtype_kept())),
        _for_g(named("g_loss: device", device_kept())),
    ),
)
