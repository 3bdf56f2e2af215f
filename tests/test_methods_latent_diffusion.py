"""Latent diffusion: the frozen autoencoder, the scale of its latents, and what travels with the weights."""

import pytest
import torch
from helpers import Rows

from course_lib import zoo
from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.kl_autoencoder import KLAutoencoder
from course_lib.methods.latent_diffusion import LatentDiffusion

AE = dict(channels=1, latent=2, widths=(8,), blocks=1)
SMALL = dict(
    words=("big", "red"), length=3, channels=1, size=16, latent=2, ae_widths=(8,), ae_blocks=1,
    widths=(16, 16), blocks=1, embed=16, text=8,
)  # fmt: skip


def pictures(n=6, seed=0):
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture
def both():
    torch.manual_seed(0)
    autoencoder = KLAutoencoder(**AE)
    made = LatentDiffusion(**SMALL)
    made.use(autoencoder, pictures())
    return made, autoencoder


def test_latents_have_the_standard_deviation_1(both):
    made, autoencoder = both
    x, z = pictures(), autoencoder.encode(pictures()).detach()
    assert not 0.9 < z.std() < 1.1  # else this test would show nothing
    assert made.scale.item() == pytest.approx(((z - z.mean()) ** 2).mean().sqrt().item(), rel=1e-5)
    assert torch.allclose(made.encode(x), z / made.scale, atol=1e-6)
    assert made.encode(x).std(correction=0).item() == pytest.approx(1, rel=1e-4)
    assert torch.allclose(made.decode(made.encode(x)), autoencoder(x), atol=1e-5)


def test_the_autoencoder_is_moved_by_nobody(both):
    made, autoencoder = both
    names = {name for name, _ in made.named_parameters()}
    assert names
    assert not any(name.startswith("autoencoder.") for name in names)
    before = {k: v.clone() for k, v in made.state_dict().items()}
    data = pictures(), made.diffusion.encode(["big", "red", "big red", "", "red", "big"])
    fit(made, Rows(data), steps=3, batch=4, device="cpu", progress=False)
    after = made.state_dict()
    for name, value in before.items():
        fixed = name.startswith("autoencoder.") or name.endswith(("alpha_bar", "scale"))
        assert torch.equal(after[name], value) or not fixed, name
    assert not torch.equal(
        after["diffusion.words_net.embed.weight"], before["diffusion.words_net.embed.weight"]
    )
    assert autoencoder.state_dict().keys() == {
        k.removeprefix("autoencoder.") for k in before if k.startswith("autoencoder.")
    }


def test_the_loss_is_that_of_diffusion_on_scaled_latents(both):
    made, _ = both
    tokens = made.diffusion.encode(["big", "red", "", "", "red", "big"])
    torch.manual_seed(1)
    (loss,) = made.losses((pictures(), tokens), 0)
    torch.manual_seed(1)
    (expected,) = made.diffusion.losses((made.encode(pictures()), tokens), 0)
    assert loss.value.item() == expected.value.item()
    assert loss.value.requires_grad


def test_the_weights_file_holds_all_that_is_needed(both, tmp_path):
    made, autoencoder = both
    zoo.save(tmp_path / "a.safetensors", made, SMALL)
    loaded = zoo.load(tmp_path / "a.safetensors")
    assert loaded.scale.item() == made.scale.item()
    assert torch.allclose(loaded.autoencoder(pictures()), autoencoder(pictures()), atol=1e-2)  # halves


def test_samples_are_decoded_latents_and_those_are_not_clipped(both):
    made, _ = both
    asked = dict(captions="big red", guidance=1.5, steps=4)
    steps = list(made.sample(3, generator=torch.Generator().manual_seed(0), **asked))
    inner = list(made.latents(3, generator=torch.Generator().manual_seed(0), **asked))
    assert len(steps) == len(inner) == 5
    for outer, step in zip(steps, inner, strict=True):
        assert step.x.shape == (3, 2, 8, 8)
        assert torch.allclose(outer.x, made.decode(step.x), atol=1e-6)
        assert torch.allclose(outer.x0, made.decode(step.x0), atol=1e-6)
        assert outer.note == step.note
    # a network that says v = 0 guesses x_0 = sqrt(a) x_t: at the first steps within [-1, 1], later not
    assert max(step.x0.abs().max() for step in inner) > 1.5


def test_an_autoencoder_of_other_sizes_is_refused(both):
    with pytest.raises(CourseError, match="This autoencoder has other sizes"):
        both[0].use(KLAutoencoder(**(AE | dict(latent=3))), pictures())


def test_what_is_said_of_the_diffusion_reaches_it():
    told = dict(T=60, drop=0.3, spread=1.3, lr=0.01, weight_decay=0.2)
    inner = LatentDiffusion(**SMALL, **told).diffusion
    assert len(inner.alpha_bar) == 61
    assert {name: getattr(inner, name) for name in told if name != "T"} == {
        k: told[k] for k in told if k != "T"
    }
