"""The exercises of notebook 03: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks.
"""

import math
import re

import numpy as np
import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check, metrics
from course_lib.methods import gan, wgan_gp

MODULE = check.gan
IDS = [f"3.{number}" for number in range(1, 8)]
BOTH = "\nanswer = (d_loss, g_loss)"
D_RIGHT = "def d_loss(on_real, on_fake): return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()\n"
G_RIGHT = "def g_loss(on_fake): return F.softplus(-on_fake).mean()\n"
BCE = "F.binary_cross_entropy_with_logits"
REAL, MADE = "torch.ones_like", "torch.zeros_like"

# id -> other right answers
RIGHT = {
    "3.1": [
        D_RIGHT + G_RIGHT + BOTH,
        D_RIGHT + G_RIGHT + "answer = [d_loss, g_loss]",
        f"""
def d_loss(on_real, on_fake):
    return {BCE}(on_real, {REAL}(on_real)) + {BCE}(on_fake, {MADE}(on_fake))
def g_loss(on_fake):
    return {BCE}(on_fake, {REAL}(on_fake))
{BOTH}""",
        f"""
bce = nn.BCEWithLogitsLoss()
def d_loss(on_real, on_fake):
    logits = torch.cat([on_real, on_fake])
    return 2 * bce(logits, torch.cat([{REAL}(on_real), {MADE}(on_fake)]))
def g_loss(on_fake):
    return bce(on_fake, {REAL}(on_fake))
{BOTH}""",
        f"""
def d_loss(on_real, on_fake): return -(F.logsigmoid(on_real) + F.logsigmoid(-on_fake)).mean()
def g_loss(on_fake): return -F.logsigmoid(on_fake).mean()
{BOTH}""",
        f"""
def d_loss(on_real, on_fake):
    zero = torch.zeros_like(on_real)
    return torch.logaddexp(zero, -on_real).mean() + torch.logaddexp(zero, on_fake).mean()
def g_loss(on_fake):
    return torch.logaddexp(torch.zeros_like(on_fake), -on_fake).sum() / len(on_fake)
{BOTH}""",
        "from course_lib.methods.gan import d_loss, g_loss" + BOTH,
    ],
    "3.2": [
        """
def d_step(G, D, opt_D, x, z):
    with torch.no_grad():
        fake = G(z)
    loss = F.softplus(-D(x)).mean() + F.softplus(D(fake)).mean()
    D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()
""",
        f"""
def d_step(G, D, opt_D, x, z):
    opt_D.zero_grad(set_to_none=False)
    on_real, on_fake = D(x), D(G(z).detach())
    real_loss = {BCE}(on_real, {REAL}(on_real))
    real_loss.backward()
    fake_loss = {BCE}(on_fake, {MADE}(on_fake))
    fake_loss.backward()
    opt_D.step()
    return real_loss.item() + fake_loss.item()
""",
        """
def d_step(G, D, opt_D, x, z):
    G.requires_grad_(False)
    on_real, on_fake = D(torch.cat([x, G(z)])).chunk(2)
    loss = -F.logsigmoid(on_real).mean() - F.logsigmoid(-on_fake).mean()
    for p in D.parameters():
        p.grad = None
    loss.backward()
    opt_D.step()
    G.requires_grad_(True)
    return float(loss)
""",
        """
def d_step(G, D, opt_D, x, z):
    loss = F.softplus(-D(x)).mean() + F.softplus(D(G(z))).mean()
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    G.zero_grad()
    return loss.item()
""",
        """
def d_step(G, D, opt_D, x, z):
    loss = F.softplus(-D(x)).mean() + F.softplus(D(G(z))).mean()
    grads = torch.autograd.grad(loss, list(D.parameters()))
    for p, g in zip(D.parameters(), grads):
        p.grad = g
    opt_D.step()
    return loss.item()
""",
        """
@torch.enable_grad()
def d_step(G, D, opt_D, x, z):
    fake = G(z).data
    opt_D.zero_grad()
    loss = torch.nn.functional.softplus(D(fake)).mean() + torch.nn.functional.softplus(-D(x)).mean()
    loss.backward()
    opt_D.step()
    return loss.detach().numpy().item()
""",
        """
from course_lib.methods.gan import d_loss
def d_step(G, D, opt_D, x, z):
    def closure():
        opt_D.zero_grad()
        loss = d_loss(D(x), D(G(z).detach()))
        loss.backward()
        return loss
    return opt_D.step(closure).item()
""",
    ],
    "3.3": [
        """
def g_step(G, D, opt_G, z):
    opt_G.zero_grad()
    loss = -F.logsigmoid(D(G(z))).mean()
    loss.backward()
    opt_G.step()
    return loss.item()
""",
        f"""
def g_step(G, D, opt_G, z):
    on_fake = D(G(z))
    loss = {BCE}(on_fake, {REAL}(on_fake))
    G.zero_grad()
    loss.backward()
    opt_G.step()
    D.zero_grad()
    return float(loss)
""",
        """
def g_step(G, D, opt_G, z):
    D.requires_grad_(False)
    loss = F.softplus(-D(G(z))).mean()
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    D.requires_grad_(True)
    return loss.item()
""",
        """
def g_step(G, D, opt_G, z):
    loss = F.softplus(-D(G(z))).mean()
    for p, g in zip(G.parameters(), torch.autograd.grad(loss, list(G.parameters()))):
        p.grad = g
    opt_G.step()
    return loss.item()
""",
        """
def g_step(G, D, opt_G, z):
    fake = G(z)
    seen = fake.detach().requires_grad_()
    loss = F.softplus(-D(seen)).mean()
    opt_G.zero_grad()
    loss.backward()
    fake.backward(seen.grad)
    opt_G.step()
    return loss.item()
""",
        """
from course_lib.methods.gan import g_loss
def g_step(G, D, opt_G, z):
    opt_G.zero_grad()
    D.zero_grad()
    loss = g_loss(D(G(z)))
    loss.backward()
    opt_G.step()
    return loss.item()
""",
    ],
    "3.4": [
        """
def count_modes(samples, centres, std):
    d = ((samples[:, None, :] - centres[None, :, :]) ** 2).sum(-1).sqrt()
    distance, nearest = d.min(dim=1)
    good = distance < 3 * std
    covered = 0
    for k in range(len(centres)):
        n = ((nearest == k) & good).sum()
        if n >= 0.2 * len(samples) / len(centres):
            covered += 1
    return covered, good.float().mean()
""",
        """
def count_modes(samples, centres, std):
    squared = (samples ** 2).sum(1, keepdim=True) - 2 * samples @ centres.T + (centres ** 2).sum(1)
    nearest = squared.argmin(1)
    good = (samples - centres[nearest]).norm(dim=1) <= 3 * std
    counts = torch.bincount(nearest[good], minlength=len(centres))
    return int((counts / len(samples) >= 0.2 / len(centres)).sum()), good.sum().item() / len(samples)
""",
        """
def count_modes(samples, centres, std):
    x, c = samples.numpy(), centres.numpy()
    d = np.linalg.norm(x[:, None] - c, axis=2)
    good = d.min(1) <= 3 * std
    counts = np.array([np.sum(good & (d.argmin(1) == k)) for k in range(len(c))])
    return (counts >= len(x) / len(c) / 5).sum(), good.mean()
""",
        """
from collections import Counter
def count_modes(samples, centres, std):
    counts = Counter()
    for s in samples:
        d = (s - centres).norm(dim=1)
        if d.min() <= 3 * std:
            counts[int(d.argmin())] += 1
    least = 0.2 * len(samples) / len(centres)
    return sum(n >= least for n in counts.values()), sum(counts.values()) / len(samples)
""",
        """
def count_modes(samples, centres, std):
    distance, nearest = torch.cdist(samples, centres).min(1)
    belongs = F.one_hot(nearest, len(centres)) * (distance <= 3 * std)[:, None]
    counts = belongs.sum(0)
    return [(counts >= 0.2 * samples.shape[0] / centres.shape[0]).sum().item(), counts.sum() / len(samples)]
""",
    ],
    "3.5": [
        """
def dirac_step(theta, psi, lr, r1):
    d = 1 / (1 + math.exp(-theta * psi))
    return theta + lr * d * psi, psi - lr * d * theta - lr * r1 * psi
""",
        """
def dirac_step(theta, psi, lr, r1):
    d = math.exp(theta * psi) / (1 + math.exp(theta * psi))
    old = theta
    theta = theta + lr * psi * d
    psi = psi - lr * (old * d + r1 * psi)
    return theta, psi
""",
        """
def dirac_step(theta, psi, lr, r1):
    a, p = torch.tensor(theta, requires_grad=True), torch.tensor(psi, requires_grad=True)
    V = F.logsigmoid(-a * p) - r1 / 2 * p ** 2
    da, dp = torch.autograd.grad(V, (a, p))
    return (a - lr * da).item(), (p + lr * dp).item()
""",
        """
def dirac_step(theta, psi, lr, r1):
    a, p = torch.tensor(theta, requires_grad=True), torch.tensor(psi, requires_grad=True)
    V = -torch.log(1 + torch.exp(a * p)) - r1 / 2 * p ** 2
    V.backward()
    return (a - lr * a.grad).detach(), (p + lr * p.grad).detach()
""",
        """
def dirac_step(theta, psi, lr, r1):
    d = 0.5 * (1 + np.tanh(theta * psi / 2))
    return np.array(theta + lr * d * psi), np.float64(psi - lr * (d * theta + r1 * psi))
""",
        "def dirac_step(theta, psi, lr, r1):\n    s = torch.sigmoid(torch.tensor(theta * psi)).item()\n"
        "    return [theta + lr * s * psi, (1 - lr * r1) * psi - lr * s * theta]",
    ],
    "3.6": [
        """
def gradient_penalty(D, x, fake, u):
    u = u.reshape(-1, *[1 for _ in x.shape[1:]])
    x_hat = ((1 - u) * x + u * fake).requires_grad_(True)
    grad = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)[0]
    return ((grad.flatten(1).norm(dim=1) - 1) ** 2).mean()
""",
        """
def gradient_penalty(D, x, fake, u):
    while u.dim() < x.dim():
        u = u.unsqueeze(-1)
    x_hat = torch.lerp(x, fake, u.expand_as(x)).detach()
    x_hat.requires_grad = True
    out = D(x_hat)
    grad = torch.autograd.grad(out, x_hat, grad_outputs=torch.ones_like(out), create_graph=True,
                               retain_graph=True, only_inputs=True)[0].view(len(x), -1)
    return F.mse_loss(grad.norm(2, dim=1), torch.ones(len(x)))
""",
        """
def gradient_penalty(D, x, fake, u):
    total = 0
    for i in range(len(x)):
        x_hat = (x[i:i+1] + u[i] * (fake[i:i+1] - x[i:i+1])).requires_grad_()
        (grad,) = torch.autograd.grad(D(x_hat)[0], x_hat, create_graph=True)
        total = total + (grad.pow(2).sum().sqrt() - 1) ** 2
    return total / len(x)
""",
        """
def gradient_penalty(D, x, fake, u):
    x_hat = torch.stack([a + t * (b - a) for a, b, t in zip(x, fake, u)]).requires_grad_()
    (grad,) = torch.autograd.grad(D(x_hat).mean() * len(x), x_hat, create_graph=True)
    norms = torch.linalg.vector_norm(grad, dim=tuple(range(1, grad.dim())))
    return (norms - 1).pow(2).mean()
""",
        """
from course_lib.methods.gan import slope
def gradient_penalty(D, x, fake, u):
    u = u.view(-1, *[1] * (x.dim() - 1))
    return (slope(D, x + u * (fake - x)) - 1).square().mean()
""",
    ],
    "3.7": [
        """
def precision_recall(real, made, k):
    def inside(points, manifold):
        radius = torch.cdist(manifold, manifold).sort(dim=1).values[:, k]
        return (torch.cdist(points, manifold) <= radius).any(dim=1).float().mean()
    return inside(made, real), inside(real, made)
""",
        """
def precision_recall(real, made, k):
    def radius(x):
        d = (x[:, None] - x[None]).norm(dim=2)
        d.fill_diagonal_(float("inf"))
        return d.topk(k, largest=False).values[:, -1]
    d = (real[:, None] - made[None]).norm(dim=2)
    precision = (d <= radius(real)[:, None]).any(0).float().mean().item()
    recall = (d <= radius(made)[None]).any(1).float().mean().item()
    return precision, recall
""",
        """
def precision_recall(real, made, k):
    shares = []
    for points, others in ((made, real), (real, made)):
        n = 0
        for p in points:
            for j, c in enumerate(others):
                radius = sorted((others - c).norm(dim=1).tolist())[k]
                if (p - c).norm() <= radius:
                    n += 1
                    break
        shares.append(n / len(points))
    return tuple(shares)
""",
        """
from sklearn.neighbors import NearestNeighbors
def precision_recall(real, made, k):
    def inside(points, manifold):
        radius = NearestNeighbors(n_neighbors=k + 1).fit(manifold).kneighbors(manifold)[0][:, -1]
        d = np.linalg.norm(points[:, None] - manifold[None], axis=2)
        return (d <= radius).any(1).mean()
    real, made = real.numpy(), made.numpy()
    return inside(made, real), inside(real, made)
""",
        "from course_lib.metrics import precision_recall as p\n"
        "def precision_recall(real, made, k): return p(real, made, k=k)",
    ],
}


