"""The variational bound: Gaussians of torch, data whose every term is known, estimates of the sum."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions

from course_lib.errors import CourseError
from course_lib.nn.likelihoods import HALF
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_x0, linear_betas, snr
from course_lib.variational_bound import gaussian_kl, prior_kl, runs, step_variance, variational_bound

COSINE = alpha_bars(cosine_betas())
LINEAR = alpha_bars(linear_betas())
SHORT = alpha_bars(cosine_betas(60))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pixels(*levels):
    """Pictures of one pixel on the given levels 0 .. 255, (B, 1, 1, 1) float64."""
    return torch.tensor(levels, dtype=torch.float64).view(-1, 1, 1, 1) / 127.5 - 1


def nothing(x, t):
    return torch.zeros_like(x)


def knows(x0, table):
    """The eps that is in x_t, for pictures x0 in the same order."""
    return lambda x, t: eps_from_x0(x, x0, table[t])


# ---- Gaussians


def test_divergence_of_two_gaussians_is_that_of_torch():
    mean, other = (torch.randn(9, 2, 3, 3, generator=seeded(k), dtype=torch.float64) for k in (1, 2))
    variance, wide = torch.rand(2, 9, generator=seeded(3), dtype=torch.float64) + 0.05
    p, q = (distributions.Normal(m, v.sqrt().view(-1, 1, 1, 1)) for m, v in ((mean, variance), (other, wide)))
    expected = distributions.kl_divergence(p, q).sum((1, 2, 3))
    assert torch.allclose(gaussian_kl(mean, variance, other, wide), expected, rtol=1e-10)


def test_end_of_the_forward_process_is_compared_with_the_prior():
    """L_T is torch's KL(N(sqrt(a) x_0, 1 - a) || N(0, 1)), and for all schedules next to nothing."""
    x0 = torch.rand(4, 1, 8, 8, generator=seeded(), dtype=torch.float64) * 2 - 1
    standard = distributions.Normal(torch.zeros(1).double(), torch.ones(1).double())
    for a in (LINEAR[-1], COSINE[-1], LINEAR[300], COSINE[1]):
        reached = distributions.Normal(a.sqrt() * x0, (1 - a).sqrt())
        expected = distributions.kl_divergence(reached, standard).sum((1, 2, 3))
        assert torch.allclose(prior_kl(x0, a), expected, rtol=1e-6, atol=1e-12)
    for table in (LINEAR, COSINE):  # in bits per dimension of the brightest picture
        assert prior_kl(torch.ones(1, 1, 28, 28), table[-1]).item() / 784 / math.log(2) < 1e-4


def test_variances_of_a_step_are_the_papers():
    """beta_t, and beta tilde = (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) beta_t, at t = 1 that of t = 2."""
    t = torch.tensor([1, 2, 3, 500, 1000])
    betas = linear_betas()
    assert torch.allclose(step_variance(LINEAR, t, "beta"), betas[t], rtol=1e-9)
    tilde = (1 - LINEAR[t - 1]) / (1 - LINEAR[t]) * betas[t]
    given = step_variance(LINEAR, t)
    assert torch.allclose(given[1:], tilde[1:], rtol=1e-9)
    assert given[0] == given[1] > 0


# ---- the terms


def test_a_network_that_knows_the_picture_pays_for_the_levels_alone():
    """Every KL is 0, and L_0 is the mass of N(x_0, sigma_1^2) in the bin of x_0."""
    x0 = pixels(0, 3, 128, 255)
    for variance in ("posterior", "beta"):
        bound = variational_bound(knows(x0, SHORT), x0, SHORT, variance=variance, generator=seeded())
        t = torch.arange(1, 61)
        ratio = step_variance(SHORT, t, "posterior") / step_variance(SHORT, t, variance)
        expected = (ratio - 1 - ratio.log()) / 2  # 0 where the variances are the same
        assert torch.allclose(bound.terms[:, 1:], expected[1:].expand(4, -1), atol=1e-6)
        sigma = step_variance(SHORT, t[:1], variance).sqrt().item()
        mass = np.array([stats.norm.cdf(HALF / sigma)] * 4)
        mass[1:3] -= stats.norm.cdf(-HALF / sigma)  # the bins of -1 and 1 reach to infinity
        assert bound.terms[:, 0].numpy() == pytest.approx(-np.log(mass), abs=1e-6)


def test_terms_weigh_the_mistake_by_the_signal_that_a_step_adds():
    """L_{t-1} = (snr(t-1) - snr(t)) |x_0 - guess|^2 / 2 with the posterior's variance: Kingma et al., arXiv
    2107.00630, eq. 14, derived another way than here. For a network that guesses 0.25 in every pixel."""
    x0 = torch.randint(256, (5, 1, 4, 4), generator=seeded(3)).double() / 127.5 - 1
    flat = torch.full_like(x0, 0.25)
    bound = variational_bound(knows(flat, SHORT), x0, SHORT, generator=seeded())
    ratio = snr(SHORT)
    error = (x0 - flat).square().sum((1, 2, 3))
    expected = (ratio[1:-1] - ratio[2:]) * error[:, None] / 2  # t = 2 .. T
    assert torch.equal(bound.t, torch.arange(1, 61).expand(5, -1))
    assert torch.allclose(bound.terms[:, 1:], expected, rtol=1e-6)


