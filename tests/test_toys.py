"""Generated data against closed forms."""

import math

import pytest
import torch

from course_lib import toys
from course_lib.errors import DataError

N = 20_000


def test_ring_has_equal_gaussians_on_a_circle():
    points = toys.ring(N, modes=5, radius=0.6, std=0.05, seed=1)
    counts = points.y.bincount(minlength=5)
    # a binomial count is within 5 standard deviations of its mean
    assert ((counts - N / 5).abs() < 5 * math.sqrt(N * 0.2 * 0.8)).all()
    for k in range(5):
        own = points.x[points.y == k]
        angle = 2 * math.pi * k / 5
        centre = 0.6 * torch.tensor([math.cos(angle), math.sin(angle)])
        assert torch.allclose(own.mean(0), centre, atol=5 * 0.05 / math.sqrt(len(own)))
        assert torch.allclose(own.T.cov(), 0.05**2 * torch.eye(2), atol=0.05**2 * 0.1)


def test_moons_without_noise_lie_on_their_half_circles():
    points = toys.moons(N, std=0.0)
    upper, lower = points.x[points.y == 0], points.x[points.y == 1]
    for own, centre in ((upper, (-0.25, -0.125)), (lower, (0.25, 0.125))):
        distance = (own - torch.tensor(centre)).norm(dim=1)
        assert torch.allclose(distance, torch.full_like(distance, 0.5), atol=1e-5)
    assert (upper[:, 1] >= -0.125 - 1e-6).all()
    assert (lower[:, 1] <= 0.125 + 1e-6).all()
    # the mean height of a half circle of radius r is 2 r / pi
    assert upper[:, 1].mean() == pytest.approx(-0.125 + 1 / math.pi, abs=0.01)


def test_spirals_without_noise_follow_their_angle():
    points = toys.spirals(N, arms=3, turns=1.25, std=0.0)
    radius = points.x.norm(dim=1)
    angle = 2 * math.pi * (1.25 * radius / 0.9 + points.y / 3)
    direction = torch.stack([angle.cos(), angle.sin()], dim=1)
    assert torch.allclose(points.x, radius[:, None] * direction, atol=1e-4)
    # the radius is 0.9 sqrt(u): P(radius < r) = (r / 0.9)^2
    assert (radius < 0.45).float().mean() == pytest.approx(0.25, abs=0.015)


def test_checkerboard_fills_dark_squares_evenly_and_no_others():
    points = toys.checkerboard(N, squares=4)
    cell = ((points.x + 1) * 2).floor().long()
    assert cell.min() == 0
    assert cell.max() == 3
    assert (cell.sum(1) % 2 == 0).all()
    counts = (cell[:, 1] * 4 + cell[:, 0]).bincount(minlength=16)
    dark = counts[counts > 0]
    assert len(dark) == 8
    assert ((dark - N / 8).abs() < 5 * math.sqrt(N / 8)).all()
    inside = (points.x + 1) * 2 - cell
    assert inside.var(0).tolist() == pytest.approx([1 / 12, 1 / 12], rel=0.05)  # uniform in the square


@pytest.mark.parametrize("make", [toys.ring, toys.moons, toys.spirals, toys.checkerboard])
def test_points_are_in_range_seeded_and_indexable(make):
    points = make(N, seed=3)
    assert points.x.dtype == torch.float32
    assert points.x.abs().max() <= 1
    assert torch.equal(points.x, make(N, seed=3).x)
    assert not torch.equal(points.x, make(N, seed=4).x)
    index = torch.tensor([5, 2, 5])
    assert torch.equal(points.unlabelled()[index], points.x[index])
    if points.y is not None:
        assert torch.equal(points[index][1], points.y[index])


def test_toys_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    toys.ring(10)
    toys.solids(2)
    assert torch.equal(torch.get_rng_state(), state)


def test_solids_have_the_volumes_of_geometry():
    data = toys.solids(1500, size=16, seed=0)
    low, high = 0.65, 0.95
    cube = (high**4 - low**4) / (4 * (high - low))  # mean of scale^3
    expected = {
        "sphere": 4 / 3 * math.pi,
        "box": 8 * 0.7 * 0.55 * 0.42,
        "cylinder": math.pi * 0.5**2 * 1.7,
        "torus": 2 * math.pi**2 * 0.68 * 0.28**2,
        "cross": 3 * 8 * 0.93 * 0.25**2 - 2 * 8 * 0.25**3,
    }
    volume = data.x.double().div(255).sum((1, 2, 3, 4)) * (2 / 16) ** 3
    for k, name in enumerate(toys.SOLIDS):
        assert volume[data.y == k].mean() == pytest.approx(expected[name] * cube, rel=0.06), name


def test_solids_are_whole_centred_and_turned():
    data = toys.solids(300, size=16, seed=1)
    x = data.floats
    assert x.shape == (300, 1, 16, 16, 16)
    assert (x.min(), x.max()) == (-1, 1)
    # nothing is cut off: the outermost voxels are empty for all but the largest spheres
    border = data.x.clone()
    border[:, :, 1:-1, 1:-1, 1:-1] = 0
    assert border.max() < 128
    weight = data.x.double()
    line = torch.arange(16, dtype=torch.float64) - 7.5
    for axis in (2, 3, 4):
        sides = [a for a in (2, 3, 4) if a != axis]
        centre = (weight.sum(sides).squeeze(1) * line).sum(1) / weight.sum((1, 2, 3, 4))
        assert centre.abs().max() < 0.05  # every solid is symmetric about its centre
    cylinders = data.x[data.y == 2]
    assert len({c.numpy().tobytes() for c in cylinders}) == len(cylinders)


def test_a_sphere_looks_the_same_from_every_side_and_a_torus_has_a_hole():
    data = toys.solids(200, size=16, seed=2)
    sphere = data.x[data.y == 0][0, 0].float()
    assert torch.allclose(sphere, sphere.permute(1, 2, 0), atol=2)
    torus, ball = data.x[data.y == 3][:, 0], data.x[data.y == 0][:, 0]
    assert (torus[:, 7:9, 7:9, 7:9] == 0).all()
    assert (ball[:, 7:9, 7:9, 7:9] == 255).all()


def test_no_samples_is_an_error():
    with pytest.raises(DataError, match="at least 1 sample, not 0"):
        toys.ring(0)
