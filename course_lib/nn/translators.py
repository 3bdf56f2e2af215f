"""The players of image-to-image translation: a generator from picture to picture, and the PatchGAN.

The generator is a small U-Net (O. Ronneberger et al., arXiv 1505.04597; P. Isola et al., arXiv 1611.07004,
section 3.2.1) with residual blocks at its bottom (J.-Y. Zhu et al., arXiv 1703.10593, section 4). It is fully
convolutional and, by default, without normalisation: a continent can be translated in one pass, and each
pixel depends on its surroundings only. Enlarging by interpolation instead of transposed convolutions leaves
no checkerboard (A. Odena et al., Distill 2016). The PatchGAN is that of arXiv 1611.07004, section 3.2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib.errors import CourseError

SLOPE = 0.2  # of the leaky ReLU below 0: 1611.07004, section 6.1

Start = Literal["input", "nothing", "negative", "swapped"]
Norm = Literal["none", "batch"]


class Translator(nn.Module):
    """Pictures (B, c_in, H, W) -> (B, c_out, H, W). H and W must be multiples of `factor`.

    It works on 2x2 patches of pixels, folded into channels. start: what the network's own part is added to,
    and so what it gives before it has learnt anything:
        "input"     the input itself: the output keeps its colours until something speaks against it
        "nothing"   the network alone, as in the papers
        "negative"  minus the input: light and dark begin exchanged (a failure of notebook 05)
        "swapped"   the input with its first and last colour exchanged, red and blue (another one)
    `tanh` keeps the network's own part in [-1, 1]. `soft` averages it over neighbouring pixels, which wipes
    out dots of one pixel: two translators that must undo each other like to hide messages there. Raises
    CourseError for sizes that do not fit together.
    """

    def __init__(
        self,
        c_in: int = 3,
        c_out: int = 3,
        widths: Sequence[int] = (24, 48, 96),  # channels at size/2, size/4, ...
        blocks: int = 3,  # residual blocks at the smallest size
        norm: Norm = "none",
        start: Start = "input",
        tanh: bool = False,
        soft: bool = False,
    ) -> None:
        super().__init__()
        _check(c_in, c_out, widths, start, norm)
        self.start, self.soft = start, soft
        self.factor = 2 ** len(widths)
        steps = list(zip(widths, widths[1:], strict=False))  # (24, 48), (48, 96)
        self.enter = _layer(4 * c_in, widths[0], 3, 1, "none")
        self.down = nn.ModuleList(_layer(a, b, 4, 2, norm) for a, b in steps)
        self.middle = nn.Sequential(*(PlainResidual(widths[-1], norm) for _ in range(blocks)))
        # on the way up, what came down at the same size is put beside what comes from below
        self.up = nn.ModuleList(
            _layer(b if i == 0 else 2 * b, a, 3, 1, norm) for i, (a, b) in enumerate(steps[::-1])
        )
        self.leave = nn.Conv2d(2 * widths[0] if steps else widths[0], 4 * c_out, 3, 1, 1)
        self.bound = nn.Tanh() if tanh else nn.Identity()
        if start != "nothing":  # begin with the input alone, or nearly
            with torch.no_grad():
                self.leave.weight.mul_(0.1)
                nn.init.zeros_(cast(Tensor, self.leave.bias))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % self.factor or x.shape[3] % self.factor:
            raise CourseError(
                f"Height and width must be multiples of {self.factor}, got {x.shape[2]} x {x.shape[3]}: crop "
                "or pad the picture, or let `translation.whole` do it."
            )
        h = self.enter(F.pixel_unshuffle(x, 2))  # (B, widths[0], H/2, W/2)
        skips = []
        for layer in self.down:
            skips.append(h)
            h = layer(h)
        h = self.middle(h)  # (B, widths[-1], H/factor, W/factor)
        for layer in self.up:
            h = torch.cat([enlarge(layer(h)), skips.pop()], 1)
        h = self.bound(F.pixel_shuffle(self.leave(h), 2).to(x))  # (B, c_out, H, W), out of bf16
        if self.soft:
            h = soften(h)
        match self.start:
            case "input":
                return x + h
            case "negative":
                return h - x
            case "swapped":
                return x.flip(1) + h
            case _:
                return h


class PatchGAN(nn.Module):
    """Pictures (B, c_in, H, W) -> a map of verdicts (B, 1, h, w): each judges one patch, not the picture.

    `widths` are the channels of its 4x4 convolutions with stride 2; one 3x3 convolution at the last width
    and one to the verdict follow. How wide a patch is says `receptive_field(layers)`.
    """

    def __init__(self, c_in: int = 3, widths: Sequence[int] = (32, 64, 128), norm: Norm = "none") -> None:
        super().__init__()
        layers: list[nn.Module] = [_layer(c_in, widths[0], 4, 2, "none")]
        layers += [_layer(a, b, 4, 2, norm) for a, b in zip(widths, widths[1:], strict=False)]
        layers += [_layer(widths[-1], widths[-1], 3, 1, norm), nn.Conv2d(widths[-1], 1, 3, 1, 1)]
        self.net = nn.Sequential(*layers)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(kernel, stride) of its convolutions, from the picture to the verdict."""
        convolutions = [m for m in self.net.modules() if isinstance(m, nn.Conv2d)]
        return [(c.kernel_size[0], c.stride[0]) for c in convolutions]

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).to(x)  # (B, 1, h, w), out of bf16


