"""Exercise 7.5: is it new? Made pictures beside pictures that training never saw. arXiv 2301.13188."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.diffusion.mixtures import between
from course_lib.check.explain import kind_of
from course_lib.check.properties import input_unchanged, recognised
from course_lib.check.text.neighbours_slips import AXIS, NEAR, SHARES, checked, nearest
from course_lib.check.vae.told import on

Scene = tuple[Tensor, Tensor, Tensor]  # made, held_out, train
SHAPE = (3, 6, 6)


def _beside(pictures: Tensor, distances: Tensor, generator: torch.Generator) -> Tensor:
    """For each picture (N, ...) and distance (N,) another one exactly so far from it."""
    noise = torch.randn(len(distances), *SHAPE, generator=generator)
    size = noise.square().flatten(1).mean(1).sqrt()
    return pictures + (distances / size)[:, None, None, None] * noise


def _mixed(pictures: Tensor, generator: torch.Generator) -> Tensor:
    return pictures[torch.randperm(len(pictures), generator=generator)]


def _any_of(train: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return train[torch.randint(0, len(train), (n,), generator=generator)]


def _distances(generator: torch.Generator, *groups: tuple[int, float, float]) -> Tensor:
    """Of each group as many as it says, from a number up to another."""
    return torch.cat([low + (high - low) * torch.rand(n, generator=generator) for n, low, high in groups])


def _held_out(train: Tensor, generator: torch.Generator) -> Tensor:
    """61, so that the 5% quantile is the fourth distance, 0.2, and so are its neighbours. The near ones all
    lie beside one training picture, so that few training pictures have a near one among them."""
    near = _distances(generator, (2, 0.11, 0.13), (3, 0.2, 0.203))
    usual = _distances(generator, (3, 0.25, 0.27), (3, 0.29, 0.3), (50, 0.34, 0.4))
    pictures = torch.cat([train[:1].expand(8, *SHAPE), train[1:4], _any_of(train[1:], 50, generator)])
    return _beside(pictures, torch.cat([near, usual]), generator)


def _scene(generator: torch.Generator) -> Scene:
    """40 training pictures about 0.8 apart, 61 held-out ones, 34 made ones. Between each two of the
    thresholds that an answer might have lie some of the made ones' distances. Four are near held-out
    drawings, and the new ones are stronger than others, so that they are far from all."""
    train = torch.rand(40, *SHAPE, generator=generator) * 2 - 1
    held = _held_out(train, generator)
    a, b, c, d = (between(1, 3, generator) for _ in range(4))
    suspicious = _distances(
        generator, (a + 2, 0.055, 0.065), (b, 0.095, 0.105), (c, 0.135, 0.15), (d, 0.18, 0.19)
    )
    near = _distances(generator, (2, 0.207, 0.213), (2, 0.225, 0.24), (1, 0.275, 0.28))
    usual = _distances(generator, (2, 0.31, 0.325), (3, 0.382, 0.392), (1, 0.45, 0.5), (2, 0.72, 0.735))
    distances = torch.cat([suspicious, near, usual])
    beside_held = _beside(held[-4:], _distances(generator, (4, 0.07, 0.09)), generator)
    new = torch.rand(30 - len(distances), *SHAPE, generator=generator) * 3 - 1.5
    copied = _beside(_any_of(train[1:], len(distances), generator), distances, generator)
    made = torch.cat([copied, beside_held, new])
    return _mixed(made, generator), _mixed(held, generator), _mixed(train, generator)


def _copied(generator: torch.Generator) -> Scene:
    """The made ones are training pictures, in another order."""
    _, held, train = _scene(generator)
    return _mixed(train, generator), held, train


def _two(t: Trial) -> str | None:
    yours, (made, held_out, train) = t.answer(t.student), t.args()
    if not isinstance(yours, tuple | list) or len(yours) != 2:
        seen = f"{len(yours)} things" if isinstance(yours, tuple | list) else kind_of(yours)
        return f"You return {seen}. Return two: `distance, share`."
    distance, share = yours
    if not isinstance(distance, Tensor):
        return f"Your distance is {kind_of(distance)}. It is a tensor, one number for each made picture."
    if isinstance(share, Tensor) and share.shape == (len(made),) and distance.dim() == 0:
        return "The two are exchanged: return `distance, share`, in this order."
    if isinstance(share, bool) or (
        isinstance(share, Tensor) and share.dim() == 0 and share.dtype == torch.bool
    ):
        return (
            f"Your share is {bool(share)}, one yes or no for all of them. Asked is how many of the made "
            "pictures are suspicious: the mean of `distance < line`, as floats."
        )
    if not isinstance(share, Tensor | float | int) or (isinstance(share, Tensor) and share.numel() != 1):
        what = f"of shape {tuple(share.shape)}" if isinstance(share, Tensor) else kind_of(share)
        return f"Your share is {what}. It is one number: the mean over all made pictures."
    if distance.shape == (len(made),):
        return None
    if distance.shape == (len(held_out),):
        return "Those are the distances of the held-out drawings. Return those of the made pictures."
    if distance.shape == (len(train),):
        return AXIS
    return (
        f"Your distance has shape {tuple(distance.shape)}. It is ({len(made)},): one number for each made "
        "picture, the distance to its nearest training picture."
    )


def _distance(t: Trial) -> str | None:
    (yours, _), (right, _) = t.answer(t.student), t.answer(t.reference)
    if same(yours, right, 1e-3, 2e-3):
        return None
    first = Trial(t.student, t.reference, t.draw, lambda who, *args: t.observe(who, *args)[0], t.seed)
    told = recognised(first, NEAR, 1e-3, 2e-3)
    return f"{told} Your first distance is {yours[0]:.3g}, it should be {right[0]:.3g}.".strip()


def _share(t: Trial) -> str | None:
    (_, yours), (_, right) = t.answer(t.student), t.answer(t.reference)
    if same(float(yours), float(right), 1e-4, 1e-4):
        return None
    second = Trial(t.student, t.reference, t.draw, lambda who, *args: float(t.observe(who, *args)[1]), t.seed)
    told = recognised(second, SHARES)
    made, held_out, train = t.args()
    line = nearest(held_out, train).quantile(0.05)
    told = told or f"Below the line, which is {line:.3g} here, lie {right * len(made):.0f} of {len(made)}."
    return f"{told} Your share is {float(yours):.3g}, it should be {float(right):.3g}."


def _found_out(t: Trial) -> str | None:
    distance, share = t.answer(t.student)
    if distance.isnan().any():
        return (
            "For copies of training pictures some of your distances are not a number. By rounding, a squared "
            "distance of 0 can come out a little below 0, and has no root: use `.clamp(min=0)` before the "
            "root, or `torch.cdist`."
        )
    if distance.abs().max() > 5e-3 or not distance.isfinite().all():
        return (
            "For copies of training pictures the distance has to be 0; your largest is "
            f"{distance.abs().max():.3g}. Each made picture has to be compared with all training pictures."
        )
    if float(share) != 1:
        return f"All made pictures are copies here, so the share has to be 1; yours is {float(share):.3g}."
    return None


def _skips_itself(made: Tensor, held_out: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Takes distances of 0 for a picture's distance from itself."""
    distance, share = checked()(made, held_out, train)
    return torch.where(distance < 0.01, torch.ones_like(distance), distance), share


