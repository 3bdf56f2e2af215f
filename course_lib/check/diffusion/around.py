"""Exercise 6.8: the known part of a picture around its hole, at time t: arXiv 2201.09865, eq. 8."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.diffusion.mixtures import (
    NOT_FINITE,
    between,
    noises,
    picture,
    schedule,
    spoken,
    steady,
)
from course_lib.check.properties import device_kept, dtype_kept, input_unchanged, recognised
from course_lib.check.vae.told import on

Scene = tuple[Tensor, Tensor, Tensor, int, Tensor, Tensor]  # x, picture, known, t, alpha_bar, noise
Weight = Callable[[Tensor], Tensor]  # of alpha_bar[t]


def noised(true: Tensor, noise: Tensor, a: Tensor) -> Tensor:
    """DDPM eq. 4."""
    return a.sqrt() * true + (1 - a).sqrt() * noise


def step(
    around: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda x, true, noise, a: noised(
        true, noise, a
    ),
    inside: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = lambda x, true, noise, a: x,
    a_of: Callable[[Tensor, int], Tensor] = lambda alpha_bar, t: alpha_bar[t],
    turned: bool = False,  # the mask is taken for its opposite
) -> Answer:
    """The right answer, but for what is said here. `around` and `inside` are of x, picture, noise, a."""

    def inpaint_step(
        x: Tensor, picture: Tensor, known: Tensor, t: int, alpha_bar: Tensor, noise: Tensor
    ) -> Tensor:
        at = x, picture, noise, a_of(alpha_bar, t)
        return torch.where(known != turned, around(*at), inside(*at))

    return inpaint_step


def _mixed(of_true: Weight = torch.sqrt, of_noise: Weight = lambda a: (1 - a).sqrt()) -> Answer:
    """Around the hole, the picture and the noise with these weights."""
    return step(lambda x, true, noise, a: of_true(a) * true + of_noise(a) * noise)


def _scene(generator: torch.Generator, time: int | None = None) -> Scene:
    """All (B, 2, 4, 5); t from 3 to T - 2. In the hole, which is at 5 to 12 of 20 pixels, the picture holds
    garbage."""
    x, noise = noises(2, generator)
    true = torch.rand(x.shape, generator=generator) * 2 - 1
    order = torch.rand(x[:, :1].flatten(1).shape, generator=generator).argsort(1).view_as(x[:, :1])
    known = (order >= between(5, 12, generator)).expand_as(x).clone()
    alpha_bar = schedule(generator)
    t = between(3, len(alpha_bar) - 3, generator) if time is None else time
    return x, torch.where(known, true, 3 + true), known, t, alpha_bar, noise


CLEAN = (
    "You put the clean picture around the hole. x is as noisy as time t says, and the network looks for that "
    "noise everywhere: make the known part as noisy, with `alpha_bar[t]` and `noise`."
)
TURNED = (
    "The mask is turned around: you keep x where the picture is known, and show the picture's garbage where "
    "it is not. `known` is True where the picture is known."
)
KEEP_X = "In the hole x stays as it is: it is what the network has made so far."

NOISIER = (
    "You make x noisier in the hole: did you put the two together first, and add the noise then? x is at "
    "time t already. Add it to the picture only."
)

INSIDE: Mistakes = (
    (step(turned=True), TURNED),
    (step(lambda x, true, noise, a: true, turned=True), TURNED),
    (
        step(inside=lambda x, true, noise, a: noised(true, noise, a)),
        f"You put the noisy picture everywhere, also into the hole, where nothing is known. {KEEP_X}",
    ),
    (
        step(lambda x, true, noise, a: true, lambda x, true, noise, a: true),
        f"You return the picture, with the garbage in its hole. {KEEP_X}",
    ),
    (step(inside=lambda x, true, noise, a: noise), f"You begin anew in the hole, with noise. {KEEP_X}"),
    (step(inside=lambda x, true, noise, a: (1 - a).sqrt() * noise), f"The hole holds only noise. {KEEP_X}"),
    (step(inside=lambda x, true, noise, a: noised(x, noise, a)), NOISIER),
    (
        step(inside=lambda x, true, noise, a: x + (1 - a).sqrt() * noise),
        f"You add noise in the hole, too. {KEEP_X}",
    ),
    (step(inside=lambda x, true, noise, a: 0 * x), f"The hole is empty in your result. {KEEP_X}"),
    (
        lambda x, true, known, t, alpha_bar, noise: (x + noised(true, noise, alpha_bar[t])) / 2,
        "You take the mean of both everywhere. Choose for each pixel, with `torch.where`.",
    ),
    (
        lambda x, true, known, t, alpha_bar, noise: x + noised(true, noise, alpha_bar[t]),
        "You add both everywhere. Choose for each pixel, with `torch.where`.",
    ),
    (
        step(inside=lambda x, true, noise, a: a.sqrt() * x),
        f"You make x weaker in the hole. {KEEP_X}",
    ),
    (
        step(inside=lambda x, true, noise, a: x.clamp(-1, 1)),
        f"You clip x in the hole. {KEEP_X}",
    ),
)

AROUND: Mistakes = (
    (step(lambda x, true, noise, a: true), CLEAN),
    (step(lambda x, true, noise, a: x), "You return x: the picture plays no part around the hole."),
    (
        step(lambda x, true, noise, a: (x + noised(true, noise, a)) / 2),
        "You blend x into the known part. There the picture alone counts.",
    ),
    (
        step(lambda x, true, noise, a: x + noised(true, noise, a)),
        "You add x to the known part. There the picture alone counts: choose, with `torch.where`.",
    ),
    (
        step(lambda x, true, noise, a: noised(x, noise, a)),
        "You make x noisy. What is known is in `picture`: take that.",
    ),
    (
        step(lambda x, true, noise, a: a.sqrt() * true + (1 - a).sqrt() * x),
        "You take x for the noise. Use `noise`, which is given.",
    ),
    (_mixed(of_noise=lambda a: 0 * a), "The noise is missing: sqrt(1 - alpha_bar[t]) times `noise`."),
    (_mixed(of_true=torch.ones_like), "The picture has no weight: sqrt(alpha_bar[t]) of it is left."),
    (_mixed(of_noise=torch.ones_like), "The noise has no weight: sqrt(1 - alpha_bar[t])."),
    (_mixed(torch.ones_like, torch.ones_like), "Picture and noise are added as they are, without weights."),
    (
        _mixed(lambda a: a, lambda a: 1 - a),
        "The roots are missing: alpha_bar is the share of the variance, so the weights are square roots.",
    ),
    (_mixed(of_true=lambda a: a), "The root is missing before the picture: sqrt(alpha_bar[t])."),
    (_mixed(of_noise=lambda a: 1 - a), "The root is missing before the noise: sqrt(1 - alpha_bar[t])."),
    (
        _mixed(lambda a: (1 - a).sqrt(), torch.sqrt),
        "The weights are exchanged: sqrt(alpha_bar[t]) belongs to the picture.",
    ),
    (_mixed(of_noise=lambda a: -(1 - a).sqrt()), "You subtract the noise. Add it."),
    (
        _mixed(lambda a: 1 / a.sqrt(), lambda a: -((1 - a) / a).sqrt()),
        "You take noise away, as for the guess of x_0. The picture is clean: add noise to it.",
    ),
    (
        step(a_of=lambda alpha_bar, t: alpha_bar[t - 1]),
        "The known part has the noise of time t - 1. x is at time t: take `alpha_bar[t]`.",
    ),
    (
        step(a_of=lambda alpha_bar, t: alpha_bar[t + 1]),
        "The known part has the noise of time t + 1. x is at time t: take `alpha_bar[t]`.",
    ),
    (
        step(a_of=lambda alpha_bar, t: alpha_bar[-1]),
        "The known part has all the noise of time T. x is at time t: take `alpha_bar[t]`.",
    ),
    (
        step(a_of=lambda alpha_bar, t: alpha_bar[t] / alpha_bar[t - 1]),
        "You take alpha_t, the noise of one step. The picture is clean, so it needs all of it, "
        "`alpha_bar[t]`.",
    ),
    (
        step(a_of=lambda alpha_bar, t: alpha_bar[: t + 1].prod()),
        "You multiply the table up once more. The bar says that this is done already: take `alpha_bar[t]`.",
    ),
    (step(lambda x, true, noise, a: noise), "Only noise stands around the hole: the picture is missing."),
    (
        step(lambda x, true, noise, a: 0 * true),
        "What is known is 0 in your result. Put the noisy picture there.",
    ),
    (
        step(lambda x, true, noise, a: noised(true, noise, a).clamp(-1, 1)),
        "You clip the known part. With noise on it, a picture goes beyond [-1, 1], as x does.",
    ),
)


def _part(name: str, in_hole: bool, mistakes: Mistakes) -> Property:
    """One part of the result, in the hole or around it."""

    def test(t: Trial) -> str | None:
        x, true, known, time, alpha_bar, noise = t.args()
        here = known != in_hole
        right, yours = (t.answer(who)[here] for who in (t.reference, t.student))
        if same(yours, right, 1e-4, 1e-5):
            return None
        if not yours.isfinite().all():
            return NOT_FINITE
        parts: Mapping[str, Tensor] = {"x": x[here], "picture": true[here], "noise": noise[here]}
        found, wanted = spoken(yours, parts), spoken(right, parts)
        where = (
            "In the hole"
            if in_hole
            else f"Where the picture is known, with alpha_bar[t] {alpha_bar[time]:.3f},"
        )
        seen = (
            f"{where} your result is {found}; it should be {wanted}."
            if found not in (None, wanted)
            else f"{where} {int((yours - right).abs().gt(1e-4).sum())} of {yours.numel()} values are wrong."
        )
        return f"{recognised(t, mistakes)} {seen}".strip()

    return Property(name, test, mistakes)


def _exact(t: Trial) -> str | None:
    x, true, known, *_ = t.args()
    yours = t.answer(t.student)
    off = (yours - true)[known].abs().max().item()
    if off == 0:
        return (
            None
            if torch.equal(yours[~known], x[~known])
            else f"At t = 0, too: {KEEP_X[0].lower()}{KEEP_X[1:]}"
        )
    return (
        f"At t = 0 the known pixels have to be the picture's, exactly; yours are up to {off:.2g} off. "
        "`alpha_bar[0]` is 1, so no noise is added there."
    )


def _blends(x: Tensor, true: Tensor, known: Tensor, t: int, alpha_bar: Tensor, noise: Tensor) -> Tensor:
    a = alpha_bar[t].clamp(max=0.9999)
    return torch.where(known, noised(true, noise, a), x)


def _forgets_the_hole(
    x: Tensor, true: Tensor, known: Tensor, t: int, alpha_bar: Tensor, noise: Tensor
) -> Tensor:
    return step()(x, true, known, t, alpha_bar, noise) if t > 0 else true.clone()


inpaint_step = Exercise(
    id="6.8",
    title="A frame around the hole",
    difficulty=2,
    minutes=8,
    hints=(
        "Two pictures come together, pixel by pixel. In the hole: which of the inputs is it? Around it you "
        "want the true picture, but x is a picture of time t. What would the true one look like at time t?",
        "Noise for the whole picture is one line, as in exercise 6.1: sqrt(alpha_bar[t]) of it and "
        "sqrt(1 - alpha_bar[t]) of `noise`. Then choose: `torch.where(mask, a, b)` takes a where the mask is "
        "True, else b.",
    ),
    reference=step(),
    draw=_scene,
    properties=(
        picture("x, picture and noise have one shape, and so has the result."),
        steady(
            "Two calls with the same inputs give different results: you draw noise of your own. Use `noise`, "
            "which is given.",
            step(lambda x, true, noise, a: noised(true, torch.randn_like(x), a)),
        ),
        _part("x kept in the hole", True, INSIDE),
        _part("the picture around it, at time t", False, AROUND),
        on(
            lambda generator: _scene(generator, time=0),
            Property(
                "exact at t = 0",
                _exact,
                (
                    (_blends, "At t = 0 the known pixels have to be"),
                    (_forgets_the_hole, "At t = 0, too: in the hole x stays"),
                ),
            ),
        ),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
