"""What exercise 5.5 is watched with: a pool that meets one batch after the other.

The pictures are all different, so each can be told by its first number: what is shown, and what the list
holds before and after each call, is noted as their numbers, 0, 1, 2, ... in the order in which they were
made; None is a picture that nobody made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.check.compare import not_a_tensor
from course_lib.check.core import Answer
from course_lib.check.explain import Complaint, kind_of

Pool = list[Tensor]
Names = list[int | None]
SHAPE = (2, 3, 4)  # of a picture


class Call(NamedTuple):
    before: Names  # what the pool held
    fresh: Names
    shown: Names
    after: Names
    tied: bool  # something shown, or kept, still hangs on the graph that made it
    changed: bool  # fresh was changed in place

    def old(self) -> bool:
        """Is something shown that was made earlier? For batches of one."""
        return self.shown != self.fresh


class Batches(NamedTuple):
    """What the inputs of a trial are: the size of the pool and the batches, one after the other."""

    size: int
    batches: Sequence[Tensor]


def batches(size: int, sizes: Sequence[int], generator: torch.Generator, tied: bool = False) -> tuple:
    """Pictures from -1 to 1, all different; `tied`: as a generator gives them, with a graph."""
    x = torch.rand(sum(sizes), *SHAPE, generator=generator) * 2 - 1
    x[:, 0, 0, 0] = torch.linspace(-1, 1, len(x))[torch.randperm(len(x), generator=generator)]
    parts = list(x.split(list(sizes)))
    if tied:
        parts = [torch.ones((), requires_grad=True) * part for part in parts]
    return (Batches(size, parts),)


def play(answer: Answer, given: Batches, overwrite: bool = False) -> list[Call]:
    """Call the answer with each batch. `overwrite`: after each call its batch is filled with zeros."""
    originals = torch.cat([part.detach() for part in given.batches])  # a copy
    number = {first: n for n, first in enumerate(originals[:, 0, 0, 0].tolist())}

    def names(pictures: Sequence[Tensor]) -> Names:
        x = torch.stack([x.detach() for x in pictures])
        found = [number.get(first, -1) for first in x[:, 0, 0, 0].tolist()]
        same = (x == originals[found]).flatten(1).all(1).tolist()
        return [n if ok else None for n, ok in zip(found, same, strict=True)]

    pool: Pool = []
    calls: list[Call] = []
    made = 0
    for part in given.batches:
        fresh: Names = list(range(made, made + len(part)))
        made += len(part)
        shown = _called(answer, pool, given.size, part)
        told = names([*shown, *pool])
        tied = shown.requires_grad or any(x.requires_grad for x in pool)
        changed = not torch.equal(part, originals[fresh])
        if overwrite:
            part.detach().zero_()
            shown.detach().zero_()
            told[len(part) :] = names(pool) if pool else []
        before = calls[-1].after if calls else []
        calls.append(Call(before, fresh, told[: len(part)], told[len(part) :], tied, changed))
    return calls


def _called(answer: Answer, pool: Pool, size: int, fresh: Tensor) -> Tensor:
    """What is shown. Ends the check where that, or what is kept, is no picture at all."""
    try:
        shown = answer(pool, size, fresh)
    except IndexError as error:
        if "list index out of range" in str(error) and len(pool) < size:
            raise Complaint(
                f"Your code asks for a place that the pool does not have: it holds {len(pool)}, fewer "
                f"than its size, {size}. As long as that is so, keep each picture."
            ) from None
        if "list index out of range" in str(error):
            raise Complaint(
                f"Your code asks for a place that a pool of {len(pool)} does not have: they begin at 0. "
                "`random.randint(0, n)` may give n; `random.randrange(n)` and `torch.randint(n, ())` do not."
            ) from None
        raise
    except RuntimeError as error:
        if "Boolean value of Tensor" in str(error):
            raise Complaint(
                "`x in pool` and `pool.remove(x)` compare pictures number by number. Draw a place i, and use "
                "`pool[i]`."
            ) from None
        raise
    if message := not_a_tensor(shown):
        raise Complaint(message)
    if shown.shape != fresh.shape:
        raise Complaint(
            f"For a batch of shape {tuple(fresh.shape)} you return the shape {tuple(shown.shape)}. Show as "
            "many pictures as came in: `torch.stack` makes one batch (B, C, H, W) of single ones (C, H, W)."
        )
    for x in pool:
        if not isinstance(x, Tensor):
            raise Complaint(f"Your pool holds {kind_of(x)}. Keep pictures: tensors (C, H, W).")
        if x.shape != fresh.shape[1:]:
            raise Complaint(
                f"Your pool holds a tensor of shape {tuple(x.shape)}. Keep single pictures (C, H, W), here "
                f"{tuple(fresh.shape[1:])}: go through the batch with `for x in fresh`."
            )
    return shown
