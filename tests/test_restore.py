"""Restoration with an unconditional network: Gaussian data, where everything is known; exact measurements."""

import math
from itertools import pairwise

import pytest
import torch

from course_lib import data, evaluate_restoration, zoo
from course_lib.errors import CourseError
from course_lib.latent import slerp
from course_lib.method import Step
from course_lib.methods.ddpm import DDPM
from course_lib.methods.super_resolution import SuperResolution
from course_lib.restore import (
    Degradation,
    denoise,
    interpolate,
    matching_time,
    means,
    repaint,
    visible,
    zero_shot,
)
from course_lib.samplers import timesteps
from course_lib.schedules import alpha_bars, cosine_betas, eps_from_x0, linear_betas

COSINE = alpha_bars(cosine_betas())
LINEAR = alpha_bars(linear_betas())


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=5):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def pictures(*shape, seed=7):
    return noise(*shape, seed=seed).clamp(-1, 1)


def end(steps):
    *_, last = steps
    return last.x


def of_gaussian_data(mean, covariance):
    """The best possible eps(x, t) for pictures of N(mean, covariance), flattened: mean (d,), (d, d)."""

    def eps(x, t):
        a = COSINE[t[0]]
        inverse = torch.linalg.inv(a * covariance + (1 - a) * torch.eye(len(mean), dtype=mean.dtype))
        return (1 - a).sqrt() * ((x.flatten(1) - a.sqrt() * mean) @ inverse).view_as(x)

    return eps


def odd(x, t):
    """Some network: what it says depends on every pixel and on the time."""
    return 0.5 * x + 0.3 * x.mean((1, 2, 3), keepdim=True) + (t / 2000).view(-1, 1, 1, 1)


# ---- noise of a known strength

M, V = 0.3, 0.04


def one_pixel():
    number = torch.tensor([M], dtype=torch.float64)
    return of_gaussian_data(number, torch.tensor([[V]], dtype=torch.float64))


@pytest.mark.parametrize("table", [COSINE, LINEAR], ids=["cosine", "linear"])
def test_every_noise_level_finds_its_time(table):
    sigmas = ((1 - table) / table).sqrt()
    assert [matching_time(table, s.item()) for s in sigmas[1::37]] == list(range(1, len(table), 37))
    assert matching_time(table, (sigmas[300] * sigmas[301]).sqrt().item() * 1.0001) == 301


@pytest.mark.parametrize("t", [20, 300, 700])
def test_one_guess_is_the_mean_of_the_posterior(t):
    """Tweedie: E[x_0 | noisy] = M + V / (V + sigma^2) (noisy - M)."""
    sigma = ((1 - COSINE[t]) / COSINE[t]).sqrt().item()
    noisy = torch.linspace(-1, 1, 9, dtype=torch.float64).view(-1, 1, 1, 1)
    steps = list(denoise(one_pixel(), noisy, COSINE, sigma, clip=False))
    expected = M + V / (V + sigma**2) * (noisy - M)
    assert torch.allclose(steps[-1].x, expected, atol=1e-9)
    assert [step.note for step in steps] == [f"t = {t}", "t = 0"]


def test_many_steps_are_a_draw_that_is_twice_as_far_off_as_the_mean():
    """The posterior's variance is V sigma^2 / (V + sigma^2): the mean's squared error, and half a draw's."""
    t = 300
    sigma = ((1 - COSINE[t]) / COSINE[t]).sqrt().item()
    truth = M + math.sqrt(V) * noise(10_000, 1, 1, 1, seed=1)
    noisy = truth + sigma * noise(10_000, 1, 1, 1, seed=2)
    mean = end(denoise(one_pixel(), noisy, COSINE, sigma, clip=False))
    drawn = end(denoise(one_pixel(), noisy, COSINE, sigma, steps=None, generator=seeded(), clip=False))
    variance = V * sigma**2 / (V + sigma**2)
    close = dict(rel=4 * math.sqrt(2 / len(truth)))  # four standard errors of a variance
    assert (mean - truth).square().mean().item() == pytest.approx(variance, **close)
    assert (drawn - mean).var().item() == pytest.approx(variance, **close)
    assert (drawn - truth).square().mean().item() == pytest.approx(2 * variance, **close)
    assert drawn.var().item() == pytest.approx(V, **close)  # as varied as the data
    assert mean.var().item() == pytest.approx(V * V / (V + sigma**2), **close)  # the means are not


