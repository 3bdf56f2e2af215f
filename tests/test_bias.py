"""The bias lab: what is drawn how often, what the debiasing VAE's loss reaches, and what is measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from course_lib import bias, data
from course_lib.errors import CourseError
from course_lib.fit import fit
from course_lib.methods.debiasing_vae import DebiasingVAE, PlainClassifier, latent_weights


@pytest.fixture(scope="module")
def held():
    return bias.drawings("validation")


def little(n=6, people=4):
    """Cut-outs of one flat colour each, so that a batch says which of them were drawn."""
    rgba = torch.full((n, 4, 8, 8), 255, dtype=torch.uint8)
    rgba[:, :3] = 40 * torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1)
    y = (torch.arange(n) < people).long()
    tone = torch.tensor([1, 1, 1, 5, 0, 0])[:n]
    return bias.Cutouts(rgba, y, tone, bias.balanced_weights(y), shift=0)


def which(x):
    """The number of each cut-out of `little` in a batch of pictures."""
    return ((x[:, 0, 0, 0] + 1) * 127.5 / 40).round().long()


# ---- how often each picture is drawn


def test_balanced_weights_by_hand():
    """Three groups, of 3, 1 and 2 pictures: a third for each, divided among its own."""
    w = bias.balanced_weights(torch.tensor([2, 2, 7, 2, 4, 4]))
    assert w.tolist() == pytest.approx([1 / 9, 1 / 9, 1 / 3, 1 / 9, 1 / 6, 1 / 6])


def test_pictures_are_drawn_as_often_as_their_weights_say():
    lab = replace(little(), weights=torch.tensor([0.5, 0.0, 0.2, 0.05, 0.25, 0.0]))
    torch.manual_seed(0)
    x, y = lab[torch.zeros(20_000, dtype=torch.long)]
    drawn = which(x)
    shares = torch.bincount(drawn, minlength=6) / 20_000
    assert shares.tolist() == pytest.approx(lab.weights.tolist(), abs=0.015)  # 4 standard deviations
    assert shares[1] == shares[5] == 0
    assert torch.equal(y, lab.y[drawn])


def test_weights_of_people_leave_both_classes_equally_often():
    lab = little().by_people(torch.tensor([1.0, 1.0, 1.0, 5.0]))
    assert lab.weights.tolist() == pytest.approx([1 / 16, 1 / 16, 1 / 16, 5 / 16, 1 / 4, 1 / 4])
    by_tone = little().by_people(bias.balanced_weights(torch.tensor([1, 1, 1, 5])))
    assert by_tone.weights.tolist() == pytest.approx([1 / 12, 1 / 12, 1 / 12, 1 / 4, 1 / 4, 1 / 4])
    with pytest.raises(CourseError, match="4 people, but 6 weights"):
        little().by_people(torch.ones(6))


def test_fit_draws_the_same_pictures_again():
    """Training on random draws is as repeatable as any other."""
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        model = PlainClassifier(size=8, widths=(4, 8), squeeze=4)
        runs.append(fit(model, little(), steps=5, batch=8, device="cpu", progress=False).history)
        torch.rand(3)
    assert runs[0] == runs[1]


# ---- the drawings


def test_the_background_is_flat_and_its_colour_says_nothing(held):
    """Where a drawing is transparent there is one colour, drawn alike for both classes."""
    x = held.on("random", seed=3)
    clear = held.rgba[:, 3:] == 0
    assert set(held.rgba[:, 3].unique().tolist()) == {0, 255}
    corners = (clear[:, 0, 0, 0]).nonzero()[:, 0]
    assert len(corners) > 250
    background = x[:, :, :1, :1]
    spread = torch.where(clear, (x - background).abs(), 0.0).flatten(1).amax(1)
    assert spread[corners].max() == 0
    for c in range(3):  # uniform in [-1, 1] has variance 1/3: 4 standard errors of the difference
        means = [background[corners][held.y[corners] == k, c].mean() for k in (0, 1)]
        assert abs(means[0] - means[1]) < 4 * (1 / 3 * (1 / 90 + 1 / 150)) ** 0.5


def test_cut_out_removes_the_paper_and_keeps_white_things():
    x = torch.full((1, 3, 7, 7), 250, dtype=torch.uint8)
    x[..., 1:6, 1:6] = 90  # a ring ...
    x[..., 3, 3] = 255  # ... around a white pixel that the paper does not reach
    alpha = bias.cut_out(x)[0, 3]
    expected = torch.zeros(7, 7, dtype=torch.uint8)
    expected[1:6, 1:6] = 255
    assert torch.equal(alpha, expected)
    x[..., 3, 3:] = 255  # now it does
    assert bias.cut_out(x)[0, 3, 3, 3:].eq(0).all()
    both = torch.cat([torch.full_like(x, 255), torch.zeros_like(x)])
    assert bias.cut_out(both)[:, 3].flatten(1).amax(1).tolist() == [0, 255]  # no leak into the next picture


def test_both_ways_to_a_drawing_end_at_the_same_picture():
    """People come from one sheet, things from another: people who are in both look alike by both ways."""
    people, sheet = data.people("validation", style="noto"), data.emoji("validation", "noto")
    place = {name: i for i, name in enumerate(sheet.captions)}
    both = [(i, place[name]) for i, name in enumerate(people.captions) if name in place]
    assert len(both) > 10
    small = F.avg_pool2d(sheet.x[[k for _, k in both]].float(), 2).round().to(torch.uint8)
    one, other = (bias.cut_out(x).float() for x in (people.x[[i for i, _ in both]], small))
    opaque = (one[:, 3:] > 0) & (other[:, 3:] > 0)
    assert (one[:, 3] == other[:, 3]).float().mean() > 0.98
    assert (one[:, :3] - other[:, :3]).abs()[opaque.expand(-1, 3, -1, -1)].mean() < 8  # of 255


def test_no_faces_among_the_things(held):
    assert len(held) == len(held.tone) == 210 + int((held.y == 0).sum())
    assert torch.equal(held.tone > 0, held.y == 1)
    assert torch.bincount(held.tone)[1:].tolist() == [42] * 5
    names = {c for s in data.SPLITS for c in data.emoji(s).captions}  # type: ignore[arg-type]
    assert set(bias.FACES) <= names, "a name that no drawing has removes nothing"


@pytest.mark.parametrize("share", [0.9, 0.97])
def test_mostly_light_has_the_share_asked_for(held, share):
    lab = bias.mostly_light(held, share, seed=1)
    tone = lab.tone[lab.y == 1]
    assert (tone <= 2).float().mean().item() == pytest.approx(share, abs=0.5 / len(tone))
    assert int((tone <= 2).sum()) == 84  # every light-toned drawing stays
    assert int((lab.y == 0).sum()) == int((held.y == 0).sum())
    assert lab.weights[lab.y == 1].sum().item() == pytest.approx(0.5, abs=1e-5)
    other = bias.mostly_light(held, share, seed=2)
    assert not torch.equal(lab.rgba, other.rgba)
    assert torch.equal(lab.rgba, bias.mostly_light(held, share, seed=1).rgba)


def test_impossible_shares(held):
    for share in (0.0, 1.0, 0.2):
        with pytest.raises(CourseError, match="cannot be made"):
            bias.mostly_light(held, share)


# ---- latent-density weights


def test_latent_weights_by_hand():
    """Two numbers, two bins: shares 3/4 and 1/4 in the first, 1/2 and 1/2 in the second; alpha 1/4."""
    mu = torch.tensor([[0.0, 1.0], [0.1, 9.0], [0.2, 1.5], [1.0, 9.5]])
    w = latent_weights(mu, bins=2, alpha=0.25)
    raw = np.array([1 / (0.75 + 0.25), 1, 1, 1 / (0.25 + 0.25)]) / 0.75
    assert w.tolist() == pytest.approx((raw / raw.sum()).tolist())


def test_latent_weights_are_the_product_over_numpys_histograms():
    mu = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).double()
    product = np.ones(200)
    for z in mu.T.numpy():
        counts, edges = np.histogram(z, bins=7)
        q = counts / counts.sum()
        product /= q[np.clip(np.digitize(z, edges) - 1, 0, 6)] + 0.05
    w = latent_weights(mu, bins=7, alpha=0.05)
    assert w.numpy() == pytest.approx(product / product.sum(), rel=1e-9)


def test_alpha_goes_from_the_rarest_to_all_alike():
    """A large alpha draws all pictures alike, a small one prefers the rare, 500 numbers do not underflow."""
    mu = torch.randn(50, 500, generator=torch.Generator().manual_seed(0))
    even, sharp = (latent_weights(mu, alpha=a) for a in (1e6, 1e-3))
    assert even.tolist() == pytest.approx([1 / 50] * 50, rel=1e-3)
    assert sharp.sum().item() == pytest.approx(1)
    assert sharp.max() > 0.2
    assert latent_weights(torch.ones(5, 2)).tolist() == pytest.approx([0.2] * 5)
    with pytest.raises(CourseError, match="positive alpha"):
        latent_weights(mu, alpha=0.0)


# ---- the debiasing VAE's loss


def only(losses):
    (loss,) = losses
    return loss


def test_things_reach_the_classifier_and_not_the_vae():
    """loss = classification + y * vae: without the things' classification their pixels have no gradient."""
    torch.manual_seed(0)
    model, (x, y) = DebiasingVAE.tiny()
    model.eval()  # batch normalisation would let the samples of a batch touch each other
    x.requires_grad_()
    loss = only(model.losses((x, y), 0)).value
    classification = F.binary_cross_entropy_with_logits(model.logit(x), y.float())
    (whole,) = torch.autograd.grad(loss, x, retain_graph=True)
    (vae,) = torch.autograd.grad(loss - classification, x)
    reached = vae.flatten(1).abs().amax(1)
    assert (reached[y == 0] < 1e-7).all()
    assert (reached[y == 1] > 1e-5).all()
    assert (whole.flatten(1).abs().amax(1) > 1e-5).all()  # "classification * y + vae" fails here


