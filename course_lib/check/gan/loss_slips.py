"""The losses of exercise 3.1, right and with one mistake each, and what there is to say about it.

Exercises 3.2 and 3.3 look for the same mistakes inside a step.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import softplus

from course_lib.check.core import Mistakes

DLoss = Callable[[Tensor, Tensor], Tensor]
GLoss = Callable[[Tensor], Tensor]


def right_d(on_real: Tensor, on_fake: Tensor) -> Tensor:
    """-E log D(x) - E log(1 - D(G(z))), the reference."""
    return softplus(-on_real).mean() + softplus(on_fake).mean()


def right_g(on_fake: Tensor) -> Tensor:
    """-E log D(G(z)), the reference."""
    return softplus(-on_fake).mean()


MEAN = "You sum over the batch, so the steps would grow with it. Take the mean."
ONE_EACH = "You return one loss for each sample. Take the mean: a loss is one number."
TWICE = (
    "The sigmoid is applied twice: `softplus`, `logsigmoid` and `..._with_logits` take the logit as it is."
)
NO_LOG = "The logarithm is missing: you compare probabilities. The loss is made of their logarithms."
EARLY_MEAN = (
    "You average the probabilities, then take the logarithm. Take the logarithm of each, then the mean."
)
NOT_A_LOGIT = (
    "You take the logarithm of the logits themselves, and some are negative. D gives any number: its "
    "probability is `sigmoid` of that."
)
CRITIC = "You use the logits themselves: that is the loss of a Wasserstein GAN. Here it is made of log D."
BASE_2 = "Your logarithm has base 2. Take the natural one: the loss is in nats."
SQUARES = "That is a squared error, as in least-squares GANs. Here it is made of log D."

D_LOSSES: tuple[tuple[DLoss, str], ...] = (  # one number each, finite
    (
        lambda r, f: right_d(r, f) / 2,
        "You have half of the loss: the two means are added, not averaged. Where D says 1/2 to everything, "
        "it is 2 log 2.",
    ),
    (lambda r, f: softplus(-r).sum() + softplus(f).sum(), MEAN),
    (
        lambda r, f: -right_d(r, f),
        "You return V, which D wants to be large. An optimizer makes its loss small: return -V.",
    ),
    (
        lambda r, f: softplus(r).mean() + softplus(-f).mean(),
        "Real and made are exchanged: your D would learn to call the made samples real.",
    ),
    (
        lambda r, f: softplus(-f).mean() + softplus(-r).mean(),
        "Your D is to call the made samples real, too. For them the loss is -log(1 - D), which is "
        "`softplus(on_fake)`.",
    ),
    (
        lambda r, f: softplus(r).mean() + softplus(f).mean(),
        "Your D is to call the real samples made, too. For them the loss is -log D, `softplus(-on_real)`.",
    ),
    (lambda r, f: softplus(-r).mean(), "The made samples are missing: add the mean of -log(1 - D(G(z)))."),
    (lambda r, f: softplus(f).mean(), "The real samples are missing: add the mean of -log D(x)."),
    (
        lambda r, f: softplus(-r).mean() - softplus(f).mean(),
        "You subtract the loss on the made samples. D wants both to be small: add them.",
    ),
    (
        lambda r, f: softplus(f).mean() - softplus(-r).mean(),
        "You subtract the loss on the real samples. D wants both to be small: add them.",
    ),
    (lambda r, f: right_d(r.sigmoid(), f.sigmoid()), TWICE),
    (lambda r, f: right_d(r.sigmoid(), f.sigmoid()) / 2, TWICE),
    (lambda r, f: f.sigmoid().mean() - r.sigmoid().mean(), NO_LOG),
    (lambda r, f: f.sigmoid().mean() + 1 - r.sigmoid().mean(), NO_LOG),
    (lambda r, f: -r.sigmoid().mean().log() - (-f).sigmoid().mean().log(), EARLY_MEAN),
    (lambda r, f: right_d(r, f) / log(2), BASE_2),
    (lambda r, f: f.mean() - r.mean(), CRITIC),
    (lambda r, f: (r - 1).square().mean() + f.square().mean(), SQUARES),
    (lambda r, f: (r.sigmoid() - 1).square().mean() + f.sigmoid().square().mean(), SQUARES),
)
G_LOSSES: tuple[tuple[GLoss, str], ...] = (
    (
        lambda f: -softplus(f).mean(),
        "That is log(1 - D(G(z))), the min-max game, which has next to no slope while D is sure of itself. "
        "Non-saturating means -log D(G(z)).",
    ),
    (
        lambda f: softplus(f).mean(),
        "That is D's loss on the made samples: G would learn to be found out. G wants them to be called "
        "real: -log D(G(z)).",
    ),
    (
        lambda f: -softplus(-f).mean(),
        "The sign is wrong: you return log D(G(z)), and to make it small is to be found out. Return its "
        "negative.",
    ),
    (lambda f: softplus(-f).sum(), MEAN),
    (lambda f: softplus(-f).mean() / 2, "You have half of the loss: leave the 1/2 out."),
    (lambda f: right_g(f.sigmoid()), TWICE),
    (lambda f: -f.sigmoid().mean(), NO_LOG),
    (lambda f: (1 - f.sigmoid()).mean(), NO_LOG),
    (lambda f: -f.sigmoid().mean().log(), EARLY_MEAN),
    (lambda f: right_g(f) / log(2), BASE_2),
    (lambda f: -f.mean(), CRITIC),
    (lambda f: (f - 1).square().mean(), SQUARES),
)


def _d(*slips: tuple[DLoss, str]) -> Mistakes:
    """D's wrong losses as answers: beside each a right one of G."""
    return tuple(((wrong, right_g), sentence) for wrong, sentence in slips)


