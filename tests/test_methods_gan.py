"""Generative adversarial networks, where players are so simple that losses and gradients are known."""

import math

import numpy as np
import pytest
import torch
from helpers import copied, python, same
from scipy.spatial.distance import jensenshannon
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from two_players import METHODS, Point, Quadratic, largest, linear, logged, numbered_draws, random, trained

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.gan import GAN, d_loss, g_loss, slope
from course_lib.nn.players import Discriminator, batch_stddev

GAMES = ("min-max", "non-saturating")
LEAST = 2 * math.log(2)  # 1.386 nats


def game(at=(0.5, -1.0), w=(0.7, 2.0), b=-0.3, **options):
    """G makes one point, D is linear."""
    model = GAN(latent=1, channels=2, size=0, widths=(2, 1), **options)
    model.G, model.D = Point(at), linear(w, b)
    return model


def step(model, x, number=0):
    return {loss.opt: loss for loss in model.losses(x, number)}


def probability(x, w=(0.7, 2.0), b=-0.3):
    """What the D of `game` says, in numpy."""
    return 1 / (1 + np.exp(-(np.asarray(x) @ np.asarray(w) + b)))


# ---- the two losses


@pytest.mark.parametrize("smooth", [0.0, 0.1, 0.4])
def test_a_judge_that_says_one_half_loses_two_log_two(smooth):
    model = game(w=(0.0, 0.0), b=0.0, smooth=smooth)
    losses = step(model, random(7, 2))
    assert losses["D"].value.item() == pytest.approx(LEAST, rel=1e-12)
    assert losses["G"].value.item() == pytest.approx(math.log(2), rel=1e-12)
    assert {k: v.item() for k, v in losses["D"].logs.items()} == {"D(x)": 0.5, "D(G(z))": 0.5}
    assert g_loss(torch.zeros(5), "min-max").item() == pytest.approx(-math.log(2))


@pytest.mark.parametrize("smooth", [0.0, 0.1, 0.4])
def test_losses_are_the_cross_entropies_of_torch(smooth):
    real, fake = 5 * random(40), 5 * random(30, seed=1)
    one, zero = torch.ones(30).double(), torch.zeros(30).double()
    expected = cross_entropy(real, torch.full((40,), 1 - smooth, dtype=torch.float64)) + cross_entropy(
        fake, zero
    )
    assert d_loss(real, fake, smooth).item() == pytest.approx(expected.item(), rel=1e-12)
    assert g_loss(fake).item() == pytest.approx(cross_entropy(fake, one).item(), rel=1e-12)
    assert g_loss(fake, "min-max").item() == pytest.approx(-cross_entropy(fake, zero).item(), rel=1e-12)


@pytest.mark.parametrize("a", [-1000.0, 1000.0])
@pytest.mark.parametrize("b", [-1000.0, 1000.0])
def test_losses_of_logits_without_bounds_are_finite(a, b):
    """A wrong judgement costs its logit, a right one nothing."""
    real, fake = torch.tensor([a], requires_grad=True), torch.tensor([b], requires_grad=True)
    assert d_loss(real, fake).item() == max(-a, 0) + max(b, 0)
    assert d_loss(real, fake, 0.25).item() == 0.75 * max(-a, 0) + 0.25 * max(a, 0) + max(b, 0)
    assert g_loss(fake).item() == max(-b, 0)
    assert g_loss(fake, "min-max").item() == -max(b, 0)
    for loss in (d_loss(real, fake, 0.25), g_loss(fake), g_loss(fake, "min-max")):
        for grad in torch.autograd.grad(loss, (real, fake), allow_unused=True):
            assert grad is None or torch.isfinite(grad).all()


