"""Exercises 7.3 to 7.5: right answers of every kind pass, each typical wrong one gets its diagnosis.

Answers are typed here as a student would, apart from the tables inside the checks.
"""

import re

import pytest
import torch
from test_exercises import rejected, typed

from course_lib import check, evaluate_text
from course_lib.check.text import dropout, neighbours
from course_lib.methods.text_to_image import forget
from course_lib.nn.text import CrossAttention

IDS = ["7.3", "7.4", "7.5"]
HEADERS = {"7.3": "q, k, v, mask", "7.4": "tokens, share, chance", "7.5": "made, held_out, train"}


def typed_as(id, body):
    return f"def answer_of_mine({HEADERS[id]}):\n    " + body.replace("\n", "\n    ")


def attention(
    scores="q @ k.transpose(2, 3) / q.shape[-1] ** 0.5",
    hidden="scores.masked_fill(~mask[:, None, None, :], -torch.inf)",
    weights="hidden.softmax(-1)",
    end="return weights @ v",
):
    return typed_as("7.3", f"scores = {scores}\nhidden = {hidden}\nweights = {weights}\n{end}")


def dropped(
    end="return torch.cat([tokens[:, :1], words], 1)",
    words="tokens[:, 1:].masked_fill(gone, 0)",
    gone="(chance < share)[:, None]",
):
    return typed_as("7.4", f"gone = {gone}\nwords = {words}\n{end}")


def copied(
    share="(mine < theirs.quantile(0.05)).float().mean()",
    near="torch.cdist(a.flatten(1), b.flatten(1)).min(1).values / a[0].numel() ** 0.5",
    end="return mine, share",
    mine="near(made, train)",
    theirs="near(held_out, train)",
):
    return typed_as(
        "7.5", f"near = lambda a, b: {near}\nmine, theirs = {mine}, {theirs}\nshare = {share}\n{end}"
    )


# id -> other right answers
RIGHT = {
    "7.3": [
        attention(),
        attention(hidden="scores.masked_fill(~mask[:, None, None, :], -1e9)"),
        attention(hidden="torch.where(mask[:, None, None], scores, torch.tensor(-torch.inf).to(scores))"),
        attention(scores="torch.einsum('bhpd,bhld->bhpl', q, k) / math.sqrt(k.shape[-1])"),
        attention(end="return torch.einsum('bhpl,bhld->bhpd', weights, v)"),
        attention(scores="(q / q.shape[-1] ** 0.5) @ k.mT"),
        attention(weights="(hidden - hidden.amax(-1, keepdim=True)).exp()",
                  end="return weights @ v / weights.sum(-1, keepdim=True)"),
        typed_as("7.3", "return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])"),
        # caption by caption, head by head
        typed_as("7.3", "out = torch.empty_like(q)\nfor b in range(len(q)):\n    for h in range(2):\n"
                 "        kk, vv = k[b, h, mask[b]], v[b, h, mask[b]]\n"
                 "        out[b, h] = (q[b, h] @ kk.T / q.shape[-1] ** 0.5).softmax(1) @ vv\nreturn out"),
    ],
    "7.4": [
        dropped(),
        dropped(words="torch.where(gone, 0, tokens[:, 1:])"),
        dropped(words="tokens[:, 1:] * ~gone"),
        dropped(gone="torch.lt(chance, share).view(-1, 1)"),
        dropped(end="out = tokens.clone()\nout[chance < share, 1:] = 0\nreturn out"),
        dropped(end="return tokens.masked_fill(gone & (tokens > 1), 0)"),
        dropped(end="kept = torch.arange(tokens.shape[1], device=tokens.device) == 0\n"
                "return torch.where(gone & ~kept, torch.zeros_like(tokens), tokens)"),
        typed_as("7.4", "out = []\nfor row, c in zip(tokens, chance):\n    row = row.clone()\n"
                 "    if c < share:\n        row[1:] = 0\n    out.append(row)\nreturn torch.stack(out)"),
    ],
    "7.5": [
        copied(),
        copied(near="(a[:, None] - b).pow(2).mean((2, 3, 4)).sqrt().amin(1)"),
        copied(near="torch.stack([((x - b) ** 2).flatten(1).mean(1).min().sqrt() for x in a])"),
        copied(near="((a.flatten(1) ** 2).sum(1)[:, None] - 2 * a.flatten(1) @ b.flatten(1).T"
               " + (b.flatten(1) ** 2).sum(1)).clamp(min=0).min(1).values.div(a[0].numel()).sqrt()"),
        copied(share="(mine < theirs.sort().values[int(0.05 * len(theirs)) - 1]).float().mean()"),
        copied(share="float((mine < torch.quantile(theirs, 0.05)).double().mean())"),
        copied(share="(mine < theirs.quantile(0.05)).sum() / len(made)"),
        copied(share="(mine <= np.percentile(theirs.numpy(), 5)).float().mean()"),
        copied(share="(mine < theirs.sort().values[int(0.05 * len(theirs))]).float().mean().item()"),
        copied(near="F.mse_loss(a[:, None].expand(-1, len(b), -1, -1, -1), b.expand(len(a), -1, -1, -1, -1), "
               "reduction='none').flatten(2).mean(2).min(1)[0].sqrt()"),
        "from course_lib.evaluate_text import copies, nearest\n"
        + typed_as("7.5", "return nearest(made, train).distance, copies(made, held_out, train)"),
    ],
}  # fmt: skip

