"""Gaussians, likelihoods of pictures, bits per dimension: against closed forms and independent libraries."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions

from course_lib.metrics import bits_per_dim
from course_lib.nn import likelihoods
from course_lib.nn.gaussian import kl_to_standard, log_density, log_standard, reparameterize

LEVELS = torch.linspace(-1, 1, 256, dtype=torch.float64).view(-1, 1, 1, 1)  # a picture of one pixel for each


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coin(*shape, seed=0):
    """Pictures in black and white, -1 and 1."""
    return random(*shape, seed=seed).sign()


def normal(mu, logvar):
    return distributions.Normal(mu, torch.exp(logvar / 2))


# ---- Gaussians given by mean and log-variance


def test_kl_is_that_of_torch():
    mu, logvar = 3 * random(50, 7), 3 * random(50, 7, seed=1)
    standard = distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    expected = distributions.kl_divergence(normal(mu, logvar), standard)
    assert torch.allclose(kl_to_standard(mu, logvar), expected, rtol=1e-10)


def test_kl_keeps_its_digits_near_the_prior():
    """v^2 / 4 + v^3 / 12 for a small log-variance v, where exp(v) - 1 - v in float32 is mostly rounding."""
    v = torch.linspace(-2e-3, 2e-3, 1000)
    kl = kl_to_standard(torch.zeros_like(v), v)
    assert (kl >= 0).all()
    assert torch.allclose(kl, v**2 / 4 + v**3 / 12, rtol=1e-3, atol=1e-10)


def test_log_densities_are_those_of_torch():
    z, mu, logvar = (3 * random(50, 7, seed=seed) for seed in range(3))
    assert torch.allclose(log_density(z, mu, logvar), normal(mu, logvar).log_prob(z), rtol=1e-10)
    standard = distributions.Normal(torch.zeros_like(z), torch.ones_like(z))
    assert torch.allclose(log_standard(z), standard.log_prob(z), rtol=1e-10)


def test_draws_have_the_mean_and_the_variance_asked_for():
    """Of 40,000 draws for each of six Gaussians, within five standard errors."""
    n = 40_000
    mu = torch.tensor([-3.0, 0.0, 0.5, 2.0, 0.0, 10.0], dtype=torch.float64)
    logvar = torch.tensor([-4.0, -1.0, 0.0, 1.0, 2.0, -2.0], dtype=torch.float64)
    z = reparameterize(mu.expand(n, -1), logvar.expand(n, -1))
    variance = logvar.exp()
    assert ((z.mean(0) - mu).abs() < 5 * (variance / n).sqrt()).all()
    assert ((z.var(0) - variance).abs() < 5 * variance * math.sqrt(2 / n)).all()


def test_draws_of_rows_and_of_dimensions_are_independent():
    """All correlations of 4 rows x 3 dimensions, over 20,000 repetitions, within five standard errors."""
    n, mu = 20_000, torch.zeros(4, 3, dtype=torch.float64)
    z = torch.stack([reparameterize(mu, mu).flatten() for _ in range(n)])  # (n, 12)
    correlation = torch.corrcoef(z.T) - torch.eye(12)
    assert correlation.abs().max() < 5 / math.sqrt(n)


def test_gradients_pass_through_a_draw():
    """dz/dmu = 1 and dz/dlogvar = (z - mu) / 2, since sigma = exp(logvar / 2)."""
    mu, logvar = random(30, 5).requires_grad_(), random(30, 5, seed=1).requires_grad_()
    z = reparameterize(mu, logvar)
    weight = random(30, 5, seed=2)
    by_mu, by_logvar = torch.autograd.grad((weight * z).sum(), (mu, logvar))
    assert torch.allclose(by_mu, weight)
    assert torch.allclose(by_logvar, weight * (z - mu) / 2)


# ---- likelihoods of pictures


def test_gaussian_is_the_normal_of_torch():
    x, mean, pixels = (random(5, 3, 4, 4, seed=seed) for seed in range(3))
    for log_sigma in (torch.tensor(-1.3, dtype=torch.float64), pixels[0], pixels):
        expected = distributions.Normal(mean, log_sigma.exp()).log_prob(x).sum((1, 2, 3))
        assert torch.allclose(likelihoods.gaussian(x, mean, log_sigma), expected, rtol=1e-10)


def test_gaussian_is_likeliest_where_sigma_is_the_root_mean_squared_error():
    x, mean = random(5, 1, 4, 4), 0.3 * random(5, 1, 4, 4, seed=1)
    error = (x - mean).square().mean()
    best = (error.log() / 2).requires_grad_()
    value = likelihoods.gaussian(x, mean, best).mean()
    assert value.item() == pytest.approx(-8 * (math.log(2 * math.pi * error) + 1), rel=1e-12)  # 16 pixels / 2
    value.backward()
    assert best.grad.item() == pytest.approx(0, abs=1e-12)
    for change in (-0.05, 0.05):
        assert likelihoods.gaussian(x, mean, best + change).mean() < value


def test_bernoulli_is_that_of_torch_on_black_and_white():
    x, logits = coin(6, 3, 4, 4), 3 * random(6, 3, 4, 4, seed=1)
    expected = distributions.Bernoulli(logits=logits).log_prob((x + 1) / 2).sum((1, 2, 3))
    assert torch.allclose(likelihoods.bernoulli(x, logits), expected, rtol=1e-10)


def test_bernoulli_sums_to_one_over_all_pictures():
    """The 16 black and white pictures of 2 x 2 pixels."""
    number = torch.arange(16)[:, None]
    every = ((number >> torch.arange(4)) % 2 * 2 - 1).view(16, 1, 2, 2).double()
    logits = 2 * random(1, 1, 2, 2).expand(16, -1, -1, -1)
    assert likelihoods.bernoulli(every, logits).exp().sum().item() == pytest.approx(1, rel=1e-12)


def test_bernoulli_stays_finite_where_the_decoder_is_sure_and_wrong():
    logits = torch.full((1, 1, 2, 2), 1e4, requires_grad=True)
    value = likelihoods.bernoulli(-torch.ones(1, 1, 2, 2), logits)
    assert value.item() == pytest.approx(-4e4, rel=1e-6)
    value.sum().backward()
    assert torch.allclose(logits.grad, torch.tensor(-1.0))


# ---- the discretised logistic

MEANS = (-40.0, -1.5, -1.0, -0.996, -0.3, 0.0, 1 / 255, 0.77, 1.0, 3.0)
LOG_SCALES = (-7.0, -5.0, -3.0, -1.0, 0.0, 2.0, 6.0)


def of_levels(mean, log_scale, dtype=torch.float64):
    """Log-probabilities of the 256 levels, (256,)."""
    x = LEVELS.to(dtype)
    return likelihoods.discretised_logistic(x, torch.full_like(x, mean), torch.full_like(x, log_scale))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)])
def test_levels_sum_to_one(dtype, tolerance):
    for mean in MEANS:
        for log_scale in LOG_SCALES:
            total = of_levels(mean, log_scale, dtype).double().exp().sum().item()
            assert total == pytest.approx(1, abs=tolerance), (mean, log_scale)


def by_scipy(mean, log_scale):
    """The mass of each bin, from whichever tail is the shorter one: a difference near 1 has no digits."""
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 127.5 - 1, [np.inf]])
    logistic = stats.logistic(mean, math.exp(log_scale))
    lower, upper = np.diff(logistic.cdf(edges)), -np.diff(logistic.sf(edges))
    return np.where(edges[:-1] < mean, lower, upper)


def test_levels_have_the_mass_of_their_bins():
    for mean in MEANS:
        for log_scale in LOG_SCALES:
            expected = by_scipy(mean, log_scale)
            given = of_levels(mean, log_scale).exp().numpy()
            assert np.allclose(given, expected, rtol=1e-8, atol=1e-300), (mean, log_scale)


def test_float32_gives_the_same_as_float64():
    for mean in MEANS:
        for log_scale in LOG_SCALES:
            exact, given = of_levels(mean, log_scale), of_levels(mean, log_scale, torch.float32)
            assert torch.allclose(given.double(), exact, rtol=1e-4, atol=2e-4), (mean, log_scale)


def test_values_and_gradients_are_finite_everywhere():
    """Float32, scales from e^-60 to e^60, means a million away; and never above 0."""
    x = LEVELS.float()
    for log_scale in (-60.0, -40.0, -20.0, -7.0, 0.0, 20.0, 60.0):
        for mean in (-1e6, -1e3, -1.0, 0.0, 1.0, 3.0, 1e6):
            parts = [torch.full_like(x, value).requires_grad_() for value in (mean, log_scale)]
            value = likelihoods.discretised_logistic(x, *parts)
            gradients = torch.autograd.grad(value.sum(), parts)
            assert (value <= 0).all(), (mean, log_scale)
            assert all(torch.isfinite(part).all() for part in (value, *gradients)), (mean, log_scale)


def test_far_out_the_gradient_still_points_home():
    """d log P / d mean = -1 / scale for a mean far above the level's bin, where sigmoids themselves are 0."""
    x = torch.tensor([-1.0, 0.2]).view(2, 1, 1, 1)
    mean = torch.full_like(x, 50).requires_grad_()
    value = likelihoods.discretised_logistic(x, mean, torch.full_like(x, math.log(0.05)))
    (gradient,) = torch.autograd.grad(value.sum(), mean)
    assert torch.allclose(gradient, torch.tensor(-20.0), rtol=1e-5)


