"""Samplers: published runs, data whose answer is known in closed form, and good manners."""

import math
from itertools import pairwise

import pytest
import torch

from course_lib.errors import CourseError
from course_lib.samplers import ddim, ddpm, encode, euler, heun, timesteps
from course_lib.schedules import (
    add_noise,
    alpha_bars,
    cosine_betas,
    eps_from_v,
    linear_betas,
    x0_from_eps,
)

LINEAR = alpha_bars(linear_betas())
COSINE = alpha_bars(cosine_betas())
SAMPLERS = {"ddpm": ddpm, "ddim": ddim, "euler": euler, "heun": heun}
both = pytest.mark.parametrize("sampler", [ddpm, ddim], ids=["ddpm", "ddim"])
every = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
ode = pytest.mark.parametrize("sampler", [euler, heun], ids=["euler", "heun"])
also_encode = pytest.mark.parametrize("sampler", [*SAMPLERS.values(), encode], ids=[*SAMPLERS, "encode"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def chance(sampler):
    """A generator for those that draw random numbers."""
    return dict(generator=seeded()) if sampler in (ddpm, ddim) else {}


def calls_of(sampler, times):
    """The times at which `eps` is asked."""
    return [t for t in times[:-1] for _ in range(2 if sampler is heun and t < times[0] else 1)]


def end(steps):
    *_, last = steps
    return last.x


def noise(*shape, seed=5, dtype=torch.float32):
    return torch.randn(shape, generator=seeded(seed), dtype=dtype)


def zero(x, t):
    return torch.zeros_like(x)


# ---- published values (the tests of the diffusers library; its times count from 0)

RAMP = (torch.arange(768).view(3, 8, 8, 4) / 768).permute(3, 0, 1, 2)
BACK = (torch.arange(768).flip(0).view(3, 8, 8, 4) / 768).permute(3, 0, 1, 2)


def published_model(x, t):
    return x * ((t - 1) / t).view(-1, 1, 1, 1)


def published_v_model(x, t):
    return eps_from_v(x, published_model(x, t), LINEAR[t])


@pytest.mark.parametrize(
    ("model", "start", "total", "mean"),
    [
        (published_model, None, 258.9606, 0.3372),
        (published_v_model, None, 202.0296, 0.2631),
        (published_model, 2, 387.9466, 0.5051),
    ],
    ids=["eps", "v", "last two steps"],
)
def test_published_runs_are_repeated(model, start, total, mean):
    """To 1e-4: the published sums come from coefficients in float32, ours are computed in float64."""
    x = RAMP if start is None else add_noise(RAMP, BACK, LINEAR[start])
    reached = end(ddpm(model, x, LINEAR, start=start, generator=seeded()))
    assert reached.abs().sum().item() == pytest.approx(total, rel=1e-4)
    assert reached.abs().mean().item() == pytest.approx(mean, abs=1e-4)


# ---- Gaussian data, where everything is known

M, V = 0.3, 0.04  # of the data


def of_gaussian_data(alpha_bar):
    """The best possible eps(x, t): E[eps | x_t] for x_0 ~ N(M, V)."""

    def eps(x, t):
        a = alpha_bar.to(x)[t].view(-1, 1, 1, 1)
        return (1 - a).sqrt() * (x - a.sqrt() * M) / (a * V + 1 - a)

    return eps


def test_the_best_guess_is_a_step_along_the_score():
    """Tweedie: D(z) = z + sigma^2 grad log p(z). Data: two Gaussians; D by Bayes, the score by autograd."""
    z, std = torch.linspace(-2, 2, 21, dtype=torch.float64), 0.2
    means = torch.tensor([-0.5, 0.7], dtype=torch.float64)
    for t in (10, 300, 700):
        a = COSINE[t]
        sigma2 = (1 - a) / a
        z = z.detach().requires_grad_()
        joint = -(z[:, None] - means).square() / (2 * (std**2 + sigma2))  # of z and of each half, log
        share = joint.softmax(1)
        (score,) = torch.autograd.grad(joint.logsumexp(1).sum(), z)
        best = (share * (std**2 * z[:, None] + sigma2 * means) / (std**2 + sigma2)).sum(1)
        eps = -sigma2.sqrt() * score
        x = z * a.sqrt()
        assert torch.allclose(z + sigma2 * score, best, rtol=1e-9)
        assert torch.allclose(x0_from_eps(x, eps, a), best, rtol=1e-9)


LONG = alpha_bars(linear_betas(4096, 1e-4 * 1000 / 4096, 0.02 * 1000 / 4096))  # room for many steps
PLACES = torch.linspace(-2, 2, 9, dtype=torch.float64).view(-1, 1, 1, 1)


def exact_path(x, a, a_s):
    """Where the ODE leads from x at alpha_bar a: z_s = M + (z - M) sqrt((V + sigma_s^2) / (V + sigma^2))."""
    sigma2, sigma2_s = (1 - a) / a, (1 - a_s) / a_s
    return a_s.sqrt() * (M + (x / a.sqrt() - M) * ((V + sigma2_s) / (V + sigma2)).sqrt())


def squares(steps):
    """Times in `LONG`, fine where the path bends most."""
    return timesteps(4096, steps, spacing="quadratic")


def errors_of(sampler, all_steps):
    """Furthest end from the exact path's end, for each number of steps."""
    eps, exact = of_gaussian_data(LONG), exact_path(PLACES, LONG[-1], LONG[0])
    ends = [end(sampler(eps, PLACES, LONG, times=squares(n), clip=False)) for n in all_steps]
    return [(found - exact).abs().max().item() for found in ends]


@pytest.mark.parametrize(
    ("sampler", "ratio", "most"),
    [(ddim, 2, 0.02), (euler, 2, 0.02), (heun, 4, 0.001)],
    ids=["ddim", "euler", "heun"],
)
def test_half_the_step_half_the_error_and_a_quarter_with_heun(sampler, ratio, most):
    """Order of convergence 1 and 2 to the probability-flow ODE's exact end."""
    errors = errors_of(sampler, (16, 32, 64))
    assert errors[-1] < most
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(ratio, rel=0.1)


def test_heun_is_nearer_than_euler_for_the_same_number_of_calls():
    (heuns,), (eulers,) = errors_of(heun, [32]), errors_of(euler, [63])
    assert heuns < eulers / 5


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("options", [dict(steps=9), dict(times=[1000, 990, 400, 399, 1, 0])], ids=str)
@pytest.mark.parametrize("table", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_euler_is_ddim_without_fresh_noise(table, options, clip):
    """DDIM section 4.3."""
    x = noise(2, 1, 4, 4, dtype=torch.float64)
    one = euler(published_model, x, table, clip=clip, **options)
    for p, q in zip(one, ddim(published_model, x, table, clip=clip, **options), strict=True):
        assert torch.allclose(p.x, q.x, rtol=1e-12, atol=1e-12)
        assert torch.equal(p.x0, q.x0)
        assert (p.i, p.n, p.note) == (q.i, q.n, q.note)


def test_a_step_of_heun_is_the_papers():
    """2206.00364 algorithm 1, with z = x / sqrt(a) in place of its x."""
    x = noise(2, 1, 3, 3, dtype=torch.float64)
    _, second, last = heun(published_model, x, LINEAR, times=[1000, 400, 0], clip=False)
    sigma, sigma_s = (((1 - LINEAR[t]) / LINEAR[t]).sqrt() for t in (1000, 400))
    z = x / LINEAR[1000].sqrt()
    d = published_model(x, torch.tensor([1000] * 2))
    there = (z + (sigma_s - sigma) * d) * LINEAR[400].sqrt()
    z = z + (sigma_s - sigma) * (d + published_model(there, torch.tensor([400] * 2))) / 2
    assert torch.allclose(second.x, z * LINEAR[400].sqrt(), rtol=1e-9)
    assert torch.allclose(last.x, z - sigma_s * published_model(second.x, torch.tensor([400] * 2)), rtol=1e-9)


def test_heun_clips_both_guesses():
    """Both slopes lead to clipped guesses: with eps = 0 and x = 9 they are 1, at either end of the step."""
    x = torch.full((1, 1, 1, 1), 9.0, dtype=torch.float64)
    _, second, _ = heun(zero, x, LINEAR, times=[600, 300, 0], clip=True)
    (sigma, z), sigma_s = (
        (((1 - LINEAR[600]) / LINEAR[600]).sqrt(), 9 / LINEAR[600].sqrt()),
        ((1 - LINEAR[300]) / LINEAR[300]).sqrt(),
    )
    d = (z - 1) / sigma
    ahead = z + (sigma_s - sigma) * d
    z = z + (sigma_s - sigma) * (d + (ahead - 1) / sigma_s) / 2
    assert second.x.item() == pytest.approx((z * LINEAR[300].sqrt()).item(), rel=1e-9)


@ode
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 10, 40])
def test_a_schedule_that_ends_in_pure_noise_harms_no_path(sampler, steps, clip):
    """Cosine: sigma_T is 20,000, and a network that errs by a hundredth must not be blown up by it."""
    assert COSINE[1000] < 3e-9
    right, wave = of_gaussian_data(COSINE), noise(64, 1, 1, 1, seed=8).sign()

    def eps(x, t):
        signal = COSINE.to(x)[t].sqrt().view(-1, 1, 1, 1)
        return right(x, t) + 0.01 * signal * wave  # as v-prediction errs; other signs would do the same

    x = noise(64, 1, 1, 1)
    exact = exact_path(x.double(), COSINE[1000], COSINE[0]).float()
    last = end(sampler(eps, x, COSINE, steps=steps, clip=clip))
    assert last.isfinite().all()
    assert (last - exact).abs().max() < {1: 0.7, 2: 0.7, 10: 0.2, 40: 0.1}[steps]


def test_heun_does_not_multiply_small_differences_by_huge_sigmas():
    """A network whose answer wavers by 1% between T and the next time; unguarded the end would be at 100."""

    def eps(x, t):
        return of_gaussian_data(COSINE)(x, t) + 0.01 * (t < 1000).view(-1, 1, 1, 1)

    x = noise(64, 1, 1, 1, dtype=torch.float64)
    exact = exact_path(x, COSINE[1000], COSINE[0])
    assert (end(heun(eps, x, COSINE, steps=20, clip=False)) - exact).abs().max() < 0.5


# ---- there and back


PICTURES = M + 0.3 * PLACES


def test_encoding_is_the_exact_path_backwards():
    """First order too; that the first slope is asked about a time above 0 does not spoil it."""
    exact = exact_path(PICTURES, LONG[0], LONG[-1])
    ends = [end(encode(of_gaussian_data(LONG), PICTURES, LONG, times=squares(n))) for n in (16, 32, 64)]
    errors = [(found - exact).abs().max().item() for found in ends]
    assert errors[-1] < 0.15
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("sampler", [ddim, euler], ids=["ddim", "euler"])
def test_decoding_gives_the_pictures_back_the_better_the_more_steps(sampler):
    eps, errors = of_gaussian_data(LONG), []
    for times in map(squares, (16, 32, 64)):
        code = end(encode(eps, PICTURES, LONG, times=times))
        found = end(sampler(eps, code, LONG, times=times, clip=False))
        errors.append((found - PICTURES).abs().max().item())
    assert errors[-1] < 0.05
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.1)


