"""The small cards under a check or a hint: plain HTML, readable on light and dark pages, without JavaScript.

Colours are from the Okabe-Ito palette (safe for colour-blind readers) and only repeat what the icon and
the words say. Text keeps the page's own colour, so it stays readable in any theme.
"""

from __future__ import annotations

import re
from html import escape

LOOKS = {  # kind -> (icon, words, colour of the edge)
    "passed": ("✓", "Passed", "#0072B2"),
    "failed": ("✗", "Not yet", "#D55E00"),
    "not attempted": ("○", "Not attempted yet", "#767676"),
    "hint": ("?", "Hint", "#AA5C8C"),
}


def prose(text: str) -> str:
    """Escape `text` for HTML and set what stands between backticks in code type."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(text)).replace("\n", "<br>")


def card(kind: str, title: str, message: str, folded: tuple[str, str] | None = None) -> str:
    """A card of one of the `LOOKS`; `folded` is (summary, preformatted text) that opens on a click."""
    icon, words, colour = LOOKS[kind]
    more = ""
    if folded is not None:
        more = (
            f'<details style="margin-top:.4em"><summary>{escape(folded[0])}</summary>'
            f'<pre tabindex="0" style="margin:.4em 0 0;max-height:14em;overflow:auto;'
            f'background:none;color:inherit">'
            f"{escape(folded[1])}</pre></details>"
        )
    return (
        f'<div role="status" style="border:1px solid rgba(127,127,127,.4);border-left:5px solid {colour};'
        f'border-radius:4px;padding:.5em .8em;margin:.3em 0;max-width:46em;background:rgba(127,127,127,.06)">'
        f'<div style="font-weight:600"><span aria-hidden="true">{icon}</span> {words} · {prose(title)}</div>'
        f"<div>{prose(message)}</div>{more}</div>"
    )
