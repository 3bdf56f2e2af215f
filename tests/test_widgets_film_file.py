"""A film survives the way through a file; what cannot be written or read is one sentence."""

import numpy as np
import pytest
import torch

from course_lib.widgets import Film, TrainingFilm, load_film, save_film
from course_lib.widgets.page import WidgetError


def ramp(step, n=2):
    """n pictures of 24 x 16 that differ by moment, channel and number: smooth, so that WebP keeps them."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 24), torch.linspace(-1, 1, 16), indexing="ij")
    return torch.stack(
        [torch.stack([x * 0.5, y * 0.5, torch.full_like(x, step / 40 - i / 3)]) for i in range(n)]
    )


@pytest.fixture
def film():
    film = Film()
    for step in range(0, 40, 2):
        film.add(step, images=ramp(step), losses={"G": 1 / (step + 1), "D": 0.25})
    return film


def test_pictures_steps_and_losses_come_back(film, tmp_path):
    again = load_film(save_film(film, tmp_path / "new" / "film.npz"))
    before, after = film.shots(), again.shots()
    assert [s.step for s in after] == [s.step for s in before]
    for old, new in zip(before, after, strict=True):
        apart = np.abs(old.images.astype(int) - new.images.astype(int))
        assert apart.mean() < 3  # of 255: lossy
    assert {k: c.points() for k, c in again.curves.items()} == {k: c.points() for k, c in film.curves.items()}
    # moments and the two pictures of each are not mixed up
    blue = [[picture[..., 2].mean() for picture in shot.images] for shot in after]
    assert all(a < b for (a, _), (b, _) in zip(blue, blue[1:], strict=False))
    assert all(first > second for first, second in blue)


def test_a_loaded_film_plays(film, tmp_path):
    widget = TrainingFilm(load_film(save_film(film, tmp_path / "film.npz")), title="Again")
    assert not widget.problem
    assert widget.steps[0] == 0
    assert widget.pictures == 2
    assert {line["name"] for line in widget.lines} == {"G", "D"}


def test_grey_pictures_become_equal_channels(tmp_path):
    film = Film()
    film.add(0, images=ramp(0)[:, :1])
    (shot,) = load_film(save_film(film, tmp_path / "film.npz")).shots()
    assert shot.images.shape == (2, 24, 16, 3)
    assert np.ptp(shot.images.astype(int), axis=-1).max() <= 2


def test_what_cannot_be_written_is_said(tmp_path):
    empty, losses, points = Film(), Film(), Film()
    losses.add(0, losses={"G": 1.0})
    points.add(0, images=ramp(0), points=torch.zeros(3, 2))
    for film, sentence in (
        (empty, "every moment has pictures"),
        (losses, "every moment"),
        (points, "Points"),
    ):
        with pytest.raises(WidgetError, match=sentence):
            save_film(film, tmp_path / "film.npz")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_is_said(film, tmp_path):
    path = save_film(film, tmp_path / "film.npz")
    with pytest.raises(WidgetError, match="There is no film"):
        load_film(tmp_path / "other.npz")
    whole = path.read_bytes()
    for part in (b"", b"no film", whole[:500], whole[: len(whole) // 2]):
        path.write_bytes(part)
        with pytest.raises(WidgetError, match="is not a film, or damaged"):
            load_film(path)
    np.savez(path, about=np.array([{"steps": []}], dtype=object))  # a pickle, which is never opened
    with pytest.raises(WidgetError, match="is not a film, or damaged"):
        load_film(path)
