"""Does one latent dimension hold one thing? The portraits of the beta-VAE, and scores of its code.

A factor (skin tone, say) is read from the codes by the simplest predictor there is, fitted on the training
portraits and judged on people never seen in training: a straight line for a number (R^2), a logistic
regression for a word (accuracy). It gets all dimensions together, then each one alone. If the best single
dimension does nearly as well as all, the factor sits in one slider; the gap between the best and the second
is the SAP score of A. Kumar et al., arXiv 1711.00848, section 3 (there with a threshold for words).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from torch import Tensor

from course_lib import data
from course_lib.methods.vae import VAE
from course_lib.nn.gaussian import kl_to_standard
from course_lib.sets import People

HeldOut = Literal["validation", "test"]
TOP, LEFT, SIDE = 6, 4, 24  # the face and the collar, in pixels of the 32x32 drawing


def portraits(split: data.Split = "train") -> People:
    """Noto faces of people without a trade, cut to 24x24 pixels; x (N, 3, 24, 24) uint8, `rgba` uncut.

    Kept are drawings whose concept says "person" ("person frowning", "older person") and that fill 45 to 75 %
    of their square: figures fill less. Few things vary in them, and the face fills the picture.
    """
    people = data.people(split, style="noto")
    person = torch.tensor(["person" in concept for concept in people.concepts])
    filled = people.rgba[:, 3].float().mean((1, 2)) / 255
    kept = people.subset(person & (filled > 0.45) & (filled < 0.75))
    return replace(kept, x=kept.x[:, :, TOP : TOP + SIDE, LEFT : LEFT + SIDE])


class Reading(NamedTuple):
    """How well a factor is read from held-out codes: R^2 for a number, accuracy for a word."""

    together: float  # from all dimensions at once
    best: float  # from the one that suited the training codes best
    second: float  # from the one that came next there
    dimension: int  # which the best one is

    @property
    def gap(self) -> float:
        """Best minus second, each at least 0: large where one dimension alone holds the factor (SAP)."""
        return max(self.best, 0.0) - max(self.second, 0.0)


Codes = NDArray[np.floating]
Values = NDArray[np.number]


def reading(codes: Codes, y: Values, held_codes: Codes, held_y: Values) -> Reading:
    """Read a factor from codes (N, d), d >= 2: y (N,) floats are a number, integers are words.

    Everything is fitted on `codes`, the choice of the dimensions too, and judged on `held_codes` (M, d). A
    line judged on other data can do worse than their mean: R^2 is negative then.
    """
    if codes.shape[1] < 2:
        raise ValueError("A best and a second dimension need codes of at least two, got one.")
    number = np.issubdtype(y.dtype, np.floating)
    spread = codes.std(0) + 1e-8  # the regression punishes large weights, so the scale must not matter

    def fitted(columns: list[int]) -> tuple[float, float]:
        """Scores on the training and on the held-out codes."""
        a, b = codes[:, columns] / spread[columns], held_codes[:, columns] / spread[columns]
        model = (LinearRegression() if number else LogisticRegression(max_iter=1_000)).fit(a, y)
        return float(model.score(a, y)), float(model.score(b, held_y))

    d = codes.shape[1]
    alone = [fitted([i]) for i in range(d)]
    first, second = np.argsort([-trained for trained, _ in alone], kind="stable")[:2]
    return Reading(fitted(list(range(d)))[1], alone[first][1], alone[second][1], int(first))


def factors(people: People) -> dict[str, tuple[NDArray[np.bool_], Values]]:
    """name -> (which portraits count (N,), the values of those): what is known about each portrait.

    Tone is 1.0 (light) to 5.0 (dark), for drawings with a skin tone; gender is the word in the caption;
    brightness is the mean of the picture.
    """
    toned = people.tone.numpy() > 0
    everybody = np.ones_like(toned)
    return {
        "tone": (toned, people.tone.numpy()[toned].astype(np.float64)),
        "gender": (everybody, people.gender.numpy()),
        "brightness": (everybody, people.floats.mean((1, 2, 3)).double().numpy()),
    }


def readings(codes: Tensor, held_codes: Tensor, split: HeldOut) -> dict[str, Reading]:
    """Every factor read from the codes of `portraits("train")` and of `portraits(split)`, in their order."""
    train, held = factors(portraits("train")), factors(portraits(split))
    a, b = codes.numpy(), held_codes.numpy()
    return {name: reading(a[rows], y, b[held[name][0]], held[name][1]) for name, (rows, y) in train.items()}


@torch.no_grad()
def kl_of_dimensions(model: VAE, x: Tensor) -> Tensor:
    """Mean KL to the prior of each latent dimension in nats, (d,): near 0 where a dimension is not used."""
    return kl_to_standard(*model.posterior(x)).mean(0)


@torch.no_grad()
def traversal_scores(model: torch.nn.Module, split: HeldOut = "test") -> dict[str, float]:
    """How well the dimensions of a VAE on `portraits` are sorted, beside PCA with as many components.

    Tone and brightness: R^2, 1 is perfect. Gender: accuracy, guessing gives 1/3.
    """
    net = cast(VAE, model)
    train, held = portraits("train").floats, portraits(split).floats
    pca = PCA(net.latent, svd_solver="covariance_eigh").fit(train.flatten(1).numpy())
    shown = torch.from_numpy(pca.inverse_transform(pca.transform(held.flatten(1).numpy()))).view_as(held)
    kl = kl_of_dimensions(net, held)
    scores = {
        "squared error": (net(held) - held).square().mean().item(),
        "PCA's squared error": (shown - held).square().mean().item(),
        "KL in nats": kl.sum().item(),
        "dimensions with over 0.1 nats": float((kl > 0.1).sum()),
    }
    codes = {
        "": [net.posterior(x)[0] for x in (train, held)],
        ", PCA": [torch.from_numpy(pca.transform(x.flatten(1).numpy())) for x in (train, held)],
    }
    for label, (a, b) in codes.items():
        for name, found in readings(a, b, split).items():
            scores[f"{name}, all dimensions{label}"] = found.together
            scores[f"{name}, best dimension{label}"] = found.best
            scores[f"{name}, gap to the second{label}"] = found.gap
    return scores
