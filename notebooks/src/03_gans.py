# %% [markdown] slideshow={"slide_type": "slide"}
# # Generative adversarial networks
#
# The variational autoencoder of notebook 02 was asked for the *mean* of what it could not tell apart, and a
# mean of pictures is blurred. This notebook asks for something else. A second network looks at pictures and
# says whether they are real; the first learns to be believed. Nobody writes down what makes a picture look
# real. The price is that there is no longer one number that falls: there are two players, and a game can go
# wrong in ways that a loss cannot. You will see every one of these ways, on purpose, and mend it.

# %% tags=["picture"]
import copy
import math
from copy import deepcopy

import torch
from scipy.special import rel_entr
from scipy.stats import wasserstein_distance
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F

from course_lib import check, data, metrics, toys, viz, zoo
from course_lib.adversaries import CURES, FAILURES, RING_STD, dirac_path, plane_gan, ring_centres, watch
from course_lib.augmentation import (
    Mixture,
    few_labels,
    linear_probe,
    name_them,
    share_right,
    train_classifier,
)
from course_lib.check import hint
from course_lib.fit import batch_indices, fit, warmup_cosine
from course_lib.method import Loss
from course_lib.methods.features import accuracy
from course_lib.methods.gan import GAN, slope
from course_lib.methods.gan import d_loss as loss_d
from course_lib.methods.gan import g_loss as loss_g
from course_lib.methods.wgan_gp import gradient_penalty as course_penalty
from course_lib.metrics import embed, mode_coverage
from course_lib.nn.players import players
from course_lib.widgets import Film, Interpolation, LatentSliders, PlayFrame, Playground2D, Quiz, TrainingFilm

torch.manual_seed(0)
clothes = data.fashion("train")  # 18,000 pictures to learn from
held = data.fashion("validation")  # 2,000 to choose with
test = data.fashion("test")  # 10,000 for the final figures
x_train, x_held, x_test = clothes.floats, held.floats, test.floats  # (N, 1, 28, 28) in [-1, 1]
features = zoo.load("fashion_features")  # the ruler of this course: see notebook 01

gan = zoo.load("gan_fashion")  # these were trained by us beforehand; you will train your own below
people_gan = zoo.load("gan_people")
vae = zoo.load("vae16_fashion")


def invent(model, n, seed=0):
    """n pictures of a generative model, (n, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    parts = [list(model.sample(len(part), generator=generator))[-1].x for part in torch.arange(n).split(500)]
    return torch.cat(parts)


def framed(x):
    """Grey pictures of 28 x 28 as colour pictures of 32 x 32, on black."""
    return torch.nn.functional.pad(x, (2, 2, 2, 2), value=-1.0).expand(-1, 3, -1, -1)


viz.rows(
    {
        "real": framed(x_test[:10]),
        "VAE": framed(invent(vae, 10, seed=1)),
        "GAN": framed(invent(gan, 10, seed=1)),
        "GAN, people": invent(people_gan, 10, seed=1),
    },
    scale=1.5,
    alt="Four rows of ten pictures: real clothes; clothes invented by a variational autoencoder, soft; "
    "clothes invented by a GAN, with sharp edges and texture; and drawn people invented by a GAN, in "
    "colour, most of them with a clear face and shoulders.",
)

# %% [markdown]
# *Made by networks that we trained beforehand. The first row is real, nothing else is.*
#
# **After this notebook you can**
# 1. write the losses of both players and train them side by side, by hand (exercises 3.1 to 3.3),
# 2. say what the end of the game looks like, and check it: D says 1/2, the loss is 2 log 2 (section 2),
# 3. produce mode collapse, dropped modes, imbalance and oscillation, measure them, and cure them (section 5,
#    exercise 3.4),
# 4. explain two of the cures by their mathematics: R1 and the Wasserstein distance (exercises 3.5 and 3.6),
# 5. judge a generator by numbers, and say how each number can be fooled (exercise 3.7).
#
# **You need** notebooks 01 and 02, and what a gradient is; 90 to 110 minutes. Running all cells takes about
# two and a half minutes on two processor cores, without a GPU and without the internet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Two players on a line
#
# The variational autoencoder blurred, because for everything that its code could not tell apart it gave the
# mean. How bad can a mean be? Take the smallest data there are, single numbers: 40 % of them lie around
# $-1.2$, 60 % around $1.2$. A **generator** $G$ turns noise $z \sim \mathcal N(0, 1)$ into such numbers, and
# we train it as we always did, by the squared error between what it gives and what is right. But which number
# is right for *this* $z$? Nobody says, so each $z$ gets a random one.


# %%
def draw(n):
    """n of our data: (n, 1)."""
    centre = torch.where(torch.rand(n, 1) < 0.4, -1.2, 1.2)
    return centre + 0.4 * torch.randn(n, 1)


def normal(x, mean, std):
    """The density of N(mean, std^2) at x."""
    return torch.distributions.Normal(mean, std).log_prob(x).exp()


def p(x):
    """The density that `draw` draws from."""
    return 0.4 * normal(x, -1.2, 0.4) + 0.6 * normal(x, 1.2, 0.4)


def mlp(activation):
    """A small network from one number to one number."""
    return nn.Sequential(
        nn.Linear(1, 32), activation, nn.Linear(32, 32), activation, nn.Linear(32, 1)
    )  # (B, 1) -> (B, 1)


places = torch.linspace(-3, 3, 121)  # where curves are drawn


def histogram(x):
    """The density of samples x at `places`, as 121 bars: (121,)."""
    return torch.histc(x, 121, -3.025, 3.025) / len(x) / 0.05


torch.manual_seed(0)
G = mlp(nn.ReLU())
optimizer = torch.optim.Adam(G.parameters(), lr=1e-2)
for _ in range(200):
    loss = (G(torch.randn(128, 1)) - draw(128)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    made = G(torch.randn(4000, 1))
print(f"the samples: {made.mean():.2f} ± {made.std():.2f}    the mean of the data: {0.2 * 1.2:.2f}")
fig = viz.new_figure(6.4, 2.6)
ax = fig.add_subplot()
ax.fill_between(places, p(places), color=viz.COLOURS[1], alpha=0.4, label="data")
ax.plot(places, histogram(made), color=viz.COLOURS[0], label="G's samples")
ax.set(xlabel="x", ylabel="density", ylim=(0, 2))
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="The density of the data has two hills, at -1.2 and 1.2. The samples of the generator stand in "
    "one narrow peak between them, near 0.24, where there are hardly any data.",
)

# %% [markdown]
# The best answer to a question that nobody can answer is the mean: one number for every $z$, in a place where
# hardly any data lie. It is a fault not of the network but of the question. No *pair* of a noise and a number
# is right or wrong. What should be alike are the two **distributions**: all that $G$ makes, and all the data.
#
# How do you see that two heaps of numbers are alike? *Try to tell them apart, and fail.* So let a second
# network try. Think of a forger and a detective:
#
# - $D$, the **discriminator**, is the detective. It sees a number and gives the probability that it is real.
# - $G$ is the forger. It never sees the data. It sees only what the detective thinks of its work.
#
# In the words of the paper, $D$ makes $V$ as large as it can, and $G$ as small:
#
# $$ \min_G \max_D V(D, G), \qquad
# V = \mathbb E_{x \sim p} \log D(x) + \mathbb E_{z} \log\big(1 - D(G(z))\big) $$
#
# This is a **generative adversarial network**, a GAN. $V$ is nothing new: $-V$ is the cross-entropy of a
# classifier with the two classes "real" and "made", so $D$ is trained as any classifier. Only $G$ is trained
# in a way we have not had before: *through* the classifier, by its gradient.
#
# As in every classifier the network gives a **logit** $a$, any real number, and $D = \mathrm{sigmoid}(a) = 1
# / (1 + e^{-a})$. Then no logarithm of 0 can happen: $-\log D = \mathrm{softplus}(-a)$ and $-\log(1 - D) =
# \mathrm{softplus}(a)$, where $\mathrm{softplus}(a) = \log(1 + e^{a})$. For $G$ we shall minimise $-\log
# D(G(z))$ instead of $\log(1 - D(G(z)))$: both say "let $D$ take mine for real", and section 3 shows why the
# first is better.

# %% [markdown]
# ### Exercise 3.1: Two losses
# *difficulty 2 of 5, about 10 minutes*
#
# Write both, from logits:
#
# $$ L_D = -\mathbb E_x \log D(x) - \mathbb E_z \log\big(1 - D(G(z))\big), \qquad
#    L_G = -\mathbb E_z \log D(G(z)) $$
#
# Each $\mathbb E$ is a mean over the batch. A network may be very sure of itself: at logits of $\pm 100$ and
# beyond the losses must still be finite, and have a slope.


# %% tags=["exercise", "ex-3.1"]
def d_loss(on_real, on_fake):
    """What D minimises, in nats: its logits on real and on made samples, (B,) and (B,) -> one number."""
    # SOLUTION
    return F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


def g_loss(on_fake):
    """What G minimises, in nats: D's logits on made samples, (B,) -> one number; non-saturating."""
    # SOLUTION
    return F.softplus(-on_fake).mean()
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.gan.losses((d_loss, g_loss))

# %% [markdown]
# If you are stuck: `hint("3.1", 1)`, then `hint("3.1", 2)`.

# %%
hint("3.1", 1)

# %% [markdown]
# And the library's version beside the formula in its plainest form, at logits where that still works. If $D$
# says 1/2 to everything, all logits are 0:

