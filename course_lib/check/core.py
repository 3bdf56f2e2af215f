"""What an exercise, a check, its result and its hints are.

An `Exercise` holds the reference solution, random inputs and a list of properties. Calling it with a
student's answer tests the properties in order and returns a `Result` that explains the first one that
fails. It never raises on a student's mistake, never hangs and never lets a print hide the message.

    mse = Exercise(id="1.1", title="...", reference=_mse, draw=_two_batches, properties=(...), ...)
    mse(my_function)      # what a notebook writes as check.autoencoders.mse(my_function)

Ready-made properties are in `properties.py`; one of your own is a function from a `Trial` to None (fine)
or to one or two sentences on the likely mistake.
"""

from __future__ import annotations

import builtins
import importlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from types import FunctionType
from typing import Any, Literal

import torch

from course_lib.check import explain
from course_lib.check.card import card
from course_lib.check.sandbox import Outcome, guarded

Answer = Any  # what a student hands in: a function, a class or a value, as the exercise asks
Value = Any  # what an answer gives
Mistakes = Sequence[tuple[Answer, str]]  # a typical wrong answer, and the sentence that diagnoses it
Status = Literal["passed", "failed", "not attempted"]
Verdict = tuple[Status, str, str | None]  # with the message and the property that failed


@dataclass(frozen=True)
class Result:
    """What a check found. `message` explains the first property that failed, in one or two sentences."""

    id: str  # "1.3"
    title: str
    status: Status
    message: str
    property: str | None = None  # name of the property that failed
    printed: str = ""  # the beginning of what the student's code printed
    lines_dropped: int = 0  # printed lines that were not kept

    @builtins.property  # the plain name is a field of this class
    def passed(self) -> bool:
        return self.status == "passed"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "passed": self.passed}

    def __repr__(self) -> str:
        words = {"passed": "Passed", "failed": "Not yet", "not attempted": "Not attempted yet"}[self.status]
        stop = "" if self.title.endswith("?") else "."
        return f"{words}: {self.id} {self.title}{stop} {self.message}"

    def _repr_html_(self) -> str:
        folded = None
        if self.printed:
            more = f"\n... and {self.lines_dropped:,} more lines" if self.lines_dropped else ""
            folded = ("What your code printed", self.printed.rstrip("\n") + more)
        return card(self.status, f"{self.id} {self.title}", self.message, folded)


@dataclass(frozen=True)
class Hint:
    """One graded hint of an exercise, shown as a card."""

    title: str
    text: str

    def __repr__(self) -> str:
        return f"{self.title}: {self.text}"

    def _repr_html_(self) -> str:
        return card("hint", self.title, self.text)


def call(answer: Answer, *args: Value) -> Value:
    """The usual way to observe an answer: call it."""
    return answer(*args)


@dataclass(frozen=True)
class Trial:
    """One property's view of a check: the student's answer, the reference, and inputs made from one seed."""

    student: Answer
    reference: Answer
    draw: Callable[[torch.Generator], tuple]
    observe: Callable[..., Value]
    seed: int

    def generator(self) -> torch.Generator:
        """For further random numbers of the property's own: always the same ones for one trial."""
        return torch.Generator().manual_seed(self.seed + 1)

    @builtins.property
    def noise_seed(self) -> int:
        """Where answers start to draw. Not where inputs do: `torch.rand_like(x)` would be x again."""
        return self.seed + 1_000_003

    def args(self) -> tuple:
        """The inputs, made anew at each call with equal values, so that nothing can spoil the next call's."""
        torch.manual_seed(self.seed)
        return self.draw(torch.Generator().manual_seed(self.seed))

    def anew(self) -> Trial:
        """The same on other inputs: two single numbers may be alike by chance, but not twice."""
        return replace(self, seed=self.seed + 500)

    def answer(self, who: Answer, *args: Value) -> Value:
        """What `who` (the student, the reference, a wrong answer) gives for `args`, or for `self.args()`.

        Everybody starts from the same global random state, so answers that draw noise can be compared.
        """
        args = args or self.args()
        torch.manual_seed(self.noise_seed)
        return self.observe(who, *args)

    def answers(self, who: Answer, number: int) -> list[Value]:
        """What `who` gives for `self.args()`, `number` times in a row: each call draws further noise."""
        inputs = [self.args() for _ in range(number)]
        torch.manual_seed(self.noise_seed)
        return [self.observe(who, *args) for args in inputs]


