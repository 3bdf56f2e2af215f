"""Two hands: what training sees has no counterparts in it, and the measures mean what they say."""

import math

import pytest
import torch

from course_lib import data, styles
from course_lib.errors import DataError
from course_lib.sets import to_floats


@pytest.fixture(scope="module")
def held():
    return styles.counterparts("validation")


@pytest.fixture(scope="module")
def net():
    return styles.judge(styles.counterparts("train"))


# ---- the drawings


def test_entries_of_both_hands_are_the_same_things(held):
    twemoji, openmoji = data.emoji("validation", "twemoji"), data.openmoji("validation")
    assert len(held.captions) == len(held.twemoji) == len(held.openmoji) == 168
    for i in (0, 40, 167):
        j, k = (x.captions.index(held.captions[i]) for x in (twemoji, openmoji))
        assert held.concepts[i] == twemoji.concepts[j] == openmoji.concepts[k]
        assert held.openmoji[i].equal(openmoji.colour[k][:, 4:60, 4:60])
        small = held.twemoji[i, :, 4:52, 4:52].float()  # the reduced picture has the same mean colour
        assert small.mean((1, 2)).allclose(twemoji.x[j].float().mean((1, 2)), atol=0.5)


def test_frame_of_twemoji_is_white_paper(held):
    frame = torch.ones(56, 56, dtype=torch.bool)
    frame[4:52, 4:52] = False
    assert (held.twemoji[:, :, frame] == 255).all()
    assert (held.twemoji[:, :, ~frame] < 255).any()


def test_a_split_without_common_drawings_is_one_clear_sentence(monkeypatch):
    none = data.openmoji("test").subset(slice(0, 0))
    monkeypatch.setattr(data, "openmoji", lambda split: none)
    with pytest.raises(DataError, match='Nothing in the split "test"'):
        styles.counterparts("test")


def test_no_concept_is_seen_in_both_hands():
    both, pair = styles.counterparts("train"), styles.strangers()
    names = {}
    for hand, seen in (("twemoji", pair.a.x), ("openmoji", pair.b.x)):
        known = {x.numpy().tobytes(): c for x, c in zip(getattr(both, hand), both.concepts, strict=True)}
        plain = seen[: len(seen) // 2]
        names[hand] = {known[x.numpy().tobytes()] for x in plain}
        assert seen[len(plain) :].equal(plain.flip(3))  # the mirror images
    assert not names["twemoji"] & names["openmoji"]
    assert names["twemoji"] | names["openmoji"] == set(both.concepts)  # and none is wasted


def test_half_goes_by_the_concept_and_not_by_its_place():
    assert styles.half(("d", "a", "b", "a", "c")).tolist() == [False, True, False, True, True]
    assert styles.half(("c", "a", "b", "d")).tolist() == [True, True, False, False]


# ---- the measures


def square(fill, line=None):
    """A filled square of 10 x 10 pixels on white, perhaps with an outline of two pixels: (1, 3, 20, 20)."""
    x = torch.ones(1, 3, 20, 20)
    if line is not None:
        x[:, :, 3:17, 3:17] = line
    x[:, :, 5:15, 5:15] = fill
    return x


@pytest.mark.parametrize(
    ("drawing", "percent"),
    [
        (square(0.0), 0),  # flat
        (square(0.0, line=-1.0), 100),  # outlined in black
        (square(-0.9), 100),  # dark as a whole
        (square(0.0, line=0.2), 0),  # outlined in grey
        (square(torch.tensor([1.0, -1.0, -1.0])[:, None, None]), 0),  # a pure red is not dark
    ],
)
def test_outlined_says_how_much_of_the_rim_is_dark(drawing, percent):
    assert styles.outlined(drawing) == percent


def test_outlined_counts_pixels_of_the_rim():
    x = square(0.0)
    x[:, :, 5, 5:15] = -1.0  # one side of four: 10 of 36 rim pixels, and the two below its ends touch it
    assert styles.outlined(x) == pytest.approx(100 * 12 / 36)
    inside = square(0.0)
    inside[:, :, 8:12, 8:12] = -1.0  # dark in the middle is no outline
    assert styles.outlined(inside) == 0
    assert styles.outlined(torch.cat([x, square(0.0)])) == pytest.approx(100 * 12 / 72)  # over all rims
    assert math.isnan(styles.outlined(torch.ones(1, 3, 20, 20)))


def test_real_hands_differ_in_their_rims(held):
    assert styles.outlined(to_floats(held.twemoji)) < 15
    assert styles.outlined(to_floats(held.openmoji)) > 85


def test_found_counts_those_that_have_their_counterpart_among_the_nearest():
    y = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 3, 16, 16)  # five greys
    assert styles.found(y, y) == 100
    assert styles.found(y + 0.1, y) == 100  # still nearest to its own
    x = y[[1, 0, 2, 3, 4]]  # two have changed places
    assert styles.found(x, y) == pytest.approx(60)
    assert styles.found(x, y, among=2) == 100
    turned = y.flip(0)  # ranks 4, 2, 0, 2, 4 at the ends of a line
    assert [styles.found(turned, y, n) for n in (1, 2, 5)] == pytest.approx([20, 20, 100])


