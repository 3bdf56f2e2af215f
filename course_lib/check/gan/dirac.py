"""Exercise 3.5: the smallest GAN there is, and what R1 does to it.

L. Mescheder, A. Geiger, S. Nowozin, "Which Training Methods for GANs do actually Converge?", arXiv
1801.04406, sections 2 and 4.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, hypot, inf, pi, sin

import torch

from course_lib.check.core import Answer, Exercise, Mistakes, Trial
from course_lib.check.gan.pairs import two_numbers
from course_lib.check.properties import close_to
from course_lib.check.vae.told import on, told

Inputs = tuple[float, float, float, float]  # theta, psi, lr, r1


def _verdict(t: float) -> float:
    """The probability of a logit."""
    return 1 / (1 + exp(-t))


def _dirac_step(theta: float, psi: float, lr: float, r1: float) -> tuple[float, float]:
    d = _verdict(psi * theta)  # what D takes G's samples for
    return theta + lr * d * psi, psi - lr * (d * theta + r1 * psi)


def _anywhere(generator: torch.Generator) -> Inputs:
    """theta and psi of either sign and size 0.5 to 2, lr 0.1 to 0.5, r1 0.4 to 2 but not near 1."""
    u = torch.rand(4, generator=generator).tolist()
    signs = (torch.randint(0, 2, (2,), generator=generator) * 2 - 1).tolist()
    theta, psi = ((0.5 + 1.5 * x) * s for x, s in zip(u[:2], signs, strict=True))
    return theta, psi, 0.1 + 0.4 * u[2], 0.4 + 0.4 * u[3] if u[3] < 0.5 else 1 + u[3]


def _without(generator: torch.Generator) -> Inputs:
    return *_anywhere(generator)[:3], 0.0


def _at_rest(generator: torch.Generator) -> Inputs:
    """Where G has found the data, and D has nothing to say."""
    return 0.0, 0.0, *_anywhere(generator)[2:]


# Wrong answers: what G and D add to theta and psi, from theta, psi, D's verdict d on G's samples, and r1

Move = Callable[[float, float, float, float], tuple[float, float]]


def _moves(move: Move, verdict: Callable[[float], float] = _verdict) -> Answer:
    def dirac_step(theta: float, psi: float, lr: float, r1: float) -> tuple[float, float]:
        d_theta, d_psi = move(theta, psi, verdict(theta * psi), r1)
        return theta + lr * d_theta, psi + lr * d_psi

    return dirac_step


def _right(theta: float, psi: float, d: float, r1: float) -> tuple[float, float]:
    return d * psi, -d * theta - r1 * psi


def _g_first(theta: float, psi: float, lr: float, r1: float) -> tuple[float, float]:
    moved = _dirac_step(theta, psi, lr, r1)[0]
    return moved, _dirac_step(moved, psi, lr, r1)[1]


def _d_first(theta: float, psi: float, lr: float, r1: float) -> tuple[float, float]:
    moved = _dirac_step(theta, psi, lr, r1)[1]
    return _dirac_step(theta, moved, lr, r1)[0], moved


def _by_how_much(theta: float, psi: float, lr: float, r1: float) -> tuple[float, float]:
    new_theta, new_psi = _dirac_step(theta, psi, lr, r1)
    return new_theta - theta, new_psi - psi


def _penalty_without_lr(theta: float, psi: float, lr: float, r1: float) -> tuple[float, float]:
    new_theta, new_psi = _dirac_step(theta, psi, lr, 0.0)
    return new_theta, new_psi - r1 * psi


AT_ONCE = "Both players move at once: each from the theta and psi that came in, not from the other's new one."
NO_REST: Mistakes = (
    (
        _moves(lambda a, p, d, r: (d, -d - r * p)),
        "The inner derivatives are missing: the slope comes times psi for theta, and times theta for psi.",
    ),
    (
        _moves(lambda a, p, d, r: (d * p, -d - r * p)),
        "The inner derivative for psi is missing: the slope comes times theta.",
    ),
    (
        _moves(lambda a, p, d, r: (d, -d * a - r * p)),
        "The inner derivative for theta is missing: the slope comes times psi.",
    ),
)
GAME: Mistakes = (
    (_g_first, f"You move theta first, and then psi with the new theta. {AT_ONCE}"),
    (_d_first, f"You move psi first, and then theta with the new psi. {AT_ONCE}"),
    (
        _moves(lambda a, p, d, r: (-d * p, -d * a - r * p)),
        "G goes uphill: V has the slope -sigmoid(psi theta) psi for theta, and G subtracts it.",
    ),
    (
        _moves(lambda a, p, d, r: (d * p, d * a - r * p)),
        "D goes downhill: V has the slope -sigmoid(psi theta) theta for psi, and D adds it.",
    ),
    (
        _moves(lambda a, p, d, r: (-d * p, d * a - r * p)),
        "Both signs are exchanged: G makes V smaller, D makes it larger. And V falls where psi theta grows.",
    ),
    (
        _moves(lambda a, p, d, r: (d * a, -d * p - r * p)),
        "The inner derivatives are exchanged: that of psi theta for theta is psi, and the other way round.",
    ),
    (
        _moves(lambda a, p, d, r: (p, -a - r * p)),
        "sigmoid(psi theta) is missing: that is the slope of V, times psi or theta.",
    ),
    (
        _moves(lambda a, p, d, r: ((1 - d) * p, -d * a - r * p)),
        "Your G plays the non-saturating game, with 1 - sigmoid(psi theta). Here both play for the same V.",
    ),
    (
        _moves(_right, lambda t: 1 / (1 + exp(t))),
        "Your slope is 1 - sigmoid(psi theta). That of log(1 - sigmoid(t)) is -sigmoid(t).",
    ),
    (
        _moves(_right, lambda t: exp(-t) / (1 + exp(-t)) ** 2),
        "That is the slope of the sigmoid. V is a logarithm: that of log(1 - sigmoid(t)) is -sigmoid(t).",
    ),
    (
        _moves(lambda a, p, d, r: (0, -d * a - r * p)),
        "theta does not move: G adds sigmoid(psi theta) psi, times lr.",
    ),
    (
        _moves(lambda a, p, d, r: (d * p, -r * p)),
        "Nothing of the game reaches psi: D subtracts sigmoid(psi theta) theta, times lr.",
    ),
    (
        lambda a, p, lr, r: _dirac_step(a, p, 1.0, r),
        "lr plays no part: multiply both gradients with it.",
    ),
    (_by_how_much, "You return by how much theta and psi change. Return the new theta and psi."),
    (
        _moves(lambda a, p, d, r: (d * p, -d * a - p)),
        "r1 plays no part in your penalty: multiply with it.",
    ),
    (lambda a, p, lr, r: _dirac_step(a, p, lr, r)[::-1], "Return theta first, then psi."),
)
PENALTY: Mistakes = (
    (_moves(lambda a, p, d, r: (d * p, -d * a)), "The penalty is missing: D subtracts r1 psi as well."),
    (
        _moves(lambda a, p, d, r: (d * p, -d * a + r * p)),
        "You add the penalty's gradient. D pays the penalty, so it pulls psi towards 0: subtract r1 psi.",
    ),
    (
        _moves(lambda a, p, d, r: (d * p, -d * a - r * p / 2)),
        "The penalty is r1/2 psi^2, and its derivative has no 1/2: r1 psi.",
    ),
    (
        _moves(lambda a, p, d, r: (d * p, -d * a - 2 * r * p)),
        "You take the derivative of r1 psi^2. The penalty is r1/2 psi^2: its derivative is r1 psi.",
    ),
    (
        _moves(lambda a, p, d, r: (d * p, -d * a - r / 2 * p**2)),
        "You subtract the penalty itself. A step needs its derivative, r1 psi.",
    ),
    (_penalty_without_lr, "The penalty's gradient is not multiplied with lr."),
    (
        _moves(lambda a, p, d, r: (d * p - r * a, -d * a - r * p)),
        "You penalise theta, too. R1 concerns D only.",
    ),
    (_moves(lambda a, p, d, r: (d * p - r * a, -d * a)), "You penalise theta. R1 concerns D, so psi."),
    (
        _moves(lambda a, p, d, r: (d * p, -d * a - r * a)),
        "The penalty pulls at psi in the measure of theta. Its derivative is r1 psi.",
    ),
)


STEPS = 120


def _distance(t: Trial, r1: float) -> float:
    """How far the student's theta, psi are from (0, 0) after `STEPS` steps that begin 1 away from it."""
    angle = 2 * pi * torch.rand((), generator=t.generator()).item()
    theta, psi = cos(angle), sin(angle)
    for _ in range(STEPS):
        try:
            theta, psi = (float(x) for x in t.student(theta, psi, 0.25, r1))
        except OverflowError:  # of exp: they have left for ever
            return inf
    return hypot(theta, psi)


