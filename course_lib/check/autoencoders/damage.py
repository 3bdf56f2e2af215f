"""Exercises 1.4 and 1.5: damage pictures, and the loss that makes a network repair them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.check.autoencoders.net import Net, gradient_reaches_network, pictures
from course_lib.check.autoencoders.proportions import ends, parts, share, tossed
from course_lib.check.autoencoders.randomness import blindness, independence, only_black_and_white
from course_lib.check.core import Exercise
from course_lib.check.properties import (
    backward_left_to_caller,
    close_to,
    device_kept,
    dtype_kept,
    fresh_noise,
    input_unchanged,
    returns_tensor,
    shape,
)


def _salt_and_pepper(x: Tensor, share: float) -> Tensor:
    u = torch.rand_like(x)
    return torch.where(u < share, torch.where(u < share / 2, -torch.ones_like(x), torch.ones_like(x)), x)


def _clean(generator: torch.Generator) -> tuple[Tensor, float]:
    """4 pictures (4, 1, 36, 36) with values from -0.9 to 0.9, and a share from 0.12 to 0.28."""
    return pictures((4, 1, 36, 36), generator), 0.12 + 0.16 * torch.rand((), generator=generator).item()


salt_and_pepper = Exercise(
    id="1.4",
    title="Salt and pepper",
    difficulty=2,
    minutes=8,
    hints=(
        "Two questions for each pixel: is it damaged, and if so, is it salt (+1) or pepper (-1)? Random "
        "numbers of the shape of x can answer both for all pixels at once.",
        "`u = torch.rand_like(x)` gives each pixel a number between 0 and 1. It is below `share` with "
        "probability `share`, and below `share / 2` with half of it. `torch.where(condition, a, b)` chooses.",
        "`y = x.clone()`, so that x stays as it is. Then set y to -1 where `u < share / 2`, and to +1 where "
        "u lies between `share / 2` and `share`.",
    ),
    reference=_salt_and_pepper,
    draw=_clean,
    properties=(
        returns_tensor(),
        shape(),
        input_unchanged(),
        only_black_and_white,
        independence,
        blindness,
        share,
        tossed,
        ends,
        parts,
        fresh_noise(),
        dtype_kept(),
        device_kept(),
    ),
)


def _denoising_loss(model: nn.Module, x: Tensor, x_noisy: Tensor) -> Tensor:
    return F.mse_loss(model(x_noisy), x)


def _clean_and_noisy(generator: torch.Generator) -> tuple[Net, Tensor, Tensor]:
    """A network, pictures (5, 2, 3, 4), and the same ones with noise."""
    x = pictures((5, 2, 3, 4), generator)
    return Net((2, 3, 4), generator), x, x + 0.6 * torch.randn(x.shape, generator=generator)


def _differentiates(model: nn.Module, x: Tensor, x_noisy: Tensor) -> Tensor:
    loss = _denoising_loss(model, x, x_noisy)
    loss.backward()
    return loss


denoising_loss = Exercise(
    id="1.5",
    title="Which picture is the target?",
    difficulty=1,
    minutes=3,
    hints=(
        "A denoiser is an autoencoder with another question. Which picture does it get to see, and which one "
        "do we want to get back?",
        "The network sees the noisy picture only: `model(x_noisy)`. Its answer is compared with the clean x, "
        "which it never sees.",
        "It is the mean squared error of exercise 1.1 between x and `model(x_noisy)`. Return it as a tensor, "
        "since it will be differentiated.",
    ),
    reference=_denoising_loss,
    draw=_clean_and_noisy,
    properties=(
        backward_left_to_caller(_differentiates),
        returns_tensor(),
        close_to(
            (
                lambda model, x, noisy: F.mse_loss(model(noisy), noisy),
                "You compare with the noisy picture, so the network would learn to keep the noise. Compare "
                "with the clean x.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(x), x),
                "You feed the clean picture, so the network would never see any noise. Feed x_noisy.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(x), noisy),
                "The two pictures are swapped: feed x_noisy, and compare with the clean x.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(x), model(noisy)),
                "You compare two outputs of the network, so that a network with one answer to everything "
                "would be perfect. Compare `model(x_noisy)` with x itself.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(noisy, x),
                "You compare x with x_noisy, so the network plays no part. Compare x with `model(x_noisy)`.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(noisy), noisy - x),
                "You compare the output with the noise. Here the network answers with the clean picture: "
                "compare it with x.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(noisy), x, reduction="sum"),
                "You take the sum, so the loss grows with the batch. Take the mean.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(noisy), x, reduction="sum") / len(x),
                "You take the mean over the batch, but the sum over channels and pixels. Take the mean over "
                "all of them.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).square().sum() / (len(x) * x[0, 0].numel()),
                "You divide by batch times height times width, but the sum goes over the channels, too: they "
                "are among the P numbers of a picture. `.mean()` counts them all.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).square().sum() / (len(x) * 784),
                "You divide by 784, but not all pictures have 28 x 28 pixels: the check's are smaller. "
                "`.mean()` counts for you.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).square().sum() / 784,
                "You divide by 784, but not all pictures have 28 x 28 pixels, and the batch counts, too. "
                "`.mean()` counts for you.",
            ),
            (
                lambda model, x, noisy: F.l1_loss(model(noisy), x),
                "That is the mean of the absolute differences: square them instead.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(noisy), x).sqrt(),
                "You take the square root at the end: leave it out.",
            ),
            (
                lambda model, x, noisy: F.mse_loss(model(noisy), x) / 2,
                "You have half of it: the loss has no factor 1/2.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).mean(),
                "The square is missing, so that errors above and below cancel out.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).mean().square(),
                "You take the mean first and square it after that, so that errors above and below cancel "
                "out. Square each difference first.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).square().flatten(1).mean(1),
                "You return one number for each picture. A loss is one number: take the mean over the batch, "
                "too.",
            ),
            (
                lambda model, x, noisy: (model(noisy) - x).square(),
                "You return one number for each pixel: the mean is missing.",
            ),
        ),
        input_unchanged(),
        gradient_reaches_network(
            (
                lambda model, x, noisy: F.mse_loss(model(noisy).detach(), x),
                "No gradient reaches the network",
            ),
        ),
        dtype_kept(),
        device_kept(),
    ),
)
