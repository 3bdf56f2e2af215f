"""The scores of each kind of model on held-out data, each beside what a plain method reaches.

A score function takes the model and a split and gives names and numbers. Choices are made on "validation";
the figures on "test" are the ones written into the manifest of the weights, once.
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import torch
from scipy.ndimage import gaussian_filter, median_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from course_lib import data, earth, zoo
from course_lib.methods.autoencoder import reconstruction_error
from course_lib.methods.colorizer import Colorizer, colour_table, look_up, luma
from course_lib.methods.conditional_vae import ConditionalVAE
from course_lib.methods.cyclegan import CycleGAN
from course_lib.methods.denoising_autoencoder import (
    DenoisingAutoencoder,
    gaussian,
    missing_square,
    salt_and_pepper,
)
from course_lib.methods.features import FeatureNet, accuracy
from course_lib.methods.gan import GAN
from course_lib.methods.pix2pix import Pix2Pix
from course_lib.methods.vae import VAE
from course_lib.metrics import bits_per_dim, embed, frechet_distance, precision_recall, psnr

HeldOut = Literal["validation", "test"]
Scores = dict[str, float]


@torch.no_grad()
def reconstruction(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Squared error of an autoencoder on Fashion-MNIST, in [-1, 1] units, beside PCA with as many numbers."""
    x = data.fashion(split).floats
    error = reconstruction_error(model, x).mean().item()
    pca = pca_error(data.fashion("train").floats, x, cast(int, model.latent))
    return {"squared error": error, "PCA's squared error": pca, "ratio to PCA": error / pca}


def pca_error(train: Tensor, x: Tensor, components: int) -> float:
    """Mean squared error of x (N, C, H, W) after PCA with `components` directions, fitted on `train`."""
    pca = PCA(components, svd_solver="covariance_eigh").fit(train.flatten(1).numpy())
    flat = x.flatten(1).numpy()
    return float(np.square(pca.inverse_transform(pca.transform(flat)) - flat).mean())


@torch.no_grad()
def denoising(model: nn.Module, split: HeldOut = "test", *, filters: bool = True) -> Scores:
    """PSNR in dB of repaired Fashion-MNIST pictures, beside a median and a Gaussian filter.

    Each filter's size was chosen on the validation pictures, for each kind of damage on its own.
    """
    net = cast(DenoisingAutoencoder, model)
    scores: Scores = {}
    for name, damage in (("gaussian", gaussian), ("salt and pepper", salt_and_pepper)):
        noisy = {s: damage(data.fashion(s).floats, generator=_seeded()) for s in ("validation", split)}
        truth = {s: data.fashion(s).floats for s in ("validation", split)}
        scores[f"{name}, damaged"] = psnr(noisy[split], truth[split])
        for label, make in (("median filter", median), ("Gaussian filter", smooth)) if filters else ():
            best = max(
                FILTER_SIZES[label], key=lambda k: psnr(make(noisy["validation"], k), truth["validation"])
            )
            scores[f"{name}, {label} of size {best:g}"] = psnr(make(noisy[split], best), truth[split])
        scores[f"{name}, autoencoder"] = psnr(_in_batches(net, noisy[split]), truth[split])
    x = data.fashion(split).floats
    with torch.random.fork_rng():
        torch.manual_seed(0)
        holed, mask = missing_square(x)
    filled = torch.cat([net.inpaint(a, m) for a, m in zip(holed.split(500), mask.split(500), strict=True)])
    inside = mask.expand_as(x)
    scores["missing square, left grey"] = psnr(holed[inside], x[inside])
    scores["missing square, autoencoder"] = psnr(filled[inside], x[inside])
    return scores


FILTER_SIZES = {"median filter": (3, 5), "Gaussian filter": (0.5, 0.75, 1.0, 1.25)}


def median(x: Tensor, size: float) -> Tensor:
    """Median filter over size x size pixels, (B, C, H, W) -> same."""
    return torch.from_numpy(median_filter(x.numpy(), (1, 1, int(size), int(size)), mode="nearest"))