# %%
torch.manual_seed(0)
on_real, on_fake = torch.randn(2, 1000).double()
by_hand = -on_real.sigmoid().log().mean() - (1 - on_fake.sigmoid()).log().mean()
assert torch.allclose(by_hand, loss_d(on_real, on_fake))
level = torch.zeros(1000)
print(f"D says 1/2: D's loss {loss_d(level, level):.4f}, 2 log 2 = {2 * math.log(2):.4f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ### What a second optimizer adds
#
# Two players, two optimizers; each moves only its own player's parameters. Three things are new.
#
# 1. **The detective's step must not reach the forger.** Backpropagation would walk from $D$'s loss through
#    the forgeries back into $G$. `detach` cuts the way there: the forgeries are data, and nobody cares where
#    they came from.
# 2. **The forger's step must pass through the detective.** All that $G$ learns is the slope of $D$ at its own
#    samples. So nothing is detached here; it is $D$'s *optimizer* that does not move.
# 3. **Each clears its own gradients before its own backward.** The forger's backward leaves gradients in $D$
#    that nobody asked for. If `opt_D.zero_grad()` does not come in time, the detective takes them for its
#    own, and they say: "find the forgeries more genuine".

# %% [markdown]
# ### Exercise 3.2: The detective's step
# *difficulty 2 of 5, about 10 minutes*
#
# One step of $D$ on a batch `x` of real samples and as many made ones. Use your `d_loss`, or `loss_d`, the
# library's. The optimizer knows $D$'s weights only; see to it that $G$ is left without a gradient, too.


# %% tags=["exercise", "ex-3.2"]
def d_step(G, D, opt_D, x, z):
    """One step of D with opt_D, on x (B, ...) and G(z); returns D's loss before the step, a float."""
    # SOLUTION
    fake = G(z).detach()
    loss = loss_d(D(x), D(fake))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()
    # END SOLUTION
    # EXERCISE
    # | fake = ...  # made from z; the way back to G is cut here
    # | loss = ...
    # | raise NotImplementedError  # then three lines for the step; return the loss as a float
    # END EXERCISE


# %%
check.gan.d_step(d_step)

# %% [markdown]
# ### Exercise 3.3: The forger's step
# *difficulty 2 of 5, about 10 minutes*
#
# Now the opponent, non-saturating. What does $G$ learn from? Only from $D$'s verdict, so nothing on the way
# from the loss through $D$ into $G$ may be cut. $D$ stays as it is.


# %% tags=["exercise", "ex-3.3"]
def g_step(G, D, opt_G, z):
    """One step of G with opt_G, on the samples G(z); returns G's loss before the step, a float."""
    # SOLUTION
    loss = loss_g(D(G(z)))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()
    # END SOLUTION
    # EXERCISE
    # | loss = ...
    # | raise NotImplementedError  # then three lines for the step; return the loss as a float
    # END EXERCISE


# %%
check.gan.g_step(g_step)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### The game
#
# One round is your two steps, one after the other. It stands in the next cell, written out in full and
# folded: open it when you have tried exercises 3.2 and 3.3. Count the lines that a second player adds to a
# loop.


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def one_round(G, D, opt_G, opt_D):
    """One step of each player; returns D's and G's loss, as they were before their steps."""
    x = draw(128)  # (128, 1)
    fake = G(torch.randn(128, 1)).detach()  # 1: here D's gradient ends
    loss_D = loss_d(D(x), D(fake))
    opt_D.zero_grad()  # 3: away with what G's last step has left here
    loss_D.backward()
    opt_D.step()

    fake = G(torch.randn(128, 1))  # 2: not detached
    loss_G = loss_g(D(fake))  # by a D that has already moved
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# %% [markdown]
# Now the game. The detective is given a ten times larger step length than the forger: advice is only as good
# as the adviser. (Section 2 shows what becomes of the game without that.)


# %%
def adam(net, lr, betas=(0.0, 0.99)):
    return torch.optim.Adam(net.parameters(), lr, betas)


torch.manual_seed(0)
G, D = mlp(nn.ReLU()), mlp(nn.LeakyReLU(0.2))
opt_G, opt_D = adam(G, 1e-3), adam(D, 1e-2)
z_film = torch.randn(4000, 1)  # the same noise in every picture


def look():
    d = D(places[:, None]).sigmoid().squeeze(1)
    return {"G's samples": histogram(G(z_film)), "D(x)": d}


film = Film()
for step in range(1000):
    loss_D, loss_G = one_round(G, D, opt_G, opt_D)
    if step % (4 if step < 100 else 20) == 0:  # more often in the beginning, where more happens
        film.add(step, losses={"D": loss_D, "G": loss_G}, line=look)

# %%
TrainingFilm(
    film,
    line=(-3, 3, 0, 1.2),
    behind={"data": p(places)},
    title="Forger and detective on a line",
    alt="The density of the data with two hills, the histogram of G's samples and the curve D(x) over x "
    "from -3 to 3, and the losses of both players over 1,000 steps. At the end G's samples stand "
    "on both hills and D(x) is near one half there.",
)

# %% [markdown]
# Press *Home* and go through the first fifteen moments with the arrow key; then let it play. Things to
# notice:
#
# - At first $G$ puts all its samples into one needle between the hills. $D$ sinks there, within a few
#   steps, and rises at the sides; the samples run up its slopes, to the left and to the right.
# - Wherever $G$ makes *too many* (the blue line above the sand), $D$ falls below one half and drives samples
#   away; where it makes *too few*, $D$ rises above one half and calls them. The needles that come and
#   go on the hills are a chase: $G$ runs to where $D$ *was* high, $D$ follows.
# - The losses do not fall. $D$'s climbs, because its task becomes harder. **In a GAN the loss of a player
#   says how strong the other one is**, not how good the samples are. Near the end both stand still. Where,
#   and why there?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The optimum
#
# Let $G$ stand still, and give $D$ all the time in the world. At one place $x$, real samples come with
# density $p(x)$ and made ones with $p_G(x)$, so this place adds to $V$
#
# $$ p(x) \log D(x) + p_G(x) \log\big(1 - D(x)\big), \qquad \text{largest where} \qquad
# \frac{p(x)}{D(x)} = \frac{p_G(x)}{1 - D(x)}, $$
#
# where the derivative by $D(x)$ is 0. Solved for $D$, and written as a logit:
#
# $$ D^*(x) = \frac{p(x)}{p(x) + p_G(x)}, \qquad a^*(x) = \log p(x) - \log p_G(x) $$
#
# So a perfect detective knows the *ratio* of the two densities, although it has seen neither, only samples.
# We can measure that: take a forger whose density we know, $G(z) = 1.2\, z$, and train $D$ to the end.

# %%
torch.manual_seed(0)
judge = mlp(nn.LeakyReLU(0.2))
opt = adam(judge, 1e-2)
steps = 500
for step in range(steps):
    opt.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)  # ever smaller steps, to come to rest
    loss = loss_d(judge(draw(512)), judge(1.2 * torch.randn(512, 1)))
    opt.zero_grad()
    loss.backward()
    opt.step()

p_G = normal(places, 0.0, 1.2)
best = p(places) / (p(places) + p_G)
with torch.no_grad():
    learnt = judge(places[:, None]).sigmoid().squeeze(1)
weight = (p(places) + p_G) / (p(places) + p_G).sum()  # how often D is asked there
off = ((learnt - best).abs() * weight).sum()
print(f"on average D is off by {off:.3f}")
fig = viz.new_figure(6.4, 2.8)
ax = fig.add_subplot()
ax.fill_between(places, p(places), color=viz.COLOURS[1], alpha=0.4, label="data")
ax.plot(places, p_G, color=viz.COLOURS[0], label="$p_G$, known")
ax.plot(places, best, color="black", linestyle="--", label="$D^*$, the formula")
ax.plot(places, learnt, color=viz.COLOURS[2], label="D, trained")
ax.set(xlabel="x", ylim=(0, 1.05))
ax.legend(frameon=False, ncols=2, loc="upper left", fontsize=8)
viz.figure(
    fig,
    alt="Two hills of data, the broad bell of a forger, and two curves that nearly coincide: D* = p / (p "
    "+ p_G) from the formula and D as trained. They rise to about 0.7 and 0.75 over the hills and "
    "fall between and beside them.",
)

# %% [markdown]
# $D$ has found the ratio from samples alone, and is worst where hardly anybody asked it. Now put $D^*$ into
# $V$:
#
# $$ V(D^*, G) = \mathbb E_{p} \log \frac{p}{p + p_G} + \mathbb E_{p_G} \log \frac{p_G}{p + p_G}
# = -2 \log 2 + 2\, \mathrm{JSD}(p, p_G) $$
#
# because with $m = (p + p_G)/2$ each fraction is $\frac12$ times $p/m$ or $p_G/m$. What is left,
# $\mathrm{JSD} = \frac12 \mathrm{KL}(p \Vert m) + \frac12 \mathrm{KL}(p_G \Vert m)$, is the **Jensen-Shannon
# divergence**: 0 only where the two are equal, and $\log 2$ where they have no place in common. So with a
# perfect detective the forger minimises a distance between two *distributions*: what the squared error could
# not do. The goal is $p_G = p$. Then $D^* = \frac12$ everywhere, and $D$'s loss is $2 \log 2 = 1.386$: a coin
# for each of its two questions.
#
# Is it true? On the left side of the equation samples, on the right an integral; the forger is a bell of the
# width of our right hill, moved along the line.

# %%
torch.manual_seed(0)
x = torch.linspace(-10, 10, 20_001).double()
by_integral, by_samples = [], []
for shift in torch.linspace(-6, 6, 49).tolist():
    on_data, on_made = p(x).numpy(), normal(x, shift, 0.4).numpy()  # both densities, at all x
    middle = (on_data + on_made) / 2
    sums = rel_entr(on_data, middle).sum() + rel_entr(on_made, middle).sum()  # rel_entr(a, b) is a log(a / b)
    jsd = sums * 0.001 / 2
    by_integral.append((shift, -2 * math.log(2) + 2 * jsd))

    real, made = draw(10_000), shift + 0.4 * torch.randn(10_000, 1)
    best_on_real = p(real) / (p(real) + normal(real, shift, 0.4))
    best_on_made = p(made) / (p(made) + normal(made, shift, 0.4))
    by_samples.append((shift, (best_on_real.log().mean() + (1 - best_on_made).log().mean()).item()))

worst = max(abs(a - b) for (_, a), (_, b) in zip(by_integral, by_samples, strict=True))
assert worst < 0.03
print(f"largest difference between the two sides: {worst:.3f}, with 10,000 samples of each kind")
viz.curves(
    {"-2 log 2 + 2 JSD, integrated": by_integral, "V(D*, G), from samples": by_samples},
    x="where the forger's bell stands",
    y="V",
    alt="V against the place of the forger's bell. It is 0 far out on both sides, perfectly level, and "
    "has two valleys at -1.2 and 1.2, the right one deeper. Integral and samples lie on one another.",
)

# %% [markdown]
# The two sides agree. Two things to keep in mind: over the hill that is worth more the valley is deeper, but
# no single bell reaches $-1.386$, because it covers only one hill. And far from the data the curve is
# *level*: a forger who starts there gets no advice at all. That comes back in section 3.
#
# ### Both players, to the end
#
# Now the game from section 1 goes on, with step lengths that shrink to 0, so that both come to rest. Beside
# it plays a copy of the two, equal in everything but one: its detective now learns no faster than its forger.


# %% tags=["training"]
def to_the_end(G, D, lr_D, steps, seed):
    """Play with step lengths that fall to 0, the forger's from 0.001."""
    torch.manual_seed(seed)
    opt_G, opt_D = adam(G, 1e-3), adam(D, lr_D)
    for step in range(steps):
        for opt, lr in ((opt_G, 1e-3), (opt_D, lr_D)):
            opt.param_groups[0]["lr"] = lr * (1 - step / steps)
        one_round(G, D, opt_G, opt_D)


@torch.no_grad()
def verdict(G, D):
    """D's loss on 50,000 samples of each kind, and how far D is from 1/2 on the data, on average."""
    torch.manual_seed(1)
    real, made = draw(50_000), G(torch.randn(50_000, 1))
    return loss_d(D(real), D(made)).item(), (D(real).sigmoid() - 0.5).abs().mean().item()


def fresh_detective(G, steps=400):
    """A new D, trained against a G that stands still."""
    torch.manual_seed(2)
    D = mlp(nn.LeakyReLU(0.2))
    opt = adam(D, 1e-2)
    for step in range(steps):
        opt.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        loss = loss_d(D(draw(512)), D(G(torch.randn(512, 1)).detach()))
        opt.zero_grad()
        loss.backward()
        opt.step()
    return D


G_slow, D_slow = deepcopy(G), deepcopy(D)
to_the_end(G, D, lr_D=1e-2, steps=1000, seed=0)
to_the_end(G_slow, D_slow, lr_D=1e-3, steps=1000, seed=0)

# %%
fig = viz.new_figure(7.2, 2.8)
pairs = {"quick detective": (G, D), "slow detective": (G_slow, D_slow)}
for ax, (name, (g, d)) in zip(fig.subplots(1, 2), pairs.items(), strict=True):
    loss, off = verdict(g, d)
    new_loss, _ = verdict(g, fresh_detective(g))
    print(f"{name}: D's loss {loss:.3f}, D is {off:.3f} off 1/2 on the data; a fresh D gets {new_loss:.3f}")
    with torch.no_grad():
        made, curve = g(z_film), d(places[:, None]).sigmoid()
    ax.fill_between(places, p(places), color=viz.COLOURS[1], alpha=0.4, label="data")
    ax.plot(places, histogram(made), color=viz.COLOURS[0], label="G's samples")
    ax.plot(places, curve, color=viz.COLOURS[2], label="D(x)")
    ax.set(title=f"{name}: loss {loss:.3f}", xlabel="x", ylim=(0, 1.6))
fig.axes[0].legend(frameon=False, fontsize=8)
print(f"2 log 2 = {2 * math.log(2):.3f}")
viz.figure(
    fig,
    alt="Two panels. Left, the quick detective: G's samples fill both hills of the data, with few between"
    " them, and D(x) is level at one half. Right, the slow detective: G's samples stand in needles on"
    " the hills, far higher than the data there, and beside them are too few; yet D(x) is as level at"
    " one half.",
)

# %% [markdown]
# Both detectives say one half nearly everywhere, and both losses agree with $2 \log 2$ to about a hundredth.
# But only one of the two forgers is good. The slow detective has not learnt; it has *given up*, and a forger
# that hears nothing but "one half" drifts. In fact a detective whose weights are all 0 has this loss as well.
#
# So $1.386$ says that *this* detective finds no difference, not that there is none. The proof is in the last
# column of the printed lines: hold $G$ still and train a *fresh* detective to the end. By the formula its
# loss is $2 \log 2 - 2\,\mathrm{JSD}$, so what is missing to 1.386 is twice the distance that is left. **The
# losses of a GAN do not measure its samples.** Section 9 is about what does.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Somebody shows you the losses of a GAN: D's has been at 1.386 for a long time. What follows?",
    [
        (
            "This D cannot tell its forgeries from real data better than by tossing a coin.",
            True,
            "That is what 2 log 2 says, and it is all it says.",
        ),
        (
            "G's samples are distributed as the data are.",
            False,
            "Only for a D that is as good as it can be. A D that is too small or too slow, or has never been "
            "trained, has this loss for any G.",
        ),
        (
            "If G is perfect, no other D could get below 1.386, apart from chance.",
            True,
            "Then D* is 1/2 everywhere, and the JSD is 0.",
        ),
        (
            "The training is broken: a loss that does not fall means that nothing is learnt.",
            False,
            "D's task becomes harder as G becomes better. Standing still is what both want of the other.",
        ),
    ],
    id="3.Q1",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. One player stands still
