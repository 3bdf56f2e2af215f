"""KL autoencoder: shapes of its latents, its three terms, and sharp edges."""

import pytest
import torch

from course_lib.fit import fit
from course_lib.methods.kl_autoencoder import KLAutoencoder, edge_error
from course_lib.nn.gaussian import kl_to_standard
from course_lib.nn.spatial import Residual, SpatialDecoder, SpatialEncoder

SMALL = dict(channels=1, latent=2, widths=(8, 8), blocks=1)


def pictures(n, side=8, seed=0):
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("widths", [(8,), (8, 16), (8, 8, 16)])
def test_a_latent_is_a_small_picture(widths):
    factor = 2 ** len(widths)
    encoder, decoder = SpatialEncoder(3, widths, 1, 5), SpatialDecoder(3, widths, 1, 5)
    x = torch.randn(2, 3, 2 * factor, 3 * factor)
    assert encoder(x).shape == (2, 5, 2, 3)
    assert decoder(encoder(x)).shape == x.shape


def test_residual_blocks_start_as_the_identity_and_see_one_picture_each():
    x = torch.randn(3, 8, 4, 4)
    made = Residual(8)
    assert torch.equal(made(x), x + made.net[-1].bias[:, None, None])
    torch.nn.init.normal_(made.net[-1].weight)
    assert torch.allclose(made(x)[1:2], made(x[1:2]), atol=1e-5)
    assert not torch.allclose(made(x), x, atol=0.1)


def test_edges_by_hand():
    """A 2 x 2 error of [[0, 1], [3, 6]]: down 3 and 5, across 1 and 3."""
    x = pictures(1, 2)
    made = x + torch.tensor([[0.0, 1.0], [3.0, 6.0]])
    assert edge_error(made, x).item() == pytest.approx((3 + 5) / 2 + (1 + 3) / 2)
    assert edge_error(x + 0.7, x).item() == pytest.approx(0, abs=1e-6)  # L1 alone sees a shift


def test_loss_is_the_weighted_sum_of_its_terms(monkeypatch):
    torch.manual_seed(0)
    made, x = KLAutoencoder(**SMALL, kl=0.01, edge=0.5), pictures(3)
    monkeypatch.setattr(torch, "randn_like", lambda t: torch.full_like(t, 0.3))
    (loss,) = made.losses(x, 0)
    mu, logvar = made.encoder(x).chunk(2, 1)
    copy = made.decoder(mu + 0.3 * (logvar / 2).exp())
    terms = (copy - x).abs().mean() + 0.5 * edge_error(copy, x) + 0.01 * kl_to_standard(mu, logvar).mean()
    assert loss.value.item() == pytest.approx(terms.item(), rel=1e-5)


def test_the_mean_is_what_is_decoded_and_pictures_stay_in_range():
    torch.manual_seed(0)
    made, x = KLAutoencoder(**SMALL), pictures(3)
    assert torch.equal(made.encode(x), made.encoder(x)[:, :2])
    assert torch.equal(made(x), made.decoder(made.encoder(x)[:, :2]).clamp(-1, 1))
    assert made.decode(100 * made.encode(x)).abs().max() <= 1


def test_a_larger_weight_pulls_the_latent_to_the_normal_distribution():
    def trained(kl):
        torch.manual_seed(0)
        made = KLAutoencoder(**SMALL, kl=kl, lr=1e-2)
        return fit(made, pictures(32).round(), steps=60, batch=16, device="cpu", progress=False).history

    free, tight = trained(1e-6), trained(10.0)
    assert tight["kl"][-1][1] < 0.02 < free["kl"][-1][1]
    assert free["L1"][-1][1] < tight["L1"][-1][1]
