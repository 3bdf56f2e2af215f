"""GANs on points: closed forms of the smallest game, the run to watch, and settings that work or fail."""

import math
from copy import deepcopy

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import nn

from course_lib import adversaries, toys
from course_lib.adversaries import CURES, FAILURES, RING_STD, dirac_path, plane_gan, push, ring_centres, watch
from course_lib.engine import one_device
from course_lib.errors import CourseError
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.gan import d_loss, g_loss
from course_lib.methods.wgan_gp import WGANGP, gradient_penalty
from course_lib.metrics import mode_coverage
from course_lib.nn.players import players
from course_lib.update import one_step


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# ---- the Dirac-GAN


@pytest.mark.parametrize("r1", [0.0, 0.3, 1.0])
def test_dirac_path_is_gradient_descent_on_the_losses_of_the_library(r1):
    """One point at 0, one sample at theta, D(x) = psi x whose slope is psi; both players move at once."""
    state = torch.tensor([0.7, -1.3], dtype=torch.float64, requires_grad=True)
    theta, psi = state
    on_real, on_fake = (psi * 0).view(1), (psi * theta).view(1)
    (by_d,) = torch.autograd.grad(d_loss(on_real, on_fake) + r1 / 2 * psi**2, state, retain_graph=True)
    (by_g,) = torch.autograd.grad(g_loss(on_fake, "min-max"), state)
    expected = state.detach() - 0.2 * torch.stack([by_g[0], by_d[1]])
    path = dirac_path(r1, lr=0.2, steps=1, start=(0.7, -1.3))
    torch.testing.assert_close(path[1], expected)


def test_dirac_gan_without_penalty_moves_outwards_by_the_closed_form():
    path = dirac_path(0.0, lr=0.1, steps=300)
    square = path.square().sum(1)  # (301,)
    growth = 1 + 0.01 * torch.sigmoid(path.prod(1)[:-1]) ** 2
    torch.testing.assert_close(square[1:] / square[:-1], growth)
    assert ((path[1:, 0] * path[:-1, 0]) < 0).sum() >= 3  # it circles: theta changes its sign again and again


def test_dirac_gan_with_r1_converges_at_the_rate_of_its_eigenvalues():
    """Near 0 the step is the matrix I + lr [[0, 1/2], [-1/2, -r1]]."""
    for r1 in (0.5, 1.0, 3.0):
        step = torch.tensor([[1.0, 0.05], [-0.05, 1 - 0.1 * r1]], dtype=torch.float64)
        path = dirac_path(r1, lr=0.1, steps=100, start=(1e-4, 1e-4))
        linear = torch.linalg.matrix_power(step, 100) @ path[0]
        torch.testing.assert_close(path[-1], linear, rtol=1e-3, atol=1e-9)
    path = dirac_path(1.0, lr=0.1, steps=400)
    assert path[-1].norm() < 1e-6  # e^(-20) times a polynomial
    assert ((path[1:, 0] * path[:-1, 0]) < 0).sum() <= 1  # and it does not circle


# ---- the distance that a critic measures


@pytest.mark.parametrize(("start", "end"), [(0.5, 1 + 1.5 / 20), (-0.5, -1 + 1.5 / 20)])
def test_critic_of_two_points_ends_where_the_closed_form_says(start, end):
    """s W - penalty (|s| - 1)^2 has its maximum at s = 1 + W / (2 penalty), W the distance of the points, and
    on a line a second, wrong one at -1 + W / (2 penalty): the penalty keeps the slope from crossing 0."""
    x, fake = torch.full((4, 1), 2.0), torch.full((4, 1), 0.5)
    D = nn.Sequential(nn.Linear(1, 1), nn.Flatten(0))
    nn.init.constant_(D[0].weight, start)
    opt = torch.optim.SGD(D.parameters(), 0.02)
    for _ in range(300):
        opt.zero_grad()
        (10 * gradient_penalty(D, x, fake) - D(x).mean() + D(fake).mean()).backward()
        opt.step()
    assert D[0].weight.item() == pytest.approx(end, abs=1e-4)


