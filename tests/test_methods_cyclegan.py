"""CycleGAN with translators so simple that all losses and gradients are known in closed form."""

import numpy as np
import pytest
import torch
from helpers import Rows, copied
from torch import nn
from two_players import random

from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.cyclegan import CycleGAN, d_loss, real_loss

A, B = random(5, 1, 4, 4).numpy() + 0.3, 2 * random(5, 1, 4, 4, seed=1).numpy()  # two kinds of pictures


class Gain(nn.Module):
    """A translator that multiplies by one number."""

    factor = 1

    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain, dtype=torch.float64))

    def forward(self, x):
        return self.gain * x


def pixel(w, c):
    """A discriminator that judges each pixel x alone: w x + c."""
    D = nn.Conv2d(1, 1, 1).double()
    with torch.no_grad():
        D.weight.fill_(w)
        D.bias.fill_(c)
    return D


def game(g=1.5, f=-0.4, d_a=(0.7, 0.2), d_b=(-0.6, 0.5), **options):
    """G multiplies by g, F by f; D_A and D_B are linear."""
    model = CycleGAN(channels=(1, 1), widths=(2,), blocks=0, d_widths=(2,), size=4, **options).double()
    model.G, model.F, model.D_A, model.D_B = Gain(g), Gain(f), pixel(*d_a), pixel(*d_b)
    return model


def batch():
    return torch.from_numpy(A), torch.from_numpy(B)


def losses(model, pair=None):
    return {loss.opt: loss for loss in model.losses(pair or batch(), 0)}


def by_hand(cycle, identity, g=1.5, f=-0.4, d_a=(0.7, 0.2), d_b=(-0.6, 0.5)):
    """The two losses and their gradients by (g, f) and by the weights of (D_A, D_B)."""
    (wa, ca), (wb, cb) = d_a, d_b
    at_a, at_b = wa * f * B + ca, wb * g * A + cb  # verdicts on fakes
    size_a, size_b = np.abs(A).mean(), np.abs(B).mean()
    loss_g = ((at_b - 1) ** 2).mean() + ((at_a - 1) ** 2).mean()
    loss_g += cycle * abs(f * g - 1) * (size_a + size_b)
    loss_g += identity * (abs(g - 1) * size_b + abs(f - 1) * size_a)
    by_g = (2 * (at_b - 1) * wb * A).mean() + cycle * np.sign(f * g - 1) * f * (size_a + size_b)
    by_f = (2 * (at_a - 1) * wa * B).mean() + cycle * np.sign(f * g - 1) * g * (size_a + size_b)
    by_g += identity * np.sign(g - 1) * size_b
    by_f += identity * np.sign(f - 1) * size_a
    real_a, real_b = wa * A + ca, wb * B + cb
    loss_d = (
        ((real_b - 1) ** 2).mean() + (at_b**2).mean() + ((real_a - 1) ** 2).mean() + (at_a**2).mean()
    ) / 2
    by_wa = ((real_a - 1) * A).mean() + (at_a * f * B).mean()
    by_wb = ((real_b - 1) * B).mean() + (at_b * g * A).mean()
    return loss_g, loss_d, (by_g, by_f), (by_wa, by_wb)


WEIGHTS = pytest.mark.parametrize(("cycle", "identity"), [(0.0, 0.0), (1.0, 0.0), (10.0, 5.0), (0.3, 2.0)])


# ---- losses and gradients


@WEIGHTS
def test_losses_are_those_of_the_paper(cycle, identity):
    found = losses(game(cycle=cycle, identity=identity))
    loss_g, loss_d, _, _ = by_hand(cycle, identity)
    assert list(found) == ["G", "D"]  # the order of updates
    assert found["G"].value.item() == pytest.approx(loss_g, rel=1e-12)
    assert found["D"].value.item() == pytest.approx(loss_d, rel=1e-12)
    expected = abs(-0.4 * 1.5 - 1) * (np.abs(A).mean() + np.abs(B).mean()) / 2  # the mean of both ways
    assert found["G"].logs["cycle"].item() == pytest.approx(expected, rel=1e-12)


