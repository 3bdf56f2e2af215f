"""One step of CycleGAN as in exercise 5.6, right and with one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss, softplus
from torch.optim import Optimizer

from course_lib.check.core import Answer, Mistakes


class Turn(NamedTuple):
    """What the losses of one step are made from. For the D's the fakes are detached."""

    G: nn.Module
    F: nn.Module
    D_A: nn.Module
    D_B: nn.Module
    a: Tensor
    b: Tensor
    fake_b: Tensor
    fake_a: Tensor
    cycle: float


Loss = Callable[[Turn], Tensor]


def real(verdict: Tensor) -> Tensor:
    """How far verdicts are from 1."""
    return (verdict - 1).square().mean()


def fooled(t: Turn) -> Tensor:
    return real(t.D_B(t.fake_b)) + real(t.D_A(t.fake_a))


def cycle(t: Turn) -> Tensor:
    return l1_loss(t.F(t.fake_b), t.a) + l1_loss(t.G(t.fake_a), t.b)


def loss_g(t: Turn) -> Tensor:
    return fooled(t) + t.cycle * cycle(t)


def judged(on_real: Tensor, on_fake: Tensor) -> Tensor:
    return (real(on_real) + on_fake.square().mean()) / 2


def loss_d(t: Turn) -> Tensor:
    return judged(t.D_B(t.b), t.D_B(t.fake_b)) + judged(t.D_A(t.a), t.D_A(t.fake_a))


def cut(t: Turn) -> Turn:
    """The same with detached fakes."""
    return t._replace(fake_b=t.fake_b.detach(), fake_a=t.fake_a.detach())


def played(play: Callable[[Turn, Optimizer, Optimizer], object]) -> Answer:
    """An answer with the arguments of the exercise, from what happens once the fakes are made."""

    def one_step(
        G: nn.Module, F: nn.Module, D_A: nn.Module, D_B: nn.Module, opt_G: Optimizer, opt_D: Optimizer,
        a: Tensor, b: Tensor, cycle: float = 1.0,
    ) -> object:  # fmt: skip
        return play(Turn(G, F, D_A, D_B, a, b, G(a), F(b), cycle), opt_G, opt_D)

    return one_step


def go(order: str, loss: Tensor, optimizer: Optimizer) -> None:
    """These of "zero", "backward", "step" and "uphill", in this order."""
    does: dict[str, Callable[[], object]] = {
        "zero": optimizer.zero_grad,
        "backward": loss.backward,
        "step": optimizer.step,
        "uphill": lambda: (-loss).backward(),
    }
    for part in order.split():
        does[part]()


def step(
    g: Loss = loss_g,  # what G and F follow
    d: Loss = loss_d,  # what the D's follow
    said: Callable[[float, float], object] = lambda g, d: (g, d),  # what is returned
    order_g: str = "zero backward step",
    order_d: str = "zero backward step",
    anew: bool = False,  # the D's get fakes that G and F make after their step
) -> Answer:
    """One step in the right order, but for what is said here."""

    def play(t: Turn, opt_G: Optimizer, opt_D: Optimizer) -> object:
        of_g = g(t)
        go(order_g, of_g, opt_G)
        of_d = d(cut(t._replace(fake_b=t.G(t.a), fake_a=t.F(t.b)) if anew else t))
        go(order_d, of_d, opt_D)
        return said(of_g.item(), of_d.item())

    return played(play)


def _with(loss: str, *slips: tuple[Loss, str]) -> Mistakes:
    return tuple((step(**{loss: wrong}), sentence) for wrong, sentence in slips)  # type: ignore[arg-type]


ONE_WAY = "Only one direction is trained. Both count: a to b and back to a, and b to a and back to b."
WRONG_JUDGE = "D_A and D_B are exchanged: D_B knows pictures of kind B, so it judges b and `fake_b`."
NO_ENTROPY = "You take the loss of the logarithms. Here it is least squares, as in the text."
OTHER_WAY = "G translates from A to B, F from B to A: the fakes are G(a) and F(b)."
ANEW = (
    "You make the fakes anew after G's step. Use those that are there, detached: a second pass through G and "
    "F costs time, and the D's judge what G made before it moved."
)