def pair(d="", g=""):
    """A cell with both losses, where one is wrong."""
    d = f"def d_loss(on_real, on_fake): return {d}\n" if d else D_RIGHT
    g = f"def g_loss(on_fake): return {g}\n" if g else G_RIGHT
    return d + g + BOTH


def d_cell(body, fake="G(z).detach()", end="loss.item()"):
    """A d_step whose body uses `loss`."""
    loss = f"loss = F.softplus(-D(x)).mean() + F.softplus(D({fake})).mean()"
    lines = [loss, *body.split("; "), f"return {end}"]
    return "def d_step(G, D, opt_D, x, z):\n" + "".join(f"    {line}\n" for line in lines)


def g_cell(body, loss="F.softplus(-D(G(z))).mean()", end="loss.item()"):
    """A g_step whose body uses `loss`."""
    lines = [f"loss = {loss}", *body.split("; "), f"return {end}"]
    return "def g_step(G, D, opt_G, z):\n" + "".join(f"    {line}\n" for line in lines)


D_BODY = "opt_D.zero_grad(); loss.backward(); opt_D.step()"
G_BODY = "opt_G.zero_grad(); loss.backward(); opt_G.step()"

MODES = """
def count_modes(samples, centres, std):
    distance, nearest = torch.cdist(samples, centres).min(1)
    good = distance <= {radius}
    counts = torch.bincount({counted}, minlength=len(centres))
    return (counts >= {least}).sum().item(), {share}
"""


