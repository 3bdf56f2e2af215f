"""Exercise 2.4: from one code to another along the circle."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.compare import difference, same
from course_lib.check.core import Exercise, Mistakes, Property, Trial
from course_lib.check.properties import close_to, dtype_kept, input_unchanged, returns_tensor
from course_lib.check.vae.arcs import MISTAKES, cosine, lerp, spherical, with_angle
from course_lib.check.vae.told import told


def _codes(generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    """a, b (d,): columns of one matrix, from 40 to 70 or 110 to 140 degrees apart; and a t that is not 1/2.

    Their lengths are different, and so small that the arccosine of a @ b exists, and is wrong.
    """
    d = int(torch.randint(4, 9, (), generator=generator))
    u, v = torch.linalg.qr(torch.randn(d, 2, generator=generator)).Q.T
    small, large, angle, t = torch.rand(4, generator=generator).tolist()
    w = torch.tensor(0.7 + 0.5 * angle)
    if torch.rand((), generator=generator) < 0.5:
        w = torch.pi - w
    lengths = [0.5 + 0.2 * small, 1 + 0.25 * large]
    if torch.rand((), generator=generator) < 0.5:
        lengths.reverse()
    ab = torch.stack([lengths[0] * u, lengths[1] * (torch.cos(w) * u + torch.sin(w) * v)], dim=1)
    share = 0.15 + 0.25 * t
    return ab[:, 0], ab[:, 1], share if torch.rand((), generator=generator) < 0.5 else 1 - share


def _ends(t: Trial) -> str | None:
    a, b, _ = t.args()
    for share, name, end in ((0.0, "a", a), (1.0, "b", b)):
        yours = t.answer(t.student, a.clone(), b.clone(), share)
        if not same(yours, end, 1e-3, 1e-4):
            return f"At t = {share:g} the result must be {name} itself. {difference(yours, end)}"
    return None


def _length(t: Trial) -> str | None:
    """Between codes of one length every point has that length."""
    a, b, _ = t.args()
    b = b * (a.norm() / b.norm())
    for share in (0.25, 0.5, 0.75):
        found, wanted = t.answer(t.student, a.clone(), b.clone(), share).norm().item(), a.norm().item()
        if not abs(found - wanted) < 1e-3 * wanted:
            return (
                f"Between two codes of length {wanted:.4g} your point at t = {share:g} has length "
                f"{found:.4g}. It should stay on the circle."
            )
    return None


ZERO_BY_ZERO = (
    "For codes that point the same way w is 0, and you divide by sin(w) = 0, which is not a number. Return "
    "the straight line where sin(w) is below 1e-6."
)
BEYOND_ONE = (
    "For some codes that point the same way your result is not a number: rounding makes the cosine "
    "1.0000001, and the arccosine of that does not exist. Keep it in bounds with `.clamp(-1, 1)`."
)


def _same_way(t: Trial) -> str | None:
    straight = torch.zeros(4)
    straight[0] = 2.0  # its cosine with itself is 1 without rounding
    message = _line(t, straight, 1.0, ZERO_BY_ZERO)
    if message:
        return message
    generator = t.generator()
    for _ in range(100):
        a = torch.randn(8, generator=generator)
        message = _line(t, a, 0.5 + torch.rand((), generator=generator).item(), BEYOND_ONE)
        if message:
            return message
    return None


def _line(t: Trial, a: Tensor, times: float, not_a_number: str) -> str | None:
    """Is the way from a to a multiple of it the straight line?"""
    yours, right = t.answer(t.student, a.clone(), a * times, 0.25), lerp(a, a * times, 0.25)
    if same(yours, right, 1e-3, 1e-3):
        return None
    if not yours.isfinite().all():
        return not_a_number
    return (
        f"Where b is {times:.3g} times a, the point at t = 0.25 should be {right[0].item():.4g} in its first "
        f"number; yours is {yours.flatten()[0].item():.4g}. Return the straight line where sin(w) is below "
        "1e-6."
    )


def _unclamped(a: Tensor, b: Tensor, t: float) -> Tensor:
    w = torch.acos(a @ b / (a.norm() * b.norm()))
    if torch.sin(w) < 1e-6:
        return lerp(a, b, t)
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)


def _stays(a: Tensor, b: Tensor, t: float) -> Tensor:
    return a.clone() if cosine(a, b) > 1 - 1e-6 else spherical(a, b, t)


SAME_WAY: Mistakes = (
    (with_angle(lambda a, b: torch.acos(cosine(a, b))), ZERO_BY_ZERO),
    (_unclamped, BEYOND_ONE),
    (_stays, "Return the straight line where"),
)

slerp = Exercise(
    id="2.4",
    title="Along the circle",
    difficulty=3,
    minutes=10,
    hints=(
        "First the angle: the cosine of the angle between two directions is their dot product, divided by "
        "both lengths. Then the two weights. What happens to them where the angle is 0?",
        "`torch.acos` gives the angle in radians. Rounding can make a cosine slightly larger than 1, so "
        "`.clamp(-1, 1)` comes first. Only the angle needs the division by the lengths; the codes that are "
        "mixed are a and b themselves.",
        "`w = torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))`. If `torch.sin(w) < 1e-6`, return "
        "`(1 - t) * a + t * b`. Otherwise a has the weight `torch.sin((1 - t) * w) / torch.sin(w)`, and b "
        "that with t in the place of 1 - t.",
    ),
    reference=spherical,
    draw=_codes,
    properties=(
        returns_tensor(),
        told("a at t = 0, b at t = 1", _ends, MISTAKES),
        told("the length between equal lengths", _length, MISTAKES),
        close_to(*MISTAKES),
        Property("codes that point the same way", _same_way, SAME_WAY),
        input_unchanged(),
        dtype_kept(),
    ),
)
