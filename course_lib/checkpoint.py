"""The state of a training run on disk, in a file that is either the old one or the new one, never half."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from course_lib.errors import CourseError

History = dict[str, list[tuple[int, float]]]  # name -> [(step, value)]


@dataclass
class RunState:
    """Everything a run needs to go on: the method, its optimizers, its averages, the step, the history."""

    parts: dict[str, Any]  # name -> something with state_dict() and load_state_dict()
    about: dict[str, Any]  # settings that must be the same when the run goes on

    def open(self, path: Path | None, resume: bool, fabric: Fabric) -> tuple[int, History]:
        if path is None:
            return 0, {}
        try:
            there = path.exists()
            if fabric.is_global_zero:
                path.parent.mkdir(parents=True, exist_ok=True)
                probe = path.with_name(path.name + ".tmp")
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise CourseError(
                f"Cannot write to {path.parent}: {error.strerror}. Choose another folder."
            ) from error
        if there and not resume:
            raise CourseError(
                f"{path} holds an earlier run: resume it (resume=True, --resume) or choose another name."
            )
        return self.load(path) if there else (0, {})

    def load(self, path: Path) -> tuple[int, History]:
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            about, step = saved["about"], saved["step"]
        except Exception as error:  # a damaged archive fails in many ways, all mean the same
            raise CourseError(
                f"{path} is not a readable checkpoint ({type(error).__name__}): remove it and start anew."
            ) from error
        if wrong := [k for k, v in self.about.items() if about.get(k, v) != v]:
            k = wrong[0]
            raise CourseError(
                f"{path} was made with {k}={about.get(k)}, not {self.about[k]}: use the same settings."
            )
        try:
            for name, part in self.parts.items():
                part.load_state_dict(saved["parts"][name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise CourseError(
                f"{path} belongs to another method or other sizes: {str(error).splitlines()[0]}"
            ) from error
        return step, saved["history"]

    def save(
        self, path: Path, step: int, history: History, fabric: Fabric, *, forgiving: bool = False
    ) -> None:
        """Write beside the old file, flush, then rename: a kill at any moment leaves a whole file."""
        if fabric.is_global_zero:
            parts = {name: part.state_dict() for name, part in self.parts.items()}
            whole = {"about": self.about, "step": step, "history": history, "parts": parts}
            fresh = path.with_name(path.name + ".tmp")
            try:
                with open(fresh, "wb") as file:
                    torch.save(whole, file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(fresh, path)
            except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
                fresh.unlink(missing_ok=True)
                reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
                sentence = f"Could not save step {step} to {path} ({reason}): free some space"
                if not forgiving:
                    raise CourseError(f"{sentence}; the trained weights are still in memory.") from error
                warnings.warn(
                    f"{sentence}; training goes on, the next try is at the next checkpoint.", stacklevel=2
                )
        fabric.barrier()
