"""Autoencoders, denoising, colorization and feature networks: their equations."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course_lib.evaluate import pca_error
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.autoencoder import Autoencoder, LinearAutoencoder, reconstruction_error
from course_lib.methods.colorizer import Colorizer, coarse, colour_table, level, look_up, luma
from course_lib.methods.denoising_autoencoder import (
    DenoisingAutoencoder,
    gaussian,
    missing_square,
    salt_and_pepper,
)
from course_lib.methods.features import UNKNOWN, FeatureNet, accuracy


def pictures(n, channels=1, size=8, seed=0):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def only(losses):
    (loss,) = losses
    return loss


# ---- autoencoders


def test_linear_autoencoder_ends_at_the_pca_residual():
    """Within half a per cent, never below, and on the same three directions (Baldi and Hornik)."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(64, 16, generator=g) * torch.logspace(0.3, -1.5, 16)  # PCA's directions are well apart
    x = (x @ torch.linalg.qr(torch.randn(16, 16, generator=g)).Q + 0.2).view(64, 1, 4, 4)
    model = LinearAutoencoder(latent=3, size=4, lr=0.02)
    fit(model, x, steps=700, batch=64, lr=warmup_cosine(700), device="cpu", progress=False)
    reached, best = reconstruction_error(model, x).mean().item(), pca_error(x, x, 3)
    assert best * (1 - 1e-4) <= reached < best * 1.005
    directions = torch.linalg.svd(x.flatten(1) - x.flatten(1).mean(0), full_matrices=False)[2][:3]
    span = torch.linalg.qr(model.decoder[0].weight.detach()).Q.T
    cosines = torch.linalg.svdvals(span @ directions.T)
    assert cosines.min() > 0.999


def test_loss_is_the_mean_over_everything():
    for cls in (LinearAutoencoder, Autoencoder):
        model, x = cls.tiny()
        loss = only(model.losses(x, 0)).value
        model_output = model(x)
        assert loss.item() == pytest.approx((model_output - x).square().sum().item() / x.numel(), rel=1e-5)


def test_reconstruction_error_of_each_picture():
    model = Autoencoder.tiny()[0].eval()
    x = pictures(7)
    errors = reconstruction_error(model, x, batch=3)
    assert not errors.requires_grad
    for i in range(7):
        expected = (model(x[i : i + 1]) - x[i : i + 1]).square().mean()
        assert errors[i].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_code_is_as_long_as_asked_for():
    for latent in (1, 7):
        model = Autoencoder(latent=latent, channels=3, size=16).eval()
        x = pictures(2, 3, 16)
        assert model.encoder(x).shape == (2, latent)
        assert torch.equal(model(x), model.decoder(model.encoder(x)))


# ---- denoising


def test_gaussian_noise_has_the_strength_asked_for_and_is_not_clipped():
    x = pictures(100, size=16)
    noise = gaussian(x, 0.5, generator=torch.Generator().manual_seed(1)) - x
    assert noise.mean().item() == pytest.approx(0, abs=0.015)  # 25,600 draws: 4.8 standard deviations
    assert noise.std().item() == pytest.approx(0.5, abs=0.012)
    assert (x + noise).abs().max() > 1.5
    again = gaussian(x, 0.5, generator=torch.Generator().manual_seed(1)) - x
    assert torch.equal(noise, again)
    assert torch.equal(gaussian(x, 0.0), x)


def test_salt_and_pepper_has_the_share_asked_for_half_of_each():
    x = pictures(100, size=16) * 0.9  # so that no pixel is -1 or 1 by itself
    noisy = salt_and_pepper(x, 0.3, generator=torch.Generator().manual_seed(1))
    salt, pepper = noisy == 1, noisy == -1
    assert salt.float().mean().item() == pytest.approx(0.15, abs=0.011)  # 5 standard deviations
    assert pepper.float().mean().item() == pytest.approx(0.15, abs=0.011)
    assert torch.equal(noisy[~(salt | pepper)], x[~(salt | pepper)])
    assert torch.equal(salt_and_pepper(x, 0.0), x)
    assert (salt_and_pepper(x, 1.0).abs() == 1).all()


def test_missing_square_is_grey_inside_and_untouched_outside():
    x = pictures(50, 3, 12)
    holed, mask = missing_square(x, 5)
    assert mask.shape == (50, 1, 12, 12)
    assert torch.equal(mask.flatten(1).sum(1), torch.full((50,), 25))
    inside = mask.expand_as(x)
    assert (holed[inside] == 0).all()
    assert torch.equal(holed[~inside], x[~inside])


