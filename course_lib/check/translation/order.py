"""Exercise 5.6: one step of CycleGAN, and who moves when. J.-Y. Zhu et al., arXiv 1703.10593, section 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Exercise, Mistakes, Property, Trial, Value
from course_lib.check.explain import kind_of
from course_lib.check.gan.steps import (
    CLEARED,
    FROZEN,
    MODE,
    NO_BACKWARD,
    NO_STEP,
    OTHER_OPTIMIZER,
    TOO_EARLY,
    fill,
    left_in_order,
)
from course_lib.check.properties import close_to, recognised
from course_lib.check.translation.turn import D_IN_BETWEEN, NOT_DETACHED, TWICE, Watched, scene, watch
from course_lib.check.translation.turn_slips import D_LOSSES, G_LOSSES, step
from course_lib.check.translation.turn_steps import (
    D_STEPS,
    G_STEPS,
    LEFT_BY_G,
    OLD,
    backward_in_two,
    d_first,
    d_helps,
    d_in_between,
    evaluates,
    freezes,
    keeps_the_graph,
    losses_after,
    not_detached,
    returns_graphs,
)
from course_lib.check.vae.told import on

Player = Literal["G", "D"]
WHO: dict[Player, tuple[str, str]] = {"G": ("G", "F"), "D": ("D_A", "D_B")}

GRAPH = (
    "You return a tensor that holds the whole graph of its computation: a list of such losses fills the "
    "memory. Return Python numbers, `loss.item()`."
)
TWO = "Return two floats: the loss of G and F, then that of the D's."
D_FIRST = (
    "The D's move first here, so G and F are judged by other D's than they should be. G and F move first, "
    "then the D's."
)
D_HELPS = (
    "`opt_D` steps on the loss of G and F, too: so the D's help to be fooled. Before their own backward() "
    "only `opt_G` steps."
)
AFTER = "You return the losses after the steps. Compute each once, before its step, and return those."


def _two_floats(t: Trial) -> str | None:
    value = t.answer(t.student).returned
    if not isinstance(value, tuple | list) or len(value) != 2:
        seen = f"{len(value)} things" if isinstance(value, tuple | list) else kind_of(value)
        return f"You return {seen}. {TWO}"
    for part in value:
        if isinstance(part, Tensor) and part.requires_grad:
            return GRAPH
        if not isinstance(part, float):
            way = " Use `.item()`." if hasattr(part, "item") else ""
            return f"Among what you return is {kind_of(part)}. {TWO}{way}"
    return None


def _seen(pick: Callable[[Watched], Value], t: Trial) -> Trial:
    """The same trial, of which only a part is looked at."""
    return replace(t, observe=lambda who, *scene: pick(t.observe(who, *scene)))


def _returned(place: int, prop: Property) -> Property:
    """The same property, of one of the two losses; its name says of which."""

    def test(t: Trial) -> str | None:
        message = prop.test(_seen(lambda w: w.returned[place], t))
        return message and f"{message} This is about {prop.name}."

    return replace(prop, test=test)


def _changes(player: Player) -> Callable[[Watched], Value]:
    return lambda watched: [watched.changes[name] for name in WHO[player]]


def _moved(player: Player, name: str, mistakes: Mistakes) -> Property:
    """The weights of G and F, or of the D's, after one step from no gradients."""
    pick = _changes(player)

    def test(t: Trial) -> str | None:
        yours, right = t.answer(t.student), t.answer(t.reference)
        if any(c.any() for c in pick(yours)) and "step" not in yours.logs[player]:
            return fill(OTHER_OPTIMIZER, player)
        if same(pick(yours), pick(right), 1e-3, 1e-5):
            return None
        found = _did_not_move(player, yours) or recognised(_seen(pick, t), mistakes, 1e-3, 1e-5)
        return found or _moved_otherwise(player, yours, right)

    return Property(name, test, mistakes)


