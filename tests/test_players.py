"""The two players of a GAN: what they compute, and which pictures depend on which."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.errors import CourseError
from course_lib.nn.players import Discriminator, batch_stddev, players

SIZES = pytest.mark.parametrize(
    ("size", "channels", "widths", "deep"),
    [
        (8, 1, (3, 5), {}),
        (28, 1, (4, 6), {}),
        (32, 3, (4, 6), {}),
        (8, 1, (3, 5), dict(squeeze=2, blocks=2)),
    ],
)


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def numpy_of(net):
    return [p.detach().double().numpy() for p in net.parameters()]


# ---- points


def test_players_for_points_by_hand():
    """Two hidden layers: ReLU in G, a slope of 0.2 below 0 in D."""
    G, D = players(0, 2, 3, (7, 2), stddev=False)
    z, x = torch.randn(50, 3), torch.randn(50, 2)
    a, b, c, d, e, f = numpy_of(G)
    by_hand = np.maximum(np.maximum(z.numpy() @ a.T + b, 0) @ c.T + d, 0) @ e.T + f
    assert np.allclose(G(z).detach(), by_hand, atol=1e-5)
    a, b, c, d, e, f = numpy_of(D)
    features = leaky(leaky(x.numpy() @ a.T + b) @ c.T + d)
    assert np.allclose(D.features(x).detach(), features, atol=1e-5)
    assert np.allclose(D(x).detach(), (features @ e.T + f)[:, 0], atol=1e-5)


def test_points_have_no_bounds():
    G, _ = players(0, 2, 3, (7, 2), stddev=False)
    assert G(1000 * torch.randn(50, 3)).abs().max() > 10


# ---- pictures


@SIZES
def test_pictures_are_painted_everywhere_and_stay_in_range(size, channels, widths, deep):
    G, _ = players(size, channels, 3, widths, stddev=False, **deep)
    made = G(torch.randn(40, 3))
    assert made.shape == (40, channels, size, size)
    assert (made.std(0) > 1e-3).all()  # each pixel of each channel depends on z
    with torch.no_grad():
        G[-2].weight *= 1000
    made = G(torch.randn(40, 3))
    assert made.max() == 1
    assert made.min() == -1


@SIZES
def test_every_pixel_counts_for_the_judge(size, channels, widths, deep):
    _, D = players(size, channels, 3, widths, stddev=False, **deep)
    x = torch.randn(2, channels, size, size, requires_grad=True)
    (grad,) = torch.autograd.grad(D(x).square().sum(), x)
    assert (grad != 0).all()


def test_features_of_a_picture_by_hand():
    _, D = players(8, 2, 3, (3, 5), stddev=False)
    a, b, c, d, w, bias = D.parameters()
    x = torch.randn(6, 2, 8, 8)
    h = F.leaky_relu(F.conv2d(x, a, b, stride=2, padding=1), 0.2)
    h = F.leaky_relu(F.conv2d(h, c, d, stride=2, padding=1), 0.2).flatten(1)
    assert torch.allclose(D.features(x), h, atol=1e-6)
    assert torch.allclose(D(x), h @ w[0] + bias, atol=1e-6)


def test_residual_blocks_of_the_judge_by_hand():
    """leaky(x + two convolutions of x); with zeros in the second one nothing is added."""
    _, D = players(8, 2, 3, (3, 5), stddev=False, blocks=1)
    block = D.body[-2]
    a, b, c, d = block.parameters()
    x = torch.randn(6, 5, 2, 2)
    added = F.conv2d(F.leaky_relu(F.conv2d(x, a, b, padding=1), 0.2), c, d, padding=1)
    assert torch.allclose(block(x), F.leaky_relu(x + added, 0.2), atol=1e-6)
    with torch.no_grad():
        c.zero_(), d.zero_()
    pictures = torch.randn(6, 2, 8, 8)
    before = D.body[:-2](pictures)
    assert torch.allclose(D.features(pictures), F.leaky_relu(before, 0.2).flatten(1), atol=1e-6)


def test_squeeze_is_the_width_of_the_first_layer():
    weights = [players(8, 1, 3, (3, 5), False, squeeze=k)[0][0].weight.numel() for k in (0, 2, 5)]
    assert weights == [3 * k * 2 * 2 for k in (5, 2, 5)]


def test_what_enters_a_relu_of_the_generator_is_normalised():
    """Over the batch and all places each channel has mean 0 and variance 1, whatever the scale of z."""
    G, _ = players(8, 1, 3, (3, 5), stddev=False)
    seen = []
    for layer in G:
        if isinstance(layer, nn.ReLU):
            layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    G(5 + 20 * torch.randn(500, 3))
    assert [len(h.transpose(0, 1)) for h in seen] == [5, 3]
    for h in seen:
        flat = h.transpose(0, 1).flatten(1)
        assert torch.allclose(flat.mean(1), torch.zeros(len(flat)), atol=1e-4)
        assert torch.allclose(flat.var(1), torch.ones(len(flat)), atol=2e-2)


# ---- the batch


def neighbours_matter(D, x):
    """Whether the logits of the first half change with the second half of the batch."""
    other = torch.cat([x[:4], 3 * torch.randn_like(x[4:])])
    return not torch.allclose(D(x)[:4], D(other)[:4], atol=1e-5)


@pytest.mark.parametrize(("size", "blocks"), [(0, 0), (8, 0), (8, 1)])
@pytest.mark.parametrize("stddev", [False, True])
def test_the_judge_looks_at_its_batch_only_when_asked(size, blocks, stddev):
    _, D = players(size, 2, 3, (8, 2), stddev, blocks=blocks)
    x = torch.randn(8, 2, *[size] * (2 if size else 0))
    assert neighbours_matter(D.train(), x) == stddev
    assert len(D.head.weight[0]) == len(D.features(x)[0]) + stddev


def test_logit_of_a_judge_that_sees_variety():
    """w.h + v s + b, where s is the variety of the batch."""
    D = Discriminator(nn.Identity(), 3, stddev=True).double()
    h = torch.randn(6, 3).double()
    w, (b,) = D.head.weight[0].detach().numpy(), D.head.bias.detach().numpy()
    assert np.allclose(D(h).detach(), h.numpy() @ w[:3] + w[3] * h.numpy().std(0).mean() + b, rtol=1e-6)


def test_variety_of_a_batch_is_that_of_numpy():
    h = torch.randn(9, 4).double() * torch.tensor([0.1, 1, 3, 0])
    expected = np.sqrt(h.numpy().var(0) + 1e-8).mean()
    assert np.allclose(batch_stddev(h), np.full((9, 1), expected), rtol=1e-12)
    assert torch.allclose(batch_stddev(h + 100), batch_stddev(h), rtol=1e-9)
    assert torch.allclose(batch_stddev(5 * h[:, :3]), 5 * batch_stddev(h[:, :3]), rtol=1e-5)


@pytest.mark.parametrize("count", [1, 5])
def test_a_batch_without_variety_has_finite_gradients(count):
    h = torch.ones(count, 3, requires_grad=True)
    variety = batch_stddev(h)
    assert torch.allclose(variety, torch.full((count, 1), 1e-4))
    (grad,) = torch.autograd.grad(variety.sum(), h)
    assert torch.equal(grad, torch.zeros(count, 3))
    _, D = players(0, 2, 3, (8, 2), stddev=True)
    x = torch.ones(count, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    seconds = torch.autograd.grad(slope.square().sum(), list(D.parameters()), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in (slope, *(s for s in seconds if s is not None)))


def test_variety_falls_as_a_batch_collapses():
    h = torch.randn(8, 4)
    spread = [batch_stddev(c * h)[0].item() for c in (1, 0.5, 0.1, 0)]
    assert spread == sorted(spread, reverse=True)
    assert spread[1] == pytest.approx(spread[0] / 2, rel=1e-4)


def test_logits_leave_bf16():
    """What a loss computes from them then has all its digits."""
    _, D = players(0, 2, 3, (8, 2), stddev=True)
    x = torch.randn(8, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert D.features(x).dtype == torch.bfloat16
        assert D(x).dtype == torch.float32


# ---- sizes


@pytest.mark.parametrize("name", ["squeeze", "blocks"])
def test_squeeze_and_blocks_are_for_pictures_and_not_negative(name):
    with pytest.raises(CourseError, match=f"{name} must be a whole number of at least 0, got -1"):
        players(8, 1, 3, (3, 5), False, **{name: -1})
    with pytest.raises(CourseError, match=f"{name} is for pictures: leave it out where the data are points"):
        players(0, 2, 3, (3, 5), False, **{name: 1})


@pytest.mark.parametrize("size", [4, 10, 27, -4, math.nan])
def test_a_size_that_cannot_be_built_is_refused(size):
    with pytest.raises(CourseError, match=f"multiple of 4 and at least 8, got {size}: resize it"):
        players(size, 1, 3, (3, 5), stddev=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(channels=0), "channels must be a whole number of at least 1, got 0"),
        (dict(latent=0), "latent must be a whole number of at least 1, got 0"),
        (dict(latent=2.5), "latent must be a whole number of at least 1, got 2.5"),
        (dict(widths=(8, 0)), r"widths\[1\] must be a whole number of at least 1, got 0"),
        (dict(widths=(-1, 2)), r"widths\[0\] must be a whole number of at least 1, got -1"),
        (dict(widths=(8,)), r"widths must be two numbers, got \(8,\)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [0, 8])
def test_impossible_numbers_are_refused(size, given, said):
    good = dict(channels=2, latent=3, widths=(8, 2))
    with pytest.raises(CourseError, match=said):
        players(size, **(good | given), stddev=False)
