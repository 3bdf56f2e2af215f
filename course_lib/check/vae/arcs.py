"""The formula of exercise 2.4, and the ways to get it wrong."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes


def lerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The point at t on the straight line."""
    return (1 - t) * a + t * b


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Of the angle between two directions, within its bounds whatever the rounding."""
    return (a @ b / (a.norm() * b.norm())).clamp(-1, 1)


def spherical(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The reference: the point at t on the arc."""
    w = torch.acos(cosine(a, b))
    if torch.sin(w) < 1e-6:
        return lerp(a, b, t)
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)


def with_angle(angle: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """The formula with this for the angle w."""

    def answer(a: Tensor, b: Tensor, t: float) -> Tensor:
        w = angle(a, b)
        return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)

    return answer


def _with_weights(weights: Callable[[Tensor, float], tuple[Tensor, Tensor]]) -> Answer:
    """The right angle w, with these weights of a and b made from it and t."""

    def answer(a: Tensor, b: Tensor, t: float) -> Tensor:
        of_a, of_b = weights(torch.acos(cosine(a, b)), t)
        return of_a * a + of_b * b

    return answer


def _unit(x: Tensor) -> Tensor:
    return x / x.norm()


def _sin(t: float) -> Tensor:
    return torch.sin(torch.tensor(t))


NOT_DIVIDED = (
    "You take the arccosine of the plain dot product. Divide it by both lengths first: the angle belongs to "
    "the directions, and for long codes the arccosine would not exist."
)

MISTAKES: Mistakes = (
    (
        lerp,
        "That is the straight line, which cuts through the inside of the circle. Use the weights with sines.",
    ),
    (
        lambda a, b, t: spherical(a, b, 1 - t),
        "t and 1 - t are swapped: at t = 0 the result must be a, so a has the weight with 1 - t.",
    ),
    (with_angle(lambda a, b: torch.acos(a @ b)), NOT_DIVIDED),
    (
        with_angle(lambda a, b: torch.acos(_unit(a) @ b)),
        "You divide the dot product by the length of a only. Divide it by both lengths.",
    ),
    (
        with_angle(lambda a, b: torch.acos(_unit(b) @ a)),
        "You divide the dot product by the length of b only. Divide it by both lengths.",
    ),
    (
        with_angle(lambda a, b: torch.acos(a @ b / (a.norm() * b.norm()).square())),
        "You divide the dot product by the squares of the lengths. Divide it by the lengths themselves.",
    ),
    (
        with_angle(cosine),
        "You use the cosine as if it were the angle. The angle is its arccosine, `torch.acos`.",
    ),
    (
        with_angle(lambda a, b: torch.rad2deg(torch.acos(cosine(a, b)))),
        "Your angle is in degrees, and `torch.sin` takes radians: leave the conversion out.",
    ),
    (
        with_angle(lambda a, b: torch.asin(cosine(a, b))),
        "You take the arcsine of the cosine. The angle is its arccosine, `torch.acos`.",
    ),
    (
        with_angle(lambda a, b: torch.cos(cosine(a, b))),
        "You take the cosine of the cosine. The angle is its arccosine, `torch.acos`.",
    ),
    (
        _with_weights(lambda w, t: (torch.sin((1 - t) * w), torch.sin(t * w))),
        "You don't divide by sin(w), so that not even the ends come out right.",
    ),
    (
        _with_weights(lambda w, t: (torch.sin((1 - t) * w), torch.sin(t * w) / torch.sin(w))),
        "Only the second term is divided by sin(w): brackets are missing around the sum.",
    ),
    (
        _with_weights(lambda w, t: (torch.sin((1 - t) * w) / w, torch.sin(t * w) / w)),
        "You divide by the angle w. Divide by its sine.",
    ),
    (
        _with_weights(lambda w, t: (torch.sin(1 - t * w) / w.sin(), torch.sin(t * w) / w.sin())),
        "Brackets are missing around 1 - t: the weight of a is sin((1 - t) w) / sin(w).",
    ),
    (
        _with_weights(lambda w, t: (_sin(1 - t) * w / w.sin(), _sin(t) * w / w.sin())),
        "You multiply the sine of t with w. The product belongs inside: sin(t w).",
    ),
    (
        _with_weights(lambda w, t: (torch.cos((1 - t) * w) / w.cos(), torch.cos(t * w) / w.cos())),
        "You use cosines where the formula has sines.",
    ),
    (
        _with_weights(lambda w, t: (torch.cos((1 - t) * w) / w.sin(), torch.cos(t * w) / w.sin())),
        "You use cosines above the line, where the formula has sines.",
    ),
    (
        _with_weights(lambda w, t: (torch.sin((1 - t) * w) / w.sin(), torch.sin((1 - t) * w) / w.sin())),
        "Both codes have the weight with 1 - t. That of b is sin(t w) / sin(w).",
    ),
    (
        _with_weights(lambda w, t: (torch.sin(t * w) / w.sin(), torch.sin(t * w) / w.sin())),
        "Both codes have the weight with t. That of a is sin((1 - t) w) / sin(w).",
    ),
    (
        _with_weights(lambda w, t: (torch.sin((1 - t) * w) / w.sin(), -torch.sin(t * w) / w.sin())),
        "You subtract the second term: add it.",
    ),
    (
        lambda a, b, t: spherical(_unit(a), _unit(b), t),
        "You mix the codes after dividing them by their lengths. Only the angle needs directions: mix a and "
        "b themselves.",
    ),
    (
        lambda a, b, t: _unit(spherical(a, b, t)),
        "You divide the result by its length. Leave it: a and b must come back at the ends as they are.",
    ),
    (
        lambda a, b, t: _unit(lerp(a, b, t)),
        "That is the straight line, brought to length 1. Use the weights with sines, and leave the length.",
    ),
    (
        lambda a, b, t: _unit(lerp(a, b, t)) * ((1 - t) * a.norm() + t * b.norm()),
        "That is the straight line with its length corrected, so that the angle does not grow evenly. Use "
        "the weights with sines.",
    ),
    (
        lambda a, b, t: spherical(_unit(a), _unit(b), t) * ((1 - t) * a.norm() + t * b.norm()),
        "You turn the direction and stretch the length apart from each other. The formula mixes a and b "
        "themselves.",
    ),
)
