"""Masked networks and the inverse autoregressive flow: order, log-determinants, densities, the bound."""

import math

import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian
from torch.distributions import Independent, MultivariateNormal, Normal
from torch.nn import functional as F

from course_lib.methods.iaf_vae import IAF, IAFVAE, IAFStep
from course_lib.methods.vae import VAE, Elbo
from course_lib.nn.gaussian import log_density, log_standard, reparameterize
from course_lib.nn.made import MADE


def lively(module, seed=0, size=0.4):
    """In float64, with weights so large that nothing is near the identity; in eval mode."""
    g = torch.Generator().manual_seed(seed)
    for p in module.parameters():
        p.data = p.data.double() + size * torch.randn(p.shape, generator=g, dtype=torch.float64)
    return module.double().eval()


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(n, seed=2):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def bent(latent=2, cls=IAFVAE, **options):
    """A small model whose flow is far from the identity, and whose pictures differ."""
    torch.manual_seed(0)
    sizes = dict(size=8, widths=(4, 8), squeeze=4, flow_hidden=12, context=5)
    model = cls(latent=latent, **(sizes | options)).double()
    lively(model.flow)
    lively(model.decoder, size=0.2)
    return model.eval()


# ---- masked networks


@pytest.mark.parametrize(("d", "hidden", "layers"), [(1, 4, 1), (2, 2, 2), (5, 5, 1), (5, 16, 1), (6, 20, 3)])
def test_outputs_see_the_inputs_before_them_and_all_of_those(d, hidden, layers):
    made = lively(MADE(d, hidden, layers, context=3, outputs=3))
    x, h = numbers(1, d), numbers(1, 3)
    for k in range(3):
        by_x, by_h = jacobian(lambda x, h, k=k: made(x, h)[k][0], (x, h))
        seen = by_x[:, 0] != 0  # (output, input)
        assert torch.equal(seen, torch.ones(d, d).tril(-1).bool())
        assert (by_h != 0).all()  # the first output, which sees no input, too


def test_without_context_the_first_output_is_a_constant():
    made = lively(MADE(3, 8))
    first = torch.stack([part[:, 0] for part in made(numbers(5, 3))])
    assert torch.equal(first, first[:, :1].expand_as(first))


def test_too_few_units_are_refused():
    with pytest.raises(ValueError, match="at least as many"):
        MADE(5, hidden=4)
    with pytest.raises(ValueError, match="at least 1"):
        MADE(5, layers=0)


# ---- one step and the whole flow


class Says(nn.Module):
    """Stands in for the masked network."""

    def __init__(self, m, s):
        super().__init__()
        self.m, self.s = m, s

    def forward(self, z, h):
        return self.m.expand_as(z), self.s.expand_as(z)


def test_a_step_by_hand():
    """Gates of 1/2 and 1/4: half of the old and half of the new, a quarter and three quarters."""
    step = IAFStep(2, 4, 1, forget=0.0)
    step.made = Says(torch.tensor([0.5, 3.0]), torch.tensor([0.0, -math.log(3)]))
    z, log_det = step(torch.tensor([[2.0, -1.0]]), torch.zeros(1, 1))
    assert z[0].tolist() == pytest.approx([1.25, 2.0])
    assert log_det.item() == pytest.approx(-math.log(8))


def test_the_flow_starts_near_the_identity():
    torch.manual_seed(0)
    z = torch.randn(1000, 16)
    out, log_det = IAF(16, steps=2)(z, torch.randn(1000, 32))
    assert (out - z).square().mean() < 0.2  # two gates of about 0.88: a quarter off
    assert log_det.mean().item() == pytest.approx(32 * F.logsigmoid(torch.tensor(2.0)).item(), rel=0.1)


def check_step(step):
    """Triangular with the gates on the diagonal, and its log-determinant is that of autograd."""
    for seed in range(3):
        z, h = numbers(1, 5, seed=seed), numbers(1, 4, seed=seed + 9)
        j = jacobian(lambda z, h=h: step(z, h)[0][0], z)[:, 0]  # (out, in)
        assert torch.equal(j, j.tril())
        assert (j[torch.ones(5, 5).tril(-1).bool()] != 0).all()
        torch.testing.assert_close(step(z, h)[1], torch.linalg.slogdet(j).logabsdet[None], rtol=0, atol=1e-11)


