# %% [markdown] slideshow={"slide_type": "slide"}
# # Diffusion: a little noise at a time
#
# A GAN paints in one stroke and needs an opponent to learn it. Here is another way. Take a picture and ruin
# it, a little noise at a time, until nothing is left of it. That takes no skill at all. Then learn to take
# a *little* noise away, which is a plain regression, without any opponent. Now begin with nothing but noise,
# and take a little away, many times.

# %% tags=["picture"]
import math
import time
from itertools import pairwise

import torch

from course_lib import check, data, restore, samplers, stored, toys, viz, zoo
from course_lib.check import hint
from course_lib.evaluate_restoration import plain_enlargements
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.ddpm import DDPM
from course_lib.methods.guidance import guide
from course_lib.metrics import embed, frechet_distance
from course_lib.plane_diffusion import NOISE, exact_eps, score, walk, watch
from course_lib.schedules import (
    add_noise,
    alpha_bars,
    cosine_betas,
    eps_from_v,
    linear_betas,
    posterior_mean,
    posterior_variance,
    snr,
    x0_from_eps,
    x0_from_v,
)
from course_lib.widgets import Denoiser, LiveDenoiser, PlayFrame, Playground2D, Quiz, ScheduleExplorer

torch.manual_seed(0)
bundled = zoo.load("ddpm_fashion_class")  # trained by us beforehand: `course train ddpm_fashion_class`
NAMES = data.FASHION_NAMES
Denoiser(
    bundled.sample(
        4,
        label=torch.tensor([9, 1, 8, 7]),
        steps=20,
        guidance=1.5,
        generator=torch.Generator().manual_seed(5),
    ),
    names=["ankle boot", "trouser", "bag", "sneaker"],
    title="Four pictures come out of noise in 20 steps",
    alt="Four squares of noise which turn into an ankle boot, trousers, a bag and a sneaker, step by step. "
    "Beside each of them is what the network takes it for all along: at first a blurred patch, and sharper "
    "and sharper as the noise goes.",
)

# %% [markdown]
# *A network that we trained beforehand, 40 minutes on one processor core. It is running here, now: these
# pictures did not exist before this cell.*
#
# Drag the handle, or use the arrow keys. Each picture stands there twice: what the sampler *holds*, and what
# the network *guesses* it will become. Watch the guess in the first steps. It begins as a blurred something,
# the mean of everything that could still come out; then it makes up its mind, first about the outline, last
# about the details.
#
# **After this notebook you can**
# 1. jump to any noise level in one go, and design a noise schedule (exercises 6.1 and 6.2),
# 2. say which way back is exact, why nobody can take it, and how a mean squared error replaces it (exercises
#    6.3 and 6.4),
# 3. write the samplers DDPM and DDIM, and find the bug in one (exercises 6.5, 6.6 and 6.9),
# 4. turn a class up or down with classifier-free guidance (exercise 6.7),
# 5. repair pictures with a network that was never trained to do so (exercise 6.8).
#
# **You need** notebook 01; the loss of notebook 02 (evidence lower bound) helps in section 2. 90 to 110
# minutes. Running all cells takes about two and a half minutes on two processor cores, without a GPU and
# without the internet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Drowning a picture in noise
#
# One step of damage makes the picture a little fainter and adds a little noise, each pixel on its own:
#
# $$ x_t = \sqrt{1-\beta_t}\; x_{t-1} + \sqrt{\beta_t}\;\varepsilon_t, \qquad \varepsilon_t \sim N(0, I),
# \qquad t = 1, \dots, T. $$
#
# $x_0$ is the picture, $T = 1000$, and the numbers $\beta_t$ are small: the **noise schedule**. Each step
# sees only the picture before it, so this is a Markov chain, the **forward process**. Nothing is learnt in
# it.

# %%
clothes = data.fashion("train")  # 18,000 pictures with labels
linear = alpha_bars(linear_betas())  # (1001,), explained below; DDPM's own schedule
betas = linear_betas()  # beta_1 = 0.0001 up to beta_1000 = 0.02; entry 0 is 0

x = clothes.floats[26:27]  # (1, 1, 28, 28) in [-1, 1]
g = torch.Generator().manual_seed(0)
kept = [x]
for t in range(1, 1001):
    eps = torch.randn(x.shape, generator=g)
    x = (1 - betas[t]).sqrt() * x + betas[t].sqrt() * eps
    if t in (50, 100, 200, 300, 400, 600, 1000):
        kept.append(x)
viz.grid(
    torch.cat(kept),
    columns=8,
    scale=3,
    alt="Eight squares. The first is a striped T-shirt. It becomes grainy, then only its "
    "outline can be made out, and from the sixth on there is nothing but noise.",
)

# %% [markdown]
# *From left to right $t$ = 0, 50, 100, 200, 300, 400, 600, 1000.* Somewhere around the fifth you stop being
# sure what it is. From there on the rest of the chain is spent on noise that looks like noise: keep that for
# the schedules below.
#
# **Why fainter?** Without the factor $\sqrt{1-\beta_t}$ the variance would grow and grow. With it, what had
# variance 1 keeps variance 1: $(1-\beta_t) \cdot 1 + \beta_t = 1$. Whatever one begins with, the end is
# $N(0, I)$, the one distribution everybody can draw from.
#
# **A thousand steps in one.** Write $\alpha_t = 1-\beta_t$ and do two steps at once:
#
# $$ x_2 = \sqrt{\alpha_2\alpha_1}\,x_0 + \underbrace{\sqrt{\alpha_2(1-\alpha_1)}\,\varepsilon_1 +
# \sqrt{1-\alpha_2}\,\varepsilon_2}_{\text{two independent Gaussians}}. $$
#
# **The sum of two independent Gaussians is a Gaussian, and the variances add up**:
# $\alpha_2(1-\alpha_1) + 1-\alpha_2 = 1-\alpha_1\alpha_2$. The next step does the same again. With
# $\bar\alpha_t = \alpha_1\alpha_2\cdots\alpha_t$ the whole chain is one draw:
#
# $$ q(x_t \mid x_0) = N\big(\sqrt{\bar\alpha_t}\,x_0,\; (1-\bar\alpha_t)\,I\big). $$
#
# Don't take our word for it. Here are 20,000 chains, each with one pixel that begins at 0.7, step by step;
# beside them, the formula.

# %%
pixel = torch.full((20_000,), 0.7)
print(f"{'t':>5} {'mean of the chains':>20} {'sqrt(a) x0':>12} {'their variance':>16} {'1 - a':>8}")
for t in range(1, 1001):
    pixel = (1 - betas[t]).sqrt() * pixel + betas[t].sqrt() * torch.randn(pixel.shape, generator=g)
    if t in (10, 100, 300, 600, 1000):
        a = linear[t]
        print(f"{t:5} {pixel.mean():20.3f} {a.sqrt() * 0.7:12.3f} {pixel.var():16.3f} {1 - a:8.3f}")

# %% [markdown]
# What the chain does to a *distribution* is easiest to see with pictures of a single pixel. Let 40 of 100
# such pictures have a pixel near $-0.8$ and 60 one near $0.5$. Then the density at each $t$ is known
# exactly: each of the two heaps moves towards 0 and becomes broader, until they are one.

# %%
heaps = [(0.4, -0.8, 0.05), (0.6, 0.5, 0.05)]  # share, mean, standard deviation
grid_x = torch.linspace(-3, 3, 301).double()


def density(x, a):
    """p_t(x) of the two heaps after noise, where a = alpha_bar_t."""
    parts = []
    for share, mean, std in heaps:
        var = a * std**2 + 1 - a
        parts.append(
            share * torch.exp(-((x - a.sqrt() * mean) ** 2) / (2 * var)) / (2 * torch.pi * var).sqrt()
        )
    return sum(parts)


heat = torch.stack([density(grid_x, a) for a in linear[::5]], 1)  # (301, 201)
paths = [torch.where(torch.rand(5, generator=g) < 0.4, -0.8, 0.5)]
for t in range(1, 1001):
    noise = torch.randn(5, generator=g)
    paths.append((1 - betas[t]).sqrt().float() * paths[-1] + betas[t].sqrt().float() * noise)

fig = viz.new_figure(6.4, 3.2)
ax = fig.add_subplot()
ax.imshow(heat.sqrt(), extent=(0, 1000, -3, 3), origin="lower", aspect="auto", cmap="Blues", vmax=1.4)
ax.plot(range(0, 1001, 5), torch.stack(paths[::5]), color=viz.COLOURS[1], linewidth=0.7)
ax.set(xlabel="t", ylabel="value of the pixel", ylim=(-3, 3))
viz.figure(
    fig,
    colours=64,
    alt="Time runs to the right. At the left edge two narrow dark bands, at minus 0.8 and at 0.5; they bend "
    "towards the middle, widen and merge before t = 300 into a single broad bell around 0. Five thin "
    "jagged lines start in the bands and wander all over the bell.",
)

# %% [markdown]
# *Blue: the density at each $t$. Orange: five single pixels on their way.* Read it **from right to left**
# and you see what this notebook is after: begin anywhere in the bell, and walk so that the crowd splits into
# two heaps of the right sizes. Everything is decided between $t = 300$ and $t = 100$ or so: before it
# the crowd is one, after it each point has taken its side.

# %% [markdown]
# ### Exercise 6.1: Any noise level in one step
# *difficulty 2 of 5, about 8 minutes*
#
# Training will ask for pictures at all noise levels, in no order. Write the draw of $q(x_t \mid x_0)$ for a
# whole batch (equation 4 of arXiv 2006.11239):
#
# $$ x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\;\varepsilon, \qquad \varepsilon \sim N(0, I). $$
#
# Each picture has a $t$ of its own: `t` is a tensor of whole numbers, one for each. The table `alpha_bar` has
# $T + 1$ entries and begins with $\bar\alpha_0 = 1$. The noise is given: whoever calls this will want to know
# it afterwards.


# %% tags=["exercise", "ex-6.1"]
def q_sample(x0, t, alpha_bar, eps):
    """x_t: x0 and eps (B, C, H, W), t (B,) int64, alpha_bar (T + 1,) -> (B, C, H, W)."""
    # SOLUTION
    a = alpha_bar[t].view(-1, 1, 1, 1)  # (B, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps
    # END SOLUTION
    # EXERCISE
    # | a = ...  # one number for each picture, in a shape that multiplies pictures
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.diffusion.q_sample(q_sample)

# %% [markdown]
# If you are stuck: `hint("6.1", 1)`, then `hint("6.1", 2)` and `hint("6.1", 3)`.

# %%
hint("6.1", 1)

# %% [markdown]
# And the library's, `add_noise`. It takes $\bar\alpha_t$ itself. Eight pictures, each at a time of its own:

# %%
some, _ = clothes[torch.arange(8)]  # (8, 1, 28, 28)
eight_times = torch.tensor([0, 25, 75, 150, 250, 400, 600, 1000])
eight_noises = torch.randn(some.shape, generator=torch.Generator().manual_seed(1))
drowned = add_noise(some, eight_noises, linear[eight_times])
assert torch.equal(drowned[0], some[0])  # t = 0: nothing has happened
assert torch.allclose(drowned[7], eight_noises[7], atol=0.03)  # t = T: all but pure noise
viz.grid(
    drowned,
    columns=8,
    scale=2,
    alt="Eight different pieces of clothing. The first is clean, and each one further to the right has "
    "more noise: the fourth can just be made out, the last three are noise.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### How fast? The noise schedule
#
# The $\beta_t$ are ours to choose. All that counts in the end is $\bar\alpha_t$, and it is easiest to judge
# as the **signal-to-noise ratio** $\mathrm{SNR}_t = \bar\alpha_t / (1-\bar\alpha_t)$, or as its logarithm:
# at 0 signal and noise are equally strong, and each 2.3 more or less is a factor of ten.
#
# Here are three schedules with the same pictures and **the same noise**. The *linear* one lets $\beta_t$
# rise evenly (arXiv 2006.11239). The *cosine* lets $\bar\alpha_t$ fall like a squared cosine (arXiv
# 2102.09672). The third is straight in the logarithm of the ratio, from 8 to $-8$.
#
# **Drag the bar**, or focus it and use the arrow keys. Stop where you would no longer bet on what is in the
# picture, and read $t$. Then **switch the curve to log-SNR**.

# %% tags=["widget"]
straight = torch.sigmoid(torch.linspace(8, -8, 1000, dtype=torch.float64))  # alpha_bar, out of its log-SNR
ScheduleExplorer(
    data.fashion("test").floats[[0, 1, 2, 8]],
    {
        "linear": alpha_bars(linear_betas()),
        "cosine": alpha_bars(cosine_betas()),
        "straight": torch.cat([torch.ones(1), straight]),
    },
    t=250,
    title="The same noise under three schedules",
    alt="Four garments, an ankle boot, a pullover, trousers and a sandal, under three noise schedules at the "
    "same moment. At t = 250 the linear schedule has buried them in noise, the cosine shows them grainy, "
    "and under the third they are nearly clean. Below, the share of the signal over time.",
)

# %% [markdown]
# *What to notice.*
# - At $t = 250$ the linear schedule is already at half signal, half noise; the cosine gets there at 497. At
#   $t = 600$ next to nothing can be seen under the linear one any more, and 400 steps are still to come:
#   the network would be asked 400 times about pictures in which there is nothing to find.
# - Under the cosine the pictures drown evenly; near both ends its log-SNR bends steeply. The straight one
#   spends many of its times on noise that is hardly visible, before $t = 250$.
# - Set all three to the same log-SNR, one after the other: the pictures are *the same* each time. A
#   schedule decides only *when* each noise level comes, and so how much of the training and of the
#   sampler's steps it gets. Never what the pictures look like there.

# %% [markdown]
# ### Exercise 6.2: A schedule by its signal-to-noise ratio
# *difficulty 2 of 5, about 10 minutes*
#
# The $\beta_t$ are what the chain does, but they say little to us. What one would like to choose is how much
# of the picture is left, for each $t$: the **signal-to-noise ratio**, the variance of the signal by that of
# the noise,
#
# $$ \mathrm{SNR}_t = \frac{\bar\alpha_t}{1-\bar\alpha_t}. $$
#
# So write the way back: the ratio is given for $t = 1, \dots, T$, return the tables $\bar\alpha_t$ and
# $\beta_t$. Both have $T + 1$ entries. At $t = 0$ the picture is clean (its ratio would be infinite, and so
# it is not given): $\bar\alpha_0 = 1$ and $\beta_0 = 0$. And remember that $\bar\alpha_t$ is the *product*
# of all $1-\beta_s$ up to $t$.


# %% tags=["exercise", "ex-6.2"]
def schedule_from_snr(snr):
    """snr (T,), for t = 1 .. T, positive and falling -> alpha_bar and betas, both (T + 1,)."""
    # SOLUTION
    alpha_bar = torch.cat([snr.new_ones(1), snr / (1 + snr)])
    betas = torch.cat([snr.new_zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]])
    return alpha_bar, betas
    # END SOLUTION
    # EXERCISE
    # | alpha_bar = ...  # (T + 1,)
    # | betas = ...  # (T + 1,)
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.diffusion.schedule_from_snr(schedule_from_snr)

