"""How values are compared, and what there is to say where they differ.

Tensors are compared on the CPU in float64; tuples, lists and dictionaries are looked into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from course_lib.check import explain
from course_lib.check.core import Value


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
        "list": " `torch.stack(...)` makes one of a list of tensors, `torch.tensor(...)` of floats.",
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


def tensors(value: Value) -> Iterator[Tensor]:
    """Every tensor in `value`."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)
