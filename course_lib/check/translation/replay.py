"""Exercise 5.5: the pool of earlier fakes, arXiv 1703.10593, section 4; arXiv 1612.07828, section 2.3."""

from __future__ import annotations

from collections import Counter

import torch

from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.explain import Complaint
from course_lib.check.translation.played import Call, batches, play
from course_lib.check.translation.replay_slips import (
    ANOTHER,
    COIN_TOO_EARLY,
    FIRST,
    FULL,
    GRAPH,
    KEPT_TOO,
    LOST,
    NEVER_FRESH,
    NEVER_OLD,
    NOT_SHOWN,
    OVERWRITTEN,
    STRANGE,
    TIED,
    TOGETHER,
    TOO_MANY,
    VIEWS,
    right,
)
from course_lib.check.vae.told import on, tolerance

ONES = 700  # pictures that come one by one, once the pool is full
EIGHTS = 60  # batches of eight


def _size(t: Trial) -> int:
    """Of the pool."""
    return int(t.args()[0].size)


def _when_full(t: Trial) -> list[Call]:
    """The calls that found the pool full."""
    size = _size(t)
    calls = [call for call in t.answer(t.student) if len(call.before) >= size]
    if not calls:
        raise Complaint("Your pool never gets full: while it holds fewer than `size`, keep each picture.")
    return calls


# What each property says


def _filling(t: Trial) -> str | None:
    size = _size(t)
    calls = t.answer(t.student)
    if len(calls[-1].after) == sum(len(call.fresh) for call in calls):
        return "Your pool keeps every picture: `size`, the most that it may hold, plays no part."
    for number, call in enumerate(calls):
        new = call.fresh[: max(size - len(call.before), 0)]  # of this batch, these fill the pool
        if not call.after:
            return (
                "Your pool stays empty. Change the list that you are given: `pool.append(x)`. "
                "`pool = pool + [x]` makes another list, which is lost."
            )
        if len(call.after) > size:
            return TOO_MANY.format(n=len(call.after), size=size)
        if new and call.shown[: len(new)] != new:
            blank = None in call.shown[: len(new)]
            return NOT_SHOWN if blank else COIN_TOO_EARLY
        rest = zip(call.shown[len(new) :], call.fresh[len(new) :], strict=True)  # where the coin decides
        if new and len(call.after) + sum(x != y for x, y in rest) < min(len(call.before) + len(new), size):
            return (
                f"Call {number + 1} finds room for {len(new)} more in the pool, but they are not kept. While "
                "there are fewer than `size`, keep each picture."
            )
    return None


def _swapping(t: Trial) -> str | None:
    calls, size = _when_full(t), _size(t)
    old = sum(call.old() for call in calls)
    for call in calls:
        if len(call.after) > size:
            return TOO_MANY.format(n=len(call.after), size=size)
        if len(call.after) < size:
            return "Your pool shrinks: the fresh picture must take the place of the one that you show."
        message = _swap(call, old > 0)
        if message:
            return message
    return _coins(calls, old) or _places(calls, old, size)


def _swap(call: Call, ever_old: bool) -> str | None:
    """One picture at a full pool. `ever_old`: do others get to see an old one?"""
    (fresh,), (shown,) = call.fresh, call.shown
    before, after = Counter(call.before), Counter(call.after)
    if shown == fresh:
        if before == after:
            return None
        return KEPT_TOO if ever_old else OVERWRITTEN
    if shown not in before:
        return STRANGE
    if before == after:
        return LOST
    return None if after == before - Counter([shown]) + Counter([fresh]) else ANOTHER


def _coins(calls: list[Call], old: int) -> str | None:
    """The share of old pictures among those shown."""
    if old == 0:
        return NEVER_OLD
    if old == len(calls):
        return NEVER_FRESH
    if abs(old / len(calls) - 0.5) > tolerance(0.5, len(calls)):
        return (
            f"{old / len(calls):.0%} of what you show comes from the pool, over {len(calls):,} pictures. "
            "Toss a fair coin."
        )
    return None


