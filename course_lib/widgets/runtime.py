"""Networks that run in the page: how they get there, with a kernel or without.

The network (ONNX, a few hundred KB) and the runtime (onnxruntime-web, 2.9 MB; see runtime/README.md) are no
part of a widget's state: a saved notebook would hold both once per widget. They travel in three ways:
- from a live kernel, when the page asks;
- inside the one file that `to_html` writes;
- on a site: the network inside `html(network=True)`, the runtime as two shared files in a folder that the
  page names, `<link rel="course-runtime" href="FOLDER/">`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import traitlets

from course_lib.export import ExportError
from course_lib.widgets.host import CourseWidget
from course_lib.widgets.page import write_page

RUNTIME_FILES = ("onnxruntime.mjs", "onnxruntime.wasm.gz")
_FOLDER = Path(__file__).parent / "runtime"


def runtime_file(name: str) -> bytes:
    """The bytes of one of `RUNTIME_FILES`."""
    return (_FOLDER / name).read_bytes()


def runtime_html() -> str:
    """The runtime as elements that show nothing; once per page, anywhere in its body."""
    return "\n".join(
        f'<script type="text/plain" data-course-runtime="{name}">'
        f"{base64.b64encode(runtime_file(name)).decode()}</script>"
        for name in RUNTIME_FILES
    )


class NetworkWidget(CourseWidget):
    """Base of the widgets that run a network in the page. A subclass ends its `__init__` with `serve`.

    The export takes seconds, so it waits until a page asks: until then the page shows its sheet.
    """

    reason = traitlets.Unicode("").tag(sync=True)  # why there is no network for the page

    _onnx: bytes | None = b""
    _export: Callable[[], bytes]
    _without = "The network cannot run in the page:"  # how `reason` begins

    def serve(self, export: Callable[[], bytes]) -> None:
        """Answer the page's requests for the network, which `export` makes, and for the runtime."""
        self._onnx, self._export = None, export
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # not in a kernel
            self._loop = None
        self.on_msg(self._answer)

    @property
    def onnx(self) -> bytes:
        """The network; nothing where it cannot be exported, and then `reason` says why."""
        if self._onnx is None:
            try:
                self._onnx = self._export()
            except ExportError as error:
                self._onnx = b""
                self.reason = f"{self._without} {error}"
        return self._onnx

    def html(self, *, network: bool = False) -> str:
        """As for every widget; with `network`, all that it needs to run in the page but the runtime."""
        onnx = self.onnx if network else b""
        return self.html_of({**self.state(), "onnx": onnx} if onnx else self.state())

    def to_html(self, path: str | Path) -> Path:
        """Write one file that shows this widget alive, with no network and no kernel; returns its path.

        It holds the runtime, so it has about 4 MB.
        """
        body = self.html(network=True)
        if self.onnx:
            body += "\n" + runtime_html()
        return write_page(path, self.title or type(self).__name__, body)

    def _answer(self, _: object, content: dict[str, object], buffers: object) -> None:
        if content.get("kind") == "runtime":
            self.send({"kind": "runtime"}, buffers=[runtime_file(name) for name in RUNTIME_FILES])
        elif content.get("kind") == "network" and self._loop is not None:
            # Kernels may answer in a thread beside the cells, but torch cannot export while a cell trains:
            # the thread of the cells does it, after the cell.
            self._loop.call_soon_threadsafe(self._send_network)
        elif content.get("kind") == "network":
            self._send_network()

    def _send_network(self) -> None:
        self.send({"kind": "network"}, buffers=[self.onnx] if self.onnx else [])
