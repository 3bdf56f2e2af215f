"""Every recipe builds, trains, publishes and is found by name; the scores mean what they say."""

import inspect
import json
import math
from functools import cache

import numpy as np
import pytest
import torch
from helpers import library_methods
from sklearn.decomposition import PCA
from torch import nn

from course_lib import data, evaluate, evaluate_diffusion, evaluate_restoration, evaluate_text, recipes, zoo
from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.method import Step
from course_lib.methods.autoencoder import LinearAutoencoder
from course_lib.methods.colorizer import Colorizer, colour_table, luma
from course_lib.methods.denoising_autoencoder import DenoisingAutoencoder
from course_lib.methods.vae import Elbo

original = {name: getattr(data, name) for name in ("fashion", "openmoji", "people", "emoji")}


@cache
def first(name, split, *style):
    """The first 120 entries of a split; of emoji every fourth, so that some are drawn by OpenMoji, too; of
    people those that have the words of the held-out ones as well."""
    whole = original[name](split, *style)
    if name == "emoji":
        return whole.subset(slice(0, None, 4))
    if (name, split) != ("people", "train"):
        return whole.subset(slice(0, 120))
    roles = set(original[name]("held_out").role.tolist())
    wanted = [k for k, role in enumerate(whole.role.tolist()) if k < 60 or role in roles]
    return whole.subset(torch.tensor(wanted))


every_recipe = pytest.mark.parametrize("name", recipes.names())


@pytest.fixture
def small(monkeypatch):
    """The real data sets, a part of each split, and nothing that is not bundled."""
    for name in original:
        monkeypatch.setattr(
            data, name, lambda split="train", *style, name=name, **options: first(name, split, *style)
        )
    monkeypatch.setattr(evaluate, "SAMPLES", 4)
    sizes = dict(SAMPLES=8, FEWER=4, PRICED=4, TERMS=3, STORED=4, PRICES=(("ddim", 2, 2),))
    for name, size in sizes.items():
        monkeypatch.setattr(evaluate_diffusion, name, size)
    monkeypatch.setattr(evaluate_text, "TIMES", 1)
    monkeypatch.setattr(evaluate_text, "STEPS", 2)
    monkeypatch.setattr(evaluate_restoration, "PICTURES", 8)
    monkeypatch.setattr(evaluate_restoration, "ANSWERS", 2)


# ---- recipes


def test_there_are_the_recipes_that_the_course_names():
    promised = {"ae32_fashion", "ae2_fashion", "denoiser_fashion", "colorizer_openmoji"}
    promised |= {"ddpm_fashion", "ddpm_fashion_class", "sr_fashion", "fashion_features", "people_features"}
    promised |= {"pix2pix_openmoji", "pix2pix_earth", "cyclegan_earth", "cyclegan_emoji", "cyclegan_folders"}
    promised |= {"t2i_people", "kl_emoji", "ldm_emoji", "vq_people"}
    promised |= {"vae2_fashion", "vae16_fashion", "cvae_fashion", "bvae_people"}
    assert promised <= set(recipes.names())
    assert all(name.count("_") >= 1 for name in recipes.names())  # METHOD_DATA


@pytest.mark.parametrize(
    "name", [n for n in recipes.names() if n != "cyclegan_folders"]
)  # test_cli.py has it
def test_recipe_trains_is_scored_and_its_weights_come_back(name, small, tmp_path):
    plan = recipes.find(name)(3)
    assert plan.method in library_methods()
    assert plan.steps == 3
    assert plan.fit.keys() <= inspect.signature(fit).parameters.keys()
    method = recipes.build(plan)
    run = fit(method, plan.data(), steps=3, device="cpu", progress=False, **plan.fit | {"batch": 8})
    assert run.step == 3
    zoo.save(tmp_path / "a.safetensors", run.model, plan.kwargs, recipe=name, step=3, data=plan.about)
    loaded = zoo.read(tmp_path / "a.safetensors")
    for split in ("validation", "test"):
        scores = plan.evaluate(loaded, split)
        assert scores
        assert all(isinstance(v, float) and math.isfinite(v) for v in scores.values())
    card = recipes.card(name, plan, scores)
    for part in (name, plan.about, plan.limits, plan.licence, "3 steps", *scores):
        assert part in card
    assert "minutes" in card  # what it costs
    assert json.loads(zoo.describe(tmp_path / "a.safetensors")["kwargs"]).keys() == plan.kwargs.keys()


