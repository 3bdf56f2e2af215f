"""A widget as HTML that needs nothing: no kernel, no network, no other file.

The HTML holds a picture (or plain text) for pages that run no scripts, and one module script that turns it
into the living widget. It carries no ids: a script finds its places by a hash of what they show. So a rebuilt
notebook does not differ, and two equal widgets on one page both come alive.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from course_lib.errors import CourseError


class WidgetError(CourseError):
    """A widget cannot be made from what it was given; its text is shown in the widget's place."""


_HERE = Path(__file__).parent
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; font-family: system-ui, sans-serif; background: Canvas; color: CanvasText; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem; }}
.only-read {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
</style>
</head>
<body>
<main>
<h1 class="only-read">{title}</h1>
{body}
</main>
</body>
</html>
"""


def module_source(*names: str) -> str:
    """The ES module of one widget as one text: the shared `base.js`, then each `NAME.js` in turn."""
    text = "\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in ("base", *names))
    # every widget of a notebook carries its module: what the files say to their readers stays in the files
    return "\n".join(line for line in text.split("\n") if line and not line.lstrip().startswith("//"))


def data_uri(mime: str, data: bytes) -> str:
    """`data` as a URL that can stand in an image's `src`."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def live_html(source: str, state: Mapping[str, object], fallback: str) -> str:
    """HTML that shows `fallback` (HTML, already escaped) and comes alive where scripts run.

    source: an ES module with a default export `{ render({ model, el }) }`, as anywidget defines it.
    state:  what `model.get(name)` gives: JSON values, or `bytes`, which the page receives as bytes.
    """
    values = {name: _jsonable(value) for name, value in state.items()}
    content = json.dumps({"source": source, "state": values}, sort_keys=True, allow_nan=False).encode()
    key = hashlib.sha256(content).hexdigest()[:16]
    packed = base64.b64encode(
        zlib.compress(content, 9)
    ).decode()  # a third of the size; and no "</script>" can occur
    mount = (_HERE / "mount.js").read_text(encoding="utf-8")
    return (
        f'<div class="course-widget" data-course-widget="{key}">{fallback}</div>\n'
        f'<script type="module">\n{mount}mount("{key}", "{packed}");\n</script>'
    )


def picture_html(mime: str, data: bytes, width: int, alt: str) -> str:
    """The fallback of a widget with a picture, with one line that says how to wake it."""
    return (
        f'<img alt="{html.escape(alt)}" width="{width}" style="max-width:100%" src="{data_uri(mime, data)}">'
        "<p><small>A picture of a widget. Run this cell, or trust the notebook, to use it.</small></p>"
    )


def problem_html(sentence: str) -> str:
    """A small card with one sentence, shown in place of a widget that could not be made."""
    return (
        '<div role="alert" style="border-left:4px solid #c8412a;padding:.5em .8em;max-width:44em;'
        f'background:rgba(200,65,42,.08);color:inherit">{html.escape(sentence)}</div>'
    )


def write_page(path: str | Path, title: str, body: str) -> Path:
    """Write one self-contained page and return its path. Raises `WidgetError` where it cannot be written."""
    target = Path(path)
    try:
        target.write_text(_PAGE.format(title=html.escape(title), body=body), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise WidgetError(
            f"Could not write {target}: {reason}. Choose a folder that exists and is writable."
        ) from None
    return target


def _jsonable(value: object) -> object:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