#
# What does each player do when the other one is frozen? The detective we have seen: it finds $D^*$. Now
# freeze the *detective*, the one that was trained in section 2 against a broad bell, and let new forgers
# learn from it.

# %%
judge.requires_grad_(False)
fig = viz.new_figure(7.2, 2.8)
for ax, seed in zip(fig.subplots(1, 2, sharey=True), (3, 0), strict=True):
    torch.manual_seed(seed)
    forger = mlp(nn.ReLU())
    opt = adam(forger, 1e-3)
    with torch.no_grad():
        start = forger(z_film)
    for _ in range(400):
        loss = loss_g(judge(forger(torch.randn(128, 1))))
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        end = forger(z_film)
    print(f"forger {seed}: {start.mean():.2f} ± {start.std():.2f} -> {end.mean():.2f} ± {end.std():.3f}")
    ax.plot(places, learnt, color=viz.COLOURS[2], label="D(x), frozen")
    ax.plot(places, histogram(start).clamp(max=2) / 2, color=viz.COLOURS[5], label="samples at first")
    ax.plot(places, histogram(end).clamp(max=2) / 2, color=viz.COLOURS[0], label="400 steps later")
    ax.set(title=f"forger {seed}", xlabel="x", ylim=(0, 1.05))
fig.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
print(f"D is highest at {places[learnt.argmax()]:.2f}")
viz.figure(
    fig,
    alt="Two panels with the same D(x), two hills, the right one higher. Each forger's samples begin in a"
    " narrow heap near 0 and end in a needle on top of a hill: those of forger 3 on the right one, of"
    " forger 0 on the left.",
)

# %% [markdown]
# Four thousand different noises, and hardly more than one number. Against a detective that stands still, the
# best that a forger can do is to put *every* $z$ on top of $D$; no term of its loss asks for variety. (It
# climbs by the slope, so it finds the top of the hill on which it began: forger 3 the highest, forger 0 the
# other.) This is **mode collapse** in miniature.
#
# What prevents it in the game is only that the detective moves: where all samples stand, $p_G$ is huge, and
# $D^* = p / (p + p_G)$ falls. A frozen $G$ gives a detective that knows the densities, a frozen $D$ gives a
# needle; only the two together make a generative model. Where they follow each other in circles, you will see
# it in section 5.
#
# ### Two games
#
# In the min-max game $G$ minimises $\log(1 - D(G(z)))$. We have used $-\log D(G(z))$, the **non-saturating**
# game. Both want $D(G(z))$ large. How hard does each *pull*? A sample feels the slope of its loss by $D$'s
# logit $a$:
#
# $$ \frac{d}{da} \log(1 - D) = -D, \qquad \frac{d}{da} (-\log D) = -(1 - D),
# \qquad D = \mathrm{sigmoid}(a) $$

# %%
logits = torch.linspace(-8, 8, 161, requires_grad=True)
slopes = {}
for game in ("min-max", "non-saturating"):
    loss = loss_g(logits, game) * len(logits)  # undo the mean: each sample for itself
    (pull,) = torch.autograd.grad(loss, logits)
    slopes[game] = list(zip(logits.tolist(), pull.abs().tolist(), strict=True))
fig = viz.new_figure(6.4, 2.6)
ax = fig.add_subplot()
for (name, points), colour in zip(slopes.items(), viz.COLOURS, strict=False):
    ax.plot(*zip(*points, strict=True), color=colour, label=name)
ax.set(xlabel="D's logit for a forgery: sure that it is made (left) or real (right)", ylabel="pull on G")
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="The pull on G against D's logit from -8 to 8. The min-max curve is 0 on the left, where D is "
    "sure that the sample is made, and rises to 1 on the right; the non-saturating curve is its "
    "mirror image, 1 on the left.",
)

# %% [markdown]
# The forger of the min-max game is left alone exactly when it is at its worst: where $D$ is sure of itself,
# the pull is nearly 0. That is what *saturated* means. Turned round, it pulls hardest where help is needed
# most.
#
# Does it matter? Let a forger start far off, at $-5$, and give the detective three hundred steps' start. Then
# both games, five seeds each; the forger moves by plain gradient descent.


# %% tags=["training"]
def play(seed, game, optimizer):
    """A forger who starts at -5 against a D 300 steps ahead -> the means of its samples, step by step."""
    torch.manual_seed(seed)
    G, D = mlp(nn.ReLU()), mlp(nn.LeakyReLU(0.2))
    nn.init.constant_(G[-1].bias, -5.0)
    opt_D, opt_G = adam(D, 1e-2), optimizer(G.parameters())
    path = []
    for step in range(-300, 100):
        real, fake = draw(128), G(torch.randn(128, 1))
        loss = loss_d(D(real), D(fake.detach()))
        opt_D.zero_grad()
        loss.backward()
        opt_D.step()
        if step >= 0:
            loss = loss_g(D(fake), game)
            opt_G.zero_grad()
            loss.backward()
            opt_G.step()
            path.append((step, fake.mean().item()))
    return path


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.02)


paths = {game: [play(seed, game, sgd) for seed in range(3)] for game in ("min-max", "non-saturating")}

# %%
fig = viz.new_figure(6.4, 2.8)
ax = fig.add_subplot()
for (game, runs), colour in zip(paths.items(), viz.COLOURS, strict=False):
    print(f"{game:15} mean of the samples at the end: ", *(f"{path[-1][1]:6.2f}" for path in runs))
    for path in runs:
        ax.plot(*zip(*path, strict=True), color=colour, linewidth=1, label=game if path is runs[0] else None)
ax.axhline(0.24, color="black", linestyle=":", label="mean of the data")
ax.set(xlabel="step of the forger", ylabel="mean of its samples", ylim=(-6, 3))
ax.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.35))
viz.figure(
    fig,
    alt="The mean of the forger's samples over 100 steps, three runs of each game. All min-max runs stay "
    "level at -5. All non-saturating runs jump to the region of the data within the first tens of "
    "steps and swing about there.",
)

# %% [markdown]
# In the min-max game nothing moves: the detective's logit is about $-10$ there, so the pull is less than one
# ten-thousandth of what it could be. It is the level part of the curve of section 2, which that game follows.
# In the non-saturating game the forger is among the data within the first tens of steps, after a leap or two,
# in every run.
#
# *Why not Adam here?* Try it: write `lambda q: torch.optim.Adam(q, 1e-3, (0.0, 0.99))` for `sgd`. In our
# tries the min-max forgers then set out too, because Adam divides every gradient by its usual size and so
# makes an ordinary step of a faint pull; but they came later than the others, and one of five had not come
# after 150 steps. That is a good reason to train GANs with Adam, and none to use the worse loss.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Why does G minimise -log D(G(z)), and not log(1 - D(G(z)))?",
    [
        (
            "While D finds the forgeries out, D(G(z)) is near 0. There the second has next to no slope by "
            "the logit, the first has slope -1: G learns most when it needs it most.",
            True,
            "By the logit the slopes are -D and -(1 - D). Both point the same way, so the place where the "
            "game comes to rest is the same; how fast G gets there is not.",
        ),
        (
            "They have different optima: only the first makes D(G(z)) large.",
            False,
            "Both fall as D(G(z)) rises, at every point. They differ in how steeply.",
        ),
        (
            "log(1 - D) may be the logarithm of 0.",
            False,
            "So may log D. From logits neither happens: both are softplus.",
        ),
        (
            "The first makes it a game in which what one wins the other loses.",
            False,
            "It is the other way round: the min-max game is of that kind, the non-saturating one is not.",
        ),
    ],
    id="3.Q2",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. `yield` instead of boilerplate
#
# Look once more at `one_round`. What in it makes it a GAN? What a forgery is, the two losses, and their
# order. All the rest, clear, backward, step, is the same for every network of this course; but `fit` of
# notebook 01 expects *one* loss, and here the second may only be computed when the first player has moved.
#
# Python has a word for that. A function with `yield` in it is a *generator* (no relation of $G$): it runs up
# to the `yield`, hands out a value, and waits until somebody asks for the next. So a method can hand out its
# losses one by one, in the order of the paper:
#
# ```python
# def losses(self, x, step):
#     fake = self.G(self.noise(x)).detach()
#     yield Loss("D", d_loss(self.D(x), self.D(fake)))  # here it waits, and D moves
#     yield Loss("G", g_loss(self.D(self.G(self.noise(x)))))  # so this is the D that has moved
# ```
#
# and the loop need not know what it is training:
#
# ```python
# for loss in method.losses(x, step):
#     opts[loss.opt].zero_grad()
#     loss.value.backward()
#     opts[loss.opt].step()
# ```
#
# That is `course_lib/methods/gan.py` without its options, and `fit` without its comforts. Here are twenty
# rounds in three ways: by hand, by this loop, and by `fit`, from the same weights. So that all draw the same
# noise, each step is seeded as `fit` does it, with a number that depends on nothing but the step.

# %%
torch.manual_seed(0)
by_fit = GAN(latent=1, channels=1, size=0, widths=(32, 2), lr=1e-3, lr_d=1e-2, betas=(0.0, 0.99))
by_hand, by_yield = deepcopy(by_fit), deepcopy(by_fit)
numbers = draw(10_000)  # fit wants a data set
steps, batch = 20, 128