def test_more_steps_than_there_are_times_visit_every_time():
    noisy = pictures(1, 1, 2, 2)
    assert len(list(denoise(odd, noisy, COSINE, 0.02, steps=500, generator=seeded()))) < 30


# ---- two pixels of which one is known, so that the other one's distribution is known too

KNOWN = torch.tensor([[True, False]])
PIXEL = 0.8  # what the known one holds
MEAN = torch.tensor([0.2, -0.1], dtype=torch.float64)


def covariance(rho):
    return 0.25 * torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64)


def hidden(kind, rho, times, turns=()):
    """Mean and variance of the hidden pixel at the end: every move is linear in x, so both can be followed.

    `turns` are the (t, s, times again) after which one goes from s back to t.
    """
    eye, y = torch.eye(2, dtype=torch.float64), torch.tensor([PIXEL, 0.0], dtype=torch.float64)
    kept, free = eye * y.bool(), eye * ~y.bool()  # projections on the known pixel, on the hidden one
    mean, var = torch.zeros(2, dtype=torch.float64), eye.clone()
    for t, s in moves(times, turns):
        a, b = COSINE[t], COSINE[s]
        if s > t:  # q(x_s | x_t)
            mean, var = (b / a).sqrt() * mean, b / a * var + (1 - b / a) * eye
            continue
        slope = a.sqrt() * covariance(rho) @ torch.linalg.inv(a * covariance(rho) + (1 - a) * eye)
        guess, offset = free @ slope, free @ (MEAN - slope @ MEAN * a.sqrt()) + y
        share = b.sqrt() * (1 - a / b) / (1 - a)  # of x_0 in the posterior's mean
        linear = share * guess + (a / b).sqrt() * (1 - b) / (1 - a) * eye
        constant, extra = share * offset, (1 - b) / (1 - a) * (1 - a / b) * eye
        if kind == "repaint":  # the known pixel is drawn afresh
            linear, constant = free @ linear, free @ constant + b.sqrt() * y
            extra = free * extra + kept * (1 - b)
        mean, var = linear @ mean + constant, linear @ var @ linear.T + extra
    assert mean[0] == pytest.approx(PIXEL, abs=1e-9)
    return mean[1].item(), var[1, 1].item()


def moves(times, turns):
    """Pairs (t, s): down `times`, and at each turn's low end back to its high end and down again."""
    way = []
    for t, s in pairwise(times):
        way.append((t, s))
        for high, low, count in turns:
            if s == low:
                again = times[times.index(high) : times.index(low) + 1]
                way += ([(low, high)] + list(pairwise(again))) * count
    return way


def two_pixels(kind, rho, count=1, **options):
    eps = of_gaussian_data(MEAN, covariance(rho))
    picture = torch.tensor([[[[PIXEL, 0.0]]]], dtype=torch.float64).repeat(count, 1, 1, 1)
    given = dict(generator=seeded(3), clip=False, **options)
    if kind == "repaint":
        return end(repaint(eps, picture, KNOWN, COSINE, **given))[:, 0, 0, 1]
    return end(zero_shot(eps, picture, visible(KNOWN), COSINE, **given))[:, 0, 0, 1]


TIMES = timesteps(1000, 8)  # 1000, 875, ..., 125, 0
ONCE = dict(steps=8, resample=1, jump=1)
THRICE = dict(steps=8, resample=3, jump=3)
TURNS = [(500, 125, 2), (875, 500, 2)]  # from 1 and 4 steps before the end, three steps up, two times more
LOWS = range(20, 901, 100)  # with 50 steps: from 1, 6, .. 41 steps before the end, five steps up


