"""Scores of diffusion models: of one that remembers pictures, and what they ask a model for."""

import math

import pytest
import torch
from torch import nn

from course_lib import data, evaluate_diffusion, zoo
from course_lib.method import Step
from course_lib.methods.ddpm import DDPM
from course_lib.metrics import frechet_distance
from course_lib.variational_bound import Bound

NAMES = {"Fréchet distance", "Fréchet distance, training pictures", "share of the total variance"}
NAMES |= {"precision", "recall"}


@pytest.fixture
def small(monkeypatch):
    """The first 200 pictures of each split."""
    whole = data.fashion
    monkeypatch.setattr(data, "fashion", lambda split="train": whole(split).subset(slice(0, 200)))
    monkeypatch.setattr(evaluate_diffusion, "FEWER", 50)
    monkeypatch.setattr(evaluate_diffusion, "PRICES", ())


class Remembers(nn.Module):
    """ "Draws" pictures of the class asked for; with more guidance, of the class after it."""

    classes = 10

    def __init__(self):
        super().__init__()
        self.asked, held = [], data.fashion("validation")
        first = torch.stack([(held.y == k).nonzero()[0, 0] for k in range(10)])
        self.known = held.floats[first]  # (10, 1, 28, 28)

    def sample(self, n, *, generator, label, guidance, steps, sampler):
        self.asked.append((n, guidance, steps, torch.randn(2, generator=generator).tolist()))
        yield Step(0, 1, torch.zeros(n, 1, 28, 28))
        yield Step(1, 1, self.known[(label + (guidance > 1.5)) % 10])

    def bound(self, x, *, terms, generator):
        """3 nats for each picture and 0.5 for each term."""
        torch.randn(1, generator=generator)
        halves = torch.full((len(x), terms), 0.5)
        return Bound(torch.full((len(x),), 3.0), halves, halves.long(), torch.ones(terms).long())


def test_classes_are_those_asked_for_with_the_guidance_asked_for(small):
    model = Remembers()
    scores = evaluate_diffusion.class_samples(model, "validation", steps=7)
    accuracies = {"class accuracy", "class accuracy, guidance 2", "class accuracy, real pictures"}
    assert set(scores) == NAMES | accuracies
    features, held = zoo.load("fashion_features"), data.fashion("validation")
    guess = features.logits(model.known)[0].argmax(1)
    right = (guess == torch.arange(10)).double().mean().item()
    shifted = (guess.roll(-1) == torch.arange(10)).double().mean().item()
    assert right > 0.8 > 0.2 > shifted
    assert scores["class accuracy"] == pytest.approx(right)
    assert scores["class accuracy, guidance 2"] == pytest.approx(shifted)
    real = (features.logits(held.floats)[0].argmax(1) == held.y).double().mean().item()
    assert scores["class accuracy, real pictures"] == pytest.approx(real)
    assert [asked[:3] for asked in model.asked] == [(200, 1.25, 7), (50, 2.0, 7)]
    # ten pictures again and again are further away than 200 of other people's wardrobes
    assert scores["Fréchet distance"] > 2 * scores["Fréchet distance, training pictures"] > 0
    assert scores["recall"] < 0.1


def test_a_model_without_classes_is_scored_with_its_bits(small, monkeypatch):
    monkeypatch.setattr(evaluate_diffusion, "samples", lambda *_: data.fashion("test").floats)
    scores = evaluate_diffusion.unconditional(Remembers(), "test")
    assert set(scores) == NAMES | {"bound in nats", "bound in bits/dim"}
    assert scores["Fréchet distance"] == pytest.approx(0, abs=1e-3)
    assert (scores["precision"], scores["recall"]) == (1.0, 1.0)
    assert scores["bound in nats"] == pytest.approx(-53)  # 3 and a hundred halves
    assert scores["bound in bits/dim"] == pytest.approx(53 / 784 / math.log(2))


def test_samples_are_drawn_in_batches_each_with_noise_of_its_own():
    model, y = Remembers(), torch.arange(600) % 10
    x = evaluate_diffusion.samples(model, y, 1.0, 20)
    assert torch.equal(x, model.known[y])
    assert [asked[:3] for asked in model.asked] == [(250, 1.0, 20), (250, 1.0, 20), (100, 1.0, 20)]
    assert model.asked[0][3] != model.asked[1][3]
    again = Remembers()
    evaluate_diffusion.samples(again, y, 1.0, 20)
    assert again.asked == model.asked


@pytest.mark.parametrize(("sampler", "steps", "calls"), evaluate_diffusion.PRICES)
def test_a_price_is_the_number_of_times_that_the_network_is_called(sampler, steps, calls):
    model, _ = DDPM.tiny()  # T = 100
    counted = []
    model.net.register_forward_hook(lambda *_: counted.append(1))
    *_, last = model.sample(2, sampler=sampler, steps=steps, generator=torch.Generator().manual_seed(0))
    assert len(counted) == calls
    assert last.i == steps


def test_what_a_call_is_worth_is_a_distance_to_all_held_out_pictures(small, monkeypatch):
    monkeypatch.setattr(evaluate_diffusion, "PRICES", (("ddim", 3, 3), ("heun", 2, 3)))
    monkeypatch.setattr(evaluate_diffusion, "STORED", 200)
    model = Remembers()
    scores = evaluate_diffusion.by_calls(model, "validation")
    assert set(scores) == {"Fréchet distance, ddim, 3 calls", "Fréchet distance, heun, 3 calls"}
    made = model.known[torch.arange(200) % 10]
    expected = frechet_distance(data.fashion("validation").floats, made, zoo.load("fashion_features"))
    assert scores["Fréchet distance, ddim, 3 calls"] == pytest.approx(expected)