def test_critic_measures_the_exact_distance_on_a_line():
    """Two clouds of unlike shape on a line in the plane, so that the slope can turn to the right side. The
    finite penalty costs a few percent, the finite network a few more."""
    line = torch.tensor([[1.0, 0.0]])
    x, fake = (torch.randn(500, 1) * 0.3 + 1) * line, (torch.rand(500, 1) * 2 - 1) * line  # (500, 2) each
    exact = wasserstein_distance(x[:, 0].numpy(), fake[:, 0].numpy())
    _, D = players(0, 2, 1, (32, 2), stddev=False)
    opt = torch.optim.Adam(D.parameters(), 5e-3, (0.5, 0.9))
    for _ in range(250):
        opt.zero_grad()
        (10 * gradient_penalty(D, x, fake) - D(x).mean() + D(fake).mean()).backward()
        opt.step()
    measured = (D(x).mean() - D(fake).mean()).item()
    assert measured == pytest.approx(exact, rel=0.12)


# ---- a run to watch


def test_ring_centres_are_the_means_of_the_ring():
    ring = toys.ring(80_000)
    means = torch.stack([ring.x[ring.y == k].mean(0) for k in range(8)])
    torch.testing.assert_close(means, ring_centres(), atol=4 * 0.02 / 100, rtol=0)


