"""tools/install.sh and the Makefile around it, with a stand-in for Python so that nothing is downloaded."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="needs a POSIX shell")

# Answers like a Python: `-c` runs for real, `-m venv` makes a folder with itself in it, `-m pip` writes down
# what it was asked to do, other modules do nothing. PIP_SAYS is pip's complaint, after which it fails; LACKS
# names what is not there.
STAND_IN = """#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip")
    shift 2; echo "$@" >>"$CALLS"
    if [ -n "$PIP_SAYS" ]; then
        while [ "$1" != --log ]; do shift; done
        echo "$PIP_SAYS" | tee "$2" >&2; exit 1
    fi ;;
"-m "*) ;;
*"$LACKS"*) exit 1 ;;
*) exec "$REAL_PYTHON" "$@" ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A folder with a space in its name that holds what the installation reads."""
    clone = tmp_path / "my course"
    (clone / "tools").mkdir(parents=True)
    for name in (
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "tools/install.sh",
        "tools/course_lib.json",
    ):
        shutil.copy(ROOT / name, clone / name)
    stand_in = tmp_path / "a python"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    return clone


def run(clone, *command, **settings):
    """Run a command in the clone; settings are environment variables."""
    environment = {"PATH": os.environ["PATH"], "CALLS": str(clone / "calls"), "REAL_PYTHON": sys.executable}
    environment |= {"PYTHON": str(clone.parent / "a python"), "LACKS": "nothing", "PIP_SAYS": ""} | settings
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, timeout=60)


def install(clone, **settings):
    return run(clone, "sh", "tools/install.sh", ".venv", **settings)


def calls(clone):
    """What pip was asked to do, without the options that every call carries."""
    noise = re.compile(r" --disable-pip-version-check| --no-input| --quiet| --progress-bar off| --log \S+")
    return [noise.sub("", line) for line in (clone / "calls").read_text().splitlines()]


def the_sentence(result):
    """The one sentence that ends a failure."""
    assert result.returncode == 1
    told = [line for line in result.stderr.splitlines() if line.startswith("course: ")]
    assert len(told) == 1
    assert result.stderr.rstrip().endswith(told[0])
    assert "Traceback" not in result.stderr
    return told[0]


def test_installs_the_lock_with_hashes_then_the_course(clone):
    result = install(clone)
    assert result.returncode == 0, result.stderr
    assert calls(clone) == [
        "install --no-deps --require-hashes -r requirements.lock",
        "install --no-deps --no-build-isolation -e .",
        "check",
    ]


def test_cpu_build_comes_first_and_without_the_gpu_libraries(clone):
    assert install(clone, TORCH="cpu").returncode == 0
    lock = (clone / "requirements.lock").read_text()
    torch, torchvision = (re.search(rf"^{name}==[\d.]+", lock, re.M)[0] for name in ("torch", "torchvision"))
    assert calls(clone)[:2] == [
        f"install --no-deps --index-url https://download.pytorch.org/whl/cpu {torch} {torchvision}",
        "install --no-deps --require-hashes -r .venv/requirements-without-torch.lock",
    ]
    kept = (clone / ".venv/requirements-without-torch.lock").read_text()
    for gone in ("torch", "torchvision", "triton", "nvidia-cublas", "nvidia-nccl-cu13", "cuda-toolkit"):
        assert f"\n{gone}==" in lock
        assert f"\n{gone}==" not in kept
    gpu = re.compile("(torch|torchvision|triton|nvidia-.*|cuda-.*)==")
    blocks = re.split(r"^(?=[a-z])", lock, flags=re.M)[1:]  # a requirement, its hashes and who asked for it
    assert kept == "".join(block for block in blocks if not gpu.match(block))


def test_asks_the_network_for_nothing_by_itself(clone):
    install(clone)
    assert '"news_url": null' in (clone / ".venv/etc/jupyter/jupyter_lab_config.json").read_text()
    assert '"fetchNews": "false"' in (clone / ".venv/share/jupyter/lab/settings/overrides.json").read_text()


def test_the_server_extension_is_enabled(clone):
    install(clone)
    config = (clone / ".venv/etc/jupyter/jupyter_server_config.d/course_lib.json").read_text()
    for name, enabled in json.loads(config)["ServerApp"]["jpserver_extensions"].items():
        assert enabled
        assert importlib.import_module(name)._jupyter_server_extension_points() == [{"module": name}]


@pytest.mark.parametrize(
    ("pip_says", "told"),
    [
        (
            "OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        (
            "NameResolutionError: [Errno -3] Temporary failure in name resolution",
            "network",
        ),
        (
            "NewConnectionError: [Errno 111] Connection refused",
            "network",
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "not the one"),
        ("ERROR: No matching distribution found for torch==2.14.1", "no build for this system"),
        ("ERROR: something else", ".venv/install.log"),
    ],
)
def test_failures_of_pip_end_in_one_sentence(clone, pip_says, told):
    assert told in the_sentence(install(clone, PIP_SAYS=pip_says))
    assert install(clone).returncode == 0, "the same command again must go on"


def test_python_without_venv(clone):
    assert "sudo apt-get install python3-venv" in the_sentence(install(clone, LACKS="ensurepip"))
    assert not (clone / ".venv").exists()


def test_python_of_another_version(clone):
    assert "is not a Python 3.11 to 3.14" in the_sentence(install(clone, LACKS="version_info"))


def test_no_python_that_fits(clone):
    (clone.parent / "bin").mkdir()
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        old = clone.parent / "bin" / name
        old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2\n')
        old.chmod(0o755)
    told = the_sentence(install(clone, PYTHON="", PATH=f"{clone.parent / 'bin'}:{os.environ['PATH']}"))
    assert "needs Python 3.11 to 3.14, and this machine has Python 3.9.2" in told


def test_too_little_room_is_said_before_anything_is_downloaded(clone):
    (clone.parent / "bin").mkdir()
    df = clone.parent / "bin" / "df"
    df.write_text('#!/bin/sh\necho "Filesystem blocks used free"\necho "/dev/x 9000000 6900000 2100000"\n')
    df.chmod(0o755)
    told = the_sentence(install(clone, PATH=f"{df.parent}:{os.environ['PATH']}"))
    assert "has 2 GiB free" in told
    assert "TORCH=cpu" in told
    assert not (clone / "calls").exists()


def test_unknown_build_of_torch(clone):
    assert "TORCH=cpu or TORCH=pypi" in the_sentence(install(clone, TORCH="gpu"))


def test_leaves_an_environment_of_the_users_alone(clone):
    (clone / ".venv").mkdir()
    (clone / ".venv/mine").write_text("precious")
    assert "move it away" in the_sentence(install(clone))
    assert (clone / ".venv/mine").read_text() == "precious"


def test_an_environment_is_made_anew_only_for_another_torch_or_another_place(clone):
    install(clone)
    (clone / ".venv/old").touch()
    install(clone)
    assert (clone / ".venv/old").exists()
    install(clone, TORCH="cpu")
    assert not (clone / ".venv/old").exists()
    (clone / ".venv/old").touch()
    moved = clone.rename(clone.parent / "moved")
    install(moved, TORCH="cpu")
    assert not (moved / ".venv/old").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_installs_again_only_when_an_ingredient_changes(clone):
    def would_install(**settings):
        result = run(clone, "make", "-n", "unit", **settings)
        assert result.returncode == 0, result.stderr
        return "tools/install.sh" in result.stdout

    def make():
        assert run(clone, "make", "unit").returncode == 0

    assert would_install()
    make()
    assert not would_install()
    assert would_install(TORCH="cpu")
    with (clone / "requirements.lock").open("a") as lock:
        lock.write("# another set\n")
    assert would_install()
    make()
    assert not would_install()
    (clone / ".venv/bin/python").unlink()  # what a system upgrade can do
    assert would_install()


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_what_there_is(clone):
    listed = run(clone, "make").stdout
    targets = re.search(r"^\.PHONY: help (.*)$", (clone / "Makefile").read_text(), re.M)[1].split()
    assert all(f"make {target}" in listed for target in targets)
    assert not (clone / ".venv").exists()
