"""The `course` command: what is here, train, sample, evaluate. Also `python -m course_lib ...`.

An error made on purpose (`CourseError`) is printed as one sentence and ends with exit code 1.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from course_lib.errors import CourseError

# Heavy imports (torch, the methods) stand inside the commands, so that `course --help` answers at once.
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


def main() -> None:
    """Entry point: run a command, turn a CourseError into one line on stderr."""
    try:
        app()
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def info() -> None:
    """Show versions and the device, and verify every bundled data set and every weights file."""
    import torch

    from course_lib import data, zoo

    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in ("course-lib", "torch", "torchvision", "jupyterlab", "ipywidgets", "anywidget"):
        try:
            print(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is not installed")
    print(f"computing on {_device()}, {torch.get_num_threads()} threads")
    problems = 0
    for name, healthy, sentence in data.verify():
        print(f"{'ok ' if healthy else 'BAD'} data/{name}" + ("" if healthy else f": {sentence}"))
        problems += not healthy
    for name, entry in zoo.manifest().items():
        sentence = zoo.inspect(name, entry)
        print(f"{'BAD' if sentence else 'ok '} weights {name}" + (f": {sentence}" if sentence else ""))
        problems += bool(sentence)
    if problems:
        raise CourseError(f"{problems} file(s) are damaged; the lines marked BAD say how to repair each.")
    print("all green")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Name of the recipe; a wrong name lists them all.")],
    steps: Annotated[int | None, typer.Option(help="Optimizer steps; the recipe's own if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run, runs/RECIPE if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of weights, order and noise.", min=0, max=2**63 - 1)] = 0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    every: Annotated[int, typer.Option(help="Steps between two checkpoints.")] = 500,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put the result among the bundled weights.")
    ] = False,
) -> None:
    """Train a recipe. Writes OUT/checkpoint.pt while it runs and OUT/RECIPE.safetensors at the end.

    Stop it with Ctrl-C and go on with --resume; under torchrun it uses every process.
    """
    import torch

    from course_lib import recipes, zoo
    from course_lib.engine import many_devices
    from course_lib.fit import fit

    make = recipes.find(recipe)
    if steps is not None and steps < 1:
        raise CourseError(f"--steps must be at least 1, got {steps}.")
    fabric = many_devices(device, precision)
    plan = make() if steps is None else make(steps)
    folder = out or Path("runs") / recipe
    torch.manual_seed(seed)
    method = recipes.build(plan)
    run = fit(
        method, plan.data(), steps=plan.steps, seed=seed, fabric=fabric,
        checkpoint=folder / "checkpoint.pt", every=every, resume=resume, **plan.fit,
    )  # fmt: skip
    if not fabric.is_global_zero:
        return
    print(run)
    if run.stopped:
        given = {"steps": steps, "out": out, "seed": seed or None, "precision": precision}
        options = [w for k, v in given.items() if v not in (None, "fp32") for w in (f"--{k}", str(v))]
        print("Go on with: " + shlex.join(["course", "train", recipe, "--resume", *options]))
        return
    weights = folder / f"{recipe}.safetensors"
    zoo.save(weights, run.model, plan.kwargs, recipe=recipe, step=run.step, data=plan.about)
    print(f"wrote {weights}")
    if publish:
        scores = plan.evaluate(zoo.read(weights))
        zoo.publish(
            recipe, weights, licence=plan.licence, scores=scores, card=recipes.card(recipe, plan, scores)
        )
        print(f"published {recipe}: {zoo.manifest()[recipe]['scores']}")


@app.command()
def sample(
    name: Annotated[str, typer.Argument(help="Bundled weights, or the path of a .safetensors file.")],
    n: Annotated[int, typer.Option("--n", "-n", help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", min=0, max=2**63 - 1)] = 0,
    out: Annotated[Path, typer.Option(help=".npy for uint8 (N, H, W, C), .png for a grid.")] = Path(
        "samples.png"
    ),
) -> None:
    """Draw new pictures from a trained model."""
    import numpy as np
    import torch

    from course_lib import viz, zoo
    from course_lib.method import CanSample

    if n < 1:
        raise CourseError(f"--n must be at least 1, got {n}.")
    if out.suffix not in (".npy", ".png"):
        raise CourseError(f"--out must end in .npy or .png, got {out}.")
    model = zoo.load(name)
    if not isinstance(model, CanSample):
        raise CourseError(f"{name} holds the class {type(model).__name__}, which cannot make new pictures.")
    for step in model.sample(n, generator=torch.Generator().manual_seed(seed)):
        x = step.x
    try:
        if out.suffix == ".npy":
            np.save(out, viz.to_uint8(x))
        else:
            viz.tile(x, columns=max(1, round(n**0.5))).save(out)
    except OSError as error:
        raise CourseError(f"Could not write {out}: {error.strerror}. Choose another place.") from error
    print(f"wrote {out}")


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Bundled weights, or the path of a .safetensors file.")],
    split: Annotated[
        Literal["validation", "test"], typer.Option(help="Choose on validation; test once.")
    ] = "test",
) -> None:
    """Measure a trained model on held-out data and print its scores."""
    from course_lib import recipes, zoo

    model = zoo.load(name)
    recipe = zoo.describe(Path(name)).get("recipe", "") if name.endswith(".safetensors") else name
    for key, value in recipes.find(recipe)().evaluate(model, split).items():
        print(f"{key}: {value:.4g}")


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} (CUDA)"
    return "Apple GPU (MPS)" if torch.backends.mps.is_available() else "the CPU"
