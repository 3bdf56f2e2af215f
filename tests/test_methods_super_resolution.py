"""Conditional diffusion for super-resolution: what the network is told, its loss, and draws that fit."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.super_resolution import SuperResolution
from course_lib.schedules import add_noise, eps_from_x0, v_from

SMALL = dict(widths=(16, 16), blocks=1, embed=16)


def pictures(n, seed=0):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Says(nn.Module):
    """Stands in for the U-Net: remembers what it was asked, and answers with a function of it."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []

    def forward(self, x, t):
        self.asked.append((x, t))
        return self.answer(x[:, :1], t)


def model(answer, **options):
    made = SuperResolution(**(SMALL | options))
    made.net = Says(answer)
    return made


def zero(x, t):
    return torch.zeros_like(x)


def says_truth(x0):
    """A network that knows the large pictures, and says the v that leads to them."""

    def answer(x, t):
        a = made.alpha_bar[t]
        return v_from(x0, eps_from_x0(x, x0, a), a)

    made = model(answer)
    return made


def last(steps):
    *_, step = steps
    return step.x


# ---- small and large


def test_small_pictures_are_means_of_blocks():
    x = torch.tensor([[[[1.0, 0.0, -1.0, 1.0], [0.0, 0.5, 0.0, 0.0]]]])
    assert model(zero).shrink(x).tolist() == [[[[0.375, 0.0]]]]
    assert model(zero, factor=4).shrink(torch.ones(2, 1, 8, 4)).shape == (2, 1, 2, 1)


def test_stretching_is_bicubic_and_stays_in_range():
    """Keys' cubic with a = -3/4, as torch's and OpenCV's: at a quarter of the way from the second of four
    values its weights are -0.10547, 0.87891, 0.26172, -0.03516."""
    values = torch.tensor([0.1, -0.4, 0.8, 0.3])
    weights = torch.tensor([-0.10546875, 0.87890625, 0.26171875, -0.03515625])
    large = model(zero).stretch(values.expand(4, 4)[None, None])
    assert large.shape == (1, 1, 8, 8)
    assert large[0, 0, 4, 3].item() == pytest.approx((weights * values).sum().item(), abs=1e-5)
    steep = torch.tensor([-1.0, -1.0, 1.0, 1.0]).expand(4, 4)[None, None]
    assert F.interpolate(steep, scale_factor=2, mode="bicubic").max() > 1.01
    assert model(zero).stretch(steep).abs().max() == 1


# ---- the loss


def test_the_network_sees_the_noisy_large_picture_and_the_small_one():
    made, x0 = model(zero), pictures(64)
    (loss,) = made.losses(x0, 0)
    ((x, t),) = made.net.asked
    assert x.shape == (64, 2, 8, 8)
    assert torch.equal(x[:, 1:], made.stretch(made.shrink(x0)))  # without noise
    a = made.alpha_bar[t]
    eps = eps_from_x0(x[:, :1], x0, a)
    assert torch.allclose(x[:, :1], add_noise(x0, eps, a), atol=1e-5)
    assert eps.std() == pytest.approx(1, abs=0.1)
    assert eps.mean().abs() < 0.1
    assert loss.value.item() == pytest.approx(v_from(x0, eps, a).square().mean().item(), rel=1e-3)


def test_who_knows_the_picture_has_no_loss_and_labels_are_left_alone():
    x0 = pictures(32)
    made = says_truth(x0)
    (loss,) = made.losses(x0, 0)
    assert loss.value.item() < 1e-6
    (loss,) = made.losses((x0, torch.arange(32)), 0)
    assert loss.value.item() < 1e-6


def test_every_time_is_as_likely_as_any_other():
    made = model(zero, T=20)
    for _ in range(20):
        list(made.losses(pictures(1000), 0))
    counts = torch.cat([t for _, t in made.net.asked]).bincount(minlength=21)
    assert len(counts) == 21
    assert counts[0] == 0
    assert counts[1:].min() > 850  # of 1000; 4.9 standard deviations
    assert counts[1:].max() < 1150


