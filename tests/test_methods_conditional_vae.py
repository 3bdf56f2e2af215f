"""The conditional VAE: what the class tells, the code need not; without the class it is the VAE."""

import math

import pytest
import torch

from course_lib.data import Images
from course_lib.errors import CourseError
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.conditional_vae import ConditionalVAE
from course_lib.methods.vae import VAE

SMALL = dict(latent=4, size=8, widths=(4, 8), squeeze=4, hidden=16)


def patterns(n=256):
    """Pictures that their class decides: one of four random patterns each, and its number."""
    generator = torch.Generator().manual_seed(0)
    four = torch.randint(0, 256, (4, 1, 8, 8), generator=generator).to(torch.uint8)
    y = torch.arange(n) % 4
    return Images(four[y], y)


@pytest.fixture(scope="module")
def trained():
    """A conditional and a plain VAE of one size after the same training on the four patterns."""
    data = patterns()
    options = dict(steps=400, batch=32, lr=warmup_cosine(400), progress=False)
    torch.manual_seed(0)
    told = fit(ConditionalVAE(classes=4, **SMALL), data, **options).model
    torch.manual_seed(0)
    untold = fit(VAE(**SMALL), data.unlabelled(), **options).model
    return told, untold, data


def test_a_code_carries_what_the_class_does_not_tell(trained):
    """Four equally frequent patterns are a message of log 4 nats: the plain code has to carry it (the mean KL
    is at least the information in the code), the conditional one has nothing to say."""
    told, untold, data = trained
    with torch.no_grad():
        x, y = data[torch.arange(64)]
        assert (untold(x) - x).square().mean() < 0.02
        assert (told(x, y) - x).square().mean() < 0.02
        assert untold.elbo(x).kl.mean() > math.log(4) - 0.05
        assert told.elbo(x, y).kl.mean() < 0.35


def test_a_sample_is_of_the_class_that_was_asked_for(trained):
    told, _, data = trained
    x, y = data[torch.arange(4)]
    for label in (*range(4), torch.tensor([3, 1, 1, 0])):
        *_, last = told.sample(4, generator=torch.Generator().manual_seed(1), label=label)
        assert (last.x - x[torch.as_tensor(label).expand(4)]).square().mean() < 0.05
    *_, last = told.sample(6, generator=torch.Generator().manual_seed(1))  # every class in turn
    assert (last.x - x[torch.arange(6) % 4]).square().mean() < 0.05


def test_blind_to_the_class_it_is_the_vae():
    """Weights that take the class set to 0, the others copied: the same bound for every label."""
    torch.manual_seed(0)
    told, plain = ConditionalVAE(classes=3, **SMALL).eval(), VAE(likelihood="bernoulli", **SMALL).eval()
    with torch.no_grad():
        for a, b in zip(told.parameters(), plain.parameters(), strict=True):
            if a.shape == b.shape:
                a.copy_(b)
            else:  # the first layers of encoder and decoder: the class comes after the inputs of the VAE
                a.zero_()
                a[:, : b.shape[1]] = b
        x = torch.rand(5, 1, 8, 8) * 2 - 1
        torch.manual_seed(1)
        right = plain.elbo(x).value
        for label in range(3):
            torch.manual_seed(1)
            assert torch.allclose(told.elbo(x, torch.full((5,), label)).value, right, rtol=1e-5)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (4, "label must be from 0 to 3, got 4"),
        (-1, "label must be from 0 to 3, got -1"),
        (torch.tensor([0, 1]), "one number or 3, one for each picture, got 2"),
    ],
)
def test_a_label_that_there_is_not_is_named(label, sentence):
    model, _ = ConditionalVAE.tiny()
    with pytest.raises(CourseError, match=sentence):
        next(model.sample(3, label=label))
