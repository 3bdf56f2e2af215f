"""Exercises 6.5 to 6.8: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks. Those of 6.1 to 6.4 stand
in a file of their own.
"""

import re

import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check, samplers
from course_lib.check.diffusion import around, guided, mixtures
from course_lib.methods.ddpm import DDPM
from course_lib.methods.guidance import guide
from course_lib.restore import repaint
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, x0_from_eps

IDS = ["6.5", "6.6", "6.7", "6.8"]
HEADERS = {
    "6.5": "x, eps, t, alpha_bar, noise",
    "6.6": "x, eps, t, s, alpha_bar",
    "6.7": "eps, x, t, y, guidance",
    "6.8": "x, picture, known, t, alpha_bar, noise",
}


def typed_as(id, body):
    return f"def answer_of_mine({HEADERS[id]}):\n    " + body.replace("\n", "\n    ")


def ancestral(
    mean="(x - beta / (1 - a).sqrt() * eps) / alpha.sqrt()",
    sigma="((1 - b) / (1 - a) * beta).sqrt()",
    setup="a, b = alpha_bar[t], alpha_bar[t - 1]\nalpha = a / b\nbeta = 1 - alpha",
    end="return mean + sigma * noise",
):
    return typed_as("6.5", f"{setup}\nmean = {mean}\nsigma = {sigma}\n{end}")


def implicit(
    x0="(x - (1 - a).sqrt() * eps) / a.sqrt()",
    back="b.sqrt() * x0 + (1 - b).sqrt() * eps",
    setup="a, b = alpha_bar[t], alpha_bar[s]",
):
    return typed_as("6.6", f"{setup}\nx0 = {x0}\nreturn {back}")


def told(
    end="return untold + guidance * (told - untold)",
    first="eps(x, t, y)",
    second="eps(x, t, torch.full_like(y, 10))",
):
    return typed_as("6.7", f"told = {first}\nuntold = {second}\n{end}")


def frame(
    end="return torch.where(known, frame, x)",
    made="alpha_bar[t].sqrt() * picture + (1 - alpha_bar[t]).sqrt() * noise",
):
    return typed_as("6.8", f"frame = {made}\n{end}")


