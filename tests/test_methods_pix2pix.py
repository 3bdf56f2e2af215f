"""pix2pix with players so simple that losses, gradients and optima are known."""

import math

import numpy as np
import pytest
import torch
from helpers import Rows
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from two_players import random

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.pix2pix import Pix2Pix, pair, verdict_loss

A = random(5, 1, 4, 4).numpy()
B = 2 * A + random(5, 1, 4, 4, seed=1).numpy()  # what belongs to it, pixel by pixel
GAMES = ("least squares", "non-saturating")
W_A, W_B, C, G = 0.7, -0.6, 0.2, 1.5


class Gain(nn.Module):
    """A generator that multiplies by one number."""

    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain, dtype=torch.float64))

    def forward(self, x):
        return self.gain * x


class Constant(nn.Module):
    """A generator that paints everything in one grey."""

    def __init__(self, grey=0.0):
        super().__init__()
        self.grey = nn.Parameter(torch.tensor(grey, dtype=torch.float64))

    def forward(self, x):
        return self.grey.expand_as(x)


class Mismatch(nn.Module):
    """Says 1 where a and b agree and less where they do not; what b looks like is all the same to it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(-1.0, dtype=torch.float64))

    def forward(self, ab):
        return 1 + self.weight * (ab[:, :1] - ab[:, 1:]).abs()


def game(generator=None, **options):
    """G multiplies by a number, D judges each pixel of a pair alone: W_A a + W_B b + C."""
    model = Pix2Pix(channels=(1, 1), widths=(2,), blocks=0, d_widths=(2,), **options).double()
    model.G, model.D = generator or Gain(G), nn.Conv2d(2, 1, 1).double()
    with torch.no_grad():
        model.D.weight.copy_(torch.tensor([W_A, W_B], dtype=torch.float64).view(1, 2, 1, 1))
        model.D.bias.fill_(C)
    return model


def batch():
    return torch.from_numpy(A), torch.from_numpy(B)


def losses(model, pair=None):
    return {loss.opt: loss for loss in model.losses(pair or batch(), 0)}


def verdicts():
    """Of D on real pairs and on made ones."""
    return W_A * A + W_B * B + C, W_A * A + W_B * G * A + C


# ---- losses and gradients


def test_least_squares_are_those_of_the_formula():
    found = losses(game(gan=0.5, l1=20.0))
    real, made = verdicts()
    l1 = np.abs(G * A - B).mean()
    assert list(found) == ["D", "G"]  # the order of updates
    assert found["D"].value.item() == pytest.approx((((real - 1) ** 2).mean() + (made**2).mean()) / 2)
    assert found["G"].value.item() == pytest.approx(0.5 * ((made - 1) ** 2).mean() + 20 * l1)
    assert found["G"].logs["L1"].item() == pytest.approx(l1)


def test_the_other_game_is_the_cross_entropy_of_logits():
    found = losses(game(game="non-saturating", l1=0.0))
    real, made = (torch.from_numpy(x) for x in verdicts())
    one, zero = torch.ones_like(real), torch.zeros_like(real)
    expected = (cross_entropy(real, one) + cross_entropy(made, zero)) / 2
    assert found["D"].value.item() == pytest.approx(expected.item(), rel=1e-12)
    assert found["G"].value.item() == pytest.approx(cross_entropy(made, one).item(), rel=1e-12)


@pytest.mark.parametrize("which", GAMES)
def test_gradients_are_those_of_the_closed_form(which):
    """By a verdict v: 2 (v - target) of a square, sigmoid(v) - target of a logit."""
    model = game(game=which, gan=0.5, l1=3.0)
    found = losses(model)
    real, made = verdicts()

    def slope(v, target):
        return 2 * (v - target) if which == "least squares" else 1 / (1 + np.exp(-v)) - target

    by_g = 0.5 * (slope(made, 1) * W_B * A).mean() + 3 * (np.sign(G * A - B) * A).mean()
    (got,) = torch.autograd.grad(found["G"].value, model.G.gain)
    assert got.item() == pytest.approx(by_g, rel=1e-10)
    by_a = (slope(real, 1) * A + slope(made, 0) * A).mean() / 2
    by_b = (slope(real, 1) * B + slope(made, 0) * G * A).mean() / 2
    (got,) = torch.autograd.grad(found["D"].value, model.D.weight)
    assert got.flatten().tolist() == pytest.approx([by_a, by_b], rel=1e-10)


@pytest.mark.parametrize("which", GAMES)
@pytest.mark.parametrize("v", [-1000.0, 1000.0])
def test_verdicts_without_bounds_have_finite_losses(which, v):
    verdict = torch.tensor([v], requires_grad=True)
    for real in (True, False):
        loss = verdict_loss(verdict, real, which)
        (slope,) = torch.autograd.grad(loss, verdict)
        assert torch.isfinite(slope)
        right = (v > 0) == real
        assert loss.item() == ((v - real) ** 2 if which == "least squares" else 0 if right else 1000)


def test_a_judge_that_says_one_half_or_zero():
    """1/4 for each of two squares; log 2 for each of two logits."""
    assert verdict_loss(torch.full((3,), 0.5), True).item() == 0.25
    assert verdict_loss(torch.full((3,), 0.5), False).item() == 0.25
    for real in (True, False):
        loss = verdict_loss(torch.zeros(3), real, "non-saturating")
        assert loss.item() == pytest.approx(math.log(2))


# ---- pairs


def test_a_pair_is_a_before_b():
    a, b = random(2, 1, 4, 4), random(2, 3, 4, 4, seed=1)
    both = pair(a, b)
    assert torch.equal(both[:, :1], a)
    assert torch.equal(both[:, 1:], b)


def test_the_judge_sees_real_pairs_and_made_ones_with_the_same_a():
    model = game()
    seen = []
    model.D.register_forward_hook(lambda m, x, y: seen.append(x[0].detach()))
    losses(model)
    a, b = batch()
    expected = [torch.cat([a, b], 1), torch.cat([a, G * a], 1), torch.cat([a, G * a], 1)]
    assert len(seen) == 3
    assert all(map(torch.equal, seen, expected))


def test_a_good_picture_of_something_else_does_not_pass():
    """b belongs to a where they are equal. G gives every a a perfect picture, but of another sample: a judge
    of b alone could not object, the one of pairs does."""
    model = Pix2Pix(channels=(1, 1), widths=(2,), blocks=0, d_widths=(2,), l1=0.0).double()
    model.D, a = Mismatch(), batch()[0]
    model.G = nn.Identity()
    right = losses(model, (a, a))
    assert right["G"].value == 0
    assert right["D"].value == (0 + 1) / 2  # what is right cannot be told from what is real
    model.G.register_forward_hook(lambda m, x, y: y.roll(1, 0))
    wrong = losses(model, (a, a))
    assert wrong["G"].value.item() == pytest.approx((a - a.roll(1, 0)).square().mean().item())
    assert wrong["D"].value < right["D"].value


def test_mirrored_pairs_stay_pairs():
    """Each pair is as it was or mirrored whole, about half of them; five standard deviations of 400 coins."""
    model = game(Gain(1.0), flip=True)
    a = random(400, 1, 4, 4)
    b = 3 * a + 1
    seen = []
    model.D.register_forward_hook(lambda m, x, y: seen.append(x[0].detach()))
    torch.manual_seed(0)
    losses(model, (a, b))
    assert torch.equal(seen[0][:, 1:], 3 * seen[0][:, :1] + 1)
    assert torch.equal(seen[1][:, :1], seen[0][:, :1])
    kept, mirrored = ((seen[0][:, :1] == x).flatten(1).all(1) for x in (a, a.flip(3)))
    assert (kept ^ mirrored).all()
    assert abs(mirrored.sum().item() - 200) < 50
    model.flip = False
    losses(model, (a, b))
    assert torch.equal(seen[-1][:, :1], a)


def test_pairs_of_different_channels_are_mirrored_and_split_in_place():
    model = Pix2Pix(channels=(1, 3), widths=(2,), blocks=0, d_widths=(2,), flip=True)
    ramp = torch.arange(8.0).expand(6, 1, 8, 8)
    seen = []
    model.D.register_forward_hook(lambda m, x, y: seen.append(x[0].detach()))
    losses(model, (ramp, torch.cat([ramp, ramp + 1, ramp + 2], 1)))
    assert torch.equal(
        seen[0] - seen[0][:, :1], torch.tensor([0.0, 0, 1, 2]).view(4, 1, 1).expand(6, 4, 8, 8)
    )


# ---- the order of updates


def test_the_judge_moves_first_and_leaves_the_forger_alone():
    model = game(l1=0.0)
    parts = model.losses(batch(), 0)
    next(parts).value.backward()
    assert model.G.gain.grad is None
    with torch.no_grad():
        model.D.weight.zero_()
        model.D.bias.fill_(5.0)
    assert next(parts).value.item() == (5 - 1) ** 2  # the judge that has moved
    assert next(parts, None) is None


def test_every_parameter_has_one_player_with_its_own_rate():
    model = Pix2Pix.tiny()[0]
    model.lr, model.lr_d, model.betas = 0.3, 0.2, (0.1, 0.9)
    opts = model.optimizers()
    for name, net, rate in (("G", model.G, 0.3), ("D", model.D, 0.2)):
        (group,) = opts[name].param_groups
        assert (set(group["params"]), group["lr"], group["betas"]) == (
            set(net.parameters()), rate, (0.1, 0.9)
        )  # fmt: skip


# ---- without the judge


def test_regression_alone_paints_the_median():
    """Of 80 pixels, 56 are 0 and 24 are 1: the mean is 0.3, the median 0, and one grey for all goes there.
    At the mean the slope is (share below) - (share above); with l1 = 2 twice that."""
    b = torch.zeros(80, dtype=torch.float64)
    b[:24] = 1
    b = b[torch.randperm(80, generator=torch.Generator().manual_seed(0))].view(5, 1, 4, 4)
    model = game(Constant(0.3), gan=0.0, l1=2.0, lr=0.01)
    found = losses(model, (batch()[0], b))["G"].value
    assert found.item() == pytest.approx(2 * 2 * 0.3 * 0.7)
    (slope,) = torch.autograd.grad(found, model.G.grey)
    assert slope.item() == pytest.approx(2 * (0.7 - 0.3))
    data = Rows((batch()[0], b))
    fit(model, data, steps=60, batch=5, lr=lambda k: 1 - k / 60, device="cpu", progress=False)
    assert model.G.grey.item() == pytest.approx(0, abs=2e-3)


def test_half_and_half_has_no_slope_between():
    """The blur of regression: between two equally likely answers every grey costs the same, and the judge
    alone makes the difference."""
    b = torch.tensor([-1.0, 1.0]).repeat(40).double().view(5, 1, 4, 4)
    costs = []
    for grey in (-0.9, 0.0, 0.4, 0.9):
        model = game(Constant(grey), gan=0.0, l1=1.0)
        costs.append(losses(model, (batch()[0], b))["G"].value.item())
    assert costs == pytest.approx([1.0] * 4)


def test_without_the_adversarial_weight_the_judge_moves_nobody():
    model = game(gan=0.0, l1=1.0)
    a, b = batch()
    (slope,) = torch.autograd.grad(losses(model)["G"].value, model.G.gain)
    expected = (torch.sign(G * a - b) * a).mean()
    assert slope.item() == pytest.approx(expected.item(), rel=1e-12)


# ---- colours, arguments


def test_translate_standardises_and_goes_back():
    model = game(Gain(1.0))
    a, b = batch()
    a, b = a / 10 + 0.2, b / 40 - 0.3
    model.colours_A.learn(a)
    model.colours_B.learn(b)
    made = model.translate(a)
    assert not made.requires_grad
    assert made.abs().max() < 1
    expected = (a - a.mean()) / a.std(correction=0) * b.std(correction=0) + b.mean()
    assert torch.allclose(made, expected, atol=1e-7)
    model.G.gain.data.fill_(1000)
    assert (model.translate(a).min(), model.translate(a).max()) == (-1, 1)  # clipped


def test_losses_are_measured_in_units_of_the_spread():
    model = game()
    a, b = batch()
    before = {name: loss.value.item() for name, loss in losses(model, standard(a, b)).items()}
    model.colours_A.learn(a)
    model.colours_B.learn(b)
    after = {name: loss.value.item() for name, loss in losses(model).items()}
    assert before == pytest.approx(after, rel=1e-6)


def standard(*pictures):
    return tuple((x - x.mean()) / x.std(correction=0) for x in pictures)


def test_normalised_generators_say_that_batches_matter():
    assert "batch normalisation" in Pix2Pix(widths=(2, 4), norm="batch").batch_statistics
    assert not hasattr(Pix2Pix(widths=(2, 4)), "batch_statistics")
    assert Pix2Pix(widths=(2, 4)).factor == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(game="min-max"), "game must be one of least squares, non-saturating, got 'min-max'"),
        (dict(gan=-1.0), "gan must be a number of at least 0, got -1.0"),
        (dict(l1=float("inf")), "l1 must be a number of at least 0, got inf"),
        (dict(channels=(1, 3), start="input"), 'take start="nothing"'),
    ],
)
def test_arguments_that_cannot_work(options, words):
    with pytest.raises(CourseError, match=words):
        Pix2Pix(widths=(2,), **options)


def test_shifted_pairs_move_alike_and_paper_enters():
    """Map and photo are one picture here, so they stay equal; what enters has the colour of the paper."""
    x = torch.zeros(40, 3, 8, 8)
    torch.manual_seed(0)
    a, b = Pix2Pix(widths=(4, 8), d_widths=(4,), shift=2, fill=0.5).moved(x, x)
    assert torch.equal(a, b)
    assert a.shape == x.shape
    assert set(a.unique().tolist()) == {0.0, 0.5}
    entered = (a[:, 0] == 0.5).sum((1, 2))
    assert entered.max() == 64 - 6 * 6  # moved by two pixels both ways
    assert entered.min() == 0
