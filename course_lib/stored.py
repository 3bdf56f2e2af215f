"""Samples that take too long to make in a class: 1,000 pictures of each sampler, made once and kept.

    python -m course_lib.stored        makes them again, half an hour on one CPU core

They are PNG files in data/samples, 40 pictures in a row, in 64 levels of grey, which nobody sees and which
saves a third of their size. Each says which weights it was made by, so that samples of older weights are not
taken for those of the present ones.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from course_lib import zoo
from course_lib.data import root
from course_lib.errors import DataError
from course_lib.sets import to_floats
from course_lib.viz import tile

COUNT, COLUMNS, SEED = 1_000, 40, 2026
LEVELS = 64  # of grey
WEIGHTS = "ddpm_fashion_class"
# The class of picture k is k mod 10, as it was learnt (guidance 1).
RUNS: dict[str, dict[str, Any]] = {
    "DDPM, 1,000 steps": {"sampler": "ddpm", "steps": None},
    "DDIM, 20 steps": {"sampler": "ddim", "steps": 20},
}


def samples(run: str) -> Tensor:
    """The stored pictures of one of RUNS, (1000, 1, 28, 28) in [-1, 1], off by 1/63 at most.

    Raises DataError where the file is missing or damaged, or was made by other weights than the bundled ones.
    """
    if run not in RUNS:
        raise DataError(f'There are no stored samples "{run}": take one of {", ".join(RUNS)}.')
    path = root() / "samples" / _file(run)
    repair = f"run `git checkout -- data/samples/{path.name}` or `python -m course_lib.stored`."
    try:
        with Image.open(path) as image:
            made_by, pixels = image.info.get("weights"), np.asarray(image.convert("L"))
    except FileNotFoundError:
        raise DataError(f"The stored samples {path} are missing: {repair}") from None
    except (OSError, SyntaxError) as error:  # what Pillow raises for a damaged PNG
        raise DataError(f"The stored samples {path} are damaged ({error}): {repair}") from error
    if made_by != zoo.manifest()[WEIGHTS]["sha256"]:
        raise DataError(f"The stored samples {path} were made by other weights than {WEIGHTS}: {repair}")
    side = 28
    tiles = torch.from_numpy(pixels.copy()).view(COUNT // COLUMNS, side, COLUMNS, side)
    return to_floats(tiles.transpose(1, 2).reshape(COUNT, 1, side, side))


@torch.no_grad()
def make(run: str) -> Tensor:
    """Draw the samples of one of RUNS, (1000, 1, 28, 28), the same ones every time on the same machine."""
    model, parts = zoo.load(WEIGHTS), []
    generator = torch.Generator().manual_seed(SEED)
    for labels in (torch.arange(COUNT) % 10).split(250):
        *_, last = model.sample(len(labels), label=labels, generator=generator, **RUNS[run])  # type: ignore[operator]
        parts.append(last.x)
    return torch.cat(parts)


def keep(run: str, x: Tensor) -> None:
    """Write the samples of a run into data/samples, with the name of the weights that made them."""
    about = PngImagePlugin.PngInfo()
    about.add_text("weights", zoo.manifest()[WEIGHTS]["sha256"])
    path = root() / "samples" / _file(run)
    path.parent.mkdir(exist_ok=True)
    coarse = ((x.clamp(-1, 1) + 1) / 2 * (LEVELS - 1)).round() / (LEVELS - 1) * 2 - 1
    tile(coarse, columns=COLUMNS, gap=0).save(path, optimize=True, pnginfo=about)


def _file(run: str) -> str:
    return f"{WEIGHTS}_{RUNS[run]['sampler']}.png"


if __name__ == "__main__":
    for name in sys.argv[1:] or RUNS:
        keep(name, make(name))
        print(f"stored 1,000 samples of {name}")
