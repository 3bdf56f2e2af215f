"""Denoiser: play or scrub the steps of a sampler, or of two samplers side by side, from noise to picture.

The steps are thinned while they come, so a sampler of 1,000 steps needs little memory, and packed into one
picture that the page paints from: no kernel is needed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import traitlets
from PIL import Image

from course_lib.method import Step
from course_lib.recording import Recording
from course_lib.widgets.frames import checked_most, faded, frame_sheet, strip
from course_lib.widgets.host import CourseWidget
from course_lib.widgets.packing import enlarged, stacked
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.runs import Run, aligned, checked_picks, noise_levels, recorded

Steps = Iterable[Step] | Recording
_FRAMES = 42  # of all samplers together, where `most` does not say more: two times 20 steps and the start
_DENSITY, _MOST = 0.152, 120_000  # bytes of the sheet: for each pixel, and at most
_QUALITIES = (40, 30, 22, 18, 14, 10)


class Denoiser(CourseWidget):
    """A sampler's way from noise to picture: what it holds, its guess of the end, how much noise is left.

    steps:    what a sampler yields (any iterable of `Step`, or a `Recording`), or a dict of name -> that for
              several samplers or step counts: `{"DDPM, 1,000 steps": ..., "DDIM, 20 steps": ...}`. Pictures
              (B, C, H, W), C = 1 or 3, of one size. Each is read once, to its end, in little memory.
    pictures: how many of a batch to show (the first ones, 1 to 8), or which: [0, 5, 2].
    names:    what to call these pictures, one text for each.
    noise:    the noise level: a function of a `Step`, or a sequence of levels spread evenly from the first
              step to the last, such as `(1 - alpha_bar).sqrt().flip(0)`. None: only the share of the steps.
    most:     at most so many frames of each sampler are kept for the page, 2 to 64. None: 42 in all, which
              is about 90 KB in a saved notebook for four pictures of 28 x 28.
    title:    stands above the widget. alt: describes it to those who cannot see it.

    Several samplers move together: at the same share of their steps, or, where `noise` is a function and
    falls from step to step, at the same noise level. The widget says which.
    `widget.moment` is the moment that is shown, from 0; setting it moves the widget.

    Bad input never stops the cell: `problem` holds a sentence, which is shown in place of the widget. If an
    iterator raises on its way, the frames before that are shown, and a sentence below says what happened.
    """

    _esm = module_source("player", "denoiser")
    sheet = traitlets.Bytes().tag(sync=True)  # tiles of `pictures` images side by side
    tile = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height of one image, in pixels
    pictures = traitlets.Int(1).tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    contrasts = traitlets.List(traitlets.Float()).tag(sync=True)  # of each tile, see `faded`
    runs = traitlets.List(traitlets.Dict()).tag(sync=True)  # see _page_run
    moments = traitlets.List(traitlets.Float()).tag(sync=True)  # 0..1, rising: all places of all runs
    reading = traitlets.Unicode("").tag(sync=True)  # how several runs are compared
    note = traitlets.Unicode("").tag(sync=True)
    moment = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        steps: Steps | Mapping[str, Steps],
        *,
        pictures: int | Sequence[int] = 4,
        names: Sequence[str] | None = None,
        noise: Callable[[Step], float] | Sequence[float] | None = None,
        most: int | None = None,
        title: str = "Denoiser",
        alt: str = "",
    ) -> None:
        self._still = Image.new("RGB", (1, 1))
        try:
            runs = _recorded_runs(steps, pictures, noise, most)
            state = _state(runs, noise, names)
            self._still = _still(runs)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: pictures that come out of noise, step by step."
        super().__init__(title=title, alt=text, **state)

    @traitlets.validate("moment")
    def _valid_moment(self, proposal: traitlets.Bunch) -> int:
        return min(max(int(proposal["value"]), 0), max(len(self.moments) - 1, 0))

    def picture(self) -> Image.Image:
        """A few moments of the first picture, from noise to sample."""
        return self._still


def _recorded_runs(
    steps: object,
    pictures: int | Sequence[int],
    noise: Callable[[Step], float] | Sequence[float] | None,
    most: int | None,
) -> list[Run]:
    named = dict(steps) if isinstance(steps, Mapping) else {"": steps}
    if not named:
        raise WidgetError("steps is an empty dict: give at least one sampler, name -> its steps.")
    which, level = checked_picks(pictures), noise_levels(noise)
    most = max(12, _FRAMES // len(named)) if most is None else checked_most(most)
    runs = [recorded(str(name), given, which, level, most) for name, given in named.items()]
    first = runs[0]
    for other in runs[1:]:
        if other.size != first.size:
            raise WidgetError(
                f"{other.label} has images (C, H, W) of {other.size} and {first.label} of {first.size}: one "
                "widget shows one size."
            )
    shown = min(len(run.frames[0].x) for run in runs)
    return [run.with_pictures(shown) for run in runs]


def _state(runs: list[Run], noise: object, names: Sequence[str] | None) -> dict[str, object]:
    """Everything that the page needs; raises `WidgetError` on bad input."""
    shown = len(runs[0].frames[0].x)
    captions = [] if names is None else [str(name) for name in names]
    if captions and len(captions) != shown:
        raise WidgetError(f"names has {len(captions)} entries, but {shown} pictures are shown.")
    placed, same_noise = aligned(runs) if callable(noise) else ([run.places() for run in runs], False)
    strips: list[np.ndarray] = []
    states = [_page_run(run, places, strips) for run, places in zip(runs, placed, strict=True)]
    for run, state in zip(runs, states, strict=True):  # the clean guesses apart from the noise: no bleeding
        state["guesses"] = _add_guesses(run, strips)
    tiles, contrasts = zip(*map(faded, strips), strict=True)
    _, height, width = runs[0].size
    budget = min(_MOST, int(_DENSITY * sum(tile.size for tile in tiles)))
    reading = "at the same noise level" if same_noise else "after the same share of their steps"
    return {
        "sheet": frame_sheet(tiles, budget, _QUALITIES),
        "tile": [width, height],
        "pictures": shown,
        "contrasts": list(contrasts),
        "captions": captions,
        "runs": states,
        "moments": sorted({place for places in placed for place in places}),
        "reading": f"The samplers are shown {reading}." if len(runs) > 1 else "",
        "note": " ".join(run.note for run in runs if run.note),
    }


def _page_run(run: Run, places: list[float], strips: list[np.ndarray]) -> dict[str, object]:
    """What the page knows of a run; adds the pictures of each frame."""
    start = len(strips)
    strips.extend(strip(frame.x) for frame in run.frames)
    return {
        "name": run.name,
        "places": places,
        "steps": [frame.i for frame in run.frames],
        "last": run.n,
        "notes": [frame.note for frame in run.frames],
        "noise": [frame.noise for frame in run.frames],  # None where it is not known
        "start": start,  # of its tiles
    }


def _add_guesses(run: Run, strips: list[np.ndarray]) -> list[int]:
    """The tile of each frame's guess of the end, -1 where there is none; adds their pictures."""
    where = []
    for frame in run.frames:
        where.append(-1 if frame.x0 is None else len(strips))
        if frame.x0 is not None:
            strips.append(strip(frame.x0))
    return where


def _still(runs: list[Run]) -> Image.Image:
    """The first picture of each run at four moments, most of them late: early ones are all noise."""
    parts = []
    for run in runs:
        pick = [run.frames[round(share * (len(run.frames) - 1))] for share in (0, 0.6, 0.85, 1)]
        row = np.concatenate([frame.x[0] for frame in pick], axis=1)
        image = Image.fromarray(row[..., 0] if row.shape[2] == 1 else row)
        parts.append((run.name or "From noise to picture", enlarged(image, 240)))
    return stacked(parts)
