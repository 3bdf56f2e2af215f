"""Captions in plain words: how they become numbers, and data sets of pictures with captions.

A caption is a set of words that the network has met: "woman cook: dark skin tone" is woman, cook, dark. The
order carries nothing that the words do not carry themselves, so it is not told, and whoever types a caption
is free in it. In a row of tokens, 0 pads and 1 opens every caption; the empty caption is this opening alone,
so that there is always something to look at. Word i of a vocabulary is token i + 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from course_lib import data
from course_lib.errors import CourseError
from course_lib.nn.text import PAD as PAD
from course_lib.sets import STYLES, Drawings, Index, People, to_floats

START = 1  # beside PAD = 0

# "skin tone" follows every tone and articles come from people who type whole sentences: they say nothing
SILENT = ("skin", "tone", "a", "an", "the")


def tokenise(caption: str) -> list[str]:
    """The words of a caption, lower case, each once and in their order; without punctuation and SILENT words.

    A hyphen between letters joins, so "medium-dark" is one word that has nothing to do with "dark"; typed
    with a space it is the same word.
    """
    text = re.sub(r"\bmedium\s+(light|dark)\b", r"medium-\1", caption.lower().replace("’", "'"))
    return [word for word in dict.fromkeys(re.findall(r"\w+(?:[-']\w+)*", text)) if word not in SILENT]


def vocabulary(captions: Iterable[str]) -> tuple[str, ...]:
    """All words of some captions, in alphabetical order."""
    return tuple(sorted({word for caption in captions for word in tokenise(caption)}))


def unknown(caption: str, words: Sequence[str]) -> dict[str, list[str]]:
    """The words of a caption that a vocabulary lacks, each with up to three that are spelled alike."""
    return {
        word: difflib.get_close_matches(word, words, 3) for word in tokenise(caption) if word not in words
    }


def encode(captions: Sequence[str], words: Sequence[str], length: int) -> Tensor:
    """Captions as rows of tokens: (B, length) int64, opened by START and filled up with PAD.

    Raises CourseError that names the words that are not in `words`, and for captions of `length` words or
    more, the opening included.
    """
    number = {word: i + 2 for i, word in enumerate(words)}
    rows = torch.full((len(captions), length), PAD)
    for row, caption in zip(rows, captions, strict=True):
        told = tokenise(caption)
        if any(word not in number for word in told):
            raise CourseError(_complaint(caption, unknown(caption, words)))
        tokens = [START, *(number[word] for word in told)]
        if len(tokens) > length:
            raise CourseError(
                f'"{caption}" has {len(tokens) - 1} words, but there is room for {length - 1}: '
                "leave some out."
            )
        row[: len(tokens)] = torch.tensor(tokens)
    return rows


def decode(tokens: Tensor, words: Sequence[str]) -> list[str]:
    """The words of each row of tokens (B, L), separated by spaces."""
    return [" ".join(words[i - 2] for i in row if i > START) for row in tokens.tolist()]


def _complaint(caption: str, strange: dict[str, list[str]]) -> str:
    named = [f'"{word}"' + (f" (known: {', '.join(near)})" if near else "") for word, near in strange.items()]
    return (
        f'No picture in training had these words of "{caption}": {", ".join(named)}. '
        "Take other words, or leave them out."
    )


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
EMOJI_LENGTH = 16  # tokens of a caption of `emoji`


def emoji_drawings(split: Literal["train", "held_out"] = "train") -> Drawings:
    """Things in three styles, 64x64 on white, with captions such as "fluent3d hot pepper".

    Of every 20th concept the style fluent3d is held out: the concept is known, and so is the style.
    Both come from the training concepts of `data.emoji`; N = 3,773 / 64.
    """
    sets = [data.emoji("train", style) for style in EMOJI_STYLES]
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
    return drawn.subset(held if split == "held_out" else ~held)


def emoji_words() -> tuple[str, ...]:
    """The words of the training captions of `emoji`, styles included."""
    return vocabulary(emoji_drawings("train").captions)


def emoji(length: int = EMOJI_LENGTH) -> Captioned:
    """The training drawings of `emoji_drawings` with their captions."""
    drawn, words = emoji_drawings("train"), emoji_words()
    bare = [caption.split(" ", 1)[1] for caption in drawn.captions]
    return Captioned(drawn.x, encode(drawn.captions, words, length), encode(bare, words, length))
