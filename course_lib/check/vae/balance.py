"""Exercise 2.7: draw every group equally often."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import close_to, input_unchanged, returns_tensor
from course_lib.check.vae.told import on, told


def _balanced_weights(groups: Tensor) -> Tensor:
    counts = _counts(groups)
    return 1 / (counts * len(groups.unique()))


def _counts(groups: Tensor) -> Tensor:
    """For each picture, how many there are in its group, as float (N,)."""
    return torch.bincount(groups)[groups].float()


def _table(generator: torch.Generator) -> tuple[Tensor]:
    """groups (N,), one column of a table: 4 of the labels 0 to 6, shuffled. The largest is there, 0 is not.

    Every group has another size, from 2 to 13.
    """
    labels = 1 + torch.randperm(5, generator=generator)[:3]
    sizes = 2 + torch.randperm(12, generator=generator)[:4]
    groups = torch.repeat_interleave(torch.cat([labels, torch.tensor([6])]), sizes)
    groups = groups[torch.randperm(len(groups), generator=generator)]
    return (torch.stack([groups, torch.arange(len(groups))], dim=1)[:, 0],)


def _others(generator: torch.Generator) -> tuple[Tensor]:
    """Two groups with other numbers, 3 and 11, one of them with a single picture."""
    groups = torch.full((int(torch.randint(5, 20, (), generator=generator)),), 3)
    groups[int(torch.randint(len(groups), (), generator=generator))] = 11
    return (groups,)


def _only_one(generator: torch.Generator) -> tuple[Tensor]:
    """A single group."""
    return (torch.full((int(torch.randint(5, 20, (), generator=generator)),), 4),)


def _from_counts(weights: Callable[[Tensor], Tensor]) -> Answer:
    """A wrong answer from the number of pictures in each picture's group, (N,)."""
    return lambda groups: weights(_counts(groups))


def _each_group(weights: Callable[[Tensor], Tensor]) -> Answer:
    """A wrong answer with one weight for each group that occurs, made from their sizes."""
    return lambda groups: weights(groups.unique(return_counts=True)[1].float())


def _normalised(x: Tensor) -> Tensor:
    return x / x.sum()


PER_GROUP = (
    "You return one weight for each group. Each picture needs its own, (N,): look up the weight of its group."
)

MISTAKES: Mistakes = (
    (
        _from_counts(lambda c: _normalised(c)),
        "Your weights grow with the size of the group, so large groups would be drawn even more often. "
        "Divide by the size.",
    ),
    (
        _from_counts(lambda c: c),
        "You return the size of each picture's group. Divide 1 by it, and make the weights sum to 1.",
    ),
    (
        _from_counts(lambda c: c / len(c)),
        "You return the share that each picture's group has now. Divide by it instead, and make the weights "
        "sum to 1.",
    ),
    (
        _from_counts(lambda c: 1 / c),
        "Your weights sum to the number of groups. Divide by that, so that they sum to 1.",
    ),
    (
        _from_counts(lambda c: 1 / (c * len(c))),
        "You divide by the number of pictures. Divide by the number of groups: the weights must sum to 1.",
    ),
    (
        _from_counts(lambda c: len(c) / c),
        "Your weights are as large as they are in a loss, not as a probability: divide them by their sum.",
    ),
    (
        lambda groups: len(groups) * _balanced_weights(groups),
        "Your weights sum to N, as they would in a loss. Probabilities sum to 1: leave N out.",
    ),
    (
        lambda groups: 1 / (_counts(groups) * (groups.max() + 1)),
        "You count groups that never occur: the number of groups is not the largest label plus 1. Divide by "
        "the sum of the weights, or count with `groups.unique()`.",
    ),
    (
        lambda groups: 1 / (_counts(groups) * groups.max()),
        "You take the largest label for the number of groups. Divide by the sum of the weights, or count "
        "with `groups.unique()`.",
    ),
    (
        _from_counts(lambda c: torch.full_like(c, 1 / len(c))),
        "Every picture has the weight 1/N: that is how they are drawn now, large groups more often.",
    ),
    (
        _from_counts(lambda c: _normalised(1 / c.sqrt())),
        "You divide by the square root of the size, which goes only half the way. Divide by the size itself.",
    ),
    (
        _from_counts(lambda c: _normalised(1 / c.square())),
        "You divide by the square of the size, so that now the small groups are drawn more often. Divide by "
        "the size itself.",
    ),
    (
        _from_counts(lambda c: c.min() / c),
        "You divide by the largest weight, so the largest is 1. Divide by the sum, so that the sum is 1.",
    ),
    (
        _from_counts(lambda c: 1 - c / len(c)),
        "You return 1 minus the share of the group. That favours small groups, but not in the right measure: "
        "divide 1 by the size.",
    ),
    (
        _from_counts(lambda c: _normalised(1 - c / len(c))),
        "You use 1 minus the share of the group. That favours small groups, but not in the right measure: "
        "divide 1 by the size.",
    ),
    (
        _from_counts(lambda c: (1 / c).softmax(0)),
        "You use softmax, which takes the exponential first. Divide the weights by their sum.",
    ),
    (
        _from_counts(lambda c: (-c).softmax(0)),
        "You use softmax, which takes the exponential first. Take 1 divided by the size, divided by the sum "
        "of all of these.",
    ),
    (
        lambda groups: (1 / _counts(groups)) / (1 / groups.unique(return_counts=True)[1]).sum(),
        "You make the weights of the groups sum to 1, and then every picture takes one. It is the N weights "
        "of the pictures that must sum to 1: divide at the end.",
    ),
    (
        lambda groups: (1 / torch.bincount(groups)).div((1 / torch.bincount(groups)).sum())[groups],
        "All your weights are 0: a group that does not occur has 0 pictures, and 1/0 is infinite. Divide by "
        "the sum after looking up the weight of each picture.",
    ),
    (
        lambda groups: torch.full_like(groups, 1 / len(groups.unique()), dtype=torch.float32),
        "You give each picture the weight of its whole group. It is shared by the pictures of the group: "
        "divide it by their number.",
    ),
    (
        lambda groups: _normalised(groups.float()),
        "Your weights come from the group's label. That is only a name: what counts is how many pictures "
        "have it.",
    ),
    (_each_group(lambda c: 1 / c), PER_GROUP),
    (_each_group(lambda c: _normalised(1 / c)), PER_GROUP),
    (_each_group(lambda c: _normalised(c)), PER_GROUP),
    (_each_group(lambda c: torch.full_like(c, 1 / len(c))), PER_GROUP),
    (_each_group(lambda c: 1 / (c * len(c))), PER_GROUP),
    (lambda groups: 1 / torch.bincount(groups), PER_GROUP),
    (lambda groups: _normalised(1 / torch.bincount(groups).clamp(min=1)), PER_GROUP),
)


