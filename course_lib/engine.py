"""What the loop asks of the machine: devices, ranks, moving averages, and the stop button.

Networks are not wrapped for distributed training. Gradients are averaged by one flat all-reduce for each
optimizer step, which works for every graph of this course: two optimizers, double backward, accumulation.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from course_lib.errors import CourseError

Precision = Literal["fp32", "bf16"]
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def one_device(device: str = "auto", precision: str = "fp32") -> Fabric:
    """A Fabric on one device. Raises CourseError for a device this machine lacks, naming what it has."""
    return Fabric(accelerator=_available(device), devices=1, precision=_precision(precision))


def many_devices(device: str = "auto", precision: str = "fp32") -> Fabric:
    """A launched Fabric on every process that torchrun or `fabric run` started, or on one device."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return one_device(device, precision)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    fabric = Fabric(
        accelerator=_available(device),
        strategy="ddp",
        devices=local,
        num_nodes=world // local,
        precision=_precision(precision),
    )
    fabric.launch()
    return fabric


def average_over_ranks(values: Tensor, params: list[nn.Parameter], fabric: Fabric) -> Tensor:
    """One flat all-reduce of every gradient, in place, and of the values (n,), whose means it returns.
    Networks stay unwrapped, so any graph will do."""
    if fabric.world_size == 1:
        return values
    grads = [p.grad for p in params if p.grad is not None]
    flat = torch.cat([values, *(g.flatten() for g in grads)])
    flat = cast(Tensor, fabric.all_reduce(flat, reduce_op="mean"))
    means, *parts = flat.split([len(values), *(g.numel() for g in grads)])
    for grad, part in zip(grads, parts, strict=True):
        grad.copy_(part.view_as(grad))
    return means


def seed_draws(number: int, device: torch.device) -> None:
    """Seed the generators that a step on `device` draws from. (torch.manual_seed visits every other kind of
    device too, which costs up to a millisecond.)"""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def same_on_every_rank(method: nn.Module, fabric: Fabric) -> None:
    if fabric.world_size > 1:
        with torch.no_grad():
            for tensor in method.state_dict().values():
                tensor.copy_(fabric.broadcast(tensor, src=0))


def any_rank(flag: bool, fabric: Fabric) -> bool:
    """All ranks must stop at the same step, or the ones that go on wait for ever."""
    if fabric.world_size == 1:
        return flag
    total = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    return bool(cast(Tensor, total) > 0)


def moving_average(net: nn.Module, decay: float) -> AveragedModel:
    """Moving average with a warm-up: at update n the decay is at most (1 + n) / (10 + n), so that a short run
    is not an average over its own random start. Parameters are averaged, buffers copied."""

    @torch.no_grad()
    def update(average: list[Tensor], current: list[Tensor], n: Tensor) -> None:
        weight = 1 - min(decay, (1 + int(n)) / (10 + int(n)))
        for a, c in zip(average, current, strict=True):
            a.lerp_(c, weight)

    return AveragedModel(net, multi_avg_fn=update)  # type: ignore[arg-type]


@contextmanager
def stop_button() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a flag that is read between two steps, so that no step is left half done."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def handler(signum: int, frame: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _available(device: str) -> str:
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device != "auto" and not found.get(device):
        have = ", ".join(k for k, v in found.items() if v)
        raise CourseError(f'Device "{device}" was asked for, but this machine has {have}: use "auto".')
    return device


def _precision(name: str) -> Literal["32-true", "bf16-mixed"]:
    if name not in PRECISIONS:
        raise CourseError(f'Unknown precision "{name}": choose one of {", ".join(PRECISIONS)}.')
    return PRECISIONS[name]
