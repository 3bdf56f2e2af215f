"""What is installed, what is tracked and who may import what: the promises of pyproject.toml and design."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted((ROOT / "course_lib").rglob("*.py"))
WIDGETS = [path for path in LIBRARY if "widgets" in path.relative_to(ROOT).parts]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def listed(*extras):
    """Requirements of pyproject.toml: {name: Requirement}; no extra means the base dependencies."""
    lines = [PROJECT["dependencies"]] if not extras else [PROJECT["optional-dependencies"][e] for e in extras]
    requirements = [Requirement(line) for group in lines for line in group]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def imported(paths):
    """Distributions that the files import, wherever in the file: {name: one of the files}."""
    found, providers = {}, packages_distributions()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"course_lib"}:
                for distribution in providers.get(name, [name]):
                    found[canonicalize_name(distribution)] = path.relative_to(ROOT)
    return found


def tracked():
    """The files that git tracks and that exist."""
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def python(code):
    """Run code in a fresh interpreter; returns its standard output, parsed as JSON."""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_everything_that_the_library_imports_is_listed():
    pages = [*WIDGETS, ROOT / "course_lib" / "export.py"]  # what fills a page; only this needs [lab]
    base = [path for path in LIBRARY if path not in pages]
    for paths, allowed in ((base, listed()), (pages, listed() | listed("lab"))):
        for name, path in imported(paths).items():
            assert name in allowed, f"{path} imports {name}, which pyproject.toml does not list for it"


def test_everything_that_the_tests_import_is_listed():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "notebooks").rglob("*.py")]
    ours = {canonicalize_name(path.stem) for path in files}
    for name, path in imported(files).items():
        assert name in listed() | listed("lab", "test") or name in ours, f"{path} imports {name}"


def test_nothing_is_listed_that_nobody_uses():
    rebuilding = list((ROOT / "data").glob("*.py"))
    notebooks = [*(ROOT / "notebooks").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert set(listed()) <= set(imported([*LIBRARY, *rebuilding, *notebooks]))
    commands = (ROOT / "Makefile").read_text("utf-8")
    used = imported(notebooks)
    for name in listed("test"):
        assert name in used or re.search(rf"(-m |--){name}\b", commands), name


def test_lock_holds_every_listed_package_at_an_admitted_version():
    pins = re.findall(r"^([a-z0-9.-]+)(?:\[\S*\])?==([^\s;]+)", LOCK, re.M)
    for name, requirement in (listed() | listed("lab", "test")).items():
        versions = [Version(version) for pinned, version in pins if pinned == name]
        assert versions, f"{name} is not in requirements.lock: run `make lock`"
        assert all(version in requirement.specifier for version in versions), f"{name}: run `make lock`"


def test_lock_is_exact_hashed_and_names_no_index():
    blocks = re.split(r"^(?=[a-z])", LOCK, flags=re.M)[1:]
    assert len(blocks) > 100
    for block in blocks:
        assert re.match(r"[a-z0-9.-]+==\S+ (; .*? )?\\\n    --hash=sha256:[0-9a-f]{64}\b", block), block[:200]
    assert not re.search(r"://|--(extra-)?index-url|--find-links|@ ", LOCK)
    assert any(block.startswith("setuptools==") for block in blocks), (
        "the course is built with the locked one"
    )


def test_environment_yml_lists_no_package_twice():
    lines = (ROOT / "environment.yml").read_text("utf-8").partition("dependencies:")[2].splitlines()
    items = [line.strip(" -") for line in lines if line.strip().startswith("- ")]
    python, *rest = items
    assert re.fullmatch(r"python=3\.\d+", python)
    options = [item for item in rest if "index-url" in item]
    assert [item for item in rest if item not in options] == ["pip", "pip:", "e .[lab,test]"]
    assert options == ["extra-index-url https://download.pytorch.org/whl/cpu"]


MIB = 2**20
BUDGETS = {"data": 27, "data/weights": 20, "notebooks": 8, "site": 5, "course_lib/widgets": 5, "": 60}


@pytest.mark.parametrize("folder", BUDGETS)
def test_tree_stays_within_its_budget(folder):
    files = [path for path in tracked() if path.is_relative_to(ROOT / folder)]
    if folder == "data":
        files = [path for path in files if not path.is_relative_to(ROOT / "data/weights")]
    assert sum(path.stat().st_size for path in files) <= BUDGETS[folder] * MIB


def test_every_notebook_stays_under_a_megabyte():
    for path in tracked():
        assert path.suffix != ".ipynb" or path.stat().st_size < 10**6, path


def test_no_tracked_file_knows_the_machine_it_was_written_on():
    homes = r"(?<![\w.~-])/(work|root|home|Users|tmp/(venv|ipykernel))/|(?i:c:\\+users)"
    mirrors = r"/opt/(wheels|pypi)|https?://(?!pypi\.org/)[^\s\"'/]+/(\S+/)?simple\b"
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture or weights
        if path != Path(__file__):
            found = re.search(f"{homes}|{mirrors}", text)
            assert not found, f"{path.relative_to(ROOT)}: {found[0]}"


def test_importing_the_course_loads_nothing_heavy():
    heavy = {"torch", "numpy", "matplotlib", "PIL", "sklearn", "IPython", "ipywidgets", "anywidget"}
    loaded = python("import course_lib, json, sys; print(json.dumps(list(sys.modules)))")
    assert heavy.isdisjoint(loaded)


def test_library_imports_where_there_is_no_jupyter():
    """Every module outside widgets/, with Jupyter's packages made impossible to import."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in LIBRARY
        if path not in WIDGETS and path.name != "__main__.py"
    ]
    jupyter = [
        "ipywidgets",
        "anywidget",
        "IPython",
        "ipykernel",
        "traitlets",
        "nbformat",
        "nbclient",
        "jupyter_core",
    ]
    code = f"""
import importlib, json, sys
sys.modules.update(dict.fromkeys({jupyter!r}))
print(json.dumps([importlib.import_module(name).__name__ for name in {modules!r}]))
"""
    assert python(code) == modules
