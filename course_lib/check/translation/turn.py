"""What exercise 5.6 is played on: two small translators, two discriminators, and two optimizers on watch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from course_lib.check import explain
from course_lib.check.core import Answer, Value
from course_lib.check.watching import WatchedSGD, weights


class Scene(NamedTuple):
    """One step, about to be made."""

    G: nn.Module
    F: nn.Module
    D_A: nn.Module
    D_B: nn.Module
    opt_G: WatchedSGD  # of G and F
    opt_D: WatchedSGD  # of D_A and D_B
    a: Tensor  # (B, 2, 3, 4)
    b: Tensor  # the same
    cycle: float


class Watched(NamedTuple):
    """What became of it."""

    returned: Value
    changes: dict[str, Tensor]  # of the weights of G, F, D_A and D_B, each as one vector
    logs: dict[str, list[str]]  # of opt_G and opt_D
    turns: list[str]  # "G" and "D", in the order in which their optimizers stepped
    frozen: tuple[str, ...]  # the networks with weights that can no longer be trained
    modes_kept: bool
    inputs_kept: bool


F_IS_TAKEN = (
    "Here `F` is the translator from B to A, not `torch.nn.functional`, so `F.{name}` does not exist. Take "
    "the loss by its own name, or write it out: `(x - y).abs().mean()` and `(verdict - 1).square().mean()`."
)
D_IN_BETWEEN = (
    "D's step comes before the `backward()` of G's loss, which has to pass through D_A and D_B as they were. "
    "G and F move first: their loss, `opt_G.zero_grad()`, `backward()`, `opt_G.step()`. Then the D's."
)
NOT_DETACHED = (
    "After G's step a `backward()` goes through G and F again. For the D's the fakes are data: show them "
    "`fake_b.detach()` and `fake_a.detach()`."
)
TWICE = (
    "`backward()` runs twice through the graph of the fakes. Add up all of G's and F's loss, and call it "
    "once; and show the D's `fake_b.detach()` and `fake_a.detach()`, whose graph is cut off."
)


def scene(generator: torch.Generator, *, leftovers: bool = False) -> Scene:
    """Random weights and pictures; `leftovers`: all four have gradients of an earlier step."""
    # row by row: (B, 2, 3, 4) -> the same, and -> a map of verdicts, (B, 2, 3, 1)
    G, F = (nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2))
    D_A, D_B = (nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)) for _ in range(2))
    for p in nn.ModuleList([G, F, D_A, D_B]).parameters():
        p.data = 0.3 * torch.randn(p.shape, generator=generator)
        if leftovers:
            p.grad = torch.randn(p.shape, generator=generator)
    opt_G, opt_D = (WatchedSGD(nn.ModuleList(pair), lr=0.3) for pair in ((G, F), (D_A, D_B)))
    rows = int(torch.randint(3, 6, (), generator=generator))
    a, b = torch.randn(2, rows, 2, 3, 4, generator=generator) + torch.tensor([0.5, -0.5]).view(2, 1, 1, 1, 1)
    cycle = 2 + 3 * torch.rand((), generator=generator).item()
    return Scene(G, F, D_A, D_B, opt_G, opt_D, a, b, cycle)


def watch(answer: Answer, *scene: Value) -> Watched:
    """Call the answer once. Raises Complaint for the errors that a wrong order ends in."""
    s = Scene(*scene)
    nets: dict[str, nn.Module] = {"G": s.G, "F": s.F, "D_A": s.D_A, "D_B": s.D_B}
    before = {name: weights(net) for name, net in nets.items()}
    given = [s.a.clone(), s.b.clone()]
    turns: list[str] = []
    s.opt_G.register_step_pre_hook(lambda *_: turns.append("G"))
    s.opt_D.register_step_pre_hook(lambda *_: turns.append("D"))
    try:
        returned = answer(*s)
    except AttributeError as error:
        if error.obj is s.F and error.name and hasattr(nn.functional, error.name):
            raise explain.Complaint(F_IS_TAKEN.format(name=error.name)) from error
        raise
    except RuntimeError as error:
        raise explain.Complaint(_out_of_order(error, turns)) from error
    return Watched(
        returned,
        {name: weights(net) - before[name] for name, net in nets.items()},
        {"G": s.opt_G.log, "D": s.opt_D.log},
        turns,
        tuple(name for name, net in nets.items() if not all(p.requires_grad for p in net.parameters())),
        all(net.training for net in nets.values()),
        torch.equal(given[0], s.a) and torch.equal(given[1], s.b),
    )


def _out_of_order(error: RuntimeError, turns: list[str]) -> str:
    """What an error of autograd says about the order of the steps; other errors as they are."""
    second, in_place = (part in str(error) for part in ("a second time", "modified by an inplace operation"))
    if in_place and turns[:1] == ["D"]:
        return D_IN_BETWEEN
    if (second or in_place) and turns[:1] == ["G"]:
        return NOT_DETACHED
    if second:
        return TWICE
    raise error
