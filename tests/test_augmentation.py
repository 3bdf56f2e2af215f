"""Few labels: which pictures a classifier sees, who names the others, and what a linear probe computes."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from course_lib.augmentation import (
    Labelled,
    Mixture,
    few_labels,
    linear_probe,
    name_them,
    share_right,
    train_classifier,
)
from course_lib.errors import CourseError
from course_lib.sets import Images


def numbered(numbers, y, size=8):
    """Pictures of one value each, so that a batch says which of them were drawn: picture n is n / 100."""
    x = torch.as_tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, size, size) / 100
    return Labelled(x, torch.as_tensor(y))


def which(x):
    return (x[:, 0, 4, 4] * 100).round().long()


# ---- few labels


def test_as_many_of_each_class_and_none_twice():
    x = torch.arange(60, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    y = torch.arange(60) % 3
    few = few_labels(Images(x, y), 5, seed=1)
    drawn = ((few.x[:, 0, 0, 0] + 1) * 127.5).round().long()
    assert few.y.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert torch.equal(y[drawn], few.y), "a picture keeps its own label"
    assert len(set(drawn.tolist())) == 15
    again, other = few_labels(Images(x, y), 5, seed=1), few_labels(Images(x, y), 5, seed=2)
    assert torch.equal(few.x, again.x)
    assert not torch.equal(few.x, other.x)


def test_what_cannot_be_drawn():
    x, y = torch.zeros(7, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 0, 0, 4, 4, 4])
    with pytest.raises(CourseError, match="Class 4 has 3 pictures: 4 cannot be drawn"):
        few_labels(Images(x, y), 4)
    with pytest.raises(CourseError, match="no labels"):
        few_labels(Images(x), 1)


# ---- what a batch holds


@pytest.mark.parametrize("size", [8, 9])
def test_half_of_a_batch_from_each_source_whatever_their_sizes(size):
    """Two labelled pictures weigh as much as ninety others; an odd one is labelled."""
    few, more = numbered([1, 2], [5, 6]), numbered(range(10, 100), range(90))
    torch.manual_seed(0)
    x, y = Mixture(few, more)[torch.arange(size)]
    drawn = which(x)
    assert (drawn < 10).sum() == (size + 1) // 2
    expected = torch.where(drawn < 10, drawn + 4, drawn - 10)
    assert torch.equal(y, expected), "a picture keeps its own label"


def test_pictures_of_a_source_are_drawn_equally_often():
    few, more = numbered(range(5), range(5)), numbered(range(10, 20), range(10))
    torch.manual_seed(0)
    x, _ = Mixture(few, more)[torch.zeros(20_000, dtype=torch.long)]
    counts = torch.bincount(which(x), minlength=20)
    assert counts[:5].tolist() == pytest.approx([2_000] * 5, abs=160)  # 4 standard deviations
    assert counts[10:].tolist() == pytest.approx([1_000] * 10, abs=120)


def test_only_the_few_where_there_is_nothing_else():
    torch.manual_seed(0)
    x, _ = Mixture(numbered([1, 2], [5, 6]))[torch.arange(50)]
    assert set(which(x).tolist()) == {1, 2}


def test_moved_pictures_are_mirrored_and_shifted_and_black_enters():
    """One white pixel at (3, 1) of 8 x 8: it comes to rows 1 to 5 and, mirrored or not, columns -1 to 3 or
    4 to 8, and is lost beyond the edge."""
    x = torch.full((1, 1, 8, 8), -1.0)
    x[0, 0, 3, 1] = 1.0
    few = Labelled(x, torch.tensor([0]))
    torch.manual_seed(0)
    moved, _ = Mixture(few, move=True)[torch.arange(4_000)]
    white = (moved == 1).flatten(1)
    assert set(white.sum(1).tolist()) == {0, 1}
    assert white.any(1).float().mean().item() == pytest.approx(4 / 5, abs=0.03)  # 1 of 5 shifts loses it
    rows, columns = (moved == 1).float().mean((0, 1)).nonzero().T
    assert set(rows.tolist()) == {1, 2, 3, 4, 5}
    assert set(columns.tolist()) == {0, 1, 2, 3, 4, 5, 6, 7}
    left = white.view(-1, 8, 8)[:, :, :4].flatten(1).any(1).float().mean().item()
    assert left == pytest.approx(0.4, abs=0.04)  # half of those that are left
    still, _ = Mixture(few)[torch.arange(3)]
    assert torch.equal(still, x.expand(3, -1, -1, -1))


# ---- names by a classifier


def test_the_surest_of_each_class_get_its_name():
    logits = torch.tensor(
        [[3.0, 0, 0], [9, 0, 0], [5, 0, 0], [0, 2, 1], [0, 2, 0], [7, 0, 0], [1, 2, 3]]
    )  # surest of class 0: 1, 5, 2, 0; of class 1: 4, 3; of class 2: 6
    named = name_them(logits, logits.view(7, 1, 1, 3), 2)
    assert torch.equal(named.x.flatten(1), logits[[1, 5, 4, 3, 6]])
    assert named.y.tolist() == [0, 0, 1, 1, 2]
    everything = name_them(logits, logits.view(7, 1, 1, 3), 100)
    assert everything.y.tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_everything_is_named_where_there_is_room_and_shares_count_in_batches():
    x = torch.randn(1_203, 1, 1, 5, generator=torch.Generator().manual_seed(0))
    named = name_them(x.flatten(1), x, 10_000)
    assert len(named.y) == 1_203
    assert torch.equal(named.x.flatten(1).argmax(1), named.y)
    y = x.flatten(1).argmax(1)
    assert share_right(nn.Flatten(), x, y) == 1.0
    wrong = torch.where(torch.arange(1_203) % 3 == 0, (y + 1) % 5, y)
    assert share_right(nn.Flatten(), x, wrong) == pytest.approx(802 / 1_203)


# ---- training


def halves(n, seed):
    """Pictures 28 x 28 of noise, brighter in the upper or in the lower half: two classes."""
    x = torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    y = torch.arange(n) % 2
    x[y == 0, :, :14] += 0.4
    x[y == 1, :, 14:] += 0.4
    return Labelled(x.clamp(-1, 1), y)


def test_a_classifier_learns_and_training_repeats_itself():
    few, new = halves(40, 0), halves(200, 1)
    first = train_classifier(Mixture(few), 3, steps=25, batch=32)
    torch.rand(5)
    second = train_classifier(Mixture(few), 3, steps=25, batch=32)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not first.training
    assert share_right(first, *new) > 0.9


# ---- linear probe


def features(n, seed=0):
    """Six features of very different sizes, one of them dead, that tell three classes apart."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    h = torch.randn(n, 6, generator=generator)
    h[:, :3] += 2.0 * torch.eye(3)[y]
    h = h * torch.tensor([1.0, 100, 0.01, 5, 1, 1]) + torch.tensor([0.0, 50, 3, 0, -7, 4])
    h[:, 5] = 4.0
    return h, y


def test_the_probe_equals_a_logistic_regression_of_scaled_features():
    h, y = features(90)
    new, _ = features(50, seed=1)
    alive = h[:, :5]
    mean, std = alive.mean(0), alive.std(0) * 6**0.5
    other = LogisticRegression(C=3.0, max_iter=1000).fit(((alive - mean) / std).numpy(), y.numpy())
    expected = torch.from_numpy(other.predict_proba(((new[:, :5] - mean) / std).numpy())).float()
    probe = linear_probe(h, y, 3.0)
    with torch.no_grad():
        assert torch.allclose(probe(new).softmax(1), expected, atol=2e-3)
    assert probe.weight[:, 5].eq(0).all(), "a feature that never changes says nothing"


def test_the_probe_does_not_depend_on_the_units_of_the_features():
    h, y = features(90)
    new, _ = features(50, seed=1)
    scale, offset = torch.tensor([3.0, 0.01, 200, 1, 0.5, 1]), torch.tensor([1.0, -2, 0, 30, 4, 0])
    a, b = linear_probe(h, y), linear_probe(h * scale + offset, y)
    with torch.no_grad():
        assert torch.allclose(a(new).softmax(1), b(new * scale + offset).softmax(1), atol=2e-3)
