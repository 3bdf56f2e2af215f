"""Steps of CycleGAN that go wrong although both losses are right: in exercise 5.6, the mistakes of order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from course_lib.check.core import Answer, Mistakes
from course_lib.check.gan.steps import (
    CLEARED,
    NO_BACKWARD,
    NO_STEP,
    OTHER_OPTIMIZER,
    TOO_EARLY,
    UPHILL,
    fill,
)
from course_lib.check.translation.turn_slips import (
    Turn,
    cut,
    cycle,
    fooled,
    go,
    judged,
    loss_d,
    loss_g,
    played,
    real,
    step,
)

ONE = "zero backward step"
Two = tuple[float, float]  # the losses of G and F, and of the D's


def _d_first(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    of_d = loss_d(cut(t))
    go(ONE, of_d, opt_D)
    of_g = loss_g(t)
    go(ONE, of_g, opt_G)
    return of_g.item(), of_d.item()


def _d_in_between(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    """Both losses first, then D's step, then G's: its backward() meets D's that have changed."""
    of_g, of_d = loss_g(t), loss_d(cut(t))
    go(ONE, of_d, opt_D)
    go(ONE, of_g, opt_G)
    return of_g.item(), of_d.item()


def _not_detached(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    of_g = loss_g(t)
    go(ONE, of_g, opt_G)
    of_d = loss_d(t)
    go(ONE, of_d, opt_D)
    return of_g.item(), of_d.item()


def _keeps_the_graph(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    of_g = loss_g(t)
    opt_G.zero_grad()
    of_g.backward(retain_graph=True)
    opt_G.step()
    of_d = loss_d(t)
    go(ONE, of_d, opt_D)
    return of_g.item(), of_d.item()


def _backward_in_two(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    opt_G.zero_grad()
    first, second = fooled(t), t.cycle * cycle(t)
    first.backward()
    second.backward()
    raise AssertionError("the second backward() has raised")


def _d_reaches_g(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    """Both losses, both backward(), both steps; the D's loss goes through the fakes into G and F."""
    of_g, of_d = loss_g(t), loss_d(t)
    opt_G.zero_grad()
    of_g.backward(retain_graph=True)
    opt_D.zero_grad()
    of_d.backward()
    opt_G.step()
    opt_D.step()
    return of_g.item(), of_d.item()


def _d_helps(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    """Both optimizers step on the loss of G and F."""
    of_g = loss_g(t)
    opt_D.zero_grad()
    go(ONE, of_g, opt_G)
    opt_D.step()
    of_d = loss_d(cut(t))
    go(ONE, of_d, opt_D)
    return of_g.item(), of_d.item()


def _cleared_at_the_start(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    opt_D.zero_grad()
    return step(order_d="backward step")(*t[:4], opt_G, opt_D, t.a, t.b, t.cycle)


def _added_up(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    """One loss for everybody."""
    of_g, of_d = loss_g(t), loss_d(cut(t))
    opt_G.zero_grad()
    opt_D.zero_grad()
    (of_g + of_d).backward()
    opt_G.step()
    opt_D.step()
    return of_g.item(), of_d.item()


def _losses_after(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    step()(*t[:4], opt_G, opt_D, t.a, t.b, t.cycle)
    return loss_g(t).item(), loss_d(t).item()


def _own_optimizers(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    own_G = torch.optim.Adam([*t.G.parameters(), *t.F.parameters()])
    return step()(*t[:4], own_G, opt_D, t.a, t.b, t.cycle)


def _freezes(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    said = step()(*t[:4], opt_G, opt_D, t.a, t.b, t.cycle)
    for D in (t.D_A, t.D_B):
        D.requires_grad_(False)
    return said


def _evaluates(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> Two:
    t.G.eval()
    return step()(*t[:4], opt_G, opt_D, t.a, t.b, t.cycle)


def _deaf_to_fakes(t: Turn) -> Tensor:
    return judged(t.D_B(t.b), t.D_B(t.fake_b).detach()) + judged(t.D_A(t.a), t.D_A(t.fake_a).detach())


d_first, d_in_between, not_detached = played(_d_first), played(_d_in_between), played(_not_detached)
keeps_the_graph, backward_in_two = played(_keeps_the_graph), played(_backward_in_two)
d_helps = played(_d_helps)
losses_after, freezes, evaluates = played(_losses_after), played(_freezes), played(_evaluates)


def returns_graphs(*scene: object) -> Answer:
    """The right step; returns tensors that hold a graph."""
    return played(lambda t, opt_G, opt_D: (loss_g(t), loss_d(t)))(*scene)


LEFT_BY_G = (
    "The D's step follows G's gradients, too: the backward() of G's loss goes through D_A and D_B and leaves "
    "them there. Call `opt_D.zero_grad()` after it, and before the D's own backward()."
)
OLD = (
    "G's and F's step adds old gradients to its own, and torch sums them up. Call `opt_G.zero_grad()` before "
    "their backward(), with its brackets."
)
CUT_EARLY = (
    "What the D's say reaches neither G nor F: the fakes, or the verdicts, are cut off already in their own "
    "step. G and F learn through the D's. Detach the fakes when the D's turn comes."
)
CUT_CYCLE = (
    "`fake_b` and `fake_a` are detached on the way back, so the cycle teaches only the network that undoes. "
    "G and F both learn from it: detach nothing here."
)

G_STEPS: Mistakes = (
    (step(order_g="zero backward"), fill(NO_STEP, "G")),
    (step(order_g="zero step"), fill(NO_BACKWARD, "G")),
    (step(order_g="zero step backward"), TOO_EARLY),
    (step(order_g="backward zero step"), CLEARED),
    (step(order_g="zero uphill step"), fill(UPHILL, "G")),
    (played(_own_optimizers), fill(OTHER_OPTIMIZER, "G")),
    (step(order_g="zero backward step step"), "`opt_G` makes 2 steps"),
    (step(lambda t: loss_g(cut(t))), CUT_EARLY),
    (step(lambda t: fooled(cut(t)) + t.cycle * cycle(t)), CUT_EARLY),
    (step(lambda t: fooled(t) + t.cycle * cycle(cut(t))), CUT_CYCLE),
    (step(lambda t: fooled(t).detach() + t.cycle * cycle(t)), CUT_EARLY),
    (
        step(lambda t: fooled(t) + t.cycle * cycle(t).detach()),
        "The cycle loss is cut off, so G and F learn from the D's only.",
    ),
    (
        step(lambda t: real(t.D_B(t.fake_b)) + real(t.D_A(t.fake_a)).detach() + t.cycle * cycle(t)),
        "The step of G and F does not follow it",
    ),
    (
        played(_d_reaches_g),
        "The D's loss reaches G and F through the fakes, and moves them to be found out. Show the D's "
        "`fake_b.detach()` and `fake_a.detach()`.",
    ),
)
D_STEPS: Mistakes = (
    (step(order_d="backward step"), LEFT_BY_G),
    (played(_cleared_at_the_start), LEFT_BY_G),
    (played(_added_up), LEFT_BY_G),
    (step(order_d="step"), "The D's step follows G's gradients only: their own backward() is missing."),
    (step(order_d="zero backward"), fill(NO_STEP, "D")),
    (step(order_d="zero step"), fill(NO_BACKWARD, "D")),
    (step(order_d="zero step backward"), TOO_EARLY),
    (step(order_d="backward zero step"), CLEARED),
    (step(order_d="zero uphill step"), fill(UPHILL, "D")),
    (step(order_d="zero backward step step"), "`opt_D` makes 2 steps"),
    (
        step(d=_deaf_to_fakes),
        "The D's learn from real pictures only: their verdict on the fakes is cut off. Detach `fake_b`, not "
        "`D_B(...)`.",
    ),
)
