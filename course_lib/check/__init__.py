"""The exercise checks: one module per notebook, loaded when it is first named.

from course_lib import check
check.start.to_signed(to_signed)   # a card: passed, not yet, or not attempted yet
check.hint("0.1", 1)               # the first hint of exercise 0.1
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from course_lib.check.core import Exercise, Hint

# what the modules with exercises are made from
_TOOLS = {"card", "compare", "core", "explain", "properties", "sandbox", "watching"}


def notebooks() -> list[str]:
    """The names of the modules with exercises, one per notebook."""
    return sorted(m.name for m in iter_modules(__path__) if m.name not in _TOOLS)


def exercises() -> dict[str, Exercise]:
    """Every exercise of every notebook by its number, "0.1" and so on."""
    modules = [import_module(f"{__name__}.{name}") for name in notebooks()]
    found = [exercise for module in modules for exercise in module.EXERCISES]
    return {e.id: e for e in sorted(found, key=lambda e: [int(part) for part in e.id.split(".")])}


def hint(id: str, level: int = 1) -> Hint:
    """Hint number `level` (1 is the gentlest) of the exercise with this number, as a card."""
    from course_lib.check.core import Hint

    known = exercises()
    if str(id) not in known:
        return Hint(f"Exercise {id}", f"There is no exercise {id}. There are {', '.join(known)}.")
    return known[str(id)].hint(level)


def __getattr__(name: str) -> ModuleType:
    if name.startswith("_") or name not in {*notebooks(), *_TOOLS}:
        raise AttributeError(f"There are no checks called {name!r}. There are: {', '.join(notebooks())}.")
    return import_module(f"{__name__}.{name}")
