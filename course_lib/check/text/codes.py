"""Exercise 7.1: vectors become their nearest codes, the gradient goes straight through: arXiv 1711.00937."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.diffusion.parts import part, two_tensors
from course_lib.check.properties import close_to, device_kept, dtype_kept, input_unchanged
from course_lib.check.vae.told import on

Find = Callable[[Tensor, Tensor], Tensor]  # z (B, d, h, w), codebook (K, d) -> codes (B, h, w)
Fill = Callable[[Tensor, Tensor, Tensor], Tensor]  # z, codebook, codes -> (B, d, h, w)


def squares(rows: Tensor, codebook: Tensor) -> Tensor:
    """(..., d), (K, d) -> squared distances (..., K)."""
    return (rows[..., None, :] - codebook).square().sum(-1)


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """Eq. 1."""
    return squares(z.movedim(1, -1), codebook).argmin(-1)


def looked_up(codebook: Tensor, codes: Tensor) -> Tensor:
    return codebook[codes].movedim(-1, 1)


def straight(z: Tensor, codebook: Tensor, codes: Tensor) -> Tensor:
    """The value of the codes, the gradient of z."""
    return z + (looked_up(codebook, codes) - z).detach()


def quantised(find: Find = nearest, fill: Fill = straight) -> Answer:
    """The right answer, but for what is said here."""

    def quantise(z: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor]:
        codes = find(z, codebook)
        return fill(z, codebook, codes), codes

    return quantise


def _by_rows(score: Callable[[Tensor, Tensor], Tensor]) -> Answer:
    """The code with the smallest score; of rows (..., d) and codebook."""
    return quantised(lambda z, codebook: score(z.movedim(1, -1), codebook).argmin(-1))


def _scene(shape: tuple[int, int, int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """z of this shape and 7 codes of different lengths. No vector lies half-way between two codes: all are
    moved a tenth of the way to their nearest one."""
    d = shape[1]
    lengths = 0.6 + 0.3 * torch.randperm(7, generator=generator)[:, None]
    directions = torch.randn(7, d, generator=generator)
    codebook = lengths * directions / directions.norm(dim=1, keepdim=True) + 0.3
    z = torch.randn(shape, generator=generator)
    return torch.lerp(z, looked_up(codebook, nearest(z, codebook)), 0.1), codebook


def _cubes(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """As many channels as rows and columns: then a wrong axis gives numbers, no error."""
    return _scene((4, 4, 4, 4), generator)


def _oblong(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return _scene((2, 3, 5, 6), generator)


AXIS = (
    "The vectors are not those of the places. z is (B, d, h, w), and `z[b, :, i, j]` are the d numbers of "
    "one place: they lie along axis 1. Bring them to the end first, `z.movedim(1, -1)`: `reshape` alone cuts "
    "the same memory at other points."
)
FINDINGS: Mistakes = (
    (
        _by_rows(lambda rows, book: -squares(rows, book)),
        "You take the code that is farthest away: `argmax` where it must be `argmin`, or a sign.",
    ),
    (
        _by_rows(lambda rows, book: -rows @ book.T),
        "The largest dot product is not the smallest distance: |z - e|^2 = |z|^2 - 2 z.e + |e|^2. |z|^2 is "
        "the same for all codes and may go, but |e|^2 has to stay. Without it long codes win too often.",
    ),
    (
        _by_rows(lambda rows, book: rows @ book.T),
        "You take the code with the smallest dot product, which points away from the vector. Take the "
        "smallest distance.",
    ),
    (
        _by_rows(lambda rows, book: book.norm(dim=1) - 2 * rows @ book.T),
        "In |e|^2 - 2 z.e the length of the code is squared. You have its root.",
    ),
    (
        _by_rows(lambda rows, book: book.square().sum(1) - rows @ book.T),
        "There is a 2 missing: |z - e|^2 = |z|^2 - 2 z.e + |e|^2.",
    ),
    (
        _by_rows(lambda rows, book: book.square().sum(1) + 2 * rows @ book.T),
        "A sign is wrong: |z - e|^2 = |z|^2 - 2 z.e + |e|^2.",
    ),
    (
        _by_rows(lambda rows, book: -torch.cosine_similarity(rows[..., None, :], book, dim=-1)),
        "You compare directions only, so the lengths play no part. Take the smallest distance.",
    ),
    (
        _by_rows(lambda rows, book: (rows[..., None, :] - book).abs().sum(-1)),
        "You add up absolute differences. The distance of eq. 1 has squares.",
    ),
    (
        _by_rows(lambda rows, book: (rows[..., None, :] - book).sum(-1).abs()),
        "You add up the differences before they are squared, so they cancel each other. Square first.",
    ),
    (
        quantised(lambda z, book: squares(z.reshape(-1, z.shape[1]), book).argmin(-1).view(z[:, 0].shape)),
        AXIS,
    ),
    (quantised(lambda z, book: squares(z, book).argmin(-1)), AXIS),
    (quantised(lambda z, book: squares(z.movedim(2, -1), book).argmin(-1)), AXIS),
    (
        quantised(lambda z, book: squares(z.transpose(1, 3), book).argmin(-1)),
        "Rows and columns of your codes are exchanged: `transpose(1, 3)` changes them over. `movedim(1, -1)` "
        "brings the channels to the end and leaves the others in their order.",
    ),
    (
        quantised(lambda z, book: nearest(z, book) + 1, lambda z, book, codes: straight(z, book, codes - 1)),
        "Your codes count from 1. The first entry of the codebook has number 0, as in `codebook[0]`.",
    ),
    (
        _by_rows(lambda rows, book: (rows[..., None, :] - book).square().sum(-2)),
        "You sum over the codes, the last axis but one of (B, h, w, K, d). Sum over the d numbers, the last.",
    ),
    (
        quantised(lambda z, book: torch.zeros_like(z[:, 0], dtype=torch.long)),
        "All codes are number 0. Look for the nearest one along the axis of the codes, the last of "
        "(B, h, w, K).",
    ),
)

FILLED: Mistakes = (
    (
        quantised(fill=lambda z, book, codes: z),
        "You return z as it was. Its value must be the code: z + (e - z), with the brackets detached.",
    ),
    (
        quantised(fill=lambda z, book, codes: 2 * z - looked_up(book, codes)),
        "The brackets are the wrong way round: z + (z - e) leads away from the code. It is z + (e - z).",
    ),
    (
        quantised(fill=lambda z, book, codes: z + looked_up(book, codes)),
        "You add the code to z. What is to be added is the difference, e - z; then the value is e.",
    ),
    (
        quantised(fill=lambda z, book, codes: looked_up(book, codes) - z),
        "That is the difference e - z only. Add it to z.",
    ),
    (
        quantised(fill=lambda z, book, codes: book[codes].reshape(z.shape)),
        "The codes are right, but their numbers stand on the wrong axis: `codebook[codes]` is (B, h, w, d). "
        "Bring the last axis forward, `movedim(-1, 1)`; `reshape` and `view` move no axis.",
    ),
    (
        quantised(fill=lambda z, book, codes: book[codes].transpose(1, 3)),
        "`transpose(1, 3)` exchanges rows and columns, too. `movedim(-1, 1)` brings the channels forward and "
        "leaves the others in their order.",
    ),
)


def _shapes(yours: tuple, right: tuple) -> str | None:
    if yours == right[::-1]:
        return "The two are exchanged: return `z_q, codes`, in this order."
    (b, d, h, w), codes = right
    if yours[1] in ((b * h * w,), (b, h * w)):
        return f"Your codes have shape {yours[1]}. Give them the shape of the picture: {codes}."
    if yours[1] in ((b,), (b, 1), (b, 1, 1)):
        return f"You have one code for each picture. Each place gets a code of its own: {codes}."
    if yours[1] == (b, d, h, w):
        return (
            "You look for a code for each single number. A code stands for the d numbers of one place: sum "
            "the squares over them first."
        )
    return None


# The gradient

CUT = (
    "No gradient reaches z: the encoder would learn nothing. Which code is the nearest cannot be "
    "differentiated, so let z itself pass: z + (e - z), of which only the brackets are detached."
)
CANCELS = (
    "The gradient for z is 0: in z + (e - z) the two z cancel for the gradient as well. Detach the brackets, "
    "so that only the first z counts."
)
TURNED = "The gradient for z has the wrong sign: you detached the z that has to pass, and kept -z."
TO_BOOK = (
    "A gradient reaches the codebook. Here it learns by averages, not by gradients, so detach the code, too: "
    "`z + (e - z).detach()`."
)
PASSES: Mistakes = (
    (quantised(fill=lambda z, book, codes: looked_up(book, codes).detach()), CUT),
    (quantised(fill=lambda z, book, codes: looked_up(book, codes)), CUT),
    (quantised(fill=lambda z, book, codes: straight(z, book, codes).detach()), CUT),
    (quantised(fill=lambda z, book, codes: z + (looked_up(book, codes) - z)), CANCELS),
    (quantised(fill=lambda z, book, codes: z.detach() + (looked_up(book, codes) - z)), TURNED),
    (quantised(fill=lambda z, book, codes: z + looked_up(book, codes) - z.detach()), TO_BOOK),
)


def _gradients(t: Trial) -> tuple[Tensor | None, Tensor | None, Tensor]:
    """Of a weighted sum of the student's z_q with respect to z and codebook, and the weights."""
    z, codebook = (x.clone().requires_grad_() for x in t.args())
    z_q, _ = t.answer(t.student, z, codebook)
    weights = torch.randn(z.shape, generator=t.generator())
    if z_q.requires_grad:
        (z_q * weights).sum().backward()
    return z.grad, codebook.grad, weights