def test_a_step_of_encoding_is_ddims_towards_more_noise():
    pictures = noise(2, 1, 3, 3, dtype=torch.float64)
    asked = []

    def eps(x, t):
        asked.append((x, t.tolist()))
        return published_model(x, t)

    first, second, last = encode(eps, pictures, LINEAR, times=[800, 300, 0])
    assert [t for _, t in asked] == [[300, 300], [300, 300]]  # no network is trained at t = 0
    a, a_s = LINEAR[300], LINEAR[800]
    found = published_model(pictures, torch.tensor([300, 300]))
    x = a.sqrt() * pictures + (1 - a).sqrt() * found
    assert torch.equal(first.x, pictures)
    assert torch.equal(first.x0, pictures)
    assert torch.allclose(second.x, x)
    found = published_model(x, torch.tensor([300, 300]))
    guess = (x - (1 - a).sqrt() * found) / a.sqrt()
    assert torch.allclose(second.x0, guess)
    assert torch.allclose(last.x, a_s.sqrt() * guess + (1 - a_s).sqrt() * found)
    assert torch.allclose(last.x0, guess)
    assert [(step.i, step.n, step.note) for step in (first, second, last)] == [
        (0, 2, "t = 0"),
        (1, 2, "t = 300"),
        (2, 2, "t = 800"),
    ]