def _places(calls: list[Call], old: int, size: int) -> str | None:
    """The places of the pool that old pictures come from."""
    found = Counter(call.before.index(call.shown[0]) for call in calls if call.old())
    if len(found) == 1:
        return f"You always take the picture at place {next(iter(found))} of the list. Draw a random place."
    missing = [i for i in range(size) if not found[i]]
    if missing:
        return (
            f"Place {missing[0]} of a pool of {size} is never drawn. `torch.randint(size, ())` and "
            "`random.randrange(size)` give 0 to size - 1."
        )
    fair = 1 / size
    for i in range(size):
        if abs(found[i] / old - fair) > tolerance((fair * (1 - fair)) ** 0.5, old):
            return (
                f"{found[i] / old:.0%} of the old pictures come from place {i} of {size}. Draw all places "
                "with the same probability."
            )
    return None


def _in_batches(t: Trial) -> str | None:
    calls = _when_full(t)
    for c in calls:
        if Counter(c.before) + Counter(c.fresh) != Counter(c.after) + Counter(c.shown):
            return (
                "In a batch of 8 a picture gets lost, or is shown twice: two fresh ones took the same place. "
                "Go through the batch one by one, so that each finds the pool as the last one left it."
            )
    old = [sum(s != f for s, f in zip(c.shown, c.fresh, strict=True)) for c in calls]
    if all(n in (0, 8) for n in old):
        return "You toss one coin for the whole batch. Toss one for each picture."
    if all(sum(x != y for x, y in zip(c.before, c.after, strict=True)) <= 1 for c in calls):
        return "You draw one place for the whole batch. Draw one for each picture."
    return None


def _free(t: Trial) -> str | None:
    return TIED if any(c.tied for c in t.answer(t.student)) else None


def _copies(t: Trial) -> str | None:
    if all(None not in c.after for c in t.answer(t.student, *t.args(), True)):
        return None
    return (
        "When the batch, or what you returned, is overwritten after the call, your pool changes with it: it "
        "holds views. A view also keeps its whole batch in memory. Keep copies: `x.detach().clone()`."
    )


def _batch_kept(t: Trial) -> str | None:
    if any(c.changed for c in t.answer(t.student)):
        return "Your function changes `fresh` in place. Collect what is shown in a list of your own."
    return None


def _ones(generator: torch.Generator) -> tuple:
    return batches(5, [1] * (5 + ONES), generator)


def _eights(generator: torch.Generator) -> tuple:
    return batches(10, [10] + [8] * EIGHTS, generator)


def _first(generator: torch.Generator) -> tuple:
    """Batches of 4, and a pool of 22 or 23 that gets full in the middle of one of them."""
    return batches(22 + int(torch.randint(2, (), generator=generator)), [4] * 7, generator)


replay = Exercise(
    id="5.5",
    title="A memory of fifty",
    difficulty=3,
    minutes=15,
    hints=(
        "Go through the batch picture by picture. For each there are three cases: there is room in the pool; "
        "it is full and the coin says old; it is full and the coin says fresh. In which of them does the "
        "pool change?",
        "Make `x = x.detach().clone()` of each picture first. With room: `pool.append(x)`, and show x. Else, "
        "if `torch.rand(()) < 0.5`, draw a place `i = int(torch.randint(size, ()))`; show what is there and "
        "put x there. Else show x. Collect what is shown in a list.",
        "The swap in one line is `x, pool[i] = pool[i], x`: after it x is the old picture. `shown.append(x)` "
        "ends all three cases, and `torch.stack(shown)` the function.",
    ),
    reference=right,
    draw=_first,
    observe=play,
    properties=(
        Property("the first ones, kept and shown", _filling, FIRST),
        on(_ones, Property("a full pool: the coin, the place, the swap", _swapping, FULL)),
        on(_eights, Property("a coin and a place for each picture", _in_batches, TOGETHER)),
        on(lambda g: batches(6, [4, 4, 4], g, tied=True), Property("no graph", _free, GRAPH)),
        Property("copies, not views", _copies, VIEWS),
        Property("the batch left unchanged", _batch_kept),
    ),
)
