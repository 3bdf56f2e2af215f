# %% [markdown] slideshow={"slide_type": "slide"}
# # Autoencoders
#
# How few numbers does a picture need? This notebook squeezes a picture through a code that is too small for
# it and asks a network to get the picture back. What the network has to learn on the way turns out to be
# useful: it compresses, repairs, fills holes, puts colours back and sometimes notices what does not belong.
# The one thing it cannot do is invent, and seeing *why* is the door to the rest of the course.

# %% tags=["picture"]
import torch
from sklearn.decomposition import PCA
from torch import nn

from course_lib import check, data, evaluate, viz, zoo
from course_lib.check import hint
from course_lib.fit import batch_indices, fit, warmup_cosine
from course_lib.methods.autoencoder import Autoencoder, LinearAutoencoder, reconstruction_error
from course_lib.methods.colorizer import Colorizer, coarse, colour_table, look_up, luma
from course_lib.methods.denoising_autoencoder import DenoisingAutoencoder, gaussian, missing_square
from course_lib.methods.denoising_autoencoder import salt_and_pepper as damaged_by_salt_and_pepper
from course_lib.metrics import frechet_distance
from course_lib.widgets import Compare, Interpolation, LatentPlane, Quiz

torch.manual_seed(0)
clothes = data.fashion("train")  # 18,000 pictures to learn from
held = data.fashion("validation")  # 2,000 to choose with
test = data.fashion("test")  # 10,000 for the final figures, used at the end of a section
x_train, x_held, x_test = clothes.floats, held.floats, test.floats  # (N, 1, 28, 28) in [-1, 1]

denoiser = zoo.load("denoiser_fashion")  # trained by us beforehand; you will train your own below
with torch.no_grad():
    show = x_test[[int((test.y == c).nonzero()[0]) for c in range(10)]]  # one of each class
    noisy = gaussian(show, generator=torch.Generator().manual_seed(1))
    holed, mask = missing_square(show)
    opening = {
        "what was there": show,
        "with noise": noisy,
        "noise removed": denoiser(noisy),
        "with a hole": holed,
        "hole filled": denoiser.inpaint(holed, mask),
    }
viz.rows(
    opening,
    alt="Ten pieces of clothing in five rows: the originals, the same under heavy noise, the network's "
    "repair, the same with a grey square missing, and the square filled in plausibly.",
)

# %% [markdown]
# *A denoising autoencoder that we trained beforehand (`denoiser_fashion`). By the end of this notebook you
# will have trained one yourself.*
#
# **After this notebook you can**
# 1. say what encoder, bottleneck, decoder and reconstruction loss are, and write the training loop (exercises
#    1.1 and 1.3),
# 2. explain in which sense principal component analysis is an autoencoder, and measure what bending adds
#    (exercise 1.2),
# 3. train a network to repair what you damaged (exercises 1.4 and 1.5),
# 4. find outliers and fill holes with it (exercises 1.6 and 1.7),
# 5. show why a plain autoencoder cannot make new pictures (section 8).
#
# **You need** notebook 00, some Python and PyTorch, and 80 to 100 minutes. Running all cells takes two to
# three minutes on two processor cores, without a GPU and without the internet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Copying through a bottleneck
#
# A Fashion-MNIST picture has 28 × 28 = 784 pixels, yet most of the possible 784-pixel pictures look like the
# noise on an old television. Pictures of clothes are rare among them; they should have a shorter description.
#
# An **autoencoder** looks for one. It consists of two functions with a bottleneck between them:
#
# $$ z = f(x) \in \mathbb{R}^d \quad\text{(encoder)}, \qquad \hat x = g(z) \quad\text{(decoder)} $$
#
# $z$ is the **code**, $d$ its length, much smaller than 784. Both functions are trained together to make the
# **reconstruction** $\hat x$ resemble $x$, by the mean squared error over the $B$ pictures of a batch and
# their $P$ pixels, the **reconstruction loss**:
#
# $$ L = \frac{1}{BP} \sum_{i=1}^{B} \sum_{p=1}^{P} \left(x_{ip} - \hat x_{ip}\right)^2 $$
#
# No labels are needed: the input is its own target. That is what makes it *unsupervised* learning.
#
# ### Exercise 1.1: The reconstruction loss
# *difficulty 1 of 5, about 4 minutes*


# %% tags=["exercise", "ex-1.1"]
def mse(x, x_hat):
    """Mean squared error between two batches of pictures (B, C, H, W) -> a tensor with one number."""
    # SOLUTION
    return (x - x_hat).square().mean()
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.autoencoders.mse(mse)

# %% [markdown]
# If you are stuck, ask: `hint("1.1", 1)`, then `hint("1.1", 2)`.

