"""Checks of notebook 05: image to image."""

from __future__ import annotations

from course_lib.check.translation.cycle import cycle_loss
from course_lib.check.translation.identity import identity_loss
from course_lib.check.translation.order import turns
from course_lib.check.translation.pairs import judge_pairs
from course_lib.check.translation.receptive import reach
from course_lib.check.translation.replay import replay

EXERCISES = (judge_pairs, reach, cycle_loss, identity_loss, replay, turns)

__all__ = [
    "EXERCISES",
    "cycle_loss",
    "identity_loss",
    "judge_pairs",
    "reach",
    "replay",
    "turns",
]
