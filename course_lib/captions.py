"""Data sets of pictures with captions, whose words are numbers (see `words`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor

from course_lib import data
from course_lib.sets import STYLES, Drawings, Index, People, to_floats
from course_lib.words import encode, vocabulary


@dataclass(frozen=True, eq=False)
class Captioned:
    """Pictures with captions as tokens. `data[index]` is (x, tokens): floats in [-1, 1], (B, L) int64.

    Where a caption begins with a style, this word is left out at random, for a share `bare` of the pictures:
    so the network learns what a caption without a style means.
    """

    x: Tensor  # (N, C, H, W) uint8
    tokens: Tensor  # (N, L) int64
    without: Tensor  # (N, L) int64: the same captions without their style
    bare: float = 0.1

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Index) -> tuple[Tensor, Tensor]:
        tokens, without = self.tokens[index], self.without[index]
        left_out = torch.rand(tokens.shape[:-1], device=tokens.device) < self.bare
        return to_floats(self.x[index]), torch.where(left_out[..., None], without, tokens)

    def to(self, device: torch.device | str) -> Captioned:
        """The same set with its tensors on `device`."""
        return replace(
            self, x=self.x.to(device), tokens=self.tokens.to(device), without=self.without.to(device)
        )


LENGTH = 12  # tokens of a caption of `people`, whose longest has 8 words with its style


def people_words() -> tuple[str, ...]:
    """The words of the training captions of `data.people`, and the names of the two styles."""
    return tuple(sorted({*vocabulary(data.people("train").captions), *STYLES}))


def people(length: int = LENGTH) -> Captioned:
    """The training drawings of people, 32x32 on white, each with a caption that names its style first.

    Such as "noto woman cook: dark skin tone". The held-out combinations are not among them.
    """
    drawn, words = data.people("train"), people_words()
    return Captioned(
        x=drawn.x,
        tokens=encode(with_style(drawn), words, length),
        without=encode(drawn.captions, words, length),
    )


def with_style(drawn: People) -> list[str]:
    """The captions of drawn people, each opened by the name of its style."""
    return [f"{STYLES[s]} {caption}" for s, caption in zip(drawn.style.tolist(), drawn.captions, strict=True)]


EMOJI_STYLES: tuple[Literal["noto", "twemoji", "fluent3d"], ...] = ("noto", "twemoji", "fluent3d")
EMOJI_LENGTH = 10  # tokens of a caption of `emoji`
THINGS = (
    "Smileys & Emotion",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
)  # without people, who have a set of their own, and symbols, which are rather letters
TOLD = THINGS[:3]  # what captions are learnt for


def emoji_drawings(split: Literal["train", "held_out"] = "train", kinds: Sequence[str] = TOLD) -> Drawings:
    """Things in three styles, 64x64 on white, with captions such as "fluent3d hot pepper".

    Of every 20th concept the style fluent3d is held out: the concept is known, and so is the style. Both come
    from the training concepts of `data.emoji`. N = 1,079 / 19 for faces, animals, plants and food; 2,365 / 41
    for all THINGS.
    """
    sets = [_only(THINGS, data.emoji("train", style)) for style in EMOJI_STYLES]
    drawn = replace(
        sets[0],
        x=torch.cat([one.x for one in sets]),
        y=torch.cat([one.y for one in sets]),  # type: ignore[misc]
        captions=tuple(f"{style} {caption}" for style in EMOJI_STYLES for caption in sets[0].captions),
        concepts=sets[0].concepts * 3,
        tags=sets[0].tags * 3,
    )
    row = torch.arange(len(drawn))
    held = (row >= 2 * len(sets[0])) & (row % len(sets[0]) % 20 == 0)
    return _only(kinds, drawn.subset(held if split == "held_out" else ~held))


def _only(kinds: Sequence[str], drawn: Drawings) -> Drawings:
    """Those of some categories."""
    return drawn.subset(torch.tensor([drawn.names[k] in kinds for k in cast(Tensor, drawn.y)]))


def emoji_words() -> tuple[str, ...]:
    """The words of the training captions of `emoji`, styles included."""
    return vocabulary(emoji_drawings("train").captions)


def emoji(length: int = EMOJI_LENGTH) -> Captioned:
    """The training drawings of `emoji_drawings` with their captions."""
    drawn, words = emoji_drawings("train"), emoji_words()
    bare = [caption.split(" ", 1)[1] for caption in drawn.captions]
    return Captioned(drawn.x, encode(drawn.captions, words, length), encode(bare, words, length))