# %%
hint("1.1", 1)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The straight case: principal component analysis
#
# Begin with the simplest functions there are: let $f$ and $g$ be linear. Then the best autoencoder is known
# without any training. **Principal component analysis** (PCA) finds the directions in which the pictures vary
# most. Put the first $d$ of them as columns into a matrix $V_d$; then
#
# $$ z = V_d^\top (x - \mu), \qquad \hat x = \mu + V_d\, z $$
#
# has the smallest squared error that any linear encoder and decoder can reach (Baldi and Hornik, 1989). For
# pictures that are *rows* of a matrix, as in code, the same reads $z = (x - \mu)\, V_d$ and
# $\hat x = \mu + z\, V_d^\top$.
#
# ### Exercise 1.2: Reconstruct with d directions
# *difficulty 2 of 5, about 8 minutes*
#
# Each row of `x` is one picture, flattened. The *columns* of `V` are the directions, most important first.


# %% tags=["exercise", "ex-1.2"]
def pca_reconstruct(x, mean, V, d):
    """x (B, P), mean (P,), V (P, P) with orthonormal columns -> reconstruction from d directions (B, P)."""
    # SOLUTION
    z = (x - mean) @ V[:, :d]  # (B, d)
    return mean + z @ V[:, :d].T  # (B, P)
    # END SOLUTION
    # EXERCISE
    # | z = ...  # (B, d): where the centred pictures lie along the first d directions
    # | return ...  # (B, P): back from there
    # | raise NotImplementedError  # remove this line when you are done
    # END EXERCISE


# %%
check.autoencoders.pca_reconstruct(pca_reconstruct)

# %% [markdown]
# Here is PCA with 2, 8 and 32 numbers, by scikit-learn, on pictures that it has not seen:

# %%
pca = {d: PCA(d, svd_solver="covariance_eigh").fit(x_train.flatten(1).numpy()) for d in (2, 8, 32)}


def by_pca(x, d):
    codes = pca[d].transform(x.flatten(1).numpy())
    return torch.from_numpy(pca[d].inverse_transform(codes)).float().view_as(x)


viz.rows(
    {"original": show, **{f"PCA, {d} numbers": by_pca(show, d) for d in (2, 8, 32)}},
    alt="Ten pieces of clothing and their reconstructions by PCA. With 2 numbers all look like ghosts of "
    "a shirt or a shoe, with 8 most kinds can be told apart, with 32 the shapes are right but soft, with "
    "grey shadows; the sandal still looks like a closed shoe.",
)

# %% [markdown]
# With 32 numbers instead of 784 the kind of garment is nearly always clear. Look at the ghosts around
# sandals and bags: a linear code can only *add up* fixed pictures, so it cannot move an edge without
# leaving a shadow behind.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A training loop, by hand
#
# Now the same by gradient descent, because from here on there will be no formula for the answer. A training
# step does four things: clear the old gradients, compute the loss, compute its gradient (*backward*), and let
# the optimizer move the parameters. Our optimizer is **Adam**: gradient descent that gives every parameter a
# step length of its own.
#
# ### Exercise 1.3: One training step
# *difficulty 2 of 5, about 8 minutes*
#
# `model(x)` gives the reconstruction. Return the loss as a plain Python number, as it was *before* the step.


