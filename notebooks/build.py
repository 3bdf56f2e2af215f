"""From notebooks/src/NN_name.py to the student notebook NN_name.ipynb and solutions/NN_name.ipynb.

    python notebooks/build.py                 build and execute all notebooks
    python notebooks/build.py 00 01           only these
    python notebooks/build.py --no-execute    without outputs, to look at the cells
    python notebooks/build.py --check         are the notebooks those of the sources? (exit status 1 if not)

A source is a jupytext "py:percent" file that runs as the solution. An exercise is one cell:

    # %% tags=["exercise", "ex-1.3"]
    def mse(x, y):
        '''Mean squared error.'''
        # SOLUTION
        return (x - y).square().mean()
        # END SOLUTION
        # EXERCISE
        # | ...  # your code here
        # | raise NotImplementedError
        # END EXERCISE

The student gets the lines after `# | ` in place of the solution. What the student gets must be the solution
with blanks: every line is a line of the solution, or has `...` where the solution goes on, or is a comment or
`raise NotImplementedError`; definitions keep their first line and their docstring. Tags that mean something:
`exercise` with `ex-N.M`, `student-only`, `solution-only`. `tags`, `slideshow` and `jupyter` are kept in the
notebooks; `jupyter={"source_hidden": true}` folds a cell's code, as for a quiz, which holds its answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from blanks import BuildError, check_exercise, split
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course_lib.widgets.strip import stripped

VERSION = "2"  # raise it when every notebook must be built again although no source changed
HERE = Path(__file__).resolve().parent
KINDS = {"student": "", "solution": "solutions"}  # kind -> folder
MAX_BYTES, MAX_OUTPUT = 999_999, 12_000  # of a notebook; of one output that solution and student share
MAX_CELL, MAX_NOTEBOOK, TIMEOUT = 60.0, 150.0, 600  # seconds: two that are only reported, one that stops
KEPT = ("tags", "slideshow", "jupyter")


# From the source to two notebooks


def read(source: Path) -> NotebookNode:
    """The source as a notebook whose exercise cells still hold both versions."""
    return jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")


def variant(source: Path, kind: str) -> NotebookNode:
    """The student's or the solution notebook of a source, without outputs; equal sources, equal bytes."""
    nb, cells, seen = read(source), [], Counter()
    for number, cell in enumerate(nb.cells, start=1):
        where = f"{source.name}, cell {number} ({(cell.source.splitlines() or ['empty'])[0][:50]!r})"
        tags = cell.metadata.get("tags", [])
        student, solution = split(cell.source, where)
        check_exercise(student, solution, tags, where)
        if ("solution" if kind == "student" else "student") + "-only" in tags:
            continue
        text = student if kind == "student" else solution
        exercise = next((tag for tag in tags if tag.startswith("ex-")), None)
        name = exercise.replace(".", "-") if exercise else hashlib.sha256(text.encode()).hexdigest()[:10]
        seen[name] += 1
        metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        fresh = {"cell_type": cell.cell_type, "source": text, "metadata": metadata}
        fresh["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
        if cell.cell_type == "code":
            fresh |= {"outputs": [], "execution_count": None}
        cells.append(NotebookNode(fresh))
    metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "course": {
            "source": f"src/{source.name}",
            "kind": kind,
            "hash": fingerprint(source),
            "executed": False,
        },
    }
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})


def fingerprint(source: Path) -> str:
    """A hash of the source's text and of this program's version."""
    return hashlib.sha256((VERSION + "\n" + source.read_text(encoding="utf-8")).encode()).hexdigest()


# Execution


def execute(nb: NotebookNode, name: str) -> list[tuple[float, int]]:
    """Run the notebook in place, from the notebooks folder; returns (seconds, cell number) of code cells."""
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # the kernel of this environment, not the user's
    began, times = {}, []
    client = NotebookClient(
        nb,
        timeout=TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(HERE)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
        on_cell_execute=lambda cell, cell_index: began.update({cell_index: time.perf_counter()}),
        on_cell_executed=lambda cell, cell_index, execute_reply: times.append(
            (time.perf_counter() - began[cell_index], cell_index + 1)
        ),
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        number = max(began, default=0)
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        raise BuildError(f"{name}, cell {number + 1} failed:\n{nb.cells[number].source}\n\n{text}") from None
    nb.metadata.course.executed = True
    return times


def published(nb: NotebookNode, name: str, kind: str) -> NotebookNode:
    """The executed notebook without what belongs to this machine; raises if an output should not be there."""
    nb, problems = nbformat.from_dict(stripped(nb)), []
    places = {Path.home(), HERE.parent} | ({Path(sys.prefix)} if sys.prefix != sys.base_prefix else set())
    private = sorted(f"{place}{os.sep}" for place in places if len(str(place)) > 3) + ["/ipykernel_"]
    for number, cell in enumerate(nb.cells, start=1):
        cell.metadata = NotebookNode({key: cell.metadata[key] for key in KEPT if key in cell.metadata})
        for output in cell.get("outputs", []):
            text = json.dumps(output)
            if output.get("name") == "stderr":
                problems.append(f"cell {number} writes to stderr: {output.text.strip()[:300]}")
            problems += [
                f"cell {number} shows this machine's path {part}" for part in private if part in text
            ]
            shared = kind == "solution" and "solution-only" not in cell.metadata.get("tags", [])
            if shared and len(text) > MAX_OUTPUT:
                lighten(output)
    if problems:
        raise BuildError(f"{name} ({kind}): " + "\n  ".join(problems))
    nb.metadata.language_info = NotebookNode(name="python")  # without the kernel's versions
    return nb


def lighten(output: NotebookNode) -> None:
    """A line that says where to see this output: all pictures of all notebooks twice would be too much."""
    data = output.get("data", {})
    data.clear()
    data["text/plain"] = "(shown in the student notebook)"


def target(source: Path, kind: str) -> Path:
    return source.parent.parent / KINDS[kind] / f"{source.stem}.ipynb"


def text_of(nb: NotebookNode) -> bytes:
    nbformat.validate(nb)
    return (nbformat.writes(nb).rstrip("\n") + "\n").encode()


def build(source: Path, run: bool) -> None:
    """Write both notebooks of one source, or neither."""
    files = {}
    for kind in KINDS:
        nb = variant(source, kind)
        if run:
            report(execute(nb, source.name), source.stem, kind)
        files[target(source, kind)] = text_of(published(nb, source.name, kind))
    for path, content in files.items():
        if len(content) > MAX_BYTES:
            raise BuildError(
                f"{path.name} has {len(content):,} bytes; {MAX_BYTES:,} are allowed. The heaviest parts:\n  "
                + "\n  ".join(heaviest(nbformat.reads(content.decode(), as_version=4)))
            )
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".ipynb.tmp")
        new.write_bytes(content)
        os.replace(new, path)
        print(f"  wrote {path.parent.name}/{path.name}: {len(content):,} bytes")