# by hand, as in section 1
opt_D, opt_G = adam(by_hand.D, 1e-2), adam(by_hand.G, 1e-3)
for step in range(steps):
    x = numbers[batch_indices(len(numbers), seed=0, start=step * batch, count=batch)]
    torch.manual_seed(4096 * step)  # the number from which `fit` seeds this step, see `_number` in fit.py
    fake = by_hand.G(torch.randn(batch, 1)).detach()
    loss_D = loss_d(by_hand.D(x), by_hand.D(fake))
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()

    fake = by_hand.G(torch.randn(batch, 1))
    loss_G = loss_g(by_hand.D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()

# with the library's `losses`: the two players are the method's business, the updates the loop's
opts = by_yield.optimizers()
for step in range(steps):
    x = numbers[batch_indices(len(numbers), seed=0, start=step * batch, count=batch)]
    torch.manual_seed(4096 * step)
    for loss in by_yield.losses(x, step):
        opts[loss.opt].zero_grad()
        loss.value.backward()
        opts[loss.opt].step()

# and with `fit`
run = fit(by_fit, numbers, steps=steps, batch=batch, seed=0, device="cpu", progress=False)

for a, b, c in zip(by_hand.parameters(), by_yield.parameters(), by_fit.parameters(), strict=True):
    assert torch.allclose(a, b, atol=1e-6)
    assert torch.allclose(a, c, atol=1e-6)
print(f"by hand:  D {loss_D.item():.6f}   G {loss_G.item():.6f}")
print(f"by fit:   D {run.history['loss/D'][-1][1]:.6f}   G {run.history['loss/G'][-1][1]:.6f}")

# %% [markdown]
# The same weights, three times. (`fit` is stricter in one point: it asks for the gradients of the player
# whose turn it is and of nobody else, so nothing is left lying about that a forgotten `zero_grad` could pick
# up.) From here on a GAN is one line, `fit(GAN(...), data, steps=...)`, and what changes between the sections
# is what stands in the dots.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Points in the plane: four ways to fail
#
# On a line two hills were easy to find. Now eight: the **ring**, eight narrow Gaussians on a circle, has
# been the test of GANs for years, because it shows at a glance what a grid of pictures hides. $G$ turns
# two random numbers into a point, and both players are dense networks with three layers of 64. The class
# is the `GAN` of section 4; `plane_gan()` makes one with settings that work.
#
# **Press play and watch** for about 600 steps. Orange is where $D$ says "real", blue where it says
# "made". Each arrow shows where $D$ pushes a sample of $G$. **Then choose another setting** and compare;
# the two numbers say how many of the eight modes are covered, and how many samples are of high quality,
# within three standard deviations of a centre. **Then draw your own points**, or take the moons: nothing
# here knows that the data are a ring.


# %% tags=["widget"]
def playing(settings):
    """What the playground asks for: from points to frames. `settings`: what differs from ours."""
    return lambda points: (PlayFrame(*moment) for moment in watch(points, settings))


Playground2D(
    {"recommended": playing({})} | {name: playing(settings) for name, settings in FAILURES.items()},
    points="ring",
    preview=60,
    title="G and D in the plane",
    alt="Eight small clouds of data points on a circle, the samples of a generator that move towards "
    "them, and behind both in colours what the discriminator says about each place. Beside it the losses, "
    "the number of modes covered and the share of samples of high quality.",
)

# %% [markdown]
# With the recommended settings the samples first gather into a blob or an arc that sweeps over the plane.
# Then the arc tears, and the pieces settle on the eight clouds. $D$'s field fades to one half, the
# equilibrium of section 2, and the arrows shrink with it. A few samples always remain on the bridges
# between the clouds: $G$ is continuous, and cannot tear one cloud of noise into eight without anything
# between.

# %% [markdown]
# ### Exercise 3.4: Count the modes
# *difficulty 3 of 5, about 15 minutes*
#
# The eye sees eight clouds, or six and a half. Two numbers say it exactly. A sample is of **high quality** if
# it lies within 3 standard deviations (Euclidean distance) of its nearest centre. A mode is **covered** if
# enough high-quality samples belong to it: at least 0.2 of an even share, so $0.2\,N/K$ for $N$ samples and
# $K$ modes.


# %% tags=["exercise", "ex-3.4"]
def count_modes(samples, centres, std):
    """samples (N, 2), centres (K, 2), std of each mode -> (number of covered modes, high-quality share)."""
    # SOLUTION
    distance, nearest = torch.cdist(samples, centres).min(dim=1)  # (N,), (N,)
    good = distance <= 3 * std
    counts = torch.bincount(nearest[good], minlength=len(centres))  # (K,)
    covered = counts >= 0.2 * len(samples) / len(centres)
    return covered.sum().item(), good.float().mean().item()
    # END SOLUTION
    # EXERCISE
    # | distance, nearest = ...  # of each sample: how far its nearest centre is, and which one that is
    # | good = ...
    # | raise NotImplementedError  # count the good ones of each mode, and return the two numbers
    # END EXERCISE


# %%
check.gan.count_modes(count_modes)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Each failure and its cure
#
# Now all four failures, and for each a cure: the settings of the failure with *one* thing changed. The
# settings are all that differs, so here they are.

# %%
ring, centres = toys.ring(4_000).unlabelled(), ring_centres()


def trained(settings, steps, seed=0):
    """A GAN trained on the ring, with what differs from the recommended settings."""
    torch.manual_seed(seed)
    gan = plane_gan(**settings)
    fit(gan, ring, steps=steps, batch=128, lr=warmup_cosine(steps), seed=seed, progress=False)
    return gan


def drawn(gan):
    """2,000 samples."""
    *_, last = gan.sample(2_000, generator=torch.Generator().manual_seed(0))
    return last.x


def row(name, settings, gan):
    covered, quality = mode_coverage(drawn(gan), centres, RING_STD)
    changes = ", ".join(f"{k}={v}" for k, v in settings.items()) or "nothing"
    print(f"{name:26}{covered:3} of 8{quality:9.0%}   {changes}")


# %%
gans = {}
print(f"{'':26}{'modes':>8}{'quality':>9}   what differs from the recommended settings")
for name, settings in FAILURES.items():
    for label, changed in ((name, settings), ("   cured", CURES[name])):
        if str(changed) not in gans:  # two cures are the recommended settings
            gans[str(changed)] = trained(changed, steps=600)
        row(label, changed, gans[str(changed)])

# %%
fig = viz.new_figure(7.2, 3.8)
axes = fig.subplots(2, 4)
for k, name in enumerate(FAILURES):
    for ax, settings in zip(axes[:, k], (FAILURES[name], CURES[name]), strict=True):
        ax.plot(*ring.x[:200].T, ".", color=viz.COLOURS[1], markersize=2)
        ax.plot(*drawn(gans[str(settings)])[:500].T, ".", color=viz.COLOURS[0], markersize=1.5)
        ax.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xticks=[], yticks=[])
        ax.set_title(name if ax is axes[0, k] else "cured", fontsize=9)
viz.figure(
    fig,
    colours=32,
    alt="Two rows of four pictures of the plane, data in orange and samples in blue. In the upper row, "
    "of the four failures, the samples miss most of the eight modes. In the lower row, of their cures, the "
    "samples lie in or near all or most of the modes, with thin bridges between them.",
)

# %% [markdown]
# Each run had 600 steps, an eighth of what the recommended settings are made for, so the cured ones are not
# sharp yet; what counts is the modes. (We also ran it in full, with seeds 0 to 4. The recommended settings:
# 5,000 steps, 23 seconds, 8 of 8 modes each time and a quality of 92 to 97 %. Each failure: 1,000
# steps, at most 2 modes each time.) In words:
#
# - **Mode collapse.** $D$ learns twenty times more slowly than $G$. $G$ moves all its samples to the
#   place that $D$ likes best *now*, and has left before $D$ finds out. In the playground: a blob or a
#   streak that hops. Cure: let $D$ learn as fast as $G$.
# - **Mode dropping.** $D$ learns forty times *faster*, and nothing smooths it. It puts a steep wall
#   around whatever $G$ has found; $G$, at its small steps, settles there. The arrows at the missing modes
#   would be large, but no sample is there to feel them. Cure: let $G$ move.
# - **Oscillation.** Adam with its usual momentum, 0.9 and 0.999. Momentum keeps pushing where the slope
#   pointed ten steps ago, when the opponent stood elsewhere, so both overshoot, again and again. Cure: no
#   momentum. Most GANs use $\beta_1 = 0$ or 0.5, for this reason.
#
# The fourth one is yours. Look at its losses and at what $D$ says:

# %%
last = list(watch(toys.ring(256).x, FAILURES["imbalance"], steps=400, every=20))
viz.curves(
    {"D": [(m.step, m.losses["D"]) for m in last[1:]], "G": [(m.step, m.losses["G"]) for m in last[1:]]},
    y="loss, nats",
    alt="The losses of D and G in the failure called imbalance, over 400 steps.",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "The failure called imbalance: the min-max game, D learns a hundred times faster than G, and no penalty. "
    "D's loss stays far below 2 log 2. What is going on?",
    [
        (
            "D is too sure. In the min-max game G's slope is the probability that D gives its samples, and "
            "that is next to nothing; and G's steps are too small to catch up.",
            True,
            "Yes: the slope of log(1 - D) by the logit is -D. The playground shows short arrows, and yet "
            "the samples are far from the data. Adam divides by the size of the slope and so hides a part "
            "of it: with a G that learns faster, the cure in the table, even this game goes on.",
        ),
        (
            "G is too strong: D cannot tell its samples from the data.",
            False,
            "Then D's loss would be near 2 log 2 = 1.386, the loss of a coin.",
        ),
        (
            "Both players have reached the equilibrium.",
            False,
            "At the equilibrium D says one half to everything, and its loss is 2 log 2 = 1.386.",
        ),
        (
            "D has learnt the data by heart.",
            False,
            "There are 4,000 points, and the two numbers of a point leave little to learn by heart. With few "
            "pictures this does happen.",
        ),
    ],
    id="3.Q3",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Cures, one by one
#
# ### R1, and the smallest GAN of all
#
# Why does a game circle where a loss would go downhill? Take the smallest GAN there is, the **Dirac-GAN**
# (Mescheder et al., arXiv 1801.04406). All data lie at 0. $G$ has one number, the place $\theta$ of all
# its samples; $D$ has one number, its slope: $D(x) = \psi x$ is the logit. Both move at once, $\theta$
# down on $\log(1 - \sigma(\psi\theta))$, $\psi$ down on $-\log(1 - \sigma(\psi\theta))$:
#
# $$ \dot\theta = \psi\,\sigma(\psi\theta), \qquad \dot\psi = -\theta\,\sigma(\psi\theta)
#    \qquad\Rightarrow\qquad \tfrac{d}{dt}\left(\theta^2 + \psi^2\right) = 0 $$
#
# A circle, for ever; and steps of finite length $h$ along a circle lead outwards: $\theta^2 + \psi^2$
# grows by the factor $1 + h^2\sigma^2$ each time. Nothing is wrong with anybody's gradient. It is the
# *game* that turns.
#
# **R1** takes from $D$ what it does not need. Where $p_G = p$, the best $D$ is level, so charge it for
# its slope at the data:
#
# $$ L_D = -V + \frac{\gamma}{2}\, \mathbb E_{x \sim p}\, \lVert\nabla_x D(x)\rVert^2 $$
#
# In the Dirac-GAN that is $\frac\gamma2\psi^2$, and $\dot\psi$ gets the term $-\gamma\psi$: friction.
# Near the equilibrium the motion has the eigenvalues $\frac12\left(-\gamma \pm \sqrt{\gamma^2 -
# 1}\right)$. Their real part is negative for every $\gamma > 0$, and $\gamma = 1$ is the fastest way
# home.

# %%
fig = viz.new_figure(7.2, 2.7)
t, s = torch.meshgrid(torch.linspace(-2, 2, 13), torch.linspace(-2, 2, 13), indexing="xy")
for ax, gamma in zip(fig.subplots(1, 3), (0.0, 0.3, 1.0), strict=True):
    weight = torch.sigmoid(t * s)
    ax.quiver(t, s, s * weight, -t * weight - gamma * s, color="#b0b7bf", width=0.004)
    path = dirac_path(gamma, lr=0.1, steps=400)
    ax.plot(*path.T, color=viz.COLOURS[0], linewidth=1)
    ax.plot(*path[0], "o", color=viz.COLOURS[3], markersize=4)
    ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal", xlabel="theta", title=f"gamma = {gamma:g}")
    print(f"gamma = {gamma:g}: distance from the equilibrium {path[0].norm():.2f} -> {path[-1].norm():.2g}")
fig.axes[0].set_ylabel("psi")
viz.figure(
    fig,
    colours=32,
    alt="Three phase portraits of the Dirac-GAN, theta to the right and psi upwards, all started at (1, 1). "
    "Without a penalty the path circles and drifts outwards; with gamma = 0.3 it spirals into the middle; "
    "with gamma = 1 it goes there without circling.",
)

# %% [markdown]
# In the library it is the block marked `# R1` of `methods/gan.py`: `slope` asks for $\lVert\nabla_x
# D(x)\rVert$ with a graph, so that the penalty can itself be differentiated (*double backward*). On the
# ring, R1 is not alone: without momentum the game found all eight modes without it too, in our runs. What
# it does to $D$ stands in the last table of this section.

# %% [markdown]
# ### Exercise 3.5: R1 on the Dirac-GAN
# *difficulty 3 of 5, about 15 minutes*
#
# Write one step of this game for steps of finite length `lr`. Both players have the value
#
# $$ V(\theta, \psi) = \log\big(1 - \sigma(\psi\theta)\big) $$
#
# before them. $G$ goes down on $V$ with $\theta$, $D$ up on $V - \frac{r_1}{2}\psi^2$ with $\psi$, **both
# at once**: each from the old $\theta$ and $\psi$. (The paper counts $D$'s sign the other way round; with
# $-\psi$ for $\psi$ it is the same game.) For `r1 = 0` your steps must lead outwards in circles, for
# `r1 = 1` to rest.


# %% tags=["exercise", "ex-3.5"]
def dirac_step(theta, psi, lr, r1):
    """One simultaneous gradient step of both players, plain numbers -> (new theta, new psi)."""
    # SOLUTION
    d = 1 / (1 + math.exp(-psi * theta))  # D's verdict on G's samples
    return theta + lr * d * psi, psi - lr * (d * theta + r1 * psi)
    # END SOLUTION
    # EXERCISE
    # | d = 1 / (1 + math.exp(-psi * theta))  # D's verdict on G's samples
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.gan.dirac_step(dirac_step)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### A distance with a slope everywhere: Wasserstein
#
# The Jensen-Shannon divergence of section 2 is level where the two distributions have no place in common.
# The **Wasserstein distance** asks something else: over which mean distance must mass be carried, at
# least, to turn one distribution into the other? Two points at distance $\theta$ have $\mathrm{JSD} =
# \log 2$ for every $\theta \ne 0$, but $W = \theta$: a slope from any distance. And $W$ can be had from a
# network:
#
# $$ W(p, p_G) = \max_{\lVert\nabla D\rVert \le 1} \mathbb E_{x \sim p} D(x) - \mathbb E_z D(G(z)) $$
#
# Now $D$ is a **critic**: no probability, any number, and a slope of at most 1. WGAN-GP (arXiv
# 1704.00028) asks for the slope by a penalty, at random points on the lines between real and made ones:
#
# $$ L_D = \mathbb E D(G(z)) - \mathbb E D(x)
#    + \lambda\, \mathbb E\big(\lVert\nabla D(\hat x)\rVert - 1\big)^2 $$
#
# On a line `scipy` knows the exact distance. Does a critic find it? (We lay the line in the plane. On a
# line alone, a critic that begins with a slope of the wrong sign stays there: on its way through 0 the
# penalty pushes it back.)

# %%
torch.manual_seed(0)
real = 0.3 * torch.randn(500, 2) * torch.tensor([1.0, 0.0])
print("  shift   exact W   measured   loss of a critic that judges, in nats")
for shift in (0.5, 1.0, 2.0):
    made = real[torch.randperm(500)] * 1.5 + torch.tensor([shift, 0.0])
    critics = {}
    for wasserstein in (True, False):
        _, D = players(size=0, channels=2, latent=1, widths=(32, 2), stddev=False)
        opt = torch.optim.Adam(D.parameters(), lr=5e-3, betas=(0.5, 0.9))
        for _ in range(250):
            if wasserstein:
                loss = D(made).mean() - D(real).mean() + 10 * course_penalty(D, real, made)
            else:
                loss = loss_d(D(real), D(made))
            opt.zero_grad()
            loss.backward()
            opt.step()
        critics[wasserstein] = D
    with torch.no_grad():
        measured = (critics[True](real).mean() - critics[True](made).mean()).item()
        judged = loss_d(critics[False](real), critics[False](made)).item()
    exact = wasserstein_distance(real[:, 0].numpy(), made[:, 0].numpy())
    print(f"{shift:7.1f}{exact:10.3f}{measured:11.3f}{judged:12.3f}")

# %% [markdown]
# The measured distance follows the exact one, 3 to 9 % above it: the penalty is finite, so a slope a
# little above 1 pays. (For two points at distance $W$ it is exactly $1 + W / 2\lambda$.) The ordinary $D$
# meanwhile goes to 0, and then it has nothing more to say about how far away $G$ is. The price: the
# critic must be good before $G$ may trust it, so `methods/wgan_gp.py` moves it five times for each step
# of $G$.

# %% [markdown]
# ### Exercise 3.6: A gradient penalty
# *difficulty 4 of 5, about 15 minutes*
#
# Write the penalty, $\mathbb E\big(\lVert\nabla D(\hat x)\rVert - 1\big)^2$, without its weight $\lambda$.
# The points lie between real and made, $\hat x = x + u\,(G(z) - x)$, with one number $u$ for each sample.
# It must
# work for points (B, d) and for pictures (B, C, H, W), and $D$ must be able to learn from it: a gradient that
# is itself differentiated again.


# %% tags=["exercise", "ex-3.6"]
def gradient_penalty(D, x, fake, u):
    """The mean of (slope - 1)^2: x, fake (B, ...), u (B,) from 0 to 1, D gives (B,) -> one number."""
    # SOLUTION
    u = u.view(-1, *[1] * (x.dim() - 1))  # (B, 1, ...)
    x_hat = (x + u * (fake - x)).requires_grad_()
    (grad,) = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)  # like x
    return ((grad.flatten(1).norm(dim=1) - 1) ** 2).mean()
    # END SOLUTION
    # EXERCISE
    # | u = u.view(-1, *[1] * (x.dim() - 1))  # (B, 1, ...)
    # | x_hat = ...
    # | raise NotImplementedError  # the gradient of D there, one norm for each sample, and the mean
    # END EXERCISE


