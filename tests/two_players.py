"""What the tests of the GANs share: numbered draws, players so simple that all is known, and two ranks.

As a script it is what each of two processes does; torchrun starts it, with a folder for its results.
"""

import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib.engine import many_devices
from course_lib.fit import fit
from course_lib.methods.gan import GAN
from course_lib.methods.wgan_gp import WGANGP
from course_lib.nn.players import Discriminator


class Point(nn.Module):
    """A generator that makes one point or picture, whatever the noise."""

    def __init__(self, at):
        super().__init__()
        self.at = nn.Parameter(torch.as_tensor(at, dtype=torch.float64))

    def forward(self, z):
        return self.at.expand(len(z), *self.at.shape)


class Quadratic(nn.Module):
    """D(x) = x.A x / 2 + b.x, whose slope is |A x + b| where A is symmetric."""

    def __init__(self, A, b):
        super().__init__()
        self.A, self.b = nn.Parameter(A), nn.Parameter(b)

    def forward(self, x):
        return ((x @ self.A) * x).sum(1) / 2 + x @ self.b


def linear(w, b=0.0):
    """D(x) = w.x + b, made of the course's own class."""
    w = torch.as_tensor(w, dtype=torch.float64)
    D = Discriminator(nn.Flatten(), w.numel()).double()
    with torch.no_grad():
        D.head.weight.copy_(w.view(1, -1))
        D.head.bias.fill_(b)
    return D


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


DRAWS = {"rand": torch.rand, "randn": torch.randn}


@contextmanager
def numbered_draws(rank=0, world=1):
    """Every row of noise has a number, and its values depend on that number alone, not on how the samples of
    a step are shared out: `rank` of `world` gets every world-th row, as it gets every world-th sample.

    It holds for methods that draw noise of one shape once for each loss.
    """
    taken = {}

    def rows(kind, shape, dtype):
        first = taken.get((kind, shape[1:]), 0)
        taken[kind, shape[1:]] = first + shape[0] * world
        generator = torch.Generator().manual_seed(len(kind))
        table = DRAWS[kind](256, *shape[1:], generator=generator, dtype=dtype)
        return table[(first + rank + world * torch.arange(shape[0])) % 256]

    def numbered(kind):
        return lambda *shape, dtype=None, device=None: rows(kind, shape, dtype).to(device)

    with pytest.MonkeyPatch.context() as patch:
        for kind in DRAWS:
            patch.setattr(torch, kind, numbered(kind))
        yield


SMALL = dict(latent=3, channels=2, size=0, widths=(8, 2))  # dense players: no sample sees another
METHODS = {
    "R1": lambda **more: GAN(**SMALL, smooth=0.1, r1=2.0, d_steps=2, **more),
    "lazy R1": lambda **more: GAN(**SMALL, r1=2.0, r1_every=3, game="min-max", **more),
    "WGAN-GP": lambda **more: WGANGP(**SMALL, n_critic=2, **more),
}


def trained(name, batch=8, accumulate=1, rank=0, world=1, seed=0, **given):
    """Six steps from the weights of a seed, 8 samples each: parameters and history."""
    torch.manual_seed(seed)
    method, data = METHODS[name]().double(), random(20, 2)
    with numbered_draws(rank, world):
        run = fit(method, data, steps=6, batch=batch, accumulate=accumulate, progress=False, **given)
    return {"parameters": method.state_dict(), "history": run.history}


def largest(a, b):
    """The largest difference of two runs' parameters."""
    return max((x - b["parameters"][k]).abs().max().item() for k, x in a["parameters"].items())


def logged(run):
    """Everything that a run has logged, in one list; the loop logs in float32."""
    return [value for name in sorted(run["history"]) for _, value in run["history"][name]]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    fabric = many_devices("cpu")
    rank, world = fabric.global_rank, fabric.world_size
    assert world == 2
    found = {}
    for name in METHODS:
        for batch, accumulate in ((4, 1), (2, 2)):
            # rank 1 starts from other weights: those of rank 0 must win
            run = trained(name, batch, accumulate, rank, world, seed=rank, fabric=fabric)
            found[f"{name}, {accumulate}"] = run
    torch.save(found, folder / f"{rank}.pt")
