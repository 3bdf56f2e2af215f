"""Masked dense networks: output i depends on the inputs before i, and on nothing else.

M. Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", arXiv 1502.03509, section 4. Every
unit carries a degree; a weight stays where its unit may know what comes in, and is multiplied by 0 elsewhere
(eqs. 8 and 9; 12 and 13 for more layers). Inputs have the degrees 1 to d, hidden units 0 to d - 1: those of
degree 0 see no input, only the context, so that the first output can depend on the context too. Left out:
degrees and orders drawn at random, direct connections from input to output.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    """A linear layer that keeps a weight where the mask holds. (B, n_in) -> (B, n_out)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        """mask: (n_out, n_in) bool, True where output unit i may see input unit j."""
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)  # the constructor's business, not the file's

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """Numbers (B, d) and a context (B, c) -> `outputs` tensors (B, d), whose entry i knows x[:, :i] only.

    The Jacobian of each output with respect to x is strictly lower triangular; every output may depend on all
    of the context.
    """

    def __init__(
        self,
        d: int,
        hidden: int = 64,  # units of each hidden layer, at least d: with fewer, some inputs would go unseen
        layers: int = 1,  # hidden layers
        context: int = 0,  # c, the length of the context, 0 for none
        outputs: int = 2,  # tensors to give: a shift and a scale, say
    ) -> None:
        super().__init__()
        if d < 1 or layers < 1:
            raise ValueError(f"d and layers must be at least 1, got {d} and {layers}.")
        if hidden < d:
            raise ValueError(f"{hidden} hidden units cannot show {d} inputs: take at least as many.")
        self.outputs = outputs
        inputs = torch.arange(1, d + 1)
        units = torch.arange(hidden) % d  # degrees 0 to d - 1, each about equally often
        self.first = MaskedLinear(units[:, None] >= inputs)
        self.context = nn.Linear(context, hidden, bias=False) if context else None
        self.rest = nn.ModuleList(MaskedLinear(units[:, None] >= units) for _ in range(layers - 1))
        self.last = MaskedLinear(inputs.repeat(outputs)[:, None] > units)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, ...]:
        a = self.first(x)  # (B, hidden)
        if self.context is not None and context is not None:
            a = a + self.context(context)
        for layer in self.rest:
            a = layer(F.silu(a))
        return self.last(F.silu(a)).chunk(self.outputs, dim=1)  # each (B, d)
