"""Variational autoencoders. With linear maps they are probabilistic PCA, and everything is known exactly."""

import math
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import Tensor, distributions, nn

from course_lib.errors import CourseError
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.vae import VAE, Elbo
from course_lib.metrics import bits_per_dim

SHAPE = (1, 2, 3)  # of a picture that linear maps see
PIXELS = 6
LIKELIHOODS = ("gaussian", "bernoulli", "discrete")
POINTS = torch.cat([torch.eye(2), -torch.eye(2)]).double() * math.sqrt(2)  # mean 0 and covariance I, exactly


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlated(n, seed=0):
    """Pictures whose six pixels vary together along two directions, and less along the others."""
    variation = random(n, PIXELS, seed=seed) * torch.tensor([1.0, 0.7, 0.2, 0.17, 0.15, 0.12])
    rotation = torch.linalg.qr(random(PIXELS, PIXELS, seed=9)).Q
    return (variation @ rotation + 0.3).view(n, *SHAPE)


def linear_vae(shape=SHAPE, **kwargs):
    """A VAE with a code of two numbers, whose two networks are one random matrix each; in float64."""
    pixels, channels = math.prod(shape), shape[0]
    model = VAE(latent=2, channels=channels, size=8, widths=(4, 8), squeeze=4, **kwargs)
    says = 2 if model.likelihood == "discrete" else 1  # pictures that the decoder gives
    model.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 4))
    model.decoder = nn.Sequential(nn.Linear(2, says * pixels), nn.Unflatten(1, (says * channels, *shape[1:])))
    return model.double()


@torch.no_grad()
def silent(model, says):
    """The decoder says the same for every code, and the encoder gives the prior for every picture."""
    model.decoder[0].weight.zero_()
    model.decoder[0].bias.copy_(torch.as_tensor(says))
    return blind(model, logvar=0.0)


@torch.no_grad()
def blind(model, logvar):
    """The encoder says N(0, e^logvar I) for every picture."""
    model.encoder[1].weight.zero_()
    model.encoder[1].bias.copy_(torch.tensor([0, 0, logvar, logvar]))
    return model


class PPCA(NamedTuple):
    """x = w z + mean + sigma * noise (M. Tipping, C. Bishop, 1999)."""

    w: Tensor  # (6, 2)
    mean: Tensor  # (6,)
    variance: Tensor  # sigma^2

    @property
    def marginal(self):
        covariance = self.w @ self.w.T + self.variance * torch.eye(PIXELS).double()
        return distributions.MultivariateNormal(self.mean, covariance)

    def posterior(self, x):
        """N(M^-1 w^T (x - mean), sigma^2 M^-1) with M = w^T w + sigma^2 I."""
        inverse = torch.linalg.inv(self.w.T @ self.w + self.variance * torch.eye(2).double())
        mean = (x.flatten(1) - self.mean) @ self.w @ inverse
        return distributions.MultivariateNormal(mean, self.variance * inverse)

    def log_p(self, x):
        """The exact log p(x), (B,)."""
        return self.marginal.log_prob(x.flatten(1))


def ppca(x, correction=0):
    """The likeliest model of pictures. w is turned so that its columns are at right angles: M is diagonal."""
    flat = x.flatten(1)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T, correction=correction))  # ascending
    variance = values[:-2].mean()
    return PPCA(vectors[:, -2:] * (values[-2:] - variance).sqrt(), flat.mean(0), variance)


@torch.no_grad()
def solved(p):
    """The linear VAE whose decoder is that of p and whose posterior is exact (Lucas et al., 1911.02469)."""
    model = linear_vae()
    model.decoder[0].weight.copy_(p.w)
    model.decoder[0].bias.copy_(p.mean)
    model.log_sigma.copy_(p.variance.log() / 2)
    m = (p.w.T @ p.w).diagonal() + p.variance
    model.encoder[1].weight.copy_(torch.cat([(p.w / m).T, torch.zeros(2, PIXELS)]))
    model.encoder[1].bias.copy_(torch.cat([-p.mean @ p.w / m, (p.variance / m).log()]))
    return model


def decoder_of(model):
    """The probabilistic PCA that a linear decoder is, whatever its encoder thinks."""
    weight, bias = (part.detach() for part in model.decoder[0].parameters())
    return PPCA(weight, bias, torch.exp(2 * model.log_sigma.detach()))


