# %% [markdown] slideshow={"slide_type": "slide"}
# # Variational autoencoders
#
# The autoencoder of notebook 01 could copy but not invent: its codes lay on land of unknown shape, in water
# without a map. This notebook draws the map first. It says how a picture might come about (draw a hidden
# code from a known distribution, decode it) and then learns the decoder that makes *our* pictures probable.
# Out of one formula come new clothes, smooth paths between old ones, sliders that each move one thing, and,
# for the first time, a number for how probable a picture is.

# %% tags=["picture"]
import io
import math

import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from course_lib import bias, check, data, viz, zoo
from course_lib.check import hint
from course_lib.disentangle import portraits, readings
from course_lib.fit import fit, warmup_cosine
from course_lib.latent import lerp
from course_lib.latent import slerp as course_slerp
from course_lib.method import Loss
from course_lib.methods.beta_vae import BetaVAE
from course_lib.methods.debiasing_vae import DebiasingVAE, PlainClassifier
from course_lib.methods.features import accuracy
from course_lib.methods.vae import VAE, Elbo
from course_lib.metrics import bits_per_dim, embed, frechet_distance, precision_recall
from course_lib.nn.gaussian import kl_to_standard, log_density, log_standard
from course_lib.nn.gaussian import reparameterize as draw_from
from course_lib.nn.likelihoods import bernoulli
from course_lib.widgets import Compare, Interpolation, LatentPlane, LatentSliders, Quiz

torch.manual_seed(0)
clothes = data.fashion("train")  # 18,000 pictures to learn from
held = data.fashion("validation")  # 2,000 to choose with
test = data.fashion("test")  # 10,000 for the final figures
x_train, x_held, x_test = clothes.floats, held.floats, test.floats  # (N, 1, 28, 28) in [-1, 1]

vae = zoo.load("vae16_fashion")  # these were trained by us beforehand; you will train your own below
cvae = zoo.load("cvae_fashion")
show = x_test[[int((test.y == c).nonzero()[0]) for c in range(10)]]  # one of each class
with torch.no_grad():
    *_, invented = vae.sample(10, generator=torch.Generator().manual_seed(0))
    *_, of_class = cvae.sample(10, generator=torch.Generator().manual_seed(2))
    ends = vae.posterior(x_test[[1, 0]])[0]  # the codes of a pullover and of an ankle boot
    path = vae.decode(course_slerp(ends[0], ends[1], torch.linspace(0, 1, 10)))
viz.rows(
    {"real": show, "invented": invented.x, "of each class": of_class.x, "on the way": path},
    scale=1.6,
    alt="Four rows of ten pictures: real clothes, one of each class; clothes invented by a variational "
    "autoencoder, a little blurred, most of them of clear kinds; one invented piece of each class, in"
    " order; and a path on which a pullover turns step by step into an ankle boot.",
)

# %% [markdown]
# *Made by networks that we trained beforehand. The first row is real, nothing else is.*
#
# **After this notebook you can**
# 1. derive the objective of a variational autoencoder and write it down in code (exercises 2.1 to 2.3),
# 2. draw new pictures, and say what is wrong with them, in numbers too (sections 4 and 7),
# 3. walk through a latent space without leaving the land (exercise 2.4) and give a slider a meaning,
# 4. recognise posterior collapse and blur, and cure them (exercise 2.5),
# 5. measure how probable a picture is, in bits, and know when not to trust that number (exercise 2.6),
# 6. measure what a classifier learns from one-sided data, and repair it (exercise 2.7).
#
# **You need** notebook 01, and what a Gaussian and an expectation are; 90 to 110 minutes. Running all cells
# takes about two and a half minutes on two processor cores, without a GPU and without the internet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A cause that nobody saw
#
# Here is a story of how a picture of clothing comes about. First somebody settles what it will be: trousers
# or a boot, wide or narrow, dark or bright. Nobody writes that down. Then the picture is made accordingly, in
# some way that leaves a little to chance. In symbols:
#
# $$ z \sim p(z) = \mathcal N(0, I), \qquad x \sim p_\theta(x \mid z) $$
#
# $z$ is a **latent variable**, one that exists in the story but not in the data. $p(z)$ is the **prior**: how
# codes are distributed, and here *we* decide it. $p_\theta(x \mid z)$ is the **likelihood**: a decoder with
# weights $\theta$ says which pictures go with the code $z$. Inventing a picture is then easy, because it is
# the story told forwards: draw $z$, decode it. Nothing of the kind was true in notebook 01.
#
# The decoder should make the pictures that we have probable. The probability of one is that of all its
# possible causes together:
#
# $$ p_\theta(x) = \int p_\theta(x \mid z)\, p(z)\, dz = \mathbb E_{z \sim p(z)}\, p_\theta(x \mid z) $$
#
# An expectation: so draw some codes from the prior, decode each, average. **Try it first**, with a decoder
# that is already good and one test picture.

# %%
one = x_test[:1]  # an ankle boot
draws = [1, 4, 16, 64, 256, 1024, 4096]
torch.manual_seed(0)
with torch.no_grad():
    z = torch.randn(draws[-1], vae.latent)
    by_prior = torch.cat([vae.log_likelihood(one.expand(512, -1, -1, -1), part) for part in z.split(512)])
    guesses, log_q = vae.draw(one.expand(draws[-1], -1, -1, -1))  # what the encoder proposes: see section 2
    by_encoder = torch.cat(
        [vae.log_likelihood(one.expand(512, -1, -1, -1), part) for part in guesses.split(512)]
    )
    by_encoder += log_standard(guesses).sum(1) - log_q
estimates = {
    "codes from the prior": [(k, (by_prior[:k].logsumexp(0) - math.log(k)).item()) for k in draws],
    "codes from the encoder": [(k, (by_encoder[:k].logsumexp(0) - math.log(k)).item()) for k in draws],
}
for name, points in estimates.items():
    print(f"{name:24}", "  ".join(f"{value:8.0f}" for _, value in points))
fig = viz.new_figure()
ax = fig.add_subplot()
for (name, points), colour in zip(estimates.items(), viz.COLOURS, strict=False):
    ax.plot(*zip(*points, strict=True), "o-", color=colour, label=name)
ax.set(xscale="log", xlabel="number of codes drawn", ylabel="estimate of log p(x), in nats")
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="The estimated log-probability of one picture against the number of codes drawn, from 1 to 4,096."
    " With codes from the prior it starts far too low and is still climbing at the end, hundreds of "
    "nats short; with codes from the encoder it is level from the first draw on.",
)

# %% [markdown]
# *A nat is the unit of a natural logarithm: one nat more means $e$ times as probable.*
#
# Averaging over the prior fails. Of 4,096 codes hardly one decodes to anything like this boot, and the best
# of them decides everything: the estimate keeps climbing as luck improves. (The orange curve, level from the
# beginning, had help. What help, and why it is allowed, is the subject of the next section.)
#
# The way out is to ask: *given this picture, which codes are worth trying?* That is the **posterior**
# $p_\theta(z \mid x) = p_\theta(x \mid z)\,p(z) / p_\theta(x)$, and it contains the very number that we
# cannot compute. So we *guess* it: a second network, the **encoder**, looks at $x$ and proposes a Gaussian,
#
# $$ q_\phi(z \mid x) = \mathcal N\big(z;\ \mu_\phi(x),\ \mathrm{diag}\,\sigma^2_\phi(x)\big) $$
#
# One network guesses for all pictures at once, instead of a search for each: that is called *amortised*
# inference, and training both networks together by gradient descent is the recipe that Kingma and Welling
# called **auto-encoding variational Bayes** (AEVB). Note what has become of the autoencoder: the code of a
# picture is no longer a point but a small cloud.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The bound, line by line
#
# How good is a guess? Write the integral with the guess in it, and take the logarithm:
#
# $$
# \begin{aligned}
# \log p_\theta(x)
# &= \log \int p_\theta(x \mid z)\,p(z)\,dz && \text{(1) the story} \\
# &= \log \mathbb E_{q(z \mid x)}\left[\frac{p_\theta(x \mid z)\,p(z)}{q(z \mid x)}\right]
#    && \text{(2) multiplied and divided by } q \\
# &\ge \mathbb E_{q(z \mid x)}\left[\log \frac{p_\theta(x \mid z)\,p(z)}{q(z \mid x)}\right]
#    && \text{(3) Jensen: the log of a mean is at least the mean of the logs} \\
# &= \underbrace{\mathbb E_{q(z \mid x)}\left[\log p_\theta(x \mid z)\right]}_{\text{reconstruction}}
#  - \underbrace{\mathrm{KL}\big(q(z \mid x)\,\Vert\,p(z)\big)}_{\text{distance of the guess from the prior}}
#    && \text{(4) the fraction taken apart}
# \end{aligned}
# $$
#
# Line (4) is the **evidence lower bound**, in short **ELBO** ($\log p(x)$ is also called the evidence). It
# can be computed, and pushing it up raises a floor under $\log p_\theta(x)$, or brings the guess nearer to
# the true posterior. Nothing was lost without account: the gap in line (3) is exactly $\mathrm{KL}\big(q(z
# \mid x)\,\Vert\,p_\theta(z \mid x)\big)$, the distance between the guess and the true posterior. A perfect
# guess makes the bound exact.
#
# The **KL divergence** $\mathrm{KL}(q \Vert p) = \mathbb E_q[\log q - \log p]$ measures how far $q$ is from
# $p$: never negative, and 0 only where they are equal. (It is no true distance: the way back is not as long
# as the way there.)
#
# ### The smallest case, by hand
#
# Let both $x$ and $z$ be single numbers: $z \sim \mathcal N(0, 1)$ and $x = 2 z + 0.5\,\varepsilon$. Then
# everything has a formula, and we can look at the gap.

# %%
w, s, x0 = 2.0, 0.5, 1.5  # x = w z + s eps, and the x that was seen
exact = torch.distributions.Normal(0.0, math.hypot(w, s)).log_prob(torch.tensor(x0)).item()  # log p(x)
var_post = 1 / (1 + w**2 / s**2)  # the true posterior is a Gaussian with this variance
mean_post = var_post * w * x0 / s**2  # and this mean


def toy_elbo(m, v):
    """Line (4) for a guess N(m, v), all in closed form: tensors of one shape -> the same shape."""
    reconstruction = -math.log(s * math.sqrt(2 * math.pi)) - ((x0 - w * m) ** 2 + w**2 * v) / (2 * s**2)
    kl = (m**2 + v - 1 - torch.log(v)) / 2
    return reconstruction - kl


