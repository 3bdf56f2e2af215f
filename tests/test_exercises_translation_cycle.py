"""Exercises 5.3 to 5.5: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks.
"""

import re

import numpy as np
import pytest
import torch
from test_exercises import rejected, typed

from course_lib.check.translation.cycle import cycle_loss
from course_lib.check.translation.identity import identity_loss
from course_lib.check.translation.replay import replay
from course_lib.nn.replay import Pool

EXERCISES = {e.id: e for e in (cycle_loss, identity_loss, replay)}
HEAD = "def f(G, F, a, b):\n    "


def loss(value):
    """A cell with a loss of this value."""
    return f"{HEAD}return {value}"


POOL = """
def replay(pool, size, fresh):
    shown = []
    for x in fresh:
        x = {x}
        if {room}:
            {fill}
        elif {coin}:
            {swap}
        else:
            {new}
        shown.append(x)
    return {end}
"""


def pool(
    x="x.detach().clone()",
    room="len(pool) < size",
    fill="pool.append(x)",
    coin="torch.rand(()) < 0.5",
    swap="i = torch.randint(size, ()); x, pool[i] = pool[i], x",
    new="pass",
    end="torch.stack(shown)",
):
    return "import random\n" + POOL.format(x=x, room=room, fill=fill, coin=coin, swap=swap, new=new, end=end)


# id -> other right answers
RIGHT = {
    "5.3": [
        loss("nn.functional.l1_loss(F(G(a)), a) + nn.functional.l1_loss(G(F(b)), b)"),
        loss("nn.L1Loss()(a, F(G(a))) + nn.L1Loss()(b, G(F(b)))"),
        loss("((F(G(a)) - a).abs() + (G(F(b)) - b).abs()).mean()"),
        loss("(F.forward(G.forward(a)) - a).abs().mean() + (G(F(b)) - b).abs().mean()"),
        loss("2 * torch.cat([F(G(a)) - a, G(F(b)) - b]).abs().mean()"),
        HEAD + "again = F(G(a)), G(F(b))\n    return sum(torch.mean(torch.abs(x - y)) "
        "for x, y in zip(again, (a, b)))",
        HEAD + "n = a.shape.numel()\n    return (F(G(a)) - a).norm(p=1) / n + (G(F(b)) - b).norm(p=1) / n",
    ],
    "5.4": [
        loss("nn.functional.l1_loss(G(b), b) + nn.functional.l1_loss(F(a), a)"),
        loss("torch.cat([G(b) - b, F(a) - a]).abs().mean() * 2"),
        HEAD + "l1 = nn.L1Loss()\n    return l1(F(a), a) + l1(G(b), b)",
        loss("(b - G(b)).abs().mean((1, 2, 3)).mean() + (a - F(a)).abs().mean((1, 2, 3)).mean()"),
    ],
    "5.5": [
        pool(),
        pool(x="x.data.clone()", coin="random.random() > 0.5", swap="i = random.randrange(size); "
             "x, pool[i] = pool[i], x"),
        pool(swap="old = pool.pop(random.randint(0, size - 1)); pool.append(x); x = old"),
        pool(swap="i = int(np.random.randint(size)); y = pool[i]; pool[i] = x; x = y"),
        pool(swap="i = torch.randint(size, ()); old = pool[i].clone(); pool[i].copy_(x); x = old"),
        pool(end="torch.cat([x[None] for x in shown])"),
        """
@torch.no_grad()
def replay(pool, size, fresh):
    shown = torch.empty_like(fresh)
    for k in range(fresh.shape[0]):
        if len(pool) < size:
            pool.append(fresh[k].clone())
            shown[k] = fresh[k]
        elif np.random.rand() < 0.5:
            i = np.random.randint(len(pool))
            shown[k] = pool[i]
            pool[i] = fresh[k].clone()
        else:
            shown[k] = fresh[k]
    return shown
""",
        """
def replay(pool, size, fresh):
    fresh = fresh.detach().clone()
    room = max(size - len(pool), 0)
    pool += [x.clone() for x in fresh[:room]]
    late = range(room, len(fresh))
    old = [k for k in late if torch.rand(()) < 0.5]
    for k, i in zip(old, torch.randperm(size).tolist()):
        kept = fresh[k].clone()
        fresh[k] = pool[i]
        pool[i] = kept
    return fresh
""",
        """
class Memory:
    pass
def replay(pool, size, fresh):
    memory = Memory()
    def one(x):
        if len(pool) < size:
            pool.append(x)
            return x
        if torch.rand(1).item() >= 0.5:
            return x
        i = torch.randperm(size)[0].item()
        old, pool[i] = pool[i], x
        return old
    return torch.stack([one(x) for x in fresh.detach().clone().unbind()]) if len(fresh) else fresh
answer = replay
""",
    ],
}  # fmt: skip