def check_flow(flow):
    """The log-determinant of the chain is that of autograd, and every number has met every other."""
    for seed in range(3):
        z, h = numbers(1, 5, seed=seed), numbers(1, 4, seed=seed + 9)
        j = jacobian(lambda z, h=h: flow(z, h)[0][0], z)[:, 0]
        torch.testing.assert_close(flow(z, h)[1], torch.linalg.slogdet(j).logabsdet[None], rtol=0, atol=1e-11)
        assert (j != 0).all() or len(flow.steps) == 1


def test_log_det_of_a_step():
    check_step(lively(IAFStep(5, 12, 4, forget=1.0)))


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_log_det_of_the_chain_and_its_order(steps):
    flow = lively(IAF(5, steps, hidden=12, context=4))
    check_flow(flow)
    z, h = numbers(1, 5), numbers(1, 4)
    if steps == 1:  # triangular, upside down
        j = jacobian(lambda z: flow(z, h)[0][0], z)[:, 0]
        assert torch.equal(j.flip(0), j.flip(0).tril())


def test_rows_do_not_mix():
    """Each picture's code is its own business: one by one is all at once."""
    flow = lively(IAF(5, 3, hidden=12, context=4))
    z, h = numbers(6, 5), numbers(6, 4)
    together = flow(z, h)
    alone = [flow(a, b) for a, b in zip(z.split(1), h.split(1), strict=True)]
    for i, part in enumerate(together):
        torch.testing.assert_close(part, torch.cat([a[i] for a in alone]))


class Upside(IAFStep):
    """The sign of the log-determinant."""

    def forward(self, z, h):
        z, log_det = super().forward(z, h)
        return z, -log_det


class Raw(IAFStep):
    """s itself taken for log sigma, as in an older kind of step."""

    def forward(self, z, h):
        return super().forward(z, h)[0], (self.made(z, h)[1] + self.forget).sum(1)


class Forgetful(IAFStep):
    """The forget bias in the gate alone."""

    def forward(self, z, h):
        return super().forward(z, h)[0], F.logsigmoid(self.made(z, h)[1]).sum(1)


class SeesItself(IAFStep):
    """Masks that hold on the diagonal too."""

    def __init__(self, d, hidden, context, forget):
        super().__init__(d, hidden, context, forget)
        d, units = self.made.first.mask.shape[1], torch.arange(hidden) % self.made.first.mask.shape[1]
        self.made.last.mask = torch.arange(1, d + 1).repeat(2)[:, None] >= units


class Blind(IAFStep):
    """Masks that let nothing through."""

    def __init__(self, d, hidden, context, forget):
        super().__init__(d, hidden, context, forget)
        self.made.first.mask = torch.zeros_like(self.made.first.mask)


@pytest.mark.parametrize("slip", [Upside, Raw, Forgetful, SeesItself, Blind])
def test_slips_in_a_step_are_found(slip):
    with pytest.raises(AssertionError):
        check_step(lively(slip(5, 12, 4, forget=1.0)))


class NeverTurned(IAF):
    def forward(self, z, h):
        log_det = 0
        for step in self.steps:
            z, change = step(z, h)
            log_det = log_det + change
        return z, log_det


class LastOnly(IAF):
    def forward(self, z, h):
        for step in self.steps:
            z, log_det = step(z, h)
            z = z.flip(1)
        return z, log_det


@pytest.mark.parametrize("slip", [NeverTurned, LastOnly])
def test_slips_in_the_chain_are_found(slip):
    with pytest.raises(AssertionError):
        check_flow(lively(slip(5, 2, hidden=12, context=4)))


# ---- the density of the draw


