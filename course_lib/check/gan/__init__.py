"""Checks of notebook 03: generative adversarial networks."""

from __future__ import annotations

from course_lib.check.gan.detective import d_step
from course_lib.check.gan.dirac import dirac_step
from course_lib.check.gan.forger import g_step
from course_lib.check.gan.losses import losses
from course_lib.check.gan.modes import count_modes
from course_lib.check.gan.penalty import gradient_penalty
from course_lib.check.gan.precision import precision_recall

EXERCISES = (losses, d_step, g_step, count_modes, dirac_step, gradient_penalty, precision_recall)

__all__ = [
    "EXERCISES",
    "count_modes",
    "d_step",
    "dirac_step",
    "g_step",
    "gradient_penalty",
    "losses",
    "precision_recall",
]