def test_damage_of_a_batch_is_a_third_of_each_kind():
    model = DenoisingAutoencoder.tiny()[0]
    x = pictures(300, size=16) * 0.9
    noisy, peppered, holed = model.damage(x).tensor_split(3)
    a, b, c = x.tensor_split(3)
    strengths = (noisy - a).flatten(1).std(1)
    assert strengths.max() < 0.7 * 1.15
    assert strengths.min() < 0.1
    assert strengths.mean().item() == pytest.approx(0.35, abs=0.09)
    changed = peppered != b
    assert (peppered[changed].abs() == 1).all()
    assert changed.float().mean() < 0.42
    gone = holed != c
    assert (holed[gone] == 0).all()
    sides = gone.flatten(1).sum(1).sqrt()
    assert len(set(sides.tolist())) == 1  # one square of one size for the batch
    assert sides[0] in range(2, 9)


def test_denoiser_is_compared_with_the_clean_picture(monkeypatch):
    """Where the network copies what it gets, the loss is the damage itself."""
    model, x = DenoisingAutoencoder.tiny()
    damaged = model.damage(x)
    monkeypatch.setattr(model, "damage", lambda _: damaged)
    monkeypatch.setattr(model, "forward", lambda given: given)
    assert only(model.losses(x, 0)).value.item() == pytest.approx(F.mse_loss(damaged, x).item())


def test_inpainting_keeps_known_pixels_and_does_not_peek():
    model = DenoisingAutoencoder.tiny()[0].eval()
    x = pictures(6)
    _, mask = missing_square(x, 4)
    filled = model.inpaint(x, mask)
    assert torch.equal(filled[~mask], x[~mask])
    assert not torch.equal(filled[mask], x[mask])
    assert torch.equal(model.inpaint(x.masked_fill(mask, 99.0), mask), filled)


# ---- colorization


def colours(n=6, size=8, seed=0):
    return pictures(n, 3, size, seed)


def test_luma_in_closed_form():
    def picture(r, g, b):
        return torch.tensor([r, g, b]).view(1, 3, 1, 1).expand(1, 3, 2, 2)

    for value in (-1.0, -0.3, 0.0, 1.0):
        assert torch.allclose(luma(picture(value, value, value)), torch.tensor(value))
    black = luma(picture(-1.0, -1.0, -1.0))
    rises = [
        (luma(picture(*[1.0 if i == k else -1.0 for i in range(3)])) - black).mean() / 2 for k in range(3)
    ]
    assert [rise.item() for rise in rises] == pytest.approx([0.299, 0.587, 0.114], abs=1e-6)


def test_coarse_gives_the_nearest_of_evenly_spaced_greys():
    y = torch.linspace(-1.3, 1.3, 400).view(1, 1, 20, 20)
    for levels in (2, 4, 256):
        greys = torch.linspace(-1, 1, levels)
        rounded = coarse(y, levels)
        nearest = greys[(y.flatten()[:, None] - greys).abs().argmin(1)].view_as(y)
        assert torch.allclose(rounded, nearest, atol=1e-6)
        assert torch.equal(coarse(rounded, levels), rounded)
        assert len(level(y, levels).unique()) == min(levels, level(y, levels).max() + 1)


@pytest.mark.parametrize("levels", [4, 256])
def test_table_holds_the_mean_colour_of_each_grey(levels):
    x = colours()
    table = colour_table(x, levels).numpy()
    index = level(luma(x), levels).numpy()[:, 0]
    pixels = x.permute(0, 2, 3, 1).numpy()
    for k in range(levels):
        members = pixels[index == k]
        expected = members.mean(0) if len(members) else np.full(3, -1 + 2 * k / (levels - 1))
        assert np.allclose(table[k], expected, atol=1e-5), k


def test_table_of_many_pixels_does_not_lose_digits():
    """A million pixels of one grey: a sum in float32 is off in the fourth digit."""
    x = torch.full((1, 3, 1000, 1000), 0.1)
    assert torch.allclose(colour_table(x, 4)[2], torch.tensor(0.1), rtol=1e-6)


def test_table_is_the_best_answer_that_sees_one_pixel():
    x = colours()
    table = colour_table(x, 4)

    def error(t):
        return (look_up(t, luma(x)) - x).square().mean()

    for k in range(4):
        for change in (-0.01, 0.01):
            other = table.clone()
            other[k] += change
            assert error(other) > error(table)


def test_untrained_colorizer_answers_with_the_table():
    model = Colorizer(widths=(8, 8, 8)).fit_table(colours()).eval()
    x = colours(seed=1)
    line = pictures(6, seed=2)
    assert torch.equal(model(line, luma(x)), look_up(colour_table(colours(), 4), luma(x)))