@every_recipe
def test_learning_rate_of_a_recipe_ends_at_zero_with_its_last_step(name, small):
    for steps in (100, recipes.find(name)().steps):
        lr = recipes.find(name)(steps).fit["lr"]
        assert lr(steps) == pytest.approx(0, abs=1e-9)
        assert lr(steps - 1) < 0.01
        assert max(lr(step) for step in range(0, steps, 7)) > 0.5


def test_a_recipe_prepares_its_method_with_training_data_only(small):
    plan = recipes.colorizer_openmoji()
    expected = colour_table(data.to_floats(data.openmoji("train").colour), 4)
    assert torch.equal(recipes.build(plan).table, expected)
    assert not torch.equal(expected, Colorizer(levels=4).table)


def test_weights_depend_on_the_global_seed_alone(small):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(recipes.build(recipes.ae2_fashion()).encoder.state_dict())
    first, again, other = (torch.cat([v.flatten().float() for v in state.values()]) for state in states)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("ae32_fasion", "ae32_fashion"),
        ("gan_peopel", "gan_people"),
        ("denoise", "denoiser_fashion"),
        ("", ""),
    ],
)
def test_unknown_recipe_suggests_the_nearest(given, nearest):
    with pytest.raises(CourseError, match=f'no recipe "{given}". Did you mean "{nearest}') as caught:
        recipes.find(given)
    assert all(name in str(caught.value) for name in recipes.names())


def test_only_recipes_are_recipes():
    for name in ("build", "card", "names", "find", "Recipe", "warmup_cosine"):
        assert name not in recipes.names()
        with pytest.raises(CourseError):
            recipes.find(name)


# ---- scores


def test_reconstruction_of_a_model_that_is_pca_is_that_of_pca(small):
    train = data.fashion("train").floats.flatten(1).numpy()
    pca = PCA(5).fit(train)
    model = LinearAutoencoder(latent=5)
    directions, mean = torch.from_numpy(pca.components_).float(), torch.from_numpy(pca.mean_).float()
    model.encoder[1].weight.data, model.encoder[1].bias.data = directions, -directions @ mean
    model.decoder[0].weight.data, model.decoder[0].bias.data = directions.T, mean
    scores = evaluate.reconstruction(model)
    assert scores["ratio to PCA"] == pytest.approx(1.0, rel=1e-3)
    x = data.fashion("test").floats.flatten(1).numpy()
    expected = np.square(pca.inverse_transform(pca.transform(x)) - x).mean()
    assert scores["PCA's squared error"] == pytest.approx(expected, rel=1e-3)


class Copies(DenoisingAutoencoder):
    """Repairs nothing: what goes in comes out."""

    def forward(self, x):
        return x


def test_denoising_of_a_model_that_does_nothing_is_the_damage(small):
    scores = evaluate.denoising(Copies(), "validation")
    for kind in ("gaussian", "salt and pepper"):
        assert scores[f"{kind}, autoencoder"] == scores[f"{kind}, damaged"]
        filters = [v for k, v in scores.items() if k.startswith(kind) and "filter" in k]
        assert len(filters) == 2
        assert min(filters) > scores[f"{kind}, damaged"]  # any filter of a good size beats doing nothing
    assert scores["gaussian, damaged"] == pytest.approx(10 * math.log10(4 / 0.25), abs=0.1)  # sigma 1/2
    assert scores["missing square, autoencoder"] == scores["missing square, left grey"]
    assert scores == evaluate.denoising(Copies(), "validation")  # the same damage every time


def test_filters_are_chosen_on_validation_pictures(small, monkeypatch):
    """The test pictures must not decide: their filter is the one that is best on the validation pictures."""
    tried = {}

    def choice(x, size):
        tried.setdefault(len(x), []).append(size)
        return x / size

    monkeypatch.setattr(evaluate, "median", choice)
    fashion = data.fashion
    monkeypatch.setattr(
        data, "fashion", lambda split: fashion(split).subset(slice(0, 50 if split == "test" else 60))
    )
    evaluate.denoising(Copies(), "test")
    assert tried[60] == [*evaluate.FILTER_SIZES["median filter"]] * 2
    assert len(tried[50]) == 2


class Knows(Colorizer):
    """Answers with the truth, which it was given."""

    def forward(self, line, grey):
        return self.truth


