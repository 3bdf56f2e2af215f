"""Exercise 1.2: the best linear autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.autoencoders.net import pictures
from course_lib.check.compare import not_a_tensor, same
from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.properties import (
    close_to,
    device_kept,
    dtype_kept,
    input_unchanged,
    returns_tensor,
)


def _pca(x: Tensor, mean: Tensor, V: Tensor, d: int) -> Tensor:
    first = V[:, :d]
    return mean + (x - mean) @ first @ first.T


def _cloud(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, int]:
    """x (B, P), its true mean (P,), principal directions (P, P) as columns, and d.

    d is at least 3 and never P / 2, so that no two mistakes look alike, and never B, so that a matrix on the
    wrong side never fits.
    """
    P = 7 + 2 * int(torch.randint(2, (), generator=generator))
    d = int(torch.randint(3, P - 2, (), generator=generator))
    V = torch.linalg.qr(torch.randn(P, P, generator=generator)).Q
    mean = pictures((P,), generator)
    spread = torch.linspace(1.5, 0.5, P)  # largest variance first
    return mean + torch.randn(11, P, generator=generator) * spread @ V.T, mean, V, d


def _only_coordinates(x: Tensor, mean: Tensor, V: Tensor, d: int) -> Tensor:
    """The first d numbers of each row, the mean in the others."""
    out = mean.expand_as(x).clone()
    out[:, :d] = x[:, :d]
    return out


def _depends_on_d(t: Trial) -> str | None:
    x, mean, V, _ = t.args()
    P = len(mean)
    few, many = (t.answer(t.student, x.clone(), mean, V, d) for d in (1, P - 1))
    if few.shape != x.shape or not same(few, many, 1e-4, 1e-5):
        return None  # a wrong shape is told below
    return f"For d = 1 and for d = {P - 1} you return the same: use the first `d` directions, `V[:, :d]`."


def _every_d(t: Trial) -> str | None:
    x, mean, V, _ = t.args()
    for d in range(1, len(mean) + 1):
        yours = t.answer(t.student, x.clone(), mean, V, d)
        right = _pca(x, mean, V, d)
        if not_a_tensor(yours) or not same(yours, right, 1e-4, 1e-4):
            told = "where x itself should come back" if d == len(mean) else "though other d are right"
            return f"With d = {d} of {len(mean)} directions your result is wrong, {told}: is a d fixed?"
    return None


pca_reconstruct = Exercise(
    id="1.2",
    title="Reconstruct with d directions",
    difficulty=2,
    minutes=8,
    hints=(
        "Three steps: move the cloud of points to the origin, project it on the first d directions, and move "
        "it back. Write the shape behind each line.",
        "The directions are the columns of V: `V_d = V[:, :d]` has the shape (P, d). The code of a centred "
        "row is its product with V_d: (B, P) @ (P, d) gives (B, d). Which product leads back to (B, P)?",
        "`code = (x - mean) @ V_d` is the encoder, `code @ V_d.T` is the decoder. What you subtracted at "
        "first must be added at the end.",
    ),
    reference=_pca,
    draw=_cloud,
    properties=(
        returns_tensor(),
        Property(
            "d is used",
            _depends_on_d,
            ((lambda x, mean, V, d: mean + (x - mean) @ V @ V.T, "you return the same"),),
        ),
        close_to(
            (
                lambda x, mean, V, d: mean + x @ V[:, :d] @ V[:, :d].T,
                "You project x itself: subtract the mean first, the directions start from there.",
            ),
            (
                lambda x, mean, V, d: (x - mean) @ V[:, :d] @ V[:, :d].T,
                "The mean that you subtracted is not added back at the end.",
            ),
            (
                lambda x, mean, V, d: (x - mean) @ V[:, :d] @ V[:, :d].T - mean,
                "You subtract the mean at the end, too. Add it back there.",
            ),
            (
                lambda x, mean, V, d: x @ V[:, :d] @ V[:, :d].T,
                "The mean is not used: subtract it before the projection and add it back at the end.",
            ),
            (
                lambda x, mean, V, d: x + (x - mean) @ V[:, :d] @ V[:, :d].T,
                "You add the projection to x. Add it to the mean: x must not come back except through the "
                "code.",
            ),
            (
                lambda x, mean, V, d: mean - (x - mean) @ V[:, :d] @ V[:, :d].T,
                "The sign is turned around: add the projection of x - mean to the mean.",
            ),
            (
                lambda x, mean, V, d: x.mean(0) + (x - x.mean(0)) @ V[:, :d] @ V[:, :d].T,
                "You use the mean of this batch. Use the argument `mean`, which comes from the training "
                "data, so that one picture alone gives the same result.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:d].T @ V[:d],
                "You take the first d rows of V. The directions are its columns: `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, d - 1 : d] @ V[:, d - 1 : d].T,
                "You use one direction only, number d. Use the first d directions: `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, [d]] @ V[:, [d]].T,
                "You use one direction only, the one with index d. Use the first d directions: `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, 1:d] @ V[:, 1:d].T,
                "You begin with the second direction and use d - 1. Columns count from 0: `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, 1 : d + 1] @ V[:, 1 : d + 1].T,
                "You begin with the second direction. Columns count from 0: `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, -d:] @ V[:, -d:].T,
                "You take the last d columns, where the pictures differ least: is V taken for the result "
                "of `eigh`, whose largest comes last? Here the largest variance comes first: `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, d:] @ V[:, d:].T,
                "You use all directions but the first d: the colon belongs before d, `V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, : d - 1] @ V[:, : d - 1].T,
                "You use d - 1 directions: `:d` already leaves out index d.",
            ),
            (
                lambda x, mean, V, d: mean + (x - mean) @ V[:, : d + 1] @ V[:, : d + 1].T,
                "You use d + 1 directions: `:d` already holds d of them.",
            ),
            (
                _only_coordinates,
                "You keep the first d pixels. Keep the parts along the first d directions: "
                "`(x - mean) @ V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: torch.cat([x[:, :d], torch.zeros_like(x[:, d:])], 1),
                "You keep the first d pixels. Keep the parts along the first d directions: "
                "`(x - mean) @ V[:, :d]`.",
            ),
            (
                lambda x, mean, V, d: (x - mean) @ V[:, :d],
                "You return the code, d numbers for each row. Decode it: multiply with `V[:, :d].T` and add "
                "the mean.",
            ),
        ),
        Property(
            "every d from 1 to P",
            _every_d,
            ((lambda x, mean, V, d: _pca(x, mean, V, min(d, len(mean) - 2)), "is a d fixed?"),),
        ),
        input_unchanged(),
        dtype_kept(),
        device_kept(),
    ),
)