m, sd = torch.meshgrid(torch.linspace(-0.2, 1.6, 181), torch.linspace(0.04, 0.8, 153), indexing="xy")
values = toy_elbo(m, sd**2)
fig = viz.new_figure(7.2, 3.0)
left, right = fig.subplots(1, 2)
grid = torch.linspace(-3, 3, 400)
for name, mean, var, colour in (
    ("prior", 0.0, 1.0, viz.COLOURS[0]),
    ("true posterior", mean_post, var_post, viz.COLOURS[1]),
):
    curve = log_density(grid, torch.tensor(mean), torch.tensor(math.log(var))).exp()
    left.plot(grid, curve, color=colour, label=name)
left.set(xlabel="z", ylabel="density")
left.legend(frameon=False)
levels = [0, 0.1, 0.3, 1, 2, 4, 8, 16]
shades = right.contourf(m, sd, exact - values, levels=levels, cmap="Blues", extend="max")
right.plot(mean_post, var_post**0.5, "x", color=viz.COLOURS[3], markersize=9)
right.set(xlabel="mean of the guess", ylabel="its standard deviation")
fig.colorbar(shades, ax=right, label="gap: log p(x) - ELBO")
viz.figure(
    fig,
    alt="Left: the prior, a wide bell around 0, and the true posterior, a narrow one at 0.7. Right: the gap "
    "between log p(x) and the bound for every guess; it grows in rings around a cross at mean 0.71 and "
    "standard deviation 0.24, where it is 0.",
)

# %%
best = toy_elbo(torch.tensor(mean_post), torch.tensor(var_post)).item()
print(f"log p(x) = {exact:.6f}    largest ELBO = {best:.6f}    largest on the grid = {values.max():.6f}")
assert abs(best - exact) < 1e-5
assert values.max() <= exact

# %% [markdown]
# The cross marks the true posterior, and only there does the bound touch $\log p(x)$. Everywhere else it is
# lower, and by how much is the KL divergence between guess and truth.
#
# ### Exercise 2.1: The KL term
# *difficulty 2 of 5, about 8 minutes*
#
# For a Gaussian guess and a standard Gaussian prior, the KL divergence has a closed form. For one dimension:
#
# $$ \mathrm{KL}\big(\mathcal N(\mu, \sigma^2)\,\Vert\,\mathcal N(0, 1)\big)
#    = \tfrac12 \left(\mu^2 + \sigma^2 - 1 - \log \sigma^2\right) $$
#
# The $d$ dimensions of a code are independent, so theirs add up. Networks give $\log \sigma^2$, called
# `logvar`, because any real number is a valid logarithm, while a variance must be positive.


# %% tags=["exercise", "ex-2.1"]
def kl(mu, logvar):
    """KL of N(mu, diag(sigma^2)) from N(0, I) in nats, logvar = log sigma^2; both (B, d) -> (B,)."""
    # SOLUTION
    return (mu**2 + logvar.exp() - 1 - logvar).sum(1) / 2
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.vae.kl(kl)

# %% [markdown]
# If you are stuck: `hint("2.1", 1)`, then `hint("2.1", 2)`.

# %%
hint("2.1", 1)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### The gradient through a draw
#
# The other term, $\mathbb E_{q} \log p_\theta(x \mid z)$, is estimated by drawing one $z$ from the guess and
# decoding it. But the encoder is to be trained too, and a random draw has no derivative. Two ways out:
#
# - differentiate the *probability* of the draw: $\nabla \mathbb E_q f(z) = \mathbb E_q [f(z)\,
#   \nabla \log q(z)]$, which works for any $f$ (the *score function* estimator),
# - draw the randomness first and *compute* $z$ from it: $z = \mu + \sigma\,\varepsilon$ with
#   $\varepsilon \sim \mathcal N(0, I)$. Now $z$ is an ordinary function of $\mu$ and $\sigma$, and
#   backpropagation just works. This is **reparameterisation**.
#
# Both are right on average. How much do they scatter, in the toy?

# %%
torch.manual_seed(0)
mean, sigma = 0.3, 0.24  # a guess that is still too far left
eps = torch.randn(100_000)
z = mean + sigma * eps
f = -((x0 - w * z) ** 2) / (2 * s**2)  # log p(x | z), up to a constant
by_score = f * (z - mean) / sigma**2  # f(z) times the derivative of log q by the mean
by_path = w * (x0 - w * z) / s**2  # the derivative of f(mean + sigma eps) by the mean
print(f"the true gradient        {w * (x0 - w * mean) / s**2:6.2f}")
for name, gradients in (("score function", by_score), ("reparameterisation", by_path)):
    print(f"{name:24} {gradients.mean():6.2f}   one draw scatters by {gradients.std():6.2f}")

# %% [markdown]
# The same answer on average, but one draw of the score function is mostly noise. The advantage grows with
# the number of dimensions, and it is why variational autoencoders train with a *single* draw.
#
# ### Exercise 2.2: A draw that gradients pass through
# *difficulty 2 of 5, about 6 minutes*
#
# Mind what the encoder gives: the logarithm of the *variance*.


# %% tags=["exercise", "ex-2.2"]
def reparameterize(mu, logvar):
    """A draw from N(mu, diag(sigma^2)) that gradients pass through, logvar = log sigma^2; all (B, d)."""
    # SOLUTION
    sigma = torch.exp(logvar / 2)
    return mu + sigma * torch.randn_like(mu)
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.vae.reparameterize(reparameterize)

# %% [markdown] slideshow={"slide_type": "slide"}
# ### What the decoder's pictures mean
#
# The likelihood needs a distribution *around* the decoded picture $\hat x$. Three choices, all in
# `course_lib/nn/likelihoods.py`:
#
# | likelihood | what a pixel is | what its logarithm amounts to |
# | --- | --- | --- |
# | Gaussian | $\hat x$ plus noise of standard deviation $\sigma$ | a squared error, divided by $2\sigma^2$ |
# | Bernoulli | a coin that shows white with probability $\hat x$ | the cross-entropy of a classifier |
# | discretised logistic | one of 256 levels, near $\hat x$ | a real probability, good for counting bits |
#
# (A grey pixel counts as so much share of white for the coin; a useful loss, but no true probability.) With
# the Gaussian, the reconstruction term is, over the $P$ pixels of a picture,
#
# $$ \log p(x \mid z) = -\frac{1}{2\sigma^2} \sum_{p=1}^P (x_p - \hat x_p)^2 - P \log \sigma
#    - \frac P2 \log 2\pi $$
#
# There is the squared error of notebook 01 again, now with a *scale*: $\sigma$ says how much an error weighs
# against the KL term. It is not decoration, as section 7 will show.
#
# ### Exercise 2.3: The evidence lower bound
# *difficulty 3 of 5, about 12 minutes*
#
# Put the two terms together, for each picture: reconstruction minus KL, both in nats, both *sums*.


# %% tags=["exercise", "ex-2.3"]
def elbo(x, x_hat, sigma, mu, logvar):
    """The bound for each picture: x, x_hat (B, C, H, W), sigma a number, mu, logvar (B, d) -> (B,)."""
    # SOLUTION
    square = ((x - x_hat) ** 2 / (2 * sigma**2)).flatten(1).sum(1)
    pixels = x[0].numel()
    log_p = -square - pixels * (math.log(sigma) + math.log(2 * math.pi) / 2)
    return log_p - (mu**2 + logvar.exp() - 1 - logvar).sum(1) / 2
    # END SOLUTION
    # EXERCISE
    # | log_p = ...  # (B,): the logarithm of the Gaussian likelihood, all three terms
    # | raise NotImplementedError  # now take the KL off, return it, and remove this line
    # END EXERCISE


# %%
check.vae.elbo(elbo)

# %% [markdown]
# And the library's version beside the three of yours. With the same random numbers they must agree:

# %%
torch.manual_seed(0)
small = VAE(latent=8).eval()  # Gaussian likelihood, not trained
x = x_train[:16]
with torch.no_grad():
    torch.manual_seed(1)
    terms = small.elbo(x)
    mu, logvar = small.posterior(x)  # q(z | x)
    torch.manual_seed(1)
    z = mu + torch.exp(logvar / 2) * torch.randn_like(mu)  # one draw from it, reparameterised
    sigma = small.log_sigma.exp().item()
    square = ((x - small.decoder(z)) ** 2 / (2 * sigma**2)).flatten(1).sum(1)
    log_p = -square - 784 * (math.log(sigma) + math.log(2 * math.pi) / 2)  # log p(x | z)
    by_hand = log_p - (mu**2 + logvar.exp() - 1 - logvar).sum(1) / 2  # minus the KL
assert torch.allclose(by_hand, terms.value, rtol=1e-5)
print(f"by hand {by_hand[0]:.3f}, library {terms.value[0]:.3f} nats for the first picture")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Train one
#
# `course_lib/methods/vae.py` is the derivation above as a class, in the same order. The network is built
# like that of notebook 01, with a dense layer more on both sides of the code, and its encoder gives twice
# as many numbers: 16 for $\mu$ and 16 for $\log\sigma^2$. The likelihood is Bernoulli's. This takes less
# than a minute:

# %% tags=["training"]
torch.manual_seed(0)
steps = 1_000
run = fit(
    VAE(latent=16, hidden=128, likelihood="bernoulli"),
    clothes.unlabelled(),
    steps=steps,
    batch=64,
    lr=warmup_cosine(steps),
    ema=0.99,
)
vae_live = run.model.cpu()
print(run)

# %%
fig = viz.new_figure(7.2, 2.8)
axes = fig.subplots(1, 2)
for ax, name, label in zip(axes, ("log p(x|z)", "kl"), ("reconstruction", "KL"), strict=True):
    ax.plot(*zip(*run.history[name][20:], strict=True), color=viz.COLOURS[0], linewidth=0.8)
    ax.set(xlabel="step", ylabel=f"{label}, nats")
viz.figure(
    fig,
    alt="Two curves over the training steps. The reconstruction term rises steeply and then slowly; the KL "
    "rises with it, to about a dozen nats, and goes level.",
)

# %% [markdown]
# The two terms pull against each other. A code that says more about its picture makes the reconstruction
# better and costs KL: **the KL is the length of the message**, in nats, that the code carries about the
# picture. The training finds out which details are worth it.
#
# And now the story told forwards. Draw from the prior, decode:

# %%
with torch.no_grad():
    *_, new = vae_live.sample(20, generator=torch.Generator().manual_seed(0))
viz.grid(
    new.x,
    columns=10,
    scale=2,
    alt="Twenty pictures decoded from random codes by the network trained here: soft, but most of them "
    "clearly shirts, pullovers, trousers, bags or shoes.",
)

# %% [markdown]
# Twenty garments that nobody has made. They are soft, and a few are between two kinds; sections 4 and 7 look
# into that. (What you see is the *mean* of $p(x \mid z)$, here and in all that follows. A true draw from it
# would add a noise to every pixel that nobody wants to see.)
#
# ### A map with no water
#
# `vae2_fashion` has a code of two numbers, so that we can see all of it. Beside it stand the codes of
# notebook 01's autoencoder with a code of two numbers, on the same pictures.

# %%
vae2, ae2 = zoo.load("vae2_fashion"), zoo.load("ae2_fashion")
with torch.no_grad():
    codes = {"autoencoder": ae2.encoder(x_held), "variational autoencoder": vae2.posterior(x_held)[0]}
fig = viz.new_figure(7.2, 3.6)
circle = torch.linspace(0, 2 * math.pi, 200)
for ax, (name, points) in zip(fig.subplots(1, 2), codes.items(), strict=True):
    for c in range(10):
        ax.plot(*points[:1000][held.y[:1000] == c].T, ".", markersize=2, color=f"C{c}")
    ax.plot(2 * circle.cos(), 2 * circle.sin(), color="black", linewidth=0.8)
    ax.set(title=name, aspect="equal")
viz.figure(
    fig,
    alt="The codes of 1,000 pictures in the plane, coloured by class, by an autoencoder and by a variational "
    "one, each with a circle of radius 2. Those of the autoencoder form long rays that leave the circle far "
    "behind; those of the variational one fill a round cloud of the circle's size.",
)

# %% [markdown]
# The circle has radius 2 in both. The autoencoder's codes go where they like. Those of the VAE keep to the
# disc in which the prior has most of its probability, and spread over most of it. **Drag the point, and
# compare with the plane of notebook 01**: nearly everywhere is some garment.


