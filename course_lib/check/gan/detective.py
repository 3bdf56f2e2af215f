"""Exercise 3.2: one step of D, which leaves G as it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.gan.loss_slips import D_LOSSES, DLoss, right_d
from course_lib.check.gan.scene import scene, watch
from course_lib.check.gan.steps import (
    CLEARED,
    FROZEN,
    LEFTOVERS,
    MODE,
    NO_BACKWARD,
    NO_STEP,
    OTHER_OPTIMIZER,
    TOO_EARLY,
    UPHILL,
    fill,
    left_in_order,
    old_gradients_cleared,
    one_step,
    returns_a_float,
    returns_the_loss,
)

Loss = Callable[[nn.Module, nn.Module, Tensor, Tensor], Tensor]  # of G, D, x, z


def _judged(loss: DLoss) -> Loss:
    """This loss on what D says to x and to G(z), which is detached."""
    return lambda G, D, x, z: loss(D(x), D(G(z).detach()))


_loss = _judged(right_d)


def _step_on(loss: Loss, reported: Loss = _loss) -> Answer:
    """D's step on this loss; it returns the right one, or what is `reported` instead."""

    def d_step(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
        said = reported(G, D, x, z).item()
        opt_D.zero_grad()
        loss(G, D, x, z).backward()
        opt_D.step()
        return said

    return d_step


_d_step = _step_on(_loss)


def _in_order(*order: str) -> Answer:
    """The right loss, and then these of "zero", "backward", "step", in this order."""

    def d_step(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
        loss = _loss(G, D, x, z)
        does: dict[str, Callable[[], object]] = {
            "zero": opt_D.zero_grad,
            "backward": loss.backward,
            "step": opt_D.step,
        }
        for part in order:
            does[part]()
        return loss.item()

    return d_step


def _returns_graph(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> Tensor:
    _d_step(G, D, opt_D, x, z)
    return _loss(G, D, x, z)


def _loss_after(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
    _d_step(G, D, opt_D, x, z)
    return _loss(G, D, x, z).item()


def _both_move(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
    opt_G = SGD(G.parameters(), lr=0.1)
    said = _step_on(lambda G, D, x, z: right_d(D(x), D(G(z))))(G, D, opt_D, x, z)
    opt_G.step()
    G.zero_grad()
    return said


def _own_optimizer(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
    return _d_step(G, D, torch.optim.Adam(D.parameters()), x, z)


def _freezes(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
    G.requires_grad_(False)
    return _d_step(G, D, opt_D, x, z)


def _evaluates(G: nn.Module, D: nn.Module, opt_D: Optimizer, x: Tensor, z: Tensor) -> float:
    G.eval()
    return _d_step(G, D, opt_D, x, z)


DETACH = (
    "Your step leaves a gradient in G: it goes through the made samples back into the network that made "
    "them. Cut it: `G(z).detach()`, or make them under `torch.no_grad()`."
)
G_MOVES = "G moves in D's step. Only D learns here: G is an opponent, and fixed."
ONLY_REAL = (
    "D learns from the real samples only: its verdict on the made ones is cut off. Detach `G(z)`, not "
    "`D(...)`."
)
ONLY_MADE = "D learns from the made samples only: its verdict on the real ones is cut off. Don't detach it."
OWN_NOISE = "You draw noise of your own. Use the z that you are given."

UNTOUCHED: Mistakes = (
    (_step_on(lambda G, D, x, z: right_d(D(x), D(G(z)))), DETACH),
    (_both_move, G_MOVES),
)
LOSSES: Mistakes = (
    *(
        (_step_on(_judged(loss), _judged(loss)), f"The loss is not that of exercise 3.1. {sentence}")
        for loss, sentence in D_LOSSES
    ),
    (_loss_after, "You return the loss after the step. Compute it once, before the step, and return that."),
    (
        _step_on(_loss, lambda G, D, x, z: right_d(D(x), D(G(torch.randn_like(z))))),
        OWN_NOISE,
    ),
    (
        _step_on(_loss, lambda G, D, x, z: right_d(D(x), D(torch.randn_like(x)))),
        "You show D noise in place of G's samples: those are `G(z)`.",
    ),
    (
        _step_on(_loss, lambda G, D, x, z: right_d(D(x), D(x))),
        "You show D the real samples twice. The second time it must see `G(z)`.",
    ),
)
STEPS: Mistakes = (
    (_in_order("zero", "backward"), fill(NO_STEP, "D")),
    (_in_order("zero", "step"), fill(NO_BACKWARD, "D")),
    (_in_order("zero", "step", "backward"), TOO_EARLY),
    (_in_order("backward", "zero", "step"), CLEARED),
    (_own_optimizer, fill(OTHER_OPTIMIZER, "D")),
    (_step_on(lambda G, D, x, z: -_loss(G, D, x, z)), fill(UPHILL, "D")),
    (_step_on(_judged(lambda r, f: right_d(r, f.detach()))), ONLY_REAL),
    (_step_on(_judged(lambda r, f: right_d(r.detach(), f))), ONLY_MADE),
    (
        _step_on(_judged(lambda r, f: right_d(r, f) * len(r))),
        "Your step follows the gradient of a sum, although you return a mean.",
    ),
)


def _untouched(t: Trial) -> str | None:
    yours = t.answer(t.student)
    if yours.other_change.any():
        return G_MOVES
    return DETACH if yours.other_has_gradient else None


d_step = Exercise(
    id="3.2",
    title="The detective's step",
    difficulty=2,
    minutes=10,
    hints=(
        "It is the training step of exercise 1.3 with another loss. But that loss depends on G's weights, "
        "too, through the made samples. Who may learn from it?",
        "`G(z).detach()` has the values of `G(z)` and no memory of G, so `backward()` stops there. The "
        "order: make the samples, let D judge both, compute the loss, clear D's old gradients, `backward()`, "
        "`opt_D.step()`.",
        "`fake = G(z).detach()`, `loss = d_loss(D(x), D(fake))`, `opt_D.zero_grad()`, `loss.backward()`, "
        "`opt_D.step()`, `return loss.item()`.",
    ),
    reference=_d_step,
    draw=lambda generator: (scene("D", generator),),
    observe=watch,
    properties=(
        returns_a_float(
            "D",
            (_returns_graph, "You return a tensor that holds the whole graph"),
            (lambda *a: torch.tensor(_d_step(*a)), "You return a Tensor."),
        ),
        Property("G untouched", _untouched, UNTOUCHED),
        returns_the_loss(LOSSES),
        one_step("D", STEPS),
        old_gradients_cleared("D", (_in_order("backward", "step"), fill(LEFTOVERS, "D"))),
        left_in_order((_freezes, FROZEN.format(who="G")), (_evaluates, MODE)),
    ),
)
