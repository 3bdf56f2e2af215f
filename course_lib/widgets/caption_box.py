"""CaptionBox: type a caption, or press its words, and see pictures of it come out of noise, in the page.

The network runs in the browser (see runtime.py), one painted frame a step, and the page reads captions as
`words` does (words.js). It draws its own noise, which `page_noise` repeats in Python, so its pictures are
those that `samplers.ddim` makes of the same noise. A saved notebook has no network: there one recorded run
can be played and scrubbed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
from course_lib.widgets.caption_plan import MOST, CaptionPlan, checked_caption, checked_captions
from course_lib.widgets.frames import evenly, faded, frame_sheet, noisy_pixels, strip
from course_lib.widgets.packing import enlarged, stacked
from course_lib.widgets.page import WidgetError, module_source
from course_lib.widgets.page_noise import page_noise
from course_lib.widgets.runtime import NetworkWidget
from course_lib.widgets.sheet import tiled
from course_lib.words import encode

_FRAMES = 13  # of the recorded run
_BUDGET, _QUALITIES = 32_000, (40, 25, 12, 6)  # bytes of the sheet


class CaptionBox(NetworkWidget):
    """Pictures of a caption in plain words, typed or put together from chips, each from its own noise.

    eps:       the noise that a network finds in x at times t, for captions: `eps(x, t, tokens)`. x is
               (B, C, H, W), t (B,) int64 counts 1 .. T, tokens (B, length) int64; a module, a method such as
               `painter.eps`, or any function of torch tensors. It is exported (weights as 16-bit floats) and
               runs in the page, a module in eval mode; what cannot be exported gets the recorded run alone.
    alpha_bar: (T + 1,) the share of signal that is left at t = 0 .. T, as `schedules.alpha_bars` gives it.
    words:     the vocabulary: word i is token i + 2, as in `words.encode`.
    length:    tokens of a caption, its opening included.
    shape:     (C, H, W) of a picture, C = 1 or 3.
    groups:    the chips, by the name of their group; each is a word, or a few that belong together. Words in
               no group come last, folded. None: all words in one group.
    caption, count, guidance, seed: where it begins. "" is no caption; up to 16 pictures; guidance is 0 .. 8:
               1 is the caption as learnt, more exaggerates it.
    steps:     the numbers of steps to choose from, at most 1,000 each; it begins with the first.
    clip:      keep the guess of x_0 in [-1, 1], as the samplers do.
    guess:     show the guess of the end at every step, in place of what the sampler holds.
    title:     stands above the widget. alt: describes it to those who cannot see it.

    `widget.caption`, `.seed`, `.guidance`, `.steps`, `.count` and `.guess` follow the page; setting one
    starts a run there. The noise of picture i is `page_noise(seed, C * H * W, stream=i)`.
    Bad input never stops the cell: `problem` holds a sentence, which is shown in place of the widget.
    """

    _esm = module_source(
        "runtime", "player", "slider", "sampling", "live_controls", "live_run", "words", "chips",
        "caption_box_view", "caption_box",
    )  # fmt: skip
    shape = traitlets.List(traitlets.Int()).tag(sync=True)  # C, H, W
    size = traitlets.List(traitlets.Int()).tag(sync=True)  # width, height of a picture
    plans = traitlets.Dict().tag(sync=True)  # number of steps -> [[t, alpha_bar_t], ...], noise first
    words = traitlets.List(traitlets.Unicode()).tag(sync=True)
    silent = traitlets.List(traitlets.Unicode()).tag(sync=True)  # words that say nothing
    length = traitlets.Int(2).tag(sync=True)
    groups = traitlets.List(traitlets.Any()).tag(sync=True)  # [name, [text, ...], folded] each
    counts = traitlets.List(traitlets.Int()).tag(sync=True)
    clip = traitlets.Bool(True).tag(sync=True)
    sheet = traitlets.Bytes().tag(sync=True)  # a tile for each frame, its pictures side by side
    recording = traitlets.Dict().tag(sync=True)  # see _recorded
    note = traitlets.Unicode("").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**32 - 1).tag(sync=True)
    guidance = traitlets.Float(1.0, min=0.0, max=8.0).tag(sync=True)
    steps = traitlets.Int(20).tag(sync=True)
    count = traitlets.Int(1, min=1, max=MOST).tag(sync=True)
    guess = traitlets.Bool(False).tag(sync=True)

    _without = "This is a recorded run, because eps cannot run in the page:"

    def __init__(
        self,
        eps: Callable[..., Tensor],
        alpha_bar: ArrayLike | Tensor,
        *,
        words: Sequence[str],
        length: int,
        shape: Sequence[int] = (3, 32, 32),
        groups: Mapping[str, Sequence[str]] | None = None,
        caption: str = "",
        count: int = 8,
        steps: Sequence[int] = (20, 5, 10, 50),
        guidance: float = 2.0,
        seed: int = 0,
        clip: bool = True,
        guess: bool = False,
        title: str = "Type a caption",
        alt: str = "",
    ) -> None:
        self._still = Image.new("RGB", (1, 1))
        plan = None
        try:
            plan = checked_captions(
                alpha_bar, shape, words, length, groups, caption, count, steps, guidance, seed, clip, guess
            )
            frames = _run(eps, plan)
            state = {**plan.state(), **_recorded(frames, plan)}
            self._still = _still(frames[-1], plan)
        except WidgetError as error:
            state = {"problem": str(error)}
        text = alt or f'{title}: pictures of "{caption}" that come out of noise, step by step.'
        super().__init__(title=title, alt=text, **state)
        if plan is not None and "problem" not in state:
            now, inputs = frozen(eps), _example(plan)
            self.serve(lambda: to_onnx(now, inputs, ["eps"], half=True))

    @traitlets.validate("caption")
    def _valid_caption(self, proposal: traitlets.Bunch) -> str:
        try:
            return checked_caption(proposal["value"], self.words, self.length) if self.words else ""
        except WidgetError as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("steps")
    def _valid_steps(self, proposal: traitlets.Bunch) -> int:
        if self.plans and str(proposal["value"]) not in self.plans:
            raise traitlets.TraitError(f"steps must be one of {', '.join(self.plans)}.")
        return proposal["value"]

    @traitlets.validate("count")
    def _valid_count(self, proposal: traitlets.Bunch) -> int:
        if self.counts and proposal["value"] not in self.counts:
            raise traitlets.TraitError(f"count must be one of {', '.join(map(str, self.counts))}.")
        return proposal["value"]

    def picture(self) -> Image.Image:
        """The pictures at the end of the recorded run, under their caption."""
        return self._still


def _run(eps: Callable[..., Tensor], plan: CaptionPlan) -> list[Step]:
    """The run that the widget begins with, all frames. Raises `WidgetError` where `eps` fails."""
    if not callable(eps):
        raise WidgetError(f"eps must be a function of (x, t, tokens), but its type is {type(eps).__name__}.")
    size = int(np.prod(plan.shape))
    noise = np.stack([page_noise(plan.seed, size, i).reshape(plan.shape) for i in range(plan.pictures)])
    tokens = encode([plan.caption] * plan.pictures, plan.words, plan.length)
    both = torch.cat([tokens, encode([""] * plan.pictures, plan.words, plan.length)])

    def guided(x: Tensor, t: Tensor) -> Tensor:
        if plan.guidance == 1:
            return asked(eps, x, t, tokens)
        told, untold = asked(eps, x.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
        return guide(told, untold, plan.guidance)

    with torch.no_grad():
        run = ddim(guided, torch.from_numpy(noise), plan.alpha_bar, steps=plan.steps[0], clip=plan.clip)
        return list(run)


def _shown(step: Step, plan: CaptionPlan) -> Tensor:
    return step.x0 if plan.guess and step.x0 is not None else step.x


def _recorded(run: list[Step], plan: CaptionPlan) -> dict[str, object]:
    """The frames as a sheet, and what the page must know of them."""
    frames = evenly(run, _FRAMES)
    pairs = [faded(strip(noisy_pixels(_shown(frame, plan), "the sample"))) for frame in frames]
    return {
        "size": [plan.shape[2], plan.shape[1]],
        "sheet": frame_sheet([tile for tile, _ in pairs], _BUDGET, _QUALITIES),
        "recording": {
            "at": [frame.i for frame in frames],
            "contrasts": [contrast for _, contrast in pairs],
            "caption": plan.caption,
            "count": plan.pictures,
            "seed": plan.seed,
            "guidance": plan.guidance,
            "steps": plan.steps[0],
        },
    }


def _still(end: Step, plan: CaptionPlan) -> Image.Image:
    """The pictures at the end, four in a row."""
    pixels = noisy_pixels(end.x, "the sample")
    columns = min(4, len(pixels))
    white = np.full((-len(pixels) % columns, *pixels.shape[1:]), 255, np.uint8)
    grid = tiled(np.concatenate([pixels, white]), columns)
    return stacked([(plan.caption or "no caption", enlarged(grid, 400))])


def _example(plan: CaptionPlan) -> dict[str, Tensor]:
    """Inputs of `eps` to export it with: the noise and its caption, to be shuffled with others."""
    x = torch.from_numpy(page_noise(1, int(np.prod(plan.shape))).reshape(1, *plan.shape))
    tokens = encode([plan.words[0]], plan.words, plan.length)
    return {"x": x, "t": torch.tensor([len(plan.alpha_bar) // 2]), "tokens": tokens}
