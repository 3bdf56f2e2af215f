"""The Earth as a test of translation: boxes, measures, patches and plain methods, against known answers."""

import numpy as np
import pytest
import torch

from course_lib import data, earth
from course_lib.errors import DataError
from course_lib.sets import Box


@pytest.fixture(scope="module")
def americas():
    return earth.place("test")


def flat(where, rgb):
    """One colour, RGB 0..255, over the whole place."""
    return (torch.tensor(rgb, dtype=torch.float32) / 127.5 - 1).view(1, 3, 1, 1).expand_as(where.photo)


# ---- places


def test_a_place_is_the_brightened_photo_of_its_box(americas):
    world = data.earth(1350).crop(data.EARTH_BOXES["test"])
    height, width = americas.photo.shape[2:]
    assert (height, width) == (432, 352)  # 435 x 360 cut to multiples of 16
    dark = world.satellite[:, :height, :width].double() / 255
    expected = (255 * dark**0.6).round() / 127.5 - 1
    assert torch.allclose(americas.photo[0].double(), expected, atol=1.01 / 127.5)  # one grey level
    assert torch.equal(americas.relief[0], data.to_floats(world.relief[:, :height, :width]))


def test_named_regions_are_where_they_are_called(americas):
    """By what everybody knows: the Amazon is green land, the Pacific is sea, and the regions are inside."""
    shares = {name: americas.land[at].float().mean().item() for name, at in americas.regions.items()}
    assert all(share == 0 for name, share in shares.items() if name in ("Pacific",))
    assert shares["Caribbean"] < 0.2
    assert all(share > 0.95 for name, share in shares.items() if name not in ("Pacific", "Caribbean"))
    rows, columns = americas.regions["Amazon"]
    # latitudes 0 to -8 in a box that begins at 60, longitudes -70 to -56 in one that begins at -130
    edges = [rows.start, rows.stop, columns.start, columns.stop]
    assert np.abs(np.array(edges) - 3.75 * np.array([60, 68, 60, 74])).max() <= 1


def test_brown_land_is_part_of_the_land(americas):
    assert not (americas.brown & ~americas.land).any()
    amazon, atacama = (americas.brown[americas.regions[k]].float().mean() for k in ("Amazon", "Atacama"))
    assert amazon < 0.2 < 0.9 < atacama


def test_the_kinds_of_the_true_regions_are_what_an_atlas_says(americas):
    kinds = {row.name: row.true_kind for row in earth.region_table(americas, americas.photo)}
    assert [kinds[k] for k in ("Pacific", "Caribbean")] == ["water"] * 2
    assert [kinds[k] for k in ("Amazon", "eastern US", "Chaco")] == ["dark green"] * 3
    assert [kinds[k] for k in ("Atacama", "south-west US", "northern Mexico")] == ["bright and bare"] * 3


def test_a_box_of_ones_own_has_no_named_regions():
    iberia = earth.place("train", Box(-10, 4, 36, 44))
    assert iberia.relief.shape == (1, 3, 16, 48)  # 30 x 52 cut
    assert iberia.regions == {}


def test_places_that_are_not_there_are_said():
    with pytest.raises(DataError, match='no part "Europe".*train, validation, test'):
        earth.place("Europe")
    with pytest.raises(DataError, match="smaller than 16 pixels"):
        earth.place("test", Box(-60, -59, 0, 1))


# ---- measures


def test_the_truth_has_no_error_and_all_regions_right(americas):
    assert earth.scores(americas, americas.photo) == {
        "box": 0.0,
        "land": 0.0,
        "brown land": 0.0,
        "regions right": 9.0,
    }


def test_errors_are_means_of_absolute_differences_in_grey_levels(americas):
    shifted = americas.photo + 10 / 127.5 * (1 - 3 * americas.land.float())  # land 20 darker, sea 10 brighter
    found = earth.errors(americas, shifted)
    share = americas.land.float().mean().item()
    assert found["land"] == pytest.approx(20, abs=1e-3)
    assert found["brown land"] == pytest.approx(20, abs=1e-3)
    assert found["box"] == pytest.approx(20 * share + 10 * (1 - share), abs=1e-3)


