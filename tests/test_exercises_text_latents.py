"""Exercises 7.1 and 7.2: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks. Those of 7.3 to 7.5 stand
in a file of their own.
"""

import re

import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check
from course_lib.check.text import codes
from course_lib.methods.latent_diffusion import LatentDiffusion
from course_lib.methods.vq_vae import Codebook

IDS = ["7.1", "7.2"]
HEADERS = {"7.1": "z, codebook"}


def typed_as(id, body):
    return f"def answer_of_mine({HEADERS[id]}):\n    " + body.replace("\n", "\n    ")


def quantise(
    end="return z + (e - z).detach(), codes",
    e="codebook[codes].movedim(-1, 1)",
    codes="distance.argmin(-1)",
    distance="(rows[..., None, :] - codebook).square().sum(-1)",
    rows="z.movedim(1, -1)",
):
    return typed_as("7.1", f"rows = {rows}\ndistance = {distance}\ncodes = {codes}\ne = {e}\n{end}")


def latents(
    scale="encode(x).std()",
    there="return self.encode(x) / self.scale",
    back="return self.decode(z * self.scale)",
):
    return (
        "class ScaledLatents:\n    def __init__(self, encode, decode, x):\n"
        f"        self.encode, self.decode = encode, decode\n        self.scale = {scale}\n"
        f"    def to_latents(self, x):\n        {there}\n    def to_pictures(self, z):\n        {back}\n"
    )