def test_encoding_can_stop_on_the_way_and_clips_nothing():
    pictures = 3 * noise(2, 1, 3, 3)
    *_, last = steps = list(encode(zero, pictures, LINEAR, steps=5, start=400))
    assert last.note == "t = 400"
    assert torch.allclose(last.x, LINEAR[400].sqrt().float() * pictures, rtol=1e-5)
    assert all(torch.allclose(step.x0, pictures, rtol=1e-5) for step in steps)


def chain(steps, eta):
    """Mean and variance of the last x: with such an eps each step is linear in x (DDIM eq. 12)."""
    mean, var = 0.0, 1.0
    for t, s in pairwise(timesteps(1000, steps)):
        a, a_s = COSINE[t].item(), COSINE[s].item()
        to_eps = math.sqrt(1 - a) / (a * V + 1 - a)  # eps = to_eps (x - sqrt(a) M)
        to_x0 = (1 - math.sqrt(1 - a) * to_eps) / math.sqrt(a)  # the guess is M + to_x0 (x - sqrt(a) M)
        sigma2 = eta**2 * (1 - a_s) / (1 - a) * (1 - a / a_s)
        slope = math.sqrt(a_s) * to_x0 + math.sqrt(1 - a_s - sigma2) * to_eps
        mean, var = math.sqrt(a_s) * M + slope * (mean - math.sqrt(a) * M), slope**2 * var + sigma2
    return mean, var