# %%
check.gan.gradient_penalty(gradient_penalty)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Let D see the whole batch
#
# A $G$ that gives nothing but copies of one good sample is hard to blame sample by sample. **Minibatch
# standard deviation** gives $D$ one more feature, how much the samples of this batch vary:
#
# ```python
# h = self.features(x)                              # (B, F)
# h = torch.cat([h, batch_stddev(h)], dim=1)        # (B, F + 1), the same number for all of the batch
# ```
#
# The test: a $G$ that has collapsed onto one of the eight modes, perfectly, and does not move. A $D$ that
# judges one sample at a time cannot do better than $\frac18 \log 9 + \log \frac98 = 0.392$ nats, because
# an eighth of the real points lies there too. (Which $D^*$ is that?)

# %%
only_one = toys.ring(4_000, seed=1)
only_one = only_one.x[only_one.y == 0]  # (M, 2)


def judge(made, steps=250, smooth=0.0, r1=0.0, stddev=False):
    """A D trained against samples that stay as they are, and its last 50 losses, without the penalty."""
    torch.manual_seed(0)
    _, D = players(size=0, channels=2, latent=2, widths=(64, 3), stddev=stddev)
    opt = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.99))
    losses = []
    for _ in range(steps):
        x, fake = ring.x[torch.randint(len(ring), (128,))], made[torch.randint(len(made), (128,))]
        loss = loss_d(D(x), D(fake), smooth)
        losses.append(loss.item())
        if r1:
            loss = loss + r1 / 2 * slope(D, x).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return D, sum(losses[-50:]) / 50


for stddev in (False, True):
    print(f"stddev={stddev!s:6} D's loss against a collapsed G: {judge(only_one, stddev=stddev)[1]:.3f}")

# %% [markdown]
# Without the feature $D$ reaches its bound and no more; with it, $D$ falls to less than half of that and
# keeps falling. The collapse is seen, and $G$ is told.
#
# ### Keep D from being too sure: smooth labels, matched features
#
# **One-sided label smoothing** tells $D$ that a real sample is real with probability $1 - s$ only. Then
# the best logit is no longer infinite: $D^* = (1 - s)\,p/(p + p_G)$, at most $\log\frac{1-s}{s}$, 2.2 for
# $s = 0.1$. One-sided, because smoothing the *made* ones would reward $D$ for saying "perhaps" where
# there is only $G$.
#
# **Feature matching** leaves $D$ as it is and gives $G$ another aim: its samples' features, in the last
# layer but one of $D$, should have the same mean as the real ones': $\lVert \mathbb E f(x) - \mathbb E
# f(G(z))\rVert^2$. No probability enters, so none can saturate.
#
# The test for both, and for R1 beside them: a fresh $G$ stays as it is while $D$ learns for 250 steps.
# How sure does $D$ get, and how large is the slope that $G$ would then be given?

# %%
torch.manual_seed(0)
fresh = plane_gan()
made = drawn(fresh)
print(f"{'':18}{'logit, real':>12}{'made':>8}{'   slope for G: min-max':>24}{'non-sat.':>10}{'features':>10}")
for name, settings in (("plain", {}), ("smooth = 0.1", {"smooth": 0.1}), ("r1 = 0.05", {"r1": 0.05})):
    D, _ = judge(made, **settings)
    x = made[:500].clone().requires_grad_()  # how G's loss changes with the samples
    on_fake, target = D(x), D.features(ring.x[:500]).mean(0).detach()
    aims = {
        "min-max": -nn.functional.softplus(on_fake).mean(),
        "non-saturating": nn.functional.softplus(-on_fake).mean(),
        "feature matching": (target - D.features(x).mean(0)).square().sum(),
    }
    slopes = [500 * torch.autograd.grad(v, x, retain_graph=True)[0].norm(dim=1).mean() for v in aims.values()]
    with torch.no_grad():
        logits = D(ring.x[:500]).mean(), on_fake.mean()
    print(f"{name:18}{logits[0]:12.2f}{logits[1]:8.2f}{slopes[0]:24.4f}{slopes[1]:10.3f}{slopes[2]:10.3f}")

# %% [markdown]
# The plain $D$ becomes sure, and the min-max slope is all but gone, while the non-saturating one is two
# thousand times larger: section 3 once more. Smoothing holds the logit at the *real* points near its
# bound of 2.2, but says nothing about the made ones, so it doesn't bring the min-max slope back. R1 makes
# $D$ gentle on both sides, and even the min-max game has a slope again. Feature matching has one in any
# case.
#
# **What to take:** R1 and no momentum first; then equal learning rates; the rest where it is needed.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Pictures
#
# A point in the plane has two coordinates, a picture of clothing 784. The game is the same; the players need
# to be built for pictures. What works was found by trying: Radford, Metz and Chintala went through many
# designs and wrote down what the survivors had in common, in a paper called **DCGAN** (deep convolutional
# GAN). Here is the whole of it:
#
# - no pooling: D halves the picture by strides of 2, G doubles it by *transposed* convolutions (each input
#   pixel paints a square of 4 x 4 outputs, and neighbours overlap by half);
# - ReLU in G with a tanh at its end, so that pixels lie in [-1, 1]; leaky ReLU in D, so that a gradient comes
#   back from everywhere;
# - batch normalisation in G. (DCGAN has it in D as well. We leave it out there: it would let one picture of a
#   batch change the verdict on another, and R1 asks for the slope at each picture by itself.)

# %%
small = GAN(latent=64, widths=(32, 64))
print(small.G)
print(f"{sum(p.numel() for p in small.G.parameters()):,} weights in G,", end=" ")
print(f"{sum(p.numel() for p in small.D.parameters()):,} in D")

# %% [markdown]
# Where a picture painter goes wrong can be seen with the naked eye: if the 4 x 4 squares overlapped unevenly
# (a kernel of 3 with stride 2), some pixels would be painted more often than others, and untrained G would
# show a **checkerboard**. Kernel 4 with stride 2 has every pixel painted equally often:


# %%
def painted(kernel, padding):
    """How often each pixel is painted when every input pixel paints a square, (9, 9) cut from the middle."""
    layer = torch.nn.ConvTranspose2d(1, 1, kernel, 2, padding, bias=False)
    torch.nn.init.ones_(layer.weight)
    with torch.no_grad():
        return layer(torch.ones(1, 1, 12, 12))[0, 0, 8:17, 8:17]


fig = viz.new_figure(5.2, 2.4)
for ax, (kernel, padding) in zip(fig.subplots(1, 2), ((3, 1), (4, 1)), strict=True):
    counts = painted(kernel, padding)
    ax.imshow(counts, cmap="Greys_r", vmin=0, vmax=5)
    ax.set(title=f"kernel {kernel}, stride 2: {counts.min():.0f} to {counts.max():.0f}", xticks=[], yticks=[])
viz.figure(
    fig,
    alt="How often each pixel of a patch is painted by a transposed convolution of stride 2. With kernel 3 a "
    "pattern of bright dots and lines, 1 to 4 times; with kernel 4 an even grey, 4 times everywhere.",
)

# %% [markdown]
# ### Train one
#
# Well under a minute on two cores. The network is narrower than the one above, so that it can have more
# steps, and a little deeper: a residual block (two more convolutions, added to what goes in) in the middle
# of each player. With it come the cures of sections 5 and 6 that cost little: no momentum, R1 (asked for at
# every sixteenth step only, which is nearly as good), and D sees how much its batch varies. Such settings
# matter: with $\beta_1 = 0.5$, R1 at every eighth step and an earlier fall of the learning rate we measured
# a Fréchet distance of 7.1 where you will see about 3.7 (what that is says section 9; smaller is better).
# The film records what G makes of the *same* sixteen z throughout.

# %% tags=["training"]
torch.manual_seed(0)
steps = 1_300
live = GAN(
    latent=64,
    widths=(16, 16),
    squeeze=16,
    blocks=1,
    stddev=True,
    r1=0.1,
    r1_every=16,
    lr=5e-3,
    betas=(0.0, 0.99),
)
film, z_film = Film(), torch.randn(16, 64, generator=torch.Generator().manual_seed(3))


def sixteen():
    """What G makes of the sixteen z right now. In eval mode: looking must not touch the batch statistics."""
    live.G.eval()
    x = live.G(z_film.to(next(live.parameters()).device)).cpu()
    live.G.train()
    return x


run = fit(
    live,
    clothes.unlabelled(),
    steps=steps,
    batch=32,
    lr=warmup_cosine(steps, flat=0.4),
    ema=0.99,
    hooks=(film.hook(images=sixteen),),
)
gan_live = run.model.cpu()
print(run)

# %% tags=["widget"]
TrainingFilm(
    film,
    title="Sixteen inventions in the course of the training",
    alt="A film of sixteen pictures: from grey noise to blots, to shapes of clothes, to recognisable shirts, "
    "trousers, bags and shoes. D's loss falls a little and G's rises; the pictures go on improving.",
)

# %% [markdown]
# **Play it, then put it on one step after another.** Two things to notice. The losses tell you next to
# nothing after the first seconds: both players get better *together*, so neither wins. And single pictures
# change their minds, a shirt becomes a coat, because G still moves a lot at every step. `fit(ema=0.99)`
# therefore holds a moving average of G's weights, and it is the average that we keep. Here it gains little,
# because the learning rate falls to 0 and calms G too. (Stopped half-way we measured 5.5 for the last G and
# 5.1 for the average.)