@pytest.mark.parametrize("kind", ["repaint", "zero_shot"])
@pytest.mark.parametrize(("options", "turns"), [(ONCE, ()), (THRICE, TURNS)], ids=["once", "thrice"])
def test_the_hidden_pixel_has_the_mean_and_the_variance_of_the_chain(kind, options, turns):
    drawn = two_pixels(kind, 0.9, 20_000, **options)
    mean, var = hidden(kind, 0.9, TIMES, turns)
    assert drawn.mean().item() == pytest.approx(mean, abs=4 * math.sqrt(var / len(drawn)))
    assert drawn.var().item() == pytest.approx(var, rel=4 * math.sqrt(2 / len(drawn)))


@pytest.mark.parametrize("kind", ["repaint", "zero_shot"])
def test_pixels_that_know_nothing_of_each_other_are_restored_exactly(kind):
    mean, var = hidden(kind, 0.0, timesteps(1000))
    assert mean == pytest.approx(MEAN[1].item(), abs=1e-6)
    assert var == pytest.approx(0.25, rel=0.01)


@pytest.mark.parametrize("kind", ["repaint", "zero_shot"])
def test_resampling_brings_the_hidden_pixel_near_its_conditional_mean(kind):
    """E[hidden | known] = m_2 + rho (known - m_1). The pull of the known pixel comes too late: even with all
    1000 steps less than three quarters of it arrive; 50 steps, five times through, bring nine tenths."""
    times, exact = timesteps(1000, 50), 0.9 * (PIXEL - MEAN[0].item())
    arrived = [
        (hidden(kind, 0.9, times, [(low + 100, low, again) for low in LOWS])[0] - MEAN[1].item()) / exact
        for again in (0, 1, 4)
    ]
    assert arrived == sorted(arrived)
    assert arrived[0] < 0.7 < 0.9 < arrived[-1] < 1
    assert (hidden(kind, 0.9, timesteps(1000))[0] - MEAN[1].item()) / exact < 0.75


# ---- the order of RePaint's steps


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (dict(steps=4, resample=1, jump=1), [4, 3, 2, 1]),
        (dict(steps=4, resample=3, jump=1), [4, 4, 4, 3, 3, 3, 2, 2, 2, 1]),  # algorithm 1 with U = 3
        (dict(steps=4, resample=2, jump=2), [4, 3, 2, 3, 2, 1]),
        (dict(steps=4, resample=3, jump=3), [4, 3, 2, 4, 3, 2, 4, 3, 2, 1]),
        (dict(steps=2, resample=2, jump=1), [4, 4, 2]),
        (dict(steps=4, resample=1, jump=9), [4, 3, 2, 1]),  # a jump that is not made may be too long
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["repaint", "zero_shot"])
def test_each_stretch_is_gone_through_again(kind, options, asked):
    table, picture, known = COSINE[:5], pictures(2, 1, 2, 2), torch.ones(2, 2) > 0
    seen = []

    def eps(x, t):
        seen.append(t.tolist())
        return 0.1 * x

    options |= dict(generator=seeded())
    if kind == "repaint":
        steps = list(repaint(eps, picture, known, table, **options))
    else:
        steps = list(zero_shot(eps, picture, visible(known), table, **options))
    assert seen == [[t, t] for t in asked]
    assert [step.note for step in steps] == [f"t = {t}" for t in asked] + ["t = 0"]
    assert [(step.i, step.n) for step in steps] == [(i, len(asked)) for i in range(len(asked) + 1)]


# ---- what was measured is in every guess, and in the end


