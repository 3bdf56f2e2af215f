"""Quiz: a multiple-choice question with a reason for every answer. Plain HTML, which never needs a kernel."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image, UnidentifiedImageError

from course_lib.widgets.page import WidgetError, data_uri, live_html, module_source, problem_html, write_page

Option = tuple[str, bool, str]  # the answer, whether it is right, and why
_SHOWN = 200  # pixels: smaller pictures are enlarged by a whole factor up to about this width


class Quiz:
    """A question with options to choose from; checking explains the chosen answers, in the end all.

    question: text. `code`, **bold**, *emphasis* and blocks of code fenced by three backticks are understood,
              here and in the options.
    options:  (text, correct, why) for each. Several correct ones make it a question with boxes to tick.
    id:       stands before the question: "1.Q1".
    image:    an encoded picture (bytes), or an array (H, W), (C, H, W) or (H, W, 3): floats in [-1, 1] or
              uint8.
    alt:      says what the picture shows, for those who cannot see it; required with an image.

    Bad input never stops the cell: `quiz.problem` holds a sentence, which is shown in place of the question.
    """

    def __init__(
        self,
        question: str,
        options: Sequence[Option],
        *,
        id: str = "",
        image: bytes | ArrayLike | None = None,
        alt: str = "",
    ) -> None:
        self.question, self.id, self.alt = question, id, alt
        self.problem = ""
        try:
            self.options = _checked_options(options)
            self.image = None if image is None else _encoded(image)
            if image is not None and not alt:
                raise WidgetError("A quiz picture needs alt=, a sentence that says what it shows.")
        except WidgetError as error:
            self.problem = f"Quiz {id}: {error}" if id else str(error)

    def html(self) -> str:
        """Self-contained HTML: the question with its answers, to choose from where scripts run."""
        if self.problem:
            return problem_html(self.problem)
        state = {
            "id": self.id,
            "question": marked(self.question),
            "options": [{"text": marked(t), "correct": c, "why": marked(why)} for t, c, why in self.options],
        }
        items = "".join(f"<li>{marked(text)}</li>" for text, _, _ in self.options)
        fallback = (
            f"<div><strong>{html.escape(self.id)}</strong> {marked(self.question)}</div>"
            f"{self._image_html()}<ul>{items}</ul>"
            "<p><small>Run this cell, or trust the notebook, to answer.</small></p>"
        )
        return live_html(module_source("quiz"), state, fallback)

    def to_html(self, path: str | Path) -> Path:
        """Write one file that shows this question alive, with no network and no kernel; returns its path."""
        return write_page(path, f"Question {self.id}".strip(), self.html())

    def __repr__(self) -> str:
        if self.problem:
            return self.problem
        return "\n".join(
            [f"{self.id} {self.question}".strip(), *(f"  ( ) {text}" for text, _, _ in self.options)]
        )

    def _repr_html_(self) -> str:
        return self.html()

    def _image_html(self) -> str:
        if self.image is None:
            return ""
        data, mime, size = self.image
        width = size[0] * max(1, _SHOWN // max(size))
        return (
            f'<p><img alt="{html.escape(self.alt)}" width="{width}" '
            f'style="max-width:100%;image-rendering:pixelated" src="{data_uri(mime, data)}"></p>'
        )


def marked(text: str) -> str:
    """Plain text as HTML, escaped; `code`, **bold**, fenced code and line breaks become elements."""
    parts = re.split(r"```\w*\n(.*?)\n?```", text, flags=re.DOTALL)  # text, code, text, code, ...
    return "".join(
        f"<pre><code>{html.escape(part)}</code></pre>" if i % 2 else _inline(part)
        for i, part in enumerate(parts)
    )


def _inline(text: str) -> str:
    pieces = re.split(r"`([^`]+)`", text)
    return "".join(f"<code>{html.escape(p)}</code>" if i % 2 else _prose(p) for i, p in enumerate(pieces))


def _prose(text: str) -> str:
    bold = re.sub(r"\*\*(\S.*?)\*\*", r"<strong>\1</strong>", html.escape(text))
    return re.sub(r"\*(\S.*?)\*", r"<em>\1</em>", bold).strip("\n").replace("\n", "<br>")


def _checked_options(options: Sequence[Option]) -> list[Option]:
    for option in options:
        if not (isinstance(option, tuple | list) and len(option) == 3 and isinstance(option[1], bool)):
            raise WidgetError(f"every option must be (text, True or False, why), but one is {option!r}.")
        if not str(option[0]).strip() or not str(option[2]).strip():
            raise WidgetError(f"every option needs a text and a reason, but one is {option!r}.")
    if len(options) < 2:
        raise WidgetError(f"a question needs at least two options, but it has {len(options)}.")
    if not any(correct for _, correct, _ in options):
        raise WidgetError("no option is correct: mark at least one with True.")
    return [(str(text), correct, str(why)) for text, correct, why in options]


def _encoded(image: bytes | ArrayLike) -> tuple[bytes, str, tuple[int, int]]:
    """The picture's bytes, its mime type and its size (width, height)."""
    if isinstance(image, bytes):
        try:
            with Image.open(io.BytesIO(image)) as opened:
                return image, Image.MIME[opened.format or "PNG"], opened.size
        except UnidentifiedImageError:
            raise WidgetError(
                "image holds bytes that are not a picture; pass PNG bytes or an array."
            ) from None
    picture = Image.fromarray(_pixels(image))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue(), "image/png", picture.size


def _pixels(image: ArrayLike) -> np.ndarray:
    array = image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise WidgetError(f"image must have shape (H, W), (C, H, W) or (H, W, 3), but it has {array.shape}.")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f" or not np.isfinite(array).all() or np.abs(array).max() > 1.01:
        raise WidgetError(
            f"image must be uint8, or finite floats in [-1, 1], but it is {array.dtype} outside that."
        )
    return np.rint((np.clip(array, -1, 1) + 1) * 127.5).astype(np.uint8)
