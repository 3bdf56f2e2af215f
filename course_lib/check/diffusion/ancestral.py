"""Exercise 6.5: one step of ancestral sampling, arXiv 2006.11239, algorithm 2 with the variance of eq. 7."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.diffusion.ancestral_slips import MEANS, SPREADS, from_time, step
from course_lib.check.diffusion.mixtures import (
    between,
    mixture,
    noises,
    picture,
    schedule,
    steady,
    weights,
)
from course_lib.check.properties import device_kept, dtype_kept, input_unchanged
from course_lib.check.vae.told import on

Scene = tuple[Tensor, Tensor, int, Tensor, Tensor]  # x, eps, t, alpha_bar, noise


def _scene(generator: torch.Generator, time: Callable[[int], int] | None = None) -> Scene:
    """x, eps and noise (B, 2, 4, 5); t from 3 to T - 2, or made from T."""
    x, eps, noise = noises(3, generator)
    alpha_bar = schedule(generator)
    T = len(alpha_bar) - 1
    t = between(3, T - 2, generator)
    return x, eps, t if time is None else time(T), alpha_bar, noise


def _without_noise(generator: torch.Generator) -> Scene:
    x, eps, t, alpha_bar, noise = _scene(generator)
    return x, eps, t, alpha_bar, torch.zeros_like(noise)


def _at(time: Callable[[int], int]) -> Callable[[torch.Generator], Scene]:
    return lambda generator: _scene(generator, time)


def _parts(x: Tensor, eps: Tensor, t: int, alpha_bar: Tensor, noise: Tensor) -> Mapping[str, Tensor]:
    return {"x": x, "eps": eps, "noise": noise} if noise.any() else {"x": x, "eps": eps}


def _where(x: Tensor, eps: Tensor, t: int, alpha_bar: Tensor, noise: Tensor) -> str:
    return f"With alpha_bar {alpha_bar[t]:.3f} at t and {alpha_bar[t - 1]:.3f} at t - 1"


def _last(t: Trial) -> str | None:
    """At t = 1: no noise, whatever its weight was."""
    inputs = t.args()
    yours, right = t.answer(t.student), t.answer(t.reference)
    found = weights(yours - right, {"noise": inputs[-1]})
    if found is not None and abs(found["noise"]) > 1e-4:
        return (
            f"At t = 1 you add {found['noise']:.3g} times the noise. The result is x_0, the finished "
            "picture: nothing comes after it that could take noise away. Beta tilde is 0 there."
        )
    return None


ends = mixture("t = 1", _parts, _where, what="your x_0")

ddpm_step = Exercise(
    id="6.5",
    title="One step back",
    difficulty=3,
    minutes=12,
    hints=(
        "There are two parts, the mean and the noise. Get the mean right first, with alpha_t = "
        "`alpha_bar[t] / alpha_bar[t - 1]` and beta_t = 1 - alpha_t. Where in the formula stands a bar, "
        "where does none? eps is all the noise in x_t; beta_t belongs to one step.",
        "`a, before = alpha_bar[t], alpha_bar[t - 1]`, then `alpha = a / before` and `beta = 1 - alpha`. The "
        "mean is `(x - ... * eps) / alpha.sqrt()`: fill in beta_t / sqrt(1 - alpha_bar_t).",
        "The variance is `(1 - before) / (1 - a) * beta`. `noise` has variance 1: by what must it be "
        "multiplied to have this one? And what is `before` at t = 1? You need no `if`.",
    ),
    reference=step(),
    draw=_scene,
    properties=(
        picture("x, eps and noise have one shape, and x_{t-1} has it, too."),
        steady(
            "Two calls with the same inputs give different results: you draw noise of your own. Use `noise`, "
            "which is given.",
            lambda x, eps, t, alpha_bar, noise: step()(x, eps, t, alpha_bar, torch.randn_like(x)),
        ),
        on(_without_noise, mixture("the mean", _parts, _where, MEANS, "the mean of your x_{t-1}")),
        on(
            _at(lambda T: 1),
            Property(
                "no noise at t = 1",
                lambda t: _last(t) or ends.test(t),
                (
                    (step(spread=lambda at: at.beta.sqrt()), "At t = 1 you add"),
                    (step(spread=lambda at: at.beta), "At t = 1 you add"),
                    (step(spread=lambda at: torch.ones_like(at.a)), "At t = 1 you add"),
                    (step(spread=lambda at: (1 - at.a).sqrt()), "At t = 1 you add"),
                ),
            ),
        ),
        mixture("the noise", _parts, _where, SPREADS, "your x_{t-1}"),
        on(
            _at(lambda T: 2),
            mixture(
                "noise at t = 2",
                _parts,
                _where,
                (
                    (
                        from_time(3),
                        "At t = 2 noise is added, too. Only the step from t = 1 to 0 has none.",
                    ),
                ),
                "your x_1",
            ),
        ),
        on(_at(lambda T: T), mixture("t = T", _parts, _where, what="your x_{T-1}")),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
