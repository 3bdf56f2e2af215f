# ruff: noqa: E402
"""What each of two processes does for test_contract.py; torchrun starts it, with a folder for its results.

As on many a machine with GPUs, there is no Jupyter.
"""

import signal
import sys
from pathlib import Path

JUPYTER = "IPython ipywidgets jupyter jupyter_core jupyterlab anywidget ipykernel traitlets nbformat notebook"
sys.modules.update(dict.fromkeys(JUPYTER.split()))  # importing any of these is now an error

import torch
from helpers import METHODS, Gan, everything, tiny

from course_lib.engine import many_devices
from course_lib.fit import fit

folder = Path(sys.argv[1])
fabric = many_devices("cpu")
rank = fabric.global_rank
assert fabric.world_size == 2


def train(cls, **options):
    method, data = tiny(cls, seed=rank)  # rank 0's weights must win
    given = {"steps": 6, "batch": 4, "ema": 0.9, "fabric": fabric, "progress": False}
    return fit(method, data, **(given | options))


def interrupt(step, logs):
    if step == 2 and rank == 1:
        signal.raise_signal(signal.SIGINT)


results = {cls.__name__: everything(train(cls)) for cls in METHODS}
train(Gan, steps=3, checkpoint=folder / "gan.pt")
results["resumed"] = everything(train(Gan, checkpoint=folder / "gan.pt", resume=True))
results["stopped"] = train(Gan, hooks=(interrupt,), progress=True).step
drawn = []
train(Gan, steps=1, hooks=(lambda step, logs: drawn.append(torch.rand(4)),))
torch.save(results | {"rank": rank, "drawn": drawn}, folder / f"rank{rank}.pt")
