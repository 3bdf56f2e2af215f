"""Augmentations do exactly what they say; blocks let every pixel through."""

import math

import pytest
import torch
from torch.nn import functional as F

from course_lib.nn.augment import random_flip, random_hole, random_shift, random_square
from course_lib.nn.conv import ConvDecoder, ConvEncoder, Residual, conv_block, dense_block, up_block
from course_lib.nn.embeddings import sinusoidal
from course_lib.nn.unet import Attention, Block, UNet


def numbered(count, channels=2, height=5, width=6):
    """Pictures in which every pixel has a value of its own."""
    return torch.arange(count * channels * height * width, dtype=torch.float32).view(
        count, channels, height, width
    )


def test_flip_mirrors_half_of_the_pictures():
    x = numbered(2000, 1, 2, 3)
    flipped = random_flip(x)
    mirrored = (flipped == x.flip(3)).flatten(1).all(1)
    kept = (flipped == x).flatten(1).all(1)
    assert (mirrored ^ kept).all()
    assert 900 < mirrored.sum() < 1100  # 4.5 standard deviations


def test_shift_moves_pictures_and_fills_with_background():
    x = numbered(3000, 2, 5, 6)
    moved = random_shift(x, 2, fill=-1.0)
    frame = F.pad(x, (2, 2, 2, 2), value=-1.0)
    counts = torch.zeros(5, 5, dtype=torch.long)
    for dy in range(5):
        for dx in range(5):
            counts[dy, dx] = (moved == frame[:, :, dy : dy + 5, dx : dx + 6]).flatten(1).all(1).sum()
    assert counts.sum() == 3000  # each is one of the 25 shifts
    assert counts.min() > 70  # of 120; 5 standard deviations
    assert counts.max() < 170
    assert torch.equal(random_shift(x, 0), x)


def test_square_is_whole_and_anywhere():
    side, height, width = 3, 5, 7
    mask = random_square(torch.zeros(4000, 2, height, width), side)
    assert mask.shape == (4000, 1, height, width)
    assert mask.dtype == torch.bool
    places = torch.zeros(height - side + 1, width - side + 1, dtype=torch.long)
    for top in range(len(places)):
        for left in range(places.shape[1]):
            expected = torch.zeros(height, width, dtype=torch.bool)
            expected[top : top + side, left : left + side] = True
            places[top, left] = (mask[:, 0] == expected).flatten(1).all(1).sum()
    assert places.sum() == 4000
    assert places.min() > 190  # of 267; 4.8 standard deviations
    assert random_square(torch.zeros(3, 1, 4, 4), 4).all()
    assert not random_square(torch.zeros(3, 1, 4, 4), 0).any()


def test_hole_blanks_one_square_in_all_channels():
    x = numbered(50) + 1
    holed = random_hole(x, 2, fill=-1.0)
    blank = holed == -1
    assert torch.equal(blank.flatten(2).sum(2), torch.full((50, 2), 4))
    assert torch.equal(blank[:, 0], blank[:, 1])
    assert torch.equal(holed[~blank], x[~blank])


def test_augmentations_leave_their_input_alone():
    x = numbered(20)
    before = x.clone()
    random_flip(x), random_shift(x), random_hole(x, 2)
    assert torch.equal(x, before)


def test_residual_block_is_the_identity_plus_something():
    block = Residual(4).eval()
    x = torch.randn(2, 4, 6, 6)
    torch.nn.init.zeros_(block.net[-1].weight)
    assert torch.equal(block(x), F.silu(x))  # a normalisation with weight 0 switches the branch off


