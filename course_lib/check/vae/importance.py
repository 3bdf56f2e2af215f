"""Exercise 2.6: a tighter bound of log p(x) from several draws."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import (
    close_to,
    device_kept,
    dtype_kept,
    input_unchanged,
    returns_tensor,
)
from course_lib.check.vae.told import told


def _importance_bound(log_p: Tensor, log_q: Tensor) -> Tensor:
    return torch.logsumexp(log_p - log_q, dim=0) - log(len(log_p))


def _logs(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """log_p, log_q (k, B), as they come from (B, k); k and B are different, and never 1.

    Small enough that exp() still works, so that every mistake has its own values.
    """
    k, rows = (torch.randperm(5, generator=generator)[:2] + 3).tolist()
    log_p = -10 + 2 * torch.randn(rows, k, generator=generator)
    log_q = -9 + 1.5 * torch.randn(rows, k, generator=generator)
    return log_p.T, log_q.T


def _from(bound: Callable[[Tensor], Tensor]) -> Answer:
    """A wrong answer from the logarithms of the weights, log_p - log_q."""
    return lambda log_p, log_q: bound(log_p - log_q)


def _naive(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Right, as long as the numbers are small."""
    return (log_p - log_q).exp().mean(0).log()


MEAN_OF_LOGS = (
    "You take the mean of the logarithms. That is the ELBO again, however many draws there are: the "
    "logarithm comes after the mean."
)

MISTAKES: Mistakes = (
    (_from(lambda w: w.mean(0)), MEAN_OF_LOGS),
    (
        _from(lambda w: w.logsumexp(0)),
        "The 1/k is missing: subtract log k, or the bound grows with the number of draws and is none.",
    ),
    (
        _from(lambda w: w.logsumexp(0) + log(len(w))),
        "You add log k. The logarithm of 1/k is -log k: subtract it.",
    ),
    (
        _from(lambda w: w.logsumexp(0) / len(w)),
        "You divide the logarithm by k. The 1/k stands inside of it, so outside it becomes -log k.",
    ),
    (
        _from(lambda w: w.logsumexp(0) - len(w)),
        "You subtract k. The logarithm of 1/k is -log k: subtract that.",
    ),
    (
        _from(lambda w: w.logsumexp(0) - log(w.shape[1])),
        "You subtract log B. The mean goes over the k draws, dimension 0: subtract log k.",
    ),
    (
        _from(lambda w: w.logsumexp(1) - log(w.shape[1])),
        "Your mean goes over the pictures, dimension 1. Take it over the draws, dimension 0.",
    ),
    (
        _from(lambda w: w.logsumexp(1) - log(len(w))),
        "Your sum goes over the pictures, dimension 1. Take it over the draws, dimension 0.",
    ),
    (
        _from(lambda w: w.logsumexp(1)),
        "Your sum goes over the pictures, dimension 1. Take it over the draws, dimension 0, and subtract log "
        "k.",
    ),
    (
        _from(lambda w: w.mean(1)),
        "You take the mean over the pictures, and of the logarithms. Take the logarithm of the mean of the "
        "weights over the draws, dimension 0.",
    ),
    (
        lambda log_p, log_q: _importance_bound(log_p, -log_q),
        "You add log_q. Each weight is p / q, so its logarithm is log_p - log_q.",
    ),
    (
        lambda log_p, log_q: _importance_bound(log_q, log_p),
        "You have the weights upside down: each is p / q, so its logarithm is log_p - log_q.",
    ),
    (
        lambda log_p, log_q: _importance_bound(log_p, torch.zeros_like(log_q)),
        "log_q plays no part. The draws come from q, not from the prior, so each is divided by q: subtract "
        "log_q.",
    ),
    (
        lambda log_p, log_q: log_p.logsumexp(0) - log_q.logsumexp(0),
        "You divide a sum by a sum. Divide each draw's p by its own q, then take the mean.",
    ),
    (
        _from(lambda w: w.amax(0)),
        "You take the best draw of each picture. Take the mean of the weights, then its logarithm.",
    ),
    (
        _from(lambda w: w.amax(0) - log(len(w))),
        "You take the best draw alone. Take the sum of all weights: `torch.logsumexp`.",
    ),
    (
        _from(lambda w: w.logsumexp(0).mean() - log(len(w))),
        "You take the mean over the batch at the end. Leave it out: one bound for each picture, (B,).",
    ),
    (
        _from(lambda w: w.flatten().logsumexp(0) - log(w.numel())),
        "Your mean goes over draws and pictures. Take it over the draws, dimension 0: one bound for each "
        "picture.",
    ),
    (
        _from(lambda w: w.mean()),
        "You take the mean of the logarithms over everything. One bound for each picture is wanted: the "
        "logarithm of the mean of the weights over dimension 0.",
    ),
    (
        _from(lambda w: (w.softmax(0) * w).sum(0)),
        "You take a weighted mean of the logarithms, with softmax. It lies above the bound: take the "
        "logarithm of the plain mean of the weights.",
    ),
    (
        _from(lambda w: log(len(w)) - w.logsumexp(0)),
        "The sign is turned around: that is the loss. The bound itself is asked for.",
    ),
    (
        _from(lambda w: w.exp().mean(0)),
        "The logarithm at the end is missing: you return the mean of the weights, an estimate of p(x).",
    ),
    (
        _from(lambda w: w.exp().sum(0)),
        "You return the sum of the weights. Take the logarithm of their mean.",
    ),
    (
        _from(lambda w: w.log_softmax(0)),
        "You return the logarithm of a softmax, one number for each draw. Its denominator is what you need: "
        "`torch.logsumexp`.",
    ),
    (
        _from(lambda w: w - log(len(w))),
        "You return one number for each draw: the sum of the weights over dimension 0 is missing.",
    ),
    (
        lambda log_p, log_q: log_p - log_q,
        "You return the logarithm of each weight. Take the logarithm of their mean over dimension 0.",
    ),
    (
        _from(lambda w: w.logsumexp(0, keepdim=True) - log(len(w))),
        "You keep a dimension of length 1. The result has shape (B,): leave `keepdim` out.",
    ),
)