def heaviest(nb: NotebookNode, count: int = 8) -> list[str]:
    """One line for each of the parts of a notebook that weigh most: "cell 5: image/png, 91,204"."""
    parts = [(len(cell.source), f"cell {n}: source") for n, cell in enumerate(nb.cells, start=1)]
    for n, cell in enumerate(nb.cells, start=1):
        for output in cell.get("outputs", []):
            for kind, data in output.get("data", {output.get("name", "error"): output}).items():
                parts.append((len(json.dumps(data)), f"cell {n}: {kind}"))
    return [f"{what}, {size:,}" for size, what in sorted(parts, reverse=True)[:count]]


def report(times: list[tuple[float, int]], name: str, kind: str) -> None:
    total = sum(seconds for seconds, _ in times)
    slowest = ", ".join(
        f"cell {number} {seconds:.1f} s" for seconds, number in sorted(times, reverse=True)[:3]
    )
    print(f"{name} ({kind}): {total:.1f} s; slowest: {slowest}")
    for seconds, number in times:
        if seconds > MAX_CELL:
            print(f"!!! {name}, cell {number} takes {seconds:.0f} s; a cell may take {MAX_CELL:.0f} s !!!")
    if total > MAX_NOTEBOOK:
        print(f"!!! {name} takes {total:.0f} s; a notebook may take {MAX_NOTEBOOK:.0f} s !!!")


# Are the committed notebooks those of the sources?


def stale(sources: list[Path]) -> list[str]:
    """One line for each notebook that is missing, old, edited by hand, or without outputs."""
    lines = []
    for source in sources:
        for kind in KINDS:
            path = target(source, kind)
            label = f"{KINDS[kind]}/{path.name}".lstrip("/")
            if not path.exists():
                lines.append(f"{label} is missing")
                continue
            nb = nbformat.read(path, as_version=4)
            stored, fresh = nb.metadata.get("course", {}), variant(source, kind)
            if stored.get("hash") != fresh.metadata.course.hash:
                lines.append(f"{label} is older than its source src/{source.name}")
            elif _content(nb) != _content(fresh):
                lines.append(f"{label} was edited by hand; edit src/{source.name}")
            elif not stored.get("executed"):
                lines.append(f"{label} was built without outputs")
    return lines


def _content(nb: NotebookNode) -> list:
    return [(cell.id, cell.cell_type, cell.source, dict(cell.metadata)) for cell in nb.cells]


def chosen(names: list[str], folder: Path) -> list[Path]:
    sources = sorted(folder.glob("*.py"))
    for name in names:
        if not any(source.stem.startswith(name) for source in sources):
            raise BuildError(
                f"There is no notebook {name!r}; there are {', '.join(s.stem for s in sources)}."
            )
    return [s for s in sources if not names or any(s.stem.startswith(name) for name in names)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the notebooks from notebooks/src.")
    parser.add_argument("names", nargs="*", help="beginnings of names, such as 00; all if none is given")
    parser.add_argument("--no-execute", action="store_true", help="leave the outputs empty")
    parser.add_argument("--check", action="store_true", help="only compare the notebooks with the sources")
    parser.add_argument("--source", type=Path, default=HERE / "src", help=argparse.SUPPRESS)  # for the tests
    options = parser.parse_args(arguments)
    failed = False
    try:
        sources = chosen(options.names, options.source)
        if options.check:
            lines = stale(sources)
            for line in lines:
                print(line)
            if lines:
                print("Run: python notebooks/build.py")
            return int(bool(lines))
        for source in sources:
            build(source, not options.no_execute)
    except BuildError as error:
        print(error, file=sys.stderr)
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
