"""The beta-VAE's loss, and the scores that say how a code is sorted."""

import numpy as np
import pytest
import torch

from course_lib import disentangle
from course_lib.disentangle import Reading, kl_of_dimensions, portraits, reading, traversal_scores
from course_lib.fit import fit
from course_lib.methods.beta_vae import BetaVAE
from course_lib.methods.vae import VAE


def loss(model, x, step=10**6):
    torch.manual_seed(0)
    ((_, value, logs),) = model.losses(x, step)
    return value, logs


def pair(**options):
    """A small beta-VAE and a plain VAE with the same weights and the same given sigma."""
    sizes = dict(latent=4, channels=1, size=8, widths=(4, 8), squeeze=4, hidden=16, sigma=0.5)
    model, plain = BetaVAE(**sizes, **options).double(), VAE(**sizes).double()
    plain.load_state_dict(model.state_dict())
    return model, plain, BetaVAE.tiny()[1].double()


def test_beta_1_is_the_vae():
    model, plain, x = pair(beta=1.0)
    ours, theirs = loss(model, x)[0], loss(plain, x)[0]
    assert ours.item() == theirs.item()
    for a, b in zip(
        torch.autograd.grad(ours, list(model.parameters())),
        torch.autograd.grad(theirs, list(plain.parameters())),
        strict=True,
    ):
        assert torch.equal(a, b)


def test_a_nat_of_kl_costs_beta():
    """The loss is linear in beta with the KL as its slope; at a posterior known by hand, too."""
    model, plain, x = pair(beta=1.0)
    values = []
    for beta in (1.0, 4.0, 10.0):
        model.beta = beta
        value, logs = loss(model, x)
        values.append(value.item())
    slopes = np.diff(values) / np.diff([1.0, 4.0, 10.0])
    assert slopes == pytest.approx([logs["kl"].item()] * 2, rel=1e-9)
    torch.manual_seed(0)
    assert logs["kl"].item() == pytest.approx(plain.elbo(x).kl.mean().item(), rel=1e-12)

    # Where the decoder ignores z, the gradient at the means is that of the KL alone: beta mu / batch.
    mu = torch.full((8, 4), 0.3, dtype=torch.float64, requires_grad=True)
    model.posterior = lambda _: (mu, torch.zeros_like(mu))
    model.decoder.forward = lambda z: torch.zeros_like(x) + 0 * z.sum()
    (slope,) = torch.autograd.grad(loss(model, x)[0], mu)
    assert torch.allclose(slope, torch.full_like(slope, 10.0 * 0.3 / 8))


def test_warm_up_is_a_ramp_and_then_flat():
    model, plain, x = pair(beta=6.0, warmup=40)
    assert [model.beta_at(step) for step in (0, 10, 20, 40, 41, 10**6)] == [0, 1.5, 3, 6, 6, 6]
    assert pair(beta=6.0)[0].beta_at(0) == 6
    start, logs = loss(model, x, 0)
    assert start.item() == pytest.approx(-logs["log p(x|z)"].item(), rel=1e-12)  # no KL at first
    quarter = loss(model, x, 10)[0] - start
    assert quarter.item() == pytest.approx(1.5 * logs["kl"].item(), rel=1e-9)


def test_a_cause_is_used_where_its_variance_exceeds_beta_sigma_squared():
    """Two numbers behind each picture, of variance 1.28 and 0.32 in pixels: as in probabilistic PCA."""
    g = torch.Generator().manual_seed(0)
    pattern = torch.linalg.qr(torch.randn(64, 2, generator=g)).Q.T
    cause = torch.randn(256, 2, generator=g) * torch.tensor([1.28, 0.32]).sqrt()
    x = (cause @ pattern).view(256, 1, 8, 8)
    used = []
    for beta in (0.1, 0.6, 2.5):
        torch.manual_seed(0)
        sizes = dict(latent=3, channels=1, size=8, widths=(4, 8), squeeze=4)
        model = BetaVAE(**sizes, sigma=1.0, beta=beta)
        fit(model, x, steps=250, batch=64, device="cpu", progress=False)
        used.append(int((kl_of_dimensions(model, x) > 0.1).sum()))
    assert used == [2, 1, 0]


# ---- how well a code is sorted


