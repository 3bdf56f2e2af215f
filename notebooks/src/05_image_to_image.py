# %% [markdown] slideshow={"slide_type": "slide"}
# # Image to image: pix2pix and CycleGAN
#
# A line drawing goes in, a coloured picture comes out. A map goes in, a photo of the Earth comes out. If
# somebody has made pairs, so that each input has its right answer, a network can learn from them, and a
# discriminator keeps it from blurring: that is pix2pix. Mostly nobody has. Then there are only two heaps of
# pictures, maps here, photos there, and CycleGAN learns from those alone. It sounds too good, and in part it
# is: **this notebook has kept the pairs hidden**, and takes them out at the end to see what an unpaired
# translation gets right and what it makes up.

# %% tags=["picture"]
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn.functional import l1_loss

from course_lib import check, data, earth, earth_runs, evaluate, recipes, styles, viz, zoo
from course_lib.check import hint
from course_lib.fit import batch_indices, fit, warmup_cosine
from course_lib.methods.cyclegan import CycleGAN
from course_lib.methods.pix2pix import Pix2Pix, verdict_loss
from course_lib.methods.pix2pix import pair as course_pair
from course_lib.nn import translators
from course_lib.nn.replay import Pool
from course_lib.nn.translators import PatchGAN, Translator
from course_lib.picture_files import pictures
from course_lib.sets import Box, to_floats
from course_lib.translate_files import translate_files
from course_lib.translation import in_pieces
from course_lib.widgets import Film, Quiz, TrainingFilm, Translate

torch.manual_seed(0)
recorded = earth_runs.bundled_film("live")  # recorded by us beforehand, from a run of 100 s
TrainingFilm(
    recorded,
    title="CycleGAN learns the Earth from maps and photos that do not belong together",
    alt="The Americas as CycleGAN paints them, and the map it makes of its own painting, over a training "
    "of 100 seconds. At first the painting is the map with shifted colours; then sand parts from "
    "forest, the sea turns dark, and the Amazon becomes dark green. The map that comes back is nearly "
    "right from the start.",
)

# %% [markdown]
# *A recording of 800 steps of training: 100 seconds on two processor cores that do nothing else. The last
# moment shows the averaged networks. You will train the same one yourself in section 5, for less than a
# minute. Left: what it paints for the map of the Americas, which it never saw in training. Right: the map
# that it makes of its own painting.*
#
# Play it, or go through it with the arrow keys. It never sees a map and a photo of the same place together.
# Still, sand parts from forest, and the sea turns dark. Remember one thing for later: the picture on the
# right is good long before the one on the left is.
#
# **After this notebook you can**
# 1. let a discriminator judge *pairs*, and say why a discriminator of single pictures is not enough
#    (exercise 5.1),
# 2. say how far a PatchGAN sees (exercise 5.2), and colour line drawings with pix2pix,
# 3. write the losses and the training step of CycleGAN (exercises 5.3 to 5.6), and train one in a minute,
# 4. show what cycle consistency does *not* promise, produce three ways in which it goes wrong while its loss
#    looks fine, and measure the truth with hidden pairs (section 6),
# 5. train a translator on two folders of your own pictures (section 8).
#
# **You need** notebook 03; 80 to 100 minutes. Running all cells takes about two minutes on two processor
# cores, without a GPU and without the internet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A picture for a picture
#
# The generators of notebooks 02 to 04 turned noise into pictures. From now on the input is a picture, too:
# a drawing is to become a coloured drawing, a map a photo. What is new is that somebody can say what the
# answer should have been. The data are **pairs** $(a, b)$ that fit pixel by pixel: $a$ a line drawing, $b$
# the same drawing in colour, as its authors made it.

# %%
drawings = data.openmoji("train")  # 1,315 pairs to learn from
held_drawings = data.openmoji("test")  # 154 for the figures; no concept lies in both
lines_held, truth_held = held_drawings[slice(None)]  # (154, 1, 64, 64) and (154, 3, 64, 64) in [-1, 1]

a, b = drawings[torch.tensor([56, 70, 98, 259, 308, 434, 707, 889])]
viz.rows(
    {"a": a.expand(-1, 3, -1, -1), "b": b},
    scale=1.3,
    alt="Two rows of eight small pictures. Above, line drawings in black on white; below, the same drawings "
    "filled with flat colours.",
)

# %% [markdown]
# With an answer for each question, why not do as always: let $G(a)$ be as near to $b$ as possible? Because
# an answer is not *the* answer. The lines of a T-shirt do not say whether it is red. Let us make the question
# as small as it gets. The lines are circles, and each ball is red, green or blue, by the roll of a die.


# %%
def balls(n, seed):
    """n pairs (lines, balls), (n, 1, 16, 16) and (n, 3, 16, 16); a third of the balls has each colour."""
    g = torch.Generator().manual_seed(seed)
    centre = 6.5 + 2 * torch.rand(2, n, 1, 1, generator=g)
    radius = 3 + 2 * torch.rand(n, 1, 1, generator=g)
    y, x = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    beyond = ((x - centre[0]).square() + (y - centre[1]).square()).sqrt() - radius  # (n, 16, 16)
    line = 2 * (beyond.abs() - 0.3).clamp(0, 1).unsqueeze(1) - 1
    colour = 2 * torch.eye(3)[torch.randint(3, (n,), generator=g)] - 1
    inside = (0.5 - beyond).clamp(0, 1).unsqueeze(1)
    return line, torch.minimum(line, 1 + inside * (colour[:, :, None, None] - 1))


class Rolled:
    """600 such pairs, as `fit` wants them."""

    a, b = balls(600, seed=0)

    def __len__(self):
        return 600

    def __getitem__(self, index):
        return self.a[index], self.b[index]


def colour_balls(gan, steps):
    """A pix2pix trained on balls, with or without its adversarial loss."""
    torch.manual_seed(0)
    model = Pix2Pix((1, 3), widths=(16, 32), blocks=1, d_widths=(16, 32), gan=gan, l1=1.0, lr=2e-3, lr_d=2e-3)
    run = fit(
        model, Rolled(), steps=steps, batch=16, lr=warmup_cosine(steps, flat=0.5), ema=0.9, progress=False
    )
    return run.model.cpu()


circles, rolled = balls(8, seed=1)
regressed = colour_balls(gan=0, steps=200).translate(circles)
three = 255 * torch.eye(3)  # red, green and blue
print("least squared error at: ", three.mean(0).tolist())
print("least absolute error at:", three.median(0).values.tolist())
viz.rows(
    {"lines": circles.expand(-1, 3, -1, -1), "rolled": rolled, "L1 alone": regressed},
    scale=3,
    alt="Three rows of eight balls. First circles; then the true balls, red, green and blue in no order; "
    "then those of the network that was trained with the L1 loss alone: all dark grey, nearly black.",
)

# %% [markdown]
# Coal. The two printed colours say why: they are the best that one constant can do against all three. For
# the squared error that is the **mean**, a dark grey; for the absolute error it is the **median** of each
# channel, and that is black, since the red of two balls in three is 0, and so are the green and the blue. In
# training no ball has ever been grey or black.
#
# It is the fault that you know from notebook 03: for everything that the input leaves open, regression gives
# a mean of the answers, and a mean of answers need not be an answer. There the cure was a second network
# that tells real from made. Here it must see more than the answer: *a fine blue ball is no answer to the
# lines of a shirt*. So $D$ judges **pairs**, and its question is whether these two pictures belong together.
#
# $$ \mathcal L_{\mathrm{cGAN}}(G, D) = \mathbb E_{a, b} \log D(a, b)
#    + \mathbb E_{a} \log\big(1 - D(a, G(a))\big) \tag{1} $$
# $$ \mathcal L_{L1}(G) = \mathbb E_{a, b} \lVert b - G(a) \rVert_1 \tag{3} $$
# $$ G^* = \arg\min_G \max_D \mathcal L_{\mathrm{cGAN}}(G, D) + \lambda \mathcal L_{L1}(G) \tag{4} $$
#
# This is **pix2pix** (Isola, Zhu, Zhou and Efros, arXiv 1611.07004), with its numbers of the equations. The
# L1 term says *what* and *where*, and the other one says: *and it must look like one of them*. Two remarks:
#
# - A game needs a loss for verdicts. We take the squares of LSGAN (arXiv 1611.04076), as CycleGAN will:
#   verdicts are plain numbers, 1 for "true", 0 for "made". `game="non-saturating"` gives the logarithms.
# - In the paper G has a noise $z$ as well. The authors found that G learnt to ignore it, and so we left it
#   out: to one drawing, there is one answer.


# %%
def loss_of_d(D, a, b, made):
    """Eq. 1 with squares; halved, which slows D down (section 3.3 of the paper)."""
    return ((D(a, b) - 1).square().mean() + D(a, made.detach()).square().mean()) / 2


def loss_of_g(D, a, b, made, lam):
    """Eq. 4 for G: its share of eq. 1, non-saturating, and lambda times eq. 3."""
    return (D(a, made) - 1).square().mean() + lam * (b - made).abs().mean()


model = Pix2Pix((1, 3), l1=50.0)
on_D, on_G = model.losses((a, b), step=0)  # the library's; no step is taken here


def judge(a, b):
    return model.D(course_pair(a, b))


assert torch.allclose(on_D.value, loss_of_d(judge, a, b, model.G(a)))
assert torch.allclose(on_G.value, loss_of_g(judge, a, b, model.G(a), 50.0))
print(f"D's loss {on_D.value:.4f}; G's loss {on_G.value:.4f}, of which 50 x L1 is {50 * on_G.logs['L1']:.4f}")

# %% [markdown]
# Now the balls once more: the same $G$ and the same data, and the advice of a $D$ beside L1.

