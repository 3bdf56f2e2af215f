"""Scores of text to image: nearest neighbours by hand, copies found out, words judged."""

import pytest
import torch

from course_lib import captions, data, evaluate_text, zoo
from course_lib.evaluate_text import copies, draw, held_out_words, nearest, words_right
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

    def sample(self, n, *, generator, captions, guidance):
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
