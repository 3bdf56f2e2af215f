"""What a CaptionBox samples: pictures of which caption, of which words, from which noise levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike

from course_lib.errors import CourseError
from course_lib.widgets.diffusion_plan import (
    checked_guidance,
    checked_seed,
    checked_shape,
    checked_steps,
    checked_table,
    visits,
    whole,
)
from course_lib.widgets.page import WidgetError
from course_lib.words import SILENT, encode, tokenise, unknown

MOST = 16  # pictures at once
_COUNTS = (1, 4, 8)  # to choose from, beside the number asked for
_MOST_CHIPS = 200  # a list of more words is no help


class CaptionPlan(NamedTuple):
    """Checked arguments of a CaptionBox; see there."""

    alpha_bar: torch.Tensor  # (T + 1,) float64
    shape: tuple[int, int, int]
    words: tuple[str, ...]
    length: int
    groups: list[tuple[str, list[str], bool]]  # name, chips, whether it is folded
    caption: str
    pictures: int  # how many
    steps: list[int]
    guidance: float
    seed: int
    clip: bool
    guess: bool

    def state(self) -> dict[str, object]:
        """The part of the page's state that says what can be sampled."""
        return {
            "shape": list(self.shape),
            "plans": visits(self.alpha_bar, self.steps),
            "words": list(self.words),
            "silent": list(SILENT),
            "length": self.length,
            "groups": [list(group) for group in self.groups],
            "counts": sorted({*_COUNTS, self.pictures}),
            "caption": self.caption,
            "count": self.pictures,
            "steps": self.steps[0],
            "guidance": self.guidance,
            "seed": self.seed,
            "clip": self.clip,
            "guess": self.guess,
        }


def checked_captions(
    alpha_bar: ArrayLike | torch.Tensor,
    shape: Sequence[int],
    words: Sequence[str],
    length: int,
    groups: Mapping[str, Sequence[str]] | None,
    caption: str,
    count: int,
    steps: Sequence[int],
    guidance: float,
    seed: int,
    clip: bool,
    guess: bool,
) -> CaptionPlan:
    """The plan for what the user gave. Raises `WidgetError` on bad input."""
    table = checked_table(alpha_bar)
    size = checked_shape(shape)
    known = _checked_words(words)
    if not whole(length, 2, 1000):
        raise WidgetError(
            f"length must be the number of tokens of a caption, a whole number from 2, but it is {length!r}."
        )
    checked_caption(caption, known, length)
    if not whole(count, 1, MOST):
        raise WidgetError(f"count must be a whole number of pictures from 1 to {MOST}, but it is {count!r}.")
    chips = _checked_groups(groups, known)
    return CaptionPlan(
        table, size, known, length, chips, caption, count, checked_steps(steps, table),
        checked_guidance(guidance), checked_seed(seed), bool(clip), bool(guess),
    )  # fmt: skip


def checked_caption(caption: object, words: Sequence[str], length: int) -> str:
    """A caption of known words, not too many. Raises `WidgetError` else, with the sentence of `encode`."""
    if not isinstance(caption, str):
        raise WidgetError(f"caption must be a text, but it is {caption!r:.80}.")
    try:
        encode([caption], words, length)
    except CourseError as error:
        raise WidgetError(str(error)) from None
    return caption


def _checked_words(words: Sequence[str]) -> tuple[str, ...]:
    known = () if isinstance(words, str) else tuple(words)
    if not known or not all(isinstance(word, str) and tokenise(word) == [word] for word in known):
        raise WidgetError(
            "words must be the vocabulary, single words as words.vocabulary makes them of captions, "
            f"but it is {words!r:.80}."
        )
    return known


def _checked_groups(
    groups: Mapping[str, Sequence[str]] | None, known: tuple[str, ...]
) -> list[tuple[str, list[str], bool]]:
    """The groups of chips, and the words that are in none of them as the last one."""
    given = {} if groups is None else {str(name): list(texts) for name, texts in groups.items()}
    for name, texts in given.items():
        for text in texts:
            strange = unknown(text, known)
            if strange or not tokenise(text):
                raise WidgetError(
                    f'groups: "{text}" in "{name}" has a word that is not in words, or none: leave it out.'
                )
    used = {word for texts in given.values() for text in texts for word in tokenise(text)}
    rest = [word for word in known if word not in used]
    chips = [(name, texts, False) for name, texts in given.items() if texts]
    if 0 < len(rest) <= _MOST_CHIPS:
        chips.append(("All other words" if chips else "Words", rest, bool(chips)))
    return chips
