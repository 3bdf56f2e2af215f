"""Captions in plain words: how they become numbers.

A caption is a set of words that the network has met: "woman cook: dark skin tone" is woman, cook, dark. The
order carries nothing that the words do not carry themselves, so it is not told, and whoever types a caption
is free in it. In a row of tokens, 0 pads and 1 opens every caption; the empty caption is this opening alone,
so that there is always something to look at. Word i of a vocabulary is token i + 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from course_lib.errors import CourseError
from course_lib.nn.text import PAD

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
