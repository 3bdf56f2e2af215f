"""A film as a file: pictures and losses of a training that was too long to run in a lesson."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.widgets.film import Curve, Film, Frame
from course_lib.widgets.frames import evenly
from course_lib.widgets.page import WidgetError
from course_lib.widgets.sheet import Bytes3

_QUALITY = 80  # of the WebP pictures in the file


def save_film(film: Film, path: str | Path, *, most: int = 24) -> Path:
    """Write the losses and at most so many moments of a film into one .npz file (WebP, no pickles).

    Returns its path. Raises WidgetError for a film without pictures, or with more than pictures and losses.
    """
    shots = evenly(film.shots(), most)
    seen = [shot.images for shot in shots if shot.images is not None]
    if not shots or len(seen) < len(shots):
        raise WidgetError("Only a film whose every moment has pictures can be written.")
    if any(part is not None for shot in shots for part in shot[2:]):
        raise WidgetError("Points, fields and lines of a film cannot be written: record pictures and losses.")
    pictures = {f"moment{i}": _packed(images) for i, images in enumerate(seen)}
    about = {
        "steps": [shot.step for shot in shots],
        "count": len(seen[0]),
        "curves": {name: curve.points() for name, curve in film.curves.items()},
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **pictures)  # type: ignore[arg-type]
    return path


def load_film(path: str | Path) -> Film:
    """The film that `save_film` wrote. Raises WidgetError where there is none, or the file is damaged."""
    film = Film()
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            for i, step in enumerate(about["steps"]):
                film.record(Frame(step, _unpacked(file[f"moment{i}"], about["count"])))
        for name, points in about["curves"].items():
            film.curves[name] = Curve.of([(float(step), float(value)) for step, value in points])
    except FileNotFoundError as error:
        raise WidgetError(f"There is no film {path}.") from error
    except Exception as error:  # a damaged file fails in many ways, all mean the same
        raise WidgetError(f"{path} is not a film, or damaged: fetch it again.") from error
    return film


def _packed(images: Bytes3) -> np.ndarray:
    """Pictures (P, H, W, C) uint8 -> the bytes of one WebP, one above the other."""
    p, h, w, c = images.shape
    stacked = images.reshape(p * h, w, c)
    buffer = io.BytesIO()
    Image.fromarray(stacked[..., 0] if c == 1 else stacked).convert("RGB").save(
        buffer, "WEBP", quality=_QUALITY, method=6
    )
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _unpacked(data: np.ndarray, count: int) -> np.ndarray:
    """The reverse: (P, 3, H, W) uint8."""
    pixels = np.asarray(Image.open(io.BytesIO(data.tobytes())).convert("RGB"))
    return pixels.reshape(count, pixels.shape[0] // count, *pixels.shape[1:]).transpose(0, 3, 1, 2)
