"""Ready-made properties for exercises: what a tensor function owes its caller, each with its usual mistakes.

`close_to` is the heart: it compares with the reference, and if the values differ it looks for a *typical
wrong answer* that gives exactly the student's values. That tells which mistake was made.

All of them compare on CPU tensors in float64, and look into tuples, lists and dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.check import explain
from course_lib.check.core import Answer, Mistakes, Property, Trial, Value


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
        for wrong, sentence in mistakes:
            try:
                matches = same(yours, t.answer(wrong), rtol, atol)
            except Exception:  # a wrong answer may be undefined on these inputs
                continue
            if matches:
                return f"{sentence} {difference(yours, right)}".strip()
        return difference(yours, right)

    return Property(name, test, mistakes)


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
        for args in (t.args(), _map(t.args(), lambda x: x.double() if x.is_floating_point() else x)):
            right, yours = t.answer(t.reference, *args), t.answer(t.student, *args)
            if not_a_tensor(yours):
                return not_a_tensor(yours)
            if yours.dtype != right.dtype:
                given = ", ".join(str(x.dtype) for x in _tensors(args))
                return (
                    f"For an input of type {given} your result is {yours.dtype}, it should be {right.dtype}. "
                    "Look for `.float()`, `.int()`, or a tensor made with a type of its own."
                )
        return None

    return Property("dtype", test)


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


def gradient_flows(argument: int = 0, mistakes: Mistakes = ()) -> Property:
    """The gradient with respect to one argument (0 is the first) equals the reference's."""

    def gradient(t: Trial, who: Answer) -> Tensor | None:
        args = list(t.args())
        args[argument] = args[argument].detach().clone().requires_grad_()
        value = t.answer(who, *args)
        out = sum((x * _weights(x, t)).sum() for x in _tensors(value) if x.requires_grad)
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
        one, two, three, four = (t.args() for _ in range(4))
        torch.manual_seed(t.seed)
        first, second = t.observe(t.student, *one), t.observe(t.student, *two)
        if same(first, second, 0.0, 0.0):
            return (
                "Two calls give exactly the same result, although each should draw new random numbers. Is a "
                "seed set inside the function, or is the noise missing?"
            )
        torch.manual_seed(t.seed)
        again = t.observe(t.student, *three)
        torch.manual_seed(t.seed + 1)
        if same(again, t.observe(t.student, *four), 0.0, 0.0):
            return "Your function sets the seed itself. Leave `torch.manual_seed` to the caller."
        return None

    return Property("new noise at each call", test)


def same(a: Value, b: Value, rtol: float, atol: float) -> bool:
    """Equal structure, shapes, and values within the tolerance; dtype and device don't count."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k], rtol, atol) for k in a)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
    x, y = _numbers(a), _numbers(b)
    if x is None or y is None:
        return x is y and type(a) is type(b) and (not isinstance(a, str) or a == b)  # others: kind only
    return x.shape == y.shape and torch.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True)


def difference(yours: Value, right: Value) -> str:
    """One sentence with observed numbers on how `yours` differs from `right`."""
    if isinstance(right, tuple | list):
        if not isinstance(yours, tuple | list):
            return f"Return {len(right)} things; you return one {type(yours).__name__}."
        if len(yours) != len(right):
            return f"Return {len(right)} things; you return {len(yours)}."
        for number, (a, b) in enumerate(zip(yours, right, strict=True), start=1):
            if not same(a, b, 1e-4, 1e-5):
                return f"Part {number} of what you return: {difference(a, b)}"
    x, y = _numbers(yours), _numbers(right)
    if x is None or y is None:
        return f"You return {explain.kind_of(yours)}, it should be {explain.kind_of(right)}."
    if x.shape != y.shape:
        return f"Your result has shape {tuple(x.shape)}, it should be {tuple(y.shape)}."
    if not torch.isfinite(x).all() and torch.isfinite(y).all():
        bad = int((~torch.isfinite(x)).sum())
        return (
            f"{bad} of your {x.numel()} numbers are infinite or not a number: a division by 0, or a log of 0?"
        )
    if x.numel() == 1:
        return f"You get {x.item():.5g}, it should be {y.item():.5g}."
    at = int((x - y).abs().nan_to_num(torch.inf).argmax())
    index = [int(i) for i in np.unravel_index(at, x.shape)]
    return f"At {index} you have {x.flatten()[at]:.5g}, it should be {y.flatten()[at]:.5g}."


def not_a_tensor(value: Value) -> str | None:
    """A sentence if `value` is no tensor."""
    if isinstance(value, Tensor):
        return None
    why = {
        "float": " Leave out `.item()` or `float(...)`, so that gradients can flow.",
        "int": " Leave out `.item()` or `int(...)`.",
        "ndarray": " Stay in torch: leave out `.numpy()` and `np.`.",
        "generator": " Is there a `yield` where a `return` should be?",
        "tuple": " Is there a comma at the end of the `return` line, or one thing too many?",
    }
    return f"You return {explain.kind_of(value)}, it should be a tensor.{why.get(type(value).__name__, '')}"


def _numbers(value: Value) -> Tensor | None:
    """The value as a float64 tensor on the CPU, or None if it is not numbers."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", torch.float64)
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        try:
            return torch.as_tensor(np.asarray(value, dtype=np.float64))
        except (TypeError, ValueError):
            return None
    if isinstance(value, nn.Module):
        return torch.cat(
            [p.detach().double().flatten().cpu() for p in value.state_dict().values()] or [torch.zeros(0)]
        )
    return None


def _tensors(value: Value) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _map(args: tuple, change: Callable[[Tensor], Tensor]) -> tuple:
    """`args` with `change` applied to every tensor that stands directly in it."""
    return tuple(change(a) if isinstance(a, Tensor) else a for a in args)


def _weights(x: Tensor, t: Trial) -> Tensor:
    """Random weights for a sum over outputs: with plain sums some wrong gradients cancel.

    Drawn in float32 for every x: the same seed gives other numbers in float64.
    """
    return torch.rand(x.shape, generator=t.generator(), dtype=torch.float32).to(x)
