"""Ready-made properties for exercises: what a tensor function owes its caller, each with its usual mistakes.

`close_to` is the heart: it compares with the reference, and if the values differ it looks for a *typical
wrong answer* that gives exactly the student's values. That tells which mistake was made.

How values are compared stands in `compare.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from course_lib.check import explain
from course_lib.check.compare import difference, not_a_tensor, same, tensors
from course_lib.check.core import Answer, Mistakes, Property, Trial


def close_to(
    *mistakes: tuple[Answer, str],  # a typical wrong answer, and the sentence that diagnoses it
    name: str = "values",
    rtol: float = 1e-4,
    atol: float = 1e-5,
) -> Property:
    """The values (and shape) of the reference. If they differ: the sentence of the first matching mistake."""

    def test(t: Trial) -> str | None:
        right, yours = t.answer(t.reference), t.answer(t.student)
        if same(yours, right, rtol, atol):
            return None
        return f"{recognised(t, mistakes, rtol, atol)} {difference(yours, right)}".strip()

    return Property(name, test, mistakes)


def recognised(t: Trial, mistakes: Mistakes, rtol: float = 1e-4, atol: float = 1e-5) -> str:
    """The sentence of the first mistake that twice gives the same values as the student's answer, or ""."""
    yours = t.answer(t.student)  # once: it may be slow
    for wrong, sentence in mistakes:
        try:
            if same(yours, t.answer(wrong), rtol, atol) and _match(t.anew(), wrong, rtol, atol):
                return sentence
        except Exception:  # a wrong answer may be undefined on these inputs
            continue
    return ""


def _match(t: Trial, wrong: Answer, rtol: float, atol: float) -> bool:
    return same(t.answer(t.student), t.answer(wrong), rtol, atol)


def returns_tensor() -> Property:
    """A tensor, not a float, an array or a tuple."""

    def test(t: Trial) -> str | None:
        return not_a_tensor(t.answer(t.student))

    return Property("returns a tensor", test)


def shape(meanings: Mapping[tuple[int, ...], str] | None = None) -> Property:
    """The reference's shape, for answers whose values are free. `meanings` explains typical wrong shapes."""

    def test(t: Trial) -> str | None:
        right, yours = t.answer(t.reference), t.answer(t.student)
        if not_a_tensor(yours):
            return not_a_tensor(yours)
        if yours.shape == right.shape:
            return None
        why = (meanings or {}).get(tuple(yours.shape), "")
        return f"Your result has shape {tuple(yours.shape)}, it should be {tuple(right.shape)}. {why}".strip()

    return Property("shape", test)


def dtype_kept() -> Property:
    """The reference's dtype, for the inputs as drawn and again with floating inputs in float64."""

    def test(t: Trial) -> str | None:
        message = _other_dtype(t, t.args())
        if message:
            return message
        try:
            return _other_dtype(t, _map(t.args(), lambda x: x.double() if x.is_floating_point() else x))
        except (explain.Complaint, explain.NotAttempted):
            raise
        except Exception as error:  # nobody has told the student that float64 is tried, too
            return (
                "With float32 your code works, but with float64 inputs (`x.double()`) it stops: give new "
                f"values the type of the input, `.to(x)`. {explain.exception(error)}"
            )

    return Property("dtype", test)


def _other_dtype(t: Trial, args: tuple) -> str | None:
    """A sentence if the result for `args` has another type than the reference's."""
    given = ", ".join(str(x.dtype) for x in tensors(args))
    right, yours = t.answer(t.reference, *args), t.answer(t.student, *args)
    if not_a_tensor(yours):
        return not_a_tensor(yours)
    if yours.dtype == right.dtype:
        return None
    return (
        f"For an input of type {given} your result is {yours.dtype}, it should be {right.dtype}. "
        "Look for `.float()`, `.int()`, or a tensor made with a type of its own."
    )


def device_kept() -> Property:
    """Works where its inputs live. Tried on torch's `meta` device, which every machine has."""

    def test(t: Trial) -> str | None:
        sentence = "Make new tensors where the input is: `torch.randn_like(x)` or `device=x.device`."
        try:
            yours = t.answer(t.student, *_map(t.args(), lambda x: x.to("meta")))
        except Exception as error:  # meta tensors hold no numbers, so other errors prove nothing here
            if "same device" in str(error) or "expected device" in str(error):
                return f"Your code mixes devices, so it would fail on a GPU. {sentence}"
            return None
        if isinstance(yours, Tensor) and yours.device.type != "meta":
            return f"Your result is always on the CPU, wherever the input is. {sentence}"
        return None

    return Property("device", test)


