"""The one training loop of the course.

For each loss that a method yields: clear the gradients, backward, average over ranks, check, clip, step (that
is `update.py`). Then the moving average, the hooks, the checkpoint. It carries every family of the course, on
one device or on many (`torchrun` or `fabric run`), and a run that was stopped anywhere goes on bit for bit.

Three rules make the resume exact:
- which samples a step sees, and the random numbers it draws, depend on (seed, rank, step) alone;
- a batch is fetched *before* the step is seeded, so a data set that draws numbers cannot disturb the step;
- all lasting state (pools, schedules, statistics) is a buffer of the method: a state dict holds all.

On many ranks the parameters are equal at every step. Buffers are each rank's own while it trains, and those
of rank 0 in the checkpoint and at the end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm.auto import tqdm

from course_lib.checkpoint import History, RunState
from course_lib.engine import (
    Precision,
    any_rank,
    moving_average,
    one_device,
    same_on_every_rank,
    seed_draws,
    stop_button,
)
from course_lib.errors import CourseError
from course_lib.method import Batch, Method
from course_lib.update import one_step

Hook = Callable[[int, dict[str, float]], None]


class Data(Protocol):
    """Anything with a length that gives a batch for a LongTensor of indices; a plain Tensor will do."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Tensor, /) -> Batch: ...


@dataclass
class Run:
    """What `fit` did. Printing it gives one line: steps, seconds, samples per second, last losses."""

    method: nn.Module  # the method itself, trained in place
    averaged: dict[str, nn.Module]  # the moving averages of the sub-modules named in `method.ema`
    step: int  # steps done in all, earlier runs included
    seconds: float  # of this call
    samples: int  # seen by this call, on all ranks
    stopped: bool = False  # True if somebody pressed stop before the last step
    history: History = field(default_factory=dict)  # name -> [(step, value)]

    @property
    def model(self) -> nn.Module:
        """A copy of the method with its averaged networks in place, in eval mode: what one publishes."""
        model = deepcopy(self.method)
        for name, net in self.averaged.items():
            model.get_submodule(name).load_state_dict(net.state_dict())
        return model.eval()

    def __repr__(self) -> str:
        speed = self.samples / max(self.seconds, 1e-9)
        losses = ", ".join(f"{k} {v[-1][1]:.4g}" for k, v in self.history.items() if v)
        state = "stopped after" if self.stopped else "trained to"
        return f"{state} step {self.step} in {self.seconds:.1f} s, {speed:,.0f} samples/s; {losses}"


def fit(
    method: nn.Module,  # with the members of `Method`
    data: Data,
    *,
    steps: int,  # train until this many steps are done, earlier runs included
    batch: int = 64,  # samples of one backward pass, on each rank
    accumulate: int = 1,  # backward passes that share one optimizer step
    lr: Callable[[int], float] | None = None,  # step -> factor on each optimizer's own learning rate
    ema: float = 0.0,  # decay of the moving average of `method.ema`, 0 for none
    clip: float | None = None,  # largest allowed gradient norm
    seed: int = 0,
    precision: Precision = "fp32",  # bf16 pays on GPUs and on CPUs that have it in hardware, else it is slow
    device: str = "auto",  # "auto", "cpu", "cuda" or "mps"
    fabric: Fabric | None = None,  # for many devices; then `precision` and `device` are its business
    checkpoint: Path | str | None = None,  # where the state of the run is kept
    every: int = 500,  # steps between two checkpoints
    resume: bool = False,  # go on from `checkpoint` if it exists
    hooks: tuple[Hook, ...] = (),  # each is called with (step, losses) after every step; it must only look
    progress: bool = True,
) -> Run:
    """Train `method` on `data`; the method is changed in place and also returned, in a `Run`.

    Pressing Ctrl-C (or the notebook's stop button) ends the run after the step under way, saves the
    checkpoint if there is one, and returns what there is. Pressing it twice breaks off at once.

    Raises NonFiniteLoss when a loss or a gradient is NaN or infinite; the weights are then still those of the
    last good update, the buffers those of the last good step, and the checkpoint is untouched. Raises
    CourseError for arguments that cannot work.
    """
    _check(data, dict(steps=steps, batch=batch, accumulate=accumulate, every=every), ema, clip)
    fabric = fabric or one_device(device, precision)
    # Under torchrun every rank draws the same initial weights only if the method was built from one seed;
    # rank 0's copy is sent to all, so that it holds whatever the caller did.
    method.to(fabric.device)
    same_on_every_rank(method, fabric)
    if hasattr(data, "to"):
        data = data.to(fabric.device)  # uint8: a whole data set is some ten MiB
    maker = cast(Method, method)
    opts = maker.optimizers()
    for group in (g for o in opts.values() for g in o.param_groups):
        group.setdefault("initial_lr", group["lr"])
    averages = {name: moving_average(method.get_submodule(name), ema) for name in (maker.ema if ema else ())}
    settings = dict(seed=seed, batch=batch, accumulate=accumulate, ema=ema, samples=len(data))
    state = RunState(
        parts={
            "method": method,
            **{f"opt.{k}": o for k, o in opts.items()},
            **{f"ema.{k}": a for k, a in averages.items()},
        },
        about={"method": type(method).__name__, "world": fabric.world_size, **settings},
    )
    path = Path(checkpoint) if checkpoint else None
    start, history = state.open(path, resume, fabric)

    block = batch * accumulate * fabric.world_size  # samples of one optimizer step, on all ranks
    began, done, stopped = time.monotonic(), start, False
    quiet = not (progress and fabric.is_global_zero)
    bar = tqdm(total=steps, initial=start, unit="step", disable=quiet, leave=False)
    with bar, stop_button() as pressed:
        for step in range(start, steps):
            batches = _fetch(data, seed, step, batch, accumulate, fabric)
            seed_draws(_number(seed, step, fabric), fabric.device)
            method.train()
            logs = one_step(method, batches, opts, step, lr(step) if lr else 1.0, clip, fabric)
            for name, average in averages.items():
                average.update_parameters(method.get_submodule(name))
            done = step + 1
            for name, value in logs.items():
                history.setdefault(name, []).append((step, value))
            for hook in hooks:
                hook(step, logs)
            if path and done % every == 0 and done < steps:
                state.save(path, done, history, fabric, forgiving=True)
            if not quiet:
                bar.set_postfix_str(_bar_text(logs, (done - start) * block, began), refresh=False)
                bar.update()
            if stopped := any_rank(pressed.is_set(), fabric):
                break
    if path and (done > start or not path.exists()):
        state.save(path, done, history, fabric)
    method.eval()
    for part in (method, *averages.values()):
        same_on_every_rank(part, fabric)
    nets = {name: average.module.eval() for name, average in averages.items()}
    seconds = time.monotonic() - began
    return Run(method, nets, done, seconds, (done - start) * block, stopped and done < steps, history)