class PlainResidual(nn.Module):
    """x + two convolutions of x. Without normalisation the branch starts at a tenth. Shape unchanged."""

    def __init__(self, channels: int, norm: Norm = "none") -> None:
        super().__init__()
        self.first = _layer(channels, channels, 3, 1, norm)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.norm = nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()
        if norm == "none":
            with torch.no_grad():
                self.second.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.second(self.first(x)))


def receptive_field(layers: Sequence[tuple[int, int]]) -> int:
    """How many pixels wide the part of the input is that one output sees; layers: (kernel, stride) each.

    From the end backwards, r = (r - 1) * stride + kernel. 1611.07004, appendix 6.1.2, has a PatchGAN of 70.
    """
    r = 1
    for kernel, stride in reversed(layers):
        r = (r - 1) * stride + kernel
    return r


def enlarge(x: Tensor) -> Tensor:
    """Twice as high and wide, by linear interpolation: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def soften(x: Tensor) -> Tensor:
    """Each pixel averaged with its neighbours by 1 2 1 / 4, both ways: (B, C, H, W) -> same.

    A checkerboard, and any stripe or dot pattern that repeats every second pixel, becomes an even grey.
    """
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, 2, 1), 2, 1)


def _layer(c_in: int, c_out: int, kernel: int, stride: int, norm: Norm) -> nn.Sequential:
    """Convolution, perhaps batch normalisation, leaky ReLU. Size / stride."""
    layers = [nn.Conv2d(c_in, c_out, kernel, stride, 1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*(layers[:1] + [nn.BatchNorm2d(c_out)] * (norm == "batch") + layers[1:]))


def _check(c_in: int, c_out: int, widths: Sequence[int], start: str, norm: str) -> None:
    if not widths or min(widths) < 1:
        raise CourseError(f"widths must be at least one number of channels, got {tuple(widths)}.")
    if start not in get_args(Start):
        raise CourseError(f"start must be one of {', '.join(get_args(Start))}, got {start!r}.")
    if norm not in get_args(Norm):
        raise CourseError(f"norm must be one of {', '.join(get_args(Norm))}, got {norm!r}.")
    if start != "nothing" and c_in != c_out:
        raise CourseError(
            f"start={start!r} adds the input to the output, so both need as many channels, got {c_in} and "
            f'{c_out}: take start="nothing".'
        )
