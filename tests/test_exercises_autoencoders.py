"""The exercises of notebook 01: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks.
"""

import re

import numpy as np
import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check

MODULE = check.autoencoders
IDS = {f"1.{number}" for number in range(1, 8)}

# id -> other right answers
RIGHT = {
    "1.1": [
        "def mse(x, x_hat): return F.mse_loss(x_hat, x)",
        "answer = F.mse_loss",
        "answer = nn.MSELoss()",
        "def mse(x, x_hat):\n    d = x - x_hat\n    return torch.einsum('bchw,bchw->', d, d) / d.numel()",
        """
def mse(x, x_hat):
    total = 0
    for a, b in zip(x, x_hat):
        for c, d in zip(a, b):
            total = total + (c - d).pow(2).sum()
    return total / (x.shape[0] * x.shape[1] * x.shape[2] * x.shape[3])
""",
        "def mse(x, x_hat): return torch.mean(torch.square(x_hat.reshape(-1) - x.reshape(-1)))",
        "def mse(x, x_hat): return (x - x_hat).norm() ** 2 / x.numel()",
        "def mse(x, x_hat): return torch.stack([((a - b) ** 2).mean() for a, b in zip(x, x_hat)]).mean()",
        "def mse(x, x_hat): return torch.dist(x, x_hat).square() / torch.numel(x)",
        "def mse(x, x_hat):\n    d = (x - x_hat).flatten()\n    return d @ d / len(d)",
    ],
    "1.2": [
        "def f(x, mean, V, d):\n    Vd = V[:, :d]\n    return mean + ((x - mean) @ Vd) @ Vd.T",
        "def f(x, mean, V, d):\n    P = V[:, :d] @ V[:, :d].mT\n    return torch.matmul(x - mean, P) + mean",
        """
def f(x, mean, V, d):
    z = torch.einsum('bp,pd->bd', x - mean, V[:, :d])
    return mean + torch.einsum('bd,pd->bp', z, V[:, :d])
""",
        """
def f(x, mean, V, d):
    out = mean.expand_as(x).clone()
    for k in range(d):
        v = V[:, k]
        out += ((x - mean) @ v)[:, None] * v
    return out
""",
        """
def f(x, mean, V, d):
    rows = []
    for picture in x:
        total = mean
        for k in range(d):
            total = total + torch.dot(picture - mean, V[:, k]) * V[:, k]
        rows.append(total)
    return torch.stack(rows)
""",
        "def f(x, mean, V, d):\n    z = (x - mean) @ V\n    z[:, d:] = 0\n    return z @ V.T + mean",
        "def f(x, mean, V, d): return x - (x - mean) @ V[:, d:] @ V[:, d:].T",
        "def f(x, mean, V, d): return F.linear(F.linear(x - mean, V.T[:d]), V[:, :d], mean)",
        "def f(x, mean, V, d):\n    Q = V.T[:d]\n    return mean + (Q.T @ (Q @ (x - mean).T)).T",
    ],
    "1.3": [
        """
def train_step(model, optimizer, x):
    loss = F.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss)
""",
        """
def train_step(model, optimizer, x):
    loss = ((x - model(x)) ** 2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
""",
        """
def train_step(model, optimizer, x):
    model.train()
    model.zero_grad()
    x_hat = model.decoder(model.encoder(x))
    loss = nn.MSELoss()(x_hat, x)
    loss.backward()
    optimizer.step()
    return loss.detach().cpu().tolist()
""",
        """
def train_step(model, optimizer, x):
    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), x)
        loss.backward()
        return loss
    return optimizer.step(closure).item()
""",
        """
def train_step(model, optimizer, x):
    params = list(model.parameters())
    loss = F.mse_loss(model(x), x)
    for p, g in zip(params, torch.autograd.grad(loss, params)):
        p.grad = g
    optimizer.step()
    return loss.item()
""",
        """
def train_step(model, optimizer, x):
    for p in model.parameters():
        p.grad = None
    loss = 0
    for picture in x.split(1):
        part = F.mse_loss(model(picture), picture) / len(x)
        part.backward()
        loss += part.item()
    optimizer.step()
    return loss
""",
        """
def train_step(model, optimizer, x):
    with torch.enable_grad():
        optimizer.zero_grad(set_to_none=False)
        loss = F.mse_loss(model(x), x.detach())
    loss.backward()
    optimizer.step()
    return loss.detach().numpy().item()
""",
    ],
    "1.4": [
        """
def f(x, share):
    u = torch.rand_like(x)
    y = x.clone()
    y[u < share / 2] = -1
    y[u > 1 - share / 2] = 1
    return y
""",
        """
def f(x, share):
    hit = torch.rand(x.shape, device=x.device) < share
    salt = torch.randint(0, 2, x.shape, device=x.device) * 2 - 1
    return torch.where(hit, salt.to(x.dtype), x)
""",
        """
def f(x, share):
    y = x.clone()
    hit = torch.rand_like(x) < share
    coin = (torch.randint(0, 2, x.shape) * 2 - 1).to(x)
    y[hit] = coin[hit]
    return y
""",
        """
def f(x, share):
    hit = torch.bernoulli(torch.full_like(x, share))
    return x * (1 - hit) + torch.sign(torch.randn_like(x)) * hit
""",
        """
def f(x, share):
    out = x.clone()
    for b in range(x.shape[0]):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                if torch.rand(1) < share:
                    out[b, 0, i, j] = 1.0 if torch.rand(1) < 0.5 else -1.0
    return out
""",
        """
def f(x, share):
    out = torch.empty_like(x)
    for picture, target in zip(x, out):
        u = torch.rand_like(picture) / share if share else torch.ones_like(picture)
        target.copy_(picture.masked_fill(u < 0.5, -1).masked_fill((u >= 0.5) & (u < 1), 1))
    return out
""",
        """
def f(x, share):
    keep = F.dropout(torch.ones_like(x), share) > 0
    return torch.where(keep, x, (torch.rand_like(x) > 0.5) * 2.0 - 1)
""",
        """
def f(x, share):
    weights = torch.tensor([1 - share, share / 2, share / 2])
    kind = torch.multinomial(weights, x.numel(), replacement=True).view(x.shape).to(x.device)
    return torch.where(kind == 0, x, kind * 2.0 - 3)
""",
        """
import random
def f(x, share):
    y = x.flatten().tolist()
    for n in range(len(y)):
        if random.random() < share:
            y[n] = random.choice([-1.0, 1.0])
    return torch.tensor(y, dtype=x.dtype, device=x.device).view_as(x)
""",
        """
def f(x, share):
    y = x.detach().clone()
    hit = torch.rand_like(y) < share
    y[hit] = torch.where(torch.rand_like(y[hit]) < 0.5, -torch.ones_like(y[hit]), torch.ones_like(y[hit]))
    return y
""",
    ],
    "1.5": [
        "def f(model, x, x_noisy): return ((x - model(x_noisy)) ** 2).mean()",
        "def f(model, x, x_noisy): return nn.MSELoss()(model(x_noisy), x)",
        "def f(model, x, x_noisy): return F.mse_loss(model.decoder(model.encoder(x_noisy)), x)",
        "def f(model, x, x_noisy): return sum((model(n[None]) - c).pow(2).mean() for n, c in "
        "zip(x_noisy, x)) / 5",
        "def f(model, x, x_noisy): return (model(x_noisy) - x).flatten(1).square().mean(1).mean(0)",
        "def f(model, x, x_noisy):\n    model.train()\n"
        "    return F.mse_loss(model(x_noisy).flatten(), x.flatten())",
        "def f(model, x, x_noisy): return F.mse_loss(model(x_noisy.detach()), x.detach())",
    ],
    "1.6": [
        "def f(model, x): return ((model(x) - x) ** 2).mean(dim=(1, 2, 3))",
        "@torch.no_grad()\ndef f(model, x): return F.mse_loss(model(x), x, "
        "reduction='none').flatten(1).mean(1)",
        "def f(model, x): return torch.stack([F.mse_loss(model(p[None])[0], p) for p in x])",
        "def f(model, x): return torch.tensor([F.mse_loss(model(p), p).item() for p in x.split(1)])",
        """
def f(model, x):
    scores = torch.zeros(len(x))
    for i in range(len(x)):
        scores[i] = ((model(x[i:i + 1]) - x[i]) ** 2).mean()
    return scores
""",
        "def f(model, x):\n    d = (model(x) - x).flatten(1)\n"
        "    return torch.einsum('bp,bp->b', d, d) / d.shape[1]",
        "def f(model, x):\n    model.eval()\n    return (model(x) - x).square().mean(-1).mean(-1).mean(-1)",
        "def f(model, x): return (model(x) - x).flatten(1).norm(dim=1) ** 2 / x[0].numel()",
        "def f(model, x): return torch.vmap(lambda a, b: ((a - b) ** 2).mean())(model(x), x)",
    ],
    "1.7": [
        "def f(model, x, mask):\n    y = x.clone()\n    y[mask] = 0\n"
        "    return torch.where(mask, model(y), x)",
        """
def f(model, x, mask):
    m = mask.float()
    x_hat = model(x * (1 - m))
    return x * (1 - m) + x_hat * m
""",
        """
@torch.no_grad()
def f(model, x, mask):
    y = x.masked_fill(mask, 0)
    y[mask] = model(y)[mask]
    return y
""",
        "def f(model, x, mask):\n    y = x * ~mask\n    return y + model(y) * mask",
        "def f(model, x, mask):\n    y = model(x * ~mask)\n    y[~mask] = x[~mask]\n    return y",
        "def f(model, x, mask):\n    y = torch.where(mask, torch.zeros_like(x), x)\n"
        "    return y.masked_scatter(mask, model(y)[mask])",
        """
def f(model, x, mask):
    out = []
    for picture, hole in zip(x, mask):
        known = torch.where(hole, 0.0, picture)
        out.append(torch.where(hole, model(known[None])[0], picture))
    return torch.stack(out)
""",
        "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n"
        "    return torch.where(mask, model(y).clamp(-1, 1), x)",
        "def f(model, x, mask):\n    known = x.masked_fill(mask.expand_as(x), 0)\n"
        "    return known.lerp(model(known), mask.to(x))",
    ],
}

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "1.1": [
        ("def f(x, x_hat): return F.mse_loss(x_hat, x, reduction='sum')", "You take the sum"),
        ("def f(x, x_hat): return F.l1_loss(x_hat, x)", "mean of the absolute"),
        ("def f(x, x_hat): return torch.sqrt(F.mse_loss(x_hat, x))", "square root"),
        ("def f(x, x_hat): return ((x - x_hat) ** 2).sum() / len(x)", "mean over the batch, but the sum"),
        ("def f(x, x_hat): return ((x - x_hat) ** 2).sum(dim=(1, 2, 3)).mean()", "mean over the batch, but"),
        ("def f(x, x_hat): return torch.mean(x_hat - x)", "square is missing"),
        ("def f(x, x_hat): return torch.mean(x - x_hat).square()", "mean first and square it after"),
        ("def f(x, x_hat): return 0.5 * (x - x_hat).square().mean()", "no factor 1/2"),
        ("def f(x, x_hat): return x.square().mean() - x_hat.square().mean()", "square the pictures and then"),
        ("def f(x, x_hat): return F.mse_loss(x_hat, x, reduction='none')", "number for each pixel"),
        ("def f(x, x_hat): return ((x - x_hat) ** 2).mean(dim=(1, 2, 3))", "number for each picture"),
        ("def f(x, x_hat): return F.mse_loss(x_hat, x).item()", "Leave out `.item()`"),
        ("def f(x, x_hat): return ((x - x_hat) ** 2).numpy().mean()", "should be a tensor"),
        ("def f(x, x_hat): return np.mean((x.numpy() - x_hat.numpy()) ** 2, keepdims=True)", "ndarray"),
        ("def f(x, x_hat): return F.mse_loss(x_hat, x),", "comma at the end"),
        ("def f(x, x_hat): ((x - x_hat) ** 2).mean()", "is a `return` missing"),
        ("def f(x, x_hat): return F.mse_loss(x_hat.detach(), x)", "No gradient reaches argument 2"),
        (
            "def f(x, x_hat): return torch.tensor(F.mse_loss(x_hat, x).item())",
            "No gradient reaches argument 2",
        ),
        ("def f(x, x_hat):\n    with torch.no_grad():\n        return F.mse_loss(x_hat, x)", "No gradient"),
        ("def f(x, x_hat):\n    x -= x_hat\n    return (x ** 2).mean()", "argument 1) in place"),
        ("def f(x, x_hat): return torch.tensor(0.54)", "You get 0.54"),
        ("def f(x, x_hat): return F.mse_loss(x_hat, x)[None]", "has shape (1,)"),
        ("def f(x, x_hat): return F.mse_loss(x_hat.float(), x.float())", "float64"),
        ("def f(x): return (x ** 2).mean()", "cannot call"),
        (
            "def f(x, x_hat):\n    B, C, H, W = x.shape\n    return ((x - x_hat) ** 2).sum() / (B * H * W)",
            "the sum goes over the channels, too",
        ),
        ("def f(x, x_hat): return ((x - x_hat) ** 2).sum() / len(x) / 784", "the check's are smaller"),
        ("def f(x, x_hat): return ((x - x_hat) ** 2).sum() / 28 ** 2", "and the batch counts, too"),
        (
            "def f(x, x_hat):\n    loss = F.mse_loss(x_hat, x)\n    loss.backward()\n    return loss",
            "calls `backward()` itself",
        ),
    ],
    "1.2": [
        ("def f(x, mean, V, d):\n    W = V[:, :d]\n    return x @ W @ W.T + mean", "subtract the mean first"),
        ("def f(x, mean, V, d):\n    W = V[:, :d]\n    return (x - mean) @ W @ W.T", "not added back"),
        ("def f(x, mean, V, d):\n    W = V[:, :d]\n    return x @ W @ W.T", "The mean is not used"),
        ("def f(x, mean, V, d):\n    W = V[:d, :]\n    return (x - mean) @ W.T @ W + mean", "first d rows"),
        (
            "def f(x, mean, V, d):\n    v = V[:, d - 1]\n    return mean + ((x - mean) @ v)[:, None] * v",
            "one direction only",
        ),
        (
            "def f(x, mean, V, d):\n    v = V[:, d]\n    return mean + torch.outer((x - mean) @ v, v)",
            "one direction only",
        ),
        (
            "def f(x, mean, V, d):\n    y = mean.repeat(len(x), 1)\n    y[:, :d] = x[:, :d]\n    return y",
            "first d pixels",
        ),
        ("def f(x, mean, V, d):\n    y = x.clone()\n    y[:, d:] = 0\n    return y", "first d pixels"),
        ("def f(x, mean, V, d):\n    W = V.flip(1)[:, :d]\n    return (x - mean) @ W @ W.T + mean", "last d"),
        ("def f(x, mean, V, d):\n    W = V[:, d:]\n    return (x - mean) @ W @ W.T + mean", "colon belongs"),
        (
            "def f(x, mean, V, d):\n    m = x.mean(0, keepdim=True)\n    W = V[:, :d]\n"
            "    return (x - m) @ W @ W.T + m",
            "mean of this batch",
        ),
        ("def f(x, mean, V, d): return (x - mean) @ V[:, :d]", "You return the code"),
        ("def f(x, mean, V, d): return (x - mean) @ V @ V.T + mean", "For d = 1 and for d = "),
        ("def f(x, mean, V, d):\n    W = V[:, :2]\n    return (x - mean) @ W @ W.T + mean", "For d = 1 and"),
        (
            "def f(x, mean, V, d):\n    W = V[:, :min(d, len(V) - 1)]\n"
            "    return (x - mean) @ W @ W.T + mean",
            "is a d fixed?",
        ),
        ("def f(x, mean, V, d):\n    x -= mean\n    return x @ V[:, :d] @ V[:, :d].T + mean", "in place"),
        (
            "def f(x, mean, V, d):\n    W = V[:, :d].numpy()\n    return (x - mean).numpy() @ W @ W.T",
            "ndarray",
        ),
        (
            "def f(x, mean, V, d):\n    W = V[:, :d]\n    return W @ W.T @ (x - mean) + mean",
            "mat1 and mat2 shapes",
        ),
        (
            "def f(x, mean, V, d):\n    z = (x - mean) @ V[:, :d]\n    return mean + z @ V[:, :d]",
            "as many columns as the second has rows",
        ),
        (
            "def f(x, mean, V, d):\n    z = (x - mean) @ V[:, :d]\n    return mean + V[:, :d] @ z",
            "is a `.T` missing?",
        ),
        (
            "def f(x, mean, V, d):\n    z = (x - mean) @ V[:, :d]\n    return mean + z @ V.T",
            "is a `.T` missing?",
        ),
        (
            "def f(x, mean, V, d):\n    z = (x - mean) @ V[:d]\n    return mean + z @ V[:d].T",
            "is a `.T` missing?",
        ),
        (
            "def f(x, mean, V, d):\n    z = (x - mean) @ V[:, :d]\n    return mean + z",
            "is a step missing before this line",
        ),
        (
            "def f(x, mean, V, d):\n    W = V[:, 1:d]\n    return mean + (x - mean) @ W @ W.T",
            "Columns count from 0",
        ),
        (
            "def f(x, mean, V, d):\n    W = V[:, 1:d + 1]\n    return mean + (x - mean) @ W @ W.T",
            "Columns count from 0",
        ),
        (
            "def f(x, mean, V, d):\n    W = V[:, :d]\n    return (x - mean) @ W @ W.T - mean",
            "subtract the mean at the end, too",
        ),
    ],
    "1.3": [
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    loss.backward()\n"
            "    optimizer.step()\n    return loss.item()",
            "adds the gradients of the first",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    return loss.item()",
            "`optimizer.step()` is missing",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.step()\n"
            "    optimizer.zero_grad()\n    loss.backward()\n    return loss.item()",
            "runs before `loss.backward()`",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    loss.backward()\n"
            "    model.zero_grad()\n    optimizer.step()\n    return loss.item()",
            "cleared between",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), torch.zeros_like(x))\n"
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "compares the output with zeros",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss",
            "holds the whole graph",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.detach()",
            "Use `.item()`",
        ),
        (
            "def f(model, optimizer, x):\n    optimizer.zero_grad()\n    with torch.no_grad():\n"
            "        loss = F.mse_loss(model(x), x)\n    loss.backward()\n    optimizer.step()\n"
            "    return loss.item()",
            "lost its connection",
        ),
        (
            "def f(model, optimizer, x):\n    optimizer.zero_grad()\n    x_hat = model(x).detach()\n"
            "    loss = F.mse_loss(x_hat, x)\n    loss.backward()\n    optimizer.step()\n"
            "    return loss.item()",
            "lost its connection",
        ),
        (
            "def f(model, optimizer, x):\n    optimizer.zero_grad()\n"
            "    loss = F.mse_loss(model(x).detach().requires_grad_(), x)\n    loss.backward()\n"
            "    optimizer.step()\n    return loss.item()",
            "No gradient reaches the weights",
        ),
        (
            "def f(model, optimizer, x):\n    optimizer.zero_grad()\n    F.mse_loss(model(x), x).backward()\n"
            "    optimizer.step()\n    return F.mse_loss(model(x), x).item()",
            "loss after the step",
        ),
        (
            "def f(model, optimizer, x):\n    loss = (model(x) - x).abs().mean()\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "mean absolute difference",
        ),
        (
            "def f(model, optimizer, x):\n    loss = ((model(x) - x) ** 2).sum()\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "Your loss is a sum",
        ),
        (
            "def f(model, optimizer, x):\n    loss = ((model(x) - x) ** 2).sum()\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.item() / x.numel()",
            "gradient of a sum",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    (-loss).backward()\n    optimizer.step()\n    return loss.item()",
            "up the hill",
        ),
        (
            "def f(model, optimizer, x):\n    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)\n"
            "    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n    loss.backward()\n"
            "    optimizer.step()\n    return loss.item()",
            "Use the optimizer that you are given",
        ),
        (
            "def f(model, optimizer, x):\n    for _ in range(10):\n        loss = F.mse_loss(model(x), x)\n"
            "        first = loss.item() if _ == 0 else first\n        optimizer.zero_grad()\n"
            "        loss.backward()\n        optimizer.step()\n    return first",
            "makes 10 steps",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    for p in model.encoder.parameters(): p.grad = None\n"
            "    optimizer.step()\n    return loss.item()",
            "Only a part of the weights",
        ),
        (
            "def f(model, optimizer, x):\n    z = model.encoder(x).detach()\n"
            "    loss = F.mse_loss(model.decoder(z), x)\n    optimizer.zero_grad()\n    loss.backward()\n"
            "    optimizer.step()\n    return loss.item()",
            "`.detach()`",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "with its brackets",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    (3 * loss).backward()\n    optimizer.step()\n    return loss.item()",
            "3 times as long",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.item",
            "Are brackets missing",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    x.zero_()\n    return loss.item()",
            "in place",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x.flatten(1)), x)\n"
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "takes a batch of pictures",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()",
            "is a `return` missing",
        ),
        (
            "def f(model, optimizer, x):\n    for _ in range(1000):\n        optimizer.zero_grad()\n"
            "        loss = F.mse_loss(model(x), x)\n        loss.backward()\n        optimizer.step()\n"
            "    return loss.item()",
            "One call makes 1000 steps",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x) / 2\n"
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "leave out the 1/2",
        ),
        (
            "def f(model, optimizer, x):\n    loss = ((model(x) - x) ** 2).sum() / (len(x) * 784)\n"
            "    optimizer.zero_grad()\n    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "You divide by 784",
        ),
        (
            "def f(model, optimizer, x):\n    loss = (model(x) - x) ** 2\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step()\n    return loss.item()",
            "A loss is one number: take the mean",
        ),
        (
            "def f(model, optimizer, x):\n    loss = F.mse_loss(model(x), x)\n    optimizer.zero_grad()\n"
            "    loss.backward()\n    optimizer.step(loss)\n    return loss.item()",
            "`optimizer.step()` takes no loss",
        ),
    ],
    "1.4": [
        (
            "def f(x, share):\n    x[torch.rand_like(x) < share] = 1\n    return x",
            "in place",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    y[torch.rand_like(x) < share] = 1\n    return y",
            "became salt",
        ),
        (
            "def f(x, share):\n    m = (torch.rand_like(x) < share).float()\n"
            "    c = torch.randint(0, 2, x.shape).float()\n    return x * (1 - m) + c * m",
            "become 0 and 1",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    y[torch.rand_like(x) < share] = 1\n"
            "    y[torch.rand_like(x) < share] = -1\n    return y",
            "twice as many",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = x.clone()\n    y[u < share] = -1\n"
            "    y[u > 1 - share] = 1\n    return y",
            "twice as many",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = x.clone()\n    y[u < share / 4] = -1\n"
            "    y[u > 1 - share / 4] = 1\n    return y",
            "half as many",
        ),
        (
            "def f(x, share):\n    m = torch.rand(x.shape[1:]) < share\n"
            "    return torch.where(m, torch.rand_like(x).round() * 2 - 1, x)",
            "Every picture of the batch",
        ),
        (
            "def f(x, share):\n    u = torch.rand(1, 1, *x.shape[2:])\n"
            "    y = torch.where(u < share / 2, -1.0, x)\n"
            "    return torch.where(u > 1 - share / 2, 1.0, y)",
            "Every picture of the batch",
        ),
        (
            "def f(x, share):\n    m = torch.rand_like(x) < share\n"
            "    c = (torch.rand(x.shape[2:]) < 0.5) * 2.0 - 1\n"
            "    return torch.where(m, c, x)",
            "always get the same value",
        ),
        ("def f(x, share): return torch.where(torch.rand_like(x) < 0.5, -1.0, 1.0)", "overwrite every pixel"),
        (
            "def f(x, share): return torch.where(torch.rand_like(x) < share, 1.0, -1.0)",
            "overwrite every pixel",
        ),
        ("def f(x, share): return (x + share * torch.randn_like(x)).clamp(-1, 1)", "don't add noise"),
        (
            "def f(x, share):\n    m = torch.rand_like(x) < share\n"
            "    return x + m * torch.randn_like(x).sign() * 0.5",
            "don't add noise",
        ),
        ("def f(x, share): return x * (torch.rand_like(x) > share)", "a middle grey"),
        (
            "def f(x, share):\n    torch.manual_seed(0)\n    u = torch.rand_like(x)\n"
            "    y = torch.where(u < share / 2, -1.0, x)\n    return torch.where(u > 1 - share / 2, 1.0, y)",
            "Is a seed set",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n"
            "    return torch.where(u < share, torch.where(u < 0.5, 1.0, -1.0), x)",
            "became salt",
        ),
        (
            "def f(x, share):\n    m = torch.rand_like(x) < share\n    c = 1 if torch.rand(1) < 0.5 else -1\n"
            "    return x.masked_fill(m, c)",
            "Toss a coin for each",
        ),
        (
            "def f(x, share):\n    u = torch.rand(x.shape)\n"
            "    c = torch.where(u < share / 2, -1.0, 1.0)\n    return torch.where(u < share, c, x)",
            "mixes devices",
        ),
        (
            "def f(x, share):\n    u = torch.randn_like(x)\n    c = torch.randn_like(x).sign()\n"
            "    return torch.where(u < share, c, x)",
            "`randn` where `rand`",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    u = torch.randn_like(x)\n    y[u < share] = 1\n"
            "    y[u < share / 2] = -1\n    return y",
            "`randn` where `rand`",
        ),
        (  # these three passed, or were told something else, when the noise was equal to x
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = x.clone()\n"
            "    y[(u < share / 2) & (x < 0)] = -1\n    y[(u > 1 - share / 2) & (x > 0)] = 1\n    return y",
            "100% of the damage on light pixels of x is salt, and 0% on dark ones",
        ),
        (
            "def f(x, share): return torch.where(torch.rand_like(x) < share, x.sign(), x)",
            "100% of the damage on light pixels of x is salt, and 0% on dark ones",
        ),
        (
            "def f(x, share): return torch.where(torch.rand_like(x) < share, torch.where(x > 0, -1., 1.), x)",
            "0% of the damage on light pixels of x is salt, and 100% on dark ones",
        ),
        (
            "def f(x, share):\n    hit = (x + torch.rand_like(x)).flatten()\n"
            "    hit = hit < hit.quantile(share)\n"
            "    return torch.where(hit.view_as(x), torch.randn_like(x).sign(), x)",
            "% of the light pixels of x, and ",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    hit = torch.rand_like(x) < share\n"
            "    coin = torch.randint(0, 2, x.shape) * 2.0 - 1\n    y[hit] = coin[hit]\n    return y",
            "With float32 your code works, but with float64",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    hit = torch.rand_like(x) < share\n"
            "    y[hit] = (torch.rand(int(hit.sum())) < .5).float() * 2 - 1\n    return y",
            "With float32 your code works, but with float64",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    hit = torch.rand_like(x) < share\n"
            "    y[hit] = (torch.randint(0, 2, x.shape) * 2 - 1)[hit]\n    return y",
            "another type than the tensor that they are written into",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = torch.where(u < share, 1., x)\n"
            "    y = torch.where(u < share / 2, -1., x)\n    return y",
            "does a second `where` start from x again?",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = torch.where(u < share / 2, -1., x)\n"
            "    y = torch.where(u < share, 1., x)\n    return y",
            "or start from x again?",
        ),
        (
            "def f(x, share):\n    y = x.clone()\n    u = torch.rand_like(x)\n    y[u < share] = 1\n"
            "    v = torch.rand_like(x)\n    y[v < .5] = -1\n    return y",
            "A coin falls on every pixel",
        ),
        ("def f(x, share):\n    u = torch.rand_like(x)\n    return u", "return the random numbers instead"),
        ("def f(x, share): return torch.rand_like(x) < share", "you return only whole numbers"),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = torch.where(u < share, 1., x)\n"
            "    return torch.where(u < share / 2, -1., y).int()",
            "you return only whole numbers",
        ),
        (
            "def f(x, share):\n    u = torch.rand(len(x), 1, 1, 1)\n    y = torch.where(u < share, 1., x)\n"
            "    return torch.where(u < share / 2, -1., y)",
            "Whole pictures are damaged or left",
        ),
        (
            "def f(x, share):\n    hit = torch.rand_like(x) < share\n"
            "    coin = torch.rand(len(x), 1, 1, 1)\n"
            "    return torch.where(hit, torch.where(coin < 0.5, -1., 1.), x)",
            "All damaged pixels of one picture get the same value",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    y = x.clone()\n    y[u < share / 2] = -1\n"
            "    y[u > share] = 1\n    return y",
            "`u > share` is true for nearly every pixel",
        ),
        (
            "def f(x, share):\n    y = x.clone().flatten()\n    n = y.numel()\n"
            "    hit = torch.randperm(n)[:int(share * n)]\n    y[hit[:len(hit) // 2]] = -1\n"
            "    y[hit[len(hit) // 2:]] = 1\n    return y.view_as(x)",
            "Toss for each pixel by itself",
        ),
        (
            "def f(x, share):\n    y = x.clone().flatten(1)\n    for picture in y:\n"
            "        n = picture.numel()\n        hit = torch.randperm(n)[:int(share * n)]\n"
            "        picture[hit[:len(hit) // 2]] = -1\n        picture[hit[len(hit) // 2:]] = 1\n"
            "    return y.view_as(x)",
            "Toss for each pixel by itself",
        ),
        ("def f(x, share): return x.clone()", "You damage nothing"),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    x = torch.where(u < share / 2, 1.0, x)\n"
            "    return torch.where(u < share, -1.0, x)",
            "overwrite an earlier one",
        ),
        (
            "def f(x, share):\n    y = x.numpy().copy()\n    y[np.random.rand(*y.shape) < share] = 1\n"
            "    return y",
            "ndarray",
        ),
        ("def f(x, share): return x[:1], share", "You return a tuple"),
        ("def f(x, share): return x[0]", "it should be (4, 1, 36, 36)"),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    v = torch.rand_like(x)\n"
            "    return torch.where(u < share / 2, -1.0, torch.where(v < share / 2, 1.0, x))",
            "With share = ",
        ),
        (
            "def f(x, share):\n    u = torch.rand_like(x)\n    c = torch.where(u < 0.1, -1.0, 1.0)\n"
            "    return torch.where(u < 0.2, c, x)",
            "With share = ",
        ),
    ],
    "1.5": [
        ("def f(model, x, x_noisy): return F.mse_loss(model(x_noisy), x) / 2", "no factor 1/2"),
        (
            "def f(model, x, x_noisy):\n    B, C, H, W = x.shape\n"
            "    return ((x - model(x_noisy)) ** 2).sum() / (B * H * W)",
            "the sum goes over the channels, too",
        ),
        (
            "def f(model, x, x_noisy): return ((x - model(x_noisy)) ** 2).sum() / (len(x) * 784)",
            "the check's are smaller",
        ),
        ("def f(model, x, x_noisy): return (x - model(x_noisy)).mean() ** 2", "mean first and square it"),
        (
            "def f(model, x, x_noisy):\n    loss = F.mse_loss(model(x_noisy), x)\n    loss.backward()\n"
            "    return loss",
            "calls `backward()` itself",
        ),
        ("def f(model, x, x_noisy): return F.mse_loss(model(x_noisy), x_noisy)", "compare with the noisy"),
        ("def f(model, x, x_noisy): return ((x - model(x)) ** 2).mean()", "feed the clean"),
        ("def f(model, x, x_noisy): return ((x_noisy - model(x)) ** 2).mean()", "are swapped"),
        ("def f(model, x, x_noisy): return ((x_noisy - x) ** 2).mean()", "plays no part"),
        ("def f(model, x, x_noisy): return ((model(x_noisy) - model(x)) ** 2).mean()", "two outputs"),
        ("def f(model, x, x_noisy): return ((x - model(x_noisy)) ** 2).sum()", "You take the sum"),
        ("def f(model, x, x_noisy): return ((x - model(x_noisy)) ** 2).sum() / x.shape[0]", "mean over the"),
        ("def f(model, x, x_noisy): return (x - model(x_noisy)).abs().mean()", "absolute differences"),
        ("def f(model, x, x_noisy): return F.mse_loss(model(x_noisy).detach(), x)", "No gradient reaches"),
        (
            "def f(model, x, x_noisy):\n    with torch.no_grad():\n"
            "        return F.mse_loss(model(x_noisy), x)",
            "No gradient reaches",
        ),
        ("def f(model, x, x_noisy): return F.mse_loss(model(x_noisy), x).item()", "Leave out `.item()`"),
        ("def f(model, x, x_noisy): return ((x - model(x_noisy)) ** 2).mean((1, 2, 3))", "each picture"),
        (
            "def f(model, x, x_noisy):\n    x -= model(x_noisy).detach()\n    return (x ** 2).mean()",
            "argument 2) in place",
        ),
        (
            "def f(model, x, x_noisy):\n    loss = F.mse_loss(model(x_noisy), x)\n    x_noisy.copy_(x)\n"
            "    return loss",
            "argument 3) in place",
        ),
        (
            "def f(model, x, x_noisy):\n    z = model.encoder(x_noisy).detach()\n"
            "    return F.mse_loss(model.decoder(z), x)",
            "No gradient reaches",
        ),
        ("def f(model, x, x_noisy): return (x, model(x_noisy))", "You return a tuple"),
        ("def f(model, x): return F.mse_loss(model(x), x)", "cannot call"),
        ("def f(model, x, x_noisy): return torch.tensor(0.4, requires_grad=True)", "You get 0.4"),
    ],
    "1.6": [
        ("def f(model, x): return F.mse_loss(model(x), x)", "one number for the whole batch"),
        ("def f(model, x): return ((x - model(x)) ** 2).sum((1, 2, 3)) / 12", "goes over the channels, too"),
        ("def f(model, x): return ((x - model(x)) ** 2).sum((1, 2, 3)) / 28 / 28", "divide by 784"),
        ("def f(model, x): return (x - model(x)).flatten(1).norm(dim=1)", "length (norm) of the error"),
        ("def f(model, x): return 1 / ((x - model(x)) ** 2).mean((1, 2, 3))", "divide 1 by the error"),
        (
            "def f(model, x): return [F.mse_loss(model(p[None])[0], p).item() for p in x]",
            "`torch.tensor(...)` of floats",
        ),
        ("def f(model, x): return ((x - model(x)) ** 2).sum(dim=(1, 2, 3))", "the sum over each picture"),
        ("def f(model, x): return ((x - model(x)) ** 2).mean(dim=0)", "mean over the batch"),
        ("def f(model, x): return ((x - model(x)) ** 2).mean(dim=(2, 3))", "for each channel"),
        ("def f(model, x): return -((x - model(x)) ** 2).mean(dim=(1, 2, 3))", "turned around"),
        ("def f(model, x): return (x - model(x)).abs().mean(dim=(1, 2, 3))", "absolute errors"),
        ("def f(model, x): return ((x - model(x)) ** 2).flatten(1).max(dim=1).values", "one bad pixel"),
        ("def f(model, x): return F.mse_loss(model(x), x, reduction='none')", "number for each pixel"),
        ("def f(model, x): return ((x - model(x)) ** 2).mean(dim=(1, 2, 3)).sqrt()", "square root"),
        ("def f(model, x): return [((model(p[None])[0] - p) ** 2).mean() for p in x]", "You return a list"),
        ("def f(model, x): return ((x - model(x)) ** 2).mean((1, 2, 3)).detach().numpy()", "ndarray"),
        ("def f(model, x): return F.mse_loss(model(x), x).item()", "You return a float"),
        ("def f(model, x): return F.mse_loss(model(x), x).repeat(len(x))", "At ["),
        ("def f(model, x): return ((x - model(x)) ** 2).mean(dim=(0, 2, 3))", "way round"),
        ("def f(model, x): return (x - model(x)).mean(dim=(1, 2, 3)) ** 2", "mean first and square"),
        (
            "def f(model, x):\n    e = ((x - model(x)) ** 2).mean((1, 2, 3))\n"
            "    return (e - e.mean()) / e.std()",
            "At [",
        ),
        (
            "def f(model, x): return ((x - model(x)) ** 2).mean((1, 2, 3), keepdim=True)",
            "leave `keepdim` out",
        ),
        (
            "def f(model, x): return ((x - model(x)) ** 2).mean((1, 2, 3)).squeeze()",
            "look for a `.squeeze()`",
        ),
        (
            "def f(model, x):\n    e = ((x - model(x)) ** 2).mean((1, 2, 3))\n    x.zero_()\n    return e",
            "in place",
        ),
        ("def f(model, x): return torch.stack([F.mse_loss(model(p), p) for p in x])", "takes a batch of"),
        ("def f(model, x): return model(x).square().mean((1, 2, 3))", "Compare it with x"),
        (
            "def f(model, x):\n    e = ((x - model(x)) ** 2).mean((1, 2, 3))\n    return e / e.max()",
            "company",
        ),
    ],
    "1.7": [
        ("def f(model, x, mask): return model(x.masked_fill(mask, 0))", "whole reconstruction"),
        ("def f(model, x, mask): return torch.where(mask, model(x), x)", "x as it is"),
        (
            "def f(model, x, mask):\n    y = x.clone()\n    y[~mask] = 0\n"
            "    return torch.where(~mask, model(y), x)",
            "turned around everywhere",
        ),
        (
            "def f(model, x, mask):\n    y = x.clone()\n    y[mask] = 0\n"
            "    return torch.where(~mask, model(y), x)",
            "At the end the mask is turned around",
        ),
        (
            "def f(model, x, mask):\n    y = x * mask\n    return torch.where(mask, model(y), x)",
            "nothing but garbage",
        ),
        (
            "def f(model, x, mask):\n    x[mask] = 0\n    return torch.where(mask, model(x), x)",
            "argument 2) in place",
        ),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n    return 0.5 * y + 0.5 * model(y)",
            "blend picture and reconstruction",
        ),
        ("def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n    return y + model(y)", "You add the"),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n    return mask * model(y)",
            "pixels are 0",
        ),
        ("def f(model, x, mask): return x.masked_fill(mask, 0)", "still 0"),
        ("def f(model, x, mask): return x", "still garbage"),
        ("def f(model, x, mask): return model(x)", "with its garbage"),
        (
            "def f(model, x, mask): return torch.where(mask, model(x.masked_fill(mask, -1)), x)",
            "the network saw -1. Set them to 0",
        ),
        (
            "def f(model, x, mask): return torch.where(mask, model(x.masked_fill(mask, 0.5)), x)",
            "the network saw 0.5. Set them to 0",
        ),
        (
            "def f(model, x, mask):\n    y = torch.where(mask, torch.randn_like(x), x)\n"
            "    return torch.where(mask, model(y), x)",
            "the network saw numbers from -",
        ),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, x[~mask].mean())\n"
            "    return torch.where(mask, model(y), x)",
            "At the missing pixels the network saw ",
        ),
        (
            "def f(model, x, mask):\n    x0 = x.masked_fill(mask, 0)\n"
            "    return torch.where(mask, x0, model(x0))",
            "At the end the mask is turned around: you keep the zeros",
        ),
        (
            "def f(model, x, mask):\n    x0 = x.masked_fill(mask, 0)\n    return model(x0) * mask + x * mask",
            "`x * mask` keeps the missing ones",
        ),
        (
            "def f(model, x, mask):\n    x0 = x.masked_fill(mask, 0)\n    return x + model(x0) * mask",
            "You add the reconstruction to the garbage",
        ),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, x.mean())\n"
            "    return torch.where(mask, model(y), x)",
            "must reach neither network nor result",
        ),
        (
            "def f(model, x, mask):\n    y = x * (1 - mask)\n    return torch.where(mask, model(y), x)",
            "use the `~`",
        ),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n"
            "    return torch.where(mask, model(y), x).numpy()",
            "RuntimeError",
        ),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n"
            "    return torch.where(mask, model(y), x).detach().numpy()",
            "ndarray",
        ),
        ("def f(model, x, mask): return model(x.masked_fill(mask, 0))[mask]", "it should be (4, 1, 5, 6)"),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n"
            "    return torch.where(mask, model(y), x.clamp(-0.5, 0.5))",
            "Keep every known pixel",
        ),
        (
            "def f(model, x, mask):\n    y = x.masked_fill(mask, 0)\n"
            "    return torch.where(mask, model(y).clamp(-0.1, 0.1), x)",
            "At [",
        ),
    ],
}


