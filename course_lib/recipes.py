"""Every training of the course, each as one short function: the method, its data, the arguments of `fit`.

    course train ae32_fashion

runs one of them. A recipe is named METHOD_DATA, and so are the weights that it makes. The costs in the
comments are those of two CPU cores.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from course_lib import data
from course_lib.errors import CourseError
from course_lib.fit import Data, warmup_cosine
from course_lib.methods.autoencoder import Autoencoder


class Recipe(NamedTuple):
    """What `course train` runs: build `method(**kwargs)`, then `fit(that, data, steps=steps, **fit)`."""

    method: type[nn.Module]
    kwargs: dict[str, Any]  # plain values only: they are written into the weights file
    data: Data
    steps: int
    fit: dict[str, Any]
    about: str  # one sentence for people
    licence: str  # of the weights: that of the data they are made from


def ae32_fashion(steps: int = 14_000) -> Recipe:
    """The autoencoder of notebook 01 with a code of 32 numbers. About 20 minutes."""
    return Recipe(
        method=Autoencoder,
        kwargs=dict(latent=32, widths=(24, 64), blocks=1, weight_decay=0.05),
        data=data.fashion("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.999),
        about="Convolutional autoencoder, code of 32 numbers, Fashion-MNIST",
        licence="MIT (Fashion-MNIST, Zalando SE)",
    )


def names() -> list[str]:
    """The recipes there are, in the order of this file."""
    here = vars(sys.modules[__name__])
    return [
        k for k, v in here.items() if inspect.isfunction(v) and v.__annotations__.get("return") == "Recipe"
    ]


def find(name: str) -> Callable[..., Recipe]:
    """The recipe called `name`. Raises CourseError that suggests the nearest name."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1, 0.0)
        raise CourseError(
            f'There is no recipe "{name}". Did you mean "{near[0]}"? All: {", ".join(names())}.'
        )
    return vars(sys.modules[__name__])[name]
