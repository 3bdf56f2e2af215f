"""Watches calls of a training step: what they return, and what the weights and the optimizer do."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.check.autoencoders.net import Net, pictures
from course_lib.check.core import Answer, Value
from course_lib.check.watching import WatchedSGD
from course_lib.check.watching import weights as weights_of


class Watched(NamedTuple):
    returned: list[Value]  # of each call
    weights: list[Tensor]  # all weights in one vector: at the start, and after each call
    log: list[str]  # what the optimizer noted
    pictures_kept: bool


def start(generator: torch.Generator) -> tuple[Net, WatchedSGD, Tensor, Tensor]:
    """A network, its optimizer, and two batches (B, 1, 3, 4) of different pictures."""
    model = Net((1, 3, 4), generator)
    return (
        model,
        WatchedSGD(model, lr=1.0),
        pictures((5, 1, 3, 4), generator),
        pictures((5, 1, 3, 4), generator),
    )


def watch(answer: Answer, model: Net, optimizer: WatchedSGD, *batches: Tensor) -> Watched:
    """Call the answer once for each batch."""
    returned, weights, kept = [], [weights_of(model)], True
    for x in batches:
        given = x.clone()
        returned.append(answer(model, optimizer, x))
        weights.append(weights_of(model))
        kept = kept and torch.equal(x, given)
    return Watched(returned, weights, optimizer.log, kept)