# %% [markdown]
# If you are stuck: `hint("6.2", 1)`, then `hint("6.2", 2)` and `hint("6.2", 3)`.

# %%
hint("6.2", 1)

# %% [markdown]
# The library goes from the $\beta_t$ to the ratio. When is there as much noise as signal, and when only a
# hundredth of the signal is left?

# %%
for name, table in (("linear", linear_betas()), ("cosine", cosine_betas())):
    ratio = snr(alpha_bars(table))  # (1001,), infinite at t = 0
    assert ratio[0] == torch.inf
    assert (ratio[1:] < ratio[:-1]).all()
    even, hundredth = (int((ratio >= level).sum()) for level in (1, 0.01))
    print(
        f"{name}: as much noise as signal from t = {even} on, a hundred times as much from t = {hundredth} on"
    )

# %% [markdown]
# By the linear schedule more than a third of all times are spent beyond the hundredth, where nobody could
# say what is in the picture. The cosine spreads the ratio more evenly. That is the whole difference between
# them: two schedules with the same ratios at other times are the same walk at another pace.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The way back
#
# We would like $q(x_{t-1} \mid x_t)$: given a noisy picture, what did it look like one step before? Bayes
# answers, but with the density of all noisy pictures in it, and that we don't have: it is as hard as
# the thing we want.
#
# Suppose a little bird told us $x_0$. Then the question is easy. There are two pieces of evidence about
# $x_{t-1}$, both Gaussian: from $x_0$ one could have come to it (jump to $t-1$), and from it one came to
# $x_t$ (one step). **The product of two Gaussian densities is Gaussian again**: its precision is the sum of
# the two precisions, and its mean lies between them, weighted by how sure each is. So $q(x_{t-1} \mid x_t,
# x_0) = N(\tilde\mu_t, \tilde\beta_t I)$, and you can write down both numbers.

# %% [markdown]
# ### Exercise 6.3: One exact step back
# *difficulty 3 of 5, about 12 minutes*
#
# Here they are (equations 6 and 7 of arXiv 2006.11239), with $\alpha_t = 1-\beta_t$, one factor of
# $\bar\alpha_t$:
#
# $$ \tilde\mu_t = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1-\bar\alpha_t}\,x_0
#    + \frac{\sqrt{\alpha_t}\,(1-\bar\alpha_{t-1})}{1-\bar\alpha_t}\,x_t, \qquad
#    \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t. $$
#
# Write them for a batch. You are given $\bar\alpha$ alone; everything else follows from it. The variance is
# one number for each picture. Your answer is compared with a product of two Gaussians, not with this formula,
# so if you like, do not copy it: multiply the two densities yourself.


# %% tags=["exercise", "ex-6.3"]
def posterior(x, x0, t, alpha_bar):
    """Mean (B, C, H, W) and variance (B,) of q(x_{t-1} | x_t, x_0): x is x_t, t (B,) int64 in 1 .. T."""
    # SOLUTION
    a, a_s = alpha_bar[t], alpha_bar[t - 1]
    alpha = a / a_s
    beta = 1 - alpha
    of_x0 = a_s.sqrt() * beta / (1 - a)
    of_x = alpha.sqrt() * (1 - a_s) / (1 - a)
    mean = of_x0.view(-1, 1, 1, 1) * x0 + of_x.view(-1, 1, 1, 1) * x
    variance = (1 - a_s) / (1 - a) * beta
    return mean, variance
    # END SOLUTION
    # EXERCISE
    # | a, a_s = ...  # at t and at t - 1
    # | mean = ...
    # | variance = ...
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.diffusion.posterior(posterior)

# %% [markdown]
# If you are stuck: `hint("6.3", 1)`, then `hint("6.3", 2)` and `hint("6.3", 3)`.

# %%
hint("6.3", 1)

# %% [markdown]
# And the library's, beside the product itself, computed by brute force: one pixel, $x_0 = -0.8$, $t = 100$,
# and $x_t = 0.1$. For 20,001 values of $x_{t-1}$ we multiply the two densities, and take the mean and the
# variance of what comes out.

# %%
a, a_s = linear[100], linear[99]
y = torch.linspace(-3, 3, 20_001, dtype=torch.float64)  # all x_99 there could be
from_x0 = -((y - a_s.sqrt() * -0.8) ** 2) / (2 * (1 - a_s))  # log of q(y | x_0), up to a constant
to_x = -((0.1 - (a / a_s).sqrt() * y) ** 2) / (2 * (1 - a / a_s))  # log of q(x_100 | y)
weight = torch.softmax(from_x0 + to_x, 0)
mean = (weight * y).sum()
variance = (weight * (y - mean) ** 2).sum()
one, x_100 = torch.tensor([[-0.8]], dtype=torch.float64), torch.tensor([[0.1]], dtype=torch.float64)
print(f"brute force: mean {mean:.6f}, variance {variance:.6f}")
print(f"the library: mean {posterior_mean(x_100, one, a, a_s).item():.6f}, ", end="")
print(f"variance {posterior_variance(a, a_s):.6f}; beta_100 = {1 - a / a_s:.6f}")
assert torch.allclose(posterior_mean(x_100, one, a, a_s), mean, atol=1e-6)
assert torch.allclose(posterior_variance(a, a_s), variance, atol=1e-6)

# %% [markdown]
# The variance is a little below $\beta_t$: knowing $x_0$ makes the step back more certain than the step
# forth. At $t = 1$ it is 0, since the step ends at $x_0$ itself. *The last step adds no noise.* Remember
# that; forgetting it is among the most frequent bugs in samplers.

# %% [markdown]
# ### From the way back to a bound
#
# At sampling time no little bird tells us $x_0$. So let a network *guess* it from $x_t$, and put the guess
# $\hat x_0$ where $x_0$ stood. That makes a second Markov chain, the **reverse process**, which runs from
# noise to pictures:
#
# $$ p(x_T) = N(0, I), \qquad p_\theta(x_{t-1} \mid x_t) = N\big(\tilde\mu_t(x_t, \hat x_0),\;
# \tilde\beta_t I\big). $$
#
# Is a Gaussian good enough? The true $q(x_{t-1} \mid x_t)$, the one nobody has, is all but Gaussian when the
# step is small. That is why there are a thousand of them.
#
# How do we train it? Look at it with the eyes of notebook 02. There is a picture $x_0$, there are hidden
# causes $x_1, \dots, x_T$, an encoder $q$ that makes the causes out of the picture, and a decoder $p_\theta$
# that makes the picture out of the causes. It is a variational autoencoder with a thousand layers, with
# codes as large as the picture, and **an encoder that has nothing to learn**. The same evidence lower bound
# holds, and because both chains go step by step, it falls apart into one term for each step (DDPM eq. 5):
#
# $$ -\log p_\theta(x_0) \;\le\; \underbrace{\mathrm{KL}\big(q(x_T \mid x_0)\,\|\,p(x_T)\big)}_{L_T}
# + \sum_{t=2}^{T} \underbrace{\mathbb{E}\,\mathrm{KL}\big(q(x_{t-1} \mid x_t, x_0)\,\|\,
# p_\theta(x_{t-1} \mid x_t)\big)}_{L_{t-1}} \;\underbrace{-\;\mathbb{E}\log p_\theta(x_0 \mid x_1)}_{L_0} $$
#
# - $L_T$: is the end of the forward process the noise we begin with? There is no $\theta$ in it, so there is
#   nothing to learn: a good schedule makes it 0.
# - $L_{t-1}$: your exact posterior of exercise 6.3 against the network's step. Two Gaussians, so the
#   divergence has a closed form; of the same variance, so only the distance of their means is left.
# - $L_0$: at $x_1$ the picture is there but for a breath of noise, and the 256 grey levels have to be told.
#   Each level has the mass that the last Gaussian has in its bin.
#
# The sum has a unit that one can buy: divided by $784 \cdot \log 2$ it is **bits per pixel**, the length of a
# file in which the model stores the picture. 8 is a file without any model. Here is the bill of the network
# from above for 24 test pictures, item by item. (40 of the 1,000 items: one $t$ out of each of 40 runs,
# short ones where $t$ is small. The sum stays right on average.)

# %%
held_out = data.fashion("test").floats[:24]  # on the 256 levels, as the bound demands
bill = bundled.bound(held_out, terms=40, generator=torch.Generator().manual_seed(0))
bits = 1 / (784 * math.log(2))  # one nat of a whole picture, in bits per pixel

item = bill.terms.mean(0) * bits  # (40,), of one step near that t
at = bill.t.float().mean(0)  # (40,)
spent = (item * bill.counts).cumsum(0)

fig = viz.new_figure(8.6, 3.2)
left, right = fig.subplots(1, 2)
left.loglog(at, item, color=viz.COLOURS[0], marker="o", markersize=3)
left.set(xlabel="t", ylabel="bits per pixel", title="one step costs")
right.semilogx(at, spent, color=viz.COLOURS[3], marker="o", markersize=3)
right.set(xlabel="t", ylabel="bits per pixel", ylim=(0, None), title="all steps up to t cost")
paid = zoo.manifest()["vae_bits_fashion"]["scores"]["ELBO in bits/dim"]
print(f"L_T: {bill.prior.mean() * bits:.1e} bits per pixel")
print(f"L_0: {item[0]:.2f}, up to t = 5: {spent[4]:.2f}, all: {spent[-1]:.2f} bits per pixel")
print(f"the variational autoencoder of notebook 02: {paid:.2f}")
viz.figure(
    fig,
    alt="Two curves over t from 1 to 1000 on a logarithmic scale. Left, the cost of one step: it falls "
    "like a straight line from one bit per pixel at t = 1 to less than a ten-thousandth at t = 1000. "
    "Right, the running sum: half of it is reached at t = 5, and it is nearly flat from 300 on.",
)

# %% [markdown]
# *What one step back costs, and the sum over the steps from the picture's side.*
#
# Look at the right curve. **More than half of the bits are spent before $t$ = 6**, where the noise is about
# as large as two of 256 grey levels: on the grain of the cloth, which no eye sees. What you would call the
# picture, that it is a boot and what its shaft looks like, is decided above $t$ = 100 and costs a tenth of
# the bill.
#
# So the bound is a strict bookkeeper, but not an art critic. The diffusion model needs more bits for a
# picture than the autoencoder of notebook 02, whose samples are far worse. Both are true: one is about
# storing each grain, the other about what we see. And it was our choice: its training drew middling $t$ more
# often than small ones, for there the pictures are decided.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### The same bound, weighed otherwise
#
# Put the closed form of the divergence and your $\tilde\mu_t$ and $\tilde\beta_t$ together. Nearly everything
# cancels. With the signal-to-noise ratio $\mathrm{snr}(t) = \bar\alpha_t / (1 - \bar\alpha_t)$ it is
#
# $$ L_{t-1} = \tfrac12 \big(\mathrm{snr}(t-1) - \mathrm{snr}(t)\big)\, \mathbb{E}\,|x_0 - \hat x_0|^2 . $$
#
# So the whole bound says: **guess the clean picture, under a squared error**, and pay for each $t$ by how
# much signal the step adds. Since $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$ is
# known, who guesses $x_0$ has guessed $\varepsilon$ too, and also $v = \sqrt{\bar\alpha_t}\,\varepsilon -
# \sqrt{1-\bar\alpha_t}\,x_0$. A network may say any of the three, and the errors differ by a factor only:
#
# $$ |\varepsilon - \hat\varepsilon|^2 = \mathrm{snr}(t)\,|x_0 - \hat x_0|^2, \qquad
# |v - \hat v|^2 = (\mathrm{snr}(t) + 1)\,|x_0 - \hat x_0|^2 . $$
#
# Each of these squared errors, without any other weight, is a loss one can train with. They all have the same
# best network. They differ in what a small one takes trouble over:

