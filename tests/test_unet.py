"""What the U-Net may be given beside the noisy picture: a second picture, words. The rest is in test_nn."""

import pytest
import torch

from course_lib import zoo
from course_lib.nn.unet import UNet

SMALL = dict(widths=(8, 8), blocks=1, embed=16)


def awake(net):
    """The network with its zeros replaced, as after some training."""
    with torch.no_grad():
        for p in net.parameters():
            if not p.any():
                p.normal_(0, 0.1)
    return net.double()


# ---- a second picture


def test_extra_channels_are_looked_at_but_not_answered():
    net = awake(UNet(2, **SMALL, extra=3))
    x = torch.randn(2, 5, 16, 16, dtype=torch.float64, requires_grad=True)
    out = net(x, torch.tensor([5, 700]))
    assert out.shape == (2, 2, 16, 16)
    (slope,) = torch.autograd.grad(out[0, 1, 0, 0], x)
    assert (slope[0] != 0).all()
    assert (slope[1] == 0).all()


def test_extra_channels_come_last():
    """With their weights at 0 and the others those of a plain U-Net, it is that U-Net."""
    plain, net = awake(UNet(2, **SMALL)), awake(UNet(2, **SMALL, extra=1))
    weights = plain.state_dict()
    inner = torch.zeros_like(net.enter.weight)
    inner[:, :8] = weights["enter.weight"]  # 2 channels in patches of 2 x 2
    net.load_state_dict(weights | {"enter.weight": inner})
    x, t = torch.randn(2, 2, 8, 8, dtype=torch.float64), torch.tensor([5, 700])
    given = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    assert torch.allclose(net(torch.cat([x, given], 1), t), plain(x, t))


def test_published_weights_still_fit_and_still_say_the_same():
    net = zoo.load("ddpm_fashion_class").net
    again = UNet(1, (32, 64), 2, 10, 128)  # what it takes by position stays where it is
    assert list(again.state_dict()) == list(net.state_dict())
    again.load_state_dict(net.state_dict())
    x = torch.linspace(-1, 1, 2 * 28 * 28).view(2, 1, 28, 28)
    t, y = torch.tensor([10, 900]), torch.tensor([3, 10])
    assert torch.equal(again(x, t, y), net(x, t, y))


# ---- words


def reading(**options):
    torch.manual_seed(0)
    return awake(UNet(1, **(SMALL | dict(widths=(8, 16, 24)) | options), text=6))


def test_every_pixel_depends_on_every_word_and_on_no_padding():
    net = reading()
    words = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    x, t = torch.randn(2, 1, 16, 16, dtype=torch.float64), torch.tensor([5, 700])
    out = net(x, t, words=words, mask=mask)
    for pixel in (out[0, 0, 0, 0], out[0, 0, 15, 7]):
        (slope,) = torch.autograd.grad(pixel, words, retain_graph=True)
        assert (slope[0, :3] != 0).all()
        assert (slope[0, 3] == 0).all()
        assert (slope[1] == 0).all()  # another picture's caption
    longer = torch.cat([words, torch.randn(2, 3, 6, dtype=torch.float64)], 1)
    more = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], 1)
    assert torch.allclose(net(x, t, words=longer, mask=more), out)


@pytest.mark.parametrize("part", ["gist", "read_low", "read"])
def test_words_come_in_at_each_of_these_places(part):
    """With the others silenced, this one alone lets the words through; with all of them silenced, none."""
    places = {"gist": "gist.2", "read_low": "read_low.out", "read": "read.0.out"}

    def difference(silenced):
        net = reading()
        with torch.no_grad():
            for name in silenced:
                for p in net.get_submodule(places[name]).parameters():
                    p.zero_()
        seeded = torch.Generator().manual_seed(0)
        x = torch.randn(1, 1, 16, 16, generator=seeded, dtype=torch.float64)
        a, b = torch.randn(2, 1, 3, 6, generator=seeded, dtype=torch.float64)
        t, mask = torch.tensor([300]), torch.ones(1, 3, dtype=torch.bool)
        return (net(x, t, words=a, mask=mask) - net(x, t, words=b, mask=mask)).abs().max().item()

    assert difference(set(places) - {part}) > 1e-6
    assert difference(set(places)) == 0


def test_a_network_that_reads_wants_words():
    net = reading()
    with pytest.raises(ValueError, match="give it words and their mask"):
        net(torch.zeros(1, 1, 16, 16), torch.tensor([3]))


def test_words_are_not_read_at_the_largest_size():
    assert not list(reading().read[-1].parameters())
    assert not list(UNet(1, **SMALL).read_low.parameters())