def test_a_very_wide_scale_leaves_the_two_ends_one_bit_each():
    """At scale s an inner bin of width 2/255 has the density at the centre, 1 / (4 s), times that width."""
    log_scale = 12.0
    given = of_levels(0.0, log_scale)
    assert torch.allclose(given[1:-1], torch.tensor(math.log(2 / 255 / 4) - log_scale).double(), rtol=1e-6)
    assert given[[0, -1]].exp().tolist() == pytest.approx([0.5, 0.5], abs=1e-5)


def test_a_very_narrow_scale_knows_the_level():
    for level in (0, 1, 100, 255):
        given = of_levels(LEVELS[level].item(), -9.0).exp()
        assert given[level].item() == pytest.approx(1, abs=1e-12)


def test_discretised_logistic_sums_over_channels_and_pixels():
    x = LEVELS[torch.randint(256, (5 * 3 * 4 * 2,))].view(5, 3, 4, 2)
    mean, log_scale = random(5, 3, 4, 2), random(5, 3, 4, 2, seed=1) - 2
    single = (t.reshape(-1, 1, 1, 1) for t in (x, mean, log_scale))
    expected = likelihoods.discretised_logistic(*single).view(5, -1).sum(1)
    assert torch.allclose(likelihoods.discretised_logistic(x, mean, log_scale), expected, rtol=1e-10)


