"""Exercise 5.3: the cycle loss, arXiv 1703.10593, eq. 2; and the translators it is tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.explain import Complaint
from course_lib.check.properties import (
    backward_left_to_caller,
    close_to,
    device_kept,
    dtype_kept,
    input_unchanged,
    returns_tensor,
)
from course_lib.check.vae.told import named, on

Translation = Callable[[Tensor], Tensor]
Scene = tuple[Translation, Translation, Tensor, Tensor]  # G, F, a, b


class Recolour(nn.Module):
    """Mixes the channels of each pixel (B, C, H, W) by a random matrix, and bends the result a little."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(channels, channels, generator=generator))
        self.shift = nn.Parameter(torch.randn(channels, 1, 1, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.einsum("dc,bchw->bdhw", self.mix.to(x), x) + self.shift.to(x)
        return y + 0.5 * y.sin()


def pictures(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """a, b (B, 3, 4, 5) in [-1, 1]: as many of each, in no order that would make them pairs."""
    rows = int(torch.randint(2, 5, (), generator=generator))
    a, b = torch.rand(2, rows, 3, 4, 5, generator=generator) * 2 - 1
    return a, b


def scene(generator: torch.Generator) -> Scene:
    """Two translators that know nothing of each other, and pictures."""
    return Recolour(3, generator), Recolour(3, generator), *pictures(generator)


class Fixed(nn.Module):
    """A translator that learns nothing."""

    def __init__(self, change: Translation) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x)


def both(change: Translation) -> Callable[[torch.Generator], Scene]:
    """Inputs where both translators are this change. All that are used here undo themselves."""
    return lambda generator: (Fixed(change), Fixed(change), *pictures(generator))


def observe(answer: Answer, G: Translation, F: Translation, a: Tensor, b: Tensor) -> object:
    """Call the answer; the two traps in these names are told at once."""
    try:
        return answer(G, F, a, b)
    except AttributeError as error:
        if any(f"'{name}'" in str(error) for name in ("l1_loss", "mse_loss", "smooth_l1_loss")):
            raise Complaint(
                "In this function F is the translator from B to A, and hides torch's `F`. Write "
                "`nn.functional.l1_loss(x, y)`, or `(x - y).abs().mean()`."
            ) from None
        raise
    except RuntimeError as error:
        if "Boolean value of Tensor" in str(error):
            raise Complaint(
                "`nn.L1Loss` is a class: make one first, then call it, `nn.L1Loss()(x, y)`. Or write "
                "`(x - y).abs().mean()`."
            ) from None
        raise


def gap(x: Tensor, y: Tensor) -> Tensor:
    """E |x - y|, over all pixels and channels."""
    return (x - y).abs().mean()


def weights(*nets: Translation) -> Iterator[nn.Parameter]:
    for net in nets:
        if isinstance(net, nn.Module):
            yield from net.parameters()


def differentiates(reference: Answer) -> Answer:
    """The right loss from a function that calls `backward()` itself."""

    def loss(G: Translation, F: Translation, a: Tensor, b: Tensor) -> Tensor:
        value = reference(G, F, a, b)
        value.backward()
        return value

    return loss


def both_learn(fallback: str, mistakes: Mistakes) -> Property:
    """The gradient of the loss for the weights of G and F is the reference's."""

    def gradient(t: Trial, who: Answer) -> Tensor | None:
        args = t.args()
        value = t.answer(who, *args)
        if not value.requires_grad:
            return None
        params = list(weights(*args[:2]))
        found = torch.autograd.grad(value, params, allow_unused=True)
        pairs = zip(found, params, strict=True)
        return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])

    def test(t: Trial) -> str | None:
        yours, right = gradient(t, t.student), gradient(t, t.reference)
        if yours is None:
            return (
                "The value is right, but no gradient reaches G or F: nothing could be learnt from it. Look "
                "for `.detach()`, `.item()`, `.data`, `torch.tensor(...)` or `torch.no_grad()`."
            )
        assert right is not None
        if torch.allclose(yours, right, rtol=1e-3, atol=1e-5):
            return None
        for wrong, sentence in mistakes:
            other = gradient(t, wrong)
            if other is not None and torch.allclose(yours, other, rtol=1e-3, atol=1e-5):
                return sentence
        return fallback

    return Property("G and F learn from it", test, mistakes)


