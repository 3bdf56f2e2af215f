"""Paths between latent codes: straight lines and great circles.

A straight line between two codes of a high-dimensional Gaussian passes through codes that are far too short:
halfway between two that stand at a right angle the length is 1 / sqrt(2) of theirs. The great circle keeps
the length. Source: Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.

A code is the last axis: flatten maps (C, H, W) first. All other axes, and those of `t`, broadcast, so that
`slerp(a, b, torch.linspace(0, 1, 9))` with a, b (d,) is a path (9, d), and a, b (B, d) with t (B,) takes one
step in each of B pairs.
"""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from course_lib.errors import CourseError


class LatentError(CourseError):
    """Two codes between which there is no path."""


def lerp(a: Tensor | ArrayLike, b: Tensor | ArrayLike, t: Tensor | ArrayLike) -> Tensor:
    """The straight line (1 - t) a + t b; exactly a at t = 0 and b at t = 1.

    a, b: codes (..., d), tensors or arrays of real numbers; t: a number or (...), usually in [0, 1], and
    beyond it the line goes on. Returns (..., d) in the dtype of the codes. Raises `LatentError` where the
    codes have different lengths or the leading axes do not broadcast.
    """
    a, b, t = _checked(a, b, t)
    return _exact_ends((1 - t) * a + t * b, a, b, t)


def slerp(a: Tensor | ArrayLike, b: Tensor | ArrayLike, t: Tensor | ArrayLike) -> Tensor:
    """The great circle: the direction turns by equal angles, the length goes linearly from |a| to |b|.

    For codes of one length this is Shoemake's sin((1-t)w) / sin(w) a + sin(tw) / sin(w) b with w the angle
    between them; here it stands as cos(tw) u + sin(tw) p with u the direction of a and p the one at a right
    angle to it towards b, which needs no division by sin(w): nearly parallel codes and opposite ones are
    safe. Between opposite codes every great circle is as short; one of them is taken, always the same. A
    code of length 0 has no direction and takes that of the other. Shapes and errors as in `lerp`.
    """
    a, b, t = _checked(a, b, t)
    exact = torch.float32 if a.device.type == "mps" else torch.float64  # Apple's GPUs know no float64
    x, y, s = a.to(exact), b.to(exact), t.to(exact)
    long_a, long_b = x.norm(dim=-1, keepdim=True), y.norm(dim=-1, keepdim=True)
    u, v = _direction(x, long_a), _direction(y, long_b)
    u, v = torch.where(long_a > 0, u, v), torch.where(long_b > 0, v, u)
    along = (u * v).sum(-1, keepdim=True)
    across = v - along * u
    size = across.norm(dim=-1, keepdim=True)
    angle = s * torch.atan2(size, along)  # accurate near 0 and pi, where acos is not
    p = torch.where(size > 1e-12, _direction(across, size), _perpendicular(u))
    length = (1 - s) * long_a + s * long_b
    path = length * (torch.cos(angle) * u + torch.sin(angle) * p)
    return _exact_ends(path, a, b, t)


def _checked(
    a: Tensor | ArrayLike, b: Tensor | ArrayLike, t: Tensor | ArrayLike
) -> tuple[Tensor, Tensor, Tensor]:
    """Floating-point codes (..., d) of one dtype, and t (..., 1)."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    if a.dim() == 0 or b.dim() == 0 or a.shape[-1] != b.shape[-1]:
        raise LatentError(
            f"Codes must have shape (..., d) with one d, but have {tuple(a.shape)} and {tuple(b.shape)}."
        )
    dtype = torch.promote_types(a.dtype, b.dtype)
    if dtype.is_complex:
        raise LatentError("Codes must hold real numbers, but these are complex.")
    dtype = dtype if dtype.is_floating_point else torch.get_default_dtype()
    a, b = a.to(dtype), b.to(dtype)
    t = torch.as_tensor(t, device=a.device).to(torch.promote_types(dtype, torch.float32))[..., None]
    try:
        torch.broadcast_shapes(a.shape[:-1], b.shape[:-1], t.shape[:-1])
    except RuntimeError:
        shapes = tuple(a.shape), tuple(b.shape), tuple(t.shape[:-1])
        raise LatentError(
            f"The leading axes of a, b and t must broadcast, but the shapes are {shapes[0]}, {shapes[1]} and "
            f"{shapes[2]}: give a and b a length-1 axis where t has its own."
        ) from None
    return a, b, t


def _direction(x: Tensor, length: Tensor) -> Tensor:
    return x / torch.where(length > 0, length, 1)


def _perpendicular(u: Tensor) -> Tensor:
    """A unit vector at a right angle to u (..., d): the axis that u follows least, straightened."""
    axis = torch.nn.functional.one_hot(u.abs().argmin(-1), u.shape[-1]).to(u.dtype)
    across = axis - (axis * u).sum(-1, keepdim=True) * u
    return _direction(across, across.norm(dim=-1, keepdim=True))


def _exact_ends(path: Tensor, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return torch.where(t == 0, a, torch.where(t == 1, b, path.to(a.dtype)))