def test_the_decoder_sees_people_only():
    """Also in training, where batch statistics would carry things to people."""
    model, (x, y) = DebiasingVAE.tiny()
    seen = []
    model.decoder.register_forward_hook(lambda module, given, out: seen.append(len(given[0])))
    only(model.losses((x, y), 0))
    assert seen == [int(y.sum())]
    without = only(model.losses((x, torch.zeros_like(y)), 0))
    assert seen == [int(y.sum())]
    assert without.value.item() == without.logs["classification"].item()


def test_loss_is_classification_plus_the_bound_per_number():
    torch.manual_seed(0)
    model, (x, y) = DebiasingVAE.tiny()
    model.eval()
    torch.manual_seed(5)
    loss = only(model.losses((x, y), 0)).value.item()
    says = model.encoder(x)
    p = says[:, 0].sigmoid()
    classification = -torch.where(y == 1, p, 1 - p).log().mean().item()
    q = torch.distributions.Normal(says[y == 1, 1:4], torch.exp(says[y == 1, 4:] / 2))
    torch.manual_seed(5)
    z = q.mean + q.stddev * torch.randn(4, 3)
    pixels = torch.distributions.Normal(model.decoder(z), model.log_sigma.exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum()
    bound = pixels.log_prob(x[y == 1]).sum() - kl
    assert loss == pytest.approx(classification - bound.item() / (64 * 8), rel=1e-4)


def test_algorithm_1_trains_on_and_gives_the_weights_of_its_codes(held):
    """Five epochs are one run (the step count goes on), and W comes from the codes of the people on grey."""
    torch.manual_seed(0)
    model = DebiasingVAE(latent=2, widths=(4, 8), squeeze=4)
    trained, w = bias.train_debiasing(model, held, epochs=3, steps=2, batch=16, alpha=0.5)
    with torch.no_grad():
        mu = trained.see(held.on((128, 128, 128))[held.y == 1]).mu
    assert w.tolist() == pytest.approx(latent_weights(mu, alpha=0.5).tolist())
    assert len(w) == 210
    torch.manual_seed(0)
    again, _ = bias.train_debiasing(
        DebiasingVAE(latent=2, widths=(4, 8), squeeze=4), held, epochs=3, steps=2, batch=16, alpha=0.5
    )
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))


# ---- what is measured


def test_recall_by_hand():
    tone = torch.tensor([1, 1, 2, 3, 4, 4, 4, 4, 5, 0, 0, 0, 0])
    says = torch.tensor([1, 0, 1, 0, 1, 1, 1, 0, 0.5, 1, 0, 0, 0])
    result = bias.found(says, tone)
    assert result.recall.tolist() == [0.5, 1.0, 0.0, 0.75, 0.5]
    assert result.false_positives == 0.25
    assert result.gap == pytest.approx(0.75 - 1.25 / 3)


def test_who_always_says_person_is_found_out(held):
    class Always(torch.nn.Module):
        def logit(self, x):
            return x.new_ones(len(x))

    class Grey(torch.nn.Module):
        """Calls a picture a person where its corner is bright: it looks at the background alone."""

        def logit(self, x):
            return x[:, 0, 0, 0]

    always = bias.measure(Always(), held)
    assert always.recall.tolist() == [1.0] * 5
    assert always.false_positives == 1.0
    by_background = bias.measure(Grey(), held, backgrounds=8)
    assert by_background.false_positives == pytest.approx(0.5, abs=0.1)
    assert by_background.recall.mean().item() == pytest.approx(0.5, abs=0.1)
