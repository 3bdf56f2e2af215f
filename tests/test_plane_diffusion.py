"""Diffusion in the plane: the exact denoiser against autograd and closed forms, the network against both."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from course_lib import toys
from course_lib.errors import CourseError
from course_lib.plane_diffusion import (
    REACH,
    PlaneDiffusion,
    arrows,
    density,
    exact_eps,
    numbers,
    score,
    train_step,
    walk,
    watch,
)
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, x0_from_eps


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def noised(points, a):
    """q_t of a finite set of points (N, D), as torch.distributions has it."""
    parts = Independent(Normal(a.sqrt() * points, (1 - a).sqrt()), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(points), dtype=torch.float64)), parts)


# ---- the exact denoiser


@pytest.mark.parametrize("a", [0.999, 0.9, 0.3, 1e-4])
def test_the_exact_score_is_the_gradient_of_the_log_density(a):
    a, points = number(a), torch.randn(17, 2, dtype=torch.float64)
    x = (a.sqrt() * points[:9] + 1.5 * (1 - a).sqrt() * torch.randn(9, 2)).requires_grad_()
    (grad,) = torch.autograd.grad(noised(points, a).log_prob(x).sum(), x)
    with torch.no_grad():
        torch.testing.assert_close(score(exact_eps(points, x, a), a), grad)


def test_the_exact_score_of_pictures_is_that_of_their_pixels():
    a, points = number(0.6), torch.randn(5, 1, 2, 3, dtype=torch.float64)
    x = torch.randn(4, 1, 2, 3, dtype=torch.float64)
    flat = exact_eps(points.flatten(1), x.flatten(1), a)
    torch.testing.assert_close(exact_eps(points, x, a), flat.view(4, 1, 2, 3))
    expected = (x - a.sqrt() * points[:1]) / (1 - a).sqrt()  # one point: all that is not signal is noise
    torch.testing.assert_close(exact_eps(points[:1], x, a), expected)


def test_between_two_points_the_best_guess_is_their_weighted_mean():
    """On a line through both, the posterior odds of +1 against -1 are exp(2 sqrt(a) x / (1 - a))."""
    a, x = number(0.5), torch.linspace(-2, 2, 9, dtype=torch.float64)
    points = torch.tensor([[1.0, 0], [-1.0, 0]], dtype=torch.float64)
    places = torch.stack([x, torch.zeros(9)], dim=1)
    guess = x0_from_eps(places, exact_eps(points, places, a), a)
    torch.testing.assert_close(guess[:, 0], torch.tanh(a.sqrt() * x / (1 - a)))


def test_with_little_noise_the_exact_denoiser_names_a_training_point():
    points = torch.rand(50, 2) * 2 - 1
    a = torch.tensor(1 - 1e-6)
    x = add_noise(points, torch.randn(50, 2), a)
    torch.testing.assert_close(x0_from_eps(x, exact_eps(points, x, a), a), points, atol=1e-5, rtol=0)


def test_many_points_of_a_gaussian_have_the_gaussian_s_score():
    """q_t of N(m, v) is N(sqrt(a) m, a v + 1 - a)."""
    m, v, a = torch.tensor([0.4, -0.2]), torch.tensor([0.3, 0.1]), torch.tensor(0.7)
    points = m + v.sqrt() * torch.randn(40_000, 2)
    x = torch.rand(20, 2) * 2 - 1
    expected = (a.sqrt() * m - x) / (a * v + 1 - a)
    torch.testing.assert_close(score(exact_eps(points, x, a), a), expected, atol=0.04, rtol=0)


def test_tweedie_s_formula_is_the_guess_of_x0():
    a, points, x = number(0.4), torch.randn(6, 2, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    eps = exact_eps(points, x, a)
    torch.testing.assert_close((x + (1 - a) * score(eps, a)) / a.sqrt(), x0_from_eps(x, eps, a))


# ---- the network


def test_the_loss_of_a_network_that_says_nothing_is_the_size_of_v():
    """v = sqrt(a) eps - sqrt(1 - a) x_0 with x_0 = 0 has the mean square E[a]; t <= k with probability
    sqrt(k / T)."""
    model = PlaneDiffusion()
    torch.nn.init.zeros_(model.net[-1].weight)
    torch.nn.init.zeros_(model.net[-1].bias)
    loss = model.loss(torch.zeros(40_000, 2), torch.Generator().manual_seed(1))
    share = (torch.arange(1001) / 1000).sqrt().diff()  # of t = 1 .. 1000
    assert loss.item() == pytest.approx((share * model.alpha_bar[1:]).sum().item(), abs=0.02)


def test_on_one_gaussian_the_network_learns_its_score():
    """Data N(m, v I): E[eps | x] = sqrt(1 - a) (x - sqrt(a) m) / (a v + 1 - a)."""
    m, v = torch.tensor([0.5, -0.3]), 0.09
    model, own = PlaneDiffusion(), torch.Generator().manual_seed(0)
    opt = torch.optim.AdamW(model.parameters(), 1e-2, (0.9, 0.99), weight_decay=0.0)
    for k in range(250):
        x0 = m + v**0.5 * torch.randn(256, 2, generator=own)
        train_step(model, opt, x0, 1 - k / 250, own)
    for t in (100, 400, 700, 950):
        a = model.alpha_bar[t]
        x = a.sqrt() * m + (a * v + 1 - a).sqrt() * torch.randn(500, 2)
        wanted = (1 - a).sqrt() * (x - a.sqrt() * m) / (a * v + 1 - a)
        with torch.no_grad():
            found = model.eps(x, torch.full((500,), t))
        assert (found - wanted).square().mean().sqrt() < 0.12 * wanted.square().mean().sqrt() + 0.03


def test_watching_is_repeatable_and_leaves_the_global_generator_alone():
    points = toys.moons(64).x
    before = torch.get_rng_state()
    first, again = (list(watch(points, steps=6, every=3, batch=16, shown=8)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert [moment.step for moment in first] == [0, 3, 6]
    for one, two in zip(first, again, strict=True):
        assert torch.equal(one.samples, two.samples)
        assert torch.equal(one.arrows, two.arrows)
    assert first[0].losses == {}
    assert first[1].losses["loss"] > 0
    assert not torch.equal(first[0].samples, first[2].samples)
    other = list(watch(points, steps=6, every=3, batch=16, shown=8, seed=1))
    assert not torch.equal(other[2].samples, first[2].samples)


def test_arrows_of_a_run_are_at_the_noise_level_that_was_asked_for():
    """Before training, the net's arrows at level a: the same as of a fresh net at the nearest t."""
    points, a = toys.ring(64).x, 0.3
    moment = next(watch(points, a, shown=4))
    torch.manual_seed(0)
    model = PlaneDiffusion()
    t = int((alpha_bars(cosine_betas()) >= a).sum()) - 1  # the last one that is not noisier
    near = [arrows(model.eps, t), arrows(model.eps, t + 1)]
    assert any(torch.equal(moment.arrows, found) for found in near)
    torch.testing.assert_close(moment.field, density(points, torch.tensor(a)), atol=1e-2, rtol=0)


