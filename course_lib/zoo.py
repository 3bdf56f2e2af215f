"""Trained weights: saved as safetensors with everything needed to rebuild the model, loaded only when intact.

A weights file holds tensors and, in its metadata, the class, its keyword arguments, the recipe, the step and
the data. `manifest.json` beside the files holds sha256, size, licence and scores. Nothing is ever unpickled,
and only classes under `course_lib.methods` are built.

A class may name in `left_out` sub-modules that only training needs, such as discriminators: their tensors are
not written, and in a model that is read those parts are as freshly built. All others must be in the file.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from course_lib import __version__
from course_lib.data import root
from course_lib.errors import WeightsError

PACKAGE = "course_lib.methods."


def folder() -> Path:
    """Where the bundled weights lie."""
    return root() / "weights"


def manifest() -> dict[str, dict[str, Any]]:
    """What is bundled: name -> sha256, bytes, class, licence, scores. Raises WeightsError."""
    path = folder() / "manifest.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: run `git checkout -- data/weights`.") from error


def load(name: str | Path) -> nn.Module:
    """The model called `name`, in eval mode on the CPU: a bundled one, or the path of a .safetensors file.

    Raises WeightsError, in one sentence, for a name that is not there, a file that is truncated or altered,
    and a file that belongs to a class outside this library or of other sizes.
    """
    if str(name).endswith(".safetensors"):
        return read(Path(name))
    known = manifest()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, 1, 0.0)
        hint = f'Did you mean "{near[0]}"? All: {", ".join(known)}.' if near else "None are bundled."
        raise WeightsError(f'There are no weights named "{name}". {hint}')
    path = folder() / f"{name}.safetensors"
    if problem := inspect(str(name), known[str(name)]):
        raise WeightsError(problem)
    return read(path)


def inspect(name: str, entry: dict[str, Any]) -> str:
    """What is wrong with a bundled file, in one sentence with its cure; empty if it is the published one."""
    path = folder() / f"{name}.safetensors"
    cure = f"run `git checkout -- data/weights/{name}.safetensors` or train it anew: `course train {name}`."
    try:
        content = path.read_bytes()
    except OSError:
        return f"{path} is missing: {cure}"
    if len(content) != entry["bytes"]:
        return f"{path} has {len(content):,} bytes, not {entry['bytes']:,}, it is cut or swapped: {cure}"
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        return f"{path} is not the published file, its sha256 differs: {cure}"
    return ""


def read(path: Path) -> nn.Module:
    """Rebuild the model that a weights file describes and load it strictly. Raises WeightsError."""
    about, tensors = _open(path)
    model = _class(about["class"], path)
    try:
        built = model(**json.loads(about["kwargs"]))
        built.load_state_dict(_for_training_only(built) | tensors)  # strictly; halves become floats again
    except Exception as error:  # foreign kwargs fail in many ways, all mean the same
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path} does not fit {about['class']}: {reason}") from error
    return built.eval()


def describe(path: Path) -> dict[str, str]:
    """The metadata of a weights file: class, kwargs (JSON), recipe, step, data, version."""
    return _open(path)[0]


def save(
    path: Path,
    model: nn.Module,  # with its averaged networks in place: `Run.model`
    kwargs: dict[str, Any],  # that `model` was built with
    *,
    recipe: str = "",
    step: int = 0,
    data: str = "",
) -> None:
    """Write a weights file, whole or not at all. Matrices and kernels are stored as fp16, vectors as fp32:
    the statistics of normalisation layers can leave fp16's range, and they are small. A matrix that leaves it
    stays as it is. Sub-modules that the class names in `left_out` are not written."""
    left_out = _for_training_only(model).keys()
    stored = {k: v for k, v in model.state_dict().items() if k not in left_out}
    tensors = {k: _compact(v).cpu().contiguous() for k, v in stored.items()}
    about = {
        "class": f"{type(model).__module__}:{type(model).__name__}",
        "kwargs": json.dumps(kwargs),
        "recipe": recipe,
        "step": str(step),
        "data": data,
        "version": __version__,
    }
    fresh = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(fresh, "wb") as file:
            file.write(to_bytes(tensors, about))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise WeightsError(f"Could not write {path}: {error.strerror}. Choose another place.") from error


def publish(name: str, source: Path, *, licence: str, scores: dict[str, float], card: str) -> None:
    """Put a weights file among the bundled ones: copy it, write its card and its entry of the manifest."""
    about, _ = _open(source)
    content = source.read_bytes()
    target = folder() / f"{name}.safetensors"
    path = folder() / "manifest.json"
    entries = manifest() if path.exists() else {}
    entries[name] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "class": about["class"],
        "step": int(about["step"]),
        "licence": licence,
        "scores": {key: float(f"{value:.4g}") for key, value in scores.items()},
    }
    try:
        folder().mkdir(parents=True, exist_ok=True)
        if source.resolve() != target.resolve():
            target.write_bytes(content)
        (folder() / f"{name}.md").write_text(card, encoding="utf-8")
        path.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"Could not write to {folder()}: {error.strerror}.") from error


def _for_training_only(model: nn.Module) -> dict[str, Tensor]:
    """The part of a state dict that lies in the sub-modules that the class leaves out of its files."""
    places = tuple(f"{name}." for name in getattr(model, "left_out", ()))
    return {k: v for k, v in model.state_dict().items() if k.startswith(places)}


def _compact(x: Tensor) -> Tensor:
    """As fp16 where it is a matrix or a kernel whose values fit."""
    small = x.is_floating_point() and x.dim() > 1 and bool((x.abs() <= torch.finfo(torch.half).max).all())
    return x.half() if small else x


def _open(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} is not a readable weights file: {error}. Fetch or train it anew."
        ) from error
    if missing := {"class", "kwargs", "step"} - about.keys():
        raise WeightsError(
            f"{path} does not say what it holds ({', '.join(sorted(missing))} missing): it is not ours."
        )
    return about, tensors


def _class(name: str, path: Path) -> type[nn.Module]:
    """Only classes under course_lib.methods: a weights file must not choose what code is run."""
    module, _, attribute = name.partition(":")
    if not module.startswith(PACKAGE):
        raise WeightsError(f'{path} asks for "{name}", which is not under {PACKAGE[:-1]}: refused.')
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, ValueError):  # no such module, or no name of a module at all
        found = None
    if not (isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ == module):
        raise WeightsError(f'{path} asks for "{name}", which this version of course_lib does not have.')
    return found
