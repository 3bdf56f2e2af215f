"""The state of a run on disk: kills, full disks, unwritable places, files that belong to something else."""

import errno
import os
import random
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT, Gan, Pooled, Rows, everything, same, tiny

from course_lib import zoo
from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.autoencoder import Autoencoder
from course_lib.methods.denoising_autoencoder import DenoisingAutoencoder


def quick(cls=Gan, *, weights=0, **options):
    method, data = tiny(cls, seed=weights)
    given = {"batch": 5, "ema": 0.9, "device": "cpu", "progress": False}
    return fit(method, options.pop("data", data), **(given | options))


@pytest.fixture
def path(tmp_path):
    """Where a run of 4 steps has left its state, and nothing else."""
    file = tmp_path / "run" / "checkpoint.pt"
    quick(steps=4, checkpoint=file)
    return file


# ---- killed at any moment


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def dies(*args, **kwargs):
    raise Killed


def half(whole, file):
    """torch.save, killed half-way."""
    original_save(whole, file)
    file.truncate(file.tell() // 2)
    raise Killed


original_save = torch.save
MOMENTS = {
    "before the first byte": ("course_lib.checkpoint.torch.save", dies),
    "half-way": ("course_lib.checkpoint.torch.save", half),
    "before the flush to disk": ("course_lib.checkpoint.os.fsync", dies),
    "before the renaming": ("course_lib.checkpoint.os.replace", dies),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_death_while_saving_leaves_the_last_whole_file(moment, path):
    target, stand_in = MOMENTS[moment]

    def hook(step, logs):
        if step == 7:
            patch.setattr(target, stand_in)  # the checkpoint of step 8 will kill

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        quick(steps=12, checkpoint=path, resume=True, every=2, hooks=(hook,))
    assert torch.load(path)["step"] == 6
    resumed = quick(steps=12, checkpoint=path, resume=True, weights=9)
    assert same(everything(resumed), everything(quick(steps=12)))
    assert os.listdir(path.parent) == ["checkpoint.pt"]  # what the dead run left behind is gone


FOREVER = """
import sys
from course_lib.fit import fit
from course_lib.methods.autoencoder import Autoencoder
import torch
torch.manual_seed(0)
method, data = Autoencoder.tiny()
fit(method, data, steps=10**6, batch=5, ema=0.9, device="cpu", progress=False, every=1,
    checkpoint=sys.argv[1], resume=True)
"""


def kill(command, file, wait):
    """Start a command and kill it `wait` seconds after it has first saved. While it runs, its file is read
    again and again. Returns how often that was."""
    reads, deadline, patience = 0, None, time.monotonic() + 120
    before = file.stat().st_mtime_ns if file.exists() else 0
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None and time.monotonic() < (deadline or patience):
            if file.exists() and file.stat().st_mtime_ns != before:
                deadline = deadline or time.monotonic() + wait
                assert torch.load(file)["step"] >= 1  # never half a file
                reads += 1
            time.sleep(0.01)
        run.kill()
        _, errors = run.communicate()
    assert run.returncode == -9, f"it ended before it was killed: {errors}"
    return reads


def test_two_kills_then_bitwise_the_same(tmp_path):
    file, chance = tmp_path / "c.pt", random.Random(0)
    for _ in range(2):
        assert kill([sys.executable, "-c", FOREVER, str(file)], file, chance.uniform(0, 0.3)) > 0
    steps = torch.load(file)["step"] + 5
    resumed = quick(Autoencoder, steps=steps, checkpoint=file, resume=True, weights=9)
    assert same(everything(resumed), everything(quick(Autoencoder, steps=steps)))
    assert os.listdir(tmp_path) == ["c.pt"]


@pytest.mark.trust
def test_ten_kills_of_the_command_then_bitwise_the_same(tmp_path):
    def command(name, *more):
        train = [sys.executable, "-m", "course_lib", "train", "ae2_fashion", "--steps", "200", "--every", "1"]
        return [*train, "--device", "cpu", "--out", str(tmp_path / name), *more]

    file, chance = tmp_path / "killed" / "checkpoint.pt", random.Random(1)
    for attempt in range(10):
        kill(command("killed", *["--resume"] * (attempt > 0)), file, chance.uniform(0, 0.5))
    assert torch.load(file)["step"] < 200, "nothing was left to resume: more steps"
    for name, more in (("killed", ["--resume"]), ("whole", [])):
        subprocess.run(command(name, *more), cwd=ROOT, check=True, capture_output=True)
    assert same(*(torch.load(tmp_path / name / "checkpoint.pt") for name in ("killed", "whole")))
    weights = [tmp_path / name / "ae2_fashion.safetensors" for name in ("killed", "whole")]
    assert same(*(zoo.read(file).state_dict() for file in weights))
    assert zoo.describe(weights[0]) == zoo.describe(weights[1])
    assert sorted(os.listdir(file.parent)) == ["ae2_fashion.safetensors", "checkpoint.pt"]


# ---- a full disk


def no_space(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def writer_fails(*args, **kwargs):
    raise RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed")


FULL = {
    "torch.save": ("course_lib.checkpoint.torch.save", no_space, "No space left on device"),
    "os.fsync": ("course_lib.checkpoint.os.fsync", no_space, "No space left on device"),
    "torch's own writer": ("course_lib.checkpoint.torch.save", writer_fails, "PytorchStreamWriter failed"),
}


@pytest.mark.parametrize("where", FULL)
def test_disk_full_for_a_while_is_a_warning(where, path, monkeypatch):
    """The checkpoints of steps 6 and 8 fail; there is room again for that of step 10."""
    target, stand_in, reason = FULL[where]
    saved = []

    def hook(step, logs):
        saved.append(torch.load(path)["step"])
        if step == 5:
            patch.setattr(target, stand_in)
        if step == 8:
            patch.undo()

    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match=reason) as warned:
        run = quick(steps=12, checkpoint=path, resume=True, every=2, hooks=(hook,))
    sentences = [str(w.message) for w in warned]
    assert [s.split(" to ")[0] for s in sentences] == ["Could not save step 6", "Could not save step 8"]
    assert all("free some space" in s and "training goes on" in s and "\n" not in s for s in sentences)
    assert saved == [4, 4, 4, 4, 4, 4, 10, 10]  # the old file stays until there is a new one
    assert torch.load(path)["step"] == 12
    assert same(everything(run), everything(quick(steps=12)))


@pytest.mark.parametrize("where", FULL)
def test_disk_full_at_the_end_is_one_sentence_and_loses_nothing(where, path, monkeypatch):
    target, stand_in, reason = FULL[where]
    method, data = tiny(Gan)
    monkeypatch.setattr(target, stand_in)
    with pytest.raises(CourseError, match=reason) as caught:
        fit(
            method,
            data,
            steps=6,
            batch=5,
            ema=0.9,
            device="cpu",
            progress=False,
            checkpoint=path,
            resume=True,
        )
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Could not save step 6" in sentence
    assert "still in memory" in sentence
    monkeypatch.undo()
    assert torch.load(path)["step"] == 4
    assert os.listdir(path.parent) == ["checkpoint.pt"]
    assert same(method.state_dict(), quick(steps=6).method.state_dict())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_real_full_device(path):
    """/dev/full answers every write with "no space left", as a full disk does."""

    def hook(step, logs):
        path.with_name("checkpoint.pt.tmp").symlink_to("/dev/full")

    with pytest.raises(CourseError, match="No space left on device|failed writing"):
        quick(steps=5, checkpoint=path, resume=True, hooks=(hook,))
    assert torch.load(path)["step"] == 4
    assert os.listdir(path.parent) == ["checkpoint.pt"]


# ---- places that cannot be written to


def one_sentence(words, **options):
    with pytest.raises(CourseError, match=words) as caught:
        quick(**({"steps": 6} | options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folder_under_a_file_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    seen = []
    place = tmp_path / "file" / "deeper" / "checkpoint.pt"
    one_sentence("Cannot write to .*deeper.* Choose another folder", checkpoint=place, hooks=(seen.append,))
    assert seen == []


@pytest.mark.parametrize("member", ["exists", "mkdir", "touch"])
def test_forbidden_folder_is_refused_before_training(member, tmp_path, monkeypatch):
    def forbidden(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(f"course_lib.checkpoint.Path.{member}", forbidden)
    one_sentence(f"Cannot write to {tmp_path}: Permission denied", checkpoint=tmp_path / "c.pt")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind root")
def test_read_only_folder_is_refused_before_training(tmp_path):
    tmp_path.chmod(0o555)
    one_sentence("Cannot write to .*Permission denied", checkpoint=tmp_path / "c.pt")


# ---- files that are something else


def test_an_earlier_run_is_not_overwritten(path):
    before = path.read_bytes()
    one_sentence("holds an earlier run: resume it .* or choose another name", checkpoint=path)
    assert path.read_bytes() == before


def test_resume_without_a_file_starts_anew(tmp_path):
    run = quick(steps=6, checkpoint=tmp_path / "c.pt", resume=True)
    assert same(everything(run), everything(quick(steps=6)))


def test_resuming_a_finished_run_changes_nothing(path):
    before = path.read_bytes()
    done = quick(steps=4, checkpoint=path, resume=True, weights=9)
    assert (done.step, done.samples, done.stopped) == (4, 0, False)
    assert same(everything(done), everything(quick(steps=4)))
    fewer = quick(steps=2, checkpoint=path, resume=True, weights=9)
    assert fewer.step == 4
    assert path.read_bytes() == before


def test_truncated_checkpoint(path):
    whole = path.read_bytes()
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        one_sentence("is not a readable checkpoint .* start anew", checkpoint=path, resume=True)


def test_garbage_instead_of_a_checkpoint(path):
    for content in (b"hello", random.Random(0).randbytes(5000), b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        one_sentence("is not a readable checkpoint", checkpoint=path, resume=True)
    torch.save([1, 2, 3], path)
    one_sentence("is not a readable checkpoint", checkpoint=path, resume=True)
    torch.save({"about": {}, "step": 3}, path)
    one_sentence("is not a readable checkpoint|belongs to another", checkpoint=path, resume=True)
    path.unlink()
    path.mkdir()
    one_sentence("is not a readable checkpoint", checkpoint=path, resume=True)


class Mine:
    """Unpickling this would leave a file behind."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


def test_nothing_is_unpickled(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    torch.save({"about": {}, "step": 0, "history": Mine()}, path)
    one_sentence("is not a readable checkpoint", checkpoint=path, resume=True)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(seed=1), "made with seed=0, not 1: use the same settings"),
        (dict(batch=4), "made with batch=5, not 4"),
        (dict(accumulate=2), "made with accumulate=1, not 2"),
        (dict(ema=0.5), "made with ema=0.9, not 0.5"),
        (dict(data=Rows(torch.zeros(9, 2))), "made with samples=8, not 9"),
        (dict(cls=Pooled), "made with method=Gan, not Pooled"),
    ],
    ids=str,
)
def test_other_settings_are_named(options, words, path):
    before = path.read_bytes()
    one_sentence(words, checkpoint=path, resume=True, **options)
    assert path.read_bytes() == before


def test_two_methods_of_the_same_sizes_are_told_apart(tmp_path):
    """An autoencoder and a denoising one have equal tensors; only the name can tell."""
    shapes = [
        [(k, v.shape) for k, v in tiny(c)[0].state_dict().items()]
        for c in (Autoencoder, DenoisingAutoencoder)
    ]
    assert shapes[0] == shapes[1]
    quick(Autoencoder, steps=2, checkpoint=tmp_path / "c.pt")
    one_sentence(
        "method=Autoencoder, not Denois", cls=DenoisingAutoencoder, checkpoint=tmp_path / "c.pt", resume=True
    )


def test_other_sizes_of_the_same_method(tmp_path):
    class Wide(Gan):
        pass

    Wide.__name__ = "Gan"
    Wide.__init__ = lambda self: (Gan.__init__(self), setattr(self, "G", torch.nn.Linear(2, 2)))[0]
    quick(steps=2, checkpoint=tmp_path / "c.pt")
    one_sentence(
        "belongs to another method or other sizes", cls=Wide, checkpoint=tmp_path / "c.pt", resume=True
    )