@WEIGHTS
def test_gradients_are_those_of_the_closed_form(cycle, identity):
    model = game(cycle=cycle, identity=identity)
    found = losses(model)
    _, _, (by_g, by_f), (by_wa, by_wb) = by_hand(cycle, identity)
    got = torch.autograd.grad(found["G"].value, (model.G.gain, model.F.gain))
    assert [x.item() for x in got] == pytest.approx([by_g, by_f], rel=1e-10)
    got = torch.autograd.grad(found["D"].value, (model.D_A.weight, model.D_B.weight))
    assert [x.item() for x in got] == pytest.approx([by_wa, by_wb], rel=1e-10)


def test_verdicts_are_judged_by_their_squares():
    verdict = torch.tensor([[-1.0, 0, 1], [2, 3, 1]]).view(2, 1, 1, 3)
    assert real_loss(verdict).item() == pytest.approx((4 + 1 + 0 + 1 + 4 + 0) / 6)
    assert d_loss(verdict, torch.tensor([1.0, -3])).item() == pytest.approx(10 / 6 + 5)
    assert d_loss(torch.ones(3), torch.zeros(2)) == 0


def test_the_best_judge_says_the_share_of_real_pictures():
    """Of least squares too: p / (p + p_G), found by minimisation over one verdict for each of four pixels."""
    real, made = torch.tensor([8, 4, 2, 2]), torch.tensor([1, 3, 6, 6])
    verdict = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([verdict], 0.5, 200, tolerance_grad=1e-12, tolerance_change=0)

    def loss():
        search.zero_grad()
        value = d_loss(verdict.repeat_interleave(real), verdict.repeat_interleave(made))
        value.backward()
        return value

    search.step(loss)
    assert torch.allclose(verdict.detach(), (real / (real + made)).double(), atol=1e-8)


# ---- cycle and identity


def zeroed(start, **options):
    """A whole CycleGAN whose translators have learnt nothing at all."""
    torch.manual_seed(0)
    model = CycleGAN(widths=(4, 8), blocks=1, d_widths=(4, 8), start=start, size=16, **options).double()
    with torch.no_grad():
        for net in (model.G, model.F):
            net.leave.weight.zero_()
            net.leave.bias.zero_()
    return model


def pictures():
    return tuple(random(4, 3, 16, 16, seed=k).clamp(-2, 2) / 4 + 0.1 * k for k in (0, 1))


def test_two_identities_have_no_cycle_loss_and_no_identity_loss():
    """Exactly none: what is left of G's loss is what the discriminators say of the unchanged pictures."""
    model = zeroed("input", cycle=7.0, identity=3.0)
    a, b = pictures()
    found = losses(model, (a, b))
    assert found["G"].logs["cycle"] == 0
    assert found["G"].value == real_loss(model.D_B(a)) + real_loss(model.D_A(b))
    expected = d_loss(model.D_B(b), model.D_B(a)) + d_loss(model.D_A(a), model.D_A(b))
    assert found["D"].value == expected / 2


def test_an_involution_has_no_cycle_loss_however_wrong_it_is():
    """Negatives of negatives are the pictures: the cycle sees nothing, judges and the identity loss do."""
    model = zeroed("negative", cycle=7.0)
    assert losses(model, pictures())["G"].logs["cycle"] == 0
    a, b = (torch.full((2, 3, 16, 16), 0.5, dtype=torch.float64) for _ in range(2))
    model.D_A, model.D_B = (Brightness() for _ in range(2))  # 1 for what is real, -1 for its negative
    found = losses(model, (a, b))
    assert found["G"].value == 2 * (-1 - 1) ** 2  # and nothing from 7 times the cycle
    assert found["D"].value == (0 + 1 + 0 + 1) / 2
    model.identity = 1.0
    assert losses(model, (a, b))["G"].value == 8 + 2 * abs(-0.5 - 0.5)
    assert torch.equal(model.translate_back(model.translate(a)), a)
    assert torch.equal(model.translate(a), -a)


