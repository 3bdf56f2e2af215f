"""Noise schedules: published values, and identities that hold at every time."""

import math

import pytest
import torch

from course_lib import schedules
from course_lib.schedules import (
    add_noise,
    alpha_bars,
    cosine_betas,
    eps_from_v,
    eps_from_x0,
    linear_betas,
    posterior_mean,
    posterior_variance,
    snr,
    v_from,
    x0_from_eps,
    x0_from_v,
)

SCHEDULES = {"linear": linear_betas(), "cosine": cosine_betas(), "short": linear_betas(10, 0.01, 0.5)}
every_schedule = pytest.mark.parametrize("betas", SCHEDULES.values(), ids=SCHEDULES)
T_AND_S = [(1, 0), (2, 1), (500, 499), (1000, 999), (1000, 1), (700, 350), (40, 0)]


@pytest.fixture
def a():
    """alpha_bar of the linear schedule."""
    return alpha_bars(linear_betas())


def numbers(seed, batch=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 2, 3, 3, generator=generator, dtype=torch.float64)


# ---- tables


def test_linear_betas_rise_evenly_between_the_papers_ends():
    betas = linear_betas()
    assert betas.dtype == torch.float64
    assert betas.shape == (1001,)
    assert betas[0] == 0
    assert betas[1].item() == pytest.approx(1e-4, rel=1e-12)
    assert betas[1000].item() == pytest.approx(0.02, rel=1e-12)
    rises = betas[2:] - betas[1:-1]
    assert torch.allclose(rises, rises.mean().expand(999), rtol=1e-9)


def test_published_values_of_the_linear_schedule(a):
    assert a[1000].item() == pytest.approx(4.036e-5, rel=1e-4)
    variances = [posterior_variance(a[t], a[t - 1]).item() for t in (1, 488, 1000)]
    assert variances[0] == 0
    assert variances[1] == pytest.approx(0.00979, abs=5e-6)
    assert variances[2] == pytest.approx(0.02, abs=5e-6)


def test_alpha_bar_is_the_product_of_what_is_left():
    betas = torch.tensor([0.0, 0.1, 0.25, 0.5])
    assert torch.allclose(alpha_bars(betas), torch.tensor([1.0, 0.9, 0.675, 0.3375]))


def test_cosine_schedule_is_the_papers_formula_up_to_the_largest_beta():
    betas = cosine_betas(T=1000, s=0.008, most=0.999)
    a = alpha_bars(betas)
    f = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(1001)]
    for t in (0, 1, 2, 300, 500, 998, 999):
        assert a[t].item() == pytest.approx(f[t] / f[0], rel=1e-9)
    assert betas[1000] == betas.max() == 0.999
    assert cosine_betas(most=0.5).max() == 0.5
    assert cosine_betas(T=50).shape == (51,)


@every_schedule
def test_a_schedule_starts_with_the_clean_picture_and_only_loses(betas):
    a = alpha_bars(betas)
    assert betas[0] == 0
    assert a[0] == 1
    assert (a[1:] < a[:-1]).all()
    assert a[-1] > 0
    ratio = snr(a)
    assert ratio[0] == math.inf
    assert (ratio[1:] < ratio[:-1]).all()
    assert torch.allclose(ratio[1:], 1 / (1 / a[1:] - 1))


# ---- q(x_t | x_0)


@every_schedule
def test_noise_added_at_once_is_noise_added_step_by_step(betas):
    """x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) eps (DDPM eq. 2), followed through mean and variance."""
    a = alpha_bars(betas)
    mean, variance = 1.0, 0.0
    for t, beta in list(enumerate(betas.tolist()))[1:]:
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
        one, nothing = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        assert add_noise(one, nothing, a[t]).item() == pytest.approx(mean, rel=1e-9)
        assert add_noise(nothing, one, a[t]).item() ** 2 == pytest.approx(variance, rel=1e-9)


def test_each_picture_has_a_time_of_its_own_or_all_have_one(a):
    x0, eps = numbers(0), numbers(1)
    t = torch.tensor([0, 1, 500, 1000])
    together = add_noise(x0, eps, a[t])
    assert torch.equal(together[0], x0[0])
    for k, one in enumerate(t):
        assert torch.equal(add_noise(x0, eps, a[one])[k], together[k])