CYCLE_A, CYCLE_B = "(F(G(a)) - a).abs().mean()", "(G(F(b)) - b).abs().mean()"
OWN_A, OWN_B = "(F(a) - a).abs().mean()", "(G(b) - b).abs().mean()"

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "5.3": [
        (loss(CYCLE_A), "from A to B and back only"),
        (loss(CYCLE_B), "from B to A and back only"),
        (loss("(F(G(a)) - b).abs().mean() + (G(F(b)) - a).abs().mean()"), "the picture of the other kind"),
        (loss("(G(F(a)) - a).abs().mean() + (F(G(b)) - b).abs().mean()"), "You feed a to F"),
        (loss(f"{CYCLE_A} + (F(G(b)) - b).abs().mean()"), "You send b through G first"),
        (loss("(G(a) - a).abs().mean() + (F(b) - b).abs().mean()"), "learn to change nothing"),
        (loss("(G(a) - b).abs().mean() + (F(b) - a).abs().mean()"), "That needs pairs"),
        (loss(f"{OWN_A} + {OWN_B}"), "the identity loss of exercise 5.4"),
        (loss("nn.functional.mse_loss(F(G(a)), a) + nn.functional.mse_loss(G(F(b)), b)"), "You square"),
        (loss("(F(G(a)) - a).abs().sum() + (G(F(b)) - b).abs().sum()"), "You take the sum"),
        (loss("(F(G(a)) - a).norm() + (G(F(b)) - b).norm()"), "the Euclidean norm"),
        (loss(f"({CYCLE_A} + {CYCLE_B}) / 2"), "half of the loss"),
        (loss("torch.cat([F(G(a)) - a, G(F(b)) - b]).abs().mean()"), "half of the loss"),
        (loss("(F(G(a)) - a).mean() + (G(F(b)) - b).mean()"), "errors above and below cancel"),
        (loss("(F(G(a)) - a).abs() + (G(F(b)) - b).abs()"), "A loss is one number"),
        (loss(f"{CYCLE_A} - {CYCLE_B}"), "You subtract"),
        (loss("(F(G(a).detach()) - a).abs().mean() + (G(F(b).detach()) - b).abs().mean()"),
         "half-way pictures are cut off"),
        (HEAD + "with torch.no_grad():\n        x, y = G(a), F(b)\n"
         "    return (F(x) - a).abs().mean() + (G(y) - b).abs().mean()", "half-way pictures are cut off"),
        (loss(f"(F(G(a).detach()) - a).abs().mean() + {CYCLE_B}"), "G(a) is cut off"),
        (loss(f"({CYCLE_A} + {CYCLE_B}).detach()"), "no gradient reaches G or F"),
        (loss(f"({CYCLE_A} + {CYCLE_B}).item()"), "Leave out `.item()`"),
        (loss(f"{CYCLE_A}, {CYCLE_B}"), "You return a tuple"),
        (loss("F.l1_loss(F(G(a)), a) + F.l1_loss(G(F(b)), b)"), "hides torch's `F`"),
        (loss("nn.L1Loss(F(G(a)), a) + nn.L1Loss(G(F(b)), b)"), "`nn.L1Loss` is a class"),
        (loss("10 * (F(G(a)) - a).abs().mean() + 10 * (G(F(b)) - b).abs().mean()"), "it should be"),
        (loss(f"{CYCLE_A} + {CYCLE_B} + 1e-3"), "it should be"),
        (loss("((F(G(a)) - a) ** 2 + 1e-12).sqrt().mean() + ((G(F(b)) - b) ** 2 + 1e-12).sqrt().mean()"),
         "exactly 0"),
        (HEAD + f"loss = {CYCLE_A} + {CYCLE_B}\n    loss.backward()\n    return loss", "calls `backward()`"),
        (HEAD + f"loss = {CYCLE_A} + {CYCLE_B}", "is a `return` missing"),
        (HEAD + f"value = {CYCLE_A} + {CYCLE_B}\n    a.zero_()\n    return value", "in place"),
        ("def f(G, F, a): return (F(G(a)) - a).abs().mean()", "Keep the first line"),
        (loss("nn.functional.l1_loss(F(G(a)), a).float() + nn.functional.l1_loss(G(F(b)), b).float()"),
         "torch.float64"),
    ],
    "5.4": [
        (loss("(G(a) - a).abs().mean() + (F(b) - b).abs().mean()"), "it would translate nothing"),
        (loss("(G(a) - b).abs().mean() + (F(b) - a).abs().mean()"), "That needs pairs"),
        (loss("(G(b) - a).abs().mean() + (F(a) - b).abs().mean()"), "the picture of the other kind"),
        (loss("(G(b) - F(a)).abs().mean()"), "two answers with each other"),
        (loss(f"{CYCLE_A} + {CYCLE_B}"), "the cycle loss of exercise 5.3"),
        (loss(OWN_B), "G's half only"),
        (loss(OWN_A), "F's half only"),
        (loss(f"{OWN_B} + (F(b) - b).abs().mean()"), "F's half is on b"),
        (loss(f"({OWN_A} + {OWN_B}) / 2"), "half of the loss"),
        (loss("(G(b) - b).pow(2).mean() + (F(a) - a).pow(2).mean()"), "You square"),
        (loss("(G(b) - b).abs().sum() + (F(a) - a).abs().sum()"), "You take the sum"),
        (loss("(G(b) - b).mean().abs() + (F(a) - a).mean().abs()"), "errors above and below cancel"),
        (loss("(G(b) - b).abs() + (F(a) - a).abs()"), "A loss is one number"),
        (loss("(G(b).detach() - b).abs().mean() + (F(a) - a).abs().mean()"), "one translator learns nothing"),
        (loss("(G(b).detach() - b).abs().mean() + (F(a).detach() - a).abs().mean()"), "no gradient reaches"),
        (loss("F.l1_loss(G(b), b) + F.l1_loss(F(a), a)"), "hides torch's `F`"),
        (loss(f"0.5 * {OWN_B} + 5 * {OWN_A}"), "it should be"),
        (loss(f"({OWN_A} + {OWN_B}).item()"), "Leave out `.item()`"),
    ],
    "5.5": [
        (pool(coin="True"), "you never show a fresh picture"),
        (pool(coin="False"), "you always show the fresh picture"),
        (pool(new="pool[torch.randint(size, ())] = x"), "shown fresh changes the pool, too"),
        (pool(swap="x = pool[torch.randint(size, ())]"), "leave the pool as it was"),
        (pool(swap="old = pool[torch.randint(size, ())]; pool[torch.randint(size, ())] = x; x = old"),
         "the place of another"),
        (pool(swap="old = pool[torch.randint(size, ())]; pool.pop(0); pool.append(x); x = old"),
         "the place of another"),
        (pool(swap="i = torch.randint(size, ()); pool[i] = x; x = pool[i]"), "First `old = pool[i]`"),
        (pool(swap="i = torch.randint(size, ()); old = pool[i]; old.copy_(x); x = old"), "First `old"),
        (pool(swap="old = pool[torch.randint(size, ())]; pool.append(x); x = old"), "but its size is"),
        (pool(swap="x = pool.pop(torch.randint(size, ()))"), "Your pool shrinks"),
        (pool(swap="old = pool.pop(0); pool.append(x); x = old"), "always take the picture at place 0"),
        (pool(swap="i = torch.randint(size - 1, ()); x, pool[i] = pool[i], x"), "is never drawn"),
        (pool(swap="i = random.randint(0, size); x, pool[i] = pool[i], x"), "`random.randint(0, n)` may"),
        (pool(swap="i = int(size * random.random() ** 2); x, pool[i] = pool[i], x"), "same probability"),
        (pool(coin="torch.randn(()) > 0.5"), "Toss a fair coin"),
        (pool(coin="random.random() < 0.25"), "Toss a fair coin"),
        (pool().replace("    shown = []", "    heads = random.random() < 0.5\n    shown = []")
         .replace("torch.rand(()) < 0.5", "heads"), "one coin for the whole batch"),
        (pool().replace("    shown = []", "    i = torch.randint(size, ())\n    shown = []")
         .replace("i = torch.randint(size, ()); ", ""), "one place for the whole batch"),
        (pool(x="x"), "hangs on the graph"),
        (pool(x="x.clone()"), "hangs on the graph"),
        (pool(fill="pool.append(x.clone())", swap="i = random.randrange(size); y = pool[i]; "
              "pool[i] = x; x = y.detach()", x="x"), "hangs on the graph"),
        (pool(x="x.detach()"), "it holds views"),
        (pool(room="len(pool) <= size"), "but its size is"),
        (pool(room="len(pool) < 50"), "`size`, the most that it may hold, plays no part"),
        (pool(swap="old = random.choice(pool); pool.remove(old); pool.append(x); x = old"), "Draw a place i"),
        (pool(fill="pool = pool + [x]"), "Your pool stays empty"),
        (pool(fill="pool.append(x); x = torch.zeros_like(x)"), "pictures that nobody made"),
        (pool(fill="pool.append(x); x = random.choice(pool)"), "the coin comes later"),
        (pool(end="shown"), "`torch.stack(...)` makes one"),
        (pool(end="torch.cat(shown)"), "you return the shape"),
        (pool(x="x.detach().clone()[None]", end="torch.cat(shown)"), "Keep single pictures"),
        (pool(x="x.detach().clone()", fill="pool.append(len(pool))"), "Your pool holds an int"),
        (pool(room="len(pool) < size - 1"), "fewer than its size"),
        (pool(coin="random.random() < 0.5").replace("    shown = []", "    random.seed(0)\n    shown = []"),
         "A seed that is set"),
        (pool(x="x.detach().clone() * 0.5"), "nobody made"),
        ("""
def replay(pool, size, fresh):
    fresh = fresh.detach()
    if len(pool) < size:
        pool.extend(fresh.clone())
        return fresh
    for k in range(len(fresh)):
        if torch.rand(()) < 0.5:
            i = torch.randint(size, ())
            old = pool[i].clone()
            pool[i] = fresh[k].clone()
            fresh[k] = old
    return fresh
""", "Ask for each picture, not for each batch"),
        ("""
def replay(pool, size, fresh):
    fresh = fresh.detach()
    for k in range(len(fresh)):
        if len(pool) < size:
            pool.append(fresh[k].clone())
        elif torch.rand(()) < 0.5:
            i = torch.randint(size, ())
            old = pool[i]
            pool[i] = fresh[k].clone()
            fresh[k] = old
    return fresh
""", "changes `fresh` in place"),
        ("""
def replay(pool, size, fresh):
    shown = torch.zeros_like(fresh)
    for k, x in enumerate(fresh.detach().clone()):
        if len(pool) < size:
            pool.append(x)
        elif torch.rand(()) < 0.5:
            i = torch.randint(size, ())
            shown[k] = pool[i]
            pool[i] = x
    return shown
""", "pictures that nobody made"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("id", EXERCISES)
def test_the_reference_passes_with_many_seeds(id):
    for seed in range(100, 103 if id == "5.5" else 112):
        result = EXERCISES[id](EXERCISES[id].reference, seed=seed)
        assert result.passed, (seed, result)


@pytest.mark.parametrize(("id", "cell"), [(id, cell) for id, cells in RIGHT.items() for cell in cells])
def test_other_right_answers_pass(id, cell):
    result = EXERCISES[id](typed(cell), seed=2)
    assert result.passed, result


@pytest.mark.parametrize(
    ("id", "cell", "sentence"), [(id, *pair) for id, pairs in WRONG.items() for pair in pairs]
)
def test_a_typed_wrong_answer_gets_its_diagnosis(id, cell, sentence):
    rejected(EXERCISES[id], typed(cell), sentence, 0)


# What the references compute


def shades(seed=0):
    """Two translators x -> g x + c and y -> f y + d, and pictures."""
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, 3, 2, 4, 5, generator=generator, dtype=torch.float64) * 2 - 1
    return 1.5, 0.2, -0.4, 0.3, a, b


def test_cycle_loss_of_two_straight_lines():
    """F(G(a)) - a = (f g - 1) a + f c + d, and G(F(b)) - b = (g f - 1) b + g d + c."""
    g, c, f, d, a, b = shades()
    value = cycle_loss.reference(lambda x: g * x + c, lambda y: f * y + d, a, b)
    there = np.abs((f * g - 1) * a.numpy() + f * c + d).mean()
    back = np.abs((g * f - 1) * b.numpy() + g * d + c).mean()
    assert value.item() == pytest.approx(there + back, rel=1e-12)


@pytest.mark.parametrize(
    "change", [torch.neg, lambda x: x.flip(1), lambda x: x.flip(3), lambda x: -x.roll(1, 0).roll(-1, 0)]
)
def test_the_cycle_loss_cannot_see_a_change_that_undoes_itself(change):
    """And the identity loss can: that is the lesson of exercises 5.3 and 5.4."""
    *_, a, b = shades()
    assert cycle_loss.reference(change, change, a, b).item() == 0
    wanted = (change(b) - b).abs().mean() + (change(a) - a).abs().mean()
    assert identity_loss.reference(change, change, a, b).item() == pytest.approx(wanted.item())
    assert wanted > 0.5


def test_identity_loss_of_two_straight_lines():
    g, c, f, d, a, b = shades()
    value = identity_loss.reference(lambda x: g * x + c, lambda y: f * y + d, a, b)
    wanted = np.abs((g - 1) * b.numpy() + c).mean() + np.abs((f - 1) * a.numpy() + d).mean()
    assert value.item() == pytest.approx(wanted, rel=1e-12)


def test_replay_shows_half_from_history_at_the_age_that_follows():
    """A picture that was swapped in stays n swaps with probability (1 - 1/size)^(n-1) / size: mean size.

    So what is shown from the pool was made, on average, 2 size pictures ago (every second one is swapped in).
    """
    torch.manual_seed(0)
    kept, size, n = [], 5, 4000
    made = torch.arange(float(n)).reshape(-1, 1, 1, 1)
    shown = torch.cat([replay.reference(kept, size, x) for x in made.split(8)]).flatten()
    age = (made.flatten() - shown)[1000:]
    assert (age > 0).double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 / 3000**0.5)
    # the spread of an age is about its mean, 2 size: five standard deviations of the mean of 1,500
    assert age[age > 0].mean().item() == pytest.approx(2 * size, abs=5 * 2 * size / 1500**0.5)