@contextmanager
def cubature():
    """The noise of four copies of a picture is POINTS: the mean over them is the expectation of any quadratic
    function of z, and the reconstruction term of a linear Gaussian decoder is one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda mu: POINTS.repeat(len(mu) // 4, 1))
        yield


def four_of_each(x):
    return x.repeat_interleave(4, 0)


def exact(model, x):
    """The ELBO of each picture without the noise of a draw, for a linear Gaussian model."""
    with cubature():
        return Elbo(*(part.view(-1, 4).mean(1) for part in model.elbo(four_of_each(x))))


# ---- the linear VAE is probabilistic PCA


def test_elbo_of_the_best_linear_vae_is_the_likelihood_of_ppca():
    x = correlated(200)
    p = ppca(x, correction=1)  # scikit-learn divides by n - 1, too
    elbo = exact(solved(p), x).value
    assert torch.allclose(elbo, p.log_p(x), rtol=1e-10)
    flat = x.flatten(1).numpy()
    assert elbo.mean().item() == pytest.approx(PCA(2).fit(flat).score(flat), rel=1e-10)


def test_what_the_elbo_lacks_is_the_kl_to_the_true_posterior():
    """For any encoder and decoder: log p(x) - ELBO = KL(q(z | x) || p(z | x)), picture by picture."""
    x = correlated(50)
    for seed in range(5):
        torch.manual_seed(seed)
        model = linear_vae()
        p, (mu, logvar) = decoder_of(model), model.posterior(x)
        q = distributions.MultivariateNormal(mu, scale_tril=torch.diag_embed(torch.exp(logvar / 2)))
        gap = distributions.kl_divergence(q, p.posterior(x))
        assert gap.min() > 1e-3
        assert torch.allclose(p.log_p(x) - exact(model, x).value, gap, rtol=1e-9)


def test_the_kl_is_summed_over_the_code():
    x = correlated(20)
    model = linear_vae()
    mu, logvar = model.posterior(x)
    q, prior = (
        distributions.Independent(distributions.Normal(mean, sigma), 1)
        for mean, sigma in ((mu, torch.exp(logvar / 2)), (torch.zeros_like(mu), torch.ones_like(mu)))
    )
    assert torch.allclose(model.elbo(x).kl, distributions.kl_divergence(q, prior), rtol=1e-10)


def test_one_draw_has_the_elbo_as_its_mean():
    """20,000 draws for each of three pictures, within five standard errors."""
    x = correlated(3)
    model = linear_vae()
    expected = exact(model, x).value
    drawn = model.elbo(x.repeat_interleave(20_000, 0)).value.view(3, -1)
    assert ((drawn.mean(1) - expected).abs() < 5 * drawn.std(1) / math.sqrt(20_000)).all()


def test_every_other_linear_vae_is_worse():
    """Ten random changes of each parameter: encoder, decoder and sigma."""
    x = correlated(200)
    model = solved(ppca(x))
    best = exact(model, x).value.mean().item()
    for name, parameter in model.named_parameters():
        for seed in range(10):
            change = 0.05 * random(parameter.numel(), seed=seed).view(parameter.shape)
            with torch.no_grad():
                parameter += change
                assert exact(model, x).value.mean().item() < best - 1e-6, name
                parameter -= change


def test_training_ends_at_ppca_and_comes_from_below():
    x = correlated(256)
    p = ppca(x)
    best, seen = p.log_p(x).mean().item(), []
    model = linear_vae(lr=0.1, weight_decay=0.0)

    def look(step, logs):
        if step % 50 == 0:
            seen.append(exact(model, x).value.mean().item())

    look(0, {})
    fit(model, x, steps=600, batch=256, lr=warmup_cosine(600), device="cpu", progress=False, hooks=(look,))
    assert max(seen) < best
    assert seen[0] < best - 2
    assert seen[-1] == pytest.approx(best, abs=0.01)
    assert model.log_sigma.item() == pytest.approx(p.variance.log().item() / 2, abs=0.01)
    cosines = torch.linalg.svdvals(torch.linalg.qr(model.decoder[0].weight).Q.T @ torch.linalg.qr(p.w).Q)
    assert cosines.min() > 0.999


def test_gradients_of_the_loss_in_closed_form():
    """That of the reconstruction reaches the encoder through z, by its mean and by its variance."""
    x = correlated(30)
    model = linear_vae()
    p, (mu, logvar) = decoder_of(model), model.posterior(x)
    with cubature():
        (loss,) = model.losses(four_of_each(x), 0)
    encoder, decoder, sigma = torch.autograd.grad(
        loss.value, (model.encoder[1].bias, model.decoder[0].bias, model.log_sigma)
    )
    rest = x.flatten(1) - mu @ p.w.T - p.mean  # (30, 6)
    spread = (p.w.T @ p.w).diagonal() * logvar.exp()  # (30, 2): what sigma_z adds to the squared error
    by_mu = mu - rest @ p.w / p.variance
    by_logvar = (logvar.exp() - 1 + spread / p.variance) / 2
    assert torch.allclose(encoder, torch.cat([by_mu, by_logvar], 1).mean(0), rtol=1e-9)
    assert torch.allclose(decoder, -rest.mean(0) / p.variance, rtol=1e-9)
    squared = rest.square().sum(1) + spread.sum(1)
    assert sigma.item() == pytest.approx((PIXELS - squared / p.variance).mean().item(), rel=1e-9)


def test_logs_are_the_two_terms():
    x = correlated(30)
    model = linear_vae()
    with cubature():
        (loss,) = model.losses(four_of_each(x), 0)
    reconstruction, kl = (part.mean().item() for part in exact(model, x))
    assert loss.logs["kl"].item() == pytest.approx(kl, rel=1e-10)
    assert loss.logs["log p(x|z)"].item() == pytest.approx(reconstruction, rel=1e-10)


# ---- the importance-weighted bound


def test_with_the_exact_posterior_every_bound_is_the_likelihood():
    """Whatever is drawn, p(x, z) / q(z | x) is p(x)."""
    x = correlated(20)
    p = ppca(x)
    model = solved(p)
    for k in (1, 2, 7):
        assert torch.allclose(model.bound(x, k), p.log_p(x), rtol=1e-10)


def test_more_draws_bring_the_bound_closer_from_below():
    """A posterior that is too wide and looks half-way back to 0; 4,000 bounds of each of four pictures.

    exp(bound) has the mean p(x) for every k, so that the bound itself, a logarithm, lies below (Jensen).
    """
    x, n = correlated(4), 4_000
    p = ppca(correlated(200))
    model = solved(p)
    with torch.no_grad():
        model.encoder[1].weight *= 0.5
        model.encoder[1].bias[2:] += 2
    log_p, elbo = p.log_p(x), exact(model, x).value
    means, errors = [], []
    for k in (1, 2, 4, 16, 64):
        bounds = model.bound(x.repeat(n, 1, 1, 1), k).view(n, 4).detach()
        ratio = (bounds - log_p).exp()
        assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / math.sqrt(n)).all(), k
        means.append(bounds.mean(0))
        errors.append(bounds.std(0) / math.sqrt(n))
    assert ((means[0] - elbo).abs() < 5 * errors[0]).all()
    for i in range(4):
        assert (means[i + 1] - means[i] > 5 * (errors[i + 1] ** 2 + errors[i] ** 2).sqrt()).all()
    assert (log_p - means[-1] > 5 * errors[-1]).all()
    assert (log_p - means[-1] < 0.1 * (log_p - means[0])).all()


def test_draw_gives_a_code_and_its_density():
    model, x = linear_vae(), correlated(5)
    mu, logvar = model.posterior(x)
    (z, log_q), (again, _) = model.draw(x), model.draw(x)
    assert not torch.isclose(z, again).any()
    expected = distributions.Normal(mu, torch.exp(logvar / 2)).log_prob(z).sum(1)
    assert torch.allclose(log_q, expected, rtol=1e-10)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_many_draws_give_the_integral_over_the_code(likelihood):
    """The integral of p(x | z) N(z; 0, I) over the plane by a grid, against 100,000 draws: log p(x) within
    0.06, five standard errors where the weights spread by four times their mean, as they do here."""
    model = blind(linear_vae(likelihood=likelihood), logvar=0.3)
    x = correlated(3).sign()
    axis = torch.linspace(-7, 7, 141).double()
    z = torch.cartesian_prod(axis, axis)  # (141 * 141, 2)
    prior = distributions.Normal(0, torch.ones(2).double()).log_prob(z).sum(1)
    with torch.no_grad():
        for picture in x.split(1):
            log_p = of_torch(model, picture, z) + prior + 2 * math.log(0.1)
            draws = model.bound(picture, 100_000)
            assert draws.item() == pytest.approx(torch.logsumexp(log_p, 0).item(), abs=0.06)


# ---- what a decoder says


def of_torch(model, x, z):
    """log p(x | z) for one black and white picture and many codes, by torch's and scipy's distributions."""
    says = model.decoder(z).detach()
    if model.likelihood == "gaussian":
        each = distributions.Normal(says, model.log_sigma.detach().exp()).log_prob(x)
    elif model.likelihood == "bernoulli":
        each = distributions.Bernoulli(logits=says).log_prob((x + 1) / 2)
    else:
        mean, log_scale = says[:, : x.shape[1]], says[:, x.shape[1] :]
        # a logistic's mass above 1 - 1/255 for white; for black that of its mirror image
        edge = (1 - 1 / 255 - mean * x) / log_scale.exp()
        each = torch.from_numpy(stats.logistic.logsf(edge.numpy()))
    return each.flatten(1).sum(1)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_likelihood_is_that_of_torch_around_the_decoder(likelihood):
    """Three channels, so that the order of what the decoder says matters."""
    model = linear_vae((3, 2, 2), likelihood=likelihood)
    x, z = random(1, 3, 2, 2).sign(), random(50, 2, seed=1)
    given = model.log_likelihood(x.expand(50, -1, -1, -1), z)
    assert torch.allclose(given, of_torch(model, x, z), rtol=1e-10)


def test_decode_in_closed_form():
    """What is said is 0.8 for the first channels; the mean of a coin with that logit, in [-1, 1], is
    tanh(0.4)."""
    z = random(5, 2)
    said = torch.full((12,), 0.8)
    for likelihood, expected in (("gaussian", 0.8), ("bernoulli", math.tanh(0.4)), ("discrete", 0.8)):
        if likelihood == "discrete":
            said = torch.cat([said, torch.full((12,), -3.0)])  # the log scales come last and are not shown
        model = silent(linear_vae((3, 2, 2), likelihood=likelihood), says=said)
        shown = model.decode(z)
        assert shown.shape == (5, 3, 2, 2)
        assert torch.allclose(shown, torch.tensor(expected).double(), atol=1e-7)


def test_decode_is_clipped_and_forward_decodes_the_mean():
    for likelihood in LIKELIHOODS:
        model = linear_vae(likelihood=likelihood)
        far = model.decode(1e3 * random(50, 2))
        assert far.abs().max() <= 1
        assert (far.abs() == 1).any()
        x = correlated(5)
        assert torch.equal(model(x), model.decode(model.posterior(x)[0]))


def test_samples_of_a_linear_decoder_have_its_mean_and_covariance():
    """b and W W^T without sigma^2, since a sample is the decoder's mean: 40,000 pictures, five standard
    errors."""
    n, model = 40_000, linear_vae(sigma=0.5)
    with torch.no_grad():
        model.decoder[0].weight *= 0.1  # no pixel gets as far as -1 or 1, where decode clips
    p = decoder_of(model)
    (step,) = model.sample(n, generator=torch.Generator().manual_seed(0))
    covariance = p.w @ p.w.T
    variance = covariance.diagonal()
    error = (covariance.square() + variance.outer(variance)).sqrt() / math.sqrt(n)
    assert step.x.abs().max() < 1
    assert ((step.x.flatten(1).mean(0) - p.mean).abs() < 5 * (variance / n).sqrt()).all()
    assert ((torch.cov(step.x.flatten(1).T) - covariance).abs() < 5 * error).all()


def test_a_decoder_that_says_nothing_costs_the_closed_form():
    """Discretised: two pixels at the ends, four at levels inside, a logistic of scale s around 0."""
    x = (torch.tensor([0.0, 255, 100, 127, 128, 200]).double() / 127.5 - 1).view(1, *SHAPE)
    s = 0.2
    model = silent(linear_vae(likelihood="discrete"), says=torch.tensor([0.0] * 6 + [math.log(s)] * 6))
    edge = (np.array([0.5, 254.5, 99.5, 126.5, 127.5, 199.5]) / 127.5 - 1) / s  # lower ones, black's upper
    cdf = stats.logistic.cdf
    masses = [cdf(edge[0]), 1 - cdf(edge[1]), *(cdf(edge[2:] + 2 / 255 / s) - cdf(edge[2:]))]
    expected = np.log(masses).sum()
    reconstruction, kl = model.elbo(x)
    assert kl.item() == 0
    assert reconstruction.item() == pytest.approx(expected, rel=1e-6)


def test_the_scale_of_the_discretised_logistic_has_a_floor():
    """Sure and right costs nothing, sure and wrong what scale e^-7 costs: (distance - 1/255) e^7 nats."""
    x = torch.zeros(1, *SHAPE) + 1 / 255  # level 128
    right, wrong = (
        silent(linear_vae(likelihood="discrete"), says=torch.tensor([mean] * 6 + [-50.0] * 6))
        for mean in (1 / 255, 0.5)
    )
    assert right.elbo(x.double()).value.item() == pytest.approx(0, abs=0.4)
    cost = 6 * (0.5 - 2 / 255) * math.exp(7)
    assert wrong.elbo(x.double()).value.item() == pytest.approx(-cost, rel=1e-3)


def test_a_coin_that_says_nothing_costs_one_bit_a_pixel():
    model = silent(linear_vae(likelihood="bernoulli"), says=0.0)
    x = correlated(7).sign()
    assert bits_per_dim(model.elbo(x).value.mean().item(), PIXELS) == pytest.approx(1)
    assert bits_per_dim(model.bound(x, 3).mean().item(), PIXELS) == pytest.approx(1)


# ---- sigma


def test_a_given_sigma_is_used_and_stays():
    model = VAE(latent=4, size=8, widths=(4, 8), squeeze=4, sigma=0.3)
    assert "log_sigma" not in dict(model.named_parameters())
    assert model.state_dict()["log_sigma"].exp().item() == pytest.approx(0.3)
    x = VAE.tiny()[1]
    before = model.decoder.net[-2].bias.detach().clone()
    fit(model, x, steps=5, batch=8, device="cpu", progress=False)
    assert not torch.equal(model.decoder.net[-2].bias, before)
    assert model.log_sigma.item() == pytest.approx(math.log(0.3))
    model.eval()
    z = torch.randn(8, 4)
    expected = distributions.Normal(model.decoder(z), 0.3).log_prob(x).sum((1, 2, 3))
    assert torch.allclose(model.log_likelihood(x, z), expected, rtol=1e-4)


def test_a_learnt_sigma_becomes_the_root_mean_squared_error():
    """Where the decoder says 0 and nothing else learns."""
    x = correlated(64)
    model = silent(linear_vae(weight_decay=0.0, lr=0.05), says=0.0)
    for part in (model.encoder, model.decoder):
        part.requires_grad_(False)
    fit(model, x, steps=200, batch=64, lr=warmup_cosine(200), device="cpu", progress=False)
    assert model.log_sigma.exp().item() == pytest.approx(x.square().mean().sqrt().item(), rel=1e-3)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_sigma_is_refused(sigma):
    with pytest.raises(CourseError, match="sigma must be greater than 0, or None to learn it, got"):
        VAE(sigma=sigma)


def test_an_unknown_likelihood_is_refused():
    with pytest.raises(CourseError, match="must be one of gaussian, bernoulli, discrete, got 'laplace'"):
        VAE(likelihood="laplace")


# ---- numbers and files


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("said", [-1e4, 1e4])
def test_an_encoder_out_of_bounds_gives_finite_numbers(likelihood, said):
    model = blind(linear_vae(likelihood=likelihood), logvar=said).float()
    x = correlated(4).sign().float()
    assert all(torch.isfinite(part).all() for part in (*model.elbo(x), model.bound(x, 3)))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_bf16_stays_inside_the_networks(likelihood):
    """Codes, KL and likelihood are float32: of what encoder and decoder said, they have all their digits."""
    model = linear_vae(likelihood=likelihood).float()
    x = correlated(4).sign().float()
    with torch.autocast("cpu", torch.bfloat16):
        assert model.decoder(torch.zeros(1, 2)).dtype == torch.bfloat16
        mu, logvar = model.posterior(x)
        elbo, bound = model.elbo(x), model.bound(x, 2)
        said, given = model.decoder(mu), model.log_likelihood(x, mu)
    assert {t.dtype for t in (mu, logvar, *elbo, bound)} == {torch.float32}
    wanted = (mu.double() ** 2 + logvar.double().exp() - 1 - logvar.double()).sum(1) / 2
    assert torch.allclose(elbo.kl.double(), wanted, rtol=1e-5)
    model.double().decoder.forward = lambda z: said.double()
    assert torch.allclose(given.double(), model.log_likelihood(x.double(), mu), rtol=1e-5)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_decode_goes_into_an_onnx_file(likelihood):
    """`to_onnx` compares with torch by itself; here also where pictures are clipped."""
    pytest.importorskip("onnxscript", reason="the export needs the [lab] extra")
    onnx = pytest.importorskip("onnx", reason="the export needs the [lab] extra")
    from onnx.reference import ReferenceEvaluator

    from course_lib.export import to_onnx

    model = linear_vae((3, 2, 2), likelihood=likelihood).float()
    data = to_onnx(model.decode, {"z": torch.randn(2, 2)}, ["x"])
    z = 8 * torch.randn(5, 2)
    with torch.no_grad():
        true = model.decode(z).numpy()
    (given,) = ReferenceEvaluator(onnx.load_from_string(data)).run(None, {"z": z.numpy()})
    assert given.shape == (5, 3, 2, 2)
    assert abs(given - true).max() < 1e-5
    assert abs(true).max() > 0.99
