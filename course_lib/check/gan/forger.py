"""Exercise 3.3: one step of G, whose gradient comes through D."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.gan.loss_slips import G_LOSSES, GLoss, right_g
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

Loss = Callable[[nn.Module, nn.Module, Tensor], Tensor]  # of G, D, z


def _judged(loss: GLoss) -> Loss:
    """This loss on what D says to G(z)."""
    return lambda G, D, z: loss(D(G(z)))


_loss = _judged(right_g)


def _step_on(loss: Loss, reported: Loss = _loss) -> Answer:
    """G's step on this loss; it returns the right one, or what is `reported` instead."""

    def g_step(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
        said = reported(G, D, z).item()
        opt_G.zero_grad()
        loss(G, D, z).backward()
        opt_G.step()
        return said

    return g_step


_g_step = _step_on(_loss)


def _in_order(*order: str) -> Answer:
    """The right loss, and then these of "zero", "backward", "step", in this order."""

    def g_step(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
        loss = _loss(G, D, z)
        does: dict[str, Callable[[], object]] = {
            "zero": opt_G.zero_grad,
            "backward": loss.backward,
            "step": opt_G.step,
        }
        for part in order:
            does[part]()
        return loss.item()

    return g_step


def _no_grad_round_g(G: nn.Module, D: nn.Module, z: Tensor) -> Tensor:
    with torch.no_grad():
        fake = G(z)
    return right_g(D(fake))


def _no_grad_round_d(G: nn.Module, D: nn.Module, z: Tensor) -> Tensor:
    with torch.no_grad():
        on_fake = D(G(z))
    return right_g(on_fake)


def _d_moves(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
    opt_D = SGD(D.parameters(), lr=0.1)
    said = _g_step(G, D, opt_G, z)
    opt_D.step()
    return said


def _clears_d_only(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
    D.zero_grad()
    return _in_order("backward", "step")(G, D, opt_G, z)


def _returns_graph(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> Tensor:
    _g_step(G, D, opt_G, z)
    return _loss(G, D, z)


def _loss_after(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
    _g_step(G, D, opt_G, z)
    return _loss(G, D, z).item()


def _own_optimizer(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
    return _g_step(G, D, torch.optim.Adam(G.parameters()), z)


def _freezes(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
    D.requires_grad_(False)
    return _g_step(G, D, opt_G, z)


def _evaluates(G: nn.Module, D: nn.Module, opt_G: Optimizer, z: Tensor) -> float:
    D.eval()
    return _g_step(G, D, opt_G, z)


CUT_BEFORE_D = (
    "The gradient ends between D and G: it reaches D's weights, but not G's. In this step nothing may be "
    "detached, and `G(z)` may not stand under `torch.no_grad()`: G learns through D."
)
CUT_AFTER_D = (
    "D's verdict is cut off (`.detach()`, `.item()` or `torch.no_grad()` round `D(...)`), so there is "
    "nothing to differentiate. The gradient must pass through D into G; D stays as it is because only "
    "`opt_G` steps."
)
D_MOVES = "D moves in G's step. Only G learns here: the gradient passes through D, but D's weights stay."
OWN_NOISE = "You draw noise of your own. Use the z that you are given."

FLOW: Mistakes = (
    (_step_on(lambda G, D, z: right_g(D(G(z).detach()))), CUT_BEFORE_D),
    (_step_on(_no_grad_round_g), CUT_BEFORE_D),
    (_step_on(lambda G, D, z: right_g(D(G(z)).detach())), CUT_AFTER_D),
    (_step_on(_no_grad_round_d), CUT_AFTER_D),
)
LOSSES: Mistakes = (
    *(
        (_step_on(_judged(loss), _judged(loss)), f"The loss is not that of exercise 3.1. {sentence}")
        for loss, sentence in G_LOSSES
    ),
    (_loss_after, "You return the loss after the step. Compute it once, before the step, and return that."),
    (_step_on(_loss, lambda G, D, z: right_g(D(G(torch.randn_like(z))))), OWN_NOISE),
)
STEPS: Mistakes = (
    (_in_order("zero", "backward"), fill(NO_STEP, "G")),
    (_in_order("zero", "step"), fill(NO_BACKWARD, "G")),
    (_in_order("zero", "step", "backward"), TOO_EARLY),
    (_in_order("backward", "zero", "step"), CLEARED),
    (_own_optimizer, fill(OTHER_OPTIMIZER, "G")),
    (_step_on(lambda G, D, z: -_loss(G, D, z)), fill(UPHILL, "G")),
    *(
        (_step_on(_judged(loss)), f"Your step follows another loss than you return. {sentence}")
        for loss, sentence in G_LOSSES[:2]
    ),
)


def _flows(t: Trial) -> str | None:
    try:
        yours = t.answer(t.student)
    except RuntimeError as error:
        if "does not require grad" in str(error):
            return CUT_AFTER_D
        raise
    return CUT_BEFORE_D if yours.other_has_gradient and "backward" not in yours.log else None


def _d_stays(t: Trial) -> str | None:
    return D_MOVES if t.answer(t.student).other_change.any() else None


g_step = Exercise(
    id="3.3",
    title="The forger's step",
    difficulty=2,
    minutes=10,
    hints=(
        "Follow the loss backwards: from D's verdict through D's layers to the picture, from the picture "
        "into G. Which link of this chain may be cut? And who keeps D from moving?",
        "No link may be cut: no `.detach()`, no `no_grad`. D gets gradients on the way, but nobody makes a "
        "step with them: `opt_G` holds the weights of G only. Clear G's old gradients before `backward()`.",
        "`loss = g_loss(D(G(z)))`, `opt_G.zero_grad()`, `loss.backward()`, `opt_G.step()`, "
        "`return loss.item()`. What is left in D is cleared by D's next step, which begins with `zero_grad`.",
    ),
    reference=_g_step,
    draw=lambda generator: (scene("G", generator),),
    observe=watch,
    properties=(
        Property("the gradient passes through D", _flows, FLOW),
        returns_a_float(
            "G",
            (_returns_graph, "You return a tensor that holds the whole graph"),
            (lambda *a: torch.tensor(_g_step(*a)), "You return a Tensor."),
        ),
        Property("D's weights stay", _d_stays, ((_d_moves, D_MOVES),)),
        returns_the_loss(LOSSES),
        one_step("G", STEPS),
        old_gradients_cleared(
            "G", (_in_order("backward", "step"), fill(LEFTOVERS, "G")), (_clears_d_only, fill(LEFTOVERS, "G"))
        ),
        left_in_order((_freezes, FROZEN.format(who="D")), (_evaluates, MODE)),
    ),
)
