"""Exercise 3.6: the gradient penalty of WGAN-GP, arXiv 1704.00028, eq. 3."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_lib.check.compare import same
from course_lib.check.core import Answer, Exercise, Mistakes, Property, Trial
from course_lib.check.gan.critic import linear, pictures, points
from course_lib.check.properties import close_to, input_unchanged, recognised, returns_tensor
from course_lib.check.vae.told import named, on


def _spread(u: Tensor, x: Tensor) -> Tensor:
    """u (B,) -> (B, 1, ...), with as many dimensions as x."""
    return u.view(-1, *[1] * (x.dim() - 1))


def _between(x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    return x + _spread(u, x) * (fake - x)


def _slopes(D: nn.Module, x: Tensor) -> Tensor:
    """The gradient of each sample's value by that sample, like x."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(D(x).sum(), x, create_graph=True)[0]


def _of_slopes(value: Callable[[Tensor], Tensor]) -> Answer:
    """An answer from the gradients (B, ...) at the right places."""
    return lambda D, x, fake, u: value(_slopes(D, _between(x, fake, u)))


def _at(place: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Answer:
    """The right penalty, from the gradients at other places."""
    return lambda D, x, fake, u: _penalty(_slopes(D, place(x, fake, u)))


def _norms(grad: Tensor) -> Tensor:
    return grad.flatten(1).norm(dim=1)


def _penalty(grad: Tensor) -> Tensor:
    return (_norms(grad) - 1).square().mean()


right = _of_slopes(_penalty)


def _no_graph(D: nn.Module, x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    x_hat = _between(x, fake, u).requires_grad_()
    (grad,) = torch.autograd.grad(D(x_hat).sum(), x_hat)
    return _penalty(grad)


def _detached(D: nn.Module, x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    return right(D, x, fake, u).detach()


def _by_backward(D: nn.Module, x: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    x_hat = _between(x, fake, u).requires_grad_()
    D(x_hat).sum().backward(create_graph=True)
    assert x_hat.grad is not None
    return _penalty(x_hat.grad)


SUM = "You sum over the batch. Take the mean of the penalties."
NO_GRAPH = (
    "The value is right, but it has no graph, so D could not learn from it: the penalty is a function of D's "
    "weights, too. Write `torch.autograd.grad(..., create_graph=True)`, and detach nothing after that."
)
BY_BACKWARD = (
    "Your function leaves gradients in D: `backward()` fills them in for every weight. "
    "`torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)` asks for one gradient only."
)

VALUES: Mistakes = (  # wrong for a linear D, too
    (
        _of_slopes(lambda g: (g.norm() - 1).square()),
        "You take one norm over the whole batch. Each sample has its own: `grad.flatten(1).norm(dim=1)`.",
    ),
    (_of_slopes(lambda g: (_norms(g) - 1).square().sum()), SUM),
    (
        _of_slopes(lambda g: (_norms(g) - 1).square()),
        "You return one penalty for each sample. Take their mean: a loss is one number.",
    ),
    (
        _of_slopes(lambda g: (_norms(g / len(g)) - 1).square().mean()),
        "You differentiate the mean of D over the batch, so every slope comes out B times too small. "
        "Differentiate the sum: each sample's value depends on that sample only.",
    ),
    (
        _of_slopes(lambda g: _norms(g).square().mean()),
        "The 1 is missing, so D would be pulled to slope 0, as in R1. WGAN-GP wants slope 1: (|grad| - 1)^2.",
    ),
    (
        _of_slopes(lambda g: (_norms(g).square() - 1).square().mean()),
        "You subtract 1 from the squared norm. Subtract it from the norm: the root is missing.",
    ),
    (
        _of_slopes(lambda g: (_norms(g) - 1).mean()),
        "The square is missing, so that a slope below 1 would be a gain.",
    ),
    (
        _of_slopes(lambda g: (_norms(g) - 1).abs().mean()),
        "You take the absolute value. Square the difference.",
    ),
    (
        _of_slopes(lambda g: (g.flatten(1).abs().sum(1) - 1).square().mean()),
        "You add up absolute values. The norm is Euclidean: the root of the sum of squares.",
    ),
    (
        _of_slopes(lambda g: (g - 1).square().flatten(1).sum(1).mean()),
        "You subtract 1 from each number of the gradient. Take the norm of each sample first.",
    ),
    (
        _of_slopes(lambda g: (g - 1).square().mean()),
        "You subtract 1 from each number of the gradient. Take the norm of each sample first.",
    ),
    (
        _of_slopes(lambda g: 10 * _penalty(g)),
        "You multiply by 10. The weight lambda comes later: leave it out.",
    ),
    (_of_slopes(lambda g: -_penalty(g)), "The sign is wrong: the penalty is never below 0."),
)
PLACES: Mistakes = (  # wrong for a D whose slope varies
    (
        _of_slopes(lambda g: (_norms(g).mean() - 1).square()),
        "You average the norms, and then square: slopes of 0 and 2 would look like 1. Square each difference "
        "first.",
    ),
    (
        _at(lambda x, fake, u: _between(fake, x, u)),
        "u is exchanged with 1 - u: here x_hat is x where u = 0, and the made sample where u = 1.",
    ),
    (_at(lambda x, fake, u: x), "You take the slope at x. Take it in between: x_hat = x + u (fake - x)."),
    (
        _at(lambda x, fake, u: fake),
        "You take the slope at the made samples. Take it in between: x_hat = x + u (fake - x).",
    ),
    (
        _at(lambda x, fake, u: (x + fake) / 2),
        "You always take the point half-way. u says how far to go from x to the made sample.",
    ),
    (
        _at(lambda x, fake, u: x + u[0] * (fake - x)),
        "You use one u for the whole batch. Each sample has its own.",
    ),
    (
        _at(lambda x, fake, u: x + u.mean() * (fake - x)),
        "You use the mean of u. Each sample has its own.",
    ),
    (
        _at(lambda x, fake, u: x + _spread(torch.rand_like(u), x) * (fake - x)),
        "You draw u yourself. Use the one that you are given.",
    ),
    (
        _at(lambda x, fake, u: x + _spread(u, x) * fake),
        "That is x + u fake, a point outside. Between the two is x + u (fake - x).",
    ),
)
PIXELS: Mistakes = (
    (
        _of_slopes(lambda g: (g.norm(dim=1) - 1).square().mean()),
        "You take the norm over the channels of each pixel. A picture has one norm, over all its numbers: "
        "`grad.flatten(1).norm(dim=1)`.",
    ),
)
GRAPH: Mistakes = ((_no_graph, NO_GRAPH), (_detached, NO_GRAPH), (_by_backward, BY_BACKWARD))


def _linear_value(t: Trial) -> str | None:
    D = t.args()[0]
    slope = D.weight.norm().item()
    yours, wanted = t.answer(t.student), (slope - 1) ** 2
    if same(yours, torch.tensor(wanted), 1e-4, 1e-5):
        return None
    if yours.numel() != 1:
        seen = f"Your result has shape {tuple(yours.shape)}, it should be ()."
    else:
        seen = (
            f"D is linear, with slope {slope:.4g} everywhere. So the penalty is ({slope:.4g} - 1)^2 = "
            f"{wanted:.4g}; you get {yours.item():.4g}."
        )
    return f"{recognised(t, VALUES)} {seen}".strip()


def _reaches_d(t: Trial) -> str | None:
    D, *others = t.args()
    value = t.answer(t.student, D, *others)
    if any(p.grad is not None and p.grad.any() for p in D.parameters()):
        return BY_BACKWARD
    if not value.requires_grad:
        return NO_GRAPH
    found = torch.autograd.grad(value, list(D.parameters()), allow_unused=True)
    wanted = torch.autograd.grad(t.answer(t.reference, D, *others), list(D.parameters()))
    if all(f is not None and same(f, w, 1e-3, 1e-5) for f, w in zip(found, wanted, strict=True)):
        return None
    return "The value is right, but its gradient for D's weights is not: is a part of it cut off?"


gradient_penalty = Exercise(
    id="3.6",
    title="A gradient penalty",
    difficulty=4,
    minutes=15,
    hints=(
        "Three steps: the points x_hat, the gradient of D there, and from it one number for each sample. For "
        "pictures, u must get as many dimensions as x: (B, 1, 1, 1).",
        "`u.view(-1, *[1] * (x.dim() - 1))` gives u these dimensions. Call `.requires_grad_()` on x_hat. "
        "`torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)` returns a tuple with one gradient, "
        "like x_hat: the sum over the batch does no harm, since each value depends on its own sample only.",
        "`(grad,) = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)`, and then "
        "`((grad.flatten(1).norm(dim=1) - 1) ** 2).mean()`.",
    ),
    reference=right,
    draw=linear,
    properties=(
        returns_tensor(),
        Property("a linear critic", _linear_value, VALUES),
        on(points, close_to(*PLACES, name="between x and fake")),
        on(pictures, close_to(*PIXELS, *PLACES, name="pictures")),
        on(points, Property("D can learn from it", _reaches_d, GRAPH)),
        named("inputs unchanged", input_unchanged()),
    ),
)