@pytest.mark.parametrize(("eta", "steps"), [(1.0, 12), (1.0, 200), (0.5, 12)])
def test_samples_have_the_mean_and_the_variance_of_the_chain(eta, steps):
    eps, x = of_gaussian_data(COSINE), noise(20_000, 1, 1, 1, dtype=torch.float64)
    given = dict(steps=steps, generator=seeded(1), clip=False)
    last = end(ddpm(eps, x, COSINE, **given) if eta == 1 else ddim(eps, x, COSINE, eta=eta, **given))
    mean, var = chain(steps, eta)
    assert last.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(var / len(x)))
    assert last.var().item() == pytest.approx(var, rel=4 * math.sqrt(2 / len(x)))


def test_many_small_steps_give_the_data_back():
    errors = [abs(chain(steps, 1.0)[1] - V) for steps in (250, 500, 1000)]
    assert chain(1000, 1.0)[0] == pytest.approx(M, rel=1e-3)
    assert errors[-1] < 0.03 * V
    assert errors[0] > 1.7 * errors[1] > 2.8 * errors[2]


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("steps", [None, 7, 1])
def test_ddim_with_all_its_noise_drawn_afresh_is_ddpm(steps, clip):
    """Mean and variance of the same posterior, so with the same random numbers the same pictures."""
    x, eps = noise(2, 1, 4, 4, dtype=torch.float64), published_model
    table = COSINE if steps else alpha_bars(cosine_betas(40))
    one = list(ddpm(eps, x, table, steps=steps, generator=seeded(2), clip=clip))
    other = list(ddim(eps, x, table, steps=steps, eta=1.0, generator=seeded(2), clip=clip))
    assert len(one) == len(other) == (steps or 40) + 1
    for p, q in zip(one, other, strict=True):
        assert torch.allclose(p.x, q.x, rtol=1e-6, atol=1e-6)
        assert p.note == q.note


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_a_step_of_ddim_is_the_papers(eta):
    """DDIM eq. 12, sigma by eq. 16."""
    x = noise(2, 1, 3, 3, dtype=torch.float64)
    first, second, *_ = ddim(published_model, x, COSINE, steps=2, eta=eta, generator=seeded(4), clip=False)
    a, a_s = COSINE[1000], COSINE[500]
    eps = published_model(x, torch.tensor([1000, 1000]))
    sigma = eta * ((1 - a_s) / (1 - a)).sqrt() * (1 - a / a_s).sqrt()
    x0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
    fresh = torch.randn(x.shape, generator=seeded(4), dtype=torch.float64)
    expected = a_s.sqrt() * x0 + (1 - a_s - sigma**2).clamp(min=0).sqrt() * eps + sigma * fresh
    assert torch.allclose(first.x0, x0)
    assert torch.allclose(second.x, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_finds_the_picture_when_told_the_noise(eta):
    """If eps is right, every guess of x_0 is the picture, and x_t has the noise that belongs to t."""
    truth = noise(3, 1, 4, 4, dtype=torch.float64).clamp(-1, 1)

    def eps(x, t):
        a = COSINE[t].view(-1, 1, 1, 1)
        return (x - a.sqrt() * truth) / (1 - a).sqrt()

    x = add_noise(truth, noise(3, 1, 4, 4, seed=6, dtype=torch.float64), COSINE[900])
    steps = list(ddim(eps, x, COSINE, steps=9, start=900, eta=eta, generator=seeded()))
    for step in steps:
        assert torch.allclose(step.x0, truth, atol=1e-6)
    for k, step in enumerate(steps[:-1]):
        a = COSINE[900 - 100 * k]
        found = (step.x - a.sqrt() * truth) / (1 - a).sqrt()
        if eta == 0:  # the very noise it started with
            assert torch.allclose(found, noise(3, 1, 4, 4, seed=6, dtype=torch.float64), atol=1e-5)
        else:
            assert 0.5 < found.std() < 1.5


# ---- times


def test_times_are_spread_evenly_from_start_to_zero():
    assert timesteps(1000, 4) == [1000, 750, 500, 250, 0]
    assert timesteps(1000, 3, 8) == [8, 5, 2, 0]
    assert timesteps(5) == [5, 4, 3, 2, 1, 0]
    assert timesteps(1000, start=2) == [2, 1, 0]
    assert timesteps(1000, 1) == [1000, 0]
    for steps in (7, 20, 333, 501, 999, 1000):
        times = timesteps(1000, steps)
        gaps = [t - s for t, s in pairwise(times)]
        assert (times[0], times[-1], len(times)) == (1000, 0, steps + 1)
        assert min(gaps) >= 1
        assert max(gaps) - min(gaps) <= 1


def test_quadratic_times_are_squares_and_no_time_comes_twice():
    assert timesteps(1000, 4, spacing="quadratic") == [1000, 562, 250, 62, 0]
    assert timesteps(1000, 2, 100, spacing="quadratic") == [100, 25, 0]
    assert timesteps(10, 5, spacing="quadratic") == [10, 6, 3, 2, 0 + 1, 0]
    assert timesteps(7, spacing="quadratic") == [7, 6, 5, 4, 3, 2, 1, 0]
    for steps in (1, 7, 20, 333, 999, 1000):
        times = timesteps(1000, steps, spacing="quadratic")
        assert (times[0], times[-1], len(times)) == (1000, 0, steps + 1)
        assert all(t > s for t, s in pairwise(times))
    assert sum(t < 500 for t in timesteps(1000, 20, spacing="quadratic")) == 15  # of 21


def test_a_spacing_that_there_is_not_is_refused():
    with pytest.raises(CourseError, match='spacing must be "even" or "quadratic", got "cubic"'):
        timesteps(1000, 5, spacing="cubic")


@every
def test_times_of_your_own_are_visited(sampler):
    asked = []

    def eps(x, t):
        asked.append(t[0].item())
        return 0.1 * x

    own = [900, 500, 499, 3, 0]
    steps = list(sampler(eps, noise(2, 1, 2, 2), LINEAR, times=own, **chance(sampler)))
    assert [step.note for step in steps] == [f"t = {t}" for t in own]
    assert asked == ([900, 500, 500, 499, 499, 3, 3] if sampler is heun else own[:-1])


@every
def test_even_times_are_what_steps_and_start_stand_for(sampler):
    x = noise(2, 1, 3, 3)
    one, other = (
        end(sampler(published_model, x, COSINE, **options, **chance(sampler)))
        for options in (dict(steps=6, start=500), dict(times=timesteps(1000, 6, 500)))
    )
    assert torch.equal(one, other)


@also_encode
@pytest.mark.parametrize(
    "times",
    [[], [0], [500, 10], [1001, 0], [500, 500, 0], [3, 5, 0], [500, 1.5, 0], [9, 0, -1]],
    ids=str,
)
def test_times_that_cannot_work_are_refused(sampler, times):
    words = "times must be whole numbers that fall from at most 1000 to 0, got "
    with pytest.raises(CourseError, match=words) as caught:
        next(sampler(zero, noise(1, 1, 2, 2), LINEAR, times=times))
    assert str(caught.value).endswith(f"{times}.")


@also_encode
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(steps=0), "steps must be from 1 to 1000, as many as there are times, got 0"),
        (dict(steps=1001), "steps must be from 1 to 1000"),
        (dict(steps=3, start=2), "steps must be from 1 to 2"),
        (dict(start=0), "start must be from 1 to 1000, the length of the schedule, got 0"),
        (dict(start=1001), "start must be from 1 to 1000"),
    ],
    ids=str,
)
def test_numbers_that_cannot_work_are_refused(sampler, options, words):
    with pytest.raises(CourseError, match=words):
        next(sampler(zero, noise(1, 1, 2, 2), LINEAR, **options))


