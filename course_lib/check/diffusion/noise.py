"""Exercise 6.1: a picture with noise, in one step. J. Ho et al., arXiv 2006.11239, eq. 4."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.diffusion.parts import picture_wise, table, times
from course_lib.check.properties import close_to, device_kept, dtype_kept, input_unchanged, returns_tensor
from course_lib.check.vae.told import named, on


def noisy(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    """The reference: x_t (B, C, H, W)."""
    a = picture_wise(alpha_bar[t])
    return a.sqrt() * x0 + (1 - a).sqrt() * eps


def _batch(shape: list[int], generator: torch.Generator, first: int = 1) -> tuple:
    """x0 in [-1, 1], t, alpha_bar, eps; no two pictures have the same t, and none has t = T."""
    T = int(torch.randint(9, 14, (), generator=generator))
    x0 = torch.rand(shape, generator=generator) * 2 - 1
    t = times(shape[0], T - 1, generator, first)
    return x0, t, table(T, generator), torch.randn(shape, generator=generator)


def _cubes(generator: torch.Generator) -> tuple:
    """As many pictures as channels, rows and columns: then a wrong axis gives numbers, no error."""
    return _batch([4, 4, 4, 4], generator)


def _pictures(generator: torch.Generator) -> tuple:
    return _batch([5, 3, 6, 7], generator)


def _clean(generator: torch.Generator) -> tuple:
    """t = 0 throughout."""
    x0, t, alpha_bar, eps = _pictures(generator)
    return x0, torch.zeros_like(t), alpha_bar, eps


def _mixed(weights: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Answer:
    """A wrong answer: other weights of x0 and eps, made from a = alpha_bar[t] (B, 1, 1, 1)."""

    def answer(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
        signal, noise = weights(picture_wise(alpha_bar[t]))
        return signal * x0 + noise * eps

    return answer


def _at(a: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """A wrong answer: something else in the place of alpha_bar[t], made from alpha_bar and t."""

    def answer(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
        share = a(alpha_bar, t)
        share = picture_wise(share) if share.dim() == 1 else share
        return share.sqrt() * x0 + (1 - share).sqrt() * eps

    return answer


def _fresh(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    return noisy(x0, t, alpha_bar, torch.randn_like(x0))


AXIS = (
    "The noise level changes along the {axis} of each picture, and should change from picture to picture. "
    "`alpha_bar[t]` has shape (B,): make it (B, 1, 1, 1), with `.view(-1, 1, 1, 1)`."
)
ONE_T = "All pictures get the noise level of one t. Each has its own: `alpha_bar[t]` is one number for each."
LATER = (
    "You take alpha_bar one time too {when}. The table has T + 1 entries and begins with alpha_bar_0 = 1, so "
    "alpha_bar_t is `alpha_bar[t]`."
)
ROOT = (
    "A root is missing. alpha_bar and 1 - alpha_bar are shares of the variance; x0 and eps are multiplied "
    "with the square roots of both."
)
MISTAKES: Mistakes = (
    (
        _at(lambda ab, t: ab[t] / ab[t - 1]),
        "You take alpha_t, the share that one step leaves. From x_0 to x_t it is the product of all steps so "
        "far, `alpha_bar[t]`.",
    ),
    (
        _at(lambda ab, t: ab.cumprod(0)[t]),
        "You multiply up once more: alpha_bar is the product already. Take `alpha_bar[t]` as it is.",
    ),
    (_mixed(lambda a: (a, 1 - a)), ROOT.replace("A root is", "Both roots are")),
    (_mixed(lambda a: (a, (1 - a).sqrt())), ROOT.replace("A root is", "The root of alpha_bar is")),
    (_mixed(lambda a: (a.sqrt(), 1 - a)), ROOT.replace("A root is", "The root of 1 - alpha_bar is")),
    (
        _mixed(lambda a: (a.sqrt(), (1 - a.sqrt()).sqrt())),
        "You have sqrt(1 - sqrt(alpha_bar)) before eps. It is sqrt(1 - alpha_bar): the two squares of the "
        "weights add up to 1.",
    ),
    (
        _mixed(lambda a: (a.sqrt(), 1 - a.sqrt())),
        "You have 1 - sqrt(alpha_bar) before eps. It is sqrt(1 - alpha_bar): not the weights add up to 1, "
        "their squares do.",
    ),
    (
        _mixed(lambda a: ((1 - a).sqrt(), a.sqrt())),
        "The two weights are exchanged: near t = 0 the picture should be left, and you have the noise left.",
    ),
    (
        _mixed(lambda a: (1 - a, a)),
        "The two weights are exchanged, and both roots are missing: near t = 0 the picture should be left.",
    ),
    (
        _mixed(lambda a: (torch.ones_like(a), ((1 - a) / a).sqrt())),
        "You have divided everything by sqrt(alpha_bar), so x0 keeps its full weight and the pictures "
        "grow. By eq. 4 x0 becomes smaller.",
    ),
    (
        _mixed(lambda a: (a.sqrt(), -((1 - a).sqrt()))),
        "You subtract the noise. x_t is a sum of both.",
    ),
    (
        _mixed(lambda a: (torch.ones_like(a), (1 - a).sqrt())),
        "x0 keeps its full weight, so the pictures would grow with the noise. Multiply it with "
        "`sqrt(alpha_bar[t])`.",
    ),
    (
        _mixed(lambda a: (a.sqrt(), torch.ones_like(a))),
        "eps has its full weight at every t. Multiply it with sqrt(1 - alpha_bar).",
    ),
    (
        _mixed(lambda a: (a.sqrt(), a.sqrt())),
        "Both weights are sqrt(alpha_bar). That of eps is sqrt(1 - alpha_bar).",
    ),
    (
        _mixed(lambda a: (a.sqrt(), torch.zeros_like(a))),
        "The noise is missing: add sqrt(1 - alpha_bar) times eps.",
    ),
    (
        _mixed(lambda a: (torch.zeros_like(a), (1 - a).sqrt())),
        "The picture is missing: add sqrt(alpha_bar) times x0.",
    ),
    (
        _mixed(lambda a: (a.square(), (1 - a).square())),
        "You square the shares. Take their square roots.",
    ),
    (
        _mixed(lambda a: (a.sqrt(), (1 - a.square()).sqrt())),
        "You square alpha_bar under the second root. `alpha_bar` is a share of the variance already, so it "
        "is sqrt(1 - alpha_bar).",
    ),
    (
        _at(lambda ab, t: ab[t].view(1, 1, 1, -1)),
        AXIS.format(axis="columns"),
    ),
    (_at(lambda ab, t: ab[t].view(1, 1, -1, 1)), AXIS.format(axis="rows")),
    (_at(lambda ab, t: ab[t].view(1, -1, 1, 1)), AXIS.format(axis="channels")),
    (_at(lambda ab, t: ab[t[0]].view(1)), ONE_T),
    (_at(lambda ab, t: ab[t[-1]].view(1)), ONE_T),
    (_at(lambda ab, t: ab[t.max()].view(1)), ONE_T),
    (_at(lambda ab, t: ab[t.min()].view(1)), ONE_T),
    (_at(lambda ab, t: ab[t].mean().view(1)), ONE_T),
    (_at(lambda ab, t: ab[t - 1]), LATER.format(when="early")),
    (_at(lambda ab, t: ab[t + 1]), LATER.format(when="late")),
    (
        _at(lambda ab, t: ab[-1].view(1)),
        "All pictures get the noise of T. Each has its own t: `alpha_bar[t]`.",
    ),
    (
        _at(lambda ab, t: ab.flip(0)[t]),
        "You read the table from its end, as if t = 0 were the noise. t = 0 is the clean picture: "
        "`alpha_bar[t]`.",
    ),
)


def _picture_alone(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    return x0


def _noise_alone(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    return eps


ONE_ONLY: Mistakes = (
    (_picture_alone, "You return x0 as it was. Mix it with eps, by the weights for t."),
    (_noise_alone, "You return the noise alone. Mix it with x0, by the weights for t."),
    (
        lambda x0, t, alpha_bar, eps: x0 + eps,
        "You add the noise with its full weight, whatever t is. Each of the two has a weight made from "
        "alpha_bar.",
    ),
)

OWN_NOISE = (
    "You draw noise of your own, so two calls differ. Use the argument `eps`: the loss has to know which "
    "noise is in the picture."
)


def _same_twice(t: Trial) -> str | None:
    first, second = t.answers(t.student, 2)
    return None if same(first, second, 1e-6, 1e-6) else OWN_NOISE


def _left_alone(t: Trial) -> str | None:
    x0, *_ = t.args()
    if same(t.answer(t.student), x0, 1e-6, 1e-6):
        return None
    return (
        "At t = 0 nothing has happened yet: alpha_bar_0 is 1, so x_0 has to come out as it was, without any "
        "noise."
    )


def _always_noisy(x0: Tensor, t: Tensor, alpha_bar: Tensor, eps: Tensor) -> Tensor:
    return noisy(x0, t.clamp(min=1), alpha_bar, eps)


q_sample = Exercise(
    id="6.1",
    title="Any noise level in one step",
    difficulty=2,
    minutes=8,
    hints=(
        "Equation 4 gives the mean and the variance of x_t. How do you make a draw of N(m, v) out of one "
        "of N(0, 1)? And what is the shape of `alpha_bar[t]`, beside that of `x0`?",
        "`alpha_bar[t]` picks one number for each picture, (B,). With `.view(-1, 1, 1, 1)` it becomes "
        "(B, 1, 1, 1), and then multiplies whole pictures.",
        "Call that `a`. The picture's weight is `a.sqrt()`. The noise has the variance `1 - a`, so its "
        "weight is the root of that. Use the `eps` that you are given.",
    ),
    reference=noisy,
    draw=_cubes,
    properties=(
        returns_tensor(),
        Property("the same noise at each call", _same_twice, ((_fresh, OWN_NOISE),)),
        close_to(*MISTAKES, *ONE_ONLY, name="a draw of q(x_t | x_0)"),
        on(_pictures, close_to(name="pictures of any shape")),
        on(_clean, Property("x_0 at t = 0", _left_alone, ((_always_noisy, "At t = 0 nothing"),))),
        named("inputs left unchanged", input_unchanged()),
        dtype_kept(),
        device_kept(),
    ),
)
