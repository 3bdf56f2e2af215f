"""The kernel's side of a widget that asks while it is in use: one question, one answer.

The page sends its next question only when the answer to the last one has come, and of those that came up
meanwhile only the latest (live.js): so a slow model makes the widget slow, but never late. With ipykernel 7
and JupyterLab 4.4 or newer, questions are answered in a thread beside the cells (a "subshell"), also while a
cell trains; with older ones they wait until the cell has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipywidgets import DOMWidget

from course_lib.widgets.page import WidgetError

Question = dict[str, Any]  # what the page sent: JSON values
Answer = tuple[dict[str, Any], list[bytes]]  # JSON values, and the bytes that belong to them


def answer_questions(widget: DOMWidget, answer: Callable[[Question], Answer]) -> None:
    """Answer every question from a page that shows `widget`.

    Whatever `answer` raises reaches the page as `problem`, a sentence; the next question is asked as usual.
    """

    def on_question(_: DOMWidget, question: Question, buffers: list[memoryview]) -> None:
        reply, data = _guarded(answer, question)
        widget.send({**reply, "view": question.get("view")}, buffers=data)

    widget.on_msg(on_question)


def _guarded(answer: Callable[[Question], Answer], question: Question) -> Answer:
    try:
        return answer(question)
    except WidgetError as error:
        return {"problem": str(error)}, []
    except Exception as error:  # the page must not wait forever
        reason = str(error).strip().split("\n")[0][:200]
        return {"problem": f"The kernel could not answer: {type(error).__name__}: {reason}."}, []