# %% tags=["widget"]
LatentPlane(
    vae2.decode,
    n=13,
    extent=2.6,
    points=codes["variational autoencoder"][:1000],
    labels=held.y[:1000],
    names=held.names,
    title="The plane of a variational autoencoder",
    alt="A round cloud of dots, coloured by kind of garment, and beside it the pictures that the places of "
    "the plane decode to. Shoes, bags, trousers and tops each have a region; between them one kind turns "
    "into another, with few shapeless places.",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Why does the KL term close the gaps between the codes?",
    [
        (
            "It pulls every picture's cloud towards the prior, so clouds become wide and crowd around 0, and "
            "the decoder must give something sensible wherever a cloud reaches.",
            True,
            "Yes. Wide clouds overlap with their neighbours, and where they overlap the decoder learns a "
            "mixture of both: smooth change, no water.",
        ),
        (
            "It makes the encoder ignore the classes.",
            False,
            "Nothing in the bound speaks of classes, and the plane separates many of them quite well.",
        ),
        (
            "It makes the codes of different pictures equal.",
            False,
            "Then they could carry no message. That is posterior collapse, a failure (section 7). The "
            "reconstruction term works against it.",
        ),
    ],
    id="2.Q1",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Can it invent? In numbers
#
# Notebook 01 ended with the Fréchet distance of pictures that an autoencoder invented from a Gaussian
# fitted to its codes. Now the same for the VAE, which needs no fitting: its Gaussian is $\mathcal N(0, I)$,
# by construction. `vae16_fashion` has a third more weights than `ae32_fashion`; both saw the same 58,000
# pictures. (`vae16_fashion` uses the discretised likelihood, with a scale for each pixel.)
#
# One distance can hide two failings, so we add two shares: **precision**, how many of the invented pictures
# look like real ones, and **recall**, how much of the variety of the real ones is covered. (Both by nearest
# neighbours among 128 features of a classifier.)

# %%
features = zoo.load("fashion_features")
ae32 = zoo.load("ae32_fashion")
with torch.no_grad():
    ae_codes = torch.cat([ae32.encoder(b) for b in x_train.split(1000)])  # (18000, 32)
    gaussian_codes = torch.distributions.MultivariateNormal(ae_codes.mean(0), torch.cov(ae_codes.T))
    torch.manual_seed(0)
    by_ae = torch.cat([ae32.decoder(b) for b in gaussian_codes.sample((2_000,)).split(500)]).clamp(-1, 1)
    *_, last = vae.sample(2_000, generator=torch.Generator().manual_seed(0))
    *_, last_live = vae_live.sample(2_000, generator=torch.Generator().manual_seed(0))
    copies = torch.cat([vae(b) for b in x_held.split(500)])
sets = {
    "other real pictures (the floor)": x_train[:2_000],
    "copies by the VAE": copies,
    "invented: AE and a fitted Gaussian": by_ae,
    "invented: VAE": last.x,
    "invented: VAE trained here": last_live.x,
}
real = embed(features, x_held)
print(f"{'':36}{'Fréchet':>8}{'precision':>11}{'recall':>8}")
for name, pictures in sets.items():
    precision, recall = precision_recall(real, embed(features, pictures))
    distance = frechet_distance(x_held, pictures, features)
    print(f"{name:36}{distance:8.2f}{precision:11.2f}{recall:8.2f}")

# %%
viz.rows(
    {
        "real": x_held[:10],
        "AE, invented": by_ae[:10],
        "VAE, invented": last.x[:10],
        "VAE, copied": copies[:10],
    },
    scale=1.6,
    alt="Four rows of ten pictures: real clothes; inventions of the autoencoder, several of them melted "
    "together; inventions of the variational autoencoder, clear shapes without texture; its copies of the "
    "first row, right in shape and a little blurred.",
)

# %% [markdown]
# The inventions of the *bundled* VAE are a little nearer to real clothes than the autoencoder's, and more
# of them look like clothes (precision). The autoencoder's mixtures are spread more widely (recall): two
# numbers can disagree where one distance hides it. The VAE trained here has seen too little for either.
# None *reaches* real clothes. Part of that is blur, which the copies have as well (and smooth copies miss
# the real pictures that have texture, hence their low recall); the rest is inventions between two kinds.
#
# And what was the price? **Compare the two on the same row of test pictures**, and press "difference":

# %% tags=["widget"]
row = x_test[20:29]
with torch.no_grad():
    copied = {"autoencoder": ae32(row).clamp(-1, 1), "VAE": vae(row), "VAE trained here": vae_live(row)}
Compare(
    copied,
    truth=row,
    names=[test.names[c] for c in test.y[20:29]],
    title="What does it cost?",
    alt="Nine test pictures and their reconstructions by an autoencoder, by the bundled variational one "
    "and by the one trained here, with the squared error of each and, on demand, a map of the differences.",
)

# %% [markdown]
# The autoencoder copies better. It had 32 exact numbers; the VAE has 16 blurred ones, each of which must be
# worth its KL. Being able to invent is paid for with detail.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Walking from one picture to another
#
# Encode two test pictures, walk from code to code and decode on the way. Notebook 01 tried it and fell into
# the water half-way.
#
# But along which line? A straight one, $z(t) = (1 - t)\,a + t\,b$, has a catch. When $d$ is large, nearly all
# of the prior's probability lies close to a sphere of radius $\sqrt d$. A straight line between two points
# of a sphere cuts through its inside, where next to no codes are:

# %%
torch.manual_seed(0)
for d in (2, 16, 256):
    a, b = torch.randn(2, 20_000, d)
    ends_norm, middle = a.norm(dim=1), lerp(a, b, 0.5).norm(dim=1)
    print(
        f"d = {d:3}   length of a draw {ends_norm.mean():6.2f} +- {ends_norm.std():.2f}"
        f"   half-way between two {middle.mean():6.2f} +- {middle.std():.2f}"
    )

# %% [markdown]
# In 256 dimensions, half-way is more than six standard deviations shorter than the average draw. The arc of
# a great circle keeps the length: *spherical* linear interpolation, or **slerp**,
#
# $$ z(t) = \frac{\sin((1-t)\,\omega)}{\sin\omega}\,a + \frac{\sin(t\,\omega)}{\sin\omega}\,b,
# \qquad \cos\omega = \frac{a \cdot b}{\lVert a\rVert\,\lVert b\rVert} $$
#
# ### Exercise 2.4: Along the circle
# *difficulty 3 of 5, about 10 minutes*
#
# Where both codes point (almost) the same way or opposite ways, $\sin\omega$ is 0 and the formula divides
# by it: there, below
# $10^{-6}$, use the straight line.


# %% tags=["exercise", "ex-2.4"]
def slerp(a, b, t):
    """The point at t (a number in [0, 1]) of the arc from a to b, codes (d,) of any length -> (d,)."""
    # SOLUTION
    cos = (a @ b / (a.norm() * b.norm())).clamp(-1, 1)
    w = torch.acos(cos)
    if torch.sin(w) < 1e-6:
        return (1 - t) * a + t * b
    return (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)
    # END SOLUTION
    # EXERCISE
    # | w = ...  # the angle between a and b, in radians
    # | raise NotImplementedError  # now the two cases; remove this line when you are done
    # END EXERCISE


# %%
check.vae.slerp(slerp)

# %% [markdown]
# `course_lib.latent.slerp` does the same for whole batches. **Drag along the strips**, from a pullover to an
# ankle boot:

# %% tags=["widget"]
Interpolation(
    vae.decode,
    ends,
    originals=x_test[[1, 0]],
    names=["pullover", "ankle boot"],
    title="From a pullover to an ankle boot",
    alt="Pictures decoded on the way between the codes of a pullover and of an ankle boot, along a straight "
    "line and along an arc; below, the length of the code along both.",
)

# %% [markdown]
# The kind changes over a short stretch and the pictures on either side of it are garments. The curve of
# lengths shows the dip of the straight line. With 16 dimensions the dip is mild, and the two strips hardly
# differ; with hundreds of dimensions, as in the GANs of notebook 03, it would matter more.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Why is the *middle* of the space, z = 0, the most probable single point of the prior, and yet hardly"
    " any draw in 256 dimensions comes near it?",
    [
        (
            "Because a shell at distance r has a volume that grows like r to the power 255, which far "
            "outweighs the density's fall near 0.",
            True,
            "Yes: probability is density times volume. At 0 the density is largest, but there is no volume.",
        ),
        (
            "Because the decoder was never trained there.",
            False,
            "The prior does not know the decoder; this holds for plain random numbers, as printed above.",
        ),
        (
            "Because random number generators avoid 0.",
            False,
            "Each single number of a draw is often close to 0; all 256 at once never are.",
        ),
    ],
    id="2.Q2",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Sliders with a meaning: the β-VAE
#
# A walk along one *axis* of the code, with all other numbers held still, is a **latent traversal**. What does
# one number of the code do? In general: a bit of everything. One would like it **disentangled**: one number
# for the skin tone, one for the hair, one for the shirt.
#
# Higgins et al. (2017) changed a single factor in the bound:
#
# $$ \mathbb E_{q} \log p(x \mid z) - \beta\, \mathrm{KL}\big(q(z \mid x)\,\Vert\,p(z)\big),
# \qquad \beta > 1 $$
#
# With messages that dear the network keeps what pays most, and the Gaussian guess, which has no tilted
# ellipses, makes it cheapest to put what varies independently on axes of their own.
#
# `bvae_people` was trained by us beforehand with $\beta = 10$, on 335 drawn faces: the Noto drawings of
# people without a trade or a costume, cut to 24 × 24 pixels. It is a *small* set, so that its variety can
# be overseen, and the code has 8 numbers. (Five of them have sliders here.) **Move one at a time**, and
# judge whether our names are fair.

# %% tags=["widget"]
bvae = zoo.load("bvae_people")
faces = portraits("train")
start = bvae.posterior(faces.floats[87:88])[0][0].detach()  # "man: medium skin tone, blond hair"
order = [2, 6, 0, 1, 4]  # five of the eight axes: what is clearest comes first
LatentSliders(
    bvae.decode,
    8,
    start=start,
    spread=2.0,
    directions=torch.eye(8)[order],
    names=[
        "skin tone",
        "hair length",
        "hair colour",
        "shirt, fuller hair",
        "pale or warm",
    ],
    title="A drawn face with five sliders",
    alt="A drawn face and five sliders. The first makes the skin darker and leaves the shirt as it is; "
    "others change the hair from long to short and from dark to blond, and the shirt from green to "
    "orange.",
)

# %%
with torch.no_grad():
    moves = torch.linspace(-2, 2, 7)
    rows = {}
    for person, i in (("man", 87), ("woman", 177)):
        z = bvae.posterior(faces.floats[i : i + 1])[0]  # (1, 8)
        for name, axis in (("tone", 2), ("hair length", 6), ("hair colour", 0)):
            swept = z.repeat(7, 1)
            swept[:, axis] = z[0, axis] + moves
            rows[f"{person}, {name}"] = bvae.decode(swept)
viz.rows(
    rows,
    scale=1.3,
    alt="Six rows of seven drawn faces. In two rows the skin goes from light to dark, in two the hair goes"
    " from long to short and the shirt changes with it, in two the hair goes from dark to blond.",
)

# %% [markdown]
# Look closely. The tone slider moves the skin of both people and leaves hair and shirt nearly alone. The
# hair-length slider takes the violet shirt along, because the set draws long hair so: where two things go
# together in the data, nothing can tell them apart. And the hair-colour slider changes the face nearly as
# much as the tone slider does: dark hair comes with dark skin, blond with light.
#
# ### Is it sorted? A number for it
#
# A picture persuades too easily, so measure. Take the codes of people who were not in training, and predict
# the skin tone (1 to 5) by a straight line: once from all eight numbers, once from the single best one.
# $R^2$ is the share of the variance that the prediction explains: 1 is perfect, 0 is no better than the
# mean. If one slider held the tone, the best single number would do as well as all eight, and the second
# best would know nothing; so the *gap* between best and second is the score (Kumar et al., 2018). Two more
# factors are read in the same way: the gender word of the caption (accuracy; guessing gives 0.33) and the
# brightness. Best and second are chosen on the training codes, so the gap on the test codes may be
# negative. PCA with eight components stands beside it.

# %%
with torch.no_grad():
    codes = [bvae.posterior(portraits(split).floats)[0] for split in ("train", "test")]
flat = [portraits(split).floats.flatten(1).numpy() for split in ("train", "test")]
pca = PCA(8, svd_solver="covariance_eigh").fit(flat[0])
by_pca = [torch.from_numpy(pca.transform(x)) for x in flat]
print(f"{'test portraits':24}{'all eight':>10}{'best one':>10}{'gap':>7}")
for name, (train_codes, test_codes) in {"beta-VAE": codes, "PCA": by_pca}.items():
    for factor, found in readings(train_codes, test_codes, "test").items():
        print(f"{name + ', ' + factor:24}{found.together:10.2f}{found.best:10.2f}{found.gap:7.2f}")
print("tone and brightness: R^2; gender word: accuracy, guessing gives 0.33")

# %% [markdown]
# A sober result. The best single number knows something about the tone, but all eight together know more.
# PCA even reads all three factors better; only its gaps for tone and brightness are smaller. Nor is it
# $\beta$ alone: we trained the same network with $\beta = 1$ and
# $\beta = 10$ from two seeds each, and **the seed mattered more than $\beta$** (gap for the tone on the test
# portraits: 0.20 and 0.60 with $\beta = 10$, 0.04 and 0.43 with $\beta = 1$). Tone rests on sixty test
# drawings of four concepts, so none of these numbers is precise. Locatello et al. (2019) found the same in
# thousands of trainings: without some knowledge of the factors, nothing guarantees that a code sorts itself.
#
# What $\beta$ does reliably is trade detail for a shorter message:
#
# | $\beta$ | KL in nats | squared error, training | squared error, validation |
# | --- | --- | --- | --- |
# | 1 | 15.3 | 0.016 | 0.079 |
# | 3 | 10.7 | 0.019 | 0.079 |
# | 10 | 6.4 | 0.030 | 0.087 |
# | 30 | 2.5 | 0.094 | 0.119 |
#
# *(Measured by us, the same network and seed, 1,500 steps each.)*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Two failures, produced on purpose
#
# ### A code that nobody reads
#
# The KL is a price. The network below is told that a nat of KL
# costs 30 nats of reconstruction. Look at its inventions and at the KL of each of its 64 code numbers, and
# say what has happened before you read on.


# %% tags=["training"]
def trained(beta, warmup=0, sigma=1.0, steps=200):
    """A VAE with a code of 64 numbers after a few seconds of training."""
    torch.manual_seed(0)
    model = BetaVAE(
        latent=64, channels=1, size=28, likelihood="gaussian", sigma=sigma, beta=beta, warmup=warmup, lr=1e-2
    )
    run = fit(model, clothes.unlabelled(), steps=steps, batch=64, lr=warmup_cosine(steps), ema=0.98)
    return run.model.cpu()


def kl_of_each(model):
    """Mean KL of each code number over the validation pictures, largest first: (d,)."""
    with torch.no_grad():
        return kl_to_standard(*model.posterior(x_held)).mean(0).sort(descending=True).values


dear = trained(beta=30.0)
with torch.no_grad():
    *_, same = dear.sample(10, generator=torch.Generator().manual_seed(0))
    dear_rows = {"real": show, "copied": dear(show), "invented": same.x}
viz.rows(
    dear_rows,
    scale=1.5,
    alt="Real clothes, their copies and ten inventions by the network with the dear KL: copies and "
    "inventions are nearly all the same grey ghost between shirt and shoe.",
)

# %%
print("KL of the five most used code numbers:", "  ".join(f"{v:.2f}" for v in kl_of_each(dear)[:5]), "nats")

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "All copies look alike, and hardly any code number has a KL above 0. What has happened?",
    [
        (
            "The learning rate was too small, so nothing was learnt.",
            False,
            "The decoder has learnt the mean picture very well. An untrained one would give noise.",
        ),
        (
            "Posterior collapse: the guess equals the prior for every picture, so the code says nothing and "
            "the decoder answers with the mean.",
            True,
            "Yes. A KL of 0 means that the encoder ignores its input. The decoder then does the best that"
            " one can do without a code.",
        ),
        (
            "The encoder memorised the training pictures.",
            False,
            "Then the KL would be large: the code would carry much, not nothing.",
        ),
    ],
    id="2.F1",
)

# %% [markdown]
# This is **posterior collapse**: the KL is a price, and a code that is too dear is not used. The price was
# absurd here, but the same happens with ordinary settings, since $\sigma$ is a price too: the
# reconstruction term is the squared error divided by $2\sigma^2$, so a large $\sigma$ makes detail cheap to
# lose. For a *linear* decoder this can be said exactly: a direction of the data is used if its variance is
# above $\sigma^2$, and collapses if it is below (Lucas et al., 2019). The two networks trained below have a
# $\sigma$ of 1, on pictures whose pixels go from -1 to 1: see how many of their 64 code numbers are used.
#
# Collapse also depends on the *way* there. In the first steps the decoder cannot use the code yet, so all
# that a code number does is cost, and some are switched off before their time. **KL annealing** lets the
# price begin at 0 and rise to its full value over some warm-up steps.
#
# ### Exercise 2.5: The KL warms up
# *difficulty 1 of 5, about 5 minutes*


# %% tags=["exercise", "ex-2.5"]
def beta_at(step, warmup, final):
    """The weight of the KL, a number: 0 at step 0, rising evenly to `final` at step `warmup`, then `final`.

    With warmup = 0 there is no warm-up: `final` from step 0 on.
    """
    # SOLUTION
    if warmup == 0:
        return final
    return final * min(1.0, step / warmup)
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code; think of warmup = 0, too
    # END EXERCISE


# %%
check.vae.beta_at(beta_at)

# %% tags=["training"]
plain, annealed = trained(beta=1.0), trained(beta=1.0, warmup=150)
networks = {"KL 30 times as dear": dear, "ordinary, sigma = 1": plain, "annealed, sigma = 1": annealed}
fig = viz.new_figure()
ax = fig.add_subplot()
for (name, model), colour in zip(networks.items(), viz.COLOURS, strict=False):
    ax.plot(range(1, 65), kl_of_each(model), "o-", markersize=3, color=colour, label=name)