@dataclass(frozen=True)
class Property:
    """Something that every right answer has; `mistakes` are the wrong answers it can tell apart."""

    name: str  # ends the sentence "This is tested: ..."
    test: Callable[[Trial], str | None]
    mistakes: Mistakes = ()


@dataclass(frozen=True, repr=False)
class Exercise:
    """One exercise: its text data, its reference solution and its check. Call it to check an answer."""

    id: str  # "1.3": notebook 01, third exercise
    title: str
    difficulty: int  # 1 (read the sentence again) to 5 (an evening)
    minutes: int
    hints: tuple[str, ...]  # from a nudge to nearly the solution
    reference: Answer  # a right answer: a function, a class or a value
    properties: tuple[Property, ...]
    draw: Callable[[torch.Generator], tuple] = lambda generator: ()  # the inputs of one trial
    observe: Callable[..., Value] = call  # how an answer and inputs give a value
    may_return_none: bool = False  # True where the function only changes something

    def __call__(self, answer: Answer, *, seed: int | None = None, limit: float = 15.0) -> Result:
        """Check `answer` on inputs made from `seed` (default: a new one each time) in `limit` seconds."""
        start = secrets.randbits(40) if seed is None else seed
        # torch loads this with its first optimizer or meta tensor. That takes more than a second: it must not
        # count as the student's time, and stopping it half-way would break torch until the kernel restarts.
        importlib.import_module("torch._dynamo")
        outcome = guarded(lambda: self._judge(answer, start), limit)
        return self._result(outcome, limit)

    def hint(self, level: int = 1) -> Hint:
        """Hint number `level`; beyond the last one, where the solution is."""
        total = len(self.hints)
        if isinstance(level, int) and 1 <= level <= total:
            return Hint(f"{level} of {total} for {self.id} {self.title}", self.hints[level - 1])
        text = f'There are {total} hints, from `hint("{self.id}", 1)` to `hint("{self.id}", {total})`.'
        return Hint(
            f"{self.id} {self.title}",
            text + " The solution is in the notebook of the same name in `solutions/`.",
        )

    def __repr__(self) -> str:
        return f"Exercise {self.id}: {self.title} (difficulty {self.difficulty} of 5, {self.minutes} minutes)"

    def _judge(self, answer: Answer, start: int) -> Verdict:
        """Runs in the guarded thread: the status, the message and the property that failed."""
        name = None
        try:
            explain.refuse_other_kinds(answer, self.reference)
            student = (
                explain.watched(answer, self.may_return_none) if isinstance(answer, FunctionType) else answer
            )
            for index, prop in enumerate(self.properties):
                name = prop.name
                torch.set_grad_enabled(True)
                torch.set_default_dtype(torch.float32)
                seed = start * 1000 + 2 * index
                message = prop.test(Trial(student, self.reference, self.draw, self.observe, seed))
                if message:
                    return "failed", message, name
        except explain.NotAttempted as error:
            return "not attempted", str(error), None
        except explain.Complaint as error:
            return "failed", str(error), name
        except explain.TimeLimit:
            raise
        except BaseException as error:  # sys.exit and KeyboardInterrupt raised by the student's code, too
            unfinished = explain.unfinished(error)
            if unfinished:
                return "not attempted", unfinished, None
            return "failed", explain.exception(error), name
        names = ", ".join(prop.name for prop in self.properties)
        return "passed", f"Tested on new random inputs: {names}.", None

    def _result(self, outcome: Outcome[Verdict], limit: float) -> Result:
        """The judge's verdict, or what there is to say when the time was up."""
        status: Status
        if outcome.value is not None:
            status, message, name = outcome.value
        else:
            status, name = "failed", "ends in time"
            message = (
                f"Your code was still running after {limit:g} seconds and was stopped: "
                "is there a loop that never ends?"
            )
            if outcome.still_running:
                message += " It did not even react to being stopped, so restart the kernel before you go on."
        return Result(self.id, self.title, status, message, name, outcome.printed, outcome.lines_dropped)
