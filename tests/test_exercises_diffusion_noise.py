"""Exercises 6.1 to 6.4 and 6.9: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks. Those of 6.5 to 6.8 stand
in a file of their own.
"""

import re

import pytest
import torch
from test_exercises import rejected, typed
from torch import nn

from course_lib import check, schedules
from course_lib.check.diffusion.bayes import product
from course_lib.check.diffusion.repair import OnePicture

IDS = ["6.1", "6.2", "6.3", "6.4", "6.9"]
HEADERS = {
    "6.1": "x0, t, alpha_bar, eps",
    "6.2": "snr",
    "6.3": "x, x0, t, alpha_bar",
    "6.4": "net, x0, t, eps, alpha_bar",
    "6.9": "eps, x, alpha_bar, times",
}


def answer(id, body):
    """A function with the arguments of the exercise; `pairwise` and `w` (the view) are at hand."""
    lines = body.strip("\n").replace("\n", "\n    ")
    return (
        "from itertools import pairwise\ndef w(a): return a.view(-1, 1, 1, 1)\n"
        f"def f({HEADERS[id]}):\n    {lines}\nanswer = f"
    )


def sample(value, a="alpha_bar[t].view(-1, 1, 1, 1)"):
    return answer("6.1", f"a = {a}\nreturn {value}")


def tables(
    alpha_bar="torch.cat([torch.ones(1).to(snr), snr / (1 + snr)])", betas=None, end="alpha_bar, betas"
):
    betas = betas or "torch.cat([snr.new_zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]])"
    return answer("6.2", f"alpha_bar = {alpha_bar}\nbetas = {betas}\nreturn {end}")


def back(
    of_x0="s.sqrt() * (1 - a / s) / (1 - a)",
    of_x="(a / s).sqrt() * (1 - s) / (1 - a)",
    variance="(1 - s) / (1 - a) * (1 - a / s)",
    read="a, s = alpha_bar[t], alpha_bar[t - 1]",
    end="w(of_x0) * x0 + w(of_x) * x, variance",
):
    return answer("6.3", f"{read}\nof_x0 = {of_x0}\nof_x = {of_x}\nvariance = {variance}\nreturn {end}")


def loss(
    value="((net(x, t) - eps) ** 2).mean()",
    x="w(alpha_bar[t].sqrt()) * x0 + w((1 - alpha_bar[t]).sqrt()) * eps",
):
    return answer("6.4", f"x = {x}\nreturn {value}")


def sampler(
    mean="(x - (1 - alpha) / (1 - a).sqrt() * noise) / alpha.sqrt()",
    sigma="((1 - s) / (1 - a) * (1 - alpha)).sqrt()",
    move="mean + sigma * torch.randn_like(x)",
    times="times",
    end="x",
):
    return answer(
        "6.9",
        f"for t, u in pairwise({times}):\n    a, s = alpha_bar[t], alpha_bar[u]\n    alpha = a / s\n"
        f"    noise = eps(x, torch.full((len(x),), t))\n    mean = {mean}\n    sigma = {sigma}\n"
        f"    x = {move}\nreturn {end}",
    )


BUG = "(x - (1 - alpha) / (1 - alpha).sqrt() * noise) / alpha.sqrt()"