def test_gradients_of_both_games_in_closed_form():
    """By the logit: D(x) - (1 - s) and D(G(z)) for the judge; -D for one forger, -(1 - D) for the other."""
    real, fake = (3 * random(6, seed=k).requires_grad_() for k in (0, 1))
    by_real, by_fake = torch.autograd.grad(d_loss(real, fake, 0.1), (real, fake))
    assert torch.allclose(by_real, (real.sigmoid() - 0.9) / 6, rtol=1e-12)
    assert torch.allclose(by_fake, fake.sigmoid() / 6, rtol=1e-12)
    (min_max,) = torch.autograd.grad(g_loss(fake, "min-max"), fake)
    (other,) = torch.autograd.grad(g_loss(fake, "non-saturating"), fake)
    assert torch.allclose(min_max, -fake.sigmoid() / 6, rtol=1e-12)
    assert torch.allclose(other, -(-fake).sigmoid() / 6, rtol=1e-12)


@pytest.mark.parametrize("which", GAMES)
def test_gradient_reaches_the_forger_through_the_judge(which):
    """At the point that G makes, D = sigmoid(w.x + b): -D w in one game, -(1 - D) w in the other."""
    model = game(game=which)
    (by_point,) = torch.autograd.grad(step(model, random(5, 2))["G"].value, model.G.at)
    d = probability([0.5, -1.0])
    expected = -np.array([0.7, 2.0]) * (d if which == "min-max" else 1 - d)
    assert np.allclose(by_point, expected, rtol=1e-10)


def test_where_the_judge_is_sure_one_game_has_no_slope():
    forgers = {which: game(b=-30.0, game=which) for which in GAMES}
    steep = {k: torch.autograd.grad(step(m, random(5, 2))["G"].value, m.G.at)[0] for k, m in forgers.items()}
    assert steep["min-max"].norm() < 1e-12
    assert np.allclose(steep["non-saturating"], [-0.7, -2.0], rtol=1e-10)


def test_loss_and_gradient_of_the_judge_end_to_end():
    """Smoothing and R1 together, on a linear D: its penalty is gamma/2 |w|^2."""
    x = random(9, 2)
    model = game(smooth=0.2, r1=3.0)
    loss = step(model, x)["D"]
    p, q = probability(x), probability([0.5, -1.0])
    expected = -(0.8 * np.log(p) + 0.2 * np.log(1 - p)).mean() - np.log(1 - q) + 1.5 * (0.49 + 4)
    assert loss.value.item() == pytest.approx(expected, rel=1e-12)
    assert loss.logs["D(x)"].item() == pytest.approx(p.mean(), rel=1e-12)
    assert loss.logs["D(G(z))"].item() == pytest.approx(q, rel=1e-12)
    by_w, by_b = torch.autograd.grad(loss.value, list(model.D.parameters()))
    w = ((p - 0.8)[:, None] * x.numpy()).mean(0) + q * np.array([0.5, -1.0]) + 3 * np.array([0.7, 2.0])
    assert np.allclose(by_w[0], w, rtol=1e-10)
    assert by_b.item() == pytest.approx((p - 0.8).mean() + q, rel=1e-10)


# ---- the best judge

REAL = torch.tensor([8, 4, 2, 1, 1])  # how often each of five outcomes comes up, of 16
MADE = torch.tensor([1, 3, 6, 4, 2])


def many(logits):
    """One logit for each outcome -> one for each of 16 real and 16 made samples."""
    return logits.repeat_interleave(REAL), logits.repeat_interleave(MADE)


def best(smooth):
    """The logits that minimise the judge's loss, found by minimisation."""
    logits = torch.zeros(5).double().requires_grad_()
    search = torch.optim.LBFGS([logits], 0.5, 500, tolerance_grad=1e-10, tolerance_change=0)

    def loss():
        search.zero_grad()
        value = d_loss(*many(logits), smooth)
        value.backward()
        return value

    search.step(loss)
    return logits.detach()


@pytest.mark.parametrize("smooth", [0.0, 0.1, 0.3])
def test_the_best_judge_says_the_share_of_real_samples(smooth):
    """(1 - s) p / (p + p_G): with smoothing it never says 1, and is no surer where only G is."""
    p, q = REAL / 16, MADE / 16
    assert torch.allclose(best(smooth).sigmoid(), ((1 - smooth) * p / (p + q)).double(), atol=1e-6)


