"""Every exercise of every notebook: right answers pass, and each typical wrong one gets its own diagnosis.

`WRONG` holds answers as a student would type them, written apart from the tables inside the checks. An
answer is the text of a cell; the last function or class in it, or the name `answer`, is handed in. Those of
notebook 01 and later stand in files of their own, `test_exercises_*.py`.
"""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from course_lib import check

NOTEBOOKS = Path(__file__).parents[1] / "notebooks" / "src"
EXERCISES = check.exercises()
HEADER = (
    "import math\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
)

# id -> other right answers
RIGHT = {
    "0.1": [
        "def f(pixels): return pixels.float() / 255 * 2 - 1",
        "def f(pixels): return (pixels.float() - 127.5) / 127.5",
        "def f(pixels):\n    x = pixels.clone().to(torch.float32)\n    x /= 127.5\n    x -= 1\n    return x",
    ],
}

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "0.1": [
        ("def f(pixels): return pixels.float().div(255)", "from 0 to 1"),
        ("def f(pixels): return pixels.float().mul(2).div(255)", "from 0 to 2"),
        ("def f(pixels): return (pixels.float() - 128) / 128", "divide by 128"),
        ("def f(pixels): return (pixels - 128) / 128", "wraps around"),
        ("def f(pixels): return (pixels - 127) / 128", "wraps around"),
        ("def f(pixels): return (pixels - 128) / 127.5", "wraps around"),
        ("def f(pixels): return pixels.to(torch.int8) / 127.5 - 1", "At ["),
        ("def f(pixels): return 2 * pixels / 255 - 1", "multiply while"),
        ("def f(pixels):\n    pixels /= 127.5\n    return pixels - 1", "Write `x = x / 2`"),
        ("def f(pixels):\n    x = pixels / 127.5 - 1\n    pixels.zero_()\n    return x", "in place"),
        ("def f(pixels): return torch.zeros(pixels.shape) + pixels / 127.5 - 1", "mixes devices"),
        ("def f(pixels): return pixels.double() / 127.5 - 1", "float64"),
        ("def f(pixels): return pixels.numpy() / 127.5 - 1", "ndarray"),
        ("def f(pixels): return -pixels.float() / 127.5 + 1", "turned around"),
        ("def f(pixels): return torch.round(pixels / 127.5 - 1)", "At ["),
        ("def f(pixels): return (pixels.float() / 255 - 0.5) / pixels.float().std()", "At ["),
        (
            "def f(pixels):\n    a = pixels.float()\n    a = a - a.min()\n    return 2 * a / a.max() - 1",
            "smallest",
        ),
    ],
}


def typed(cell):
    """What a cell defines last: the student's answer."""
    names = {}
    exec(compile(HEADER + cell, "<cell>", "exec"), names)
    if "answer" in names:
        return names["answer"]
    made = [
        v
        for v in names.values()
        if inspect.isfunction(v) or (inspect.isclass(v) and v.__module__ == "builtins")
    ]
    return made[-1]


def rejected(exercise, answer, sentence, seed):
    result = exercise(answer, seed=seed)
    assert result.status == "failed", result
    assert sentence in result.message, result


@pytest.mark.parametrize("id", EXERCISES)
def test_the_reference_passes(id):
    for seed in range(12):
        result = EXERCISES[id](EXERCISES[id].reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    for seed in range(4):
        result = EXERCISES[id](typed(cell), seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    for seed in range(4):
        rejected(EXERCISES[id], typed(cell), sentence, seed)


TABLE = [(e.id, p.name, n) for e in EXERCISES.values() for p in e.properties for n in range(len(p.mistakes))]


@pytest.mark.parametrize(("id", "name", "number"), TABLE)
def test_each_mistake_in_a_table_gets_its_sentence(id, name, number):
    prop = next(p for p in EXERCISES[id].properties if p.name == name)
    for seed in range(4):
        rejected(EXERCISES[id], *prop.mistakes[number], seed)


@pytest.fixture(scope="module")
def typed_wrong():
    """`WRONG` of this file and of every `test_exercises_*.py`; imported late, since those import this one."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_exercises*.py")):
        for id, pairs in importlib.import_module(path.stem).WRONG.items():
            found.setdefault(id, []).extend(pairs)
    return found


@pytest.mark.parametrize("id", EXERCISES)
def test_enough_wrong_answers_with_different_diagnoses(id, typed_wrong):
    pairs = typed_wrong.get(id, [])
    assert len({sentence for _, sentence in pairs}) >= 4, f"exercise {id} needs four typed wrong answers"


@pytest.mark.parametrize("id", EXERCISES)
def test_nothing_and_nonsense_never_raise(id):
    for nonsense in (
        None,
        ...,
        3.5,
        "text",
        torch.zeros(2),
        nn.ReLU(),
        lambda *a: None,
        lambda *a: ...,
        int,
        [1],
    ):
        assert not EXERCISES[id](nonsense, seed=0).passed


@pytest.mark.parametrize("id", EXERCISES)
def test_the_notebook_announces_the_exercise(id):
    exercise = EXERCISES[id]
    assert 1 <= exercise.difficulty <= 5
    assert len(exercise.hints) >= 2
    number = int(id.split(".")[0])
    (source,) = NOTEBOOKS.glob(f"{number:02d}_*.py")
    text = source.read_text(encoding="utf-8")
    minutes = "1 minute" if exercise.minutes == 1 else f"{exercise.minutes} minutes"
    assert f"Exercise {id}: {exercise.title}" in text
    assert (
        f"difficulty {exercise.difficulty} of 5, about {minutes}"
        in text[text.index(f"Exercise {id}:") :][:400]
    )
    assert f'"ex-{id}"' in text


def test_every_tagged_exercise_has_a_check():
    for source in NOTEBOOKS.glob("*.py"):
        for id in re.findall(r'"ex-(\d+\.\d+)"', source.read_text(encoding="utf-8")):
            assert id in EXERCISES, f"{source.name} has an exercise {id} without a check"


@pytest.mark.parametrize("notebook", check.notebooks())
def test_torch_has_nothing_left_to_load_inside_a_check(notebook):
    """A check that is stopped in the middle of an import would break torch until the kernel is restarted."""
    code = f"""
import sys
from course_lib import check
from course_lib.check import core
guarded = core.guarded
loaded = set()
def watched(work, limit):
    before = set(sys.modules)
    outcome = guarded(work, limit)
    loaded.update(name for name in set(sys.modules) - before if name.startswith("torch."))
    return outcome
core.guarded = watched
for exercise in check.{notebook}.EXERCISES:
    assert exercise(exercise.reference, seed=0, limit=120).passed
print(len(loaded), sorted(loaded)[:5])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "0 []"
