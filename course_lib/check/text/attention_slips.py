"""Cross-attention, right and wrong: exercise 7.3 and the mistakes that it knows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes

Scores = Callable[[Tensor, Tensor], Tensor]  # of q and k
Weights = Callable[[Tensor, Tensor], Tensor]  # of scores (B, heads, P, L) and mask (B, L)


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5


def hidden(scores: Tensor, mask: Tensor, low: float = -torch.inf) -> Tensor:
    """Padding gets a score of minus infinity."""
    return scores.masked_fill(~mask[:, None, None, :], low)


def weights(scores: Tensor, mask: Tensor) -> Tensor:
    return hidden(scores, mask).softmax(-1)


def attention(scores: Scores = scores, weights: Weights = weights) -> Answer:
    """The right answer, but for what is said here."""

    def cross_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        return weights(scores(q, k), mask) @ v

    return cross_attention


def _share_of_sum(s: Tensor) -> Tensor:
    return s / s.sum(-1, keepdim=True)


def _hidden_rows(scores: Tensor, mask: Tensor, low: float) -> Tensor:
    return scores.masked_fill(~mask[:, None, :, None], low)


NOT_SUM_1 = (
    "You take the words of the padding out after the softmax, so the weights of the others add up to less "
    "than 1. Take them out before: a score of minus infinity becomes a weight of 0."
)
OFF = (
    "Padding gets the score 0, which is a score like any other: e^0 = 1. Minus infinity is the one that "
    "becomes a weight of 0, `masked_fill(..., -torch.inf)`."
)
AXIS = (
    'Your softmax runs over the {what}. Each position asks "which word?", so its weights for all words add '
    "up to 1: softmax over the words, the last axis of (B, heads, P, L)."
)
NOTHING_LEFT = (
    "Your result is not a number. Without padding it would be one, but a wrong one: most likely the softmax "
    "does not run over the words, so that it meets columns of only minus infinity, and gets 0 / 0. The words "
    "are the last axis of (B, heads, P, L)."
)
PLUS = (
    "Your result is right where nothing is padding, and not a number where something is. The score of the "
    "padding has to be minus infinity, `-torch.inf`: e to this is 0. Plus infinity has no softmax."
)
TIMES_INFINITY = (
    "Your result is not a number, even where nothing is padding. Is there 0 times infinity in it? That is no "
    "number: use `masked_fill` or `torch.where` instead of a product."
)
ONE_MASK = "You use one mask for all captions, {whose}. Each caption has its own: `mask[:, None, None, :]`."
MEAN = (
    "You take the mean over the heads. They do not mix: each has its own weights, and finds its own values."
)
SUM = (
    "You divide the scores by their sum. Scores can be negative, and weights cannot: the softmax takes e to "
    "each score first."
)
LOW = (
    "Padding gets the score {low}, which is a score like any other. Minus infinity is the one that becomes a "
    "weight of 0, `masked_fill(..., -torch.inf)`."
)
ALONG_POSITIONS = (
    "Your mask lies along the positions. It belongs to the words, the last axis of the scores: "
    "`mask[:, None, None, :]`."
)
ROOT = "Divide by sqrt(d), so that the scores have a spread of about 1 whatever d is."

MISTAKES: Mistakes = (
    (attention(lambda q, k: q @ k.transpose(-2, -1)), f"1 / sqrt(d) is missing. {ROOT}"),
    (attention(lambda q, k: q @ k.transpose(-2, -1) / q.shape[-1]), f"You divide by d. {ROOT}"),
    (
        attention(lambda q, k: q @ k.transpose(-2, -1) * q.shape[-1] ** 0.5),
        f"You multiply by sqrt(d). {ROOT}",
    ),
    (attention(lambda q, k: q @ k.transpose(-2, -1) / 4), f"You divide by 4, whatever d is. {ROOT}"),
    (
        lambda q, k, v, mask: (
            attention(lambda q, k: q @ k.transpose(-2, -1))(q, k, v, mask) / q.shape[-1] ** 0.5
        ),
        f"You divide after the softmax, so the weights do not add up to 1. Divide the scores. {ROOT}",
    ),
    (
        attention(lambda q, k: q @ k.reshape(*k.shape[:2], k.shape[3], k.shape[2]) / q.shape[-1] ** 0.5),
        "`reshape` and `view` move no axis: the numbers of a key are torn apart. Exchange the last two axes, "
        "`k.transpose(2, 3)`.",
    ),
    (attention(lambda q, k: scores(q, k).mean(1, keepdim=True).expand(-1, q.shape[1], -1, -1)), MEAN),
    (attention(weights=lambda s, mask: weights(s, mask).mean(1, keepdim=True).expand_as(s)), MEAN),
    (lambda q, k, v, mask: attention()(q, k, v, mask).mean(1, keepdim=True).expand_as(q), MEAN),
    (
        attention(lambda q, k: q @ k.transpose(-2, -1) / q.shape[1] ** 0.5),
        "You divide by the root of the number of heads. d is the length of a query, `q.shape[-1]`.",
    ),
    (
        attention(lambda q, k: q @ k.transpose(-2, -1) / (q.shape[1] * q.shape[-1]) ** 0.5),
        "You divide by the root of heads times d. Each head works by itself: d is the length of one of its "
        "queries, `q.shape[-1]`.",
    ),
    (
        attention(weights=lambda s, mask: s.masked_fill(mask[:, None, None, :], -torch.inf).softmax(-1)),
        "The mask is inverted: you look at the padding only. It is True where there is a word, and "
        "`masked_fill` fills where it is given True: give it `~mask`.",
    ),
    (
        attention(weights=lambda s, mask: weights(s, mask[:1])),
        ONE_MASK.format(whose="that of the first"),
    ),
    (
        attention(weights=lambda s, mask: weights(s, mask.any(0, keepdim=True))),
        ONE_MASK.format(whose="all places where any of them has a word"),
    ),
    (
        attention(weights=lambda s, mask: s.softmax(-1)),
        "The mask plays no part: padding is looked at like a word.",
    ),
    (attention(weights=lambda s, mask: s.softmax(-1) * mask[:, None, None, :]), NOT_SUM_1),
    (attention(weights=lambda s, mask: (s * mask[:, None, None, :]).softmax(-1)), OFF),
    (attention(weights=lambda s, mask: hidden(s, mask, -1.0).softmax(-1)), LOW.format(low=-1)),
    (attention(weights=lambda s, mask: hidden(s, mask, -10.0).softmax(-1)), LOW.format(low=-10)),
    (
        attention(weights=lambda s, mask: (s + mask[:, None, None, :]).softmax(-1)),
        "You add the mask to the scores, and True counts as 1. Padding needs a score of minus infinity: "
        "`masked_fill(~mask[...], -torch.inf)`.",
    ),
    (
        attention(weights=lambda s, mask: hidden(s, mask).softmax(-2).nan_to_num()),
        AXIS.format(what="positions"),
    ),
    (
        attention(weights=lambda s, mask: hidden(s, mask, -1e9).softmax(-2)),
        AXIS.format(what="positions"),
    ),
    (
        attention(weights=lambda s, mask: s.softmax(-2) * mask[:, None, None, :]),
        AXIS.format(what="positions"),
    ),
    (attention(weights=lambda s, mask: s.softmax(-2)), AXIS.format(what="positions")),
    (attention(weights=lambda s, mask: hidden(s, mask, -1e9).softmax(1)), AXIS.format(what="heads")),
    (attention(weights=lambda s, mask: hidden(s, mask, -1e9).softmax(0)), AXIS.format(what="batch")),
    (attention(weights=lambda s, mask: _hidden_rows(s, mask, -torch.inf).softmax(-1)), ALONG_POSITIONS),
    (attention(weights=lambda s, mask: _hidden_rows(s, mask, -1e9).softmax(-1)), ALONG_POSITIONS),
    (
        attention(weights=lambda s, mask: s * mask[:, None, None, :]),
        "The softmax is missing: scores are no weights, they do not add up to 1.",
    ),
    (attention(weights=lambda s, mask: _share_of_sum(s)), SUM),
    (attention(weights=lambda s, mask: _share_of_sum(s * mask[:, None, None, :])), SUM),
    (
        attention(weights=lambda s, mask: s),
        "Softmax and mask are missing: scores are no weights.",
    ),
    (
        attention(weights=lambda s, mask: hidden(s, mask).sigmoid()),
        "You have a sigmoid. The weights of a position have to add up to 1 over the words: softmax.",
    ),
    (
        lambda q, k, v, mask: attention()(q, v, k, mask),
        "Keys and values are exchanged. Keys are compared with the queries, values are what is fetched.",
    ),
    (
        lambda q, k, v, mask: attention()(k, q, v, mask),
        "Queries and keys are exchanged. The positions ask, so q stands first: q @ k^T.",
    ),
    (
        lambda q, k, v, mask: attention()(q, k, k, mask),
        "You fetch the keys. Keys are compared with the queries; what is fetched are the values.",
    ),
    (
        lambda q, k, v, mask: attention()(q, k, v, mask) + q,
        "You add the queries. Only what was found is asked for; adding it to the picture is left to the "
        "network.",
    ),
)
ROOTS: Mistakes = (  # told apart where positions, words and d differ in number
    (
        attention(lambda q, k: q @ k.transpose(-2, -1) / k.shape[-2] ** 0.5),
        "You divide by the root of the number of words. d is the length of a query, `q.shape[-1]`.",
    ),
    (
        attention(lambda q, k: q @ k.transpose(-2, -1) / q.shape[-2] ** 0.5),
        "You divide by the root of the number of positions. d is the length of a query, `q.shape[-1]`.",
    ),
)
NO_NUMBERS: Mistakes = (  # all of these give the same: nan
    (attention(weights=lambda s, mask: hidden(s, mask).softmax(-2)), NOTHING_LEFT),
    (attention(weights=lambda s, mask: hidden(s, mask).softmax(1)), NOTHING_LEFT),
    (attention(weights=lambda s, mask: hidden(s, mask, torch.inf).softmax(-1)), PLUS),
    (
        attention(weights=lambda s, mask: (s + (~mask[:, None, None, :]).float() * -torch.inf).softmax(-1)),
        TIMES_INFINITY,
    ),
)
