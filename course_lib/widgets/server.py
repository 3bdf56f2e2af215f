"""What the course asks of a Jupyter server: quick answers to widgets, and notebooks that reopen alive.

An extension of jupyter_server. `make lab` and a plain `pip install .[lab]` enable it. An editable install
(`pip install -e`, conda, Binder) does not, because setuptools then leaves data files out; one command does:

    jupyter server extension enable --sys-prefix course_lib.widgets.server

Why it is needed: TCP holds a small message back until the one before it is confirmed, and the other side
waits up to 40 ms with that confirmation (Nagle's algorithm meets delayed acknowledgement). A message from a
widget to the kernel and back took 46 to 52 ms on one machine, and takes 4 to 7 ms without the wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from course_lib.widgets.strip import before_save

_CONNECTION = "kernel_websocket_connection_class"  # jupyter_server's own setting for who talks to a kernel
_HOOK = f"{before_save.__module__}.{before_save.__name__}"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _link_jupyter_server_extension(server: Any) -> None:  # noqa: ANN401  # a ServerApp, which is not imported
    """Called before the server makes its parts: the time to configure them."""
    _try(save_alive, server)


def _load_jupyter_server_extension(server: Any) -> None:  # noqa: ANN401
    """Called when the server is complete."""
    _try(send_at_once, server)


def _try(improve: Callable[[Any], None], server: Any) -> None:  # noqa: ANN401
    try:
        improve(server)
    except Exception as error:  # a server that looks different inside goes on as it is
        server.log.warning("course: %s does not work with this Jupyter server: %s", improve.__name__, error)


def save_alive(server: Any) -> None:  # noqa: ANN401
    """Have notebooks saved with living widgets, unless the user has a `pre_save_hook` of their own.

    It is configured, not registered on the contents manager: jupytext puts another manager in its place.
    """
    managers = [settings for name, settings in server.config.items() if name.endswith("ContentsManager")]
    if any("pre_save_hook" in settings for settings in managers):
        server.log.info("course: your own pre_save_hook stays; widgets are saved as it leaves them")
        return
    server.config.ContentsManager.pre_save_hook = _HOOK


def send_at_once(server: Any) -> None:  # noqa: ANN401
    """Have every websocket to a kernel send its messages without delay (TCP_NODELAY)."""
    plain: Any = server.web_app.settings[_CONNECTION]

    class AtOnce(plain):
        def connect(self) -> object:
            try:
                self.websocket_handler.set_nodelay(True)
            except Exception as error:  # slower, but connected
                server.log.warning("course: messages from a kernel stay delayed: %s", error)
            return super().connect()

    server.web_app.settings[_CONNECTION] = AtOnce
    server.log.info("course: messages from kernels are sent without delay")
