"""What several tests of the core share: finding the methods, small methods of other shapes, comparisons."""

import importlib
import os
import pkgutil
import subprocess
import sys
from copy import copy
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import course_lib.methods
from course_lib.method import Loss, Step

ROOT = Path(__file__).resolve().parent.parent
MEMBERS = ("ema", "optimizers", "losses", "tiny")


def library_methods():
    """Every class under course_lib.methods that has the members of `Method`."""
    names = [m.name for m in pkgutil.walk_packages(course_lib.methods.__path__, "course_lib.methods.")]
    return [
        found
        for name in names
        for found in vars(importlib.import_module(name)).values()
        if isinstance(found, type) and found.__module__ == name and all(hasattr(found, m) for m in MEMBERS)
    ]


class Rows:
    """A data set made of one batch, tensors or tuples of tensors."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch[0]) if isinstance(self.batch, tuple) else len(self.batch)

    def __getitem__(self, index):
        return each(self.batch, lambda t: t[index])

    def to(self, device):
        moved = copy(self)
        moved.batch = each(self.batch, lambda t: t.to(device))
        return moved


def each(batch, change):
    """Apply a function to every tensor of a batch."""
    return tuple(change(t) for t in batch) if isinstance(batch, tuple) else change(batch)


def tiny(cls, dtype=torch.float32, seed=0):
    """A small instance with weights of its own seed, and its batch as a data set."""
    torch.manual_seed(seed)
    method, batch = cls.tiny()
    return method.to(dtype), Rows(each(batch, lambda t: t.to(dtype) if t.is_floating_point() else t))


def same(a, b):
    """Bitwise equality of nested dicts, lists, tuples, tensors and plain values."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a.cpu(), b.cpu())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def copied(tensors):
    """Copies of tensors, None where there is none."""
    return [None if t is None else t.detach().clone() for t in tensors]


def everything(run):
    """All that a run leaves in memory."""
    averages = {name: net.state_dict() for name, net in run.averaged.items()}
    return {"method": run.method.state_dict(), "averages": averages, "history": run.history}


def python(*arguments, **settings):
    """Run Python on arguments in the repository, with these environment variables; returns the finished
    process, its output as text."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings
    command, pipe = [sys.executable, *arguments], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            said, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.terminate()  # not a kill: torchrun has ranks to end
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, errors)


def mlp(*sizes):
    """Linear layers with tanh between them."""
    layers = [layer for n, m in pairwise(sizes) for layer in (nn.Linear(n, m), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def points():
    """Eight points of the plane."""
    return torch.randn(8, 2, generator=torch.Generator().manual_seed(0))


class Gan(nn.Module):
    """Two players on points of the plane. One fake serves both losses and is not detached: the loop must
    keep D's step out of G."""

    ema = ("G",)
    detached = False

    def __init__(self):
        super().__init__()
        self.G, self.D = mlp(2, 16, 2), mlp(2, 16, 1)

    def optimizers(self):
        return {
            "D": torch.optim.Adam(self.D.parameters(), 1e-2, (0.5, 0.9)),
            "G": torch.optim.Adam(self.G.parameters(), 1e-2, (0.5, 0.9)),
        }

    def losses(self, x, step):
        fake = self.G(torch.randn_like(x))
        judged = self.D(fake.detach() if self.detached else fake)
        real = self.D(x)
        logs = {"D(x)": real.detach().sigmoid().mean()}
        yield Loss("D", F.softplus(-real).mean() + F.softplus(judged).mean(), logs)
        yield Loss("G", F.softplus(-self.D(fake)).mean())

    @classmethod
    def tiny(cls):
        return cls(), points()


class DetachedGan(Gan):
    """The same, with the detach that textbooks write."""

    detached = True


class CriticGan(nn.Module):
    """WGAN-GP: the generator moves at every third step only, and the critic's loss holds a gradient."""

    ema = ("G",)

    def __init__(self):
        super().__init__()
        self.G, self.D = mlp(2, 16, 2), mlp(2, 16, 1)
        self.D[-1].register_parameter("bias", None)  # the loss does not depend on it

    def optimizers(self):
        return {
            "D": torch.optim.Adam(self.D.parameters(), 1e-3),
            "G": torch.optim.Adam(self.G.parameters(), 1e-3),
        }

    def losses(self, x, step):
        fake = self.G(torch.randn_like(x)).detach()
        between = (x + torch.rand_like(x[:, :1]) * (fake - x)).requires_grad_()
        (slope,) = torch.autograd.grad(self.D(between).sum(), between, create_graph=True)
        penalty = (slope.norm(dim=1) - 1).square().mean()
        yield Loss("D", self.D(fake).mean() - self.D(x).mean() + 10 * penalty)
        if step % 3 == 2:
            yield Loss("G", -self.D(self.G(torch.randn_like(x))).mean())

    @classmethod
    def tiny(cls):
        return cls(), points()


class Pooled(nn.Module):
    """A network that is compared with a pool of earlier samples: the pool is a buffer, so it is resumed."""

    ema = ("net",)
    batch_statistics = "the pool changes between the parts of a batch"

    def __init__(self):
        super().__init__()
        self.net = mlp(2, 8, 2)
        self.register_buffer("pool", torch.zeros(16, 2))

    def optimizers(self):
        return {"net": torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)}

    def losses(self, x, step):
        self.pool[torch.randint(0, len(self.pool), (len(x),), device=x.device)] = x
        old = self.pool[torch.randint(0, len(self.pool), (len(x),), device=x.device)]
        yield Loss("net", F.mse_loss(self.net(x), x + 0.1 * old))

    @classmethod
    def tiny(cls):
        return cls(), points()


class Sampling(nn.Module):
    """A denoiser of 4x4 pictures with the sampler that the contract asks for."""

    ema = ("net",)

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.Unflatten(1, (1, 4, 4)))

    def optimizers(self):
        return {"net": torch.optim.Adam(self.parameters(), 1e-2)}

    def losses(self, x, step):
        yield Loss("net", F.mse_loss(self.net(x + 0.1 * torch.randn_like(x)), x))

    @torch.no_grad()
    def sample(self, n, *, generator=None):
        weight = self.net[1].weight
        noise = torch.randn(n, 1, 4, 4, generator=generator, device=weight.device)
        x = noise.to(weight.dtype)
        yield Step(0, 4, x)
        for i in range(1, 5):
            x0 = self.net(x).clamp(-1, 1)
            x = x + (x0 - x) / (5 - i)
            yield Step(i, 4, x, x0)

    @classmethod
    def tiny(cls):
        return cls(), torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1


METHODS = [*library_methods(), Gan, CriticGan, Pooled, Sampling]
