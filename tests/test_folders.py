"""A folder from real life: every surprise is named, none is fatal."""

import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from helpers import everything, same
from PIL import Image

from course_lib import folders
from course_lib.errors import DataError
from course_lib.fit import fit
from course_lib.folders import Crops, ImageWarning, crops, folder, held_out, pictures, unpaired
from course_lib.methods.cyclegan import CycleGAN

RED, BLUE = (255, 0, 0), (0, 0, 255)


def flat(colour, size=(20, 20), mode="RGB"):
    return Image.new(mode, size, colour)


def colour_of(picture):
    """The mean colour, 0..255, of one (3, H, W) uint8 picture."""
    return picture.float().mean((1, 2)).round().tolist()


def huge_png(path):
    """A PNG of 70 bytes that claims 60,000 x 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, content in ((b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(content)) + kind + content
        chunks += struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.fixture
def torture(tmp_path):
    """One file of every kind of trouble, and two plain pictures."""
    (tmp_path / "sub" / ".hidden").mkdir(parents=True)
    flat(RED).save(tmp_path / "a_plain.png")
    flat(BLUE, (60, 20)).save(tmp_path / "sub" / "b_wide.bmp")
    flat(BLUE).save(tmp_path / "sub" / ".hidden" / "cache.png")
    whole = tmp_path / "whole.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
    (tmp_path / "c_truncated.jpg").write_bytes(whole.read_bytes()[:1500])
    whole.unlink()
    frames = [flat(RED), flat(BLUE)]
    frames[0].save(tmp_path / "d_animated.gif", save_all=True, append_images=frames[1:])
    flat((0, 255, 255, 0), mode="CMYK").save(tmp_path / "e_cmyk.jpg", quality=95)
    Image.fromarray(np.full((20, 20), 257 * 100, np.uint16)).save(tmp_path / "f_16bit.png")
    flat(RED, (1, 1)).save(tmp_path / "g_tiny.png")
    palette = flat(0, mode="P")
    palette.putpalette([9, 9, 9, *BLUE])
    palette.paste(1, (10, 0, 20, 20))
    palette.save(tmp_path / "h_palette.png", transparency=0)
    huge_png(tmp_path / "i_huge.png")
    upright = flat(RED)
    upright.paste(BLUE, (0, 10, 20, 20))  # red above, blue below
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to show
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "j_turned.jpg", exif=exif, quality=95)
    (tmp_path / "k_notes.txt").write_text("not a picture")
    (tmp_path / "l_empty.png").write_bytes(b"")
    flat(BLUE, (10, 10)).save(tmp_path / "m_small.png")
    return tmp_path


@pytest.fixture
def tortured(torture):
    with pytest.warns(ImageWarning) as caught:
        data = folder(torture, size=16)
    return data, caught


def test_usable_pictures_are_read_in_order_and_rightly_converted(tortured):
    data, _ = tortured
    plain, animated, cmyk, deep, palette, turned, small, wide = data.x
    assert colour_of(plain) == [255, 0, 0]
    assert colour_of(animated) == [255, 0, 0]  # the first frame
    assert torch.tensor(colour_of(cmyk)).sub(torch.tensor([255.0, 0, 0])).abs().max() < 8
    assert colour_of(deep) == [100, 100, 100]  # 257 * 100 of 65535 is 100 of 255
    assert colour_of(palette[:, :, :7]) == [255, 255, 255]  # transparent became white
    assert colour_of(palette[:, :, 9:]) == [0, 0, 255]
    assert turned[0, :7].float().mean() > 240  # red above again, blue below
    assert turned[2, 9:].float().mean() > 240
    assert colour_of(small) == [0, 0, 255]
    assert colour_of(wide) == [0, 0, 255]
    assert data.x.shape == (8, 3, 16, 16)
    assert data.y is None
    assert (data.floats.min(), data.floats.max()) == (-1, 1)


def test_one_warning_says_what_happened_to_which_file(tortured):
    _, caught = tortured
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "8 images read" in text
    for part in (
        "skipped, damaged or unreadable: c_truncated.jpg",
        "first of several frames taken: d_animated.gif",
        "CMYK converted to RGB: e_cmyk.jpg",
        "16 bits a pixel converted to 8: f_16bit.png",
        "skipped, too small (under 8 pixels a side): g_tiny.png",
        "transparent parts made white: h_palette.png",
        "skipped, too large (over 100 million pixels): i_huge.png",
        "skipped, not an image: k_notes.txt, l_empty.png",
        "enlarged, because smaller than 16 pixels: m_small.png",
    ):
        assert part in text
    assert "plain" not in text
    assert "turned" not in text
    assert "cache" not in text  # in a hidden folder
    assert caught[0].filename == __file__  # the warning points at the caller


def test_clean_folder_gives_no_warning(tmp_path):
    flat(RED, (30, 20)).save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = folder(str(tmp_path), size=8, grey=True)
    assert data.x.shape == (1, 1, 8, 8)
    assert data.x.unique().tolist() == [76]  # ITU-R 601: red weighs 0.299


def test_crop_is_central(tmp_path):
    picture = flat(RED, (40, 20))
    picture.paste(BLUE, (10, 0, 30, 20))
    picture.save(tmp_path / "a.png")
    assert colour_of(folder(tmp_path, size=20).x[0]) == [0, 0, 255]


def test_long_lists_are_counted(tmp_path):
    flat(RED).save(tmp_path / "a.png")
    for i in range(13):
        (tmp_path / f"n{i:02d}.txt").write_text("x")
    with pytest.warns(ImageWarning, match=r"n09.txt and 3 more\."):
        folder(tmp_path, size=8)


def test_random_damage_is_never_a_crash(tmp_path):
    """Files with flipped bytes are read or skipped, whatever the decoder raises."""
    rng = np.random.default_rng(0)
    flat(RED).save(tmp_path / "good.png")
    picture = Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8))
    for suffix in ("png", "jpg", "gif", "tiff", "webp", "bmp", "ico", "tga", "ppm"):
        picture.save(tmp_path / f"whole.{suffix}")
        content = (tmp_path / f"whole.{suffix}").read_bytes()
        for i in range(25):
            broken = bytearray(content)
            for at in rng.integers(0, min(len(broken), 200), 6):
                broken[at] = rng.integers(256)
            (tmp_path / f"broken{i}.{suffix}").write_bytes(broken[: rng.integers(20, len(broken))])
    with pytest.warns(ImageWarning):
        assert len(folder(tmp_path, size=8)) >= 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: folder(p / "nowhere", size=8), "nowhere does not exist"),
        (lambda p: folder(p, size=8), "There is no usable image in"),
        (lambda p: folder(p / "a.txt", size=8), "a.txt is a file, not a folder"),
        (lambda p: folder(p, size=0), "at least 1 pixel, not 0"),
        (lambda p: unpaired(p, size=8), "no folder trainA and no trainB"),
        (lambda p: unpaired(p, size=8, split="validation"), 'no split "validation"'),
        (lambda p: unpaired(p, p / "sub" / "..", size=8), "was given for both kinds"),
        (lambda p: unpaired(p, p / "sub", size=8), "sub lies in .*, whose sub-folders are read too"),
        (lambda p: unpaired(p / "sub", p, size=8), "sub lies in .*, whose sub-folders are read too"),
        (lambda p: unpaired(p / "sub", p / "nowhere", size=8), "nowhere does not exist"),
        (lambda p: unpaired(p / "sub", p / "a.txt", size=8), "a.txt is a file, not a folder"),
        (lambda p: crops(p / "sub", size=0), "at least 1 pixel, not 0"),
        (lambda p: list(pictures(p / "nowhere")), "nowhere does not exist: give a picture"),
        (lambda p: list(pictures(p / "a.txt")), "a.txt cannot be used .skipped, not an image"),
    ],
)
def test_bad_folders_are_one_sentence(tmp_path, make, message):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "sub").mkdir()
    with pytest.raises(DataError, match=message) as error:
        make(tmp_path)
    assert "\n" not in str(error.value)


def fill(place, colour, count):
    place.mkdir()
    for i in range(count):
        flat((*colour, 10 * i)).save(place / f"{i}.png")


def test_unpaired_draws_both_sides_independently(tmp_path):
    fill(tmp_path / "trainA", (255, 0), 4)
    fill(tmp_path / "trainB", (0, 255), 3)
    data = unpaired(tmp_path, size=8)
    a, b = data[torch.arange(len(data))]
    assert (a[:, 0] == 1).all()  # A is red, B is green
    assert (b[:, 1] == 1).all()
    number = lambda x: ((x[:, 2, 0, 0] + 1) * 12.75).round().long()  # noqa: E731
    pairs = torch.stack([number(a), number(b)], dim=1)
    assert len(data) == 12
    assert len(pairs.unique(dim=0)) == 12  # every pair exactly once: a uniform draw is independent
    first = data[torch.tensor([5])]
    assert torch.equal(first[0][0], a[5])
    assert torch.equal(first[1][0], b[5])


def test_unpaired_takes_two_folders_or_the_test_half(tmp_path):
    fill(tmp_path / "testA", (255, 0), 2)
    fill(tmp_path / "testB", (0, 255), 2)
    for data in (
        unpaired(tmp_path, size=8, split="test"),
        unpaired(tmp_path / "testA", tmp_path / "testB", size=8),
    ):
        assert len(data.a) == len(data.b) == 2
        assert data[slice(0, 3)][0].shape == (3, 3, 8, 8)


# ---- random crops


def coordinates(height, width):
    """A picture that says in red and green where each of its pixels lies."""
    y, x = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([y, x, np.zeros_like(x)], -1)


def test_every_crop_is_a_square_of_the_picture_and_each_comes_up_as_often(tmp_path):
    Image.fromarray(coordinates(21, 22)).save(tmp_path / "a.png")
    torch.manual_seed(0)
    data = crops(tmp_path, size=20)  # up to 1.15 times the size a picture stays as it is
    drawn = ((data[torch.zeros(1200, dtype=torch.long)] + 1) * 127.5).round().long()  # (1200, 3, 20, 20)
    count = {}
    for crop in drawn:
        mirrored = bool(crop[1, 0, 0] > crop[1, 0, -1])
        upright = crop.flip(2) if mirrored else crop
        top, left = upright[:2, 0, 0].tolist()
        expected = torch.from_numpy(coordinates(21, 22)[top : top + 20, left : left + 20]).permute(2, 0, 1)
        assert torch.equal(upright, expected.long())
        count[top, left, mirrored] = count.get((top, left, mirrored), 0) + 1
    assert len(count) == 2 * 3 * 2
    assert all(60 < n < 140 for n in count.values())  # 100 expected, standard deviation 9.6


def test_pictures_are_reduced_with_their_shape_kept_and_panoramas_cut_to_the_middle(tmp_path):
    flat(RED, (300, 150)).save(tmp_path / "a.png")
    flat(RED, (22, 60)).save(tmp_path / "b.png")
    long = flat(RED, (1000, 50))
    long.paste(BLUE, (400, 0, 600, 50))
    long.save(tmp_path / "c.png")
    flat(RED, (10, 30)).save(tmp_path / "d.png")
    with pytest.warns(ImageWarning) as caught:
        data = crops(tmp_path, size=20)
    assert [p.shape for p in data.pictures] == [(3, 23, 46), (3, 60, 22), (3, 23, 92), (3, 60, 20)]
    assert colour_of(data.pictures[2]) == [0, 0, 255]
    text = str(caught[0].message)
    assert "cut to the middle, because over 4 times as long as wide: c.png" in text
    assert "enlarged, because smaller than 20 pixels: d.png" in text
    assert "a.png" not in text
    assert "b.png" not in text


def test_too_many_pictures_for_the_memory_are_one_sentence(tmp_path, monkeypatch):
    fill(tmp_path / "many", (255, 0), 5)
    monkeypatch.setattr(folders, "MEMORY", 3 * 9 * 9 * 3)  # three pictures of 9x9
    with pytest.raises(DataError, match=r"take more than .* GiB at crops of 8 pixels: 3 fit"):
        crops(tmp_path / "many", size=8)


def test_one_picture_is_too_few_to_train_on_but_enough_to_judge_by(tmp_path):
    fill(tmp_path / "trainA", (255, 0), 1)
    fill(tmp_path / "trainB", (0, 255), 2)
    with pytest.raises(DataError, match="trainA holds 1 usable image: training needs at least 2"):
        unpaired(tmp_path, size=8)
    assert len(held_out(tmp_path, size=8)[0]) == 1


def test_judged_by_the_held_out_pictures_where_there_are_any(tmp_path):
    fill(tmp_path / "trainA", (255, 0), 3)
    fill(tmp_path / "trainB", (0, 255), 2)
    a, b, what = held_out(tmp_path, size=8)
    assert (len(a), len(b), what) == (3, 2, "training pictures")
    fill(tmp_path / "testA", (255, 0), 4)
    fill(tmp_path / "testB", (0, 255), 5)
    a, b, what = held_out(tmp_path, size=8)
    assert (len(a), len(b), what) == (4, 5, "held-out pictures")
    a, b, what = held_out(tmp_path / "trainA", tmp_path / "trainB", size=8)
    assert (len(a), len(b), what) == (3, 2, "training pictures")


def test_colours_are_those_of_the_whole_picture():
    left = torch.zeros(3, 20, 60, dtype=torch.uint8)
    left[0, :, :15] = 255  # a quarter is red, at the edge
    colours = Crops((left, left), 20).colours()
    assert colours.shape == (2, 3, 1, 1024)
    assert colours.mean((0, 2, 3)).tolist() == pytest.approx([-0.5, -1, -1], abs=0.02)


def test_epochs_differ_and_a_resumed_run_is_the_same_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        for i in range(3):
            pixels = rng.integers(0, 255, (20 + i, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"train{side}" / f"{i}.png")
    data = unpaired(tmp_path, size=16)
    index = torch.arange(4)
    assert not torch.equal(data[index][0], data[index][0])
    assert data[0][0].shape == data[:1][0][0].shape == (3, 16, 16)

    def run(steps, **more):
        torch.manual_seed(0)
        method = CycleGAN(widths=(4, 8), blocks=1, d_widths=(4, 8), pool=4, size=16)
        return everything(fit(method, data, steps=steps, batch=2, device="cpu", progress=False, **more))

    once = run(4)
    run(2, checkpoint=tmp_path / "run.pt")
    assert same(once, run(4, checkpoint=tmp_path / "run.pt", resume=True))


# ---- whole pictures, one after the other


def test_pictures_come_whole_with_their_paths(torture):
    with pytest.warns(ImageWarning, match="8 images read") as caught:
        found = {str(name): pixels for name, pixels in pictures(torture)}
    assert found["sub/b_wide.bmp"].shape == (3, 20, 60)
    assert found["m_small.png"].shape == (3, 10, 10)
    assert colour_of(found["h_palette.png"][:, :, :9]) == [255, 255, 255]
    assert "k_notes.txt" not in found
    assert "enlarged" not in str(caught[0].message)
    assert caught[0].filename == __file__
    ((name, pixels),) = pictures(torture / "a_plain.png", grey=True)
    assert str(name) == "a_plain.png"
    assert pixels.unique().tolist() == [76]
    with pytest.raises(DataError, match="c_truncated.jpg cannot be used .skipped, damaged or unreadable"):
        list(pictures(torture / "c_truncated.jpg"))
