"""The original Fashion-MNIST of 60,000 + 10,000 pictures, wherever this machine has it.

Looked for in this order: the folder named by the environment variable COURSE_FASHION_FULL, `FashionMNIST/raw`
in the data folder (torchvision's layout), the folder of Debian's package dataset-fashion-mnist, the course's
folder in the user's cache; and only then downloaded, with torchvision, into that cache folder. Whatever is
found is verified against the sha256 of the original's uncompressed files.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_lib.bundle import root
from course_lib.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def load(part: str) -> tuple[Tensor, Tensor]:
    """All pictures (N, 1, 28, 28) uint8 and labels (N,) int64 of `part`: "train" (60,000) or "t10k" (10,000).

    Raises `DataError` where the files cannot be found or downloaded, or are not the original's.
    """
    folder = _find() or _download()
    pixels = np.frombuffer(_content(folder, f"{part}-images-idx3-ubyte"), np.uint8, offset=16)
    labels = np.frombuffer(_content(folder, f"{part}-labels-idx1-ubyte"), np.uint8, offset=8)
    return torch.from_numpy(pixels.copy()).reshape(-1, 1, 28, 28), torch.from_numpy(labels.astype(np.int64))


def _find() -> Path | None:
    """The first folder that holds all four files, each plain or as .gz."""
    named = os.environ.get("COURSE_FASHION_FULL")
    if named:
        missing = [name for name in SHA256 if _file(Path(named), name) is None]
        if missing:
            raise DataError(
                f"COURSE_FASHION_FULL is set to {named}, but there is no {missing[0]} (or .gz) in it: "
                "point it at the folder with the four files of Fashion-MNIST, or unset it."
            )
        return Path(named)
    places = [root() / "FashionMNIST" / "raw", DEBIAN, _cache() / "FashionMNIST" / "raw"]
    return next((place for place in places if all(_file(place, name) for name in SHA256)), None)


def _file(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, plain or compressed."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _content(folder: Path, name: str) -> bytes:
    """The uncompressed bytes of one file, verified."""
    path = _file(folder, name)
    if path is None:
        raise DataError(f"There is no {name} (or .gz) in {folder}.")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({error}): delete it, it will be looked for elsewhere."
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(
            f"{path} is not the original Fashion-MNIST file (wrong sha256): delete or replace it."
        )
    return content


def _cache() -> Path:
    """The course's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "course_lib"


def _download() -> Path:
    """Let torchvision download the four files into the cache folder."""
    from torchvision.datasets import FashionMNIST  # here, because it takes a second to import

    try:
        FashionMNIST(str(_cache()), download=True)
    except (OSError, RuntimeError) as error:  # no network, no space, or a damaged download
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(":.")
        raise DataError(
            "The 60,000 pictures of Fashion-MNIST are not on this machine and could not be downloaded "
            f"({reason}): install Debian's package dataset-fashion-mnist, or put the four files in "
            f"{root() / 'FashionMNIST/raw'}, or do without full=True."
        ) from error
    return _cache() / "FashionMNIST" / "raw"