def modes(
    radius="3 * std",
    counted="nearest[good]",
    least="0.2 * len(samples) / len(centres)",
    share="good.float().mean().item()",
):
    return MODES.format(radius=radius, counted=counted, least=least, share=share)


def dirac(theta="theta + lr * d * psi", psi="psi - lr * (d * theta + r1 * psi)", d="1 / (1 + math.exp(-t))"):
    return (
        f"def dirac_step(theta, psi, lr, r1):\n    t = theta * psi\n    d = {d}\n    return {theta}, {psi}\n"
    )


def penalty(
    at="x + v * (fake - x)",
    out="D(x_hat).sum()",
    graph=", create_graph=True",
    value="((grad.flatten(1).norm(dim=1) - 1) ** 2).mean()",
    v="u.view(-1, *[1] * (x.dim() - 1))",
):
    return f"""
def gradient_penalty(D, x, fake, u):
    v = {v}
    x_hat = ({at}).clone().requires_grad_()
    (grad,) = torch.autograd.grad({out}, x_hat{graph})
    return {value}
"""


KNN = """
def precision_recall(real, made, k):
    def inside(points, manifold):
        radius = {radius}
        return {share}
    return {returned}
"""


def knn(
    radius="torch.cdist(manifold, manifold).kthvalue(k + 1, dim=1).values",
    share="(torch.cdist(points, manifold) <= radius).any(1).float().mean().item()",
    returned="inside(made, real), inside(real, made)",
):
    return KNN.format(radius=radius, share=share, returned=returned)


# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "3.1": [
        (pair(d=f"{BCE}(torch.cat([on_real, on_fake]), torch.cat([{REAL}(on_real), {MADE}(on_fake)]))"),
         "half of the loss"),
        (pair(d="(F.softplus(-on_real) + F.softplus(on_fake)).sum()"), "sum over the batch"),
        (pair(d="F.softplus(-on_real) + F.softplus(on_fake)"), "one loss for each sample"),
        (pair(d="F.logsigmoid(on_real).mean() + F.logsigmoid(-on_fake).mean()"), "You return V"),
        (pair(d=f"{BCE}(on_real, {MADE}(on_real)) + {BCE}(on_fake, {REAL}(on_fake))"), "are exchanged"),
        (pair(d=f"{BCE}(on_real, {REAL}(on_real)) + {BCE}(on_fake, {REAL}(on_fake))"),
         "made samples real, too"),
        (pair(d=f"{BCE}(on_real.sigmoid(), {REAL}(on_real)) + {BCE}(on_fake.sigmoid(), {MADE}(on_fake))"),
         "applied twice"),
        (pair(d="-torch.log(on_real).mean() - torch.log(1 - on_fake).mean()"), "logits themselves"),
        (pair(d="-on_real.sigmoid().mean() - (1 - on_fake.sigmoid()).mean()"), "it should be"),
        (pair(d="-torch.log(on_real.sigmoid()).mean() - torch.log(1 - on_fake.sigmoid()).mean()"),
         "Begin with the logit"),
        (pair(d="-(on_real.sigmoid() + 1e-8).log().mean() - (1 - on_fake.sigmoid() + 1e-8).log().mean()"),
         "stops growing"),
        (pair(d="F.binary_cross_entropy(on_real.sigmoid(), torch.ones_like(on_real)) + "
         "F.binary_cross_entropy(on_fake.sigmoid(), torch.zeros_like(on_fake))"), "stops growing"),
        (pair(d="(F.softplus(-on_real).mean() + F.softplus(on_fake).mean()).item()"), "Leave out `.item()`"),
        (pair(d="F.softplus(-on_real).mean() + F.softplus(on_fake.detach()).mean()"), "argument 2"),
        (pair(d=f"{BCE}(on_real, torch.ones(len(on_real))) + {BCE}(on_fake, {MADE}(on_fake))"),
         "fail on a GPU"),
        (pair(g="torch.log(1 - on_fake.sigmoid()).mean()"), "the min-max game"),
        (pair(g=f"{BCE}(on_fake, {MADE}(on_fake))"), "D's loss on the made samples"),
        (pair(g="F.logsigmoid(on_fake).mean()"), "The sign is wrong"),
        (pair(g="-torch.log(on_fake.sigmoid()).mean()"), "Begin with the logit"),
        (pair(g="-on_fake.mean()"), "Wasserstein"),
        (pair(g="1 - on_fake.sigmoid().mean()"), "The logarithm is missing"),
        (pair(g="F.softplus(-on_fake)"), "one loss for each sample"),
        (D_RIGHT + "def g_loss(on_fake): loss = F.softplus(-on_fake).mean()" + BOTH, "is a `return` missing"),
        (D_RIGHT + "answer = d_loss", "Give the check both functions"),
        (D_RIGHT + "answer = (d_loss, 3)", "Give the check both functions"),
        (D_RIGHT + "def g_loss(a, b): return a" + BOTH, "Keep the first line"),
    ],
    "3.2": [
        (d_cell(D_BODY, fake="G(z)"), "leaves a gradient in G"),
        (d_cell("loss.backward(); opt_D.step()"), "G's last step has left some in D"),
        (d_cell("loss.backward(); opt_D.zero_grad(); opt_D.step()"), "between `backward()` and `step()`"),
        (d_cell("opt_D.zero_grad(); opt_D.step(); loss.backward()"), "runs before `backward()`"),
        (d_cell("opt_D.zero_grad(); loss.backward()"), "`opt_D.step()` is missing"),
        (d_cell("opt_D.zero_grad(); (-loss).backward(); opt_D.step()"), "up the hill"),
        (d_cell(D_BODY, end="loss"), "holds the whole graph"),
        (d_cell(D_BODY, end="loss.detach()"), "You return a Tensor"),
        (d_cell(D_BODY, fake="torch.randn_like(x)"), "noise in place of G's samples"),
        (d_cell(D_BODY, fake="G(torch.randn_like(z)).detach()"), "noise of your own"),
        (d_cell(D_BODY, fake="z"), "shapes cannot be multiplied"),
        (d_cell("loss = loss / 2; " + D_BODY), "half of the loss"),
        (d_cell("loss = -loss; " + D_BODY), "You return V"),
        (d_cell("loss = F.softplus(-D(x)).mean() + F.softplus(D(G(z)).detach()).mean(); " + D_BODY),
         "from the real samples only"),
        (d_cell("G.requires_grad_(False); " + D_BODY), "can no longer be trained"),
        (d_cell("G.eval(); " + D_BODY), "evaluation mode"),
        (d_cell("opt_D.zero_grad(); loss.backward(); opt_D.step(); opt_D.step()"), "2 steps"),
        (d_cell("opt_D = torch.optim.Adam(D.parameters()); " + D_BODY), "Use the optimizer that you"),
        (d_cell(D_BODY + "; x.zero_()"), "changes its inputs in place"),
        (
            "def d_step(G, D, opt_D, x, z):\n"
            "    loss = F.softplus(D(x)).mean() + F.softplus(-D(G(z).detach())).mean()\n"
            "    opt_D.zero_grad()\n    loss.backward()\n    opt_D.step()\n    return loss.item()",
            "are exchanged",
        ),
        ("def d_step(G, D, opt_D, x, z):\n    F.softplus(-D(x)).mean().backward()", "is a `return` missing"),
    ],
    "3.3": [
        (g_cell(G_BODY, "F.softplus(-D(G(z).detach())).mean()"), "ends between D and G"),
        ("def g_step(G, D, opt_G, z):\n    with torch.no_grad():\n        fake = G(z)\n"
         "    loss = F.softplus(-D(fake)).mean()\n    opt_G.zero_grad()\n    loss.backward()\n"
         "    opt_G.step()\n    return loss.item()", "ends between D and G"),
        (g_cell(G_BODY, "F.softplus(-D(G(z)).detach()).mean()"), "verdict is cut off"),
        (g_cell(G_BODY, "torch.tensor(F.softplus(-D(G(z))).mean().item())"), "verdict is cut off"),
        (g_cell(G_BODY, "-F.softplus(D(G(z))).mean()"), "the min-max game"),
        (g_cell(G_BODY, "F.softplus(D(G(z))).mean()"), "D's loss on the made samples"),
        (g_cell("loss.backward(); opt_G.step()"), "D's last step has left some in G"),
        (g_cell("D.zero_grad(); loss.backward(); opt_G.step()"), "D's last step has left some in G"),
        (g_cell("opt_G.zero_grad(); loss.backward()"), "`opt_G.step()` is missing"),
        (g_cell(G_BODY + "; torch.optim.SGD(D.parameters(), lr=0.1).step()"), "D moves in G's step"),
        (g_cell("D.requires_grad_(False); " + G_BODY, "F.softplus(-D(G(z))).mean()"),
         "D can no longer be trained"),
        (g_cell("D.eval(); " + G_BODY), "evaluation mode"),
        (g_cell(G_BODY, end="loss"), "holds the whole graph"),
        (g_cell(G_BODY, "F.softplus(-D(G(torch.randn_like(z)))).mean()"), "noise of your own"),
        (g_cell("opt_G.zero_grad(); (-loss).backward(); opt_G.step()"), "up the hill"),
        (g_cell("opt_G.zero_grad(); (-F.softplus(D(G(z))).mean()).backward(); opt_G.step()"),
         "follows another loss than you return"),
        (g_cell(G_BODY, end="F.softplus(-D(G(z))).mean().item()"), "loss after the step"),
    ],
    "3.4": [
        (modes(least="1"), "One good sample is enough"),
        (modes(radius="2 * std"), "Your radius is 2 std"),
        (modes(radius="3"), "std plays no part"),
        (modes(counted="nearest"), "Only those within 3 std"),
        (modes(least="0.2 * good.sum() / len(centres)"), "even share of the good samples only"),
        (modes(least="0.2 * len(samples)"), "divide by K, too"),
        (modes(least="len(samples) / len(centres)"), "A fifth of it"),
        (modes(share="good.sum().item()"), "how many samples are good"),
        (modes(share="(~good).float().mean().item()"), "share of bad samples"),
        (modes(share="100 * good.float().mean().item()"), "percent"),
        (modes().replace("cdist(samples, centres)", "cdist(samples, centres).square()"), "squared distance"),
        (modes().replace("cdist(samples, centres)", "cdist(samples, centres, p=float('inf'))"), "Euclidean"),
        (modes(counted="nearest[good]", share="good"), "Your second thing is a Tensor of shape"),
        ("def count_modes(samples, centres, std):\n    near = torch.cdist(samples, centres) <= 3 * std\n"
         "    return (near.sum(0) >= 0.2 * len(samples) / len(centres)).sum(), near.any(1).float().mean()",
         "belongs to the nearest only"),
        ("def count_modes(samples, centres, std):\n    return len(centres)", "Return two numbers"),
        (modes().replace("    counts", "    samples[~good] = 0\n    counts"), "in place"),
    ],
    "3.5": [
        ("def dirac_step(theta, psi, lr, r1):\n    theta = theta + lr * psi / (1 + math.exp(-theta * psi))\n"
         "    psi = psi - lr * (theta / (1 + math.exp(-theta * psi)) + r1 * psi)\n    return theta, psi",
         "psi with the new theta"),
        ("def dirac_step(theta, psi, lr, r1):\n"
         "    psi = psi - lr * (theta / (1 + math.exp(-theta * psi)) + r1 * psi)\n"
         "    theta = theta + lr * psi / (1 + math.exp(-theta * psi))\n    return theta, psi",
         "theta with the new psi"),
        (dirac(theta="theta - lr * d * psi"), "G goes uphill"),
        (dirac(psi="psi + lr * (d * theta - r1 * psi)"), "D goes downhill"),
        (dirac(psi="psi + lr * (d * theta + r1 * psi)"), "D goes downhill"),
        (dirac(d="1 / (1 + math.exp(t))"), "Your slope is 1 - sigmoid"),
        (dirac(theta="theta + lr * (1 - d) * psi"), "non-saturating game"),
        (dirac(d="1"), "sigmoid(psi theta) is missing"),
        (dirac(psi="psi - lr * d * theta"), "The penalty is missing"),
        (dirac(psi="psi - lr * (d * theta - r1 * psi)"), "You add the penalty's gradient"),
        (dirac(psi="psi - lr * (d * theta + r1 * psi / 2)"), "has no 1/2"),
        (dirac(psi="psi - lr * (d * theta + r1 / 2 * psi ** 2)"), "the penalty itself"),
        (dirac(psi="psi - lr * d * theta - r1 * psi"), "not multiplied with lr"),
        (dirac(theta="lr * d * psi", psi="-lr * (d * theta + r1 * psi)"), "by how much"),
        (dirac(theta="theta + lr * d", psi="psi - lr * (d + r1 * psi)"), "inner derivatives are missing"),
        (dirac(theta="theta + d * psi", psi="psi - d * theta - r1 * psi"), "lr plays no part"),
        (dirac().replace("return ", "return 0, "), "You return 3 things"),
    ],
    "3.6": [
        (penalty(value="(grad.norm() - 1) ** 2"), "one norm over the whole batch"),
        (penalty(value="((grad.flatten(1).norm(dim=1) - 1) ** 2).sum()"), "You sum over the batch"),
        (penalty(value="(grad.flatten(1).norm(dim=1) - 1) ** 2"), "one penalty for each sample"),
        (penalty(value="(grad.flatten(1).norm(dim=1) ** 2).mean()"), "The 1 is missing"),
        (penalty(value="((grad.flatten(1).pow(2).sum(1) - 1) ** 2).mean()"), "the squared norm"),
        (penalty(value="(grad.flatten(1).norm(dim=1) - 1).mean()"), "The square is missing"),
        (penalty(value="(grad.flatten(1).norm(dim=1) - 1).abs().mean()"), "absolute value"),
        (penalty(value="((grad.norm(2, dim=1) - 1) ** 2).mean()"), "channels of each pixel"),
        (penalty(out="D(x_hat).mean()"), "B times too small"),
        (penalty(out="D(x_hat)"), "can be implicitly created only for scalar"),
        (penalty(graph=""), "create_graph=True"),
        (penalty(value="((grad.detach().flatten(1).norm(dim=1) - 1) ** 2).mean()"), "create_graph=True"),
        (penalty(value="((grad.flatten(1).norm(dim=1) - 1) ** 2).mean().item()"), "Leave out `.item()`"),
        (penalty(at="v * x + (1 - v) * fake"), "exchanged with 1 - u"),
        (penalty(at="x"), "the slope at x"),
        (penalty(at="fake"), "the slope at the made samples"),
        (penalty(v="u[0]"), "one u for the whole batch"),
        (penalty(v="torch.rand(len(x)).view(-1, *[1] * (x.dim() - 1))"), "draw u yourself"),
        (penalty(v="u[:, None]"), "must match the size"),
        ("def gradient_penalty(D, x, fake, u):\n    v = u.view(-1, *[1] * (x.dim() - 1))\n"
         "    x_hat = (x + v * (fake - x)).requires_grad_()\n    D(x_hat).sum().backward(create_graph=True)\n"
         "    return ((x_hat.grad.flatten(1).norm(dim=1) - 1) ** 2).mean()", "leaves gradients in D"),
    ],
    "3.7": [
        (knn(returned="inside(real, made), inside(made, real)"), "are exchanged"),
        (knn(radius="torch.cdist(manifold, manifold).kthvalue(k, dim=1).values"), "its own first neighbour"),
        (knn(radius="torch.cdist(manifold, manifold).sort(dim=1).values[:, k - 1]"),
         "its own first neighbour"),
        (knn(radius="torch.cdist(manifold, manifold).sort(dim=1).values[:, k + 1]"),
         "one neighbour too far"),
        (knn(radius="torch.cdist(points, points).kthvalue(k + 1, dim=1).values[:, None]"),
         "those of the wrong set"),
        (knn(radius="torch.cdist(manifold, manifold).kthvalue(k + 1, dim=1).values.max()"),
         "the largest radius"),
        (knn(share="(torch.cdist(points, manifold) <= radius).all(1).float().mean()"), "in all balls"),
        (knn(share="(torch.cdist(points, manifold) <= radius).float().mean()"), "over all pairs"),
        (knn(share="(torch.cdist(points, manifold).min(1).values <= "
         "radius[torch.cdist(points, manifold).argmin(1)]).float().mean()"), "the nearest point only"),
        (knn(radius="torch.cdist(manifold, manifold).kthvalue(4, dim=1).values"), "k plays no part"),
        (knn(returned="inside(made, real)"), "Return two numbers"),
        (knn(share="(torch.cdist(points, manifold) <= radius).any(1)"), "first thing is a Tensor of shape"),
        (knn(returned="inside(made, real), inside(made, real)"), "the precision again"),
        (knn(radius="torch.cdist(points, manifold).kthvalue(k, dim=0).values"), "between the two sets"),
        (knn(radius="torch.cdist(manifold, manifold).kthvalue(k + 1, dim=1).values[:, None]"), "must match"),
    ],
}  # fmt: skip


