"""Exercise 1.3: one step of training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from course_lib.check.autoencoders import slips
from course_lib.check.autoencoders.watched import Watched, start, watch
from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Property, Trial


def _train_step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


def _first_call(t: Trial, who: Answer) -> Watched:
    """One call alone: a mistake in the order of the lines may break the second."""
    return t.answer(who, *t.args()[:3])


def _loss(t: Trial, who: Answer) -> Tensor:
    """What `who` returns at first, as a tensor; wrong answers may return one with a graph."""
    return torch.as_tensor(_first_call(t, who).returned[0]).detach()


def _returns_a_float(t: Trial) -> str | None:
    value = _first_call(t, t.student).returned[0]
    if isinstance(value, float):
        return None
    if isinstance(value, Tensor) and value.requires_grad:
        return (
            "You return a tensor that holds the whole graph of its computation: a list of such losses fills "
            "the memory. Return a Python number, `loss.item()`."
        )
    way = " Use `.item()`." if hasattr(value, "item") else ""
    if callable(value):
        way = " Are brackets missing, as in `loss.item()`?"
    return f"You return the type {type(value).__name__}. Return a float, the loss as a Python number.{way}"


def _one_step(t: Trial) -> str | None:
    steps = _first_call(t, t.student).log.count("step")
    if steps <= 1:
        return None  # none at all is told below
    return f"One call makes {steps} steps. Make one: the loop over the batches stands outside."


def _returns_the_loss(t: Trial) -> str | None:
    yours, right = _loss(t, t.student), _loss(t, t.reference)
    if same(yours, right, 1e-4, 1e-6):
        return None
    numbers = f"You return {yours.item():.5g}, the loss before the step is {right.item():.5g}."
    for wrong, sentence in slips.LOSSES:
        if all(same(_loss(u, u.student), _loss(u, wrong), 1e-4, 1e-6) for u in (t, t.anew())):
            return f"{sentence} {numbers}"
    return numbers


def _first_step(t: Trial) -> str | None:
    yours, right = _first_call(t, t.student), _first_call(t, t.reference)
    change, wanted = (run.weights[1] - run.weights[0] for run in (yours, right))
    if "step" not in yours.log and change.any():
        return slips.OTHER_OPTIMIZER
    if not change.any():
        if "backward" not in yours.log:
            return slips.NO_BACKWARD
        if "empty step" not in yours.log:
            return slips.NO_STEP
        too_early = yours.log.index("empty step") < yours.log.index("backward")
        return slips.TOO_EARLY if too_early else slips.CLEARED
    if same(change, wanted, 1e-3, 1e-6):
        return None
    if ((change == 0) & (wanted != 0)).sum() > 5:
        return slips.CUT
    if same(change, -wanted, 1e-3, 1e-6):
        return slips.UPHILL
    x = t.args()[2]
    for factor in (x.numel(), x[0].numel()):
        if same(change, factor * wanted, 1e-3, 1e-6):
            return slips.SUMMED
    times = change.norm() / wanted.norm()
    return (
        f"You return the right loss, but the step that you make follows another one: it is {times:.3g} times "
        "as long as it should be. Call `backward()` on the mean squared error of `model(x)` and x, once."
    )


def _second_step(t: Trial) -> str | None:
    yours, right = t.answer(t.student).weights[2], t.answer(t.reference).weights[2]
    if same(yours, right, 1e-4, 1e-5):
        return None
    if same(yours, t.answer(slips.never_clears).weights[2], 1e-4, 1e-5):
        return slips.NEVER_CLEARED
    return "The first call is right, the second is not: does something of the first one stay behind?"


def _pictures_kept(t: Trial) -> str | None:
    if t.answer(t.student).pictures_kept:
        return None
    return "Your function changes the pictures x in place. Compute something new instead."


train_step = Exercise(
    id="1.3",
    title="One training step",
    difficulty=2,
    minutes=8,
    hints=(
        "Five lines: clear old gradients, reconstruct, compare, compute new gradients, let the optimizer "
        "move the weights. Which of the five need `optimizer`, which `model`?",
        "The loss is your `mse` of x and `model(x)`. `loss.backward()` computes the gradients and adds them "
        "to those that are there, so `optimizer.zero_grad()` must come before it. `optimizer.step()` uses "
        "them, so it comes after it.",
        "`optimizer.zero_grad()`, then `loss = mse(x, model(x))`, `loss.backward()`, `optimizer.step()`. The "
        "number inside a tensor, without its graph, is `loss.item()`.",
    ),
    reference=_train_step,
    draw=start,
    observe=watch,
    properties=(
        Property("returns a float", _returns_a_float, slips.KINDS),
        Property("one step", _one_step, slips.LOOPS),
        Property("the loss before the step", _returns_the_loss, slips.LOSSES),
        Property("the weights after one step", _first_step, slips.STEPS),
        Property("the weights after two steps", _second_step, slips.SECOND_STEPS),
        Property("pictures left unchanged", _pictures_kept),
    ),
)
