"""One set of drawings in the hand of another: Twemoji, flat, and OpenMoji, with black outlines.

Both sets draw the same things, so every drawing has a counterpart: the same thing in the other hand, at other
pixels and often in another shape. Training never uses that. Of every two concepts it sees one in Twemoji and
the other in OpenMoji, so nothing that it sees has its counterpart among what it sees. The counterparts of
held-out concepts serve to measure.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import data
from course_lib.errors import DataError
from course_lib.folders import Unpaired
from course_lib.methods.cyclegan import CycleGAN
from course_lib.sets import Images, to_floats

SIDE = 56  # height and width of the drawings here
ROOM = 4  # pixels of white around a Twemoji: a drawing that fills its square leaves no room for an outline
DARK = -0.4  # a pixel is dark where no channel is above this, in [-1, 1]
PAPER = 0.85  # and paper where none is below this


class Counterparts(NamedTuple):
    """Things drawn twice. Entry i of every field belongs to thing i."""

    twemoji: Tensor  # (N, 3, 56, 56) uint8, flat, on white
    openmoji: Tensor  # (N, 3, 56, 56) uint8, outlined, on white
    captions: tuple[str, ...]  # what is drawn
    concepts: tuple[str, ...]  # the same without gender and direction


def counterparts(split: data.Split = "train") -> Counterparts:
    """What both sets draw, at one scale: N = 1,279 / 168 / 151 in train / validation / test.

    OpenMoji leaves a margin and Twemoji none, so a discriminator would look at nothing else: OpenMoji is cut
    to its central 56 x 56 pixels, Twemoji reduced to 48 x 48 and framed in white.
    """
    flat, outlined = data.emoji(split, "twemoji"), data.openmoji(split)
    places = {caption: i for i, caption in enumerate(outlined.captions)}
    first = [i for i, caption in enumerate(flat.captions) if caption in places]
    second = [places[flat.captions[i]] for i in first]
    if not first:
        raise DataError(f'Nothing in the split "{split}" is drawn in both sets.')
    inner = SIDE - 2 * ROOM
    reduced = F.interpolate(flat.x[first].float(), (inner, inner), mode="bilinear", antialias=True)
    framed = F.pad(reduced, (ROOM,) * 4, value=255.0).round().to(torch.uint8)
    cut = (outlined.colour.shape[-1] - SIDE) // 2
    return Counterparts(
        framed,
        outlined.colour[second][:, :, cut : cut + SIDE, cut : cut + SIDE].contiguous(),
        tuple(flat.captions[i] for i in first),
        tuple(flat.concepts[i] for i in first),
    )


def strangers() -> Unpaired:
    """The training set: Twemoji of one half of the training concepts, OpenMoji of the other, and their mirror
    images. A batch is (a, b), drawn independently of each other."""
    both = counterparts("train")
    first = half(both.concepts)  # (N,) bool
    a, b = both.twemoji[first], both.openmoji[~first]
    return Unpaired(Images(torch.cat([a, a.flip(3)])), Images(torch.cat([b, b.flip(3)])))


def half(concepts: tuple[str, ...]) -> Tensor:
    """(N,) bool: True for every other concept in alphabetical order, whatever the order of the drawings."""
    order = {concept: i for i, concept in enumerate(sorted(set(concepts)))}
    return torch.tensor([order[concept] % 2 == 0 for concept in concepts], dtype=torch.bool)


# Measures


def judge(both: Counterparts, steps: int = 200) -> nn.Module:
    """A small network that tells the hands apart, trained on `both`: (B, 3, H, W) -> (B,), above 0: OpenMoji.

    Some seconds. Always the same: its draws come from a seed of its own.
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for c_in, c_out in ((3, 8), (8, 16), (16, 16)):
            layers += [nn.Conv2d(c_in, c_out, 4, 2, 1), nn.LeakyReLU(0.2)]
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))
        opt = torch.optim.Adam(net.parameters(), 5e-3)
        label = torch.arange(2.0).repeat_interleave(16)  # 16 of each hand
        for _ in range(steps):
            i, j = torch.randint(len(both.twemoji), (2, 16))
            x = to_floats(torch.cat([both.twemoji[i], both.openmoji[j]]))
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x), label).backward()
            opt.step()
    return net.eval()


@torch.no_grad()
def taken(net: nn.Module, x: Tensor) -> float:
    """Percentage of drawings x (N, 3, H, W) in [-1, 1] that a judge takes for OpenMoji."""
    return 100 * (net(x) > 0).float().mean().item()


def outlined(x: Tensor) -> float:
    """Percentage of the rims of drawings x (N, 3, H, W) in [-1, 1] that are dark.

    The rim is what is not paper and touches paper, diagonally too; it is dark where it, or a pixel that
    touches it, is dark. Thin lines on paper are all rim. NaN where nothing is drawn.
    """
    paper = (x.amin(1, keepdim=True) > PAPER).float()
    dark = (x.amax(1, keepdim=True) < DARK).float()
    rim = (_grown(paper) - paper).bool()
    return 100 * _grown(dark)[rim].mean().item()


def found(x: Tensor, y: Tensor, among: int = 1) -> float:
    """Percentage of drawings x (N, 3, H, W) whose own counterpart y[i] is among the `among` nearest of y.

    Nearest by the squared difference of both reduced to 8 x 8 pixels: coarse shape and colours. Guessing
    finds `among` in N.
    """
    a, b = (F.adaptive_avg_pool2d(z, 8).flatten(1) for z in (x, y))
    apart = torch.cdist(a, b)  # (N, N)
    nearer = (apart < apart.diagonal()[:, None]).sum(1)
    return 100 * (nearer < among).float().mean().item()


def difference(x: Tensor, y: Tensor) -> float:
    """Mean absolute difference of pictures in [-1, 1], in grey levels, 0..255."""
    return (x - y).abs().mean().item() * 127.5


def scores(model: nn.Module, split: data.Split = "test") -> dict[str, float]:
    """How well drawings of held-out concepts change hands, in both directions, beside real drawings.

    Percentages: taken for OpenMoji by `judge`, `outlined`, and the counterpart `found` among the five
    nearest, before and after. In grey levels, 0..255: how far a drawing is from itself there and back, and
    how far one way, for a translator that changes nothing comes back perfectly.
    """
    net, gan, held = judge(counterparts("train")), cast(CycleGAN, model), counterparts(split)
    a, b = to_floats(held.twemoji), to_floats(held.openmoji)
    drawings = {
        "Twemoji": a,
        "G(Twemoji)": gan.translate(a),
        "OpenMoji": b,
        "F(OpenMoji)": gan.translate_back(b),
    }
    table: dict[str, float] = {}
    for name, x in drawings.items():
        table[f"taken for OpenMoji, {name}"] = taken(net, x)
        table[f"rim dark, {name}"] = outlined(x)
        goal = b if "Twemoji" in name else a
        table[f"counterpart among the nearest 5, {name}"] = found(x, goal, 5)
    table["there and back, Twemoji"] = difference(gan.translate_back(drawings["G(Twemoji)"]), a)
    table["there and back, OpenMoji"] = difference(gan.translate(drawings["F(OpenMoji)"]), b)
    table["one way, Twemoji"] = difference(drawings["G(Twemoji)"], a)
    table["one way, OpenMoji"] = difference(drawings["F(OpenMoji)"], b)
    return table


def _grown(mask: Tensor) -> Tensor:
    """A mask (N, 1, H, W) of 0 and 1, and the pixels that touch it."""
    return F.max_pool2d(mask, 3, 1, 1)