def input_unchanged() -> Property:
    """No argument is changed in place."""

    def test(t: Trial) -> str | None:
        given = t.args()
        t.answer(t.student, *given)
        for number, (before, after) in enumerate(zip(t.args(), given, strict=True), start=1):
            if not same(after, before, 0.0, 0.0):
                return (
                    f"Your function changes its input (argument {number}) in place, so the caller's own "
                    "data are different afterwards. Compute something new: `x = x * 2`, not `x *= 2` or "
                    "`x.mul_(2)`."
                )
        return None

    return Property("input left unchanged", test)


def backward_left_to_caller(mistake: Answer) -> Property:
    """A loss is returned, not differentiated. Comes first: it explains errors that others would run into.

    `mistake` is an answer that calls `backward()`.
    """

    sentence = "Your function calls `backward()` itself. Return the loss only: the training loop does that."

    def test(t: Trial) -> str | None:
        args = _map(t.args(), lambda x: x.requires_grad_() if x.is_floating_point() else x)
        try:
            t.answer(t.student, *args)
        except Exception:  # told by the next property, which tries plain inputs
            return None
        models = [p for a in args if isinstance(a, nn.Module) for p in a.parameters()]
        if all(x.grad is None for x in [*tensors(args), *models]):
            return None
        return sentence

    return Property("`backward()` left to the caller", test, ((mistake, sentence),))


def gradient_flows(argument: int = 0, mistakes: Mistakes = ()) -> Property:
    """The gradient with respect to one argument (0 is the first) equals the reference's."""

    def gradient(t: Trial, who: Answer) -> Tensor | None:
        args = list(t.args())
        args[argument] = args[argument].detach().clone().requires_grad_()
        value = t.answer(who, *args)
        out = sum((x * _weights(x, t)).sum() for x in tensors(value) if x.requires_grad)
        if isinstance(out, Tensor):
            out.backward()
        return args[argument].grad

    def test(t: Trial) -> str | None:
        right, yours = gradient(t, t.reference), gradient(t, t.student)
        if yours is None:
            return (
                f"No gradient reaches argument {argument + 1}: training could not work. Look for "
                "`.detach()`, `.item()`, `.data`, `torch.no_grad()`, `torch.tensor(...)` or NumPy."
            )
        if same(yours, right, 1e-3, 1e-5):
            return None
        for wrong, sentence in mistakes:
            if same(yours, gradient(t, wrong), 1e-3, 1e-5):
                return sentence
        return (
            f"The values are right, but the gradient for argument {argument + 1} is not: is a part of the "
            "computation cut off with `.detach()`, or one part too few?"
        )

    return Property("gradient", test, mistakes)


def fresh_noise() -> Property:
    """Two calls on the same input differ, because each draws its own random numbers."""

    def test(t: Trial) -> str | None:
        first, second = t.answers(t.student, 2)
        if same(first, second, 0.0, 0.0):
            return (
                "Two calls give exactly the same result, although each should draw new random numbers. Is a "
                "seed set inside the function, or is the noise missing?"
            )
        args = t.args()
        torch.manual_seed(t.noise_seed + 1)
        if same(first, t.observe(t.student, *args), 0.0, 0.0):
            return "Your function sets the seed itself. Leave `torch.manual_seed` to the caller."
        return None

    return Property("new noise at each call", test)


def _map(args: tuple, change: Callable[[Tensor], Tensor]) -> tuple:
    """`args` with `change` applied to every tensor that stands directly in it."""
    return tuple(change(a) if isinstance(a, Tensor) else a for a in args)


def _weights(x: Tensor, t: Trial) -> Tensor:
    """Random weights for a sum over outputs: with plain sums some wrong gradients cancel.

    Drawn in float32 for every x: the same seed gives other numbers in float64.
    """
    return torch.rand(x.shape, generator=t.generator(), dtype=torch.float32).to(x)