def made_up(n=600, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


HALF = slice(None, 300), slice(300, None)


def read(codes, y):
    a, b = HALF
    return reading(codes[a], y[a], codes[b], y[b])


def test_a_dimension_that_is_the_factor():
    codes = made_up()
    found = read(codes, 2 - 3 * codes[:, 2])
    assert found.dimension == 2
    assert found.best == pytest.approx(1)
    assert found.together == pytest.approx(1)
    assert found.second == pytest.approx(0, abs=0.05)
    assert found.gap == pytest.approx(1, abs=0.05)
    assert Reading(0.9, 0.8, 0.3, 0).gap == pytest.approx(0.5)
    assert Reading(0.9, 0.8, -0.3, 0).gap == 0.8  # worse than the mean is no better than knowing nothing


def test_a_rotated_factor_is_read_by_all_and_by_none_alone():
    codes = made_up()
    found = read(codes, codes.sum(1))  # a quarter of its variance in each of the four
    assert found.together == pytest.approx(1)
    assert found.best == pytest.approx(0.25, abs=0.1)
    assert abs(found.gap) < 0.1


def test_noise_tells_nothing():
    found = read(made_up(), made_up(seed=1)[:, 0])
    assert found.together == pytest.approx(0, abs=0.06)
    assert found.best == pytest.approx(0, abs=0.06)


def test_words_are_counted():
    codes = made_up()
    word = (codes[:, 1] > np.quantile(codes[:, 1], 1 / 3)).astype(int) + (
        codes[:, 1] > np.quantile(codes[:, 1], 2 / 3)
    )
    found = read(codes, word)
    assert found.dimension == 1
    assert found.best > 0.9
    assert found.second == pytest.approx(1 / 3, abs=0.1)
    nothing = read(codes, np.random.default_rng(3).integers(0, 3, 600))
    assert nothing.best == pytest.approx(1 / 3, abs=0.1)


def test_the_scale_and_the_sign_of_a_dimension_do_not_matter():
    codes, y = made_up(), made_up(seed=2)[:, 0] * 0.3
    word = (codes[:, 0] + y > 0).astype(int)
    for target in (word, codes[:, 0] + y):
        plain, scaled = read(codes, target), read(codes * [-1000, 0.001, 1, 5], target)
        assert scaled == pytest.approx(plain, rel=1e-3)


def test_the_dimension_is_chosen_without_the_held_out_codes():
    codes = made_up()
    y = np.concatenate([codes[:300, 0], codes[300:, 1]])  # after the training half the factor moves
    found = read(codes, y)
    assert found.dimension == 0
    assert found.best < 0


def test_one_dimension_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        read(made_up(d=1), made_up()[:, 0])


def test_portraits_share_no_concept_and_their_factors_are_balanced():
    splits = {name: portraits(name) for name in ("train", "validation", "test")}
    seen = [set(people.concepts) for people in splits.values()]
    assert len(seen[0] | seen[1] | seen[2]) == sum(map(len, seen))
    for name in ("validation", "test"):
        tones = torch.bincount(splits[name].tone, minlength=6)
        genders = torch.bincount(splits[name].gender, minlength=3)
        assert (tones == tones[0]).all()
        assert (genders == genders[0]).all()
        assert splits[name].x.shape[1:] == (3, 24, 24)


class Oracle(torch.nn.Module):
    """Knows a portrait's tone by looking it up, and says it in dimension 1 of 3; it decodes to grey."""

    latent = 3

    def posterior(self, x):
        people = next(p for p in map(portraits, ("train", "validation")) if len(p) == len(x))
        noise = torch.randn(len(x), 3, generator=torch.Generator().manual_seed(0))
        mu = torch.stack([0 * noise[:, 0], people.tone - 3.0, noise[:, 2]], 1)
        return mu, torch.zeros_like(mu)

    def forward(self, x):
        return torch.zeros_like(x)


def test_scores_of_a_model_that_is_known():
    scores = traversal_scores(Oracle(), "validation")
    held = portraits("validation")
    assert scores["tone, best dimension"] == pytest.approx(1, abs=1e-6)
    assert scores["tone, all dimensions"] == pytest.approx(1, abs=1e-6)
    assert scores["tone, gap to the second"] > 0.9
    assert scores["gender, best dimension"] == pytest.approx(1 / 3, abs=0.15)
    assert scores["squared error"] == pytest.approx(held.floats.square().mean().item(), rel=1e-5)
    tones = held.tone - 3.0  # KL of N(mu, 1) from the prior: mu^2 / 2
    expected = tones.square().mean().item() / 2
    assert kl_of_dimensions(Oracle(), held.floats)[1].item() == pytest.approx(expected, rel=1e-5)
    assert scores["dimensions with over 0.1 nats"] == 2
    assert 0 < scores["tone, best dimension, PCA"] < scores["tone, all dimensions, PCA"] + 0.5 < 1.5


def test_brightness_is_that_of_the_cut_picture():
    people = portraits("validation")
    values = disentangle.factors(people)["brightness"][1]
    assert values == pytest.approx((people.x.double().mean((1, 2, 3)) / 127.5 - 1).numpy(), abs=1e-6)
