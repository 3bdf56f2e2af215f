"""Translate: pictures, their translations into another kind, and back, with a divider to drag between two.

Given single wide pictures, such as the whole Earth, it becomes a panorama to pan and zoom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from course_lib.widgets.host import CourseWidget
from course_lib.widgets.packing import (
    LARGEST,
    checked_rows,
    enlarged,
    in_cells,
    opened,
    remarks,
    squared_errors,
    stacked,
    webp,
)
from course_lib.widgets.page import (
    WidgetError,
    live_html,
    module_source,
    picture_html,
    problem_html,
    write_page,
)
from course_lib.widgets.sheet import to_bytes

_KINDS = ("a", "b", "back", "truth")
_MOST = 25_000  # bytes of all layers: with script and picture a saved notebook grows by less than 90 kB
_MOST_WIDE = 72_000  # the same for a panorama and 150 kB
_WIDE = 512  # pixels: a single picture wider than this is a panorama
_WIDTHS = (2048, 1600, 1280, 1024, 800, 640)  # of a panorama in a saved notebook


class Translate(CourseWidget):
    """A -> B -> A again, with a divider between two of the pictures, for examples or for a panorama.

    a:      (N, C, H, W) in [-1, 1] (or uint8), C = 1 or 3, tensors or arrays: the pictures to translate.
    b:      (N, C, H, W), their translations, in the same order.
    back:   (N, C, H, W), the translations taken back, which should be `a` again.
    truth:  (N, C, H, W), what the translations should be, where pairs are known.
            All have one N, at most 24, one height and one width; channels may differ.
    names:  what to call the two kinds: ("A", "B").
    labels: what to call the N examples.
    title:  stands above the widget. alt: describes it to those who cannot see it.

    The divider parts truth and translation, or A and B, or A and A again; buttons choose. The errors are mean
    squares over the values of a picture, computed before packing.

    One picture (N = 1) wider than 512 pixels is a panorama, up to 4096 a side: drag or arrows pan, plus and
    minus zoom, the wheel zooms while the panorama has the focus. A living cell and `to_html` hold it at
    full size; a saved notebook a smaller copy, so that it grows by at most 150 kB.

    `w.example` is the chosen example, 0..N-1, `w.wipe` the place of the divider, 0..1 from the left; setting
    them moves the widget. Pan and zoom belong to each view.
    Bad input never stops the cell: `w.problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source("choose", "translate", "panorama")
    a = traitlets.Bytes().tag(sync=True)  # one row of N tiles, as b, back and truth; empty: there is none
    b = traitlets.Bytes().tag(sync=True)
    back = traitlets.Bytes().tag(sync=True)
    truth = traitlets.Bytes().tag(sync=True)
    count = traitlets.Int(1).tag(sync=True)
    panorama = traitlets.Bool(False).tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)  # "b": to the truth, "back": to a; N numbers each
    note = traitlets.Unicode("").tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    wipe = traitlets.Float(0.5).tag(sync=True)

    def __init__(
        self,
        a: ArrayLike,
        b: ArrayLike,
        back: ArrayLike | None = None,
        truth: ArrayLike | None = None,
        *,
        names: Sequence[str] = ("A", "B"),
        labels: Sequence[str] | None = None,
        title: str = "Translate",
        alt: str = "",
    ) -> None:
        given = {"a": a, "b": b, "back": back, "truth": truth}
        try:
            state = _state({kind: x for kind, x in given.items() if x is not None}, names, labels)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: pictures and their translations, with a divider between the two."
        super().__init__(title=title, alt=text, **state)

    @traitlets.validate("example")
    def _valid_example(self, proposal: traitlets.Bunch) -> int:
        return min(max(proposal["value"], 0), self.count - 1)

    @traitlets.validate("wipe")
    def _valid_wipe(self, proposal: traitlets.Bunch) -> float:
        if not np.isfinite(proposal["value"]):
            raise traitlets.TraitError(f"wipe must be a number in 0..1, but it is {proposal['value']!r}.")
        return min(max(proposal["value"], 0.0), 1.0)

    def picture(self) -> Image.Image:
        """The rows, at most six examples; of a panorama A on the left and B on the right."""
        layers = {kind: opened(self._light[kind]) for kind in _KINDS if self._light[kind]}
        names = dict(
            zip(_KINDS, (*self.names, f"{self.names[0]} again", f"true {self.names[1]}"), strict=True)
        )
        if self.panorama:
            left, right = (_shrunk(layers[kind], 360) for kind in ("a", "b"))
            half = left.width // 2
            right.paste(left.crop((0, 0, half, left.height)), (0, 0))
            return stacked([(f"{self.names[0]} | {self.names[1]}", right)])
        shown = min(self.count, 6)
        parts = []
        for kind, layer in layers.items():
            tile = layer.width // self.count
            parts.append((names[kind], enlarged(layer.crop((0, 0, shown * tile, layer.height)), shown * 44)))
        return stacked(parts)

    def html(self, *, whole: bool = False) -> str:
        """Self-contained HTML, alive where scripts run; `whole`: with the panorama at full size."""
        if self.problem:
            return problem_html(self.problem)
        image = self.picture()
        fallback = picture_html("image/webp", webp(image, 60), image.width, self.alt)
        layers = {} if whole else self._light
        return live_html(str(self._esm), {**self.state(), **layers}, fallback)

    def to_html(self, path: str | Path) -> Path:
        """Write one file that shows this widget alive, with no network and no kernel; returns its path."""
        return write_page(path, self.title, self.html(whole=True))

    @cached_property
    def _light(self) -> dict[str, bytes]:
        """The layers as a saved notebook holds them."""
        whole = {kind: getattr(self, kind) for kind in _KINDS}
        if not self.panorama or sum(map(len, whole.values())) <= _MOST_WIDE:
            return whole
        layers = {kind: opened(data) for kind, data in whole.items() if data}
        for width in _WIDTHS:
            light = {kind: webp(_shrunk(layer, width), 45) for kind, layer in layers.items()}
            if sum(map(len, light.values())) <= _MOST_WIDE:
                break
        return {kind: light.get(kind, b"") for kind in _KINDS}


def _state(
    given: Mapping[str, ArrayLike], names: Sequence[str], labels: Sequence[str] | None
) -> dict[str, object]:
    """Everything that the page needs; raises `WidgetError` on bad input."""
    if isinstance(names, str) or len(names) != 2:
        raise WidgetError(f"names must be two words, for A and for B, but they are {names!r}.")
    layers = checked_rows(given)
    count, _, height, width = layers["a"].shape
    for kind, images in layers.items():
        if images.shape[2:] != (height, width):
            raise WidgetError(
                f"a is {width} x {height} and {kind} is {images.shape[3]} x {images.shape[2]}: the divider "
                "needs one size, so resize one of them."
            )
    panorama = count == 1 and width > _WIDE
    if panorama and max(width, height) > LARGEST:
        raise WidgetError(
            f"The panorama is {width} x {height}, and at most {LARGEST} pixels a side are shown: shrink it."
        )
    if count > 24:
        raise WidgetError(f"There are {count} examples, and at most 24 can be shown: pass a[:24], b[:24].")
    if labels is not None and (isinstance(labels, str) or len(labels) != count):
        raise WidgetError(f"labels must be {count} words, one for each example, but they are {labels!r}.")
    return {
        **_packed(layers, panorama),
        "count": count,
        "panorama": panorama,
        "names": [str(name) for name in names],
        "labels": [str(label) for label in labels or ()],
        "errors": {
            kind: squared_errors(layers[kind], layers[goal])
            for kind, goal in (("b", "truth"), ("back", "a"))
            if kind in layers and goal in layers and layers[kind].shape == layers[goal].shape
        },
        "note": " ".join(remarks(layers)),
    }


def _packed(layers: Mapping[str, NDArray[np.float32]], panorama: bool) -> dict[str, bytes]:
    """Each layer as WebP: a panorama as it is, examples in one row as light as they must be."""
    rows = {kind: in_cells([to_bytes(images)]) for kind, images in layers.items()}
    if panorama:
        return {kind: webp(row, 60) for kind, row in rows.items()}
    for quality in (95, 90, 80, 65, 50, 35):
        packed = {kind: webp(row, quality) for kind, row in rows.items()}
        if sum(map(len, packed.values())) <= _MOST:
            break
    return packed


def _shrunk(image: Image.Image, width: int) -> Image.Image:
    if image.width <= width:
        return image
    return image.resize((width, max(1, round(image.height * width / image.width))), Image.Resampling.LANCZOS)