def test_the_librarys_pool_passes_the_same_check():
    """`nn.replay.Pool` remembers in a buffer; here its pictures are written into the list of the exercise."""
    pools = {}

    def through_the_library(pool, size, fresh):
        if not pool:
            pools[id(pool)] = Pool(size, tuple(fresh.shape[1:]))
        memory = pools[id(pool)]
        shown = memory(fresh)
        pool[:] = [x.clone() for x in memory.kept[: memory.count]]
        return shown

    assert replay(through_the_library, seed=4).passed


# What is no answer


@pytest.mark.parametrize("id", EXERCISES)
@pytest.mark.parametrize("body", ["raise NotImplementedError", "...", "shown = []\n    return ..."])
def test_a_stub_is_not_attempted(id, body):
    names = "pool, size, fresh" if id == "5.5" else "G, F, a, b"
    result = EXERCISES[id](typed(f"def f({names}):\n    {body}"), seed=0)
    assert result.status == "not attempted", result


@pytest.mark.parametrize("id", EXERCISES)
@pytest.mark.parametrize("value", [3, np.zeros((2, 3)), (torch.zeros(2),), "text", {}, torch.zeros(2, 7)])
def test_results_of_a_wrong_kind_or_shape_fail_with_a_sentence(id, value):
    result = EXERCISES[id](lambda *a: value, seed=0)
    assert result.status == "failed"
    assert "could not work with" not in result.message, result


@pytest.mark.parametrize("id", ["5.3", "5.4"])
def test_a_constant_never_passes(id):
    fixed = EXERCISES[id].reference(*EXERCISES[id].draw(torch.Generator().manual_seed(5)))
    assert EXERCISES[id](lambda *a: fixed, seed=5).status == "failed"


@pytest.mark.parametrize("id", EXERCISES)
def test_code_in_sentences_is_quoted_and_nothing_else_is_marked_up(id):
    texts = [sentence for prop in EXERCISES[id].properties for _, sentence in prop.mistakes]
    for text in [*texts, *EXERCISES[id].hints]:
        assert text.count("`") % 2 == 0, text
        assert "{" not in text, text
        assert not re.search(r"\*\w+\*", text), text