# %%
ratio = snr(bundled.alpha_bar.double())  # (1001,), infinite at t = 0
t = torch.arange(2, 1000)
weights = {
    "the bound": (ratio[t - 1] - ratio[t]) / 2,
    r"$|\varepsilon - \hat\varepsilon|^2$": ratio[t],
    r"$|v - \hat v|^2$": ratio[t] + 1,
    r"$|x_0 - \hat x_0|^2$": torch.ones(998),
}
fig = viz.new_figure(6.4, 3.2)
ax = fig.add_subplot()
for i, (name, weight) in enumerate(weights.items()):
    ax.semilogy(t, weight / weight[498], color=viz.COLOURS[i], label=name)  # 1 at t = 500
ax.set(xlabel="t", ylabel="weight, 1 at t = 500", ylim=(1e-3, 1e6), title="what an error of the guess costs")
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="Four curves over t: how much an error of the guessed picture weighs in four losses, each divided "
    "by its value at t = 500. The bound's rises beyond a million at small t, those of the noise and "
    "of v to some ten thousand; at large t that of v stays flat, those of the noise and the bound "
    "fall to 0. That of the picture is flat everywhere.",
)

# %% [markdown]
# *The weight of an error of $\hat x_0$, for each $t$.*
#
# The bound cares most, by orders of magnitude, about the grain. Drop its weights and take the error of
# $\varepsilon$ as it is: that is DDPM's **simple loss**. It is a *reweighted* bound, and by comparison it
# looks at large $t$, where pictures are decided. It costs a few bits and gives better pictures (DDPM section
# 4.2). At the far right the error of $\varepsilon$ weighs nothing at all, though: in pure noise, to say "it
# is noise" is a perfect answer, and the guess of $x_0$ is left to chance. $v$ mends that end. The bundled
# network says $v$, which we turn into the other two:

# %%
shown = torch.tensor([2, 100, 250, 400, 550, 700, 850, 990])
a = bundled.alpha_bar[shown]
picture = held_out[1:2].expand(8, -1, -1, -1)  # (8, 1, 28, 28), eight times the same
noise = torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(1)).expand(8, -1, -1, -1)
noisy = add_noise(picture, noise, a)
with torch.no_grad():
    said = bundled.net(noisy, shown)  # v
found = eps_from_v(noisy, said, a)
guess = x0_from_v(noisy, said, a)
assert torch.allclose(x0_from_eps(noisy, found, a), guess, atol=1e-2)  # the same thing, twice
viz.rows(
    {
        "$x_t$": noisy / 2,
        r"it says $\hat v$": said / 2,
        r"so $\hat\varepsilon$": found / 2,
        r"so $\hat x_0$": guess,
    },
    scale=1.8,
    quality=50,
    alt="Four rows of eight squares for t from 2 to 990. The noisy pullover drowns in noise. The "
    "network's v is noise at the left and turns into the negative of the pullover at the right. Its "
    "noise is the same everywhere, only paler at t = 2. Its guess of the picture is sharp at the left "
    "and a soft shadow at the right.",
)

# %% [markdown]
# *$t$ = 2, 100, 250, 400, 550, 700, 850, 990; one picture, one noise, one network. The first three rows
# are shown with half their contrast, or they would not fit between black and white.*
#
# Read the second row: on the left $v$ is the noise, on the right the *negative* of the picture. At each end
# the network is asked for what it does not see. In the third row the noise is always the same, but at $t$ = 2
# the network finds only a part of it: noise as faint as one grey level cannot be told from the cloth, and
# that is what the first items on the bill are for. In the last row you see the mean of everything that could
# have been: at $t$ = 990 it is a blurred garment of no kind.

# %% [markdown]
# ### Exercise 6.4: The simple loss
# *difficulty 2 of 5, about 8 minutes*
#
# All that training a diffusion model takes is one regression (equation 14 of arXiv 2006.11239):
#
# $$ L_{\mathrm{simple}} = \mathbb E_{t, x_0, \varepsilon}\,\big\lVert \varepsilon -
# \varepsilon_\theta\big(\underbrace{\sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon}_{x_t},\;
#    t\big) \big\rVert^2. $$
#
# Write it, as the mean over all pictures, channels and pixels. `net(x_t, t)` is the network; `t` and `eps`
# have been drawn by the training loop. You may use your `q_sample`.


# %% tags=["exercise", "ex-6.4"]
def simple_loss(net, x0, t, eps, alpha_bar):
    """One number: x0 and eps (B, C, H, W), t (B,) int64 in 1 .. T; net: (x_t, t) -> a guess of eps."""
    # SOLUTION
    a = alpha_bar[t].view(-1, 1, 1, 1)
    x = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return (net(x, t) - eps).square().mean()
    # END SOLUTION
    # EXERCISE
    # | x = ...  # what the network is shown
    # | raise NotImplementedError  # then one number
    # END EXERCISE


# %%
check.diffusion.simple_loss(simple_loss)

# %% [markdown]
# If you are stuck: `hint("6.4", 1)`, then `hint("6.4", 2)` and `hint("6.4", 3)`.

# %%
hint("6.4", 1)

# %% [markdown]
# Which number is a good one? A network that always says 0 loses $\mathbb E\,\varepsilon^2 = 1$. Here is what
# a trained one loses, at each noise level for itself:

# %%
pictures_64, _ = clothes[torch.arange(64)]
noise_64 = torch.randn(pictures_64.shape, generator=torch.Generator().manual_seed(2))
with torch.no_grad():
    for level in (10, 100, 300, 600, 900):
        at = torch.full((64,), level)
        noisy = add_noise(pictures_64, noise_64, bundled.alpha_bar[at])
        print(f"t = {level:3}: {(bundled.eps(noisy, at) - noise_64).square().mean():.4f}")

# %% [markdown]
# The loss is large where there is *little* noise, and tiny where there is nearly nothing else. That is no
# sign of a bad network: in a picture that is almost all noise, saying "the noise is what you see" is nearly
# right. The mean over $t$ hides this, so a falling loss curve says less here than elsewhere. Look at samples.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. What the network learns: the score
#
# A squared error is smallest at the mean. So the best answer to "which noise is in this?" is the *mean* of
# all noises that could have led to $x_t$, and that has a meaning of its own. Let $q_t$ be the density of
# all noisy pictures at time $t$. Then
#
# $$ \mathbb{E}[\varepsilon \mid x_t] = -\sqrt{1-\bar\alpha_t}\;\nabla_{x_t} \log q_t(x_t). $$
#
# The gradient of the log-density is called the **score**: at each place, the direction in which the noisy
# pictures become more frequent. Whoever finds noise knows the way uphill (P. Vincent, 2011; arXiv
# 1907.05600). The same in terms of the picture is **Tweedie's formula**:
#
# $$ \mathbb{E}[x_0 \mid x_t] = \frac{x_t + (1-\bar\alpha_t)\,\nabla \log q_t(x_t)}{\sqrt{\bar\alpha_t}}. $$
#
# Pictures have 784 dimensions; let us look at it in two. The data are 64 points, so nothing has to be
# learnt: $q_t$ is a sum of 64 round Gaussians, one around each (faded) point, and the best denoiser is
# known in closed form. Each point could be to blame for $x_t$, the nearer the likelier, and $\mathbb{E}[x_0
# \mid x_t]$ is their mean with the weights $\mathrm{softmax}_i\big(-|x_t - \sqrt{\bar\alpha_t}\,p_i|^2 /
# 2(1-\bar\alpha_t)\big)$.

# %%
few = toys.moons(64, seed=3).x  # (64, 2)
line = torch.linspace(-1.2, 1.2, 11)
y, x = torch.meshgrid(line, line, indexing="ij")
places = torch.stack([x, y], dim=-1).view(-1, 2)  # (121, 2)


def log_density(x, a):
    """log q_t at x (B, 2), but for a constant."""
    square = (x[:, None] - a.sqrt() * few).square().sum(-1)  # (B, 64)
    return (-square / (2 * (1 - a))).logsumexp(1)


levels = [torch.tensor(NOISE[name]) for name in ("much noise", "some noise", "little noise")]
for a in levels:  # the formula above, checked by automatic differentiation
    at = places.clone().requires_grad_()
    (uphill,) = torch.autograd.grad(log_density(at, a).sum(), at)
    assert torch.allclose(score(exact_eps(few, places, a), a), uphill, rtol=1e-3, atol=1e-2)

fig = viz.new_figure(8.4, 2.9)
for ax, a in zip(fig.subplots(1, 3), levels, strict=True):
    arrow = -exact_eps(few, places, a)  # the direction of the score
    arrow = arrow / (1 + arrow.norm(dim=1, keepdim=True))
    ax.plot(*few.T, ".", color=viz.COLOURS[1], markersize=4)
    ax.quiver(*places.T, *arrow.T, color=viz.COLOURS[0], angles="xy", scale=9, width=0.006)
    ax.set(xticks=[], yticks=[], aspect="equal", title=f"noise {(1 - a).sqrt():.2f}")
viz.figure(
    fig,
    colours=64,
    alt="Two moons of orange points, three times, with a grid of blue arrows. At noise 0.89 all arrows point "
    "to the middle. At noise 0.22 they point to the nearer moon. At noise 0.07 each points to the nearest "
    "points.",
)

# %% [markdown]
# *What to notice.* With **much noise** all arrows point to one place, the mean of all data: from far away,
# that is all one can say. With **some noise** they know the moons. With **little noise** each arrow points
# to single points. A sampler follows the arrows while the noise falls from left to right: first towards the
# crowd, then to a moon, at last to a place on it.
#
# ### The perfect denoiser is useless
#
# Look closely at the right-hand picture. The arrows do not lead to *the moons*, they lead to **the 64
# points**. Let us sample with this denoiser, the best there is for these data, and with a network of 10,000
# weights after 800 steps of training on the same 64 points.

# %%
*_, perfect = walk(few)  # 256 samples in 50 steps, with exact_eps
*_, learnt = watch(few, steps=800, every=800)  # a small network, trained here
more = toys.moons(256, seed=4).x

fig = viz.new_figure(8.4, 2.9)
shown = {
    "the perfect denoiser": (perfect.samples, viz.COLOURS[0]),
    "the network": (learnt.samples, viz.COLOURS[0]),
    "more of the same moons": (more, viz.COLOURS[2]),
}
for ax, (title, (points, colour)) in zip(fig.subplots(1, 3), shown.items(), strict=True):
    ax.plot(*few.T, "o", color=viz.COLOURS[1], markersize=5)
    ax.plot(*points.T, "D", color=colour, markersize=2)
    ax.set(xlim=(-1.1, 1.1), ylim=(-0.9, 0.9), xticks=[], yticks=[], aspect="equal", title=title)
for name, moment in (("perfect denoiser", perfect), ("network", learnt)):
    share = moment.numbers["copies of a point"]
    print(f"{name}: {share} of its samples are copies of one of the 64 points")
viz.figure(
    fig,
    colours=64,
    alt="Three pictures of two moons. Left, all samples sit on the 64 given points and nowhere else. In the "
    "middle, the network's samples fill both moons. Right, 256 other points of the same moons.",
)

# %% [markdown]
# The perfect denoiser has **memorised**: it gives back its training points, and with pictures it would give
# back training pictures. This is no accident of the plane. The simple loss of section 2 has exactly one
# optimum for a finite data set, and this is it. Diffusion makes *new* pictures only because the network
# falls short of it: it is smooth, it is small, it has not been trained for ever, and so it fills the gap
# between two points with points like them. Hence the look at the nearest training pictures in section 8:
# with a large enough network, few enough pictures and time enough, they come back (arXiv 2301.13188).
#
# ### Watch it learn
#
# **Press play.** The network trains on the ring; blue diamonds are its samples, always out of the same
# noise, arrows its score at one noise level. Behind them, orange: where $q_t$ is larger than an even spread
# would be. **Then choose another setting:** the score at much or little noise, or *the way back*, in which
# nothing is learnt and the samples walk from noise along the exact score. **Then take other data, or draw
# your own.**


# %% tags=["widget"]
def training(a):
    """What the playground asks for: from points to frames, with the arrows at the noise level a."""
    return lambda points: (PlayFrame(*moment) for moment in watch(points, a))


def way_back(points):
    return (PlayFrame(*moment) for moment in walk(points))


