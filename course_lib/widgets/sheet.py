"""Images from any callable, checked and packed into one picture: the sheet that a widget blends from."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from course_lib.widgets.page import WidgetError

Bytes3 = NDArray[np.uint8]  # (..., H, W, C), C = 1 or 3
_LARGEST = 4096  # pixels: browsers on phones refuse larger pictures
_BUDGET, _QUALITIES = 44_000, (72, 66, 60)  # bytes of a sheet, where one of the qualities keeps it


def decoded(decode: Callable[[torch.Tensor], object], z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Call `decode` on latent points (N, D), in batches, and check what it gives.

    `decode` takes a float32 tensor (B, D) and gives images (B, C, H, W), C = 1 or 3, as a tensor or an array;
    a function that only knows numpy gets an array. Returns float32 (N, C, H, W). Raises `WidgetError` where
    it fails, or gives another shape, a NaN, or values that cannot be images in [-1, 1].
    """
    if not callable(decode):
        raise WidgetError(
            f"decode must be a function from latent points to images, but it is a {type(decode).__name__}."
        )
    with torch.no_grad():
        parts = [_call(decode, batch) for batch in np.array_split(z, max(1, len(z) // 100))]
    if len({part.shape[1:] for part in parts}) != 1:
        raise WidgetError(
            "decode gave images of different sizes for different latent points; it must give one size."
        )
    images = np.concatenate(parts)
    _check_values(images)
    return images


def _call(decode: Callable[[torch.Tensor], object], z: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        images = _torch_or_numpy(decode, z)
    except Exception as error:  # whatever a student's function raises becomes a sentence, not a dead cell
        reason = str(error).strip().split("\n")[0][:200]
        raise WidgetError(
            f"decode stopped on a float32 tensor of shape {z.shape}: {type(error).__name__}: {reason}."
        ) from error
    images = _array(images)
    if not isinstance(images, np.ndarray):
        raise WidgetError(
            f"decode must give a tensor of images (B, C, H, W), but it gave a {type(images).__name__}."
        )
    if images.ndim != 4 or images.shape[0] != len(z) or images.shape[1] not in (1, 3) or images.size == 0:
        raise WidgetError(
            f"decode must give images of shape ({len(z)}, C, H, W) with C = 1 or 3 for {len(z)} latent "
            f"points, but it gave {images.shape}."
        )
    if images.dtype.kind not in "fiu":
        raise WidgetError(f"decode must give floating-point images, but it gave {images.dtype}.")
    return images.astype(np.float32)


def _torch_or_numpy(decode: Callable[[torch.Tensor], object], z: NDArray[np.float32]) -> object:
    try:
        return decode(torch.from_numpy(z))
    except (TypeError, AttributeError) as error:  # what numpy code says to a tensor
        try:
            return decode(z)  # type: ignore[arg-type]
        except Exception:  # it was not that: the first reason is the one to show
            raise error from None


def checked_images(images: object, name: str) -> NDArray[np.float32]:
    """Images (N, C, H, W), C = 1 or 3, a tensor or an array, as float32; `name` is what to call them.

    Floats are in [-1, 1]; uint8 is taken as 0..255 and brought there. Raises `WidgetError` where the shape or
    the dtype is another one, where there is no image, a NaN, or values that cannot be images in [-1, 1].
    """
    images = _array(images)
    if not isinstance(images, np.ndarray):
        raise WidgetError(
            f"{name} must be images (N, C, H, W), a tensor or an array, but it is a {type(images).__name__}."
        )
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise WidgetError(
            f"{name} must be images of shape (N, C, H, W) with C = 1 or 3, but its shape is {images.shape}."
        )
    if images.size == 0:
        raise WidgetError(f"{name} holds no pixel: its shape is {images.shape}.")
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 127.5 - 1
    if images.dtype.kind != "f":
        raise WidgetError(f"{name} must be floats in [-1, 1] or uint8, but it is {images.dtype}.")
    images = images.astype(np.float32)
    _check_values(images, name)
    return images


def _array(images: object) -> object:
    """A tensor as an array; anything else as it is, for the caller to judge."""
    if not isinstance(images, torch.Tensor):
        return images
    images = images.detach().cpu()
    return (images.float() if images.is_floating_point() else images).numpy()  # numpy has no bfloat16


def _check_values(images: NDArray[np.float32], name: str = "decode") -> None:
    bad = int((~np.isfinite(images)).sum())
    if bad:
        raise WidgetError(
            f"{name} gave NaN or infinity in {bad} of {images.size} values: has the training diverged?"
        )
    low, high = float(images.min()), float(images.max())
    if max(-low, high) > 4:
        raise WidgetError(
            f"{name} gave values from {low:.3g} to {high:.3g}, but images here are in [-1, 1]: "
            "end the decoder with tanh, or scale its output."
        )


def value_note(images: NDArray[np.float32]) -> str:
    """A remark on values that are possible but suspicious; empty where there is nothing to say."""
    outside = float((np.abs(images) > 1.001).mean())
    if outside > 0.01:
        return f"{outside:.0%} of the pixel values were outside [-1, 1] and are shown clipped."
    if images.min() >= 0 and images.max() > 0:
        return "No pixel is below 0. Images here are in [-1, 1]: are these in [0, 1]?"
    return ""


def to_bytes(images: NDArray[np.float32]) -> Bytes3:
    """(N, C, H, W) in [-1, 1], clipped -> uint8 (N, H, W, C)."""
    scaled = np.rint((np.clip(images, -1, 1) + 1) * 127.5)
    return scaled.astype(np.uint8).transpose(0, 2, 3, 1)


def tiled(tiles: Bytes3, columns: int) -> Image.Image:
    """One picture of tiles uint8 (N, H, W, C) in rows of `columns`; N is a multiple of `columns`."""
    count, height, width, channels = tiles.shape
    rows = count // columns
    grid = tiles.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    flat = grid.reshape(rows * height, columns * width, channels)
    return Image.fromarray(flat[..., 0] if channels == 1 else flat)


def encode_sheet(tiles: Bytes3, columns: int) -> bytes:
    """The tiles as one lossy WebP. Raises `WidgetError` where the sheet would be too large for a browser.

    Lossy, because lossless sheets are three times as large: at this quality a Fashion-MNIST sheet differs by
    about three of 255 grey levels on average. For looking only; numbers are never read back from it.
    """
    sheet = tiled(tiles, columns)
    if max(sheet.size) > _LARGEST:
        raise WidgetError(
            f"{columns} x {len(tiles) // columns} images of {tiles.shape[2]} x {tiles.shape[1]} make a sheet "
            f"of {sheet.width} x {sheet.height} pixels, and at most {_LARGEST} can be shown: "
            "use a smaller n or smaller images."
        )
    for quality in _QUALITIES:
        out = io.BytesIO()
        sheet.save(out, "WEBP", quality=quality, method=6)
        if out.tell() <= _BUDGET:
            break
    return out.getvalue()