def _floats(t: Trial) -> str | None:
    yours = t.answer(t.student)
    if yours.is_floating_point():
        return None
    return (
        f"Your weights have the type {yours.dtype}, which has no fractions. Return floats, `torch.float32`."
    )


def _equal(t: Trial) -> str | None:
    (groups,) = t.args()
    yours = t.answer(t.student)
    if yours.shape != groups.shape:
        return f"Your result has shape {tuple(yours.shape)}, it should be {tuple(groups.shape)}."
    shares = [yours[groups == label].sum().item() for label in groups.unique()]
    if max(shares) - min(shares) < 1e-4 * max(shares):
        return None
    sizes = torch.bincount(groups)
    lines = [f"{s:.3g} ({n} pictures)" for s, n in zip(shares, sizes[sizes > 0].tolist(), strict=True)]
    return f"The weights of your groups sum to {', '.join(lines)}. These sums should be equal."


def _sum_to_1(t: Trial) -> str | None:
    total = t.answer(t.student).sum().item()
    return None if abs(total - 1) < 1e-4 else f"All your weights together sum to {total:.4g}, it should be 1."


balanced_weights = Exercise(
    id="2.7",
    title="Every group equally often",
    difficulty=2,
    minutes=8,
    hints=(
        "Each of the G groups that occur should be drawn with probability 1/G, and its pictures share that "
        "equally. So what is the weight of one picture in a group of 5? In a group of 500?",
        "`torch.bincount(groups)` counts how often each number occurs, and `counts[groups]` looks up, for "
        "each picture, how many there are in its group. The weight goes with 1 divided by that.",
        "`weights = 1 / torch.bincount(groups)[groups]` has the right proportions. Divide it by its sum, and "
        "groups that don't occur play no part.",
    ),
    reference=_balanced_weights,
    draw=_table,
    properties=(
        returns_tensor(),
        Property(
            "floats",
            _floats,
            ((lambda groups: _balanced_weights(groups).long(), "which has no fractions"),),
        ),
        told("each group equally often", _equal, MISTAKES),
        told("weights that sum to 1", _sum_to_1, MISTAKES),
        close_to(name="the pictures of a group alike"),
        on(_others, close_to(name="groups with other numbers")),
        on(_only_one, close_to(name="one group alone")),
        input_unchanged(),
    ),
)