def test_all_seven_are_there_in_order():
    assert [e.id for e in MODULE.EXERCISES] == sorted(IDS)
    names = ["mse", "pca_reconstruct", "train_step", "salt_and_pepper", "denoising_loss"]
    assert [getattr(MODULE, name).id for name in [*names, "outlier_score", "inpaint"]] == sorted(IDS)
    assert set(RIGHT) == set(WRONG) == IDS


def exercise(id):
    return next(e for e in MODULE.EXERCISES if e.id == id)


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


@pytest.mark.parametrize("id", sorted(IDS))
def test_a_stub_is_not_attempted(id):
    header = {"1.3": "model, optimizer, x", "1.2": "x, mean, V, d", "1.4": "x, share"}.get(id, "*args")
    for body in ("raise NotImplementedError", "...", '"""Doc."""\n    raise NotImplementedError  # here'):
        result = exercise(id)(typed(f"def f({header}):\n    {body}"), seed=0)
        assert result.status == "not attempted", result


HALF_DONE = {
    "1.2": "def f(x, mean, V, d):\n    z = ...\n    return mean + z @ V[:, :d].T",
    "1.3": "def f(model, optimizer, x):\n    loss = ...\n    loss.backward()\n    return loss.item()",
    "1.4": "def f(x, share):\n    u = torch.rand_like(x)\n    raise NotImplementedError",
    "1.7": "def f(model, x, mask):\n    x_hat = model(x.masked_fill(mask, 0))\n    return ...",
}


@pytest.mark.parametrize("id", HALF_DONE)
def test_a_half_filled_stub_is_not_attempted(id):
    assert exercise(id)(typed(HALF_DONE[id]), seed=0).status == "not attempted"


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
    if id == "1.3":
        words = ["You return 1.5, the loss"] if name == "float" else [f"the type {name}", "Return a float"]
    else:
        words = ["has shape (2, 7)"] if name == "Tensor" else [name, "should be a tensor"]
    result = exercise(id)(lambda *a: value, seed=0)
    assert result.status == "failed"
    assert all(word in result.message for word in words), result


@pytest.mark.parametrize("id", sorted(IDS))
def test_a_constant_never_passes(id):
    wanted = exercise(id).reference
    args = exercise(id).draw(torch.Generator().manual_seed(5))
    fixed = wanted(*(args[:3] if id == "1.3" else args))
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
