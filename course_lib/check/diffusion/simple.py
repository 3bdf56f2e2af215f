"""Exercise 6.4: the simple loss. J. Ho et al., arXiv 2006.11239, eq. 14."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from course_lib.check import explain
from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Property, Trial
from course_lib.check.diffusion.noise import noisy
from course_lib.check.diffusion.parts import table, times
from course_lib.check.diffusion.simple_slips import SEEN, SHOWN, VALUES, distance, loss_of, squares
from course_lib.check.properties import backward_left_to_caller, close_to, input_unchanged, returns_tensor
from course_lib.check.vae.told import on

CALL = "Call it as `net(x_t, t)`."


class Net(nn.Module):
    """(x_t, t) -> a guess of the noise, of x_t's shape. It complains about anything but these two."""

    def __init__(self, shape: tuple[int, ...], T: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shape, self.T = shape, T
        self.seen: Tensor | None = None  # the last x that it was shown
        width = shape[-1]
        self.mix = nn.Parameter(0.5 * torch.randn(width, width, generator=generator))
        self.time = nn.Parameter(0.5 * torch.randn(T + 1, width, generator=generator))

    def forward(self, *told: Tensor) -> Tensor:
        """Raises Complaint for what is no batch of pictures, or no times."""
        if len(told) == 1:
            raise explain.Complaint(
                f"`net` is not told t. How much noise is in a picture decides what there is to do. {CALL}"
            )
        if len(told) != 2 or not all(isinstance(x, Tensor) for x in told):
            raise explain.Complaint(f"`net` takes two tensors, the noisy pictures and their times. {CALL}")
        x, t = told
        if x.shape != self.shape:
            raise explain.Complaint(self._no_pictures(x, t))
        if t.is_floating_point():
            raise explain.Complaint(
                "You tell `net` something else than t: it wants the whole numbers 1 .. T as they are, "
                f"neither divided by T nor alpha_bar[t]. {CALL}"
            )
        if t.shape != self.shape[:1]:
            raise explain.Complaint(
                f"You tell `net` times of shape {tuple(t.shape)}. It wants one for each picture, (B,): `t` "
                "as it is given."
            )
        if t.min() < 0 or t.max() > self.T:
            raise explain.Complaint(f"You tell `net` a time outside of 1 .. T. {CALL}")
        self.seen = x.detach().clone()
        return (x @ self.mix + self.time[t.long()][:, None, None]).tanh() + 0.5 * x

    def _no_pictures(self, x: Tensor, t: Tensor) -> str:
        if x.shape == self.shape[:1] and t.shape == self.shape:
            return f"The arguments of `net` are exchanged: first the pictures, then t. {CALL}"
        return f"You show `net` something of shape {tuple(x.shape)}; x_t has x0's, {self.shape}. {CALL}"


def _scene(shape: list[int], generator: torch.Generator) -> tuple:
    """net, x0, t, eps, alpha_bar."""
    T = int(torch.randint(9, 14, (), generator=generator))
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    eps = torch.randn(shape, generator=generator)
    t = times(shape[0], T - 2, generator) + 1  # 2 .. T - 1
    return Net(tuple(shape), T, generator), x0, t, eps, table(T, generator)


def _cubes(generator: torch.Generator) -> tuple:
    return _scene([4, 4, 4, 4], generator)


def _pictures(generator: torch.Generator) -> tuple:
    return _scene([5, 3, 6, 7], generator)


NO_GRAPH = (
    "The value is right, but it has no graph, so `net` could not learn from it. Leave `no_grad`, `.detach()` "
    "and `.data` out."
)


def _sees(t: Trial) -> str | None:
    """The sentence on a typical wrong x_t; others are left to the value of the loss."""
    net, *given = t.args()
    t.answer(t.student, net, *given)
    _, x0, time, eps, alpha_bar = t.args()  # anew: the answer may have changed its own in place
    if net.seen is None:
        return f"You never ask `net`. {CALL}"
    if same(net.seen, noisy(x0, time, alpha_bar, eps), 1e-4, 1e-5):
        return None
    wrong = (
        sentence for seen, sentence in SEEN if same(net.seen, seen(x0, time, alpha_bar, eps), 1e-4, 1e-5)
    )
    return next(wrong, None)


def _slope(t: Trial, who: Answer) -> Tensor:
    """The gradient of the loss for all weights of the net, in one vector."""
    net, *others = t.args()
    loss = t.answer(who, net, *others)
    if loss.requires_grad:
        loss.backward()
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in net.parameters()]
    )


def _learns(t: Trial) -> str | None:
    yours = _slope(t, t.student)
    if same(yours, _slope(t, t.reference), 1e-3, 1e-6):
        return None
    if not yours.any():
        return NO_GRAPH
    return "The value is right, but its gradient for the weights of `net` is not: is a part of it cut off?"


def _calls_backward(net: Net, x0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    loss = loss_of(net, x0, t, eps, alpha_bar)
    loss.backward()
    return loss


simple_loss = Exercise(
    id="6.4",
    title="The simple loss",
    difficulty=2,
    minutes=8,
    hints=(
        "The loss plays one round of a game: noise is put into the picture, and the network is asked which. "
        "What is it shown, what is it told beside that, and what is its answer compared with?",
        "x_t is made as in exercise 6.1: you may call your `q_sample`, or the library's `add_noise(x0, eps, "
        "alpha_bar[t])`. `net(x_t, t)` is the guess.",
        "The difference of the guess from the `eps` that you put in, squared, and the mean over everything: "
        "pictures, channels and pixels.",
    ),
    reference=loss_of,
    draw=_cubes,
    properties=(
        backward_left_to_caller(_calls_backward),
        returns_tensor(),
        Property("what `net` sees", _sees, SHOWN),
        close_to(*VALUES, name="the simple loss", rtol=1e-5, atol=1e-6),
        on(_pictures, replace(close_to(*VALUES, name="pictures of any shape"), mistakes=())),
        Property("`net` learns", _learns, ((distance(lambda x, y: squares(x, y).detach()), NO_GRAPH),)),
        input_unchanged(),
    ),
)
