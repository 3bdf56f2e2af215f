"""The Wasserstein GAN with gradient penalty, on critics whose slope is known and samples whose W is known."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call
from two_players import Point, Quadratic, linear, numbered_draws, random

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.wgan_gp import WGANGP, gradient_penalty

SMALL = dict(latent=3, channels=2, size=0, widths=(8, 2))


def game(at=(0.5, -1.0), w=(0.7, 2.0), b=0.0, **options):
    """G makes one point, the critic is linear: its slope is |w| everywhere."""
    model = WGANGP(latent=1, channels=2, size=0, widths=(2, 1), n_critic=1, **options)
    model.G, model.D = Point(at), linear(w, b)
    return model


def step(model, x, number=0):
    return {loss.opt: loss for loss in model.losses(x, number)}


# ---- the penalty


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4), (3, 8, 8)], ids=str)
@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 2.5])
def test_penalty_of_a_linear_critic(shape, scale):
    """(|w| - 1)^2 for points and for pictures, whatever lies between; its gradient is 2 (|w| - 1) w / |w|."""
    w = random(*shape)
    w = scale * w / w.norm()
    D = linear(w, b=3.0)
    penalty = gradient_penalty(D, random(5, *shape, seed=1), random(5, *shape, seed=2))
    assert penalty.item() == pytest.approx((scale - 1) ** 2, abs=1e-12)
    (grad,) = torch.autograd.grad(penalty, D.head.weight)
    expected = torch.zeros_like(w) if scale == 0 else 2 * (scale - 1) * w / scale
    assert torch.allclose(grad, expected.view(1, -1), atol=1e-10)


def asked(x, fake):
    """Where the penalty asks for the slope."""
    seen = []
    D = linear(torch.ones(x[0].shape))
    D.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    gradient_penalty(D, x, fake)
    return seen[0]


@pytest.mark.parametrize("shape", [(2,), (2, 3, 3)], ids=str)
def test_it_is_asked_for_anywhere_on_the_way_from_real_to_made(shape):
    """One u for each sample and all of its pixels, uniform between 0 and 1."""
    x, fake = random(4000, *shape), 5 + random(4000, *shape, seed=1)
    u = ((asked(x, fake) - x) / (fake - x)).flatten(1)
    assert torch.allclose(u, u[:, :1].expand_as(u), atol=1e-6)
    share = u[:, 0].sort().values
    assert share[0] >= 0
    assert share[-1] <= 1
    even = (torch.arange(4000) + 0.5) / 4000
    assert (share - even).abs().max() < 1.95 / math.sqrt(4000)  # Kolmogorov and Smirnov, one in a thousand


def test_penalty_of_a_quadratic_critic():
    """D = |x|^2 / 2 has the slope |x|: from 0 to points at distance 1, E (u - 1)^2 = 1/3, within five
    standard errors of 20,000; and one in closed form for the u that were drawn."""
    D, n = Quadratic(torch.eye(2).double(), torch.zeros(2).double()), 20_000
    fake = nn.functional.normalize(random(n, 2), dim=1)
    penalty = gradient_penalty(D, torch.zeros(n, 2).double(), fake).item()
    assert penalty == pytest.approx(1 / 3, abs=5 * math.sqrt((1 / 5 - 1 / 9) / n))
    D, x, fake = Quadratic(random(2, 2), random(2, seed=1)), random(6, 2, seed=2), random(6, 2, seed=3)
    torch.manual_seed(7)
    penalty = gradient_penalty(D, x, fake).item()
    torch.manual_seed(7)
    between = x + torch.rand(6, 1, dtype=torch.float64) * (fake - x)
    A, b = D.A.detach(), D.b.detach()
    slopes = (between @ (A + A.T) / 2 + b).norm(dim=1)
    assert penalty == pytest.approx((slopes - 1).square().mean().item(), rel=1e-10)


def test_double_backward_against_finite_differences():
    """By every parameter of a critic with one hidden layer, for pictures; u is the same at every call."""
    torch.manual_seed(3)
    D = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Softplus(), nn.Linear(5, 1), nn.Flatten(0)).double()
    x, fake = random(4, 1, 2, 3), random(4, 1, 2, 3, seed=1)
    names = [name for name, _ in D.named_parameters()]

    def penalty(*values):
        given = dict(zip(names, values, strict=True))

        class Given(nn.Module):
            def forward(self, x):
                return functional_call(D, given, (x,))

        with numbered_draws():
            return gradient_penalty(Given(), x, fake)

    assert gradcheck(penalty, tuple(D.parameters()))


def test_a_flat_critic_has_finite_gradients():
    model = game(w=(0.0, 0.0))
    loss = step(model, random(5, 2))["D"].value
    assert loss.item() == pytest.approx(10)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, list(model.D.parameters())))


# ---- the losses


def test_losses_of_a_linear_critic_in_closed_form():
    x, w, at = random(9, 2), np.array([0.7, 2.0]), np.array([0.5, -1.0])
    model = game(penalty=4.0)
    losses = step(model, x)
    distance = x.mean(0).numpy() @ w - at @ w
    length = np.linalg.norm(w)
    assert losses["D"].logs["distance"].item() == pytest.approx(distance, rel=1e-12)
    assert losses["D"].value.item() == pytest.approx(4 * (length - 1) ** 2 - distance, rel=1e-12)
    assert losses["G"].value.item() == pytest.approx(-at @ w, rel=1e-12)
    by_w, _ = torch.autograd.grad(losses["D"].value, list(model.D.parameters()))
    expected = 8 * (length - 1) * w / length - x.mean(0).numpy() + at
    assert np.allclose(by_w[0], expected, rtol=1e-10)
    (by_point,) = torch.autograd.grad(losses["G"].value, model.G.at)
    assert np.allclose(by_point, -w, rtol=1e-12)


def test_the_level_of_the_critic_means_nothing():
    """Neither D's loss nor a gradient knows it; so it is no parameter, but stays in the weights' file."""
    x = random(9, 2)
    low, high = step(game(b=0.0), x)["D"].value, step(game(b=50.0), x)["D"].value
    assert low.item() == pytest.approx(high.item(), rel=1e-10)
    for size, model in ((0, WGANGP(**SMALL)), (8, WGANGP(size=8, widths=(4, 8)))):
        assert "D.head.bias" not in dict(model.named_parameters())
        assert model.state_dict()["D.head.bias"].tolist() == [0.0]
        x = 5 * torch.randn(50, *((2,) if size == 0 else (1, 8, 8)))
        loss = next(model.losses(x, 0)).value
        grads = torch.autograd.grad(loss, list(model.D.parameters()))
        assert all(g.any() for g in grads), [g.norm() for g in grads]


def test_the_critics_loss_has_no_path_to_the_generator():
    model = WGANGP(**SMALL)
    loss = next(model.losses(torch.randn(6, 2), 0))
    assert loss.opt == "D"
    grads = torch.autograd.grad(loss.value, list(model.G.parameters()), allow_unused=True)
    assert all(g is None for g in grads)


def test_the_critic_moves_n_critic_times_for_each_move_of_the_generator():
    model, x = WGANGP(**SMALL, n_critic=3), torch.randn(6, 2)
    turns = ["".join(loss.opt for loss in model.losses(x, k)) for k in range(7)]
    assert turns == ["D", "D", "DG", "D", "D", "DG", "D"]
    run = fit(model, x, steps=7, batch=6, device="cpu", progress=False)
    assert [k for k, _ in run.history["loss/G"]] == [2, 5]
    assert WGANGP(**SMALL).n_critic == 5


def test_generator_and_critic_draw_noise_of_their_own():
    model, x = WGANGP(**SMALL, n_critic=1), torch.randn(6, 2)
    seen = []
    model.G.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    step(model, x)
    assert [z.shape for z in seen] == [(6, 3)] * 2
    assert not torch.isclose(seen[0], seen[1]).any()


# ---- the distance


class Sample(nn.Module):
    """A generator that gives the points of one sample, in order."""

    def __init__(self, points):
        super().__init__()
        self.points = nn.Parameter(points)

    def forward(self, z):
        return self.points[: len(z)]


REAL = np.random.default_rng(0).normal(size=128)
MADE = {
    "moved": np.random.default_rng(1).normal(1.0, 1.0, 128),
    "narrower": np.random.default_rng(2).normal(0.0, 0.2, 128),  # the same mean: no linear critic sees it
    "in two parts": np.random.default_rng(3).choice([-1.5, 1.5], 128)
    + np.random.default_rng(4).normal(0.0, 0.1, 128),
}


@pytest.mark.parametrize("made", MADE)
def test_a_trained_critic_measures_the_wasserstein_distance_of_two_samples(made):
    """Within 6% of scipy's. The penalty is small at first: on a line a slope of the wrong sign can only turn
    through 0, and a large penalty holds it. Then it is large: with weight l slopes exceed 1 by
    |F - F_G| / (2 l r), where F and F_G are the distribution functions and r is the density of x_hat."""
    model = WGANGP(latent=1, channels=1, size=0, widths=(32, 2), n_critic=10_000, lr=1e-2)
    model.G = Sample(torch.tensor(MADE[made]).float().view(-1, 1))
    x = torch.tensor(REAL).float().view(-1, 1)
    for model.penalty, steps in ((0.1, 100), (30.0, 200)):
        falls = [min(1.0, 2 - 2 * k / steps) for k in range(steps)]  # the rate, over the second half
        run = fit(model, x, steps=steps, batch=128, lr=falls.__getitem__, device="cpu", progress=False)
    measured = np.mean([v for _, v in run.history["distance"]][-20:])
    assert measured == pytest.approx(wasserstein_distance(REAL, MADE[made]), rel=0.06)


def test_the_best_linear_critic_measures_how_far_a_point_lies():
    """W of two points is their distance. A linear critic with slope s loses l (s - 1)^2 - s d, least at
    s = 1 + d / (2 l), where it measures d + d^2 / (2 l)."""
    model = game(at=(0.0, 0.0), w=(0.1, 0.2), penalty=10.0)
    x, d = torch.tensor([[3.0, 4.0]]).double(), 5.0
    weight = model.D.head.weight
    for _ in range(300):
        loss = next(model.losses(x, 0))
        (grad,) = torch.autograd.grad(loss.value, weight)
        with torch.no_grad():
            weight -= 0.03 * grad
    assert weight.norm().item() == pytest.approx(1 + d / 20, rel=1e-5)
    assert next(model.losses(x, 0)).logs["distance"].item() == pytest.approx(d + d**2 / 20, rel=1e-5)


# ---- the rest


def test_batch_normalisation_is_why_parts_are_not_one_batch():
    """What the class says of itself, for pictures, with the same noise for every sample. (In the contract's
    test all noise is equal, and then so are the statistics of every part.)"""
    weights = []
    for batch, accumulate in ((8, 1), (4, 2)):
        torch.manual_seed(0)
        model, x = WGANGP.tiny()
        model = model.double()
        with numbered_draws():
            fit(model, x.double(), steps=3, batch=batch, accumulate=accumulate, device="cpu", progress=False)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert "batch normalisation" in WGANGP.batch_statistics
    assert (weights[0] - weights[1]).abs().max() > 1e-6


def test_a_sample_is_what_the_generator_makes_of_the_given_noise():
    model = WGANGP(**SMALL).eval()
    (drawn,) = model.sample(5, generator=torch.Generator().manual_seed(4))
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
    assert torch.equal(drawn.x, model.G(z))


def test_adam_is_that_of_the_paper():
    optimizers = WGANGP(**SMALL, lr=0.01).optimizers()
    assert {(o.param_groups[0]["lr"], o.param_groups[0]["betas"]) for o in optimizers.values()} == {
        (0.01, (0.0, 0.9))
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(penalty=-1.0), "penalty must be a number of at least 0, got -1"),
        (dict(penalty=math.nan), "penalty must be a number of at least 0, got nan"),
        (dict(penalty=math.inf), "penalty must be a number of at least 0, got inf"),
        (dict(n_critic=0), "n_critic must be a whole number of at least 1, got 0"),
        (dict(n_critic=2.5), "n_critic must be a whole number of at least 1, got 2.5"),
        (dict(size=30), "multiple of 4 and at least 8, got 30"),
        (dict(channels=0), "channels must be a whole number of at least 1, got 0"),
    ],
    ids=str,
)
def test_impossible_values_are_refused(given, said):
    with pytest.raises(CourseError, match=said):
        WGANGP(**given)