def test_colour_error_of_the_truth_is_zero_and_that_of_grey_is_its_distance(small):
    net = Knows().fit_table(data.to_floats(data.openmoji("train").colour))
    pairs = data.openmoji("test")
    net.truth = pairs[slice(None)][1]
    scores = evaluate.colour(net)
    assert scores["network, 4 greys"] == 0
    channels = pairs.colour.numpy().astype(int)
    coloured = channels.max(1) - channels.min(1) > 30
    distance = np.abs(luma(net.truth).numpy() - net.truth.numpy()).mean(1)[coloured].mean() * 127.5
    assert scores["left grey"] == pytest.approx(distance, rel=1e-4)
    assert scores["look-up table, 256 greys"] < scores["look-up table, 4 greys"]


class Careful(nn.Module):
    """Reconstructs well what is brighter than a threshold."""

    def forward(self, x):
        bright = x.mean((1, 2, 3), keepdim=True) > 0
        return torch.where(bright, x, torch.zeros_like(x))


def test_outlier_auc_of_perfect_wrong_and_blind_scores(monkeypatch):
    y = torch.arange(40) % 10
    for odd, expected in ((3, 1.0), (None, 0.5)):
        x = torch.full((40, 1, 4, 4), 255, dtype=torch.uint8)
        x[y == odd if odd is not None else y >= 0] = 0
        monkeypatch.setattr(data, "fashion", lambda split, x=x: data.Images(x, y))
        assert evaluate.outlier_auc(Careful(), 3) == expected
    x = torch.zeros(40, 1, 4, 4, dtype=torch.uint8)
    x[y == 3] = 255  # the held-out class is the only one copied well
    monkeypatch.setattr(data, "fashion", lambda split: data.Images(x, y))
    assert evaluate.outlier_auc(Careful(), 3) == 0.0


class DrawsWhatItSaw(nn.Module):
    """A "VAE" that draws the very pictures it is judged on, or one of them over and over, and copies well."""

    def __init__(self, x, alike=False):
        super().__init__()
        self.x = x[:1].expand_as(x) if alike else x

    def sample(self, n, *, generator):
        yield Step(0, 0, self.x[:n])

    def forward(self, x):
        return x

    def elbo(self, x):
        return Elbo(torch.full((len(x),), -2000.0), torch.full((len(x),), 30.0))


def test_inventions_that_are_the_real_pictures_cover_them_all_and_one_repeated_covers_next_to_none(
    small, monkeypatch
):
    monkeypatch.setattr(evaluate, "SAMPLES", 120)
    x = data.fashion("test").floats
    perfect, alike = (evaluate.invented(DrawsWhatItSaw(x, alike), "test") for alike in (False, True))
    assert perfect["precision"] == perfect["recall"] == 1
    assert perfect["Fréchet distance, samples"] < 1e-3
    assert alike["precision"] == 1  # the one picture is real
    assert alike["recall"] < 0.05
    assert alike["Fréchet distance, samples"] > 1
    assert perfect["ELBO in nats"] == pytest.approx(-2030)
    assert perfect["KL in nats"] == pytest.approx(30)


def test_likelihood_of_a_model_that_knows_nothing_is_8_bits_and_each_picture_counts_once(small):
    class Knows(nn.Module):
        """Every level is as likely as the next; the bound with k draws is log k nats better."""

        def elbo(self, x):
            nats = torch.full((len(x),), -784 * math.log(256))
            return Elbo(nats, torch.zeros(len(x)))

        def bound(self, x, k):
            return self.elbo(x).value + math.log(k)

    scores = evaluate.likelihood(Knows(), "test")
    assert scores["ELBO in bits/dim"] == pytest.approx(8, abs=1e-5)
    assert scores["ELBO in nats"] == pytest.approx(-784 * math.log(256))
    assert scores["64 draws in nats"] - scores["ELBO in nats"] == pytest.approx(math.log(64), abs=1e-3)
    assert scores["64 draws in bits/dim"] == pytest.approx(8 - 6 / 784, abs=1e-4)


