"""Every bundled data set as one uint8 tensor in memory; batches are index operations.

Pictures leave this module as float tensors in [-1, 1], shape (B, C, H, W). Every bundled file is checked
against `data/checksums.txt` when it is read, so a damaged copy says so instead of training on noise. The
splits are fixed here and used by everybody: choose on "validation", touch "test" for the final figure only.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_lib.errors import DataError

Split = Literal["train", "validation", "test"]

FASHION_NAMES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Images:
    """A whole data set of pictures in memory. `len(data)` pictures; `data[index]` is a batch.

    `index` is a LongTensor (B,), a boolean mask (N,), a slice or an int; the batch is `x`, float32 in [-1, 1]
    of shape (B, C, H, W), and where there are labels the pair `(x, y)` with `y` int64 (B,).
    """

    x: Tensor  # (N, C, H, W) uint8
    y: Tensor | None = None  # (N,) int64 labels
    names: tuple[str, ...] = ()  # of the classes: names[y[i]]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Tensor | slice | int) -> Tensor | tuple[Tensor, Tensor]:
        x = to_floats(self.x[index])
        return x if self.y is None else (x, self.y[index])

    @property
    def floats(self) -> Tensor:
        """All pictures at once: float32 in [-1, 1], (N, C, H, W). Four times the memory of `x`."""
        return to_floats(self.x)

    def to(self, device: torch.device | str) -> Images:
        """The same set with its tensors on `device`, where batches are then made."""
        return replace(self, x=self.x.to(device), y=None if self.y is None else self.y.to(device))

    def subset(self, index: Tensor | slice) -> Images:
        """The pictures picked by a LongTensor, a boolean mask or a slice, with their labels."""
        return replace(self, x=self.x[index], y=None if self.y is None else self.y[index])

    def unlabelled(self) -> Images:
        """The same pictures without labels: batches are `x` alone."""
        return replace(self, y=None, names=())


def to_floats(x: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]: 0 becomes exactly -1 and 255 exactly 1."""
    return x.to(torch.float32) / 127.5 - 1


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


def fashion(split: Split = "train", *, full: bool = False) -> Images:
    """Fashion-MNIST: grey pictures of clothes, ten classes.

    Gives `Images` with x (N, 1, 28, 28) and y 0..9; N = 18,000 / 2,000 / 10,000 for train / validation /
    test. Train and validation are the first 20,000 of the original's 60,000 training pictures.
    Source: github.com/zalandoresearch/fashion-mnist, Zalando SE, MIT licence. Raises `DataError`.
    """
    _check_split(split)
    if full:
        raise DataError("fashion(full=True) is not there yet.")
    if split == "test":
        return Images(
            _sheet("fashion/test_00.png", 28, 10_000), _labels("fashion/test_labels.txt"), FASHION_NAMES
        )
    x = torch.cat([_sheet("fashion/train_00.png", 28, 10_000), _sheet("fashion/train_01.png", 28, 10_000)])
    both = Images(x, _labels("fashion/train_labels.txt"), FASHION_NAMES)
    return both.subset(slice(18_000) if split == "train" else slice(18_000, 20_000))


def verify() -> list[tuple[str, bool, str]]:
    """Check every bundled file: (file, healthy, sentence) in the order of checksums.txt.

    The sentence of a healthy file is "ok", that of any other says what is wrong and how to repair it.
    """
    known = _checksums()
    problems = {name: _inspect(name, known)[1] for name in known}
    return [(name, not problem, problem or "ok") for name, problem in problems.items()]


def _check_split(split: str, allowed: tuple[str, ...] = ("train", "validation", "test")) -> None:
    if split not in allowed:
        raise DataError(f'There is no split "{split}": take one of {", ".join(allowed)}.')


def _sheet(name: str, side: int, count: int, mode: str = "L") -> Tensor:
    """Cut a sheet of square tiles, row by row from the top left, into (count, C, side, side) uint8."""
    pixels = np.asarray(Image.open(io.BytesIO(_read(name))).convert(mode))
    height, width = pixels.shape[0] // side, pixels.shape[1] // side
    tiles = torch.from_numpy(pixels.copy()).reshape(height, side, width, side, -1)
    return tiles.permute(0, 2, 4, 1, 3).reshape(height * width, -1, side, side)[:count].contiguous()


def _labels(name: str) -> Tensor:
    """A line of digits, one per picture -> (N,) int64."""
    digits = np.frombuffer(_read(name).strip(), dtype=np.uint8)
    return torch.from_numpy(digits.astype(np.int64) - ord("0"))


def _checksums() -> dict[str, str]:
    """{file, relative to `root()`: sha256}, from checksums.txt in the format of sha256sum."""
    path = root() / "checksums.txt"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: run `git checkout -- data/checksums.txt`.") from error
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())}


def _read(name: str) -> bytes:
    """The bytes of one bundled file, verified against checksums.txt."""
    content, problem = _inspect(name, _checksums())
    if problem:
        raise DataError(problem)
    return content


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
    twin = next((other for other, value in known.items() if value == digest), None)
    what = (
        f"holds the content of {twin}" if twin else "is empty" if not content else "is damaged or was changed"
    )
    return content, f"The data file {path} {what} (its sha256 is not the one in checksums.txt): {repair}"
