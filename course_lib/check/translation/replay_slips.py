"""Wrong answers to exercise 5.5, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes
from course_lib.check.translation.played import Pool

TOO_MANY = (
    "Your pool holds {n} pictures, but its size is {size}. Ask for each picture, not for each batch, whether "
    "`len(pool) < size`; after that, a fresh one only takes the place of an old one."
)
NOT_SHOWN = (
    "While the pool fills up you show pictures that nobody made, zeros perhaps. Until it is full, show each "
    "fresh picture as it is, and keep it."
)
COIN_TOO_EARLY = (
    "You show old pictures while the pool fills up. Until it is full, show each fresh picture and keep it; "
    "the coin comes later."
)
STRANGE = (
    "You show a picture that is neither the fresh one nor one of the pool: has it been changed, or did it "
    "leave the pool earlier?"
)
LOST = (
    "You show a picture of the pool and leave the pool as it was: the fresh one is lost, and the pool grows "
    "old. The fresh one takes the place of the one that you show."
)
ANOTHER = (
    "The fresh picture takes the place of another than the one that you show. Draw one place, and use it "
    "twice: `i = ...`, then show `pool[i]`, then replace `pool[i]`."
)
NEVER_OLD = (
    "A full pool is never used: you always show the fresh picture. With probability 1/2 show an old one. "
    "(A seed that is set inside the function makes all coins alike.)"
)
NEVER_FRESH = (
    "Once the pool is full you never show a fresh picture. Toss a coin: with probability 1/2 show the fresh "
    "one, and leave the pool as it is. (A seed that is set inside the function makes all coins alike.)"
)
KEPT_TOO = (
    "A picture that is shown fresh changes the pool, too. If the coin says fresh, leave the pool as it is: "
    "half of all fakes are never kept."
)
OVERWRITTEN = (
    "The pool changes, but you always show the fresh picture: it is in its place before you have taken the "
    "old one out. First `old = pool[i]`, then `pool[i] = ...`, and show `old`."
)
TIED = (
    "What you show or keep still hangs on the graph that made it: D's `backward()` would walk back into G, "
    "through graphs of earlier steps. Keep and show `x.detach()`."
)

# `act` shows one picture x of a full pool, and may change the pool

Act = Callable[[Pool, int, Tensor], Tensor]


def _place(pool: Pool) -> int:
    return int(torch.randint(len(pool), ()))


def _coin(share: float = 0.5) -> bool:
    return torch.rand(()).item() < share


def _swap(pool: Pool, i: int, x: Tensor) -> Tensor:
    old, pool[i] = pool[i], x
    return old


def _each(act: Act, room: int = 0, keep: Callable[[Tensor], Tensor] = lambda x: x.detach().clone()) -> Answer:
    """Fills the pool up to size + room, then `act`s; `keep` is what becomes of a fresh picture first."""

    def replay(pool: Pool, size: int, fresh: Tensor) -> Tensor:
        shown = []
        for x in (keep(x) for x in fresh):
            if len(pool) < size + room:
                pool.append(x)
                shown.append(x)
            else:
                shown.append(act(pool, size, x))
        return torch.stack(shown)

    return replay


def _right(pool: Pool, size: int, x: Tensor) -> Tensor:
    return _swap(pool, _place(pool), x) if _coin() else x


right = _each(_right)


def _full_batches(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    if len(pool) < size:
        pool.extend(fresh.detach().clone())
        return fresh.detach().clone()
    return right(pool, size, fresh)


def _only_whole(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    if len(pool) + len(fresh) <= size:
        return right(pool, size, fresh)
    return fresh.detach().clone()


def _new_list(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    return right(list(pool), size, fresh)


def _zeros(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    shown = torch.zeros_like(fresh)
    for k, x in enumerate(fresh.detach().clone()):
        if len(pool) < size:
            pool.append(x)
        else:
            shown[k] = _right(pool, size, x)
    return shown


def _coin_from_the_start(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    shown = []
    for x in fresh.detach().clone():
        if pool and _coin():
            shown.append(pool[_place(pool)])
        else:
            shown.append(x)
        if len(pool) < size:
            pool.append(x)
    return torch.stack(shown)


def _one_coin(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    heads = _coin()
    return _each(lambda p, n, x: _swap(p, _place(p), x) if heads else x)(pool, size, fresh)


def _one_place(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    i = int(torch.randint(size, ()))
    return _each(lambda p, n, x: _swap(p, i, x) if _coin() else x)(pool, size, fresh)


def _at_once(pool: Pool, size: int, fresh: Tensor) -> Tensor:
    """All coins and places of a batch at once: two pictures may take the same place."""
    if len(pool) < size:
        return right(pool, size, fresh)
    x = fresh.detach().clone()
    heads, places = torch.rand(len(x)) < 0.5, torch.randint(size, (len(x),))
    shown = torch.where(heads[:, None, None, None], torch.stack(pool)[places], x)
    for k in heads.nonzero().flatten().tolist():
        pool[places[k]] = x[k]
    return shown


def _keeps_both(pool: Pool, size: int, x: Tensor) -> Tensor:
    if _coin():
        return _swap(pool, _place(pool), x)
    pool[_place(pool)] = x
    return x


def _replaces_another(pool: Pool, size: int, x: Tensor) -> Tensor:
    if not _coin():
        return x
    old = pool[_place(pool)]
    pool[_place(pool)] = x
    return old


def _no_replacing(pool: Pool, size: int, x: Tensor) -> Tensor:
    return pool[_place(pool)] if _coin() else x


def _grows(pool: Pool, size: int, x: Tensor) -> Tensor:
    if not _coin():
        return x
    old = pool[_place(pool)]
    pool.append(x)
    return old


def _shrinks(pool: Pool, size: int, x: Tensor) -> Tensor:
    return pool.pop(_place(pool)) if _coin() else x


def _overwrites(pool: Pool, size: int, x: Tensor) -> Tensor:
    if not _coin():
        return x
    i = _place(pool)
    pool[i] = x
    return pool[i]


FIRST: Mistakes = (
    (_new_list, "Your pool stays empty"),
    (_full_batches, "Ask for each picture, not for each batch"),
    (_each(_right, room=99), "`size`, the most that it may hold, plays no part"),
    (_each(_right, room=1), "Ask for each picture, not for each batch"),
    (_only_whole, "but they are not kept"),
    (_zeros, NOT_SHOWN),
    (_coin_from_the_start, COIN_TOO_EARLY),
    (lambda pool, size, fresh: list(fresh), "`torch.stack(...)` makes one"),
    (lambda pool, size, fresh: fresh.flatten(0, 1), "you return the shape"),
)
FULL: Mistakes = (
    (_each(lambda p, n, x: _swap(p, _place(p), x)), NEVER_FRESH),
    (_each(lambda p, n, x: x), NEVER_OLD),
    (_each(_keeps_both), KEPT_TOO),
    (_each(_no_replacing), LOST),
    (_each(_replaces_another), ANOTHER),
    (_each(_grows), "a fresh one only takes the place of an old one"),
    (_each(_shrinks), "Your pool shrinks"),
    (_each(_overwrites), OVERWRITTEN),
    (_each(lambda p, n, x: _swap(p, 0, x) if _coin() else x), "always take the picture at place 0"),
    (_each(lambda p, n, x: _swap(p, -1, x) if _coin() else x), "always take the picture at place 4"),
    (
        _each(lambda p, n, x: _swap(p, int(torch.randint(n - 1, ())), x) if _coin() else x),
        "Place 4 of a pool",
    ),
    (_each(lambda p, n, x: _swap(p, int(torch.randint(1, n, ())), x) if _coin() else x), "Place 0 of"),
    (_each(lambda p, n, x: _swap(p, _place(p), x) if _coin(0.7) else x), "% of what you show comes from"),
)
TOGETHER: Mistakes = (
    (_one_coin, "one coin for the whole batch"),
    (_one_place, "one place for the whole batch"),
    (_at_once, "two fresh ones took the same place"),
)
GRAPH: Mistakes = ((_each(_right, keep=lambda x: x), TIED),)
VIEWS: Mistakes = ((_each(_right, keep=lambda x: x.detach()), "it holds views"),)
