"""Exercise 5.1: the loss of a discriminator of pairs: arXiv 1611.07004, eq. 1 with the squares of LSGAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import backward_left_to_caller, close_to, input_unchanged, returns_tensor
from course_lib.check.translation.judge import Judge
from course_lib.check.translation.pair_slips import LOSSES, PAIRS, d_loss, pair, squares, with_loss
from course_lib.check.vae.told import on


def _scene(c_a: int, c_b: int, generator: torch.Generator) -> tuple[Judge, Tensor, Tensor, Tensor]:
    """D, a (B, c_a, 6, 8), b and fake (B, c_b, 6, 8). `fake` has a maker that could learn."""
    rows = int(torch.randint(3, 6, (), generator=generator))
    a, b, noise = (torch.randn(rows, c, 6, 8, generator=generator) for c in (c_a, c_b, c_b))
    fake = torch.ones((), requires_grad=True) * noise
    fake.retain_grad()
    return Judge(a, b, fake, generator), a, b, fake


def _photos(generator: torch.Generator) -> tuple[Judge, Tensor, Tensor, Tensor]:
    return _scene(2, 2, generator)  # as many channels each: then most wrong pairs fit, too


def _drawings(generator: torch.Generator) -> tuple[Judge, Tensor, Tensor, Tensor]:
    return _scene(1, 3, generator)  # lines and colours


DETACH = (
    "Backpropagation walks from this loss through `fake` into the network that made it: D's step would leave "
    "gradients in G. Cut it: `fake.detach()`."
)
FOR_GOOD = (
    "You detach `fake` in place, so afterwards G cannot learn from it either. Write `fake.detach()`, without "
    "the underscore: it gives a cut copy."
)
NO_GRAPH = (
    "The value is right, but it has no graph, so D could not learn from it. Detach `fake`, not D's verdict, "
    "and leave `no_grad` and `.item()` out."
)
ONLY_REAL = (
    "D learns from the real pairs only: its verdict on the made ones is cut off. Detach `fake`, not `D(...)`."
)
ONLY_MADE = "D learns from the made pairs only: its verdict on the real ones is cut off. Don't detach it."


def _attached(D: nn.Module, a: Tensor, b: Tensor, fake: Tensor) -> Tensor:
    return squares(D(pair(a, b)), D(pair(a, fake)))


def _calls_backward(D: nn.Module, a: Tensor, b: Tensor, fake: Tensor) -> Tensor:
    loss = d_loss(D, a, b, fake)
    loss.backward()
    return loss


def _maker_untouched(t: Trial) -> str | None:
    D, a, b, fake = t.args()
    loss = t.answer(t.student, D, a, b, fake)
    if not fake.requires_grad:
        return FOR_GOOD
    if not loss.requires_grad:
        return NO_GRAPH
    loss.backward()
    return DETACH if fake.grad is not None and fake.grad.any() else None


def _slope(t: Trial, who: Answer) -> list[Tensor]:
    """The gradient of the loss for D's weights, 0 where there is none."""
    D, *others = t.args()
    t.answer(who, D, *others).backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in D.parameters()]


LEARNS: Mistakes = (
    (with_loss(lambda r, f: squares(r, f.detach())), ONLY_REAL),
    (with_loss(lambda r, f: squares(r.detach(), f)), ONLY_MADE),
)


def _d_learns(t: Trial) -> str | None:
    yours = _slope(t, t.student)
    if same(yours, _slope(t, t.reference), 1e-3, 1e-6):
        return None
    for wrong, sentence in LEARNS:
        if same(yours, _slope(t, wrong), 1e-3, 1e-6):
            return sentence
    return "The value is right, but its gradient for D's weights is not: is a part of it cut off?"


judge_pairs = Exercise(
    id="5.1",
    title="The detective sees both",
    difficulty=2,
    minutes=10,
    hints=(
        "D gets one tensor. What does `torch.cat` need so that a picture of 3 channels and one of 3 channels "
        "become one of 6? And who made `fake`, and should not learn from this loss?",
        "`torch.cat([a, b], 1)` puts b's channels behind a's. The made pair has the same `a`, and "
        "`fake.detach()` in b's place. D gives a map of verdicts for each: square what is missing to 1, or "
        "to 0, and take the mean over everything.",
        "`on_real = D(torch.cat([a, b], 1))`, `on_fake = D(torch.cat([a, fake.detach()], 1))`, and then "
        "`((on_real - 1).square().mean() + on_fake.square().mean()) / 2`.",
    ),
    reference=d_loss,
    draw=_photos,
    properties=(
        returns_tensor(),
        backward_left_to_caller(_calls_backward),
        close_to(*PAIRS, *LOSSES, name="the loss on both pairs"),
        Property(
            "G untouched",
            _maker_untouched,
            ((_attached, DETACH), (with_loss(lambda r, f: squares(r, f).detach()), NO_GRAPH)),
        ),
        Property("D learns from both", _d_learns, LEARNS),
        on(_drawings, close_to(name="lines and colours")),
        input_unchanged(),
    ),
)