ax.set(xlabel="code number, most used first", ylabel="KL in nats")
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="KL of each of 64 code numbers, sorted, for three networks. With the dear KL all are at 0. In the "
    "ordinary network the first two carry about a nat each and the rest falls off fast; in the annealed "
    "one it falls off more slowly, so that more of them carry something.",
)

# %%
for name, model in networks.items():
    with torch.no_grad():
        torch.manual_seed(0)
        value = model.elbo(x_held).value.mean()
    used = int((kl_of_each(model) > 0.1).sum())
    print(f"{name:22} uses {used:2} of 64 code numbers; ELBO {value:7.1f} nats")

# %% [markdown]
# Annealing keeps more code numbers alive. Look at the ELBO, too: it is hardly better. A number that carries
# a tenth of a nat is no great loss, so count what the code *carries*, not how many numbers it spreads over.
# Collapse is a failure when *nothing* gets through, as in the first network. It is the rule when the decoder
# is strong enough to do without a code (as those of notebook 09, which see the neighbouring pixels).
#
# | what you see | likely cause | cure |
# | --- | --- | --- |
# | KL near 0, inventions alike | price too high ($\beta$, $\sigma$), decoder too strong | lower the price |
# | some code numbers at 0 | not needed, or switched off early | leave them, or anneal |
# | KL above a hundred nats, bad inventions | price too low: an autoencoder in disguise | raise it |
#
# ### Blur
#
# The other failure is in plain sight. Here it is in numbers: how strong are the edges of the copies,
# measured by the mean size of the difference between each pixel and its neighbours' mean, compared with the
# real pictures?


# %%
def edges(x):
    """Mean absolute difference of each pixel from the mean of its four neighbours."""
    around = (x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]) / 4
    return (x[..., 1:-1, 1:-1] - around).abs().mean().item()


with torch.no_grad():
    blurred = {
        "real": show,
        "VAE, 2 numbers": vae2(show),
        "sigma = 1": plain(show),
        "VAE trained here": vae_live(show),
        "bundled VAE": vae(show),
        "autoencoder": ae32(show).clamp(-1, 1),
    }
    sharpness = {
        "VAE, 2 numbers": vae2(x_held),
        "sigma = 1": plain(x_held),
        "VAE trained here": vae_live(x_held),
        "bundled VAE": vae(x_held),
        "autoencoder": ae32(x_held).clamp(-1, 1),
    }
for name, pictures in sharpness.items():
    print(f"{name:18} edges at {edges(pictures) / edges(x_held):4.0%} of the real ones")
viz.rows(
    blurred,
    scale=1.5,
    alt="Ten pieces of clothing, copied by five networks, from the most blurred to the sharpest: a VAE "
    "with two numbers gives a typical garment of the kind, one with a large sigma a soft shape, the "
    "VAE trained here and the bundled one clearer shapes, the autoencoder some texture.",
)

# %% [markdown]
# **Blur is doubt, averaged.** Where the code leaves open which of several pictures it was, the likelihood is
# largest for their mean, and the mean of many shirts is a soft shirt. So everything that lets the code say
# more cures some of it: more code numbers, a smaller $\sigma$ (or one that is learnt, or one of each pixel
# as in the discretised likelihood), a stronger encoder. Each costs KL, and a code that says more is harder
# to *invent*. Between a code that says little and blurs and one that says much and leaves gaps there is no
# free place. To get out, later notebooks change the question: GANs do not ask for the mean (03), diffusion
# models resolve doubt in many small steps (06), and two-stage models learn the prior (07).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. How probable is this picture?
#
# A VAE is a **density estimator**: it puts a number on every picture. With the discretised likelihood that
# number is the logarithm of an honest probability, because a pixel is one of 256 levels and theirs add up to
# 1. Divided by the number of pixels and put in units of bits it reads
#
# $$ \text{bits per dimension} = -\frac{\log p(x)}{784\,\log 2} $$
#
# which is also how many bits per pixel a file would need if it were compressed with this model. 8 is what
# knowing nothing costs. But we only have a bound, so we can only state an *upper* limit for the bits.
#
# ### Exercise 2.6: A bound from several draws
# *difficulty 3 of 5, about 10 minutes*
#
# With $k$ draws from the guess instead of one, and the average *inside* the logarithm, the bound gets
# tighter and reaches $\log p(x)$ as $k$ grows (Burda et al., 2015). It is what the orange curve of section 1
# showed:
#
# $$ \log p(x) \ \ge\ \mathbb E \left[ \log \frac1k \sum_{i=1}^k \frac{p(x, z_i)}{q(z_i \mid x)} \right] $$
#
# Your function is given the logarithms of $p(x, z_i) = p(x \mid z_i)\,p(z_i)$ and of $q(z_i \mid x)$. The
# former are around $-2{,}000$, and
# $e^{-2000}$ is 0 to a computer: stay with logarithms. `torch.logsumexp` is made for that.


# %% tags=["exercise", "ex-2.6"]
def importance_bound(log_p, log_q):
    """log_p = log p(x, z_i), log_q = log q(z_i | x), both (k, B) in nats -> a bound for each picture (B,)."""
    # SOLUTION
    log_w = log_p - log_q
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))
    # END SOLUTION
    # EXERCISE
    # | log_w = ...  # (k, B): the logarithm of each fraction
    # | raise NotImplementedError  # now the logarithm of their mean; remove this line when you are done
    # END EXERCISE


# %%
check.vae.importance_bound(importance_bound)

# %% [markdown]
# ### A guess that may bend
#
# How far the ELBO lies below $\log p(x)$ is a question of how well a Gaussian can imitate the true
# posterior. With a code of two numbers we can look at one: decode a fine grid of codes, and apply Bayes.

# %%
chosen = x_test[[18, 23, 46]]
side = torch.linspace(-0.5, 0.5, 48)
square = torch.cartesian_prod(side, side)  # (2304, 2)
fig = viz.new_figure(7.2, 2.5)
with torch.no_grad():
    mu2, logvar2 = vae2.posterior(chosen)
    for ax, picture, mean, logvar in zip(fig.subplots(1, 3), chosen, mu2, logvar2, strict=True):
        lattice = mean + square  # codes around the guess
        log_joint = bernoulli(picture.expand(len(lattice), -1, -1, -1), vae2.decoder(lattice))
        log_joint += log_standard(lattice).sum(1)  # log p(x | z) + log p(z)
        posterior = log_joint.softmax(0).view(48, 48).T  # divided by its sum: Bayes
        ax.pcolormesh(side, side, posterior, cmap="Blues", shading="gouraud")
        sd = torch.exp(logvar / 2)
        for r in (1, 2):
            ax.plot(r * sd[0] * circle.cos(), r * sd[1] * circle.sin(), color=viz.COLOURS[3])
        ax.set(xlim=(-0.5, 0.5), ylim=(-0.5, 0.5), xticks=[], yticks=[], aspect="equal")
viz.figure(
    fig,
    alt="Three panels, one for each of three test pictures: the true posterior in blue, and the ellipses "
    "of the encoder's Gaussian guess in orange. The ellipses lie on or beside the blue spots, which "
    "are bent or tilted, while the ellipses are upright.",
)

# %% [markdown]
# Blue is the truth, the orange rings (one and two standard deviations) are the encoder's guess. Its Gaussian
# can only be an upright ellipse, while the truth may be tilted and bent, as in the middle. And the guess may
# simply be in the wrong place, as on the right. What it misses is the gap.
#
# An **inverse autoregressive flow** (IAF; Kingma et al., 2016) lets the guess bend. It takes the Gaussian
# draw through one or more steps (ours through one)
#
# $$ z_t = \sigma_t \odot z_{t-1} + (1 - \sigma_t) \odot m_t $$
#
# where $m_t$ and $\sigma_t$ come from a network that may look, for entry $i$, at the entries before $i$
# only (and at the picture). A map that stretches space thins the density by the same factor, the
# determinant of its matrix of derivatives (the Jacobian). Here that matrix is triangular, its determinant
# is the product of the $\sigma_t$, and the density of the bent draw is known exactly:
#
# $$ \log q(z_T \mid x) = \log \mathcal N(z_0; \mu, \sigma^2) - \sum_t \sum_i \log \sigma_{t,i} $$
#
# `course_lib/methods/iaf_vae.py` is a small change to `vae.py`; flows get a notebook of their own (10). That
# the determinant is what it should be, you need not take our word for:

# %%
iaf = zoo.load("iaf_fashion")
plain_bits = zoo.load("vae_bits_fashion")  # of the same size, trained in the same way, with a Gaussian guess
with torch.no_grad():
    mu, logvar, context = iaf.start(x_test[:1])
z0 = mu[0].double()
flow = iaf.flow.double()
jacobian = torch.autograd.functional.jacobian(lambda z: flow(z[None], context.double())[0][0], z0)
log_det = flow(z0[None], context.double())[1][0]
iaf.float()
print(f"log-determinant: flow {log_det:.6f}, autograd {torch.linalg.slogdet(jacobian).logabsdet:.6f}")
assert torch.allclose(log_det, torch.linalg.slogdet(jacobian).logabsdet)

# %% [markdown]
# Now both as density estimators: nearly the same number of weights, the same training on the 18,000
# pictures of this course, the same discretised likelihood; 28 × 28 pixels without padding. First on all
# 10,000 test pictures, with one draw each:

# %%
estimators = {"VAE": plain_bits, "IAF-VAE": iaf}
torch.manual_seed(0)
elbos = {}
with torch.no_grad():
    for name, model in estimators.items():
        elbos[name] = torch.cat([model.elbo(b).value for b in x_test.split(500)])  # (10000,)
        nats = elbos[name].mean().item()
        weights = sum(p.numel() for p in model.parameters())
        print(
            f"{name:8} {weights:,} weights   ELBO {nats:8.1f} nats = {bits_per_dim(nats, 784):.3f} bits/dim"
        )
gain = elbos["IAF-VAE"] - elbos["VAE"]
print(
    f"the flow gains {gain.mean():.1f} +- {gain.std() / 100:.1f} nats for each picture"
)  # 100 = sqrt(10,000)

# %% [markdown]
# And the bound of exercise 2.6, for 200 test pictures and up to 64 draws:

# %%
few, most = x_test[:200], 64
bounds = {}
with torch.no_grad():
    for name, model in estimators.items():
        torch.manual_seed(0)
        log_w = []
        for _ in range(most):
            z, log_q = model.draw(few)
            log_w.append(model.log_likelihood(few, z) + log_standard(z).sum(1) - log_q)
        log_w = torch.stack(log_w)  # (64, 200)
        bounds[name] = [
            (k, torch.logsumexp(log_w.view(-1, k, 200), 1).sub(math.log(k)).mean().item())
            for k in (1, 2, 4, 8, 16, 32, 64)
        ]
fig = viz.new_figure()
ax = fig.add_subplot()
for (name, points), colour in zip(bounds.items(), viz.COLOURS, strict=False):
    ax.plot(*zip(*points, strict=True), "o-", color=colour, label=name)
ax.set(xscale="log", xlabel="draws k", ylabel="bound of log p(x), nats (200 test pictures)")
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="The bound of log p(x) against the number of draws from 1 to 64, for the VAE and the IAF-VAE. Both "
    "rise by nearly twenty nats, ever more slowly; the IAF-VAE stays above the other.",
)

# %%
print("bits per dimension on the Fashion-MNIST test pictures (fewer are better)")
for name, weights_name in (("VAE", "vae_bits_fashion"), ("IAF-VAE", "iaf_fashion")):
    scores = zoo.manifest()[weights_name]["scores"]
    print(f"{name:8} ELBO {scores['ELBO in bits/dim']:.3f}   64 draws {scores['64 draws in bits/dim']:.3f}")
print("published, of far larger networks trained on 60,000: Glow about 2.96, PixelCNN++ about 2.65")

# %% [markdown]
# The flow is better, and the difference is small: mind how small before you believe it. How good a training
# turns out depends on its seed, too. Three trainings of each kind, by the ELBO on the validation pictures in
# nats (measured by us; the bundled networks are the best of each row):
#
# | | seed 0 | seed 1 | seed 2 | mean |
# | --- | --- | --- | --- | --- |
# | VAE | -1876.1 | -1880.1 | -1877.5 | -1877.9 |
# | IAF-VAE | -1876.1 | -1874.1 | -1875.9 | -1875.4 |
#
# Once a tie and twice ahead, by two and a half nats on average, which is a thousandth of the whole. That is
# what three trainings can say, and no more.
#
# Where, then, is the gap? The guess can be poor for two reasons: its *shape* is wrong (an upright ellipse),
# or its *place and size* are, because one encoder has to serve all pictures at once. To tell them apart,
# leave the encoder out: for forty test pictures, start from its guess and improve mean and variance of each
# by gradient descent, with the decoder held fixed.

# %% tags=["training"]
few = x_test[:40]


def mean_elbo(mu, logvar, draws=20):
    """The ELBO of `few` for Gaussian guesses (40, 32), averaged over pictures and draws, in nats."""
    torch.manual_seed(1)
    with torch.no_grad():
        log_p = sum(plain_bits.log_likelihood(few, draw_from(mu, logvar)) for _ in range(draws)) / draws
        return (log_p - kl_to_standard(mu, logvar).sum(1)).mean().item()


with torch.no_grad():
    mu, logvar = plain_bits.posterior(few)
print(f"ELBO with the encoder's guesses      {mean_elbo(mu, logvar):8.1f} nats")
plain_bits.requires_grad_(False)
own = [mu.clone().requires_grad_(), logvar.clone().requires_grad_()]
optimizer = torch.optim.Adam(own, lr=0.05)
for _ in range(60):
    loss = kl_to_standard(*own).sum() - plain_bits.log_likelihood(few, draw_from(*own)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"ELBO with a guess for each of them   {mean_elbo(*own):8.1f} nats")

# %% [markdown]
# Tens of nats, from the same upright Gaussians put in better places. This is the **amortisation gap**
# (Cremer et al., 2018): the price of guessing in one glance. (With ellipses that may be tilted we measured
# three nats more, on a hundred validation pictures.) It explains why the flow gains so little here: it
# mends the shape, and the shape is the smaller part of what is wrong. Whoever wants more should look at the
# encoder first.
#
# And most bits are not spent on the code at all, but on texture and noise, pixel by pixel, where no posterior
# helps. That is where PixelCNN++ and Glow (notebooks 09 and 10) win: they let neighbouring pixels depend on
# each other.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Is the improbable strange?
#
# In notebook 01 an outlier was what the network copies badly, and that had a catch. A probability should do
# better. **Guess first:** which of these sets does the model find *more* probable than real clothes?


