"""The exercises of notebook 02: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks.
"""

import math
import re

import numpy as np
import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check
from course_lib.nn import gaussian, likelihoods

MODULE = check.vae
IDS = {f"2.{number}" for number in range(1, 8)}

# id -> other right answers
RIGHT = {
    "2.1": [
        "def kl(mu, logvar): return -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(dim=1)",
        "def kl(mu, logvar): return -0.5 * torch.sum(1 + logvar - mu.pow(2) - torch.exp(logvar), -1)",
        """
from torch.distributions import Normal, kl_divergence
def kl(mu, logvar):
    q = Normal(mu, torch.exp(logvar / 2))
    return kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)
""",
        """
def kl(mu, logvar):
    total = 0
    for i in range(mu.shape[1]):
        total = total + (mu[:, i] ** 2 + logvar[:, i].exp() - 1 - logvar[:, i]) / 2
    return total
""",
        """
def kl(mu, logvar):
    one = lambda m, s: ((m * m).sum() + s.exp().sum() - len(m) - s.sum()) / 2
    return torch.stack([one(m, s) for m, s in zip(mu, logvar)])
""",
        "def kl(mu, logvar): return 0.5 * (torch.einsum('bd,bd->b', mu, mu) + (logvar.expm1() - "
        "logvar).sum(1))",
        """
def kl(mu, logvar):
    sigma = torch.exp(0.5 * logvar)
    return (mu ** 2 / 2 + sigma ** 2 / 2 - 0.5 - torch.log(sigma)).sum(1)
""",
        "def kl(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).view(len(mu), -1).sum(1)",
        "from course_lib.nn.gaussian import kl_to_standard\n"
        "def kl(mu, logvar): return kl_to_standard(mu, logvar).sum(1)",
    ],
    "2.2": [
        "def f(mu, logvar): return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)",
        "def f(mu, logvar): return mu - logvar.exp().sqrt() * torch.randn_like(logvar)",
        "def f(mu, logvar): return torch.distributions.Normal(mu, torch.exp(logvar / 2)).rsample()",
        "def f(mu, logvar):\n    eps = torch.randn(mu.shape, device=mu.device, dtype=mu.dtype)\n"
        "    return eps.mul(logvar.mul(0.5).exp()).add(mu)",
        "def f(mu, logvar): return torch.addcmul(mu, (logvar / 2).exp(), torch.randn_like(mu))",
        """
def f(mu, logvar):
    rows = []
    for m, s in zip(mu, logvar):
        rows.append(m + torch.exp(s / 2) * torch.randn_like(m))
    return torch.stack(rows)
""",
        "def f(mu, logvar):\n    eps = torch.normal(torch.zeros_like(mu), torch.ones_like(mu))\n"
        "    return mu + eps * torch.sqrt(torch.exp(logvar))",
        "def f(mu, logvar):\n    eps = torch.empty_like(mu).normal_()\n"
        "    return mu + eps * math.e ** (logvar / 2)",
        "def f(mu, logvar):\n    eps = torch.randn_like(mu).detach()\n    return eps * logvar.exp() ** 0.5 + "
        "mu",
        "def f(mu, logvar):\n    with torch.no_grad():\n        eps = torch.randn_like(mu)\n"
        "    return mu + torch.exp(logvar / 2) * eps",
        """
def f(mu, logvar):
    q = torch.distributions.MultivariateNormal(mu, scale_tril=torch.diag_embed(torch.exp(logvar / 2)))
    return q.rsample()
""",
        "def f(mu, logvar):\n    u = torch.rand_like(mu).clamp(1e-6, 1 - 1e-6)\n"
        "    return mu + torch.exp(logvar / 2) * math.sqrt(2) * torch.erfinv(2 * u - 1)",
        "from course_lib.nn.gaussian import reparameterize as answer",
    ],
    "2.3": [
        """
def elbo(x, x_hat, sigma, mu, logvar):
    log_p = torch.distributions.Normal(x_hat, sigma).log_prob(x).flatten(1).sum(1)
    return log_p + 0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1)
""",
        """
def kl(mu, logvar):
    return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)
def elbo(x, x_hat, sigma, mu, logvar):
    d = (x - x_hat).reshape(len(x), -1)
    log_p = -(d ** 2).sum(1) / (2 * sigma ** 2) - d.shape[1] * (math.log(sigma) + math.log(2 * math.pi) / 2)
    return log_p - kl(mu, logvar)
""",
        """
def elbo(x, x_hat, sigma, mu, logvar):
    s = torch.tensor(sigma)
    log_pixel = -0.5 * ((x - x_hat) / s) ** 2 - s.log() - 0.5 * math.log(2 * math.pi)
    kl = (mu ** 2 + logvar.exp() - 1 - logvar).sum(1) / 2
    return log_pixel.sum(dim=(1, 2, 3)) - kl
""",
        """
def elbo(x, x_hat, sigma, mu, logvar):
    out = []
    for i in range(len(x)):
        density = -F.gaussian_nll_loss(x_hat[i], x[i], torch.full_like(x[i], sigma ** 2), full=True,
                                       reduction="sum")
        out.append(density - 0.5 * (mu[i] ** 2 + logvar[i].exp() - 1 - logvar[i]).sum())
    return torch.stack(out)
""",
        """
from course_lib.nn.gaussian import kl_to_standard
from course_lib.nn.likelihoods import gaussian
def elbo(x, x_hat, sigma, mu, logvar):
    return gaussian(x, x_hat, torch.tensor(math.log(sigma))) - kl_to_standard(mu, logvar).sum(1)
""",
        """
def elbo(x, x_hat, sigma, mu, logvar):
    B, C, H, W = x.shape
    squares = F.mse_loss(x_hat, x, reduction="none").view(B, -1).sum(1)
    loss = squares / (2 * sigma ** 2) + C * H * W / 2 * np.log(2 * np.pi * sigma ** 2)
    loss = loss + 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(-1)
    return -loss
""",
    ],
    "2.4": [
        """
def slerp(a, b, t):
    cos = torch.dot(a, b) / (a.norm() * b.norm())
    w = torch.arccos(torch.clamp(cos, -1.0, 1.0))
    if w.sin() < 1e-6:
        return torch.lerp(a, b, t)
    return torch.sin((1 - t) * w) / torch.sin(w) * a + torch.sin(t * w) / torch.sin(w) * b
""",
        """
def slerp(a, b, t):
    cos = float(F.cosine_similarity(a, b, dim=0))
    w = math.acos(max(-1.0, min(1.0, cos)))
    if math.sin(w) < 1e-6:
        return a + t * (b - a)
    return math.sin((1 - t) * w) / math.sin(w) * a + math.sin(t * w) / math.sin(w) * b
""",
        """
def slerp(a, b, t):
    u, v = a / a.norm(), b / b.norm()
    cos = (u * v).sum().clamp(-1, 1)
    if cos > 0.9995:
        return (1 - t) * a + t * b
    w = cos.acos()
    return (((1 - t) * w).sin() * a + (t * w).sin() * b) / w.sin()
""",
        """
def slerp(a, b, t):
    u, v = F.normalize(a, dim=0), F.normalize(b, dim=0)
    w = 2 * torch.atan2((u - v).norm(), (u + v).norm())
    if torch.sin(w) < 1e-6:
        return (1 - t) * a + t * b
    return torch.sin((1 - t) * w) / torch.sin(w) * a + torch.sin(t * w) / torch.sin(w) * b
""",
        """
def slerp(a, b, t):
    w = torch.acos(a @ b / (a.norm() * b.norm()))
    if torch.isnan(w) or torch.sin(w) < 1e-6:
        return (1 - t) * a + t * b
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)
""",
        """
def slerp(a, b, t):
    A, B = a.double(), b.double()
    w = torch.acos(torch.clip((A * B).sum() / torch.linalg.norm(A) / torch.linalg.norm(B), -1, 1))
    z = (1 - t) * A + t * B
    if torch.sin(w) >= 1e-6:
        z = torch.sin((1 - t) * w) / torch.sin(w) * A + torch.sin(t * w) / torch.sin(w) * B
    return z.to(a.dtype)
""",
        """
def slerp(a, b, t):
    cos = (a @ b / (a.norm() * b.norm())).clamp(-1 + 1e-7, 1 - 1e-7)
    w = torch.acos(cos)
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)
""",
    ],
    "2.5": [
        """
def beta_at(step, warmup, final):
    if warmup == 0:
        return final
    return final * min(1.0, step / warmup)
""",
        "def beta_at(step, warmup, final): return final if step >= warmup else step / warmup * final",
        """
def beta_at(step, warmup, final):
    if step >= warmup:
        return final
    return 0 + (final - 0) * step / warmup
""",
        "def beta_at(step, warmup, final):\n    share = np.clip(step / warmup, 0, 1) if warmup else 1\n"
        "    return final * share",
        "def beta_at(step, warmup, final): return final * (min(step, warmup) / warmup if warmup > 0 else 1)",
        "def beta_at(step, warmup, final):\n"
        "    return float(np.interp(step, [0, warmup], [0, final])) if warmup else final",
        "def beta_at(step, warmup, final):\n    try:\n        return min(final, final * step / warmup)\n"
        "    except ZeroDivisionError:\n        return final",
        "def beta_at(step, warmup, final):\n    if step < warmup:\n"
        "        return (torch.tensor(step) / warmup * final).item()\n    return final",
        "def beta_at(step, warmup, final):\n    line = [final * s / warmup for s in range(warmup)]\n"
        "    return line[step] if step < len(line) else final",
    ],
    "2.6": [
        "def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0) - math.log(log_p.shape[0])",
        "def f(log_p, log_q): return (log_p - log_q).logsumexp(dim=0) - np.log(len(log_q))",
        "def f(log_p, log_q):\n    k = log_p.shape[0]\n"
        "    return torch.logsumexp(log_p - log_q - math.log(k), dim=0)",
        """
def f(log_p, log_q):
    w = log_p - log_q
    m = w.max(dim=0).values
    return m + torch.log(torch.exp(w - m).mean(dim=0))
""",
        """
def f(log_p, log_q):
    total = log_p[0] - log_q[0]
    for p, q in zip(log_p[1:], log_q[1:]):
        total = torch.logaddexp(total, p - q)
    return total - torch.log(torch.tensor(float(len(log_p))))
""",
        """
@torch.no_grad()
def f(log_p, log_q):
    w = (log_p - log_q).T
    return torch.stack([torch.logsumexp(row, 0) for row in w]) - math.log(w.shape[1])
""",
        "def f(log_p, log_q):\n    w = log_p - log_q\n"
        "    return (w - torch.log_softmax(w, dim=0))[0] - math.log(len(w))",
        "def f(log_p, log_q):\n    w = log_p - log_q\n    m = w.amax(0, keepdim=True)\n"
        "    return m.squeeze(0) + (w - m).exp().sum(0).log() + math.log(1 / w.shape[0])",
    ],
    "2.7": [
        "def f(groups):\n    w = 1 / torch.bincount(groups)[groups]\n    return w / w.sum()",
        "def f(groups):\n    w = 1.0 / torch.bincount(groups).double()[groups]\n    return w / w.sum()",
        """
def f(groups):
    names, index, counts = torch.unique(groups, return_inverse=True, return_counts=True)
    return 1 / (len(names) * counts[index])
""",
        """
def f(groups):
    weights = torch.zeros(len(groups))
    for g in groups.unique():
        weights[groups == g] = 1 / (groups == g).sum()
    return weights / weights.sum()
""",
        """
from collections import Counter
def f(groups):
    counts = Counter(groups.tolist())
    return torch.tensor([1 / counts[g] / len(counts) for g in groups.tolist()])
""",
        """
def f(groups):
    same = groups[:, None] == groups[None, :]
    w = 1 / same.float().sum(1)
    return F.normalize(w, p=1, dim=0)
""",
        """
def f(groups):
    _, index, counts = np.unique(groups.numpy(), return_inverse=True, return_counts=True)
    w = 1 / counts[index]
    return torch.from_numpy(w / w.sum())
""",
        """
def f(groups):
    member = F.one_hot(groups).float()
    size = member.sum(0)
    w = torch.where(size > 0, 1 / size, torch.zeros_like(size))
    return member @ w / (size > 0).sum()
""",
        "def f(groups):\n    w = torch.bincount(groups)[groups].float().reciprocal()\n    return w / w.sum()",
    ],
}

