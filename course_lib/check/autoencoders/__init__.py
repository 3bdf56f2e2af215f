"""Checks of notebook 01: autoencoders, and what they are good for."""

from __future__ import annotations

from course_lib.check.autoencoders.damage import denoising_loss, salt_and_pepper
from course_lib.check.autoencoders.error import mse
from course_lib.check.autoencoders.inpainting import inpaint
from course_lib.check.autoencoders.outliers import outlier_score
from course_lib.check.autoencoders.pca import pca_reconstruct
from course_lib.check.autoencoders.training import train_step

EXERCISES = (mse, pca_reconstruct, train_step, salt_and_pepper, denoising_loss, outlier_score, inpaint)

__all__ = [
    "EXERCISES",
    "denoising_loss",
    "inpaint",
    "mse",
    "outlier_score",
    "pca_reconstruct",
    "salt_and_pepper",
    "train_step",
]