# id -> other right answers
RIGHT = {
    "7.1": [
        quantise(),
        quantise(distance="torch.cdist(rows.flatten(0, 2), codebook).view(*rows.shape[:3], -1)"),
        quantise(distance="codebook.square().sum(1) - 2 * rows @ codebook.T"),
        quantise(end="return (e - z).detach() + z, codes"),
        quantise(end="return z - z.detach() + e.detach(), codes"),
        quantise(end="return e.detach() + z - z.detach(), codes", codes="(-distance).argmax(-1)"),
        quantise(rows="z.permute(0, 2, 3, 1)", e="codebook[codes].permute(0, 3, 1, 2)"),
        quantise(e="F.embedding(codes, codebook).movedim(3, 1)"),
        quantise(e="(F.one_hot(codes, len(codebook)).to(z) @ codebook).movedim(-1, 1)"),
        typed_as("7.1", "b, d, h, w = z.shape\nrows = z.permute(0, 2, 3, 1).reshape(-1, d)\n"
                 "codes = torch.cdist(rows, codebook).argmin(1).view(b, h, w)\n"
                 "e = codebook[codes].permute(0, 3, 1, 2).contiguous()\nreturn z + (e - z).detach(), codes"),
        # a gradient of its own
        "class Through(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, z, e):\n"
        "        return e.clone()\n    @staticmethod\n    def backward(ctx, g):\n        return g, None\n"
        + quantise(end="return Through.apply(z, e), codes"),
        "from course_lib.methods.vq_vae import Codebook\n"
        + typed_as("7.1", "book = Codebook(*codebook.shape)\nbook.vectors = codebook.detach()\n"
                   "return tuple(book(z))"),
    ],
    "7.2": [
        latents(),
        latents(scale="encode(x).std(correction=0)"),
        latents(scale="encode(x).flatten().std()"),
        latents(scale="float(encode(x).std())"),
        latents(scale="np.std(encode(x).numpy())"),
        latents(scale="encode(x).numpy().std(dtype=np.float64)"),
        latents(scale="(encode(x) - encode(x).mean()).square().mean().sqrt()"),
        latents(scale="encode(x).var() ** 0.5", back="return self.decode(self.scale * z)"),
        latents(scale="torch.cat([encode(part) for part in x.split(7)]).std()"),
        latents(there="z = self.encode(x)\n        return z.div(self.scale)"),
    ],
}  # fmt: skip

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "7.1": [
        (quantise(codes="distance.argmax(-1)"), "farthest away"),
        (quantise(codes="(rows @ codebook.T).argmax(-1)"), "The largest dot product is not"),
        (quantise(distance="-2 * rows @ codebook.T"), "The largest dot product is not"),
        (quantise(distance="codebook.norm(dim=1) - 2 * rows @ codebook.T"), "You have its root"),
        (quantise(distance="codebook.square().sum(1) - rows @ codebook.T"), "There is a 2 missing"),
        (quantise(codes="F.cosine_similarity(rows[..., None, :], codebook, dim=-1).argmax(-1)"),
         "directions only"),
        (quantise(distance="(rows[..., None, :] - codebook).abs().sum(-1)"), "absolute differences"),
        (quantise(distance="(rows[..., None, :] - codebook).sum(-1).square()"), "Square first"),
        (quantise(end="return z + (e - z).detach(), codes + 1"), "Your codes count from 1"),
        (quantise(distance="(rows[..., None, :] - codebook).square().sum(-2)"), "You sum over the codes"),
        (quantise(rows="z.mean((2, 3))", e="codebook[codes][:, :, None, None].expand_as(z)"),
         "one code for each picture"),
        (quantise(rows="z"), "`reshape` alone cuts"),
        (typed_as("7.1", "rows = z.reshape(-1, z.shape[1])\ncodes = torch.cdist(rows, codebook).argmin(1)\n"
                  "e = codebook[codes].view(z.shape)\n"
                  "return z + (e - z).detach(), codes.view(len(z), *z.shape[2:])"), "`reshape` alone cuts"),
        (quantise(rows="z.transpose(1, 3)", e="codebook[codes].transpose(1, 3)"),
         "Rows and columns of your codes"),
        (quantise(e="codebook[codes].view(z.shape)"), "stand on the wrong axis"),
        (quantise(e="codebook[codes]"), "stand on the wrong axis"),
        (quantise(end="return z, codes"), "You return z as it was"),
        (quantise(end="return z + (z - e).detach(), codes"), "brackets are the wrong way round"),
        (quantise(end="return z + e.detach(), codes"), "You add the code to z"),
        (quantise(end="return e, codes"), "No gradient reaches z"),
        (quantise(end="return e.detach(), codes"), "No gradient reaches z"),
        (quantise(end="return (z + (e - z)).detach(), codes"), "No gradient reaches z"),
        (quantise(end="return z + (e - z), codes"), "the two z cancel"),
        (quantise(end="return z.detach() + (e.detach() - z) * 1 + (z - z).detach(), codes"), "wrong sign"),
        (quantise(end="return z + e - z.detach(), codes"), "A gradient reaches the codebook"),
        (quantise(end="return 2 * z + (e - 2 * z).detach(), codes"), "has to pass unchanged"),
        (quantise(end="z += (e - z).detach()\nreturn z, codes"), "in place"),
        (quantise(end="return codes, z + (e - z).detach()"), "exchanged"),
        (quantise(end="return z + (e - z).detach()"), "Return two tensors"),
        (quantise(end="return z + (e - z).detach(), codes.flatten()"), "Give them the shape of the picture"),
        (quantise(end="return z + (e - z).detach(), codes.float()"), "numbers of entries, int64"),
        (quantise(end="return (z + (e - z).detach()).float(), codes"), "float64"),
        (quantise(codes="distance.argmin(-1).view(4, 4, 4)"), "Your code stopped"),
        (quantise(end="return torch.zeros(z.shape) + e.detach() + z - z.detach(), codes"), "mixes devices"),
        (typed_as("7.1", "codes = (z[..., None] - codebook[:, 0]).abs().argmin(-1)\nreturn z, codes"),
         "a code for each single number"),
        (quantise(codes="distance.argmin(1)"), "shape"),
    ],
    "7.2": [
        (latents(scale="encode(x).var()"), "That is the variance"),
        (latents(scale="x.std()"), "You measure the pictures"),
        (latents(scale="1 / encode(x).std()"), "one over the standard deviation"),
        (latents(scale="encode(x).square().mean().sqrt()"), "the root of the mean square"),
        (latents(scale="encode(x).std(dim=(0, 2, 3), keepdim=True)"), "one number for each channel"),
        (latents(scale="encode(x).std(dim=(1, 2, 3))"), "one number for each picture"),
        (latents(scale="encode(x).std(0)"), "for each channel and place"),
        (latents(scale="encode(x).std(dim=(1, 2, 3)).mean()"), "deviation of each picture first"),
        (latents(scale="encode(x).std(dim=(0, 2, 3)).mean()"), "deviation of each channel first"),
        (latents(scale="encode(x).abs().max()"), "the largest value"),
        (latents(scale="encode(x[:1]).std()"), "the first picture only"),
        (latents(scale="encode(x).std(dim=(0, 2, 3)).view(-1, 1, 1)"), "if undone channel by channel"),
        (latents(scale="encode(x).std()\n        self.mean = encode(x).mean()",
                 there="return (self.encode(x) - self.mean) / self.scale",
                 back="return self.decode(z * self.scale + self.mean)"), "mean away first"),
        (latents(back="return self.decode(z / z.std() * self.scale)"), "a deviation of 1 first"),
        (latents(there="return self.encode(x) * self.scale"), "You multiply by the scale"),
        (latents(there="return self.encode(x)"), "as the encoder made them"),
        (latents(there="return self.encode(x / self.scale)"), "You divide the pictures"),
        (latents(there="z = self.encode(x)\n        return (z - z.mean()) / self.scale"), "mean away first"),
        (latents(there="return self.encode(x) / self.scale - 0.5"), "At ["),
        (latents(there="z = self.encode(x)\n        return (z - z.mean()) / z.std()"), "by its own mean"),
        (latents(there="z = self.encode(x)\n        return z / z.std()"), "deviation of this batch"),
        (latents(there="z = self.encode(x)\n        return z / z.std(dim=(1, 2, 3), keepdim=True)"),
         "deviation of its own"),
        (latents(back="return self.decode(z / self.scale)"), "You divide once more"),
        (latents(back="return self.decode(z)"), "as they are"),
        (latents(back="return self.decode(z) * self.scale"), "You multiply the pictures"),
        (latents(back="return self.decode(z * z.std())"), "deviation of the latents that come in"),
        (latents(back="return self.decode(self.encode(z))"), "You give `encode` something of shape"),
        (latents(back="z *= self.scale\n        return self.decode(z)"), "changes its input `z` in place"),
        (latents(there="z = self.encode(x)\n        z /= self.scale\n        self.scale = 3.0\n"
                 "        return z"), "`scale` changes when the object is used"),
        (latents(scale="encode(x).std().tolist(), 1"), "It is one number"),
        (latents().replace("self.scale =", "scale ="), "has no `scale`"),
        (latents(there="return 3 * self.encode(x)"), "standard deviation of"),
    ],
}  # fmt: skip