# id -> other right answers
RIGHT = {
    "6.5": [
        ancestral(),
        # through the guess of x_0, as the library does
        typed_as("6.5", "a, b = alpha_bar[t], alpha_bar[t - 1]\nx0 = (x - (1 - a) ** 0.5 * eps) / a ** 0.5\n"
                 "mean = (b ** 0.5 * (1 - a / b) * x0 + (a / b) ** 0.5 * (1 - b) * x) / (1 - a)\n"
                 "return mean + ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5 * noise"),
        # Python numbers
        typed_as("6.5", "a, b = alpha_bar[t].item(), alpha_bar[t - 1].item()\n"
                 "mean = (x - (1 - a / b) / math.sqrt(1 - a) * eps) / math.sqrt(a / b)\n"
                 "return mean + math.sqrt((1 - b) / (1 - a) * (1 - a / b)) * noise"),
        # with an `if`, and a root that is safe at 0
        ancestral(end="return mean + sigma * noise if t > 1 else mean"),
        ancestral(sigma="((1 - b) / (1 - a) * beta).clamp(min=1e-12).sqrt()"),
        # broadcasting by hand
        ancestral(setup="a, b = alpha_bar[t].view(1, 1, 1, 1), alpha_bar[t - 1].reshape(-1, 1, 1, 1)\n"
                  "alpha = a / b\nbeta = 1 - alpha"),
        # all betas from the whole table
        ancestral(setup="alphas = alpha_bar[1:] / alpha_bar[:-1]\na, b = alpha_bar[t], alpha_bar[t - 1]\n"
                  "alpha = alphas[t - 1]\nbeta = 1 - alpha"),
        "from course_lib.schedules import posterior_mean, posterior_variance, x0_from_eps\n"
        + typed_as("6.5", "a, b = alpha_bar[t], alpha_bar[t - 1]\n"
                   "mean = posterior_mean(x, x0_from_eps(x, eps, a), a, b)\n"
                   "return mean + posterior_variance(a, b).sqrt() * noise"),
    ],
    "6.6": [
        implicit(),
        implicit("x / a**0.5 - (1 / a - 1)**0.5 * eps", "x0 * torch.sqrt(b) + eps * torch.sqrt(1 - b)"),
        implicit(setup="a, b = float(alpha_bar[t]), float(alpha_bar[s])",
                 x0="(x - math.sqrt(1 - a) * eps) / math.sqrt(a)",
                 back="math.sqrt(b) * x0 + math.sqrt(1 - b) * eps"),
        # in one line, as an Euler step of the probability flow
        typed_as("6.6", "a, b = alpha_bar[t], alpha_bar[s]\n"
                 "return b.sqrt() * (x / a.sqrt() + (((1 - b) / b).sqrt() - ((1 - a) / a).sqrt()) * eps)"),
        typed_as("6.6", "a, b = alpha_bar[t], alpha_bar[s]\nx0 = (x - (1 - a).sqrt() * eps) / a.sqrt()\n"
                 "if s == 0:\n    return x0\nreturn b.sqrt() * x0 + (1 - b).sqrt() * eps"),
        "from course_lib.schedules import add_noise, x0_from_eps\n"
        + typed_as("6.6", "return add_noise(x0_from_eps(x, eps, alpha_bar[t]), eps, alpha_bar[s])"),
    ],
    "6.7": [
        told(),
        told(end="return guidance * told + (1 - guidance) * untold"),
        told(end="return told + (guidance - 1) * (told - untold)"),
        told(second="eps(x, t, None)"),
        told(second="eps(x, t)"),
        told(second="eps(x, t, torch.zeros_like(y) + 10)"),
        told(second="eps(x, t, torch.full((len(x),), 10, device=x.device))"),
        told(end="return torch.lerp(untold, told, guidance)"),
        typed_as("6.7", "both = eps(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, y * 0 + 10]))\n"
                 "told, untold = both.chunk(2)\nreturn untold + guidance * (told - untold)"),
        typed_as("6.7", "if guidance == 1:\n    return eps(x, t, y)\nuntold = eps(x, t)\n"
                 "return untold + guidance * (eps(x, t, y) - untold)"),
        # picture by picture
        typed_as("6.7", "rows = []\nfor i in range(len(x)):\n    now = x[i:i + 1], t[i:i + 1]\n"
                 "    told, untold = eps(*now, y[i:i + 1]), eps(*now)\n"
                 "    rows.append(untold + guidance * (told - untold))\nreturn torch.cat(rows)"),
    ],
    "6.8": [
        frame(),
        frame(end="return frame * known + x * ~known"),
        frame(end="return known.to(x) * frame + (1 - known.to(x)) * x"),
        frame(end="x = x.clone()\nx[known] = frame[known]\nreturn x"),
        frame(end="return frame.masked_scatter(~known, x[~known])"),
        frame(made="math.sqrt(alpha_bar[t]) * picture + math.sqrt(1 - alpha_bar[t]) * noise"),
        frame(end="return torch.where(~known, x, frame)"),
        frame(end="return torch.where(known, picture if t == 0 else frame, x)"),
        "from course_lib.schedules import add_noise\n"
        + frame(made="add_noise(picture, noise, alpha_bar[t])"),
    ],
}  # fmt: skip

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "6.5": [
        (ancestral("(x - beta / (1 - alpha).sqrt() * eps) / alpha.sqrt()"), "the bar is missing"),
        (ancestral("(x - beta / (1 - a).sqrt() * eps) / a.sqrt()"), "as if you went all the way to x_0"),
        (ancestral("x - beta / (1 - a).sqrt() * eps"), "1 / sqrt(alpha_t) is missing"),
        (ancestral("x / alpha.sqrt() - beta / (1 - a).sqrt() * eps"), "multiplies x only"),
        (ancestral("(x + beta / (1 - a).sqrt() * eps) / alpha.sqrt()"), "You add eps"),
        (ancestral("(x - beta / (1 - a) * eps) / alpha.sqrt()"), "left out the root"),
        (ancestral("(x - beta * eps) / alpha.sqrt()"), "is missing before eps"),
        (ancestral("(x - (1 - a).sqrt() * eps) / a.sqrt()"), "That is the guess of x_0"),
        (ancestral("(x - beta / (1 - a).sqrt() * eps) / alpha"), "It is its square root"),
        (typed_as("6.5", "return (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()"),
         "That is the guess of x_0"),
        (typed_as("6.5", "a, b = alpha_bar[t], alpha_bar[t - 1]\nx0 = (x - (1 - a).sqrt() * eps) / a.sqrt()\n"
                  "return b.sqrt() * x0 + (1 - b).sqrt() * noise"), "all the noise of x_t is taken away"),
        (typed_as("6.5", "a, b = alpha_bar[t], alpha_bar[t - 1]\nx0 = (x - (1 - a).sqrt() * eps) / a.sqrt()\n"
                  "return b.sqrt() * x0 + (1 - b).sqrt() * eps"), "that is DDIM's step"),
        (typed_as("6.5", "a, b = alpha_bar[t], alpha_bar[t - 1]\n"
                  "x0 = ((x - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-1, 1)\n"
                  "mean = (b.sqrt() * (1 - a / b) * x0 + (a / b).sqrt() * (1 - b) * x) / (1 - a)\n"
                  "return mean + ((1 - b) / (1 - a) * (1 - a / b)).sqrt() * noise"), "You clip the guess"),
        (ancestral(sigma="beta.sqrt()"), "At t = 1 you add"),
        (ancestral(sigma="1"), "At t = 1 you add 1 times the noise"),
        (ancestral(sigma="beta.sqrt()", end="return mean + sigma * noise if t > 1 else mean"),
         "the other choice of the paper's"),
        (ancestral(sigma="(1 - b) / (1 - a) * beta"), "multiply the noise with the variance"),
        (ancestral(end="return mean"), "You return the mean"),
        (ancestral(end="return mean + sigma * torch.randn_like(x)"), "you draw noise of your own"),
        (ancestral("x - beta / (1 - a).sqrt() * eps", end="return (mean + sigma * noise) / alpha.sqrt()"),
         "stands inside the brackets"),
        (ancestral(end="return mean + sigma * noise if t > 2 else mean"), "At t = 2 noise is added, too"),
        (ancestral(setup="a, b = alpha_bar[t - 1], alpha_bar[t - 2]\nalpha = a / b\nbeta = 1 - alpha"),
         "one place too early"),
        (ancestral(setup="a, b = alpha_bar[t + 1], alpha_bar[t]\nalpha = a / b\nbeta = 1 - alpha"),
         "one place too late"),
        (ancestral(setup="a = alpha_bar[:t + 1].prod()\nb = alpha_bar[:t].prod()\nalpha = alpha_bar[t]\n"
                   "beta = 1 - alpha"), "this is done already"),
        (ancestral(setup="a, b = alpha_bar[t], alpha_bar[t - 1]\nalpha = b / a\nbeta = 1 - alpha"),
         "the root of a negative number"),
        (ancestral(setup="a, b = alpha_bar[t], alpha_bar[t - 1]\nalpha = a\nbeta = 1 - alpha"),
         "alpha_bar_t in the place of alpha_t"),
        (ancestral(sigma="((1 - a) / (1 - b) * beta).sqrt()",
                   end="return mean + sigma * noise if t > 1 else mean"), "upside down"),
        (ancestral(end="x -= x\nreturn mean + sigma * noise"), "in place"),
        (ancestral(end="return (mean + sigma * noise).float()"), "float64"),
        (ancestral(end="return (mean + sigma * noise).mean()"), "has shape ()"),
        (ancestral(end="return mean, sigma"), "You return a tuple"),
        (ancestral(end="mean + sigma * noise"), "returns None"),
        (ancestral("(x - 2 * eps) / 3"), "0.333 x - 0.667 eps"),
    ],
    "6.6": [
        (implicit(back="b.sqrt() * x0 + (1 - a).sqrt() * eps"), "keeps the noise of time t"),
        (implicit(back="b.sqrt() * x0 + (1 - b) * eps"), "In the direction term the root is missing"),
        (implicit(back="b * x0 + (1 - b).sqrt() * eps"), "Before x_0 the root is missing"),
        (implicit(back="b * x0 + (1 - b) * eps"), "Both roots are missing"),
        (implicit(back="b.sqrt() * x0"), "The direction term is missing"),
        (implicit(back="x0"), "You return the guess of x_0"),
        (implicit(back="x0 + (1 - b).sqrt() * eps"), "x_0 has no weight"),
        (implicit(back="b.sqrt() * x0 - (1 - b).sqrt() * eps"), "You subtract the direction term"),
        (implicit(back="b.sqrt() * x0 + (1 - b).sqrt() * x"), "multiplies x. It multiplies eps"),
        (implicit(back="b.sqrt() * x0 + (1 - b).sqrt() * torch.randn_like(x)"), "you add fresh noise"),
        (implicit(x0="x - (1 - a).sqrt() * eps"), "Yours is not divided"),
        (implicit(x0="(x - (1 - a).sqrt() * eps) / a"), "without the root"),
        (implicit(x0="(x - (1 - a) * eps) / a.sqrt()"), "has no root of 1 - alpha_bar[t]"),
        (implicit(x0="(x + (1 - a).sqrt() * eps) / a.sqrt()"), "adds the noise"),
        (implicit(x0="((x - (1 - a).sqrt() * eps) / a.sqrt()).clamp(-1, 1)"), "You clip the guess"),
        (implicit("(x - (1 - a).sqrt() * eps) / b.sqrt()"), "one of these has the wrong time"),
        (implicit(back="a.sqrt() * x0 + (1 - b).sqrt() * eps"), "one of these has the wrong time"),
        (implicit(setup="a, b = alpha_bar[t], alpha_bar[t - 1]"), "You step to t - 1"),
        (implicit(setup="a, b = alpha_bar[t], alpha_bar[t]"), "You come back to x"),
        (implicit(setup="a, b = alpha_bar[s], alpha_bar[t]"), "t and s are exchanged"),
        (implicit(setup="a, b = alpha_bar[t] / alpha_bar[t - 1], alpha_bar[s] / alpha_bar[s - 1]"),
         "alpha for alpha_bar"),
        (implicit(setup="a, b = alpha_bar[t - 1], alpha_bar[s - 1]"), "one place too early"),
        (implicit(setup="a, b = alpha_bar[t], alpha_bar[t - s]"), "for a number of steps"),
        (typed_as("6.6", "a, b = alpha_bar[t], alpha_bar[s]\n"
                  "return (x - (1 - a / b) / (1 - a).sqrt() * eps) / (a / b).sqrt()"),
         "the mean of DDPM's step"),
        (implicit(back="b.sqrt() * x0 + (1 - b).sqrt() * eps if s > 0 else x"), "At s = 0 you return x"),
        (typed_as("6.6", "a, b = alpha_bar[t], alpha_bar[s]\nx -= (1 - a).sqrt() * eps\nx /= a.sqrt()\n"
                  "return b.sqrt() * x + (1 - b).sqrt() * eps"), "in place"),
        (implicit(back="0.5 * x0 + 0.25 * eps"), "your x_s is 0.5 x_0 + 0.25 eps"),
        (implicit(back="(b.sqrt() * x0 + (1 - b).sqrt() * eps).numpy()"), "You return an ndarray"),
        (implicit(back="x0, eps"), "You return a tuple"),
    ],
    "6.7": [
        (told(end="return told + guidance * (untold - told)"), "exchanged"),
        (told(first="eps(x, t, torch.full_like(y, 10))", second="eps(x, t, y)"), "exchanged"),
        (told(end="return (1 + guidance) * told - guidance * untold"), "the paper's formula with its"),
        (told(end="return untold - guidance * (told - untold)"), "The sign is wrong"),
        (told(second="eps(x, t, y)"), "told alone"),
        (told(first="eps(x, t)"), "untold alone"),
        (told(end="return untold + guidance * told"), "You add all of told"),
        (told(end="return untold + guidance * told - untold"), "for want of brackets"),
        (told(end="return guidance * (told - untold)"), "That is the difference only"),
        (told(second="eps(x, t, torch.zeros_like(y))"), "asks for class 0"),
        (told(second="eps(x, t, torch.full_like(y, 9))"), "asks for class 9"),
        (told(second="eps(x, t, torch.full_like(y, 11))"), "label 11"),
        (told(second="eps(x, t, torch.full_like(y, -1))"), "label -1"),
        (told(second="eps(x, t, 10)"), "one label for each picture"),
        (told(second="eps(x, t, torch.tensor(10))"), "wants one y for each picture"),
        (told(second="eps(x, t - 1, torch.full_like(y, 10))"), "has another time"),
        (told(second="eps(x + 0.1 * torch.randn_like(x), t, torch.full_like(y, 10))"), "something is drawn"),
        (told(second="eps(x, t, torch.full((len(x),), 10.0))"), "whole numbers"),
        (told(second="eps(x, 3, y)"), "with tensors; you give it an int"),
        (told(second="eps(x, t, y.fill_(10))"), "in place"),
        (typed_as("6.7", "both = eps(x.repeat_interleave(2, 0), t.repeat_interleave(2), "
                  "torch.cat([y, y * 0 + 10]))\ntold, untold = both.chunk(2)\n"
                  "return untold + guidance * (told - untold)"), "`repeat_interleave` puts the two copies"),
        (typed_as("6.7", "both = eps(x, t, torch.cat([y, y * 0 + 10]))\nreturn both"),
         "wants one y for each picture"),
        (typed_as("6.7", "both = eps(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, y * 0 + 10]))\n"
                  "return both"), "has the shape of x"),
        (told(end="g = max(guidance, 1)\nreturn untold + g * (told - untold)"), "at 1 or above"),
        (told(end="return 0.2 * told + 0.3 * untold"), "your result is 0.2 told + 0.3 untold"),
        (told(end="return told, untold"), "You return a tuple"),
    ],
    "6.8": [
        (frame(end="return torch.where(known, x, frame)"), "The mask is turned around"),
        (frame(end="return torch.where(known, picture, x)"), "the clean picture around the hole"),
        (frame(end="return frame"), "You put the noisy picture everywhere"),
        (frame(end="return picture"), "with the garbage in its hole"),
        (frame(end="return x"), "the picture plays no part around the hole"),
        (frame(end="return (frame + x) / 2"), "the mean of both everywhere"),
        (frame(end="return frame + x"), "You add both everywhere"),
        (frame(end="return torch.where(known, (frame + x) / 2, x)"), "You blend x into the known part"),
        (frame(end="return frame * known"), "The hole is empty"),
        (frame(end="return x * ~known"), "What is known is 0"),
        (frame(end="return x + frame * known"), "You add x to the known part"),
        (frame(made="alpha_bar[t] * picture + (1 - alpha_bar[t]) * noise"), "The roots are missing"),
        (frame(made="alpha_bar[t].sqrt() * picture + (1 - alpha_bar[t]) * noise"),
         "The root is missing before the noise"),
        (frame(made="picture + (1 - alpha_bar[t]).sqrt() * noise"), "The picture has no weight"),
        (frame(made="alpha_bar[t].sqrt() * picture + noise"), "The noise has no weight"),
        (frame(made="alpha_bar[t].sqrt() * picture"), "The noise is missing"),
        (frame(made="(1 - alpha_bar[t]).sqrt() * picture + alpha_bar[t].sqrt() * noise"), "are exchanged"),
        (frame(made="alpha_bar[t - 1].sqrt() * picture + (1 - alpha_bar[t - 1]).sqrt() * noise"),
         "the noise of time t - 1"),
        (frame(made="(alpha_bar[t] / alpha_bar[t - 1]).sqrt() * picture "
               "+ (1 - alpha_bar[t] / alpha_bar[t - 1]).sqrt() * noise"), "You take alpha_t"),
        (frame(made="alpha_bar[-1].sqrt() * picture + (1 - alpha_bar[-1]).sqrt() * noise"),
         "all the noise of time T"),
        (frame(made="alpha_bar[t].sqrt() * x + (1 - alpha_bar[t]).sqrt() * noise"), "You make x noisy"),
        (typed_as("6.8", "both = torch.where(known, picture, x)\n"
                  "return alpha_bar[t].sqrt() * both + (1 - alpha_bar[t]).sqrt() * noise"),
         "put the two together first"),
        (frame(made="alpha_bar[t].sqrt() * picture + (1 - alpha_bar[t]).sqrt() * torch.randn_like(x)"),
         "you draw noise of your own"),
        (frame(end="x[known] = frame[known]\nreturn x"), "in place"),
        (frame(end="return torch.where(known, frame.clamp(-1, 1), x)"), "You clip the known part"),
        (frame(end="return torch.where(known, 0.99999 * frame, x)"), "have to be the picture's, exactly"),
        (frame(end="return torch.where(known, frame, x) if t > 0 else picture"), "At t = 0, too"),
        (frame(end="return frame * known + x * (1 - known)"), "bool tensor"),
        (frame(end="return x[~known]"), "has shape ("),
        (frame(end="return torch.where(known, frame, x).tolist()"), "You return a list"),
    ],
}  # fmt: skip


