"""Widgets for the notebooks: give them arrays and callables, never models.

Every widget is alive in JupyterLab, alive in a saved notebook without a kernel, and a picture where no script
may run. The names below are loaded on first use, so importing this package needs no Jupyter.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course_lib.widgets.caption_box import CaptionBox as CaptionBox
    from course_lib.widgets.compare import Compare as Compare
    from course_lib.widgets.denoiser import Denoiser as Denoiser
    from course_lib.widgets.film import Film as Film
    from course_lib.widgets.film import Frame as Frame
    from course_lib.widgets.film_file import load_film as load_film
    from course_lib.widgets.film_file import save_film as save_film
    from course_lib.widgets.interpolation import Interpolation as Interpolation
    from course_lib.widgets.latent_plane import LatentPlane as LatentPlane
    from course_lib.widgets.latent_sliders import LatentSliders as LatentSliders
    from course_lib.widgets.live_denoiser import LiveDenoiser as LiveDenoiser
    from course_lib.widgets.play_frames import PlayFrame as PlayFrame
    from course_lib.widgets.play_frames import field_points as field_points
    from course_lib.widgets.playground import Playground2D as Playground2D
    from course_lib.widgets.quiz import Quiz as Quiz
    from course_lib.widgets.schedule_explorer import ScheduleExplorer as ScheduleExplorer
    from course_lib.widgets.training_film import TrainingFilm as TrainingFilm
    from course_lib.widgets.translate import Translate as Translate

__all__ = [
    "CaptionBox",
    "Compare",
    "Denoiser",
    "Film",
    "Frame",
    "Interpolation",
    "LatentPlane",
    "LatentSliders",
    "LiveDenoiser",
    "PlayFrame",
    "Playground2D",
    "Quiz",
    "ScheduleExplorer",
    "TrainingFilm",
    "Translate",
    "field_points",
    "load_film",
    "save_film",
]

_HOME = {
    "CaptionBox": "caption_box",
    "Compare": "compare",
    "Denoiser": "denoiser",
    "Film": "film",
    "Frame": "film",
    "Interpolation": "interpolation",
    "LatentPlane": "latent_plane",
    "LatentSliders": "latent_sliders",
    "LiveDenoiser": "live_denoiser",
    "PlayFrame": "play_frames",
    "Playground2D": "playground",
    "Quiz": "quiz",
    "ScheduleExplorer": "schedule_explorer",
    "TrainingFilm": "training_film",
    "Translate": "translate",
    "field_points": "play_frames",
    "load_film": "film_file",
    "save_film": "film_file",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'course_lib.widgets' has no attribute {name!r}")
    return getattr(import_module(f"course_lib.widgets.{_HOME[name]}"), name)