def test_the_best_judge_loses_two_log_two_less_twice_the_jensen_shannon_divergence():
    p, q = (REAL / 16).double(), (MADE / 16).double()
    expected = LEAST - 2 * jensenshannon(p, q) ** 2  # scipy's distance is the root, in nats
    assert d_loss(*many((p / q).log())).item() == pytest.approx(expected, rel=1e-6)
    assert d_loss(*many(best(0.0))).item() == pytest.approx(expected, rel=1e-6)
    assert d_loss(*many((p / q).log() + 0.1)).item() > expected


def test_a_judge_learns_the_ratio_of_two_gaussians():
    """Real points around 1, made ones around 0: log p(x) / p_G(x) = x - 1/2. The forger stands still."""
    model = GAN(latent=1, channels=1, size=0, widths=(4, 1), lr=0.0, lr_d=0.03)
    model.G, model.D = nn.Linear(1, 1), Discriminator(nn.Identity(), 1)
    with torch.no_grad():
        model.G.weight.fill_(1)
        model.G.bias.zero_()
    data = 1 + random(4000, 1).float()
    fit(model, data, steps=300, batch=1000, device="cpu", progress=False)
    assert model.D.head.weight.item() == pytest.approx(1, abs=0.15)
    assert model.D.head.bias.item() == pytest.approx(-0.5, abs=0.15)
    assert (model.G.weight.item(), model.G.bias.item()) == (1, 0)


# ---- R1


def quadratic():
    A = random(3, 3)
    return Quadratic(A + A.T, random(3, seed=1))


def test_slope_and_its_gradient_on_a_quadratic_judge():
    """slope = |A x + b|, so of half its square the gradient is the mean of A x + b by b, and the symmetric
    part of (A x + b) x^T by A."""
    D, x = quadratic(), random(11, 3, seed=2)
    g = x @ D.A.detach() + D.b.detach()
    assert torch.allclose(slope(D, x), g.norm(dim=1), rtol=1e-12)
    by_A, by_b = torch.autograd.grad(slope(D, x).square().mean() / 2, (D.A, D.b))
    outer = g.T @ x / 11
    assert torch.allclose(by_b, g.mean(0), rtol=1e-12)
    assert torch.allclose(by_A, (outer + outer.T) / 2, rtol=1e-12)


def test_r1_in_the_loss_of_a_quadratic_judge():
    x = random(11, 3, seed=2)
    model = GAN(latent=1, channels=3, size=0, widths=(2, 1), r1=0.8)
    model.D, model.G = quadratic(), Point([1.0, 0.0, 2.0])
    with_r1 = step(model, x)["D"].value
    model.r1 = 0.0
    without = step(model, x)["D"].value
    g = x @ model.D.A + model.D.b
    assert (with_r1 - without).item() == pytest.approx(0.4 * g.square().sum(1).mean().item(), rel=1e-10)
    # it asks about real points alone: where those stand on the top of D, the made ones do not matter
    model.r1, top = 0.8, torch.linalg.solve(model.D.A, -model.D.b).detach()
    at_top = step(model, top.expand(4, 3))["D"].value
    model.r1 = 0.0
    assert at_top.item() == pytest.approx(step(model, top.expand(4, 3))["D"].value.item(), rel=1e-10)


def smooth_judge(*widths):
    """Twice differentiable everywhere, so that finite differences may be taken."""
    torch.manual_seed(3)
    layers = [nn.Linear(widths[0], widths[1]), nn.Softplus(), nn.Linear(widths[1], 1), nn.Flatten(0)]
    return nn.Sequential(nn.Flatten(), *layers).double()


def through(D, of):
    """`of(D)` as a function of D's parameters, for gradcheck."""
    names = [name for name, _ in D.named_parameters()]

    class Given(nn.Module):
        def __init__(self, values):
            super().__init__()
            self.values = dict(zip(names, values, strict=True))

        def forward(self, x):
            return functional_call(D, self.values, (x,))

    return lambda *values: of(Given(values))


