"""Exercises 5.1, 5.2 and 5.6: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks. Those of 5.3 to 5.5 stand
in a file of their own.
"""

import re

import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check
from course_lib.check.translation import receptive, turn, turn_slips
from course_lib.methods.cyclegan import CycleGAN
from course_lib.methods.pix2pix import Pix2Pix
from course_lib.nn import translators

IDS = ["5.1", "5.2", "5.6"]
HEADERS = {
    "5.1": "D, a, b, fake",
    "5.2": "layers",
    "5.6": "G, F, D_A, D_B, opt_G, opt_D, a, b, cycle=1.0",
}


def d_loss(real="torch.cat([a, b], 1)", made="torch.cat([a, fake.detach()], 1)", value=None):
    value = value or "((r - 1).square().mean() + f.square().mean()) / 2"
    return f"def d_loss(D, a, b, fake):\n    r = D({real})\n    f = D({made})\n    return {value}"


def field(body):
    return "def receptive_field(layers):\n    " + body.replace("\n", "\n    ")


def one_step(
    fakes="fake_b, fake_a = G(a), F(b)",
    fooled="real(D_B(fake_b)) + real(D_A(fake_a))",
    back="(F(fake_b) - a).abs().mean() + (G(fake_a) - b).abs().mean()",
    move_g="opt_G.zero_grad()\nloss_G.backward()\nopt_G.step()",
    cut="fake_b, fake_a = fake_b.detach(), fake_a.detach()",
    judged="(real(D_B(b)) + made(D_B(fake_b)) + real(D_A(a)) + made(D_A(fake_a))) / 2",
    move_d="opt_D.zero_grad()\nloss_D.backward()\nopt_D.step()",
    end="return loss_G.item(), loss_D.item()",
):
    lines = [
        fakes, f"loss_G = {fooled} + cycle * ({back})", move_g, cut, f"loss_D = {judged}", move_d, end,
    ]  # fmt: skip
    body = "\n".join(lines).replace("\n", "\n    ")
    return (
        "def real(v): return (v - 1).square().mean()\ndef made(v): return v.square().mean()\n"
        f"def one_step({HEADERS['5.6']}):\n    {body}\nanswer = one_step"
    )


BCE = "F.binary_cross_entropy_with_logits"
G_THEN_D = """
loss_G.backward()
opt_G.step()
opt_D.zero_grad()
loss_D = (real(D_B(b)) + made(D_B(fake_b.detach())) + real(D_A(a)) + made(D_A(fake_a.detach()))) / 2
loss_D.backward()
opt_D.step()"""

