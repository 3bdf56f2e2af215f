"""The properties of one player's step that exercises 3.2 and 3.3 have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Answer, Mistakes, Property, Trial
from course_lib.check.explain import kind_of
from course_lib.check.gan.scene import Player, Watched, scene
from course_lib.check.vae.told import on

NO_BACKWARD = "No gradient reaches {me}: is `loss.backward()` missing, or are its brackets?"
TOO_EARLY = "`step()` runs before `backward()`, so it finds no gradients, or old ones."
CLEARED = "The gradients are cleared between `backward()` and `step()`: clear them earlier."
NO_STEP = "The gradients are there, but {me} stays as it was: `opt_{me}.step()` is missing, or its brackets."
OTHER_OPTIMIZER = "{me} changes, but not by `opt_{me}.step()`. Use the optimizer that you are given."
UPHILL = "{me} goes in the opposite direction, up the hill: is there a minus sign before the loss?"
LEFTOVERS = (
    "Your step adds old gradients to its own: {other}'s last step has left some in {me}, and torch sums "
    "gradients up. Call `opt_{me}.zero_grad()` before `backward()`, with its brackets."
)
FROZEN = (
    "After your step {who} can no longer be trained: you switch `requires_grad` off. Switch it on again "
    "before the end."
)
MODE = "After your step a network is in evaluation mode. Leave `.eval()` out, or call `.train()` at the end."


def fill(sentence: str, me: str) -> str:
    """The sentence with the players' names: `me` is the one who is trained."""
    return sentence.format(me=me, other="D" if me == "G" else "G")


def returns_a_float(me: str, *mistakes: tuple[Answer, str]) -> Property:
    """The loss as a Python number."""

    def test(t: Trial) -> str | None:
        value = t.answer(t.student).returned
        if isinstance(value, float):
            return None
        if isinstance(value, Tensor) and value.requires_grad:
            return (
                "You return a tensor that holds the whole graph of its computation: a list of such losses "
                "fills the memory. Return a Python number, `loss.item()`."
            )
        way = " Use `.item()`." if hasattr(value, "item") else ""
        return f"You return {kind_of(value)}. Return a float: {me}'s loss, as a Python number.{way}"

    return Property("returns a float", test, mistakes)


def returns_the_loss(mistakes: Mistakes) -> Property:
    """The loss before the step."""

    def value(t: Trial, who: Answer) -> Tensor:
        return torch.as_tensor(t.answer(who).returned).detach()

    def test(t: Trial) -> str | None:
        yours, right = value(t, t.student), value(t, t.reference)
        if same(yours, right, 1e-4, 1e-5):
            return None
        numbers = f"You return {yours.item():.5g}, the loss before the step is {right.item():.5g}."
        for wrong, sentence in mistakes:
            if all(same(value(u, u.student), value(u, wrong), 1e-4, 1e-5) for u in (t, t.anew())):
                return f"{sentence} {numbers}"
        return numbers

    return Property("the loss before the step", test, mistakes)


def one_step(me: str, mistakes: Mistakes) -> Property:
    """The weights of the player who is trained, after a step from no gradients."""

    def test(t: Trial) -> str | None:
        yours, wanted = t.answer(t.student), t.answer(t.reference).change
        message = _did_not_move(yours) or _moved_otherwise(yours, wanted)
        if message or same(yours.change, wanted, 1e-3, 1e-5):
            return fill(message, me) if message else None
        for wrong, sentence in mistakes:
            if same(yours.change, t.answer(wrong).change, 1e-3, 1e-5):
                return sentence
        times = (yours.change.norm() / wanted.norm()).item()
        return (
            f"You return the right loss, but the step follows another one: it is {times:.3g} times as long "
            "as it should be. Call `backward()` on the loss that you return."
        )

    return Property(f"{me}'s weights after one step", test, mistakes)


def _did_not_move(yours: Watched) -> str:
    if yours.change.any():
        return ""
    if "backward" not in yours.log:
        return NO_BACKWARD
    if "empty step" not in yours.log:
        return NO_STEP
    too_early = yours.log.index("empty step") < yours.log.index("backward")
    return TOO_EARLY if too_early else CLEARED


def _moved_otherwise(yours: Watched, wanted: Tensor) -> str:
    steps = yours.log.count("step")
    if steps == 0 and yours.change.any():
        return OTHER_OPTIMIZER
    if steps > 1:
        return f"One call makes {steps} steps. Make one: the loop over the batches stands outside."
    return UPHILL if same(yours.change, -wanted, 1e-3, 1e-5) else ""


def old_gradients_cleared(me: Player, *mistakes: tuple[Answer, str]) -> Property:
    """The same step where the player begins with gradients of the other's last step."""

    def test(t: Trial) -> str | None:
        if same(t.answer(t.student).change, t.answer(t.reference).change, 1e-3, 1e-5):
            return None
        return fill(LEFTOVERS, me)

    prop = Property("old gradients cleared", test, mistakes)
    return on(lambda g: (scene(me, g, leftovers=True),), prop)


def left_in_order(*mistakes: tuple[Answer, str]) -> Property:
    """Both players can be trained further, in training mode, and the inputs are as they were."""

    def test(t: Trial) -> str | None:
        yours = t.answer(t.student)
        if yours.frozen:
            return FROZEN.format(who=" and ".join(yours.frozen))
        if not yours.modes_kept:
            return MODE
        if not yours.inputs_kept:
            return "Your function changes its inputs in place. Compute something new instead."
        return None

    return Property("everything left in order", test, mistakes)
