"""Exercise 5.4: the identity loss, arXiv 1703.10593, section 5.2."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import (
    backward_left_to_caller,
    close_to,
    device_kept,
    dtype_kept,
    input_unchanged,
    returns_tensor,
)
from course_lib.check.translation.cycle import (
    HALF,
    MEAN,
    ONE_EACH,
    SIGNED,
    SQUARE,
    Translation,
    both,
    both_learn,
    differentiates,
    gap,
    observe,
    scene,
)
from course_lib.check.vae.told import named, on


def _identity_loss(G: Translation, F: Translation, a: Tensor, b: Tensor) -> Tensor:
    return gap(G(b), b) + gap(F(a), a)


def _by(distance: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """The right two pairs of pictures, with another distance."""
    return lambda G, F, a, b: distance(G(b), b) + distance(F(a), a)


VALUES: Mistakes = (
    (
        lambda G, F, a, b: gap(G(a), a) + gap(F(b), b),
        "You ask that G leaves a as it is: then it would translate nothing. What must G leave alone? A "
        "picture that is of kind B already, b; and F leaves a.",
    ),
    (
        lambda G, F, a, b: gap(G(a), b) + gap(F(b), a),
        "You compare G(a) with b. That needs pairs, and here are none. G gets b, and should leave it alone.",
    ),
    (
        lambda G, F, a, b: gap(G(b), a) + gap(F(a), b),
        "You compare with the picture of the other kind. G gets b, and its answer is compared with b itself.",
    ),
    (
        lambda G, F, a, b: gap(G(b), F(a)),
        "You compare the two answers with each other. Compare G(b) with b, and F(a) with a.",
    ),
    (
        lambda G, F, a, b: gap(F(G(a)), a) + gap(G(F(b)), b),
        "That is the cycle loss of exercise 5.3. Here each translator is used once, on what needs no "
        "translation.",
    ),
    (lambda G, F, a, b: gap(G(b), b), "You have G's half only. F has one, too: add |F(a) - a|."),
    (lambda G, F, a, b: gap(F(a), a), "You have F's half only. G has one, too: add |G(b) - b|."),
    (lambda G, F, a, b: gap(G(b), b) + gap(F(b), b), "F's half is on b. F makes pictures of A: give it a."),
    (lambda G, F, a, b: gap(G(a), a) + gap(F(a), a), "G's half is on a. G makes pictures of B: give it b."),
    (lambda G, F, a, b: gap(G(b), b) - gap(F(a), a), "You subtract one half. Add the two."),
    (lambda G, F, a, b: _identity_loss(G, F, a, b) / 2, HALF),
    (_by(lambda x, y: (x - y).square().mean()), SQUARE),
    (_by(lambda x, y: (x - y).square().mean().sqrt()), SQUARE),
    (_by(lambda x, y: (x - y).abs().sum()), MEAN),
    (_by(lambda x, y: (x - y).abs().sum() / len(x)), MEAN),
    (_by(lambda x, y: (x - y).mean()), SIGNED),
    (_by(lambda x, y: (x - y).mean().abs()), SIGNED),
    (_by(lambda x, y: (x - y).abs()), ONE_EACH),
    (_by(lambda x, y: (x - y).abs().flatten(1).mean(1)), ONE_EACH),
)


def _zero(t: Trial) -> str | None:
    value = t.answer(t.student).item()
    if value == 0:
        return None
    return f"Where both leave everything as it is, the loss is exactly 0; you get {value:.5g}."


def _seen(t: Trial) -> str | None:
    _, _, a, b = t.args()
    value, wanted = t.answer(t.student).item(), (2 * a.abs().mean() + 2 * b.abs().mean()).item()
    if abs(value - wanted) < 1e-4:
        return None
    return (
        f"Where both make negatives, x moves by 2|x|, so the loss is 2 E|a| + 2 E|b| = {wanted:.5g}; you get "
        f"{value:.5g}."
    )


def _plus_a_little(G: Translation, F: Translation, a: Tensor, b: Tensor) -> Tensor:
    return _by(lambda x, y: ((x - y).square() + 1e-12).sqrt().mean())(G, F, a, b)


CUT = (
    "The value is right, but one translator learns nothing from it: its half is detached, or computed under "
    "`torch.no_grad()`."
)
GRADIENTS: Mistakes = (
    (lambda G, F, a, b: gap(G(b).detach(), b) + gap(F(a), a), CUT),
    (lambda G, F, a, b: gap(G(b), b) + gap(F(a).detach(), a), CUT),
    (lambda G, F, a, b: _identity_loss(G, F, a, b).detach(), "no gradient reaches G or F"),
)

identity_loss = Exercise(
    id="5.4",
    title="What is sand already",
    difficulty=1,
    minutes=5,
    hints=(
        "G turns pictures of A into pictures of B. Which pictures has it no work with? Those are what this "
        "loss shows to G, and it asks for no work.",
        "b is of kind B already, so G(b) should be b. In the same way F, which makes pictures of A, should "
        "leave a as it is. E |x - y| is `(x - y).abs().mean()`.",
        "`return (G(b) - b).abs().mean() + (F(a) - a).abs().mean()`.",
    ),
    reference=_identity_loss,
    draw=scene,
    observe=observe,
    properties=(
        backward_left_to_caller(differentiates(_identity_loss)),
        returns_tensor(),
        close_to(*VALUES, name="any two translators"),
        on(both(lambda x: x), Property("0 where nothing changes", _zero, ((_plus_a_little, "exactly 0"),))),
        on(both(torch.neg), Property("negatives are seen", _seen)),
        both_learn("The value is right, but its gradient for G and F is not: is a part cut off?", GRADIENTS),
        named("inputs unchanged", input_unchanged()),
        dtype_kept(),
        device_kept(),
    ),
)
