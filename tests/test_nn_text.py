"""Captions as tokens, words as vectors, and cross-attention to them."""

import pytest
import torch

from course_lib import captions, data
from course_lib.captions import Captioned
from course_lib.errors import CourseError
from course_lib.nn.text import PAD, CrossAttention, Words
from course_lib.words import START, decode, encode, tokenise, unknown, vocabulary

WORDS = ("cook", "dark", "light", "man", "medium-dark", "noto", "woman")


# ---- words


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("woman cook: dark skin tone", ["woman", "cook", "dark"]),
        ("Man gesturing NO", ["man", "gesturing", "no"]),
        ("person: medium-dark skin tone, red hair", ["person", "medium-dark", "red", "hair"]),
        ("a person with a MEDIUM dark skin", ["person", "with", "medium-dark"]),
        ("medium skin tone", ["medium"]),
        ("breast-feeding", ["breast-feeding"]),
        ("the woman’s hat - red, red!", ["woman's", "hat", "red"]),
        ("  ", []),
    ],
)
def test_words_of_a_caption(caption, words):
    assert tokenise(caption) == words


def test_a_vocabulary_is_sorted_and_has_each_word_once():
    assert vocabulary(["woman cook", "cook: dark skin tone", "Man, cook"]) == ("cook", "dark", "man", "woman")


def test_captions_become_rows_of_numbers_and_words_again():
    rows = encode(["woman cook: dark skin tone", "", "noto man"], WORDS, 5)
    assert rows.tolist() == [
        [START, 8, 2, 3, PAD],
        [START, PAD, PAD, PAD, PAD],
        [START, 7, 5, PAD, PAD],
    ]
    assert decode(rows, WORDS) == ["woman cook dark", "", "noto man"]


def test_unknown_words_are_named_with_those_spelled_alike():
    assert unknown("wman kook: dark skin tone, xylophone", WORDS) == {
        "wman": ["woman", "man"],
        "kook": ["cook"],
        "xylophone": [],
    }
    with pytest.raises(CourseError, match=r'"wman" \(known: woman, man\), "xylophone"\. Take other words'):
        encode(["woman", "wman xylophone"], WORDS, 5)


def test_a_caption_that_is_too_long_is_refused():
    assert encode(["woman cook dark"], WORDS, 4)[0, -1] != PAD
    with pytest.raises(CourseError, match="has 4 words, but there is room for 3"):
        encode(["noto woman cook dark"], WORDS, 4)


# ---- the data set of people


def test_people_come_with_their_words_and_now_and_then_without_their_style():
    drawn, words = data.people("train"), captions.people_words()
    made = captions.people()
    x, tokens = made[torch.arange(len(made))]
    assert torch.equal(x, drawn.floats)
    bare = torch.tensor([not {"noto", "twemoji"} & set(c.split()) for c in decode(tokens, words)])
    assert 0.07 < bare.float().mean() < 0.13  # a tenth of 2,118; 4.6 standard deviations
    for i in (0, 700, 1500):
        style = ("noto", "twemoji")[drawn.style[i]]
        plain = tokenise(drawn.captions[i])
        assert decode(made.tokens[i : i + 1], words) == [" ".join([style, *plain])]
        assert decode(made.without[i : i + 1], words) == [" ".join(plain)]
        assert torch.equal(tokens[i], (made.without if bare[i] else made.tokens)[i])


def test_no_held_out_combination_is_among_them_but_all_of_its_words():
    held, words = data.people("held_out"), captions.people_words()
    shown = {frozenset(c.split()) for c in decode(captions.people().without, words)}
    for caption in held.captions:
        assert frozenset(tokenise(caption)) not in shown
        assert not unknown(caption, words)
    assert {"noto", "twemoji", "medium-light"} < set(words)
    assert not {"skin", "tone"} & set(words)


@pytest.mark.parametrize(("kinds", "count"), [(captions.TOLD, 366), (captions.THINGS, 802)])
def test_held_out_things_lack_one_style_only(kinds, count):
    train, held = (captions.emoji_drawings(split, kinds) for split in ("train", "held_out"))
    words = vocabulary(train.captions)
    assert len(train) + len(held) == 3 * count
    shown = set(train.captions)
    for caption in held.captions:
        style, thing = caption.split(" ", 1)
        assert style == "fluent3d"
        assert caption not in shown
        assert {f"noto {thing}", f"twemoji {thing}"} < shown
        assert not unknown(caption, words)
    # the same drawing stands in the data with the same caption
    whole = data.emoji("train", "fluent3d")
    one = whole.captions.index(held.captions[12].split(" ", 1)[1])
    assert torch.equal(held.x[12], whole.x[one])
    assert {train.names[k] for k in train.y.unique()} == set(kinds)