# %% tags=["exercise", "ex-1.3"]
def train_step(model, optimizer, x):
    """One gradient step on the mean squared reconstruction error of x (B, C, H, W) -> the loss, a float."""
    # SOLUTION
    loss = (x - model(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
    # END SOLUTION
    # EXERCISE
    # | loss = ...  # the mean squared error between x and its reconstruction
    # | ...  # and now the three other things
    # | raise NotImplementedError  # remove this line when you are done
    # END EXERCISE


# %%
check.autoencoders.train_step(train_step)

# %% [markdown]
# Around the step belongs a loop that hands out batches, until every picture has had its turn (an **epoch**),
# and then again in another order. This one is written out in full; it trains the linear autoencoder of the
# last section.

# %%
torch.manual_seed(0)
linear = LinearAutoencoder(latent=32)
optimizer = torch.optim.Adam(linear.parameters(), lr=1e-3)
steps, batch = 1_000, 128
losses = []
for step in range(steps):
    index = batch_indices(len(x_train), seed=0, start=step * batch, count=batch)  # shuffled anew each epoch
    x = x_train[index]  # (128, 1, 28, 28)
    loss = (x - linear(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append((step, loss.item()))

with torch.no_grad():
    trained = reconstruction_error(linear, x_held).mean().item()
exact = evaluate.pca_error(x_train, x_held, 32)
print(f"linear autoencoder after {steps} steps: {trained:.4f}    PCA: {exact:.4f}")
viz.curves(
    {"linear autoencoder (training)": losses[5:], "PCA (validation)": [(0, exact), (steps, exact)]},
    log=True,
    alt="The loss of the linear autoencoder on its training batches falls steeply in the first 200 steps and "
    "then creeps towards PCA's error, a horizontal line; apart from single lucky batches it stays above.",
)

# %% [markdown]
# The curve creeps down towards PCA's error and would reach it: the best linear autoencoder *is* PCA, up to a
# change of coordinates in the code.
#
# From now on the library's loop does this work. `fit` is the loop above plus a progress bar and a stop button
# that loses nothing. Two arguments will come up below: `lr=warmup_cosine(steps)` raises the learning rate
# during the first steps and then lowers it to 0 along a cosine, and `ema=0.99` gives you not the last weights
# but a moving average of them, which jitters less. That the rest is the same loop you need not take our word
# for:

# %%
torch.manual_seed(0)
by_hand, by_fit = LinearAutoencoder(latent=4), LinearAutoencoder(latent=4)
by_fit.load_state_dict(by_hand.state_dict())
optimizer = torch.optim.Adam(by_hand.parameters(), lr=1e-3)
for step in range(20):
    x = x_train[batch_indices(len(x_train), seed=0, start=step * batch, count=batch)]
    loss = (x - by_hand(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
fit(by_fit, clothes.unlabelled(), steps=20, batch=batch, seed=0, device="cpu")
for a, b in zip(by_hand.parameters(), by_fit.parameters(), strict=True):
    assert torch.allclose(a, b, atol=1e-6)
print("Twenty steps by hand and by `fit` gave the same weights.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Bending the plane
#
# Linear maps leave shadows. A network with **convolutions** (small filters that slide over the picture) and
# non-linear functions between them can do better with the same 32 numbers. The encoder turns 28 × 28 pixels
# into 14 × 14 and 7 × 7 positions with more and more channels, then into 32 numbers; the decoder goes back
# the same way. `course_lib/methods/autoencoder.py` and `course_lib/nn/conv.py` fit on two screens; read
# them.
#
# This cell trains one on your machine, in less than a minute.

# %% tags=["training"]
torch.manual_seed(0)
steps = 1_800
run = fit(
    Autoencoder(latent=32), clothes.unlabelled(), steps=steps, batch=32, lr=warmup_cosine(steps), ema=0.99
)
ae32_live = run.model.cpu()
print(run)

# %% [markdown]
# `ae32_fashion` is a bigger one that we trained for longer, and on all 58,000 training pictures of the
# original data set, of which this course carries 18,000. Its recipe is in `course_lib/recipes.py`, and
# `course train ae32_fashion` repeats it. Compare all three on the test pictures:

# %%
ae32 = zoo.load("ae32_fashion")
with torch.no_grad():
    pca32 = evaluate.pca_error(x_train, x_test, 32)
    errors = {
        "PCA": pca32,
        "trained here": reconstruction_error(ae32_live, x_test).mean().item(),
        "bundled": reconstruction_error(ae32, x_test).mean().item(),
    }
    pictures = {
        "original": show,
        "PCA": by_pca(show, 32),
        "trained here": ae32_live(show),
        "bundled": ae32(show),
    }
for name, error in errors.items():
    print(f"{name:14} squared error {error:.4f}   {error / pca32:.2f} of PCA's")
viz.rows(
    pictures,
    alt="Ten pieces of clothing, reconstructed from 32 numbers three times. PCA leaves grey shadows; the "
    "autoencoder trained here has clean edges and a dark background; the bundled one shows some texture too.",
)

# %% [markdown]
# The same number of numbers, a fraction of the error: most shadows are gone, edges are where they belong.
# What stays lost is fine texture (prints on shirts, the laces of a shoe). It is different in every picture
# and so costs the most to remember.

# Where do they err? **Choose a garment and press "difference"**: orange is too bright, blue too dark.

# %% tags=["widget"]
row = x_test[20:32]
with torch.no_grad():
    copies = {
        "PCA": by_pca(row, 32).clamp(-1, 1),
        "trained here": ae32_live(row).clamp(-1, 1),
        "bundled": ae32(row).clamp(-1, 1),
    }
Compare(
    copies,
    truth=row,
    names=[test.names[c] for c in test.y[20:32]],
    title="Where do they err?",
    alt="Twelve test pictures and their reconstructions by PCA, by the autoencoder trained here and by the "
    "bundled one, with the squared error of each and, on demand, a map of the differences.",
)

# %% [markdown]
# PCA errs everywhere, also on the empty background, where its added-up pictures do not quite cancel. The
# networks leave the background alone and err on prints, folds and edges.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Suppose the code had 784 numbers, as many as there are pixels, and both networks were large. What "
    "would the autoencoder most probably learn?",
    [
        (
            "The best compression of all, since it loses nothing.",
            False,
            "It loses nothing, but nothing is compressed either: 784 numbers in, 784 numbers out.",
        ),
        (
            "To copy: the loss goes to nearly 0, and the network has learnt nothing about clothes.",
            True,
            "Without a bottleneck the identity function is a perfect answer. Something must make copying "
            "hard: a short code, or damage (section 6).",
        ),
        (
            "To sort pictures by their class.",
            False,
            "Nothing in the loss mentions classes. Where classes separate in a code, they do so because "
            "pictures of one class are cheaper to describe together.",
        ),
    ],
    id="1.Q1",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. How long a code?
#
# Seven autoencoders, with codes of 1 to 64 numbers, each trained for a few seconds:

# %% tags=["training"]
sizes = (1, 2, 4, 8, 16, 32, 64)
by_size = {}
for d in sizes:
    torch.manual_seed(0)
    steps = 100
    model = Autoencoder(latent=d)
    by_size[d] = fit(model, clothes.unlabelled(), steps=steps, batch=32, lr=warmup_cosine(steps), ema=0.9)
    by_size[d] = by_size[d].model.cpu()

# %%
ae2 = zoo.load("ae2_fashion")  # a code of 2 numbers, trained by us beforehand
with torch.no_grad():
    network = [(d, reconstruction_error(by_size[d], x_held).mean().item()) for d in sizes]
    longer = [(m.latent, reconstruction_error(m, x_held).mean().item()) for m in (ae2, ae32_live, ae32)]
straight = [(d, evaluate.pca_error(x_train, x_held, d)) for d in sizes]
fig = viz.new_figure()
ax = fig.add_subplot()
ax.plot(*zip(*straight, strict=True), "s--", color=viz.COLOURS[1], label="PCA")
ax.plot(*zip(*network, strict=True), "o-", color=viz.COLOURS[0], label="autoencoder, a few seconds each")
ax.plot(*zip(*longer, strict=True), "D", color=viz.COLOURS[2], label="autoencoders trained for longer")
ax.set(xscale="log", yscale="log", xlabel="numbers in the code, d", ylabel="squared error (validation)")
ax.set_xticks(sizes, [str(d) for d in sizes])
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="Squared error against the length of the code from 1 to 64, both axes logarithmic. PCA falls "
    "steadily. The autoencoders of a few seconds begin with it, lie a little below it at 2 and 4 "
    "numbers, and stay level while it goes on falling. Those trained for longer, one with 2 numbers "
    "and two with 32, lie far below both curves.",
)

# %% [markdown]
# Read the plot from left to right. With 2 and 4 numbers a few seconds of training beat PCA: bending pays.
# Further right the blue curve goes level, and PCA passes it: there the code is no longer what limits the
# network. The green diamonds show what does. The upper one at 32 is section 4's: the *same* network as the
# blue point above it, after 1,800 steps instead of 100. (`ae32_fashion` below it is also bigger and has seen
# more pictures, and `ae2_fashion` on the left had 4,000 steps.) **An error has several causes: the code, the
# training, the network, the data. To learn which one it is, change one at a time.**
#
# A code of 2 numbers is poor, but it is one that we can *look at*. In the widget each dot is the code of one
# validation picture, and **dragging the point decodes the place under it**. The network is `ae2_fashion`,
# trained by us beforehand.


# %% tags=["widget"]
def plane_of(model, title, alt, n=16):
    """A LatentPlane over a model with a code of two numbers, framed around the codes of the data."""
    with torch.no_grad():
        codes = model.encoder(x_held)  # (2000, 2)
    low, high = codes.quantile(0.005, 0), codes.quantile(0.995, 0)
    return LatentPlane(
        model.decoder,
        n=n,
        extent=(low[0].item(), high[0].item(), low[1].item(), high[1].item()),
        points=codes,
        labels=held.y,
        names=held.names,
        title=title,
        alt=alt,
    )


plane_of(
    ae2,
    "A code of two numbers",
    "A plane of dots, coloured by kind of garment, and beside it the pictures that its places decode to. "
    "The dots form rays around a crowded centre: trousers, sneakers and two groups of bags reach far out, "
    "pullovers, coats and shirts lie on top of each other, and between the rays are wide empty regions.",
)

# %% [markdown]
# Things to look for:
#
# - The network was never told the classes, yet trousers, bags and shoes have found places of their own.
# - Pullovers, coats and shirts overlap: two numbers are not enough to tell them apart.
# - The codes form rays around a crowded centre, and between the rays is empty water. Cross it: the picture
#   changes smoothly, but somewhere on the way it is *neither* garment.
#
# Below is the one with 2 numbers that your machine trained above. It had only a few seconds: what did the
# longer training improve?

# %% tags=["widget"]
plane_of(
    by_size[2],
    "Trained here, in a few seconds",
    "Another plane, that of the autoencoder trained in this notebook: the kinds of garment are less "
    "separated, and the pictures beside it less distinct.",
    n=10,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Repairing: the denoising autoencoder
#
# A short code is one way to stop a network from merely copying. Another is to damage the input and ask for
# the *undamaged* picture (Vincent et al., 2008):
#
# $$ \tilde x \sim q(\tilde x \mid x), \qquad
# L = \frac{1}{BP} \sum_{i=1}^{B} \lVert x_i - g(f(\tilde x_i)) \rVert^2 $$
#
# Here $q$ is the damage, a random one, so each picture is damaged anew every time it is seen. Copying is now
# wrong. The network must know what clothes look like to undo the damage.
#
# ### Exercise 1.4: Salt and pepper
# *difficulty 2 of 5, about 8 minutes*
#
# With probability `share`, and independently for every pixel, the pixel is replaced by -1 (pepper) or 1
# (salt), either with equal chance. The picture that is handed in must not change.


# %% tags=["exercise", "ex-1.4"]
def salt_and_pepper(x, share):
    """Pictures x (B, C, H, W) in [-1, 1] -> a damaged copy."""
    # SOLUTION
    u = torch.rand_like(x)
    x = torch.where(u < share, 1.0, x)  # hit, for now all of it salt
    return torch.where(u < share / 2, -1.0, x)  # half of the hits become pepper
    # END SOLUTION
    # EXERCISE
    # | u = torch.rand_like(x)
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.autoencoders.salt_and_pepper(salt_and_pepper)

# %% [markdown]
# ### Exercise 1.5: Which picture is the target?
# *difficulty 1 of 5, about 3 minutes*


# %% tags=["exercise", "ex-1.5"]
def denoising_loss(model, x, x_noisy):
    """Mean squared error of a denoising autoencoder on pictures x and their damaged copies -> one number."""
    # SOLUTION
    return (x - model(x_noisy)).square().mean()
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.autoencoders.denoising_loss(denoising_loss)

# %% [markdown]
# The library's version, `course_lib/methods/denoising_autoencoder.py`, has a code of 64 numbers and learns
# three kinds of damage at once: Gaussian noise, salt and pepper, and missing squares. Train it:

# %% tags=["training"]
torch.manual_seed(0)
steps = 750
run = fit(
    DenoisingAutoencoder(), clothes.unlabelled(), steps=steps, batch=32, lr=warmup_cosine(steps), ema=0.99
)
denoiser_live = run.model.cpu()
print(run)

# %% [markdown]
# Is it any good? A network should be compared with what people used before there were networks. The *median
# filter* replaces each pixel by the median of its neighbourhood, the *Gaussian filter* by a weighted mean.
# Their sizes are chosen on the validation pictures, so they get a fair chance. The figure is the **peak
# signal-to-noise ratio** (PSNR) in decibels, higher is better; 3 dB more is half the squared error. For the
# missing square only the pixels of the hole are measured.

# %%
ours = zoo.manifest()["denoiser_fashion"]["scores"]  # `course evaluate denoiser_fashion` measures them again
yours = evaluate.denoising(denoiser_live, filters=False)
print(f"{'PSNR in dB on the test pictures':52}{'bundled':>10}{'trained here':>15}")
for name in ours:
    second = f"{yours[name]:15.1f}" if name in yours else ""
    print(f"{name:52}{ours[name]:10.1f}{second}")

# %%
seeded = torch.Generator().manual_seed(2)
speckled = damaged_by_salt_and_pepper(show, 0.25, generator=seeded)
with torch.no_grad():
    repaired = {
        "noise": noisy,
        "Gaussian filter": evaluate.smooth(noisy, 0.75),  # the size that was chosen above
        "trained here": denoiser_live(noisy),
        "bundled": denoiser(noisy),
        "salt and pepper": speckled,
        "median filter": evaluate.median(speckled, 3),
        "trained here ": denoiser_live(speckled),
        "bundled ": denoiser(speckled),
    }
viz.rows(
    repaired,
    scale=1.7,
    alt="Ten pieces of clothing in two blocks. Under noise, the Gaussian filter leaves blotches while "
    "both networks give clean, rather smooth garments; the dark jacket and the sandal become smears. "
    "Under salt and pepper, the median filter leaves specks and ragged edges, the networks none.",
)

# %% [markdown]
# So is it any good? Against Gaussian noise, the network trained here is hardly ahead of the filter; the
# bundled one, trained for about 4 minutes, leaves it nearly 3 dB behind. A filter knows about *pixels*; the
# network knows about *clothes*. It even completes sleeves that the noise has swallowed. The price: where
# the noise hides something unusual, the network replaces it by something usual.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "The repaired pictures are clean, but a little too smooth. Why must that be so, however long one trains?",
    [
        (
            "The noise has destroyed the resolution of the picture.",
            False,
            "The repaired edges are sharp where the noisy picture leaves no doubt about them.",
        ),
        (
            "Several clean pictures explain the noisy one, and the squared error is smallest at their mean.",
            True,
            "The best answer under squared error is the mean of all pictures that could have been there, "
            "written E[x | noisy x]. Doubt comes out as blur. Diffusion models (notebook 06) build on "
            "just this.",
        ),
        (
            "The code of 64 numbers is too short.",
            False,
            "It costs some detail. But with a code of any length the mean over the possible pictures "
            "stays a mean.",
        ),
    ],
    id="1.Q2",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Outliers, holes and colours
#
# ### What it has never seen, it copies badly
#
# An autoencoder spends its few numbers on what is frequent. So the reconstruction error of a picture is an
# **outlier score**: high for what the training data did not contain.
#
# ### Exercise 1.6: The outlier score
# *difficulty 2 of 5, about 5 minutes*


# %% tags=["exercise", "ex-1.6"]
def outlier_score(model, x):
    """Mean squared reconstruction error of each picture: x (B, C, H, W) -> (B,)."""
    # SOLUTION
    return (x - model(x)).square().mean(dim=(1, 2, 3))
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %%
check.autoencoders.outlier_score(outlier_score)

# %% [markdown]
# To test it, leave one class out of the training data and ask whether the score finds that class in the
# validation data. The figure is the **area under the ROC curve** (AUC): the probability that a picture of the
# unknown class has a higher score than one of the known ones. 1 is perfect, 0.5 is guessing. Ten small
# autoencoders, one for each class left out:

# %% tags=["training"]
auc, without = [], {}
for c in range(10):
    torch.manual_seed(0)
    known = clothes.subset(clothes.y != c).unlabelled()
    model = Autoencoder(latent=8)
    without[c] = fit(model, known, steps=60, batch=32, lr=warmup_cosine(60), ema=0.9).model.cpu()
    auc.append(evaluate.outlier_auc(without[c], c, "validation"))

fig = viz.new_figure(6.4, 3.2)
ax = fig.add_subplot()
order = sorted(range(10), key=lambda c: auc[c])
ax.barh([clothes.names[c] for c in order], [auc[c] for c in order], color=viz.COLOURS[0])
ax.axvline(0.5, color="black", linestyle="--")
ax.set(xlabel="AUC of the outlier score (validation); dashed: guessing", xlim=(0, 1))
for row, c in enumerate(order):
    ax.text(0.02, row, f"{auc[c]:.2f}", va="center", color="white")
viz.figure(
    fig,
    alt="Bars of the AUC for each class left out, from low to high: "
    + ", ".join(f"{clothes.names[c]} {auc[c]:.2f}" for c in order)
    + ".",
)

# %% [markdown]
# The result is uneven. Bags, boots and trousers are found; most other classes are close to guessing. Part of
# that is the short training (section 5!), and part is the idea itself: a class that is *simple*, or that
# others can stand in for, is reconstructed well without ever having been seen. **A low reconstruction error
# means "easy to describe", not "frequent in the data".** Notebook 02 meets this trap again with real
# probabilities.

# %% [markdown]
# ### Filling holes
#
# A network that was trained with missing squares can fill them. Only the missing pixels should come from the
# network: the others are known exactly.
#
# ### Exercise 1.7: Inpainting
# *difficulty 3 of 5, about 8 minutes*
#
# `mask` is `True` where a pixel is missing. What `x` holds there is unknown and must not reach the model:
# set it to 0 first, as in training.


# %% tags=["exercise", "ex-1.7"]
def inpaint(model, x, mask):
    """Pictures x (B, C, H, W), mask (B, 1, H, W) of bool, True where missing -> pictures without holes."""
    # SOLUTION
    x_hat = model(torch.where(mask, 0.0, x))
    return torch.where(mask, x_hat, x)
    # END SOLUTION
    # EXERCISE
    # | x_hat = ...  # the reconstruction, made from known pixels only
    # | return ...  # known pixels as they are, missing ones from the reconstruction
    # | raise NotImplementedError  # remove this line when you are done
    # END EXERCISE


# %%
check.autoencoders.inpaint(inpaint)

# %%
strange = mask.new_zeros(mask.shape)
strange[..., 14:, :] = True  # the lower half of every picture
with torch.no_grad():
    filled = {
        "with a hole": holed,
        "trained here": denoiser_live.inpaint(holed, mask),
        "bundled": denoiser.inpaint(holed, mask),
        "truth": show,
        "half missing": show.masked_fill(strange, 0.0),
        "bundled ": denoiser.inpaint(show, strange),
    }
viz.rows(
    filled,
    alt="Ten pieces of clothing with a missing square. The bundled network fills it so that the seam "
    "hardly shows, the one trained here leaves grey patches in places, such as beside the sandal. "
    "With the lower half missing, the guesses are blurred or wrong.",
)

# %% [markdown]
# The bundled network fills a hole of 10 × 10 pixels so that one has to look for the seam; the one trained
# here leaves a grey patch in places. Half a picture is more than the network was trained for, and there is
# more than one right answer: a mean of many answers is grey fog. Filling in missing values of a table
# (**imputation**) is the same computation with columns in place of pixels.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Colours from a grey picture
#
# Damage can also be the loss of colour. OpenMoji drawings exist as black lines and in colour; from the colour
# picture we compute its grey version and ask for the colours back.
#
# Before training a network, **try the answer that needs no network**: a table that gives each grey its
# average colour in the training data.

# %%
drawings, drawings_test = data.openmoji("train"), data.openmoji("test")
line, truth = drawings_test[torch.tensor([6, 14, 24, 31, 47, 86, 96, 104, 111, 116])]
grey = luma(truth)  # 256 different greys
few = coarse(grey, 4)  # rounded to black, dark grey, light grey and white
tables = {levels: colour_table(data.to_floats(drawings.colour), levels) for levels in (256, 4)}
viz.rows(
    {
        "truth": truth,
        "256 greys": grey.expand_as(truth),
        "their table": look_up(tables[256], grey),
        "4 greys": few.expand_as(truth),
        "their table ": look_up(tables[4], few),
    },
    scale=1.1,
    alt="Ten drawings in colour, in 256 greys, coloured by the table of these greys, which is nearly "
    "perfect, in four greys, and coloured by the table of four greys, which gives brown, beige and cream "
    "everywhere, on the white background too.",
)

# %% [markdown]
# With 256 greys the table is nearly perfect: these drawings use a small palette, and almost every colour in
# it has a grey of its own. A network would have nothing to learn, and a good score would prove nothing.
# With **four greys**, as on an e-reader, many colours share one grey: now one must look at *what is drawn*.
# That is the task of `course_lib/methods/colorizer.py`. It starts from the table's answer and learns what
# to change.

# %% tags=["training"]
torch.manual_seed(0)
colorizer_live = Colorizer(widths=(16, 24, 48)).fit_table(data.to_floats(drawings.colour))
steps = 150
run = fit(colorizer_live, drawings, steps=steps, batch=32, lr=warmup_cosine(steps, warmup=20), ema=0.9)
colorizer_live = run.model.cpu()
print(run)

# %%
colorizer = zoo.load("colorizer_openmoji")
ours, yours = evaluate.colour(colorizer), evaluate.colour(colorizer_live)
print("mean error of the colours, 0 to 255, on the coloured pixels of the test drawings")
for name in ours:
    second = f"   trained here: {yours[name]:.1f}" if "network" in name else ""
    print(f"{name:28}{ours[name]:6.1f}{second}")
with torch.no_grad():
    coloured = {
        "4 greys": few.expand_as(truth),
        "trained here": colorizer_live(line, few),
        "bundled": colorizer(line, few),
        "truth": truth,
    }
viz.rows(
    coloured,
    scale=1.1,
    alt="Ten drawings in four greys, coloured by the network trained here, which gives beige and brown, "
    "by the bundled network, which finds yellow faces and blue water but not the reds, and in truth.",
)

# %% [markdown]
# A few seconds are too short: the network trained here has hardly left the table's answer. The bundled one
# turns most faces yellow and the water blue because it has learnt what such shapes usually are, and paints
# the grey gorilla brown. Some answers cannot be known: nothing in the drawing says which colour a glove or a
# lifebuoy has. There the network names the most usual colour, or a compromise.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Can it invent?
#
# The decoder turns 32 numbers into a picture of a garment. So give it 32 *new* numbers! The codes of the
# training pictures have a mean and a spread in each direction; draw new codes from a Gaussian with the same
# mean and covariance. For comparison, draw others from a *box*: each number evenly between its smallest and
# its largest value.

# %%
with torch.no_grad():
    codes = torch.cat([ae32.encoder(b) for b in x_train.split(1000)])  # (18000, 32)
    gaussian_codes = torch.distributions.MultivariateNormal(codes.mean(0), torch.cov(codes.T))
    torch.manual_seed(0)
    new = gaussian_codes.sample((2_000,))
    sampled = torch.cat([ae32.decoder(b) for b in new.split(500)])
    copied = torch.cat([ae32(b) for b in x_held.split(500)])
    box = codes.amin(0) + (codes.amax(0) - codes.amin(0)) * torch.rand(2_000, 32)
    boxed = torch.cat([ae32.decoder(b) for b in box.split(500)])
viz.rows(
    {
        "real": x_held[:10],
        "copied": copied[:10],
        "from a Gaussian": sampled[:10],
        "from a box": boxed[:10],
    },
    alt="Rows of ten pictures: real clothes, their reconstructions, decoded codes from a Gaussian, which "
    "look like several garments melted together, and decoded codes from a box, which are shapeless blots of "
    "black and white.",
)

# %% [markdown]
# The copies are good and the inventions are not. One number for that is the **Fréchet distance**: describe
# each picture by 128 features of a classifier, and compare mean and covariance of the two sets. 0 means no
# difference; *real* pictures against other real pictures give the floor below which a score says nothing.

# %%
features = zoo.load("fashion_features")
sets = {
    "other real pictures (the floor)": x_train[:2_000],
    "copies by the autoencoder": copied,
    "drawn from a Gaussian": sampled,
    "drawn from a box": boxed,
}
for name, pictures in sets.items():
    print(f"{name:34} {frechet_distance(x_held, pictures.clamp(-1, 1), features):8.2f}")

# %% [markdown]
# The copies are some way from the floor, too: blur is a difference that the features see. But the invented
# pictures are much further away.
#
# Look at the plane of section 5 again: the codes form rays of odd shapes, with wide empty water between and
# around them. Nothing in the loss asked for anything else. The decoder was only ever trained *on* that
# land, so what it gives in the water is anybody's guess, and in 32 dimensions there is far more water than
# land.

# %% tags=["widget"]
shirt, shoe = (x_held[held.y == c][1:2] for c in (0, 9))
with torch.no_grad():
    ends = ae32.encoder(torch.cat([shirt, shoe]))  # (2, 32)
Interpolation(
    lambda z: ae32.decoder(z).clamp(-1, 1),
    ends,
    originals=torch.cat([shirt, shoe]),
    names=["T-shirt", "ankle boot"],
    title="From a T-shirt to an ankle boot",
    alt="Pictures decoded on the way between the codes of a T-shirt and of an ankle boot, along a "
    "straight line and along an arc. Half-way the pictures are shapeless mixtures of both.",
)

# %% [markdown]
# This is such a crossing, with the bundled network and its 32 numbers. **Drag along the strips.** Both ends
# are good; half-way there is neither a shirt nor a boot. The straight line also runs through *shorter*
# codes than either end has, as the curve below the strips shows; the arc avoids that, and it does not help
# here. (When an arc does help is a question for notebook 02.)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "What would a decoder need, so that drawing a code at random gives a garment?",
    [
        (
            "A longer code, so that every picture fits in.",
            False,
            "A longer code has even more empty space: the share of land falls with every dimension.",
        ),
        (
            "Codes that fill a known region without holes, so that whatever we draw lies on land.",
            True,
            "Just so: the *distribution* of the codes must be known and without gaps. Making it so is what "
            "the word variational in notebook 02 is about.",
        ),
        (
            "More training, until the reconstruction error is 0.",
            False,
            "Perfect copies say nothing about the water between the codes.",
        ),
    ],
    id="1.Q3",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Which bug is this?
#
# A colleague's autoencoder gives the pictures below. Its loss fell nicely and then stayed at about 0.6,
# whatever the learning rate and however long the training.

# %% tags=["training"]
torch.manual_seed(0)
broken = Autoencoder(latent=32)
broken.decoder.net.append(nn.Sigmoid())
fit(broken, clothes.unlabelled(), steps=200, batch=32)
with torch.no_grad():
    compare = torch.cat([show, broken.cpu()(show)])
clue = viz.grid(
    compare,
    columns=10,
    scale=2,
    alt="Two rows: originals on black, and reconstructions on mid-grey, in which the dark jacket and the "
    "sandal have vanished.",
)

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "The upper row shows the originals, the lower row the reconstructions: bright garments remain, black has "
    "become grey, and dark garments have vanished in it. Which bug is this?",
    [
        (
            "`optimizer.zero_grad()` is missing, so gradients pile up.",
            False,
            "Then the training would be unstable; the loss would not settle at one value.",
        ),
        (
            "The decoder ends in a sigmoid, but the pictures are in [-1, 1].",
            True,
            "A sigmoid gives values between 0 and 1, and 0 is mid-grey here. Everything darker than mid-grey "
            "ends there, and the error of the black background stays. Remove the sigmoid, or use `tanh`.",
        ),
        (
            "The code is too short for the background.",
            False,
            "A constant background costs no code at all: even PCA with 2 numbers has it black.",
        ),
        (
            "The pictures were damaged before they were encoded.",
            False,
            "Damage blurs details. It does not lift the whole background to one grey.",
        ),
    ],
    id="1.B1",
    image=clue.png,
    alt=clue.alt,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. What to take along
#
# | | |
# | --- | --- |
# | **good at** | compressing, denoising, filling holes, colouring, codes for others, *some* outliers |
# | **bad at** | making new data; saying how probable something is; sharp answers where there is doubt |
# | **use it** | when you have pairs for free (a picture and its damaged copy), or need a short code |
# | **don't** | when you need new samples: take the models of the next notebooks |
#
# **Left out:** sparse and contractive autoencoders, which restrain the code by a penalty; masked autoencoders
# (arXiv 2111.06377), which hide most of a picture and are used to train large vision models.
#
# **Read on:** Hinton and Salakhutdinov, *Reducing the Dimensionality of Data with Neural Networks* (2006);
# Vincent et al., *Extracting and Composing Robust Features with Denoising Autoencoders* (ICML 2008);
# Zhang et al., *Colorful Image Colorization* (arXiv 1603.08511); Heusel et al. on the Fréchet distance
# (arXiv 1706.08500).

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "A recap. Which of these are true?",
    [
        ("The best linear autoencoder has the same error as PCA.", True, "Sections 2 and 3."),
        ("An autoencoder needs labels.", False, "The picture is its own target."),
        (
            "A denoising autoencoder is compared with the clean picture.",
            True,
            "Compared with the noisy one, it would learn to copy the noise.",
        ),
        (
            "A low reconstruction error proves that a picture is typical of the data.",
            False,
            "Simple pictures are copied well even if they were never seen (section 7).",
        ),
        (
            "Decoding random codes fails because the codes of the data have gaps and odd shapes.",
            True,
            "Section 8, and the reason for notebook 02.",
        ),
    ],
    id="1.Q4",
)

# %% [markdown]
# **The next question:** can we force the codes into a shape that we know, so that drawing from it gives
# clothes? Notebook 02, *Variational autoencoders*.
