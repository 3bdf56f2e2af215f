"""The `course` command: what is here, train, sample, translate, evaluate. Also `python -m course_lib ...`.

An error made on purpose (`CourseError`) is printed as one sentence and ends with exit code 1.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import platform
import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from course_lib.errors import CourseError

if TYPE_CHECKING:
    from course_lib.recipes import Recipe

# Heavy imports (torch, the methods) stand inside the commands, so that `course --help` answers at once.
FolderA = Annotated[
    Path | None, typer.Option("--a", help="Your pictures of kind A; alone: a folder with trainA and trainB.")
]
FolderB = Annotated[Path | None, typer.Option("--b", help="Your pictures of kind B.")]
Crop = Annotated[int | None, typer.Option(help="Pixels a side of what is seen of your pictures at a time.")]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)


def main() -> None:
    """Entry point: run a command, turn a CourseError into one line on stderr, and warnings likewise."""
    warnings.formatwarning = lambda message, *_, **__: f"course: {message}\n"
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
    a: FolderA = None,
    b: FolderB = None,
    size: Crop = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put the result among the bundled weights.")
    ] = False,
) -> None:
    """Train a recipe. Writes OUT/checkpoint.pt while it runs and OUT/RECIPE.safetensors at the end.

    Stop it with Ctrl-C and go on with --resume; under torchrun it uses every process. With your own pictures:
    course train cyclegan --a PHOTOS --b PAINTINGS
    """
    import torch

    from course_lib import recipes, zoo
    from course_lib.engine import many_devices
    from course_lib.fit import fit
    from course_lib.folders import Unpaired

    if steps is not None and steps < 1:
        raise CourseError(f"--steps must be at least 1, got {steps}.")
    recipe, plan = _plan(recipe, {"steps": steps, "a": a, "b": b, "size": size})
    fabric = many_devices(device, precision)
    folder = out or Path("runs") / recipe
    torch.manual_seed(seed)
    method = recipes.build(plan)
    pictures = plan.data()
    if isinstance(pictures, Unpaired) and fabric.is_global_zero:
        print(f"A: {len(pictures.a)} pictures, B: {len(pictures.b)} pictures")
    run = fit(
        method, pictures, steps=plan.steps, seed=seed, fabric=fabric,
        checkpoint=folder / "checkpoint.pt", every=every, resume=resume, **plan.fit,
    )  # fmt: skip
    if not fabric.is_global_zero:
        return
    print(run)
    if run.stopped:
        given = {"steps": steps, "out": out, "seed": seed or None, "precision": precision}
        given |= {"a": a, "b": b, "size": size}
        options = [w for k, v in given.items() if v not in (None, "fp32") for w in (f"--{k}", str(v))]
        print("Go on with: " + shlex.join(["course", "train", recipe, "--resume", *options]))
        return
    weights = folder / f"{recipe}.safetensors"
    zoo.save(weights, run.model, plan.kwargs, recipe=recipe, step=run.step, data=plan.about)
    print(f"wrote {weights}")
    if isinstance(pictures, Unpaired):
        print(f"Try it: {shlex.join(['course', 'translate', str(weights)])} PICTURE-OR-FOLDER OUT")
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
    caption: Annotated[str, typer.Option(help="What to draw, for a model that reads: t2i_people.")] = "",
) -> None:
    """Draw new pictures from a trained model."""
    import inspect

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
    told = {"captions": caption} if caption else {}
    if told and "captions" not in inspect.signature(model.sample).parameters:
        raise CourseError(f"{name} cannot read: leave --caption out, or take t2i_people or ldm_emoji.")
    for step in model.sample(n, generator=torch.Generator().manual_seed(seed), **told):
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
def translate(
    name: Annotated[str, typer.Argument(help="Bundled weights, or the path of a .safetensors file.")],
    source: Annotated[Path, typer.Argument(help="A picture of any size, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="A .png, .webp or .jpg file, or a folder: there all are PNG.")],
    back: Annotated[bool, typer.Option("--back", help="From kind B to kind A.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are in OUT.")] = False,
) -> None:
    """Translate a picture, or every picture of a folder and its sub-folders, with a trained model.

    What is in OUT already stays unless you say --overwrite; a source is never replaced.
    """
    from course_lib import zoo
    from course_lib.translate_files import translate_files

    written = translate_files(zoo.load(name), source, out, back=back, overwrite=overwrite)
    print(f"wrote {written[0]}" if len(written) == 1 else f"wrote {len(written)} pictures to {out}")


@app.command()
def evaluate(
    name: Annotated[str, typer.Argument(help="Bundled weights, or the path of a .safetensors file.")],
    split: Annotated[
        Literal["validation", "test"], typer.Option(help="Choose on validation; test once.")
    ] = "test",
    a: FolderA = None,
    b: FolderB = None,
    size: Crop = None,
) -> None:
    """Measure a trained model on held-out data and print its scores."""
    from course_lib import zoo

    model = zoo.load(name)
    recipe = zoo.describe(Path(name)).get("recipe", "") if name.endswith(".safetensors") else name
    _, plan = _plan(recipe, {"a": a, "b": b, "size": size})
    for key, value in plan.evaluate(model, split).items():
        print(f"{key}: {value:.4g}")


def _plan(name: str, options: dict[str, Any]) -> tuple[str, Recipe]:
    """The recipe called `name`, made with the options that were given, and its whole name."""
    from course_lib import recipes

    given = {k: str(v) if isinstance(v, Path) else v for k, v in options.items() if v is not None}
    if name == "cyclegan" and ("a" in given or "b" in given):
        name = "cyclegan_folders"  # what else, with folders
    make = recipes.find(name)
    known = inspect.signature(make).parameters
    if foreign := [k for k in given if k not in known]:
        raise CourseError(
            f"--{foreign[0]} is for recipes that learn from your own folders, such as cyclegan_folders; "
            f"{name} brings its own pictures."
        )
    return name, make(**given)


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} (CUDA)"
    return "Apple GPU (MPS)" if torch.backends.mps.is_available() else "the CPU"