def exercise(id):
    return check.exercises()[id]


@pytest.mark.parametrize("id", IDS)
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(100, 106):
        result = exercise(id)(exercise(id).reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    result = exercise(id)(typed(cell), seed=1)
    assert result.passed, result


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    rejected(exercise(id), typed(cell), sentence, seed=1)


# What the references compute: the library's numbers


def test_quantise_is_the_codebooks_in_values_and_gradient():
    torch.manual_seed(0)
    book, z, g = Codebook(9, 5), torch.randn(2, 5, 3, 4, requires_grad=True), torch.randn(2, 5, 3, 4)
    z_q, numbers = exercise("7.1").reference(z, book.vectors)
    theirs = book(z)
    assert torch.equal(numbers, theirs.codes)
    torch.testing.assert_close(z_q, theirs.z)
    assert numbers.unique().numel() > 3
    (gradient,) = torch.autograd.grad((z_q * g).sum(), z)
    torch.testing.assert_close(gradient, g, rtol=0, atol=0)


def test_no_vector_of_the_check_lies_between_two_codes():
    for seed in range(20):
        z, book = codes._cubes(torch.Generator().manual_seed(seed))
        distance = codes.squares(z.movedim(1, -1), book).sort(-1).values
        assert (distance[..., 1] - distance[..., 0]).min() > 1e-3


def test_latent_scale_is_latent_diffusions():
    torch.manual_seed(0)
    model, (x, _) = LatentDiffusion.tiny()
    for p in model.autoencoder.buffers():
        p.add_(0.1 * torch.randn_like(p))
    model.use(model.autoencoder, x)
    mine = exercise("7.2").reference(model.autoencoder.encode, model.autoencoder.decode, x)
    assert mine.scale.item() == pytest.approx(model.scale.item(), rel=1e-5)
    torch.testing.assert_close(mine.to_latents(x), model.encode(x))
    assert mine.to_latents(x).std(correction=0).item() == pytest.approx(1, abs=1e-4)
    z = torch.randn(2, *mine.to_latents(x).shape[1:])
    torch.testing.assert_close(mine.to_pictures(z), model.decode(z))


# What is no answer


@pytest.mark.parametrize("id", sorted(HEADERS))
@pytest.mark.parametrize("body", ["raise NotImplementedError", "...", "x = ...\n    return x"])
def test_a_stub_is_not_attempted(id, body):
    result = exercise(id)(typed(f"def f({HEADERS[id]}):\n    {body}"), seed=0)
    assert result.status == "not attempted", result


@pytest.mark.parametrize(
    "cell",
    [
        latents(scale="..."),
        latents(there="..."),
        latents(there="raise NotImplementedError", back="raise NotImplementedError"),
        latents(scale="...", there="raise NotImplementedError", back="raise NotImplementedError"),
    ],
)
def test_a_class_that_is_not_finished_is_not_attempted(cell):
    result = exercise("7.2")(typed(cell), seed=0)
    assert result.status == "not attempted", result


KINDS = [3, (torch.zeros(2), torch.zeros(2)), "text", {"a": 1}, torch.zeros(2, 7), torch.tensor(1), object()]


@pytest.mark.parametrize("id", sorted(HEADERS))
def test_results_of_a_wrong_kind_or_shape_fail_with_a_sentence(id):
    for value in KINDS:
        result = exercise(id)(lambda *a, v=value: v, seed=0)
        assert result.status == "failed"
        assert "could not work with" not in result.message, result


@pytest.mark.parametrize("part", ["scale", "there", "back"])
def test_parts_of_a_wrong_kind_fail_with_a_sentence(part):
    for value in ("'text'", "{'a': 1}", "torch.zeros(2, 7)", "object()", "torch.full((), float('nan'))"):
        cell = latents(**{part: value if part == "scale" else f"return {value}"})
        result = exercise("7.2")(typed(cell), seed=0)
        assert result.status == "failed"
        assert "could not work with" not in result.message, result


@pytest.mark.parametrize("id", IDS)
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    texts = [sentence for prop in exercise(id).properties for _, sentence in prop.mistakes]
    for text in [*texts, *exercise(id).hints]:
        assert text.count("`") % 2 == 0, text
        assert "{" not in text, text
    for text in texts:
        assert not re.search(r"\*\w+\*", text), text