# %%
with torch.no_grad():
    last, average = (
        net(torch.randn(2_000, 64, generator=torch.Generator().manual_seed(0)))
        for net in (live.G.cpu().eval(), gan_live.G)
    )
for name, made in (("the last G", last), ("the average", average)):
    print(f"{name:12} Fréchet distance, validation {metrics.frechet_distance(x_held, made, features):.2f}")
viz.rows(
    {"last": last[:12], "average": average[:12]},
    alt="Two rows of twelve invented pieces of clothing from the network trained here: recognisable shirts, "
    "trousers, dresses and shoes, some with torn edges.",
)

# %% [markdown]
# That is what a GAN of this size gives in less than a minute. The bundled `gan_fashion` is the same method,
# three to four times as wide, trained on all 58,000 pictures for twenty minutes (*not* live). It does not
# depend on luck: with the seeds 0, 1 and 2 its Fréchet distance to the validation pictures was 1.50, 1.37
# and 1.44; the bundled one is seed 0, chosen before we knew.

# %%
viz.grid(
    invent(gan, 60, seed=2),
    columns=15,
    scale=2,
    alt="Sixty pictures invented by the GAN that was trained beforehand: trousers, dresses, shirts with "
    "prints, bags with handles, sandals, boots; edges are sharp. A few are torn or between two kinds.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. The space behind the pictures
#
# A GAN has no encoder: it cannot say which z a given picture has. But between two z of its own it can walk.
# With 64 numbers, nearly all of $\mathcal N(0, I)$ lies in a thin shell at distance $\sqrt{64} = 8$ from 0,
# and a straight line between two points of the shell leaves it: half-way its length is about $8/\sqrt 2$. The
# arc of exercise 2.4 stays.

# %% tags=["widget"]
z_pool = torch.randn(200, 64, generator=torch.Generator().manual_seed(5))
with torch.no_grad():
    kinds = features.logits(gan.G(z_pool))[0].softmax(1)  # (200, 10): the classifier of the ruler
trousers, boot = int(kinds[:, 1].argmax()), int(kinds[:, 9].argmax())
Interpolation(
    gan.G,
    z_pool[[trousers, boot]],
    names=["trousers", "ankle boot"],
    title="From trousers to an ankle boot, by a GAN",
    alt="Pictures that the generator makes on the way between two z, along a straight line and along an arc. "
    "Trousers turn into other garments and then into a boot; below, the length of z along both ways.",
)

# %% [markdown]
# **Slide from left to right.** The steps in between are pictures of *something* nearly everywhere, and sharp
# ones: D never saw where on the way a picture came from, it had to look real anywhere. Where a VAE shows a
# mixture of two kinds, a GAN jumps, over a short stretch, from one to the other.
#
# ### Arithmetic with people
#
# `gan_people` (trained beforehand) draws people, in colour, 32 × 32. It has never been told a word about
# them. Is there a direction in its z for "darker skin"? Radford et al. found such directions by averaging:
# the mean z of pictures with a property, minus the mean z of those without. We let `people_features`, the
# classifier of the course, sort 4,000 inventions by tone and by the word in the caption, and average:

# %%
words = zoo.load("people_features")
z_all = torch.randn(4_000, people_gan.latent, generator=torch.Generator().manual_seed(7))
with torch.no_grad():
    pictures = torch.cat([people_gan.G(z) for z in z_all.split(500)])
    style, tone, word, _ = (
        torch.cat(head) for head in zip(*(words.logits(x) for x in pictures.split(500)), strict=True)
    )


def direction(score, share=0.1):
    """Mean z of the tenth with the highest score minus that of the tenth with the lowest, (64,)."""
    order, k = score.argsort(), int(share * len(score))
    return z_all[order[-k:]].mean(0) - z_all[order[:k]].mean(0)


ways = {
    "darker skin": direction(tone.softmax(1)[:, 4:].sum(1) - tone.softmax(1)[:, 1:3].sum(1)),
    "woman, not man": direction(word[:, 2] - word[:, 1]),
    "style: flat, not shaded": direction(style[:, 1] - style[:, 0]),
}
with torch.no_grad():
    moves = torch.linspace(-2, 2, 9)[:, None]
    strips = {
        f"{who}: {name}": people_gan.G(z_all[i] + moves * ways[name])
        for who, i, name in (
            ("A", 2882, "darker skin"),
            ("B", 3747, "darker skin"),
            ("C", 3863, "darker skin"),
            ("C", 3863, "woman, not man"),
            ("C", 3863, "style: flat, not shaded"),
        )
    }
viz.rows(
    strips,
    scale=1.4,
    alt="Five rows of nine invented people. In the first three rows, of three people, the skin goes from "
    "light to dark and the face stays whole; the hair changes with it, from white or blond to black. In the "
    "fourth row a short-haired person becomes one with long hair; in the fifth the face changes its style, "
    "and at the end the person falls apart into a walking figure.",
)

# %% [markdown]
# The middle column is the invention itself, unchanged. The directions work, and they are not pure: with the
# skin comes the hair, because in the drawings dark hair comes with dark skin. (Notebook 02 saw the same with
# the β-VAE.) "Woman, not man" means the *word in the caption*, and so what the artists draw when they are
# asked for it: long hair. And at the ends of the rows, where the z that we add is as long as those that G was
# trained on are apart, some people turn into others, or fall to pieces.
#
# **Try it yourself**, with both hands: one person, three sliders.

# %% tags=["widget"]
LatentSliders(
    people_gan.G,
    64,
    start=z_all[3863],
    spread=2.0,
    directions=torch.stack(list(ways.values())),
    names=list(ways),
    title="An invented person with three sliders",
    alt="An invented person, blond with an orange shirt, and three sliders: one makes the skin darker, one "
    "the hair longer, one changes the drawing style.",
)

# %% [markdown]
# Two thousand drawings are few. A quarter of these inventions lies where real drawings lie (precision 0.26;
# how that is measured comes next): faces mostly, while standing figures and costumes are often torn. So
# that $D$ cannot simply learn the drawings by heart, it sees every picture, real or made, mirrored and
# moved at random (Zhao et al., arXiv 2006.10738). Did G? Its samples are as far from the nearest training
# drawing as drawings of new concepts are (7.1 and 7.1 in the features, medians), so no.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. How good is it?
#
# The loss does not say. At the end of the game it is $2 \log 2$ whether G is good or whether D is blind, and
# there is no likelihood to ask for: G gives pictures, and no number for any of them. So pictures have to be
# compared with pictures: 4,000 made ones with 4,000 real ones that no training has seen. What would you
# count?
#
# Not pixels: a shirt that is moved by one pixel is the same shirt, but most of its pixels have changed. So
# both sets go through `fashion_features`, a classifier of clothes that we froze for good, and every picture
# becomes a point with 128 coordinates, in which shirts lie beside shirts. You know the **Fréchet distance**
# between two such clouds from notebook 01. Here is what it computes. Take the mean $m$ and the covariance
# $S$ of each cloud, as if both were Gaussian, and ask how far one must be carried to become the other:
#
# $$ d = \lVert m_1 - m_2 \rVert^2 + \mathrm{tr}\left(S_1 + S_2 - 2\,(S_1 S_2)^{1/2}\right) $$


# %%
def frechet(a, b):
    """Fréchet distance of two sets of features, (N, F) and (M, F)."""
    a, b = a.double(), b.double()
    s1, s2 = a.T.cov(), b.T.cov()
    # the trace of a root of a matrix is the sum of the roots of its eigenvalues
    root = torch.linalg.eigvals(s1 @ s2).real.clamp(min=0).sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + s1.trace() + s2.trace() - 2 * root).clamp(min=0).item()


count = 4_000
sets = {
    "training pictures": x_train[:count],
    "VAE": invent(vae, count),
    "GAN": invent(gan, count),
    "GAN trained here": invent(gan_live, count),
}
real = embed(features, x_test[:count])  # (4000, 128)
points = {name: embed(features, x) for name, x in sets.items()}
variance = real.var(0).sum().item()
print(f"{'':20}{'Fréchet':>8}   share of the total variance of the test features, {variance:.1f}")
for name, h in points.items():
    distance = frechet(real, h)
    print(f"{name:20}{distance:8.2f}{distance / variance:8.1%}")
ours = metrics.frechet_distance(x_test[:500], sets["GAN"][:500], features)
assert abs(frechet(real[:500], points["GAN"][:500]) - ours) < 1e-3 * ours  # the library's says the same

# %% [markdown]
# The first row is the **floor**: real pictures against other real pictures. No generator should be expected
# below it. The second column helps to read the first: a generator that gave the mean of all features, again
# and again, would stand at 100 %. A number alone says nothing; published ones are measured with another
# network, on other pictures, and compare with none of these.
#
# ### Two ways to fail
#
# One distance cannot say *what* is wrong. Are single pictures bad, or are there too few kinds? So ask two
# questions. **Precision**: how many of the made pictures lie where real ones lie? **Recall**: how much of the
# land of the real pictures do the made ones reach? To say what "where" means, draw a ball around every point
# of a set, just so large that it reaches the point's third neighbour. Small balls where points are dense,
# large ones where they are sparse; all of them together are the set's **manifold**.

# %% [markdown]
# ### Exercise 3.7: Precision and recall
# *difficulty 3 of 5, about 15 minutes*
#
# Precision is the share of made points that lie in at least one ball of the real manifold, recall the share
# of real points that lie in at least one ball of the made one. Mind who a point's nearest neighbour is.


# %% tags=["exercise", "ex-3.7"]
def precision_recall(real, made, k=3):
    """Two shares in [0, 1], of features real (N, F) and made (M, F); balls reach the k-th neighbour."""

    # SOLUTION
    def inside(points, manifold):
        radius = torch.cdist(manifold, manifold).sort(dim=1).values[:, k]  # column 0 is the point itself
        return (torch.cdist(points, manifold) <= radius).any(1).float().mean().item()

    return inside(made, real), inside(real, made)
    # END SOLUTION
    # EXERCISE
    # | def inside(points, manifold):
    # |     radius = ...  # from each point of the manifold to its k-th neighbour
    # |     raise NotImplementedError  # return the share of points in at least one ball; remove this line
    # |
    # | return inside(made, real), inside(real, made)
    # END EXERCISE


# %%
check.gan.precision_recall(precision_recall)

