"""The blanks of an exercise: a cell's two versions, and the proof that one is the other with blanks.

`build.py` says how an exercise is written.
"""

from __future__ import annotations

import ast
import re

MARKS = {  # a marker -> what must have come before it
    "# SOLUTION": "",
    "# END SOLUTION": "# SOLUTION",
    "# EXERCISE": "# END SOLUTION",
    "# END EXERCISE": "# EXERCISE",
}
BLANK = re.compile(r"^\s*# \|(?: (.*))?$")
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class BuildError(Exception):
    """One sentence that names the file, the cell and what is wrong."""


def split(text: str, where: str) -> tuple[str, str]:
    """The (student, solution) versions of a cell's text: both the text itself where there is no marker."""
    student, solution, state = [], [], ""
    for line in text.splitlines():
        mark = line.strip()
        if mark in MARKS:
            if state != MARKS[mark]:
                raise BuildError(f"{where}: `{mark}` cannot stand after `{state or 'ordinary lines'}`.")
            state = "" if mark == "# END EXERCISE" else mark
        elif state == "# SOLUTION":
            solution.append(line)
        elif state == "# EXERCISE":
            blank = BLANK.match(line)
            if not blank:
                raise BuildError(f"{where}: in the EXERCISE block, `{mark}` does not begin with `# | `.")
            indent = line[: len(line) - len(line.lstrip())]
            student.append((indent + (blank.group(1) or "")).rstrip())
        elif state == "# END SOLUTION" and mark:
            raise BuildError(f"{where}: `{mark}` stands between END SOLUTION and EXERCISE.")
        elif not state:
            student.append(line)
            solution.append(line)
    if state:
        raise BuildError(f"{where}: the block that began with `{state}` is not closed.")
    return "\n".join(student), "\n".join(solution)


def check_exercise(student: str, solution: str, tags: list[str], where: str) -> None:
    """Raise BuildError unless tags and markers go together and the stub is its solution minus the blanks."""
    named = [tag for tag in tags if re.fullmatch(r"ex-\d+\.\d+", tag)]
    if student == solution:
        if named or "exercise" in tags:
            raise BuildError(f"{where}: it is tagged as an exercise but has no SOLUTION and EXERCISE blocks.")
        return
    if "exercise" not in tags or len(named) != 1:
        raise BuildError(f'{where}: an exercise needs tags like ["exercise", "ex-1.3"].')
    try:
        stub, full = ast.parse(student), ast.parse(solution)
    except SyntaxError as error:
        raise BuildError(f"{where}: the stub or the solution is not Python: {error}.") from None
    if not any(_is_blank(node) for node in ast.walk(stub)):
        raise BuildError(f"{where}: the stub has no blank (`...` or NotImplementedError).")
    given, wanted = _definitions(stub), _definitions(full)
    for name, (first_line, docstring) in given.items():
        if name not in wanted:
            raise BuildError(f"{where}: the stub defines `{name}`, the solution does not.")
        if wanted[name][0] != first_line:
            raise BuildError(f"{where}: the first line of `{name}` differs between stub and solution.")
        if wanted[name][1] != docstring:
            raise BuildError(f"{where}: the docstring of `{name}` differs between stub and solution.")
    missing = {node.name for node in full.body if isinstance(node, DEFINITION)} - given.keys()
    if missing:
        raise BuildError(f"{where}: the stub lacks `{min(missing)}`, which the solution defines.")
    rest = iter(solution.splitlines())
    for line in student.splitlines():
        free = not line.strip() or line.strip().startswith(("#", "raise NotImplementedError"))
        if not free and not any(_matches(line, other) for other in rest):
            raise BuildError(f"{where}: the stub's line `{line.strip()}` is not a line of the solution.")


def _is_blank(node: ast.AST) -> bool:
    return (isinstance(node, ast.Constant) and node.value is ...) or (
        isinstance(node, ast.Name) and node.id == "NotImplementedError"
    )


def _definitions(tree: ast.Module) -> dict[str, tuple[str, str | None]]:
    """name -> (first line as normalised text, docstring) of every function and class, nested ones too."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, DEFINITION):
            docstring = ast.get_docstring(node, clean=False)
            decorators = [ast.unparse(d) for d in node.decorator_list]
            is_class = isinstance(node, ast.ClassDef)
            first = [*node.bases, *node.keywords] if is_class else [node.args, node.returns]
            dumped = [ast.dump(part) for part in first if part is not None]
            found[node.name] = (f"{type(node).__name__} {decorators} {dumped}", docstring)
    return found


def _matches(line: str, other: str) -> bool:
    """Equal, or equal up to the stub's `...`, where the solution goes on."""
    if line.rstrip() == other.rstrip():
        return True
    before, dots, _ = line.partition("...")
    return bool(dots) and (not before.strip() or other.startswith(before.rstrip()))
