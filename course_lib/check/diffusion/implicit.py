"""Exercise 6.6: one step of DDIM without fresh noise, arXiv 2010.02502, eq. 12 with sigma = 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes
from course_lib.check.diffusion.mixtures import (
    At,
    between,
    mixture,
    noises,
    picture,
    schedule,
    steady,
)
from course_lib.check.properties import device_kept, dtype_kept, input_unchanged
from course_lib.check.vae.told import on

Scene = tuple[Tensor, Tensor, int, int, Tensor]  # x, eps, t, s, alpha_bar
Rule = Callable[[At, Tensor, Tensor], Tensor]  # of x and eps
Weight = Callable[[At], Tensor]


def right(at: At, x: Tensor, eps: Tensor) -> Tensor:
    return at.a_s.sqrt() * at.guess(x, eps) + (1 - at.a_s).sqrt() * eps


def step(
    rule: Rule = right,
    times: Callable[[int, int], tuple[int, int]] = lambda t, s: (t, s),  # where the table is looked up
) -> Answer:
    """The step from t to s, right but for what is said here."""

    def ddim_step(x: Tensor, eps: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
        now, then = times(t, s)
        return rule(At(alpha_bar[now], alpha_bar[then]), x, eps)

    return ddim_step


def _weighted(
    of_x0: Weight = lambda at: at.a_s.sqrt(), of_eps: Weight = lambda at: (1 - at.a_s).sqrt()
) -> Rule:
    """The right guess of x_0 and eps, with these weights."""
    return lambda at, x, eps: of_x0(at) * at.guess(x, eps) + of_eps(at) * eps


def _guessed(guess: Rule) -> Rule:
    """The right weights, and another guess of x_0."""
    return lambda at, x, eps: at.a_s.sqrt() * guess(at, x, eps) + (1 - at.a_s).sqrt() * eps


def _alphas(x: Tensor, eps: Tensor, t: int, s: int, alpha_bar: Tensor) -> Tensor:
    """Every alpha_bar taken for an alpha of one step."""
    alpha = alpha_bar / torch.cat([alpha_bar[:1], alpha_bar[:-1]])
    return step()(x, eps, t, s, alpha)


def _clipped(at: At, x: Tensor, eps: Tensor) -> Tensor:
    """As the library does: the noise is then the one that belongs to the clipped picture."""
    x0 = at.guess(x, eps).clamp(-1, 1)
    return at.a_s.sqrt() * x0 + (1 - at.a_s).sqrt() * (x - at.a.sqrt() * x0) / (1 - at.a).sqrt()


def _ancestral(at: At, x: Tensor, eps: Tensor) -> Tensor:
    return (x - at.beta / (1 - at.a).sqrt() * eps) / at.alpha.sqrt()


def _scene(generator: torch.Generator, end: int | None = None) -> Scene:
    """x and eps (B, 2, 4, 5), a stride of at least 3 down to s >= 2, or to `end`."""
    x, eps = noises(2, generator)
    alpha_bar = schedule(generator)
    s = between(2, 5, generator)
    t = between(s + 3, len(alpha_bar) - 3, generator)
    t += t == 2 * s  # so that t - s is not s
    return x, eps, t, s if end is None else end, alpha_bar


def _from_the_end(generator: torch.Generator) -> Scene:
    x, eps, _, s, alpha_bar = _scene(generator)
    return x, eps, len(alpha_bar) - 1, s, alpha_bar


def _one_back(generator: torch.Generator) -> Scene:
    x, eps, t, _, alpha_bar = _scene(generator)
    return x, eps, t, t - 1, alpha_bar


def _parts(x: Tensor, eps: Tensor, t: int, s: int, alpha_bar: Tensor) -> Mapping[str, Tensor]:
    return {"x_0": At(alpha_bar[t], alpha_bar[s]).guess(x, eps), "eps": eps}


def _where(x: Tensor, eps: Tensor, t: int, s: int, alpha_bar: Tensor) -> str:
    return f"With alpha_bar {alpha_bar[t]:.3f} at t, {alpha_bar[s]:.3f} at s, and x_0 the right guess,"


FRESH = (
    "Two calls with the same inputs give different results: you add fresh noise. Here none is drawn: the "
    "noise to keep is `eps`, the one that was found."
)
CLIP = (
    "You clip the guess of x_0 to [-1, 1]. The library does so, too; but here the formula stands as it is, "
    "so leave it out."
)
ONE_STEP = "You step to t - 1. `s` may be any earlier time: look up `alpha_bar[s]`."
NO_BAR = (
    "You take alpha for alpha_bar, in both guess and way back. The table holds the products already: it is "
    "`alpha_bar[t]` and `alpha_bar[s]`."
)
GUESS_ROOT = "The guess of x_0 is off: (x - sqrt(1 - alpha_bar[t]) eps) / sqrt(alpha_bar[t]). Yours"

MISTAKES: Mistakes = tuple(
    (step(rule), sentence)
    for rule, sentence in (
        (
            _weighted(of_eps=lambda at: (1 - at.a).sqrt()),
            "The direction term keeps the noise of time t, sqrt(1 - alpha_bar[t]): the picture would stay as "
            "noisy as it was. At s there is sqrt(1 - alpha_bar[s]) of it.",
        ),
        (
            _weighted(of_eps=lambda at: 1 - at.a_s),
            "In the direction term the root is missing: 1 - alpha_bar[s] is the variance of the noise, its "
            "weight is the square root.",
        ),
        (
            _weighted(of_x0=lambda at: at.a_s),
            "Before x_0 the root is missing: it is sqrt(alpha_bar[s]).",
        ),
        (
            _weighted(lambda at: at.a_s, lambda at: 1 - at.a_s),
            "Both roots are missing on the way back: x_0 has the weight sqrt(alpha_bar[s]), eps "
            "sqrt(1 - alpha_bar[s]).",
        ),
        (
            _weighted(lambda at: (1 - at.a_s).sqrt(), lambda at: at.a_s.sqrt()),
            "The two weights are exchanged: x_0 gets sqrt(alpha_bar[s]), eps sqrt(1 - alpha_bar[s]).",
        ),
        (
            _weighted(of_x0=lambda at: at.a.sqrt()),
            "x_0 comes out with the weight of time t. Its guess is divided by sqrt(alpha_bar[t]) and then "
            "multiplied by sqrt(alpha_bar[s]): one of these has the wrong time.",
        ),
        (
            lambda at, x, eps: x,
            "You come back to x: there and back with the alpha_bar of one time. Guess x_0 with "
            "`alpha_bar[t]`, and go back from it with `alpha_bar[s]`.",
        ),
        (
            _weighted(of_eps=lambda at: 0 * at.a),
            "The direction term is missing: x_s holds noise, too, sqrt(1 - alpha_bar[s]) times eps.",
        ),
        (
            lambda at, x, eps: at.guess(x, eps),
            "You return the guess of x_0. Go back from it to time s: make it smaller, and add eps.",
        ),
        (
            _weighted(of_x0=lambda at: torch.ones_like(at.a)),
            "x_0 has no weight: at time s, sqrt(alpha_bar[s]) of it is left.",
        ),
        (_weighted(of_eps=lambda at: torch.ones_like(at.a)), "eps has no weight: sqrt(1 - alpha_bar[s])."),
        (
            _weighted(of_eps=lambda at: -(1 - at.a_s).sqrt()),
            "You subtract the direction term. In x_s the noise is added to the picture, as in x_t.",
        ),
        (
            _weighted(of_eps=lambda at: (1 - at.a).sqrt() - (1 - at.a_s).sqrt()),
            "You add the difference of two noise levels. What x_s needs, added to x_0, is all of its own: "
            "sqrt(1 - alpha_bar[s]).",
        ),
        (
            _weighted(of_eps=lambda at: (1 - at.beta).sqrt()),
            "Under the root of the direction term stands 1 - alpha_bar[s], not a quotient.",
        ),
        (
            lambda at, x, eps: at.a_s.sqrt() * at.guess(x, eps) + (1 - at.a_s).sqrt() * x,
            "The direction term multiplies x. It multiplies eps, the noise that was found in it.",
        ),
        (
            _guessed(lambda at, x, eps: x - (1 - at.a).sqrt() * eps),
            f"{GUESS_ROOT} is not divided.",
        ),
        (
            _guessed(lambda at, x, eps: (x - (1 - at.a).sqrt() * eps) / at.a),
            f"{GUESS_ROOT} is divided by alpha_bar[t], without the root.",
        ),
        (
            _guessed(lambda at, x, eps: (x - (1 - at.a).sqrt() * eps) * at.a.sqrt()),
            f"{GUESS_ROOT} is multiplied by the root in place of divided.",
        ),
        (
            _guessed(lambda at, x, eps: (x - (1 - at.a) * eps) / at.a.sqrt()),
            f"{GUESS_ROOT} has no root of 1 - alpha_bar[t].",
        ),
        (
            _guessed(lambda at, x, eps: (x - (1 - at.a) * eps) / at.a),
            f"{GUESS_ROOT} has no roots.",
        ),
        (
            _guessed(lambda at, x, eps: (x + (1 - at.a).sqrt() * eps) / at.a.sqrt()),
            f"{GUESS_ROOT} adds the noise in place of taking it away.",
        ),
        (
            _guessed(lambda at, x, eps: x / at.a.sqrt() - (1 - at.a).sqrt() * eps),
            f"{GUESS_ROOT} divides x only: brackets.",
        ),
        (
            _guessed(lambda at, x, eps: (x - (1 - at.a_s).sqrt() * eps) / at.a.sqrt()),
            f"{GUESS_ROOT} takes away the noise of s.",
        ),
        (_guessed(lambda at, x, eps: x), "You take x for x_0. First guess x_0 from x and eps."),
        (_guessed(lambda at, x, eps: at.guess(x, eps).clamp(-1, 1)), CLIP),
        (_clipped, CLIP),
        (
            lambda at, x, eps: right(at, x, eps).clamp(-1, 1),
            "You clip x_s to [-1, 1]. It holds noise, which goes beyond: leave the clipping out.",
        ),
        (
            _ancestral,
            "That is the mean of DDPM's step (exercise 6.5), which waits for fresh noise. DDIM keeps more of "
            "the noise that was found: sqrt(1 - alpha_bar[s]) times eps.",
        ),
    )
) + (
    (step(times=lambda t, s: (t, t - 1)), ONE_STEP),
    (
        lambda x, eps, t, s, alpha_bar: (
            alpha_bar[s].sqrt() * At(alpha_bar[t], alpha_bar[s]).guess(x, eps)
            + (1 - alpha_bar[t - 1]).sqrt() * eps
        ),
        f"In the direction term: {ONE_STEP[0].lower()}{ONE_STEP[1:]}",
    ),
    (
        lambda x, eps, t, s, alpha_bar: step(_ancestral)(x, eps, t, t - 1, alpha_bar),
        "That is the mean of DDPM's step to t - 1 (exercise 6.5).",
    ),
    (step(times=lambda t, s: (s, t)), "t and s are exchanged: you go from s to t, to more noise."),
    (_alphas, NO_BAR),
    (
        step(times=lambda t, s: (t - 1, s - 1)),
        "You look one place too early in the table, as if times counted from 0. Here `alpha_bar[0]` is 1 and "
        "belongs to the clean picture: it is `alpha_bar[t]` and `alpha_bar[s]`.",
    ),
    (
        lambda x, eps, t, s, alpha_bar: step()(x, eps, t, s, alpha_bar.cumprod(0)),
        "You multiply the table up once more. The bar says that this is done already.",
    ),
    (
        lambda x, eps, t, s, alpha_bar: step()(x, eps, t, t - s, alpha_bar),
        "You take `s` for a number of steps. It is the time to go to: `alpha_bar[s]`.",
    ),
)


def _keeps_some(at_zero: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """Right, but for s = 0."""
    return lambda x, eps, t, s, alpha_bar: step()(x, eps, t, s, alpha_bar) if s else at_zero(x, eps)


ddim_step = Exercise(
    id="6.6",
    title="A longer stride",
    difficulty=2,
    minutes=10,
    hints=(
        "Two moves: from x_t to the guess of x_0, and from there to x_s. Both are the one formula "
        "x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps. The first solves it for x_0. Which time "
        "belongs to which move?",
        "`x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()`. Then mix x0 and the same eps "
        "once more, with the weights of time s. Nothing is drawn.",
    ),
    reference=step(),
    draw=_scene,
    properties=(
        picture("x and eps have one shape, and x_s has it, too."),
        steady(FRESH, lambda x, eps, t, s, alpha_bar: step()(x, torch.randn_like(x), t, s, alpha_bar)),
        mixture("any stride", _parts, _where, MISTAKES, "your x_s"),
        on(
            lambda generator: _scene(generator, end=0),
            mixture(
                "to s = 0",
                _parts,
                _where,
                (
                    (_keeps_some(lambda x, eps: x), "At s = 0 you return x as it was."),
                    (_keeps_some(lambda x, eps: x - eps), "it should be 1 x_0."),
                ),
                "your x_0",
            ),
        ),
        on(_one_back, mixture("to t - 1", _parts, _where, what="your x_{t-1}")),
        on(_from_the_end, mixture("from t = T", _parts, _where, what="your x_s")),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