def _multiplied_out(made: Tensor, held_out: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """|a - b|^2 as |a|^2 - 2 a.b + |b|^2, which rounding takes below 0."""

    def near(x: Tensor, others: Tensor) -> Tensor:
        a, b = x.flatten(1), others.flatten(1)
        squares = a.square().sum(1)[:, None] - 2 * a @ b.T + b.square().sum(1)
        return (squares.amin(1) / a.shape[1]).sqrt()

    return checked(near)(made, held_out, train)


def _forgives(made: Tensor, held_out: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    distance, _ = checked()(made, held_out, train)
    theirs = nearest(held_out, train)
    return distance, ((distance < theirs.quantile(0.05)) & (distance > 0.01)).float().mean()


copies = Exercise(
    id="7.5",
    title="Is it new?",
    difficulty=3,
    minutes=12,
    hints=(
        "You need the distance to the nearest training picture twice: for the made pictures and for the "
        "held-out drawings. Write a small function for it. The second ones say what is usual: where is the "
        "line below which 5 of 100 of them lie?",
        "`x.flatten(1)` makes rows of pictures, and `torch.cdist(a, b)` gives the distances of all rows to "
        "all rows, (N, M), with a *sum* over the pixels under the root. The nearest of each row: "
        "`.min(1).values`. What must you divide by to have the mean under the root? (If you "
        "multiply the squares out yourself: rounding may leave a little less than 0 under the root.)",
        "`theirs.quantile(0.05)` is the line. `(mine < line)` is True where a made picture is suspicious; "
        "the mean of that, as floats, is the share.",
    ),
    reference=checked(),
    draw=_scene,
    properties=(
        Property("a distance for each, and a share", _two),
        Property("distance to the nearest", _distance, NEAR),
        Property("share of the suspicious", _share, SHARES),
        on(
            _copied,
            Property(
                "copies are found out",
                _found_out,
                (
                    (_skips_itself, "For copies of training pictures"),
                    (_multiplied_out, "By rounding, a squared distance"),
                    (_forgives, "All made pictures are copies here"),
                ),
            ),
        ),
        input_unchanged(),
    ),
)