def smooth(x: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of `sigma` pixels, (B, C, H, W) -> same."""
    return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest"))


@torch.no_grad()
def colour(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Mean absolute error of colours on OpenMoji, 0..255, on the coloured pixels: tables, network.

    A pixel counts as coloured where its largest and smallest channel differ by more than 30 of 255.
    """
    net = cast(Colorizer, model)
    pairs = data.openmoji(split)
    line, truth = pairs[slice(None)]
    grey = luma(truth)
    where = coloured(pairs.colour)
    fine = colour_table(data.to_floats(data.openmoji("train").colour), 256)
    answers = {
        "left grey": grey.expand_as(truth),
        "look-up table, 256 greys": look_up(fine, grey),
        f"look-up table, {net.levels} greys": look_up(net.table, grey),
        f"network, {net.levels} greys": net(line, grey),
    }
    return {name: (x - truth).abs().mean(1)[where].mean().item() * 127.5 for name, x in answers.items()}


@torch.no_grad()
def coloured_lines(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Mean absolute error of colours on OpenMoji, 0..255, from the lines alone: over all pixels, and over
    the coloured ones (as in `colour`); beside copying the lines, the mean training picture, and the colours
    of the nearest training drawing under these lines. Most of a picture is white paper.
    """
    pairs, train = data.openmoji(split), data.openmoji("train")
    line, truth = pairs[slice(None)]
    drawings, colours = train[slice(None)]
    where = coloured(pairs.colour)
    answers = {
        "lines copied": line.expand_as(truth),
        "mean training picture": colours.mean(0).expand_as(truth),
        "nearest training drawing": torch.minimum(colours[nearest_drawing(line, drawings)], line),
        "network": cast(Pix2Pix, model).translate(line),
    }
    scores: Scores = {}
    for name, x in answers.items():
        error = (x - truth).abs().mean(1) * 127.5  # (N, H, W)
        scores[f"{name}, L1"] = error.mean().item()
        scores[f"{name}, L1 on coloured pixels"] = error[where].mean().item()
    return scores


def coloured(x: Tensor) -> Tensor:
    """Where the largest and smallest channel differ by more than 30: (N, 3, H, W) uint8 -> (N, H, W) bool."""
    return (x.max(1).values.int() - x.min(1).values.int()) > 30


def nearest_drawing(line: Tensor, drawings: Tensor) -> Tensor:
    """Which of `drawings` (M, 1, H, W) is nearest to each of `line` (N, 1, H, W), index (N,) int64.

    By the squared distance of means over 4 x 4 pixels, so that lines need not meet to the pixel.
    """
    a, b = (F.avg_pool2d(x, 4).flatten(1) for x in (line, drawings))
    return torch.cdist(a, b).argmin(1)


def classes(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Accuracy of `fashion_features` on Fashion-MNIST."""
    held = data.fashion(split)
    return {"accuracy": accuracy(cast(FeatureNet, model), held.floats, cast(Tensor, held.y))}


SAMPLES = 2_000  # of a VAE


@torch.no_grad()
def invented(model: nn.Module, split: HeldOut = "test") -> Scores:
    """A VAE's samples from its prior against Fashion-MNIST, beside its copies, and its ELBO in nats.

    Fréchet distance, precision and recall of 2,000 samples (or as many as the split has).
    """
    vae = cast(VAE, model)
    features = cast(FeatureNet, zoo.load("fashion_features"))
    x = data.fashion(split).floats
    count = min(SAMPLES, len(x))
    *_, last = vae.sample(count, generator=_seeded())
    covered = precision_recall(embed(features, x[:count]), embed(features, last.x))
    copies = _in_batches(vae, x[:count])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        terms = [vae.elbo(b) for b in x.split(500)]
    return {
        "Fréchet distance, samples": frechet_distance(x, last.x, features),
        "Fréchet distance, copies": frechet_distance(x, copies, features),
        "precision": covered.precision,
        "recall": covered.recall,
        "ELBO in nats": torch.cat([t.value for t in terms]).mean().item(),
        "KL in nats": torch.cat([t.kl for t in terms]).mean().item(),
    }


@torch.no_grad()
def likelihood(model: nn.Module, split: HeldOut = "test", *, k: int = 64) -> Scores:
    """Bounds of log p(x) of a VAE with the discretised likelihood on Fashion-MNIST, in nats and bits per
    dimension (28 x 28, unpadded): the ELBO, and the importance-weighted bound with k draws. Some minutes.
    """
    vae, x = cast(VAE, model), data.fashion(split).floats
    with torch.random.fork_rng():
        torch.manual_seed(0)
        elbo = torch.cat([vae.elbo(b).value for b in x.split(500)]).mean().item()
        bound = torch.cat([vae.bound(b, k) for b in x.split(16)]).mean().item()  # 16 k pictures at once
    dims = x[0].numel()
    return {
        "ELBO in nats": elbo,
        "ELBO in bits/dim": bits_per_dim(elbo, dims),
        f"{k} draws in nats": bound,
        f"{k} draws in bits/dim": bits_per_dim(bound, dims),
    }


@torch.no_grad()
def invented_classes(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Samples of a conditional VAE, 200 of each class: Fréchet distance to Fashion-MNIST, and the share whose
    class `fashion_features` recognises, beside that of the real pictures."""
    vae = cast(ConditionalVAE, model)
    features = cast(FeatureNet, zoo.load("fashion_features"))
    held = data.fashion(split)
    y = torch.arange(SAMPLES) % 10
    *_, last = vae.sample(SAMPLES, generator=_seeded(), label=y)
    return {
        "Fréchet distance": frechet_distance(held.floats, last.x, features),
        "class accuracy": accuracy(features, last.x, y),
        "class accuracy, real pictures": accuracy(features, held.floats, cast(Tensor, held.y)),
    }


MANY = 10_000  # samples of a GAN, which cost little: as many as there are test pictures


@torch.no_grad()
def adversarial(model: nn.Module, split: HeldOut = "test") -> Scores:
    """A GAN's samples against as many pictures of Fashion-MNIST: 10,000 of test, 2,000 of validation."""
    return against_fashion(_made(model, min(MANY, len(data.fashion(split)))), split)


@torch.no_grad()
def against_fashion(made: Tensor, split: HeldOut = "test") -> Scores:
    """Made pictures (N, 1, 28, 28) in [-1, 1] against as many of Fashion-MNIST, which has N at least.

    Fréchet distance, its floor (as many training pictures), the share of the features' total variance (the
    trace of their covariance) that the distance is, precision and recall.
    """
    features, count = cast(FeatureNet, zoo.load("fashion_features")), len(made)
    x, train = data.fashion(split).floats[:count], data.fashion("train").floats[:count]
    distance, real = frechet_distance(x, made, features), embed(features, x)
    covered = precision_recall(real, embed(features, made))
    return {
        "Fréchet distance": distance,
        "Fréchet distance, training pictures": frechet_distance(x, train, features),
        "share of the total variance": distance / real.var(0).sum().item(),
        "precision": covered.precision,
        "recall": covered.recall,
    }


@torch.no_grad()
def adversarial_people(model: nn.Module, split: HeldOut = "test") -> Scores:
    """A GAN's samples against the 2,118 drawings of people that it was trained on, as many.

    The held-out drawings show concepts that training did not, and 252 of them are few for the covariance of
    128 features: so they are not the target here but the measure of what real drawings reach against the
    same target, beside as many samples. A model that copies its training drawings has the distance 0: hence
    the last two, the median distance in the features from a sample to the nearest training drawing, and the
    same for held-out drawings. Copies are far below them.
    """
    features = cast(FeatureNet, zoo.load("people_features"))
    x, held = data.people("train").floats, data.people(split).floats
    made = _made(model, len(x))
    few = min(len(held), len(made))
    real, invented, other = (embed(features, pictures) for pictures in (x, made, held))
    distance = frechet_distance(x, made, features)
    covered = precision_recall(real, invented)
    return {
        "Fréchet distance": distance,
        "share of the total variance": distance / real.var(0).sum().item(),
        "precision": covered.precision,
        "recall": covered.recall,
        f"Fréchet distance, {few} samples": frechet_distance(x, made[:few], features),
        f"Fréchet distance, {few} held-out drawings": frechet_distance(x, held[:few], features),
        "nearest training drawing, of samples": _to_nearest(invented, real),
        "nearest training drawing, of held-out drawings": _to_nearest(other, real),
    }


def _made(model: nn.Module, count: int) -> Tensor:
    """Samples, a batch at a time: (count, C, H, W)."""
    generator, parts = _seeded(), []
    for n in [len(part) for part in torch.arange(count).split(500)]:
        *_, last = cast(GAN, model).sample(n, generator=generator)
        parts.append(last.x)
    return torch.cat(parts)


def _to_nearest(points: Tensor, others: Tensor) -> float:
    """Median over points (N, F) of the distance to the nearest of others (M, F)."""
    return torch.cdist(points.double(), others.double()).amin(1).median().item()


def paired_earth(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Mean absolute error (0..255) of the photo that pix2pix paints for a held-out map: over the box, over
    its land and over the land that is brown on the map. How many of nine regions look right. And the same
    of a colour table."""
    where = earth.place(split)
    made = earth.translated(cast(Pix2Pix, model).translate, where)
    plain = earth.scores(where, earth.colour_table(where))
    return earth.scores(where, made) | {f"{name}, colour table": value for name, value in plain.items()}


def unpaired_earth(model: nn.Module, split: HeldOut = "test") -> Scores:
    """The same for CycleGAN, beside linear colour transport, which needs no pairs either. And the cycle
    error, from the map to the photo and back."""
    gan, where = cast(CycleGAN, model), earth.place(split)
    made = earth.translated(gan.translate, where)
    again = earth.translated(gan.translate_back, where._replace(relief=made))
    plain = earth.scores(where, earth.transported(where))
    return (
        earth.scores(where, made)
        | {"cycle": earth.cycle_error(where.relief, again)}
        | {f"{name}, colour transport": value for name, value in plain.items()}
    )


PEOPLE_HEADS = ("style", "tone", "gender", "role")


def people_labels(people: data.People) -> Tensor:
    """The labels of the four heads of `people_features`: (N, 4) int64 in the order of PEOPLE_HEADS."""
    return torch.stack([people.style, people.tone, people.gender, people.role], 1)


def people_words(model: nn.Module, split: HeldOut = "test") -> Scores:
    """Accuracy of `people_features`: style, tone and gender on concepts never seen in training, and all four
    on the held-out combinations (a role can only be named if it was seen, in other tones)."""
    net = cast(FeatureNet, model)
    scores = {}
    for name, heads in ((split, PEOPLE_HEADS[:3]), ("held_out", PEOPLE_HEADS)):
        held = data.people(name)  # type: ignore[arg-type]
        labels = people_labels(held)
        for head in heads:
            k = PEOPLE_HEADS.index(head)
            words = "held-out combinations" if name == "held_out" else "new concepts"
            scores[f"{head}, {words}"] = accuracy(net, held.floats, labels[:, k], head=k)
    return scores


@torch.no_grad()
def outlier_auc(model: nn.Module, held_out: int, split: HeldOut = "test") -> float:
    """Area under the ROC curve for the reconstruction error as outlier score; the model never saw class
    `held_out` of Fashion-MNIST in training. 1 is perfect, 0.5 is guessing."""
    held = data.fashion(split)
    return float(
        roc_auc_score(
            cast(Tensor, held.y).eq(held_out).numpy(), reconstruction_error(model, held.floats).numpy()
        )
    )


def _in_batches(model: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([model(b) for b in x.split(500)])


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
