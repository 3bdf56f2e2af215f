"""Exercise 6.9: bug 6.B1, repaired. J. Ho et al., arXiv 2006.11239, algorithm 2."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.check import explain
from course_lib.check.compare import difference, not_a_tensor, same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial, Value
from course_lib.check.diffusion.parts import picture_wise, table
from course_lib.check.properties import input_unchanged, recognised

Factor = Callable[[Tensor, Tensor], Tensor]  # of alpha_bar_t and alpha_bar_s


class OnePicture:
    """The best eps there is where all data are one picture: the noise that is between x and that one."""

    def __init__(self, picture: Tensor, alpha_bar: Tensor) -> None:
        self.picture, self.alpha_bar = picture, alpha_bar
        self.seen: list[Tensor] = []  # what it was shown
        self.told: list[list[int]] = []  # and at which times

    def __call__(self, x: Tensor, t: Tensor | int) -> Tensor:
        if not isinstance(x, Tensor) or x.shape[1:] != self.picture.shape:
            shape = tuple(x.shape) if isinstance(x, Tensor) else explain.kind_of(x)
            raise explain.Complaint(
                f"You show `eps` {shape}; it wants x as it is at that time, (B, C, H, W)."
            )
        times = torch.as_tensor(t).expand(len(x)).long()
        if times.min() < 1 or times.max() >= len(self.alpha_bar):
            raise explain.Complaint(
                f"You ask `eps` at t = {int(times[0])}, where there is no answer: it knows 1 .. T. The last "
                "step goes from the last time above 0 to 0."
            )
        self.seen.append(x.detach().clone())
        self.told.append(times.tolist())
        a = picture_wise(self.alpha_bar[times])
        return (x - a.sqrt() * self.picture) / (1 - a).sqrt()


class Walk(NamedTuple):
    """What an answer did."""

    returned: Value
    seen: list[Tensor]
    told: list[list[int]]


def _watch(answer: Answer, eps: OnePicture, *args: Value) -> Walk:
    return Walk(answer(eps, *args), eps.seen, eps.told)


def _scene(generator: torch.Generator) -> tuple:
    """eps, x, alpha_bar and six to eight falling times from T to 0, in strides of 1 to 3."""
    n = int(torch.randint(5, 8, (), generator=generator))
    strides = torch.randint(1, 4, (n,), generator=generator)
    strides[-2:] = torch.tensor([2, 1])  # also through t = 1, where there still is noise
    times = [0, *strides.flip(0).cumsum(0).tolist()][::-1]
    alpha_bar = table(times[0], generator)
    picture = 1.8 * torch.rand(2, 4, 5, generator=generator) - 0.9
    return OnePicture(picture, alpha_bar), torch.randn(3, 2, 4, 5, generator=generator), alpha_bar, times


def beta_tilde(a: Tensor, s: Tensor) -> Tensor:
    return (1 - s) / (1 - a) * (1 - a / s)


def _coefficient(a: Tensor, s: Tensor) -> Tensor:
    return (1 - a / s) / (1 - a).sqrt()


def _alpha(a: Tensor, s: Tensor) -> Tensor:
    return a / s


def _by(
    coefficient: Factor = _coefficient,  # of eps
    scale: Factor = _alpha,  # under the root that the mean is divided by
    variance: Factor = beta_tilde,
    stop: int | None = None,  # how many of the times are visited
) -> Answer:
    """Algorithm 2 with strides, but for what is given here."""

    def sample(eps: OnePicture, x: Tensor, alpha_bar: Tensor, times: list[int]) -> Tensor:
        for t, s in pairwise(times[:stop]):
            a, a_s = alpha_bar[t], alpha_bar[s]
            noise = eps(x, torch.full((len(x),), t))
            mean = (x - coefficient(a, a_s) * noise) / scale(a, a_s).sqrt()
            x = mean + variance(a, a_s).sqrt() * torch.randn_like(x)
        return x

    return sample


_repaired = _by()
SLIPS: Mistakes = (
    (
        _by(lambda a, s: (1 - a / s).sqrt()),
        "This is still your colleague's sampler: each step takes away more noise than it should. Compare it "
        "with algorithm 2, sign by sign. Where does the paper have a bar?",
    ),
    (
        _by(lambda a, s: (1 - a).sqrt()),
        "Now there is a bar too many, above the fraction: 1 - alpha_bar_t would take all noise out in "
        "one step. Above stands 1 - alpha_t, what this step has added.",
    ),
    (
        _by(lambda a, s: (1 - a) / (1 - a / s).sqrt()),
        "The bar is on the wrong side of the fraction: above stands 1 - alpha_t, what this step has added, "
        "and the bar belongs under the root.",
    ),
    (
        _by(lambda a, s: (1 - a / s) / (1 - a)),
        "The bar is in its place, but the root is gone: eps is divided by sqrt(1 - alpha_bar_t).",
    ),
    (
        _by(lambda a, s: (1 - a / s) / (1 - s).sqrt()),
        "The root has alpha_bar of the time that the step goes to. x is at time t: sqrt(1 - alpha_bar_t).",
    ),
    (
        _by(lambda a, s: (1 - a / s) / (1 - a.sqrt())),
        "The root is under the 1 - ... now. It is sqrt(1 - alpha_bar_t), not 1 - sqrt(alpha_bar_t).",
    ),
    (
        _by(lambda a, s: (1 - a / s) / a.sqrt()),
        "You divide eps by sqrt(alpha_bar_t), the share of the picture. It is the noise: sqrt(1 - "
        "alpha_bar_t).",
    ),
    (
        _by(lambda a, s: 1 - a / s),
        "The division is missing: eps is divided by sqrt(1 - alpha_bar_t).",
    ),
    (
        _by(lambda a, s: (1 - a / s).sqrt() / (1 - a).sqrt()),
        "Above the fraction stands 1 - alpha_t, without a root.",
    ),
    (
        _by(lambda a, s: (1 - a / s) * (1 - a).sqrt()),
        "You multiply with sqrt(1 - alpha_bar_t). Divide by it.",
    ),
    (_by(lambda a, s: -_coefficient(a, s)), "You add the noise that `eps` has found. It is subtracted."),
    (
        _by(scale=lambda a, s: a),
        "Your mean is divided by sqrt(alpha_bar_t), which undoes the whole way from x_0. One step is undone "
        "with sqrt(alpha_t): that line was right.",
    ),
    (
        _by(lambda a, s: (1 - a).sqrt(), scale=lambda a, s: a),
        "You put a bar everywhere, and so go to the guess of x_0 at once. One step has alpha_t in two "
        "places; only under the root below eps stands alpha_bar_t.",
    ),
    (
        _by(lambda a, s: (1 - a / s).sqrt(), scale=lambda a, s: a),
        "You divide the mean by sqrt(alpha_bar_t). That line was right; look at the factor before eps.",
    ),
    *(
        (
            _by(coefficient, variance=lambda a, s: 1 - a / s),
            "Your last step adds noise, which nothing takes away any more: a grain on all pictures. The "
            "variance was right, and is 0 there.",
        )
        for coefficient in (_coefficient, lambda a, s: (1 - a / s).sqrt())
    ),
    *(
        (
            _by(coefficient, variance=lambda a, s: torch.where(s < 1, 1 - a / s, 0)),
            "You changed the variance of the fresh noise to beta_t. That is the other choice in the paper, "
            "but it is not the defect: leave the line with sigma as it was.",
        )
        for coefficient in (_coefficient, lambda a, s: (1 - a / s).sqrt())
    ),
    *(
        (
            _by(coefficient, variance=lambda a, s: torch.zeros_like(a)),
            "You have left out the fresh noise. It is part of the chain: without it all pictures run to the "
            "same bland mean. The defect is elsewhere.",
        )
        for coefficient in (_coefficient, lambda a, s: (1 - a / s).sqrt())
    ),
    *(
        (
            _by(coefficient, variance=lambda a, s: beta_tilde(a, s).square()),
            "The root of sigma is gone: the fresh noise is multiplied with the standard deviation, not "
            "with the variance.",
        )
        for coefficient in (_coefficient, lambda a, s: (1 - a / s).sqrt())
    ),
    *(
        (
            _by(coefficient, variance=lambda a, s: 1 - s),
            "You changed sigma to that of q(x_s | x_0). It was right: leave that line as it was.",
        )
        for coefficient in (_coefficient, lambda a, s: (1 - a / s).sqrt())
    ),
)
TOO_SHORT = (
    "You stop before t = 0: ask `eps` once at each time but the last, here {n} times. `pairwise(times)` "
    "gives all the steps."
)


def _path(t: Trial) -> Trial:
    """The same trial, of which x after each step is looked at."""

    def observe(who: Answer, *args: Value) -> Tensor:
        walk = t.observe(who, *args)
        return torch.stack([*walk.seen[1:], walk.returned])

    return Trial(t.student, t.reference, t.draw, observe, t.seed)


def _pictures(t: Trial) -> str | None:
    yours = t.answer(t.student).returned
    if not_a_tensor(yours):
        return not_a_tensor(yours)
    wanted = tuple(t.args()[1].shape)
    if tuple(yours.shape) == wanted:
        return None
    return f"Your pictures have shape {tuple(yours.shape)}, they should have that of x, {wanted}."


def _all_times(t: Trial) -> str | None:
    told, times = t.answer(t.student).told, t.args()[3]
    wanted = [[time] * 3 for time in times[:-1]]
    if told == wanted:
        return None
    if told == wanted[: len(told)]:
        return TOO_SHORT.format(n=len(wanted))
    found = [row[0] for row in told]
    return (
        f"For the times {times} you ask `eps` at {found[:12]}. Ask once at each but the last, in this order."
    )


def _each_step(t: Trial) -> str | None:
    """The first step that goes elsewhere than the reference's, from the same x and with the same noise."""
    path = _path(t)
    times = t.args()[3]
    yours, right = path.answer(path.student), path.answer(path.reference)
    for (start, end), x, wanted in zip(pairwise(times), yours, right, strict=True):
        if not same(x, wanted, 1e-4, 1e-5):
            found = recognised(path, SLIPS)
            return f"{found} The step from t = {start} to {end} goes wrong. {difference(x, wanted)}".strip()
    return None


repaired = Exercise(
    id="6.9",
    title="Repair the sampler",
    difficulty=3,
    minutes=8,
    hints=(
        "The fresh noise is right, and so is the division by sqrt(alpha). Only one factor is not. Ask of "
        "each: does it speak of one step, or of the whole way from x_0?",
        "`eps` finds the noise of the whole way in x_t, where it stands with the weight sqrt(1 - "
        "alpha_bar_t). Which share of it did this one step add?",
    ),
    reference=_repaired,
    draw=_scene,
    observe=_watch,
    properties=(
        Property("pictures of x's shape", _pictures),
        Property("all times", _all_times, ((_by(stop=-1), "You stop before t = 0"),)),
        Property("each step", _each_step, SLIPS),
        input_unchanged(),
    ),
)