def reaches(output, source):
    """Which entries of `source` the sum of squares of `output` depends on."""
    (slope,) = torch.autograd.grad(output.square().sum(), source)
    return slope != 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(channels=3, size=32, widths=(4, 8), blocks=(1, 2), hidden=16),
        dict(size=8, blocks=(0, 0), squeeze=3),
    ],
    ids=str,
)
def test_every_pixel_reaches_the_code_and_every_pixel_is_painted(options):
    channels, size = options.get("channels", 1), options.get("size", 28)
    encoder, decoder = ConvEncoder(**options, out=5).eval(), ConvDecoder(**options, code=5).eval()
    x = torch.randn(2, channels, size, size, requires_grad=True)
    z = encoder(x)
    assert z.shape == (2, 5)
    assert reaches(z, x).all()
    code = torch.randn(2, 5, requires_grad=True)
    painted = decoder(code)
    assert painted.shape == x.shape
    assert reaches(painted, code).all()
    other = decoder(code.detach() + 3 * torch.randn(2, 5))
    assert (painted != other).float().mean() > 0.99
    # a picture's result does not depend on its neighbours, in eval mode
    assert torch.allclose(encoder(x[:1]), z[:1], atol=1e-5)
    assert torch.allclose(decoder(code[:1]), painted[:1], atol=1e-5)


@pytest.mark.parametrize("size", [4, 10, 27, 0])
def test_size_that_does_not_fold_is_refused(size):
    for block in (ConvEncoder, ConvDecoder):
        with pytest.raises(ValueError, match=f"multiple of 4 and at least 8, got {size}"):
            block(size=size)


def test_blocks_normalise_what_they_compute():
    """In train mode each channel has mean 0 and variance 1 before the activation, whatever comes in."""
    for block, x in (
        (conv_block(3, 6), 5 + 9 * torch.randn(64, 3, 8, 8)),
        (conv_block(3, 6, stride=2), 5 + 9 * torch.randn(64, 3, 8, 8)),
        (up_block(3, 6), 5 + 9 * torch.randn(64, 3, 8, 8)),
        (dense_block(7, 6), 5 + 9 * torch.randn(512, 7)),
    ):
        normalised = block[:-1](x).transpose(0, 1).flatten(1)
        assert torch.allclose(normalised.mean(1), torch.zeros(6), atol=1e-4)
        assert torch.allclose(normalised.var(1), torch.ones(6), atol=1e-2)
        assert torch.equal(block(x), F.silu(block[:-1](x)))
    assert conv_block(3, 6, stride=2)(torch.randn(2, 3, 8, 8)).shape == (2, 6, 4, 4)
    assert up_block(3, 6)(torch.randn(2, 3, 8, 8)).shape == (2, 6, 16, 16)


# ---- the U-Net


def awake(net):
    """The network with its zeros replaced, as after some training."""
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.1)
    return net.double()


UNETS = [
    dict(classes=10),
    dict(channels=3, widths=(8, 16, 24), blocks=1, embed=16, classes=2),
    dict(widths=(8, 8), blocks=1, embed=16, classes=4),
]