def test_eps_is_the_noise():
    x0, noise, t = pictures(4), torch.randn(4, 1, 8, 8), torch.tensor([1, 300, 700, 999])
    made = says_truth(x0)
    x = add_noise(x0, noise, made.alpha_bar[t])
    assert torch.allclose(made.eps(x, t, made.shrink(x0)), noise, atol=0.02)  # t = 1: noise of 0.006
    assert torch.equal(made.net.asked[-1][0][:, 1:], made.stretch(made.shrink(x0)))


# ---- draws


def test_each_small_picture_gets_its_own_large_one():
    x0 = pictures(3)
    made = says_truth(x0)
    small = made.shrink(x0)
    steps = list(made.enlarge(small, steps=4, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(steps[-1].x, x0, atol=1e-4)
    assert [step.i for step in steps] == [0, 1, 2, 3, 4]
    assert all(torch.equal(x[:, 1:], made.stretch(small)) for x, _ in made.net.asked)


def test_the_first_step_is_noise_and_eta_is_passed_on():
    made, small = model(lambda x, t: 0.5 * x), pictures(2)[:, :, :4, :4]

    def run(**options):
        return list(made.enlarge(small, steps=3, generator=torch.Generator().manual_seed(1), **options))

    first, *_, drawn = run()
    assert first.x.shape == (2, 1, 8, 8)
    assert torch.equal(first.x, torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(run()[-1].x, drawn.x)
    assert not torch.allclose(run(eta=0.0)[-1].x, drawn.x, atol=1e-2)


def test_grad_mode_and_global_random_numbers_are_left_alone():
    made, before = SuperResolution(**SMALL), torch.get_rng_state()
    walk = made.enlarge(torch.zeros(1, 1, 4, 4), steps=2, generator=torch.Generator().manual_seed(0))
    for step in walk:
        assert torch.is_grad_enabled()
        assert not step.x.requires_grad
    assert step.x.abs().max() <= 1
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def two_of_one_small():
    """Trained for a few seconds on two large pictures that have one small picture, and two of another."""
    torch.manual_seed(0)
    base = pictures(2).sign()
    base = F.interpolate(F.avg_pool2d(base, 2), scale_factor=2) * 0.5  # constant in each block
    detail = 0.45 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(4, 4)
    truth = torch.stack([base - detail, base + detail], 1).flatten(0, 1)  # (4, 1, 8, 8)
    made = SuperResolution(**SMALL, T=200, lr=1e-2)
    run = fit(made, truth.repeat(4, 1, 1, 1), steps=300, batch=16, ema=0.95, device="cpu", progress=False)
    return run.model, base, truth


@pytest.mark.trust  # trains for some seconds; the contract tests train a little, too
def test_draws_are_sharp_and_their_mean_is_blurred(two_of_one_small):
    """Each draw is one of the two large pictures of its small one, both come out, and the mean is neither."""
    made, base, truth = two_of_one_small
    for k in range(2):
        small = made.shrink(base[k : k + 1]).repeat(30, 1, 1, 1)
        drawn = last(made.enlarge(small, steps=20, generator=torch.Generator().manual_seed(k)))
        own = truth[2 * k : 2 * k + 2]
        errors = (drawn[:, None] - own[None]).square().mean((2, 3, 4))  # (30, 2); the two are 0.81 apart
        assert errors.min(1).values.median() < 0.04
        assert errors.argmin(1).bincount(minlength=2).min() > 3
        assert (made.shrink(drawn) - small).square().mean() < 0.01
        mean = drawn.mean(0, keepdim=True)
        assert (mean - base[k]).square().mean() < (mean - own).square().mean((1, 2, 3)).min()


@pytest.mark.parametrize(
    ("small", "options", "words"),
    [
        (torch.zeros(1, 4, 4), {}, r"small must have shape \(B, 1, h, w\), .* got \(1, 4, 4\)"),
        (torch.zeros(1, 3, 4, 4), {}, r"got \(1, 3, 4, 4\)"),
        (torch.zeros(1, 1, 4, 4), dict(steps=0), "steps must be from 1"),
        (torch.zeros(1, 1, 4, 4), dict(eta=2.0), "eta must be from 0"),
    ],
    ids=str,
)
def test_what_cannot_be_enlarged(small, options, words):
    with pytest.raises(CourseError, match=words):
        next(model(zero).enlarge(small, **options))
