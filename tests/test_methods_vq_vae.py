"""VQ-VAE: the nearest code, the gradient that passes through, the commitment, the moving codebook."""

import math

import pytest
import torch

from course_lib.fit import fit
from course_lib.methods.vq_vae import VQVAE, Codebook, perplexity

SMALL = dict(channels=1, widths=(8, 8), blocks=1, codes=16, dim=4)


def vectors(b=3, d=4, h=2, w=5, seed=0):
    return torch.randn(b, d, h, w, generator=torch.Generator().manual_seed(seed))


def book(size=16, dim=4, **options):
    torch.manual_seed(0)
    return Codebook(size, dim, **options)


# ---- quantisation


def test_each_vector_gets_the_nearest_code():
    """Eq. 1 and 2, by trying all codes at every place."""
    made, z = book(), vectors()
    z_q, codes = made(z)
    assert codes.shape == (3, 2, 5)
    assert len(codes.unique()) > 5
    for b in range(3):
        for i in range(2):
            for j in range(5):
                distances = [(z[b, :, i, j] - e).square().sum().item() for e in made.vectors]
                assert codes[b, i, j] == distances.index(min(distances))
                assert torch.allclose(z_q[b, :, i, j], made.vectors[codes[b, i, j]], atol=1e-6)
    assert torch.equal(made.look_up(codes), made.vectors[codes].permute(0, 3, 1, 2))


def test_gradients_pass_straight_through():
    """Whatever gradient arrives at the codes arrives at the vectors, and none at the codebook."""
    made, z = book(), vectors().requires_grad_()
    arriving = vectors(seed=1)
    (made(z).z * arriving).sum().backward()
    assert torch.equal(z.grad, arriving)
    assert not list(made.parameters())


# ---- the loss


def test_loss_is_reconstruction_and_commitment():
    """Eq. 3 with the codebook term left to the averages; the encoder's output is pulled to its code by
    2 beta (z - e) / numbers, beside what comes through the decoder."""
    torch.manual_seed(0)
    made, x = VQVAE(**SMALL, beta=0.25).eval(), torch.rand(2, 1, 8, 8) * 2 - 1
    kept = {}
    made.encoder.register_forward_hook(lambda m, i, z: kept.update(z=z.requires_grad_()))
    (loss,) = made.losses(x, 0)
    z = kept["z"]
    e = made.codebook.look_up(made.codebook.nearest(z))
    entering = e.clone().requires_grad_()
    reconstruction = (made.decoder(entering) - x).square().mean()
    commitment = (z - e).square().mean()
    assert loss.value.item() == pytest.approx((reconstruction + 0.25 * commitment).item(), rel=1e-5)
    assert loss.logs["reconstruction"].item() == pytest.approx(reconstruction.item(), rel=1e-5)
    assert loss.logs["commitment"].item() == pytest.approx(commitment.item(), rel=1e-5)
    (through,) = torch.autograd.grad(reconstruction, entering)
    (slope,) = torch.autograd.grad(loss.value, z)
    expected = through + 0.25 * 2 * (z - e) / z.numel()
    assert torch.allclose(slope, expected, atol=1e-6)


def test_codes_and_pictures_are_each_others_inverse_as_far_as_the_network_can():
    torch.manual_seed(0)
    made, x = VQVAE(**SMALL).eval(), torch.rand(2, 1, 8, 8) * 2 - 1
    codes = made.encode(x)
    assert codes.shape == (2, 2, 2)
    assert codes.dtype == torch.int64
    assert torch.equal(made(x), made.decode(codes))
    assert torch.equal(
        made.decode(codes), made.decoder(made.codebook.vectors[codes].permute(0, 3, 1, 2)).clamp(-1, 1)
    )


# ---- the codebook's averages


def test_averages_follow_the_mean_of_what_chose_them():
    """Eqs. 6 to 8, step by step: N <- g N + (1 - g) n, m <- g m + (1 - g) sum z, e = m / N."""
    made = book(3, 2, decay=0.9, least=0.0)
    start = made.vectors.clone()
    z = vectors(2, 2, 2, 2)
    codes = torch.tensor([[[0, 0], [1, 0]], [[0, 1], [0, 0]]])
    made.learn(z, codes)
    rows = z.permute(0, 2, 3, 1).reshape(-1, 2)
    for j in range(3):
        mine = rows[codes.flatten() == j]
        count, total = 0.9 + 0.1 * len(mine), 0.9 * start[j] + 0.1 * mine.sum(0)
        assert made.counts[j].item() == pytest.approx(count)
        assert torch.allclose(made.vectors[j], total / count, atol=1e-6)
    for _ in range(200):
        made.learn(z, codes)
    for j in (0, 1):
        assert torch.allclose(made.vectors[j], rows[codes.flatten() == j].mean(0), atol=1e-4)


def test_a_dead_code_is_put_where_a_vector_is_and_the_living_stay():
    made = book(4, 2, decay=0.5, least=0.4)
    z, codes = vectors(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.int64)
    before = made.vectors.clone()
    made.learn(z, codes)  # the unused fall to 0.5: still alive
    assert torch.allclose(made.vectors[1:], before[1:])
    made.learn(z, codes)  # to 0.25
    rows = z[0].flatten(1).T
    for j in (1, 2, 3):
        assert (rows - made.vectors[j]).square().sum(1).min() < 1e-10
        assert made.counts[j] == 1
    assert made.counts[0] > 4


def test_the_codebook_learns_in_training_only():
    made, x = VQVAE(**SMALL), torch.rand(4, 1, 8, 8) * 2 - 1
    before = made.codebook.vectors.clone()
    list(made.eval().losses(x, 0))
    assert torch.equal(made.codebook.vectors, before)
    list(made.train().losses(x, 0))
    assert not torch.equal(made.codebook.vectors, before)


def test_perplexity_counts_the_codes_in_use():
    assert perplexity(torch.zeros(5, 2, dtype=torch.int64), 8).item() == pytest.approx(1)
    assert perplexity(torch.arange(8).repeat(3), 8).item() == pytest.approx(8)
    share = torch.tensor([0.5, 0.25, 0.25])
    entropy = -(share * share.log()).sum().item()
    assert perplexity(torch.tensor([0, 0, 2, 5]), 8).item() == pytest.approx(math.exp(entropy))


def test_four_patches_need_four_codes():
    """Pictures tiled from four patches are copied almost exactly, with about as many codes."""
    torch.manual_seed(0)
    patches = torch.tensor([-0.8, -0.2, 0.3, 0.9])
    x = patches[torch.randint(0, 4, (64, 1, 2, 2))].repeat_interleave(4, 2).repeat_interleave(4, 3)
    run = fit(VQVAE(**SMALL, lr=1e-2), x, steps=150, batch=16, device="cpu", progress=False)
    with torch.no_grad():
        assert (run.model(x) - x).square().mean() < 0.02  # the pictures' variance is 0.4