def _straight_through(t: Trial) -> str | None:
    of_z, of_codebook, weights = _gradients(t)
    if of_z is None:
        return CUT
    if same(of_z, torch.zeros_like(of_z), 0, 1e-6):
        return CANCELS
    if same(of_z, -weights, 1e-4, 1e-5):
        return TURNED
    if not same(of_z, weights, 1e-4, 1e-5):
        return (
            "The gradient for z is not what comes from behind. It has to pass unchanged, as if z_q were z: "
            "z enters once, with the factor 1, and everything else is detached."
        )
    if of_codebook is not None and of_codebook.any():
        return TO_BOOK
    return None


def _whole(t: Trial) -> str | None:
    codes = t.answer(t.student)[1]
    if codes.dtype == torch.int64:
        return None
    return f"Your codes are {codes.dtype}. They are numbers of entries, int64, as `argmin` gives them."


quantise = Exercise(
    id="7.1",
    title="The nearest code",
    difficulty=3,
    minutes=15,
    hints=(
        "Which axis of z has the d numbers of one place? Compare with the codebook: bring this axis to "
        "where the codes have it. Then you need the squared distance of each place to each code, (B, h, w, "
        "K): which is the smallest? At last fetch these codes, and bring their numbers back to where z has "
        "them.",
        "`rows = z.movedim(1, -1)` is (B, h, w, d), and `rows[..., None, :] - codebook` has shape (B, h, w, "
        "K, d). Square it; over which axis do you sum, and over which is the `argmin`? And "
        "`codebook[codes]` fetches all of them at once, (B, h, w, d).",
        "For the gradient: write the result as z + (e - z), where e are the codes. Its value is e. To which "
        "part belongs `.detach()`, so that for the gradient only the first z is left?",
    ),
    reference=quantised(),
    draw=_cubes,
    properties=(
        two_tensors("z_q, codes", _shapes),
        Property("whole numbers", _whole),
        part(1, close_to(*FINDINGS, name="the nearest code")),
        part(0, close_to(*FILLED, name="z_q is made of codes")),
        on(_oblong, close_to(name="pictures that are not square")),
        input_unchanged(),
        Property("gradient straight through", _straight_through, PASSES),
        part(0, dtype_kept()),
        part(0, device_kept()),
    ),
)
