"""Exercise 1.6: what an autoencoder copies badly is strange."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.check.autoencoders.net import Net, pictures
from course_lib.check.compare import same
from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.properties import close_to, input_unchanged, returns_tensor


def _outlier_score(model: nn.Module, x: Tensor) -> Tensor:
    return (model(x) - x).square().flatten(1).mean(1)


def _batch(generator: torch.Generator) -> tuple[Net, Tensor]:
    """A network and pictures (6, 2, 3, 4) of very different contrast."""
    contrast = torch.linspace(0.2, 1, 6)[torch.randperm(6, generator=generator)]
    x = pictures((6, 2, 3, 4), generator) * contrast[:, None, None, None]
    return Net((2, 3, 4), generator), x


def _one_alone(t: Trial) -> str | None:
    model, x = t.args()
    together = t.answer(t.student, model, x.clone())
    alone = t.answer(t.student, model, x[:1].clone())
    if tuple(alone.shape) != (1,):
        return (
            f"For a batch of one picture your result has shape {tuple(alone.shape)}, it should be (1,): look "
            "for a `.squeeze()`, which removes the batch."
        )
    if same(alone, together[:1], 1e-4, 1e-5):
        return None
    return (
        f"One picture scores {together[0].item():.4g} in a batch and {alone[0].item():.4g} alone. Its score "
        "must not depend on its company."
    )


outlier_score = Exercise(
    id="1.6",
    title="The outlier score",
    difficulty=2,
    minutes=5,
    hints=(
        "What the network has never seen, it copies badly. So the score of a picture is its own "
        "reconstruction error. Over which dimensions goes the mean now, and over which one not?",
        "`(model(x) - x) ** 2` has shape (B, C, H, W). Take the mean over C, H and W; B must remain.",
        "`.mean(dim=(1, 2, 3))` takes the mean over those three dimensions, and leaves a tensor of shape "
        "(B,).",
    ),
    reference=_outlier_score,
    draw=_batch,
    properties=(
        returns_tensor(),
        close_to(
            (
                lambda model, x: (model(x) - x).square().mean(),
                "You return one number for the whole batch, so nobody knows which picture is strange. "
                "Leave the batch out of the mean.",
            ),
            (
                lambda model, x: (model(x) - x).square().flatten(1).sum(1),
                "You take the sum over each picture, so that larger pictures look stranger. Take the mean.",
            ),
            (
                lambda model, x: (model(x) - x).square().flatten(1).sum(1) / x[0, 0].numel(),
                "You divide by height times width, but the sum goes over the channels, too. `.mean(...)` "
                "counts them all.",
            ),
            (
                lambda model, x: (model(x) - x).square().flatten(1).sum(1) / 784,
                "You divide by 784, but not all pictures have 28 x 28 pixels: the check's are smaller. "
                "`.mean(...)` counts for you.",
            ),
            (
                lambda model, x: (model(x) - x).square().mean(0),
                "You take the mean over the batch, one number for each pixel. Take it over channels and "
                "pixels: one number for each picture.",
            ),
            (
                lambda model, x: (model(x) - x).square().mean((2, 3)),
                "You return one number for each channel of each picture. Take the mean over dimension 1, "
                "too.",
            ),
            (
                lambda model, x: (model(x) - x).square().mean(1),
                "You take the mean over the channels only. Take it over height and width, too.",
            ),
            (
                lambda model, x: (model(x) - x).square().mean(-1),
                "You take the mean over the width only. Take it over channels and height, too.",
            ),
            (
                lambda model, x: (model(x) - x).square().mean((0, 2, 3)),
                "You keep the channels, dimension 1, and take the mean over the batch. It must be the other "
                "way round: `dim=(1, 2, 3)`.",
            ),
            (
                lambda model, x: (model(x) - x).flatten(1).mean(1).square(),
                "You take the mean first and square it after that, so that errors above and below cancel "
                "out. Square each difference first.",
            ),
            (
                lambda model, x: (model(x) - x).square().mean((1, 2, 3), keepdim=True),
                "You keep dimensions of length 1. The result has shape (B,): leave `keepdim` out.",
            ),
            (
                lambda model, x: (model(x) - x).square(),
                "You return one number for each pixel: take the mean over channels, height and width.",
            ),
            (
                lambda model, x: -(model(x) - x).square().flatten(1).mean(1),
                "The sign is turned around: the strangest picture must have the highest score.",
            ),
            (
                lambda model, x: (model(x) - x).abs().flatten(1).mean(1),
                "That is the mean of the absolute errors: square them instead.",
            ),
            (
                lambda model, x: (model(x) - x).square().flatten(1).amax(1),
                "You take the largest squared error of each picture, so one bad pixel decides. Take the "
                "mean.",
            ),
            (
                lambda model, x: (model(x) - x).abs().flatten(1).amax(1),
                "You take the largest error of each picture, so one bad pixel decides. Take the mean of the "
                "squares.",
            ),
            (
                lambda model, x: (model(x) - x).square().flatten(1).mean(1).sqrt(),
                "You take the square root at the end: leave it out.",
            ),
            (
                lambda model, x: (model(x) - x).flatten(1).norm(dim=1),
                "You return the length (norm) of the error, the root of a sum. Take the mean of the squares.",
            ),
            (
                lambda model, x: 1 / _outlier_score(model, x),
                "You divide 1 by the error, so the strangest picture gets the lowest score. Return the error "
                "itself.",
            ),
            (
                lambda model, x: (model(x) - x).flatten(1).mean(1),
                "The square is missing, so that errors above and below cancel out.",
            ),
            (
                lambda model, x: model(x).square().flatten(1).mean(1),
                "You measure the reconstruction itself. Compare it with x: `model(x) - x`.",
            ),
            (
                lambda model, x: _outlier_score(model, x) / _outlier_score(model, x).max(),
                "You divide by the largest score of the batch, so that a picture's score depends on its "
                "company. Leave the scores as they are.",
            ),
            (
                lambda model, x: _outlier_score(model, x) > _outlier_score(model, x).mean(),
                "You return yes or no. Return the errors themselves: where to draw the line comes later.",
            ),
        ),
        Property(
            "one picture alone",
            _one_alone,
            ((lambda model, x: _outlier_score(model, x).squeeze(), "look for a `.squeeze()`"),),
        ),
        input_unchanged(),
    ),
)
