"""What makes an anywidget a widget of the course: it is shown in three ways at once.

A live notebook takes the widget view; a saved and trusted one the self-contained HTML; a page that runs no
scripts the picture. `to_html` writes the second as a page of its own.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.widgets.page import WidgetError, live_html, picture_html, problem_html, write_page

try:
    import anywidget
    import ipywidgets
    import traitlets
except ImportError as error:
    raise WidgetError("The widgets need anywidget and ipywidgets: pip install 'course-lib[lab]'.") from error

_FROM_JUPYTER = frozenset(ipywidgets.DOMWidget.class_trait_names(sync=True))


class CourseWidget(anywidget.AnyWidget):
    """Base of the widgets. A subclass sets `_esm`, its synced traits, and `picture`.

    `problem`: empty, or the sentence that is shown in place of the widget.
    """

    title = traitlets.Unicode("").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)  # what the picture shows, for those who cannot see it
    problem = traitlets.Unicode("")

    def picture(self) -> Image.Image:
        """The widget as a still picture, for pages that run no scripts."""
        raise NotImplementedError

    def state(self) -> dict[str, object]:
        """The synced traits that the page needs, by name."""
        names = [name for name in self.keys if not name.startswith("_") and name not in _FROM_JUPYTER]
        return {name: getattr(self, name) for name in names}

    def html(self) -> str:
        """Self-contained HTML: alive where scripts run, a picture elsewhere."""
        return self.html_of(self.state())

    def html_of(self, state: dict[str, object]) -> str:
        """The same, with other things for the page to find in `model.get`."""
        if self.problem:
            return problem_html(self.problem)
        image = self.picture()
        fallback = picture_html("image/webp", _encode(image, "WEBP"), image.width, self.alt)
        return live_html(str(self._esm), state, fallback)

    def to_html(self, path: str | Path) -> Path:
        """Write one file that shows this widget alive, with no network and no kernel; returns its path."""
        return write_page(path, self.title or type(self).__name__, self.html())

    def __repr__(self) -> str:
        # no memory address, so that rebuilt notebooks are equal
        return f"{type(self).__name__}: {self.problem or self.title}"

    def _repr_mimebundle_(  # type: ignore[override]  # IPython's two arguments, spelt out
        self, include: object = None, exclude: object = None
    ) -> tuple[dict, dict]:
        if self.problem:
            return {"text/plain": repr(self), "text/html": self.html()}, {}
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        png = base64.b64encode(_encode(self.picture(), "PNG")).decode()
        return {**data, "text/html": self.html(), "image/png": png}, metadata


def _encode(image: Image.Image, format: str) -> bytes:
    out = io.BytesIO()
    if format == "PNG":
        _in_few_colours(image).save(out, "PNG", optimize=True)  # a quarter of the bytes
    else:
        image.save(out, format, quality=45, method=6)
    return out.getvalue()


def _in_few_colours(image: Image.Image) -> Image.Image:
    """The picture in 12 greys and 36 colours; counted together, many greys would leave few for the rest."""
    pixels = np.asarray(image.convert("RGB"))
    coloured = pixels[np.ptp(pixels, axis=2) > 24]
    palette = np.linspace(0, 255, 12).round().astype(np.uint8).repeat(3).tolist()
    if len(coloured):
        palette += (Image.fromarray(coloured[None]).quantize(36).getpalette() or [])[:108]
    holder = Image.new("P", (1, 1))
    holder.putpalette(palette)
    return image.convert("RGB").quantize(palette=holder, dither=Image.Dither.NONE)
