"""The players of image translation: what an output depends on, where it begins, what a verdict sees."""

import math

import pytest
import torch
from torch import nn
from two_players import random

from course_lib.errors import CourseError
from course_lib.nn.translators import PatchGAN, PlainResidual, Translator, enlarge, receptive_field

PAPER = [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]  # C64-C128-C256-C512 and the verdict, 1611.07004


def translator(seed=0, **options):
    torch.manual_seed(seed)
    return Translator(**{"widths": (4, 8), "blocks": 1, **options}).double()


def sees(net, size, i, j):
    """Rows and columns (first, last) of the pixels on which output (i, j) depends; none inside is missing."""
    x = random(1, net_channels(net), size, size).requires_grad_()
    (grad,) = torch.autograd.grad(net(x)[0, :, i, j].sum(), x)
    seen = grad[0].ne(0).any(0)
    rows, columns = (seen.any(dim).nonzero().flatten() for dim in (1, 0))
    assert seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all(), "there are holes"
    return (rows[0].item(), rows[-1].item()), (columns[0].item(), columns[-1].item())


def net_channels(net):
    first = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    return first.in_channels // 4 if isinstance(net, Translator) else first.in_channels


# ---- PatchGAN


def paper():
    """The 70x70 discriminator of the paper, narrow: each convolution 4x4, padding 1."""
    sizes = [3, 4, 4, 4, 4, 1]
    layers = []
    for (kernel, stride), a, b in zip(PAPER, sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Conv2d(a, b, kernel, stride, 1), nn.LeakyReLU(0.2)]
    torch.manual_seed(0)
    return nn.Sequential(*layers[:-1]).double()


def test_the_verdict_of_the_paper_sees_seventy_pixels():
    assert receptive_field(PAPER) == 70
    rows, columns = sees(paper(), 128, 6, 8)
    assert rows[1] - rows[0] + 1 == columns[1] - columns[0] + 1 == 70


@pytest.mark.parametrize(("layers", "expected"), [([], 1), ([(3, 1)], 3), ([(3, 1)] * 4, 9), ([(4, 2)], 4)])
def test_receptive_fields_that_one_counts_by_hand(layers, expected):
    assert receptive_field(layers) == expected


def test_order_matters_to_a_receptive_field():
    """A wide kernel costs more after a stride than before it."""
    assert (receptive_field([(5, 1), (2, 2)]), receptive_field([(2, 2), (5, 1)])) == (6, 10)