@pytest.mark.trust  # 3,000 steps take 10 to 20 seconds
def test_the_ring_is_learnt():
    *_, last = watch(toys.ring(256).x)
    assert last.numbers["modes covered"] == "8 of 8"
    assert int(last.numbers["high quality"].rstrip("%")) >= 80


# ---- what is drawn


def test_arrows_point_down_the_noise_and_are_squashed():
    found = arrows(lambda x, t: 3 * x + t[:, None] - 7, t=7)  # noise that points away from the centre
    assert found.shape == (81, 4)
    place, arrow = found[:, :2], found[:, 2:]
    assert place[0].tolist() == pytest.approx([-0.9, -0.9])  # from the bottom left,
    assert place[1].tolist() == pytest.approx([-0.675, -0.9])  # along x first
    size = 3 * place.norm(dim=1, keepdim=True)
    torch.testing.assert_close(arrow, -3 * place * REACH / (1 + size))


def test_density_is_the_odds_against_an_even_spread():
    points, a = toys.spirals(30).x.double(), number(0.8)
    line = torch.linspace(-1, 1, 32, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    q = noised(points, a).log_prob(torch.stack([x, y], dim=-1)).exp()  # (32, 32)
    torch.testing.assert_close(density(points, a).double(), q / (q + 0.25), atol=1e-5, rtol=0)


def test_numbers_on_the_ring_and_elsewhere():
    ring = toys.ring(256)
    half = ring.x[ring.y < 4]
    assert numbers(ring.x, half)["modes covered"] == "4 of 8"
    assert numbers(ring.x, half)["copies of a point"] == "100%"
    points = torch.tensor([[0.0, 0.0], [0.5, 0.5]])
    samples = torch.tensor([[0.001, 0.0], [0.01, 0.0], [0.07, 0.0], [0.55, 0.5]])
    assert numbers(points, samples) == {"samples near a point": "75%", "copies of a point": "25%"}


@pytest.mark.parametrize("name", ["ring", "moons", "spirals", "checkerboard"])
def test_the_exact_denoiser_memorises(name):
    """All its samples but a few, between two neighbours, end on a training point, and they come from many."""
    points = getattr(toys, name)(100).x
    moments = list(walk(points, steps=40, shown=200))
    assert [moment.step for moment in moments] == list(range(41))
    first, last = moments[0], moments[-1]
    assert first.samples.std().item() == pytest.approx(1, abs=0.1)  # it starts from N(0, I)
    assert int(last.numbers["copies of a point"].rstrip("%")) >= 97
    assert torch.cdist(last.samples, points).argmin(1).unique().numel() > 60
    assert first.arrows.shape == (81, 4)
    assert last.field.max() <= 1


@pytest.mark.parametrize(
    ("points", "a", "sentence"),
    [
        (torch.zeros(3), 0.5, r"points must have the shape \(N, 2\), N at least 1, got \(3,\)"),
        (torch.zeros(0, 2), 0.5, "N at least 1"),
        (torch.tensor([[0.0, torch.nan]]), 0.5, "NaN or infinite"),
        (torch.zeros(3, 2), 1.0, "a must lie between 0"),
    ],
)
def test_bad_input_is_refused(points, a, sentence):
    with pytest.raises(CourseError, match=sentence):
        next(watch(points, a))


def test_a_playground_shows_both():
    pytest.importorskip("anywidget", reason="the widgets need the [lab] extra")
    from course_lib.widgets import PlayFrame, Playground2D

    playground = Playground2D(
        {
            "training": lambda points: (PlayFrame(*m) for m in watch(points, steps=4, every=2)),
            "exact": lambda points: (PlayFrame(*m) for m in walk(points, steps=4)),
        },
        preview=3,
        scale="density",
    )
    assert playground.problem == ""
    assert playground.moments[-1]["step"] == 4
    playground.setting = "exact"
    playground.play(9)
    assert playground.state()["over"] == "The run ended at step 4."
