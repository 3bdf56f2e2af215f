"""What checks watch a training step with: an optimizer that takes notes, and the weights as a vector."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import SGD

from course_lib.check.core import Value


class WatchedSGD(SGD):
    """Plain gradient descent that notes when gradients arrive and when it is asked to step."""

    def __init__(self, model: nn.Module, lr: float) -> None:
        super().__init__(model.parameters(), lr=lr)
        self.log: list[str] = []
        next(model.parameters()).register_hook(lambda gradient: self.log.append("backward"))

    def step(self, closure: Callable | None = None) -> Value:  # type: ignore[override]
        loss = None if closure is None else closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        some = any(g is not None and g.any() for g in gradients)
        self.log.append("step" if some else "empty step")
        super().step()
        return loss


def weights(model: nn.Module) -> Tensor:
    """A copy of all weights in one vector."""
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])