def _did_not_move(player: Player, yours: Watched) -> str:
    if any(change.any() for change in _changes(player)(yours)):
        return ""
    log = yours.logs[player]
    own = log.count("backward") - (player == "D")  # the first that reaches the D's is that of G's loss
    if "empty step" not in log and own > 0:
        return fill(NO_STEP, player)
    if own <= 0:
        return fill(NO_BACKWARD, player)
    last = len(log) - 1 - log[::-1].index("backward")
    return TOO_EARLY if log.index("empty step") < last else CLEARED


def _moved_otherwise(player: Player, yours: Watched, right: Watched) -> str:
    steps = yours.logs[player].count("step")
    if steps > 1:
        return f"`opt_{player}` makes {steps} steps. It makes one for both networks."
    others = [n for n in WHO[player] if not same(yours.changes[n], right.changes[n], 1e-3, 1e-5)]
    return (
        f"You return the right loss, but the step of {' and '.join(others)} does not follow it. Cut nothing "
        f"off, call `backward()` on the loss that you return, and then `opt_{player}.step()`."
    )


def _detached(t: Trial) -> str | None:
    """After the step of G and F no backward() reaches them any more."""
    log = t.answer(t.student).logs["G"]
    return NOT_DETACHED if "backward" in log[log.index("step") :] else None


def _old_gradients(t: Trial) -> str | None:
    yours, right = t.answer(t.student).changes, t.answer(t.reference).changes
    for player, names in WHO.items():
        if not all(same(yours[name], right[name], 1e-3, 1e-5) for name in names):
            return OLD if player == "G" else LEFT_BY_G
    return None


turns = Exercise(
    id="5.6",
    title="Whose turn is it?",
    difficulty=4,
    minutes=20,
    hints=(
        "Write down what each of the two losses needs: which fakes, and which networks as they were when? "
        "Whoever moves first must not change what the other's loss has yet to be computed with. And look "
        "where G's `backward()` leaves gradients that nobody asked for.",
        "First `fake_b = G(a)` and `fake_a = F(b)`. The loss of G and F: both D's are to say 1, and "
        "`cycle` times the distances of F(fake_b) from a and of G(fake_a) from b. Clear, backward, step. "
        "Then the D's, on the same two fakes, detached; clear *again before* this second backward, since the "
        "first has gone through the D's.",
        "`loss_D = (square(D_B(b) - 1) + square(D_B(fake_b.detach())) + square(D_A(a) - 1) + "
        "square(D_A(fake_a.detach()))) / 2`, with `square` the mean of the squares. Then "
        "`opt_D.zero_grad()`, `loss_D.backward()`, `opt_D.step()`, `return loss_G.item(), loss_D.item()`.",
    ),
    reference=step(),
    draw=scene,
    observe=watch,
    properties=(
        Property(
            "two floats, and no error",
            _two_floats,
            (
                (d_in_between, D_IN_BETWEEN),
                (not_detached, NOT_DETACHED),
                (backward_in_two, TWICE),
                (returns_graphs, GRAPH),
                (step(said=lambda g, d: g + d), TWO),
                (step(said=lambda g, d: (torch.tensor(g), torch.tensor(d))), TWO),
            ),
        ),
        _returned(
            0,
            close_to(
                (d_first, D_FIRST),
                (losses_after, AFTER),
                (
                    step(said=lambda g, d: (d, g)),
                    "The losses are exchanged: that of G and F comes first.",
                ),
                *G_LOSSES,
                name="the loss of G and F",
            ),
        ),
        _moved("G", "G and F after their step", G_STEPS),
        _returned(1, close_to((d_helps, D_HELPS), *D_LOSSES, name="the loss of the D's")),
        _moved("D", "D_A and D_B after their step", D_STEPS),
        Property("fakes detached for the D's", _detached, ((keeps_the_graph, NOT_DETACHED),)),
        on(
            lambda g: scene(g, leftovers=True),
            Property("old gradients cleared", _old_gradients, ((step(order_g="backward step"), OLD),)),
        ),
        left_in_order((freezes, FROZEN.format(who="D_A and D_B")), (evaluates, MODE)),
    ),
)
