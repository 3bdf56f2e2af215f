"""Playground2D: a small model learns points in the plane, your own drawn ones too, while you watch.

The page asks for frames, one request at a time; the kernel advances the student's own iterator. So a pause in
the page stops the work, and any training loop can be watched that yields a frame now and then. Frames are
recorded, at most 64 of a run: a saved notebook plays them back without a kernel.

    Playground2D({"recommended": train, "mode collapse": train_badly})  # settings to choose from in the page
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike
from PIL import Image

from course_lib import toys
from course_lib.widgets.host import CourseWidget
from course_lib.widgets.live import Answer, Question, answer_questions
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.play_frames import Places, film, from_places, to_places
from course_lib.widgets.play_picture import play_picture
from course_lib.widgets.play_run import Make, Run, by_name
from course_lib.widgets.points import box, checked_points

_PRESETS = ("ring", "moons", "spirals", "checkerboard")
_DATA = 256  # points of a preset
_PATIENCE = 0.1  # seconds of training per request: a pause is never further away
_AT_FIRST = 10.0  # seconds for the frames before the widget is shown


class Playground2D(CourseWidget):
    """A training run in the plane to play, pause and restart, with data to draw and erase.

    make:    called with points (N, 2), float32, in the units of the plane; gives an iterator of `PlayFrame`,
             usually a generator that trains and yields now and then. It is advanced while the widget plays,
             by up to 100 ms at a time, maybe from another thread than the one that runs the cells: give it
             random numbers of its own (a `torch.Generator`).
             Or a mapping from names to such functions: settings to choose from. The first is chosen at
             first; choosing another begins a new run on the same points.
    points:  the data at first: "ring", "moons", "spirals" or "checkerboard" (256 points of
             `course_lib.toys`), or an array (N, 2).
    extent:  the part of the plane to show: a half-width, or (left, right, bottom, top).
    preview: this many frames run before the widget is shown, within 10 seconds, so that the saved picture and
             the recorded film show something.
    scale:   what a frame's `field` is, for the legend: blue is 0, orange is 1.
    title:   stands above the widget. alt: describes it to those who cannot see it.

    A frame's `losses` are plotted, and its `numbers`, at most 6, stand beside them as text: "modes covered
    7 of 8". They are recorded too: a replay shows those of its moment. A pause comes after a whole frame, so
    yield at least every tenth of a second.

    What a saved notebook replays is the run up to the moment when the cell showed the widget; `to_html`
    writes the run up to now. `playground.data` holds the points, `playground.setting` the name of the chosen
    setting; giving it another name, `play(n)` and `restart()` do what the choice and the buttons do.
    Bad input never stops the cell: `playground.problem` holds a sentence, shown in place of the widget.
    """

    _esm = module_source("live", "player", "playground_view", "playground")
    presets = traitlets.List(traitlets.Unicode()).tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)  # a preset, or empty for points of your own
    settings = traitlets.List(traitlets.Unicode()).tag(sync=True)  # their names; empty for a single function
    running = traitlets.Unicode().tag(sync=True)  # the setting of the run, or empty
    points = traitlets.Bytes().tag(sync=True)  # places, see play_frames.py
    moments = traitlets.List(traitlets.Dict()).tag(sync=True)  # the head of each recorded frame
    film = traitlets.Bytes().tag(sync=True)
    over = traitlets.Unicode("").tag(sync=True)
    scale = traitlets.Unicode().tag(sync=True)
    live = traitlets.Bool(True).tag(sync=True)

    def __init__(
        self,
        make: Make | Mapping[str, Make],
        *,
        points: str | ArrayLike = "ring",
        extent: float | tuple[float, float, float, float] = 1.0,
        preview: int = 200,
        scale: str = "D(x)",
        title: str = "Playground",
        alt: str = "",
    ) -> None:
        self._lock, self._setting = threading.Lock(), ""
        self._own: torch.Tensor | None = None  # drawn or given points
        text = alt or f"{title}: data points in the plane and the samples of a model that learns them."
        try:
            state = self._prepare(make, points, extent, preview)
        except WidgetError as error:
            state = {"problem": str(error)}
        super().__init__(title=title, alt=text, scale=scale, **state)
        answer_questions(self, self._answer)

    @property
    def data(self) -> torch.Tensor:
        """The points that the run learns, float32 (N, 2)."""
        return self._data

    @property
    def setting(self) -> str:
        """The name of the setting that runs, or "" where there are no names. Another one begins a new run."""
        return self._setting

    @setting.setter
    def setting(self, name: str) -> None:
        self.restart(setting=name)

    def play(self, frames: int = 1) -> None:
        """Advance the run by `frames` frames, or up to its end."""
        with self._lock:
            self._run.advance(frames, float("inf"))
            answer = self._reply("play")
        self._show(answer)

    def restart(self, points: ArrayLike | None = None, *, setting: str | None = None) -> None:
        """Begin a new run and take its first frame: on new points (N, 2), with another setting, if given.

        Raises `WidgetError` for bad points and for a name that no setting has; the run is then as before.
        """
        with self._lock:
            data = self._data if points is None else _checked(points)
            name = self._setting if setting is None else self._known(setting)
            if points is not None:
                self._own, self._chosen = data, ""
            self._begin(data, name)
            self._run.advance(1, float("inf"))
            answer = self._reply("restart")
        self._show(answer)

    def state(self) -> dict[str, object]:
        """The synced traits for a page without a kernel: with the run up to now as its film."""
        if self.problem:
            return super().state()
        return {**super().state(), **self._recorded(), "live": False}

    def _repr_mimebundle_(  # type: ignore[override]  # see CourseWidget
        self, include: object = None, exclude: object = None
    ) -> tuple[dict, dict]:
        if not self.problem:
            with self.hold_sync():  # a view that opens now begins where the run is
                for name, value in self._recorded().items():
                    setattr(self, name, value)
        return super()._repr_mimebundle_(include, exclude)

    def picture(self) -> Image.Image:
        """The plane with data, field and samples of the newest frame, beside its numbers and the losses."""
        return play_picture(self._places(), self._run.shots.items(), self._setting)

    def _prepare(
        self, make: Make | Mapping[str, Make], points: str | ArrayLike, extent: object, preview: int
    ) -> dict[str, object]:
        """Run the first frames; the traits. Raises `WidgetError` on bad input."""
        self._makes = by_name(make)
        if isinstance(preview, bool) or not isinstance(preview, int) or preview < 1:
            raise WidgetError(f"preview must be a whole number of frames from 1, but it is {preview!r}.")
        self._area = box(extent, checked_points(None, None, None))  # type: ignore[arg-type]
        self._own = None if isinstance(points, str) else _checked(points)
        self._chosen = points if isinstance(points, str) else ""
        first = next(iter(self._makes))
        self._begin(preset(points) if isinstance(points, str) else _checked(points), first)
        self._run.advance(preview, _AT_FIRST)
        if self._run.now is None:
            raise WidgetError(self._run.over)
        return {
            "presets": list(_PRESETS),
            "settings": [name for name in self._makes if name],
            **self._recorded(),
        }

    def _begin(self, data: torch.Tensor, setting: str) -> None:
        self._data, self._setting = data, setting
        self._run = Run(self._makes[setting], data, self._area)

    def _known(self, setting: object) -> str:
        """`setting`, if it is the name of one."""
        if isinstance(setting, str) and setting in self._makes:
            return setting
        names = ", ".join(repr(name) for name in self._makes if name)
        if not names:
            raise WidgetError(
                f"There is no setting {setting!r}: this playground has a single make. Give it a mapping from "
                "names to functions."
            )
        raise WidgetError(f"setting must be one of {names}, but it is {setting!r}.")

    def _recorded(self) -> dict[str, object]:
        moments, data = film(self._run.shots.items())
        names = {"chosen": self._chosen, "running": self._setting, "over": self._run.over}
        return {"points": self._places().tobytes(), "moments": moments, "film": data, **names}

    def _places(self) -> Places:
        return to_places(self._data.double().numpy(), self._area)

    def _answer(self, question: Question) -> Answer:
        """What a button asks for: the newest frame, and for a new run its points and losses as well."""
        do = question["do"]
        with self._lock:
            if do == "step":
                self._run.advance(int(question["frames"]), _PATIENCE)
            elif do == "draw":
                self._own, self._chosen = from_places(np.array(question["points"]), self._area), ""
                self._begin(self._own, self._setting)
            elif do == "preset":
                name = str(question["name"])
                data = self._own if not name and self._own is not None else preset(name)
                self._chosen = name
                self._begin(data, self._setting)
            elif do == "setting":
                self._begin(self._data, self._known(question["name"]))
            elif do == "restart":
                self._begin(self._data, self._setting)
            if self._run.now is None:
                self._run.advance(1, _PATIENCE)
            return self._reply(do)

    def _reply(self, do: str) -> Answer:
        run, now = self._run, self._run.now
        reply = {"do": do, "over": run.over, "failed": run.failed, "head": now.head() if now else None}
        reply |= {"chosen": self._chosen, "running": self._setting}
        frame = [now.samples.tobytes(), now.arrows.tobytes(), now.field.tobytes()] if now else [b"", b"", b""]
        if do != "step":
            reply["history"] = [shot.head() for shot in run.shots.items()]
        return reply, [*frame, self._places().tobytes()]

    def _show(self, answer: Answer) -> None:
        """What Python has changed, to every page that shows this widget."""
        reply, data = answer
        self.send({**reply, "view": None}, buffers=data)


def preset(name: str) -> torch.Tensor:
    """256 points of a named toy, float32 (N, 2). Raises `WidgetError` for another name."""
    match name:
        case "ring":
            return toys.ring(_DATA).x
        case "moons":
            return toys.moons(_DATA).x
        case "spirals":
            return toys.spirals(_DATA).x
        case "checkerboard":
            return toys.checkerboard(_DATA).x
    raise WidgetError(f"points must be one of {', '.join(_PRESETS)}, or an array, but it is {name!r}.")


def _checked(points: ArrayLike) -> torch.Tensor:
    xy = checked_points(points, None, None).xy
    if len(xy) == 0:
        raise WidgetError("points holds no point: draw some, or choose a preset.")
    return torch.from_numpy(xy)
