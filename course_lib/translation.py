"""A trained translator applied to pictures of any size: in one pass, or a large one in overlapping pieces.

Both continue the picture beyond its edges by mirroring, so that the zeros with which convolutions pad their
input never touch it. A piece of the inside has such zeros at its own edges. They spoil the pixels as far as
the network reaches, 83 pixels for the translators of the recipes; these outer pixels of a piece are thrown
away and taken from its neighbour. What remains to blend is then the same in both, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import torch
from torch import Tensor

from course_lib.errors import CourseError
from course_lib.sets import Images, to_floats

Translate = Callable[[Tensor], Tensor]  # (B, C, H, W) in [-1, 1] -> (B, C', H, W)
Corner = tuple[int, int]


class TwoWays(Protocol):
    """A model of two translations, each of which should undo the other."""

    def translate(self, a: Tensor, /) -> Tensor: ...
    def translate_back(self, b: Tensor, /) -> Tensor: ...


def whole(translate: Translate, x: Tensor, *, factor: int = 8, margin: int = 32) -> Tensor:
    """Pictures x (B, C, H, W) of any size, from 1 pixel on -> their translation, in one pass, as large.

    At least `margin` mirrored pixels are put around, up to multiples of `factor`, and cut off again. Raises
    CourseError for a factor below 1 or a margin below 0.
    """
    _check(factor, margin)
    rows, columns, edge = _mirrored(x, factor, margin)
    made = translate(_cut(x, rows, columns))
    return made[:, :, edge : edge + x.shape[2], edge : edge + x.shape[3]]


def in_pieces(
    translate: Translate,
    x: Tensor,  # (B, C, H, W) in [-1, 1], of any size
    *,
    piece: int = 768,  # height and width of a piece: what has to fit into memory at once
    overlap: int = 192,  # of neighbouring pieces
    factor: int = 8,  # pieces begin at multiples of this, so that every stride keeps its phase
    margin: int = 32,  # as in `whole`
    progress: Callable[[list[Corner]], Iterable[Corner]] = iter,  # say tqdm
) -> Tensor:
    """The same as `whole`, piece by piece: a large picture needs no more memory than itself and one piece.

    Exact, up to rounding, for a network that reaches up to 7/16 of the overlap: 84 pixels. Beyond this it is
    as near as the far part of what the network sees is faint. Raises CourseError for sizes that do not fit.
    """
    _check(factor, margin)
    if piece % factor or overlap % factor or not 0 <= overlap <= piece // 2:
        raise CourseError(
            f"piece and overlap must be multiples of {factor}, and the overlap at most half of a piece, got "
            f"{piece} and {overlap}."
        )
    rows, columns, edge = _mirrored(x, factor, margin)
    down, across = _shares(len(rows), piece, overlap, factor), _shares(len(columns), piece, overlap, factor)
    out: Tensor | None = None
    for top, left in progress([(top, left) for top in down for left in across]):
        made = translate(_cut(x, rows[top : top + piece], columns[left : left + piece]))
        made = made * (down[top][:, None] * across[left]).to(made)
        if out is None:
            out = made.new_zeros(*made.shape[:2], *x.shape[2:])
        to_rows, from_rows = _inside(top - edge, made.shape[2], x.shape[2])
        to_columns, from_columns = _inside(left - edge, made.shape[3], x.shape[3])
        out[:, :, to_rows, to_columns] += made[:, :, from_rows, from_columns]
    assert out is not None  # even the smallest picture is one piece
    return out


def cycle_scores(model: TwoWays, a: Images, b: Images, what: str) -> dict[str, float]:
    """How far pictures of both kinds are from themselves, there and back, and from their translation.

    Means of absolute differences in grey levels, 0..255, over the pictures called `what`. A model that
    changes nothing has a cycle error of 0 too: hence the second number. Height and width must be multiples of
    the model's factor, and both kinds need as many channels.
    """
    scores = {}
    for kind, x, there, back in (
        ("A", a.x, model.translate, model.translate_back),
        ("B", b.x, model.translate_back, model.translate),
    ):
        cycle = change = 0.0
        for part in map(to_floats, x.split(16)):
            made = there(part)
            cycle += float((back(made) - part).abs().sum())
            change += float((made - part).abs().sum())
        scores[f"cycle error of {kind}, {what}"] = cycle * 127.5 / x.numel()
        scores[f"change of {kind}, {what}"] = change * 127.5 / x.numel()
    return scores


def _mirrored(x: Tensor, factor: int, margin: int) -> tuple[Tensor, Tensor, int]:
    """Which rows and columns of x make the picture with its margin, and how wide that is on top and left.

    Mirroring again and again (0 1 2 1 0 1 ...) continues even a picture that is smaller than its margin.
    """
    edge = -(-margin // factor) * factor  # a multiple of `factor` too: the phase stays that of the picture

    def line(length: int) -> Tensor:
        there = torch.arange(-edge, -(-(length + margin) // factor) * factor, device=x.device)
        period = max(1, 2 * (length - 1))
        there = there % period
        return torch.minimum(there, period - there) if length > 1 else torch.zeros_like(there)

    return line(x.shape[2]), line(x.shape[3]), edge


def _cut(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """These rows and columns of x: (B, C, len(rows), len(columns))."""
    return x.index_select(2, rows).index_select(3, columns)


def _shares(length: int, piece: int, overlap: int, factor: int) -> dict[int, Tensor]:
    """Where the pieces of a line begin -> the share of each of its pixels; at every place they sum to 1.

    The middle eighth of an overlap is a linear ramp. Further out a piece has no say.
    """
    step, piece = piece - overlap, min(piece, length)
    starts = [*range(0, length - piece, step), length - piece]
    ramp = max(1, overlap // 8)
    at = torch.arange(piece) + 0.5
    rise = ((at - (overlap - ramp) / 2) / ramp).clamp(0, 1)
    total = torch.zeros(length)
    shares = {}
    for start in starts:  # at the edges of the picture there is no neighbour to take over
        share = torch.ones(piece) if start == 0 else rise.clone()
        share = share if start == length - piece else share * rise.flip(0)
        shares[start] = share
        total[start : start + piece] += share
    return {start: share / total[start : start + piece] for start, share in shares.items()}


def _inside(start: int, piece: int, length: int) -> tuple[slice, slice]:
    """The part of start .. start + piece that lies in 0 .. length: there, and counted from `start`."""
    low, high = max(start, 0), min(start + piece, length)
    high = max(low, high)
    return slice(low, high), slice(low - start, high - start)


def _check(factor: int, margin: int) -> None:
    if factor < 1 or margin < 0:
        raise CourseError(f"factor must be at least 1 and the margin at least 0, got {factor} and {margin}.")
