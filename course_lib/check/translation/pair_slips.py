"""The loss of exercise 5.1 and its typical wrong answers: other pairs, or other losses on the right ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from course_lib.check.core import Answer, Mistakes

Loss = Callable[[Tensor, Tensor], Tensor]  # of D's verdicts on the real and on the made pairs
Pairs = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # of a, b, fake


def pair(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], 1)


def squares(real: Tensor, made: Tensor) -> Tensor:
    return ((real - 1).square().mean() + made.square().mean()) / 2


def with_loss(loss: Loss) -> Answer:
    """An answer from the verdicts on the right pairs."""
    return lambda D, a, b, fake: loss(D(pair(a, b)), D(pair(a, fake.detach())))


def with_pairs(pairs: Pairs) -> Answer:
    """The right loss, on other pairs."""

    def d_loss(D: nn.Module, a: Tensor, b: Tensor, fake: Tensor) -> Tensor:
        real, made = pairs(a, b, fake.detach())
        return squares(D(real), D(made))

    return d_loss


d_loss = with_loss(squares)


MEAN = "You sum over the patches and pictures, so the steps would grow with them. Take the means."
ENTROPY = "That is the loss of the logarithms. Here it is least squares: (D(real) - 1)^2 and D(made)^2."
ORDER = "the input first, then the output, as in `torch.cat([a, b], 1)`. D's channels have their places."

LOSSES: Mistakes = tuple(
    (with_loss(loss), sentence)
    for loss, sentence in (
        (
            lambda r, f: 2 * squares(r, f),
            "The half is missing: D's loss is halved, so that D learns more slowly than G.",
        ),
        (
            lambda r, f: squares(f, r),
            "Real and made are exchanged: your D would learn to call the made pairs real.",
        ),
        (lambda r, f: ((r - 1).square().sum() + f.square().sum()) / 2, MEAN),
        (lambda r, f: (r - 1).square().sum() + f.square().sum(), MEAN),
        (lambda r, f: (r - 1).square().sum() / (2 * len(r)) + f.square().sum() / (2 * len(f)), MEAN),
        (
            lambda r, f: ((r - 1).square() + f.square()) / 2,
            "You return one loss for each patch. Take their mean: a loss is one number.",
        ),
        (
            lambda r, f: ((r - 1).square() + f.square()).flatten(1).mean(1) / 2,
            "You return one loss for each pair. Take the mean over the batch, too: a loss is one number.",
        ),
        (
            lambda r, f: squares(r.flatten(1).mean(1), f.flatten(1).mean(1)),
            "You average the verdicts of a picture, then square. Each patch is judged by itself: square "
            "first, then take the mean.",
        ),
        (
            lambda r, f: squares(r.mean(), f.mean()),
            "You average the verdicts, then square. Each patch is judged by itself: square first, then take "
            "the mean.",
        ),
        (
            lambda r, f: ((r - 1).square().mean() + (f - 1).square().mean()) / 2,
            "Your D is to say 1 to the made pairs, too: that is what G wants. For them D's target is 0.",
        ),
        (
            lambda r, f: (r.square().mean() + f.square().mean()) / 2,
            "Your D is to say 0 to the real pairs, too. For them its target is 1.",
        ),
        (lambda r, f: (r - 1).square().mean() / 2, "The made pairs are missing: add the mean of D^2 there."),
        (lambda r, f: (r - 1).square().mean(), "The made pairs are missing: add the mean of D^2 there."),
        (lambda r, f: f.square().mean() / 2, "The real pairs are missing: add the mean of (D - 1)^2 there."),
        (lambda r, f: f.square().mean(), "The real pairs are missing: add the mean of (D - 1)^2 there."),
        (
            lambda r, f: (r - 1).square().mean() / 2 + f.square().mean(),
            "You halve the loss on the real pairs only. Halve the sum.",
        ),
        (
            lambda r, f: (r - 1).square().mean() + f.square().mean() / 2,
            "You halve the loss on the made pairs only. Halve the sum.",
        ),
        (
            lambda r, f: ((r - 1).square().mean() - f.square().mean()) / 2,
            "You subtract the loss on the made pairs. D wants both to be small: add them.",
        ),
        (
            lambda r, f: ((r - 1).square().mean() + (f + 1).square().mean()) / 2,
            "Your target for the made pairs is -1. It is 0.",
        ),
        (
            lambda r, f: ((r - 1).abs().mean() + f.abs().mean()) / 2,
            "You take absolute values. Least squares means the squares of the differences.",
        ),
        (
            lambda r, f: squares(r.sigmoid(), f.sigmoid()),
            "Leave the sigmoid out: D's verdict is compared as it is.",
        ),
        (lambda r, f: (softplus(-r).mean() + softplus(f).mean()) / 2, ENTROPY),
        (lambda r, f: softplus(-r).mean() + softplus(f).mean(), ENTROPY),
        (
            lambda r, f: f.mean() - r.mean(),
            "That is the loss of a Wasserstein GAN. Here it is made of squares.",
        ),
    )
)
PAIRS: Mistakes = tuple(
    (with_pairs(pairs), sentence)
    for pairs, sentence in (
        (lambda a, b, f: (pair(b, a), pair(f, a)), f"Both pairs are the wrong way round: {ORDER}"),
        (
            lambda a, b, f: (pair(b, a), pair(a, f)),
            f"Your real pair is the wrong way round, so that alone would give it away: {ORDER}",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(f, a)),
            f"Your made pair is the wrong way round, so that alone would give it away: {ORDER}",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(b, f)),
            "Your made pair is (b, fake), but `fake` was made from `a`: that is the input it is to be seen "
            "beside.",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(a, a)),
            "Your made pair is (a, a). What G made of `a` is `fake`: show (a, fake).",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(f, f)),
            "Your made pair is `fake` twice. D must see the input, too: show (a, fake).",
        ),
        (
            lambda a, b, f: (pair(b, b), pair(f, f)),
            "You show D each output twice and never the input: show (a, b) and (a, fake).",
        ),
        (
            lambda a, b, f: (pair(b, b), pair(a, f)),
            "Your real pair is `b` twice. D must see the input, too: show (a, b).",
        ),
        (
            lambda a, b, f: (pair(a, a), pair(a, f)),
            "Your real pair is (a, a). The picture that belongs to `a` is `b`.",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(a, b)),
            "You show D the real pair twice. The second time it must see `fake` beside `a`.",
        ),
        (
            lambda a, b, f: (pair(a, f), pair(a, f)),
            "You show D the made pair twice. The first time it must see `b` beside `a`.",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(f, b)),
            "Your made pair is (fake, b), as if the input were made. It is the output: show (a, fake).",
        ),
        (
            lambda a, b, f: (pair(a, b), pair(b, a)),
            "Your made pair is the real one turned round, (b, a). Show what G made: (a, fake).",
        ),
        *(
            (
                lambda a, b, f, move=move: (pair(move(a), b), pair(a, f)),
                "The pictures of your real pair do not belong together: `a[i]` goes with `b[i]`.",
            )
            for move in (
                lambda x: x.roll(1, 0),
                lambda x: x.roll(-1, 0),
                lambda x: x.flip(0),
            )
        ),
    )
)