@pytest.mark.parametrize("shape", [(6, 5), (1, 6, 5), (3, 1, 6, 5), (3, 2, 6, 5), (6, 1)], ids=str)
def test_known_pixels_come_out_exactly_and_the_hole_is_never_looked_at(shape):
    picture, known = pictures(3, 2, 6, 5), noise(*shape, seed=9) > 0
    truth = picture.clone()
    whole = known.expand_as(picture)
    picture[~whole] = math.nan
    for step in repaint(odd, picture, known, COSINE, steps=6, resample=2, jump=2, generator=seeded()):
        assert torch.equal(step.x0[whole], truth[whole])
        assert step.x0.abs().max() <= 1
    assert torch.equal(step.x[whole], truth[whole])
    assert (step.x[~whole] != truth[~whole]).float().mean() > 0.8  # at the ends of the range some are


def test_known_pixels_have_the_noise_of_their_time_after_steps_down_and_after_jumps_up():
    """Wherever the network is asked, the known part is a draw of q(x_t | x_0), mean and variance."""
    picture, count = torch.full((20_000, 1, 1, 2), 0.8, dtype=torch.float64), 0

    def eps(x, t):
        nonlocal count
        a, known, count = COSINE[t[0]].item(), x[..., 0], count + 1
        if count > 1:  # the very first x is pure noise
            assert known.mean().item() == pytest.approx(0.8 * math.sqrt(a), abs=4 * math.sqrt((1 - a) / 2e4))
            assert known.var().item() == pytest.approx(1 - a, rel=0.04)
        return odd(x, t)

    end(repaint(eps, picture, KNOWN, COSINE, steps=4, resample=2, jump=1, generator=seeded()))
    assert count == 7


LINES = torch.tensor([True, False, True, True]).view(4, 1)


@pytest.mark.parametrize("degradation", [means(2), visible(LINES)], ids=["means", "lines"])
@pytest.mark.parametrize("clip", [True, False])
def test_every_guess_has_the_measurements(degradation, clip):
    measured = degradation.apply(pictures(3, 2, 4, 6))
    given = dict(steps=6, resample=2, jump=2, generator=seeded(), clip=clip)
    for step in zero_shot(odd, measured, degradation, COSINE, **given):
        assert torch.allclose(degradation.apply(step.x0), measured, atol=1e-9)
    assert torch.allclose(degradation.apply(step.x), measured, atol=1e-9)


def test_the_guess_keeps_what_cannot_be_measured():
    """(I - A^+ A) x_0 is the network's: differences inside each block of 2 x 2 pixels."""
    degradation, x0 = means(2), pictures(1, 1, 4, 4)

    def eps(x, t):
        a = COSINE[t].view(-1, 1, 1, 1)
        return (x - a.sqrt() * x0) / (1 - a).sqrt()

    measured = degradation.apply(pictures(1, 1, 4, 4, seed=8))
    *_, last = zero_shot(eps, measured, degradation, COSINE, steps=3, generator=seeded(), clip=False)
    blocks = [x[0, 0].unfold(0, 2, 2).unfold(1, 2, 2) for x in (last.x, x0)]  # (2, 2, 2, 2) each
    inside = [b - b.mean((2, 3), keepdim=True) for b in blocks]
    assert torch.allclose(*inside, atol=1e-9)


@pytest.mark.parametrize(
    ("degradation", "shape"), [(means(2), (4, 4)), (means(3), (6, 3)), (visible(LINES), (4, 2))], ids=str
)
def test_undo_is_the_pseudo_inverse(degradation, shape):
    """Moore and Penrose's four equations, on the matrices."""
    eye = torch.eye(math.prod(shape), dtype=torch.float64)
    A = degradation.apply(eye.view(-1, 1, *shape)).flatten(1).T
    measured = degradation.apply(torch.zeros(1, 1, *shape))
    inputs = torch.eye(measured.numel(), dtype=torch.float64).view(-1, *measured.shape[1:])
    B = degradation.undo(inputs).flatten(1).T
    assert torch.allclose(A @ B @ A, A)
    assert torch.allclose(B @ A @ B, B)
    assert torch.allclose(A @ B, (A @ B).T)
    assert torch.allclose(B @ A, (B @ A).T)


