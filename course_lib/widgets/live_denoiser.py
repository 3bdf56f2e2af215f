"""LiveDenoiser: diffusion sampling in the page, with your own seed, class, guidance and number of steps.

The network runs in the browser (see runtime.py), one painted frame a step. The page draws its own noise,
which `page_noise` repeats in Python, so its picture is the one that `samplers.ddim` makes of the same noise.
A saved notebook has no network: there one recorded run can be played and scrubbed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from course_lib.export import frozen, to_onnx
from course_lib.method import Step
from course_lib.methods.guidance import guide
from course_lib.samplers import ddim
from course_lib.widgets.asked import asked
from course_lib.widgets.diffusion_plan import Plan, checked_plan
from course_lib.widgets.frames import evenly, faded, frame_sheet, noisy_pixels, strip
from course_lib.widgets.packing import enlarged, stacked
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.page_noise import page_noise
from course_lib.widgets.runtime import NetworkWidget
from course_lib.widgets.sheet import Bytes3

_FRAMES = 21  # of the recorded run
_BUDGET, _QUALITIES = 45_000, (40, 25, 12, 6)  # bytes of the sheet


class LiveDenoiser(NetworkWidget):
    """A sampler in the page: what it holds, its guess of the end, and what it starts from in your hands.

    eps:       the noise that a network finds in x at times t: `eps(x, t)`, with `names` `eps(x, t, label)`. x
               is (B, C, H, W), t and label (B,) int64, t counts 1 .. T; a module, a method such as
               `ddpm.eps`, or any function of torch tensors. It is exported and runs in the page, a module in
               eval mode; what cannot be exported gets the recorded run alone, and a note.
    alpha_bar: (T + 1,) the share of signal that is left at t = 0 .. T, as `schedules.alpha_bars` gives it.
    shape:     (C, H, W) of a picture, C = 1 or 3.
    names:     what to call the classes 0, 1, ...; None: the network knows no classes.
    null:      the label that means "no class"; with it there is guidance. None: there is none.
    steps:     the numbers of steps to choose from, at most 1,000 each; it begins with the first.
    label, guidance, seed: where it begins. guidance is 0 .. 8: 1 is the class as learnt, more exaggerates it.
    clip:      keep the guess of x_0 in [-1, 1], as the samplers do.
    title:     stands above the widget. alt: describes it to those who cannot see it.

    `widget.seed`, `.label`, `.guidance`, `.steps` and `.fresh` (new noise at every step, as in DDPM) follow
    the page; setting one starts a run there. The noise of a run is `page_noise(seed, C * H * W)`.
    Bad input never stops the cell: `problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source(
        "runtime",
        "player",
        "slider",
        "sampling",
        "live_controls",
        "live_run",
        "live_denoiser_view",
        "live_denoiser",
    )
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # C, H, W
    plans = traitlets.Dict().tag(sync=True)  # number of steps -> [[t, alpha_bar_t], ...], noise first
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    null = traitlets.Int(-1).tag(sync=True)  # -1: none
    clip = traitlets.Bool(True).tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)  # tiles of x_t and x_0 side by side, a tile for each frame
    recording = traitlets.Dict().tag(sync=True)  # see _recorded
    note = traitlets.Unicode("").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)
    label = traitlets.Int(0, min=0).tag(sync=True)
    guidance = traitlets.Float(1.0, min=0.0, max=8.0).tag(sync=True)
    steps = traitlets.Int(20).tag(sync=True)
    fresh = traitlets.Bool(False).tag(sync=True)

    _without = "This is a recorded run, because eps cannot run in the page:"

    def __init__(
        self,
        eps: Callable[..., Tensor],
        alpha_bar: ArrayLike | Tensor,
        *,
        shape: Sequence[int] = (1, 28, 28),
        names: Sequence[str] | None = None,
        null: int | None = None,
        steps: Sequence[int] = (20, 5, 10, 50),
        label: int = 0,
        guidance: float = 2.0,
        seed: int = 0,
        clip: bool = True,
        title: str = "Sampling in the page",
        alt: str = "",
    ) -> None:
        self._still = Image.new("RGB", (1, 1))
        plan = None
        try:
            plan = checked_plan(alpha_bar, shape, names, null, steps, label, guidance, seed, clip)
            frames = _run(eps, plan)
            state = {**plan.state(), **_recorded(frames, plan)}
            self._still = _still(frames)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f"{title}: a picture that comes out of noise, step by step."
        super().__init__(title=title, alt=text, **state)
        if plan is not None and "problem" not in state:
            now, inputs = frozen(eps), _example(plan)
            self.serve(lambda: to_onnx(now, inputs, ["eps"]))

    @traitlets.validate("steps")
    def _valid_steps(self, proposal: traitlets.Bunch) -> int:
        if self.plans and str(proposal["value"]) not in self.plans:
            raise traitlets.TraitError(f"steps must be one of {', '.join(self.plans)}.")
        return proposal["value"]

    @traitlets.validate("label")
    def _valid_label(self, proposal: traitlets.Bunch) -> int:
        if self.names and proposal["value"] >= len(self.names):
            raise traitlets.TraitError(f"label must be from 0 to {len(self.names) - 1}.")
        return proposal["value"]

    def picture(self) -> Image.Image:
        """A few moments of the recorded run."""
        return self._still


def _run(eps: Callable[..., Tensor], plan: Plan) -> list[Step]:
    """The run that the widget begins with, all frames. Raises `WidgetError` where `eps` fails."""
    if not callable(eps):
        raise WidgetError(f"eps must be a function of (x, t), but its type is {type(eps).__name__}.")
    noise = page_noise(plan.seed, int(np.prod(plan.shape))).reshape(1, *plan.shape)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        if not plan.names:
            return asked(eps, x, t)
        y = torch.full((len(x),), plan.label)
        if plan.null is None or plan.guidance == 1:
            return asked(eps, x, t, y)
        both = asked(eps, x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([y, torch.full_like(y, plan.null)]))
        told, untold = both.chunk(2)
        return guide(told, untold, plan.guidance)

    run = ddim(guided, torch.from_numpy(noise), plan.alpha_bar, steps=plan.steps[0], clip=plan.clip)
    return list(run)


def _recorded(run: list[Step], plan: Plan) -> dict[str, object]:
    """The frames as a sheet, and what the page must know of them."""
    frames = evenly(run, _FRAMES)
    contrasts, tiles, guesses = [], [], []
    for frame in frames:
        tile, contrast = faded(strip(_looked_at(frame.x)))
        contrasts.append(contrast)
        tiles.append(tile)
        guesses.append(strip(_looked_at(frame.x0)))
    return {
        "sheet": frame_sheet([*tiles, *guesses], _BUDGET, _QUALITIES),
        "recording": {
            "at": [frame.i for frame in frames],
            "contrasts": contrasts,
            "seed": plan.seed,
            "label": plan.label,
            "guidance": plan.guidance,
            "steps": plan.steps[0],
        },
    }


def _looked_at(x: Tensor | None) -> Bytes3:
    assert x is not None  # ddim always has a guess
    return noisy_pixels(x, "the sample")


def _still(run: list[Step]) -> Image.Image:
    """The run at four moments, most of them late: early ones are all noise."""
    moments = [run[round(share * (len(run) - 1))] for share in (0, 0.6, 0.85, 1)]
    row = np.concatenate([_looked_at(step.x)[0] for step in moments], axis=1)
    image = Image.fromarray(row[..., 0] if row.shape[2] == 1 else row)
    return stacked([("From noise to picture", enlarged(image, 240))])


def _example(plan: Plan) -> dict[str, Tensor]:
    """Inputs of `eps` to export it with: a batch of two, early and late."""
    x = torch.from_numpy(page_noise(1, 2 * int(np.prod(plan.shape))).reshape(2, *plan.shape))
    inputs = {"x": x, "t": torch.tensor([len(plan.alpha_bar) - 1, 1])}
    if plan.names:
        inputs["label"] = torch.tensor([plan.label, plan.label if plan.null is None else plan.null])
    return inputs