class Judge(nn.Module):
    """D(x) = w x: its slope is w everywhere."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x):
        return x @ self.w


def test_push_is_the_slope_of_each_game():
    samples = torch.tensor([[0.0, 0.0], [-60.0, 0.0], [0.5, 2.0]])
    w = torch.tensor([1.0, -0.5])
    real = (samples @ w).sigmoid()[:, None]  # D's probabilities: 1/2, about 0, 0.38
    for game, weight in (("non-saturating", 1 - real), ("min-max", real), ("feature matching", 1 - real)):
        gan = plane_gan(game=game)
        gan.D = Judge([1.0, -0.5])
        torch.testing.assert_close(push(gan, samples), weight * w)


def test_train_step_is_the_step_of_fit():
    gan = plane_gan(r1=0.1, d_steps=2)
    twin = deepcopy(gan)
    opts, twins = gan.optimizers(), twin.optimizers()
    for o in twins.values():
        for group in o.param_groups:
            group["initial_lr"] = group["lr"]
    for step in range(4):
        x = toys.moons(32, seed=step).x
        torch.manual_seed(step)
        mine = adversaries.train_step(gan, opts, x, step, 0.5)
        torch.manual_seed(step)
        logs = one_step(twin, [x], twins, step, 0.5, None, one_device("cpu"))
        assert mine == {k.removeprefix("loss/"): v for k, v in logs.items() if k.startswith("loss/")}
    for a, b in zip(gan.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)


def test_watch_neither_disturbs_nor_hears_other_draws():
    points = toys.moons(64).x
    before = torch.random.get_rng_state()
    quiet = list(watch(points, seed=3, steps=20, batch=16))
    assert torch.equal(torch.random.get_rng_state(), before)
    loud = []
    for moment in watch(points, seed=3, steps=20, batch=16):
        torch.randn(7)
        loud.append(moment)
    assert [m.step for m in loud] == [0, 10, 20]
    assert all(torch.equal(a.samples, b.samples) for a, b in zip(quiet, loud, strict=True))
    assert not torch.equal(quiet[0].samples, quiet[2].samples)  # it learns
    assert not torch.equal(quiet[0].samples, next(watch(points, seed=4)).samples)


def test_arrows_begin_at_samples_and_point_where_d_says_more_real():
    gan = plane_gan()
    moment = adversaries._moment(gan, toys.ring(256).x, torch.randn(256, 2), 0, {})
    start, along = moment.arrows[:, :2], moment.arrows[:, 2:]  # (40, 2), (40, 2)
    assert torch.equal(start, moment.samples[:40])
    assert along.norm(dim=1).max() < adversaries.REACH
    up = along / along.norm(dim=1, keepdim=True)
    assert (gan.D(start + 0.02 * up) > gan.D(start)).all()
    corner = torch.tensor([[1.0, -1.0]])  # the lower right is the last of the first row
    torch.testing.assert_close(moment.field[0, -1:], gan.D(corner).sigmoid())


def test_numbers_of_the_ring_and_of_own_points():
    ring = toys.ring(256).x
    share = mode_coverage(ring, ring_centres(), 0.02).high_quality
    assert adversaries._numbers(ring, ring) == {"modes covered": "8 of 8", "high quality": f"{share:.0%}"}
    one = ring[ring[:, 0] > 0.7]
    assert adversaries._numbers(ring, one)["modes covered"] == "1 of 8"
    left, right = torch.rand(50, 2) * 0.1 - 0.8, torch.rand(50, 2) * 0.1 + 0.7
    own = torch.cat([left, right])
    names = {"samples near a point": "100%", "points near a sample": "50%"}
    assert adversaries._numbers(own, left) == names
    assert adversaries._numbers(own, left + 5)["samples near a point"] == "0%"
    assert adversaries._numbers(own[:1], own[:1])["points near a sample"] == "100%"


def test_watch_refuses_what_it_cannot_learn():
    with pytest.raises(CourseError, match=r"shape \(N, 2\)"):
        next(watch(torch.zeros(5, 3)))
    with pytest.raises(CourseError, match="NaN"):
        next(watch(torch.full((5, 2), math.nan)))


# ---- settings that work, settings that fail


def on_the_ring(settings, seed, steps):
    """Modes covered and high quality of 5,000 samples after a training."""
    torch.manual_seed(seed)
    gan = plane_gan(**settings)
    ring = toys.ring(4_000, seed=seed).unlabelled()
    fit(gan, ring, steps=steps, batch=128, lr=warmup_cosine(steps), seed=seed, progress=False)
    *_, last = gan.sample(5_000, generator=torch.Generator().manual_seed(seed))
    return mode_coverage(last.x, ring_centres(), adversaries.RING_STD)


def test_every_failure_has_a_cure_that_differs_in_less_from_the_recommended_settings():
    assert list(FAILURES) == list(CURES)
    for name, failure in FAILURES.items():
        assert set(CURES[name].items()) < set(failure.items())
        assert len(failure) - len(CURES[name]) == 1  # one thing is changed


@pytest.mark.trust
@pytest.mark.parametrize("seed", range(5))
def test_recommended_settings_find_all_modes_in_each_seed(seed):
    covered, quality = on_the_ring({}, seed, 5_000)
    assert covered == 8
    assert quality >= 0.9


@pytest.mark.trust
@pytest.mark.parametrize("name", list(FAILURES))
def test_failures_fail_and_their_cures_cure_in_four_of_five_seeds(name):
    failed = [on_the_ring(FAILURES[name], seed, 800).covered for seed in range(5)]
    cured = [on_the_ring(CURES[name], seed, 800).covered for seed in range(5)]
    assert sum(modes <= 4 for modes in failed) >= 4, failed
    assert sum(b > a for a, b in zip(failed, cured, strict=True)) >= 4, (failed, cured)


@pytest.mark.trust
@pytest.mark.parametrize("seed", range(2))
def test_a_wasserstein_gan_finds_all_modes_and_its_distance_falls(seed):
    torch.manual_seed(seed)
    method = WGANGP(latent=2, channels=2, size=0, widths=(64, 3), penalty=1.0)
    points = toys.ring(4_000).unlabelled()
    run = fit(method, points, steps=4_000, batch=128, lr=warmup_cosine(4_000), seed=seed, progress=False)
    *_, last = method.sample(2_000, generator=torch.Generator().manual_seed(0))
    assert mode_coverage(last.x, ring_centres(), RING_STD).covered == 8
    distance = [value for _, value in run.history["distance"]]
    assert sum(distance[-100:]) < 0.8 * sum(distance[500:600])