KL = "0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)"
SQUARES = "((x - x_hat) ** 2).sum((1, 2, 3))"
CONSTANT = "x[0].numel() / 2 * math.log(2 * math.pi * sigma ** 2)"


def bound(body):
    return f"def elbo(x, x_hat, sigma, mu, logvar):\n    kl = {KL}\n    P = x[0].numel()\n    return {body}"


def circle(weights, angle="torch.acos(a @ b / a.norm() / b.norm())"):
    return f"def slerp(a, b, t):\n    w = {angle}\n    return {weights}"


SINES = "(torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)"


def weighted(body):
    return f"def f(groups):\n    counts = torch.bincount(groups)\n    return {body}"


# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "2.1": [
        (
            "def f(mu, logvar): return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())",
            "sum over the b",
        ),
        (
            "def f(mu, logvar): return -0.5 * torch.mean(1 + logvar - mu.pow(2) - logvar.exp())",
            "mean over every",
        ),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).mean(1)", "the d dimensions"),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1).mean()", "at the end"),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(0)",
            "sum over the batch, one",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).mean(0)",
            "mean over the batch, one",
        ),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar)", "The sum over dimension 1"),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - logvar).sum(1)", "The -1 is missing"),
        ("def f(mu, logvar): return 0.5 * ((mu ** 2 + logvar.exp() - logvar).sum(1) - 1)", "only once"),
        ("def f(mu, logvar): return 0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1)", "sign is turned"),
        ("def f(mu, logvar): return (1 + logvar - mu ** 2 - logvar.exp()).sum(1)", "and the factor 1/2"),
        ("def f(mu, logvar): return (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)", "factor 1/2"),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + torch.exp(2 * logvar) - 1 - 2 * logvar).sum(1)",
            "log sigma.",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() ** 2 - 1 - logvar).sum(1)",
            "square the variance",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + torch.exp(logvar / 2) - 1 - logvar).sum(1)",
            "You put sigma",
        ),
        ("def f(mu, logvar): return 0.5 * (mu + logvar.exp() - 1 - logvar).sum(1)", "not squared"),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 + logvar).sum(1)", "You add logvar"),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1).sum(1)", "The logarithm is missing"),
        ("def f(mu, logvar): return 0.5 * (mu ** 2 + logvar - 1 - logvar).sum(1)", "You put logvar where"),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar - 1 - torch.log(logvar)).sum(1)",
            "logarithm already",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - torch.log(logvar)).sum(1)",
            "logarithm already",
        ),
        (
            "from torch.distributions import Normal, kl_divergence\ndef f(mu, logvar):\n"
            "    p = Normal(torch.zeros_like(mu), torch.ones_like(mu))\n"
            "    return kl_divergence(p, Normal(mu, torch.exp(logvar / 2))).sum(1)",
            "other way round",
        ),
        (
            "from torch.distributions import Normal\ndef f(mu, logvar):\n"
            "    q, p = Normal(mu, torch.exp(logvar / 2)), Normal(0, 1)\n    z = q.rsample()\n"
            "    return (q.log_prob(z) - p.log_prob(z)).sum(1)",
            "you draw z at random",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1).squeeze()",
            "`.squeeze()`",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1, True)",
            "`keepdim` out",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum().item()",
            "Leave out `.item()`",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu.detach() ** 2 + logvar.exp() - 1 - logvar).sum(1)",
            "argument 1",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + torch.exp(logvar.detach()) - 1 - logvar).sum(1)",
            "the gradient for argument 2 is not",
        ),
        (
            "@torch.no_grad()\ndef f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)",
            "No gradient reaches argument 1",
        ),
        (
            "def f(mu, logvar):\n    logvar.exp_()\n    return (mu ** 2 + logvar - 1 - logvar.log()).sum(1) "
            "/ 2",
            "in place",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.exp() - 1.5 - logvar).sum(1)",
            "of N(0, I) against itself",
        ),
        (
            "def f(mu, logvar): return 0.5 * (mu ** 2 + logvar.float().exp() - 1 - logvar).float().sum(1)",
            "float64",
        ),
        ("def f(mu, logvar): 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1)", "is a `return` missing"),
        ("def f(mu): return mu", "cannot call"),
    ],
    "2.2": [
        (
            "def f(mu, logvar): return mu + torch.exp(logvar) * torch.randn_like(mu)",
            "`exp(logvar)` is sigma^2",
        ),
        ("def f(mu, logvar): return mu + logvar * torch.randn_like(mu)", "with logvar itself"),
        ("def f(mu, logvar): return mu + 0.5 * logvar * torch.randn_like(mu)", "The exponential is missing"),
        ("def f(mu, logvar): return mu + torch.sqrt(logvar) * torch.randn_like(mu)", "square root or a log"),
        (
            "def f(mu, logvar): return mu + torch.exp(-0.5 * logvar) * torch.randn_like(mu)",
            "divide the noise by sigma",
        ),
        ("def f(mu, logvar): return mu + torch.randn_like(mu)", "Sigma plays no part"),
        (
            "def f(mu, logvar): return torch.exp(logvar / 2) * (mu + torch.randn_like(mu))",
            "multiply mu with sigma",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.randn(mu.shape[1])",
            "All rows get the same",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar) * torch.randn(mu.shape[-1])",
            "All rows get the same",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.randn(len(mu), 1)",
            "numbers of a row",
        ),
        ("def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.randn(1)", "One random number serves"),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * np.random.randn()",
            "One random number serves",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.rand_like(mu)",
            "Your noise is uniform",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * (2 * torch.rand_like(mu) - 1)",
            "Your noise is uniform",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * (torch.rand_like(mu) - 0.5) * 12 ** 0.5",
            "Your noise is uniform",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.randn_like(mu).abs()",
            "never negative",
        ),
        ("def f(mu, logvar): return torch.exp(logvar / 2) * torch.randn_like(mu)", "add mu to the noise"),
        (
            "def f(mu, logvar): return torch.exp(logvar / 2) + mu * torch.randn_like(mu)",
            "is multiplied with mu",
        ),
        (
            "def f(mu, logvar): return mu * torch.exp(logvar / 2) * torch.randn_like(mu)",
            "is multiplied with mu",
        ),
        ("def f(mu, logvar): return mu", "You return mu itself"),
        ("def f(mu, logvar): return mu + torch.exp(0.5 * logvar)", "You add sigma itself"),
        (
            "def f(mu, logvar): return torch.normal(mu, torch.exp(logvar / 2))",
            "No gradient reaches mu and logvar",
        ),
        (
            "def f(mu, logvar): return torch.distributions.Normal(mu, torch.exp(logvar / 2)).sample()",
            "No gradient reaches mu and logvar",
        ),
        (
            "def f(mu, logvar):\n    with torch.no_grad():\n"
            "        return mu + torch.exp(logvar / 2) * torch.randn_like(mu)",
            "No gradient reaches mu and logvar",
        ),
        (
            "def f(mu, logvar): return (mu + torch.exp(logvar / 2) * torch.randn_like(mu)).detach()",
            "No gradient reaches mu and logvar",
        ),
        (
            "def f(mu, logvar): return mu + torch.exp(logvar / 2).detach() * torch.randn_like(mu)",
            "No gradient reaches logvar",
        ),
        (
            "def f(mu, logvar): return mu.data + torch.exp(logvar / 2) * torch.randn_like(mu)",
            "No gradient reaches mu:",
        ),
        (
            "def f(mu, logvar):\n    torch.manual_seed(0)\n"
            "    return mu + torch.exp(logvar / 2) * torch.randn_like(mu)",
            "Is a seed set",
        ),
        (
            "def f(mu, logvar):\n    g = torch.Generator().manual_seed(1)\n"
            "    return mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=g)",
            "Is a seed set",
        ),
        ("def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.randn(mu.shape)", "mixes devices"),
        (
            "def f(mu, logvar):\n    mu += torch.exp(logvar / 2) * torch.randn_like(mu)\n    return mu",
            "in place",
        ),
        (
            "def f(mu, logvar):\n    eps = torch.from_numpy(np.random.randn(*mu.shape))\n"
            "    return mu + torch.exp(logvar / 2) * eps",
            "float64",
        ),
        (
            "def f(mu, logvar): return (mu + torch.exp(logvar / 2) * torch.randn_like(mu)).mean(0)",
            "has shape (24,)",
        ),
        (
            "def f(mu, logvar): return (mu, torch.exp(logvar / 2) * torch.randn_like(mu))",
            "You return a tuple",
        ),
        ("def f(mu, logvar): return mu + torch.exp(logvar / 2) * torch.randn_like(mu) * 1.5", "variance 2."),
        ("def f(mu, logvar): return mu + F.softplus(logvar) * torch.randn_like(mu)", "and variance 0."),
        (
            "def f(mu, logvar): return 0.5 * mu + torch.exp(logvar / 2) * torch.randn_like(mu)",
            "times mu. Add mu once",
        ),
        (
            "def f(mu, logvar): return mu + (1 + logvar).abs() * torch.randn_like(mu)",
            "has a standard deviation of",
        ),
        ("def f(mu, logvar, eps): return mu + torch.exp(logvar / 2) * eps", "cannot call"),
    ],
    "2.3": [
        (
            bound(
                f"-{SQUARES} / (2 * sigma ** 2) / x[0].numel() - math.log(2 * math.pi * sigma ** 2) / 2 - kl"
            ),
            "mean over",
        ),
        (
            bound(f"-{SQUARES} / x[0].numel() / (2 * sigma ** 2) - {CONSTANT} - kl"),
            "mean of the squared errors",
        ),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl / len(mu[0])"), "mean of the KL over the d"),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl / x[0].numel()"),
            "divide the KL by the number",
        ),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - kl"), "is missing. Without it this is no"),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - x[0].numel() * math.log(sigma) - kl"),
            "The 2 pi is missing",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - x[0].numel() / 2 * math.log(2 * math.pi) - kl"),
            "The logarithm of sigma is missing",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - P * math.log(sigma) - P * math.log(2 * math.pi) - kl"),
            "The factor 1/2 before log(2 pi)",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - math.log(sigma) - P * math.log(2 * math.pi) / 2 - kl"),
            "You count log sigma once",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - P * math.log(sigma) - math.log(2 * math.pi) / 2 - kl"),
            "You count 1/2 log(2 pi) once",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - P / 2 * math.log(2 * math.pi * sigma) - kl"),
            "You count half of log sigma",
        ),
        (
            bound(
                f"-{SQUARES} / (2 * sigma ** 2) + P * math.log(sigma) - P * math.log(2 * math.pi) / 2 - kl"
            ),
            "You add log sigma",
        ),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} + kl"), "You add the KL"),
        (bound(f"{SQUARES} / (2 * sigma ** 2) + {CONSTANT} + kl"), "You return the loss"),
        (bound(f"-{SQUARES} / (2 * sigma) - {CONSTANT} - kl"), "square sigma first"),
        (bound(f"-{SQUARES} / (2 * sigma) - {CONSTANT.replace('** 2', '')} - kl"), "sigma for the variance"),
        (bound(f"-{SQUARES} / sigma ** 2 - {CONSTANT} - kl"), "factor 1/2 before the squared error"),
        (bound(f"-{SQUARES} / 2 * sigma ** 2 - {CONSTANT} - kl"), "are brackets missing"),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT.replace('/ 2 ', '')} - kl"),
            "before the logarithm",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - math.log(2 * math.pi * sigma ** 2) / 2 - kl"),
            "once for each pic",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT.replace('x[0]', 'x[0, 0]')} - kl"),
            "each channel",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT.replace('x[0]', 'x')} - kl"),
            "for the whole batch",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT.replace('x[0].numel()', '784')} - kl"),
            "count 784",
        ),
        (
            bound(f"(-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl).mean()"),
            "mean over the batch at the end",
        ),
        (bound(f"(-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl).sum()"), "You sum over the batch"),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT}"), "The KL is missing"),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl.mean()"), "mean KL of the batch"),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl.sum()"), "KL of the whole batch"),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - 2 * kl"),
            "exercise 2.1. You have twice the KL",
        ),
        (
            bound(
                f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - 0.5 * (mu ** 2 + logvar.exp() - logvar).sum(1)"
            ),
            "exercise 2.1. The -1 is missing",
        ),
        (bound("-F.mse_loss(x_hat, x) - kl"), "negative mean squared error of the whole batch"),
        (bound(f"-{SQUARES} - kl"), "negative squared error, no"),
        (bound(f"{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl"), "You add the squared error"),
        (bound("-kl"), "The log-density of x is missing"),
        (
            bound("torch.distributions.Normal(x_hat, sigma).log_prob(x).mean((1, 2, 3)) - kl"),
            "mean over the pixels",
        ),
        (
            bound("torch.distributions.Normal(x_hat, sigma ** 2).log_prob(x).sum((1, 2, 3)) - kl"),
            "With a KL of 0",
        ),
        (bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl[:, None]"), "has shape"),
        (bound(f"-{SQUARES} / (2 * torch.log(sigma)) - {CONSTANT} - kl"), "must be Tensor, not float"),
        (
            bound(f"-{SQUARES.replace('x_hat', 'x_hat.detach()')} / (2 * sigma ** 2) - {CONSTANT} - kl"),
            "argument 2",
        ),
        (
            bound(f"-{SQUARES} / (2 * sigma ** 2) - {CONSTANT} - kl.detach()"),
            "No gradient reaches argument 4",
        ),
        (
            f"def elbo(x, x_hat, sigma, mu, logvar):\n    x -= x_hat\n    kl = {KL}\n"
            f"    return -x.square().sum((1, 2, 3)) / (2 * sigma ** 2) - {CONSTANT} - kl",
            "argument 1) in place",
        ),
        (
            "def kl(mu, logvar):\n    raise NotImplementedError\n"
            "def elbo(x, x_hat, sigma, mu, logvar):\n    loss = ((x - x_hat) ** 2).mean() + mu.mean()\n"
            "    loss.backward()\n    return loss",
            "calls `backward()` itself",
        ),
    ],
    "2.4": [
        ("def f(a, b, t): return (1 - t) * a + t * b", "That is the straight line, which"),
        ("def f(a, b, t): return torch.lerp(a, b, t)", "That is the straight line, which"),
        (circle(SINES, "torch.acos(a @ b)"), "plain dot product"),
        (circle(SINES, "torch.acos((a @ b).clamp(-1, 1))"), "plain dot product"),
        (circle(SINES, "torch.acos(a @ b / a.norm())"), "by the length of a only"),
        (circle(SINES, "a @ b / (a.norm() * b.norm())"), "cosine as if it were the angle"),
        (circle(SINES, "torch.rad2deg(torch.acos(a @ b / (a.norm() * b.norm())))"), "in degrees"),
        (circle(SINES, "torch.cos(a @ b / (a.norm() * b.norm()))"), "cosine of the cosine"),
        (circle("(torch.sin(t * w) * a + torch.sin((1 - t) * w) * b) / torch.sin(w)"), "are swapped"),
        (circle("torch.sin((1 - t) * w) * a + torch.sin(t * w) * b"), "don't divide by sin(w)"),
        (
            circle("torch.sin((1 - t) * w) * a + torch.sin(t * w) * b / torch.sin(w)"),
            "brackets are missing around the",
        ),
        (circle("(torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / w"), "Divide by its sine"),
        (
            circle("(torch.sin(1 - t * w) * a + torch.sin(t * w) * b) / torch.sin(w)"),
            "Brackets are missing around 1",
        ),
        (circle("(torch.cos((1 - t) * w) * a + torch.cos(t * w) * b) / torch.cos(w)"), "cosines where"),
        (circle("(torch.sin((1 - t) * w) * a - torch.sin(t * w) * b) / torch.sin(w)"), "subtract the second"),
        (circle(f"F.normalize({SINES}, dim=0)"), "divide the result by its length"),
        (
            "def f(a, b, t):\n    a, b = a / a.norm(), b / b.norm()\n    w = torch.acos(a @ b)\n"
            f"    return {SINES}",
            "after dividing them by their lengths",
        ),
        (
            "def f(a, b, t):\n    z = (1 - t) * a + t * b\n    return z / z.norm()",
            "straight line, brought to length 1",
        ),
        (
            "def f(a, b, t):\n    z = (1 - t) * a + t * b\n"
            "    return z / z.norm() * ((1 - t) * a.norm() + t * b.norm())",
            "its length corrected",
        ),
        (circle(SINES), "not a number"),
        (
            "def f(a, b, t):\n    w = torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))\n"
            f"    return {SINES}",
            "For codes that point the same way w is 0",
        ),
        (
            "def f(a, b, t):\n    w = torch.acos(a @ b / (a.norm() * b.norm()))\n"
            f"    if torch.sin(w) < 1e-6:\n        return (1 - t) * a + t * b\n    return {SINES}",
            "rounding makes the cosine 1.0000001",
        ),
        (
            "def f(a, b, t):\n    w = torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))\n"
            f"    if torch.sin(w) < 1e-3:\n        return a\n    return {SINES}",
            "Return the straight line where",
        ),
        ("def f(a, b, t): return a + t ** 2 * (b - a)", "Between two codes of length"),
        ("def f(a, b, t): return a", "At t = 1 the result must be b itself"),
        ("def f(a, b, t): return (a + b) / 2", "At t = 0 the result must be a itself"),
        ("def f(a, b, t): return ((1 - t) * a + t * b).numpy()", "ndarray"),
        ("def f(a, b, t): return [x for x in (1 - t) * a + t * b]", "You return a list"),
        (
            "def f(a, b, t):\n    a /= a.norm()\n    b /= b.norm()\n    w = torch.acos((a @ b).clamp(-1, "
            f"1))\n    return {SINES}",
            "after dividing them by their lengths",
        ),
        (
            "def f(a, b, t):\n    n, m = a.norm(), b.norm()\n    a /= n\n    b /= m\n"
            "    w = torch.acos((a @ b).clamp(-1, 1))\n    if w.sin() < 1e-6:\n"
            "        return (1 - t) * n * a + t * m * b\n"
            f"    return {SINES.replace('* a', '* n * a').replace('* b', '* m * b')}",
            "in place",
        ),
        (circle(SINES, "math.acos(a @ b / (a.norm() * b.norm()))"), "must be Tensor, not float"),
    ],
    "2.5": [
        ("def f(step, warmup, final): return final * step / warmup", "goes on growing"),
        ("def f(step, warmup, final): return final * max(0, 1 - step / warmup)", "falls from `final`"),
        ("def f(step, warmup, final): return final - final * step / warmup", "goes on below 0"),
        (
            "def f(step, warmup, final): return final * min(1, step // warmup)",
            "jumps to `final`: is there a `//`",
        ),
        ("def f(step, warmup, final): return step // warmup * final", "in stairs"),
        ("def f(step, warmup, final): return 0 if step < warmup else final", "jumps to `final`"),
        ("def f(step, warmup, final): return final if step > warmup else 0", "jumps to `final`"),
        ("def f(step, warmup, final): return min(1.0, step / warmup)", "`final` plays no part"),
        ("def f(step, warmup, final): return min(final, step / warmup)", "You cut at `final`"),
        ("def f(step, warmup, final): return final * min(1, (step + 1) / warmup)", "one step ahead"),
        ("def f(step, warmup, final): return final * min(1, step / (warmup - 1))", "one step too early"),
        ("def f(step, warmup, final): return final * (step % warmup) / warmup", "starts again from 0"),
        ("def f(step, warmup, final): return min(1, step / final)", "You divide by `final`"),
        ("def f(step, warmup, final): return final * min(1, step / final)", "grows by 1 at each step"),
        ("def f(step, warmup, final): return final * max(1, step / warmup)", "take the larger of two"),
        ("def f(step, warmup, final): return final", "there is no warm-up"),
        (
            "def f(step, warmup, final): return final * min(1.0, step / warmup)",
            "warmup = 0 your code divides by 0",
        ),
        (
            "def f(step, warmup, final): return final * min(1.0, step / max(1, warmup))",
            "With warmup = 0 the weight must be `final`",
        ),
        ("def f(step, warmup, final): return final * min(1.0, step / (warmup + 1e-8))", "With warmup = 0"),
        (
            "def f(step, warmup, final):\n    if warmup == 0:\n        return 0.0\n"
            "    return final * min(1.0, step / warmup)",
            "With warmup = 0 the weight must be `final`",
        ),
        (
            "def f(step, warmup, final):\n    if step < warmup:\n        return final * step / warmup",
            "is a `return` missing",
        ),
        (
            "def f(step, warmup, final): return final * torch.tensor(step / warmup).clamp(max=1)",
            "You return a Tensor",
        ),
        ("def f(step, warmup, final): return final * min(1, warmup / step)", "division by zero"),
        ("def f(step, warmup, final): return final * min(1, step / warmup) ** 2", "at step 1 you return"),
        ("def f(step, warmup, final): return final * (1 - math.exp(-step / warmup))", "at step 1 you return"),
        (
            "def f(step, warmup, final):\n    warmup = min(warmup, 50)\n"
            "    return final if step >= warmup else final * step / warmup",
            "at step 1 you return",
        ),
        (
            "def f(step, warmup, final):\n    if step > 1000:\n        return 0.0\n"
            "    return final if step >= warmup else final * step / warmup",
            "long after, you return",
        ),
    ],
    "2.6": [
        ("def f(log_p, log_q): return (log_p - log_q).mean(0)", "mean of the logarithms"),
        ("def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0)", "The 1/k is missing"),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0) + math.log(len(log_p))",
            "You add log k",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0) / len(log_p)",
            "divide the logarithm by k",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 1) - math.log(log_p.shape[1])",
            "over the pictures, dimension 1",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0) - math.log(log_p.shape[1])",
            "You subtract log B",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p + log_q, 0) - math.log(len(log_p))",
            "You add log_q",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_q - log_p, 0) - math.log(len(log_p))",
            "upside down",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p, 0) - math.log(len(log_p))",
            "log_q plays no part",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p, 0) - torch.logsumexp(log_q, 0)",
            "a sum by a sum",
        ),
        ("def f(log_p, log_q): return (log_p - log_q).max(0).values", "best draw of each"),
        ("def f(log_p, log_q): return (log_p - log_q).mean()", "over everything"),
        ("def f(log_p, log_q):\n    w = log_p - log_q\n    return (w.softmax(0) * w).sum(0)", "with softmax"),
        ("def f(log_p, log_q): return torch.exp(log_p - log_q).mean(0)", "The logarithm at the end"),
        (
            "def f(log_p, log_q): return math.log(len(log_p)) - torch.logsumexp(log_p - log_q, 0)",
            "that is the loss",
        ),
        ("def f(log_p, log_q): return torch.log(torch.exp(log_p - log_q).mean(0))", "exp(-2000) is 0"),
        ("def f(log_p, log_q): return (log_p.exp() / log_q.exp()).mean(0).log()", "exp(-2000) is 0"),
        (
            "def f(log_p, log_q): return torch.log((log_p - log_q).double().exp().mean(0)).float()",
            "exp(-2000) is 0",
        ),
        (
            "def f(log_p, log_q):\n    w = log_p - log_q\n    return torch.log((w - w.max()).exp().mean(0)) "
            "+ w.max()",
            "that of the whole batch",
        ),
        (
            "def f(log_p, log_q):\n    w = log_p - log_q + 1980\n    return torch.log(w.exp().mean(0)) - "
            "1980",
            "infinite",
        ),
        (
            "def f(log_p, log_q): return (torch.logsumexp(log_p - log_q, 0) - math.log(len(log_p))).mean()",
            "mean over the batch at the end",
        ),
        (
            "def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0, keepdim=True) - "
            "math.log(len(log_p))",
            "leave `keepdim` out",
        ),
        ("def f(log_p, log_q): return log_p - log_q - math.log(len(log_p))", "one number for each draw"),
        (
            "def f(log_p, log_q):\n    log_p -= log_q\n    return log_p.logsumexp(0) - math.log(len(log_p))",
            "in place",
        ),
        ("def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0) - math.log(5)", "With one draw"),
        ("def f(log_p, log_q): return torch.logsumexp(log_p - log_q, 0).tolist()", "You return a list"),
        ("def f(log_p, log_q): return (log_p - log_q).median(0).values", "At ["),
        (
            "def f(log_p, log_q): return (torch.logsumexp(log_p - log_q, 0) - math.log(len(log_p))).float()",
            "float64",
        ),
    ],
    "2.7": [
        (weighted("counts[groups] / counts[groups].sum()"), "grow with the size of the group"),
        (weighted("1 / counts[groups]"), "sum to the number of groups"),
        (weighted("1 / counts"), "one weight for each group"),
        (weighted("(1 / counts[counts > 0]) / (1 / counts[counts > 0]).sum()"), "one weight for each group"),
        ("def f(groups): return torch.ones(len(groups)) / len(groups)", "Every picture has the weight 1/N"),
        (
            "def f(groups):\n    w = 1 / torch.bincount(groups)[groups].sqrt()\n    return w / w.sum()",
            "square root of the size",
        ),
        (
            "def f(groups):\n    w = 1 / torch.bincount(groups)[groups]\n    return w / w.max()",
            "so the largest is 1",
        ),
        (weighted("1 / (counts[groups] * len(counts))"), "groups that never occur"),
        (weighted("1 / counts[groups] / (groups.max() + 1)"), "groups that never occur"),
        (weighted("(1 / counts[groups]).long()"), "which has no fractions"),
        ("def f(groups):\n    w = torch.zeros_like(groups)\n    return w", "which has no fractions"),
        (weighted("counts[groups]"), "which has no fractions"),
        (weighted("counts[groups] / len(groups)"), "share that each picture's group has now"),
        (weighted("1 - counts[groups] / len(groups)"), "1 minus the share"),
        (weighted("len(groups) / (len(groups.unique()) * counts[groups])"), "Your weights sum to N"),
        (weighted("(1 / counts[groups]) / len(groups)"), "Divide by the number of groups"),
        (
            "def f(groups):\n    w = 1 / torch.bincount(groups)\n    w = w / w.sum()\n    return w[groups]",
            "All your weights are 0",
        ),
        (
            "def f(groups):\n    _, i, c = groups.unique(return_inverse=True, return_counts=True)\n"
            "    w = 1 / c\n    w = w / w.sum()\n    return w[i]",
            "weights of the groups sum to 1",
        ),
        (weighted("torch.softmax(1 / counts[groups], 0)"), "You use softmax"),
        (
            "def f(groups): return torch.full(groups.shape, 1 / len(groups.unique()))",
            "the weight of its whole group",
        ),
        (weighted("(1 / counts[groups]).tolist()"), "You return a list"),
        (
            "def f(groups):\n    w = torch.zeros(len(groups))\n    for g in range(7):\n"
            "        if (groups == g).any():\n            w[groups == g] = 1 / (groups == g).sum()\n"
            "    return w / w.sum()",
            "At [",
        ),
        (
            "def f(groups):\n    w = torch.zeros(len(groups))\n    for g in groups.unique():\n"
            "        w[(groups == g).nonzero()[0]] = 1 / len(groups.unique())\n    return w",
            "At [",
        ),
        (
            "def f(groups):\n    w = 1 / torch.bincount(groups)[groups]\n    groups.zero_()\n    return w / "
            "w.sum()",
            "in place",
        ),
        (weighted("1 / counts[groups].float() ** 1.5 / 2"), "The weights of your groups sum to"),
        (weighted("0.1 / counts[groups]"), "All your weights together sum to 0.4"),
    ],
}


