"""The simple loss of exercise 6.4 and its typical wrong answers: another x_t, t, target or distance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_lib.check.core import Answer, Mistakes
from course_lib.check.diffusion.noise import MISTAKES as OTHER_NOISE
from course_lib.check.diffusion.noise import noisy
from course_lib.check.diffusion.parts import picture_wise


def squares(guess: Tensor, target: Tensor) -> Tensor:
    return (guess - target).square().mean()


def loss_of(net: nn.Module, x0: Tensor, t: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """The reference: one number."""
    return squares(net(noisy(x0, t, alpha_bar, eps), t), eps)


def distance(how: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """A wrong answer: another distance between the right guess and the right noise."""
    return lambda net, x0, t, eps, ab: how(net(noisy(x0, t, ab, eps), t), eps)


def _shown(shown: Answer) -> Answer:
    """A wrong answer: the net sees this in the place of x_t; made from x0, t, alpha_bar, eps."""
    return lambda net, x0, t, eps, ab: squares(net(shown(x0, t, ab, eps), t), eps)


def _target(target: Answer) -> Answer:
    """A wrong answer: this in the place of eps; made from x0, t, alpha_bar, eps."""
    return lambda net, x0, t, eps, ab: squares(net(noisy(x0, t, ab, eps), t), target(x0, t, ab, eps))


def _told(told: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """A wrong answer: the net is told this in the place of t; made from t and alpha_bar."""
    return lambda net, x0, t, eps, ab: squares(net(noisy(x0, t, ab, eps), told(t, ab)), eps)


OTHER = (
    "The noise in x_t is not the noise you compare with: one of the two is drawn anew. Use the argument "
    "`eps` in both places."
)
ONE = "You return {what}. A loss is one number: take the mean over everything."
SUM = (
    "You sum over {what}, so that the loss, and every step, would grow with the pictures. Take the mean over "
    "everything."
)
VALUES: Mistakes = (
    (
        _target(lambda x0, t, ab, eps: x0),
        "You compare with x0. This network says which noise is in x_t: compare with eps.",
    ),
    (
        _target(lambda x0, t, ab, eps: noisy(x0, t, ab, eps)),
        "You compare with x_t, which the network is shown anyway. Compare with eps.",
    ),
    (
        _target(lambda x0, t, ab, eps: -eps),
        "You add eps to the guess, and then square. Take the difference.",
    ),
    (
        _target(lambda x0, t, ab, eps: torch.zeros_like(eps)),
        "You square the guess itself. Take the difference from eps first.",
    ),
    (
        _target(lambda x0, t, ab, eps: picture_wise((1 - ab[t]).sqrt()) * eps),
        "You compare with eps times sqrt(1 - alpha_bar), as it stands in x_t. Compare with eps itself.",
    ),
    (
        _target(
            lambda x0, t, ab, eps: picture_wise(ab[t].sqrt()) * eps - picture_wise((1 - ab[t]).sqrt()) * x0
        ),
        "You compare with v. That is right for a network with v-prediction; eq. 14 compares with eps.",
    ),
    (_target(lambda x0, t, ab, eps: torch.randn_like(eps)), OTHER),
    (_shown(lambda x0, t, ab, eps: noisy(x0, t, ab, torch.randn_like(x0))), OTHER),
    (
        lambda net, x0, t, eps, ab: loss_of(net, x0, t, torch.randn_like(x0), ab),
        "You draw noise of your own. Use the argument `eps`, in x_t and as what the guess is compared with.",
    ),
    (_told(lambda t, ab: t - 1), "You tell `net` t - 1. Here times are counted as in the paper: tell it t."),
    (_told(lambda t, ab: t + 1), "You tell `net` t + 1. Tell it t."),
    (
        _told(lambda t, ab: torch.zeros_like(t)),
        "You tell `net` that t is 0 everywhere. Tell it the t that x_t was made with.",
    ),
    (_told(lambda t, ab: torch.ones_like(t)), "You tell `net` that t is 1 everywhere. Tell it `t`."),
    (
        _told(lambda t, ab: torch.full_like(t, len(ab) - 1)),
        "You tell `net` that t is T everywhere. Tell it `t`.",
    ),
    (
        _told(lambda t, ab: t[:1].expand_as(t)),
        "You tell `net` one t for all pictures. Each has its own: tell it `t`.",
    ),
    (
        _told(lambda t, ab: len(ab) - 1 - t),
        "You tell `net` T - t. Tell it t: 0 is the clean picture, T the noise.",
    ),
    (distance(lambda x, y: (x - y).square().sum()), SUM.format(what="pictures and pixels")),
    (distance(lambda x, y: (x - y).square().sum() / len(x)), SUM.format(what="the pixels")),
    (distance(lambda x, y: (x - y).square().sum() / x[0].numel()), SUM.format(what="the pictures")),
    (distance(lambda x, y: (x - y).square()), ONE.format(what="one loss for each pixel")),
    (
        distance(lambda x, y: (x - y).square().flatten(1).mean(1)),
        ONE.format(what="one loss for each picture"),
    ),
    (
        distance(lambda x, y: (x - y).square().flatten(1).sum(1)),
        ONE.format(what="one loss for each picture"),
    ),
    (
        distance(lambda x, y: (x - y).abs().mean()),
        "You take absolute values. Eq. 14 has the squares of the differences.",
    ),
    (
        distance(lambda x, y: (x - y).square().mean().sqrt()),
        "The root at the end is too much: eq. 14 is the mean of the squares.",
    ),
    (distance(lambda x, y: (x - y).mean()), "The square is missing, so that errors up and down cancel."),
    (
        distance(lambda x, y: (x - y).mean().square()),
        "You take the mean, then square, so that errors cancel. Square first.",
    ),
    (
        distance(lambda x, y: squares(x, y) / 2),
        "There is a factor 1/2 too many: eq. 14 is the plain mean of the squares.",
    ),
    (distance(lambda x, y: -squares(x, y)), "The sign is turned round: training makes the loss small."),
    (
        distance(lambda x, y: (x - y).square().flatten(1).sum(1).sqrt().mean()),
        "You take a norm with its root. Eq. 14 has its square.",
    ),
    (
        lambda net, x0, t, eps, ab: (
            (net(noisy(x0, t, ab, eps), t) - eps).square().flatten(1).mean(1) * ab[t] / (1 - ab[t])
        ).mean(),
        "You weight the pictures by their SNR. The simple loss is simple because it has no weights.",
    ),
    (
        lambda net, x0, t, eps, ab: squares(
            (noisy(x0, t, ab, eps) - picture_wise((1 - ab[t]).sqrt()) * net(noisy(x0, t, ab, eps), t))
            / picture_wise(ab[t].sqrt()),
            x0,
        ),
        "You compare guesses of x_0. Eq. 14 compares the noise: what `net` says, with eps.",
    ),
)

SEEN: Mistakes = (  # what may stand in the place of x_t; made from x0, t, alpha_bar, eps
    (
        lambda x0, t, ab, eps: x0,
        "`net` sees the clean x0, in which there is no noise to be found. Make x_t first, and show it that.",
    ),
    (
        lambda x0, t, ab, eps: eps,
        "`net` sees the noise alone, and has only to repeat it. Show it x_t.",
    ),
    (
        lambda x0, t, ab, eps: x0 + eps,
        "`net` sees x0 + eps. Mix them by eq. 4, with the weights that belong to t.",
    ),
    *((wrong, f"Your x_t is not that of eq. 4. {sentence}") for wrong, sentence in OTHER_NOISE),
)
SHOWN: Mistakes = tuple((_shown(seen), sentence) for seen, sentence in SEEN)
