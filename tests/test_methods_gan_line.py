"""What notebook 03 states about two players on a line, where the best detective and its loss are known."""

import math
from copy import deepcopy

import pytest
import torch
from scipy.special import rel_entr
from torch.distributions import Normal

from course_lib.fit import batch_indices, fit
from course_lib.methods.gan import GAN, d_loss, g_loss

REAL = Normal(torch.tensor(0.5, dtype=torch.float64), 0.8)


def even(law, n=20_000):
    """n values that stand for the distribution without chance: its quantiles."""
    return law.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)


def made(mean, std):
    return Normal(torch.tensor(mean, dtype=torch.float64), std)


def best_logit(x, law):
    """log p - log p_G: D* = p / (p + p_G) as a logit."""
    return REAL.log_prob(x) - law.log_prob(x)


def jsd(law):
    """The Jensen-Shannon divergence of REAL and `law`, by integration."""
    x = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    p, q = REAL.log_prob(x).exp().numpy(), law.log_prob(x).exp().numpy()
    middle = (p + q) / 2
    return (rel_entr(p, middle) + rel_entr(q, middle)).sum().item() * 0.001 / 2


def test_a_detective_that_is_trained_to_the_end_knows_the_ratio_of_the_densities():
    law = made(-0.2, 1.3)
    real, fake = even(REAL), even(law)
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)

    def logit(x):  # log p - log p_G of two Gaussians is a parabola, so this D can be perfect
        return weights[0] + weights[1] * x + weights[2] * x**2

    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = d_loss(logit(real), logit(fake))
        loss.backward()
        return loss

    optimizer.step(closure)
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    ratio = REAL.log_prob(x).exp() / (REAL.log_prob(x).exp() + law.log_prob(x).exp())
    assert logit(x).sigmoid().detach().numpy() == pytest.approx(ratio.numpy(), abs=2e-3)
    assert closure().item() == pytest.approx(2 * math.log(2) - 2 * jsd(law), abs=1e-3)


@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.8), (0.0, 1.2), (2.0, 0.3), (-2.0, 0.8), (12.0, 0.5)])
def test_the_value_of_the_best_detective_is_the_jensen_shannon_divergence(mean, std):
    law = made(mean, std)
    value = -d_loss(best_logit(even(REAL), law), best_logit(even(law), law))
    assert value.item() == pytest.approx(-2 * math.log(2) + 2 * jsd(law), abs=1e-3)


def test_the_divergence_is_0_for_equals_and_log_2_for_strangers():
    assert jsd(REAL) == pytest.approx(0, abs=1e-9)
    assert jsd(made(25.0, 0.1)) == pytest.approx(math.log(2), abs=1e-6)


def test_at_the_optimum_nobody_does_better_than_2_log_2():
    assert d_loss(torch.zeros(5), torch.zeros(5)).item() == pytest.approx(2 * math.log(2))
    x = even(REAL, 1000)  # G has caught up: real and made are the same
    for seed in range(20):
        a, b, c = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        logit = a * torch.sin(b * x + c)
        assert d_loss(logit, logit) > 2 * math.log(2)
    logit = torch.zeros(1000, dtype=torch.float64, requires_grad=True)
    d_loss(logit, logit).backward()
    assert logit.grad.abs().max() < 1e-15


@pytest.mark.parametrize("game", ["min-max", "non-saturating"])
def test_the_pull_on_the_forger_in_each_game(game):
    logit = torch.linspace(-12, 12, 25, dtype=torch.float64, requires_grad=True)
    (25 * g_loss(logit, game)).backward()  # 25 undoes the mean
    believed = logit.detach().sigmoid()  # D(G(z))
    pull = believed if game == "min-max" else 1 - believed
    assert logit.grad.numpy() == pytest.approx(-pull.numpy(), rel=1e-9)


@pytest.mark.parametrize("game", ["min-max", "non-saturating"])
def test_a_frozen_detective_draws_all_samples_to_the_place_where_it_is_highest(game):
    torch.manual_seed(0)
    G = GAN(latent=1, size=0, widths=(16, 2)).G
    with torch.no_grad():
        G[-1].weight.mul_(40)  # wide at first
    z = torch.randn(500, 1)
    optimizer = torch.optim.Adam(G.parameters(), lr=1e-2)
    before = G(z).detach()
    for _ in range(400):
        logit = 1 - (G(torch.randn(64, 1)) - 1.5).square()  # D(x), highest at 1.5
        optimizer.zero_grad()
        g_loss(logit, game).backward()
        optimizer.step()
    after = G(z).detach()
    assert before.std() > 0.5
    assert after.std() < 0.1
    assert after.mean().item() == pytest.approx(1.5, abs=0.05)


def test_rounds_by_hand_give_the_weights_of_fit():
    torch.manual_seed(0)
    gan = GAN(latent=1, size=0, widths=(8, 2), lr=1e-3, lr_d=1e-2, betas=(0.0, 0.99))
    by_hand, numbers = deepcopy(gan), torch.randn(200, 1)
    D, G = by_hand.D, by_hand.G
    opt_D = torch.optim.Adam(D.parameters(), 1e-2, (0.0, 0.99))
    opt_G = torch.optim.Adam(G.parameters(), 1e-3, (0.0, 0.99))
    for step in range(5):
        x = numbers[batch_indices(200, seed=0, start=step * 64, count=64)]
        torch.manual_seed(4096 * step)  # notebook 03 states that `fit` seeds a step so
        loss = d_loss(D(x), D(G(torch.randn(64, 1)).detach()))
        opt_D.zero_grad()
        loss.backward()
        opt_D.step()
        loss = g_loss(D(G(torch.randn(64, 1))))
        opt_G.zero_grad()
        loss.backward()
        opt_G.step()
    fit(gan, numbers, steps=5, batch=64, seed=0, device="cpu", progress=False)
    for a, b in zip(by_hand.parameters(), gan.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-7)