# ---- the discretised Gaussian


def of_gaussian(mean, log_sigma, dtype=torch.float64):
    """Log-probabilities of the 256 levels, (256,)."""
    x = LEVELS.to(dtype)
    return likelihoods.discretised_gaussian(x, torch.full_like(x, mean), torch.tensor(log_sigma, dtype=dtype))


def test_levels_of_a_gaussian_sum_to_one():
    """DDPM eq. 13: over the 256 levels the masses of the bins are all there is."""
    for mean in MEANS:
        for log_sigma in LOG_SCALES:
            total = of_gaussian(mean, log_sigma).exp().sum().item()
            assert total == pytest.approx(1, abs=1e-11), (mean, log_sigma)


def test_levels_of_a_gaussian_have_the_mass_of_their_bins():
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 127.5 - 1, [np.inf]])
    for mean in MEANS:
        for log_sigma in LOG_SCALES:
            normal = stats.norm(mean, math.exp(log_sigma))
            expected = np.where(edges[:-1] < mean, np.diff(normal.cdf(edges)), -np.diff(normal.sf(edges)))
            given = of_gaussian(mean, log_sigma).exp().numpy()
            assert np.allclose(given, expected, rtol=1e-7, atol=1e-290), (mean, log_sigma)
            single = of_gaussian(mean, log_sigma, torch.float32)
            assert torch.allclose(single.double(), of_gaussian(mean, log_sigma), rtol=1e-4, atol=1e-4)


def test_values_and_gradients_of_a_gaussian_are_finite_everywhere():
    x = LEVELS.float()
    for log_sigma in (-60.0, -20.0, -7.0, 0.0, 20.0):
        for mean in (-1e6, -1e3, -1.0, 0.0, 1.0, 3.0, 1e6):
            parts = [torch.full_like(x, value).requires_grad_() for value in (mean, log_sigma)]
            value = likelihoods.discretised_gaussian(x.double(), *parts)
            gradients = torch.autograd.grad(value.sum(), parts)
            assert (value <= 0).all(), (mean, log_sigma)
            assert torch.isfinite(value).all(), (mean, log_sigma)
            if (1 + abs(mean)) * math.exp(-log_sigma) < 2e6:
                assert all(torch.isfinite(part).all() for part in gradients), (mean, log_sigma)


def test_far_from_the_mean_a_gaussian_falls_as_the_square():
    """-(d / sigma)^2 / 2 where d is the near edge of the bin; and the gradient -d / sigma^2 points home."""
    sigma, mean = 0.01, torch.tensor(1.5).view(1, 1, 1, 1).requires_grad_()
    x = torch.tensor(51 / 127.5 - 1).view(1, 1, 1, 1)
    value = likelihoods.discretised_gaussian(x, mean, torch.tensor(math.log(sigma)))
    d = 1.5 - x.item() - 1 / 255
    assert value.item() == pytest.approx(-((d / sigma) ** 2) / 2, rel=1e-3)
    (gradient,) = torch.autograd.grad(value.sum(), mean)
    assert gradient.item() == pytest.approx(-d / sigma**2, rel=1e-3)


def test_discretised_gaussian_sums_over_channels_and_pixels():
    x = LEVELS[torch.randint(256, (5 * 3 * 4 * 2,))].view(5, 3, 4, 2)
    mean, log_sigma = random(5, 3, 4, 2), random(5, 3, 4, 2, seed=1) - 2
    single = (t.reshape(-1, 1, 1, 1) for t in (x, mean, log_sigma))
    expected = likelihoods.discretised_gaussian(*single).view(5, -1).sum(1)
    assert torch.allclose(likelihoods.discretised_gaussian(x, mean, log_sigma), expected, rtol=1e-10)


# ---- bits per dimension


def test_bits_per_dim():
    assert bits_per_dim(-784 * math.log(256), 784) == pytest.approx(8)  # 256 levels, all equally likely
    assert bits_per_dim(3 * math.log(4), 3) == pytest.approx(-2)  # a density may be above 1
    x = coin(4, 3, 8, 8)
    nats = likelihoods.bernoulli(x, torch.zeros_like(x)).mean().item()  # 192 fair coins
    assert bits_per_dim(nats, 192) == pytest.approx(1)
