"""Scores of text to image: nearest neighbours by hand, copies found out, words judged."""

import math

import pytest
import torch

from course_lib import captions, data, evaluate_text, zoo
from course_lib.evaluate_text import (
    copies,
    draw,
    held_out_things,
    held_out_words,
    nearest,
    reconstruction,
    resembles,
    words_right,
)
from course_lib.method import Step


def test_the_nearest_of_a_set():
    others = torch.tensor([0.0, 1.0, -1.0]).view(3, 1, 1, 1).expand(3, 2, 2, 2)
    x = torch.tensor([0.8, -0.4, 0.1]).view(3, 1, 1, 1).expand(3, 2, 2, 2)
    found = nearest(x, others, batch=2)
    assert found.which.tolist() == [1, 0, 0]
    assert found.distance.tolist() == pytest.approx([0.2, 0.4, 0.1], abs=1e-5)


def test_copies_are_found_out_and_held_out_drawings_are_not():
    drawn, held = data.people("train").floats[:400], data.people("validation").floats
    assert copies(drawn[50:90], held, drawn) == 1
    assert copies(drawn[50:90] + 0.01, held, drawn) == 1
    assert copies(held, held, drawn) == pytest.approx(0.05, abs=0.01)
    assert copies(torch.zeros(10, 3, 32, 32), held, drawn) == 0  # grey is nobody's copy


def test_the_judge_reads_true_drawings_and_is_not_fooled_by_others():
    judge, held = zoo.load("people_features"), data.people("held_out")
    scores = words_right(judge, held.floats, held)
    assert list(scores) == ["style", "tone", "gender", "role"]
    assert min(scores.values()) > 0.95
    turned = words_right(judge, held.floats.flip(0), held)
    assert turned["style"] == 0  # noto first, so all are exchanged
    assert turned["role"] < 0.5


class Perfect:
    """Draws the true drawing of each caption, and remembers how it was asked."""

    def __init__(self):
        held, train = data.people("held_out"), data.people("train")
        self.known = dict(zip(captions.with_style(train), train.floats, strict=True))
        self.known |= dict(zip(captions.with_style(held), held.floats, strict=True))
        self.asked = []

    def sample(self, n, *, generator, captions, guidance, steps):
        assert len(captions) == n
        self.asked += [(caption, guidance) for caption in captions]
        yield Step(0, 1, torch.zeros(n, 3, 32, 32))
        yield Step(1, 1, torch.stack([self.known[caption] for caption in captions]))


def test_pictures_are_drawn_in_order_whatever_the_batch():
    model = Perfect()
    told = list(model.known)[:230]
    x = draw(model, told, guidance=3.0)
    assert torch.equal(x, torch.stack([model.known[caption] for caption in told]))
    assert model.asked == [(caption, 3.0) for caption in told]


def test_scores_of_a_perfect_model_are_those_of_true_drawings():
    model = Perfect()
    scores = held_out_words(model)
    for guidance in (1, 2, 4):
        for head in ("style", "tone", "gender", "role"):
            assert scores[f"{head}, guidance {guidance}"] == pytest.approx(scores[f"{head}, true drawings"])
        distance = scores[f"distance to training, guidance {guidance}"]
        assert distance == pytest.approx(scores["distance to training, true drawings"])
    assert scores["distance to training, captions of training"] < 1e-3
    assert scores["distance to training, true drawings"] > 0.05
    held = {caption for caption, _ in model.asked} & set(captions.with_style(data.people("held_out")))
    assert len(held) == 26
    assert len(model.asked) == 3 * 26 * evaluate_text.TIMES + 106


# ---- things


class Copyist:
    """Draws the picture that it was given for each caption."""

    def __init__(self, answers):
        self.answers = answers

    def sample(self, n, *, generator, captions, guidance, steps):
        yield Step(0, 1, torch.stack([self.answers[caption] for caption in captions]))


def test_what_a_picture_resembles_seen_from_afar():
    g = torch.Generator().manual_seed(0)
    drawings = torch.rand(5, 3, 16, 16, generator=g) * 2 - 1
    told = list("abcde")
    assert resembles(drawings.flip(0), drawings, told) == list("edcba")
    checks = torch.ones(16, 16)
    checks[::2, ::2] = checks[1::2, 1::2] = -1  # invisible from afar: each 4x4 cell has mean 0
    assert resembles(drawings + 0.9 * checks, drawings, told) == told
    near = nearest(drawings + 9 * checks, torch.cat([drawings, drawings + 8.5 * checks])).which
    assert near.tolist() == [5, 6, 7, 8, 9]  # while pixel by pixel it is seen


def test_a_model_that_draws_the_thing_in_another_style_gets_the_thing_right_only():
    held, train = captions.emoji_drawings("held_out"), captions.emoji_drawings("train")
    known = dict(zip(train.captions, train.floats, strict=True))
    right = known | dict(zip(held.captions, held.floats, strict=True))
    scores = held_out_things(Copyist(right))
    assert {scores[f"{word}, guidance {g}"] for word in ("thing", "style") for g in (1, 2, 4)} == {1.0}
    wrong = known | {c: known[c.replace("fluent3d", "noto")] for c in held.captions}
    scores = held_out_things(Copyist(wrong))
    assert scores["thing, guidance 1"] == 1
    assert scores["style, guidance 1"] == 0
    assert scores["thing of training, guidance 1"] == scores["style of training, guidance 1"] == 1
    assert 0.1 < scores["thing, true drawings"] < 0.9  # the styles differ, so this is no easy question


def test_a_perfect_autoencoder_has_no_error_and_shrinking_has_one():
    x = data.emoji("test").floats[:20]
    scores = reconstruction(x, torch.nn.Identity(), 768)
    assert scores["L1"] == 0
    assert scores["PSNR"] > 100
    assert "L1, shrunk to 16x16" in scores
    assert 5 < scores["L1, shrunk to 16x16"] < 30
    half = reconstruction(x, Darker(), 768)
    error = (x / 2).square().mean().item()
    assert half["PSNR"] == pytest.approx(10 * math.log10(4 / error), abs=1e-3)
    assert half["L1"] == pytest.approx(x.abs().mean().item() / 2 * 127.5, rel=1e-4)


def test_shrinking_to_all_the_numbers_there_are_is_no_shrinking():
    x = data.people("test").floats[:4]
    assert reconstruction(x, torch.nn.Identity(), 3 * 32 * 32)["L1, shrunk to 32x32"] < 0.01


class Darker(torch.nn.Module):
    def forward(self, x):
        return x / 2