def test_found_looks_at_coarse_shape_too():
    y = torch.ones(2, 3, 16, 16)
    y[0, :, :8] = -1.0  # dark above
    y[1, :, 8:] = -1.0  # dark below: the same mean colour
    assert styles.found(y, y) == 100
    assert styles.found(y.flip(0), y) == 0
    stripes = y + torch.tensor([0.2, -0.2]).repeat(8)  # finer than 8 x 8
    assert styles.found(stripes, y) == 100


def test_judge_tells_hands_apart_on_concepts_that_it_never_saw(held, net):
    assert styles.taken(net, to_floats(held.twemoji)) < 5
    assert styles.taken(net, to_floats(held.openmoji)) > 95


def test_taken_is_the_percentage_above_zero():
    x = torch.tensor([-1.0, -0.1, 0.1, 0.5])[:, None, None, None].expand(4, 3, 2, 2)
    assert styles.taken(_First(), x) == 50


class _First(torch.nn.Module):
    def forward(self, x):
        return x[:, 0, 0, 0]


def test_judge_is_repeatable_and_leaves_the_global_draws_alone(held):
    few = held._replace(twemoji=held.twemoji[:20], openmoji=held.openmoji[:20])
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = styles.judge(few, steps=3)
    assert torch.rand(1).equal(expected)
    torch.manual_seed(4)
    again = styles.judge(few, steps=3)
    assert all(p.equal(q) for p, q in zip(first.parameters(), again.parameters(), strict=True))


class _Swap(torch.nn.Module):
    """Knows all counterparts: asked for the drawings of one hand it hands out those of the other."""

    def __init__(self, both):
        super().__init__()
        self.a, self.b = to_floats(both.twemoji), to_floats(both.openmoji)

    def translate(self, a):
        assert a.equal(self.a)
        return self.b

    def translate_back(self, b):
        assert b.equal(self.b)
        return self.a


class _Nothing(torch.nn.Module):
    def translate(self, a):
        return a

    def translate_back(self, b):
        return b


def test_scores_of_a_perfect_and_of_an_idle_translator(held, net, monkeypatch):
    monkeypatch.setattr(styles, "judge", lambda both: net)
    perfect, idle = (styles.scores(m, "validation") for m in (_Swap(held), _Nothing()))
    assert perfect["counterpart among the nearest 5, G(Twemoji)"] == 100
    assert perfect["counterpart among the nearest 5, F(OpenMoji)"] == 100
    for measure in ("taken for OpenMoji", "rim dark"):
        real = perfect[f"{measure}, Twemoji"], perfect[f"{measure}, OpenMoji"]
        assert perfect[f"{measure}, F(OpenMoji)"] == real[0] != real[1] == perfect[f"{measure}, G(Twemoji)"]
        assert (idle[f"{measure}, G(Twemoji)"], idle[f"{measure}, F(OpenMoji)"]) == real
    assert perfect["there and back, Twemoji"] == perfect["there and back, OpenMoji"] == 0
    apart = (held.twemoji.float() - held.openmoji.float()).abs().mean().item()
    assert perfect["one way, Twemoji"] == perfect["one way, OpenMoji"] == pytest.approx(apart, rel=1e-4)
    assert idle["one way, Twemoji"] == 0
    for hand, made in (("Twemoji", "G(Twemoji)"), ("OpenMoji", "F(OpenMoji)")):
        before = idle[f"counterpart among the nearest 5, {hand}"]
        assert idle[f"counterpart among the nearest 5, {made}"] == before < 60