# id -> (wrong answer, part of the sentence it must be told)
WRONG = {
    "7.3": [
        (attention(scores="q @ k.transpose(2, 3)"), "1 / sqrt(d) is missing"),
        (attention(scores="q @ k.transpose(2, 3) / q.shape[-1]"), "You divide by d"),
        (attention(scores="q @ k.transpose(2, 3) / k.shape[2] ** 0.5"), "root of the number of words"),
        (attention(scores="q @ k.transpose(2, 3) / (q.shape[1] * q.shape[3]) ** 0.5"), "heads times d"),
        (attention(scores="q @ k.transpose(2, 3) / q.shape[2] ** 0.5"), "root of the number of positions"),
        (attention(scores="q @ k.transpose(2, 3) / 4"), "You divide by 4"),
        (attention(scores="q @ k.transpose(2, 3)", weights="hidden.softmax(-1) / q.shape[-1] ** 0.5"),
         "after the softmax, so the weights do not"),
        (attention(scores="q @ k.reshape(*k.shape[:2], -1, k.shape[2]) / q.shape[-1] ** 0.5"),
         "`view` move no axis"),
        (attention(weights="hidden.softmax(-1).mean(1, keepdim=True)"), "the mean over the heads"),
        (attention(scores="(q @ k.transpose(2, 3)).mean(1, keepdim=True) / q.shape[-1] ** 0.5"),
         "the mean over the heads"),
        (attention(weights="scores / scores.sum(-1, keepdim=True)"), "divide the scores by their sum"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], 0)",
                   weights="hidden / hidden.sum(-1, keepdim=True)"), "divide the scores by their sum"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], -1)"), "Padding gets the score -1,"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], torch.inf)"), "Plus infinity has no"),
        (attention(hidden="scores + (~mask[:, None, None, :]).float() * -torch.inf"), "0 times infinity"),
        (attention(hidden="scores.masked_fill(~mask.any(0), -torch.inf)"), "where any of them has a word"),
        (attention(hidden="scores.masked_fill(~mask[0], -torch.inf)"), "that of the first"),
        (attention(hidden="scores", weights="scores.softmax(-1) * mask[:, None, None, :]",
                   end="weights = weights / (weights.sum(-1, keepdim=True) + 1e-8)\nreturn weights @ v"),
         "no longer add up to 1"),
        (attention(hidden="scores.masked_fill(mask[:, None, None, :], -torch.inf)"), "The mask is inverted"),
        (attention(hidden="scores"), "The mask plays no part"),
        (attention(hidden="scores", weights="hidden.softmax(-1) * mask[:, None, None, :]"),
         "add up to less than 1"),
        (attention(hidden="scores", end="return weights @ (v * mask[:, None, :, None])"),
         "add up to less than 1"),
        (attention(hidden="scores * mask[:, None, None, :]"), "e^0 = 1"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], 0)"), "e^0 = 1"),
        (attention(hidden="scores + mask[:, None, None, :]"), "You add the mask"),
        (attention(weights="hidden.softmax(-2)"), "does not run over the words"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], -1e9)", weights="hidden.softmax(2)"),
         "runs over the positions"),
        (attention(hidden="scores", weights="hidden.softmax(2)"), "runs over the positions"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], -1e9)", weights="hidden.softmax(1)"),
         "runs over the heads"),
        (attention(hidden="scores.masked_fill(~mask[:, None, :, None], -1e9)"), "lies along the positions"),
        (attention(weights="hidden.sigmoid()"), "You have a sigmoid"),
        (attention(weights="scores * mask[:, None, None, :]"), "The softmax is missing"),
        (attention(scores="q @ v.transpose(2, 3) / q.shape[-1] ** 0.5", end="return weights @ k"),
         "Keys and values are exchanged"),
        (attention(end="return weights @ k"), "You fetch the keys"),
        (attention(scores="k @ q.transpose(2, 3) / q.shape[-1] ** 0.5"), "Queries and keys are exchanged"),
        (attention(end="return weights"), "Those are the weights"),
        (attention(end="return (weights @ v).transpose(1, 2).flatten(2)"), "Leave the heads apart"),
        (attention(weights="hidden.exp() / hidden.exp().sum(-1, keepdim=True)"), "With large scores"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None, :], -50)"), "With large scores"),
        (attention(end="return weights @ v + q"), "You add the queries"),
        (attention(end="v *= 2\nreturn weights @ v / 2"), "in place"),
        (attention(end="return (weights @ v).float()"), "float64"),
        (attention(scores="q @ k / q.shape[-1] ** 0.5"), "Your code stopped"),
        (attention(weights="hidden.softmax(-1).view(3, 2, 6, 6)"), "Your code stopped"),
        (attention(hidden="scores.masked_fill(~mask[:, None, None], -torch.inf) + torch.zeros(scores.shape)"),
         "mixes devices"),
        (attention(end="return weights @ v, weights"), "You return a tuple"),
        (attention(hidden="scores.masked_fill(~mask[:1, None, None, :], -1e9)"), "that of the first"),
        (attention(scores="q @ k.transpose(2, 3) / 7"), "At ["),
    ],
    "7.4": [
        (dropped(words="tokens[:, 1:].masked_fill(torch.rand(tokens[:, 1:].shape) < share, 0)"),
         "numbers of your own"),
        (dropped(gone="(torch.rand(len(tokens)) < share)[:, None]"), "numbers of your own"),
        (dropped(end="return tokens.masked_fill(gone, 0)"), "The opening goes, too"),
        (dropped(gone="(chance > share)[:, None]"), "You leave out the wrong ones"),
        (dropped(gone="(chance >= share)[:, None]"), "You leave out the wrong ones"),
        (dropped(gone="(chance <= share)[:, None]"), "Take `<`, not `<=`"),
        (dropped(end="out = tokens.clone()\nout[chance.argsort()[:round(share * len(tokens))], 1:] = 0\n"
                 "return out"), "a fixed number of captions"),
        (dropped(end="out = tokens.clone()\nout[chance.argsort()[:int(share * len(tokens))], 1:] = 0\n"
                 "return out"), "a fixed number of captions"),
        (dropped(end="out = tokens.clone()\nout[:round(share * len(tokens)), 1:] = 0\nreturn out"),
         "You leave out the first rows"),
        (dropped(gone="(chance < 0.5)[:, None]"), "Your threshold is 0.5"),
        (dropped(end="out = tokens.clone()\nout[chance < share, 1:-1] = 0\nreturn out"),
         "The last token stays"),
        (dropped(end="return torch.cat([tokens[:, :1], tokens.masked_fill(gone, 0)], 1)"),
         "is the opening there twice"),
        (dropped(gone="(chance < 1 - share)[:, None]"), "for the share that stays"),
        (dropped(gone="(chance > 1 - share)[:, None]"), "with a large `chance`"),
        (dropped(gone="chance[0] < share"), "All captions are emptied. Is that one decision"),
        (dropped(gone="chance.mean() < share"), "as they were. Is that one decision"),
        (dropped(end="tokens.masked_fill(gone, 0)\nreturn tokens"), "All captions are as they were"),
        (dropped(end="return tokens.masked_fill(chance < share, 0)"), "run along the words"),
        (dropped(gone="(chance < share)[None, 1:]"), "run along the words"),
        (dropped(words="tokens[:, 1:].masked_fill(gone, 1)"), "You fill up with 1"),
        (dropped(end="return tokens.masked_fill(gone & (tokens == 1), 0)"), "Only the opening goes"),
        (dropped(end="out = tokens.clone()\nout[chance < share, 1] = 0\nreturn out"), "Only one word goes"),
        (dropped(end="out = tokens.clone()\nout[chance < share, 2:] = 0\nreturn out"), "first word stays"),
        (dropped(end="out = tokens.clone()\nout[chance < share, 3:] = 0\nreturn out"), "goes as a whole or"),
        (dropped(end="tokens[chance < share, 1:] = 0\nreturn tokens"), "in place"),
        (dropped(end="return tokens[chance >= share]"), "Captions are missing"),
        (dropped(end="return words"), "The opening is missing"),
        (dropped(end="return torch.cat([tokens[:, :1], words], 1).float()"), "stay int64"),
        (dropped(end="return torch.cat([torch.ones(len(tokens), 1), words], 1).long()"), "mixes devices"),
        (dropped(gone="(chance < max(share, 0.1))[:, None]"), "With share 0 no caption"),
        (dropped(gone="(chance < min(share, 0.9))[:, None]"), "With share 1 every caption"),
        (dropped(end="return words.tolist()"), "You return a list"),
    ],
    "7.5": [
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).mean(1) / a[0].numel() ** 0.5"),
         "the mean distance to all"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).min(1).values"), "You add up over the pixels"),
        (copied(near="(a[:, None] - b).pow(2).flatten(2).sum(2).amin(1)"), "You add up over the pixels"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).min(0).values / a[0].numel() ** 0.5"),
         "the wrong axis"),
        (copied(near="(a[:, None] - b).pow(2).flatten(2).mean(2).amin(1)"), "You forgot the root"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).min(1).values / a[0].numel()"),
         "after the root"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).min(1).values / (a[0, 0].numel()) ** 0.5"),
         "over rows and columns only"),
        (copied(near="(a[:, None] - b).abs().flatten(2).mean(2).amin(1)"), "You take absolute differences"),
        (copied(near="(a[:, None] - b).flatten(2).mean(2).square().sqrt().amin(1)"), "so that they cancel"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).max(1).values / a[0].numel() ** 0.5"),
         "You take the farthest"),
        (copied(mine="near(made, held_out)", theirs="near(held_out, made)"), "compare with the held-out"),
        (copied(mine="torch.cdist(made.flatten(1), train.flatten(1)).argmin(1)"), "from `argmin`"),
        (copied(end="return theirs, share"), "distances of the held-out drawings"),
        (copied("(mine < theirs.quantile(0.95)).float().mean()"), "the 95% quantile"),
        (copied("(mine < mine.quantile(0.05)).float().mean()"), "the made pictures themselves"),
        (copied("(mine < theirs.median()).float().mean()"), "the middle of the held-out"),
        (copied("(mine < theirs.min()).float().mean()"), "the nearest of all held-out"),
        (copied("(mine < 0.05).float().mean()"), "Is it 0.05 itself"),
        (copied("(mine < 0.05 * theirs.median()).float().mean()"), "5% of a distance"),
        (copied("(mine > theirs.quantile(0.05)).float().mean()"), "that are farther away"),
        (copied("(mine < theirs.quantile(0.05)).sum()"), "You count them"),
        (copied("100 * (mine < theirs.quantile(0.05)).float().mean()"), "You have percent"),
        (copied("theirs.quantile(0.05)"), "That is the threshold"),
        (copied("((mine < theirs.quantile(0.05)) & (mine > 0.01)).float().mean()"), "are copies here"),
        (copied("(mine < theirs.quantile(0.05)).float()"), "It is one number"),
        (copied(end="return share, mine"), "exchanged"),
        (copied(end="return share"), "Return two"),
        (copied(end="return mine, (mine < 0.21 * 2).float().mean()"), "Your share is"),
        (copied(near="((a[:, None] - b) / 2).pow(2).flatten(2).mean(2).sqrt().amin(1)"),
         "Your first distance is"),
        (copied("(mine < theirs.quantile(0.05)).sum() / len(train)"), "divide by the number of training"),
        (copied("(mine < theirs.quantile(0.05)).sum() / len(held_out)"), "divide by the number of held-out"),
        (copied(theirs="near(train, held_out)"), "the wrong way round"),
        (copied(theirs="near(made, held_out)"), "how near made pictures and held-out drawings"),
        (copied(theirs="near(held_out, made)"), "how near made pictures and held-out drawings"),
        (copied(theirs="near(train, train)"), "are the held-out drawings not used"),
        (copied(theirs="torch.cdist(train.flatten(1), train.flatten(1)).sort().values[:, 1] / 108 ** 0.5"),
         "Below the line, which is 0.2"),
        (copied(theirs="torch.cdist(held_out.flatten(1), train.flatten(1)) / 108 ** 0.5"),
         "a quantile of all distances"),
        (copied(theirs="torch.cdist(held_out.flatten(1), train.flatten(1)).min(1).values"),
         "All made pictures are below your threshold"),
        (copied(mine="near(made, torch.cat([train, held_out]))"), "among the held-out drawings, too"),
        (copied("(mine < theirs.quantile(0.025)).float().mean()"), "Below the line, which is 0.2"),
        (copied("(mine < theirs.quantile(0.1)).float().mean()"), "Below the line, which is 0.2"),
        (copied("(mine < 1.1 * theirs.quantile(0.05)).float().mean()"), "Below the line, which is 0.2"),
        (copied("(mine < theirs.mean() - 1.645 * theirs.std()).float().mean()"),
         "Below the line, which is 0.2"),
        (copied("(torch.cdist(made.flatten(1), train.flatten(1)) / 108 ** 0.5 < theirs.quantile(0.05))"
                ".float().mean()"), "You count pairs"),
        (copied("(mine < theirs.quantile(0.05)).any()"), "one yes or no"),
        (copied("bool((mine < theirs.quantile(0.05)).any())"), "one yes or no"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).min(1).values / 3072 ** 0.5"),
         "by the root of 3,072"),
        (copied(near="torch.cdist(a.flatten(1), b.flatten(1)).min(1).values / 3 ** 0.5"),
         "root of the number of channels only"),
        (copied(near="((a.flatten(1) ** 2).sum(1)[:, None] - 2 * a.flatten(1) @ b.flatten(1).T"
                " + (b.flatten(1) ** 2).sum(1)).min(1).values.div(a[0].numel()).sqrt()"),
         "By rounding, a squared"),
        (copied(end="made *= 2\nreturn mine, share"), "in place"),
    ],
}  # fmt: skip