G_LOSSES: Mistakes = _with(
    "g",
    (
        lambda t: t.D_B(t.fake_b).square().mean() + t.D_A(t.fake_a).square().mean() + t.cycle * cycle(t),
        "The target is exchanged: G and F want the D's to say 1 to their fakes. It is the D's who want to "
        "say 0.",
    ),
    (lambda t: real(t.D_A(t.fake_b)) + real(t.D_B(t.fake_a)) + t.cycle * cycle(t), WRONG_JUDGE),
    (
        lambda t: fooled(t) + t.cycle * (l1_loss(t.F(t.fake_b), t.b) + l1_loss(t.G(t.fake_a), t.a)),
        "You compare the way back with the wrong picture: F(fake_b) began as `a` and has to be `a` again, "
        "G(fake_a) has to be `b`.",
    ),
    (
        lambda t: fooled(t) + t.cycle * (l1_loss(t.fake_b, t.a) + l1_loss(t.fake_a, t.b)),
        "You compare the fakes with their inputs, so nothing may change. Go back first: F(fake_b) with `a`, "
        "G(fake_a) with `b`.",
    ),
    (
        lambda t: fooled(t) + t.cycle * (l1_loss(t.fake_b, t.b) + l1_loss(t.fake_a, t.a)),
        "You compare `fake_b` with `b`, as in pix2pix. But a and b are no pairs here: go back, and compare "
        "F(fake_b) with `a`, G(fake_a) with `b`.",
    ),
    (
        lambda t: fooled(t) + t.cycle * (l1_loss(t.G(t.fake_b), t.a) + l1_loss(t.F(t.fake_a), t.b)),
        "G and F are exchanged on the way back: G made `fake_b`, so F has to undo it.",
    ),
    (
        lambda t: fooled(t) + t.cycle * (l1_loss(t.G(t.b), t.b) + l1_loss(t.F(t.a), t.a)),
        "That is the identity loss. For the cycle, translate the fakes back: F(fake_b) and G(fake_a).",
    ),
    (lambda t: loss_g(t._replace(fake_b=t.G(t.b), fake_a=t.F(t.a))), OTHER_WAY),
    (lambda t: loss_g(t._replace(fake_b=t.F(t.a), fake_a=t.G(t.b))), OTHER_WAY),
    (lambda t: real(t.D_B(t.fake_b)) + real(t.D_B(t.fake_a)) + t.cycle * cycle(t), WRONG_JUDGE),
    (
        lambda t: fooled(t) + t.cycle * ((t.F(t.fake_b) - t.a).abs() + (t.G(t.fake_a) - t.b).abs()).sum(),
        "Your cycle loss is a sum over all pixels. Take the means.",
    ),
    (fooled, "The cycle loss is missing."),
    (lambda t: t.cycle * cycle(t), "The D's verdicts are missing: G and F are to fool them, too."),
    (lambda t: fooled(t) + cycle(t), "`cycle` plays no part: it is the weight of the cycle loss."),
    (lambda t: t.cycle * (fooled(t) + cycle(t)), "`cycle` is the weight of the cycle loss only."),
    (lambda t: t.cycle * fooled(t) + cycle(t), "`cycle` is the weight of the other part, the cycle loss."),
    (lambda t: real(t.D_B(t.fake_b)) + t.cycle * l1_loss(t.F(t.fake_b), t.a), ONE_WAY),
    (lambda t: real(t.D_A(t.fake_a)) + t.cycle * l1_loss(t.G(t.fake_a), t.b), ONE_WAY),
    (
        lambda t: fooled(t) + t.cycle * l1_loss(t.F(t.fake_b), t.a),
        "The cycle that begins with `b` is missing: G(fake_a) has to be `b` again.",
    ),
    (
        lambda t: fooled(t) + t.cycle * l1_loss(t.G(t.fake_a), t.b),
        "The cycle that begins with `a` is missing: F(fake_b) has to be `a` again.",
    ),
    (lambda t: real(t.D_B(t.fake_b)) + t.cycle * cycle(t), "What D_A says to `fake_a` is missing."),
    (lambda t: real(t.D_A(t.fake_a)) + t.cycle * cycle(t), "What D_B says to `fake_b` is missing."),
    (
        lambda t: fooled(t) + t.cycle * (mse_loss(t.F(t.fake_b), t.a) + mse_loss(t.G(t.fake_a), t.b)),
        "Your cycle loss has squares. It has absolute values: the mean of |F(fake_b) - a|.",
    ),
    (lambda t: loss_g(t) / 2, "You halve G's loss. Only the D's is halved."),
    (lambda t: fooled(t) / 2 + t.cycle * cycle(t), "You halve the verdicts. Only the D's loss is halved."),
    (lambda t: fooled(t) + t.cycle * cycle(t) / 2, "You halve the cycle loss: both ways are added."),
    (
        lambda t: softplus(-t.D_B(t.fake_b)).mean() + softplus(-t.D_A(t.fake_a)).mean() + t.cycle * cycle(t),
        NO_ENTROPY,
    ),
    (
        lambda t: loss_g(t) + real(t.D_B(t.b)) + real(t.D_A(t.a)),
        "What the D's say to real pictures is none of G's and F's business: leave it out of their loss.",
    ),
)  # fmt: skip
D_LOSSES: Mistakes = (
    *_with(
        "d",
        (lambda t: 2 * loss_d(t), "The half is missing: the D's are to learn more slowly."),
        (lambda t: loss_d(t) / 2, "You halve twice. The losses of D_A and D_B are halved, then added."),
        (
            lambda t: judged(t.D_B(t.fake_b), t.D_B(t.b)) + judged(t.D_A(t.fake_a), t.D_A(t.a)),
            "Real and made are exchanged: the D's are to say 1 to real pictures and 0 to fakes.",
        ),
        (lambda t: judged(t.D_A(t.b), t.D_A(t.fake_b)) + judged(t.D_B(t.a), t.D_B(t.fake_a)), WRONG_JUDGE),
        (
            lambda t: judged(t.D_B(t.b), t.D_B(t.fake_a)) + judged(t.D_A(t.a), t.D_A(t.fake_b)),
            "The fakes are exchanged: D_B judges `fake_b` beside b, D_A judges `fake_a` beside a.",
        ),
        (
            lambda t: judged(t.D_B(t.a), t.D_B(t.fake_b)) + judged(t.D_A(t.b), t.D_A(t.fake_a)),
            "The real pictures are exchanged: D_B judges `fake_b` beside b, D_A judges `fake_a` beside a.",
        ),
        (lambda t: judged(t.D_B(t.b), t.D_B(t.fake_b)), "D_A is missing: it judges a and `fake_a`."),
        (lambda t: judged(t.D_A(t.a), t.D_A(t.fake_a)), "D_B is missing: it judges b and `fake_b`."),
        (
            lambda t: (real(t.D_B(t.b)) + real(t.D_A(t.a))) / 2,
            "The fakes are missing: the D's are to say 0 to `fake_b` and `fake_a`.",
        ),
        (
            lambda t: (t.D_B(t.fake_b).square().mean() + t.D_A(t.fake_a).square().mean()) / 2,
            "The real pictures are missing: the D's are to say 1 to b and a.",
        ),
        (
            lambda t: loss_d(t._replace(fake_b=t.G(t.fake_a).detach(), fake_a=t.F(t.fake_b).detach())),
            "You show the D's what came back after the cycle. They judge the fakes, `fake_b` and `fake_a`.",
        ),
        (
            lambda t: judged(t.D_B(t.b), t.D_B(t.a)) + judged(t.D_A(t.a), t.D_A(t.b)),
            "You show D_B the pictures a as fakes. It judges what G made of them, `fake_b`.",
        ),
        (
            lambda t: (
                softplus(-t.D_B(t.b)).mean() + softplus(t.D_B(t.fake_b)).mean()
                + softplus(-t.D_A(t.a)).mean() + softplus(t.D_A(t.fake_a)).mean()
            ) / 2,
            NO_ENTROPY,
        ),
    ),
    (step(anew=True), ANEW),
)  # fmt: skip