@pytest.mark.parametrize(
    ("rgb", "kind"),
    [
        ((32, 61, 103), "water"),
        ((57, 77, 33), "dark green"),
        ((199, 168, 125), "bright and bare"),
        ((100, 100, 104), "dark green"),  # bluer, but by less than 0.02
        ((100, 100, 107), "water"),
        ((128, 122, 77), "dark green"),  # just on the green side of the middle
        ((136, 128, 82), "bright and bare"),
    ],
)
def test_kind_of_a_colour(rgb, kind):
    assert earth.kind(torch.tensor(rgb) / 255) == kind


def test_the_region_table_says_colours_and_who_is_wrong(americas):
    table = {row.name: row for row in earth.region_table(americas, flat(americas, (57, 77, 33)))}
    assert table["Amazon"].made == (57, 77, 33)
    assert table["Amazon"].right
    assert not table["Pacific"].right
    assert table["Pacific"].made_kind == "dark green"
    rows, columns = americas.regions["Pacific"]
    true = (americas.photo[0, :, rows, columns].mean((1, 2)).double() + 1) * 127.5
    assert np.abs(np.array(table["Pacific"].true) - true.numpy()).max() <= 0.51


# ---- patches


def found_at(patch, layer, flipped):
    """The corner of the layer (3, H, W) where this patch (3, s, s) lies, by its first row."""
    patch = patch.flip(2) if flipped else patch
    size = patch.shape[1]
    windows = layer.unfold(1, size, 1).unfold(2, size, 1)  # (3, H', W', s, s)
    hit = (windows[:, :, :, 0, :] == patch[:, None, None, 0, :]).all(3).all(0).nonzero()
    return [tuple(corner.tolist()) for corner in hit if torch.equal(windows[:, corner[0], corner[1]], patch)]