@pytest.mark.parametrize("shape", [(2,), (1, 2, 3)], ids=str)
def test_double_backward_against_finite_differences(shape):
    D, x = smooth_judge(math.prod(shape), 5), random(4, *shape, seed=4)
    assert gradcheck(through(D, lambda given: slope(given, x).square().mean()), tuple(D.parameters()))


def test_slope_is_the_norm_over_all_pixels_of_each_picture():
    w = random(2, 3, 4)
    assert torch.allclose(slope(linear(w), random(5, 2, 3, 4, seed=1)), w.norm().expand(5), rtol=1e-12)


def test_slope_moves_the_judge_and_not_the_pictures():
    x = random(4, 2).requires_grad_()
    D = smooth_judge(2, 5)
    assert torch.autograd.grad(slope(D, x).sum(), x, allow_unused=True, retain_graph=True) == (None,)
    assert slope(D, x).grad_fn is not None
    assert x.grad is None


def test_a_flat_judge_has_finite_gradients():
    model = game(w=(0.0, 0.0), r1=1.0)
    grads = torch.autograd.grad(step(model, random(5, 2))["D"].value, list(model.D.parameters()))
    assert all(torch.isfinite(g).all() for g in grads)


def test_slope_of_a_judge_that_sees_its_batch_is_that_of_all_its_logits():
    """What the docstring says: a picture's slope holds what it changes in the logits of the others."""
    D = Discriminator(nn.Identity(), 2, stddev=True).double()
    x = random(5, 2).requires_grad_()
    (variety,) = torch.autograd.grad(batch_stddev(x)[0, 0], x)
    w = D.head.weight[0].detach()
    expected = (w[:2] + 5 * w[2] * variety).norm(dim=1)  # the variety is in all five logits
    assert torch.allclose(slope(D, x), expected, rtol=1e-10)


def test_lazy_r1_has_the_same_gradient_on_average():
    x = random(9, 2)
    every, lazy = game(r1=0.7), game(r1=0.7, r1_every=4)
    gradients = {
        model: torch.stack(
            [torch.autograd.grad(step(model, x, k)["D"].value, model.D.head.weight)[0] for k in range(8)]
        )
        for model in (every, lazy)
    }
    assert torch.allclose(gradients[every].mean(0), gradients[lazy].mean(0), rtol=1e-10)
    change = (gradients[lazy] - gradients[lazy][1]).flatten(1).norm(dim=1)
    assert (change > 1e-3).tolist() == [True, False, False, False] * 2


# ---- the Dirac-GAN: one real point at 0, G makes the point theta, D(x) = psi x (1801.04406, section 2)


def dirac(gamma, which, theta=1.0, psi=0.0):
    model = GAN(latent=1, channels=1, size=0, widths=(1, 1), r1=gamma, game=which)
    model.G, model.D = Point([theta]), Quadratic(torch.zeros(1, 1).double(), torch.tensor([psi]).double())
    model.D.A.requires_grad_(False)
    return model


def played(model, steps, rate=0.05):
    """Distances of (theta, psi) from the origin, under gradient steps in turn."""
    x, radii = torch.zeros(1, 1).double(), []
    players = {"D": model.D.b, "G": model.G.at}
    for number in range(steps):
        for loss in model.losses(x, number):
            (grad,) = torch.autograd.grad(loss.value, players[loss.opt])
            with torch.no_grad():
                players[loss.opt] -= rate * grad
        radii.append(math.hypot(model.D.b.item(), model.G.at.item()))
    return np.array(radii)


def test_without_r1_the_min_max_dirac_gan_circles():
    """800 steps of 0.05 are three turns, on which d(theta^2 + psi^2)/dt = 0."""
    radii = played(dirac(0.0, "min-max"), 800)
    assert radii.min() > 0.9
    assert radii.max() < 1.1


