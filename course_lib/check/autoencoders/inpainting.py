"""Exercise 1.7: fill what is missing in a picture from its reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from course_lib.check.autoencoders.net import Net, pictures, recognised
from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.properties import (
    close_to,
    device_kept,
    dtype_kept,
    input_unchanged,
    returns_tensor,
    shape,
)


def _inpaint(model: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    x_hat = model(x.masked_fill(mask, 0.0))
    return torch.where(mask, x_hat, x)


def _with_holes(generator: torch.Generator) -> tuple[Net, Tensor, Tensor]:
    """A network, pictures (4, 1, 5, 6), and a mask, True at 6 to 12 pixels of each, where x is garbage."""
    x = pictures((4, 1, 5, 6), generator)
    order = torch.rand(4, 30, generator=generator).argsort(1).view(4, 1, 5, 6)
    mask = order < torch.randint(6, 13, (4, 1, 1, 1), generator=generator)
    return Net((1, 5, 6), generator), torch.where(mask, 2 + x, x), mask


KNOWN: Mistakes = (
    (
        lambda model, x, mask: model(x.masked_fill(mask, 0.0)),
        "You return the whole reconstruction. Keep the known pixels exactly, and take only the missing ones "
        "from it.",
    ),
    (
        lambda model, x, mask: torch.where(mask, x, model(x.masked_fill(mask, 0.0))),
        "At the end the mask is turned around: you keep the garbage and replace what is known. `mask` is "
        "True where pixels are missing.",
    ),
    (
        lambda model, x, mask: torch.where(mask, 0.0, model(x.masked_fill(mask, 0.0))),
        "At the end the mask is turned around: you keep the zeros and replace what is known. `mask` is "
        "True where pixels are missing.",
    ),
    (
        lambda model, x, mask: model(x.masked_fill(mask, 0.0)) * mask + x * mask,
        "The known pixels are 0 in your result: `x * mask` keeps the missing ones, `x * ~mask` the known.",
    ),
    (
        lambda model, x, mask: torch.where(mask, x, model(x.masked_fill(~mask, 0.0))),
        "The mask is turned around everywhere: it is True where pixels are missing, and you treat those as "
        "known.",
    ),
    (
        lambda model, x, mask: (x.masked_fill(mask, 0.0) + model(x.masked_fill(mask, 0.0))) / 2,
        "You blend picture and reconstruction everywhere. Keep the known pixels exactly, and take only the "
        "missing ones from the reconstruction.",
    ),
    (
        lambda model, x, mask: x.masked_fill(mask, 0.0) + model(x.masked_fill(mask, 0.0)),
        "You add the reconstruction to the known pixels, too. Multiply it with the mask, or choose with "
        "`torch.where`.",
    ),
    (
        lambda model, x, mask: model(x.masked_fill(mask, 0.0)) * mask,
        "The known pixels are 0 in your result: take them from x.",
    ),
    (
        lambda model, x, mask: model(x),
        "You return the reconstruction of x with its garbage. Set the missing pixels to 0 before, and keep "
        "the known ones exactly.",
    ),
)


def _known_kept(t: Trial) -> str | None:
    _, x, mask = t.args()
    yours = t.answer(t.student)
    if same(yours[~mask], x[~mask], 1e-5, 1e-6):
        return None
    moved = ((yours - x).abs() > 1e-5)[~mask].sum().item()
    numbers = f"{moved} of {int((~mask).sum())} known pixels are not those of x."
    sentence = recognised(t, yours, KNOWN) or "Keep every known pixel (mask is False) exactly as it is in x."
    return f"{sentence} {numbers}"


LEAKS: Mistakes = (
    (
        lambda model, x, mask: torch.where(mask, model(x), x),
        "You give the network x as it is. Set the missing pixels to 0 before, in a copy.",
    ),
    (
        lambda model, x, mask: torch.where(mask, model(x.masked_fill(~mask, 0.0)), x),
        "You set the known pixels to 0, so that the network sees nothing but garbage. `mask` is True where "
        "pixels are missing.",
    ),
    (lambda model, x, mask: x.clone(), "You return x itself: its missing pixels are still garbage."),
    (
        lambda model, x, mask: torch.where(mask, (x + model(x.masked_fill(mask, 0.0))) / 2, x),
        "You blend the reconstruction with the garbage. Take the missing pixels from it alone.",
    ),
    (
        lambda model, x, mask: x + model(x.masked_fill(mask, 0.0)) * mask,
        "You add the reconstruction to the garbage that x holds at the missing pixels. Add it to the copy "
        "with zeros.",
    ),
)


def _nothing_leaks(t: Trial) -> str | None:
    model, x, mask = t.args()
    yours = t.answer(t.student)
    other = t.answer(t.student, model, torch.where(mask, -2 * x, x), mask)
    if same(yours, other, 1e-5, 1e-5):
        return None
    sentence = recognised(t, yours, LEAKS) or "The missing pixels of x must reach neither network nor result."
    change = (yours - other).abs().max().item()
    return f"{sentence} With other numbers in the missing pixels, your result changes by up to {change:.3g}."


def _zeros_seen(t: Trial) -> str | None:
    """What the network was given, if it was given the batch once and as a whole."""
    model, x, mask = t.args()
    t.answer(t.student, model, x, mask)
    if [seen.shape for seen in model.seen] != [x.shape]:
        return None  # picture by picture, say: the values tell
    filled = model.seen[0][mask]
    if not filled.any():
        return None
    low, high = filled.min().item(), filled.max().item()
    numbers = f"{low:.3g}" if high - low < 1e-5 else f"numbers from {low:.3g} to {high:.3g}"
    return f"At the missing pixels the network saw {numbers}. Set them to 0, the middle grey, before it."


def _filled(value: float) -> Answer:
    return lambda model, x, mask: torch.where(mask, model(x.masked_fill(mask, value)), x)


FILLED: Mistakes = (
    (_filled(-1.0), "the network saw -1."),
    (_filled(1.0), "the network saw 1."),
    (_filled(0.5), "the network saw 0.5."),
    (
        lambda model, x, mask: torch.where(mask, model(x.masked_fill(mask, x[~mask].mean().item())), x),
        "At the missing pixels the network saw ",
    ),
    (
        lambda model, x, mask: torch.where(mask, model(torch.where(mask, torch.randn_like(x), x)), x),
        "the network saw numbers from -",
    ),
)

inpaint = Exercise(
    id="1.7",
    title="Inpainting",
    difficulty=3,
    minutes=8,
    hints=(
        "Two pictures come together in the result: x and a reconstruction. Where do you need which? And what "
        "may the network see of x?",
        "First make a copy of x with 0 at the missing pixels; `x.masked_fill(mask, 0.0)` does that. The "
        "network reconstructs the copy. Then choose pixel by pixel.",
        "`torch.where(mask, a, b)` takes a where the mask is True, b elsewhere. The missing pixels are "
        "those where it is True: they come from `model(copy)`, the others from x.",
    ),
    reference=_inpaint,
    draw=_with_holes,
    properties=(
        returns_tensor(),
        shape(),
        input_unchanged(),
        Property("known pixels kept", _known_kept, KNOWN),
        Property("missing pixels never used", _nothing_leaks, LEAKS),
        Property("zeros given to the network", _zeros_seen, FILLED),
        close_to(
            (
                lambda model, x, mask: x.masked_fill(mask, 0.0),
                "The missing pixels are still 0 in your result: take them from the reconstruction.",
            ),
            (
                lambda model, x, mask: torch.where(mask, model(x.masked_fill(mask, 0.0)) / 2, x),
                "The missing pixels are half as strong as in the reconstruction: don't mix them with the "
                "zeros.",
            ),
            name="missing pixels reconstructed",
        ),
        dtype_kept(),
        device_kept(),
    ),
)