# %% tags=["training"]
judged = colour_balls(gan=1, steps=400).translate(circles)
viz.rows(
    {"rolled": rolled, "L1 alone": regressed, "L1 and D": judged},
    scale=3,
    alt="Three rows of eight balls. The true ones, red, green and blue in no order; those of the network "
    "with the L1 loss alone, nearly black; and those of the network with a discriminator beside it, most of "
    "which have a clear colour.",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
for name, x in {"L1 alone": regressed, "L1 and D": judged}.items():
    print(f"{name}: L1 {(x - rolled).abs().mean() * 127.5:.1f} of 255")

# %% [markdown]
# With $D$, balls have colours that balls have. Notice two things.
#
# - **Nothing is rolled.** Which colour a ball gets is decided by its lines alone, by its size and place.
#   Without noise $G$ gives *one* plausible answer for each input, not the variety of answers. Train with
#   another seed, and it settles on other colours.
# - **By L1, the coloured balls are no better than coal, or worse**: two in three have the wrong colour, and a
#   wrong red costs more than black. Keep that in mind when you read a table of errors.

# %% [markdown]
# ### Exercise 5.1: The detective sees both
# *difficulty 2 of 5, about 10 minutes*
#
# Write the loss of such a discriminator. Here `D` is a network that takes **one** tensor and returns a map of
# verdicts, so the pair has to become one tensor: $b$'s channels behind $a$'s. $D$ is to say 1 to the real
# pair and 0 to the made one, with squares, each a mean over all verdicts; the sum is halved. `fake` comes
# from $G$ with its whole graph, because $G$ will need it right after. $D$'s loss must leave $G$ alone.


# %% tags=["exercise", "ex-5.1"]
def d_loss(D, a, b, fake):
    """D's loss on pairs: a (B, c_a, H, W), b and fake (B, c_b, H, W); D: (B, c_a + c_b, H, W) -> verdicts."""
    # SOLUTION
    on_real = D(torch.cat([a, b], 1))
    on_fake = D(torch.cat([a, fake.detach()], 1))
    return ((on_real - 1).square().mean() + on_fake.square().mean()) / 2
    # END SOLUTION
    # EXERCISE
    # | on_real = ...  # what D says to the real pair
    # | on_fake = ...  # and to the made one, which teaches G nothing here
    # | raise NotImplementedError  # then the loss: one number
    # END EXERCISE


# %%
check.translation.judge_pairs(d_loss)

# %% [markdown]
# If you are stuck: `hint("5.1", 1)`, then `hint("5.1", 2)`.

# %%
hint("5.1", 1)

# %% [markdown]
# And the library's. What does it cost a $D$ to have no idea, and to say 1/2 to everything? By the formula
# $\tfrac12(\tfrac14 + \tfrac14) = \tfrac14$. Remember this number. When $D$'s loss lies well below it in a
# training, $D$ knows something that $G$ does not know yet.

# %%
clueless, pairs = Pix2Pix.tiny()
with torch.no_grad():
    clueless.D.net[-1].weight.zero_()
    clueless.D.net[-1].bias.fill_(0.5)
print(f"D's loss: {next(clueless.losses(pairs, step=0)).value:.4f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Not one verdict but a map of them
#
# What is L1 bad at? Not at the rough layout: that the figure is in the middle and the paper white is worth
# many pixels, and regression learns it. It is bad at the choice *here*, of this colour and that edge. So $D$
# need not look at the whole picture, and in pix2pix it does not. A **PatchGAN** is a fully convolutional
# classifier that stops early. Its output is a map, and each number in it is the verdict about one patch of
# the two pictures. The loss is the mean over all verdicts, and so each patch gets its own piece of advice.
#
# Three things follow. $D$ is small, since it knows patches only. It judges pictures of any size. And one pair
# of pictures is hundreds of examples, of patches, which is much for a data set of 1,315 drawings.
#
# How large is a patch? As large as the **receptive field** of one output: the part of the input that it
# depends on, through all layers (kernel, stride). The paper's $D$ and ours:

# %%
D = PatchGAN(1 + 3, widths=(16, 32))
paper = [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]  # appendix 6.1.2
print("the paper's patches:", translators.receptive_field(paper), "pixels wide, of pictures of 256")
print("ours:", translators.receptive_field(D.layers), "pixels wide, of pictures of 64;  layers", D.layers)
print("its verdicts on one pair:", tuple(D(course_pair(lines_held[:1], truth_held[:1])).shape))

# %% [markdown]
# *(How to compute this is exercise 5.2.)* Now let us look at verdicts. We take a generator that is already
# trained, and train a fresh $D$ against it for some seconds. Then a hard test: held-out pictures that are
# true on the left side and made on the right side.

# %% tags=["training"]
painter = zoo.load("pix2pix_openmoji")  # trained by us beforehand: section 3
torch.manual_seed(0)
some_lines, some_truth = drawings[torch.randperm(len(drawings))[:320]]
some_made = painter.translate(some_lines)
opt_D = torch.optim.Adam(D.parameters(), 2e-3, (0.5, 0.99))
for step in range(120):
    i = batch_indices(320, seed=0, start=16 * step, count=16)
    on_true = D(course_pair(some_lines[i], some_truth[i]))
    on_made = D(course_pair(some_lines[i], some_made[i]))
    loss = (verdict_loss(on_true, True) + verdict_loss(on_made, False)) / 2
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()

# %%
shown = torch.tensor([10, 17, 40, 75, 100, 130])
line, true = lines_held[shown], truth_held[shown]
made = painter.translate(line)
half = torch.cat([true[..., :32], made[..., 32:]], 3)  # true on the left side, made on the right


def verdict_map(colour):
    """D's verdicts on these drawings in `colour`, as pictures: white is "true", black is "made"."""
    with torch.no_grad():
        verdict = D(course_pair(line, colour))  # (6, 1, 16, 16)
    large = (2 * verdict - 1).clamp(-1, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
    return large.expand(-1, 3, -1, -1)


viz.rows(
    {
        "true": true,
        "verdicts on true": verdict_map(true),
        "made": made,
        "verdicts on made": verdict_map(made),
        "half and half": half,
        "verdicts on half": verdict_map(half),
    },
    scale=1.1,
    quality=72,
    alt="Six drawings in three versions, each with D's map of verdicts below it, light for true and dark for "
    "made. On the true pictures the map is light where there is red, blue or brown, and doubtful on yellow; "
    "on the made ones it is dark. On pictures that are true on their left side and made on their right, the "
    "map of the sign and the doll is light at the left and dark at the right.",
)

# %% [markdown]
# Look at the last two rows: one picture, two verdicts. $D$ says *where* the painter fails, and $G$ is told so
# place by place. On empty paper there is nothing to go by, and the map is dull. Notice what this $D$ goes by
# elsewhere: red and blue the painter hardly ever dares, so they count as true; yellow it paints everywhere,
# so even a true yellow is suspect. A longer training would teach $D$ to look more closely.

# %% [markdown]
# ### Exercise 5.2: How far does a patch reach?
# *difficulty 2 of 5, about 10 minutes*
#
# Compute it yourself. You are given the layers from the picture to the verdict, each as (kernel, stride). How
# many pixels of the picture, side by side, can change *one* verdict? (Padding plays no part: a verdict at the
# margin sees a piece of it.) The check compares with what autograd finds: the pixels for which one output has
# a gradient.


# %% tags=["exercise", "ex-5.2"]
def receptive_field(layers):
    """How many pixels wide one verdict sees. layers: [(kernel, stride), ...] from the picture on -> int."""
    # SOLUTION
    r = 1
    for kernel, stride in reversed(layers):
        r = (r - 1) * stride + kernel
    return r
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.translation.reach(receptive_field)

# %% [markdown]
# If you are stuck: `hint("5.2", 1)`, then `hint("5.2", 2)`.

# %%
hint("5.2", 1)

# %% [markdown]
# The library's version beside autograd, for the $D$ that we have just trained. One verdict from the middle of
# its map, and how much each pixel matters to it: the size of its gradient.

# %%
by_formula = translators.receptive_field(D.layers)
shown_to_d = course_pair(line, made).detach().requires_grad_()
verdicts = D(shown_to_d)  # (7, 1, 16, 16)
(slope,) = torch.autograd.grad(verdicts[:, 0, 8, 8].sum(), shown_to_d)
matters = slope.abs().sum((0, 1))  # (64, 64)
by_autograd = int((matters.sum(0) > 0).sum())
assert by_autograd == by_formula
print(f"formula {by_formula} pixels, autograd {by_autograd} pixels")
viz.grid(
    (2 * (matters / matters.max()).sqrt() - 1)[None, None].expand(-1, 3, -1, -1),
    columns=1,
    scale=4,
    alt=f"A black square of 64 x 64 pixels. In its middle a bright patch, {by_formula} pixels wide and high, "
    "brightest at its centre and dark towards its edges.",
)

# %% [markdown]
# The patch has sharp edges, and outside of them the gradient is exactly 0. Inside it is far from even. Pixels
# at the centre reach the verdict on many ways through the layers, those at the edge on a single one. So the
# number that you computed is an upper bound: *mostly* $D$ judges by less than that.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Colouring OpenMoji
#
# Enough balls; the drawings are waiting. You have the whole method now:
#
# - $G$ is a **U-Net**. Its short cuts carry the lines from the input to the output at full size. Its bottom
#   has only 2 x 2 places, each of which sees the whole figure, and is free for the question *what is this?*
# - $D$ is the PatchGAN of section 2. It sees lines and colours, as four channels.
# - The loss is eq. 4, with $\lambda = 50$. Each step shows 16 pairs, mirrored and moved at random, both
#   pictures of a pair alike: 1,315 drawings are few.
#
# Here it is, from scratch, for about twenty seconds.

# %% tags=["training"]
torch.manual_seed(0)
beginner = Pix2Pix(
    channels=(1, 3),
    widths=(16, 32, 48, 64, 64),
    blocks=1,
    norm="batch",
    d_widths=(16, 32),
    l1=50.0,
    flip=True,
    shift=3,
    lr=3e-3,
    lr_d=1e-3,
).to(memory_format=torch.channels_last)  # the layout in memory that is faster here; it changes no number
run = fit(beginner, drawings, steps=240, batch=16, lr=warmup_cosine(240, flat=0.3), ema=0.98)
beginner = run.model.cpu()
print(run)

# %% [markdown]
# How good is it? On the 154 held-out drawings we measure L1: how far a channel of a pixel is from the truth,
# on the scale from 0 to 255, on average. A mean error needs company, or nobody can read it:
#
# - **lines copied**: leave the drawing as it is. Most of every picture is white paper, so this is not easy
#   to beat;
# - **mean training picture**: one answer for all drawings;
# - **nearest training drawing**: look for the training drawing whose lines are most alike, and put *its*
#   colours under these lines. No learning, a look-up in a memory of 1,315 pictures;
# - and a network of the same kind that we trained beforehand, for much longer: the **bundled** one.

# %%
answers = {"240 steps, just now": beginner, "bundled": painter}
scored = {name: evaluate.coloured_lines(model) for name, model in answers.items()}
table = {name: (scored[name], "network") for name in answers}
for name in ("nearest training drawing", "lines copied", "mean training picture"):
    table[name] = scored["bundled"], name
print(f"{'L1 on the test drawings, 0 to 255':34}{'all pixels':>12}{'coloured pixels':>18}")
for label, (scores, name) in table.items():
    print(f"{label:34}{scores[f'{name}, L1']:12.1f}{scores[f'{name}, L1 on coloured pixels']:18.1f}")

# %%
some = torch.tensor([7, 14, 21, 34, 53, 86, 121])
viz.rows(
    {
        "lines": lines_held[some].expand(-1, 3, -1, -1),
        "240 steps": beginner.translate(lines_held[some]),
        "bundled": painter.translate(lines_held[some]),
        "true": truth_held[some],
    },
    scale=1.0,
    quality=72,
    alt="Four rows of seven held-out drawings. First the lines; then the network trained for 240 steps, "
    "which fills figures with pale yellow beige; then the bundled one, whose faces are yellow, with hair "
    "and clothes in other colours; last the true drawings, whose colours are fuller and have more variety.",
)

# %% [markdown]
# *No drawing here was in the training data.* After 240 steps the network has found out what paper is and what
# a figure is, and has hardly more than one colour for all of it, the yellow beige of a mean. With more
# training it tells skin from hair and clothes. What it has seen often, it colours well: faces, hands, people.
# For the rest it guesses:

# %%
guesses = torch.tensor([98, 99, 15, 16, 108, 37, 84])
viz.rows(
    {
        "lines": lines_held[guesses].expand(-1, 3, -1, -1),
        "bundled": painter.translate(lines_held[guesses]),
        "true": truth_held[guesses],
    },
    scale=1.0,
    quality=72,
    alt="Seven drawings where the painting is wrong. Two empty squares, painted alike, are red and blue in "
    "truth. An apple, green in truth, and a peach, pink in truth, get other colours. A lettuce, a lantern "
    "and a statue are pale or muddy, where the truth is green, red or blue.",
)

# %% [markdown]
# Look at the two squares at the left. Their lines are the same, so their paintings are, and at least one
# must be wrong: it is the die of section 1, in real data. The apple is another kind of failure. Its
# lines do not say green or red, and L1 is cheapest somewhere between, or with no colour at all. In red it
# would be no mistake, only another apple, and L1 would charge for it all the same. And where the kind of
# thing is rare, the colours are pale or muddy: that is, once more, a mean of what might have been.
#
# **What did $D$ do here?** Less than for the balls. We trained the same $G$ for 2,000 steps with the L1 loss
# alone, and it came out at 14.4 on the test drawings, with $D$ at 14.5 (and the bundled one, trained longer,
# at 14.2; with two other seeds at 14.4 and 14.7). Side by side the pictures are hard to tell apart. With
# $\lambda = 50$ the L1 term is by far the larger part of the loss. In the lines of such flat drawings there
# is no texture to invent, which is where $D$ is strong; with photos, in the next section, there is. Train
# with `l1=5` and see what you get, and what L1 says of it.
#
# **What to remember of the numbers.** L1 ranks regressions; it cannot say whether a colouring is good. In
# notebook 01 a network was given four greys of the true picture beside its lines, and came to 36 on the
# coloured pixels: so small a hint settles much of what lines leave open. That is how colouring is used in
# practice, with a few dabs of colour from the person who draws.

# %% [markdown]
# ### Draw something yourself
#
# Here is a sheet of paper, 64 units wide, with pens as thick as OpenMoji's. Change the lines, or write a
# function of your own, and run the cell again. Then try what a figure becomes when its outline is not
# closed, when it is drawn smaller, or when the face loses its mouth.


# %%
def sheet(draw_on):
    """A drawing as the network knows them, (1, 1, 64, 64): drawn eight times as large, then made smaller."""
    paper = Image.new("L", (512, 512), 255)
    draw_on(ImageDraw.Draw(paper))
    small = np.array(paper.resize((64, 64), Image.Resampling.LANCZOS), dtype=np.float32)
    return torch.from_numpy(small).view(1, 1, 64, 64) / 127.5 - 1


def at(*units):
    """Units of the sheet, 0 to 64, as pixels of the large paper."""
    return [8 * x for x in units]


def line_through(pen, *points):
    """A line through the points x, y, x, y, ..."""
    pen.line(at(*points), fill=0, width=14, joint="curve")


def face(pen):
    pen.ellipse(at(11, 11, 53, 53), outline=0, width=14)
    for x in (24, 40):
        pen.ellipse(at(x - 2.5, 23, x + 2.5, 29), fill=0)
    pen.arc(at(21, 22, 43, 46), 20, 160, fill=0, width=14)


def house(pen):
    line_through(pen, 14, 30, 14, 54, 50, 54, 50, 30)
    line_through(pen, 8, 33, 32, 12, 56, 33)
    line_through(pen, 27, 54, 27, 41, 37, 41, 37, 54)


def sprout(pen):
    line_through(pen, 32, 56, 32, 26)
    line_through(pen, 32, 36, 18, 32, 14, 20, 26, 24, 32, 36)
    line_through(pen, 32, 28, 40, 14, 52, 12, 46, 26, 32, 28)


def shirt(pen):
    line_through(pen, 24, 12, 12, 18, 8, 30, 17, 33, 19, 28, 19, 54)
    line_through(pen, 19, 54, 45, 54, 45, 28, 47, 33, 56, 30, 52, 18, 40, 12)
    pen.arc(at(24, 4, 40, 20), 0, 180, fill=0, width=14)


mine = torch.cat([sheet(drawing) for drawing in (face, house, sprout, shirt)])
viz.rows(
    {"my lines": mine.expand(-1, 3, -1, -1), "painted": painter.translate(mine)},
    scale=1.5,
    quality=72,
    alt="Four drawings made of a few lines, a smiling face, a house, a sprout with two leaves and a shirt; "
    "and below them the same as the network paints them: the face is yellow.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. From a map to a photo of the Earth
#
# Drawings have one right colouring in somebody's head. For a place on the Earth the right answer is a fact:
# a satellite took the picture. So here a translation can be *measured*, and this is where we shall also
# measure translations that were learnt without any pairs.
#
# Two pictures of the whole Earth, aligned pixel by pixel: a **relief map**, drawn by cartographers, and a
# **satellite photo**, brightened a little because the original is dark. The rules of the game, for everything
# that follows:
#
# - we **learn** on Africa, Europe and western Asia,
# - we **choose** (when to stop, which settings) on eastern Asia and Australia,
# - we **test** on the Americas, which no network here has ever seen.

# %%
americas = earth.place("test")


def smaller(*pictures):
    """Pictures of the Americas at half their size, to be shown."""
    return nn.functional.avg_pool2d(torch.cat(pictures), 2)


print(f"the Americas: map and photo {tuple(americas.relief.shape)}, land {americas.land.float().mean():.0%}")
viz.photos(
    smaller(americas.relief, americas.photo),
    columns=2,
    alt="The Americas twice. On the relief map land is brown where it is high or dry and green elsewhere, "
    "and the sea is an even light blue. On the photo the Amazon is dark green, the west of North "
    "America and the Andes sandy, the sea dark blue with paler shelves along the coasts.",
)

# %% [markdown]
# Compare them before you go on. Much of the photo can be read off the map: brown is dry, green is wet. But
# the map's green is one green, and the photo's ranges from rain forest to farmland. The map's sea is flat,
# the photo's has depths. Snow and lakes are not on the map at all. **No method can paint what its input does
# not know;** it can only guess, and a discriminator rewards the guess that looks most like a photo.
#
# A patch of 64 pixels spans 17 degrees here, from Rome to Berlin and on: what grows at a place is decided by
# what lies around it, and a network that sees more than one pixel can use that. How much is it worth? The
# plainest supervised method is a table that gives each colour of the map the mean colour that photos have
# there. It knows pairs, but no surroundings.

# %%
paired = zoo.load("pix2pix_earth")  # trained by us beforehand: about 5 minutes
painted = {
    "mean land, mean sea": earth.two_colours(americas),
    "colour table, with pairs": earth.colour_table(americas),
    "pix2pix, with pairs": earth.translated(paired.translate, americas),
}


def report(painted):
    """Errors of painted photos of the Americas, one line each."""
    print(f"{'mean error, 0 to 255':28}{'whole box':>10}{'land':>8}{'regions right':>15}")
    for name, photo in painted.items():
        s = earth.scores(americas, photo)
        print(f"{name:28}{s['box']:10.1f}{s['land']:8.1f}{s['regions right']:9.0f} of 9")


report(painted)
viz.photos(
    smaller(*painted.values(), americas.photo),
    columns=4,
    alt="Four pictures of the Americas: one sandy colour for all land and one blue for the sea; the "
    "colour table, with sharp mountains, sand in the west and an olive Amazon; pix2pix, softer, with "
    "a greener Amazon and east, pale blurred sand in the west and a darker sea; and the true photo, "
    "with a dark green Amazon and much detail.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Without pairs: CycleGAN
#
# Who has pairs? Nobody has photographed a zebra and then the same animal, in the same step, as a horse. There
# are only two heaps: pictures of kind $A$, pictures of kind $B$. Say, maps from anywhere and photos from
# anywhere else. Two heaps are enough for a *discriminator*: $D_B$ learns what photos look like, and a
# translator $G: A \to B$ that wants to be believed must paint photos. As a loss, with squares in place of
# logarithms (LSGAN: $D$ is to say 1 for real, 0 for made):
#
# $$ \mathcal L_\text{GAN}(G, D_B) = \mathbb E_b \big(D_B(b) - 1\big)^2 + \mathbb E_a\, D_B(G(a))^2,
# \qquad G \text{ wants } D_B(G(a)) = 1 $$
#
# But which photo? A $G$ that paints the same splendid photo of the Sahara for every map would be believed.
# The discriminator never sees the map. So what makes $G(a)$ a picture *of* $a$?
#
# The idea of CycleGAN: nothing may be lost. A second translator $F: B \to A$ goes the other way, with its own
# discriminator $D_A$, and there and back must be where we started:
#
# $$ \mathcal L_\text{cyc}(G, F) = \mathbb E_a \big|F(G(a)) - a\big| + \mathbb E_b \big|G(F(b)) - b\big|
# \qquad \text{(eq. 2)} $$
#
# $$ \mathcal L = \mathcal L_\text{GAN}(G, D_B) + \mathcal L_\text{GAN}(F, D_A) + \lambda\, \mathcal
# L_\text{cyc}(G, F) \qquad \text{(eq. 3)} $$
#
# (Bars mean: the mean of absolute differences over all pixels.)

# %% [markdown]
# ### Exercise 5.3: There and back
# *difficulty 2 of 5, about 8 minutes*
#
# Write equation 2. `G` and `F` are translators: call them like functions, with a batch of pictures. `a` and
# `b` are batches of both kinds, and they are *not* pairs: nothing may compare a picture of one with a
# picture of the other. Both bars are means over all pixels, channels and pictures, and the two means are
# added.
#
# A trap in the names: inside this function `F` is the way back from B to A, so torch's `F` is hidden. Write
# `(x - y).abs().mean()`, or `nn.functional.l1_loss`.


# %% tags=["exercise", "ex-5.3"]
def cycle_loss(G, F, a, b):
    """Equation 2. G: A -> B, F: B -> A, functions of pictures; a, b (B, C, H, W) -> one number."""
    # SOLUTION
    return (F(G(a)) - a).abs().mean() + (G(F(b)) - b).abs().mean()
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.translation.cycle_loss(cycle_loss)

# %% [markdown]
# If you are stuck: `hint("5.3", 1)`, then `hint("5.3", 2)`.

# %%
hint("5.3", 1)

# %% [markdown]
# The library's version stands inside a training step. It notes half of the loss, the mean of both ways, so
# that the number reads as an error per round trip. On two small networks that have learnt nothing:

# %%
tiny, batch = CycleGAN.tiny()
first = next(tiny.losses(batch, step=0))  # the loss of G and F, and what is noted beside it
a, b = tiny.colours_A(batch[0]), tiny.colours_B(batch[1])
with torch.no_grad():
    by_formula = (tiny.F(tiny.G(a)) - a).abs().mean() + (tiny.G(tiny.F(b)) - b).abs().mean()
assert torch.allclose(by_formula, 2 * first.logs["cycle"])
print(f"cycle loss {by_formula:.4f}: {first.logs['cycle']:.4f} for each way")

# %% [markdown]
# ### What the cycle loss cannot see
#
# The check has tested your loss on some odd translators. Here they are, on the Americas. Each is used for
# both directions, and each is a change that *undoes itself*: done twice, it leaves everything as it was.
# (Such a change is called an **involution**.)

# %%
maps, photos = americas.relief, americas.photo  # (1, 3, 432, 352) in [-1, 1]
changes = {
    "nothing": lambda x: x,
    "negative": lambda x: -x,
    "red for blue": lambda x: x.flip(1),
    "upside down": lambda x: x.flip(2),
}
for name, change in changes.items():
    there_and_back = l1_loss(change(change(maps)), maps) + l1_loss(change(change(photos)), photos)
    print(f"{name:14} cycle loss {there_and_back:.3f}")
part = maps[..., 200:296, 180:276]  # the Andes and the Amazon
viz.rows(
    {name: torch.cat([part, change(part), change(change(part))]) for name, change in changes.items()},
    scale=0.8,
    quality=72,
    alt="Four rows of three pictures: a map of the Andes and the Amazon, the map after a change, and "
    "after the change a second time. The changes: nothing; the negative; red and blue exchanged; upside "
    "down. The third picture is always the first one again, whatever the second looks like.",
)

# %% [markdown]
# Left the map, in the middle the "photo", right the map that comes back. All four losses are **exactly 0**,
# the best there is. The middle column is wrong in three different ways (and in the first row nothing is
# translated at all), and the right column shows none of it.
#
# That is no weakness of this formula which a better formula would mend. The cycle loss asks one thing: is
# anything *lost*? An exchange loses nothing. If $G$ paints every desert as a forest and every forest as a
# desert, and $F$ reads them the same way, every map comes back without a fault. It is left to $D$ to
# object, and $D$ knows deserts and forests only by their looks, not by their place on the map.
#
# So: **a small cycle loss is necessary, and says nothing about being right.** Section 6 shows trainings in
# which exactly that happens.

# %% [markdown]
# ### Exercise 5.4: What is sand already
# *difficulty 1 of 5, about 5 minutes*
#
# The paper has a remedy (section 5.2), made for paintings that were to become photos and came out in other
# colours. Our $G$ makes photos. So if somebody hands it a photo, in place of a map, it has nothing to do:
# what is sand already must stay sand. In the same way $F$, which makes maps, must leave maps alone:
#
# $$ \mathcal L_\text{identity}(G, F) = \mathbb E_b \big|G(b) - b\big| + \mathbb E_a \big|F(a) - a\big| $$
#
# Look twice at which of them gets which picture. (As before, `F` hides torch's `F`.)


# %% tags=["exercise", "ex-5.4"]
def identity_loss(G, F, a, b):
    """Section 5.2. G: A -> B, F: B -> A, functions of pictures; a, b (B, C, H, W) -> one number."""
    # SOLUTION
    return (G(b) - b).abs().mean() + (F(a) - a).abs().mean()
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.translation.identity_loss(identity_loss)

# %% [markdown]
# If you are stuck: `hint("5.4", 1)`, then `hint("5.4", 2)`.

# %%
hint("5.4", 1)

# %% [markdown]
# The library adds it to the loss of $G$ and $F$ with the weight `identity`. So the losses with two weights
# differ by the identity loss, times the difference of the weights:

# %%
tiny, batch = CycleGAN.tiny()
a, b = tiny.colours_A(batch[0]), tiny.colours_B(batch[1])
values = {}
for tiny.identity in (0.0, 2.0):
    values[tiny.identity] = next(tiny.losses(batch, step=0)).value.detach()
with torch.no_grad():
    by_formula = (tiny.G(b) - b).abs().mean() + (tiny.F(a) - a).abs().mean()
assert torch.allclose((values[2.0] - values[0.0]) / 2, by_formula, atol=1e-5)
print(f"identity loss {by_formula:.4f}")
print()
for name, change in changes.items():
    moved = l1_loss(change(photos), photos) + l1_loss(change(maps), maps)
    print(f"{name:14} cycle loss 0.000    identity loss {moved:.3f}")

# %% [markdown]
# Now the three exchanges cost something, and the identity loss tells them from a translator that keeps its
# hands off. But read the first line as well: *doing nothing* is what this loss likes best, for maps, too,
# as long as maps look a little like photos. It does not know what is right. It pulls towards "leave the
# colours alone", and that helps exactly where colours should be left alone. With a small weight it can
# prevent a swap; with a large one, kept to the end, nothing gets translated. Our own recipe for the Earth
# does without it, and *begins* with the colours left alone instead (`start="input"`).

# %% [markdown]
# ### Exercise 5.5: A memory of fifty
# *difficulty 3 of 5, about 15 minutes*
#
# A discriminator that sees only the newest fakes may forget what it knew of older ones. Then $G$ can return
# to an old trick, $D$ learns it again, $G$ goes on to the next, and the two run in circles (as in notebook
# 03, section 5). A remedy from arXiv 1612.07828, which CycleGAN has taken over: $D$ also sees **earlier**
# fakes. A pool keeps 50 of them, for each discriminator.
#
# Write `replay`. `pool` is a list of single pictures (C, H, W), empty in the beginning; *change this list
# itself*. For each picture of the batch `fresh`, one after the other:
#
# - as long as the list holds fewer than `size`: keep the fresh picture, and show it;
# - after that toss a fair coin. *Heads:* show a picture of the pool, each with the same probability, and let
#   the fresh one take its place. *Tails:* show the fresh one, and leave the pool as it is.
#
# What you show and what you keep are **copies without a graph**, `x.detach().clone()`. Without `detach`
# each picture would drag along the whole computation that made it (a quiz at the end of this notebook is
# about that). Without `clone` it would be a view of its batch: as long as one picture is kept, the batch
# stays in memory.


# %% tags=["exercise", "ex-5.5"]
def replay(pool, size, fresh):
    """What D gets to see. pool: list of (C, H, W), changed in place; fresh (B, C, H, W) -> (B, C, H, W)."""
    # SOLUTION
    shown = []
    for x in fresh.detach().clone():
        if len(pool) < size:
            pool.append(x)
        elif torch.rand(()) < 0.5:
            i = int(torch.randint(size, ()))
            x, pool[i] = pool[i], x
        shown.append(x)
    return torch.stack(shown)
    # END SOLUTION
    # EXERCISE
    # | shown = []
    # | for x in ...:  # one picture after the other
    # |     ...  # three cases
    # |     shown.append(x)
    # | raise NotImplementedError  # then return what is shown as one batch
    # END EXERCISE


# %%
check.translation.replay(replay)

# %% [markdown]
# If you are stuck: `hint("5.5", 1)`, then `hint("5.5", 2)`.

# %%
hint("5.5", 1)

# %% [markdown]
# How far back does this memory reach? The library's pool keeps its pictures in a buffer, so that a training
# that was interrupted goes on with the same memory. We let 10,000 "pictures" of one pixel pass, each of
# which holds the number of its own making, and look at the age of what is shown.

# %%
torch.manual_seed(0)
memory = Pool(50, (1, 1, 1))
numbers = torch.arange(10_000.0).reshape(-1, 1, 1, 1)
age = (numbers - torch.cat([memory(part) for part in numbers.split(8)])).flatten()[1000:]
old = age[age > 0]
print(f"from the pool: {len(old) / len(age):.1%}    mean age of those: {old.mean():.0f} pictures")
print(f"older than 300 pictures: {(old > 300).float().mean():.1%}")

# %% [markdown]
# A picture in the pool is exchanged with probability $\tfrac12 \cdot \tfrac1{50}$ whenever a new one comes,
# so it stays for 100 pictures on average, and one in twenty ($e^{-3}$) for more than 300. It is a memory
# that fades: no picture is thrown out for its age.
#
# Whether the memory is worth its place is a question for an experiment, not for a belief. Our recipe for
# the Earth works without (`pool=0`); with `CycleGAN(pool=50)` you can try.

# %% [markdown]
# ### Exercise 5.6: Whose turn is it?
# *difficulty 4 of 5, about 20 minutes*
#
# Now all together: one step of CycleGAN. There are four networks and two optimizers, `opt_G` for both
# translators and `opt_D` for both discriminators. The order is that of the authors' code:
#
# 1. Both fakes are made **once**: $G(a)$ and $F(b)$.
# 2. $G$ and $F$ move first. Their loss: each discriminator is to say 1 to its fake (mean squares, added), and
#    `cycle` times equation 2.
# 3. Then the discriminators move, **on the same two fakes**, made before $G$ and $F$ moved. No second pass
#    through the translators. Their loss: 1 to real, 0 to fake (mean squares), all four added, and halved.
#
# Return both losses, each as it was before its step. No identity loss and no pool here. (Your `cycle_loss`
# would translate a second time what you have translated already: write the cycle with the two fakes.) As
# above, `F` is a translator.


# %% tags=["exercise", "ex-5.6"]
def one_step(G, F, D_A, D_B, opt_G, opt_D, a, b, cycle=1.0):
    """One step of all four on a and b (B, C, H, W), no pairs -> the loss of G and F, that of the D's."""
    # SOLUTION
    fake_b, fake_a = G(a), F(b)
    fooled = (D_B(fake_b) - 1).square().mean() + (D_A(fake_a) - 1).square().mean()
    loss_G = fooled + cycle * (l1_loss(F(fake_b), a) + l1_loss(G(fake_a), b))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()

    fake_b, fake_a = fake_b.detach(), fake_a.detach()
    on_b = (D_B(b) - 1).square().mean() + D_B(fake_b).square().mean()
    on_a = (D_A(a) - 1).square().mean() + D_A(fake_a).square().mean()
    loss_D = (on_b + on_a) / 2
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    return loss_G.item(), loss_D.item()
    # END SOLUTION
    # EXERCISE
    # | fake_b, fake_a = ...  # once
    # | loss_G = ...  # be believed, and find the way back
    # | ...  # three lines for the step of G and F
    # | loss_D = ...  # on the same fakes, as data
    # | ...  # three lines for the step of the D's
    # | raise NotImplementedError  # then return both losses as floats
    # END EXERCISE


# %%
check.translation.turns(one_step)

# %% [markdown]
# If you are stuck: `hint("5.6", 1)`, then `hint("5.6", 2)` and `hint("5.6", 3)`.

# %%
hint("5.6", 1)

# %% [markdown]
# In the library the two losses are `yield`ed one after the other, and `fit` makes a step after each. So what
# stands behind the first `yield` runs when $G$ and $F$ have moved, and has to do with the fakes that are
# there. Now leave out `opt_D.zero_grad()`. What $G$'s backward has left in the discriminators says: *find the
# fakes more genuine*. How much of it is there? We let two discriminators learn for a moment to tell fakes
# from real pictures, while $G$ and $F$ stay as they are, and measure both gradients.

# %%
torch.manual_seed(0)
small = CycleGAN(widths=(4, 8), blocks=1, d_widths=(4, 8))
dark, light = torch.rand(2, 8, 3, 16, 16) * 0.6 + torch.tensor([-0.9, 0.3]).view(2, 1, 1, 1, 1)
judges = [*small.D_A.parameters(), *small.D_B.parameters()]
opt_D = torch.optim.Adam(judges, 3e-3)
for step in range(40):
    loss_G, loss_D = (loss.value for loss in small.losses((dark, light), step))
    if step in (0, 39):
        gradients = [torch.autograd.grad(loss, judges, retain_graph=True) for loss in (loss_D, loss_G)]
        own, left = (torch.cat([part.flatten() for part in gradient]).norm() for gradient in gradients)
        print(f"step {step:2}: their own gradient {own:.2f}, what G leaves behind {left:.2f}")
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()

# %% [markdown]
# The better the discriminators, the smaller their own gradient and the larger the one that does not belong to
# them. Without the one line they would follow $G$'s advice, and nothing would raise an error.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Live: a minute of CycleGAN
#
# Now for real. Maps and photos from Africa, Europe and western Asia, drawn from *different places*, each
# mirrored at random. The translator is a small U-Net that adds to its input: it works with colours that have
# mean 0 and spread 1 in both heaps, so at step 0 it only shifts and stretches colours. (Keep that in mind:
# section 6 takes it away.) This is the training of the film, shorter: 360 steps instead of 800.

# %% tags=["training"]
live = earth_runs.run(360)
live

# %%
plain = earth.transported(americas)  # where it began: colours shifted and stretched, no network
by_hand = earth.translated(live.model.translate, americas)
report({"colours stretched": plain, "CycleGAN, live": by_hand})
viz.photos(
    smaller(plain, by_hand, americas.photo),
    columns=3,
    alt="Three pictures of the Americas. Colours stretched: land and sea in the colours of the map, only "
    "darker. CycleGAN after a minute of training: dark green in the Amazon and the east, sand in the "
    "west and along the Andes, a darker sea. The true photo.",
)

# %% [markdown]
# Left the start, in the middle one minute later, right the truth. Look at the Amazon and at the west of North
# America: the two have parted, and nobody told the network which map colour is forest. It found that *a world
# in which green maps are forests* looks more like the heap of photos. The sea takes longest. By the mean
# error on land the middle picture is no better than the left one, and of nine regions it has more right:
# whom do you believe? (Section 6 comes back to this.)
#
# Given more time the same method gets further. The next one we trained beforehand, for about 15 minutes.

# %%
cyclegan = zoo.load("cyclegan_earth")
made = earth.translated(cyclegan.translate, americas)
again = earth.translated(cyclegan.translate_back, americas._replace(relief=made))
painted |= {"CycleGAN, no pairs": made}
report({"colours stretched": plain, **painted})
Translate(
    americas.relief,
    made,
    again,
    americas.photo,
    names=("map", "photo"),
    title="The Americas: map, translation, map again, truth",
    alt="The Americas as a relief map, as the satellite photo that CycleGAN paints for it, as the map "
    "that it makes of its painting, and as the true photo, with a divider to drag between two of them.",
)

# %% [markdown]
# Drag the divider, and choose what stands on its two sides: map and photo, map and map again, photo and
# truth.
#
# Over the whole box, without a single pair, it is better than pix2pix with pairs. Do not make too much of
# that. We promised to choose settings on eastern Asia and Australia, and did. The pix2pix that was best
# there is this one; another, which was worse there, would have had 17.0 over this box and 23.5 on its land.
# One continent is a poor guide to the next, and rules are kept also where they hurt.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. What cycle consistency does not promise
#
# Begin with a bug. A training ran to its end, without any error; its cycle loss is as low as that of the
# live run.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
films = {name: earth_runs.bundled_film(name) for name in earth_runs.FAILURES}  # recorded beforehand
swapped = torch.from_numpy(films["swap"].shots()[-1].images).permute(0, 3, 1, 2)  # (2, 3, 216, 176)
Quiz(
    "A colleague has trained CycleGAN on the maps and photos. Left what it paints for the map of the "
    "Americas, right the map that comes back, nearly as it was. What has gone wrong?",
    [
        (
            "Colours are exchanged, and nothing in the training forbade it. They were exchanged from the "
            "first "
            'step on: the translators add to their input with red and blue swapped (`start="swapped"`).',
            True,
            "The adversarial loss wants photos that look real, the cycle loss wants that they can be "
            "undone. A world with exchanged colours serves both. What decides is where training begins: "
            "with *output = input + what is learnt* each colour starts as itself. An identity loss is the "
            "paper's remedy.",
        ),
        (
            "The weight of the cycle loss is too small.",
            False,
            "The map comes back nearly as it was: the cycle loss has done its work. A larger weight would "
            "make the same exchange only firmer.",
        ),
        (
            "It was not trained for long enough.",
            False,
            "More steps make the exchanged world sharper. Neither loss pulls it back: where they are low, "
            "nothing moves.",
        ),
        (
            "G and F have changed places: it paints maps.",
            False,
            "Then the left picture would be a map, with a light and even sea.",
        ),
        (
            "The discriminator is too weak to see wrong colours.",
            False,
            "The colours are those of photos; they are only in the wrong places. D sees no map beside the "
            "photo, so a stronger one would find no fault either.",
        ),
    ],
    id="5.B1",
    image=viz.photos(data.to_floats(swapped), columns=2, alt="").png,
    alt="Two pictures of the Americas. Left a painting: the sea in the colour of sand, the mountains of "
    "the west and the Andes deep blue, lowlands olive. Right a map that looks like the relief map "
    "that it came from.",
)

# %% [markdown]
# *There and back is where we started.* You showed in exercise 5.3 that a translator which turns every colour
# into its opposite keeps this promise perfectly, if the way back does the same. The cycle loss cannot see
# it. The discriminators can, a little: they know which colours there are, and which textures. They do not
# know which belongs where.
#
# So what decides? Among all worlds that look right and can be undone, training finds one *near where it
# began*. Three settings, each one change away from the live run, each a training of 480 steps that we filmed
# beforehand (`earth_runs.run(480, "swap")` trains the first again, in some two minutes). Above, from
# left to right, what each of the three paints for the Americas; below it the map that comes back.

# %%
together = Film()
for k in (0, 1, 2, 4, 7, 11, 16, 23):  # eight of the 24 moments
    shots = [film.shots()[k] for film in films.values()]
    both = torch.stack([torch.from_numpy(shot.images) for shot in shots], 1)  # (2, 3, 216, 176, 3)
    together.add(shots[0].step, images=both.flatten(0, 1).permute(0, 3, 1, 2))  # three above, three below
TrainingFilm(
    together,
    title="Three failures, recorded",
    alt="Three trainings of CycleGAN on the Earth, side by side; above the Americas as each paints them, "
    "below the map that comes back. The first paints the sea in the colour of sand and the mountains blue; "
    "the second begins with a negative and ends with a bright Amazon in an olive sea; the third stays a "
    "darker map with a blue sea. All three maps that come back look much like the map that went in.",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Three settings, from left to right. Which one is *output = minus the input + what the network adds*?",
    [
        (
            "The left one",
            False,
            "Its first picture has a sea of sand and blue mountains: the input with red and blue "
            "exchanged. That, too, is its own inverse, so the map comes back at once.",
        ),
        (
            "The middle one",
            True,
            "Its first picture is a negative, and the map comes back at once without any training: minus "
            "minus the input is the input. From there the network only has to repaint its negative.",
        ),
        (
            "The right one",
            False,
            "Its picture is the map in stretched colours, with few changes, to the end: a large identity "
            "loss, which says that photos must stay as they are when they are taken for maps. Then maps "
            "hardly change, either.",
        ),
    ],
    id="5.D1",
)

# %% [markdown]
# The recordings hold one more curve, which no training has: the error to the hidden pairs. Here is what all
# of them say at the end, and what the named regions look like.

# %%
print(f"{'at the end':10}{'cycle loss':>12}{'error on land':>15}{'regions right':>15}")
for name, film in {"live": recorded, **films}.items():
    cycle, hidden = (film.curves[k].points()[-1][1] for k in ("cycle", earth_runs.HIDDEN))
    last = torch.from_numpy(film.shots()[-1].images[:1]).permute(0, 3, 1, 2)  # (1, 3, 216, 176) uint8
    whole = nn.functional.interpolate(data.to_floats(last), scale_factor=2)
    right = sum(row.right for row in earth.region_table(americas, whole))
    print(f"{name:10}{cycle:12.3f}{255 * hidden:15.1f}{right:10} of 9")

# %% [markdown]
# Read the table from left to right, as somebody without pairs could: by the cycle loss alone you would keep
# any of them. Then with the pairs.
#
# - **Swap.** It began with red and blue exchanged. The sea has become sand, the dry west and the Andes deep
#   water. The discriminators asked for sand and for water, and got both; that they are in the wrong places
#   is not in any loss.
# - **Mirror.** It began with light and dark exchanged. The brightest land, the mountains, is painted dark
#   and blue, and the Amazon is a desert.
# - **Stuck.** The paper's remedy against such exchanges is the identity loss of exercise 5.4, which pins
#   colours down. Here it has ten times the weight that we would give it, and pins them where they were at
#   the start. Nothing is sand, nothing is forest.
#
# With other seeds the first two end the same way: swap has 3 and 4 regions of 9 right with seeds 0 and 1,
# mirror 3 and
# 2. And look at the last line again. The run that has translated *least* has the **lowest error on land** of
#    all four. A mean error forgives the timid: a dull picture is nowhere far off, and a bold one pays for
#    every mistake. That is why we also ask nine regions what they look like.
#
# What helped the live run is dull, too: *begin near the right answer*, with colours that only have to be
# stretched. In your own problems you will not know whether you did. Nothing in the losses tells you; a few
# pairs, made by hand and kept hidden, do.
#
# ### Region by region
#
# Pictures of places can be asked more than "how far off is each pixel". For nine regions: the mean colour of
# the true photo, that of the CycleGAN trained beforehand, and what each looks like (water, dark green,
# bright and bare).

# %%
for row in earth.region_table(americas, made):
    mark = "right" if row.right else "WRONG"
    print(f"{row.name:18} true {row.true!s:18} made {row.made!s:18} {row.true_kind:16} {mark}")

# %% [markdown]
# Where it is wrong the map leaves no choice: a region that is brown on the map and darker in truth than
# brown regions of the Old World are. And some things it *invents*: look for dark trenches in the sea along
# the coasts in the widget above. The photos that it learnt from have such trenches, the map says nothing
# about them, so it puts them where they look good. **A picture made this way is a guess in the style of a
# measurement.** With satellite pictures that matters: people decide by them where to go, what has grown and
# what was destroyed. Never pass on a translated picture of the Earth without saying what it is made from.

# %% [markdown]
# ### Over the whole Earth
#
# The networks are fully convolutional, so a continent, or the Earth, is translated at once; a picture that
# does not fit into memory goes through in overlapping pieces, blended so that no seam is left
# (`course_lib/translation.py`). Below: the Earth from 60 degrees south to 70 degrees north. Africa, Europe
# and western Asia were in the two heaps; all else is new to the network.

# %%
world = earth.place("test", Box(-180, 180, -60, 70))
photo = earth.translated(cyclegan.translate, world)
pieces = in_pieces(cyclegan.translate, world.relief)
print(
    f"in one pass or in pieces: at most {127.5 * (photo - pieces).abs().max():.2f} of 255 grey levels apart"
)
Translate(
    world.relief,
    photo,
    earth.translated(cyclegan.translate_back, world._replace(relief=photo)),
    world.photo,
    names=("map", "photo"),
    title="The Earth, from a map",
    alt="The Earth as a relief map, as the photo that CycleGAN paints for it, as the map it makes of its "
    "painting, and as the true photo, to pan and zoom, with a divider between two of them.",
)

# %% [markdown]
# Drag the picture, zoom with plus and minus, move the divider. Choose *truth* and go along the coasts: what
# is right, and what is made up? Try Greenland's edge, the Great Lakes, the Outback.
#
# One more thing to know about cycles. Two networks that must undo each other can agree on a secret: the
# painting carries small dots, which no discriminator minds, and the second network reads the map in them
# (Chu, Zhmoginov and Sandler, arXiv 1712.02950, found whole maps hidden so). Then the cycle error is good
# for the wrong reason. A test: disturb the painting a little, by less than you would notice. A secret does
# not survive that.

# %%
torch.manual_seed(0)
noisy = (made + 6 / 127.5 * torch.randn_like(made)).clamp(-1, 1)
from_noisy = earth.translated(cyclegan.translate_back, americas._replace(relief=noisy))
from_truth = earth.translated(cyclegan.translate_back, americas._replace(relief=americas.photo))
came_back = {"its painting": again, "its painting, noise of 6": from_noisy, "the true photo": from_truth}
for name, back in came_back.items():
    print(f"map made from {name:26} error {earth.cycle_error(americas.relief, back):5.1f} of 255")

# %% [markdown]
# Here the noise does little harm: what comes back is read from the painting, not from hidden dots. (In the
# live run we even forbid dots, by averaging what the network adds over neighbouring pixels: `soft=True` in
# `nn/translators.py`. Without that, our first short runs were covered with them.) From the *true* photo the
# map comes out less well. There the second network meets clouds of detail that the first one never paints.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Style
#
# Two people draw the same world. Twitter's *Twemoji* are flat shapes of soft colours without outlines.
# *OpenMoji* are drawn with a black pen and filled with bright colours. Can one hand be translated into the
# other? Nobody has to say what the difference is: the discriminators find it.
#
# Style means here what *all* drawings of a set have in common. That differs from the earlier and more famous
# style transfer, which takes style from *one* painting: L. A. Gatys et al.
# ([1508.06576](https://arxiv.org/abs/1508.06576)) change the pixels of a photo until, in the layers of a
# trained classifier, its features are those of the photo and the correlations of its features those of the
# painting.
#
# The same `CycleGAN` as before, 148,000 weights in each translator, was trained on 1,279 things that both
# sets have. Of every two concepts it saw **one as a Twemoji and the other as an OpenMoji**: nothing that it
# saw had its counterpart among what it saw. (*Not* live: 1,000 steps, about two minutes.) All drawings below
# show concepts that it saw in neither hand.

# %%
hands = zoo.load("cyclegan_emoji")
drawn = styles.counterparts("test")  # 151 concepts, each in both hands
flat, pen = to_floats(drawn.twemoji), to_floats(drawn.openmoji)  # (151, 3, 56, 56) each
to_pen, to_flat = hands.translate(flat), hands.translate_back(pen)  # G and F
there_back, back_there = hands.translate_back(to_pen), hands.translate(to_flat)

every = slice(4, None, 31)  # every thirty-first: we did not choose
viz.rows(
    {
        "a, Twemoji": flat[every],
        "G(a)": to_pen[every],
        "F(G(a))": there_back[every],
        "true OpenMoji": pen[every],
    },
    scale=1,
    quality=72,
    alt="Four rows of five small drawings. First Twemoji without outlines; second the same drawings with "
    "dark "
    "outlines, darker colours and a faint hatching; third nearly the first row again; fourth the "
    "same things as OpenMoji draws them, "
    "with clean black outlines.",
)

# %% [markdown]
# **Notice** the second row. Outlines have appeared, around the shapes and inside them where two colours
# meet, and the soft orange of the faces has become yellow, darker than OpenMoji's lemon yellow. Nobody told
# $G$ what an outline is. The third row takes it all back. The last row was never used; it shows what a
# person drew.
#
# Now the other direction. $F$ has to *remove* lines, and to fill the place where they were.

# %%
viz.rows(
    {
        "b, OpenMoji": pen[every],
        "F(b)": to_flat[every],
        "true Twemoji": flat[every],
    },
    scale=1,
    quality=72,
    alt="Three rows of five small drawings. First OpenMoji with black outlines; second the same shapes "
    "without "
    "black outlines and in softer colours; third the same things as Twemoji draws them.",
)

# %% [markdown]
# How good is that? Three measures, each with the real drawings beside it.
# - **Whose hand?** A small network learns to tell the two sets apart, on the training concepts, in a few
#   seconds. What share of the drawings does it take for OpenMoji? It is *not* the discriminator, which the
#   translator was trained to fool.
# - **Outlines.** What share of the rim of the drawings (where drawing and paper touch) is dark?
# - **Still the same thing?** Which drawing of the other hand is nearest, after both are reduced to 8 x 8
#   pixels? We count how often the true counterpart is among the five nearest of 151; guessing would find it
#   in 3.3 %.

# %%
net = styles.judge(styles.counterparts("train"))
print(f"{'':22}{'taken for OpenMoji':>20}{'dark rim':>12}{'counterpart found':>20}")
for name, x, goal in (
    ("Twemoji", flat, pen),
    ("Twemoji, translated", to_pen, pen),
    ("OpenMoji, translated", to_flat, flat),
    ("OpenMoji", pen, flat),
):
    print(
        f"{name:22}{styles.taken(net, x):18.1f} %{styles.outlined(x):10.1f} %"
        f"{styles.found(x, goal, 5):18.1f} %"
    )
for name, x, made, again in (("Twemoji", flat, to_pen, there_back), ("OpenMoji", pen, to_flat, back_there)):
    print(
        f"{name} there and back: {styles.difference(again, x):.1f} of 255 grey levels; one way it changes "
        f"by {styles.difference(made, x):.1f}"
    )

# %% [markdown]
# $F$ removes the outlines almost completely: the judge takes hardly any of its drawings for OpenMoji. $G$
# has the harder task, and is half-way there. It draws four times as many dark rims as there were, but often
# in a darker tone of the drawing's own colour where OpenMoji uses black, and the judge is convinced by
# little more than a third of them. In both directions more drawings find their counterpart than before: the
# translation keeps what is drawn, and comes nearer to the other hand. Flat areas keep a faint hatching.
#
# An earlier attempt of ours ended in dark smears over hands and faces. Its discriminator judged patches of
# 26 x 26 pixels, it learnt faster and three times as long. This one sees 12 x 12 pixels, which is enough for
# a line and a flat area. We changed these things together, so we cannot say which of them helped.
#
# **Drag the divider** in the widget over the outlines, then choose *truth* and compare. **Notice** where $G$
# draws lines: it puts them where colours change, because that is all that it can see.

# %% tags=["widget"]
chosen = {
    "smiling face with smiling eyes": "smiling face",
    "sad but relieved face": "sad face",
    "green apple": "apple",
    "peach": "peach",
    "custard": "custard",
    "glowing star": "star",
    "trophy": "trophy",
    "oncoming automobile": "car",
    "melon": "melon",
}
places = [drawn.captions.index(caption) for caption in chosen]
Translate(
    flat[places],
    to_pen[places],
    there_back[places],
    pen[places],
    names=("Twemoji", "OpenMoji"),
    labels=list(chosen.values()),
    title="From one hand to another",
    alt="A drawing as Twemoji, translated to OpenMoji's style, translated back, and as OpenMoji draws it. "
    "The "
    "divider shows that outlines appear and colours change while every shape stays where it is.",
)

# %% [markdown]
# The last example shows the limit. Twemoji's melon is whole; OpenMoji's is a slice. $G$ draws outlines
# around a whole melon.

# %%
other = [
    drawn.captions.index(caption)
    for caption in (
        "melon", "detective", "takeout box", "Statue of Liberty", "ballet shoes",
    )
]  # fmt: skip
viz.rows(
    {"Twemoji": flat[other], "translated": to_pen[other], "true OpenMoji": pen[other]},
    scale=1,
    quality=72,
    alt="Three rows of five drawings whose counterparts have another shape: a whole melon and a slice, a "
    "detective in dark glasses and one with a magnifying glass, the head of the Statue of Liberty and the "
    "whole "
    "statue. The translations have the shapes of the first row.",
)

# %% [markdown]
# These five we did choose. **Colours and lines change, shapes do not.** A shape that moved would have to be
# moved back exactly, while a change of colour is easily undone; and a network that adds to its input finds
# it easy to leave things where they are. J.-Y. Zhu et al. had little success with shapes either
# ([1703.10593](https://arxiv.org/abs/1703.10593), section 6: from dogs to cats, hardly anything changed).
# Often there is no true answer to be found: whether a melon is drawn whole or cut is not written in any
# pixel. It was a person's idea.
#
# *Licences: OpenMoji is CC BY-SA 4.0, so the weights of `cyclegan_emoji` are too; Twemoji is CC BY 4.0.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Your own pictures
#
# Summer and winter, photos and paintings, your handwriting and a friend's: two folders of pictures are all
# that CycleGAN wants. Two commands in a terminal do it:
#
# ```
# course train cyclegan --a PHOTOS --b PAINTINGS
# course translate runs/cyclegan_folders/cyclegan_folders.safetensors PHOTOS PAINTED
# ```
#
# The first prints its losses and the time that is left; Ctrl-C saves, and the same line with `--resume`
# goes on. The second takes a folder or one picture of any size (large ones go through in overlapping
# pieces, without seams); with `--back` it goes from B to A. Nothing of yours is changed or replaced.
#
# - **What.** JPEG, PNG, WebP, GIF and so on, of any size and shape, sub-folders too. What cannot be read is
#   named and skipped. Instead of two folders, `--a` may name one that holds `trainA`, `trainB` (and `testA`,
#   `testB`, to measure by).
# - **How many.** A few hundred of each kind, or a hundred rich ones. It starts with two, and learns those by
#   heart.
# - **Which.** *Within* a folder as varied as what you will translate; *between* the folders only one
#   difference, the one you want. If every winter photo has a house and no summer photo does, it will paint
#   houses.
# - **What it sees.** Each picture reduced to a shorter side of 74 pixels, and of that a random square of 64,
#   mirrored half of the time. `--size 128` sees finer texture and takes four times as long.
# - **How long.** 5,000 steps, about 20 minutes on two processor cores; look at it after 1,000 (`--steps
#   1000`).
#
# A picture is translated at the size it has, but the network knows only things of the size that it saw in
# training. So make large photos smaller first: a shorter side of some 75 to 150 pixels fits `--size 64`.
#
# **What to expect.** Colours, light and textures change well. **Shapes do not**: apples to oranges works,
# dogs to cats does not. Section 6 of the paper ([1703.10593](https://arxiv.org/abs/1703.10593)) says so, and
# shows a rider who gets zebra stripes along with his horse: in the pictures that it learnt from, nobody
# rides. And all of our section 6 holds for your pictures. You have no hidden pairs: look at many
# translations, not at the best three.
#
# Here is the same path in miniature, through real files: six pieces of the map and six of the photo, of
# other places and of different shapes, are written into two folders; the recipe trains 8 steps, and one of
# the maps is translated from file to file.

# %%
with tempfile.TemporaryDirectory() as home:
    maps, photos, painted = Path(home, "maps"), Path(home, "photos"), Path(home, "painted.png")
    africa = data.earth(1350).crop(data.EARTH_BOXES["train"])
    for folder, world, shift in ((maps, africa.relief, 0), (photos, africa.satellite, 30)):
        folder.mkdir()
        for i in range(6):
            top, left = 20 + 45 * i, 110 + 10 * i + shift
            piece = world[:, top : top + 80 + 10 * i, left : left + 150]  # (3, 80 to 130, 150)
            Image.fromarray(piece.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")

    plan = recipes.cyclegan_folders(steps=8, a=str(maps), b=str(photos), size=32)
    own = recipes.build(plan)  # learns the mean colour and the spread of both folders
    run = fit(own, plan.data(), steps=plan.steps, progress=False, **plan.fit)
    translate_files(run.model, maps / "2.png", painted)
    before, after = (to_floats(x)[None] for file in (maps / "2.png", painted) for _, x in pictures(file))

print(run)
viz.rows(
    {"your map": before, "translated": after},
    scale=1.2,
    quality=72,
    alt="The Red Sea on a relief map in pale colours, and below it the same piece in dark colours: brown "
    "land, a dark blue deep sea, and shallow water in pale green. Every line of the map is still in "
    "place.",
)

# %% [markdown]
# **Notice** how much is there after 8 steps, in which the network has learnt next to nothing: brown sand, a
# dark sea. It comes from the mean and the spread of the colours, measured before the first step, and the
# network starts by leaving its input as it is. And notice what is wrong: shallow water, which is pale on
# the map, is a pale green that no photo shows. Everything that needs to know *what* it is looking at is
# left to the next thousands of steps.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Three questions
#
# About the ideas of this notebook. Each answer comes with its reason, also the wrong ones.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "The discriminator of pix2pix sees the drawing *and* its colouring. A colleague shows it the colouring "
    "alone, and leaves out the L1 loss, too. What can come out?",
    [
        (
            "Fine colourings that need not belong to the drawing.",
            True,
            "A discriminator of single pictures asks only whether a picture looks like *some* true "
            "colouring. G may paint another figure, or the same one for every drawing: nothing in its loss "
            "would notice. With the pair in view, colours that don't keep to the lines look wrong.",
        ),
        (
            "The same as before: G sees the drawing, and that is enough.",
            False,
            "G *can* use the drawing, but nothing rewards it for that. What is learnt is decided by the "
            "loss.",
        ),
        (
            "Blurred colourings.",
            False,
            "Blur comes from the mean of many answers, which L1 and L2 reward. A discriminator rejects "
            "blur, with or without the drawing.",
        ),
        (
            "Nothing: without the drawing D cannot tell real from made.",
            False,
            "It can: that is the GAN of notebook 03. It only judges less.",
        ),
    ],
    id="5.Q2",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Which of these faults leave the cycle loss at 0, if *both* translators make them? Tick all.",
    [
        (
            "G turns each picture into its negative, and so does F.",
            True,
            "A negative of a negative is the picture (exercise 5.3).",
        ),
        (
            "G paints forests as deserts and deserts as forests, and F reads them that way.",
            True,
            "An exchange loses nothing, so it can be undone. This is the fault that happens in practice "
            "(section 6).",
        ),
        (
            "G and F change nothing at all.",
            True,
            "The laziest perfect cycle. Only the discriminators object.",
        ),
        (
            "G paints one and the same photo for every map.",
            False,
            "Then F cannot know which map it came from: this is what the cycle loss is good for. It keeps G "
            "from throwing its input away.",
        ),
        (
            "G paints grey photos: the colours of the map are gone, not hidden anywhere.",
            False,
            "Maps that differ in colour alone give the same grey photo, and F can return only one of them. "
            "(Networks have been found to *hide* colours in a pattern too faint to see: then the cycle loss "
            "is small again. arXiv 1712.02950.)",
        ),
    ],
    id="5.Q3",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "You translate pictures of your own, without pairs, and have to choose between two trained networks. "
    "Which measure do you trust most?",
    [
        (
            "The lower cycle loss.",
            False,
            "It is near 0 for swaps, mirrors and for doing nothing. In section 6 it was fine for runs that "
            "were wrong.",
        ),
        (
            "The lower loss of G.",
            False,
            "It says how well G fools its own D. Two networks have two D's, so the numbers cannot be "
            "compared.",
        ),
        (
            "A few dozen pairs, made by hand, never trained on, and beside their L1 a look at named parts "
            "of them.",
            True,
            "The only measure here that knows what is right. But L1 alone is not enough: it punishes "
            "contrast, so that a blurred mean often beats a sharp picture that is right in all but a few "
            "places. Ask also whether sand is sand and water is water.",
        ),
        (
            "The lower L1 to a few dozen hidden pairs, and nothing else.",
            False,
            "It is nearly right, and better than all losses of training. But L1 alone likes blur: one mean "
            "colour can have a lower L1 than a sharp, plausible picture. Look at named parts as well.",
        ),
        (
            "The more convincing pictures.",
            False,
            "To be convincing is what D trained them for. The convincing desert may be a forest.",
        ),
    ],
    id="5.Q4",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Which bug is this?
#
# The bug that opened section 6 never said a word. This one does stop with an error, only not at once.
# Another colleague has added the pool of exercise 5.5 to a training that had worked for weeks. It is run
# here for real, with networks so small that it takes a few seconds, on pictures of noise: for this bug the
# pictures play no part. Each discriminator step makes four new fakes and sends them through the pool. (The
# cell is folded: answer first.)


# %% tags=["training", "hide-input"] jupyter={"source_hidden": true}
def with_pool(size, seed, keep=lambda x: x, retain=False, steps=40):
    """A colleague's training with a pool of `size`: the steps that ran, and the error that stopped it."""
    torch.manual_seed(seed)
    G, D = Translator(3, 3, (4, 8), 1), PatchGAN(3, (4, 8))
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), 1e-3) for net in (G, D))
    pool = []

    def seen(fresh):
        shown = []
        for x in fresh:
            x = keep(x)
            if len(pool) < size:
                pool.append(x)
            elif size and torch.rand(()) < 0.5:
                i = int(torch.randint(size, ()))
                x, pool[i] = pool[i], x
            shown.append(x)
        return torch.stack(shown)

    for step in range(1, steps + 1):
        a, b = torch.rand(2, 4, 3, 16, 16) * 2 - 1
        try:
            loss = (D(b) - 1).square().mean() + D(seen(G(a))).square().mean()
            opt_D.zero_grad()
            loss.backward(retain_graph=retain)
            opt_D.step()
            loss = (D(G(a)) - 1).square().mean()
            opt_G.zero_grad()
            loss.backward()
            opt_G.step()
        except RuntimeError as error:
            return step, str(error).split(" (")[0].split(":")[0]
    return steps, "no error"


stops = [with_pool(50, seed) for seed in range(6)]
for size, found in ((0, [with_pool(0, 0)]), (50, stops)):
    for step, said in found:
        print(f"pool of {size:2}: step {step:2}, {said}")

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Without a pool the training ran for all 40 steps, and with a pool of 50 it stops in step "
    + " or ".join(str(step) for step in sorted({step for step, _ in stops}))
    + f", depending on the seed, with *{stops[0][1]}*. Which bug is this, and why does it not show at once?",
    [
        (
            "The pool keeps fakes that were never detached. Until it is full only fresh ones are shown; the "
            "first old one brings along the graph of an old step, and that step's `backward()` has used it "
            "up.",
            True,
            "Four pictures a step: a pool of 50 is full in step 13, and the first coin that says *old* "
            "stops the training. Fresh fakes without `detach` are a waste, since D's `backward()` walks on "
            "into G, but no error: that is why it worked for weeks. Keep and show `x.detach().clone()`.",
        ),
        (
            "`retain_graph=True` is missing in D's step: torch's message goes on to suggest it.",
            False,
            "Then the old graph would still be there, but not the old weights: G's optimizer has "
            "overwritten them since. The next cell tries it. And D's gradient has no business in G at all.",
        ),
        (
            "The pool is too large for the memory.",
            False,
            "Fifty small pictures are nothing, and a full memory has another message. (A pool that keeps "
            "graphs does hold more: where D is given detached ones, so that nothing fails, these networks "
            "had 2.1 MB hanging on it after 100 steps, 14 times the pixels. Measured by us.)",
        ),
        (
            "`opt_D.zero_grad()` is missing.",
            False,
            "Then D's gradients would pile up, without any error, and with or without a pool.",
        ),
        (
            "G's step uses the same fakes as D's step.",
            False,
            "Then the error would come in step 1, pool or no pool.",
        ),
    ],
    id="5.B2",
)

# %% [markdown]
# And the two repairs, the one that the error message suggests and the right one:

# %%
for name, repair in {"retain_graph=True": {"retain": True}, "detach": {"keep": lambda x: x.detach()}}.items():
    step, said = with_pool(50, 0, **repair)
    print(f"{name:18} step {step}: {said}")

# %% [markdown]
# The first repair only changes the message: torch now complains that G's weights were modified since. An
# error message says what torch could not do. Why it was asked to do that, you have to find yourself: *which*
# graph is it, and who brought it here?
#
# Of the two bugs the one in section 6 is the dangerous one.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. What to take along
#
# | | pix2pix | CycleGAN |
# | --- | --- | --- |
# | needs | pairs, aligned pixel by pixel | two heaps of pictures |
# | what ties output to input | the pair loss; $D$ sees both | it can be undone; where it began |
# | good at | filling in what the pair loss would blur | style, colour, texture |
# | bad at | what the input does not say | shapes; anything that needs the *right* correspondence |
# | how you know it is right | held-out pairs | **you do not**, unless somebody kept pairs hidden |
#
# **Advantages.** A translator keeps the layout of its input for nothing. It runs in one pass, on pictures of
# any size, and learns from a few hundred pictures. **Disadvantages.** One answer for each input, though
# several may be right; no likelihood; the troubles of two players from notebook 03; and a convincing picture
# where a warning would be better.
#
# **When to use it.** With pairs: pix2pix, or today a diffusion model that is shown the input (notebook 06
# does that for small pictures enlarged). Without pairs: CycleGAN for style and colour, with hidden pairs if
# anybody can make them.
#
# **Left out.** Several answers for one input (BicycleGAN, arXiv 1711.11586); larger pictures and labels to
# pictures (pix2pixHD, 1711.11585; SPADE, 1903.07291); one translator for many kinds (StarGAN, 1711.09020); a
# contrastive loss in place of the cycle (CUT, 2007.15651).
#
# **Further reading.** pix2pix: Isola et al., arXiv 1611.07004. CycleGAN: Zhu et al., arXiv 1703.10593. How
# CycleGAN hides the input in its output, so that the cycle comes out right: Chu, Zhmoginov, Sandler, arXiv
# 1712.02950. The replay pool: Shrivastava et al., arXiv 1612.07828. LSGAN: Mao et al., arXiv 1611.04076.
#
# **Next.** All generators so far paint in one stroke. Notebook 06 paints in many small ones: it learns to
# remove a little noise, and begins with nothing else.
