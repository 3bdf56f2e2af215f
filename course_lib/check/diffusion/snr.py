"""Exercise 6.2: a noise schedule from its signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes
from course_lib.check.diffusion.parts import part, two_tensors
from course_lib.check.properties import close_to, device_kept, dtype_kept, input_unchanged
from course_lib.check.vae.told import named, on
from course_lib.schedules import alpha_bars, cosine_betas
from course_lib.schedules import snr as ratio_of


def _shares(snr: Tensor) -> Tensor:
    return snr / (1 + snr)


def _table(shares: Tensor) -> Tensor:
    """alpha_bar_1 .. alpha_bar_T -> the same with alpha_bar_0 = 1 before them."""
    return torch.cat([shares.new_ones(1), shares])


def _betas(ab: Tensor) -> Tensor:
    return torch.cat([ab.new_zeros(1), 1 - ab[1:] / ab[:-1]])


def _schedule(snr: Tensor) -> tuple[Tensor, Tensor]:
    """The reference: (T,) -> alpha_bar and betas, both (T + 1,)."""
    alpha_bar = _table(_shares(snr))
    return alpha_bar, _betas(alpha_bar)


def _falling(generator: torch.Generator) -> tuple[Tensor]:
    """A random ratio that falls from about 20 to about 0.05, by unequal factors, and is never near 1."""
    T = int(torch.randint(5, 9, (), generator=generator))
    steps = (0.5 + torch.rand(T, generator=generator)).cumsum(0)
    log = 3 - 6 * steps / steps[-1] + 0.3 * torch.rand((), generator=generator)
    return (torch.where(log.abs() < 0.1, torch.full_like(log, 0.1), log).exp(),)


def _cosine(generator: torch.Generator) -> tuple[Tensor]:
    """That of a cosine schedule, of some length."""
    T = int(torch.randint(20, 60, (), generator=generator))
    return (ratio_of(alpha_bars(cosine_betas(T)))[1:].float(),)


def _other_shares(shares: Callable[[Tensor], Tensor]) -> Answer:
    """A wrong answer: this in the place of snr / (1 + snr), with the betas that belong to it."""

    def answer(snr: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = _table(shares(snr))
        return alpha_bar, _betas(alpha_bar)

    return answer


def _other_betas(betas: Callable[[Tensor], Tensor]) -> Answer:
    """A wrong answer: these betas, (T,) or (T + 1,), with the right alpha_bar."""

    def answer(snr: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = _table(_shares(snr))
        found = betas(alpha_bar)
        return alpha_bar, found if len(found) > len(snr) else torch.cat([snr.new_zeros(1), found])

    return answer


POWER = (
    "You read the SNR as a ratio of the weights. It is a ratio of variances, alpha_bar to 1 - alpha_bar: "
    "solve snr = a / (1 - a) for a, without a root or a square."
)
SHARES: Mistakes = (
    (
        _other_shares(lambda r: r / (1 - r)),
        "You have snr / (1 - snr), as the ratio is made from alpha_bar. Here you go the other way: solve "
        "snr = a / (1 - a) for a.",
    ),
    (
        _other_shares(lambda r: r / (r - 1)),
        "A sign is wrong: from snr (1 - a) = a follows snr = a (1 + snr).",
    ),
    (_other_shares(lambda r: r.square() / (1 + r.square())), POWER),
    (_other_shares(lambda r: r.sqrt() / (1 + r.sqrt())), POWER),
    (_other_shares(lambda r: (r / (1 + r)).sqrt()), POWER),
    (_other_shares(lambda r: (r / (1 + r)).square()), POWER),
    (
        _other_shares(lambda r: 1 / (1 + r)),
        "1 / (1 + snr) is 1 - alpha_bar, the share of the noise. alpha_bar is the share of the picture.",
    ),
    (
        _other_shares(lambda r: (1 + r) / r),
        "Your alpha_bar is upside down: a share is never above 1.",
    ),
    (
        _other_shares(lambda r: r),
        "You take the SNR itself as alpha_bar, so it would lie above 1. Solve snr = a / (1 - a) for a.",
    ),
    (
        _other_shares(lambda r: r / r[0]),
        "You divide by the first SNR. alpha_bar_t follows from snr_t alone: solve snr = a / (1 - a) for a.",
    ),
    (
        _other_shares(lambda r: r / r.sum()),
        "You divide by the sum of all SNRs. alpha_bar_t follows from snr_t alone: solve snr = a / (1 - a).",
    ),
    (
        _other_shares(lambda r: r / (1 + r.exp())),
        "There is an exponential too many: the SNR is given as it is, not as a logarithm.",
    ),
    (
        _other_shares(torch.sigmoid),
        "`sigmoid(snr)` would be right for the logarithm of the SNR. Here it is the SNR itself.",
    ),
    (
        _other_shares(lambda r: _shares(r).cumprod(0)),
        "You multiply up what is a product already: snr / (1 + snr) is alpha_bar_t itself, not alpha_t.",
    ),
    (
        lambda r: (torch.cat([r.new_zeros(1), _shares(r)]), _betas(_table(_shares(r)))),
        "Your alpha_bar_0 is 0. At t = 0 the picture is clean, so alpha_bar_0 = 1.",
    ),
    (
        lambda r: (torch.cat([_shares(r), r.new_ones(1)]), _betas(_table(_shares(r)))),
        "Your 1 stands at the end. t = 0 is the clean picture, so alpha_bar begins with 1.",
    ),
    (
        lambda r: (torch.cat([_shares(r), r.new_ones(1)]), _betas(torch.cat([_shares(r), r.new_ones(1)]))),
        "Your 1 stands at the end. t = 0 is the clean picture, so alpha_bar begins with 1.",
    ),
    (
        lambda r: (torch.cat([_shares(r), r.new_zeros(1)]), _betas(_table(_shares(r)))),
        "You added a 0 at the end. What is missing in the table is t = 0: it begins with alpha_bar_0 = 1.",
    ),
    (
        _other_shares(lambda r: _shares(r).flip(0)),
        "Your table is turned round: alpha_bar falls from 1, as the SNR does.",
    ),
    (
        lambda r: tuple(reversed(_schedule(r))),
        "The two are exchanged: return `alpha_bar, betas`, in this order.",
    ),
    (
        lambda r: (torch.cat([_shares(r)[:1], _shares(r)]), _betas(_table(_shares(r)))),
        "Your alpha_bar_0 repeats alpha_bar_1. At t = 0 the picture is clean, so alpha_bar_0 = 1.",
    ),
)
ONE_PRODUCT = (
    "beta_t = 1 - alpha_t, and alpha_t is one factor of alpha_bar_t: the ratio "
    "`alpha_bar[1:] / alpha_bar[:-1]`."
)
OFF = (
    "Your betas are off by one: beta_t belongs to the step from t - 1 to t, so betas[1] = 1 - alpha_bar[1], "
    "and betas[0] = 0."
)
BETAS: Mistakes = (
    (_other_betas(lambda ab: 1 - ab), f"You have 1 - alpha_bar. {ONE_PRODUCT}"),
    (
        _other_betas(lambda ab: 1 - ab[:-1] / ab[1:]),
        "Your ratio is upside down, so that betas are negative. alpha_t = alpha_bar_t / alpha_bar_(t-1).",
    ),
    (
        _other_betas(lambda ab: ab[:-1] / ab[1:] - 1),
        "Your ratio is upside down. alpha_t = alpha_bar_t / alpha_bar_(t-1), and beta_t is what it lacks "
        "to 1.",
    ),
    (
        _other_betas(lambda ab: ab[1:] / ab[:-1]),
        "Those are the alphas. beta_t = 1 - alpha_t.",
    ),
    (
        _other_betas(lambda ab: torch.cat([ab.new_ones(1), ab[1:] / ab[:-1]])),
        "Those are the alphas. beta_t = 1 - alpha_t.",
    ),
    (
        _other_betas(lambda ab: ab[:-1] - ab[1:]),
        "You take differences. alpha_bar is a product of alphas, so it is undone by division: beta_t = 1 - "
        "alpha_bar_t / alpha_bar_(t-1).",
    ),
    (
        _other_betas(lambda ab: ab[1:] - ab[:-1]),
        "You take differences. alpha_bar is a product of alphas, so it is undone by division: beta_t = 1 - "
        "alpha_bar_t / alpha_bar_(t-1).",
    ),
    (_other_betas(torch.zeros_like), f"Your betas are all 0. {ONE_PRODUCT}"),
    (_other_betas(lambda ab: 1 - ab.cumprod(0)), f"You multiply up once more. {ONE_PRODUCT}"),
    (
        _other_betas(lambda ab: 1 - (ab[1:] / ab[:-1]).sqrt()),
        "There is a root too many: alpha_t is the ratio itself. The roots come later, where pictures are "
        "mixed.",
    ),
    (
        _other_betas(lambda ab: (1 - ab[1:] / ab[:-1]).sqrt()),
        "There is a root too many: beta_t is a variance, 1 - alpha_t.",
    ),
    (_other_betas(lambda ab: torch.cat([1 - ab[1:] / ab[:-1], ab.new_zeros(1)])), OFF),
    (_other_betas(lambda ab: _betas(ab).roll(1)), OFF),
    (
        _other_betas(lambda ab: torch.cat([ab.new_zeros(2), 1 - ab[2:] / ab[1:-1]])),
        "Your beta_1 is 0. The first step adds noise, too: beta_1 = 1 - alpha_bar_1 / alpha_bar_0.",
    ),
    (
        _other_betas(lambda ab: torch.cat([ab.new_ones(1), 1 - ab[1:] / ab[:-1]])),
        "Your beta_0 is 1. At t = 0 there is no noise yet: beta_0 = 0.",
    ),
    (
        _other_betas(lambda ab: torch.cat([(1 - ab[1:] / ab[:-1])[:1], 1 - ab[1:] / ab[:-1]])),
        "Your beta_0 repeats beta_1. At t = 0 there is no noise yet: beta_0 = 0.",
    ),
    (
        lambda r: (_table(_shares(r)), torch.cat([r.new_zeros(2), 1 - r[1:] / r[:-1]])),
        f"You divide SNRs. {ONE_PRODUCT}",
    ),
)


def _lengths(yours: tuple, right: tuple) -> str | None:
    (first, second), ((wanted,), _) = yours, right
    if (wanted - 1,) in (first, second):
        short = " and ".join(n for n, s in (("alpha_bar", first), ("betas", second)) if s == (wanted - 1,))
        return (
            f"`snr` has T = {wanted - 1} entries, for t = 1 .. T. The tables have one more: t = 0 stands in "
            f"front, with alpha_bar_0 = 1 and beta_0 = 0. It is missing in {short}."
        )
    return None


schedule_from_snr = Exercise(
    id="6.2",
    title="A schedule by its signal-to-noise ratio",
    difficulty=2,
    minutes=10,
    hints=(
        "Two steps. First solve snr = a / (1 - a) for a: that is alpha_bar at t = 1 .. T. Which number "
        "stands in front of them, at t = 0? Then ask how alpha_bar_t comes out of alpha_bar_(t-1).",
        "snr (1 - a) = a gives a = snr / (1 + snr). `torch.cat([snr.new_ones(1), ...])` puts the 1 in front. "
        "And alpha_bar_t = alpha_bar_(t-1) (1 - beta_t): solve that for beta_t.",
        "`alpha_bar[1:] / alpha_bar[:-1]` are all alphas, from alpha_1 on. The betas are 1 minus these, with "
        "`snr.new_zeros(1)` in front.",
    ),
    reference=_schedule,
    draw=_falling,
    properties=(
        two_tensors("alpha_bar, betas", _lengths),
        part(0, close_to(*SHARES, name="alpha_bar")),
        part(1, close_to(*BETAS, name="betas")),
        on(_cosine, named("the cosine schedule comes back", close_to(rtol=1e-3, atol=1e-4))),
        input_unchanged(),
        named("dtype of alpha_bar", part(0, dtype_kept())),
        named("dtype of betas", part(1, dtype_kept())),
        named("device of alpha_bar", part(0, device_kept())),
        named("device of betas", part(1, device_kept())),
    ),
)