def undo(flow, z, h):
    """The z_0 that the flow takes to z, found one number after the other: what a draw never has to do."""
    for step in reversed(flow.steps):
        z, found = z.flip(1), torch.zeros_like(z)
        for i in range(z.shape[1]):
            m, s = step.made(found, h)
            gate = torch.sigmoid(s + step.forget)[:, i]
            found = found.clone()
            found[:, i] = (z[:, i] - (1 - gate) * m[:, i]) / gate
        z = found
    return z


def density(model, x, z):
    """log q(z | x) of one picture at points z (N, d) by a change of variables through the inverse flow."""
    mu, logvar, h = model.start(x)
    h = h.expand(len(z), -1)
    z = z.clone().requires_grad_()
    z0 = undo(model.flow, z, h)
    d = z.shape[1]
    rows = [torch.autograd.grad(z0[:, i].sum(), z, retain_graph=True)[0] for i in range(d)]
    log_det = torch.linalg.slogdet(torch.stack(rows, 1)).logabsdet  # of dz_0 / dz
    start = Independent(Normal(mu[0], torch.exp(logvar[0] / 2)), 1)
    return (start.log_prob(z0) + log_det).detach()


def check_draw(model):
    x = pictures(1)
    z, log_q = model.draw(x.repeat(20, 1, 1, 1))
    torch.testing.assert_close(log_q, density(model, x, z.detach()), rtol=0, atol=1e-7)


@pytest.mark.parametrize("latent", [2, 5])
@pytest.mark.parametrize("flow_steps", [1, 2, 3])
def test_log_q_by_change_of_variables(latent, flow_steps):
    check_draw(bent(latent, flow_steps=flow_steps))


class PlainDensity(IAFVAE):
    """log q of z_0 given out as that of z."""

    def draw(self, x):
        mu, logvar, h = self.start(x)
        z0 = reparameterize(mu, logvar)
        return self.flow(z0, h)[0], log_density(z0, mu, logvar).sum(1)


class AddedDet(IAFVAE):
    """The log-determinant with the sign of the other direction."""

    def draw(self, x):
        mu, logvar, h = self.start(x)
        z0 = reparameterize(mu, logvar)
        z, log_det = self.flow(z0, h)
        return z, log_density(z0, mu, logvar).sum(1) + log_det


class WrongPoint(IAFVAE):
    """The Gaussian of z_0 asked about z."""

    def draw(self, x):
        mu, logvar, h = self.start(x)
        z, log_det = self.flow(reparameterize(mu, logvar), h)
        return z, log_density(z, mu, logvar).sum(1) - log_det


@pytest.mark.parametrize("slip", [PlainDensity, AddedDet, WrongPoint])
def test_slips_in_log_q_are_found(slip):
    with pytest.raises(AssertionError):
        check_draw(bent(3, cls=slip))


def test_with_the_flow_switched_off_it_is_the_plain_vae():
    """Gates of sigmoid(50) are 1 in float64: an even number of reversals leaves z_0 and its density."""
    model = bent(4)
    for step in model.flow.steps:
        step.made.last.weight.data.zero_()
        step.made.last.bias.data.zero_()
        step.forget = 50.0
    plain = VAE(latent=4, size=8, widths=(4, 8), squeeze=4).double().eval()
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("flow.")}
    for name in ("weight", "bias"):  # mu and log sigma^2 come first, then h
        key = f"encoder.net.{len(model.encoder.net) - 1}.{name}"
        state[key] = state[key][:8]
    plain.load_state_dict(state)
    x = pictures(6)
    for ours, theirs in ((model.draw, plain.draw), (model.elbo, lambda x: elbo_by_draw(plain, x))):
        torch.manual_seed(3)
        a = ours(x)
        torch.manual_seed(3)
        b = theirs(x)
        for one, other in zip(a, b, strict=True):
            torch.testing.assert_close(one, other)
    torch.testing.assert_close(model(x), plain(x))