Playground2D(
    {f"score at {name}": training(a) for name, a in NOISE.items()} | {"the way back, exact": way_back},
    points="ring",
    preview=75,
    scale="density",
    title="Diffusion in the plane",
    alt="Eight small clouds of data points on a circle, the samples of a diffusion model that settle on "
    "them, and a grid of arrows that point to the nearest cloud. Behind them in colours where noisy points "
    "are dense. Beside it the loss, the number of modes covered and the share of samples of high quality.",
)

# %% [markdown]
# *What to notice.*
# - Before the first step the samples are a cloud. A few hundred steps later all eight modes are there, and
#   they stay. Remember the failure gallery of notebook 03: there is no opponent here who could be outrun,
#   and a mode that is left out costs loss.
# - After the first hundred steps the loss hardly moves, while the samples get better and better. Most of it
#   is noise that nobody could guess; do not judge a diffusion model by its loss.
# - With *little noise* the arrows between the clouds are arbitrary: at that level the network has never
#   been there, because all noisy points lie close to the data. That is why the walk begins with much noise,
#   where every place has been seen (arXiv 1907.05600).
# - In *the way back* the last number climbs to nearly 100 %: copies. (While it trains, some samples count
#   as copies too, by chance, where the points lie dense.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. A network for pictures
#
# In the plane a small dense network was enough. For pictures the question is the same, *which noise is in
# this?*, and the answer has the shape of the question. That is the job of a **U-Net** (arXiv 1505.04597):
# down to a coarse picture, where a few layers can see all of it (is this a shoe?), and up again, with skip
# connections that bring the fine picture back (where exactly is its edge?). At the coarsest size,
# self-attention lets every place look at every other.
#
# One network serves all noise levels, so it must be told $t$. A bare number would be hard to use; it gets a
# row of waves instead, slow and fast ones, as a clock has hands (`nn/embeddings.py`), and each block of the
# network scales and shifts its features by what it makes of them. The class comes in by the same door: a
# learnt vector for each class, added to that of the time. In one of ten pictures the class is left out, and
# an eleventh vector says "no class in particular"; section 6 will need that.
#
# Two economies make it fast enough for a laptop. The network works on patches of 2x2 pixels, so its
# convolutions run over a quarter of the places. And $t$ is drawn more often from the middle of
# $1 \dots T$, where there is something to learn (arXiv 2403.03206).
#
# **Train it yourself.** About a minute, and one and a half looks at each picture.

# %%
torch.manual_seed(0)
live = DDPM(classes=10, widths=(32, 64), blocks=1, spread=1.2)
steps = 400
run = fit(live, clothes, steps=steps, batch=64, lr=warmup_cosine(steps), ema=0.98, clip=1.0)
mine = run.model.cpu()  # with the averaged weights
print(run)
print(f"{sum(p.numel() for p in live.parameters()):,} parameters, {run.samples / len(clothes):.2f} epochs")

# %%
smooth = run.history["loss/net"]
smooth = [(smooth[k][0], sum(v for _, v in smooth[k : k + 10]) / 10) for k in range(0, len(smooth) - 9, 10)]
viz.curves(
    {"simple loss, means of ten steps": smooth},
    log=True,
    y="loss",
    alt="A curve that falls steeply in the first 50 steps and then more and more slowly, without jumps.",
)

# %% [markdown]
# Compare this curve with those of notebook 03. Nothing circles, nothing explodes: it is a regression. But it
# never comes near 0 either, because nobody can tell noise from detail for sure; what is left says little
# about the pictures. So look at them: 20 steps of a sampler that you will write in a moment, with guidance
# (section 6).

# %%
g = torch.Generator().manual_seed(1)
*_, last = mine.sample(50, label=torch.arange(10).repeat_interleave(5), guidance=2, steps=20, generator=g)
by_class = last.x.view(10, 5, 1, 28, 28).transpose(0, 1).flatten(0, 1)  # a column for each class
viz.photos(
    by_class.repeat_interleave(2, -1).repeat_interleave(2, -2),
    columns=10,
    quality=50,
    alt="Five rows of ten small garments, a column for each class: T-shirts, trousers, pullovers, dresses, "
    "coats, sandals, shirts, sneakers, bags, ankle boots. Most can be recognised; some have torn edges "
    "or odd shapes.",
)

# %% [markdown]
# *Trained live, in the cell above.* A column for each class. Is it more than wishful seeing? The classifier
# of this course, which knows nothing of how these pictures were made, votes on 200 of them. (Of real test
# pictures it names 92 of 100 rightly.)

# %%
features = zoo.load("fashion_features")
asked = torch.arange(200) % 10
g = torch.Generator().manual_seed(2)
*_, last = mine.sample(200, label=asked, guidance=2, steps=20, generator=g)
named = features.logits(last.x)[0].argmax(1)
right = (named == asked).float().view(-1, 10).mean(0)
print(f"of 200 samples, {(named == asked).float().mean():.0%} are recognised as what they were to be")
print(", ".join(f"{NAMES[k]} {right[k]:.0%}" for k in range(10)))

# %% [markdown]
# The bundled network of the first picture is the same thing, with two blocks in place of one at each size
# and 40 minutes of training in place of one. From here on we use that one, and will say so.

# %% [markdown]
# ### One step back
#
# The network finds noise; it takes no step. Section 2 has all that is needed for one: the exact way back from
# $x_t$ to $x_{t-1}$, *if* $x_0$ were known. It is not, so the guess made from $\hat\varepsilon$ stands in for
# it. Put $\hat x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\hat\varepsilon)/\sqrt{\bar\alpha_t}$ into the mean of
# exercise 6.3, and most of it cancels:
#
# $$ x_{t-1} = \frac{1}{\sqrt{\alpha_t}}\Big(x_t - \frac{\beta_t}{\sqrt{1-\bar\alpha_t}}\,\hat\varepsilon\Big)
# + \sqrt{\tilde\beta_t}\; z, \qquad \tilde\beta_t = \frac{1-\bar\alpha_{t-1}}{1-\bar\alpha_t}\,\beta_t,
# \qquad z \sim \mathcal N(0, I) $$
#
# with $\alpha_t = \bar\alpha_t/\bar\alpha_{t-1}$ and $\beta_t = 1-\alpha_t$. This is line 4 of the paper's
# algorithm 2 (arXiv 2006.11239). Its authors tried two variances, $\beta_t$ and $\tilde\beta_t$, and found
# them equally good; we take $\tilde\beta_t$, that of the exact way back.

# %% [markdown]
# ### Exercise 6.5: One step back
# *difficulty 3 of 5, about 12 minutes*
#
# Write this formula. `eps` is $\hat\varepsilon$, what the network found, and `noise` is $z$, drawn for you.
# `t` is one whole number from 1 to $T$, the same for all pictures, and `alpha_bar` the table with
# `alpha_bar[0]` equal to 1. Mind the bars: they are small, and most bugs in diffusion code live under them.
# Clip nothing. And what happens to the noise at $t = 1$? Look before you write an `if`.


# %% tags=["exercise", "ex-6.5"]
def ddpm_step(x, eps, t, alpha_bar, noise):
    """x_t -> x_{t-1}: x, eps and noise (B, C, H, W), t an int from 1 to T, alpha_bar (T + 1,)."""
    # SOLUTION
    alpha = alpha_bar[t] / alpha_bar[t - 1]
    beta = 1 - alpha
    mean = (x - beta / (1 - alpha_bar[t]).sqrt() * eps) / alpha.sqrt()
    variance = (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]) * beta
    return mean + variance.sqrt() * noise
    # END SOLUTION
    # EXERCISE
    # | alpha = ...  # of this one step: no bar
    # | beta = 1 - alpha
    # | mean = ...
    # | variance = ...  # beta tilde
    # | raise NotImplementedError  # then the mean, and noise of this variance
    # END EXERCISE


# %%
check.diffusion.ddpm_step(ddpm_step)

# %% [markdown]
# If you are stuck: `hint("6.5", 1)`, then `hint("6.5", 2)` and `hint("6.5", 3)`.

# %%
hint("6.5", 1)

# %% [markdown]
# The library has no formula of its own for this. It takes the long way round, through the guess of $x_0$ and
# the posterior of exercise 6.3, because between the two it can clip the guess: a pixel outside $[-1, 1]$ is
# certainly wrong. Without the clipping it is your formula, to the last digit that `float32` has.


# %%
def course_step(x, eps, t, alpha_bar, noise):
    """One step of DDPM, with the library's functions."""
    now, before = alpha_bar[t], alpha_bar[t - 1]
    x0 = x0_from_eps(x, eps, now)
    return posterior_mean(x, x0, now, before) + posterior_variance(now, before).sqrt() * noise


table, t = alpha_bars(cosine_betas()), 400
x_t, found, z = torch.randn(3, 4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
alpha, beta = table[t] / table[t - 1], 1 - table[t] / table[t - 1]
by_formula = (x_t - beta / (1 - table[t]).sqrt() * found) / alpha.sqrt()
by_formula = by_formula + ((1 - table[t - 1]) / (1 - table[t]) * beta).sqrt() * z
assert torch.allclose(course_step(x_t, found, t, table, z), by_formula, atol=1e-5)

print("   t   weight of eps   noise added   noise left in x")
for t in (1000, 750, 500, 250, 50, 2, 1):
    alpha, left = table[t] / table[t - 1], 1 - table[t - 1]
    weight = (1 - alpha) / (alpha * (1 - table[t])).sqrt()
    added = posterior_variance(table[t], table[t - 1]).sqrt()
    print(f"{t:4}{weight:16.4f}{added:14.4f}{left.sqrt():18.4f}")

# %% [markdown]
# *What to notice.* For nearly all of the way a step takes a hundredth of the noise away and puts some back:
# two steps forward, one step aside. It looks like a waste, and it is what makes 1,000 steps draw *one*
# picture at random instead of the mean of all of them. At $t = 1$ the last column is 0, and so is the noise
# that is added: `alpha_bar[0]` is 1, and the formula knows by itself when to stop.

# %% [markdown]
# A thousand such steps, one after the other, are algorithm 2. The loop, with the bundled network, from noise
# to eight pictures of eight classes:


# %%
@torch.no_grad()
def ancestral(eps, x, alpha_bar, generator):
    """From noise x_T (B, C, H, W) to pictures, one t after the other."""
    for t in range(len(alpha_bar) - 1, 0, -1):
        found = eps(x, torch.full((len(x),), t))
        x = course_step(x, found, t, alpha_bar, torch.randn(x.shape, generator=generator))
    return x


eight = torch.tensor([0, 9, 3, 7, 8, 2, 1, 5])
g = torch.Generator().manual_seed(5)
begin = time.perf_counter()
walked = ancestral(
    lambda x, t: bundled.eps(x, t, eight), torch.randn(8, 1, 28, 28, generator=g), bundled.alpha_bar, g
)
print(f"1,000 calls of the network: {time.perf_counter() - begin:.1f} s")
viz.grid(
    walked,
    columns=8,
    scale=2,
    alt="Eight garments: a T-shirt, an ankle boot, a dress, a sneaker, a bag, a pullover, trousers and a "
    "sandal, with folds and seams.",
)

# %% [markdown]
# Good pictures, and seconds of waiting for eight of them.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Faster
#
# A GAN calls its network once for a picture; this chain calls it 1,000 times, because each step was built to
# undo one small step of damage. Must it? The network does not know about chains. It has learnt one thing:
# *which noise is in this picture, at this noise level?*
#
# J. Song and colleagues (DDIM, arXiv 2010.02502) noticed that the training loss only ever uses
# $q(x_t \mid x_0)$, never the chain. **Any process with the same noise levels could have made the same
# training data**, and one of them is deterministic: go to the guess of $x_0$, then come back to a lower
# noise level $s$, *with the very same noise*:
#
# $$ \hat x_0 = \frac{x_t - \sqrt{1-\bar\alpha_t}\,\hat\varepsilon}{\sqrt{\bar\alpha_t}}, \qquad
# x_s = \sqrt{\bar\alpha_s}\;\hat x_0 + \sqrt{1-\bar\alpha_s}\;\hat\varepsilon. $$
#
# Nothing says that $s$ must be $t-1$.

# %% [markdown]
# ### Exercise 6.6: A longer stride
# *difficulty 2 of 5, about 10 minutes*
#
# Write the two formulas. `t` and `s` are whole numbers, and $s$ may be any time below $t$, down to 0. No
# noise is drawn, and nothing is clipped.


# %% tags=["exercise", "ex-6.6"]
def ddim_step(x, eps, t, s, alpha_bar):
    """x_t -> x_s without fresh noise: x and eps (B, C, H, W), t and s ints, alpha_bar (T + 1,)."""
    # SOLUTION
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[s]).sqrt() * eps
    # END SOLUTION
    # EXERCISE
    # | x0 = ...  # the guess, from time t
    # | raise NotImplementedError  # then back from it to time s
    # END EXERCISE


# %%
check.diffusion.ddim_step(ddim_step)

# %% [markdown]
# If you are stuck: `hint("6.6", 1)`, then `hint("6.6", 2)`.

# %%
hint("6.6", 1)

# %% [markdown]
# The library's version is the loop around it, `samplers.ddim`: here the first step of it, against the two
# formulas above. And then what the long stride is worth: the same noise, in five steps and in twenty.