# id -> other right answers
RIGHT = {
    "6.1": [
        sample("a.sqrt() * x0 + (1 - a).sqrt() * eps"),
        sample("torch.sqrt(a) * x0 + torch.sqrt(1 - a) * eps", "alpha_bar[t][:, None, None, None]"),
        sample("a ** 0.5 * x0 + (1 - a) ** 0.5 * eps", "alpha_bar.gather(0, t).reshape(len(x0), 1, 1, 1)"),
        answer("6.1", "return torch.stack([alpha_bar[n].sqrt() * x + (1 - alpha_bar[n]).sqrt() * e\n"
               "                    for x, n, e in zip(x0, t, eps)])"),
        answer("6.1", "from course_lib.schedules import add_noise\nreturn add_noise(x0, eps, alpha_bar[t])"),
    ],
    "6.2": [
        tables(),
        tables(alpha_bar="torch.cat([snr.new_ones(1), snr.log().sigmoid()])"),
        tables(alpha_bar="1 / (1 + 1 / torch.cat([torch.full_like(snr[:1], math.inf), snr]))"),
        answer("6.2", "alpha_bar = torch.ones(len(snr) + 1).to(snr)\nbetas = torch.zeros_like(alpha_bar)\n"
               "for t in range(1, len(snr) + 1):\n    alpha_bar[t] = snr[t - 1] / (1 + snr[t - 1])\n"
               "    betas[t] = 1 - alpha_bar[t] / alpha_bar[t - 1]\nreturn [alpha_bar, betas]"),
    ],
    "6.3": [
        back(),
        back(variance="1 / (a / s / (1 - a / s) + 1 / (1 - s))"),
        back(of_x0="s.sqrt() - a.sqrt() * (1 - s) / (1 - a) * (a / s).sqrt()"),
        answer("6.3", "from course_lib.schedules import posterior_mean, posterior_variance\n"
               "a, s = alpha_bar[t], alpha_bar[t - 1]\n"
               "return posterior_mean(x, x0, a, s), posterior_variance(a, s)"),
        # by the noise in x, as algorithm 2 has it
        back(end="(x - w((1 - a / s) / (1 - a)) * (x - w(a.sqrt()) * x0)) / w((a / s).sqrt()), variance"),
    ],
    "6.4": [
        loss(),
        loss("F.mse_loss(net(x, t), eps)"),
        loss("sum(((net(x, t) - eps) ** 2).flatten()) / eps.numel()"),
        loss("torch.stack([((one - e) ** 2).mean() for one, e in zip(net(x, t), eps)]).mean()"),
        answer("6.4", "from course_lib.schedules import add_noise\n"
               "return nn.MSELoss()(net(add_noise(x0, eps, alpha_bar[t]), t), eps)"),
    ],
    "6.9": [
        sampler(),
        sampler(mean="(x - (1 - alpha) * noise / torch.sqrt(1 - a)) / torch.sqrt(alpha)"),
        sampler(move="mean + sigma * torch.randn_like(x) if u > 0 else mean"),
        sampler(move="mean + sigma * torch.randn_like(x) * (u > 0)"),
        # by the guess of x_0
        sampler(mean="s.sqrt() * (1 - alpha) / (1 - a) * ((x - (1 - a).sqrt() * noise) / a.sqrt())"
                ".clamp(-1, 1)"
                " + alpha.sqrt() * (1 - s) / (1 - a) * x"),
    ],
}  # fmt: skip

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "6.1": [
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "w(alpha_bar[t] / alpha_bar[t - 1])"),
         "You take alpha_t"),
        (sample("a * x0 + (1 - a) * eps"), "Both roots are missing"),
        (sample("a * x0 + (1 - a).sqrt() * eps"), "The root of alpha_bar is missing"),
        (sample("a.sqrt() * x0 + (1 - a) * eps"), "The root of 1 - alpha_bar is missing"),
        (sample("a.sqrt() * x0 + (1 - a.sqrt()).sqrt() * eps"), "You have sqrt(1 - sqrt(alpha_bar))"),
        (sample("a.sqrt() * x0 + (1 - a.sqrt()) * eps"), "You have 1 - sqrt(alpha_bar)"),
        (sample("(1 - a).sqrt() * x0 + a.sqrt() * eps"), "The two weights are exchanged"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "alpha_bar[t]"), "along the columns"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "alpha_bar[t].view(-1, 1)"), "along the rows"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "alpha_bar[t].view(-1, 1, 1)"), "along the channels"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "alpha_bar[t[0]]"), "of one t"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * torch.randn_like(x0)"), "noise of your own"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "w(alpha_bar[t - 1])"), "one time too early"),
        (sample("a.sqrt() * x0 + (1 - a).sqrt() * eps", "w(alpha_bar.cumprod(0)[t])"),
         "multiply up once more"),
        (sample("x0 + (1 - a).sqrt() * eps"), "keeps its full weight"),
        (answer("6.1", "x0 *= w(alpha_bar[t].sqrt())\nreturn x0 + w((1 - alpha_bar[t]).sqrt()) * eps"),
         "in place"),
        (answer("6.1", "eps.mul_(w((1 - alpha_bar[t]).sqrt()))\nreturn w(alpha_bar[t].sqrt()) * x0 + eps"),
         "(argument 4) in place"),
        (sample("(a.sqrt() * x0 + (1 - a).sqrt() * eps).float()"), "float32"),
        (sample("(a.sqrt() * x0 + (1 - a).sqrt() * eps).numpy()"), "Stay in torch"),
        (sample("(a.sqrt() * x0 + (1 - a).sqrt() * eps, eps)"), "one thing too many"),
        (sample("(a.sqrt() * x0 + (1 - a).sqrt() * eps).clamp(-1, 1)"), "At ["),
    ],
    "6.2": [
        (tables("torch.cat([snr.new_ones(1), snr / (1 - snr)])"), "You have snr / (1 - snr)"),
        (tables("torch.cat([snr.new_ones(1), snr ** 2 / (1 + snr ** 2)])"), "a ratio of variances"),
        (tables("torch.cat([snr.new_ones(1), (snr / (1 + snr)).sqrt()])"), "a ratio of variances"),
        (tables("torch.cat([snr.new_ones(1), 1 / (1 + snr)])"), "the share of the noise"),
        (tables("torch.cat([snr.new_ones(1), snr.sigmoid()])"), "for the logarithm"),
        (tables("torch.cat([snr.new_zeros(1), snr / (1 + snr)])", "0 * alpha_bar"), "Your alpha_bar_0 is 0"),
        (tables("snr / (1 + snr)", "1 - alpha_bar"), "missing in alpha_bar and betas"),
        (tables("torch.cat([snr / (1 + snr), snr.new_ones(1)])"), "Your 1 stands at the end"),
        (tables(betas="1 - alpha_bar"), "You have 1 - alpha_bar"),
        (tables(betas="1 - alpha_bar[1:] / alpha_bar[:-1]"), "missing in betas"),
        (tables(betas="torch.cat([1 - alpha_bar[1:] / alpha_bar[:-1], snr.new_zeros(1)])"), "off by one"),
        (tables(betas="torch.cat([snr.new_zeros(1), 1 - alpha_bar[:-1] / alpha_bar[1:]])"), "upside down"),
        (tables(betas="torch.cat([snr.new_zeros(1), alpha_bar[1:] / alpha_bar[:-1]])"),
         "Those are the alphas"),
        (tables(betas="torch.cat([snr.new_zeros(1), -alpha_bar.diff()])"), "You take differences"),
        (tables(betas="1 - alpha_bar.cumprod(0)"), "You multiply up once more"),
        (tables(betas="torch.cat([snr.new_zeros(1), (1 - alpha_bar[1:] / alpha_bar[:-1]).sqrt()])"),
         "beta_t is a variance"),
        (tables(end="betas, alpha_bar"), "The two are exchanged"),
        (tables(end="alpha_bar"), "Return two tensors"),
        (tables(end="alpha_bar.tolist(), betas.tolist()"), "Your alpha_bar is a list"),
        (tables(end="alpha_bar.float(), betas"), "float32"),
        (tables("torch.cat([torch.ones(1), snr / (1 + snr)])"), "mixes devices"),
    ],
    "6.3": [
        (back(variance="1 - a / s"), "That is beta_t"),
        (back("(a / s).sqrt() * (1 - s) / (1 - a)", "s.sqrt() * (1 - a / s) / (1 - a)"), "are exchanged"),
        (back("a.sqrt() * (1 - a / s) / (1 - a)"), "you take alpha_bar_t"),
        (back(of_x="(a / s).sqrt()"), "so it cancels"),
        (back(variance="((1 - s) / (1 - a) * (1 - a / s)).sqrt()"), "That is the standard deviation"),
        (back(of_x="a / s * (1 - s) / (1 - a)"), "The root in the weight of x_t is missing"),
        (back("s * (1 - a / s) / (1 - a)"), "The root in the weight of x_0 is missing"),
        (back(of_x="a.sqrt() * (1 - s) / (1 - a)"), "you take that of alpha_bar_t"),
        (back("s.sqrt() * (1 - a / s)", "(a / s).sqrt() * (1 - s)"),
         "The division by 1 - alpha_bar_t is missing"),
        (back(variance="(1 - a) / (1 - s) * (1 - a / s)"), "The factor is upside down"),
        (back(variance="(1 - s) / (1 - a)"), "beta_t is missing"),
        (back(variance="(1 - s) / (1 - a) * (1 - a)"), "Is beta_t 1 - alpha_t"),
        (back(variance="w((1 - s) / (1 - a) * (1 - a / s))"), "no view here"),
        (back(read="a, s = alpha_bar[t - 1], alpha_bar[t - 2]"), "one time too early"),
        (back(read="a, s = alpha_bar[t[:1]], alpha_bar[t[:1] - 1]",
              end="w(of_x0) * x0 + w(of_x) * x, variance.expand(len(t))"), "the t of the first picture"),
        (back(end="of_x0 * x0 + of_x * x, variance"), "along the columns"),
        (back(end="variance, w(of_x0) * x0 + w(of_x) * x"), "The two are exchanged"),
        (back(end="w(of_x0) * x0 + w(of_x) * x"), "Return two tensors"),
        (back(variance="((1 - s) / (1 - a) * (1 - a / s)).clamp(min=1e-20) + 1e-4"), "variance"),
        (back(variance="((1 - s) / (1 - a) * (1 - a / s)).clamp(min=1e-3)"), "At t = 1"),
    ],
    "6.4": [
        (loss(x="x0"), "`net` sees the clean x0"),
        (loss("((net(x) - eps) ** 2).mean()"), "is not told t"),
        (loss("((net(x, t / (len(alpha_bar) - 1)) - eps) ** 2).mean()"), "neither divided by T"),
        (loss("((net(x, alpha_bar[t]) - eps) ** 2).mean()"), "neither divided by T"),
        (loss("((net(x, t) - x0) ** 2).mean()"), "You compare with x0"),
        (loss("((net(x, t) - eps) ** 2).sum()"), "You sum over pictures and pixels"),
        (loss("((net(x, t) - eps) ** 2).sum((1, 2, 3)).mean()"), "You sum over the pixels"),
        (loss("(net(x, t) - eps).abs().mean()"), "You take absolute values"),
        (loss("((net(x, t).detach() - eps) ** 2).mean()"), "it has no graph"),
        (answer("6.4", "x = w(alpha_bar[t].sqrt()) * x0 + w((1 - alpha_bar[t]).sqrt()) * eps\n"
                "with torch.no_grad():\n    guess = net(x, t)\nreturn ((guess - eps) ** 2).mean()"),
         "it has no graph"),
        (loss(x="w(alpha_bar[t].sqrt()) * x0 + w((1 - alpha_bar[t]).sqrt()) * torch.randn_like(x0)"),
         "one of the two is drawn anew"),
        (loss("((net(x, t) - torch.randn_like(eps)) ** 2).mean()"), "one of the two is drawn anew"),
        (loss("((net(x, t) - eps) ** 2).mean().item()"), "Leave out `.item()`"),
        (loss("((net(x, t) - eps) ** 2)"), "one loss for each pixel"),
        (loss("((net(x, t) - eps) ** 2).mean().sqrt()"), "The root at the end is too much"),
        (loss("((net(x, t - 1) - eps) ** 2).mean()"), "You tell `net` t - 1"),
        (loss("((net(t, x) - eps) ** 2).mean()"), "The arguments of `net` are exchanged"),
        (loss("((net(x, w(t)) - eps) ** 2).mean()"), "It wants one for each picture"),
        (loss(x="w(alpha_bar[t]) * x0 + w(1 - alpha_bar[t]) * eps"), "Both roots are missing"),
        (loss(x="alpha_bar[t].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps"), "along the columns"),
        (answer("6.4", "x = w(alpha_bar[t].sqrt()) * x0 + w((1 - alpha_bar[t]).sqrt()) * eps\n"
                "loss = ((net(x, t) - eps) ** 2).mean()\nloss.backward()\nreturn loss"),
         "calls `backward()` itself"),
    ],
    "6.9": [
        (sampler(BUG), "This is still your colleague's sampler"),
        (sampler("(x - (1 - a) / (1 - a).sqrt() * noise) / alpha.sqrt()"), "a bar too many"),
        (sampler("(x - (1 - a) / (1 - alpha).sqrt() * noise) / alpha.sqrt()"), "wrong side of the fraction"),
        (sampler("(x - (1 - alpha) / (1 - a) * noise) / alpha.sqrt()"), "the root is gone"),
        (sampler("(x - (1 - alpha) / (1 - s).sqrt() * noise) / alpha.sqrt()"),
         "the time that the step goes to"),
        (sampler("(x - (1 - alpha) * noise) / alpha.sqrt()"), "The division is missing"),
        (sampler("(x - (1 - a) / (1 - a).sqrt() * noise) / a.sqrt()"), "You put a bar everywhere"),
        (sampler(sigma="(1 - alpha).sqrt()"), "Your last step adds noise"),
        (sampler(BUG, sigma="(1 - alpha).sqrt()"), "Your last step adds noise"),
        (sampler(move="mean"), "You have left out the fresh noise"),
        (sampler(BUG, move="mean"), "You have left out the fresh noise"),
        (sampler(BUG, move="mean + (1 - alpha).sqrt() * torch.randn_like(x) if u > 0 else mean"),
         "You changed the variance"),
        (sampler(times="times[:-1]"), "You stop before t = 0"),
        (sampler(end="None"), "returns None"),
        (sampler(end="x[0]"), "they should have that of x"),
        (sampler(times="times[::-1]"), "no answer: it knows 1 .. T"),
        (sampler(times="range(times[0], -1, -1)"), "you ask `eps` at"),
    ],
}  # fmt: skip


