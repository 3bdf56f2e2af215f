"""Exercise 6.3: the exact step back, q(x_(t-1) | x_t, x_0). J. Ho et al., arXiv 2006.11239, eq. 6 and 7.

Answers are compared with the product of the two Gaussians that Bayes' rule multiplies, not with eq. 7.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.diffusion.bayes_slips import MEANS, VARIANCES, step_back
from course_lib.check.diffusion.parts import part, picture_wise, table, times, two_tensors
from course_lib.check.properties import close_to, device_kept, dtype_kept, input_unchanged
from course_lib.check.vae.told import named, on, told


def _batch(shape: list[int], generator: torch.Generator) -> tuple:
    """x_t and x_0 (not drawn from one another: the formula holds for any), t in 2 .. T - 1, alpha_bar."""
    T = int(torch.randint(9, 14, (), generator=generator))
    x, x0 = torch.randn(2, *shape, generator=generator)
    return x, x0.clamp(-1, 1), times(shape[0], T - 1, generator, first=2), table(T, generator)


def _cubes(generator: torch.Generator) -> tuple:
    return _batch([4, 4, 4, 4], generator)


def _pictures(generator: torch.Generator) -> tuple:
    return _batch([5, 3, 6, 7], generator)


def _last_step(generator: torch.Generator) -> tuple:
    """t = 1 throughout."""
    x, x0, t, alpha_bar = _pictures(generator)
    return x, x0, torch.ones_like(t), alpha_bar


def product(x: Tensor, x0: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the Gaussian N(x_t; sqrt(alpha_t) y, beta_t) N(y; sqrt(a_s) x_0, 1 - a_s) in y.

    Precisions add up, and the mean is weighted by them; t >= 2, where 1 - a_s is not 0.
    """
    a, s = alpha_bar.double()[t], alpha_bar.double()[t - 1]
    alpha = a / s
    from_x, from_x0 = alpha / (1 - alpha), 1 / (1 - s)  # the precisions of y
    mean = picture_wise(from_x / alpha.sqrt()) * x.double() + picture_wise(from_x0 * s.sqrt()) * x0.double()
    return mean / picture_wise(from_x + from_x0), 1 / (from_x + from_x0)


def _as_the_product(place: int) -> Callable[[Trial], str | None]:
    """What differs from the product of the two Gaussians in this part, mean or variance."""

    def look(t: Trial) -> str | None:
        yours, right = t.answer(t.student), product(*t.args())[place]
        if same(yours, right, 1e-3, 1e-4):
            return None
        seen = difference(yours, right)
        name = ("mean", "variance")[place]
        return f"By Bayes' rule the product of the two Gaussians has another {name}. {seen}"

    return look


def _both(test: Callable[[Tensor, Tensor, Trial], str | None]) -> Callable[[Trial], str | None]:
    def look(t: Trial) -> str | None:
        mean, variance = t.answer(t.student)
        return test(mean, variance, t)

    return look


def _certain(mean: Tensor, variance: Tensor, t: Trial) -> str | None:
    if not same(variance, torch.zeros_like(variance), 0, 1e-6):
        value = variance.flatten()[0].item()
        return (
            "At t = 1 the step ends at x_0 itself, which is given, so nothing is uncertain: the variance "
            f"is 0; yours is {value:.4g}."
        )
    if not same(mean, t.args()[1], 1e-4, 1e-4):
        return "At t = 1 the step ends at x_0, which is given: your mean should be exactly `x0`."
    return None


def _never_zero(x: Tensor, x0: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    mean, variance = step_back(x, x0, t, alpha_bar)
    return mean, variance.clamp(min=1e-3)


def _shapes(yours: tuple, right: tuple) -> str | None:
    (mean, variance), (picture, each) = yours, right
    if mean == picture and variance != each:
        if variance == (each[0], 1, 1, 1):
            return (
                f"Your variance has shape {variance}. It is one number for each picture, (B,): no view here."
            )
        if variance == ():
            return "Your variance is a single number. Each picture has its own t, so there is one for each."
        return f"Your variance has shape {variance}, it should be {each}: one number for each picture."
    if mean == each and variance == picture:
        return "The two are exchanged: return `mean, variance`, in this order."
    return None


posterior = Exercise(
    id="6.3",
    title="One exact step back",
    difficulty=3,
    minutes=12,
    hints=(
        "Everything in eq. 7 comes out of two numbers for each picture: `alpha_bar[t]` and "
        "`alpha_bar[t - 1]`. Write these down first, then alpha_t and beta_t from them, and check their "
        "shapes.",
        "alpha_t is one factor of the product: `alpha_bar[t] / alpha_bar[t - 1]`, and beta_t = 1 - "
        "alpha_t. The mean has two parts, one with x_0, one with x_t, both divided by 1 - alpha_bar_t. For "
        "them the weights need the shape (B, 1, 1, 1).",
        "With `a` and `a_s` for the two numbers: x_0's weight is `a_s.sqrt() * beta / (1 - a)`, x_t's is "
        "`alpha.sqrt() * (1 - a_s) / (1 - a)`. The variance, (B,), is the x_t-weight's fraction times beta.",
    ),
    reference=step_back,
    draw=_cubes,
    properties=(
        two_tensors("mean, variance", _shapes),
        part(0, told("the mean, by Bayes' rule", _as_the_product(0), MEANS)),
        part(1, told("the variance, by Bayes' rule", _as_the_product(1), VARIANCES)),
        on(_pictures, close_to(name="pictures of any shape", rtol=1e-3, atol=1e-4)),
        on(
            _last_step,
            Property("x_0 for certain at t = 1", _both(_certain), ((_never_zero, "the variance is 0"),)),
        ),
        input_unchanged(),
        named("dtype of the mean", part(0, dtype_kept())),
        named("dtype of the variance", part(1, dtype_kept())),
        named("device of the mean", part(0, device_kept())),
        named("device of the variance", part(1, device_kept())),
    ),
)
