"""Run somebody's unfinished code so that nothing it does reaches the notebook.

`guarded(work, limit)` runs `work()` in a thread of its own, keeps what it prints, stops it after `limit`
seconds, and puts the global random states, the default dtype and the default device back as they were.
A thread and an injected exception, not SIGALRM: signals do not exist on Windows and only reach the main
thread, while this also works under a notebook's running event loop.
"""

from __future__ import annotations

import builtins
import ctypes
import io
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch

T = TypeVar("T")
KEEP = 4_000  # characters of printed output that are kept; the rest is only counted
GRACE = 1.0  # seconds that stopping may take
THREAD = "course-check"
STACK = 64 * 2**20  # bytes: endless recursion must end in a RecursionError, also where threads get little


class TimeLimit(BaseException):
    """Raised inside the student's thread. Not an Exception, so that `except Exception` lets it through.

    `while True: try: ... except: pass` swallows it all the same. So when it is made, which happens in the
    student's thread, it asks Python to raise it again on the next line that thread runs: inside the
    `except:` block, where nothing catches it.
    """

    def __init__(self) -> None:
        super().__init__("the time is up")
        if threading.current_thread().name == THREAD:
            sys.settrace(_raise_again)
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and frame.f_code.co_filename != __file__:
                frame.f_trace = _raise_again
                frame = frame.f_back


def _raise_again(frame: FrameType, event: str, arg: object) -> Callable | None:
    """A trace function: what the student's code does next is fail; our own code goes on."""
    if frame.f_code.co_filename in (__file__, threading.__file__):
        return None
    if event in ("call", "line"):
        raise TimeLimit
    return _raise_again


class Outcome(NamedTuple, Generic[T]):
    """What became of the work: its value, or None if it was stopped."""

    value: T | None
    timed_out: bool
    still_running: bool  # it could not be stopped: it sleeps in C, or it catches everything
    printed: str  # at most KEEP characters
    lines_dropped: int


class _Printed(io.TextIOBase):
    """Stands in for stdout and stderr: keeps the beginning, counts the rest, never grows without end."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.size = 0
        self.dropped = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        room = KEEP - self.size
        if room > 0:
            self.parts.append(text[:room])
            self.size += min(room, len(text))
        self.dropped += text[max(room, 0) :].count("\n")
        return len(text)


def _no_input(prompt: object = "", /) -> str:
    raise EOFError("nobody answers `input` during a check; use the function's arguments")


@contextmanager
def _everything_put_back(printed: _Printed) -> Iterator[None]:
    """Swap the output streams in, and restore them and all global torch, numpy and Python state after."""
    streams = sys.stdout, sys.stderr
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    dtype, stack = torch.get_default_dtype(), threading.stack_size(STACK)
    asking = builtins.input
    sys.stdout = sys.stderr = printed  # type: ignore[assignment]
    builtins.input = _no_input
    try:
        with warnings.catch_warnings():
            yield
    finally:
        sys.stdout, sys.stderr = streams
        builtins.input = asking
        threading.stack_size(stack)
        torch.set_default_dtype(dtype)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        if on_gpu is not None:
            torch.cuda.set_rng_state_all(on_gpu)


def _stop(thread: threading.Thread, ended: threading.Event, seconds: float) -> None:
    """Raise TimeLimit in `thread` until its work has ended, for at most `seconds`."""
    end = time.monotonic() + seconds
    while not ended.is_set() and time.monotonic() < end:
        ident = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(TimeLimit))
        ended.wait(0.01)


def guarded(work: Callable[[], T], limit: float) -> Outcome[T]:
    """Run `work()` for at most `limit` seconds (plus GRACE to stop it). `work` must catch its own exceptions.

    Grad mode, autocast and the default device belong to a thread in torch, so the caller's are untouched.
    Ctrl-C and the notebook's stop button stop the work and are then passed on.
    """
    values: list[T] = []
    begun, ended = threading.Event(), threading.Event()

    def thread_main() -> None:
        try:
            begun.set()
            values.append(work())
        except BaseException:  # only our own TimeLimit can come here
            pass
        finally:
            sys.settrace(None)
            ended.set()

    printed = _Printed()
    with _everything_put_back(printed):
        thread = threading.Thread(target=thread_main, daemon=True, name=THREAD)
        thread.start()
        begun.wait()  # stopping a thread before its first line would end in a traceback
        try:
            deadline = time.monotonic() + limit
            while not ended.wait(0.1) and time.monotonic() < deadline:
                pass  # short waits: on Windows a long one would not notice Ctrl-C
            timed_out = not ended.is_set()
        finally:  # also on KeyboardInterrupt
            _stop(thread, ended, GRACE)
            if ended.is_set():
                thread.join()
    return Outcome(
        None if timed_out or not values else values[0],
        timed_out,
        not ended.is_set(),
        "".join(printed.parts),
        printed.dropped,
    )
