"""From what went wrong in a student's code to a sentence: exceptions, stubs, values of the wrong kind."""

from __future__ import annotations

import dis
import functools
import inspect
import linecache
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import torch

from course_lib.check.sandbox import TimeLimit

__all__ = [
    "Complaint",
    "NotAttempted",
    "TimeLimit",
    "exception",
    "kind_of",
    "refuse_other_kinds",
    "unfinished",
    "watched",
]

Value = Any
NOTHING_YET = "There is no answer here yet. Write it, run its cell, then run this check again."
LIBRARIES = (  # torch may live elsewhere: in the user's site, or in an environment below this one
    str(Path(__file__).parents[1]),
    str(Path(torch.__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
STUB_OPS = {"RESUME", "NOP", "LOAD_CONST", "LOAD_COMMON_CONSTANT", "POP_TOP", "RETURN_CONST", "RETURN_VALUE"}

ADVICE = {  # part of a message of torch or Python -> what it usually means
    "can't be cast to the desired output type": "An in-place operation (`/=`, `*=`, `+=`) cannot change "
    "the type of its tensor, and this one holds integers. Write `x = x / 2` instead of `x /= 2`.",
    "leaf Variable that requires grad": "An in-place operation (`+=`, `mul_`, `x[...] = ...`) would "
    "overwrite a tensor whose gradient is needed. Compute a new tensor instead.",
    "modified by an inplace operation": "An in-place operation overwrote a value that the backward pass "
    "still needs. Compute a new tensor instead.",
    "must match the size of tensor": "Two shapes do not fit together. Print both: is a step missing before "
    "this line, or a dimension (`keepdim=True`, `unsqueeze`)?",
    "mat1 and mat2 shapes cannot be multiplied": "Two matrices do not fit: the first must have as many "
    "columns as the second has rows (in a layer, the second are its weights). Print both shapes; is a `.T` "
    "missing?",
    "Index put requires": "The new values have another type than the tensor that they are written into: "
    "convert them with `.to(x)`.",
    "only for scalar outputs": "A loss is one number: take the mean before `backward()`.",
    "'Tensor' object is not callable": "A tensor is used like a function: elements stand in square brackets, "
    "and `optimizer.step()` takes no loss.",
    "on the same device": "A tensor was made on the wrong device. Use `torch.randn_like(x)` or "
    "`device=x.device`.",
    "does not require grad": "The result has lost its connection to the input, so there is nothing to "
    "differentiate. Look for `.detach()`, `.item()`, `.data`, `no_grad` or NumPy.",
    "backward through the graph a second time": "`backward()` ran twice through one graph. Is a loss used "
    "twice, or is a `.detach()` missing?",
    "maximum recursion depth": "The function calls itself without end.",
}


class Complaint(Exception):
    """Ends a check with this sentence."""


class NotAttempted(Exception):
    """The exercise still holds its stub."""


def _is_stub(code: CodeType) -> bool:
    """True for a body of nothing but a docstring, `...` and `pass`."""
    steps = list(dis.get_instructions(code))
    returned = [s.argval for s in steps if s.opname in ("LOAD_CONST", "RETURN_CONST")]
    return all(s.opname in STUB_OPS for s in steps) and all(v is None or v is ... for v in returned)


def watched(function: FunctionType, may_return_none: bool) -> Callable[..., Value]:
    """`function`, but a stub, a wrong signature and a missing `return` are noticed at its first call."""
    if _is_stub(function.__code__):
        raise NotAttempted(NOTHING_YET)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Value, **kwargs: Value) -> Value:  # stands in for any signature
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            first_line = f"def {function.__name__}{signature}"
            raise Complaint(
                f"The check cannot call `{first_line}`: {error}. Keep the first line of the stub as it was."
            ) from None
        value = function(*args, **kwargs)
        if value is ... or value is NotImplemented:
            raise NotAttempted(NOTHING_YET)
        if value is None and not may_return_none:
            raise Complaint(f"`{function.__name__}` returns None: is a `return` missing on the last line?")
        return value

    return call


def kind_of(value: Value) -> str:
    """The name of the value's type with its article, as it is spoken: "a float", "an int", "an ndarray"."""
    name = type(value).__name__
    spoken_with_a_vowel = name[0] in "aeioAEIO" or name.startswith("nd")  # not u: "a uint8"
    return f"{'an' if spoken_with_a_vowel else 'a'} {name}"


def refuse_other_kinds(answer: Value, reference: Value) -> None:
    """Say so if `answer` is no answer yet, or a value where a function or a class is wanted."""
    if answer is None or answer is ...:
        raise NotAttempted(NOTHING_YET)
    kind = kind_of(answer)
    if isinstance(reference, type) and not isinstance(answer, type):
        raise Complaint(f"Give the check your class itself, without brackets; this is {kind}.")
    if isinstance(answer, type):
        if not isinstance(reference, type):
            raise Complaint("This is a class; the check needs what the exercise asks for.")
        own = [f for f in vars(answer).values() if isinstance(f, FunctionType)]
        if any(_is_stub(f.__code__) for f in own):
            raise NotAttempted(NOTHING_YET)
    if callable(reference) and not callable(answer):
        raise Complaint(f"Give the check your function itself, without brackets; this is its result, {kind}.")


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The lines that stand in the student's own code, from the function that was called to the deepest."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not frame.filename.startswith((*LIBRARIES, "<frozen"))]


def _own_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The deepest line that stands in the student's own code, if any."""
    frames = _own_frames(error)
    return frames[-1] if frames else None


def _said(error: BaseException) -> str:
    """The first lines of an exception's message; a broken `__str__` must not break the check."""
    try:
        text = str(error).strip()
    except Exception:
        return "(its message cannot be shown)"
    return text if len(text) <= 300 else text[:300] + " ..."


def _source_line(frame: traceback.FrameSummary) -> str:
    return linecache.getline(frame.filename, frame.lineno or 0).strip()


def _nothing_yet(frames: list[traceback.FrameSummary]) -> str:
    """What to say of a stub: an answer may be written and only call another function that is not."""
    names = [frame.name for frame in frames if not frame.name.startswith("<")]  # not <lambda>, not <genexpr>
    if not names or names[-1] == frames[0].name:
        return NOTHING_YET
    return (
        f"Your code calls `{names[-1]}`, which has no answer yet. Write that, run its cell, then run this "
        "check again."
    )


def unfinished(error: BaseException) -> str | None:
    """A sentence if `error` comes from a stub that is not filled in (or not completely), else None."""
    frame, text = _own_frame(error), _said(error)
    if isinstance(error, NotImplementedError):  # torch raises it as well, for its own reasons, with a message
        if not text or (frame is not None and "NotImplementedError" in _source_line(frame)):
            return _nothing_yet(_own_frames(error))
    if isinstance(error, TypeError | AttributeError) and "ellipsis" in text.lower():
        where = f" in line {frame.lineno}" if frame else ""
        return f"There is still a `...` in your code, used{where}. Replace it, run the cell, check again."
    return None


def exception(error: BaseException) -> str:
    """One or two sentences on an exception: what, in which line, and what it usually means."""
    frame, text, kind = _own_frame(error), _said(error), type(error).__name__
    advice = next((a for part, a in ADVICE.items() if part in text), "")
    said = f"{kind}: {text}" if text else kind
    if frame is None:
        return f"The check could not work with what you returned ({said}). {advice}".strip()
    line = _source_line(frame)
    code = f": `{line}`" if line else ""
    return f"Your code stopped in line {frame.lineno}{code} with {said}\n{advice}".strip()
