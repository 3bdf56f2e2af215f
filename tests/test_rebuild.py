"""The rules by which the bundled data was built, and the comparison that proves a rebuild."""

import hashlib
import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from course_lib import bundle, data

PLAIN = {"cook", "person", "person: beard", "person walking", "merperson", "child", "mx claus"}


@pytest.fixture
def build(monkeypatch):
    """The modules of data/rebuild and the command data/build_data.py."""
    monkeypatch.syspath_prepend(str(data.root()))
    names = ("captions", "tiles", "sources", "fashion", "openmoji")
    modules = {name: importlib.import_module(f"rebuild.{name}") for name in names}
    return SimpleNamespace(command=importlib.import_module("build_data"), **modules)


@pytest.mark.parametrize(
    ("caption", "role", "gender", "tone"),
    [
        ("woman cook: dark skin tone", "cook", 2, 5),
        ("man: light skin tone, beard", "person: beard", 1, 1),
        ("man walking: medium-light skin tone, facing right", "person walking: facing right", 1, 2),
        ("mermaid: medium-dark skin tone", "merperson", 2, 4),
        ("Mrs. Claus: medium skin tone", "mx claus", 2, 3),
        ("Santa Claus", "mx claus", 1, 0),
        ("girl", "child", 2, 0),
        ("person: beard", "person: beard", 0, 0),
        ("family: man, woman, girl", "family: person, person, child", 0, 0),
    ],
)
def test_captions_are_understood(build, caption, role, gender, tone):
    assert build.captions.role(caption, PLAIN) == role
    assert build.captions.gender(caption) == gender
    assert build.captions.tone(caption) == tone


def test_a_mirrored_drawing_is_the_same_concept(build):
    assert build.captions.concept("person walking: facing right") == "person walking"
    assert build.captions.concept("person: beard") == "person: beard"


def test_tables_follow_the_rules(build):
    """Every column of the committed tables is what the rules say of its caption."""
    people = bundle.table("people/people.csv")
    for row in people:
        caption = row["caption"]
        split = build.captions.split(row["concept"])
        held = build.captions.held_out(caption)
        assert row["split"] == ("held_out" if held else split)
        assert not held or split == "train"
        assert row["concept"] == build.captions.concept(row["role"])
        assert int(row["tone"]) == build.captions.tone(caption)
        assert int(row["gender"]) == build.captions.gender(caption)
    for file in ("emoji/emoji.csv", "openmoji/openmoji.csv"):
        assert all(row["split"] == build.captions.split(row["concept"]) for row in bundle.table(file))
        assert all(build.captions.key(row["codepoints"]) != build.captions.RUDE for row in bundle.table(file))


def test_split_shares_are_those_of_a_fair_hash(build):
    splits = [build.captions.split(f"thing {i}") for i in range(5000)]
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        assert splits.count(split) / 5000 == pytest.approx(share, abs=5 * (share * (1 - share) / 5000) ** 0.5)


def test_sheets_are_laid_out_as_the_loader_cuts_them(build):
    tiles = [Image.new("L", (2, 2), 10 * i) for i in range(5)]
    sheet = np.asarray(build.tiles.sheet(tiles, 3, 255))
    assert sheet[::2, ::2].tolist() == [[0, 10, 20], [30, 40, 255]]


def test_shrinking_keeps_edges_clean(build):
    """Transparent black beside opaque white must not turn the edge grey."""
    drawing = Image.new("RGBA", (64, 64))
    drawing.paste((255, 255, 255, 255), (0, 0, 31, 64))
    small = np.asarray(build.tiles.shrink(drawing, 32))
    edge = small[:, 15]
    assert (edge[:, 3] == 128).all() or (edge[:, 3] == 127).all()
    assert (edge[:, :3] >= 253).all()
    square = build.tiles.shrink(Image.new("RGBA", (20, 40), "red"), 40)
    assert square.getpixel((20, 20)) == (255, 0, 0, 255)
    assert square.getpixel((5, 20))[3] == 0  # centred, not stretched


def test_invisible_colour_is_removed(build):
    drawing = Image.new("RGBA", (2, 1), (9, 9, 9, 0))
    drawing.putpixel((1, 0), (7, 7, 7, 1))
    assert list(build.tiles.blank_transparent(drawing).tobytes()) == [0, 0, 0, 0, 7, 7, 7, 1]


def test_sixteen_greys_round_to_the_nearest(build):
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    grey = np.asarray(build.openmoji.sixteen_greys(ramp).convert("L"))[0].astype(int)
    assert set(grey) == set(range(0, 256, 17))
    assert abs(grey - np.arange(256)).max() == 8


@pytest.fixture
def place(build, tmp_path, monkeypatch):
    """An empty data folder for the command to work on, and where it builds."""
    monkeypatch.setattr(build.command, "DATA", tmp_path / "data")
    (tmp_path / "data" / "toy").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    return tmp_path


def picture(value):
    return Image.fromarray(np.full((8, 8, 3), value, np.uint8))


def test_a_rebuild_is_compared_and_installed(build, place):
    new = place / "new" / "a.png"
    old = place / "data" / "toy" / "a.png"
    picture(100).save(new)
    assert build.command.compare(new, old, False) == (False, "missing")
    build.command.install(new, "toy/a.png")
    digest = hashlib.sha256(new.read_bytes()).hexdigest()
    assert (place / "data" / "checksums.txt").read_text() == f"{digest}  toy/a.png\n"
    assert build.command.compare(new, old, False) == (True, "equal bytes")
    picture(100).save(new, compress_level=0)  # another encoder, the same pixels
    assert build.command.compare(new, old, False) == (True, "equal pixels")
    picture(101).save(new)
    same, finding = build.command.compare(new, old, False)
    assert not same
    assert finding == "pixels differ by at most 1 of 255, by 1.000 on average"
    assert build.command.compare(new, old, True)[0]  # close enough for another lossy encoder
    picture(110).save(new)
    assert not build.command.compare(new, old, True)[0]
    picture(100).convert("L").save(new)
    assert not build.command.compare(new, old, True)[0]
    old.write_bytes(old.read_bytes() + b"x")
    assert "damaged" in build.command.compare(new, old, True)[1]


def test_changed_tables_are_not_the_same(build, place):
    new, old = place / "new" / "a.csv", place / "data" / "toy" / "a.csv"
    new.write_text("a,b\n")
    build.command.install(new, "toy/a.csv")
    new.write_text("a,c\n")
    assert build.command.compare(new, old, True) == (False, "different text")


def test_a_wrong_package_is_refused(build, tmp_path):
    package = build.sources.NAMES
    (tmp_path / package.file).write_bytes(b"something else")
    with pytest.raises(build.sources.BuildError, match="is not the package .* delete it and run this again"):
        build.sources.fetch(package, tmp_path)


def test_a_missing_client_is_one_sentence(build, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(build.sources.BuildError, match="npm is needed to download openmoji@17.0.0"):
        build.sources.fetch(build.sources.OPENMOJI, tmp_path)
    with pytest.raises(
        build.sources.BuildError, match="rsvg-convert is needed .*apt-get install librsvg2-bin"
    ):
        build.openmoji.build({}, tmp_path)


def test_an_unknown_set_is_named(build, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["build_data.py", "fasion"])
    with pytest.raises(SystemExit):
        build.command.main()
    assert "there is no set 'fasion'" in capsys.readouterr().err