@pytest.mark.parametrize("eta", [-0.1, 1.1])
def test_eta_outside_its_range_is_refused(eta):
    with pytest.raises(CourseError, match="eta must be from 0"):
        next(ddim(zero, noise(1, 1, 2, 2), LINEAR, eta=eta))


@also_encode
def test_an_answer_of_another_shape_is_refused(sampler):
    """It would be broadcast without a word."""
    with pytest.raises(CourseError, match=r"shape of x, \(4, 1, 2, 2\), but it gave \(1, 1, 2, 2\)"):
        next(sampler(lambda x, t: x[:1], noise(4, 1, 2, 2), LINEAR))


# ---- what is yielded


@every
def test_steps_are_numbered_and_say_the_time(sampler):
    asked = []

    def eps(x, t):
        asked.append(t)
        return 0.1 * x

    x = noise(3, 1, 2, 2)
    kept = x.clone()
    steps = list(sampler(eps, x, LINEAR, steps=4, **chance(sampler)))
    assert [step.i for step in steps] == [0, 1, 2, 3, 4]
    assert {step.n for step in steps} == {4}
    assert [step.note for step in steps] == ["t = 1000", "t = 750", "t = 500", "t = 250", "t = 0"]
    assert [t.tolist() for t in asked] == [[t] * 3 for t in calls_of(sampler, (1000, 750, 500, 250, 0))]
    assert {t.dtype for t in asked} == {torch.int64}
    assert torch.equal(steps[0].x, kept)
    assert torch.equal(x, kept)
    assert len({step.x.data_ptr() for step in steps}) == 5  # no frame is written over
    for step in steps[:-1]:
        a = LINEAR[int(step.note.removeprefix("t = "))]
        guess = (step.x - (1 - a).sqrt() * 0.1 * step.x) / a.sqrt()
        assert torch.allclose(step.x0, guess.float().clamp(-1, 1), atol=1e-5)
    assert torch.equal(steps[-1].x, steps[-1].x0)


