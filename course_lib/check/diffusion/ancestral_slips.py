"""One step of DDPM, right and wrong: exercise 6.5 and the mistakes that it knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes
from course_lib.check.diffusion.mixtures import At

Mean = Callable[[At, Tensor, Tensor], Tensor]  # of x and eps
Spread = Callable[[At], Tensor]


def mean(at: At, x: Tensor, eps: Tensor) -> Tensor:
    """DDPM eq. 11."""
    return (x - at.beta / (1 - at.a).sqrt() * eps) / at.alpha.sqrt()


def spread(at: At) -> Tensor:
    """The square root of beta tilde, DDPM eq. 7."""
    return ((1 - at.a_s) / (1 - at.a) * at.beta).sqrt()


def step(
    mean: Mean = mean,
    spread: Spread = spread,
    t_of: Callable[[int], int] = lambda t: t,  # where the table is looked up
) -> Answer:
    """The step from t to t - 1, right but for what is said here. The noise is added."""

    def ddpm_step(x: Tensor, eps: Tensor, t: int, alpha_bar: Tensor, noise: Tensor) -> Tensor:
        at = At(alpha_bar[t_of(t)], alpha_bar[t_of(t) - 1])
        return mean(at, x, eps) + spread(at) * noise

    return ddpm_step


def less_eps(weight: Spread) -> Mean:
    """x minus so much eps, divided by sqrt(alpha)."""
    return lambda at, x, eps: (x - weight(at) * eps) / at.alpha.sqrt()


def posterior(at: At, x: Tensor, x0: Tensor) -> Tensor:
    """DDPM eq. 7."""
    return (at.a_s.sqrt() * at.beta * x0 + at.alpha.sqrt() * (1 - at.a_s) * x) / (1 - at.a)


def from_time(first: int, spread: Spread = spread) -> Answer:
    """A step that adds noise for t >= first only."""

    def ddpm_step(x: Tensor, eps: Tensor, t: int, alpha_bar: Tensor, noise: Tensor) -> Tensor:
        at = At(alpha_bar[t], alpha_bar[t - 1])
        return mean(at, x, eps) + spread(at) * noise if t >= first else mean(at, x, eps)

    return ddpm_step


DDIM = (
    "You go to the guess of x_0 and back with the same eps: that is DDIM's step (exercise 6.6). Here x_t "
    "moves by itself, as in the formula of the mean."
)
ALL_AT_ONCE = (
    "Your mean is the guess of x_0 times sqrt(alpha_bar[t - 1]): all the noise of x_t is taken away. In one "
    "step only a part of it goes: eps is multiplied by beta_t / sqrt(1 - alpha_bar_t), and beta_t is "
    "1 - alpha_t, without the bar."
)
GUESS = (
    "That is the guess of x_0 (or you have alpha_bar_t in the place of alpha_t, which gives the same): all "
    "the noise would be taken away in one step."
)
ROOT_BAR = "Under eps stands the square root of 1 - alpha_bar_t."
OFF = "All noise up to time t is in x_t, so it is `alpha_bar[t]`"

MEANS: Mistakes = tuple(
    (step(mean=wrong), sentence)
    for wrong, sentence in (
        (
            less_eps(lambda at: at.beta.sqrt()),
            "You divide by the root of 1 - alpha_t. eps is all the noise in x_t, not that of one step: the "
            "bar is missing, it is 1 - alpha_bar_t.",
        ),
        (
            lambda at, x, eps: (x - at.beta / (1 - at.a).sqrt() * eps) / at.a.sqrt(),
            "You divide by the root of alpha_bar_t, as if you went all the way to x_0. One step back is "
            "1 / sqrt(alpha_t), without the bar.",
        ),
        (
            lambda at, x, eps: x - at.beta / (1 - at.a).sqrt() * eps,
            "1 / sqrt(alpha_t) is missing: the step forward made x smaller, the step back makes it larger.",
        ),
        (
            lambda at, x, eps: x / at.alpha.sqrt() - at.beta / (1 - at.a).sqrt() * eps,
            "1 / sqrt(alpha_t) multiplies x only. It stands before the brackets, so eps gets it, too.",
        ),
        (
            lambda at, x, eps: (x - at.beta / (1 - at.a).sqrt() * eps) * at.alpha.sqrt(),
            "You multiply by sqrt(alpha_t). Forward x was multiplied by it; on the way back you divide.",
        ),
        (
            lambda at, x, eps: (x - at.beta / (1 - at.a).sqrt() * eps) / at.alpha,
            "You divide by alpha_t. It is its square root.",
        ),
        (
            less_eps(lambda at: -at.beta / (1 - at.a).sqrt()),
            "You add eps. It is the noise in x: take it away.",
        ),
        (lambda at, x, eps: at.guess(x, eps), GUESS),
        (lambda at, x, eps: at.guess(x, eps).clamp(-1, 1), GUESS),
        (less_eps(lambda at: (1 - at.a).sqrt()), ALL_AT_ONCE),
        (less_eps(lambda at: 1 / (1 - at.a).sqrt()), "beta_t is missing before eps."),
        (less_eps(lambda at: at.beta), f"1 / sqrt(1 - alpha_bar_t) is missing before eps. {ROOT_BAR}"),
        (less_eps(lambda at: at.beta / (1 - at.a)), f"{ROOT_BAR} You left out the root."),
        (
            less_eps(lambda at: (at.beta / (1 - at.a)).sqrt()),
            "You take the root of beta_t, too. Only 1 - alpha_bar_t stands under it.",
        ),
        (
            less_eps(lambda at: at.alpha / (1 - at.a).sqrt()),
            "Before eps stands beta_t = 1 - alpha_t, not alpha_t.",
        ),
        (less_eps(lambda at: at.beta / at.a.sqrt()), f"{ROOT_BAR} You have that of alpha_bar_t."),
        (
            less_eps(lambda at: at.beta / (1 - at.a_s).sqrt()),
            f"{OFF} under eps; you have the one of t - 1.",
        ),
        (
            less_eps(lambda at: (at.a_s - at.a) / (1 - at.a).sqrt()),
            "beta_t is not the difference of two alpha_bars. It is 1 - alpha_t, and alpha_t is a quotient.",
        ),
        (
            lambda at, x, eps: at.a_s.sqrt() * at.guess(x, eps) + (1 - at.a_s).sqrt() * eps,
            DDIM,
        ),
        (lambda at, x, eps: at.a_s.sqrt() * at.guess(x, eps).clamp(-1, 1), ALL_AT_ONCE),
        (
            lambda at, x, eps: posterior(at, x, at.guess(x, eps).clamp(-1, 1)),
            "You clip the guess of x_0 to [-1, 1]. The library does so, too; but here the formula stands as "
            "it is, so leave it out.",
        ),
        (
            lambda at, x, eps: posterior(at, at.guess(x, eps), x),
            "x_t and x_0 are exchanged in the mean of the posterior.",
        ),
        (
            lambda at, x, eps: (
                (at.a.sqrt() * at.beta * at.guess(x, eps) + at.alpha.sqrt() * (1 - at.a_s) * x) / (1 - at.a)
            ),
            "Before x_0 stands sqrt(alpha_bar[t - 1]); you have the one of t.",
        ),
        (
            lambda at, x, eps: (
                (at.a_s.sqrt() * at.beta * at.guess(x, eps) + at.alpha.sqrt() * (1 - at.a) * x) / (1 - at.a)
            ),
            "Before x_t stands 1 - alpha_bar[t - 1]; you have the one of t.",
        ),
        (
            lambda at, x, eps: (x - (1 - 1 / at.alpha) / (1 - at.a).sqrt() * eps) * at.alpha.sqrt(),
            "alpha_t is upside down: it is smaller than 1, `alpha_bar[t] / alpha_bar[t - 1]`.",
        ),
        (lambda at, x, eps: 0 * x, "Only noise is left: x and eps play no part."),
        (
            lambda at, x, eps: mean(at, x, eps).clamp(-1, 1),
            "You clip the result to [-1, 1]. It holds noise, which goes beyond: leave the clipping out.",
        ),
        (lambda at, x, eps: x / at.alpha.sqrt(), "eps plays no part: nothing is taken away from x."),
        (lambda at, x, eps: x, "You add noise, but take none away: eps plays no part."),
        (lambda at, x, eps: eps, "You return the noise, eps. Take it away from x."),
        (lambda at, x, eps: x - eps, "eps is noise of N(0, I), so x - eps takes too much. It has a weight."),
    )
) + (
    (
        step(t_of=lambda t: t - 1),
        "You look one place too early in the table, as if times counted from 0. Here `alpha_bar[0]` is 1 and "
        "belongs to the clean picture: it is `alpha_bar[t]`.",
    ),
    (step(t_of=lambda t: t + 1), "You look one place too late in the table: it is `alpha_bar[t]`."),
    (
        lambda x, eps, t, alpha_bar, noise: step()(x, eps, t, alpha_bar.cumprod(0), noise),
        "You take the table for the alphas and multiply them up. The bar says that this is done already: "
        "alpha_t is `alpha_bar[t] / alpha_bar[t - 1]`.",
    ),
)

SPREADS: Mistakes = tuple(
    (from_time(2, wrong), sentence)  # with or without an `if`: the last step is tested before
    for wrong, sentence in (
        (
            lambda at: 0 * at.a,
            "You return the mean. For t > 1 noise is added to it, sigma_t times `noise`: without it the "
            "pictures lose their detail.",
        ),
        (
            lambda at: spread(at).square(),
            "You multiply the noise with the variance, beta tilde. Sigma is its square root.",
        ),
        (
            lambda at: at.beta.sqrt(),
            "Your variance is beta_t, the other choice of the paper's section 3.2. Here it is beta tilde, "
            "the posterior's.",
        ),
        (lambda at: at.beta, "You multiply the noise with beta_t. Sigma is the root of beta tilde."),
        (
            lambda at: ((1 - at.a_s) / (1 - at.a)).sqrt(),
            "beta_t is missing in beta tilde.",
        ),
        (lambda at: (1 - at.a_s) / (1 - at.a) * at.beta.sqrt(), "The root covers all of beta tilde."),
        (lambda at: ((1 - at.a_s) / (1 - at.a)).sqrt() * at.beta, "The root covers all of beta tilde."),
        (
            lambda at: ((1 - at.a) / (1 - at.a_s) * at.beta).sqrt(),
            "The quotient in beta tilde is upside down: it is smaller than 1, since less noise is left at "
            "t - 1 than at t.",
        ),
        (
            lambda at: spread(at) / at.alpha.sqrt(),
            "The noise stands inside the brackets, so it is divided by sqrt(alpha_t), too. Add it "
            "afterwards.",
        ),
        (
            lambda at: at.beta.sqrt() / at.alpha.sqrt(),
            "The noise stands inside the brackets, so it is divided by sqrt(alpha_t), too. Add it "
            "afterwards, and take beta tilde for the variance.",
        ),
        (lambda at: torch.ones_like(at.a), "The noise has no weight: multiply it with sigma_t."),
        (lambda at: -spread(at), "You subtract the noise. Add it, so that results can be compared."),
        (
            lambda at: (1 - at.a_s).sqrt(),
            "sqrt(1 - alpha_bar[t - 1]) is all the noise that x_{t-1} holds. Most of it is in the mean "
            "already, so only sigma_t is added.",
        ),
        (
            lambda at: (1 - at.a).sqrt(),
            "sqrt(1 - alpha_bar[t]) is all the noise that x_t holds. Only sigma_t is added.",
        ),
        (
            lambda at: ((1 - at.alpha) / (1 - at.a) * at.beta).sqrt(),
            "In beta tilde the quotient is that of two times: above, 1 - alpha_bar of t - 1.",
        ),
    )
)
