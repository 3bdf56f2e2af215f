"""The replay pool is a uniform sample with a memory, and colours are whitened one channel at a time."""

import numpy as np
import pytest
import torch
from helpers import Rows, copied, same
from two_players import random

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.cyclegan import CycleGAN
from course_lib.nn.colours import Colours
from course_lib.nn.replay import Pool


def numbered(first, n):
    """Pictures (n, 1, 1, 1) that are their own number."""
    return torch.arange(first, first + n, dtype=torch.float32).view(n, 1, 1, 1)


def history(places, batches, batch=10):
    """A pool that has seen numbered pictures, and what it showed: (batches, batch)."""
    pool = Pool(places, (1, 1, 1))
    shown = [pool(numbered(batch * k, batch)).flatten() for k in range(batches)]
    return pool, torch.stack(shown)


# ---- the pool


def test_the_first_fifty_are_kept_and_shown_unchanged():
    """Also where the pool becomes full in the middle of a batch."""
    torch.manual_seed(0)
    pool, fresh = Pool(50, (1, 1, 1)), numbered(0, 90)
    assert torch.equal(pool(fresh[:40]), fresh[:40])
    assert (pool.count, pool.kept[40:].any()) == (40, False)
    second = pool(fresh[40:])
    assert torch.equal(second[:10], fresh[40:50])
    assert pool.count == 50
    exchanged = (second != fresh[40:]).flatten()  # a fake that is not shown took the place of one that is
    assert 0 < exchanged.sum() < 40
    kept = {*range(50), *fresh[40:][exchanged].flatten().tolist()} - {*second[exchanged].flatten().tolist()}
    assert {*pool.kept.flatten().tolist()} == kept


def test_half_of_what_is_shown_is_history():
    """A fair coin: of 8,000 draws 4,000, five standard deviations are 224."""
    torch.manual_seed(0)
    pool, shown = history(50, 805)
    fresh = numbered(0, 8050).view(805, 10)
    old = (shown != fresh)[5:]
    assert abs(old.sum().item() - 4000) < 224
    assert (shown <= fresh).all()  # never from the future
    per_picture = old.float().mean(0)  # each place of a batch has a coin of its own
    assert (per_picture - 0.5).abs().max() < 5 * 0.5 / 800**0.5
    assert torch.corrcoef(old.float().T)[~torch.eye(10, dtype=bool)].abs().max() < 5 / 800**0.5


def test_every_place_is_drawn_alike():
    """Half of 1,000 pictures take one of 20 places: 25 for each. Chi-squared with 19 degrees of freedom is
    below 43.8 with probability 0.999."""
    torch.manual_seed(0)
    pool = Pool(20, (1, 1, 1))
    pool(numbered(0, 20))
    hits = torch.zeros(20)
    for k in range(1000):
        before = pool.kept.clone()
        pool(numbered(20 + k, 1))
        hits += (pool.kept != before).flatten()
    expected = hits.sum() / 20
    assert abs(hits.sum().item() - 500) < 5 * 250**0.5
    assert ((hits - expected).square() / expected).sum() < 43.8


def test_what_is_shown_from_the_pool_has_left_it():
    """Nothing is shown twice and nothing is lost: shown and kept together are all that came."""
    torch.manual_seed(0)
    pool, shown = history(30, 100)
    assert sorted([*shown.flatten().tolist(), *pool.kept.flatten().tolist()]) == sorted(
        [*range(1000), *range(30)]
    )


def test_later_changes_do_not_reach_the_pool_nor_what_was_shown():
    pool, fresh = Pool(4, (1, 1, 1)), numbered(0, 4)
    pool(fresh)
    fresh += 100
    assert pool.kept.max() == 3
    torch.manual_seed(0)
    shown = torch.cat([pool(numbered(4 + k, 1)) for k in range(40)])
    remembered = shown.clone()
    pool.kept.zero_()
    assert torch.equal(shown, remembered)


@pytest.mark.parametrize("places", [0, 3])
def test_no_graph_comes_out_or_stays(places):
    torch.manual_seed(0)
    pool = Pool(places, (1, 2, 2))
    w = torch.ones(1, requires_grad=True)
    for _ in range(3):
        shown = pool(w * torch.ones(4, 1, 2, 2))
        assert not shown.requires_grad
    assert not pool.kept.requires_grad
    assert pool.kept.grad_fn is None


def test_without_places_everything_passes():
    pool, x = Pool(0, (3, 8, 8)), random(5, 2, 7, 7)
    before = torch.get_rng_state()
    assert torch.equal(pool(x), x)
    assert pool.kept.numel() == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pool_in_floats_shows_the_kind_it_is_given():
    torch.manual_seed(0)
    pool = Pool(2, (1, 1, 1))
    shown = [pool(numbered(k, 1).to(torch.bfloat16)) for k in range(20)]
    assert {x.dtype for x in shown} == {torch.bfloat16}
    assert pool.kept.dtype == torch.float32
    assert (torch.cat(shown).float() != numbered(0, 20)).any()


def test_errors_of_pools():
    with pytest.raises(CourseError, match="at least 0, got -1"):
        Pool(-1, (1, 1, 1))
    with pytest.raises(
        CourseError, match=r"shape \(3, 16, 16\), got \(3, 8, 8\): build the method with the `size`"
    ):
        Pool(2, (3, 16, 16))(torch.zeros(1, 3, 8, 8))