def test_colorizer_sees_only_its_few_greys():
    model, (line, colour) = Colorizer.tiny()
    torch.nn.init.normal_(model.net.out.weight)
    model.eval()
    grey = luma(colour)
    assert torch.equal(model(line, grey), model(line, coarse(grey, model.levels)))
    assert not torch.equal(model(line, grey), model(-line, grey))


def test_line_and_colour_are_mirrored_together(monkeypatch):
    model, (_, colour) = Colorizer.tiny()
    seen = []
    monkeypatch.setattr(
        model, "forward", lambda line, grey: seen.append((line, grey)) or torch.zeros_like(colour)
    )
    only(model.losses((luma(colour), colour), 0))
    ((line, grey),) = seen
    assert torch.allclose(line, grey, atol=1e-6)
    assert not torch.allclose(line, luma(colour))  # some of the eight were mirrored


# ---- feature networks


def plain(**options):
    """A feature network without augmentation."""
    return FeatureNet(**(dict(widths=(4, 8, 8), flip=False, shift=0, hole=0) | options))


def test_loss_is_a_sum_of_smoothed_cross_entropies():
    net = plain(classes=(4, 3))
    x, y = pictures(8), torch.stack([torch.arange(8) % 4, torch.arange(8) % 3], 1)
    loss = only(net.losses((x, y), 0)).value
    expected = 0.0
    for k, out in enumerate(net.logits(x)):
        p = out.log_softmax(1)
        classes = p.shape[1]
        target = torch.full_like(p, 0.1 / classes).scatter_(1, y[:, k : k + 1], 0.9 + 0.1 / classes)
        expected += -(target * p).sum(1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.nn.init.zeros_(net.heads[0].weight), torch.nn.init.zeros_(net.heads[0].bias)
    torch.nn.init.zeros_(net.heads[1].weight), torch.nn.init.zeros_(net.heads[1].bias)
    assert only(net.losses((x, y), 0)).value.item() == pytest.approx(math.log(4) + math.log(3), rel=1e-6)


def test_unknown_labels_do_not_count():
    """The loss is that of the known samples, and the unknown ones pull at nothing."""
    net = plain(classes=(4, 3)).eval()
    x, y = pictures(8), torch.stack([torch.arange(8) % 4, torch.arange(8) % 3], 1)
    y[[1, 5], 0] = UNKNOWN
    known = torch.tensor([0, 2, 3, 4, 6, 7])
    first, second = net.logits(x)
    expected = F.cross_entropy(first[known], y[known, 0], label_smoothing=0.1)
    expected += F.cross_entropy(second, y[:, 1], label_smoothing=0.1)
    assert only(net.losses((x, y), 0)).value.item() == pytest.approx(expected.item(), rel=1e-5)
    x.requires_grad_()
    y[:, 1] = UNKNOWN
    (slope,) = torch.autograd.grad(only(net.losses((x, y), 0)).value, x)
    moved = slope.flatten(1).abs().sum(1) > 0
    assert moved.tolist() == [i in known for i in range(8)]


def test_a_batch_that_knows_nothing_of_a_head():
    net = plain(classes=(4,))
    loss = only(net.losses((pictures(4), torch.full((4,), UNKNOWN)), 0)).value
    assert loss.item() == 0.0


def test_accuracy_counts_known_labels_of_one_head():
    net = plain(classes=(4, 3)).eval()
    x = pictures(9)
    right = torch.stack([out.argmax(1) for out in net.logits(x)], 1)
    assert accuracy(net, x, right[:, 0], batch=4) == 1.0
    wrong = right.clone()
    wrong[:3, 1] = (wrong[:3, 1] + 1) % 3
    assert accuracy(net, x, wrong[:, 1], head=1) == pytest.approx(6 / 9)
    wrong[:2, 1] = UNKNOWN
    assert accuracy(net, x, wrong[:, 1], head=1) == pytest.approx(6 / 7)


def test_training_pictures_are_changed_and_others_are_not(monkeypatch):
    net = FeatureNet(widths=(4, 8, 8), shift=2, hole=4, fill=-1.0).eval()
    x, y = torch.rand(8, 1, 12, 12), torch.zeros(8, dtype=torch.long)
    seen = []
    original = net.forward
    monkeypatch.setattr(net, "forward", lambda given: seen.append(given) or original(given))
    only(net.losses((x, y), 0))
    only(net.losses((x, y), 0))
    assert not torch.equal(seen[0], seen[1])
    assert ((seen[0] == -1).flatten(1).sum(1) >= 16).all()  # the hole; where the picture was, it is above 0
    net.logits(x)
    assert seen[2] is x
    assert net(x).shape == (8, net.num_features)
