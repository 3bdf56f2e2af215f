"""Samplers: published runs, data whose answer is known in closed form, and good manners."""

import math
from itertools import pairwise

import pytest
import torch

from course_lib.errors import CourseError
from course_lib.samplers import ddim, ddpm, timesteps
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_v, linear_betas

LINEAR = alpha_bars(linear_betas())
COSINE = alpha_bars(cosine_betas())
both = pytest.mark.parametrize("sampler", [ddpm, ddim], ids=["ddpm", "ddim"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


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


def test_ddim_is_eulers_method_for_the_probability_flow_ode():
    """x_0 = M + (x_T / sqrt(a) - M) sqrt(V / (V + s^2)), s^2 = (1 - a) / a; half the step, half the error."""
    T = 4096
    table = alpha_bars(linear_betas(T, 1e-4 * 1000 / T, 0.02 * 1000 / T))
    x = torch.linspace(-2, 2, 9, dtype=torch.float64).view(-1, 1, 1, 1)
    a = table[T]
    exact = M + (x / a.sqrt() - M) * (V / (V + (1 - a) / a)).sqrt()
    errors = [
        (end(ddim(of_gaussian_data(table), x, table, steps=n, clip=False)) - exact).abs().max().item()
        for n in (256, 512, 1024)
    ]
    assert errors[-1] < 0.005
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.1)


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


@both
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


@both
def test_an_answer_of_another_shape_is_refused(sampler):
    """It would be broadcast without a word."""
    with pytest.raises(CourseError, match=r"shape of x, \(4, 1, 2, 2\), but it gave \(1, 1, 2, 2\)"):
        next(sampler(lambda x, t: x[:1], noise(4, 1, 2, 2), LINEAR))


# ---- what is yielded


@both
def test_steps_are_numbered_and_say_the_time(sampler):
    asked = []

    def eps(x, t):
        asked.append(t)
        return 0.1 * x

    x = noise(3, 1, 2, 2)
    kept = x.clone()
    steps = list(sampler(eps, x, LINEAR, steps=4, generator=seeded()))
    assert [step.i for step in steps] == [0, 1, 2, 3, 4]
    assert {step.n for step in steps} == {4}
    assert [step.note for step in steps] == ["t = 1000", "t = 750", "t = 500", "t = 250", "t = 0"]
    assert [t.tolist() for t in asked] == [[t] * 3 for t in (1000, 750, 500, 250)]
    assert {t.dtype for t in asked} == {torch.int64}
    assert torch.equal(steps[0].x, kept)
    assert torch.equal(x, kept)
    assert len({step.x.data_ptr() for step in steps}) == 5  # no frame is written over
    for step in steps[:-1]:
        a = LINEAR[int(step.note.removeprefix("t = "))]
        guess = (step.x - (1 - a).sqrt() * 0.1 * step.x) / a.sqrt()
        assert torch.allclose(step.x0, guess.float().clamp(-1, 1), atol=1e-5)
    assert torch.equal(steps[-1].x, steps[-1].x0)


@both
def test_the_last_step_goes_to_the_guess_and_adds_nothing(sampler):
    for options in (dict(steps=1), dict(steps=6)):
        *_, before, last = sampler(published_model, noise(2, 1, 3, 3), LINEAR, generator=seeded(), **options)
        assert torch.allclose(last.x, before.x0, atol=1e-6)
    one, other = (end(sampler(zero, RAMP, LINEAR, steps=1, start=1, generator=seeded(k))) for k in (1, 2))
    assert torch.equal(one, other)


@both
def test_guesses_are_clipped_only_if_wanted(sampler):
    x = 3 * noise(2, 1, 4, 4)
    clipped = list(sampler(zero, x, LINEAR, steps=5, generator=seeded()))
    free = list(sampler(zero, x, LINEAR, steps=5, generator=seeded(), clip=False))
    assert max(step.x0.abs().max() for step in clipped) == 1
    assert clipped[-1].x.abs().max() <= 1
    assert all(step.x0.abs().max() > 1 for step in free)


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_x_is_kept(sampler, dtype):
    for step in sampler(zero, noise(1, 1, 2, 2, dtype=dtype), LINEAR, steps=3, generator=seeded()):
        assert step.x.dtype == step.x0.dtype == dtype


# ---- manners


@both
def test_work_is_done_when_asked_for_and_not_before(sampler):
    calls = []

    def eps(x, t):
        calls.append(int(t[0]))
        return torch.zeros_like(x)

    run = sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=10, generator=seeded())
    assert calls == []
    for k in range(1, 4):
        next(run)
        assert len(calls) == k
    run.close()
    assert len(calls) == 3
    assert len(list(sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=10, generator=seeded()))) == 11
    assert len(calls) == 13  # never at t = 0


@both
def test_grad_mode_is_off_inside_and_untouched_outside(sampler):
    weight = torch.ones((), requires_grad=True)
    seen = []

    def eps(x, t):
        seen.append(torch.is_grad_enabled())
        return weight * x

    run = sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=3, generator=seeded())
    for step in run:
        assert torch.is_grad_enabled()
        assert not step.x.requires_grad
        assert not step.x0.requires_grad
    assert seen == [False] * 3
    early = sampler(eps, noise(1, 1, 2, 2), LINEAR, steps=3, generator=seeded())
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
    list(ddim(zero, x, LINEAR, steps=5))  # nothing to draw
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