@pytest.mark.parametrize("widths", [(3,), (3, 4), (3, 4, 4)], ids=len)
def test_a_verdict_depends_on_its_window_alone(widths):
    """Padding 1 moves the window's start by 1 in each layer's own pixels: s -> stride s - 1."""
    torch.manual_seed(0)
    D = PatchGAN(2, widths).double()
    assert D.layers == [(4, 2)] * len(widths) + [(3, 1)] * 2
    size, wide = 96, receptive_field(D.layers)
    assert wide == {1: 12, 2: 26, 3: 54}[len(widths)]
    for i, j in ((0, 0), (5, 6), (96 // 2 ** len(widths) - 1, 3)):
        expected = []
        for k in (i, j):
            for _, stride in reversed(D.layers):
                k = stride * k - 1
            expected.append((max(k, 0), min(k + wide, size) - 1))
        assert list(sees(D, size, i, j)) == expected


def test_a_patch_gan_is_fully_convolutional():
    """Verdicts of a crop are those of the whole, but for those that the crop's border can reach."""
    torch.manual_seed(0)
    D = PatchGAN(3, (4, 8)).double()
    x = random(1, 3, 64, 80)
    whole, crop = D(x), D(x[:, :, 8:56, 16:80])
    assert (whole.shape, crop.shape) == ((1, 1, 16, 20), (1, 1, 12, 16))
    assert torch.allclose(crop[..., 3:-3, 3:], whole[..., 5:11, 7:], rtol=1e-10)
    assert not torch.isclose(crop[..., 0, :], whole[..., 2, 4:]).any()


# ---- the translator


@pytest.mark.parametrize("start", ["input", "negative", "nothing", "swapped"])
def test_what_a_translator_gives_when_the_learnt_part_is_zero(start):
    net, x = translator(start=start), random(2, 3, 16, 24)
    with torch.no_grad():
        net.leave.weight.zero_()
        net.leave.bias.zero_()
    bgr = torch.stack([x[:, 2], x[:, 1], x[:, 0]], 1)
    assert torch.equal(net(x), {"input": x, "negative": -x, "nothing": 0 * x, "swapped": bgr}[start])


@pytest.mark.parametrize(("start", "sign"), [("input", 1), ("negative", -1)])
def test_with_a_start_the_learnt_part_begins_at_a_tenth(start, sign):
    plain, near = translator(start="nothing"), translator(start=start)
    assert plain.leave.bias.all()
    with torch.no_grad():
        plain.leave.bias.zero_()
    x = random(2, 3, 16, 16)
    assert torch.allclose(near(x), sign * x + 0.1 * plain(x), rtol=1e-6)
    assert 0 < (near(x) - sign * x).abs().max() < 0.2  # against a spread of 1


@pytest.mark.parametrize("start", ["input", "negative", "nothing"])
def test_tanh_bounds_what_is_learnt(start):
    x = random(1, 3, 16, 16)
    base = {"input": x, "negative": -x, "nothing": 0 * x}[start]
    for tanh in (True, False):
        net = translator(start=start, tanh=tanh)
        with torch.no_grad():
            net.leave.weight.mul_(1000)
        largest = (net(x) - base).abs().max().item()
        assert largest == pytest.approx(1, abs=1e-6) if tanh else largest > 2


@pytest.mark.parametrize("start", ["input", "nothing"])
def test_a_shifted_picture_has_a_shifted_translation(start):
    """By `factor` pixels, away from the border; by fewer it need not."""
    net, x = translator(start=start), random(1, 3, 64, 64)
    assert net.factor == 4
    rows, columns = sees(net, 64, 32, 32)
    reach = max(32 - rows[0], rows[1] - 32, 32 - columns[0], columns[1] - 32)
    edge = math.ceil(reach / 4 + 1) * 4
    assert edge < 32
    y = net(x)

    def difference(by):
        moved = net(x.roll((by, -by), (2, 3))).roll((-by, by), (2, 3))
        return (moved - y)[..., edge:-edge, edge:-edge].abs().max()

    assert difference(4) < 1e-12
    assert difference(8) < 1e-12
    assert difference(2) > 1e-4


def test_a_crop_is_translated_like_the_whole():
    net, x = translator(start="nothing"), random(1, 3, 48, 96)
    whole, crop = net(x), net(x[..., 16:80])
    assert torch.allclose(crop[..., 24:-24], whole[..., 40:56], rtol=1e-10)
    assert (crop[..., :8] - whole[..., 16:24]).abs().max() > 1e-4  # zeros beyond the border


@pytest.mark.parametrize(
    ("height", "width", "words"), [(16, 18, "16 x 18"), (15, 16, "15 x 16"), (6, 6, "6 x 6")]
)
def test_sizes_that_cannot_be_halved_often_enough_are_named(height, width, words):
    with pytest.raises(CourseError, match=f"must be multiples of 4, got {words}: crop or pad") as caught:
        translator()(torch.zeros(1, 3, height, width).double())
    assert "\n" not in str(caught.value)


def test_skips_carry_detail_past_the_bottom():
    """Without what comes from below, each pixel is a matter of 5x5 patches of 2x2 pixels: the two 3x3
    convolutions on the way. Without the skip it is a matter of the bottom's wide view."""
    full, local, below = (translator(start="nothing") for _ in range(3))
    with torch.no_grad():
        local.leave.weight[:, :4].zero_()  # what comes up
        below.leave.weight[:, 4:].zero_()  # what comes across
    assert sees(local, 48, 20, 24) == ((16, 25), (20, 29))
    (first, last), _ = sees(below, 48, 20, 24)
    assert last - first + 1 > 20
    assert sees(full, 48, 20, 24)[0] == (first, last)

    x = random(1, 3, 48, 48).requires_grad_()
    slopes = [torch.autograd.grad(net(x)[0, 0, 20, 24], x)[0][0, :, 20, 24].norm() for net in (full, below)]
    assert slopes[0] > 3 * slopes[1]  # the pixel at the same place counts, thanks to the skip


def test_every_scale_has_its_skip():
    """Each layer on the way up but the lowest gets its own size from the way down, beside what came up."""
    net = translator(widths=(4, 8, 16), start="nothing")
    inputs = {}
    for name, layer in (*net.up.named_children(), ("leave", net.leave)):
        layer.register_forward_hook(lambda m, x, y, name=name: inputs.update({name: x[0]}))
    came = {}
    for name, layer in (("enter", net.enter), *net.down.named_children()):
        layer.register_forward_hook(lambda m, x, y, name=name: came.update({name: y}))
    net(random(1, 3, 16, 16))
    assert torch.equal(inputs["leave"][:, 4:], came["enter"])
    assert torch.equal(inputs["1"][:, 8:], came["0"])
    assert inputs["0"].shape == came["1"].shape == (1, 16, 2, 2)


def test_normalisation_makes_a_picture_depend_on_its_batch_in_training_only():
    x = random(4, 3, 16, 16)
    for norm, alone in (("none", True), ("batch", False)):
        net = translator(norm=norm)
        assert torch.allclose(net(x)[:1], net(x[:1]), rtol=1e-10) == alone
        assert torch.allclose(net.eval()(x)[:1], net(x[:1]), rtol=1e-10)
        norms = sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())
        assert norms == (0 if norm == "none" else 4)  # down, two in the residual block, up


def test_a_residual_block_begins_as_a_tenth_of_a_branch():
    torch.manual_seed(0)
    block, x = PlainResidual(9).double(), random(2, 9, 8, 8)
    bound = 1 / math.sqrt(9 * 9)  # PyTorch draws uniformly within 1 / sqrt(inputs)
    assert 0.095 * bound < block.second.weight.abs().max() <= 0.1 * bound
    assert 0.95 * bound < block.first[0].weight.abs().max() <= bound
    with torch.no_grad():
        block.second.weight.zero_()
        block.second.bias.zero_()
    assert torch.equal(block(x), x)


def test_enlarging_keeps_ramps_and_flats():
    """Pixel k of the large picture lies at k/2 - 1/4 of the small one; a checkerboard cannot arise."""
    ramp = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 2, 5, 6)
    large = enlarge(ramp)
    assert large.shape == (1, 2, 10, 12)
    expected = (torch.arange(12.0) / 2 - 0.25).clamp(0, 5)
    assert torch.allclose(large, expected.expand(1, 2, 10, 12))
    assert torch.equal(enlarge(torch.full((1, 1, 4, 4), 0.3)), torch.full((1, 1, 8, 8), 0.3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(widths=()), r"widths must be at least one number of channels, got \(\)"),
        (dict(widths=(4, 0)), "widths must be at least one number"),
        (dict(start="output"), "start must be one of input, nothing, negative, swapped, got 'output'"),
        (dict(norm="instance"), "norm must be one of none, batch, got 'instance'"),
        (dict(c_in=1), 'both need as many channels, got 1 and 3: take start="nothing"'),
        (dict(c_out=1, start="negative"), "both need as many channels, got 3 and 1"),
    ],
)
def test_sizes_that_do_not_fit_together(options, words):
    with pytest.raises(CourseError, match=words):
        translator(**options)


def test_kinds_may_differ_in_channels_where_nothing_is_added():
    assert translator(c_in=1, c_out=2, start="nothing")(random(1, 1, 8, 8)).shape == (1, 2, 8, 8)
