"""Pictures on disk through a trained translator: one file of any size, or every image of a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib import viz
from course_lib.errors import CourseError, DataError
from course_lib.picture_files import pictures
from course_lib.sets import to_floats
from course_lib.translation import Translate, in_pieces

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


def translate_files(
    model: nn.Module,  # with `translate` and `factor`, such as Pix2Pix and CycleGAN
    source: Path | str,  # a picture, or a folder: its sub-folders are searched too
    out: Path | str,  # a .png, .webp or .jpg file, or a folder, which is made: there every picture is a PNG
    *,
    back: bool = False,  # from B to A
    overwrite: bool = False,  # files of earlier runs
) -> list[Path]:
    """Translate pictures of any size and write them; returns where, in the order of the sources.

    Files are read as by `folder`, with its one `ImageWarning`, but keep their size. Large ones go through in
    pieces. A source is never replaced. Raises CourseError for a model that cannot translate, and where
    something stands in the way; DataError where there is no usable picture.
    """
    make, grey = _way(model, back)
    factor = cast(Any, model).factor
    overlap = 24 * factor  # 192 for the translators of the recipes: see `in_pieces`
    bar = partial(tqdm, unit="piece", leave=False, delay=2)
    source, out = Path(source).expanduser(), Path(out).expanduser()
    to_folder = _check_places(source, out, overwrite)
    written: list[Path] = []
    for name, pixels in pictures(source, grey=grey):
        target = _target(out, name, written) if to_folder else out
        _check_target(target, source, overwrite)
        x = to_floats(pixels[None])  # (1, C, H, W)
        y = in_pieces(make, x, piece=max(768, 2 * overlap), overlap=overlap, factor=factor, progress=bar)
        _save(y, target)
        written.append(target)
    return written


def _way(model: nn.Module, back: bool) -> tuple[Translate, bool]:
    """The translation that was asked for, and whether it starts from grey pictures. Raises CourseError."""
    kind = type(model).__name__
    if not hasattr(model, "translate"):
        raise CourseError(f"A model of the class {kind} cannot translate: take a Pix2Pix or a CycleGAN.")
    if back and not hasattr(model, "translate_back"):
        raise CourseError(f"A model of the class {kind} translates one way only, not back: leave out --back.")
    both = cast(Any, model)
    channels = (both.colours_B if back else both.colours_A).mean.shape[1]
    if channels not in (1, 3):
        raise CourseError(f"This model starts from pictures of {channels} channels; files have 1 or 3.")
    return both.translate_back if back else both.translate, channels == 1


def _check_places(source: Path, out: Path, overwrite: bool) -> bool:
    """Whether the result goes into a folder. Raises CourseError, before any work is done."""
    if not source.exists():
        raise DataError(f"{source} does not exist: give a picture, or a folder of them.")
    to_folder = out.is_dir() or not out.suffix or source.is_dir()
    if to_folder and (out.is_file() or (not out.is_dir() and out.suffix.lower() in SUFFIXES)):
        raise CourseError(f"{out} must be a folder, because {source} is one: give the name of a folder.")
    if not to_folder and out.suffix.lower() not in SUFFIXES:
        raise CourseError(f"{out} must end in {', '.join(SUFFIXES)}, or be a folder.")
    if source.is_dir() and (out.resolve() == source.resolve() or source.resolve() in out.resolve().parents):
        raise CourseError(f"{out} lies in {source}, and a source is never replaced: choose another folder.")
    if source.is_dir() and out.is_dir() and any(out.iterdir()) and not overwrite:
        raise CourseError(f"{out} is not empty: choose another folder, or say --overwrite.")
    return to_folder


def _target(out: Path, name: Path, written: list[Path]) -> Path:
    """Where a picture of a folder goes: a.jpg to a.png, and a.gif beside it to a.gif.png."""
    target = out / name.with_suffix(".png")
    return out / name.with_name(name.name + ".png") if target in written else target


def _check_target(target: Path, source: Path, overwrite: bool) -> None:
    there, root = target.resolve(), source.resolve()
    if there == root or root in there.parents:
        raise CourseError(f"{target} belongs to the source, which is never replaced: choose another place.")
    if target.exists() and not overwrite:
        raise CourseError(f"{target} is there already: choose another name, or say --overwrite.")


def _save(y: Tensor, target: Path) -> None:
    """Write one picture (1, C, H, W) in [-1, 1]. Raises CourseError."""
    if y.shape[1] not in (1, 3):
        raise CourseError(f"This model makes pictures of {y.shape[1]} channels; files have 1 or 3.")
    pixels = viz.to_uint8(y)[0]
    image = Image.fromarray(pixels[..., 0] if y.shape[1] == 1 else pixels)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, quality=95)
    except (OSError, ValueError) as error:  # a format may have a largest size
        reason = getattr(error, "strerror", None) or error
        raise CourseError(f"Could not write {target}: {reason}. Choose another place or format.") from error
