"""Stored samples: written and read in 64 levels, and never those of other weights."""

import pytest
import torch

from course_lib import stored, zoo
from course_lib.data import root
from course_lib.errors import DataError

RUN = "DDIM, 20 steps"


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "samples").mkdir()
    monkeypatch.setattr(stored, "root", lambda: tmp_path)
    return tmp_path / "samples" / "ddpm_fashion_class_ddim.png"


def on_levels():
    x = torch.randint(256, (1000, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    return x.float() / 127.5 - 1


def test_pictures_come_back_in_their_order_to_the_nearest_of_64_levels(place):
    x = on_levels()
    stored.keep(RUN, x)
    again = stored.samples(RUN)
    assert (again - x).abs().max() <= 1 / 63 + 1 / 255 + 1e-6  # half a level of 64, and of 256
    assert len(again.unique()) == 64
    assert torch.equal(again[x.abs() == 1], x[x.abs() == 1])  # black and white stay what they are


def test_samples_of_other_weights_are_refused(place, monkeypatch):
    stored.keep(RUN, on_levels())
    monkeypatch.setattr(zoo, "manifest", lambda: {"ddpm_fashion_class": {"sha256": "other"}})
    with pytest.raises(DataError, match="made by other weights than ddpm_fashion_class"):
        stored.samples(RUN)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "are missing: run `git checkout"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "are damaged"),
        (lambda path: path.write_bytes(b""), "are damaged"),
    ],
)
def test_a_spoilt_file_is_one_sentence(place, spoil, words):
    stored.keep(RUN, on_levels())
    spoil(place)
    with pytest.raises(DataError, match=words):
        stored.samples(RUN)


def test_an_unknown_run_names_those_that_there_are():
    with pytest.raises(DataError, match="take one of DDPM, 1,000 steps, DDIM, 20 steps"):
        stored.samples("Euler")


@pytest.mark.parametrize("run", stored.RUNS)
def test_the_bundled_samples_are_there_and_no_two_are_the_same(run):
    assert (root() / "samples").is_dir()
    x = stored.samples(run)
    assert len(torch.unique(x.flatten(1), dim=0)) == 1000
    assert -0.6 < x.mean() < -0.3  # Fashion-MNIST: -0.43


def test_the_bundled_20_steps_are_those_of_the_bundled_weights():
    """The first two of a batch of 250: their noise is the beginning of the same stream of numbers."""
    g = torch.Generator().manual_seed(stored.SEED)
    x = torch.randn(250, 1, 28, 28, generator=g)[:2]
    model = zoo.load(stored.WEIGHTS)
    from course_lib.samplers import ddim

    y = torch.tensor([0, 1])
    *_, last = ddim(lambda x, t: model.eps(x, t, y), x, model.alpha_bar, steps=20)
    assert (last.x - stored.samples(RUN)[:2]).abs().max() < 0.05