def _outwards(t: Trial) -> str | None:
    end = _distance(t, 0.0)
    if 1.5 < end < 3:  # 2.0 to 2.25, wherever they begin
        return None
    return (
        "Without a penalty (r1 = 0) the two should circle round (0, 0) and come a little further out with "
        f"each turn: from a distance of 1 to about 2 in {STEPS} steps of 0.25. Yours end at {end:.3g}."
    )


def _inwards(t: Trial) -> str | None:
    end = _distance(t, 1.0)
    if end < 0.01:
        return None
    return (
        "With r1 = 1 the two should come to rest at (0, 0). Yours begin at a distance of 1 and are at "
        f"{end:.3g} after {STEPS} steps of 0.25."
    )


dirac_step = Exercise(
    id="3.5",
    title="R1 on the Dirac-GAN",
    difficulty=3,
    minutes=15,
    hints=(
        "Differentiate V by hand, once for theta and once for psi. The slope of log(1 - sigmoid(t)) is "
        "-sigmoid(t); the chain rule multiplies it with what stands beside theta, or beside psi.",
        "V has the slope -sigmoid(psi theta) psi for theta, and -sigmoid(psi theta) theta for psi. G goes "
        "down and D goes up, both from where they stand now. D also pays r1/2 psi^2, with the slope r1 psi.",
        "`d = 1 / (1 + math.exp(-psi * theta))`, then return `theta + lr * d * psi` and "
        "`psi - lr * (d * theta + r1 * psi)`, both computed from the old values.",
    ),
    reference=_dirac_step,
    draw=_anywhere,
    properties=(
        two_numbers("the new theta and the new psi"),
        on(_at_rest, close_to(*NO_REST, name="rest at (0, 0)")),
        on(_without, told("r1 = 0: outwards, round and round", _outwards, GAME)),
        on(_without, close_to(*GAME, name="one step without a penalty")),
        told("r1 = 1: to rest", _inwards, PENALTY),
        close_to(*PENALTY, name="one step with a penalty"),
    ),
)