# id -> other right answers
RIGHT = {
    "5.1": [
        d_loss(),
        d_loss(value="0.5 * (F.mse_loss(r, torch.ones_like(r)) + F.mse_loss(f, torch.zeros_like(f)))"),
        """
def d_loss(D, a, b, fake):
    both = torch.cat([torch.cat([a, b], dim=1), torch.cat([a, fake.detach()], dim=1)])
    verdict = D(both)
    target = torch.zeros_like(verdict)
    target[: len(a)] = 1
    return (verdict - target).square().mean()
""",
        """
def d_loss(D, a, b, fake):
    with torch.no_grad():
        made = torch.concat((a, fake), -3)
    real = torch.concat((a, b), -3)
    return (D(real) - 1).pow(2).mean() / 2 + D(made).pow(2).mean() / 2
""",
        """
from course_lib.methods.pix2pix import pair, verdict_loss
def d_loss(D, a, b, fake):
    on_fake = verdict_loss(D(pair(a, fake.detach())), False)
    return (verdict_loss(D(pair(a, b)), True) + on_fake) / 2
""",
    ],
    "5.2": [
        field("r = 1\nfor k, s in layers[::-1]:\n    r = (r - 1) * s + k\nreturn r"),
        field("r = jump = 1\nfor k, s in layers:\n    r += (k - 1) * jump\n    jump *= s\nreturn r"),
        field("r = 1\nfor k, s in reversed(layers):\n    r = r * s + k - s\nreturn r"),
        field("if not layers:\n    return 1\n(k, s), *rest = layers\n"
              "return (receptive_field(rest) - 1) * s + k"),
        field("last = 0\nfor k, s in reversed(layers):\n    last = last * s + k - 1\nreturn last + 1"),
        "from course_lib.nn.translators import receptive_field\nanswer = receptive_field",
        field("""
net = nn.Sequential(*(nn.Conv2d(1, 1, k, s) for k, s in layers)).double()
for p in net.parameters():
    nn.init.ones_(p)
x = torch.zeros(1, 1, 300, 300, dtype=torch.double, requires_grad=True)
net(x)[0, 0, 0, 0].backward()
return int((x.grad[0, 0].abs().sum(0) > 0).nonzero().max()) + 1"""),
    ],
    "5.6": [
        one_step(),
        one_step(cut="", judged="(real(D_B(b)) + made(D_B(fake_b.detach()))\n        + real(D_A(a)) "
                 "+ made(D_A(fake_a.detach()))) / 2"),
        one_step(move_g="""
for D in (D_A, D_B):
    D.requires_grad_(False)
l1 = nn.L1Loss()
loss_G = real(D_B(fake_b)) + real(D_A(fake_a)) + cycle * (l1(F(fake_b), a) + l1(G(fake_a), b))
opt_G.zero_grad()
loss_G.backward()
opt_G.step()
for D in (D_A, D_B):
    D.requires_grad_(True)"""),
        # D's loss and gradients before G's step: it comes to the same
        one_step(move_g="", cut="old_b, old_a = fake_b.detach(), fake_a.detach()",
                 judged="(real(D_B(b)) + made(D_B(old_b)) + real(D_A(a)) + made(D_A(old_a))) / 2",
                 move_d="opt_G.zero_grad()\nloss_G.backward()\nopt_D.zero_grad()\nloss_D.backward()\n"
                 "opt_D.step()\nopt_G.step()"),
        # one discriminator after the other, as the authors do
        one_step(move_g="opt_G.zero_grad()\nloss_G.backward()\nopt_G.step()\nopt_D.zero_grad()",
                 judged="(real(D_B(b)) + made(D_B(fake_b))) / 2",
                 move_d="loss_D.backward()\nother = (real(D_A(a)) + made(D_A(fake_a))) / 2\n"
                 "other.backward()\nopt_D.step()",
                 end="return float(loss_G.detach()), loss_D.item() + other.item()"),
        # a cycle loss that makes the fakes once more, before G moves
        one_step(back="(F(G(a)) - a).abs().mean() + (G(F(b)) - b).abs().mean()"),
        one_step(fakes="for net in (G, F, D_A, D_B):\n    net.zero_grad()\nfake_b, fake_a = G(a), F(b)",
                 move_d="for p in [*D_A.parameters(), *D_B.parameters()]:\n    p.grad = None\n"
                 "loss_D.backward()\nopt_D.step()"),
    ],
}  # fmt: skip

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "5.1": [
        (d_loss("b", "fake.detach()"), "You show D `b` alone"),
        (d_loss(made="fake.detach()"), "You show D `fake` alone"),
        (d_loss("torch.cat([a, b])", "torch.cat([a, fake.detach()])"), "along the batch"),
        (d_loss("torch.cat([a, b], 3)", "torch.cat([a, fake], 3)"), "a batch of pairs has"),
        (d_loss("torch.stack([a, b], 1)"), "in a new dimension"),
        (d_loss("a, b", "a, fake.detach()"), "D takes one tensor"),
        (d_loss("(a, b)"), "D takes one tensor"),
        (d_loss("a + b", "a + fake.detach()"), "a batch of pairs has"),
        (d_loss("torch.cat([b, a], 1)", "torch.cat([fake.detach(), a], 1)"),
         "Both pairs are the wrong way round"),
        (d_loss("torch.cat([b, a], 1)"), "Your real pair is the wrong way round"),
        (d_loss(made="torch.cat([fake.detach(), a], 1)"), "Your made pair is the wrong way round"),
        (d_loss(made="torch.cat([a, fake], 1)"), "would leave gradients in G"),
        (d_loss(made="torch.cat([a, fake.detach_()], 1)"), "in place, so afterwards G cannot learn"),
        (d_loss(made="torch.cat([a, a], 1)"), "Your made pair is (a, a)"),
        (d_loss(made="torch.cat([b, fake.detach()], 1)"), "Your made pair is (b, fake)"),
        (d_loss(made="torch.cat([a, b], 1)"), "the real pair twice"),
        (d_loss("torch.cat([a.roll(1, 0), b], 1)"), "do not belong together"),
        (d_loss("torch.cat([a.flip(0), b], 1)"), "do not belong together"),
        (d_loss(value="(r.square().mean() + (f - 1).square().mean()) / 2"), "Real and made are exchanged"),
        (d_loss(value="(r - 1).square().mean() + f.square().mean()"), "The half is missing"),
        (d_loss(value="((r - 1).square().sum() + f.square().sum()) / 2"), "You sum over the patches"),
        (d_loss(value="((r - 1) ** 2 + f ** 2) / 2"), "one loss for each patch"),
        (d_loss(value="(r.mean() - 1) ** 2 / 2 + f.mean() ** 2 / 2"),
         "You average the verdicts, then square"),
        (d_loss(value=f"({BCE}(r, torch.ones_like(r)) + {BCE}(f, torch.zeros_like(f))) / 2"),
         "loss of the logarithms"),
        (d_loss(value="((r - 1).square().mean() + f.detach().square().mean()) / 2"), "real pairs only"),
        (d_loss(value="((r - 1).square().mean() + f.square().mean()).item() / 2"), "Leave out `.item()`"),
        ("def d_loss(D, a, b, fake):\n    with torch.no_grad():\n        r = D(torch.cat([a, b], 1))\n"
         "        f = D(torch.cat([a, fake], 1))\n"
         "    return ((r - 1).square().mean() + f.square().mean()) / 2", "it has no graph"),
        ("def d_loss(D, a, b, fake):\n    r = D(torch.cat([a, b], 1))\n    f = D(torch.cat([a, fake], 1))\n"
         "    loss = ((r - 1).square().mean() + f.square().mean()) / 2\n    loss.backward()\n    return loss",
         "calls `backward()` itself"),
    ],
    "5.2": [
        (field("r = 1\nfor k, s in layers:\n    r = (r - 1) * s + k\nreturn r"), "begins at the verdict"),
        (field("return sum(k for k, s in layers)"), "You add up the kernels"),
        (field("return 1 + sum(k - 1 for k, s in layers)"), "The strides play no part"),
        (field("return math.prod(s for k, s in layers)"), "You multiply the strides"),
        (field("r = 1\nfor k, s in reversed(layers):\n    r = r * s + k\nreturn r"),
         "r - 1 steps between them"),
        (field("r = 0\nfor k, s in reversed(layers):\n    r = r * s + k\nreturn r"), "Begin with `r = 1`"),
        (field("r, jump = 1, 1\nfor k, s in layers:\n    jump *= s\n    r += (k - 1) * jump\nreturn r"),
         "own stride too early"),
        (field("r, jump = 0, 1\nfor k, s in layers:\n    r += (k - 1) * jump\n    jump *= s\nreturn r"),
         "one pixel short"),
        (field("r, jump = 1, 1\nfor k, s in layers:\n    r += (k - 1) * jump\n    jump = s\nreturn r"),
         "stride of one layer before"),
        (field("r, jump = 1, 1\nfor k, s in layers:\n    r += k * jump\n    jump *= s\nreturn r"),
         "A kernel adds its width less 1"),
        (field("r = 1\nfor s, k in reversed(layers):\n    r = (r - 1) * s + k\nreturn r"), "are exchanged"),
        (field("r = 1\nfor k, s in reversed(layers):\n    r = (r - 1) * s + k\n    return r"),
         "one layer only"),
        (field("r = 1\nfor k, s in reversed(layers):\n    r = (r - 1) * s + k\nreturn r * r"),
         "You return the area"),
        (field("r = layers[-1][0]\nfor k, s in reversed(layers):\n    r = (r - 1) * s + k\nreturn r"),
         "the last layer twice"),
        (field("return 70"), "You return 70 for ["),
        (field("r = 1.0\nfor k, s in reversed(layers):\n    r = (r - 1) * s + k\nreturn r"),
         "You return a float"),
        (field("r = torch.tensor(1)\nfor k, s in reversed(layers):\n    r = (r - 1) * s + k\nreturn r"),
         "You return a Tensor. Return an int"),
        (field("layers.reverse()\nr = 1\nfor k, s in layers:\n    r = (r - 1) * s + k\nreturn r"),
         "in place"),
        (field("r = 1\nwhile layers:\n    k, s = layers.pop()\n    r = (r - 1) * s + k\nreturn r"),
         "in place"),
    ],
    "5.6": [
        (one_step(fakes="fake_b, fake_a = G(a), F(b)\nold_b, old_a = fake_b.detach(), fake_a.detach()\n"
                  "loss_D = (real(D_B(b)) + made(D_B(old_b)) + real(D_A(a)) + made(D_A(old_a))) / 2\n"
                  "opt_D.zero_grad()\nloss_D.backward()\nopt_D.step()", cut="", judged="loss_D", move_d=""),
         "The D's move first"),
        (one_step(move_g="", cut="old_b, old_a = fake_b.detach(), fake_a.detach()",
                  judged="(real(D_B(b)) + made(D_B(old_b)) + real(D_A(a)) + made(D_A(old_a))) / 2",
                  move_d="opt_D.zero_grad()\nloss_D.backward()\nopt_D.step()\nopt_G.zero_grad()\n"
                  "loss_G.backward()\nopt_G.step()"), "D's step comes before the `backward()` of G's loss"),
        (one_step(cut="fake_b, fake_a = G(a).detach(), F(b).detach()"), "You make the fakes anew"),
        (one_step(cut="fake_b, fake_a = G(a), F(b)"), "You make the fakes anew"),
        (one_step(cut=""), "For the D's the fakes are data"),
        (one_step(cut="", move_g="opt_G.zero_grad()\nloss_G.backward(retain_graph=True)\nopt_G.step()"),
         "For the D's the fakes are data"),
        (one_step(move_d="loss_D.backward()\nopt_D.step()"), "leaves them there"),
        (one_step(fakes="opt_G.zero_grad()\nopt_D.zero_grad()\nfake_b, fake_a = G(a), F(b)",
                  move_g="loss_G.backward()\nopt_G.step()", move_d="loss_D.backward()\nopt_D.step()"),
         "leaves them there"),
        (one_step(move_g="loss_G.backward()\nopt_G.step()"), "adds old gradients"),
        (one_step(move_g="G.zero_grad()\nloss_G.backward()\nopt_G.step()"), "adds old gradients"),
        (one_step(fooled="real(D_B(fake_b))", back="(F(fake_b) - a).abs().mean()"), "Only one direction"),
        (one_step(fooled="real(D_A(fake_b)) + real(D_B(fake_a))"), "D_A and D_B are exchanged"),
        (one_step(judged="(real(D_A(b)) + made(D_A(fake_b)) + real(D_B(a)) + made(D_B(fake_a))) / 2"),
         "D_A and D_B are exchanged"),
        (one_step(judged="(real(D_A(a)) + made(D_A(fake_b)) + real(D_B(b)) + made(D_B(fake_a))) / 2"),
         "The fakes are exchanged"),
        (one_step(back="(F(fake_b) - b).abs().mean() + (G(fake_a) - a).abs().mean()"),
         "with the wrong picture"),
        (one_step(back="(fake_b - b).abs().mean() + (fake_a - a).abs().mean()"), "a and b are no pairs"),
        (one_step(back="(G(fake_b) - a).abs().mean() + (F(fake_a) - b).abs().mean()"),
         "exchanged on the way back"),
        (one_step(back="((F(fake_b) - a) ** 2).mean() + ((G(fake_a) - b) ** 2).mean()"), "loss has squares"),
        (one_step(fooled="made(D_B(fake_b)) + made(D_A(fake_a))"), "The target is exchanged"),
        (one_step(judged="(made(D_B(b)) + real(D_B(fake_b)) + made(D_A(a)) + real(D_A(fake_a))) / 2"),
         "Real and made are exchanged"),
        (one_step(judged="real(D_B(b)) + made(D_B(fake_b)) + real(D_A(a)) + made(D_A(fake_a))"),
         "The half is missing"),
        (one_step(judged="(real(D_B(b)) + made(D_B(fake_b))) / 2"), "D_A is missing"),
        (one_step(fakes="cycle = 1\nfake_b, fake_a = G(a), F(b)"), "`cycle` plays no part"),
        (one_step(back="0 * a.sum()"), "The cycle loss is missing"),
        (one_step(fakes="fake_b, fake_a = G(b), F(a)"), "the fakes are G(a) and F(b)"),
        (one_step(fooled="real(D_B(fake_b)) * real(D_A(fake_a))"), "This is about the loss of G and F"),
        (one_step(move_g="opt_G.zero_grad()\nopt_D.zero_grad()\nloss_G.backward()\nopt_G.step()\nopt_D.step()"),
         "so the D's help to be fooled"),
        (one_step(fakes="fake_b, fake_a = G(a), F(b)\n"
                  "opt_G = torch.optim.SGD([*G.parameters(), *F.parameters()], 0.3)"),
         "but not by `opt_G.step()`"),
        (one_step(fakes="fake_b, fake_a = G(a).detach(), F(b).detach()", cut=""), "reaches neither G nor F"),
        (one_step(back="(F(fake_b.detach()) - a).abs().mean() + (G(fake_a.detach()) - b).abs().mean()"),
         "detached on the way back"),
        (one_step(back="F.l1_loss(F(fake_b), a) + F.l1_loss(G(fake_a), b)"), "not `torch.nn.functional`"),
        (one_step(move_g="opt_G.zero_grad()\nloss_G.backward()"), "`opt_G.step()` is missing"),
        (one_step(move_d="opt_D.zero_grad()\nloss_D.backward()"), "`opt_D.step()` is missing"),
        (one_step(move_d="opt_D.zero_grad()\nopt_D.step()"), "No gradient reaches D"),
        (one_step(move_d="loss_D.backward()\nopt_D.zero_grad()\nopt_D.step()"), "are cleared between"),
        (one_step(end="return loss_G, loss_D"), "holds the whole graph"),
        (one_step(end="return loss_G.item()"), "Return two floats"),
        (one_step(end="return loss_D.item(), loss_G.item()"), "that of G and F comes first"),
        (one_step(move_d="opt_D.zero_grad()\nloss_D.backward()\nopt_D.step()\nD_A.requires_grad_(False)"),
         "D_A can no longer be trained"),
    ],
}  # fmt: skip