def test_without_r1_the_other_dirac_gan_falls_asleep():
    """d(r^2)/dt = -2 theta psi tanh(theta psi / 2), which over a turn is about -r^4/8: r^2 = 1/(1 + t/8), so
    that it needs a hundred times the time for a tenth of the distance."""
    radii = played(dirac(0.0, "non-saturating"), 800)
    t = 0.05 * np.arange(1, 801)
    assert np.allclose(radii, 1 / np.sqrt(1 + t / 8), rtol=0.1)
    assert radii[-1] == pytest.approx(1 / math.sqrt(1 + 40 / 8), rel=0.03)


@pytest.mark.parametrize("which", GAMES)
def test_with_r1_the_dirac_gan_arrives(which):
    radii = played(dirac(1.0, which), 800)
    assert radii[-1] < 1e-3
    assert (np.diff(radii[100:]) < 0).all()  # and does not turn back


@pytest.mark.parametrize("which", GAMES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_how_fast_the_dirac_gan_arrives(which, gamma):
    """The motion near the origin has the eigenvalues -gamma/2 +- sqrt(gamma^2/4 - f'(0)^2), f'(0) = 1/2:
    purely imaginary without R1. The Jacobian by central differences of the gradients of both losses."""

    def motion(theta, psi):
        model = dirac(gamma, which, theta, psi)
        losses = step(model, torch.zeros(1, 1).double())
        players = {"G": model.G.at, "D": model.D.b}
        return np.array([-torch.autograd.grad(losses[k].value, players[k])[0].item() for k in "GD"])

    h = 1e-5
    jacobian = np.stack([motion(h, 0.0) - motion(-h, 0.0), motion(0.0, h) - motion(0.0, -h)], 1) / (2 * h)
    root = np.emath.sqrt(gamma**2 / 4 - 1 / 4)
    expected = np.array([-gamma / 2 - root, -gamma / 2 + root])
    assert np.allclose(np.sort_complex(np.linalg.eigvals(jacobian)), np.sort_complex(expected), atol=1e-6)


# ---- feature matching


def test_feature_matching_in_closed_form():
    """The features of a D without layers are the coordinates: |mean x - mean G(z)|^2, not the mean square."""
    x = random(9, 2)
    model = game(game="feature matching")
    model.D.body = nn.Identity()
    losses = step(model, x)
    gap = x.mean(0) - model.G.at.detach()
    assert losses["G"].value.item() == pytest.approx(gap.square().sum().item(), rel=1e-12)
    (by_point,) = torch.autograd.grad(losses["G"].value, model.G.at)
    assert torch.allclose(by_point, -2 * gap, rtol=1e-10)
    other = step(game(), x)  # the judge's own loss stays what it is
    assert losses["D"].value.item() == pytest.approx(other["D"].value.item(), rel=1e-12)


def test_feature_matching_looks_behind_the_layers_and_before_the_logit():
    model = GAN(latent=3, channels=2, size=0, widths=(8, 2), game="feature matching").double()
    x, z = random(9, 2), random(9, 3, seed=1)
    model.noise = lambda x: z
    with torch.no_grad():
        f = [model.D.body(part).mean(0) for part in (x, model.G(z))]
        assert step(model, x)["G"].value.item() == pytest.approx((f[0] - f[1]).square().sum().item())
        assert step(model, model.G(z))["G"].value.item() == pytest.approx(0, abs=1e-20)


# ---- whose turn it is


def test_the_judges_loss_has_no_path_to_the_forger():
    model = GAN(latent=3, channels=2, size=0, widths=(8, 2), r1=1.0)
    loss = next(model.losses(torch.randn(6, 2), 0))
    assert loss.opt == "D"
    grads = torch.autograd.grad(loss.value, list(model.G.parameters()), allow_unused=True)
    assert all(g is None for g in grads)


@pytest.mark.parametrize("options", [dict(), dict(game="min-max"), dict(game="feature matching")], ids=str)
def test_the_forgers_step_leaves_the_judge_alone(options):
    """One step with a rate of 0 for D: only G has moved, though its gradient came through D."""
    model, x = GAN(latent=3, channels=2, size=0, widths=(8, 2), lr_d=0.0, **options), torch.randn(6, 2)
    before = {name: copied(getattr(model, name).parameters()) for name in "GD"}
    z = torch.randn(6, 3)
    model.noise = lambda x: z
    d_gradients = torch.autograd.grad(next(model.losses(x, 0)).value, list(model.D.parameters()))
    fit(model, x, steps=1, batch=6, device="cpu", progress=False)
    assert same(copied(model.D.parameters()), before["D"])
    assert not any(torch.equal(a, b) for a, b in zip(model.G.parameters(), before["G"], strict=True))
    for p, grad in zip(model.D.parameters(), d_gradients, strict=True):
        assert torch.allclose(p.grad, grad, atol=1e-6)  # of its own loss, and of nothing else


def test_the_judge_moves_d_steps_times_for_each_move_of_the_forger():
    model, x = GAN(latent=3, channels=2, size=0, widths=(8, 2), d_steps=3), torch.randn(6, 2)
    turns = ["".join(loss.opt for loss in model.losses(x, k)) for k in range(7)]
    assert turns == ["D", "D", "DG", "D", "D", "DG", "D"]
    run = fit(model, x, steps=7, batch=6, device="cpu", progress=False)
    assert [k for k, _ in run.history["loss/G"]] == [2, 5]
    assert [k for k, _ in run.history["loss/D"]] == list(range(7))


def test_forger_and_judge_draw_noise_of_their_own():
    model, x = GAN(latent=3, channels=2, size=0, widths=(8, 2)), torch.randn(6, 2)
    seen = []
    model.G.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    step(model, x)
    assert [z.shape for z in seen] == [(6, 3)] * 2
    assert not torch.isclose(seen[0], seen[1]).any()


def test_each_player_has_its_own_rate():
    rates = {
        given: {name: o.param_groups[0] for name, o in GAN(size=8, lr=0.01, lr_d=given).optimizers().items()}
        for given in (None, 0.02, 0.0)
    }
    assert {k: (v["G"]["lr"], v["D"]["lr"]) for k, v in rates.items()} == {
        None: (0.01, 0.01), 0.02: (0.01, 0.02), 0.0: (0.01, 0.0),
    }  # fmt: skip
    assert {group["betas"] for pair in rates.values() for group in pair.values()} == {(0.5, 0.99)}


# ---- what the judge is shown


def shown(**options):
    """Everything that the layers of D see in a step whose pictures, real and made, are all the same."""
    picture = random(1, 8, 8)
    model = GAN(latent=1, size=8, widths=(4, 8), fill=9.0, **options).double()
    model.G = Point(picture)
    seen = []
    model.D.body.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    step(model, picture.expand(64, 1, 8, 8))
    return picture, seen


def test_everything_is_mirrored_at_random():
    picture, seen = shown(flip=True, r1=1.0)
    assert len(seen) == 4  # real, made, real for its slope, and made for the forger
    for x in seen:
        mirrored = (x == picture.flip(2)).flatten(1).all(1)
        assert ((x == picture).flatten(1).all(1) ^ mirrored).all()
        assert 16 < mirrored.sum() < 48  # four standard deviations
    assert torch.equal(seen[0], seen[2])  # the penalty asks about the pictures that were judged
    assert not torch.equal(seen[0], seen[1])


def test_everything_is_moved_at_random():
    picture, seen = shown(shift=1)
    assert len(seen) == 3
    for x in seen:
        entered = (x == 9).flatten(1).sum(1)
        assert set(entered.tolist()) == {0, 8, 15}  # still, along a side, along both


def test_without_augmentation_the_judge_sees_the_pictures_themselves():
    picture, seen = shown(game="feature matching")
    assert all(torch.equal(x, picture.expand(64, 1, 8, 8)) for x in seen)


@pytest.mark.parametrize("options", [dict(flip=True), dict(shift=2)], ids=str)
def test_points_are_not_moved(options):
    with pytest.raises(CourseError, match="flip and shift move pictures: leave them out where the data are"):
        GAN(size=0, channels=2, **options)


def test_points_go_well_with_everything_else():
    """Also in a batch of one, whose points have no variety."""
    for which in (*GAMES, "feature matching"):
        model = GAN(latent=3, channels=2, size=0, widths=(8, 2), stddev=True, smooth=0.1, r1=1.0, game=which)
        for count in (1, 5):
            losses = step(model, torch.ones(count, 2))
            grads = [
                torch.autograd.grad(loss.value, list(getattr(model, name).parameters()), allow_unused=True)
                for name, loss in losses.items()
            ]
            assert all(torch.isfinite(g).all() for part in grads for g in part if g is not None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(game="wasserstein"), "game must be one of min-max, non-saturating, feature matching, got 'wa"),
        (dict(smooth=0.5), "smooth must be at least 0 and less than 0.5, got 0.5"),
        (dict(smooth=-0.1), "smooth must be at least 0 and less than 0.5, got -0.1"),
        (dict(smooth=math.nan), "smooth must be at least 0 and less than 0.5, got nan"),
        (dict(r1=-1.0), "r1 must be a number of at least 0"),
        (dict(r1=math.inf), "r1 must be a number of at least 0"),
        (dict(r1=math.nan), "r1 must be a number of at least 0"),
        (dict(r1_every=0), "r1_every must be a whole number of at least 1, got 0"),
        (dict(d_steps=0), "d_steps must be a whole number of at least 1, got 0"),
        (dict(d_steps=1.5), "d_steps must be a whole number of at least 1, got 1.5"),
        (dict(shift=-1), "shift must be a whole number of at least 0, got -1"),
        (dict(size=27), "multiple of 4 and at least 8, got 27"),
        (dict(latent=0), "latent must be a whole number of at least 1, got 0"),
    ],
    ids=str,
)
def test_impossible_values_are_refused(given, said):
    with pytest.raises(CourseError, match=said):
        GAN(**given)