def test_means_are_means():
    small = means(2).apply(torch.tensor([[[[1.0, 2.0, 0.0, 0.0], [3.0, 6.0, 0.0, 4.0]]]]))
    assert small.tolist() == [[[[3.0, 1.0]]]]


# ---- interpolation


def test_gaussian_pictures_are_met_on_the_great_circle_between_them():
    """For N(0, V) the way to the noise is a multiplication: slerp of the noises is that of the pictures."""
    d = 12
    eps = of_gaussian_data(torch.zeros(d, dtype=torch.float64), V * torch.eye(d, dtype=torch.float64))
    a, b = (math.sqrt(V) * noise(1, 3, 4, seed=s) for s in (1, 2))
    found = end(interpolate(eps, a, b, COSINE, n=5, steps=80))
    exact = slerp(a.flatten(), b.flatten(), torch.linspace(0, 1, 5, dtype=torch.float64)).view(5, 1, 3, 4)
    assert (found - exact).abs().max() < 0.08 * a.abs().max()
    assert torch.allclose(found[0], a, atol=0.02)
    assert torch.allclose(found[-1], b, atol=0.02)


def test_only_the_way_back_is_shown():
    a, b = pictures(2, 1, 4, 4)
    steps = list(interpolate(odd, a, b, COSINE, n=3, steps=5))
    assert [step.i for step in steps] == list(range(6))
    assert {step.x.shape for step in steps} == {(3, 1, 4, 4)}


# ---- manners