def exercise(id):
    return check.exercises()[id]


def inputs(id, seed=3):
    return exercise(id).draw(torch.Generator().manual_seed(seed))


def test_all_seven_are_there_in_order():
    assert [e.id for e in MODULE.EXERCISES] == IDS
    names = [
        "losses",
        "d_step",
        "g_step",
        "count_modes",
        "dirac_step",
        "gradient_penalty",
        "precision_recall",
    ]
    assert [getattr(MODULE, name) for name in names] == list(MODULE.EXERCISES)


@pytest.mark.parametrize("id", IDS)
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(100, 130):
        result = exercise(id)(exercise(id).reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    for seed in range(4):
        result = exercise(id)(typed(cell), seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    for seed in range(2):
        rejected(exercise(id), typed(cell), sentence, seed)


# What the references compute


def test_losses_are_2_log_2_where_d_cannot_tell():
    """And those of the library, for any logits."""
    d, g = exercise("3.1").reference
    level = torch.zeros(5)
    assert d(level, level).item() == pytest.approx(2 * math.log(2))
    assert g(level).item() == pytest.approx(math.log(2))
    on_real, on_fake = inputs("3.1")
    torch.testing.assert_close(d(on_real, on_fake), gan.d_loss(on_real, on_fake))
    torch.testing.assert_close(g(on_fake), gan.g_loss(on_fake))


def test_count_modes_is_the_librarys_and_its_data_are_as_described():
    samples, centres, std = inputs("3.4")
    covered, share = exercise("3.4").reference(samples, centres, std)
    assert (covered, share) == pytest.approx(tuple(metrics.mode_coverage(samples, centres, std)))
    assert covered == 4  # those with at least 0.2 * 180 / 9 = 4 good samples
    assert share == pytest.approx(81 / 180)


def test_dirac_step_follows_the_gradient_of_the_game():
    theta, psi, lr, r1 = inputs("3.5")
    a, p = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (theta, psi))
    V = torch.log(1 - torch.sigmoid(a * p)) - r1 / 2 * p**2
    da, dp = torch.autograd.grad(V, (a, p))
    wanted = ((a - lr * da).item(), (p + lr * dp).item())
    assert exercise("3.5").reference(theta, psi, lr, r1) == pytest.approx(wanted)


def test_without_a_penalty_each_step_of_the_dirac_gan_leads_outwards_by_the_known_factor():
    """|(theta, psi)|^2 grows by 1 + lr^2 sigmoid(psi theta)^2 (arXiv 1801.04406, section 2)."""
    theta, psi, lr, _ = inputs("3.5")
    new = exercise("3.5").reference(theta, psi, lr, 0.0)
    factor = 1 + (lr / (1 + math.exp(-psi * theta))) ** 2
    assert math.hypot(*new) ** 2 == pytest.approx(factor * math.hypot(theta, psi) ** 2)


def test_gradient_penalty_of_a_linear_critic_and_of_the_library():
    D, x, fake, u = inputs("3.6")
    slope = D.weight.norm().item()
    assert exercise("3.6").reference(D, x, fake, u).item() == pytest.approx((slope - 1) ** 2, rel=1e-4)
    torch.manual_seed(0)
    wanted = wgan_gp.gradient_penalty(D, x, fake)
    torch.manual_seed(0)
    torch.testing.assert_close(exercise("3.6").reference(D, x, fake, torch.rand(len(x))), wanted)


def test_precision_recall_is_the_librarys():
    real, made, k = inputs("3.7")
    wanted = metrics.precision_recall(real, made, k=k)
    assert exercise("3.7").reference(real, made, k) == pytest.approx(tuple(wanted))


# What is no answer

HEADERS = {
    "3.2": "G, D, opt_D, x, z",
    "3.3": "G, D, opt_G, z",
    "3.4": "samples, centres, std",
    "3.5": "theta, psi, lr, r1",
    "3.6": "D, x, fake, u",
    "3.7": "real, made, k",
}


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    "body", ["raise NotImplementedError", "...", '"""Doc."""\n    raise NotImplementedError']
)
def test_a_stub_is_not_attempted(id, body):
    if id == "3.1":
        cell = f"def d_loss(on_real, on_fake):\n    {body}\ndef g_loss(on_fake):\n    {body}{BOTH}"
    else:
        cell = f"def f({HEADERS[id]}):\n    {body}"
    result = exercise(id)(typed(cell), seed=0)
    assert result.status == "not attempted", result