def _equal_draws(t: Trial) -> str | None:
    log_p, log_q = (x[:1] for x in t.args())
    for k in (1, 2, 7):
        yours = t.answer(t.student, log_p.repeat(k, 1), log_q.repeat(k, 1))
        right = (log_p - log_q)[0]
        if not same(yours, right, 1e-4, 1e-4):
            draws = "one draw" if k == 1 else f"{k} equal draws"
            return f"With {draws} the bound is log_p - log_q, and yours is not. {difference(yours, right)}"
    return None


UNDERFLOW = (
    "exp(-2000) is 0 for a computer, so its logarithm is -inf. `torch.logsumexp` takes the largest number "
    "out before it lets exp loose."
)
OVERFLOW = (
    "exp(2000) is infinite for a computer, and a log-density may well be 2000. `torch.logsumexp` takes the "
    "largest number out before it lets exp loose."
)
OWN_MAXIMUM = (
    "The largest number that you take out is that of the whole batch. Take out that of each picture, over "
    "dimension 0, or use `torch.logsumexp`: beside a picture with -1500 nats, one with -2500 vanishes."
)


def _safe(t: Trial) -> str | None:
    log_p, log_q = t.args()
    levels = torch.linspace(-500, 500, log_p.shape[1])  # of the pictures
    for level, sentence in ((-2000.0, UNDERFLOW), (2000.0, OVERFLOW)):
        alike, apart = log_p + level, log_p + level + levels
        for pictures, reason in ((alike, sentence), (apart, OWN_MAXIMUM)):
            yours = t.answer(t.student, pictures.clone(), log_q.clone())
            right = _importance_bound(pictures.double(), log_q.double())
            if not same(yours, right, 1e-6, 1e-3):
                return f"With log_p around {level:g}: {_what_came_out(yours, right)} {reason}"
    return None


def _what_came_out(yours: Tensor, right: Tensor) -> str:
    at = int((~yours.isfinite()).int().argmax()) if not yours.isfinite().all() else 0
    return f"you get {yours[at].item():.5g}, it should be {right[at].item():.5g}."


def _batch_maximum(log_p: Tensor, log_q: Tensor) -> Tensor:
    w = log_p - log_q
    return (w - w.max()).exp().mean(0).log() + w.max()


SAFE: Mistakes = (
    (_naive, UNDERFLOW),
    (lambda log_p, log_q: (log_p.exp() / log_q.exp()).mean(0).log(), UNDERFLOW),
    (lambda log_p, log_q: ((log_p - log_q).exp().mean(0) + 1e-30).log(), UNDERFLOW),
    (
        lambda log_p, log_q: _importance_bound(log_p, log_q) if log_p.max() < 0 else _naive(log_p, log_q),
        OVERFLOW,
    ),
    (_batch_maximum, OWN_MAXIMUM),
)

importance_bound = Exercise(
    id="2.6",
    title="A bound from several draws",
    difficulty=3,
    minutes=10,
    hints=(
        "Each draw has a weight p / q, and you are given logarithms: what is the logarithm of the weight? "
        "The mean of the weights goes over the draws, dimension 0, and the logarithm comes last.",
        "exp(-2000) is 0 for a computer. So never compute the weights themselves: `torch.logsumexp(w, "
        "dim=0)` is the logarithm of the sum of exp(w), done safely. What becomes of 1/k in the logarithm?",
        "`w = log_p - log_q`, then `torch.logsumexp(w, dim=0)` minus the logarithm of k, which is "
        "`math.log(len(w))`.",
    ),
    reference=_importance_bound,
    draw=_logs,
    properties=(
        returns_tensor(),
        told("log_p - log_q for equal draws", _equal_draws, MISTAKES),
        close_to(*MISTAKES),
        Property("safe for -2000 and 2000 nats", _safe, SAFE),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