def exercise(id):
    return check.exercises()[id]


def test_they_stand_in_order_under_these_names():
    module = check.diffusion
    steps = (module.ddpm_step, module.ddim_step, module.guided_eps, module.inpaint_step)
    assert [e.id for e in steps] == IDS
    assert [e.id for e in module.EXERCISES if e.id in IDS] == IDS


@pytest.mark.parametrize("id", IDS)
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(100, 105):
        result = exercise(id)(exercise(id).reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    result = exercise(id)(typed(cell), seed=1)
    assert result.passed, result


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    rejected(exercise(id), typed(cell), sentence, seed=1)


# What the references compute

TABLE = alpha_bars(cosine_betas(T=50))


def pictures(number, seed=0):
    return torch.randn(number, 3, 1, 6, 6, generator=torch.Generator().manual_seed(seed)).unbind()


@pytest.mark.parametrize("t", [1, 2, 20, 50])
def test_ddpm_step_is_the_samplers_first_step(t):
    """On the table in float64; the sampler draws the noise that the exercise is given."""
    x, eps = (part.double() for part in pictures(2))
    seeded = torch.Generator().manual_seed(3)
    steps = samplers.ddpm(lambda *_: eps, x, TABLE, start=t, steps=t, generator=seeded, clip=False)
    next(steps)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    torch.testing.assert_close(exercise("6.5").reference(x, eps, t, TABLE, noise), next(steps).x)


def test_ddpm_step_draws_from_the_posterior():
    """If eps is the true noise, x_{t-1} is a draw of q(x_{t-1} | x_t, x_0): mean and variance, 5 sigma."""
    t, n = 20, 40_000
    x0, eps = torch.tensor(0.4).double(), torch.tensor(-0.8).double()
    x = add_noise(x0, eps, TABLE[t])
    noise = torch.randn(n, 1, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = exercise("6.5").reference(x.expand_as(noise), eps.expand_as(noise), t, TABLE, noise)
    a, b = TABLE[t].item(), TABLE[t - 1].item()
    variance = 1 / (1 / (1 - a / b) * (a / b) + 1 / (1 - b))  # the precisions of two Gaussians add up
    mean = variance * ((a / b) ** 0.5 * x / (1 - a / b) + b**0.5 * x0 / (1 - b))
    assert drawn.mean().item() == pytest.approx(mean.item(), abs=5 * (variance / n) ** 0.5)
    assert drawn.var().item() == pytest.approx(variance, rel=5 * (2 / n) ** 0.5)


def test_ddim_step_is_the_samplers_and_goes_along_the_path_of_one_noise():
    x, eps = (part.double() for part in pictures(2))
    ddim_step = exercise("6.6").reference
    first, second, *_ = samplers.ddim(lambda *_: eps, x, TABLE, steps=5, clip=False)
    torch.testing.assert_close(ddim_step(x, eps, 50, 40, TABLE), second.x)
    x0 = x0_from_eps(x, eps, TABLE[30])
    for s in (29, 12, 1, 0, 45):  # down, and up
        torch.testing.assert_close(ddim_step(x, eps, 30, s, TABLE), add_noise(x0, eps, TABLE[s]))


def test_guided_eps_is_the_librarys():
    model, (x, y) = DDPM.tiny()
    torch.manual_seed(0)
    for p in model.parameters():  # the last layer begins with zeros
        p.data.add_(0.05 * torch.randn_like(p))
    t = torch.randint(1, 100, (len(x),))
    told, untold = model.eps(x, t, y), model.eps(x, t)
    net = lambda x, t, y: model.eps(x, t, torch.where(y == 10, model.classes, y))  # noqa: E731
    for guidance in (0.0, 1.0, 3.0):
        wanted = model.guided(x, t, y, guidance)
        torch.testing.assert_close(exercise("6.7").reference(net, x, t, y, guidance), wanted)
        torch.testing.assert_close(guided.guide(told, untold, guidance), guide(told, untold, guidance))
    assert not torch.allclose(told, untold, atol=1e-4)


def test_inpaint_step_is_repaints_at_both_ends():
    """At t = 0 RePaint's last picture; in between, mean and spread of q(x_t | x_0) around the hole."""
    inpaint_step = exercise("6.8").reference
    x, true, noise = pictures(3)
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    *_, last = repaint(lambda x, t: x, true, known, TABLE, steps=2, resample=1, jump=1)
    torch.testing.assert_close(inpaint_step(last.x, true, known, 0, TABLE, noise), last.x, rtol=0, atol=0)
    many = torch.randn(20_000, 1, 1, 1, generator=torch.Generator().manual_seed(2))
    at = inpaint_step(torch.zeros_like(many), torch.full_like(many, 0.5), many == many, 20, TABLE, many)
    a = TABLE[20].item()
    assert at.mean().item() == pytest.approx(0.5 * a**0.5, abs=5 * ((1 - a) / 20_000) ** 0.5)
    assert at.var().item() == pytest.approx(1 - a, rel=0.05)


# How a mixture is told


def test_a_mixture_is_taken_apart():
    x, eps = pictures(2)
    parts = {"x": x, "eps": eps}
    assert mixtures.spoken(1.25 * x - 0.4 * eps, parts) == "1.25 x - 0.4 eps"
    assert mixtures.spoken(-2 * eps, parts) == "- 2 eps"
    assert mixtures.spoken(0 * x, parts) == "0 everywhere"
    assert mixtures.spoken(x.clamp(-1, 1), parts) is None
    assert mixtures.spoken(x.mean(0), parts) is None
    assert mixtures.spoken(x / 0, parts) is None


def test_schedules_fall_from_1_and_no_two_betas_are_alike():
    for seed in range(20):
        table = mixtures.schedule(torch.Generator().manual_seed(seed)).double()
        betas = 1 - table[1:] / table[:-1]
        assert table[0] == 1
        assert 0.025 < betas.min() < betas.max() < 0.235
        assert betas.unique().numel() == betas.numel()


def test_the_hole_holds_garbage_and_is_neither_nothing_nor_all():
    for seed in range(20):
        x, true, known, *_ = around._scene(torch.Generator().manual_seed(seed))
        assert 0.3 < known.float().mean() < 0.8
        assert true[known].abs().max() <= 1
        assert true[~known].min() >= 2


# What is no answer


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    "body", ["raise NotImplementedError", "...", "x = ...\n    return x", "mean = ...\n    return mean + 1"]
)
def test_a_stub_is_not_attempted(id, body):
    result = exercise(id)(typed(f"def f({HEADERS[id]}):\n    {body}"), seed=0)
    assert result.status == "not attempted", result


KINDS = [3, (torch.zeros(2), torch.zeros(2)), "text", {"a": 1}, torch.zeros(2, 7), torch.tensor(1), object()]


@pytest.mark.parametrize("id", IDS)
def test_results_of_a_wrong_kind_or_shape_fail_with_a_sentence(id):
    for value in KINDS:
        result = exercise(id)(lambda *a, v=value: v, seed=0)
        assert result.status == "failed"
        assert "could not work with" not in result.message, result


@pytest.mark.parametrize("id", IDS)
def test_nothing_that_is_typed_breaks_a_check(id, capsys):
    for body, words in (
        ("print('hello')\n    raise ValueError('my own')", "my own"),
        ("import sys\n    sys.exit()", "SystemExit"),
        ("return torch.full_like(x, float('nan'))", ""),
        ("return x.to(torch.complex64)", ""),
        ("return x.long()", ""),
        ("return x > 0", ""),
        ("return x.to_sparse()", ""),
        ("return x[..., :0]", "has shape"),
    ):
        result = exercise(id)(typed(f"def f({HEADERS[id]}):\n    {body}"), seed=0)
        assert result.status == "failed", (body, result)
        assert words in result.message, (body, result)
    assert capsys.readouterr().out == ""
    looping = typed(f"def f({HEADERS[id]}):\n    while True:\n        pass")
    assert "never ends" in exercise(id)(looping, seed=0, limit=0.3).message


@pytest.mark.parametrize("id", IDS)
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    texts = [sentence for prop in exercise(id).properties for _, sentence in prop.mistakes]
    for text in [*texts, *exercise(id).hints]:
        assert text.count("`") % 2 == 0, text
    for text in texts:
        assert "{" not in text.replace("x_{t-1}", ""), text
        assert not re.search(r"\*\w+\*", text), text
