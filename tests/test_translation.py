"""A picture in pieces is the picture in one pass: exactly for what reaches no further than it should."""

import pytest
import torch
from torch.nn import functional as F

from course_lib.errors import CourseError
from course_lib.nn.translators import Translator
from course_lib.sets import Images
from course_lib.translation import _shares, cycle_scores, in_pieces, whole


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double) * 2 - 1


def smear(reach, c_in=1, c_out=1):
    """A convolution with random weights that sees `reach` pixels to each side, and zeros beyond the edge."""
    kernel = noise(c_out, c_in, 2 * reach + 1, 2 * reach + 1, seed=1) / (2 * reach + 1)
    return lambda x: F.conv2d(x, kernel, padding=reach)


def blocks(x):
    """Every block of 8x8 pixels becomes its mean: as sensitive to the phase as eight strided layers."""
    return F.interpolate(F.avg_pool2d(x, 8), scale_factor=8)


def test_one_pass_mirrors_the_picture_beyond_its_edges():
    x, change = noise(2, 1, 50, 70), smear(6)
    expected = change(F.pad(x, (32, 32, 32, 32), mode="reflect"))[:, :, 32:-32, 32:-32]
    assert torch.allclose(whole(change, x), expected, atol=1e-12)
    assert not torch.allclose(change(x), expected, atol=1e-2)  # which zeros at the edge would have spoilt


def test_mirroring_goes_on_where_the_picture_is_smaller_than_its_margin():
    seen = []
    row = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    made = whole(lambda x: seen.append(x) or x, row, factor=4, margin=4)
    assert seen[0][0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2]
    assert seen[0].shape == (1, 1, 12, 12)  # 4 + 1 + 4 rows, up to a multiple of 4
    assert torch.equal(made, row)


@pytest.mark.parametrize("length", [8, 32, 64, 96, 104, 160, 168, 400])
@pytest.mark.parametrize(("piece", "overlap"), [(64, 32), (64, 0), (64, 16), (48, 24)])
def test_shares_sum_to_one_and_the_outer_pixels_of_a_piece_have_none(length, piece, overlap):
    shares = _shares(length, piece, overlap, 8)
    total = torch.zeros(length)
    rim = overlap * 7 // 16  # what the linear ramp leaves
    for start, share in shares.items():
        total[start : start + len(share)] += share
        assert start % 8 == 0
        assert len(share) == min(piece, length)
        if start > 0:
            assert share[:rim].eq(0).all()
        if start + len(share) < length:
            assert share[len(share) - rim :].eq(0).all()
    assert torch.allclose(total, torch.ones(length))


def test_pieces_are_exact_up_to_the_reach_that_is_promised():
    x = noise(1, 1, 150, 210)
    far = {}
    for reach in (14, 15, 20):  # 7/16 of the overlap is 14
        change = smear(reach)
        far[reach] = float((in_pieces(change, x, piece=64, overlap=32) - whole(change, x)).abs().max())
    assert far[14] < 1e-6  # the shares are single floats
    assert 1e-3 < far[15] < far[20]


def test_pieces_keep_the_phase_of_the_strides():
    x = noise(1, 2, 152, 208)
    for made in (whole(blocks, x), in_pieces(blocks, x, piece=64, overlap=32)):
        assert torch.allclose(made, blocks(x), atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 170), (170, 1), (5, 3), (33, 131), (64, 64), (200, 97)])
def test_every_size_works_and_keeps_its_size(size):
    x, change = noise(2, 1, *size), smear(5, 1, 3)
    made = in_pieces(change, x, piece=96, overlap=32)
    assert made.shape == (2, 3, *size)
    assert torch.allclose(made, whole(change, x), atol=1e-6)


def test_no_piece_is_larger_than_asked_and_progress_sees_each():
    sizes, counted = [], []

    def change(x):
        sizes.append(x.shape[2:])
        return x

    def progress(corners):
        for corner in corners:
            counted.append((len(corners), corner))
            yield corner

    x = noise(1, 1, 300, 100)
    made = in_pieces(change, x, piece=96, overlap=32, progress=progress)
    assert torch.allclose(made, x, atol=1e-6)
    assert all(h <= 96 and w <= 96 for h, w in sizes)
    # 32 + 300 + 32 rows become 368, 32 + 100 + 32 columns 168; a new piece begins every 64
    assert [top for _, (top, left) in counted if left == 0] == [0, 64, 128, 192, 256, 272]
    assert [left for _, (top, left) in counted if top == 0] == [0, 64, 72]
    assert {n for n, _ in counted} == {18}


def reach_of(net):
    """How many pixels to the left and to the right of a column its output depends on."""
    reach = 0
    for column in range(192, 200):  # every phase of the strides
        x = noise(1, 3, 8, 384).requires_grad_()
        (slope,) = torch.autograd.grad(net(x)[..., column].sum(), x)
        seen = slope.abs().sum((0, 1, 2)).nonzero()[:, 0]
        reach = max(reach, column - int(seen[0]), int(seen[-1]) - column)
    return reach


def test_translators_of_the_recipes_reach_no_further_than_the_default_overlap_allows():
    torch.manual_seed(0)
    assert reach_of(Translator(start="nothing").double()) == 83 <= 192 * 7 / 16


def test_a_translation_in_pieces_differs_by_far_less_than_one_grey_level():
    torch.manual_seed(0)
    net = Translator(start="nothing").double().requires_grad_(False)
    x = noise(1, 3, 24, 690)
    scale = 0.5 / whole(net, x).std()  # contrast as in a photo
    change = lambda x: net(x) * scale  # noqa: E731
    once = whole(change, x)
    far = [
        float((in_pieces(change, x, piece=384, overlap=o) - once).abs().max()) * 127.5 for o in (0, 32, 192)
    ]
    assert far[2] < 1e-3
    assert far[0] > 10 > far[1] > 0.05  # narrow overlaps show


@pytest.mark.parametrize(
    "wrong", [dict(piece=100), dict(overlap=36), dict(overlap=512), dict(overlap=-8), dict(margin=-1)]
)
def test_sizes_that_do_not_fit_are_one_sentence(wrong):
    with pytest.raises(CourseError, match="must be|at least"):
        in_pieces(lambda x: x, noise(1, 1, 9, 9), **wrong)


def test_scores_of_a_known_pair_of_translations():
    class Known:
        def translate(self, a):
            return a * 0.5

        def translate_back(self, b):
            return b + 0.25

    white, black = (Images(torch.full((20, 3, 8, 8), v, dtype=torch.uint8)) for v in (255, 0))
    # A: 1 becomes 0.5 and then 0.75. B: -1 becomes -0.75 and then -0.375. Half the range is 127.5 levels.
    assert cycle_scores(Known(), white, black, "some pictures") == {
        "change of A, some pictures": pytest.approx(0.5 * 127.5),
        "cycle error of A, some pictures": pytest.approx(0.25 * 127.5),
        "change of B, some pictures": pytest.approx(0.25 * 127.5),
        "cycle error of B, some pictures": pytest.approx(0.625 * 127.5),
    }