# ---- samples


def test_a_sample_is_what_the_forger_makes_of_the_generators_noise():
    model = GAN(latent=3, channels=2, size=0, widths=(8, 2)).eval()
    (drawn,) = model.sample(5, generator=torch.Generator().manual_seed(4))
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
    assert torch.equal(drawn.x, model.G(z))
    assert not drawn.x.requires_grad


# ---- accumulation and two ranks, where a loss holds a gradient


@pytest.mark.parametrize("name", METHODS)
def test_two_parts_of_four_are_one_batch_of_eight(name):
    """Dense players see no batch. Every sample keeps its noise, and every step its samples, in float64."""
    whole, parts = trained(name), trained(name, batch=4, accumulate=2)
    torch.manual_seed(0)
    assert largest({"parameters": METHODS[name]().double().state_dict()}, whole) > 1e-3  # it has moved
    assert largest(whole, parts) < 1e-9
    assert logged(whole) == pytest.approx(logged(parts), rel=1e-5, abs=1e-6)


def test_noise_has_its_number_in_every_sharing():
    """The harness itself: two ranks and two parts draw together what one process draws at once."""
    with numbered_draws():
        whole = torch.randn(8, 3)
        next_one = torch.randn(8, 3)
    parts = []
    for rank in (0, 1):
        with numbered_draws(rank, 2):
            parts.append(torch.cat([torch.randn(2, 3), torch.randn(2, 3)]))
    assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole)
    assert not torch.isclose(whole, next_one).any()
    assert torch.unique(whole[:, 0]).numel() == 8


def test_two_ranks_do_what_one_process_does(tmp_path):
    """R1, lazy R1 and WGAN-GP; with and without accumulation. One launch: see two_players.py."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    finished = python(*launch, "tests/two_players.py", str(tmp_path))
    assert finished.returncode == 0, finished.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first.keys() == {f"{name}, {parts}" for name in METHODS for parts in (1, 2)}
    assert same(first, second)
    for name in METHODS:
        whole = trained(name)
        for parts in (1, 2):
            ranks = first[f"{name}, {parts}"]
            assert largest(whole, ranks) < 1e-6, name
            assert logged(whole) == pytest.approx(logged(ranks), rel=1e-5, abs=1e-6)
