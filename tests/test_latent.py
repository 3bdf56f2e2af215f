"""Paths between codes, against closed forms."""

import math

import numpy as np
import pytest
import torch

from course_lib.latent import LatentError, lerp, slerp

T = torch.linspace(0, 1, 11, dtype=torch.float64)


def codes(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def test_slerp_is_shoemakes_formula():
    a, b = unit(codes(16, seed=1)), unit(codes(16, seed=2))
    omega = torch.acos(a @ b)
    t = T[:, None]
    expected = (torch.sin((1 - t) * omega) * a + torch.sin(t * omega) * b) / torch.sin(omega)
    torch.testing.assert_close(slerp(a, b, T), expected)


def test_slerp_keeps_the_norm_and_turns_by_equal_angles():
    a, b = (3 * unit(codes(5, 1, 16, seed=s)) for s in (1, 2))
    path = slerp(a, b, T)  # 5 pairs, 11 steps
    assert path.shape == (5, 11, 16)
    torch.testing.assert_close(path.norm(dim=-1), torch.full((5, 11), 3.0, dtype=torch.float64))
    angles = torch.acos((path[:, 1:] * path[:, :-1]).sum(-1) / 9)
    torch.testing.assert_close(angles, (torch.acos((a * b).sum(-1) / 9) / 10).expand(5, 10))


def test_a_straight_line_is_short_in_the_middle_and_a_great_circle_is_not():
    a, b = torch.eye(8, dtype=torch.float64)[:2] * 5
    assert lerp(a, b, 0.5).norm().item() == pytest.approx(5 / math.sqrt(2))
    assert slerp(a, b, 0.5).norm().item() == pytest.approx(5)


def test_different_lengths_go_linearly():
    a, b = 2 * unit(codes(16, seed=1)), 6 * unit(codes(16, seed=2))
    torch.testing.assert_close(slerp(a, b, T).norm(dim=-1), 2 + 4 * T)


@pytest.mark.parametrize("path", [lerp, slerp])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_ends_are_exact(path, dtype):
    a, b = codes(7, 33, seed=1).to(dtype), codes(7, 33, seed=2).to(dtype)
    assert path(a, b, 0).dtype == dtype
    assert torch.equal(path(a, b, 0), a)
    assert torch.equal(path(a, b, 1.0), b)
    mixed = path(a, b, torch.tensor([0.0, 1, 0, 1, 0, 1, 0]))
    assert torch.equal(mixed, torch.where(torch.arange(7)[:, None] % 2 == 0, a, b))


@pytest.mark.parametrize("angle", [0, 1e-12, 1e-8, 1e-4, math.pi - 1e-4, math.pi - 1e-8])
def test_nearly_parallel_and_nearly_opposite_codes(angle):
    a = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    b = torch.tensor([math.cos(angle), math.sin(angle), 0], dtype=torch.float64)
    path = slerp(a, b, T)
    turned = torch.atan2(path[:, 1], path[:, 0])
    torch.testing.assert_close(turned, T * angle, atol=1e-9 * angle, rtol=1e-7)
    torch.testing.assert_close(path.norm(dim=-1), torch.ones(11, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opposite_codes_go_half_around_and_always_the_same_way(dtype):
    a = 4 * unit(codes(3, 1, 8, seed=3))
    path = slerp(a.to(dtype), -a.to(dtype), T.to(dtype))
    torch.testing.assert_close(path.norm(dim=-1), torch.full((3, 11), 4.0, dtype=dtype))
    steps = (path[:, 1:] * path[:, :-1]).sum(-1) / 16
    torch.testing.assert_close(steps, torch.full((3, 10), math.cos(math.pi / 10), dtype=dtype))
    assert torch.equal(path, slerp(a.to(dtype), -a.to(dtype), T.to(dtype)))


def test_a_code_of_no_length_takes_the_others_direction():
    b = torch.tensor([0.0, 2.0])
    assert slerp(torch.zeros(2), b, 0.5).tolist() == pytest.approx([0, 1])
    assert slerp(b, torch.zeros(2), 0.25).tolist() == pytest.approx([0, 1.5])
    assert slerp(torch.zeros(2), torch.zeros(2), 0.5).tolist() == [0, 0]


def test_each_pair_of_a_batch_takes_its_own_step():
    a, b, t = codes(4, 9, seed=1), codes(4, 9, seed=2), torch.tensor([0.1, 0.2, 0.5, 0.9])
    for path in (lerp, slerp):
        together = path(a, b, t)
        for i in range(4):
            torch.testing.assert_close(together[i], path(a[i], b[i], t[i]))


def test_gradients_flow_and_arrays_are_welcome():
    a, b = codes(6, seed=1).requires_grad_(), codes(6, seed=2)
    assert torch.autograd.gradcheck(lambda x: slerp(x, b, torch.tensor([0.3, 0.7])), (a,))
    array = slerp(a.detach().numpy(), b.numpy(), 0.3)
    torch.testing.assert_close(array, slerp(a.detach(), b, 0.3))
    assert lerp([1, 0], np.array([0, 1]), 0.25).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("a", "b", "t", "said"),
    [
        (torch.zeros(3), torch.zeros(4), 0.5, r"one d, but have \(3,\) and \(4,\)"),
        (torch.tensor(1.0), torch.tensor(1.0), 0.5, "must have shape"),
        (torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(5), "must broadcast"),
        (torch.zeros(3, dtype=torch.complex64), torch.zeros(3), 0.5, "real numbers"),
    ],
)
def test_codes_without_a_path_get_a_sentence(a, b, t, said):
    for path in (lerp, slerp):
        with pytest.raises(LatentError, match=said):
            path(a, b, t)