@pytest.mark.parametrize("options", UNETS, ids=str)
def test_every_pixel_of_a_unet_and_its_time_and_class_reach_every_pixel(options):
    net = awake(UNet(**options))
    channels, side = options.get("channels", 1), 4 * net.factor
    x = torch.randn(2, channels, side, side, dtype=torch.float64, requires_grad=True)
    t, y = torch.tensor([5, 700]), torch.tensor([1, 0])
    out = net(x, t, y)
    assert out.shape == x.shape
    for place in ((0, 0, 0), (channels - 1, side - 1, side // 2)):
        (slope,) = torch.autograd.grad(out[(0, *place)], x, retain_graph=True)
        assert (slope[0] != 0).all()  # attention sees all
        assert (slope[1] == 0).all()  # but not the other pictures
    for t2, y2 in ((torch.tensor([6, 701]), y), (t, torch.tensor([0, 1]))):
        assert (net(x, t2, y2) != out).all()
    assert torch.allclose(net(x[1:], t[1:], y[1:]), out[1:])


def test_a_class_that_is_not_told_is_the_last_label():
    net = awake(UNet(classes=4, widths=(8, 8), blocks=1, embed=16))
    x, t = torch.randn(3, 1, 8, 8, dtype=torch.float64), torch.tensor([1, 2, 3])
    assert torch.equal(net(x, t), net(x, t, torch.full((3,), 4)))
    assert not torch.allclose(net(x, t), net(x, t, torch.full((3,), 3)))
    plain = awake(UNet(widths=(8, 8), blocks=1, embed=16))
    assert torch.equal(plain(x, t), plain(x, t, torch.full((3,), 2)))  # it knows no classes


def test_a_unet_without_attention_is_local():
    net = awake(UNet(widths=(8, 8), blocks=1, embed=16, attention=False))
    for module in net.modules():  # a normalisation looks at the whole picture too
        for name, child in module.named_children():
            if isinstance(child, torch.nn.GroupNorm):
                setattr(module, name, torch.nn.Identity())
    x = torch.randn(1, 1, 128, 4, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x, torch.tensor([5]))[0, 0, 0, 0], x)
    assert slope[0, 0, :4].all()
    assert not slope[0, 0, 64:].any()


def test_a_new_unet_says_nothing_and_a_new_block_is_the_identity():
    x, t = torch.randn(2, 1, 28, 28), torch.tensor([1, 1000])
    assert not UNet(classes=3)(x, t, torch.tensor([0, 3])).any()
    h, e = torch.randn(2, 16, 4, 4), torch.randn(2, 8)
    assert torch.equal(Block(16, 16, 8)(h, e), h)
    assert torch.equal(Attention(16)(h), h)


def test_a_block_scales_and_shifts_its_normalised_features():
    block = awake(Block(8, 16, 4))
    x, e = torch.randn(2, 8, 6, 6, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    film = e @ block.film.weight.T + block.film.bias
    h = block.conv1(F.silu(block.norm1(x)))
    h = block.norm2(h) * (1 + film[:, :16, None, None]) + film[:, 16:, None, None]
    assert torch.allclose(block(x, e), block.skip(x) + block.conv2(F.silu(h)))


def test_attention_is_a_weighted_mean_over_all_positions():
    net = awake(Attention(8, heads=2))
    x = torch.randn(1, 8, 2, 3, dtype=torch.float64)
    q, k, v = net.qkv(net.norm(x))[0].flatten(1).split(8)  # (8, positions) each
    gathered = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = torch.softmax(q[head].T @ k[head] / 2, 1)  # divided by the root of 4
        gathered.append(v[head] @ weights.T)
    expected = x + net.out(torch.cat(gathered).view(1, 8, 2, 3))
    assert torch.allclose(net(x), expected)


def test_waves_have_wavelengths_from_short_to_long():
    t = torch.tensor([0, 1, 37, 1000])
    waves = sinusoidal(t, 6)
    assert waves.dtype == torch.float32
    for row, time in zip(waves, t.tolist(), strict=True):
        angles = [time / 10_000 ** (k / 3) for k in range(3)]
        expected = torch.tensor([*map(math.cos, angles), *map(math.sin, angles)])
        assert torch.allclose(row, expected, atol=1e-4)
    assert sinusoidal(t.double(), 6).dtype == torch.float64
    assert torch.allclose(
        sinusoidal(t.double(), 6, longest=1.0)[:, :3], t.double().cos()[:, None].expand(4, 3)
    )


@pytest.mark.parametrize(("height", "width"), [(28, 30), (30, 28), (2, 28)])
def test_pictures_that_a_unet_cannot_halve_are_refused(height, width):
    with pytest.raises(ValueError, match=f"must be multiples of 4, got {height} x {width}: resize or pad"):
        UNet(widths=(8, 8))(torch.zeros(1, 1, height, width), torch.zeros(1))


@pytest.mark.parametrize("widths", [(8,), (8, 12), (), (0, 8)])
def test_widths_that_cannot_be_grouped_are_refused(widths):
    with pytest.raises(ValueError, match="widths must be at least two multiples of 8, got"):
        UNet(widths=widths)
