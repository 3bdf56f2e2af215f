"""Asking someone's network for the noise, with a sentence for whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.widgets.page import WidgetError


def asked(eps: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """The noise that `eps` finds in its inputs x (B, C, H, W), t (B,) and perhaps more: float32, shape of x.

    Raises `WidgetError` where it stops, or gives another shape, NaN or infinity.
    """
    x, shapes = inputs[0], ", ".join(str(tuple(value.shape)) for value in inputs)
    try:
        answer = eps(*inputs)
    except Exception as error:  # a student's network: a sentence, not a dead cell
        reason = str(error).strip().split("\n")[0][:200]
        raise WidgetError(
            f"eps stopped on inputs of shape {shapes}: {type(error).__name__}: {reason}."
        ) from error
    if not isinstance(answer, Tensor) or answer.shape != x.shape:
        given = tuple(answer.shape) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
        raise WidgetError(f"eps must give a tensor of the shape of x, {tuple(x.shape)}, but it gave {given}.")
    if not torch.isfinite(answer).all():
        raise WidgetError(f"eps gave NaN or infinity at t = {int(inputs[1][0])}: has the training diverged?")
    return answer.float()