def _fetch(data: Data, seed: int, step: int, batch: int, accumulate: int, fabric: Fabric) -> list[Batch]:
    """The batches that this rank sees at `step`, one for each backward pass."""
    block = batch * accumulate * fabric.world_size
    index = batch_indices(len(data), seed=seed, start=step * block, count=block)
    mine = index[fabric.global_rank :: fabric.world_size].to(fabric.device)
    # a data set may draw numbers too: apart from those of the step, for no rank is as high as 2048
    seed_draws(_number(seed, step, fabric) + 2048, fabric.device)
    return [data[part] for part in mine.split(batch)]


def _number(seed: int, step: int, fabric: Fabric) -> int:
    """The seed of a step on a rank."""
    return ((seed * 1_000_003 + step) * 4096 + fabric.global_rank) % 2**63


@lru_cache(maxsize=4)
def _epoch(n: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(n, generator=generator)


def batch_indices(n: int, *, seed: int, start: int, count: int) -> Tensor:
    """Positions start .. start + count of an endless stream of shuffled epochs of n samples; (count,) int64.

    A pure function: any part of the stream can be had without the part before it, so a resumed run sees the
    samples that an uninterrupted one would have seen.
    """
    first, last = start // n, (start + count - 1) // n
    stream = torch.cat([_epoch(n, seed, e) for e in range(first, last + 1)])
    return stream[start - first * n :][:count]


def warmup_cosine(steps: int, *, warmup: int = 50, flat: float = 0.0) -> Callable[[int], float]:
    """A learning-rate factor for `fit(lr=...)`: up over `warmup` steps, then a cosine to 0.

    It stays at 1 until `flat * steps`.
    """

    def factor(step: int) -> float:
        rest = max(0.0, (step - flat * steps) / max(1.0, steps - flat * steps))
        return min(1.0, (step + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, rest)))

    return factor


def _bar_text(logs: dict[str, float], samples: int, began: float) -> str:
    losses = ", ".join(f"{k.removeprefix('loss/')} {v:.4f}" for k, v in logs.items() if k.startswith("loss/"))
    return f"{losses}, {samples / max(1e-9, time.monotonic() - began):,.0f} images/s"


def _check(data: Data, counts: dict[str, int], ema: float, clip: float | None) -> None:
    for name, value in counts.items():
        if not isinstance(value, Integral) or value < 1:
            raise CourseError(f"{name} must be a whole number of at least 1, got {value}.")
    if not 0 <= ema < 1:
        raise CourseError(f"ema must be at least 0 (no average) and less than 1, got {ema}.")
    if clip is not None and not clip > 0:
        raise CourseError(f"clip must be greater than 0, or None for no clipping, got {clip}.")
    if len(data) == 0:
        raise CourseError("The data set is empty: there is nothing to train on.")
