"""What these checks are run on: a small untrained autoencoder, and random pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.check.compare import same
from course_lib.check.core import Answer, Mistakes, Property, Trial, Value


class _Dense(nn.Linear):
    """A linear layer that works in its input's dtype and on its input's device, meta included."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x), self.bias.to(x))


class Net(nn.Module):
    """An autoencoder with a code of 3 numbers and random weights, for pictures of one `shape` (C, H, W).

    It answers with pictures from -1 to 1, and remembers a copy of each batch that it was given in `seen`.
    """

    def __init__(self, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__()
        self.shape = shape
        self.seen: list[Tensor] = []
        pixels = torch.Size(shape).numel()
        self.encoder = nn.Sequential(nn.Flatten(), _Dense(pixels, 3), nn.Tanh())
        self.decoder = nn.Sequential(_Dense(3, pixels), nn.Unflatten(1, shape), nn.Tanh())
        with torch.no_grad():
            for p in self.parameters():
                fan_in = p.shape[-1] if p.ndim == 2 else 4
                p.copy_(torch.randn(p.shape, generator=generator) / fan_in**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> x_hat of the same shape; ValueError for every other shape, as a user is told."""
        if x.ndim != 4 or x.shape[1:] != self.shape:
            raise ValueError(
                f"the network takes a batch of pictures, (B, {', '.join(map(str, self.shape))}); "
                f"it was given {tuple(x.shape)}"
            )
        self.seen.append(x.detach().clone())
        return self.decoder(self.encoder(x))


def pictures(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random pictures of this shape (B, C, H, W), from -0.9 to 0.9: no pixel is quite black or white."""
    return torch.rand(shape, generator=generator) * 1.8 - 0.9


def recognised(t: Trial, yours: Value, mistakes: Mistakes) -> str | None:
    """The sentence of the first typical mistake that gives the same values as the student's answer."""
    for wrong, sentence in mistakes:
        if same(yours, t.answer(wrong), 1e-4, 1e-5):
            return sentence
    return None


def gradient_reaches_network(*mistakes: tuple[Answer, str]) -> Property:
    """The gradient of a loss by the weights of argument 1, a `Net`, equals the reference's."""

    def gradient(t: Trial, who: Answer) -> Tensor | None:
        model, *others = t.args()
        loss = t.answer(who, model, *others)
        if loss.requires_grad:
            loss.backward()
        found = [p.grad for p in model.parameters()]
        return None if any(g is None for g in found) else torch.cat([g.flatten() for g in found])

    def test(t: Trial) -> str | None:
        right, yours = gradient(t, t.reference), gradient(t, t.student)
        if yours is None:
            return (
                "No gradient reaches the network, so it could not learn. Look for `.detach()`, `.item()`, "
                "`.data`, `torch.no_grad()` or `torch.tensor(...)`."
            )
        if same(yours, right, 1e-3, 1e-5):
            return None
        return "The value is right, but its gradient is not: is a part of the computation cut off?"

    return Property("gradient", test, mistakes)