@every
def test_the_last_step_goes_to_the_guess(sampler):
    for steps in (1, 6):
        *_, before, last = sampler(published_model, noise(2, 1, 3, 3), LINEAR, steps=steps, **chance(sampler))
        assert torch.allclose(last.x, before.x0, atol=1e-6)


@both
def test_the_last_step_adds_no_noise(sampler):
    one, other = (end(sampler(zero, RAMP, LINEAR, steps=1, start=1, generator=seeded(k))) for k in (1, 2))
    assert torch.equal(one, other)


@every
def test_guesses_are_clipped_only_if_wanted(sampler):
    x = 3 * noise(2, 1, 4, 4)
    clipped = list(sampler(zero, x, LINEAR, steps=5, **chance(sampler)))
    free = list(sampler(zero, x, LINEAR, steps=5, clip=False, **chance(sampler)))
    assert max(step.x0.abs().max() for step in clipped) == 1
    assert clipped[-1].x.abs().max() <= 1
    assert all(step.x0.abs().max() > 1 for step in free)


@also_encode
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_x_is_kept(sampler, dtype):
    for step in sampler(zero, noise(1, 1, 2, 2, dtype=dtype), LINEAR, steps=3, **chance(sampler)):
        assert step.x.dtype == step.x0.dtype == dtype


