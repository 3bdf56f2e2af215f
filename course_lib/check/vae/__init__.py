"""Checks of notebook 02: variational autoencoders."""

from __future__ import annotations

from course_lib.check.vae.annealing import beta_at
from course_lib.check.vae.balance import balanced_weights
from course_lib.check.vae.divergence import kl
from course_lib.check.vae.drawing import reparameterize
from course_lib.check.vae.evidence import elbo
from course_lib.check.vae.importance import importance_bound
from course_lib.check.vae.interpolation import slerp

EXERCISES = (kl, reparameterize, elbo, slerp, beta_at, importance_bound, balanced_weights)

__all__ = [
    "EXERCISES",
    "balanced_weights",
    "beta_at",
    "elbo",
    "importance_bound",
    "kl",
    "reparameterize",
    "slerp",
]
