"""The live run on the Earth, its failures and its films."""

import pytest
import torch

from course_lib import earth, earth_runs
from course_lib.errors import CourseError
from course_lib.nn.translators import soften
from course_lib.widgets import Film, TrainingFilm, load_film


def first_painting(name):
    """What an untrained method paints for the Americas, beside plain colour transport, standardised."""
    torch.manual_seed(0)
    gan, where = earth_runs.method(name).eval(), earth.place("test")
    made = gan.colours_B(earth.translated(gan.translate, where))
    plain = gan.colours_B(earth.transported(where))
    return made.flatten(), plain.flatten()


def test_the_live_run_begins_with_stretched_colours():
    made, plain = first_painting("")
    assert torch.corrcoef(torch.stack([made, plain]))[0, 1] > 0.99
    assert (made - plain).abs().mean() < 0.1  # in units of the colours' spread


def test_the_mirror_begins_with_a_negative_that_is_undone():
    made, plain = first_painting("mirror")
    assert torch.corrcoef(torch.stack([made, plain]))[0, 1] < -0.9  # but for what is clipped
    torch.manual_seed(0)
    gan = earth_runs.method("mirror")
    a, b = earth.patches()[torch.arange(4)]
    assert next(gan.losses((a, b), 0)).logs["cycle"] < 0.1


def test_the_swap_begins_with_red_and_blue_exchanged_and_undoes_it():
    torch.manual_seed(0)
    gan, where = earth_runs.method("swap").eval(), earth.place("test")
    shown = gan.colours_A(where.relief)  # (1, 3, H, W)
    made = gan.G(shown)
    assert (made - shown.flip(1)).abs().mean() < 0.1  # in units of the colours' spread
    assert (gan.F(made) - shown).abs().mean() < 0.1
    sea = ~where.land
    assert gan.colours_B.back(made)[0, 0, sea].mean() > gan.colours_B.back(made)[0, 2, sea].mean()  # no water


def test_the_stuck_run_pays_for_every_change_of_what_is_right():
    torch.manual_seed(0)
    stuck, live = earth_runs.method("stuck"), earth_runs.method("")
    stuck.load_state_dict(live.state_dict())
    batch = earth.patches()[torch.arange(4)]
    with_identity, without = (next(gan.losses(batch, 0)).value for gan in (stuck, live))
    a, b = live.colours_A(batch[0]), live.colours_B(batch[1])
    identity = (live.G(b) - b).abs().mean() + (live.F(a) - a).abs().mean()
    assert (with_identity - without).item() == pytest.approx(5 * identity.item(), rel=1e-4)


def test_a_failure_that_is_not_there_is_said():
    with pytest.raises(CourseError, match='no failure "swop": take one of swap, mirror, stuck'):
        earth_runs.method("swop")


def test_a_film_shows_the_painting_the_map_again_and_the_hidden_error():
    film = Film()
    done = earth_runs.run(2, film=film, progress=False)
    (first, second) = film.shots()
    assert first.images.shape == second.images.shape == (2, 216, 176, 3)
    assert film.curves.keys() == {"G", "D", "cycle", earth_runs.HIDDEN}
    assert [v for _, v in film.curves["cycle"].points()] == [v for _, v in done.history["cycle"]]
    americas = earth.place("test")
    views = earth_runs.views(done.method)
    made = earth.translated(done.method.translate, americas)
    assert torch.allclose(views[0], torch.nn.functional.avg_pool2d(made, 2)[0], atol=1e-5)
    hidden = film.curves[earth_runs.HIDDEN].points()[0][1]  # after the first of two small steps
    assert hidden == pytest.approx(earth.errors(americas, made)["land"] / 255, rel=0.05)


@pytest.mark.parametrize("name", ["live", *earth_runs.FAILURES])
def test_bundled_films_play(name):
    film = earth_runs.bundled_film(name)
    assert not TrainingFilm(film).problem
    assert film.curves.keys() == {"G", "D", "cycle", earth_runs.HIDDEN}
    assert film.shots()[0].images.shape == (2, 216, 176, 3)


def test_recording_writes_a_film_that_ends_with_the_averaged_networks(tmp_path, monkeypatch):
    monkeypatch.setattr(earth_runs, "root", lambda: tmp_path)
    path, done = earth_runs.record("mirror", 2)
    shots = load_film(path).shots()
    assert [shot.step for shot in shots] == [0, 1, 2]
    last = torch.from_numpy(shots[-1].images).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert (last - earth_runs.views(done.model)).abs().mean() * 127.5 < 4  # of 255: the file is lossy


def test_soften_wipes_out_dots_and_keeps_levels():
    """A checkerboard becomes even, a constant stays, and a linear ramp stays inside."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    for pattern in ((x + y) % 2, x % 2, y % 2):
        assert torch.allclose(soften(pattern[None, None])[inside], torch.tensor(0.5))
    assert torch.allclose(soften(torch.full((1, 2, 3, 5), 0.7)), torch.tensor(0.7))
    ramp = (x + 3 * y)[None, None]
    assert torch.allclose(soften(ramp)[inside], ramp[inside])
