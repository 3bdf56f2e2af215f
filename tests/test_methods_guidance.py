"""Classifier-free guidance: the line through two predictions, and labels that are left out."""

import pytest
import torch

from course_lib.methods.guidance import drop_labels, guide
from course_lib.schedules import add_noise, eps_from_v, eps_from_x0


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_guidance_goes_from_untold_through_told_and_on():
    """The paper's eq. 6, (1 + w) told - w untold with guidance = 1 + w."""
    told, untold = noise(3, 1, 4, 4), noise(3, 1, 4, 4, seed=1)
    assert torch.equal(guide(told, untold, 0.0), untold)
    assert torch.allclose(guide(told, untold, 1.0), told, atol=1e-6)
    for w in (-0.5, 0.25, 2.0, 6.5):
        assert torch.allclose(guide(told, untold, 1 + w), (1 + w) * told - w * untold, atol=1e-5)
    assert torch.allclose(guide(told, told, 7.0), told)


def test_to_guide_v_or_x0_is_to_guide_the_noise():
    x, a = add_noise(noise(4, 1, 3, 3), noise(4, 1, 3, 3, seed=1), torch.tensor(0.3)), torch.tensor(0.3)
    told, untold = noise(4, 1, 3, 3, seed=2), noise(4, 1, 3, 3, seed=3)
    for turn in (eps_from_v, eps_from_x0):
        guided = guide(turn(x, told, a), turn(x, untold, a), 3.5)
        assert torch.allclose(turn(x, guide(told, untold, 3.5), a), guided, atol=1e-5)


def test_guidance_of_two_gaussians_moves_the_mean_that_far():
    """Scores m - x of N(m, 1) told and -x of N(0, 1) untold: guided by g it is the score of N(g m, 1)."""
    x, m = noise(5, 1, 2, 2), 0.7
    assert torch.allclose(guide(m - x, -x, 3.0), 3 * m - x, atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_about_that_share_of_the_labels_is_left_out(share):
    """Of 40,000, within five standard deviations; the others stay what they are."""
    torch.manual_seed(0)
    y = torch.arange(40_000) % 7
    before = y.clone()
    told = drop_labels(y, share, 7)
    gone = told == 7
    assert abs(gone.double().mean().item() - share) <= 5 * (share * (1 - share) / 40_000) ** 0.5
    assert torch.equal(told[~gone], before[~gone])
    assert torch.equal(y, before)


def test_each_label_has_a_chance_of_its_own_each_time():
    """Whether a label goes is the same neither for its neighbour nor for itself in the next batch."""
    torch.manual_seed(0)
    y = torch.zeros(20_000, dtype=torch.int64)
    first, second = (drop_labels(y, 0.5, 1).double() for _ in range(2))
    table = torch.corrcoef(torch.stack([first, second, first.roll(1)]))
    assert (table - torch.eye(3)).abs().max() < 5 / 20_000**0.5


def test_the_words_of_a_caption_go_together():
    torch.manual_seed(0)
    y = torch.arange(1, 6).repeat(2000, 1)  # five words each, none of them 0
    told = drop_labels(y, 0.3, 0)
    gone = (told == 0).all(1)
    assert 0.25 < gone.double().mean() < 0.35
    assert torch.equal(told[~gone], y[~gone])