def exercise(id):
    return check.exercises()[id]


def test_they_stand_in_order_under_these_names():
    module = check.text
    names = (
        module.quantise,
        module.latent_scale,
        module.cross_attention,
        module.drop_captions,
        module.copies,
    )
    assert [e.id for e in names] == [e.id for e in module.EXERCISES] == ["7.1", "7.2", *IDS]


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


def test_a_title_that_asks_is_not_followed_by_a_full_stop():
    assert repr(exercise("7.5")(exercise("7.5").reference, seed=0)).startswith(
        "Passed: 7.5 Is it new? Tested"
    )


# What the references compute: the library's numbers


def test_cross_attention_is_the_networks():
    torch.manual_seed(0)
    layer, x, words = CrossAttention(16, 6), torch.randn(2, 16, 3, 3), torch.randn(2, 5, 6)
    mask = torch.tensor([[True, True, False, False, False], [True, False, True, True, True]])
    q, k, v = layer._project(x, words)
    found = exercise("7.3").reference(q, k, v, mask)
    weights = layer.weights(x, words, mask).flatten(2, 3)  # (B, heads, H * W, L)
    torch.testing.assert_close(found, weights @ v)
    with torch.no_grad():
        torch.nn.init.dirac_(layer.out.weight)
        torch.testing.assert_close(layer(x, words, mask) - x, found.transpose(2, 3).reshape(2, 16, 3, 3))


