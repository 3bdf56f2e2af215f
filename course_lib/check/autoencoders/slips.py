"""Training steps with one mistake each, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from course_lib.check.autoencoders.net import Net
from course_lib.check.core import Mistakes


def _step_on(
    loss_of: Callable[[Tensor, Tensor], Tensor],
    reported: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Callable[[nn.Module, Optimizer, Tensor], float]:
    """A training step on this loss; it returns the loss, or what is `reported` instead."""

    def train_step(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
        optimizer.zero_grad()
        x_hat = model(x)
        loss = loss_of(x_hat, x)
        loss.backward()
        optimizer.step()
        return (reported or loss_of)(x_hat, x).item()

    return train_step


_train_step = _step_on(F.mse_loss)


def _returns_graph(model: nn.Module, optimizer: Optimizer, x: Tensor) -> Tensor:
    loss = F.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def _returns_detached(model: nn.Module, optimizer: Optimizer, x: Tensor) -> Tensor:
    return _returns_graph(model, optimizer, x).detach()


def _loss_after(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    _train_step(model, optimizer, x)
    return F.mse_loss(model(x), x).item()


def _never_steps(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), x)
    loss.backward()
    return loss.item()


def _never_backward(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    optimizer.zero_grad()
    optimizer.step()
    return F.mse_loss(model(x), x).item()


def _steps_too_early(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), x)
    optimizer.step()
    loss.backward()
    return loss.item()


def _clears_between(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    loss = F.mse_loss(model(x), x)
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def _own_optimizer(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    return _train_step(model, torch.optim.Adam(model.parameters()), x)


def _code_detached(model: Net, optimizer: Optimizer, x: Tensor) -> float:
    loss = F.mse_loss(model.decoder(model.encoder(x).detach()), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _two_at_once(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    first = _train_step(model, optimizer, x)
    _train_step(model, optimizer, x)
    return first


def _many(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    return [_train_step(model, optimizer, x) for _ in range(40)][-1]


def never_clears(model: nn.Module, optimizer: Optimizer, x: Tensor) -> float:
    loss = F.mse_loss(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


NO_BACKWARD = (
    "No gradient reaches the weights: is `loss.backward()` missing, or are its brackets, or is the graph cut "
    "before it?"
)
TOO_EARLY = "`optimizer.step()` runs before `loss.backward()`, so it finds no gradients, or old ones."
CLEARED = "The gradients are cleared between `backward()` and `step()`: call `optimizer.zero_grad()` earlier."
NO_STEP = (
    "The gradients are there, but the weights stay as they were: `optimizer.step()` is missing, or its "
    "brackets."
)
OTHER_OPTIMIZER = "The weights change, but without `optimizer.step()`. Use the optimizer that you are given."
UPHILL = "The weights go in the opposite direction, up the hill: is there a minus sign before the loss?"
SUMMED = "Your step follows the gradient of a sum, although you return a mean. Call `backward()` on the mean."
NEVER_CLEARED = (
    "The second step adds the gradients of the first to its own: torch sums gradients up until "
    "`optimizer.zero_grad()` clears them. Call it in each step, with its brackets."
)

CUT = "Only a part of the weights moves: is the code, or another part of the network, cut off by `.detach()`?"

KINDS: Mistakes = (
    (_returns_graph, "You return a tensor that holds the whole graph"),
    (_returns_detached, "You return the type Tensor."),
)
LOOPS: Mistakes = (
    (_two_at_once, "One call makes 2 steps."),
    (_many, "One call makes 40 steps."),
)
LOSSES: Mistakes = (
    (_loss_after, "You return the loss after the step. Compute it once, before the step, and return that."),
    (
        _step_on(lambda x_hat, x: F.mse_loss(x_hat, x, reduction="sum")),
        "Your loss is a sum, so it grows with the batch, and so do the steps. Take the mean.",
    ),
    (
        _step_on(lambda x_hat, x: F.mse_loss(x_hat, x, reduction="sum") / len(x)),
        "Your loss is the mean over the batch, but the sum over the pixels. Take the mean over all of them.",
    ),
    (
        _step_on(lambda x_hat, x: F.mse_loss(x_hat, x, reduction="sum") / (len(x) * 784)),
        "You divide by 784, but not all pictures have 28 x 28 pixels: the check's are smaller. Take "
        "the mean.",
    ),
    (
        _step_on(lambda x_hat, x: F.mse_loss(x_hat, x) / 2),
        "Your loss is half of it: leave out the 1/2.",
    ),
    (_step_on(F.l1_loss), "Your loss is the mean absolute difference. Square the differences instead."),
    (
        _step_on(lambda x_hat, x: x_hat.square().mean()),
        "Your loss compares the output with zeros, so the network would learn to give grey pictures. Compare "
        "it with x.",
    ),
    (
        _step_on(lambda x_hat, x: (x_hat - torch.ones_like(x)).square().mean()),
        "Your loss compares the output with ones. An autoencoder's target is its own input: compare with x.",
    ),
    (
        _step_on(lambda x_hat, x: (x_hat - x).mean()),
        "The square is missing in your loss, so that errors above and below cancel out.",
    ),
    (
        _step_on(lambda x_hat, x: F.mse_loss(x_hat, x).sqrt()),
        "Your loss is the root of the mean squared error: leave the root out.",
    ),
    (
        _step_on(F.mse_loss, reported=lambda x_hat, x: F.mse_loss(x_hat, x) * len(x)),
        "You return the loss times the size of the batch. Return the loss itself.",
    ),
)


STEPS: Mistakes = (
    (_never_steps, NO_STEP),
    (_never_backward, NO_BACKWARD),
    (_steps_too_early, TOO_EARLY),
    (_clears_between, CLEARED),
    (_own_optimizer, OTHER_OPTIMIZER),
    (_code_detached, CUT),
    (_step_on(lambda x_hat, x: -F.mse_loss(x_hat, x), reported=F.mse_loss), UPHILL),
    (_step_on(lambda x_hat, x: F.mse_loss(x_hat, x, reduction="sum"), reported=F.mse_loss), SUMMED),
)
SECOND_STEPS: Mistakes = ((never_clears, NEVER_CLEARED),)