# %%
labels = torch.tensor([0, 9, 3, 7, 8, 2, 1, 5])
noise = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(4))


def found(x, t):
    """The noise that the bundled network finds, knowing the classes."""
    with torch.no_grad():
        return bundled.eps(x, t, labels)


first, second, *_ = samplers.ddim(found, noise, bundled.alpha_bar, steps=2, clip=False)
eps = found(noise, torch.full((8,), 1000))
now, then = bundled.alpha_bar[1000], bundled.alpha_bar[500]
by_formula = then.sqrt() * (noise - (1 - now).sqrt() * eps) / now.sqrt() + (1 - then).sqrt() * eps
assert torch.allclose(second.x, by_formula, rtol=1e-3, atol=1e-3)

few = {}
for name, sampler in (("DDPM", samplers.ddpm), ("DDIM", samplers.ddim)):
    for steps in (5, 20):
        torch.manual_seed(0)
        *_, last = sampler(found, noise, bundled.alpha_bar, steps=steps)
        few[f"{name}, {steps} steps"] = last.x
viz.rows(
    few,
    scale=1.6,
    quality=50,
    alt="Four rows of eight garments, all from the same noise. DDPM with 5 steps: flat shapes of one "
    "grey. DDPM with 20: other garments than with 5. DDIM with 5 and with 20 steps: the same eight "
    "garments twice, with more detail and contrast in the second row.",
)

# %% [markdown]
# *What to notice.* Compare the two rows of DDIM. Five calls of the network show the same eight garments as
# twenty, only softer: it is one path from this noise to this picture, and a longer stride is a coarser look
# at it. DDPM's two rows have nothing in common but the class, since each of its steps rolls dice, and its
# pictures of five steps are flat.

# %% [markdown]
# Now the same noise through 1,000 steps of DDPM and 20 of DDIM. The two are stopped at the same noise
# levels, so you can compare them on their way.

# %%
start = dict(label=torch.tensor([0, 9, 3, 5]), guidance=1.5)
a = bundled.alpha_bar


def noise_level(step):
    """The standard deviation of the noise in x at this step."""
    return (1 - a[int(step.note.removeprefix("t = "))]).sqrt().item()


Denoiser(
    {
        "DDPM, 250 steps": bundled.sample(
            4, sampler="ddpm", steps=250, generator=torch.Generator().manual_seed(7), **start
        ),
        "DDIM, 20 steps": bundled.sample(
            4, sampler="ddim", steps=20, generator=torch.Generator().manual_seed(7), **start
        ),
    },
    names=["T-shirt", "ankle boot", "dress", "sandal"],
    noise=noise_level,
    most=15,
    title="The same noise, two ways down",
    alt="Two rows of four pictures that come out of the same noise, a T-shirt, an ankle boot, a dress and a "
    "sandal. The upper row trembles on its way and ends in other garments than the lower one, which "
    "glides.",
)

# %% [markdown]
# *What to notice.* Both start from the same noise, and they end in different pictures: DDPM forgets its
# start, because every step rolls the dice again. DDIM rolls none. **The noise it starts from is the
# picture**, in another language; section 7 will use that.
#
# ### A path, and how to walk it
#
# With ever more steps DDIM becomes a smooth curve, the solution of an ordinary differential equation (ODE),
# the **probability flow** (arXiv 2011.13456). In the coordinates $\bar x = x_t/\sqrt{\bar\alpha_t}$ and
# $\sigma = \sqrt{(1-\bar\alpha_t)/\bar\alpha_t}$ it could not be simpler:
#
# $$ \frac{d\bar x}{d\sigma} = \hat\varepsilon(x_t, t). $$
#
# DDIM is **Euler's method** for it: look at the slope here, and go straight. **Heun's method** looks at the
# slope at both ends and goes by the mean, which costs two calls a step, and is worth it where the
# path bends (arXiv 2206.00364). One noise, few steps:

# %%
fair = {"label": torch.tensor([0, 9, 3, 5, 8, 2, 1, 7]), "guidance": 1.0}
few = {}
for name, sampler, n in [
    ("Euler, 4 calls", "euler", 4),
    ("Euler, 8 calls", "euler", 8),
    ("Heun, 6 calls", "heun", 4),
    ("Euler, 20 calls", "euler", 20),
    ("Euler, 200 calls", "euler", 200),
]:
    g = torch.Generator().manual_seed(11)
    *_, last = bundled.sample(8, sampler=sampler, steps=n, generator=g, **fair)
    few[name] = last.x
viz.rows(
    few,
    scale=1.6,
    quality=50,
    alt="Five rows of the same eight garments. With 4 calls they are soft and without patterns, with 8 "
    "patterns appear, and with 20 they can hardly be told from those with 200.",
)

# %% [markdown]
# *What to notice.* With four calls Euler is soft, near to the mean of what might have come out. From 20 calls
# on you have to search for differences.
#
# ### Steps against distance
#
# Now by numbers. The distance of notebook 03 (Fréchet, in the course's features) between 1,000 samples and
# the test pictures. Two of these sets are **stored**, because one of them took half an hour to make: we
# recorded them beforehand, with the bundled network (`python -m course_lib.stored` does it again). Their
# distances are computed here.

# %%
features = zoo.load("fashion_features")
real = data.fashion("test").floats
distances = {name: frechet_distance(real, stored.samples(name), features) for name in stored.RUNS}
for name, distance in distances.items():
    print(f"{name:24} {distance:5.2f}")

# %%
measured = zoo.manifest()["ddpm_fashion_class"]["scores"]
curves = {}
for sampler, name in (("ddpm", "DDPM"), ("ddim", "DDIM (Euler)"), ("heun", "Heun")):
    words = f"Fréchet distance, {sampler}, "
    curves[name] = [
        (int(key.removeprefix(words).split()[0]), score)
        for key, score in measured.items()
        if key.startswith(words)
    ]
curves["DDPM"].append((1000, distances["DDPM, 1,000 steps"]))
for name, points in curves.items():
    print(f"{name:14}" + ", ".join(f"{calls} calls: {score:.2f}" for calls, score in points))
fig = viz.new_figure()
ax = fig.add_subplot()
for k, (name, points) in enumerate(curves.items()):
    ax.semilogx(*zip(*points, strict=True), marker="o", markersize=4, color=viz.COLOURS[k], label=name)
ax.set(xlabel="calls of the network for one picture", ylabel="Fréchet distance", ylim=(0, None))
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="Fréchet distance against the number of calls on a logarithmic scale. DDIM falls from 2.3 at 5 "
    "calls to 0.9 at 50. Heun falls from 1.7 at 6 calls to below DDIM at 18. DDPM falls from 1.2 at 20 calls "
    "to 0.9 at 100, and rises to 1.0 at 1,000.",
)

# %% [markdown]
# *Measured beforehand against the 10,000 test pictures, 1,000 samples each, without guidance;
# the last point of DDPM is the stored set from above. As many training pictures have 0.25.*
#
# **Twenty calls of DDIM are as good as a thousand of DDPM**, and a fiftieth of the price. At the same number
# of calls DDPM is worse at first: its noise is made for small steps. That it gets worse again between 100
# and 1,000 is no law. Our network was shown small $t$ only rarely, and a thousand steps spend many calls
# there, so its small errors may add up; we have not tested that. Heun pays from some 20 calls on; with 6 it
# has only four steps, and they are too long. (Its first and its last step are Euler's, with one call each.)
#
# Do not read too much into a second decimal. The stored sets have 64 levels of grey, to save space; nobody
# sees that, but it wipes a trace of noise off the black backgrounds, and without it the two distances are
# 0.99 and 1.12. The features see what we do not.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Guidance: more of it, please
#
# The network was told the class in nine of ten pictures, and in the tenth it had to do without. So it gives
# two answers to one picture: $\varepsilon(x_t, y)$ and $\varepsilon(x_t)$. Their difference is the direction
# in which "being a $y$" pulls. **Classifier-free guidance** (arXiv 2207.12598) goes further than the network
# would:
#
# $$ \varepsilon_g = \varepsilon(x_t) + g\,\big(\varepsilon(x_t, y) - \varepsilon(x_t)\big). $$
#
# $g = 1$ is the class as learnt, $g = 0$ no class at all. In terms of the score it is Bayes with the volume
# turned up: $\nabla \log p(x) + g\,\nabla \log p(y \mid x)$, though no classifier was ever trained. (The
# paper counts from the other end: its $w$ is our $g - 1$.)

# %% [markdown]
# ### Exercise 6.7: Told and untold
# *difficulty 2 of 5, about 8 minutes*
#
# Write this for a network that you can ask: `eps(x, t, y)` gives the noise in the pictures `x` at the times
# `t`, when it is told the labels `y`. Classes are 0 to 9, and **label 10 says: no class**. `t` and `y` hold
# one number for each picture. Both questions are about the same pictures at the same times.


# %% tags=["exercise", "ex-6.7"]
def guided_eps(eps, x, t, y, guidance):
    """The noise in x (B, C, H, W) at times t (B,), told labels y (B,), with so much guidance."""
    # SOLUTION
    told = eps(x, t, y)
    untold = eps(x, t, torch.full_like(y, 10))
    return untold + guidance * (told - untold)
    # END SOLUTION
    # EXERCISE
    # | told = ...
    # | untold = ...  # the same question, with no class for anyone
    # | raise NotImplementedError  # then walk from the one towards the other, and on
    # END EXERCISE


# %%
check.diffusion.guided_eps(guided_eps)

# %% [markdown]
# If you are stuck: `hint("6.7", 1)`, then `hint("6.7", 2)`.

# %%
hint("6.7", 1)

# %% [markdown]
# In the library the mixing is `guide` in `methods/guidance.py`, and `DDPM.guided` asks both questions in one
# call, on a batch that is twice as long. How far apart are the two answers? Noisy pictures of sneakers, and
# the network is told that they are sneakers, or that they are bags.

# %%
sneakers, _ = clothes[(clothes.y == 7).nonzero()[:32, 0]]
z = torch.randn(sneakers.shape, generator=torch.Generator().manual_seed(0))
print("   t   told: sneaker   told: bag   (distance from the answer without a class)")
for t in (950, 700, 400, 100):
    times = torch.full((32,), t)
    noisy = add_noise(sneakers, z, bundled.alpha_bar[times])
    with torch.no_grad():
        untold = bundled.eps(noisy, times)
        as_sneaker, as_bag = (bundled.eps(noisy, times, torch.full((32,), y)) for y in (7, 8))
    print(f"{t:4}" + "".join(f"{(e - untold).square().mean().sqrt():14.3f}" for e in (as_sneaker, as_bag)))

with torch.no_grad():
    ours = bundled.guided(noisy[:4], times[:4], torch.full((4,), 7), 3.0)
assert torch.allclose(ours, guide(as_sneaker[:4], untold[:4], 3.0), atol=1e-4)

# %% [markdown]
# *What to notice.* The noise has a spread of 1, so all of these are whispers: a few hundredths. At $t = 950$
# nobody can see what the picture is, and either class says about as much. Then a sneaker shows through. Being
# told what one sees anyway hardly matters, but "it is a bag" pulls twice as hard. Guidance makes
# the whisper louder, and it does so at every step.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Turn it yourself
#
# The bundled network again, and now it runs **in this page**: with every step the browser calls it anew,
# twice where there is guidance. (In a saved notebook without a kernel a recorded run stands in its place:
# run the cell to sample.)

# %% tags=["widget"]
LiveDenoiser(
    bundled.eps,
    bundled.alpha_bar,
    shape=(1, 28, 28),
    names=NAMES,
    null=bundled.classes,  # the label that means "no class in particular"
    steps=(20, 2, 5, 10, 50, 200),
    label=9,
    guidance=2.0,
    seed=4,
    title="Your own seed, class, guidance and steps",
    alt="Two squares: what the sampler holds, first noise and at last an ankle boot, and the network's guess "
    "of the end. Beside them controls for the seed, the class, the guidance and the number of steps.",
)

# %% [markdown]
# Try this, with one thing changed at a time:
# 1. **Keep the seed, change the class.** The same noise becomes a T-shirt, a pullover, a dress, and what
#    was dark in one stays dark in the next. The seed has the composition, the class says what it is to be.
# 2. **Guidance 0.** No class was asked for, whatever the list says: change it, and nothing moves.
# 3. **Guidance 1, 2, 4, 8, the same seed.** From 1 to 2 doubts are settled: what was half a sandal becomes
#    one. At **4** the picture gets brighter than its class is, and soft shades go. At **8** they are gone:
#    flat white beside black, with hard edges, folds turned into stripes. Each step now pushes so far that
#    the guess of $x_0$ leaves $[-1, 1]$ and is clipped there. Watch the right square: it is sure of
#    everything after a few steps. Then stay at 8 and take **a new seed** a few times: outlines become
#    alike.
# 4. **2, 5, 10, 20, 200 steps.** Two steps give a smooth picture without any detail, nearly the mean of
#    what might have been. Each doubling brings more; beyond 20 you will have to search for a difference.
#    Without fresh noise the path is fixed, so more steps follow the same path more closely.
# 5. **Fresh noise at every step** (that is DDPM): now 20 and 200 steps give different pictures.