# ---- manners


@also_encode
def test_work_is_done_when_asked_for_and_not_before(sampler):
    calls = []

    def eps(x, t):
        calls.append(int(t[0]))
        return torch.zeros_like(x)

    run = sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=10, **chance(sampler))
    assert calls == []
    for k in range(1, 4):
        next(run)
        assert len(calls) == (2 * k - 1 if sampler is heun else k)
    run.close()
    calls.clear()
    assert len(list(sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=10, **chance(sampler)))) == 11
    assert len(calls) == (19 if sampler is heun else 10)
    assert min(calls) > 0  # a network is never asked about t = 0


@also_encode
def test_grad_mode_is_off_inside_and_untouched_outside(sampler):
    weight = torch.ones((), requires_grad=True)
    seen = []

    def eps(x, t):
        seen.append(torch.is_grad_enabled())
        return weight * x

    run = sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=3, **chance(sampler))
    for step in run:
        assert torch.is_grad_enabled()
        assert not step.x.requires_grad
        assert not step.x0.requires_grad
    assert seen == [False] * (5 if sampler is heun else 3)
    early = sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=3, **chance(sampler))
    next(early)
    early.close()
    assert torch.is_grad_enabled()


@both
def test_noise_is_drawn_in_the_type_of_x(sampler):
    """In float64 other numbers come out of the same generator than in float32."""
    options = dict(eta=1.0) if sampler is ddim else {}
    x = noise(1, 1, 3, 3, dtype=torch.float64)
    _, second, _ = sampler(zero, x, LINEAR, steps=2, generator=seeded(4), clip=False, **options)
    a, a_s = LINEAR[1000], LINEAR[500]
    sigma = ((1 - a_s) / (1 - a) * (1 - a / a_s)).sqrt()
    mean = x * (a / a_s).sqrt() * (1 - a_s) / (1 - a) + x / a.sqrt() * a_s.sqrt() * (1 - a / a_s) / (1 - a)
    fresh = torch.randn(x.shape, generator=seeded(4), dtype=torch.float64)
    assert torch.allclose(second.x, mean + sigma * fresh, rtol=1e-6, atol=1e-6)


def test_random_numbers_come_from_the_generator_and_only_where_they_are_needed():
    x = noise(1, 1, 2, 2)
    before = torch.get_rng_state()
    list(ddpm(zero, x, LINEAR, steps=5, generator=seeded()))
    list(ddim(zero, x, LINEAR, steps=5, eta=0.5, generator=seeded()))
    for fixed in (ddim, euler, heun, encode):  # nothing to draw
        list(fixed(zero, x, LINEAR, steps=5))
    assert torch.equal(torch.get_rng_state(), before)
    used = seeded(3)
    list(ddpm(zero, x, LINEAR, steps=5, generator=used))
    drawn = seeded(3)
    for _ in range(4):  # one picture of noise for each step but the last
        torch.randn(x.shape, generator=drawn)
    assert torch.equal(used.get_state(), drawn.get_state())


@pytest.mark.parametrize("options", [dict(), dict(eta=0.7)], ids=["ddpm", "ddim"])
def test_same_generator_same_pictures_other_generator_others(options):
    sampler = ddim if options else ddpm
    x = noise(2, 1, 3, 3)
    first, again, other = (
        end(sampler(published_model, x, LINEAR, steps=8, generator=seeded(k), **options)) for k in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