class Brightness(nn.Module):
    """Judges each pixel by twice its mean value."""

    def forward(self, x):
        return 2 * x.mean(1, keepdim=True)


@pytest.mark.parametrize(("identity", "passes"), [(0.0, 2), (0.5, 3)])
def test_identity_takes_one_more_pass_where_it_is_asked_for(identity, passes):
    model = game(identity=identity)
    counts = dict.fromkeys(("G", "F", "D_A", "D_B"), 0)
    for name in counts:
        model.get_submodule(name).register_forward_hook(
            lambda *_, name=name: counts.update({name: counts[name] + 1})
        )
    losses(model)
    assert counts == {"G": passes, "F": passes, "D_A": 3, "D_B": 3}


# ---- the order of updates


@pytest.mark.parametrize("pool", [0, 9])
def test_the_judges_see_what_was_made_before_the_move(pool):
    model = game(pool=pool)
    parts = model.losses(batch(), 0)
    next(parts)
    with torch.no_grad():
        model.G.gain.fill_(100)
        model.F.gain.fill_(-100)
    judged = next(parts).value
    assert judged.item() == pytest.approx(by_hand(1, 0)[1], rel=1e-12)
    judged.backward()
    assert (model.G.gain.grad, model.F.gain.grad) == (None, None)
    assert next(parts, None) is None


def test_one_step_of_training_is_the_one_on_paper():
    """Gradient descent with rates of 0.1 and 0.01, at once for G and F, then for both judges."""
    model = game(cycle=0.3, identity=2.0)
    model.optimizers = lambda: {
        "G": torch.optim.SGD([*model.G.parameters(), *model.F.parameters()], 0.1),
        "D": torch.optim.SGD([*model.D_A.parameters(), *model.D_B.parameters()], 0.01),
    }
    fit(model, Rows(batch()), steps=1, batch=5, device="cpu", progress=False)
    _, _, (by_g, by_f), (by_wa, by_wb) = by_hand(0.3, 2.0)
    assert model.G.gain.item() == pytest.approx(1.5 - 0.1 * by_g, rel=1e-10)
    assert model.F.gain.item() == pytest.approx(-0.4 - 0.1 * by_f, rel=1e-10)
    assert model.D_A.weight.item() == pytest.approx(0.7 - 0.01 * by_wa, rel=1e-10)
    assert model.D_B.weight.item() == pytest.approx(-0.6 - 0.01 * by_wb, rel=1e-10)


def test_every_parameter_has_one_player_with_its_own_rate():
    model = CycleGAN.tiny()[0]
    model.lr, model.lr_d, model.betas = 0.3, 0.2, (0.1, 0.9)
    opts = model.optimizers()
    for name, nets, rate in (("G", ("G", "F"), 0.3), ("D", ("D_A", "D_B"), 0.2)):
        (group,) = opts[name].param_groups
        expected = {p for net in nets for p in model.get_submodule(net).parameters()}
        assert (set(group["params"]), group["lr"], group["betas"]) == (expected, rate, (0.1, 0.9))


# ---- the pool in its place


def test_the_pools_hold_the_fakes_of_their_own_kind():
    model = CycleGAN(channels=(1, 2), widths=(2,), blocks=0, start="nothing", d_widths=(2,), pool=3, size=4)
    a, b = random(2, 1, 4, 4).float(), random(2, 2, 4, 4, seed=1).float()
    losses(model, (a, b))
    assert torch.equal(model.pool_B.kept[:2], model.G(a).detach())
    assert torch.equal(model.pool_A.kept[:2], model.F(b).detach())
    assert (model.pool_A.count, model.pool_B.count) == (2, 2)


