"""Exercise 7.4: some captions are left out, whole, so that a network learns to draw without one, too."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.diffusion.mixtures import between
from course_lib.check.properties import (
    device_kept,
    input_unchanged,
    recognised,
    shape,
)
from course_lib.check.vae.told import on
from course_lib.nn.text import PAD
from course_lib.words import START

Scene = tuple[Tensor, float, Tensor]  # tokens, share, chance
Which = Callable[[Tensor, float, Tensor], Tensor]  # -> (B, 1) or (B, L) bool: what is to be left out


def left_out(
    which: Which = lambda tokens, share, chance: (chance < share)[:, None],
    put: int = PAD,
    opening: bool = True,  # whether it is kept
) -> Answer:
    """The right answer, but for what is said here."""

    def drop_captions(tokens: Tensor, share: float, chance: Tensor) -> Tensor:
        emptied = tokens.masked_fill(which(tokens, share, chance), put)
        return torch.cat([tokens[:, :1], emptied[:, 1:]], 1) if opening else emptied

    return drop_captions


def _scene(generator: torch.Generator) -> Scene:
    """8 captions of 1 to 7 words in rows of 8 tokens: as many tokens as captions, so that a wrong axis gives
    numbers. The first fills its row. It and three others are left out, more than the share of 8; of those
    that stay one has exactly `share`, two are around 0.5, and one is above 1 - share."""
    tokens = torch.full((8, 8), PAD)
    for k, row in enumerate(tokens):
        n = 7 if k == 0 else between(1, 7, generator)
        row[0] = START
        row[1 : n + 1] = 2 + torch.randperm(30, generator=generator)[:n]
    share = between(13, 19, generator) / 64  # 0.2 to 0.3, a number that float32 has
    u = torch.rand(8, generator=generator)
    below = share * (0.3 + 0.6 * u[:4])
    others = torch.tensor([share, 0.42 + 0.06 * u[5], 0.52 + 0.06 * u[6], 0.85 + 0.1 * u[7]])
    rest = torch.cat([below[1:], others])[torch.randperm(7, generator=generator)]
    return tokens, share, torch.cat([below[:1], rest])


def _many(share: float) -> Callable[[torch.Generator], Scene]:
    """1,000 captions of 4 words in rows of 12."""

    def draw(generator: torch.Generator) -> Scene:
        tokens = torch.randint(2, 30, (1000, 12), generator=generator)
        tokens[:, 0], tokens[:, 5:] = START, PAD
        return tokens, share, torch.rand(1000, generator=generator)

    return draw


OWN = (
    "Two calls with the same inputs give different results: you draw random numbers of your own. They are "
    "given: `chance` has one for each caption."
)
AXIS = (
    "Your decisions run along the words: the same places go in all captions. `chance < share` has shape "
    "(B,); make it (B, 1), with `[:, None]`, and it counts for whole rows."
)
OPENING = (
    "The opening goes, too. It is the first token of each row, and it has to stay: attention needs one word "
    "that it may look at, or its softmax has nothing to share out (0 / 0)."
)
OTHERS = (
    "You leave out the wrong ones: `share` is the share of captions that go, those with `chance < share`. "
    "Yours are the others."
)
EXACTLY = (
    "You leave out a fixed number of captions, those with the smallest chances. Each one is decided by "
    "itself: those with `chance < share`, which may be more or fewer."
)
FIRST = "You leave out the first rows. Each caption has its own number: those with `chance < share` go."


def _smallest(n: int, chance: Tensor) -> Tensor:
    return (chance <= chance.sort().values[n - 1])[:, None]


def _first(n: int, chance: Tensor) -> Tensor:
    return (torch.arange(len(chance)) < n)[:, None]


MISTAKES: Mistakes = (
    (left_out(opening=False), OPENING),
    (left_out(lambda tokens, share, chance: (chance < share)[None, :], opening=False), f"{AXIS} {OPENING}"),
    (left_out(lambda tokens, share, chance: (chance < share)[None, :]), AXIS),
    (
        left_out(lambda tokens, share, chance: (chance <= share)[:, None]),
        "A caption whose `chance` is exactly `share` goes, too. Take `<`, not `<=`: `chance` can be 0, and "
        "with share 0 nothing goes.",
    ),
    (left_out(lambda tokens, share, chance: (chance >= share)[:, None]), OTHERS),
    (left_out(lambda tokens, share, chance: (chance > share)[:, None]), OTHERS),
    (left_out(lambda tokens, share, chance: _smallest(round(share * len(chance)), chance)), EXACTLY),
    (left_out(lambda tokens, share, chance: _smallest(int(share * len(chance)), chance)), EXACTLY),
    (left_out(lambda tokens, share, chance: _first(round(share * len(chance)), chance)), FIRST),
    (left_out(lambda tokens, share, chance: _first(int(share * len(chance)), chance)), FIRST),
    (
        left_out(lambda tokens, share, chance: (chance < 0.5)[:, None]),
        "Your threshold is 0.5, whatever `share` is: those with `chance < share` go.",
    ),
    (
        left_out(lambda tokens, share, chance: (chance < 1 - share)[:, None]),
        "You take `share` for the share that stays. It is the share that goes: `chance < share`.",
    ),
    (
        left_out(lambda tokens, share, chance: (chance > 1 - share)[:, None]),
        "You leave out captions with a large `chance`, above 1 - share. It was agreed to be those with "
        "`chance < share`.",
    ),
    (
        left_out(lambda tokens, share, chance: torch.zeros_like(tokens, dtype=torch.bool)),
        "All captions are as they were. Is that one decision for all? Each has its own number: those with "
        "`chance < share` go. (`masked_fill` returns a new tensor; keep what it returns.)",
    ),
    (
        left_out(lambda tokens, share, chance: torch.ones_like(tokens, dtype=torch.bool)),
        "All captions are emptied. Is that one decision for all? Each has its own number: only those with "
        "`chance < share` go.",
    ),
    (
        left_out(put=START),
        "You fill up with 1, the opening, and then there is a whole row of openings to look at. What stands "
        "for nothing is PAD, 0.",
    ),
    (
        left_out(put=-1),
        "You fill up with -1, and no word has that number. What stands for nothing is PAD, 0.",
    ),
    (
        lambda tokens, share, chance: tokens.masked_fill(
            (chance < share)[:, None] & (torch.arange(tokens.shape[1]) == 0), PAD
        ),
        "Only the opening goes, and the words stay. It is the other way round.",
    ),
    (
        lambda tokens, share, chance: tokens.masked_fill(
            (chance < share)[:, None] & (torch.arange(tokens.shape[1]) == 1), PAD
        ),
        "Only one word goes. A caption is left out whole: all its words become PAD.",
    ),
    (
        lambda tokens, share, chance: torch.cat(
            [tokens[:, :2], tokens.masked_fill((chance < share)[:, None], PAD)[:, 2:]], 1
        ),
        "The first word stays. Only the opening, token 0 of each row, is to be kept.",
    ),
    (
        lambda tokens, share, chance: torch.cat(
            [left_out()(tokens, share, chance)[:, :-1], tokens[:, -1:]], 1
        ),
        "The last token stays where a caption fills its row. All but the first are to be emptied.",
    ),
)


CAPTIONS_LOST = "Captions are missing: leave their rows, and empty them."
SHAPES: dict[tuple[int, ...], str] = {
    (8, 7): "The opening is missing: put `tokens[:, :1]` in front again.",
    (8, 9): "That is one token too many: is the opening there twice? Put it before `tokens[:, 1:]`, emptied.",
    (4, 8): CAPTIONS_LOST,
}


def _same_twice(t: Trial) -> str | None:
    first, *others = t.answers(t.student, 8)  # of eight captions: two draws may be alike, eight are not
    return None if all(same(first, other, 0, 0) for other in others) else OWN


def _own(tokens: Tensor, share: float, chance: Tensor) -> Tensor:
    return left_out()(tokens, share, torch.rand(len(tokens)))


def _single_words(tokens: Tensor, share: float, chance: Tensor) -> Tensor:
    return left_out(lambda tokens, share, chance: torch.rand(tokens.shape) < share)(tokens, share, chance)


def _rows(t: Trial) -> str | None:
    """All of a caption or nothing: that comes first, for it is the idea."""
    tokens, *_ = t.args()
    yours = t.answer(t.student)
    gone = ((yours != tokens) & (tokens > START))[:, 1:]  # words that are not what they were
    words = (tokens > START)[:, 1:]
    halves = gone.any(1) & (gone != words).any(1)
    if not halves.any():
        return None
    row = int(halves.nonzero()[0, 0])
    return recognised(t, MISTAKES) or (
        "A caption goes as a whole or stays as a whole. Of caption "
        f"{row} you leave out {int(gone[row].sum())} of {int(words[row].sum())} words."
    )


def _which(t: Trial) -> str | None:
    right, yours = t.answer(t.reference), t.answer(t.student)
    if same(yours, right, 0, 0):
        return None
    return f"{recognised(t, MISTAKES)} {difference(yours, right)}".strip()


def _none(t: Trial) -> str | None:
    tokens, *_ = t.args()
    changed = int((t.answer(t.student) != tokens).any(1).sum())
    return f"With share 0 no caption is left out; you change {changed} of {len(tokens)}." if changed else None


def _all(t: Trial) -> str | None:
    yours = t.answer(t.student)
    told = int((yours[:, 1:] != PAD).any(1).sum())
    if told:
        return f"With share 1 every caption is left out; {told} of your {len(yours)} still have words."
    if (yours[:, 0] != START).any():
        return OPENING
    return None


def _at_least_one(tokens: Tensor, share: float, chance: Tensor) -> Tensor:
    return left_out(lambda tokens, share, chance: ((chance < share) | (chance == chance.min()))[:, None])(
        tokens, share, chance
    )


def _at_most_half(tokens: Tensor, share: float, chance: Tensor) -> Tensor:
    return left_out()(tokens, min(share, 0.5), chance)


def _whole(t: Trial) -> str | None:
    yours = t.answer(t.student)
    if yours.dtype == torch.int64:
        return None
    return (
        f"Your tokens are {yours.dtype}. They are numbers of words and stay int64: an embedding wants that."
    )


drop_captions = Exercise(
    id="7.4",
    title="Now and then, say nothing",
    difficulty=2,
    minutes=8,
    hints=(
        "One decision for each caption: `chance < share`, (B,). It has to count for all tokens of its row "
        "but the first. What shape must it have for that?",
        "`[:, None]` makes (B, 1) of it, which fits (B, L). `tokens[:, 1:].masked_fill(gone, ...)` gives "
        "new tokens, with whatever you say in these rows, and leaves `tokens` as it was. What has to stand "
        "before them again, and how do you put it there?",
    ),
    reference=left_out(),
    draw=_scene,
    properties=(
        shape(SHAPES),
        Property("no chance of its own", _same_twice, ((_own, OWN), (_single_words, OWN))),
        Property("whole captions", _rows),
        Property("those with chance < share", _which, MISTAKES),
        on(_many(0.0), Property("share 0", _none, ((_at_least_one, "With share 0"),))),
        on(_many(1.0), Property("share 1", _all, ((_at_most_half, "With share 1"),))),
        input_unchanged(),
        Property("whole numbers", _whole),
        device_kept(),
    ),
)