PICTURE = pictures(2, 1, 4, 4).float()
MASK = torch.ones(4, 4) > 0
MASK[1:3, 1:3] = False
TABLE = COSINE.float()
CALLS = {
    "denoise": lambda eps, g: denoise(eps, PICTURE, TABLE, 0.5, steps=5, generator=g),
    "repaint": lambda eps, g: repaint(eps, PICTURE, MASK, TABLE, steps=6, generator=g),
    "zero_shot": lambda eps, g: zero_shot(
        eps, means(2).apply(PICTURE), means(2), TABLE, steps=6, generator=g
    ),
    "interpolate": lambda eps, g: interpolate(eps, PICTURE[0], PICTURE[1], TABLE, steps=5),
}
functions = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@functions
def test_manners(call):
    """Grad mode, the global random state and the given pictures are left alone; a seed decides everything."""
    asked, before, given = [], torch.get_rng_state(), PICTURE.clone()

    def eps(x, t):
        asked.append(len(asked))
        assert not torch.is_grad_enabled()
        assert t.dtype == torch.int64
        assert t.shape == (len(x),)
        return odd(x, t).requires_grad_()

    walk = call(eps, seeded(1))
    assert not asked, "nothing is done before it is wanted"
    first = next(walk)
    assert torch.is_grad_enabled()
    calls = len(asked)
    *_, last = walk
    assert len(asked) > calls
    assert last.x.dtype == torch.float32
    assert not last.x.requires_grad
    assert last.x.shape[1:] == first.x.shape[1:] == PICTURE.shape[1:]
    assert torch.equal(end(call(odd, seeded(1))), last.x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(PICTURE, given)
    stopped = call(eps, seeded(1))
    next(stopped)
    stopped.close()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("call", [CALLS[k] for k in ("denoise", "repaint", "zero_shot")])
def test_another_seed_is_another_answer(call):
    assert not torch.allclose(end(call(odd, seeded(1))), end(call(odd, seeded(2))), atol=1e-2)


# ---- scores


@pytest.mark.parametrize(("steps", "resample", "jump"), [(20, 5, 5), (7, 1, 5), (9, 3, 2)])
def test_calls_are_counted(steps, resample, jump):
    walk = repaint(odd, PICTURE, MASK, TABLE, steps=steps, resample=resample, jump=jump)
    assert next(walk).n == evaluate_restoration.calls(steps, resample, jump)


def test_who_knows_the_truth_has_the_best_scores_and_plain_enlargement_those_of_its_error(monkeypatch):
    truth = data.fashion("validation").floats[:12]

    def knows(model, x0):
        def eps(x, t):
            return eps_from_x0(x, x0, model.alpha_bar[t])

        return eps

    plain, model = DDPM(widths=(8, 8), blocks=1), SuperResolution(widths=(8, 8), blocks=1)
    monkeypatch.setattr(plain, "eps", knows(plain, truth))
    monkeypatch.setattr(  # the answers of a network that is off by 0.2, to one side or the other
        model, "enlarge", lambda small, steps, generator: [Step(0, 0, truth + 0.2 * sign(generator))]
    )
    load = zoo.load
    monkeypatch.setattr(zoo, "load", lambda name: plain if name == "ddpm_fashion" else load(name))
    monkeypatch.setattr(evaluate_restoration, "PICTURES", 12)
    scores = evaluate_restoration.super_resolution(model, "validation")
    assert scores["zero-shot, PSNR"] > 60
    assert scores["zero-shot, Fréchet distance"] < 0.01
    assert scores["network, PSNR"] == pytest.approx(20, abs=0.01)  # 10 log10(4 / 0.2^2)
    assert scores["mean of 8 answers, PSNR"] > 22
    nearest = means(2).undo(means(2).apply(truth))
    error = (nearest - truth).square().mean().item()
    assert scores["nearest, PSNR"] == pytest.approx(10 * math.log10(4 / error), abs=0.01)
    assert scores["nearest, Fréchet distance"] > 0.1


def sign(generator):
    return torch.randn((), generator=generator).sign()


# ---- what cannot be done is said


def bad(known=MASK, picture=PICTURE, **options):
    return repaint(odd, picture, known, TABLE, **options)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: denoise(odd, PICTURE, TABLE, 0.0), "sigma must be from 0.003.* to .*got 0.0"),
        (lambda: denoise(odd, PICTURE, TABLE, -1.0), "sigma must be from"),
        (lambda: denoise(odd, PICTURE, LINEAR, 400.0), r"sigma must be from 0.005 to 3.1e\+02"),
        (lambda: denoise(odd, PICTURE, TABLE, math.nan), "sigma must be from"),
        (lambda: bad(MASK.float()), "known must hold True and False .* got torch.float32"),
        (lambda: bad(torch.ones(5, 4) > 0), r"known has shape \(5, 4\), .* give it shape \(4, 4\)"),
        (lambda: bad(torch.ones(3, 1, 4, 4) > 0), r"known has shape \(3, 1, 4, 4\)"),
        (lambda: bad(torch.ones(1, 2, 1, 4, 4) > 0), "known has shape"),
        (lambda: bad(resample=0), "resample must be at least 1, and jump from 1 to 49"),
        (lambda: bad(steps=5, jump=5), "jump from 1 to 4, .* got resample = 5 and jump = 5"),
        (lambda: bad(jump=0), "jump from 1"),
        (lambda: bad(steps=0), "steps must be from 1"),
        (lambda: zero_shot(odd, PICTURE, visible(MASK), TABLE), "No picture has these measurements"),
        (
            lambda: zero_shot(odd, PICTURE, Degradation(means(2).apply, lambda y: y), TABLE),
            "measured has shape .* are apply and undo a pair",
        ),
        (lambda: interpolate(odd, PICTURE, PICTURE, TABLE), r"two pictures of one shape \(C, H, W\), got"),
        (lambda: interpolate(odd, PICTURE[0], PICTURE[0, :, :2], TABLE), "of one shape"),
        (lambda: interpolate(odd, *PICTURE, TABLE, n=1), "n must be at least 2"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(call, words):
    with pytest.raises(CourseError, match=words):
        next(call())