def test_for_an_empty_caption_each_position_finds_the_values_of_the_opening():
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 3, 7, 4), torch.randn(2, 3, 5, 4), torch.randn(2, 3, 5, 4)
    mask = torch.tensor([True, False, False, False, False]).expand(2, -1)
    found = exercise("7.3").reference(q, k, v, mask)
    torch.testing.assert_close(found, v[:, :, :1].expand_as(found), rtol=0, atol=0)


def test_drop_captions_is_forget():
    """With the numbers that `forget` draws, the same captions go; a tenth of many, 5 sigma."""
    tokens, _, _ = dropout._many(0.1)(torch.Generator().manual_seed(0))
    tokens = tokens.repeat(20, 1)
    torch.manual_seed(3)
    theirs = forget(tokens, 0.1)
    torch.manual_seed(3)
    mine = exercise("7.4").reference(tokens, 0.1, torch.rand(len(tokens)))
    assert torch.equal(mine, theirs)
    gone = (mine[:, 1:] == 0).all(1).double().mean().item()
    assert gone == pytest.approx(0.1, abs=5 * (0.09 / len(tokens)) ** 0.5)


def test_copies_are_evaluate_texts_and_the_pictures_are_as_far_as_planned():
    for seed in range(5):
        made, held, train = neighbours._scene(torch.Generator().manual_seed(seed))
        distance, share = exercise("7.5").reference(made, held, train)
        torch.testing.assert_close(
            distance, evaluate_text.nearest(made, train).distance, rtol=1e-3, atol=1e-3
        )
        assert share.item() == pytest.approx(evaluate_text.copies(made, held, train))
        line = neighbours.nearest(held, train).quantile(0.05).item()
        assert 0.199 < line < 0.204
        assert (distance - line).abs().min() > 0.003
        assert 6 / 34 <= share <= 14 / 34


# What is no answer


@pytest.mark.parametrize("id", sorted(HEADERS))
@pytest.mark.parametrize("body", ["raise NotImplementedError", "...", "x = ...\n    return x"])
def test_a_stub_is_not_attempted(id, body):
    result = exercise(id)(typed(f"def f({HEADERS[id]}):\n    {body}"), seed=0)
    assert result.status == "not attempted", result


KINDS = [3, (torch.zeros(2), torch.zeros(2)), "text", {"a": 1}, torch.zeros(2, 7), torch.tensor(1), object()]


@pytest.mark.parametrize("id", sorted(HEADERS))
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
        assert "{" not in text, text
    for text in texts:
        assert not re.search(r"\*\w+\*", text), text