def elbo_by_draw(plain, x):
    """A plain VAE's two terms by torch.distributions, both from one draw."""
    mu, logvar = plain.posterior(x)
    q = Normal(mu, torch.exp(logvar / 2))
    z = q.rsample()
    kl = (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(1)
    return Elbo(plain.log_likelihood(x, z), kl)


# ---- the bound


class Grid:
    """Two latent numbers on a grid: every integral of one picture is a sum."""

    def __init__(self, model, x, reach=8.0, n=201):
        line = torch.linspace(-reach, reach, n, dtype=torch.float64)
        z = torch.cartesian_prod(line, line)  # (N, 2)
        self.cell = (line[1] - line[0]) ** 2
        self.log_q = density(model, x, z)
        with torch.no_grad():
            parts = [model.log_likelihood(x.expand(len(part), -1, -1, -1), part) for part in z.split(20_000)]
        self.log_joint = torch.cat(parts) + log_standard(z).sum(1)

    def elbo(self):
        return (self.log_q.exp() * (self.log_joint - self.log_q)).sum().item() * self.cell.item()

    def evidence(self):
        return (torch.logsumexp(self.log_joint, 0) + self.cell.log()).item()


def test_density_sums_to_one_and_the_bound_is_unbiased():
    """In two dimensions, against sums over a grid; 5,000 draws, within four standard errors."""
    model, x = bent(2, sigma=0.5), pictures(1)
    grid = Grid(model, x)
    assert grid.log_q.exp().sum().item() * grid.cell.item() == pytest.approx(1, abs=1e-3)
    with torch.no_grad():
        values = model.elbo(x.repeat(5_000, 1, 1, 1)).value
        many = model.bound(x.repeat(40, 1, 1, 1), k=100)
    assert values.std() > 0.1  # there is something to average
    error = values.std().item() / 5_000**0.5
    assert error < 0.2
    assert values.mean().item() == pytest.approx(grid.elbo(), abs=4 * error)
    assert grid.elbo() + 0.05 < many.mean().item() < grid.evidence() + 4 * many.std().item() / 40**0.5
    assert grid.evidence() - many.mean().item() < 0.25 * (grid.evidence() - grid.elbo())


def test_the_flow_finds_what_a_diagonal_gaussian_cannot():
    """A correlated target: the best diagonal Gaussian stays sum_i log P_ii / 2 - log det P / 2 nats away (P
    the precision). The flow comes within a tenth of that."""
    correlation = torch.tensor([[1.0, 0.8, 0.3], [0.8, 1.0, 0.6], [0.3, 0.6, 1.0]])
    target = MultivariateNormal(torch.tensor([0.5, -1.0, 0.0]), correlation)
    p = target.precision_matrix
    best = (p.diagonal().log().sum() - torch.logdet(p)).item() / 2
    assert best > 0.5
    torch.manual_seed(0)
    flow, start = IAF(3, steps=2, hidden=12, context=1), nn.Parameter(torch.zeros(2, 3))
    h, gaps = torch.zeros(256, 1), []
    opt = torch.optim.Adam([*flow.parameters(), start], 0.02)
    for i in range(300):
        opt.param_groups[0]["lr"] = 0.02 * (1 - i / 300)
        mu, logvar = start.expand(256, 2, 3).unbind(1)
        z0 = reparameterize(mu, logvar)
        z, log_det = flow(z0, h)
        gap = (log_density(z0, mu, logvar).sum(1) - log_det - target.log_prob(z)).mean()
        opt.zero_grad()
        gap.backward()
        opt.step()
        gaps.append(gap.item())
    reached = sum(gaps[-50:]) / 50
    assert -0.02 < reached < best / 10


def test_reconstruction_starts_from_the_mean_and_goes_through_the_flow():
    """With a start as narrow as allowed, draws decode to almost the same picture; without the flow, not."""
    model, x = bent(4), pictures(5)
    last = model.encoder.net[-1]
    last.weight.data[4:8], last.bias.data[4:8] = 0, -12  # log sigma^2
    assert torch.equal(model(x), model(x))
    assert (model(x) - model.decode(model.draw(x)[0])).abs().max() < 0.002
    assert (model(x) - model.decode(model.posterior(x)[0])).abs().max() > 0.01