# %%
few = 2_000  # of each set: these two need all pairs of points
for name, h in points.items():
    precision, recall = metrics.precision_recall(real[:few], h[:few])
    print(f"{name:20} precision {precision:.2f}   recall {recall:.2f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Every number can be fooled
#
# A measure is trusted once you have tried to cheat it and know how. Four cheats, and what each does to the
# three numbers:
#
# - **the copyist** hands out its training pictures. That is the first row above, read in another way;
# - **ten favourites**: one training picture of each class (the one nearest to the mean of its class), each of
#   them four hundred times;
# - **trousers and strays**: 1,990 training pictures of trousers, and the ten favourites once each;
# - **a Gaussian cloud**: no pictures, just random points with exactly the mean and the covariance of the real
#   features.

# %%
h_train, y_train = points["training pictures"], clothes.y[:count]
means = torch.stack([h_train[y_train == c].mean(0) for c in range(10)])  # (10, 128)
favourites = torch.stack(
    [torch.where(y_train == c, (h_train - means[c]).norm(dim=1), torch.inf).argmin() for c in range(10)]
)
h_trousers = embed(features, x_train[clothes.y == 1][: few - 10])
torch.manual_seed(0)
z = torch.randn(count, 128, dtype=torch.float64)
z = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T.cov()), (z - z.mean(0)).T, upper=False)
cloud = (real.double().mean(0) + (torch.linalg.cholesky(real.double().T.cov()) @ z).T).float()
cheats = {
    "VAE, for comparison": points["VAE"],
    "GAN, for comparison": points["GAN"],
    "the copyist": h_train,
    "ten favourites": h_train[favourites].repeat(count // 10, 1),
    "trousers alone": h_trousers,
    "trousers and strays": torch.cat([h_trousers, h_train[favourites]]),
    "a Gaussian cloud": cloud,
}
print(f"{'':22}{'Fréchet':>8}{'precision':>11}{'recall':>8}")
for name, h in cheats.items():
    precision, recall = metrics.precision_recall(real[:few], h[:few])
    print(f"{name:22}{frechet(real, h):8.2f}{precision:11.2f}{recall:8.2f}")
least = torch.nn.functional.silu(torch.linspace(-3, 0, 1_000)).min()
beyond = (cloud < least).float().mean()
print(f"numbers of the cloud that no picture can have (below {least:.2f}): {beyond:.0%}")

# %% [markdown]
# Row by row:
#
# - **The copyist is perfect**, in all three. None of them asks whether anything is *new*.
# - **Ten favourites** have the best precision of all, because each is a real picture. Who reports precision
#   alone loses to ten photographs. Recall gives them away.
# - **Strays** are ten pictures among two thousand, and recall leaps. A point without neighbours draws a huge
#   ball, and a single coat "covers" all the coats. Recall believes in one picture as in a thousand.
# - **The cloud** has the distance 0: mean and covariance are all that the Fréchet distance looks at. Many of
#   its numbers lie below what the last layer of the feature network can give (a SiLU), so no picture at all
#   has these features. Precision gives it away. Recall does not: a wide cloud covers much.
#
# Each cheat is caught by *another* number, except the first. So none of them alone, and always with a look
# at the pictures.
#
# What a Gaussian cloud would look like can be shown in pixels. The row below is drawn from the Gaussian with
# the mean and covariance of the *pixels* of our training pictures: to a Fréchet distance that works on
# pixels, these are perfect clothes.

# %%
pixels = torch.distributions.MultivariateNormal(
    x_train.flatten(1).mean(0), x_train.flatten(1).T.cov() + 1e-4 * torch.eye(784)
)
torch.manual_seed(0)
ghosts = pixels.sample((10,)).view(-1, 1, 28, 28).clamp(-1, 1)
viz.rows(
    {"ten favourites": x_train[favourites], "Gaussian": ghosts},
    scale=1.4,
    alt="Two rows of ten pictures: the favourite of each class, ordinary clothes; and draws from a Gaussian "
    "over pixels, overlaid ghosts of shirts and shoes that are no clothes.",
)

# %% [markdown]
# ### The number of samples is part of the number
#
# The same generator, the same real pictures, and only the number of made pictures changes:

# %%
counts = [200, 500, 1_000, 2_000, count]
bias = {name: [(n, frechet(real, points[name][:n])) for n in counts] for name in ("training pictures", "GAN")}
viz.curves(
    bias,
    x="made pictures",
    y="Fréchet distance",
    log=True,
    alt="The Fréchet distance against the number of made pictures, 200 to 4,000, for training pictures and "
    "for the GAN: both fall as the number grows, the training pictures by far the most. "
    + " ".join(f"{name}: {p[0][1]:.2f} to {p[-1][1]:.2f}." for name, p in bias.items()),
)

# %% [markdown]
# The distance falls although nothing got better: a covariance of 128 features estimated from 200 pictures is
# off, and the formula counts the error as a difference. Hence the rule: **equal numbers, and the floor beside
# it**. (Precision and recall depend on the numbers too: with more points the balls become smaller.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Is it a copyist?
#
# No score above sees copying. So look for it: for every made picture, how far is the nearest training
# picture? The number means nothing by itself. Beside it belong the same distances for *real* pictures that
# G never saw: if made pictures are nearer to the training set than those, they are copies. And to know that
# the search would find a copyist, one is searched too: it hands out training pictures moved by one pixel.
# (Our GAN saw 58,000 pictures. We look among 18,000 of them in pixels and among 4,000 in features, so of its
# copies the first search would find a third, the second about a tenth: enough to notice a copyist.)


# %%
def nearest(a, b):
    """For each row of a (N, F) the distance to the nearest row of b (M, F), and which it is."""
    return torch.cat([torch.cdist(part, b) for part in a.split(500)]).min(1)


some = 1_000
moved = x_train[:some].roll(1, dims=3)
asked = {"test": x_test[:some], "GAN": sets["GAN"][:some], "VAE": sets["VAE"][:some], "copies, moved": moved}
in_features = {
    name: nearest(h, h_train)
    for name, h in zip(
        asked,
        (real[:some], points["GAN"][:some], points["VAE"][:some], embed(features, moved)),
        strict=True,
    )
}
in_pixels = {name: nearest(x.flatten(1), x_train.flatten(1)) for name, x in asked.items()}
fig = viz.new_figure(7.2, 2.8)
for ax, (where, found) in zip(
    fig.subplots(1, 2), {"features": in_features, "pixels": in_pixels}.items(), strict=True
):
    ends = torch.cat([near.values for near in found.values()])
    bins = torch.linspace(0, ends.quantile(0.995).item(), 50)
    for i, (name, near) in enumerate(found.items()):
        ax.hist(near.values, bins, histtype="step", linewidth=1.4, color=viz.COLOURS[i], label=name)
    ax.set(title=f"in {where}", xlabel="distance to the nearest", ylabel="pictures")
fig.axes[0].legend(frameon=False, fontsize=8)
medians = {
    where: ", ".join(f"{name} {near.values.median():.2f}" for name, near in found.items())
    for where, found in (("features", in_features), ("pixels", in_pixels))
}
for where, text in medians.items():
    print(f"median distance in {where}: {text}")
viz.figure(
    fig,
    colours=64,
    alt="Histograms of the distance to the nearest training picture, in features and in pixels, for test "
    "pictures, inventions of GAN and VAE, and copies moved by one pixel. Medians in features: "
    f"{medians['features']}. In pixels: {medians['pixels']}.",
)

# %%
closest = in_features["GAN"].values.argsort()[:10]  # the most suspicious ones
viz.rows(
    {
        "GAN": asked["GAN"][closest],
        "nearest, features": x_train[:count][in_features["GAN"].indices[closest]],
        "nearest, pixels": x_train[in_pixels["GAN"].indices[closest]],
    },
    scale=1.4,
    alt="Ten inventions of the GAN, those nearest to a training picture in features, and under each its "
    "nearest training picture in features and in pixels.",
)

# %% [markdown]
# The inventions lie *farther* from the training pictures than honest test pictures do, and the copies lie
# nearer: no sign of copying in the part of the training data that we searched. (Farther is no merit. A torn
# shirt is far from every shirt.) The most suspicious ones above are mostly trousers and other plain pieces,
# which look alike in reality too.
#
# Look at the right-hand figure once more. In *pixels*, copies moved by one pixel are farther away than test
# pictures. A search in pixels, which is what one sees most often, would have acquitted the copyist.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Ask the detective
#
# D was trained to tell real from made, and the bundled weights hold it too. Is *it* not the judge that we are
# looking for? Ask it about pictures of all kinds, and ask the D that you have just trained as well. (Both
# also look at how much a batch varies, so they are handed fifty of one kind at a time.)


# %%
@torch.no_grad()
def verdict(D, x):
    """D's logits for pictures, fifty at a time: (N, 1, 28, 28) -> (N,)."""
    return torch.cat([D(part) for part in x.split(50)])


torch.manual_seed(0)
kinds = {
    "test": x_test[:some],
    "training": x_train[:some],
    "test, mirrored": x_test[:some].flip(3),
    "GAN": sets["GAN"][:some],
    "GAN trained here": sets["GAN trained here"][:some],
    "VAE": sets["VAE"][:some],
    "noise": torch.rand(some, 1, 28, 28) * 2 - 1,
}
print(f"{'':20}{'D bundled':>20}{'D trained here':>20}\n{'':20}" + f"{'called real':>14}{'AUC':>6}" * 2)
for name, x in kinds.items():
    print(f"{name:20}", end="")
    for D in (gan.D, gan_live.D):
        on_real, on_x = verdict(D, kinds["test"]), verdict(D, x)
        auc = roc_auc_score([1] * some + [0] * some, torch.cat([on_real, on_x]))
        print(f"{(on_x > 0).float().mean():14.0%}{auc:6.2f}", end="")
    print()

# %%
order = verdict(gan.D, sets["GAN"]).argsort(descending=True)
halves = {"half that D likes": order[: count // 2], "the other half": order[count // 2 :]}
for name, index in halves.items():
    mixed = index[torch.randperm(len(index))[:few]]
    precision, recall = metrics.precision_recall(real[:few], points["GAN"][mixed])
    print(f"{name:20} precision {precision:.2f}   recall {recall:.2f}")
viz.rows(
    {"D: most real": sets["GAN"][order[:12]], "D: least real": sets["GAN"][order[-12:]]},
    scale=1.4,
    alt="Two rows of twelve inventions of the GAN: those that its D finds most real, and least real.",
)

# %% [markdown]
# AUC is the probability that a test picture gets a higher verdict than one of this kind: 0.5 is guessing, 1
# tells them apart, and below 0.5 the others look *more* real than reality. Three things to notice:
#
# - **The two D's do not agree.** Each has learnt the border between real clothes and what *its own* opponent
#   makes. So their verdicts, or the losses of two GANs, cannot be compared.
# - **What neither player makes is judged by accident.** Nobody asks D about noise after the first seconds.
#   The D that you see in the first column is one of several that we trained; another, of a GAN
#   with other sizes and a shorter training, called *every one* of these pictures of noise real.
# - **Training and test pictures fare alike.** Had D learnt its training pictures by heart, it would call them
#   real more often. That is worth checking in every GAN on few data.
#
# So D is no judge of quality. For the one thing that it was trained for, the inventions of its own G, it has
# some use as a sieve: the half that it likes is more precise. But compare the recall of the two halves before
# you throw one away. What is gained there is paid for here.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "A paper reports for its generator a Fréchet distance of 0.05 from 10,000 samples, where real pictures "
    "reach 0.05, a precision of 0.9 and a recall of 0.9. What do you know?",
    [
        (
            "In these features, its samples have nearly the mean and covariance of the real pictures.",
            True,
            "That is what the distance says, and all that it says.",
        ),
        (
            "It invents new pictures of high quality.",
            False,
            "A list of training pictures has these scores. Nothing here asks whether a picture is new.",
        ),
        (
            "It is better than one with a distance of 5 in another paper.",
            False,
            "Only with the same features, the same real pictures and equal numbers of samples.",
        ),
        (
            "One should look for its samples among the training pictures, in features as well as in pixels, "
            "and do the same with real pictures that it never saw.",
            True,
            "Yes: it may be a copyist, and the real ones say which distances are to be expected.",
        ),
    ],
    id="3.Q4",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Made pictures as training data
#
# "Too few training pictures? Let a generator make more!" It is said often. **Measure it.** The task: name
# clothes, with ten labelled pictures of each class and no more.
#
# One thing has to be thought through first. Our generator was trained without labels, so what it makes has
# no labels. Who names its pictures? Not a network that was trained on thousands of labels: that would smuggle
# in what we claim not to have. A fair answer is the classifier itself. Train one on the 100 labelled
# pictures; let it name the made ones; keep, of each class, the 300 that it is surest of; train a new one on
# both (half of every batch from the 100). This is called **pseudo-labelling**.
#
# And a fair comparison has to ask what *else* could have been done:
#
# - nothing: the 100 pictures alone;
# - mirror and move them at random, which needs no network at all;
# - the same pseudo-labelling on **real** pictures without labels. Our generator saw 58,000 of them. Whoever
#   could train it has them, and could use them directly: this is the row that it has to beat.
#
# ### What D has learnt to see
#
# There is a second use of a GAN. Nobody needs D once G is trained. But to tell real clothes from made ones, D
# had to learn what clothes look like, from 58,000 pictures without a single label. So take its last layer
# off, and give its features to a linear classifier (logistic regression) with the same 100 labels. Two
# controls: the same on plain pixels, and on the features of a D that was *never trained*. And this second
# classifier may name the unlabelled pictures, too.
#
# Five seeds: other labelled pictures, other first weights, other batches. `course_lib/augmentation.py` holds
# the experiment. What had to be chosen (how many steps, how many named pictures, not to mirror or move
# elsewhere) was chosen on the validation pictures; the accuracies are those on 4,000 test pictures.

# %% tags=["training"]
untrained = copy.deepcopy(gan.D.body)
torch.manual_seed(0)
for layer in untrained.modules():
    if hasattr(layer, "reset_parameters"):
        layer.reset_parameters()
eyes = {"linear, pixels": torch.nn.Flatten(), "linear, untrained D": untrained, "linear, D": gan.D.body}
pool = clothes.subset(slice(0, 13_000))  # the 100 are drawn from here
unlabelled = {"made": sets["GAN"], "real": x_train[13_000 : 13_000 + count]}
by_body = {
    source: embed(gan.D.body, x) for source, x in unlabelled.items()
}  # (count, 3136), once for all seeds
x_asked, y_asked = x_test[:count], test.y[:count]
accuracies, agreed = {}, {}  # name -> one number for each seed


def note(where, name, value):
    where.setdefault(name, []).append(value)


for name, eye in eyes.items():
    seen = embed(eye, x_asked)  # (count, F)
    for seed in range(5):
        few_x, few_y = few_labels(pool, 10, seed)
        probe = linear_probe(embed(eye, few_x), few_y, strength=10.0)
        note(accuracies, name, share_right(probe, seen, y_asked))

for seed in range(5):
    hundred = few_labels(pool, 10, seed)
    plain = train_classifier(Mixture(hundred), seed)
    note(accuracies, "100 pictures", share_right(plain, x_asked, y_asked))
    probe = linear_probe(embed(gan.D.body, hundred.x), hundred.y, strength=10.0)
    for source, x in unlabelled.items():
        verdicts = {"itself": embed(plain, x), "linear, D": embed(probe, by_body[source])}  # (count, 10)
        for namer, logits in verdicts.items():
            named = name_them(logits, x, 300)
            pupil = train_classifier(Mixture(hundred, named), seed)
            name = f"+ {source}, named by {namer}"
            note(accuracies, name, share_right(pupil, x_asked, y_asked))
            note(agreed, name, accuracy(features, named.x[::6], named.y[::6]))
for name, shares in agreed.items():
    print(f"{name:30} an umpire agrees with {torch.tensor(shares).mean():.0%} of the names")

# %% [markdown]
# (The umpire is `fashion_features`, trained on 58,000 labels. It only reports; nothing learns from it.)

# %%
order = ["100 pictures", *agreed, *eyes]
base = torch.tensor(accuracies["100 pictures"])
print(f"{'mean of 5 seeds':30}{'accuracy':>9}{'':8}minus 100 pictures, seed by seed")
for name in order:
    a = torch.tensor(accuracies[name])
    print(f"{name:30}{a.mean():9.3f} ±{a.std():.3f}{(a - base).mean():+9.3f} ±{(a - base).std():.3f}")
fig = viz.new_figure(6.6, 3.2)
ax = fig.add_subplot()
for i, name in enumerate(order):
    a = torch.tensor(accuracies[name])
    colour = viz.COLOURS[3 if "made" in name else 2 if "linear" in name else 0]
    ax.errorbar(a.mean(), -i, xerr=a.std(), fmt="o", color=colour, capsize=3)
    ax.plot(a, torch.full_like(a, -i - 0.25), "|", color=colour, markersize=5)
ax.axvline(base.mean(), color="black", linewidth=0.6, linestyle=":")
ax.set(xlabel="accuracy on the test pictures")
ax.set_yticks([-i for i in range(len(order))], order)
viz.figure(
    fig,
    colours=64,
    alt="Mean test accuracy with its standard deviation over five seeds, one row for each way to use 100 "
    "labels, and a tick for each seed. "
    + ", ".join(f"{name}: {torch.tensor(accuracies[name]).mean():.3f}" for name in order)
    + ".",
)

# %% [markdown]
# The dotted line is the classifier that had the 100 pictures and nothing else. The rest of the choices was
# made on validation pictures, and the test pictures agree with them:
#
# - **Made pictures that the classifier named itself do not help.** The difference is smaller than its error.
#   It is surest of what it knows already, and its mistakes come back to it as labels (the umpire disagrees
#   with more than a quarter of the names).
# - **Real pictures named in the same way do not help either.** That is worth knowing before one blames, or
#   praises, a generator.
# - **Mirroring and moving cost three points here** (0.653 ± 0.022 with the same five seeds, measured by us;
#   try `Mixture(hundred, move=True)`). These clothes are centred, in the test set as well, and a training
#   of a second has no time to learn what it does not need.
# - **What helps is D.** Its features with a linear layer are the best of all, more than six points better
#   than pixels, and nearly five better than an untrained D (which is no bad start: convolutions know that
#   neighbouring pixels belong together).
# - **Made pictures with D's names help**, by two to three points, a classifier that never saw D. But real
#   pictures with D's names help as much or a little more. The gain is in the names.
#
# No made picture knows more than the data that G was trained on. Where the *labels* are few, as here, a
# generator without labels cannot supply them. With a generator that is trained *with* labels (notebook 04)
# the question is another one; measure that, too, and beside it always the row with real pictures.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Which bug is this? Twice
#
# Two colleagues train GANs on a line, as in section 1: the data lie around 2, and $G$ begins around 0. Both
# used a $G$ and a $D$ that are large enough, the non-saturating loss and the same optimizers. (The cell that
# trains them is folded: do not open it before you have answered.)


# %% tags=["training", "hide-input"] jupyter={"source_hidden": true}
class OfColleagueA(GAN):
    def losses(self, x, step):
        fake = self.G(self.noise(x)).detach()
        yield Loss("D", loss_d(self.D(x), self.D(fake)))
        fake = self.G(self.noise(x)).detach()
        loss = loss_g(self.D(fake))
        # `fit` asks for a gradient for each weight of G. Here it is 0, as a loop by hand would leave it
        yield Loss("G", loss + 0 * sum(p.sum() for p in self.G.parameters()))


def of_colleague_b(gan):
    gan.D = nn.Sequential(gan.D, nn.Sigmoid())
    return gan


on_a_line = 2 + 0.3 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
bugs = {}
for name, kind in (("A", OfColleagueA), ("B", GAN)):
    torch.manual_seed(0)
    line_gan = kind(size=0, channels=1, latent=2, widths=(32, 2), lr=1e-4, lr_d=5e-3)
    line_gan = of_colleague_b(line_gan) if name == "B" else line_gan
    with torch.no_grad():
        before = line_gan.G(torch.randn(1000, 2)).flatten()
    run = fit(line_gan, on_a_line, steps=200, batch=64)
    with torch.no_grad():
        after = run.model.cpu().G(torch.randn(1000, 2)).flatten()
    fig = viz.new_figure(7.2, 2.6)
    curves, places = fig.subplots(1, 2)
    for player, colour in (("D", viz.COLOURS[0]), ("G", viz.COLOURS[1])):
        curves.plot(*zip(*run.history[f"loss/{player}"], strict=True), color=colour, label=player)
    curves.axhline(2 * math.log(2), color="grey", linewidth=0.8, linestyle=":")
    curves.set(xlabel="step", ylabel="loss", ylim=(0, None))
    curves.legend(frameon=False)
    for label, x, colour in (
        ("data", on_a_line[:1000, 0], "#b0b7bf"),
        ("G before", before, viz.COLOURS[2]),
        ("G after", after, viz.COLOURS[3]),
    ):
        bins = torch.linspace(-1, 3.5, 60).numpy()
        places.hist(x.numpy(), bins, histtype="step", color=colour, label=label)
    places.set(xlabel="x", yticks=[])
    places.legend(frameon=False)
    last = {player: run.history[f"loss/{player}"][-1][1] for player in "DG"}
    print(f"colleague {name}: at the end D's loss is {last['D']:.4f}, G's {last['G']:.4f}")
    seen = {
        "A": "D's loss falls to 0 and G's grows and grows. The samples of G are where they were before.",
        "B": "D's loss falls from 1.5 to about 1.01 and stays there, G's rises to 0.69 and stays there. The "
        "samples of G have hardly moved.",
    }
    bugs[name] = viz.figure(
        fig, colours=128, alt=f"Left: losses, with a dotted line at 2 log 2. Right: histograms. {seen[name]}"
    )

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Colleague A. D's loss goes to 0. Which bug is this?",
    [
        (
            "`.detach()` was left in G's step as well.",
            True,
            "G's weights get no gradient and G never moves, while D learns to tell the same forgeries from "
            "the data ever better. `detach` belongs in D's step only: G learns *through* D.",
        ),
        (
            "`.detach()` is missing in D's step.",
            False,
            "Then gradients would pile up in G, but G's own step clears them first. It would cost time, no "
            "more.",
        ),
        (
            "`opt_D.zero_grad()` is missing.",
            False,
            "Then D's steps would be led by old gradients, G's among them, and its loss would not fall so "
            "smoothly. And G would move.",
        ),
        (
            "G is too small to reach the data.",
            False,
            "A single number, its last bias, would bring it there. It has not moved at all: compare before "
            "and after.",
        ),
    ],
    id="3.B1",
    image=bugs["A"].png,
    alt=bugs["A"].alt,
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Colleague B. D's loss falls a little, and then stays at 1.01, although real and made samples lie far "
    "apart. Which bug is this?",
    [
        (
            "`.detach()` was left in G's step as well.",
            False,
            "Then D's loss would go to 0, as it did for colleague A.",
        ),
        (
            "D ends in a sigmoid, and the loss applies it again.",
            True,
            "The loss takes D's output for a logit. But a sigmoid lies between 0 and 1, so the best that D "
            "can say is 1 to real and 0 to made samples, and that costs log(1 + 1/e) + log 2 = 1.0064. "
            "There the first sigmoid is flat, and G gets next to no slope (Adam, which divides by the size "
            "of slopes, hides a part of that).",
        ),
        (
            "The labels of real and made are exchanged in D's loss.",
            False,
            "Then D would learn the opposite just as easily, and its loss would go to 0.",
        ),
        (
            "D has found the equilibrium.",
            False,
            "There D's loss is 2 log 2 = 1.386, the dotted line, and G's samples lie on the data.",
        ),
    ],
    id="3.B2",
    image=bugs["B"].png,
    alt=bugs["B"].alt,
)

# %% [markdown]
# Both bugs raise no error, and both look at first as if $D$ were too strong. What gives them away: for A
# compare $G$'s weights before and after its step; for B compute the lowest value that the loss can have. It
# should be 0.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 12. What to take along
#
# | | |
# | --- | --- |
# | **good at** | sharp pictures, one pass of one network for each; no formula for "real" is needed |
# | **bad at** | covering all of the data; telling you how it is doing; a likelihood; an encoder |
# | **use it** | when single pictures must look real and be made fast; as a loss beside others (05, 07) |
# | **don't** | when every kind of data must come up in its share, or when you need a probability |
#
# What to do first when a GAN does not train: look at fixed-seed samples over the steps; look at D(x) and
# D(G(z)), which should keep an uneasy balance; add R1; make both learning rates smaller; average G's weights.
#
# **Left out:** spectral normalisation and the hinge loss, conditions, attention, growing, style (notebook
# 04); weight clipping (arXiv 1701.07875); unrolled GANs (arXiv 1611.02163); progress without a game, such
# as moment matching (arXiv 1505.03906).
#
# **Read on:** Goodfellow et al., *Generative Adversarial Nets* (arXiv 1406.2661); Radford et al.,
# *Unsupervised Representation Learning with Deep Convolutional GANs* (arXiv 1511.06434); Salimans et al.,
# *Improved Techniques for Training GANs* (arXiv 1606.03498); Arjovsky et al., *Wasserstein GAN* (arXiv
# 1701.07875); Gulrajani et al., *Improved Training of Wasserstein GANs* (arXiv 1704.00028); Mescheder et
# al., *Which Training Methods for GANs do actually Converge?* (arXiv 1801.04406); Heusel et al. on two
# learning rates and the Fréchet distance (arXiv 1706.08500); Kynkäänniemi et al., *Improved Precision and
# Recall Metric* (arXiv 1904.06991); Karras et al., *Training GANs with Limited Data* (arXiv 2006.06676);
# Borji, *Pros and Cons of GAN Evaluation Measures* (arXiv 1802.03446).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "A recap. Which of these are true?",
    [
        (
            "G never sees a real sample.",
            True,
            "All that it learns comes through D's gradient at its own samples (section 1). Feature matching "
            "is an exception: there it sees a mean of features.",
        ),
        (
            "A falling loss of G means better samples.",
            False,
            "It is measured by a D that moves, too (section 2). Look at samples, and at distances.",
        ),
        (
            "A G whose samples are all copies of one good picture can fool a D that looks at single samples.",
            True,
            "Each of them is good, and a D that sees one at a time cannot say that it has seen it before "
            "(section 6: statistics of a batch).",
        ),
        (
            "R1 keeps G from moving too fast.",
            False,
            "It charges D for its slope at the data: friction for D (section 6).",
        ),
        (
            "A GAN tells how probable a given picture is.",
            False,
            "It gives samples, no density. That is what the VAE has over it (notebook 02).",
        ),
        (
            "A low Fréchet distance can be had by learning the training pictures by heart.",
            True,
            "Section 9: look at the nearest training pictures.",
        ),
    ],
    id="3.Q5",
)

# %% [markdown]
# **The next question:** pictures of *something* are drawn now. How does one ask for something in particular,
# and make it sharper still? Notebook 04 goes through the zoo of GANs, one small change after the other.
