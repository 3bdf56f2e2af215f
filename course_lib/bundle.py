"""The bundled files: where they are, whether they are healthy, and how to cut sheets and tables.

Every file is checked against `data/checksums.txt` whenever it is read, so a damaged, truncated or swapped
copy says so in one sentence instead of training a model on noise.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib.errors import DataError


def root() -> Path:
    """The data folder: the environment variable COURSE_DATA, else `data/` beside `course_lib`.

    Raises `DataError` where there is no such folder.
    """
    named = os.environ.get("COURSE_DATA")
    path = Path(named) if named else Path(__file__).resolve().parent.parent / "data"
    if not path.is_dir():
        raise DataError(
            f"There is no data folder at {path}: work in a clone of the course, or set the environment "
            "variable COURSE_DATA to the course's data folder."
        )
    return path


def verify() -> list[tuple[str, bool, str]]:
    """Check every bundled file: (file, healthy, sentence) in the order of checksums.txt.

    The sentence of a healthy file is "ok", that of any other says what is wrong and how to repair it.
    """
    known = _checksums()
    problems = {name: _inspect(name, known)[1] for name in known}
    return [(name, not problem, problem or "ok") for name, problem in problems.items()]


def read(name: str) -> bytes:
    """The bytes of one bundled file such as "fashion/test_00.png". Raises `DataError` unless healthy."""
    content, problem = _inspect(name, _checksums())
    if problem:
        raise DataError(problem)
    return content


def picture(name: str, mode: str) -> Image.Image:
    """One bundled picture, decoded, in the given mode of Pillow ("L", "RGB", "RGBA")."""
    return Image.open(io.BytesIO(read(name))).convert(mode)


def sheet(name: str, side: int, count: int, mode: str) -> Tensor:
    """Cut a sheet of square tiles, row by row from the top left, into (count, C, side, side) uint8."""
    pixels = np.asarray(picture(name, mode))
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    tiles = torch.from_numpy(pixels.copy()).reshape(height, side, width, side, -1)
    return tiles.permute(0, 2, 4, 1, 3).reshape(height * width, -1, side, side)[:count].contiguous()


def table(name: str) -> list[dict[str, str]]:
    """The rows of a bundled .csv file."""
    return list(csv.DictReader(io.StringIO(read(name).decode("utf-8"), newline="")))


def _checksums() -> dict[str, str]:
    """{file, relative to `root()`: sha256}, from checksums.txt in the format of sha256sum."""
    path = root() / "checksums.txt"
    repair = "run `git checkout -- data/checksums.txt`."
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise DataError(f"The list of checksums {path} is missing: {repair}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list of checksums {path} cannot be read ({error}): {repair}") from error
    if any(len(parts) != 2 for parts in lines):
        raise DataError(f"The list of checksums {path} is damaged: {repair}")
    return {name: digest for digest, name in lines}


def _inspect(name: str, known: dict[str, str]) -> tuple[bytes, str]:
    """(content, what is wrong with it); the second is empty for a healthy file."""
    path = root() / name
    repair = f"run `git checkout -- data/{name}` or `python data/build_data.py {name.split('/')[0]}`."
    if name not in known:
        return b"", f"{path} is not listed in checksums.txt: run `git checkout -- data/checksums.txt`."
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", f"The data file {path} is missing: {repair}"
    except OSError as error:
        return b"", f"The data file {path} cannot be read ({error.strerror}): {repair}"
    digest = hashlib.sha256(content).hexdigest()
    if digest == known[name]:
        return content, ""
    twin = next((other for other, value in known.items() if value == digest), "")
    what = (
        f"holds the content of {twin}"
        if twin
        else "was truncated, altered or damaged"
        if content
        else "is empty"
    )
    return content, f"The data file {path} {what} (its sha256 is not the one in checksums.txt): {repair}"