def test_terms_of_gaussian_data_are_the_analytic_ones():
    """x_0 ~ N(0, s^2): the best guess is k x_t, k = sqrt(a) s^2 / (a s^2 + 1 - a), and E (x_0 - k x_t)^2 =
    x_0^2 (1 - k sqrt(a))^2 + k^2 (1 - a). L_0 by numerical integration over x_1. 4,000 draws of each of
    three levels, within five standard errors."""
    s, n = 0.4, 4000
    table = alpha_bars(cosine_betas(12))

    def eps(x, t):
        a = table[t].view(-1, 1, 1, 1)
        return eps_from_x0(x, a.sqrt() * s**2 / (a * s**2 + 1 - a) * x, table[t])

    for level in (0, 100, 200):
        x0 = pixels(level)
        bound = variational_bound(eps, x0.expand(n, -1, -1, -1), table, clip=False, generator=seeded(level))
        a = table[1:]
        k = a.sqrt() * s**2 / (a * s**2 + 1 - a)
        error = x0.item() ** 2 * (1 - k * a.sqrt()) ** 2 + k**2 * (1 - a)
        expected = (snr(table[:-1]) - snr(a)) * error / 2
        expected[0] = _last_term(
            x0.item(), k[0].item(), a[0].item(), step_variance(table, torch.ones(1).long())
        )
        standard = bound.terms.std(0) / math.sqrt(n)
        assert ((bound.terms.mean(0) - expected).abs() < 5 * standard + 1e-9).all(), level


def _last_term(x0, k, a, variance):
    """-E log P(x_0 | x_1) over x_1 ~ N(sqrt(a) x_0, 1 - a), where the mean is k x_1."""
    noise = np.linspace(-9, 9, 20_001)
    mean = k * (math.sqrt(a) * x0 + math.sqrt(1 - a) * noise)
    sigma = math.sqrt(variance.item())
    upper = np.inf if x0 > 1 - HALF else (x0 + HALF - mean) / sigma
    lower = -np.inf if x0 < HALF - 1 else (x0 - HALF - mean) / sigma
    mass = stats.norm.cdf(upper) - stats.norm.cdf(lower)
    seen = mass > 0
    return -(np.log(mass[seen]) * stats.norm.pdf(noise[seen])).sum() * (noise[1] - noise[0])


# ---- the whole bound


def test_the_value_is_all_the_terms_together():
    """Where the forward process breaks off half-way, at t = 30 of 60, L_T is no longer next to nothing."""
    x0, table = pixels(0, 60, 255), SHORT[:31]
    bound = variational_bound(knows(x0, table), x0, table, generator=seeded())
    assert bound.prior.min() > 0.1
    assert torch.allclose(bound.prior, prior_kl(x0, table[-1]))
    assert torch.allclose(bound.value, -bound.prior - bound.terms.sum(1))


def test_two_pictures_cost_one_bit():
    """The best network for a data set of two pictures, each as likely: log p = -log 2, and with many small
    steps the bound comes near it from below. L_0 has nothing left to say. 3,000 draws."""
    n, table = 3000, alpha_bars(cosine_betas(400))
    both = torch.full((2, 1, 2, 2), 0.6)
    both[1] = -0.6
    both = ((both * 127.5 + 127.5).round() / 127.5 - 1).double()
    x0 = both[torch.arange(n) % 2]

    def eps(x, t):
        a = table[t].view(-1, 1, 1, 1)
        far = (x[:, None] - a[:, None].sqrt() * both).square().sum((2, 3, 4)) / (1 - a[:, 0, 0])  # (n, 2)
        guess = torch.einsum("nk,kchw->nchw", (-far / 2).softmax(1), both)
        return eps_from_x0(x, guess, table[t])

    bound = variational_bound(eps, x0, table, terms=150, generator=seeded())
    without_levels = bound.prior + (bound.terms[:, 1:] * bound.counts[1:]).sum(1)
    error = without_levels.std().item() / math.sqrt(n)
    assert without_levels.mean().item() > math.log(2) - 4 * error
    assert without_levels.mean().item() == pytest.approx(math.log(2), abs=4 * error + 0.02)
    assert torch.allclose(bound.value, -without_levels - bound.terms[:, 0])