def test_d_loss_is_judged_before_g_loss_is_written():
    stub = "def g_loss(on_fake):\n    raise NotImplementedError"
    assert exercise("3.1")(typed(D_RIGHT + stub + BOTH), seed=0).status == "not attempted"
    wrong = "def d_loss(on_real, on_fake): return F.softplus(-on_real).mean()\n"
    rejected(exercise("3.1"), typed(wrong + stub + BOTH), "The made samples are missing", 0)


def test_a_step_that_calls_an_unwritten_loss_says_which():
    cell = (
        "def d_loss(on_real, on_fake):\n    raise NotImplementedError\n"
        "def d_step(G, D, opt_D, x, z):\n    return d_loss(D(x), D(G(z))).item()"
    )
    result = exercise("3.2")(typed(cell), seed=0)
    assert result.status == "not attempted"
    assert "calls `d_loss`, which has no answer yet" in result.message


KINDS = [3, np.zeros((2, 3)), (torch.zeros(2), torch.zeros(2)), "text", {"a": 1}, torch.zeros(2, 7)]


@pytest.mark.parametrize("id", IDS)
def test_results_of_a_wrong_kind_or_shape_fail_with_a_sentence(id):
    for value in KINDS:
        answer = ((lambda *a, v=value: v),) * 2 if id == "3.1" else lambda *a, v=value: v
        result = exercise(id)(answer, seed=0)
        assert result.status == "failed"
        assert "could not work with" not in result.message, result


@pytest.mark.parametrize("id", ["3.4", "3.5", "3.6", "3.7"])
def test_a_constant_never_passes(id):
    fixed = exercise(id).reference(*inputs(id, 5))
    for seed in range(3):
        assert exercise(id)(lambda *a: fixed, seed=seed).status == "failed"


@pytest.mark.parametrize("id", IDS)
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    for prop in exercise(id).properties:
        for _, sentence in prop.mistakes:
            assert sentence.count("`") % 2 == 0, sentence
            assert "{" not in sentence, sentence
            assert not re.search(r"\*\w+\*", sentence), sentence
    for text in exercise(id).hints:
        assert text.count("`") % 2 == 0, text
