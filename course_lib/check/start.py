"""Checks of notebook 00: the warm-up."""

from __future__ import annotations

import torch
from torch import Tensor

from course_lib.check.core import Exercise, Property, Trial
from course_lib.check.properties import close_to, device_kept, dtype_kept, input_unchanged, returns_tensor


def _to_signed(pixels: Tensor) -> Tensor:
    return pixels / 127.5 - 1


def _pixels(generator: torch.Generator) -> tuple[Tensor]:
    """Two grey images, (2, 1, 5, 5) uint8: a dark one and a light one."""
    dark = torch.randint(10, 140, (1, 1, 5, 5), generator=generator, dtype=torch.uint8)
    light = torch.randint(130, 250, (1, 1, 5, 5), generator=generator, dtype=torch.uint8)
    return (torch.cat([dark, light]),)


def _stretched(pixels: Tensor) -> Tensor:
    low, high = pixels.min(), pixels.max()
    return (pixels - low) / (high - low) * 2 - 1


def _whole_range(t: Trial) -> str | None:
    low, high = t.student(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    if abs(low + 1) < 1e-5 and abs(high - 1) < 1e-5:
        return None
    return (
        f"Black (0) should become -1 and white (255) should become 1; yours become {low:.4g} and {high:.4g}."
    )


WRAPS = (
    "You subtract while the pixels are still uint8, which cannot hold negative numbers: 0 - 127 wraps around "
    "to 129. Divide first, then subtract."
)

to_signed = Exercise(
    id="0.1",
    title="Pixels from -1 to 1",
    difficulty=1,
    minutes=4,
    hints=(
        "Two steps: first make the interval from 0 to 255 two units long, then move it. How long is it now?",
        "255 / 127.5 is 2. So one division gives numbers from 0 to 2. What is left to do?",
        "Divide by 127.5 and subtract 1, as one expression: `pixels /= 127.5` would change the caller's "
        "pixels.",
    ),
    reference=_to_signed,
    draw=_pixels,
    properties=(
        returns_tensor(),
        input_unchanged(),
        close_to(
            (
                lambda p: p / 255,
                "Your numbers go from 0 to 1: that is half of the interval. Stretch them to length 2 and "
                "move them so that black is -1.",
            ),
            (
                lambda p: p / 127.5,
                "Your numbers go from 0 to 2: the length is right, now move them so that black is -1.",
            ),
            (
                lambda p: p / 128 - 1,
                "You divide by 128, so white does not quite become 1. Half of 255 is 127.5.",
            ),
            (
                lambda p: p / 127 - 1,
                "You divide by 127, so white becomes more than 1. Half of 255 is 127.5.",
            ),
            (
                lambda p: p / 255 - 0.5,
                "Your numbers go from -0.5 to 0.5: the middle is right, the interval is half as long as "
                "asked.",
            ),
            (lambda p: 1 - p / 127.5, "The sign is turned around: black became 1 and white -1."),
            (
                lambda p: (p / 127.5 - 1).int(),
                "You round to whole numbers, so all shades between were lost. Stay with floats at the end.",
            ),
            (
                lambda p: p // 127.5 - 1,
                "You divide with `//`, which rounds down, so all shades between were lost. Divide with `/`.",
            ),
            (lambda p: (p - 127) / 127.5, WRAPS),
            (lambda p: (p - 127) / 127, WRAPS),
            (lambda p: (p - 127) / 128, WRAPS),
            (lambda p: (p - 128) / 127.5, WRAPS),
            (lambda p: (p - 128) / 127, WRAPS),
            (lambda p: (p - 128) / 128, WRAPS),
            (
                lambda p: p * 2 / 255 - 1,
                "You multiply while the pixels are still uint8, which ends at 255: 200 * 2 wraps around to "
                "144. Divide first.",
            ),
            (
                _stretched,
                "You use the smallest and the largest pixel that are there, so a grey image would become "
                "black and white, and no two batches would agree. Use the fixed numbers 0 and 255.",
            ),
            (
                lambda p: (p - p.float().mean()) / p.float().std(),
                "You use the mean and the standard deviation of these pixels, so no two batches would "
                "agree. Use the fixed numbers 0 and 255.",
            ),
        ),
        Property("black and white", _whole_range),
        dtype_kept(),
        device_kept(),
    ),
)

EXERCISES = (to_signed,)