def test_a_few_terms_estimate_the_whole_sum():
    """3,000 estimates from 8 of 60 terms against all 60 by one network, within four standard errors."""
    x0 = pixels(10, 90, 200).repeat(1000, 1, 1, 1)
    whole = variational_bound(nothing, x0, SHORT, generator=seeded())
    part = variational_bound(nothing, x0, SHORT, terms=8, generator=seeded(1))
    assert part.counts.sum() == 60
    assert part.terms.shape == part.t.shape == (3000, 8)
    difference = whole.value.mean() - part.value.mean()
    error = ((whole.value.var() + part.value.var()) / 3000).sqrt()
    assert difference.abs() < 4 * error
    plain = -(part.prior + part.terms.sum(1))  # without the counts it would not be
    assert (whole.value.mean() - plain.mean()).abs() > 20 * error


def test_every_time_of_a_run_is_as_likely():
    edges = torch.tensor(runs(60, 8))
    t = variational_bound(nothing, pixels(7).expand(6000, -1, -1, -1), SHORT, terms=8, generator=seeded()).t
    for k in range(8):
        times, seen = t[:, k].unique(return_counts=True)
        assert times.tolist() == list(range(int(edges[k]) + 1, int(edges[k + 1]) + 1))
        assert (seen - 6000 / len(times)).abs().max() < 5 * math.sqrt(6000 / len(times))


def test_runs_cover_all_times_and_the_first_is_t_1_alone():
    assert runs(5) == [0, 1, 2, 3, 4, 5]
    assert runs(1000, 2) == [0, 1, 1000]
    assert runs(1000, 4) == [0, 1, 10, 100, 1000]
    for T, terms in ((1000, 60), (1000, 999), (1000, 500), (60, 59), (7, 3)):
        edges = runs(T, terms)
        gaps = [b - a for a, b in zip(edges, edges[1:], strict=False)]
        assert (edges[0], edges[1], edges[-1], len(gaps)) == (0, 1, T, terms)
        assert min(gaps) >= 1


def test_a_wrong_guess_costs_more_and_a_clipped_one_less():
    x0 = pixels(0, 60, 255)
    true, wrong, far = (
        variational_bound(
            lambda x, t, by=by: by * knows(x0, SHORT)(x, t), x0, SHORT, clip=clip, generator=seeded()
        )
        for by, clip in ((1.0, True), (0.5, True), (0.5, False))
    )
    assert (true.value > wrong.value).all()
    assert (wrong.value > far.value).all()


def test_the_noise_is_that_of_the_forward_process():
    """What the network is shown at t is a draw of q(x_t | x_0), fresh for each picture and each t."""
    x0, seen = pixels(30).expand(4000, -1, -1, -1), []

    def eps(x, t):
        seen.append((x.flatten(), int(t[0])))
        return torch.zeros_like(x)

    variational_bound(eps, x0, SHORT, generator=seeded())
    assert [t for _, t in seen] == list(range(1, 61))
    draws = torch.stack([eps_from_x0(x, x0.flatten(), SHORT[t]) for x, t in seen])  # (60, 4000)
    assert draws.mean(1).abs().max() < 5 / math.sqrt(4000)
    assert (draws.std(1) - 1).abs().max() < 5 / math.sqrt(8000)
    assert (torch.corrcoef(draws) - torch.eye(60)).abs().max() < 5 / math.sqrt(4000)
    assert torch.allclose(seen[5][0], add_noise(x0.flatten(), draws[5], SHORT[6]))


# ---- manners


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(terms=1), "terms must be from 2 to 60, as many as there are times, got 1"),
        (dict(terms=61), "terms must be from 2 to 60"),
        (dict(variance="learned"), 'variance must be "posterior" or "beta", got "learned"'),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(options, words):
    with pytest.raises(CourseError, match=words):
        variational_bound(nothing, pixels(7), SHORT, **options)


@pytest.mark.parametrize("x0", [pixels(7) + 0.3 / 127.5, pixels(255) + 2 / 255], ids=["between", "outside"])
def test_pictures_that_are_not_on_the_levels_are_refused(x0):
    with pytest.raises(CourseError, match="x0 must hold the 256 levels"):
        variational_bound(nothing, x0, SHORT)


def test_float32_is_good_enough():
    """784 pixels, the 1,000 steps of both schedules: nats to 1 part in 10,000."""
    x0 = torch.randint(256, (2, 1, 28, 28), generator=seeded()).double() / 127.5 - 1
    for table in (COSINE, LINEAR):
        exact, given = (
            variational_bound(nothing, x, t, terms=100, generator=seeded()).value.double()
            for x, t in ((x0, table), (x0.float(), table.float().double()))
        )
        assert torch.allclose(given, exact, rtol=1e-3)


def test_random_numbers_come_from_the_generator_and_grad_mode_stays():
    before = torch.get_rng_state()
    weight = torch.ones((), requires_grad=True, dtype=torch.float64)
    first, again = (
        variational_bound(lambda x, t: weight * x, pixels(7), SHORT, terms=5, generator=seeded(4))
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.value, again.value)
    assert not first.terms.requires_grad
    assert torch.is_grad_enabled()