def test_an_old_fake_is_judged_in_the_place_of_a_new_one(monkeypatch):
    """One picture and one place: at the second step the coin says history, so D judges g0 a once more, while
    G is judged by what it makes now."""
    model = game(pool=1)
    a, b = (x[:1] for x in batch())
    losses(model, (a, b))
    with torch.no_grad():
        model.G.gain.fill_(3.0)
    monkeypatch.setattr(torch, "rand", lambda *size, **options: torch.zeros(*size))
    found = losses(model, (a, b))
    first, now = model.D_B(1.5 * a), model.D_B(3.0 * a)
    expected = d_loss(model.D_B(b), first) + d_loss(model.D_A(a), model.D_A(-0.4 * b))
    assert found["D"].value.item() == pytest.approx(expected.item() / 2, rel=1e-12)
    rest = found["G"].value - found["G"].logs["cycle"] * 2 - real_loss(model.D_A(-0.4 * b))
    assert rest.item() == pytest.approx(real_loss(now).item(), rel=1e-10)


# ---- colours


def test_a_fresh_model_is_linear_colour_transport():
    """With nothing learnt, translate gives A's pictures B's mean and spread, channel by channel:
    x -> (x - mean_A) / std_A * std_B + mean_B. And back."""
    a, b = pictures()
    a, b = a * torch.tensor([0.5, 1.0, 0.2]).view(3, 1, 1), b.roll(3, 2) - 0.2
    model = zeroed("input")
    model.colours_A.learn(a)
    model.colours_B.learn(b)
    made = model.translate(a)
    assert made.abs().max() < 1  # nothing was clipped
    for k in range(3):
        x, y = a[:, k].numpy(), b[:, k].numpy()
        assert np.allclose(made[:, k], (x - x.mean()) / x.std() * y.std() + y.mean(), rtol=1e-6, atol=1e-7)
        assert made[:, k].mean().item() == pytest.approx(y.mean(), rel=1e-6)
        assert made[:, k].std(correction=0).item() == pytest.approx(y.std(), rel=1e-6)
    assert torch.allclose(model.translate_back(made), a, atol=1e-7)


def test_losses_are_measured_in_units_of_the_spread():
    """Pictures of half the contrast around another grey have the same losses, once colours are learnt."""
    plain, moved = (CycleGAN.tiny()[0].double() for _ in range(2))
    moved.load_state_dict(plain.state_dict())
    a, b = pictures()
    found = []
    for model, (x, y) in ((plain, (a, b)), (moved, (a / 2 + 0.3, b / 3 - 0.1))):
        model.colours_A.learn(x)
        model.colours_B.learn(y)
        found.append([loss.value.item() for loss in losses(model, (x, y)).values()])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_near_the_start_the_translation_is_near_the_transport():
    """What the network adds at first is small against the spread of the pictures, which is 1."""
    torch.manual_seed(0)
    model = CycleGAN()
    z = random(2, 3, 32, 32).float()
    for net in (model.G, model.F):
        assert 0 < (net(z) - z).square().mean().sqrt() < 0.1


def test_translations_have_no_graph_and_stay_in_range():
    model, (a, b) = CycleGAN.tiny()
    for x in (model.translate(30 * a), model.translate_back(30 * b)):
        assert not x.requires_grad
        assert (x.min(), x.max()) == (-1, 1)
    assert model.factor == 4


# ---- arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(cycle=-1.0), "cycle must be a number of at least 0, got -1.0"),
        (dict(identity=float("nan")), "identity must be a number of at least 0, got nan"),
        (dict(cycle=float("inf")), "cycle must be a number of at least 0, got inf"),
        (dict(channels=(1, 3), identity=1.0, start="nothing"), "as many channels, got 1 and 3"),
        (dict(channels=(1, 3)), 'take start="nothing"'),
        (dict(pool=-1), "size of a pool must be at least 0"),
    ],
)
def test_arguments_that_cannot_work(options, words):
    with pytest.raises(CourseError, match=words):
        CycleGAN(widths=(2,), d_widths=(2,), **options)


def test_nothing_but_the_translators_is_averaged():
    model = CycleGAN.tiny()[0]
    fitted = fit(model, Rows(CycleGAN.tiny()[1]), steps=2, batch=4, ema=0.5, device="cpu", progress=False)
    assert set(fitted.averaged) == {"G", "F"}
    for name in ("G", "F"):
        now, mean = (copied(net.parameters()) for net in (model.get_submodule(name), fitted.averaged[name]))
        assert not any(torch.equal(x, y) for x, y in zip(now, mean, strict=True))
