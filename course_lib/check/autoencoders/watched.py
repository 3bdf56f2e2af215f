"""Watches calls of a training step: what they return, and what the weights and the optimizer do."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import SGD

from course_lib.check.autoencoders.net import Net, pictures
from course_lib.check.core import Answer, Value


class WatchedSGD(SGD):
    """Plain gradient descent that notes when gradients arrive and when it is asked to step."""

    def __init__(self, model: Net) -> None:
        super().__init__(model.parameters(), lr=1.0)
        self.log: list[str] = []
        next(model.parameters()).register_hook(lambda gradient: self.log.append("backward"))

    def step(self, closure: Callable | None = None) -> Value:  # type: ignore[override]
        loss = None if closure is None else closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        some = any(g is not None and g.any() for g in gradients)
        self.log.append("step" if some else "empty step")
        super().step()
        return loss


class Watched(NamedTuple):
    returned: list[Value]  # of each call
    weights: list[Tensor]  # all weights in one vector: at the start, and after each call
    log: list[str]  # what the optimizer noted
    pictures_kept: bool


def start(generator: torch.Generator) -> tuple[Net, WatchedSGD, Tensor, Tensor]:
    """A network, its optimizer, and two batches (B, 1, 3, 4) of different pictures."""
    model = Net((1, 3, 4), generator)
    return model, WatchedSGD(model), pictures((5, 1, 3, 4), generator), pictures((5, 1, 3, 4), generator)


def watch(answer: Answer, model: Net, optimizer: WatchedSGD, *batches: Tensor) -> Watched:
    """Call the answer once for each batch."""
    returned, weights, kept = [], [_vector(model)], True
    for x in batches:
        given = x.clone()
        returned.append(answer(model, optimizer, x))
        weights.append(_vector(model))
        kept = kept and torch.equal(x, given)
    return Watched(returned, weights, optimizer.log, kept)


def _vector(model: Net) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])