def test_weights_of_single_precision_pictures_are_exact_to_single_precision(a):
    """In float32, 1 - alpha_bar_1 has four digits left; the pictures must not feel it."""
    eps = torch.ones(1, 1)
    noise = add_noise(torch.zeros(1, 1), eps, a[1])
    assert noise.dtype == torch.float32
    assert noise.item() == pytest.approx(0.01, rel=1e-6)


# ---- x_0, eps, v


@every_schedule
def test_any_two_of_x_x0_eps_v_give_the_others(betas):
    a = alpha_bars(betas)[torch.tensor([1, len(betas) // 2, len(betas) - 2, len(betas) - 1])]
    x0, eps = numbers(2), numbers(3)
    x, v = add_noise(x0, eps, a), v_from(x0, eps, a)
    for found, true in (
        (x0_from_eps(x, eps, a), x0),
        (eps_from_x0(x, x0, a), eps),
        (x0_from_v(x, v, a), x0),
        (eps_from_v(x, v, a), eps),
    ):
        assert torch.allclose(found, true, rtol=1e-7, atol=1e-7)


def test_x_and_v_are_x0_and_eps_turned_by_an_angle(a):
    x0, eps = numbers(4), numbers(5)
    t = torch.tensor([3, 250, 600, 1000])
    x, v = add_noise(x0, eps, a[t]), v_from(x0, eps, a[t])
    assert torch.allclose(x.square() + v.square(), x0.square() + eps.square())
    angle = a[t].sqrt().acos().view(-1, 1, 1, 1)
    assert torch.allclose(x, angle.cos() * x0 + angle.sin() * eps)
    assert torch.allclose(v, angle.cos() * eps - angle.sin() * x0)  # the derivative of x by the angle
    assert torch.equal(v_from(x0, eps, torch.ones(())), eps)


# ---- q(x_s | x_t, x_0)


@pytest.mark.parametrize(("t", "s"), T_AND_S)
def test_posterior_is_the_product_of_two_gaussians(a, t, s):
    """Bayes: q(x_s | x_t, x_0) ~ q(x_t | x_s) q(x_s | x_0), both Gaussian in x_s."""
    x, x0 = numbers(6), numbers(7)
    alpha = a[t] / a[s]
    mean, variance = posterior_mean(x, x0, a[t], a[s]), posterior_variance(a[t], a[s])
    if s == 0:  # x_0 is known, so there is nothing to be said by x_t
        assert torch.allclose(mean, x0, rtol=1e-9)
        assert variance == 0
        return
    precision = alpha / (1 - alpha) + 1 / (1 - a[s])
    weighted = alpha.sqrt() / (1 - alpha) * x + a[s].sqrt() / (1 - a[s]) * x0
    assert variance.item() == pytest.approx(1 / precision.item(), rel=1e-9)
    assert torch.allclose(mean, weighted / precision, rtol=1e-9)


def test_posterior_with_a_time_for_each_picture(a):
    x, x0 = numbers(8, len(T_AND_S)), numbers(9, len(T_AND_S))
    t, s = torch.tensor(T_AND_S).T
    mean, variance = posterior_mean(x, x0, a[t], a[s]), posterior_variance(a[t], a[s])
    for k in range(len(T_AND_S)):
        assert torch.allclose(mean[k], posterior_mean(x[k : k + 1], x0[k : k + 1], a[t[k]], a[s[k]])[0])
        assert variance[k] == posterior_variance(a[t[k]], a[s[k]])


def test_forgetting_the_posterior_gives_the_marginal_back(a):
    """x_t drawn from q(x_t | x_0), then x_s from the posterior: x_s is as if drawn from q(x_s | x_0)."""
    for t, s in T_AND_S:
        one, nothing = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        of_x0 = posterior_mean(a[t].sqrt() * one, one, a[t], a[s]).item()
        of_noise = posterior_mean((1 - a[t]).sqrt() * one, nothing, a[t], a[s]).item()
        assert of_x0 == pytest.approx(a[s].sqrt().item(), rel=1e-9)
        total = of_noise**2 + posterior_variance(a[t], a[s]).item()
        assert total == pytest.approx((1 - a[s]).item(), rel=1e-9, abs=1e-15)


def test_nothing_here_draws_random_numbers(a):
    before = torch.get_rng_state()
    x = numbers(10)
    for function in (schedules.add_noise, schedules.v_from, schedules.x0_from_eps, schedules.eps_from_x0):
        function(x, x, a[5])
    posterior_mean(x, x, a[5], a[4])
    assert torch.equal(torch.get_rng_state(), before)
