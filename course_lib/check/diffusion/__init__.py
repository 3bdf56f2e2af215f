"""Checks of notebook 06: diffusion."""

from __future__ import annotations

from course_lib.check.core import Exercise
from course_lib.check.diffusion.ancestral import ddpm_step
from course_lib.check.diffusion.around import inpaint_step
from course_lib.check.diffusion.bayes import posterior
from course_lib.check.diffusion.guided import guided_eps
from course_lib.check.diffusion.implicit import ddim_step
from course_lib.check.diffusion.noise import q_sample
from course_lib.check.diffusion.repair import repaired
from course_lib.check.diffusion.simple import simple_loss
from course_lib.check.diffusion.snr import schedule_from_snr

EXERCISES: tuple[Exercise, ...] = (
    q_sample,
    schedule_from_snr,
    posterior,
    simple_loss,
    ddpm_step,
    ddim_step,
    guided_eps,
    inpaint_step,
    repaired,
)

__all__ = [
    "EXERCISES",
    "ddim_step",
    "ddpm_step",
    "guided_eps",
    "inpaint_step",
    "posterior",
    "q_sample",
    "repaired",
    "schedule_from_snr",
    "simple_loss",
]
