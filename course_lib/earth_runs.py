"""CycleGAN on the Earth in a minute or two: the live settings, the settings that fail, and a film of a run.

The failures differ from the live settings by one thing each. All of them bring the map back nearly as it
was; what they paint in between is wrong, as the hidden pairs show.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from course_lib import earth
from course_lib.data import root
from course_lib.errors import CourseError
from course_lib.fit import Hook, Run, fit, warmup_cosine
from course_lib.methods.cyclegan import CycleGAN
from course_lib.nn.translators import Start

if TYPE_CHECKING:
    from course_lib.widgets.film import Film


HIDDEN = "error to hidden pairs"  # the name of its curve in a film


class Settings(TypedDict, total=False):
    """Arguments of `CycleGAN` that differ from the live ones."""

    start: Start
    identity: float


FAILURES: dict[str, Settings] = {
    "swap": {"start": "swapped"},  # begins with red and blue exchanged: the sea is sand, and sand the sea
    "mirror": {"start": "negative"},  # both begin by exchanging light and dark, which is its own inverse
    "stuck": {"identity": 5.0},  # "what is a photo already stays": then the map hardly changes, either
}


def method(failure: str = "") -> CycleGAN:
    """The CycleGAN of the live run, or of a failure of it. Its colours are learnt, its weights come from the
    global seed. Raises CourseError for a failure that is not in FAILURES."""
    if failure and failure not in FAILURES:
        raise CourseError(f'There is no failure "{failure}": take one of {", ".join(FAILURES)}.')
    changed: Settings = FAILURES[failure] if failure else {}
    gan = CycleGAN(d_widths=(24, 48), soft=True, lr=1e-3, **changed)
    earth.learn_colours(gan)
    return gan


def run(
    steps: int,
    failure: str = "",
    *,
    seed: int = 0,
    film: Film | None = None,
    progress: bool = True,
) -> Run:
    """Train the live settings, or a failure of them, for so many steps with batches of 4.

    Into `film` goes how the held-out Americas look, with the map that comes back, and beside the losses the
    error on their land (of 1), which training never sees. That takes about twice as long.
    """
    torch.manual_seed(seed)
    gan = method(failure).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    hooks = () if film is None else (_camera(gan, film),)
    return fit(
        gan, earth.patches(), steps=steps, batch=4, lr=warmup_cosine(steps, flat=0.5), ema=0.99, clip=1.0,
        seed=seed, hooks=hooks, progress=progress,
    )  # fmt: skip


def _camera(gan: CycleGAN, film: Film) -> Hook:
    """A hook that records the film; every tenth step it measures the error."""
    americas, hidden = earth.place("test"), [0.0]

    def look(step: int, logs: dict[str, float]) -> None:
        if step % 10 == 0:
            hidden[0] = earth.errors(americas, earth.translated(gan.translate, americas))["land"] / 255
        seen = {"G": logs["loss/G"], "D": logs["loss/D"], "cycle": logs["cycle"], HIDDEN: hidden[0]}
        film.add(step, images=lambda: views(gan), losses=seen)

    return look


def views(gan: CycleGAN) -> Tensor:
    """The Americas translated, and taken back to a map, at half their size: (2, 3, 216, 176) in [-1, 1]."""
    americas = earth.place("test")
    made = earth.translated(gan.translate, americas)
    back = earth.translated(gan.translate_back, americas._replace(relief=made))
    return F.avg_pool2d(torch.cat([made, back]), 2)


def bundled_film(name: str) -> Film:
    """The film of a run that was recorded beforehand: "live", or one of FAILURES."""
    from course_lib.widgets.film_file import load_film

    return load_film(root() / "films" / f"cyclegan_earth_{name}.npz")


def record(name: str, steps: int, *, seed: int = 0) -> tuple[Path, Run]:
    """Run and film the live settings ("live") or one of FAILURES, and put the film among the bundled ones.

    The last moment shows the averaged networks, which is what one keeps.
    """
    from course_lib.widgets.film import Film
    from course_lib.widgets.film_file import save_film

    film = Film()
    done = run(steps, "" if name == "live" else name, seed=seed, film=film)
    film.add(steps, images=views(cast(CycleGAN, done.model)))
    return save_film(film, root() / "films" / f"cyclegan_earth_{name}.npz"), done