def exercise(id):
    return check.exercises()[id]


def test_all_six_are_there_in_order():
    module = check.translation
    assert [e.id for e in module.EXERCISES] == [f"5.{n}" for n in range(1, 7)]
    assert (module.judge_pairs.id, module.reach.id, module.turns.id) == tuple(IDS)


@pytest.mark.parametrize("id", IDS)
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(100, 106):
        result = exercise(id)(exercise(id).reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    for seed in range(2):
        result = exercise(id)(typed(cell), seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    rejected(exercise(id), typed(cell), sentence, seed=1)


# What the references compute


def test_d_loss_of_a_constant_verdict_and_of_the_library():
    """A D that says c to everything costs ((c - 1)^2 + c^2) / 2, at least 1/4."""
    reference = exercise("5.1").reference
    a, b, fake = torch.randn(3, 2, 1, 8, 8)
    for c in (-0.5, 0.5, 2.0):
        loss = reference(lambda x, c=c: torch.full((len(x), 1, 2, 2), c), a, b, fake)
        assert loss.item() == pytest.approx(((c - 1) ** 2 + c**2) / 2)
    model, (a, b) = Pix2Pix.tiny()
    wanted = next(iter(model.losses((a, b), step=0))).value
    torch.testing.assert_close(reference(model.D, a, b, model.G(a)), wanted)


def test_receptive_fields_of_the_paper_and_of_many_random_stacks():
    """70, 16 and 1 pixels (arXiv 1611.07004, section 4.4); else what autograd sees."""
    answer = exercise("5.2").reference
    assert [answer(layers) for layers in receptive._of_the_paper(torch.Generator())[0]] == [70, 16, 1]
    for seed in range(20):
        for layers in receptive._random_stacks(torch.Generator().manual_seed(seed))[0]:
            assert (
                answer(layers) == receptive.width_of_gradient(layers) == translators.receptive_field(layers)
            )


def test_one_step_is_a_step_on_the_librarys_losses():
    """Both gradients taken where nobody has moved, of the library's losses on the same networks."""
    s = turn.scene(torch.Generator().manual_seed(5))
    model = CycleGAN(channels=(2, 2), widths=(4,), blocks=1, d_widths=(4,), cycle=s.cycle)
    model.G, model.F, model.D_A, model.D_B = s.G, s.F, s.D_A, s.D_B
    players = {"G": [*s.G.parameters(), *s.F.parameters()], "D": [*s.D_A.parameters(), *s.D_B.parameters()]}
    wanted, values = [], []
    for loss in list(model.losses((s.a, s.b), step=0)):
        weights = players[loss.opt]
        slopes = torch.autograd.grad(loss.value, weights, retain_graph=True)
        wanted += [(w - 0.3 * slope).detach() for w, slope in zip(weights, slopes, strict=True)]
        values.append(loss.value.item())
    assert turn_slips.step()(*s) == pytest.approx(tuple(values))
    after = [*players["G"], *players["D"]]
    for found, right in zip(after, wanted, strict=True):
        torch.testing.assert_close(found.detach(), right)


# What is no answer


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize(
    "body", ["raise NotImplementedError", "...", "x = ...\n    return x", "x, y = ...\n    return x"]
)
def test_a_stub_is_not_attempted(id, body):
    result = exercise(id)(typed(f"def f({HEADERS[id]}):\n    {body}"), seed=0)
    assert result.status == "not attempted", result


KINDS = [3, (torch.zeros(2), torch.zeros(2)), (1.0, "text"), "text", {"a": 1}, torch.zeros(2, 7), (1.0, 2.0)]


@pytest.mark.parametrize("id", IDS)
def test_results_of_a_wrong_kind_or_shape_fail_with_a_sentence(id):
    for value in KINDS:
        result = exercise(id)(lambda *a, v=value: v, seed=0)
        assert result.status == "failed"
        assert "could not work with" not in result.message, result


@pytest.mark.parametrize("id", IDS)
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    texts = [sentence for prop in exercise(id).properties for _, sentence in prop.mistakes]
    for text in [*texts, *exercise(id).hints]:
        assert text.count("`") % 2 == 0, text
    for text in texts:
        assert "{" not in text, text
        assert not re.search(r"\*\w+\*", text), text
