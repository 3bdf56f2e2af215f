"""Fashion-MNIST: the first 20,000 training pictures and all 10,000 test pictures as PNG sheets."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rebuild.sources import FASHION, BuildError

PACKAGES = (FASHION,)
LOSSY: tuple[str, ...] = ()

# sha256 of the original's four files, uncompressed
ORIGINAL = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def build(unpacked: dict[str, Path], out: Path) -> None:
    """Write three sheets of 100 x 100 pictures and two lines of labels."""
    folder = unpacked[FASHION.spec] / "usr/share/datasets/fashion-mnist"
    train = pixels(folder, "train-images-idx3-ubyte")
    sheet(train[:10_000]).save(out / "train_00.png", optimize=True)
    sheet(train[10_000:20_000]).save(out / "train_01.png", optimize=True)
    sheet(pixels(folder, "t10k-images-idx3-ubyte")).save(out / "test_00.png", optimize=True)
    for name, source in (("train", "train-labels-idx1-ubyte"), ("test", "t10k-labels-idx1-ubyte")):
        digits = read(folder, source)[8:][:20_000]
        (out / f"{name}_labels.txt").write_bytes(bytes(ord("0") + d for d in digits) + b"\n")


def read(folder: Path, name: str) -> bytes:
    """The uncompressed content of one original file, verified."""
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    if hashlib.sha256(content).hexdigest() != ORIGINAL[name]:
        raise BuildError(f"{name} is not the original Fashion-MNIST file.")
    return content


def pixels(folder: Path, name: str) -> NDArray[np.uint8]:
    """The pictures of one idx file: (N, 28, 28) uint8."""
    return np.frombuffer(read(folder, name), np.uint8, offset=16).reshape(-1, 28, 28)


def sheet(pictures: NDArray[np.uint8]) -> Image.Image:
    """10,000 pictures in 100 rows of 100."""
    return Image.fromarray(pictures.reshape(100, 100, 28, 28).transpose(0, 2, 1, 3).reshape(2800, 2800))
