"""Exercise 5.2: the receptive field of a stack of convolutions, arXiv 1611.07004, section 3.2.2."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import torch
from torch import nn

from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.explain import kind_of
from course_lib.check.properties import input_unchanged
from course_lib.check.vae.told import on, told

Layers = list[tuple[int, int]]  # (kernel, stride) each, from the picture to the verdict
Rule = Callable[[int, int, int], int]  # of r, kernel, stride: the next r


def width_of_gradient(layers: Layers) -> int:
    """How many places of the input one output depends on, from the first to the last: seen by autograd.

    One dimension is enough. All weights are 1, so that nothing cancels.
    """
    net = nn.Sequential(*(nn.Conv1d(1, 1, kernel, stride, bias=False) for kernel, stride in layers))
    for p in net.parameters():
        nn.init.ones_(p)
    x = torch.zeros(1, 1, 600, requires_grad=True)  # wider than any of the stacks below reaches
    out = net(x)
    (slope,) = torch.autograd.grad(out[0, 0, out.shape[2] // 2], x)
    seen = slope[0, 0].nonzero()
    return int(seen[-1] - seen[0]) + 1


def _backwards(rule: Rule, start: int = 1) -> Callable[[Layers], int]:
    """From the verdict to the picture."""

    def receptive_field(layers: Layers) -> int:
        r = start
        for kernel, stride in reversed(layers):
            r = rule(r, kernel, stride)
        return r

    return receptive_field


def _forwards(rule: Rule, start: int = 1) -> Callable[[Layers], int]:
    """From the picture to the verdict."""
    backwards = _backwards(rule, start)
    return lambda layers: backwards(layers[::-1])


_field = _backwards(lambda r, k, s: (r - 1) * s + k)


def _random_stacks(generator: torch.Generator) -> tuple[list[Layers]]:
    """Two stacks of two layers, two of three and two of four. The first stride is 2 or 3."""

    def layers(depth: int) -> Layers:
        kernels = torch.randint(3, 6, (depth,), generator=generator).tolist()
        strides = torch.randint(1, 4, (depth,), generator=generator).tolist()
        return [(k, s) for k, s in zip(kernels, [2 + strides[0] % 2, *strides[1:]], strict=True)]

    return ([layers(depth) for depth in (2, 2, 3, 3, 4, 4)],)


def _of_the_paper(generator: torch.Generator) -> tuple[list[Layers]]:
    """The discriminators of section 4.4, which are named by what they see: 70, 16 and 1 pixels."""
    return ([[(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)], [(4, 2), (4, 1), (4, 1)], [(1, 1), (1, 1), (1, 1)]],)


def _jumps(grow: Callable[[int, int, int], int]) -> Callable[[Layers], int]:
    """From the picture on: what a layer adds, from kernel, stride, and the product of the strides before."""

    def receptive_field(layers: Layers) -> int:
        r = before = 1
        for kernel, stride in layers:
            r += grow(kernel, stride, before)
            before *= stride
        return r

    return receptive_field


def _only_the_last_stride(layers: Layers) -> int:
    before = [1, *(stride for _, stride in layers)]
    return 1 + sum((kernel - 1) * s for (kernel, _), s in zip(layers, before, strict=False))


STEPS = "r places in a row have r - 1 steps between them, not r: the patch is (r - 1) * stride + kernel wide."
START = "Begin with `r = 1`: one verdict is 1 wide."
TURN = "You go from the picture to the verdict. This rule begins at the verdict: `reversed(layers)`."
NO_STRIDES = (
    "The strides play no part. Behind a stride of 2 neighbours stand two places apart, so every layer that "
    "comes later reaches twice as far."
)
OWN_STRIDE = (
    "You count a layer's own stride too early. The places under its kernel are as far apart as the strides "
    "of the layers before it say: its own matters from the next layer on."
)
LESS_1 = (
    "A kernel adds its width less 1, since one of its places is counted already: (kernel - 1) times the "
    "strides before it."
)
EXCHANGED = "Kernel and stride are exchanged: each pair is (kernel, stride)."
PRODUCT = (
    "You multiply the kernels. They add up: each adds its width less 1, in steps of the strides before it."
)
ONE_LAYER = "You look at one layer only. Is there a `return` inside the loop, or a value that is overwritten?"

MISTAKES: Mistakes = (
    (_forwards(lambda r, k, s: (r - 1) * s + k), TURN),
    (_backwards(lambda r, k, s: r * s + k), STEPS),
    (_backwards(lambda r, k, s: r * s + k - 1), STEPS),
    (_backwards(lambda r, k, s: r * s + k, 0), f"{STEPS} {START}"),
    (_forwards(lambda r, k, s: r * s + k), f"{TURN} And {STEPS}"),
    (_forwards(lambda r, k, s: r * s + k - 1), f"{TURN} And {STEPS}"),
    (_forwards(lambda r, k, s: r * s + k, 0), f"{TURN} And {STEPS}"),
    (_backwards(lambda r, k, s: r + k, 0), f"You add up the kernels. {NO_STRIDES}"),
    (_backwards(lambda r, k, s: r + k - 1), NO_STRIDES),
    (
        _backwards(lambda r, k, s: r * s),
        "You multiply the strides. That is how far apart the patches of two neighbouring verdicts lie, not "
        "how wide each is.",
    ),
    (_backwards(lambda r, k, s: r * k), PRODUCT),
    (_backwards(lambda r, k, s: r * k * s), PRODUCT),
    (_jumps(lambda k, s, before: (k - 1) * before * s), OWN_STRIDE),
    (_forwards(lambda r, k, s: r + (k - 1) * s), f"{OWN_STRIDE} And all of them count, multiplied."),
    (_only_the_last_stride, "You use the stride of one layer before. All of those before count, multiplied."),
    (_jumps(lambda k, s, before: k * before), LESS_1),
    (_forwards(lambda r, k, s: r + k * s, 0), f"You add up kernel times stride. {LESS_1}"),
    (_backwards(lambda r, k, s: (r - 1) * s + k, 0), START),
    (lambda layers: _field(layers) - 1, f"You are one pixel short. {START}"),
    (lambda layers: _field(layers) + 1, f"You have one pixel too many. {START}"),
    (lambda layers: _field(layers) ** 2, "You return the area. Return the width, in pixels."),
    (
        lambda layers: _backwards(lambda r, k, s: (r - 1) * s + k, layers[-1][0])(layers),
        f"You count the last layer twice: before the loop, and in it. {START}",
    ),
    (_backwards(lambda r, k, s: (r - 1) * k + s), EXCHANGED),
    (_forwards(lambda r, k, s: (r - 1) * k + s), f"{EXCHANGED} And {TURN}"),
    (_backwards(lambda r, k, s: k), ONE_LAYER),
    (_forwards(lambda r, k, s: k), ONE_LAYER),
    (
        _backwards(lambda r, k, s: (r - 1) // s + k),
        "You divide by the stride, as on the way to the verdict. Back, it multiplies.",
    ),
)


def _all(answer: Answer, stacks: list[Layers]) -> list[int]:
    return [answer(layers) for layers in stacks]


def _returns_int(t: Trial) -> str | None:
    for value in t.answer(t.student):
        if not isinstance(value, Integral) or isinstance(value, bool):
            way = " Use `//` in place of `/`, if you divide at all." if isinstance(value, float) else ""
            return f"You return {kind_of(value)}. Return an int: a number of pixels.{way}"
    return None


def _against_autograd(t: Trial) -> str | None:
    (stacks,) = t.args()
    for layers, yours in zip(stacks, t.answer(t.student), strict=True):
        seen = width_of_gradient(layers)
        if yours != seen:
            return (
                f"You return {yours} for {layers}. It is {seen}: one verdict of such layers has a gradient "
                "for so many pixels in a row."
            )
    return None


reach = Exercise(
    id="5.2",
    title="How far does a patch reach?",
    difficulty=2,
    minutes=10,
    hints=(
        "Begin at the verdict, and go back layer by layer. One verdict sees as many places of the last "
        "layer's input as the kernel is wide. If r neighbours are wanted there, how many places do they see "
        "in the input of the layer before?",
        "The kernels of r neighbours begin `stride` places apart. So the last one begins (r - 1) * stride "
        "after the first, and is `kernel` wide.",
        "`r = 1`, then `for kernel, stride in reversed(layers):` with `r = (r - 1) * stride + kernel` in the "
        "loop, and `return r`.",
    ),
    reference=_field,
    draw=_random_stacks,
    observe=_all,
    properties=(
        Property("returns an int", _returns_int, ((lambda layers: float(_field(layers)), "Return an int"),)),
        told("random layers, against autograd", _against_autograd, MISTAKES),
        on(_of_the_paper, told("the PatchGANs of the paper", _against_autograd, ())),
        input_unchanged(),
    ),
)