def exercise(id):
    return check.exercises()[id]


def test_all_are_there_in_order():
    ids = [e.id for e in check.diffusion.EXERCISES]
    assert ids == sorted(ids)
    assert set(IDS) <= set(ids)


@pytest.mark.parametrize("id", IDS)
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(100, 106):
        result = exercise(id)(exercise(id).reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    for seed in range(2):
        result = exercise(id)(typed(cell), seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    rejected(exercise(id), typed(cell), sentence, seed=1)


# What the references compute


def test_q_sample_is_the_end_of_the_chain():
    """20,000 chains of a pixel, step by step, have the mean and the variance of one draw in one step."""
    generator = torch.Generator().manual_seed(0)
    betas = torch.tensor([0.0, 0.1, 0.3, 0.2, 0.4])
    x = torch.full((20_000,), 0.7)
    for beta in betas[1:]:
        x = (1 - beta).sqrt() * x + beta.sqrt() * torch.randn(x.shape, generator=generator)
    alpha_bar = schedules.alpha_bars(betas)
    eps = torch.randn(20_000, 1, 1, 1, generator=generator)
    t = torch.full((20_000,), 4)
    drawn = exercise("6.1").reference(torch.full_like(eps, 0.7), t, alpha_bar, eps)
    for of_chain, of_draw in ((x.mean(), drawn.mean()), (x.var(), drawn.var())):
        assert of_chain.item() == pytest.approx(of_draw.item(), abs=0.03)  # four standard deviations


@pytest.mark.parametrize("betas", [schedules.linear_betas(), schedules.cosine_betas()])
def test_the_schedule_comes_back_from_its_ratio(betas):
    alpha_bar = schedules.alpha_bars(betas)
    found, found_betas = exercise("6.2").reference(schedules.snr(alpha_bar)[1:])
    torch.testing.assert_close(found, alpha_bar, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found_betas, betas, rtol=1e-9, atol=1e-12)


def test_the_posterior_is_the_product_of_two_gaussians():
    """By brute force, both densities on a grid; and the closed form that the check compares with."""
    alpha_bar = torch.tensor([1.0, 0.8, 0.5, 0.2], dtype=torch.float64)
    y = torch.linspace(-8, 8, 40_001, dtype=torch.float64)
    for t, x, x0 in ((2, 0.4, -0.9), (3, -1.5, 0.6)):
        a, s = alpha_bar[t], alpha_bar[t - 1]
        log = -((y - s.sqrt() * x0) ** 2) / (2 * (1 - s)) - (x - (a / s).sqrt() * y) ** 2 / (2 * (1 - a / s))
        weight = log.softmax(0)
        mean = (weight * y).sum()
        variance = (weight * (y - mean) ** 2).sum()
        args = (*torch.tensor([x, x0], dtype=torch.float64).view(2, 1, 1, 1, 1), torch.tensor([t]), alpha_bar)
        for found in (exercise("6.3").reference(*args), product(*args)):
            assert found[0].item() == pytest.approx(mean.item(), abs=1e-6)
            assert found[1].item() == pytest.approx(variance.item(), abs=1e-6)


def test_a_perfect_guess_costs_0_and_none_at_all_costs_1():
    x0, eps = torch.rand(64, 1, 8, 8), torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    t, alpha_bar = (
        torch.arange(64) % 9 + 1,
        schedules.alpha_bars(schedules.linear_betas(10, 0.1, 0.5)).float(),
    )

    def knows(x, t):
        return schedules.eps_from_x0(x, x0, alpha_bar[t])

    reference = exercise("6.4").reference
    assert reference(knows, x0, t, eps, alpha_bar).item() < 1e-9
    blind = reference(lambda x, t: torch.zeros_like(x), x0, t, eps, alpha_bar).item()
    assert blind == pytest.approx(1, abs=0.1)  # four standard deviations of a mean of 4,096 squares


def test_the_repaired_sampler_keeps_the_noise_that_belongs_to_t_and_the_colleagues_does_not():
    """Where all data are one picture, x_t is N(sqrt(a) picture, (1 - a) I) at each t on the way."""
    alpha_bar = schedules.alpha_bars(schedules.cosine_betas(100)).float()
    picture, times = torch.rand(1, 4, 4) * 2 - 1, [100, 75, 50, 25, 0]
    x = torch.randn(2000, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    shares = {}
    for name, walk in (("repaired", exercise("6.9").reference), ("colleague", typed(sampler(BUG)))):
        eps = OnePicture(picture, alpha_bar)
        end = walk(eps, x, alpha_bar, times)
        torch.testing.assert_close(end, picture.expand_as(end), rtol=0, atol=1e-4)
        a = alpha_bar[times[1:-1]].view(-1, 1, 1, 1, 1)
        noise = (torch.stack(eps.seen[1:]) - a.sqrt() * picture) / (1 - a).sqrt()
        shares[name] = noise.square().mean((1, 2, 3, 4)).tolist()
    assert shares["repaired"] == pytest.approx([1, 1, 1], abs=0.04)  # five standard deviations
    assert max(shares["colleague"][1:]) < 0.92  # the first step, from a = 0, comes out right


# What is no answer


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    "body", ["raise NotImplementedError", "...", "x = ...\n    return x", "x, y = ...\n    return x"]
)
def test_a_stub_is_not_attempted(id, body):
    result = exercise(id)(typed(f"def f({HEADERS[id]}):\n    {body}"), seed=0)
    assert result.status == "not attempted", result


KINDS = [
    3, (torch.zeros(2), torch.zeros(2)), (1.0, "text"), "text", {"a": 1}, torch.zeros(2, 7), (1.0, 2.0),
    torch.zeros(4, 4, 4, 4, dtype=torch.int64), torch.full((), torch.nan), nn.ReLU(), (torch.zeros(4, 4),),
]  # fmt: skip


@pytest.mark.parametrize("id", IDS)
def test_results_of_a_wrong_kind_or_shape_fail_with_a_sentence(id):
    for value in KINDS:
        result = exercise(id)(lambda *a, v=value: v, seed=0)
        assert result.status == "failed"
        assert "could not work with" not in result.message, result


@pytest.mark.parametrize("id", IDS)
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    texts = [sentence for prop in exercise(id).properties for _, sentence in prop.mistakes]
    for text in [*texts, *exercise(id).hints]:
        assert text.count("`") % 2 == 0, text
        assert not re.search(r"\*\w+\*", text), text
    for text in texts:
        assert "{" not in text, text