def test_pairs_are_of_one_place_and_mirrored_alike():
    patches = earth.patches(paired=True, size=24)
    index = torch.arange(0, len(patches), len(patches) // 6)[:6]
    torch.manual_seed(0)
    maps, photos = (((x + 1) * 127.5).round().to(torch.uint8) for x in patches[index])
    mirrored = set()
    for corner, a, b in zip(patches.corners[index].tolist(), maps, photos, strict=True):
        places = [
            (flip, found_at(a, patches.relief, flip), found_at(b, patches.photo, flip))
            for flip in (False, True)
        ]
        ((flip, at_a, at_b),) = [found for found in places if found[1]]
        assert tuple(corner) in at_a
        assert tuple(corner) in at_b
        mirrored.add(flip)
    assert mirrored == {False, True}


def test_unpaired_photos_come_from_anywhere_else():
    """The place of the photo does not depend on that of the map: their rows are uncorrelated."""
    patches = earth.patches(size=16)
    numbered = torch.arange(patches.relief.shape[1]).view(1, -1, 1).expand(3, -1, patches.relief.shape[2])
    marks = earth.Patches((numbered % 256).byte(), (numbered % 256).byte(), patches.corners, 16)
    torch.manual_seed(0)
    index = torch.randint(len(patches), (4000,))
    a, b = (((x[:, 0, 0, 0] + 1) * 127.5).round() for x in marks[index])
    assert abs(torch.corrcoef(torch.stack([a, b]))[0, 1]) < 5 / 4000**0.5
    assert torch.equal(a.long(), patches.corners[index, 0] % 256)


def test_every_corner_has_land_enough_and_the_sea_share_is_kept():
    patches = earth.patches()
    world = data.earth(1350).crop(data.EARTH_BOXES["train"])
    for y, x in patches.corners[:: len(patches) // 50].tolist():
        assert world.land[y : y + 64, x : x + 64].float().mean() > 0.3
    wet = earth.patches(sea=0.25)
    assert len(patches) / len(wet) == pytest.approx(0.75, abs=1e-4)


def test_turned_and_zoomed_pairs_stay_aligned():
    """Where map and photo are one picture, so are the two patches of a pair, whatever is done to them."""
    base = earth.patches(paired=True, size=32)
    twice = earth.Patches(base.relief, base.relief, base.corners, 32, True, True, 1.4)
    torch.manual_seed(0)
    changed = 0
    for _ in range(12):
        a, b = twice[torch.arange(3) * 1000]
        assert torch.equal(a, b)
        assert a.shape == (3, 3, 32, 32)
        assert a.abs().max() <= 1 + 1e-5
        straight = data.to_floats(base.relief[:, *[slice(c, c + 32) for c in base.corners[0].tolist()]])
        changed += not any(torch.equal(a[0], x) for x in (straight, straight.flip(2)))
    assert changed >= 6


def test_a_zoomed_patch_shows_more_or_less_of_the_place():
    ramp = torch.arange(200).view(1, 1, -1).expand(3, 100, 200).byte()
    wide = earth.Patches(ramp, ramp, torch.tensor([[10, 60]] * 8), 32, True, False, 2.0)
    torch.manual_seed(0)
    spans = {
        round(((x[0, 0].amax() - x[0, 0].amin()) * 127.5).item()) for x, _ in (wide[:2] for _ in range(20))
    }
    assert min(spans) < 24
    assert max(spans) > 45
    assert max(spans) <= 63  # twice 32 pixels of a ramp of one grey level each


# ---- plain methods


def test_transport_gives_the_photos_mean_and_spread_where_it_learnt():
    box = earth.place("train", Box(60, 100, 20, 50))  # where nothing has to be clipped
    weight = torch.where(box.land, 1.0, earth.SEA_WEIGHT).double().numpy()
    for x, y in zip(earth.transported(box, box)[0], box.photo[0], strict=True):
        for power in (1, 2):  # equal first and second moments
            a, b = (np.average(v.double().numpy() ** power, weights=weight) for v in (x, y))
            assert a == pytest.approx(b, abs=1e-5)


def test_colours_that_a_method_learns_are_those_of_the_transport():
    from course_lib.methods.cyclegan import CycleGAN

    gan = CycleGAN(widths=(4, 8), d_widths=(4, 8))
    earth.learn_colours(gan)
    box = earth.place("test", Box(-80, -60, -20, 0))
    assert torch.allclose(gan.colours_B.back(gan.colours_A(box.relief)), earth.transported(box), atol=1e-5)


def test_the_colour_table_is_exact_where_colour_decides():
    """A photo that is a function of the map's colour is found without error; new colours get the nearest."""
    box = earth.place("train", Box(0, 60, -20, 40))
    code = ((box.relief + 1) / 2 * 16).long().clamp(0, 15)
    decided = box._replace(photo=(code.float() / 15 * 2 - 1).flip(1))
    assert torch.allclose(earth.colour_table(decided, decided), decided.photo, atol=1e-5)
    far = box._replace(relief=torch.full_like(box.relief, -1.0))
    near = earth.colour_table(far, decided)
    assert (near == near[:, :, :1, :1]).all()


def test_plain_methods_on_the_americas(americas):
    """The figures that the notebook compares with: they hold the measure still."""
    rounded = {
        name: {k: round(v, 1) for k, v in earth.scores(americas, make(americas)).items()}
        for name, make in (("transport", earth.transported), ("table", earth.colour_table))
    }
    assert rounded["table"]["box"] == pytest.approx(18.1, abs=0.15)
    assert rounded["table"]["land"] == pytest.approx(28.6, abs=0.15)
    assert rounded["table"]["regions right"] == 8
    assert rounded["transport"]["land"] == pytest.approx(34.6, abs=0.15)
    assert rounded["transport"]["regions right"] == 6


def test_translated_gives_back_what_an_identity_gets(americas):
    assert torch.equal(earth.translated(lambda x: x, americas), americas.relief)
