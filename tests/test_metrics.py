"""Measures, against closed forms and independent implementations."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg, ndimage
from torch import nn

from course_lib import data, evaluate, toys, zoo
from course_lib.method import Step
from course_lib.methods.features import FeatureNet
from course_lib.metrics import _inside, embed, frechet_distance, mode_coverage, precision_recall, psnr


class Pixels(nn.Module):
    """Features that are the pixels themselves."""

    def __init__(self, count):
        super().__init__()
        self.num_features = count

    def forward(self, x):
        return x.flatten(1)


def as_pictures(x):
    """(N, F) -> (N, F, 1, 1)."""
    return x.float()[:, :, None, None]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# ---- Fréchet distance


def test_frechet_distance_of_exact_moments():
    """Six points whose mean is 0 and whose covariance (with n - 1) is I; the others have mean 1 and 4 I."""
    axes = math.sqrt(2.5) * torch.eye(3)
    real = torch.cat([axes, -axes])
    made = 1 + 2 * real
    distance = frechet_distance(as_pictures(real), as_pictures(made), Pixels(3))
    assert distance == pytest.approx(6.0, abs=1e-4)  # 3 for the means, 3 (1 + 4 - 2 * 2) for the covariances
    assert frechet_distance(as_pictures(made), as_pictures(real), Pixels(3)) == pytest.approx(6.0, abs=1e-4)


def test_frechet_distance_of_large_samples():
    real, made = random(40_000, 3), 1 + 2 * random(40_000, 3, seed=1)
    assert frechet_distance(as_pictures(real), as_pictures(made), Pixels(3)) == pytest.approx(6.0, abs=0.1)


def test_frechet_distance_equals_that_with_a_matrix_root():
    """An independent implementation: numpy's moments, scipy's square root of a matrix."""
    mix = random(2, 8, 8, seed=5)
    for n, m in ((300, 200), (50, 1200)):  # more and fewer than a batch
        real, made = random(n, 8, seed=1) @ mix[0], 0.5 + random(m, 8, seed=2) @ mix[1]
        real, made = real.float().double(), made.float().double()  # what the measure is given
        difference = real.mean(0) - made.mean(0)
        s1, s2 = np.cov(real.numpy().T), np.cov(made.numpy().T)
        expected = difference.square().sum().item() + np.trace(s1 + s2 - 2 * linalg.sqrtm(s1 @ s2).real)
        assert frechet_distance(as_pictures(real), as_pictures(made), Pixels(8)) == pytest.approx(
            expected, rel=1e-4
        )


def test_frechet_distance_does_not_depend_on_batches_and_order():
    real, made = as_pictures(random(70, 4)), as_pictures(random(90, 4, seed=1))
    expected = frechet_distance(real, made, Pixels(4))
    assert frechet_distance(real, made, Pixels(4), batch=7) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(real.flip(0), made.flip(0), Pixels(4)) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(real, real.flip(0), Pixels(4)) == pytest.approx(0.0, abs=1e-4)


def test_frechet_distance_falls_with_likeness_on_course_features():
    """Features of a real network, in eval mode and left as they were: more noise, more distance."""
    torch.manual_seed(0)
    net = FeatureNet(widths=(4, 8, 8)).eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    x, other = torch.rand(2, 200, 1, 12, 12) * 2 - 1
    distances = [frechet_distance(x, other + s * torch.randn_like(other), net) for s in (0, 0.3, 1)]
    assert 0 <= distances[0] < distances[1] < distances[2]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not net.training


@pytest.mark.gpu
def test_frechet_distance_on_a_gpu():
    real, made = as_pictures(random(70, 4)), as_pictures(random(90, 4, seed=1))
    expected = frechet_distance(real, made, Pixels(4))
    assert frechet_distance(real.cuda(), made.cuda(), Pixels(4)) == pytest.approx(expected, rel=1e-3)


# ---- precision and recall


def naive_share(points, manifold, k):
    """Share of points inside the union of balls, by the definition and three loops."""
    inside = 0
    for p in points.tolist():
        for i, m in enumerate(manifold.tolist()):
            others = sorted(math.dist(m, o) for j, o in enumerate(manifold.tolist()) if j != i)
            if math.dist(p, m) <= others[k - 1]:
                inside += 1
                break
    return inside / len(points)


def test_precision_and_recall_equal_the_definition():
    for seed, k in ((0, 1), (1, 3), (2, 5)):
        real, made = random(40, 3, seed=seed), 0.8 * random(30, 3, seed=seed + 10) + 0.7
        found = precision_recall(real, made, k=k)
        assert found.precision == pytest.approx(naive_share(made, real, k))
        assert found.recall == pytest.approx(naive_share(real, made, k))
        assert 0 < found.precision < 1
        assert 0 < found.recall < 1


def test_identical_and_disjoint_sets():
    x = random(50, 4)
    assert precision_recall(x, x) == (1.0, 1.0)
    assert precision_recall(x, x.flip(0) + 1e-9) == (1.0, 1.0)
    assert precision_recall(x, x + 1000) == (0.0, 0.0)


def test_half_of_the_modes_and_half_of_the_samples():
    """Two far clusters. Made from one of them alone: all precise, half recalled; and the other way round."""
    cluster = random(30, 4)
    both = torch.cat([cluster, cluster + 1000])
    assert precision_recall(both, cluster) == (1.0, 0.5)
    assert precision_recall(cluster, both) == (0.5, 1.0)


def test_balls_on_a_line():
    """Points 0, 1, ..., 9 and k = 1: every ball has radius 1, the manifold is the interval from -1 to 10."""
    line = torch.arange(10.0).view(-1, 1)
    made = torch.tensor([-1.01, -1.0, -0.5, 4.5, 10.0, 10.01, 12.0, 13.0]).view(-1, 1)
    assert precision_recall(line, made, k=1).precision == 4 / 8
    # the other way round, the ball of 4.5 alone reaches as far as -0.5, and so covers 0 to 9
    assert precision_recall(line, made, k=1).recall == 1.0
    assert precision_recall(line, made[:2], k=1).recall == 0.0


def test_precision_and_recall_far_from_the_origin():
    """Features with a large mean: distances must not drown in it."""
    real, made = random(60, 16), random(60, 16, seed=1)
    near = precision_recall(real, made)
    assert precision_recall((real + 1000).float(), (made + 1000).float()) == near


@pytest.mark.parametrize("rows", [7, 29, 500])
def test_precision_and_recall_do_not_depend_on_the_rows_taken_at_a_time(rows):
    """29 rows of 30 leave one alone, 7 leave two."""
    real, made = random(40, 3), 0.8 * random(30, 3, seed=10) + 0.7
    assert _inside(made, real, 3, rows=rows) == pytest.approx(naive_share(made, real, 3))
    assert _inside(real, made, 3, rows=rows) == pytest.approx(naive_share(real, made, 3))


# ---- scores of a GAN, of models whose answer is known


class Fixed:
    """A model whose samples are given pictures, in order and round and round."""

    def __init__(self, x):
        self.x, self.given = x, 0

    def sample(self, n, *, generator=None):
        index = torch.arange(self.given, self.given + n) % len(self.x)
        self.given += n
        yield Step(0, 0, self.x[index])


@pytest.fixture
def smaller(monkeypatch):
    """The first 600 pictures of each set: more than one batch of samples."""
    whole = {name: getattr(data, name) for name in ("fashion", "people")}
    for name, load in whole.items():
        monkeypatch.setattr(data, name, lambda split, load=load: load(split).subset(slice(0, 600)))


def test_scores_of_a_gan_that_copies_its_training_pictures(smaller):
    """Its samples are those of the floor, one after the other."""
    scores = evaluate.adversarial(Fixed(data.fashion("train").floats), "test")
    assert scores["Fréchet distance"] == scores["Fréchet distance, training pictures"] > 0
    assert scores["share of the total variance"] < 0.1
    assert min(scores["precision"], scores["recall"]) > 0.7


def test_scores_of_a_gan_that_makes_the_held_out_pictures(smaller):
    scores = evaluate.adversarial(Fixed(data.fashion("validation").floats), "validation")
    assert scores["Fréchet distance"] == pytest.approx(0, abs=1e-3)
    assert (scores["precision"], scores["recall"]) == (1.0, 1.0)


def test_scores_of_a_gan_that_makes_one_picture(smaller):
    """|m - f|^2 + tr S: a distance of at least the total variance, and nothing covered but the picture."""
    x = data.fashion("test").floats
    scores = evaluate.adversarial(Fixed(x[:1]), "test")
    assert scores["share of the total variance"] > 1
    assert scores["precision"] == 1.0
    assert scores["recall"] <= 1 / 600 + 1e-9
    h = embed(zoo.load("fashion_features"), x).double()
    expected = (h.mean(0) - h[0]).square().sum() + h.var(0).sum()
    assert scores["Fréchet distance"] == pytest.approx(expected.item(), rel=1e-3)


def test_scores_of_a_gan_that_copies_drawings_of_people(smaller):
    """Distance 0 to what it was trained on, and copies show: the nearest training drawing is at 0."""
    copier = evaluate.adversarial_people(Fixed(data.people("train").floats), "test")
    assert copier["Fréchet distance"] == pytest.approx(0, abs=1e-3)
    assert (copier["precision"], copier["recall"]) == (1.0, 1.0)
    assert copier["nearest training drawing, of samples"] < 1e-3
    assert copier["nearest training drawing, of held-out drawings"] > 0.1
    honest = evaluate.adversarial_people(Fixed(data.people("test").floats), "test")
    of_few = [f"Fréchet distance, 252 {what}" for what in ("samples", "held-out drawings")]
    assert honest[of_few[0]] == honest[of_few[1]] > 0
    near = [f"nearest training drawing, of {what}" for what in ("samples", "held-out drawings")]
    assert honest[near[0]] == pytest.approx(honest[near[1]], rel=0.05)  # 600 samples go round in 252


# ---- between pictures


def test_psnr_in_closed_form():
    truth = torch.rand(3, 1, 8, 8) * 2 - 1
    assert psnr(truth + 0.2, truth) == pytest.approx(20.0, abs=1e-4)  # 10 log10(4 / 0.04)
    assert psnr(-torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)) == pytest.approx(0.0, abs=1e-6)
    assert psnr(truth, truth) == math.inf
    noise = torch.randn_like(truth)
    assert psnr(truth + noise, truth) == pytest.approx(10 * math.log10(4 / noise.square().mean()), abs=1e-4)


def test_pca_error_is_the_sum_of_the_discarded_eigenvalues():
    x = (random(200, 25) @ random(25, 25, seed=1)).float().view(200, 1, 5, 5) + 0.3
    eigenvalues = np.linalg.eigvalsh(np.cov(x.flatten(1).double().numpy().T, bias=True))  # ascending
    for k in (1, 5, 24):
        expected = eigenvalues[: 25 - k].sum() / 25
        assert evaluate.pca_error(x, x, k) == pytest.approx(expected, rel=1e-3)
    assert evaluate.pca_error(x, x, 25) == pytest.approx(0, abs=1e-4)


def test_pca_error_of_new_pictures_uses_the_training_directions():
    train, x = random(100, 9).float().view(-1, 1, 3, 3), random(40, 9, seed=1).float().view(-1, 1, 3, 3)
    mean = train.flatten(1).mean(0)
    _, _, directions = torch.linalg.svd(train.flatten(1) - mean, full_matrices=False)
    kept = directions[:4]
    flat = x.flatten(1) - mean
    expected = (flat - flat @ kept.T @ kept).square().mean().item()
    assert evaluate.pca_error(train, x, 4) == pytest.approx(expected, rel=1e-4)


def test_filters_work_on_each_picture_alone():
    x = torch.rand(3, 2, 9, 9)
    for made, single in (
        (evaluate.median(x, 3), lambda p: ndimage.median_filter(p, 3, mode="nearest")),
        (evaluate.smooth(x, 0.75), lambda p: ndimage.gaussian_filter(p, 0.75, mode="nearest")),
    ):
        for i in range(3):
            for c in range(2):
                assert np.allclose(made[i, c], single(x[i, c].numpy()), atol=1e-6)
    assert torch.equal(evaluate.median(x, 1), x)
    assert torch.equal(evaluate.smooth(x, 0), x)


def test_embedding_is_the_same_in_batches():
    torch.manual_seed(0)
    net = FeatureNet(widths=(4, 8, 8)).eval()
    x = torch.rand(11, 1, 8, 8)
    features = embed(net, x, batch=4)
    assert features.shape == (11, 128)
    assert not features.requires_grad
    assert torch.allclose(features, net(x), atol=1e-5)


# ---- bad input


@pytest.mark.parametrize("measure", ["frechet", "precision"])
def test_bad_sets_are_named(measure):
    def call(real, made):
        return (
            precision_recall(real, made)
            if measure == "precision"
            else frechet_distance(real, made, Pixels(3))
        )

    good = random(10, 3).float()
    bad = good.clone()
    bad[4, 1] = float("nan")
    with pytest.raises(ValueError, match="The made set holds NaN"):
        call(good, bad)
    with pytest.raises(ValueError, match="The real set holds NaN"):
        call(bad, good)
    with pytest.raises(ValueError, match=r"The real set has 1 samples, this measure needs at least \d"):
        call(good[:1], good)
    with pytest.raises(ValueError, match=r"differ in shape: \(3,\) and \(2,\)"):
        call(good, good[:, :2])


def test_more_neighbours_than_samples():
    with pytest.raises(ValueError, match="The made set has 3 samples, this measure needs at least 4"):
        precision_recall(random(10, 2), random(3, 2))


# ---- modes


CORNERS = torch.tensor([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])


def test_high_quality_ends_at_three_standard_deviations_in_any_direction():
    """In the direction (3, 4), so that neither coordinate alone decides."""
    direction = torch.tensor([0.6, 0.8])
    x = CORNERS[[3, 3, 3, 3]] + torch.tensor([[0.0], [0.299], [0.301], [-0.299]]) * direction
    assert mode_coverage(x, CORNERS, 0.1) == (1, 0.75)


def test_a_mode_is_covered_from_the_least_share_on():
    """Of 400 samples 100 are each mode's fair share and 20 the least; stray samples do not count."""
    x = torch.cat([CORNERS[0].expand(20, 2), CORNERS[1].expand(19, 2), CORNERS[2].expand(360, 2)])
    x = torch.cat([x, torch.zeros(1, 2)])
    assert mode_coverage(x, CORNERS, 0.1) == (2, pytest.approx(399 / 400))
    assert mode_coverage(x, CORNERS, 0.1, least=0.19).covered == 3
    assert mode_coverage(x, CORNERS, 0.1, least=0.21).covered == 1
    assert mode_coverage(x, CORNERS, 0.1, least=0.0).covered == 3  # a mode without any sample is not covered


def test_samples_near_a_mode_but_not_at_it_cover_nothing():
    x = CORNERS.repeat(50, 1) + torch.tensor([0.4, 0.0])
    assert mode_coverage(x, CORNERS, 0.1) == (0, 0.0)


def test_true_samples_of_the_ring():
    """All modes, and the share of a Gaussian in the plane within 3 std: 1 - exp(-9/2); tolerance 4 sigma."""
    angle = torch.arange(8) * (math.pi / 4)
    centres = 0.8 * torch.stack([angle.cos(), angle.sin()], dim=1)
    covered, share = mode_coverage(toys.ring(40_000).x, centres, 0.02)
    assert covered == 8
    assert share == pytest.approx(1 - math.exp(-4.5), abs=0.0021)


def test_mode_coverage_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="made set holds NaN"):
        mode_coverage(torch.full((3, 2), math.nan), CORNERS, 0.1)
    with pytest.raises(ValueError, match="std must be greater than 0"):
        mode_coverage(CORNERS, CORNERS, 0.0)