def test_classes_of_a_conditional_vae_are_judged_by_what_was_asked_for(small, monkeypatch):
    monkeypatch.setattr(evaluate, "SAMPLES", 40)
    held = data.fashion("test")
    by_class = [held.floats[(held.y == c).nonzero()[0, 0]] for c in range(10)]

    class Obeys(nn.Module):
        def __init__(self, off):
            super().__init__()
            self.off = off

        def sample(self, n, *, generator, label):
            yield Step(0, 0, torch.stack([by_class[(c + self.off) % 10] for c in label.tolist()]))

    right, wrong = (evaluate.invented_classes(Obeys(off))["class accuracy"] for off in (0, 1))
    assert right >= 0.8  # the classifier errs on some of the ten real pictures
    assert wrong <= 0.2


def test_people_labels_are_the_four_columns(small):
    people = data.people("train")
    labels = evaluate.people_labels(people)
    for k, head in enumerate(evaluate.PEOPLE_HEADS):
        assert torch.equal(labels[:, k], getattr(people, head))
    assert labels.max(0).values.tolist() <= [1, 5, 2, len(people.roles) - 1]


class Tells(nn.Module):
    """A feature network that reads the answers; `wrong` heads are always off by one."""

    def __init__(self, wrong=()):
        super().__init__()
        self.wrong = wrong

    def logits(self, x):
        labels = evaluate.people_labels(self.people)
        return tuple(
            nn.functional.one_hot((labels[:, k] + (k in self.wrong)) % size, size).float()
            for k, size in enumerate((2, 6, 3, len(self.people.roles)))
        )


def test_words_are_scored_head_by_head(small, monkeypatch):
    net = Tells(wrong=(1,))
    load = data.people

    def remember(split):
        net.people = load(split)
        return net.people

    monkeypatch.setattr(data, "people", remember)
    scores = evaluate.people_words(net)
    assert {k: v for k, v in scores.items() if v != 1.0} == {
        "tone, new concepts": 0.0,
        "tone, held-out combinations": 0.0,
    }
    assert set(scores) == {
        *(f"{head}, new concepts" for head in ("style", "tone", "gender")),
        *(f"{head}, held-out combinations" for head in ("style", "tone", "gender", "role")),
    }


class Answers(nn.Module):
    """Stands for a pix2pix that gives the same answer whatever it is asked."""

    def __init__(self, answer: torch.Tensor) -> None:
        super().__init__()
        self.answer = answer

    def translate(self, line: torch.Tensor) -> torch.Tensor:
        return self.answer


def test_coloured_lines_measures_what_its_names_say() -> None:
    """The truth costs 0, copied lines as much as the row of that name, white its distance from the truth."""
    line, truth = data.openmoji("validation")[slice(None)]
    right = evaluate.coloured_lines(Answers(truth), "validation")
    assert right["network, L1"] == right["network, L1 on coloured pixels"] == 0
    copied = evaluate.coloured_lines(Answers(line.expand(-1, 3, -1, -1)), "validation")
    for kind in ("L1", "L1 on coloured pixels"):
        assert copied[f"network, {kind}"] == copied[f"lines copied, {kind}"]
    assert 16 < copied["lines copied, L1"] < 17.5  # most of a picture is white
    white = evaluate.coloured_lines(Answers(torch.ones_like(truth)), "validation")
    bytes_ = data.openmoji("validation").colour.double()  # 0..255
    coloured = bytes_.amax(1) - bytes_.amin(1) > 30
    expected = (255 - bytes_).mean(1)
    assert abs(white["network, L1"] - expected.mean().item()) < 1e-3
    assert abs(white["network, L1 on coloured pixels"] - expected[coloured].mean().item()) < 1e-3


def test_coloured_is_a_matter_of_the_spread_of_the_channels() -> None:
    x = torch.tensor([[255, 255, 225], [255, 255, 224], [128, 128, 128], [0, 31, 0], [30, 0, 0]])
    grid = x.to(torch.uint8).T.reshape(1, 3, 1, 5)
    assert evaluate.coloured(grid).flatten().tolist() == [False, True, False, True, False]


def test_nearest_drawing_forgives_a_pixel() -> None:
    """A line moved by a pixel is as far from itself, pixel by pixel, as two lines from nothing; yet found."""
    lines = torch.ones(4, 1, 64, 64)
    for i, column in enumerate((8, 20, 40)):
        lines[i, :, 10:50, column] = -1  # and the last sheet is empty
    moved = lines[:3].roll(1, 3)
    assert evaluate.nearest_drawing(moved, lines).tolist() == [0, 1, 2]
    assert evaluate.nearest_drawing(lines, lines).tolist() == [0, 1, 2, 3]