def test_all_seven_are_there_in_order():
    assert [e.id for e in MODULE.EXERCISES] == sorted(IDS)
    names = ["kl", "reparameterize", "elbo", "slerp", "beta_at", "importance_bound", "balanced_weights"]
    assert [getattr(MODULE, name).id for name in names] == sorted(IDS)
    assert set(RIGHT) == set(WRONG) == IDS


def exercise(id):
    return next(e for e in MODULE.EXERCISES if e.id == id)


def inputs(id, seed=3):
    return exercise(id).draw(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("id", sorted(IDS))
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(20):
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
    for seed in range(3):
        rejected(exercise(id), typed(cell), sentence, seed)


# The references, against independent computations


def test_kl_is_that_of_torch_distributions():
    mu, logvar = inputs("2.1")
    q = torch.distributions.Normal(mu, torch.exp(logvar / 2))
    p = torch.distributions.Normal(torch.zeros_like(mu), 1.0)
    torch.testing.assert_close(
        exercise("2.1").reference(mu, logvar), torch.distributions.kl_divergence(q, p).sum(1)
    )


def test_elbo_is_the_librarys():
    x, x_hat, sigma, mu, logvar = inputs("2.3")
    log_p = likelihoods.gaussian(x, x_hat, torch.tensor(math.log(sigma)))
    wanted = log_p - gaussian.kl_to_standard(mu, logvar).sum(1)
    torch.testing.assert_close(exercise("2.3").reference(x, x_hat, sigma, mu, logvar), wanted)


def test_slerp_turns_evenly():
    """After a third of the way the angle to a is a third of the whole, for codes of one length."""
    a, b, _ = inputs("2.4")
    b = b / b.norm() * a.norm()
    z = exercise("2.4").reference(a, b, 1 / 3)
    angle = [torch.acos(torch.cosine_similarity(a, other, dim=0)) for other in (z, b)]
    torch.testing.assert_close(angle[0], angle[1] / 3)


def test_importance_bound_lies_between_elbo_and_best_draw():
    log_p, log_q = inputs("2.6")
    w = log_p - log_q
    found = exercise("2.6").reference(log_p - 2000, log_q) + 2000
    torch.testing.assert_close(found, torch.from_numpy(np.log(np.exp(w.numpy()).mean(0))), rtol=0, atol=1e-3)
    assert (w.mean(0) < found).all()
    assert (found < w.amax(0)).all()


def test_balanced_weights_draw_every_group_equally_often():
    (groups,) = inputs("2.7")
    weights = exercise("2.7").reference(groups)
    drawn = groups[torch.multinomial(weights, 40_000, True, generator=torch.Generator().manual_seed(0))]
    counts = drawn.unique(return_counts=True)[1] / 40_000
    assert len(counts) == 4
    assert (counts - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 40_000)


@pytest.mark.parametrize("id", sorted(IDS - {"2.5"}))
def test_inputs_come_as_slices_too(id):
    """As an encoder, a table or a transposed tensor gives them: not contiguous."""
    assert any(isinstance(x, torch.Tensor) and not x.is_contiguous() for x in inputs(id))


# What is no answer


@pytest.mark.parametrize("id", sorted(IDS))
def test_a_stub_is_not_attempted(id):
    header = {"2.4": "a, b, t", "2.5": "step, warmup, final", "2.7": "groups"}.get(id, "*args")
    for body in ("raise NotImplementedError", "...", '"""Doc."""\n    raise NotImplementedError  # here'):
        result = exercise(id)(typed(f"def f({header}):\n    {body}"), seed=0)
        assert result.status == "not attempted", result


HALF_DONE = {
    "2.1": "def f(mu, logvar):\n    inside = ...\n    return 0.5 * inside.sum(1)",
    "2.2": "def f(mu, logvar):\n    eps = torch.randn_like(mu)\n    return ...",
    "2.3": "def f(x, x_hat, sigma, mu, logvar):\n    log_p = ...\n    return log_p - mu.sum(1)",
    "2.4": "def f(a, b, t):\n    w = ...\n    return torch.sin(w) * a",
    "2.5": "def f(step, warmup, final):\n    share = min(1, step)\n    raise NotImplementedError",
    "2.6": "def f(log_p, log_q):\n    w = ...\n    return torch.logsumexp(log_p - w, 0)",
    "2.7": "def f(groups):\n    counts = torch.bincount(groups)\n    return ...",
}


@pytest.mark.parametrize("id", HALF_DONE)
def test_a_half_filled_stub_is_not_attempted(id):
    assert exercise(id)(typed(HALF_DONE[id]), seed=0).status == "not attempted"


def test_an_answer_that_calls_an_earlier_stub_says_which():
    cell = (
        "def kl(mu, logvar):\n    raise NotImplementedError\n"
        "def elbo(x, x_hat, sigma, mu, logvar):\n    return -((x - x_hat) ** 2).sum() - kl(mu, logvar)"
    )
    result = exercise("2.3")(typed(cell), seed=0)
    assert result.status == "not attempted"
    assert "calls `kl`, which has no answer yet" in result.message


KINDS = [
    1.5,
    3,
    np.zeros((2, 3)),
    (torch.zeros(2), torch.zeros(2)),
    "text",
    [1.0],
    {"a": 1},
    torch.zeros(2, 7),
]


@pytest.mark.parametrize("id", sorted(IDS))
@pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)
def test_results_of_a_wrong_kind_or_shape_are_named(id, value):
    name = type(value).__name__
    if id == "2.5":
        words = ["at step 0 you return"] if name in ("float", "int") else [name, "Return a plain number"]
    else:
        words = ["has shape (2, 7)"] if name == "Tensor" else [name, "should be a tensor"]
    result = exercise(id)(lambda *a: value, seed=0)
    assert result.status == "failed"
    assert all(word in result.message for word in words), result


@pytest.mark.parametrize("id", sorted(IDS))
def test_a_constant_never_passes(id):
    args = inputs(id, 5)
    fixed = exercise(id).reference(*((3, *args) if id == "2.5" else args))
    for seed in range(5):
        assert exercise(id)(lambda *a: fixed, seed=seed).status == "failed"


@pytest.mark.parametrize("id", sorted(IDS))
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    for prop in exercise(id).properties:
        for _, sentence in prop.mistakes:
            assert sentence.count("`") % 2 == 0, sentence
            assert not re.search(r"\*\w+\*", sentence), sentence
    for text in exercise(id).hints:
        assert text.count("`") % 2 == 0, text
        assert not re.search(r"\*\w+\*", text), text
