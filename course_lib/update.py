"""One step of training: every loss that a method yields, each followed by its update."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from course_lib.engine import average_over_ranks
from course_lib.errors import CourseError, NonFiniteLoss
from course_lib.method import Batch, Loss, Method

Optimizers = dict[str, torch.optim.Optimizer]


def one_step(
    method: nn.Module,  # with the members of `Method`
    batches: list[Batch],  # one for each backward pass: their gradients are averaged
    opts: Optimizers,
    step: int,
    factor: float,  # on each optimizer's own learning rate
    clip: float | None,  # largest allowed gradient norm
    fabric: Fabric,
) -> dict[str, float]:
    """Evaluate a loss, update its player, evaluate the next. Returns the losses and what else is logged.

    Raises NonFiniteLoss before the update that it would spoil, with the buffers as they were before the step.
    """
    before = [buffer.clone() for buffer in method.buffers()]
    phases = [cast(Method, method).losses(batch, step) for batch in batches]
    logs: dict[str, float] = {}
    try:
        while losses := _next_losses(phases, opts, fabric):
            logs |= _update(losses, batches, opts[losses[0].opt], step, factor, clip, fabric)
    except NonFiniteLoss:  # the forward pass has put the NaN into the batch statistics
        for buffer, good in zip(method.buffers(), before, strict=True):
            buffer.copy_(good)
        raise
    return logs


def _next_losses(phases: list[Iterator[Loss]], opts: Optimizers, fabric: Fabric) -> list[Loss]:
    """The next loss of every batch, with its gradient; an empty list after the last."""
    n = len(phases)
    return [loss for i, phase in enumerate(phases) if (loss := _backward(phase, opts, i, n, fabric))]


def _update(
    losses: list[Loss],
    batches: list[Batch],
    opt: torch.optim.Optimizer,
    step: int,
    factor: float,
    clip: float | None,
    fabric: Fabric,
) -> dict[str, float]:
    """Average over batches and ranks, check, clip, step. Returns the values to log."""
    name, params = losses[0].opt, _parameters(opt)
    values = torch.stack([_numbers(loss) for loss in losses]).mean(0)
    values = average_over_ranks(values, params, fabric)
    norm = torch.nn.utils.get_total_norm([p.grad for p in params if p.grad is not None])
    # one look at the device a loss: it is what makes "the weights are those of the last good step" true
    if not torch.isfinite(values[0] + norm):
        raise NonFiniteLoss(_diagnosis(step, name, values[0], norm, batches, opt))
    if clip is not None:
        torch.nn.utils.clip_grads_with_norm_(params, clip, norm)
    for group in opt.param_groups:
        group["lr"] = group["initial_lr"] * factor
    opt.step()
    return dict(zip((f"loss/{name}", *losses[0].logs), values.tolist(), strict=True))


def _numbers(loss: Loss) -> Tensor:
    """The value of a loss and what else it logs, (1 + number of logs,)."""
    return torch.stack([v.detach().float() for v in (loss.value, *loss.logs.values())])


def _backward(phase: Iterator[Loss], opts: Optimizers, i: int, n: int, fabric: Fabric) -> Loss | None:
    """Advance micro-batch `i` of `n` to its next loss and add the gradient of that loss divided by n."""
    try:
        with fabric.autocast():
            loss = next(phase, None)
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            raise CourseError(
                "Batch normalisation needs at least 2 samples in a batch: use a larger batch."
            ) from error
        raise
    if loss is None:
        return None
    if loss.opt not in opts:
        raise CourseError(
            f'The method yielded a loss for "{loss.opt}", but its optimizers are {sorted(opts)}.'
        )
    params = _parameters(opts[loss.opt])
    if i == 0:
        opts[loss.opt].zero_grad()
    # only this player's parameters: D's step leaves no gradient in G, nor G's step in D
    (loss.value / n).backward(inputs=params)
    return loss


def _parameters(opt: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in opt.param_groups for p in group["params"] if p.requires_grad]


def _diagnosis(
    step: int, name: str, value: Tensor, norm: Tensor, batches: list[Batch], opt: torch.optim.Optimizer
) -> str:
    what = f"the loss is {value.item()}" if not torch.isfinite(value) else f"its gradient is {norm.item()}"
    tensors = [
        t for b in batches for t in (b if isinstance(b, tuple | list) else (b,)) if isinstance(t, Tensor)
    ]
    if not all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point()):
        cure = "the batch itself holds NaN or infinite values: clean the data"
    else:
        rate = opt.param_groups[0]["initial_lr"]
        cure = f"the likely remedy is a smaller learning rate than {rate:g}, or clip=1.0"
    return f'Stopped at step {step}: in "{name}" {what}; {cure}. The weights are those before this update.'
