"""Checks of notebook 07: latents, and text to image."""

from __future__ import annotations

from course_lib.check.core import Exercise
from course_lib.check.text.attention import cross_attention
from course_lib.check.text.codes import quantise
from course_lib.check.text.dropout import drop_captions
from course_lib.check.text.neighbours import copies
from course_lib.check.text.scale import latent_scale

EXERCISES: tuple[Exercise, ...] = (quantise, latent_scale, cross_attention, drop_captions, copies)

__all__ = ["EXERCISES", "copies", "cross_attention", "drop_captions", "latent_scale", "quantise"]