def _g(*slips: tuple[GLoss, str]) -> Mistakes:
    """G's wrong losses as answers: beside each a right one of D."""
    return tuple(((right_d, wrong), sentence) for wrong, sentence in slips)


D_VALUES: Mistakes = _d(*D_LOSSES)
G_VALUES: Mistakes = _g(*G_LOSSES)
D_SHAPES: Mistakes = _d(
    (lambda r, f: softplus(-r) + softplus(f), ONE_EACH),
    (lambda r, f: -r.log().mean() - (1 - f).log().mean(), NOT_A_LOGIT),
)
G_SHAPES: Mistakes = _g((lambda f: softplus(-f), ONE_EACH), (lambda f: -f.log().mean(), NOT_A_LOGIT))

# What goes wrong only where D is very sure. p: the probability

INFINITE = (
    "Where D is sure of itself, your loss is infinite or not a number: `sigmoid` rounds to exactly 0 or 1, "
    "and log 0 is minus infinity. Begin with the logit: log sigmoid(a) = -softplus(-a)."
)
CLAMPED = (
    "Where D is very sure and wrong, your loss stops growing, and so its gradient is 0: something keeps the "
    "logarithm from minus infinity. Begin with the logit instead: log sigmoid(a) = -softplus(-a)."
)


def _small(p: Tensor) -> Tensor:
    return (p + 1e-8).log()


def _cut(p: Tensor) -> Tensor:
    return p.clamp(1e-7, 1 - 1e-7).log()


def _with_log(of: Callable[[Tensor], Tensor]) -> tuple[DLoss, GLoss]:
    """Both losses from probabilities, with this in place of the logarithm."""
    return (
        lambda r, f: -of(r.sigmoid()).mean() - of(1 - f.sigmoid()).mean(),
        lambda f: -of(f.sigmoid()).mean(),
    )


def _entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, target))


_LOGS = ((torch.log, INFINITE), (_small, CLAMPED), (_cut, CLAMPED))
D_SURE: Mistakes = _d(
    *((_with_log(of)[0], sentence) for of, sentence in _LOGS),
    (lambda r, f: _entropy(r, 1) + _entropy(f, 0), CLAMPED),
)
G_SURE: Mistakes = _g(
    *((_with_log(of)[1], sentence) for of, sentence in _LOGS),
    (lambda f: _entropy(f, 1), CLAMPED),
)