# %%
def to_levels(x):
    """Rounded to the 256 levels of a picture file, (B, C, H, W) in [-1, 1] -> same."""
    return data.to_floats(((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8))


torch.manual_seed(0)
drawings = torch.nn.functional.interpolate(data.openmoji("test")[slice(0, 150)][0], size=28, mode="area")
sets = {
    "clothes (test)": x_test[:300],
    "upside down": x_test[:300].flip(2),
    "black for white": -x_test[:300],
    "darkened": (x_test[:300] + 1) * 0.3 - 1,
    "line drawings": -drawings,
    "random pixels": torch.rand(300, 1, 28, 28) * 2 - 1,
}
sets = {name: to_levels(x) for name, x in sets.items()}
viz.rows(
    {name: x[:8] for name, x in sets.items()},
    scale=1.2,
    alt="Eight pictures of each of six sets: clothes; clothes upside down; clothes with black and white "
    "exchanged; the same clothes, dark; white line drawings on black; random pixels.",
)


# %%
def auc(usual, strange):
    """How well a score tells strange pictures (higher) from usual ones: 1 perfect, 0.5 guessing."""
    truth = [0] * len(usual) + [1] * len(strange)
    return roc_auc_score(truth, torch.cat([usual, strange]).numpy())


with torch.no_grad():
    log_px = {name: plain_bits.bound(x, 4) for name, x in sets.items()}
normal = log_px["clothes (test)"]
print(f"{'':18}{'bits/dim':>9}{'AUC of -log p(x)':>19}")
for name, values in log_px.items():
    found = auc(-normal, -values)
    print(f"{name:18}{bits_per_dim(values.mean().item(), 784):9.2f}{found:19.2f}")
with torch.no_grad():
    black = plain_bits.bound(-torch.ones(1, 1, 28, 28), 4).item()
print(f"{'an all-black one':18}{bits_per_dim(black, 784):9.2f}")

# %% [markdown]
# The AUC is the probability that a strange picture gets a higher outlier score than a real one: 1 is
# perfect, 0.5 is guessing, and *below 0.5 the detector is wrong more often than right*. Random pixels are
# found at once, and so are white backgrounds (the model was so sure of black that it pays far more than 8
# bits for each of their pixels). But line drawings, which the model has never seen, and darkened clothes
# are **more probable** than real ones, and a black picture is the most probable of all.
#
# Nothing is broken. The probability of a picture is the product of those of its 784 pixels, and a smooth
# dark pixel is easy to predict. A *simple* picture needs few bits under almost any model, however strange it
# is. The same was found for large models of photographs (Nalisnick et al., 2019). One repair is to subtract
# what is due to simplicity alone, measured by a program that knows nothing of clothes: the size of the
# picture as a PNG file (Serrà et al., 2020).


# %%
def png_bits(x):
    """The size of each picture as a PNG file, in bits: (B, 1, H, W) in [-1, 1] -> (B,)."""
    sizes = []
    for pixels in viz.to_uint8(x)[..., 0]:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", optimize=True)
        sizes.append(8.0 * len(file.getvalue()))
    return torch.tensor(sizes)


print(f"{'':18}{'AUC of -log p(x)':>19}{'AUC of PNG size':>18}{'AUC of the difference':>24}")
size = {name: png_bits(x) for name, x in sets.items()}
for name in sets:
    scores = {key: -log_px[key] / math.log(2) - size[key] for key in ("clothes (test)", name)}
    three = (
        auc(-normal, -log_px[name]),
        auc(size["clothes (test)"], size[name]),
        auc(scores["clothes (test)"], scores[name]),
    )
    print(f"{name:18}{three[0]:19.2f}{three[1]:18.2f}{three[2]:24.2f}")

# %% [markdown]
# Judged by how many bits more than a PNG file the model needs, every strange set is found to a good degree.
# It is not magic, and somebody had to know what to subtract. **A high likelihood does not mean "typical of
# the data".**

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Your VAE needs 3.4 bits/dim for the test pictures and 2.7 for drawings that it has never seen. What "
    "follows?",
    [
        (
            "The VAE has been trained on the drawings by mistake.",
            False,
            "It has not; darkened clothes and a black picture fare the same.",
        ),
        (
            "The drawings are simpler; their probability under a model of clothes says little about whether "
            "they are clothes.",
            True,
            "Yes. Compare with what any model would need for so simple a picture.",
        ),
        (
            "It would draw such drawings more often than clothes.",
            False,
            "A single drawing is more probable than a single garment, but there are vastly more pictures of "
            "the garments' kind. What is drawn is what is probable *times* how many there are (2.Q2).",
        ),
    ],
    id="2.Q3",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Asking for something: the conditional VAE
#
# Which garment comes out of a random code is left to chance. Tell both networks the class $y$, and one can
# ask for it:
#
# $$ \log p(x \mid y) \ \ge\ \mathbb E_{q(z \mid x, y)} \log p(x \mid y, z)
#    - \mathrm{KL}\big(q(z \mid x, y)\,\Vert\,p(z)\big) $$
#
# The prior stays $\mathcal N(0, I)$ for every class. Then $z$ need not say which class it is, and what is
# left for it is what varies *within* one. Below, every column has one code $z$, every row one class:

# %%
torch.manual_seed(4)
z = torch.randn(5, cvae.latent)
with torch.no_grad():
    table = {name: cvae.decode(z, torch.full((5,), c)) for c, name in enumerate(test.names)}
viz.rows(
    table,
    scale=1.1,
    alt="A table of invented clothes: ten rows, one for each class, and five columns, one for each code."
    " Every row shows its class; along a column brightness and width are alike.",
)

# %%
with torch.no_grad():
    y = torch.arange(2_000) % 10
    *_, asked = cvae.sample(2_000, generator=torch.Generator().manual_seed(0), label=y)
recognised = accuracy(features, asked.x, y)
print(f"a classifier sees the class that was asked for in {recognised:.0%} of 2,000 samples")
print(f"and the right one in {accuracy(features, x_test, test.y):.0%} of the real test pictures")
print(f"Fréchet distance {frechet_distance(x_held, asked.x, features):.2f}")

# %% [markdown]
# Most are recognised. Those that are not are pullovers, coats and shirts taken for each other: what tells
# these apart in real pictures is often a collar or a row of buttons, and blur takes that first.
#
# One use of it: take a picture, keep its code, change the class. What is kept is what the two classes share.

# %%
source = x_test[test.y == 0][[1, 3, 4, 6, 8]]  # T-shirts
with torch.no_grad():
    kept = cvae.posterior(source, torch.zeros(5, dtype=torch.long))[0]
    changed = {f"as {test.names[c]}": cvae.decode(kept, torch.full((5,), c)) for c in (0, 6, 2, 3)}
viz.rows(
    {"T-shirts": source, **changed},
    alt="Five T-shirts, their copies, and the same codes decoded as shirt, as pullover and as dress: the "
    "pullovers have long sleeves, most dresses are narrower, the shirts are vague; the brightness stays.",
)

# %% [markdown]
# The pullover gets long sleeves, the dress is narrower, the brightness stays.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. One-sided data
#
# A model learns what its data show often, and it is trained to be right *on average*. What does that mean for
# those whom the data show rarely? An average cannot tell: it has to be measured, group by group.
#
# Here is a task small enough to measure it in a minute: tell drawn **people** from drawn **things**. The
# training data have a flaw that we put in on purpose. Emoji of people come with skin-tone modifiers, from
# light to dark, and of our training drawings of people **97 % are light-toned** (the modifiers light and
# medium-light). The other 3 %, about twenty drawings, share the three darker modifiers. We speak of
# *drawings* and their *modifiers* here, not of anybody's skin.
#
# A classifier finds the easiest clue there is, so we must take care what we hand it. All drawings are cut out
# by the same rule, and each time one is drawn, it lands on another random colour: the background gives
# nothing away.

# %%
drawings, drawings_test = bias.drawings("train"), bias.drawings("test")
lab = bias.mostly_light(drawings, share=0.97, seed=0)
tones = lab.tone[lab.y == 1]  # of the people, 1 (light) to 5 (dark)
print(f"training: {len(tones)} people, {(tones <= 2).float().mean():.1%} of them light-toned,", end=" ")
print(f"and {len(lab) - len(tones)} things")
count = int(drawings_test.y.sum())
print(f"test: {count} people, as many of each tone, and {len(drawings_test) - count} things,", end=" ")
print("of concepts never seen in training")
torch.manual_seed(1)
x, y = lab[torch.arange(200)]
viz.rows(
    {"people": x[y == 1][:14], "things": x[y == 0][:14]},
    scale=1.4,
    alt="Two rows of fourteen drawings of 32 by 32 pixels, each on a background of another bright colour: "
    "drawn people, nearly all with a light skin-tone modifier, and drawn things of many kinds.",
)


# %% [markdown]
# The score is the **recall** for each modifier: the share of people with this modifier that the classifier
# finds. Recall alone is easy to please: who always says "person" finds everybody. So the **false positives**
# belong beside it, the share of things taken for people. And since one training is an anecdote, we train five
# times, with another seed each: other darker drawings, other first weights, other batches.


# %% tags=["training"]
def train_classifier(lab, seed):
    """One small classifier on the drawings of `lab`, each drawn as often as its weight says."""
    torch.manual_seed(seed)
    schedule = warmup_cosine(100, warmup=20)
    run = fit(PlainClassifier(), lab, steps=100, batch=48, lr=schedule, ema=0.9, seed=seed, progress=False)
    return run.model.cpu()


labs = [bias.mostly_light(drawings, share=0.97, seed=seed) for seed in range(5)]
recalls = {
    "as they are": [bias.measure(train_classifier(lab, s), drawings_test) for s, lab in enumerate(labs)]
}


# %%
def recall_figure(recalls):
    """Mean and standard deviation over the seeds: recall for each modifier, and false positives."""
    fig = viz.new_figure(6.8, 3.4)
    ax = fig.add_subplot()
    labels = [*bias.MODIFIERS, "false\npositives"]
    sentences = []
    print(f"{'mean of 5 seeds':18}" + "".join(f"{m:>14}" for m in (*bias.MODIFIERS, "false pos.")))
    for i, (name, many) in enumerate(recalls.items()):
        scores = torch.stack(
            [torch.cat([f.recall, torch.tensor([f.false_positives])]) for f in many]
        )  # (5, 6)
        mean, std = scores.mean(0), scores.std(0)
        at = torch.arange(6) + 0.13 * (i - (len(recalls) - 1) / 2)
        style = dict(color=viz.COLOURS[i], marker="os^D"[i], capsize=3)
        ax.errorbar(at[:5], mean[:5], std[:5], label=name, **style)
        ax.errorbar(at[5:], mean[5:], std[5:], linestyle="none", **style)
        print(f"{name:18}" + "".join(f"{m:8.2f} ±{s:.2f}" + " " for m, s in zip(mean, std, strict=True)))
        numbers = ", ".join(f"{m} {v:.2f}" for m, v in zip(bias.MODIFIERS, mean, strict=False))
        sentences.append(f"{name}: {numbers}; false positives {mean[5]:.2f}.")
    ax.axvline(4.5, color="black", linewidth=0.6)
    ax.set(ylim=(0, 1), ylabel="share called a person")
    ax.set_xticks(range(6), labels)
    ax.legend(frameon=False, loc="lower left")
    return viz.figure(
        fig,
        alt="Mean recall over five seeds for each skin-tone modifier, with error bars. "
        + " ".join(sentences),
    )


print("gap, light-toned minus darker:", "  ".join(f"{f.gap:.2f}" for f in recalls["as they are"]))
recall_figure(recalls)

# %% [markdown]
# The bars are standard deviations over the five seeds (the mean of five is surer than one, by $\sqrt 5$). The
# row of gaps above shows every single one: mean recall on the two light modifiers minus mean recall on the
# three darker ones. An overall accuracy hides this gap. Nobody wrote it into the code; the data alone did it.
#
# ### Repair 1: draw every group equally often
#
# If the group of every training picture is *known*, there is a plain repair: draw the pictures with such
# probabilities that each group comes up equally often. Twenty drawings then stand in for three tones, again
# and again, but they can no longer be ignored.
#
# ### Exercise 2.7: Every group equally often
# *difficulty 2 of 5, about 8 minutes*
#
# `groups[i]` is the group of picture `i`, a whole number. Some numbers may not occur.


# %% tags=["exercise", "ex-2.7"]
def balanced_weights(groups):
    """groups (N,) -> probabilities (N,) that sum to 1, with every group that occurs drawn equally often."""
    # SOLUTION
    counts = torch.bincount(groups)  # how often each number occurs
    weights = 1 / counts[groups]
    return weights / weights.sum()
    # END SOLUTION
    # EXERCISE
    # | counts = torch.bincount(groups)  # how often each number occurs
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.vae.balanced_weights(balanced_weights)

# %% [markdown]
# Now the same five trainings again, with the same drawings, the same first weights and as many steps. Only
# how often each drawing of a person is drawn has changed; people and things stay half and half, so the
# repair cannot win by calling more of everything a person.


# %% tags=["training"]
def by_tone(lab):
    return lab.by_people(bias.balanced_weights(lab.tone[lab.y == 1]))


recalls["tones balanced"] = [
    bias.measure(train_classifier(by_tone(lab), s), drawings_test) for s, lab in enumerate(labs)
]


# %%
def paired(first, second):
    """Mean and standard deviation over the seeds of second minus first, seed by seed."""
    pairs = list(zip(first, second, strict=True))
    rows = {
        "recall, light-toned": [(b.recall[:2].mean() - a.recall[:2].mean()).item() for a, b in pairs],
        "recall, darker": [(b.recall[2:].mean() - a.recall[2:].mean()).item() for a, b in pairs],
        "gap": [b.gap - a.gap for a, b in pairs],
        "false positives": [b.false_positives - a.false_positives for a, b in pairs],
    }
    for name, change in rows.items():
        change = torch.tensor(change)
        print(f"  {name:22}{change.mean():+.2f} ±{change.std():.2f}")


print("tones balanced, minus as they are:")
paired(recalls["as they are"], recalls["tones balanced"])
recall_figure(recalls)

# %% [markdown]
# "Paired" means: for each seed, the difference between two trainings that share everything but the repair.
# It is less shaken by the luck of a seed than the difference of two averages. Look at both ends of the
# figure: what the darker tones gain, what the light ones pay for it, and whether things are mistaken for
# people more often.
#
# Is it the share that matters? The same with 90 % light-toned, where the darker tones have about eighty
# drawings in place of twenty (three seeds are enough here). A gap below 0 means that the darker drawings are
# now found more often: equal draws do not promise equal recall.

# %% tags=["training"]
milder = [bias.mostly_light(drawings, share=0.9, seed=seed) for seed in range(3)]
recalls_90 = {
    "as they are": [bias.measure(train_classifier(lab, s), drawings_test) for s, lab in enumerate(milder)],
    "tones balanced": [
        bias.measure(train_classifier(by_tone(lab), s), drawings_test) for s, lab in enumerate(milder)
    ],
}
for share, of_share in (("97 %", recalls), ("90 %", recalls_90)):
    for name in recalls_90:
        gaps = torch.tensor([f.gap for f in of_share[name]])
        print(f"{share} light-toned, {name:16} gap {gaps.mean():+.2f} ±{gaps.std():.2f}")

# %% [markdown]
# ### Repair 2, an experiment: let the VAE say what is rare
#
# Often nobody has labelled the groups, or nobody may. Amini et al. (2019) proposed to let a variational
# autoencoder find out what is rare. Their **debiasing VAE** has one more output beside $\mu$ and $\sigma$,
# the class, and for people it is a VAE at the same time:
#
# $$ L = L_\text{class} + y \, c \, \bigl(\mathrm{KL} - \log p(x \mid z)\bigr), \qquad
# y = 1 \text{ for people, } 0 \text{ for things} $$
#
# (Mind where the $y$ stands: a thing must still count for the class.) The codes $\mu(x)$ of all people give a
# histogram $\hat Q_i$ for each of the $d$ numbers of the code, and a person is drawn with a probability that
# is high where its numbers are rare:
#
# $$ W(x) \propto \prod_{i=1}^{d} \frac{1}{\hat Q_i(\mu_i(x)) + \alpha} $$
#
# This is done anew in each epoch (`course_lib/bias.py`, `train_debiasing`). No tone is looked at. A large
# $\alpha$ draws all alike, a small one prefers the rare ones strongly. To compare like with like, the weights
# are then given to the *same* classifier as above.

# %% tags=["training"]
densities = []
for seed, lab in enumerate(labs):
    torch.manual_seed(seed)
    densities.append(bias.train_debiasing(DebiasingVAE(latent=8), lab, alpha=0.3, seed=seed)[1])
recalls["rare codes more often"] = [
    bias.measure(train_classifier(lab.by_people(w), s), drawings_test)
    for s, (lab, w) in enumerate(zip(labs, densities, strict=True))
]


# %%
darker = [w[lab.tone[lab.y == 1] > 2].sum().item() for lab, w in zip(labs, densities, strict=True)]
print("seed by seed: people drawn that are darker-toned (3 % as they are), and the gap before and after")
for share, a, b in zip(darker, recalls["as they are"], recalls["rare codes more often"], strict=True):
    print(f"  {share:5.1%}   {a.gap:.2f} -> {b.gap:.2f}")
print("rare codes more often, minus as they are:")
paired(recalls["as they are"], recalls["rare codes more often"])
recall_figure(recalls)

# %% [markdown]
# Compare with what the labels achieved. In some seeds a part of the gap goes, in others nothing does, and the
# error bars of the darker tones have grown: it is a matter of luck whether the VAE holds darker drawings for
# rare. On average far less of the gap has gone than with the labels.
#
# We tried other settings on the validation drawings: with a smaller $\alpha$ the weights pile up on ever
# fewer drawings, and recall falls for *every* tone; with a larger one all are drawn alike, and nothing
# happens. None did what the labels did. Why not? See which drawings the VAE holds for the rarest:

# %%
lab, w = labs[0], densities[0]
order = w.argsort(descending=True)  # rarest code first
in_order = lab.on((255, 255, 255))[lab.y == 1][order]
darker = int((lab.tone[lab.y == 1][order[:14]] > 2).sum())
viz.rows(
    {"rarest codes": in_order[:14], "most usual": in_order[-14:]},
    scale=1.4,
    alt="Two rows of fourteen drawings of people: those that the weights favour most, and those that they "
    f"favour least. Of the fourteen favoured most, {darker} have one of the three darker modifiers.",
)

# %% [markdown]
# Rare is not the same as dark-toned. The weights follow whatever varies much in the *pictures*: in our run a
# ninja in black and a large face framed by black hair were rarer than most drawings with a darker modifier,
# and small walking figures the most usual of all. On the far larger set of photographs in the paper the
# authors report that the gap shrank; on our seven hundred drawings the method is no substitute for knowing
# the groups.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Which of these do the numbers of this section show?",
    [
        (
            "With 97 % light-toned drawings this classifier finds darker drawings less often, and drawing "
            "the tones equally often makes the gap smaller.",
            True,
            "Over five seeds, on concepts never seen in training, with the false positives beside it.",
        ),
        (
            "The repaired classifier is fair.",
            False,
            "They show one number, recall, for five modifiers, on drawings of seven concepts. Other errors, "
            "other groups and other drawings were not measured.",
        ),
        (
            "Face detection has the same gap, of the same size.",
            False,
            "Drawings with a modifier are not people, and the size of the gap follows from the 97 % that we "
            "chose. For real systems somebody has to measure on the real thing, and others did.",
        ),
        (
            "A gap can come from the data alone, without anybody having written it into the code.",
            True,
            "All trainings share one program. Only which drawings it got, and how often, was changed.",
        ),
        (
            "Methods without group labels cannot work.",
            False,
            "They show that this one, in these settings, on this small set, did not do what the labels did. "
            "That is one experiment, not a proof.",
        ),
    ],
    id="2.Q4",
)