def test_what_is_held_out_of_a_part_is_held_out_of_the_whole():
    """The autoencoder sees more kinds of things than captions are learnt for; it must not see these."""
    part, whole = (captions.emoji_drawings("held_out", k) for k in (captions.TOLD, captions.THINGS))
    assert set(part.captions) < set(whole.captions)
    assert not set(part.captions) & set(captions.emoji_drawings("train", captions.THINGS).captions)


def test_captions_of_things_fit_and_are_told_with_and_without_their_style():
    made, words = captions.emoji(), captions.emoji_words()
    drawn = captions.emoji_drawings("train")
    assert torch.equal(made.x, drawn.x)
    row = drawn.captions.index("twemoji hot pepper")
    assert decode(made.tokens[row : row + 1], words) == ["twemoji hot pepper"]
    assert decode(made.without[row : row + 1], words) == ["hot pepper"]


def test_bare_captions_are_drawn_afresh():
    pictures, rows = torch.zeros(200, 3, 4, 4, dtype=torch.uint8), torch.arange(200)[:, None]
    made = Captioned(pictures, rows + 1000, rows, bare=0.5)
    first, second = (made[torch.arange(200)][1] < 1000 for _ in range(2))
    assert 60 < first.sum() < 140
    assert 60 < (first != second).sum() < 140
    one = made[3]
    assert one[1].item() in (3, 1003)


# ---- vectors


def test_a_word_has_the_same_vector_wherever_it_stands_and_padding_is_marked():
    net = Words(9, 4)
    vectors, mask = net(torch.tensor([[START, 5, 3, PAD], [START, 3, PAD, PAD]]))
    assert torch.equal(vectors[0, 2], vectors[1, 1])
    assert torch.equal(vectors[0, 1], net.embed.weight[5])
    assert mask.tolist() == [[True, True, True, False], [True, True, False, False]]


# ---- cross-attention


@pytest.fixture
def reader():
    torch.manual_seed(0)
    made = CrossAttention(8, 6, heads=2).double()
    torch.nn.init.normal_(made.out.weight)
    return made


def scene(b=2):
    seeded = torch.Generator().manual_seed(1)
    x = torch.randn(b, 8, 2, 3, generator=seeded, dtype=torch.float64)
    words = torch.randn(b, 4, 6, generator=seeded, dtype=torch.float64)
    return x, words, torch.tensor([[True, True, True, False], [True, False, False, False]])[:b]


def test_cross_attention_is_a_weighted_mean_of_the_words_values(reader):
    """softmax(Q K^T / sqrt(d)) V, position by position and head by head, over the words that are there."""
    x, words, mask = scene()
    normed = reader.norm(x)
    for b, there in ((0, 3), (1, 1)):
        for i in range(2):
            for j in range(3):
                q = reader.q.weight[:, :, 0, 0] @ normed[b, :, i, j] + reader.q.bias
                found = []
                for head in (slice(0, 4), slice(4, 8)):
                    kv = words[b, :there] @ reader.kv.weight.T + reader.kv.bias  # (there, 16)
                    k, v = kv[:, :8][:, head], kv[:, 8:][:, head]
                    w = torch.softmax(k @ q[head] / 2, 0)  # divided by the root of 4
                    assert torch.allclose(reader.weights(x, words, mask)[b, head.start // 4, i, j, :there], w)
                    found.append(w @ v)
                out = reader.out.weight[:, :, 0, 0] @ torch.cat(found) + reader.out.bias
                assert torch.allclose(reader(x, words, mask)[b, :, i, j], x[b, :, i, j] + out)


def test_padding_is_not_looked_at(reader):
    x, words, mask = scene()
    weights = reader.weights(x, words, mask)
    assert torch.allclose(weights.sum(4), torch.ones(2, 2, 2, 3, dtype=torch.float64))
    assert (weights[0, ..., 3] == 0).all()
    assert torch.allclose(weights[1, ..., 0], torch.ones(2, 2, 3, dtype=torch.float64))
    words.requires_grad_()
    (slope,) = torch.autograd.grad(reader(x, words, mask).square().sum(), words)
    assert (slope[~mask] == 0).all()
    assert (slope[mask] != 0).all()
    cut = reader(x[:1], words[:1, :3], mask[:1, :3])
    assert torch.allclose(reader(x, words, mask)[:1], cut)


def test_the_order_of_the_words_does_not_matter(reader):
    x, words, mask = scene()
    turned = [2, 3, 0, 1]
    assert torch.allclose(reader(x, words[:, turned], mask[:, turned]), reader(x, words, mask))


def test_a_new_cross_attention_adds_nothing():
    x, words, mask = scene()
    assert torch.equal(CrossAttention(8, 6).double()(x, words, mask), x)
