"""What a method is: two small records and one protocol.

Every model of the course (an autoencoder, a GAN, a diffusion model) is a plain `torch.nn.Module` with the
five members of `Method`. There is no base class: whatever has the members *is* a method, and the one
training loop in `fit.py` can train it.

`losses` is a generator in the paper's own order. A GAN reads: make a fake, `yield Loss("D", ...)`, then
`yield Loss("G", ...)`. The loop updates the network between two yields, so when the second loss is
evaluated the discriminator has already moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

Batch = Any  # a Tensor, or a tuple of Tensors, whatever the method's data set gives for a list of indices


class Loss(NamedTuple):
    """Minimise `value` with the optimizer called `opt`."""

    opt: str  # a key of `Method.optimizers()`
    value: Tensor  # scalar, with a graph
    logs: dict[str, Tensor] = {}  # detached scalars to plot, by name


class Step(NamedTuple):
    """One frame of a sampler: step `i` of `n`, the state `x`, and the current guess `x0` of the end."""

    i: int  # 0 <= i <= n, increasing
    n: int
    x: Tensor  # (B, C, H, W)
    x0: Tensor | None = None  # (B, C, H, W), where the sampler has such a guess
    note: str = ""  # for people: "t = 420"


@runtime_checkable
class Method(Protocol):
    """What `fit` trains. Structural: a class does not inherit from this, it just has these members.

    A class may have `left_out: tuple[str, ...]` too: names of sub-modules that only training needs, such as
    discriminators and pools. `zoo.save` does not write them; checkpoints hold everything all the same.
    """

    ema: tuple[str, ...]  # names of the sub-modules to average over training, () for none

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer for each player, by name. Called once, after the method has moved to its device."""
        ...

    def losses(self, batch: Batch, step: int) -> Iterator[Loss]:
        """Yield the losses of one step in the paper's order; the loop updates between two yields."""
        ...

    @classmethod
    def tiny(cls) -> tuple[Self, Batch]:
        """The smallest instance and a batch of 8 for it: what the contract tests run."""
        ...


@runtime_checkable
class CanSample(Protocol):
    """A method that can make new data has this too; `course sample` calls it."""

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Iterator[Step]:
        """Yield the steps of a sampler; the final sample is the last `Step`. Values in [-1, 1]."""
        ...