# %% [markdown]
# **What has this to do with real systems?** In 2018, *Gender Shades* (Buolamwini and Gebru) measured three
# commercial systems that name the gender of a face in a photograph: up to 34.7 % errors on darker-skinned
# women, at most 0.8 % on lighter-skinned men, behind an overall accuracy that looked fine. It took a test set
# with *known* groups to see it, as here. Three things carry over from our drawings: measure every group, say
# how sure you are, and report the price beside the gain. What does not carry over is any of our numbers. And
# before the question how to repair a system stands another that no weighting answers: whether it should be
# built at all.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Which bug is this? Twice
#
# Two colleagues have trained variational autoencoders of the size of section 3. The loss of both fell nicely.
# (The cell that trains them is folded: do not open it before you have answered.)


# %% tags=["training", "hide-input"] jupyter={"source_hidden": true}
class OfColleagueA(VAE):
    def losses(self, x, step):
        terms = self.elbo(x)
        yield Loss("vae", terms.kl.mean() / x[0].numel() - terms.reconstruction.mean())


class OfColleagueB(VAE):
    def elbo(self, x):
        mu, logvar = self.posterior(x)
        z = draw_from(mu, logvar).detach()
        return Elbo(self.log_likelihood(x, z), kl_to_standard(mu, logvar).sum(1))


clues = {}
for name, kind in (("A", OfColleagueA), ("B", OfColleagueB)):
    torch.manual_seed(0)
    model = kind(latent=16, likelihood="bernoulli")
    steps = 200
    model = fit(
        model, clothes.unlabelled(), steps=steps, batch=64, lr=warmup_cosine(steps), ema=0.98
    ).model.cpu()
    with torch.no_grad():
        *_, drawn = model.sample(10, generator=torch.Generator().manual_seed(0))
        pictures = torch.cat([show[::2], model(show[::2]), drawn.x[:5]])
        print(f"colleague {name}: mean KL {model.elbo(x_held).kl.mean():.1f} nats")
    seen = {
        "A": "The second row copies the first, softly; the third shows dark, shapeless blots.",
        "B": "In the second and third rows all pictures are the same grey ghost.",
    }
    clues[name] = viz.grid(
        pictures, columns=5, scale=2, alt=f"Rows: real clothes, their copies, inventions. {seen[name]}"
    )

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Colleague A. Real clothes, copies, inventions; the KL is printed above. Which bug is this?",
    [
        (
            "The KL was averaged over pixels (or dimensions) while the reconstruction was summed.",
            True,
            "Divided by hundreds, the KL costs next to nothing, and what is left is an autoencoder: good "
            "copies, codes far from the prior (over a hundred nats, where an honest VAE has some tens), "
            "useless inventions. Sum both or average both.",
        ),
        (
            "`z` was detached before it was decoded.",
            False,
            "Then the encoder could not learn to reconstruct, but the copies are good.",
        ),
        (
            "The decoder applies the sigmoid twice.",
            False,
            "Then no pixel could be black: a sigmoid of a probability lies between 0.5 and 0.73.",
        ),
        (
            "The KL was added to the ELBO instead of subtracted.",
            False,
            "Then the KL would be driven up without end, and the training would blow up.",
        ),
    ],
    id="2.B1",
    image=clues["A"].png,
    alt=clues["A"].alt,
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Colleague B. The same three rows. Which bug is this?",
    [
        (
            "The KL was averaged over pixels while the reconstruction was summed.",
            False,
            "That makes the KL cheap, and the code carries too much. Here it carries nothing.",
        ),
        (
            "`logvar` was read as the logarithm of sigma when drawing z.",
            False,
            "Then clouds are drawn too narrow or too wide, and inventions suffer; but codes still differ.",
        ),
        (
            "`z` was detached before it was decoded.",
            True,
            "No gradient of the reconstruction reaches the encoder. Only the KL trains it, so it learns the "
            "one thing that the KL rewards: to ignore the picture.",
        ),
        (
            "The latent code is too long.",
            False,
            "Unneeded code numbers switch themselves off (section 7); the others would still be used.",
        ),
    ],
    id="2.B2",
    image=clues["B"].png,
    alt=clues["B"].alt,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 12. What to take along
#
# | | |
# | --- | --- |
# | **good at** | smooth codes of known shape, quick sampling, a bound on the likelihood |
# | **bad at** | sharp pictures; texture; telling you that something is strange by its probability alone |
# | **use it** | to explore and edit, as a first stage for other models (07), for densities of small data |
# | **don't** | when single pictures must look real: see GANs (03) and diffusion (06) |
#
# **Left out:** codes from a fixed list (VQ-VAE, notebook 07), hierarchies of codes (NVAE, arXiv 2007.03898),
# learnt priors (VampPrior, arXiv 1705.07120).
#
# **Read on:** Kingma and Welling, *Auto-Encoding Variational Bayes* (arXiv 1312.6114); Higgins et al.,
# *beta-VAE* (ICLR 2017); Bowman et al. on KL annealing (arXiv 1511.06349); Lucas et al., *Don't Blame the
# ELBO!* (arXiv 1911.02469); Burda et al., *Importance Weighted Autoencoders* (arXiv 1509.00519); Cremer et
# al., *Inference Suboptimality in Variational Autoencoders* (arXiv 1801.03558); Locatello et al.,
# *Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations* (arXiv
# 1811.12359); Kumar et al. on the gap as a score (arXiv 1711.00848); Buolamwini and Gebru, *Gender Shades*
# (2018); Kingma et al., *Improving Variational Inference with Inverse Autoregressive Flow* (arXiv
# 1606.04934); Nalisnick et al., *Do Deep Generative Models Know What They Don't Know?* (arXiv 1810.09136);
# Serrà et al., *Input Complexity and Out-of-Distribution Detection* (arXiv 1909.11480); Amini et al.,
# *Uncovering and Mitigating Algorithmic Bias through Learned Latent Structure* (AIES 2019).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "A recap. Which of these are true?",
    [
        ("The ELBO is never above log p(x).", True, "Section 2: the gap is a KL divergence."),
        (
            "The encoder of a VAE gives one code for each picture.",
            False,
            "It gives a cloud: a mean and a variance.",
        ),
        (
            "The KL term is the length of the message that the code carries about the picture.",
            True,
            "In nats (sections 3 and 7).",
        ),
        (
            "A picture that is more probable than real clothes is surely a garment.",
            False,
            "A black picture is the most probable of all (section 8).",
        ),
        (
            "The blur of a VAE is the mean of the pictures that its code cannot tell apart.",
            True,
            "Section 7.",
        ),
    ],
    id="2.Q5",
)

# %% [markdown]
# **The next question:** what if nobody asks for the mean? Let a second network look at the pictures and say
# whether they look real. Notebook 03, *Generative adversarial networks*.
