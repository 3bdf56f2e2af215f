"""Denoising diffusion: the loss, the classes, guidance, and what comes out after a short training."""

import pytest
import torch
from helpers import Rows
from torch import nn

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.ddpm import DDPM
from course_lib.schedules import (
    add_noise,
    alpha_bars,
    cosine_betas,
    eps_from_x0,
    linear_betas,
    snr,
    v_from,
    x0_from_v,
)

SMALL = dict(size=8, widths=(16, 16), blocks=1, embed=16)
every_prediction = pytest.mark.parametrize("predict", ["eps", "x0", "v"])


def truth(predict, x0, eps, a):
    """What a network that knows the picture and the noise says."""
    return {"eps": eps, "x0": x0, "v": v_from(x0, eps, a)}[predict]


def pictures(n, seed=0):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Says(nn.Module):
    """Stands in for the U-Net: remembers what it was asked, and answers with a function of it."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []
        self.enter = nn.Linear(1, 1)  # where the model looks for its device

    def forward(self, x, t, y=None):
        self.asked.append((x, t, y))
        return self.answer(x, t, y)


def model(answer, **options):
    made = DDPM(**(SMALL | options))
    made.net = Says(answer)
    return made


def zero(x, t, y):
    return torch.zeros_like(x)


def only(losses):
    (loss,) = losses
    return loss.value


def last(steps):
    *_, step = steps
    return step.x


# ---- the schedule


@pytest.mark.parametrize(("schedule", "betas"), [("linear", linear_betas()), ("cosine", cosine_betas())])
def test_the_schedule_is_a_buffer_with_the_papers_values(schedule, betas):
    made = DDPM(**SMALL, schedule=schedule)
    assert torch.equal(made.state_dict()["alpha_bar"], alpha_bars(betas).float())
    assert DDPM(**SMALL, T=30).alpha_bar.shape == (31,)


# ---- the loss


@every_prediction
def test_loss_is_the_mean_squared_distance_from_what_is_to_be_said(predict):
    """Eq. 14: a network that says 0 has the loss mean eps^2, x_0^2 or v^2, one that knows has 0."""
    x0 = pictures(64)
    blind = model(zero, predict=predict)
    loss = only(blind.losses(x0, 0))
    ((x, t, y),) = blind.net.asked
    a = blind.alpha_bar[t]
    eps = eps_from_x0(x, x0, a)
    assert torch.allclose(x, add_noise(x0, eps, a), atol=1e-5)
    assert eps.mean().abs() < 0.1
    assert eps.std() == pytest.approx(1, abs=0.1)
    target = truth(predict, x0, eps, a)
    assert loss.item() == pytest.approx(target.square().mean().item(), rel=1e-3)
    assert y is None

    def knows(x, t, y):
        a = seeing.alpha_bar[t]
        return truth(predict, x0, eps_from_x0(x, x0, a), a)

    seeing = model(knows, predict=predict)
    assert only(seeing.losses(x0, 0)).item() < 1e-6


def test_every_time_is_as_likely_as_any_other():
    made = model(zero, T=20)
    for _ in range(20):
        list(made.losses(pictures(1000), 0))
    counts = torch.cat([t for _, t, _ in made.net.asked]).bincount(minlength=21)
    assert len(counts) == 21
    assert counts[0] == 0  # there is no noise to be found in the clean picture
    assert counts[1:].min() > 850  # of 1000; 4.9 standard deviations
    assert counts[1:].max() < 1150


def test_with_a_spread_middling_times_are_drawn_more_often():
    """t / T is the sigmoid of N(0, spread^2): shares of 20,000 draws within five standard errors."""
    made = model(zero, T=1000, spread=1.2)
    for _ in range(20):
        list(made.losses(pictures(1000), 0))
    t = torch.cat([t for _, t, _ in made.net.asked])
    assert 1 <= t.min() < t.max() <= 1000
    for q in (0.1, 0.25, 0.5, 0.8, 0.95):
        share = torch.special.ndtr(torch.logit(torch.tensor(q)) / 1.2).item()
        found = (t <= 1000 * q).double().mean().item()
        assert abs(found - share) < 5 * (share * (1 - share) / 20_000) ** 0.5, q


def test_each_picture_has_a_time_and_noise_of_its_own():
    made = model(zero)
    x0 = pictures(1).expand(50, -1, -1, -1)
    list(made.losses(x0, 0))
    ((x, t, _),) = made.net.asked
    assert len(t.unique()) > 40
    eps = eps_from_x0(x, x0, made.alpha_bar[t]).flatten(1)
    assert (torch.corrcoef(eps) - torch.eye(50)).abs().max() < 0.7  # of 64 numbers each


@pytest.mark.parametrize(("drop", "low", "high"), [(0.0, 0, 0), (0.1, 0.08, 0.12), (1.0, 1, 1)])
def test_a_share_of_the_labels_is_left_out(drop, low, high):
    made = model(zero, classes=3, drop=drop)
    y = torch.arange(6000) % 3
    before = y.clone()
    list(made.losses((pictures(1).expand(6000, -1, -1, -1), y), 0))
    told = made.net.asked[0][2]
    gone = told == 3
    assert low <= gone.float().mean() <= high
    assert torch.equal(told[~gone], y[~gone])
    assert torch.equal(y, before)


# ---- what the network's answer means


@every_prediction
def test_eps_is_the_noise_whatever_the_network_says(predict):
    x0, eps = pictures(5), torch.randn(5, 1, 8, 8)
    t = torch.tensor([1, 200, 500, 800, 999])
    made = model(zero, predict=predict)
    a = made.alpha_bar[t]
    made.net.answer = lambda x, t, y: truth(predict, x0, eps, a)
    # in x_1 there is little noise: x_0 in float32, off by 1e-7 or so, tells it to 5 digits
    assert torch.allclose(made.eps(add_noise(x0, eps, a), t), eps, atol=1e-4 if predict == "x0" else 1e-5)


def test_a_mistake_of_one_prediction_is_a_mistake_of_all():
    """|eps error|^2 = snr |x_0 error|^2 and |v error|^2 = (snr + 1) |x_0 error|^2, as the module says."""
    t = torch.tensor([100, 300, 500, 700, 900])
    x0, eps, said = pictures(5).double(), torch.randn(5, 1, 8, 8).double(), torch.randn(5, 1, 8, 8).double()
    wrong = model(lambda x, t, y: said, predict="v").double()
    a = wrong.alpha_bar[t]
    x = add_noise(x0, eps, a)
    errors = [
        (found - true).square().sum((1, 2, 3))
        for found, true in (
            (x0_from_v(x, said, a), x0), (wrong.eps(x, t), eps), (said, v_from(x0, eps, a)),
        )
    ]  # fmt: skip
    assert torch.allclose(errors[1], snr(a) * errors[0], rtol=1e-9)
    assert torch.allclose(errors[2], (snr(a) + 1) * errors[0], rtol=1e-9)


def test_an_unknown_prediction_is_refused():
    with pytest.raises(CourseError, match='predict must be "eps", "x0" or "v", got "score"'):
        DDPM(**SMALL, predict="score")


def test_guidance_goes_on_from_no_class_through_the_class():
    """Eq. 6 with guidance = 1 + w: (1 + w) eps(x, y) - w eps(x)."""

    def answer(x, t, y):
        return torch.where(y == 4, 1.0, 3.0 + y).view(-1, 1, 1, 1).expand_as(x) + 0 * x

    made = model(answer, classes=4, predict="eps")
    x, t, y = pictures(2), torch.tensor([5, 7]), torch.tensor([0, 2])
    for w in (-1.0, 0.0, 1.0, 2.5):
        told, untold = answer(x, t, y), answer(x, t, torch.full_like(y, 4))
        assert torch.allclose(made.guided(x, t, y, 1 + w), (1 + w) * told - w * untold)
    asked = made.net.asked
    plain = [call for call in asked if len(call[0]) == 2]
    assert len(plain) == 1  # guidance 1 asks once
    for x2, t2, y2 in (call for call in asked if len(call[0]) == 4):
        assert torch.equal(x2, torch.cat([x, x]))
        assert t2.tolist() == [5, 7, 5, 7]
        assert sorted(y2.tolist()) == [0, 2, 4, 4]


# ---- samples


def labels_of(made, n, **options):
    made.net.asked.clear()
    next(made.sample(n, **options))
    return made.net.asked[0][2].tolist()


def test_labels_are_those_asked_for():
    made = model(zero, classes=3)
    assert labels_of(made, 7) == [0, 1, 2, 0, 1, 2, 0]
    assert labels_of(made, 3, label=2) == [2, 2, 2]
    assert labels_of(made, 2, label=3) == [3, 3]
    assert labels_of(made, 3, label=torch.tensor([2, 0, 3])) == [2, 0, 3]
    assert labels_of(model(zero), 3) == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(label=4), r"label must be from 0 to 3 \(which is no class\), got 4"),
        (dict(label=-1), "label must be from 0 to 3"),
        (dict(label=torch.tensor([0, 1])), "label must be one number or 5, one for each picture, got 2"),
        (dict(sampler="rk4"), 'sampler must be "ddim", "ddpm", "euler" or "heun", got "rk4"'),
        (dict(steps=0), "steps must be from 1 to 1000"),
        (dict(eta=2.0), "eta must be from 0"),
    ],
    ids=str,
)
def test_samples_that_cannot_be_had(options, words):
    with pytest.raises(CourseError, match=words):
        next(model(zero, classes=3).sample(5, **options))


def test_sampler_steps_and_guidance_are_passed_on():
    made = model(zero, classes=3, T=40)
    assert len(list(made.sample(1, sampler="ddpm", steps=None))) == 41
    assert len(list(made.sample(1, steps=6))) == 7
    assert len(list(DDPM(**SMALL).sample(1))) == 51

    def half(x, t, y):
        return 0.5 * x * (y == 1).view(-1, 1, 1, 1)

    def run(**options):
        seeded = torch.Generator().manual_seed(0)
        return last(model(half, classes=3, predict="eps").sample(2, generator=seeded, steps=4, **options))

    base = run(label=1)
    for other in (dict(guidance=2.0), dict(eta=1.0), dict(sampler="ddpm"), dict(label=2)):
        assert not torch.allclose(run(**({"label": 1} | other)), base, atol=1e-3), other
    assert torch.allclose(run(label=1, eta=1.0), run(label=1, sampler="ddpm"), atol=1e-5)
    assert torch.allclose(run(label=1, guidance=0.0), run(label=3), atol=1e-5)
    assert torch.allclose(run(label=1, sampler="euler"), base, atol=1e-5)  # the same path as ddim
    assert not torch.allclose(run(label=1, sampler="heun"), base, atol=1e-3)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "euler", "heun"])
def test_times_of_your_own_are_the_ones_that_are_visited(sampler):
    """Heun asks at both ends of a step, but not where nothing of the picture is left, nor at t = 0."""
    made = model(zero, T=1000)
    steps = list(made.sample(2, sampler=sampler, times=[1000, 500, 100, 0]))
    assert [step.note for step in steps] == ["t = 1000", "t = 500", "t = 100", "t = 0"]
    asked = [int(t[0]) for _, t, _ in made.net.asked]
    assert asked == ([1000, 500, 100, 100] if sampler == "heun" else [1000, 500, 100])


@pytest.fixture(scope="module")
def two_pictures():
    """Trained for a few seconds on two pictures, one of each class."""
    torch.manual_seed(0)
    x, y = pictures(2).repeat(32, 1, 1, 1).sign() * 0.8, torch.arange(64) % 2
    made = DDPM(**SMALL, classes=2, T=200, drop=0.2, lr=1e-2)
    run = fit(made, Rows((x, y)), steps=250, batch=32, ema=0.95, device="cpu", progress=False)
    return run.model, x[:2]


@pytest.mark.parametrize(
    "options",
    [dict(steps=20), dict(steps=20, guidance=2.0), dict(sampler="ddpm", steps=40), dict(steps=20, eta=1.0)],
    ids=str,
)
def test_what_was_learnt_comes_out_of_noise(two_pictures, options):
    made, truth = two_pictures
    x = last(made.sample(10, generator=torch.Generator().manual_seed(1), **options))
    error = (x - truth.repeat(5, 1, 1, 1)).square().mean((1, 2, 3))
    assert error.max() < 0.05  # the two pictures are 1.3 apart


def test_without_a_class_either_picture_comes_out(two_pictures):
    made, truth = two_pictures
    x = last(made.sample(40, label=2, generator=torch.Generator().manual_seed(2), sampler="ddpm", steps=40))
    errors = (x[:, None] - truth[None]).square().mean((2, 3, 4))  # (40, 2)
    assert errors.min(1).values.median() < 0.05
    chosen = errors.argmin(1).bincount(minlength=2)
    assert chosen.min() > 5


def test_pictures_without_labels_are_learnt_too():
    torch.manual_seed(0)
    x = pictures(1).sign() * 0.8
    made = DDPM(**SMALL, T=100, lr=1e-2, predict="eps", schedule="linear")
    made = fit(made, x.repeat(32, 1, 1, 1), steps=150, batch=16, device="cpu", progress=False).model
    found = last(made.sample(4, generator=torch.Generator().manual_seed(0), sampler="ddpm", steps=None))
    assert (found - x).square().mean() < 0.1


# ---- the bound


def on_levels(x):
    return (x * 127.5 + 127.5).round() / 127.5 - 1


def test_the_bound_is_that_of_the_model_and_the_class_it_is_told():
    """By a network that says eps = 0 of class 1 and the truth of class 0: v and x_0 prediction alike."""
    x0 = on_levels(pictures(6))
    for predict in ("eps", "x0", "v"):
        made = model(zero, classes=2, predict=predict, T=50)

        def answer(x, t, y, made=made, predict=predict):
            a = made.alpha_bar[t]
            eps = eps_from_x0(x, x0, a) * (y == 0).view(-1, 1, 1, 1)
            clean = (x - (1 - a).sqrt().view(-1, 1, 1, 1) * eps) / a.sqrt().view(-1, 1, 1, 1)
            return truth(predict, clean, eps, a)

        made.net.answer = answer
        told = torch.tensor([0, 1, 2, 0, 1, 2])
        bound = made.bound(x0, told, generator=torch.Generator().manual_seed(0))
        assert bound.terms[told == 0, 1:].abs().max() < 1e-3
        assert bound.terms[told > 0, 1:].min() > 1e-3
        assert len(made.net.asked) == 50
    seen = model(zero, T=50)
    bound = seen.bound(x0, terms=7)
    assert bound.terms.shape == (6, 7)
    assert all(y is None for _, _, y in seen.net.asked)


def test_what_was_learnt_costs_less_than_anything_else(two_pictures):
    """The two pictures told by their class, by the other one, and by a network that has learnt nothing."""
    made, truth = two_pictures
    x0, own = on_levels(truth), torch.arange(2)
    torch.manual_seed(0)
    blank = DDPM(**SMALL, classes=2, T=200)
    for variance in ("posterior", "beta"):
        cost = []
        for m, y in ((made, own), (made, 1 - own), (blank, own)):
            seeded = torch.Generator().manual_seed(0)
            cost.append(-m.bound(x0, y, terms=25, variance=variance, generator=seeded).value.mean())
        assert cost[0] < 0.75 * min(cost[1:]), variance