def test_a_stored_pool_goes_on_as_the_original(tmp_path):
    torch.manual_seed(0)
    pool, _ = history(7, 3, batch=2)  # not yet full: where it stopped is part of its state
    torch.save(pool.state_dict(), tmp_path / "pool.pt")
    other = Pool(7, (1, 1, 1))
    other.load_state_dict(torch.load(tmp_path / "pool.pt"))
    assert other.count == 6
    runs = []
    for one in (pool, other):
        torch.manual_seed(1)
        runs.append([one(numbered(100 + 4 * k, 4)) for k in range(5)])
    assert same(runs[0], runs[1])
    assert same(pool.state_dict(), other.state_dict())


def test_a_resumed_run_has_the_pool_of_an_uninterrupted_one(tmp_path):
    def run(path, steps, resume=False):
        torch.manual_seed(resume)
        method, batch = CycleGAN.tiny()
        options = dict(batch=4, device="cpu", progress=False, checkpoint=path, resume=resume)
        return fit(method, Rows(batch), steps=steps, **options).method

    whole = run(tmp_path / "a.pt", 6)
    half = run(tmp_path / "b.pt", 3)
    early = copied([half.pool_A.kept, half.pool_B.kept])
    resumed = run(tmp_path / "b.pt", 6, resume=True)
    for one, other, before in zip(
        (whole.pool_A, whole.pool_B), (resumed.pool_A, resumed.pool_B), early, strict=True
    ):
        assert torch.equal(one.kept, other.kept)
        assert one.count == 12
        kept = one.kept.flatten(1).eq(before.flatten(1)).all(1)
        assert kept.any()  # what the first half had put there is still there
        assert not kept.all()


# ---- colours


def skewed(n=6, c=3, seed=0):
    """Pictures whose channels have means and spreads of their own."""
    scale, shift = torch.tensor([0.1, 0.3, 0.05]), torch.tensor([-0.4, 0.1, 0.6])
    x = random(n, c, 8, 8, seed=seed).clamp(-2, 2).float()
    return x * scale[:c].view(1, c, 1, 1) + shift[:c].view(1, c, 1, 1)


def test_colours_learn_mean_and_spread_of_each_channel():
    x, colours = skewed(), Colours(3)
    assert torch.equal(colours(x), x)  # nothing learnt, nothing changed
    colours.learn(x)
    flat = x.numpy().astype(np.float64).transpose(1, 0, 2, 3).reshape(3, -1)
    assert np.allclose(colours.mean.flatten(), flat.mean(1), rtol=1e-5)
    assert np.allclose(colours.std.flatten(), flat.std(1), rtol=1e-5)
    z = colours(x)
    assert z.mean((0, 2, 3)).abs().max() < 1e-5
    assert torch.allclose(z.square().mean((0, 2, 3)), torch.ones(3), rtol=1e-5)


def test_weighted_colours_are_those_of_numpy():
    x, weight = skewed(), random(6, 1, 8, 8, seed=5).square().float()
    colours = Colours(3)
    colours.learn(x, weight)
    w = weight.numpy().astype(np.float64).ravel()
    for k in range(3):
        values = x[:, k].numpy().astype(np.float64).ravel()
        mean = np.average(values, weights=w)
        assert colours.mean.flatten()[k].item() == pytest.approx(mean, rel=1e-5)
        spread = np.average((values - mean) ** 2, weights=w) ** 0.5
        assert colours.std.flatten()[k].item() == pytest.approx(spread, rel=1e-5)
    doubled, single = Colours(3), Colours(3)  # weight 2 is: to be there twice; weight 0: not at all
    counts = torch.tensor([2.0, 1, 1, 0, 0, 0]).view(6, 1, 1, 1).expand(6, 1, 8, 8)
    doubled.learn(x, counts)
    single.learn(torch.cat([x[:3], x[:1]]))
    assert torch.allclose(doubled.mean, single.mean, rtol=1e-5)
    assert torch.allclose(doubled.std, single.std, rtol=1e-5)


def test_back_is_the_inverse_within_the_range_of_pictures():
    colours = Colours(3)
    colours.learn(skewed())
    x = random(4, 3, 8, 8, seed=1).clamp(-1, 1).float()
    assert torch.allclose(colours.back(colours(x)), x, atol=1e-6)
    z = torch.full((1, 3, 1, 1), 100.0)
    assert torch.equal(colours.back(z), torch.ones(1, 3, 1, 1))
    assert torch.equal(colours.back(-z), -torch.ones(1, 3, 1, 1))


def test_what_is_learnt_is_state_and_not_weights():
    colours = Colours(3)
    colours.learn(skewed())
    other = Colours(3)
    other.load_state_dict(colours.state_dict())
    assert torch.equal(other(skewed()), colours(skewed()))
    assert not list(colours.parameters())


def test_colours_that_cannot_be_learnt():
    colours, x = Colours(3), skewed()
    before = copied(colours.state_dict().values())
    with pytest.raises(CourseError, match="There are no pictures"):
        colours.learn(x[:0])
    x[:, 1] = 0.25
    with pytest.raises(CourseError, match="A channel has the same value in all pictures"):
        colours.learn(x)
    with pytest.raises(CourseError, match="A channel has the same value"):
        colours.learn(skewed(), torch.zeros(6, 1, 8, 8))
    assert same(list(colours.state_dict().values()), before)