def _cycle_loss(G: Translation, F: Translation, a: Tensor, b: Tensor) -> Tensor:
    return gap(F(G(a)), a) + gap(G(F(b)), b)


def _by(distance: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """The right two pairs of pictures, with another distance."""
    return lambda G, F, a, b: distance(F(G(a)), a) + distance(G(F(b)), b)


MEAN = (
    "You take the sum over all pixels, so the loss grows with the pictures and the batch. Take the mean: "
    "`.abs().mean()`."
)
ONE_EACH = "A loss is one number: take the mean over all pixels, channels and pictures."
HALF = "You have half of the loss: the two directions are added, not averaged."
SQUARE = "You square the differences. Here it is their absolute value: `.abs()`, not `** 2`."
SIGNED = (
    "The absolute value is missing or comes after the mean, so that errors above and below cancel out. First "
    "`.abs()`, then `.mean()`."
)
BOTH_WAYS = "Both directions count: add"
WRONG_WAY = "You feed a to F and b to G. G translates pictures of A, F those of B: `F(G(a))`."

VALUES: Mistakes = (
    (lambda G, F, a, b: gap(F(G(a)), a), f"You go from A to B and back only. {BOTH_WAYS} |G(F(b)) - b|."),
    (lambda G, F, a, b: gap(G(F(b)), b), f"You go from B to A and back only. {BOTH_WAYS} |F(G(a)) - a|."),
    (
        lambda G, F, a, b: gap(F(G(a)), b) + gap(G(F(b)), a),
        "You compare with the picture of the other kind. There are no pairs: a, sent there and back, is "
        "compared with a itself.",
    ),
    (
        lambda G, F, a, b: gap(F(G(a)), b) + gap(G(F(b)), b),
        "You compare F(G(a)) with b. There are no pairs: a, sent there and back, is compared with a itself.",
    ),
    (
        lambda G, F, a, b: gap(F(G(a)), a) + gap(G(F(b)), a),
        "You compare G(F(b)) with a. There are no pairs: b, sent there and back, is compared with b itself.",
    ),
    (lambda G, F, a, b: gap(G(F(a)), a) + gap(F(G(b)), b), WRONG_WAY),
    (lambda G, F, a, b: gap(G(F(a)), a) + gap(G(F(b)), b), WRONG_WAY),
    (
        lambda G, F, a, b: gap(F(G(a)), a) + gap(F(G(b)), b),
        "You send b through G first. F translates a picture of B, so b goes through F first: `G(F(b))`.",
    ),
    (
        lambda G, F, a, b: gap(G(a), a) + gap(F(b), b),
        "You compare G(a) with a, so G would learn to change nothing. Send it back first: `F(G(a))`.",
    ),
    (
        lambda G, F, a, b: gap(G(a), b) + gap(F(b), a),
        "You compare G(a) with b. That needs pairs, as in pix2pix, and here are none: send it back, and "
        "compare `F(G(a))` with a.",
    ),
    (
        lambda G, F, a, b: gap(G(b), b) + gap(F(a), a),
        "That is the identity loss of exercise 5.4. Here a picture makes the whole trip: `F(G(a))`.",
    ),
    (
        lambda G, F, a, b: gap(F(G(a)), G(F(b))),
        "You compare the two round trips with each other. Compare each with the picture it began with.",
    ),
    (
        lambda G, F, a, b: gap(F(G(a)), G(a)) + gap(G(F(b)), F(b)),
        "You compare the end of the trip with the half-way picture. Compare it with the beginning: a, or b.",
    ),
    (
        lambda G, F, a, b: gap(G(G(a)), a) + gap(F(F(b)), b),
        "You use the same translator twice. The way back is the other one's: `F(G(a))`.",
    ),
    (lambda G, F, a, b: gap(F(G(a)), a) - gap(G(F(b)), b), "You subtract one direction. Add the two."),
    (lambda G, F, a, b: _cycle_loss(G, F, a, b) / 2, HALF),
    (_by(lambda x, y: (x - y).square().mean()), SQUARE),
    (_by(lambda x, y: (x - y).square().mean().sqrt()), SQUARE),
    (_by(lambda x, y: (x - y).norm()), "That is the Euclidean norm. Take the mean of the absolute values."),
    (_by(lambda x, y: (x - y).abs().sum()), MEAN),
    (_by(lambda x, y: (x - y).abs().sum() / len(x)), MEAN),
    (_by(lambda x, y: (x - y).mean()), SIGNED),
    (_by(lambda x, y: (x - y).mean().abs()), SIGNED),
    (_by(lambda x, y: (x - y).abs()), ONE_EACH),
    (_by(lambda x, y: (x - y).abs().flatten(1).mean(1)), ONE_EACH),
)


def _no_graph(G: Translation, F: Translation, a: Tensor, b: Tensor) -> Tensor:
    with torch.no_grad():
        fake_b, fake_a = G(a), F(b)
    return gap(F(fake_b), a) + gap(G(fake_a), b)


CUT = (
    "The value is right, but the half-way pictures are cut off: what G did to a is never held against G, nor "
    "F's work on b against F. Both translators on a trip learn from it: don't detach G(a) and F(b)."
)
CUT_A = "The value is right, but G(a) is cut off: G must learn from what becomes of it. Don't detach it."
CUT_B = "The value is right, but F(b) is cut off: F must learn from what becomes of it. Don't detach it."
CUT_BACK = (
    "The value is right, but one direction has no gradient: a part is computed under `torch.no_grad()` or "
    "detached. G and F learn from both trips."
)
GRADIENTS: Mistakes = (
    (lambda G, F, a, b: gap(F(G(a).detach()), a) + gap(G(F(b).detach()), b), CUT),
    (_no_graph, CUT),
    (lambda G, F, a, b: gap(F(G(a).detach()), a) + gap(G(F(b)), b), CUT_A),
    (lambda G, F, a, b: gap(F(G(a)), a) + gap(G(F(b).detach()), b), CUT_B),
    (lambda G, F, a, b: gap(F(G(a)).detach(), a) + gap(G(F(b)), b), CUT_BACK),
    (lambda G, F, a, b: gap(F(G(a)), a) + gap(G(F(b)).detach(), b), CUT_BACK),
    (lambda G, F, a, b: _cycle_loss(G, F, a, b).detach(), "no gradient reaches G or F"),
)


def _exactly_zero(t: Trial) -> str | None:
    value = t.answer(t.student)
    if value.shape == () and value.item() == 0:
        return None
    return (
        f"Each picture comes back as it was, so the loss is exactly 0; you get {value.item():.5g}. Is "
        "something added to it?"
    )


def _plus_a_little(G: Translation, F: Translation, a: Tensor, b: Tensor) -> Tensor:
    return _by(lambda x, y: ((x - y).square() + 1e-12).sqrt().mean())(G, F, a, b)


cycle_loss = Exercise(
    id="5.3",
    title="There and back",
    difficulty=2,
    minutes=8,
    hints=(
        "Follow one picture of A on its trip, and write each station down: which translator takes it to B, "
        "which one back? With what do you compare it at the end? Then the same for a picture of B.",
        "`F(G(a))` should be a, and `G(F(b))` should be b. E |x - y| is `(x - y).abs().mean()`: over the "
        "pictures, the channels and the pixels. Detach nothing.",
        "`return (F(G(a)) - a).abs().mean() + (G(F(b)) - b).abs().mean()`.",
    ),
    reference=_cycle_loss,
    draw=scene,
    observe=observe,
    properties=(
        backward_left_to_caller(differentiates(_cycle_loss)),
        returns_tensor(),
        close_to(*VALUES, name="any two translators"),
        on(
            both(lambda x: x),
            Property("0 where nothing changes", _exactly_zero, ((_plus_a_little, "exactly 0"),)),
        ),
        on(both(torch.neg), Property("0 where both make negatives", _exactly_zero)),
        on(both(lambda x: x.flip(1)), Property("0 where both exchange red and blue", _exactly_zero)),
        both_learn(
            "The value is right, but its gradient for G and F is not: is a part of it cut off?", GRADIENTS
        ),
        named("inputs unchanged", input_unchanged()),
        dtype_kept(),
        device_kept(),
    ),
)
