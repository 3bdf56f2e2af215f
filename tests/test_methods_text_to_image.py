"""Text to image: the loss, caption dropout, guidance, and captions that come out as pictures."""

import pytest
import torch
from helpers import Rows
from torch import nn

from course_lib import zoo
from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.text_to_image import TextToImage, forget
from course_lib.nn.text import PAD
from course_lib.schedules import alpha_bars, cosine_betas, eps_from_v, eps_from_x0, v_from
from course_lib.words import START

SMALL = dict(
    words=("big", "blue", "red", "small"), length=4, channels=1, size=8, widths=(16, 16), blocks=1, embed=16,
    text=8,
)  # fmt: skip


def pictures(n, seed=0):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Says(nn.Module):
    """Stands in for the U-Net: remembers what it was asked, and answers with a function of it."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.asked = answer, []
        self.enter = nn.Linear(1, 1)  # where the model looks for its device

    def forward(self, x, t, *, words, mask):
        self.asked.append((x, t, mask))
        return self.answer(x, t, mask)


def model(answer, **options):
    made = TextToImage(**(SMALL | options))
    made.net = Says(answer)
    return made


def zero(x, t, mask):
    return torch.zeros_like(x)


def count(x, t, mask):
    """A v that says how many words there are."""
    return mask.sum(1).view(-1, 1, 1, 1).expand_as(x).float()


def test_loss_is_the_mean_squared_distance_from_v():
    x0 = pictures(64)
    made = model(zero)
    tokens = made.encode(["red", "big blue"] * 32)
    (loss,) = made.losses((x0, tokens), 0)
    ((x, t, _),) = made.net.asked
    a = made.alpha_bar[t]
    eps = eps_from_x0(x, x0, a)
    assert eps.mean().abs() < 0.1
    assert eps.std() == pytest.approx(1, abs=0.1)
    assert loss.value.item() == pytest.approx(v_from(x0, eps, a).square().mean().item(), rel=1e-3)
    assert t.min() >= 1
    assert len(t.unique()) > 50
    assert torch.equal(made.alpha_bar, alpha_bars(cosine_betas()).float())


@pytest.mark.parametrize(("drop", "low", "high"), [(0.0, 0, 0), (0.1, 0.08, 0.12), (1.0, 1, 1)])
def test_a_share_of_the_captions_is_left_out_whole(drop, low, high):
    made = model(zero, drop=drop)
    tokens = made.encode(["big red", "small"] * 2000)
    before = tokens.clone()
    list(made.losses((pictures(1).expand(4000, -1, -1, -1), tokens), 0))
    mask = made.net.asked[0][2]
    empty = mask.sum(1) == 1  # the opening alone
    assert low <= empty.float().mean() <= high
    assert torch.equal(mask[~empty], (before != PAD)[~empty])
    assert mask[:, 0].all()
    assert torch.equal(tokens, before)


def test_a_forgotten_caption_is_the_empty_caption():
    made = TextToImage(**SMALL)
    assert torch.equal(forget(made.encode(["big red", "blue"]), 1.0), made.encode(["", ""]))
    assert made.encode([""]).tolist() == [[START, PAD, PAD, PAD]]


def test_eps_and_its_guidance():
    """A v of 1 + words: guidance goes on from the empty caption through the caption, in eps as in v."""
    made = model(count)
    x, t = pictures(2), torch.tensor([100, 900])
    tokens = made.encode(["big red", "blue"])
    a = made.alpha_bar[t]

    def of(v):
        return eps_from_v(x, torch.tensor(v).view(2, 1, 1, 1).expand_as(x), a)

    assert torch.allclose(made.eps(x, t, tokens), of([3.0, 2.0]))
    assert torch.allclose(made.eps(x, t), of([1.0, 1.0]))  # of an empty caption
    for g in (0.0, 1.0, 2.5):
        assert torch.allclose(made.guided(x, t, tokens, g), of([1 + 2 * g, 1 + g]), atol=1e-5)
    assert [len(x) for x, _, _ in made.net.asked] == [2, 2, 4, 2, 4]  # guidance 1 asks once


def test_captions_and_steps_are_passed_on():
    made = model(zero)

    def told(n, captions, **options):
        made.net.asked.clear()
        steps = list(made.sample(n, captions=captions, guidance=1.0, **options))
        return made.net.asked[0][2].sum(1).tolist(), len(steps)

    assert told(3, "big red") == ([3, 3, 3], 31)
    assert told(3, ["big red", "", "blue"], steps=4) == ([3, 1, 2], 5)
    assert told(1, "", sampler="ddpm", steps=7) == ([1], 8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(captions="purple redd"), r'"purple", "redd" \(known: red\)'),
        (dict(captions=["red", "blue"]), "captions must be one or 5, one for each picture, got 2"),
        (dict(sampler="euler"), 'sampler must be "ddim" or "ddpm", got "euler"'),
    ],
    ids=str,
)
def test_samples_that_cannot_be_had(options, words):
    with pytest.raises(CourseError, match=words):
        next(model(zero).sample(5, **options))


def test_the_words_travel_with_the_weights(tmp_path):
    made = TextToImage(**SMALL).eval()
    zoo.save(tmp_path / "a.safetensors", made, SMALL)
    loaded = zoo.load(tmp_path / "a.safetensors")
    assert loaded.words == SMALL["words"]
    assert loaded.encode(["small blue"]).tolist() == [[START, 5, 3, PAD]]


def squares(captions):
    """8x8 pictures: a bright left half where the caption says red, a bright top where it says big."""
    x = torch.full((len(captions), 1, 8, 8), -0.8)
    for i, caption in enumerate(captions):
        if "red" in caption:
            x[i, :, :, :4] += 0.8
        if "big" in caption:
            x[i, :, :4] += 0.8
    return x


def test_what_the_words_say_comes_out_of_noise():
    torch.manual_seed(0)
    captions = ["big red", "red small", "big blue", "blue small"]
    made = TextToImage(**SMALL, T=200, lr=1e-2)
    data = Rows((squares(captions).repeat(16, 1, 1, 1), made.encode(captions * 16)))
    run = fit(made, data, steps=150, batch=32, ema=0.9, device="cpu", progress=False)
    asked = ["big red", "small blue", "blue big", "red small"]  # in any order
    for guidance in (1.0, 2.0):
        *_, last = run.model.sample(
            4, generator=torch.Generator().manual_seed(1), captions=asked, guidance=guidance, steps=20
        )
        errors = (last.x[:, None] - squares(asked)[None]).square().mean((2, 3, 4))
        assert errors.diagonal().max() < 0.08  # any two of the pictures are 0.32 or more apart
        assert errors.argmin(1).tolist() == [0, 1, 2, 3]


def test_with_a_spread_middling_times_are_drawn_more_often():
    """Of t / T = sigmoid(1.2 N(0, 1)), 0.752 lie between 0.2 and 0.8; evenly drawn, 0.6."""
    for spread, share in ((1.2, 0.752), (0.0, 0.6)):
        made = model(zero, spread=spread)
        tokens = made.encode(["red"] * 1000)
        for _ in range(20):
            list(made.losses((pictures(1000), tokens), 0))
        t = torch.cat([t for _, t, _ in made.net.asked]) / 1000
        found = ((t > 0.2) & (t <= 0.8)).double().mean().item()
        assert abs(found - share) < 5 * (share * (1 - share) / 20_000) ** 0.5, spread
