"""Exercise 1.1: the reconstruction error."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.autoencoders.net import pictures
from course_lib.check.core import Exercise
from course_lib.check.properties import (
    backward_left_to_caller,
    close_to,
    device_kept,
    dtype_kept,
    gradient_flows,
    input_unchanged,
    returns_tensor,
)


def _mse(x: Tensor, x_hat: Tensor) -> Tensor:
    return ((x - x_hat) ** 2).mean()


def _differentiates(x: Tensor, x_hat: Tensor) -> Tensor:
    loss = _mse(x, x_hat)
    loss.backward()
    return loss


def _two_batches(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """x and x_hat (B, C, H, W): B, C, H and W are different each time, and never 1."""
    sizes = torch.randperm(4, generator=generator).tolist()
    shape = tuple(size + 2 for size in sizes)
    return pictures(shape, generator), pictures(shape, generator)


mse = Exercise(
    id="1.1",
    title="The reconstruction loss",
    difficulty=1,
    minutes=4,
    hints=(
        "Read the formula from the inside out: difference, square, mean. Each is one operation in torch.",
        "`(x - x_hat) ** 2` is a tensor with one number for each pixel. The mean over the batch, the "
        "channels and the pixels is the mean over all of its numbers.",
        "`.mean()` without arguments takes the mean over everything, and its result is still a tensor, so "
        "that `backward()` works. You need nothing else.",
    ),
    reference=_mse,
    draw=_two_batches,
    properties=(
        backward_left_to_caller(_differentiates),
        returns_tensor(),
        close_to(
            (
                lambda x, y: ((x - y) ** 2).sum(),
                "You take the sum, so the error grows with the size of the batch and of the pictures. Take "
                "the mean.",
            ),
            (
                lambda x, y: (x - y).abs().mean(),
                "That is the mean of the absolute differences: square them instead.",
            ),
            (
                lambda x, y: ((x - y) ** 2).mean().sqrt(),
                "You take the square root at the end: the mean of the squares is already the answer.",
            ),
            (
                lambda x, y: ((x - y) ** 2).flatten(1).sum(1).mean(),
                "You take the mean over the batch, but the sum over channels and pixels. Take the mean over "
                "all of them.",
            ),
            (
                lambda x, y: ((x - y) ** 2).flatten(1).mean(1).sum(),
                "You take the mean over each picture, but the sum over the batch. Take the mean over all of "
                "them.",
            ),
            (
                lambda x, y: ((x - y) ** 2).sum((2, 3)).mean(),
                "You take the sum over the pixels of each channel. Take the mean over everything.",
            ),
            (
                lambda x, y: ((x - y) ** 2).sum() / (len(x) * x[0, 0].numel()),
                "You divide by batch times height times width, but the sum goes over the channels, too: they "
                "are among the P numbers of a picture. `.mean()` counts them all.",
            ),
            (
                lambda x, y: ((x - y) ** 2).sum() / (len(x) * 784),
                "You divide by 784, but not all pictures have 28 x 28 pixels: the check's are smaller. "
                "`.mean()` counts for you.",
            ),
            (
                lambda x, y: ((x - y) ** 2).sum() / 784,
                "You divide by 784, but not all pictures have 28 x 28 pixels, and the batch counts, too. "
                "`.mean()` counts for you.",
            ),
            (
                lambda x, y: (x - y).mean(),
                "The square is missing, so that errors above and below cancel out.",
            ),
            (
                lambda x, y: (y - x).mean(),
                "The square is missing, so that errors above and below cancel out.",
            ),
            (
                lambda x, y: (x - y).mean() ** 2,
                "You take the mean first and square it after that, so that errors above and below cancel "
                "out. Square each difference first.",
            ),
            (
                lambda x, y: (x**2 - y**2).mean(),
                "You square the pictures and then subtract. Subtract first, then square the differences.",
            ),
            (
                lambda x, y: ((x + y) ** 2).mean(),
                "You add the two pictures, where one should be subtracted from the other.",
            ),
            (
                lambda x, y: ((x - y) ** 2).mean() / 2,
                "You have half of it: the formula has no factor 1/2.",
            ),
            (
                lambda x, y: ((x - y) ** 2).flatten(1).mean(1),
                "You return one number for each picture. Take the mean over the batch, too.",
            ),
            (
                lambda x, y: (x - y) ** 2,
                "You return one number for each pixel: the mean is missing.",
            ),
        ),
        input_unchanged(),
        gradient_flows(1),
        dtype_kept(),
        device_kept(),
    ),
)
