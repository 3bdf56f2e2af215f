"""Eq. 7 of arXiv 2006.11239 as in exercise 6.3, right and with one mistake each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from course_lib.check.core import Answer, Mistakes
from course_lib.check.diffusion.parts import picture_wise


class Level(NamedTuple):
    """What eq. 7 is made from, each (B,)."""

    a: Tensor  # alpha_bar_t
    s: Tensor  # alpha_bar_(t-1)

    @property
    def alpha(self) -> Tensor:
        return self.a / self.s

    @property
    def beta(self) -> Tensor:
        return 1 - self.a / self.s

    @property
    def of_x0(self) -> Tensor:
        return self.s.sqrt() * self.beta / (1 - self.a)

    @property
    def of_x(self) -> Tensor:
        return self.alpha.sqrt() * (1 - self.s) / (1 - self.a)

    @property
    def tilde(self) -> Tensor:
        return (1 - self.s) / (1 - self.a) * self.beta


Weight = Callable[[Level], Tensor]


def _of_x0(k: Level) -> Tensor:
    return k.of_x0


def _of_x(k: Level) -> Tensor:
    return k.of_x


def _tilde(k: Level) -> Tensor:
    return k.tilde


def by(of_x0: Weight = _of_x0, of_x: Weight = _of_x, variance: Weight = _tilde, shift: int = 0) -> Answer:
    """Eq. 7 but for what is given here; `shift` reads the table that much too late."""

    def answer(x: Tensor, x0: Tensor, t: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
        k = Level(alpha_bar[t + shift], alpha_bar[t + shift - 1])
        return picture_wise(of_x0(k)) * x0 + picture_wise(of_x(k)) * x, variance(k)

    return answer


def of_levels(x: Tensor, x0: Tensor, k: Level) -> tuple[Tensor, Tensor]:
    """Eq. 7."""
    return picture_wise(k.of_x0) * x0 + picture_wise(k.of_x) * x, k.tilde


step_back = by()


EARLIER = "alpha_bar_(t-1), which is `alpha_bar[t - 1]`"
SWAP = (
    "The two weights are exchanged (or x and x0 are): in eq. 7 sqrt(alpha_bar_(t-1)) beta_t stands before "
    "x_0, the other one before x_t."
)
MEANS: Mistakes = (
    (by(_of_x, _of_x0), SWAP),
    (
        by(of_x0=lambda k: k.a.sqrt() * k.beta / (1 - k.a)),
        f"The root in the weight of x_0 is that of {EARLIER}; you take alpha_bar_t.",
    ),
    (
        by(of_x=lambda k: k.alpha.sqrt()),
        f"The weight of x_t has 1 - alpha_bar_t above as below, so it cancels. Above stands 1 - {EARLIER}.",
    ),
    (
        by(of_x=lambda k: k.a.sqrt() * (1 - k.s) / (1 - k.a)),
        "The weight of x_t has the root of alpha_t, of one step; you take that of alpha_bar_t.",
    ),
    (
        by(of_x=lambda k: k.s.sqrt() * (1 - k.s) / (1 - k.a)),
        "The weight of x_t has the root of alpha_t, of one step; you take that of alpha_bar_(t-1).",
    ),
    (
        by(of_x0=lambda k: k.alpha.sqrt() * k.beta / (1 - k.a)),
        "The weight of x_0 has the root of alpha_bar_(t-1), of the whole way there; you take that of "
        "alpha_t.",
    ),
    (
        by(lambda k: k.alpha.sqrt() * k.beta / (1 - k.a), lambda k: k.s.sqrt() * (1 - k.s) / (1 - k.a)),
        "The two roots are exchanged: sqrt(alpha_bar_(t-1)) belongs to x_0, sqrt(alpha_t) to x_t.",
    ),
    (
        by(of_x0=lambda k: k.s * k.beta / (1 - k.a)),
        "The root in the weight of x_0 is missing: sqrt(alpha_bar_(t-1)).",
    ),
    (
        by(of_x=lambda k: k.alpha * (1 - k.s) / (1 - k.a)),
        "The root in the weight of x_t is missing: sqrt(alpha_t).",
    ),
    (
        by(lambda k: k.s * k.beta / (1 - k.a), lambda k: k.alpha * (1 - k.s) / (1 - k.a)),
        "Both roots are missing: sqrt(alpha_bar_(t-1)) with x_0, and sqrt(alpha_t) with x_t.",
    ),
    (
        by(of_x0=lambda k: k.s.sqrt() * k.beta / (1 - k.s), of_x=lambda k: k.alpha.sqrt()),
        "You divide by 1 - alpha_bar_(t-1). Below stands 1 - alpha_bar_t, in both weights.",
    ),
    (
        by(of_x0=lambda k: k.s.sqrt() * k.beta, of_x=lambda k: k.alpha.sqrt() * (1 - k.s)),
        "The division by 1 - alpha_bar_t is missing.",
    ),
    (
        by(
            lambda k: k.s.sqrt() * k.beta / (1 - k.a).sqrt(),
            lambda k: k.alpha.sqrt() * (1 - k.s) / (1 - k.a).sqrt(),
        ),
        "You divide by sqrt(1 - alpha_bar_t). Below stands 1 - alpha_bar_t, without a root.",
    ),
    (
        by(of_x0=lambda k: k.s.sqrt() * k.alpha / (1 - k.a)),
        "The weight of x_0 has alpha_t where beta_t = 1 - alpha_t belongs.",
    ),
    (
        by(of_x0=lambda k: k.s.sqrt() * (1 - k.a) / (1 - k.a)),
        "You take 1 - alpha_bar_t for beta_t in the weight of x_0. beta_t = 1 - alpha_t, with one step's "
        "alpha.",
    ),
    (
        by(of_x0=lambda k: k.s.sqrt() * k.tilde / (1 - k.a)),
        "The weight of x_0 has the variance, beta tilde, where beta_t belongs.",
    ),
    (by(of_x=lambda k: torch.zeros_like(k.a)), "x_t is missing from your mean."),
    (by(of_x0=lambda k: torch.zeros_like(k.a)), "x_0 is missing from your mean."),
    (by(lambda k: -k.of_x0), "You subtract the part of x_0. Both parts are added."),
    (
        by(lambda k: k.s.sqrt(), lambda k: torch.zeros_like(k.a)),
        "That is the mean of q(x_(t-1) | x_0), which does not look at x_t. Here x_t is known, too.",
    ),
    (
        by(lambda k: torch.zeros_like(k.a), lambda k: k.alpha.sqrt()),
        "That is the mean of a step into the noise, q(x_t | x_(t-1)). This one goes back.",
    ),
    (
        by(lambda k: torch.zeros_like(k.a), lambda k: 1 / k.alpha.sqrt()),
        "You only undo the scaling of one step. The mean also leans towards x_0: it has two parts.",
    ),
    (
        by(of_x=lambda k: (1 - k.s) / (1 - k.a)),
        "The weight of x_t lacks the root of alpha_t.",
    ),
    (
        by(of_x0=lambda k: k.beta / (1 - k.a)),
        "The weight of x_0 lacks the root of alpha_bar_(t-1).",
    ),
    (
        lambda x, x0, t, alpha_bar: (
            step_back(x, x0, t, alpha_bar)[0]
            + picture_wise(step_back(x, x0, t, alpha_bar)[1].sqrt()) * torch.randn_like(x),
            step_back(x, x0, t, alpha_bar)[1],
        ),
        "You draw from the Gaussian. Return its mean, without any noise, and its variance.",
    ),
    (
        lambda x, x0, t, alpha_bar: of_levels(x, x0, Level(alpha_bar[t - 1], alpha_bar[t])),
        "The two entries of the table are exchanged: alpha_bar_t is the smaller one, `alpha_bar[t]`.",
    ),
    (
        lambda x, x0, t, alpha_bar: of_levels(x, x0, Level(alpha_bar[t], alpha_bar[t + 1])),
        "You take `alpha_bar[t + 1]`. The step back goes from t to t - 1.",
    ),
    (by(of_x=lambda k: -k.of_x), "You subtract the part of x_t. Both parts are added."),
    (
        by(lambda k: torch.zeros_like(k.a), lambda k: torch.ones_like(k.a)),
        "Your mean is x_t itself, as if nothing were known about x_0.",
    ),
    (
        by(lambda k: torch.ones_like(k.a), lambda k: torch.zeros_like(k.a)),
        "Your mean is x_0 itself. That is where the whole way ends, and this is one step of it.",
    ),
    (
        by(shift=1),
        "You read the table one time too late. It has T + 1 entries: alpha_bar_t is `alpha_bar[t]`, and "
        "before it comes `alpha_bar[t - 1]`.",
    ),
    (
        by(shift=-1),
        "You read the table one time too early. It has T + 1 entries: alpha_bar_t is `alpha_bar[t]`, and "
        "before it comes `alpha_bar[t - 1]`.",
    ),
    (
        lambda x, x0, t, alpha_bar: step_back(x, x0, t[:1].expand_as(t), alpha_bar),
        "You take the t of the first picture for all. Each picture has its own.",
    ),
    *(
        (
            lambda x, x0, t, alpha_bar, d=d: (
                step_back(x.transpose(0, d), x0.transpose(0, d), t, alpha_bar)[0].transpose(0, d),
                step_back(x, x0, t, alpha_bar)[1],
            ),
            f"The weights change along the {axis} of each picture, and should change from picture to "
            "picture: give them the shape (B, 1, 1, 1), with `.view(-1, 1, 1, 1)`.",
        )
        for d, axis in ((1, "channels"), (2, "rows"), (3, "columns"))
    ),
)
VARIANCES: Mistakes = tuple(
    (by(variance=variance), sentence)
    for variance, sentence in (
        (
            lambda k: k.beta,
            "That is beta_t, the variance of a step into the noise. To know x_0 makes the step back more "
            "certain: beta tilde is smaller, by the factor (1 - alpha_bar_(t-1)) / (1 - alpha_bar_t).",
        ),
        (lambda k: k.tilde.sqrt(), "That is the standard deviation. Return the variance, without the root."),
        (
            lambda k: k.beta.sqrt(),
            "That is the root of beta_t. Return the variance beta tilde, without a root.",
        ),
        (lambda k: k.tilde.square(), "You square the variance: beta tilde is one already."),
        (lambda k: k.tilde.log(), "That is the logarithm of the variance. Return the variance itself."),
        (
            lambda k: (1 - k.a) / (1 - k.s) * k.beta,
            "The factor is upside down, so that your variance is above beta_t. It is (1 - alpha_bar_(t-1)) / "
            "(1 - alpha_bar_t).",
        ),
        (
            lambda k: k.s / k.a * k.beta,
            "In the factor stand the shares of the noise, 1 - alpha_bar; you divide those of the picture.",
        ),
        (
            lambda k: k.a / k.s * k.beta,
            "In the factor stand the shares of the noise, 1 - alpha_bar; you divide those of the picture.",
        ),
        (
            lambda k: (1 - k.s) / (1 - k.a),
            "beta_t is missing: it is multiplied with that factor.",
        ),
        (
            lambda k: (1 - k.s) / (1 - k.a) * k.alpha,
            "You multiply with alpha_t where beta_t = 1 - alpha_t belongs.",
        ),
        (
            lambda k: 1 - k.s,
            "You get 1 - alpha_bar_(t-1), the variance of q(x_(t-1) | x_0), which does not know x_t. Is "
            "beta_t 1 - alpha_t, with the alpha of one step?",
        ),
        (
            lambda k: 1 - k.a,
            "1 - alpha_bar_t is the variance of q(x_t | x_0). You need beta tilde of eq. 7.",
        ),
        (
            lambda k: (1 - k.s) * k.beta,
            "The division by 1 - alpha_bar_t is missing.",
        ),
        (lambda k: (1 - k.alpha.sqrt()) * (1 - k.s) / (1 - k.a), "beta_t is 1 - alpha_t, without a root."),
        (
            lambda k: torch.zeros_like(k.a),
            "Your variance is 0. Only at t = 1 it is.",
        ),
        (lambda k: 1 / k.tilde, "That is the precision, 1 / variance. Return the variance."),
        (lambda k: torch.ones_like(k.a), "Your variance is 1 at every t. It is beta tilde of eq. 7."),
    )
)
