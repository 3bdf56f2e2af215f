"""The two terms of exercise 2.3, and the ways to get them wrong."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi

from torch import Tensor

from course_lib.check.core import Answer, Mistakes
from course_lib.check.vae.divergence import FORMULA, kl_of_each, kl_per_dimension


def _log_density(square: Tensor, pixels: int, sigma: float) -> Tensor:
    """log N(x; x_hat, sigma^2 I) from the sum of squared errors of each picture and its number of pixels."""
    return -square / (2 * sigma**2) - pixels / 2 * log(2 * pi * sigma**2)


def _from(reconstruction: Callable[[Tensor, int, float], Tensor]) -> Answer:
    """An answer with this reconstruction term and the right KL."""

    def elbo(x: Tensor, x_hat: Tensor, sigma: float, mu: Tensor, logvar: Tensor) -> Tensor:
        square = (x - x_hat).square().flatten(1).sum(1)
        return reconstruction(square, x[0].numel(), sigma) - kl_of_each(mu, logvar)

    return elbo


def _minus(divergence: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """An answer with the right reconstruction term, less this for the KL."""

    def elbo(x: Tensor, x_hat: Tensor, sigma: float, mu: Tensor, logvar: Tensor) -> Tensor:
        square = (x - x_hat).square().flatten(1).sum(1)
        return _log_density(square, x[0].numel(), sigma) - divergence(mu, logvar)

    return elbo


right_bound = _from(_log_density)


SUM_IT = (
    "A log-density of independent pixels is a sum over them, and so it has the right weight against the KL."
)

NO_DENSITY = (
    "The log-density of x is missing, or is there an `.exp()`, and so the density itself, which nearly "
    "vanishes?"
)

RECONSTRUCTION: Mistakes = (
    (
        lambda x, x_hat, s, mu, lv: -right_bound(x, x_hat, s, mu, lv),
        "You return the loss, -ELBO. Here the bound itself is asked for: the log-density minus the KL.",
    ),
    (
        lambda x, x_hat, s, mu, lv: right_bound(x, x_hat, s, mu, lv).mean(),
        "You take the mean over the batch at the end. Leave it out: one bound for each picture, (B,).",
    ),
    (
        lambda x, x_hat, s, mu, lv: right_bound(x, x_hat, s, mu, lv).sum(),
        "You sum over the batch, too. Leave it out: one bound for each picture, (B,).",
    ),
    (
        _from(lambda square, n, s: _log_density(square, n, s) / n),
        f"You take the mean over the pixels, while the KL is a sum. Take the sum. {SUM_IT}",
    ),
    (
        lambda x, x_hat, s, mu, lv: _log_density((x - x_hat).square().mean(), 1, s) - kl_of_each(mu, lv),
        "You take the mean over pixels and batch. Sum over channels, height and width, and keep the batch: "
        f"`.flatten(1).sum(1)`. {SUM_IT}",
    ),
    (
        _from(lambda square, n, s: _log_density(square / n, n, s)),
        f"You take the mean of the squared errors over the pixels. Take their sum. {SUM_IT}",
    ),
    (
        _from(lambda square, n, s: _log_density(square, 1, s)),
        "You count the constant -log sigma - 1/2 log(2 pi) once for each picture. It belongs to each pixel: "
        "inside the sum, or times the number of pixels and channels.",
    ),
    (
        lambda x, x_hat, s, mu, lv: (
            _log_density((x - x_hat).square().flatten(1).sum(1), x[0, 0].numel(), s) - kl_of_each(mu, lv)
        ),
        "You count the constant height times width times, but each channel has its own numbers, too: "
        "`x[0].numel()` counts them all.",
    ),
    (
        lambda x, x_hat, s, mu, lv: (
            _log_density((x - x_hat).square().flatten(1).sum(1), x.numel(), s) - kl_of_each(mu, lv)
        ),
        "You count the constant for the whole batch. Each picture has its own pixels only: `x[0].numel()`.",
    ),
    (
        lambda x, x_hat, s, mu, lv: (
            _log_density((x - x_hat).square().flatten(1).sum(1), 784, s) - kl_of_each(mu, lv)
        ),
        "You count 784 pixels, but not all pictures have 28 x 28: the check's are smaller. `x[0].numel()` "
        "counts for you.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2)),
        "The constant of each pixel, -log sigma - 1/2 log(2 pi), is missing. Without it this is no "
        "log-density, and another sigma could not be compared.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n * log(s)),
        "The 2 pi is missing: each pixel has the constant -log sigma - 1/2 log(2 pi).",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n / 2 * log(2 * pi)),
        "The logarithm of sigma is missing: each pixel has the constant -log sigma - 1/2 log(2 pi).",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n * log(s) - n * log(2 * pi)),
        "The factor 1/2 before log(2 pi) is missing: each pixel has -log sigma - 1/2 log(2 pi).",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - log(s) - n / 2 * log(2 * pi)),
        "You count log sigma once for each picture. It belongs to each pixel: multiply it with their number.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n * log(s) - log(2 * pi) / 2),
        "You count 1/2 log(2 pi) once for each picture. It belongs to each pixel: multiply it with their "
        "number.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) + n * log(s) - n / 2 * log(2 * pi)),
        "You add log sigma. Subtract it for each pixel: the wider the distribution, the lower its density.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n * s - n / 2 * log(2 * pi)),
        "You subtract sigma itself for each pixel, where its logarithm belongs.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n / 2 * log(2 * pi * s)),
        "You count half of log sigma. Each pixel has -log sigma - 1/2 log(2 pi), or in one logarithm "
        "-1/2 log(2 pi sigma^2).",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n * log(2 * pi * s**2)),
        "The factor 1/2 before the logarithm is missing: -1/2 log(2 pi sigma^2) for each pixel.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) - n / 2 * log(2 * pi) - 2 * n * log(s)),
        "You count log sigma^2 in full: the factor 1/2 belongs to it, too, or take log sigma.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s**2) + n / 2 * log(2 * pi * s**2)),
        "The constant has the wrong sign: subtract 1/2 log(2 pi sigma^2) for each pixel.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s) - n / 2 * log(2 * pi * s**2)),
        "You divide the squared error by 2 sigma: square sigma first.",
    ),
    (
        _from(lambda square, n, s: -square / (2 * s) - n / 2 * log(2 * pi * s)),
        "You take sigma for the variance. It is the standard deviation: write sigma^2 in both places.",
    ),
    (
        _from(lambda square, n, s: -square / s**2 - n / 2 * log(2 * pi * s**2)),
        "The factor 1/2 before the squared error is missing: divide it by 2 sigma^2.",
    ),
    (
        _from(lambda square, n, s: -square / 2 * s**2 - n / 2 * log(2 * pi * s**2)),
        "You multiply with sigma^2 where you should divide: are brackets missing, as in `/ (2 * sigma ** "
        "2)`?",
    ),
    (
        _from(lambda square, n, s: -square / 2 - n / 2 * log(2 * pi)),
        "sigma plays no part: divide the squared error by 2 sigma^2, and put sigma^2 into the logarithm.",
    ),
    (
        _from(lambda square, n, s: square / (2 * s**2) - n / 2 * log(2 * pi * s**2)),
        "You add the squared error. It must be subtracted: the further x_hat is from x, the less probable.",
    ),
    (
        _from(lambda square, n, s: -square),
        "That is the negative squared error, no log-density: divide it by 2 sigma^2, and subtract "
        "1/2 log(2 pi sigma^2) for each pixel.",
    ),
    (
        _from(lambda square, n, s: -square / n),
        "That is the negative mean squared error, no log-density: take the sum, divide it by 2 sigma^2, and "
        "subtract 1/2 log(2 pi sigma^2) for each pixel.",
    ),
    (
        lambda x, x_hat, s, mu, lv: -(x - x_hat).square().mean() - kl_of_each(mu, lv),
        "That is the negative mean squared error of the whole batch, no log-density: sum over the pixels of "
        "each picture, divide by 2 sigma^2, and subtract 1/2 log(2 pi sigma^2) for each pixel.",
    ),
    (
        _from(lambda square, n, s: 0 * square),
        NO_DENSITY,
    ),
    (_from(lambda square, n, s: _log_density(square, n, s).exp()), NO_DENSITY),
)

DIVERGENCE: Mistakes = (
    (
        _minus(lambda mu, lv: -kl_of_each(mu, lv)),
        "You add the KL. The bound is the log-density minus the KL: a guess far from the prior costs.",
    ),
    (_minus(lambda mu, lv: 0 * kl_of_each(mu, lv)), "The KL is missing: subtract it."),
    (
        _minus(lambda mu, lv: kl_per_dimension(mu, lv).mean(1)),
        "You take the mean of the KL over the d dimensions, while the pixels are summed. Take its sum, or it "
        "has too little weight.",
    ),
    (
        _minus(lambda mu, lv: kl_per_dimension(mu, lv).mean()),
        "You subtract the mean of the KL over everything. Each picture has its own: the sum over its d "
        "dimensions.",
    ),
    (
        _minus(lambda mu, lv: kl_of_each(mu, lv).mean()),
        "You subtract the mean KL of the batch from every picture. Subtract its own.",
    ),
    (
        _minus(lambda mu, lv: kl_of_each(mu, lv).sum()),
        "You subtract the KL of the whole batch from every picture. Subtract its own.",
    ),
    (
        lambda x, x_hat, s, mu, lv: (
            right_bound(x, x_hat, s, mu, lv) + (1 - 1 / x[0].numel()) * kl_of_each(mu, lv)
        ),
        "You divide the KL by the number of pixels, while the log-density is a sum. Leave it as it is.",
    ),
    *(
        (_minus(wrong), f"The KL in it is not that of exercise 2.1. {sentence}")
        for wrong, sentence in FORMULA
    ),
)