# %% [markdown]
# What does it cost? The same noise with more and more guidance, and each column asks for the same class as in
# the row above:

# %%
asked = torch.tensor([0, 2, 3, 4, 5, 6, 8, 9])
louder = {}
for guidance in (0, 1, 2, 4, 8):
    g = torch.Generator().manual_seed(3)
    *_, last = bundled.sample(8, label=asked, guidance=guidance, steps=20, generator=g)
    louder[f"guidance {guidance}"] = last.x
viz.rows(
    louder,
    scale=1.6,
    quality=50,
    alt="Five rows of eight garments made from the same noise. Without guidance they are of any class; "
    "with 1 and 2 they are of the class that was asked for; with 4 and 8 they have hard edges and "
    "stark contrasts and look like each other.",
)

# %% [markdown]
# *What to notice.* At 0 nobody asked for anything. At 1 and 2 the columns become what they are to be. From 4
# on you get caricatures: the most typical shirt there is, in stark contrast, and the same one again for
# other noise. Guidance buys typical pictures and pays with variety.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. One network, many jobs
#
# The networks of notebooks 01 to 05 could do one thing each, the thing they were trained for. This one has
# been trained to find noise, at every noise level, and that turns out to be *knowledge of what pictures look
# like*. Nothing in this section is trained, with one exception that we shall announce: the jobs are done by
# asking the same network the same question, `eps(x, t)`, in another order.
#
# Here we want a network that has never heard of classes, and pictures that it has never seen.

# %%
plain = zoo.load("ddpm_fashion")
pictures = data.fashion("validation").floats[
    [0, 1, 3, 5, 8, 11, 13, 14]
]  # (8, 1, 28, 28), held out of training
table = plain.alpha_bar


def end(steps):
    """The picture in the last step of a sampler."""
    *_, last = steps
    return last.x


# %% [markdown] slideshow={"slide_type": "slide"}
# ### Noise of any strength
#
# A photograph taken in the dark is $y = x_0 + \sigma n$: the full picture, and noise of strength $\sigma$ on
# top. That is nearly an $x_t$. Only the scale is wrong, for $x_t$ dims the picture while the noise comes in.
# So look for the $t$ at which noise and picture stand in the same proportion, and dim $y$:
#
# $$ \sqrt{\frac{1-\bar\alpha_t}{\bar\alpha_t}} = \sigma, \qquad \sqrt{\bar\alpha_t}\;y
# = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\;n = x_t. $$
#
# From there one can go on in two ways: take the network's **guess** of $x_0$ in a single step, or **walk**
# all the way down with DDPM.

# %%
g = torch.Generator().manual_seed(0)
shown = {"clean": pictures}
for sigma in (0.5, 1.0):
    noisy = pictures + sigma * torch.randn(pictures.shape, generator=g)
    guess = end(restore.denoise(plain.eps, noisy, table, sigma))
    walked = end(restore.denoise(plain.eps, noisy, table, sigma, steps=25, generator=g))
    shown |= {f"σ = {sigma}": noisy, f"σ = {sigma}: one guess": guess, f"σ = {sigma}: walked": walked}
    errors = [(x - pictures).square().mean() for x in (noisy, guess, walked)]
    print(
        f"σ = {sigma}, t = {restore.matching_time(table, sigma)}: squared error of the noisy pictures "
        f"{errors[0]:.3f}, of one guess {errors[1]:.3f}, of the walked ones {errors[2]:.3f}"
    )
viz.rows(
    shown,
    scale=1.6,
    quality=50,
    alt="Seven rows of eight garments. Below the clean ones, for weaker and for stronger noise: the noisy "
    "pictures, one guess, which is smooth and without patterns, and the walked pictures, which have folds, "
    "buttons and prints, though not those of the clean ones.",
)

# %% [markdown]
# *What to notice.* The guess is smooth: prints and folds are gone, and the more so the stronger the noise
# was. The walked pictures are crisp, full of detail, **and further from the truth**. Both are right. Many
# clean pictures could have given this noisy one. The guess is their *mean*, $\mathbb{E}[x_0 \mid x_t]$, and
# no other answer has a smaller squared error. The walk *draws one* of them. On average a perfect draw is off
# twice as much as the mean, in squared error: once for the truth, which scatters around the mean, and once
# for the draw, which scatters just as much. Compare with the numbers above the picture: eight pictures, a
# small network and 25 strides come near.
#
# Which one you want depends on what it is for: a doctor wants the mean, or better still several draws; a
# film restorer wants a draw.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### A hole in the picture
#
# Now a part of the picture is missing, and we would like to know what could have been there. Notebook 01
# trained an autoencoder for holes. RePaint (A. Lugmayr et al., arXiv 2201.09865) needs no training. Run a
# sampler as usual, and in every step overrule it where you know better:
#
# $$ x_s = \text{known} \cdot \underbrace{x_s^{\text{known}}}_{\text{the picture, as noisy as } s
# \text{ demands}} + (1 - \text{known}) \cdot \underbrace{x_s^{\text{hole}}}_{\text{what the sampler came
# to}} $$
#
# In the next step the network sees both parts together, and fits the one to the other. All that must be
# right is the noise: a clean piece of picture in the midst of noise would be a sight that the network has
# never been trained for.

# %% [markdown]
# ### Exercise 6.8: A frame around the hole
# *difficulty 2 of 5, about 8 minutes*
#
# This is how a network that was never trained for it fills a hole (RePaint, arXiv 2201.09865, eq. 8). After
# each step of the sampler the pixels around the hole are replaced by the true ones, and the next step has to
# go on from there. But x is a noisy picture of time $t$, and the network looks for noise of time $t$
# everywhere: so the true pixels must be brought to time $t$ first, by the one formula of section 1.
#
# $$ x \leftarrow \text{known} \odot \big(\sqrt{\bar\alpha_t}\;\text{picture} + \sqrt{1-\bar\alpha_t}\;z\big)
# + (1 - \text{known}) \odot x $$
#
# `known` is True where the picture is known, and False in the hole, as in the paper. (The `mask` of notebook
# 01 was the other way round.) What `picture` holds in the hole is garbage. `noise` is $z$. At $t = 0$ the
# known pixels have to be exactly those of the picture.


# %% tags=["exercise", "ex-6.8"]
def inpaint_step(x, picture, known, t, alpha_bar, noise):
    """x at time t, with the picture around its hole; all (B, C, H, W), known bool, t an int from 0 to T."""
    # SOLUTION
    around = alpha_bar[t].sqrt() * picture + (1 - alpha_bar[t]).sqrt() * noise
    return torch.where(known, around, x)
    # END SOLUTION
    # EXERCISE
    # | around = ...  # the picture at time t
    # | raise NotImplementedError  # choose for each pixel
    # END EXERCISE


# %%
check.diffusion.inpaint_step(inpaint_step)

# %% [markdown]
# If you are stuck: `hint("6.8", 1)`, then `hint("6.8", 2)`.

# %%
hint("6.8", 1)

# %% [markdown]
# In the library this is one line of `restore.repaint`. Let us look at the last thing that it does, at $t =
# 0$: whatever the network made of the hole, the rest is the picture, to the last bit.

# %%
whole, _ = clothes[torch.tensor([3, 10, 20, 31])]
known = torch.ones_like(whole, dtype=torch.bool)
known[..., 8:20, 8:20] = False


def clueless(x, t):
    """A network that takes everything for noise."""
    return x


*_, last = restore.repaint(clueless, whole, known, bundled.alpha_bar, steps=5, resample=1)
assert torch.equal(last.x[known], whole[known])
assert not torch.equal(last.x, whole)

# %% [markdown]
# The whole loop is `restore.repaint`. Let us hide the lower part of eight garments. We run it twice, with 80
# calls of the network each time: in 80 small steps straight down; and in 20 larger ones, with
# **resampling**. That means: every five steps, noise is added again, as much as these five had removed, and
# they are walked once more, five times in all.

# %%
known = (torch.arange(28) < 12).view(28, 1)  # True in the upper 12 lines
ways = {
    "straight down": dict(steps=80, resample=1),
    "with resampling": dict(steps=20, resample=5, jump=5),
}
filled, visits = {}, {}
for name, way in ways.items():
    g = torch.Generator().manual_seed(0)
    steps = list(restore.repaint(plain.eps, pictures, known, table, generator=g, **way))
    filled[name] = steps[-1].x
    visits[name] = [(step.i, int(step.note.removeprefix("t = "))) for step in steps]
    assert torch.equal(steps[-1].x[..., :12, :], pictures[..., :12, :])  # what was known is left as it was
viz.rows(
    {"what is known": torch.where(known, pictures, 0.0)} | filled | {"the truth": pictures},
    scale=1.8,
    quality=50,
    alt="Four rows of eight garments: only their upper part; two rows with the lower part filled in; the "
    "truth. Straight down, some of the lower parts do not belong to the upper ones: another brightness, a "
    "seam, stains. With resampling all of them go on as they began.",
)

# %%
viz.curves(
    visits,
    x="call of the network",
    y="t",
    alt="The noise level t against the calls of the network. One line falls straight from 1,000 to 0. The "
    "other falls in a saw-tooth: after each five steps down it jumps back up, four times, before it goes on.",
)

# %% [markdown]
# *What to notice.* Straight down, some lower halves do not belong to their upper ones: another brightness, a
# seam where the hole begins, a stain. The known part was put in *after* each step; the step itself, made
# without it, had already decided something for the hole, and with every step there is less noise left to
# change it. Going back up with fresh noise, and down again, gives the two parts time to agree.
#
# How much is lost without that can be calculated, for "pictures" of two pixels with correlation 0.9 of which
# one is known. Straight down, in 1,000 steps, the hidden pixel follows only 70% of the way it should; in 50
# steps with resampling, 91%. (`tests/test_restore.py` holds the exact calculation.) More small steps are no
# cure: resampling is.
#
# There is no *the* answer to a hole. Six answers to the same two:

# %%
g = torch.Generator().manual_seed(3)
halves = pictures[[4, 7]].repeat_interleave(6, 0)
answers = end(restore.repaint(plain.eps, halves, known, table, steps=20, resample=5, jump=5, generator=g))
viz.rows(
    {"an ankle boot": answers[:6], "a coat": answers[6:]},
    scale=2.0,
    quality=50,
    alt="Six different lower parts for the same upper part of a boot, and six for that of a coat: long and "
    "short ones, with sleeves that differ, all of which fit.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### From 14 x 14 to 28 x 28
#
# Every pixel of a small picture is the mean of four. Which four? There are infinitely many answers, most of
# them nonsense. Two ways to get one that is not:
#
# **Without training (zero-shot).** Write $A$ for "take the means" and $A^{+}$ for "use each mean for all its
# four pixels". Whatever the network guesses, its means can be put right without touching anything else. Do
# that to the guess in every step (DDNM, Y. Wang et al., arXiv 2212.00490):
#
# $$ \hat x_0 \leftarrow \hat x_0 + A^{+}\bigl(y - A \hat x_0\bigr). $$
#
# The network fills in what $A$ cannot see, the differences between the four. Any linear loss can be mended
# like that: missing lines, colours turned to grey. `restore.zero_shot` takes $A$ and $A^{+}$.
#
# **With training.** Here is the exception: a network that was trained for this one job. It is the U-Net you
# know, with one more channel at its entrance, for the small picture, enlarged (SR3, C. Saharia et al., arXiv
# 2104.07636; `methods/super_resolution.py`). Everything else is as before: noise on the large picture, the
# same loss, the same sampler.

# %%
shrinking = restore.means(2)
small = shrinking.apply(pictures)  # (8, 1, 14, 14)
expert = zoo.load("sr_fashion")
g = torch.Generator().manual_seed(1)
zero_shot = end(restore.zero_shot(plain.eps, small, shrinking, table, generator=g))
draws = end(expert.enlarge(small.repeat(8, 1, 1, 1), generator=g)).unflatten(0, (8, 8))  # 8 for each picture
print(f"largest error of a mean, zero-shot: {(shrinking.apply(zero_shot) - small).abs().max():.0e}")
print(f"                       the trained: {(shrinking.apply(draws[0]) - small).abs().max():.2f}")
enlargements = {
    "14 x 14": plain_enlargements(small)["nearest"],
    "bicubic": plain_enlargements(small)["bicubic"],
    "zero-shot": zero_shot,
    "trained": draws[0],
    "trained, another draw": draws[1],
    "mean of 8 draws": draws.mean(0),
    "the truth": pictures,
}
viz.rows(
    enlargements,
    scale=1.6,
    quality=50,
    alt="Seven rows of the same eight garments: the small pictures with large pixels, their bicubic "
    "enlargement, which is blurred, then four enlargements by diffusion, which have sharp edges, and the "
    "truth. The mean of eight draws is a little softer than a single one.",
)

# %%
scores = zoo.manifest()["sr_fashion"]["scores"]
print(f"{'500 test pictures':26} PSNR in dB (more is better)   Fréchet distance (less is better)")
for name in ("nearest", "bilinear", "bicubic", "zero-shot", "network", "mean of 8 answers"):
    print(f"{name:26} {scores[f'{name}, PSNR']:10.1f} {scores[f'{name}, Fréchet distance']:33.2f}")

# %% [markdown]
# *What to notice.* Bicubic enlargement is the mean of nothing, just smooth, and loses on both counts. Among
# the others there is a choice, and it is the one that you met above: **the mean of several draws is nearer
# to the truth than any of them; a single draw looks more like a picture.** Whatever the network: past a
# certain point an answer can be brought nearer to the truth only by making it look less real. That is a
# theorem (the perception-distortion trade-off, Y. Blau and T. Michaeli, arXiv 1711.06077).
#
# It has a practical side. The buttons and straps that a draw shows were **invented**. They are plausible,
# and nobody has ever photographed them. Never read a number plate, a face or a tumour off such a picture. If
# you must know what is certain, make many draws and look at what they have in common.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### There and back
#
# DDIM's path from noise to picture is a curve without chance (section 5), so it can be walked backwards:
# from a picture to *its* noise. `samplers.encode` does that. It makes the sampler a sort of autoencoder,
# whose code is as large as the picture, and whose decoder was never told about codes.

# %%
for steps in (10, 25):
    code = end(samplers.encode(plain.eps, pictures[:4], table, steps=steps))
    back = end(samplers.ddim(plain.eps, code, table, steps=steps))
    print(
        f"{steps} steps: the code has mean {code.mean():+.2f} and deviation {code.std():.2f}; squared error "
        f"there and back {(back - pictures[:4]).square().mean():.4f}"
    )

# %% [markdown]
# Ten strides are too long: the curve bends, and the way back misses the picture. With 25 the code is nearer
# to the noise it should be (mean 0, standard deviation 1), though not quite there, and the way back ends
# near the picture. So now we have codes of real pictures, and can walk between them, on a great circle,
# since noise of the right *length* is what the network expects (notebook 02 had the same reason for its
# `slerp`):

# %%
walks = {}
for name, (first, second) in {"two tops": (2, 5), "bag to pullover": (0, 1), "boot to shirt": (4, 3)}.items():
    walks[name] = end(restore.interpolate(plain.eps, pictures[first], pictures[second], table, n=8, steps=25))
viz.rows(
    walks,
    scale=1.8,
    quality=50,
    alt="Three rows of eight garments. Each begins and ends with a picture of the validation set, and "
    "between them every step is a garment too: the shape changes by and by, or all at once.",
)

# %% [markdown]
# *What to notice.* Every picture on the way is sharp, unlike the mixtures of notebook 02. The price: a code
# this large is not sorted by meaning. Between pictures of one kind the walk is smooth, and between two kinds
# it jumps somewhere: a boot does not become a shirt by degrees. Notebook 07 moves the diffusion into the
# code of an autoencoder, to have both.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. What it costs, and how good it is
#
# Pictures look good to those who made them. So, as for the GANs, let us count: against the 10,000 test
# pictures, which none of these models has seen, in the space of the course's own features (notebook 03).
# What is new is the price: a diffusion model is called once for each step, and twice with guidance.

# %%
manifest = zoo.manifest()
models = {  # name: weights, calls of the network for one picture
    "variational autoencoder": ("vae16_fashion", 1),
    "GAN": ("gan_fashion", 1),
    "diffusion": ("ddpm_fashion_class", 2 * 20),  # 20 steps of DDIM, guidance 1.25
}
print(f"{'':24} {'calls':>6} {'Fréchet':>8} {'precision':>10} {'recall':>7} {'bytes':>8}")
for name, (weights, calls) in models.items():
    entry = manifest[weights]
    score = entry["scores"]
    distance = score.get("Fréchet distance", score.get("Fréchet distance, samples"))
    print(
        f"{name:24} {calls:6} {distance:8.2f} {score['precision']:10.2f} {score['recall']:7.2f} "
        f"{entry['bytes']:8,}"
    )
floor = manifest["gan_fashion"]["scores"]["Fréchet distance, training pictures"]
print(f"{'10,000 training pictures':24} {'':6} {floor:8.2f}")

# %% [markdown]
# *Measured by us beforehand, once; the distance of the autoencoder with 2,000 samples, the others with
# 10,000. `course evaluate ddpm_fashion_class` measures it again, in about half an hour.*
#
# **Precision** is the share of made pictures that look like real ones, **recall** the share of the real ones
# that are within reach. The distance is about half that of the GAN, and the precision is higher. The recall
# is not: guidance, even a little of it, trades variety for typical pictures. (Without guidance the distance
# is larger: the curve of section 5.) The price stands in the first column: forty calls against one. Here,
# now, on your machine, with twenty:

# %%
painter = zoo.load("gan_fashion")
g = torch.Generator().manual_seed(8)
start = time.perf_counter()
*_, strokes = painter.sample(64, generator=g)
between = time.perf_counter()
*_, steps = bundled.sample(64, steps=20, generator=g)  # no guidance: 20 calls
end = time.perf_counter()
made = steps.x  # (64, 1, 28, 28)
print(f"64 pictures: GAN {between - start:.2f} s, diffusion in 20 steps {end - between:.1f} s")

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Does it only remember?
#
# A model that hands out its training pictures has a perfect precision, and nothing was learnt. So take each
# sample and look for the training picture that is **nearest**: by pixels, and by features, where a shift by
# a pixel counts for little. A small distance alone proves nothing, for one T-shirt is much like another. What
# counts is the comparison: real pictures that the model has *never seen* have near neighbours, too. Copies
# would be much nearer than those.

# %%
features = zoo.load("fashion_features")
trained = data.fashion("train").floats  # 18,000 of the 58,000 that it was trained on
unseen = data.fashion("test").floats[:400]


def nearest(x, others):
    """Distance to the nearest of others, and which: (N, D), (M, D) -> (N,), (N,)."""
    return torch.cdist(x, others).min(1)


spaces = {
    "pixels": [p.flatten(1) for p in (made, unseen, trained)],
    "features": [embed(features, p) for p in (made, unseen, trained[:4000])],  # 4,000, to save time
}
found = {space: (nearest(mine, train), nearest(real, train)) for space, (mine, real, train) in spaces.items()}

suspects = found["features"][0].values.argsort()[:8]  # the eight that are nearest to a training picture
viz.rows(
    {
        "samples": made[suspects],
        "nearest, features": trained[found["features"][0].indices[suspects]],
        "nearest, pixels": trained[found["pixels"][0].indices[suspects]],
    },
    scale=1.8,
    quality=50,
    alt="Three rows of eight garments: samples, and below each the training pictures nearest to it. They "
    "are of the same kind and cut, but differ in shades, folds and lengths.",
)

# %% [markdown]
# *The eight most suspicious of the 64 samples, and the nearest training pictures to each.* The same kind of
# garment, the same cut: look for what differs. Plain trousers and plain shirts have many doubles in
# the data as well.

# %%
fig = viz.new_figure(8.6, 3.0)
for ax, (space, pair) in zip(fig.subplots(1, 2), found.items(), strict=True):
    for k, (name, near) in enumerate(zip(("samples", "unseen real pictures"), pair, strict=True)):
        distances = near.values.sort().values
        share = torch.arange(1, len(distances) + 1) / len(distances)
        ax.step(distances, share, where="post", color=viz.COLOURS[3 * k], label=name)
    close = pair[1].values.quantile(0.05)
    below = (pair[0].values < close).float().mean()
    print(f"{space}: {below:.0%} of the samples are nearer than the nearest 5% of unseen pictures")
    ax.set(xlim=(0, None), ylim=(0, 1), xlabel=f"distance to the nearest, in {space}", ylabel="share below")
    ax.legend(frameon=False)
viz.figure(
    fig,
    alt="Two plots, by pixels and by features: the share of pictures whose nearest training picture is "
    "nearer than the distance on the axis, for samples and for unseen real pictures. The two curves in each "
    "plot rise together, and none begins near 0.",
)

# %% [markdown]
# *How many pictures have a training picture within a given distance.*
#
# If the network copied, the blue curve would rise steeply near 0. Only 18,000 of its 58,000 training
# pictures are here (4,000 on the right, to save time); but if all samples were copies, three of ten would be
# copies of these, and the left curve would begin with a step of that height. It does not: our samples have
# no nearer neighbours than pictures that the network cannot have copied. Be careful with the conclusion all
# the same: 64 samples rule out that copying is the rule, not that it happens. Large models have been caught
# with single training pictures in them (N. Carlini et al., arXiv 2301.13188), mostly with those that stood
# in the data many times.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Which bug is this?
#
# Wrong diffusion code rarely crashes. It makes pictures, and sometimes neat ones. Two bugs of the kind that
# everybody who writes a sampler makes once.

# %% [markdown]
# ### Which bug is this? The first
#
# A colleague has read the paper and written its sampler (algorithm 2 of arXiv 2006.11239) down by hand, for
# any list of times. It runs, and it even makes *clothes*, cleaner ones than ours. "Better than yours," the
# colleague says. Below, the colleague's ten pictures, one of each class, stand above ten from the data.


# %%
def colleague(eps, x, alpha_bar, times):
    """x_0 out of x_T, through falling times that end in 0; x (B, C, H, W), eps(x, t) with t (B,) int64."""
    for t, s in pairwise(times):
        a, a_s = alpha_bar[t], alpha_bar[s]
        alpha = a / a_s  # of the step from s to t
        noise = eps(x, torch.full((len(x),), t))
        mean = (x - (1 - alpha) / (1 - alpha).sqrt() * noise) / alpha.sqrt()
        sigma = ((1 - a_s) / (1 - a) * (1 - alpha)).sqrt()
        x = mean + sigma * torch.randn_like(x)
    return x


every_class = torch.arange(10)
twenty = list(range(1000, -1, -50))


@torch.no_grad()
def told_eps(x, t):
    return bundled.eps(x, t, every_class)


torch.manual_seed(0)
theirs = colleague(told_eps, torch.randn(10, 1, 28, 28), bundled.alpha_bar, twenty).clamp(-1, 1)
real, _ = clothes[torch.tensor([int((clothes.y == k).nonzero()[3]) for k in range(10)])]
viz.rows(
    {"colleague": theirs, "data": real},
    scale=2,
    quality=50,
    alt="Two rows of ten pieces of clothing, one of each class. Those of the colleague have clear "
    "outlines and smooth, even surfaces, like cut out of grey card. Those of the data have seams, "
    "folds, straps and patterns.",
)


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def roughness(x):
    """Mean difference between neighbouring pixels, of 255."""
    across, down = (x[..., 1:] - x[..., :-1]).abs().mean(), (x[..., 1:, :] - x[..., :-1, :]).abs().mean()
    return ((across + down) / 2 * 127.5).item()


many, _ = clothes[torch.arange(2000)]
print("difference between neighbouring pixels, of 255, ", end="")
print(f"colleague: {roughness(theirs):.1f}, 2,000 pictures of the data: {roughness(many):.1f}")

# %% [markdown]
# Look at surfaces, not at outlines. Then read the colleague's lines beside the paper's:
#
# $$ x_{t-1} = \frac{1}{\sqrt{\alpha_t}} \Big(x_t - \frac{1-\alpha_t}{\sqrt{1-\bar\alpha_t}}\,
#    \varepsilon_\theta(x_t, t)\Big) + \sigma_t z. $$

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "The outlines are fine, and all surfaces are smooth as card. Which bug is this?",
    [
        (
            "Each step takes away more noise than it should: somewhere stands an alpha without its bar.",
            True,
            "eps is the noise of the whole way, and each step is to remove the share of it that this one "
            "step had added. Here more goes, so that x has less noise than the network is told by t. It "
            "looks for as much as it is told, and finds seams and patterns.",
        ),
        (
            "The last step adds noise.",
            False,
            "That would leave a grain on everything, on the black background as well, and make the pictures "
            "rougher. And look at `sigma`: with `a_s = 1`, in the last step, it is 0.",
        ),
        (
            "No fresh noise is added on the way.",
            False,
            "A good thought, for that makes smooth pictures, too. But it stands there, `sigma * "
            "torch.randn_like(x)`, and its `sigma` is the root of the variance of exercise 6.3.",
        ),
        (
            "The network was trained with pictures in [0, 1].",
            False,
            "Then all pictures would have a grey background. And the network is ours: the other samplers of "
            "this notebook use the same one.",
        ),
        (
            "Twenty steps are too few.",
            False,
            "Few steps do blur a little, but the library's DDPM has seams and folds with the same twenty. "
            "You will see them below.",
        ),
    ],
    id="6.B1",
)

# %% [markdown]
# ### Exercise 6.9: Repair the sampler
# *difficulty 3 of 5, about 8 minutes*
#
# Copy the colleague's lines and repair them. One factor is wrong; all else is right and should stay. The
# check follows $x$ from step to step, with an `eps` of its own: the perfect one for data that are one single
# picture.


