"""Classifier-free guidance: one network that knows the class and can do without it, and the step beyond.

J. Ho, T. Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598. Two small pieces, for any kind of
condition (a class, the words of a caption) and any method that predicts noise, v, x_0 or a score.

    training:  leave the condition out now and then                                     (algorithm 1)
    sampling:  untold + guidance (told - untold), where guidance = 1 + the paper's w    (eq. 6)
"""

from __future__ import annotations

import torch
from torch import Tensor


def drop_labels(y: Tensor, share: float, none: int) -> Tensor:
    """The labels y (B, ...) int64 with a `share` (0 to 1) of the B rows replaced by `none`, by chance.

    A new tensor. `none` is the label that says "not told". A row, such as the words of one caption, goes as
    a whole.
    """
    gone = torch.rand(len(y), device=y.device) < share
    return y.masked_fill(gone.view(-1, *[1] * (y.dim() - 1)), none)


def guide(told: Tensor, untold: Tensor, guidance: float) -> Tensor:
    """From the prediction without the condition through the one with it, and on: both (B, ...) -> same.

    1 is the condition as learnt, 0 none at all; more than 1 makes pictures more typical and more alike.
    Noise, v, x_0 and score depend on each other linearly, with weights that the condition does not change, so
    to guide one of them is to guide all. 2207.12598 eq. 6.
    """
    return untold + guidance * (told - untold)