# %% tags=["exercise", "ex-6.9"]
def repaired(eps, x, alpha_bar, times):
    """x_0 out of x_T, through falling times that end in 0; x (B, C, H, W), eps(x, t) with t (B,) int64."""
    # SOLUTION
    for t, s in pairwise(times):
        a, a_s = alpha_bar[t], alpha_bar[s]
        alpha = a / a_s  # of the step from s to t
        noise = eps(x, torch.full((len(x),), t))
        mean = (x - (1 - alpha) / (1 - a).sqrt() * noise) / alpha.sqrt()
        sigma = ((1 - a_s) / (1 - a) * (1 - alpha)).sqrt()
        x = mean + sigma * torch.randn_like(x)
    return x
    # END SOLUTION
    # EXERCISE
    # | ...  # the colleague's lines, repaired
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.diffusion.repaired(repaired)

# %% [markdown]
# If you are stuck: `hint("6.9", 1)`, then `hint("6.9", 2)`.

# %%
hint("6.9", 1)

# %% [markdown]
# And the library's DDPM, with the same network, the same twenty times and the same random numbers:

# %%
torch.manual_seed(0)
*_, last = samplers.ddpm(told_eps, torch.randn(10, 1, 28, 28), bundled.alpha_bar, steps=20)
print(f"difference between neighbouring pixels: {roughness(theirs):.1f} and {roughness(last.x):.1f}")
viz.rows(
    {"colleague": theirs, "library": last.x},
    scale=2,
    quality=50,
    alt="Two rows of ten pieces of clothing. Most in the lower row are the same garments as those above "
    "them, but with folds, seams and patterns, and some of them less tidy.",
)

# %% [markdown]
# Most of them are the same garments, with the folds back. Some are less tidy *pictures* than the colleague's,
# where the network is not sure of its details. **That is why this bug lives long.** It makes neat pictures
# that please at first sight, and no training curve would tell, since training is not touched. Only a
# comparison with the data can, by the eye or by a number such as the one above.

# %% [markdown]
# ### Which bug is this? The second
#
# Another colleague needs pictures faster and has written DDIM (exercise 6.6). The code runs through, and its
# twenty steps are as quick as ours. Below, the library's pictures and the colleague's: the same network, the
# same noise, the same twenty times. (The cells are folded: answer first.)


# %% tags=["hide-input"] jupyter={"source_hidden": true}
def second_colleague(x, eps, t, s, alpha_bar):
    """One step of DDIM, x_t -> x_s. A line of it is wrong."""
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps


asked = torch.tensor([0, 9, 7, 8, 2, 1])
begin = torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(4))


@torch.no_grad()
def walked(step, x=begin):
    """From noise to pictures in twenty of these steps."""
    for t, s in pairwise(samplers.timesteps(1000, 20)):
        x = step(x, bundled.eps(x, torch.full((6,), t), asked), t, s, bundled.alpha_bar)
    return x


*_, last = samplers.ddim(
    lambda x, t: bundled.eps(x, t, asked), begin, bundled.alpha_bar, steps=20, clip=False
)
rows = {"library": last.x, "colleague": walked(second_colleague)}
seen = viz.rows(rows, scale=1.6, alt="")
Quiz(
    "The same noise, the same network, twenty steps each. Which bug is this?",
    [
        (
            "In the direction term stands the noise level of t where it must be that of s.",
            True,
            "Each step finds the noise, and puts all of it back: x never gets quieter. But at s the "
            "network is told that x has the noise of s. It finds that much, and the rest it takes for the "
            "picture.",
        ),
        (
            "Noise is added in the last step, from t = 1 to 0.",
            False,
            "That is a light grain on finished garments, of one small step. And this sampler draws no "
            "noise at all: run it twice, and the same comes out.",
        ),
        (
            "The square root is missing in the direction term: 1 - alpha_bar_s in place of its root.",
            False,
            "A number between 0 and 1 is smaller than its root, so *too little* noise would be put back. "
            "The network would be told of noise that is not there, and would smooth the picture instead: "
            "see below.",
        ),
        (
            "The network was not trained for long enough.",
            False,
            "The upper row is the same network.",
        ),
        (
            "Twenty steps are too few.",
            False,
            "The upper row has twenty, too. Too few steps make pictures soft, not noisy: each step goes to a "
            "mean of what could still come.",
        ),
        (
            "The pictures were not put into [-1, 1] before training.",
            False,
            "Then both rows would be wrong in the same way: it is a fault of the network, not of the "
            "sampler.",
        ),
    ],
    id="6.B2",
    image=seen.png,
    alt="Two rows of six pictures. Above, a T-shirt, an ankle boot, a sneaker, a bag, a pullover and "
    "trousers. Below, black and white snow, in which the outlines of the same garments can be made "
    "out at best.",
)

# %% [markdown]
# Now repair it. Unfold the cell above, or copy the function below, change what is wrong, and run the cell
# until it says 0. (The check of exercise 6.6 knows this mistake, too.)


# %%
def repaired_step(x, eps, t, s, alpha_bar):
    """The colleague's step: repair it."""
    x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
    return alpha_bar[s].sqrt() * x0 + (1 - alpha_bar[t]).sqrt() * eps


off = (walked(repaired_step) - last.x).abs().mean()
print(f"mean difference from the library's pictures: {off:.3f}" + (", repaired!" if off < 0.01 else ""))


# %% [markdown]
# How much noise does the next step find, against what it was promised? That is a question with a dose. Four
# weights of the direction term, from too much to none:


# %%
def with_weight(weight):
    """DDIM's step with another weight of the direction term, a function of alpha_bar at t and at s."""

    def step(x, eps, t, s, alpha_bar):
        x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
        return alpha_bar[s].sqrt() * x0 + weight(alpha_bar[t], alpha_bar[s]) * eps

    return walked(step)


viz.rows(
    {
        "noise of t: too much": rows["colleague"],
        "noise of s: right": last.x,
        "no root: too little": with_weight(lambda now, then: 1 - then),
        "none": with_weight(lambda now, then: 0),
    },
    scale=1.6,
    quality=50,
    alt="Four rows of the same six garments. With too much noise put back they drown in snow. With the right "
    "weight they have patterns, seams and soles. With too little they are smooth and even, as if ironed, "
    "without any pattern. With none they are bright flat shapes, as if cut out of paper.",
)

# %% [markdown]
# **Too much noise becomes texture, too little takes all texture away.** The network believes what it is told:
# whatever is missing in the promised noise, it removes from the picture. The third row is the dangerous one.
# Nobody who sees it alone would look for a bug; a colleague of yours may even like it better. (The first bug,
# in DDPM, ended there, too.) What gives it away is a comparison with the data, by eye, or by a distance that
# counts variety.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Three questions
#
# About the ideas of this notebook. Each answer comes with its reason, also the wrong ones.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "A network was trained with T = 1,000 noise levels. DDIM gets good pictures out of it in 20 steps, "
    "without any further training. Why may it leave out 980 of them?",
    [
        (
            "The network says which noise is in x at time t, and its training knows nothing of a step "
            "from t to t - 1. From the guess of x_0 one can go back to any noise level.",
            True,
            "The loss uses only x_t, made from x_0 in one go. So any process with these noise levels at "
            "each time fits the same network, also one that visits 20 of them. What is lost are the "
            "corrections: a guess is used over a longer stretch before the next is made.",
        ),
        (
            "The network has learnt to do 50 steps at once.",
            False,
            "It does no steps. It gives the same answer for the same x and t, whichever sampler asks. "
            "(Networks that *are* trained to make long strides exist: distillation, arXiv 2202.00512.)",
        ),
        (
            "Neighbouring noise levels are all but alike, so most of the 1,000 are unnecessary, in "
            "training, too.",
            False,
            "It is true that they are alike, but this is not why it works: with 20 levels in training, "
            "too, the network would serve just these 20 times. And DDPM's noisy step suffers more than "
            "DDIM's from the same gaps.",
        ),
        (
            "Because each step of DDIM adds less fresh noise, less has to be taken away.",
            False,
            "It adds none. But the noise of x_T must be taken away all the same, and that could take any "
            "number of steps.",
        ),
        (
            "It may not: 20 steps give other pictures than 1,000, so the result is wrong.",
            False,
            "With DDIM they give nearly the same ones, from the same noise: it is one path, walked in longer "
            "strides. That is worth seeing; section 5 shows it.",
        ),
    ],
    id="6.Q1",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "You raise guidance from 1 far up, to 8. A classifier recognises nearly all of the samples, and they "
    "look clear. Yet the Fréchet distance to real pictures gets worse. Which of these are reasons? Tick "
    "all.",
    [
        (
            "Samples of one class become more alike, and the distance compares spreads, too.",
            True,
            "Guidance prefers pictures of which the class can be told for sure. Unusual ones, of which "
            "there are many in the data, are no longer made. Recall falls, precision rises.",
        ),
        (
            "Contrasts get starker than in the data.",
            True,
            "The difference of two answers is made larger at each step, also where it is only brightness. "
            "The means of the features move away from those of real pictures.",
        ),
        (
            "It samples another distribution than the one that was learnt: p(x) p(y | x)^g, made for g, "
            "not for the data.",
            True,
            "This is what it is for, and what it costs. (Not even this one is sampled exactly: the noisy "
            "distributions of the steps in between do not belong together any more.)",
        ),
        (
            "The network gets worse at finding noise.",
            False,
            "Its weights don't change, and both of its answers are those that it gave before.",
        ),
        (
            "Two calls in each step make twice the error.",
            False,
            "They cost twice the time. With g = 1 the second answer cancels, and nothing is worse.",
        ),
        (
            "The classifier is wrong about the samples.",
            False,
            "It may well be right: typical pictures are easily recognised. It does not measure what is "
            "missing.",
        ),
    ],
    id="6.Q2",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
wanted = torch.tensor([0, 9, 3, 7, 8, 5])
sick = {}
for name, steps, guidance in (("A", 3, 1.0), ("B", 20, 16.0)):
    g = torch.Generator().manual_seed(4)
    *_, last = bundled.sample(6, label=wanted, guidance=guidance, steps=steps, generator=g)
    sick[name] = last.x
Quiz(
    "Two ways to spoil the same network, from the same noise. What is wrong with each, and what do you "
    "change?",
    [
        (
            "A: too few steps, take more. B: guidance too strong, turn it down.",
            True,
            "A has three steps with guidance 1: each jumps to a mean of all that could still come, and "
            "means are soft. B has twenty steps with guidance 16: hard edges, black and white, shapes "
            "that overdo what makes a class.",
        ),
        (
            "A: guidance too strong, turn it down. B: too few steps, take more.",
            False,
            "It is the other way round. Guidance sharpens and exaggerates. Too few steps leave out what is "
            "decided late, the details.",
        ),
        (
            "A: trained for too short a time. B: trained for too long, so that it has learnt pictures by "
            "heart.",
            False,
            "It is one network, the bundled one; only settings of the sampler differ. Look there first: "
            "it costs nothing.",
        ),
        (
            "A: no class was told. B: the classes are wrong.",
            False,
            "Both rows show the garments that were asked for, column by column.",
        ),
        (
            "A: noise was left out in DDPM's steps. B: noise was added in the last one.",
            False,
            "Noise in the last step is an even grain, also on the background. Leaving it out does make "
            "pictures flat, as in A, but it has nothing to do with B.",
        ),
    ],
    id="6.Q3",
    image=viz.rows(sick, scale=2, alt="").png,
    alt="Two rows of six garments: a T-shirt, a boot, a dress, a sneaker, a bag, a sandal. In row A they "
    "are soft and grey, without any detail. In row B the same garments have hard edges and stark "
    "contrasts, with odd stripes and torn outlines.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. What to take along
#
# | | GAN | VAE | diffusion |
# | --- | --- | --- | --- |
# | learns by | a game | a bound on the likelihood | a bound that has become a regression |
# | training | can fail in many ways | steady | steady |
# | one sample costs | one call | one call | 20 to 1,000 calls |
# | variety | modes get lost | covers all, blurred | covers all, sharp |
# | a code for a given picture | no | yes, short | yes, as large as the picture (DDIM) |
# | one network, other jobs | no | a few | denoise, inpaint, enlarge, guide |
#
# **Advantages.** A stable training with a loss that means something, sharp pictures and variety at once, and
# a network that can be steered *after* training: by a class, a hole, a small picture. **Disadvantages.**
# Many calls for one picture, and a latent code that is as large as the picture and has no meaning of its
# own.
#
# **When to use it.** When quality and variety count and a second of computing is no obstacle. Not when you
# need a short code (notebook 02), or a picture within a millisecond (03).
#
# **Left out.** Learnt variances (arXiv 2102.09672); the continuous view with all its samplers (2011.13456,
# 2206.00364; notebook 08 has examples); distillation to one or a few steps (2202.00512, 2303.01469).
#
# **Further reading.** DDPM: Ho, Jain, Abbeel, arXiv 2006.11239. The idea: Sohl-Dickstein et al., arXiv
# 1503.03585. DDIM: Song, Meng, Ermon, arXiv 2010.02502. Guidance: Ho, Salimans, arXiv 2207.12598. RePaint:
# Lugmayr et al., arXiv 2201.09865. DDNM: Wang, Yu, Zhang, arXiv 2212.00490. SR3: Saharia et al., arXiv
# 2104.07636.
#
# **Next.** Ten classes are ten words. Notebook 07 tells the network a sentence, and, because 28x28 is small,
# moves the whole business into the code of an autoencoder.
