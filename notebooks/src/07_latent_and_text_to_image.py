# %% [markdown] slideshow={"slide_type": "slide"}
# # Latent diffusion: from words to pictures
#
# Ten classes are ten words. People who ask for a picture use more of them, and put them together as nobody
# has before: *a woman, a firefighter, dark skin*. Can a network draw what it has never seen, because it
# has seen the parts? This notebook tells a diffusion model what to draw, in words. And because pictures of
# 28 x 28 are small, it first finds a shorter way to write a picture down, and moves the whole business
# there.

# %% tags=["picture"]
import time

import torch
from torch.nn import functional as F

from course_lib import captions, check, data, evaluate_text, samplers, viz, words, zoo
from course_lib.check import hint
from course_lib.errors import CourseError
from course_lib.fit import fit, warmup_cosine
from course_lib.methods.guidance import guide
from course_lib.methods.text_to_image import forget
from course_lib.methods.vq_vae import VQVAE, Codebook, perplexity
from course_lib.nn.text import PAD
from course_lib.schedules import add_noise, alpha_bars, cosine_betas, eps_from_v
from course_lib.widgets import CaptionBox, Denoiser, Quiz

torch.manual_seed(0)
painter = zoo.load("t2i_people")  # trained by us beforehand: `course train t2i_people`
tones = ("", ": light skin tone", ": medium-light skin tone", ": medium skin tone",
         ": medium-dark skin tone", ": dark skin tone")  # fmt: skip
roles = ("noto woman cook", "noto firefighter", "noto man astronaut", "twemoji mage", "twemoji woman cook")
g = torch.Generator().manual_seed(1)
*_, last = painter.sample(30, captions=[role + tone for role in roles for tone in tones], generator=g)
viz.rows(
    dict(zip(roles, last.x.split(len(tones)), strict=True)),
    scale=2.2,
    quality=70,
    alt="Five rows of six small drawings: cooks in white hats, firefighters in red helmets, astronauts, "
    "mages in orange hats, cooks in the other style. In each row the first has yellow skin and the "
    "others go from light to dark skin.",
)

# %% [markdown]
# *Drawn in the cell above, by a network that we trained beforehand, 40 minutes on one processor core.
# Columns: no tone, light, medium-light, medium, medium-dark, dark.* It has learnt from 2,118 drawings of two
# sets of emoji, and their captions. But we kept some combinations from it, in both styles: it never saw a
# cook or a firefighter with dark skin, an astronaut with medium-dark skin, or a mage with light skin. Find
# these five among the thirty. You cannot tell them from the others? Nobody showed it these; it has put them
# together from words.
#
# **After this notebook you can**
# 1. turn a picture into a few words out of a list, and pass a gradient through a choice (exercise 7.1),
# 2. prepare the code of an autoencoder for diffusion, and say which number decides whether it works (exercise
#    7.2),
# 3. write the attention through which words reach a picture (exercise 7.3),
# 4. prepare a training for guidance (exercise 7.4), and ask for what nobody drew,
# 5. check whether a model has invented or remembered (exercise 7.5).
#
# **You need** notebook 06; of notebooks 01 and 02 the idea of an autoencoder. 80 to 100 minutes. Running all
# cells takes a little more than a minute on two processor cores, without a GPU and without the internet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. What pixels cost
#
# A sample of notebook 06 cost twenty calls of the network, at 28 x 28 pixels. Twice the width and the height
# are four times the pixels, so four times the work in every convolution. Measure it, with the network of the
# first picture, which takes any size that is a multiple of 8:

# %%
told = painter.encode(["noto woman cook"])


def seconds(size, times=5):
    """Of one call of the network, for 8 pictures of size x size: the fastest of a few."""
    x, t = torch.zeros(8, 3, size, size), torch.full((8,), 500)
    took = []
    with torch.no_grad():
        for _ in range(times):
            start = time.perf_counter()
            painter.v(x, t, told.expand(8, -1))
            took.append(time.perf_counter() - start)
    return min(took)


sizes = (16, 32, 64, 128)
cost = {size: seconds(size) for size in sizes}
for size in sizes:
    print(f"{size:4} x {size:<4} {1000 * cost[size]:7.1f} ms   {cost[size] / cost[32]:5.1f} times 32 x 32")

# %% [markdown]
# *What to notice.* From 64 to 128 the price grows fourfold, or a little worse: at its coarsest size the
# network compares every place with every other, and that grows sixteenfold. Nobody trains at 512 x 512 that
# way on a laptop, and hardly anybody does on large machines.
#
# But what do all these pixels say? Take a drawing apart: what is left of it at a quarter of the width and
# height, and what is lost?

# %%
things = captions.emoji_drawings("held_out", captions.THINGS)  # 64x64; more about them later
some = things.floats[[7, 9, 12, 15, 17, 22, 34, 39]]  # (8, 3, 64, 64)
shrunk = F.interpolate(some, size=(18, 18), mode="area")  # 3 * 18 * 18 = 972 numbers
enlarged = F.interpolate(shrunk, size=(64, 64), mode="bicubic").clamp(-1, 1)
coder = zoo.load("ldm_emoji").autoencoder  # a part of a network of section 7
with torch.no_grad():
    latents = coder.encode(some)  # (8, 4, 16, 16): 1,024 numbers
    decoded = coder.decode(latents)
viz.rows(
    {"12,288 numbers": some, "972 pixels, enlarged": enlarged, "1,024 latents, decoded": decoded},
    scale=1.1,
    quality=60,
    alt="Three rows of eight drawings of things: an ape, a hamster and others. The first row is sharp. In "
    "the second, enlarged from 18 x 18 pixels, all edges are blurred. In the third, out of as many "
    "numbers by an autoencoder, edges are sharp again, and small details are slightly softer than in "
    "the first.",
)

# %% [markdown]
# *Drawings that this autoencoder was not trained on.* The second and the third row have been through about
# the same number of numbers, a twelfth of those of the first. Pixels spend most of them on repeating
# themselves: white beside white. An autoencoder spends them on what differs.
#
# So here is the plan (R. Rombach et al., arXiv 2112.10752): **diffusion in the latent**. An autoencoder takes
# care of edges and textures, once. The diffusion model only has to know what goes with what. It works on the
# small map in the middle, and there it is as cheap as on small pictures. First, two ways to have such a map.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Words out of a list
#
# The first way is to write a picture down as a text is written: as a sequence of words, and there is a list
# of all words that there are. An encoder turns the picture into a small map, with a vector of $d$ numbers at
# each place. Then each vector is exchanged for the nearest of $K$ vectors in a list, the **codebook**, and
# only the *number* of that vector has to be kept. This is **vector quantisation**, and an autoencoder around
# it is a VQ-VAE (A. van den Oord et al., arXiv 1711.00937, equations 1 and 2):
#
# $$ k = \arg\min_j \|z - e_j\|^2, \qquad z_q = e_k. $$
#
# The codebook is learnt, so the network invents the words that it needs. But there is a catch.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
g = torch.Generator().manual_seed(3)
words_2d = torch.tensor([[-1.6, 0.7], [-0.6, -1.1], [0.3, 1.2], [0.9, -0.3], [2.0, 0.9]])
vectors = 1.1 * torch.randn(60, 2, generator=g)
chosen = words_2d[torch.cdist(vectors, words_2d).argmin(1)]
line = torch.linspace(-2, 2, 801)
stairs = torch.tensor([-1.5, -0.4, 0.5, 1.6])[
    (line[:, None] - torch.tensor([-1.5, -0.4, 0.5, 1.6])).abs().argmin(1)
]
fig = viz.new_figure(8.6, 3.2)
left, right = fig.subplots(1, 2)
for start, end in zip(vectors.tolist(), chosen.tolist(), strict=True):
    left.plot(*zip(start, end, strict=True), color=viz.COLOURS[5], lw=0.8)
left.plot(*vectors.T, "o", color=viz.COLOURS[0], ms=3, label="vectors")
left.plot(*words_2d.T, "D", color=viz.COLOURS[3], ms=8, label="codes")
left.set(title="each vector becomes its nearest code", aspect="equal")
left.legend(frameon=False, loc="lower right")
right.plot(line, line, color=viz.COLOURS[0], label="what the gradient is told: slope 1")
right.plot(line, stairs, color=viz.COLOURS[3], lw=2, label="$z_q$, in one dimension")
right.set(title="flat, and then a jump", xlabel="$z$")
right.legend(frameon=False)
viz.figure(
    fig,
    alt="Left: sixty points in the plane, each joined by a thin line to the nearest of five diamonds, the "
    "codes. Right: a staircase of four steps, the code as a function of z, and a straight line through it "
    "with slope 1.",
)

# %% [markdown]
# *Left, five codes and the vectors that choose them. Right, the same with $d = 1$.*
#
# **The catch.** Look at the staircase. If $z$ moves a little, the choice stays and $z_q$ does not move at
# all: its derivative is 0. At the edge of a step it jumps, and there is no derivative. Either way nothing
# comes back to the encoder, and the encoder learns nothing.
#
# **The way out is a lie that works.** Going forward, take the code. Going back, act as if it had been $z$
# itself: hand the gradient on *as it comes*, the straight line in the picture. If the decoder asks for a
# $z_q$ further to the right, then a $z$ further to the right is a good idea, and some time it crosses the
# edge. This is the **straight-through** gradient (the paper's section 3.2). With $\text{sg}$ for "stop
# gradient", `detach()` in torch, it fits into one line:
#
# $$ z_q = z + \text{sg}[\,e_k - z\,]. $$
#
# Its value is $e_k$, for the two $z$ cancel. Its gradient is that of the first $z$, for the brackets have
# none.

# %% [markdown]
# ### Exercise 7.1: The nearest code
# *difficulty 3 of 5, about 15 minutes*
#
# Write this for a batch of maps. `z` is (B, d, h, w): the $d$ numbers of one place are `z[b, :, i, j]`,
# in $d$ channels, and each place of each picture gets a code of its own. `codebook` is (K, d). Return two
# things: `z_q` in the shape of `z`, and the numbers of the codes, (B, h, w). The gradient of `z_q` goes to
# `z` unchanged, and none goes to the codebook. (It learns otherwise: each code moves towards the mean of the
# vectors that choose it.)


# %% tags=["exercise", "ex-7.1"]
def quantise(z, codebook):
    """z (B, d, h, w), codebook (K, d) -> z_q (B, d, h, w) and codes (B, h, w) int64."""
    # SOLUTION
    rows = z.movedim(1, -1)  # (B, h, w, d)
    distance = (rows[..., None, :] - codebook).square().sum(-1)  # (B, h, w, K)
    codes = distance.argmin(-1)
    e = codebook[codes].movedim(-1, 1)  # (B, d, h, w)
    return z + (e - z).detach(), codes
    # END SOLUTION
    # EXERCISE
    # | rows = ...  # the d numbers of each place, side by side: (B, h, w, d)
    # | codes = ...  # (B, h, w)
    # | e = ...  # these codes, in the shape of z
    # | raise NotImplementedError  # finally z_q, with its gradient
    # END EXERCISE


# %%
check.text.quantise(quantise)

# %% [markdown]
# If you are stuck: `hint("7.1", 1)`, then `hint("7.1", 2)` and `hint("7.1", 3)`.

# %%
hint("7.1", 1)

# %% [markdown]
# And the library's, `Codebook`. Here it is with random codes; what comes back to `z` is exactly what was
# sent:

# %%
torch.manual_seed(0)
book = Codebook(size=256, dim=16)
z = torch.randn(4, 16, 8, 8, requires_grad=True)
z_q, codes = book(z)
sent = torch.randn_like(z)  # stands for the gradient that arrives from a decoder
z_q.backward(sent)
assert torch.equal(z.grad, sent)  # straight through
assert torch.allclose(z_q[2, :, 5, 1], book.vectors[codes[2, 5, 1]], atol=1e-5)  # and its value is a code
print(f"one picture is {codes[0].numel()} numbers from 0 to 255; its first row: {codes[0, 0].tolist()}")

# %% [markdown]
# One line of the library's is worth copying. All differences $z - e_j$ at once are a table of $B h w \times
# K \times d$ numbers; for 32 maps of 8 x 8, $K = 256$ and $d = 16$ that is 34 MB. The library writes
# $\|z-e\|^2 = \|z\|^2 - 2\,z\cdot e + \|e\|^2$, leaves out the first term, which is the same for all codes,
# and has one matrix product and 2 MB.

# %% [markdown]
# ### The same in a network
#
# `VQVAE` puts this between an encoder and a decoder. Its codebook has 256 codes of 16 numbers and learns as
# in the paper's appendix: each code moves towards the mean of the vectors that choose it. **Train it
# yourself**, on drawn people of 32 x 32, for well under a minute. Each becomes a map of 8 x 8 codes.

# %%
torch.manual_seed(0)
people = data.people("train")  # 2,118 drawings
steps = 600
live = VQVAE(widths=(32, 64), blocks=1, codes=256, dim=16)
run = fit(live, people.unlabelled(), steps=steps, batch=32, lr=warmup_cosine(steps), ema=0.98, clip=1.0)
quantiser = run.model.cpu()
print(run)

# %%
unseen = data.people("test")  # other professions than in training
faces = unseen.floats[[0, 12, 30, 47, 130, 150, 177, 200, 221, 240]]
trained_longer = zoo.load("vq_people")  # the same for eight minutes: `course train vq_people`
with torch.no_grad():
    rows = {
        "drawings": faces,
        "your VQ-VAE": quantiser(faces),
        "trained for longer": trained_longer(faces),
    }
viz.rows(
    rows,
    scale=1.7,
    quality=60,
    alt="Three rows of ten small drawings of people. The first row is sharp. The second, from the live "
    "network, shows head, hair and clothes in patches with ragged edges. The third is smoother and has most "
    "of the faces.",
)

# %% [markdown]
# *The second row was trained live, the third by us beforehand.* Each of these pictures is now 64 numbers from
# 0 to 255, that is 64 bytes, instead of 3,072. Here they are, as colours, and what happens if one of them is
# replaced by another:

# %%
with torch.no_grad():
    codes = trained_longer.encode(faces[:1])  # (1, 8, 8) int64
    swapped = codes.repeat(9, 1, 1)
    for k in range(1, 9):
        swapped[k, 3, 3:5] = trained_longer.encode(faces[k : k + 1])[0, 3, 3:5]
    redrawn = trained_longer.decode(swapped)
colours = torch.rand(256, 3, generator=torch.Generator().manual_seed(4)) * 2 - 1
as_colours = colours[swapped].movedim(3, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
used = trained_longer.encode(unseen.floats)
print(f"{len(used.unique())} of 256 codes are in use, as if {perplexity(used, 256):.0f} were used equally")
viz.rows(
    {"codes": as_colours, "decoded": redrawn},
    scale=1.8,
    quality=70,
    alt="Two rows of nine. Above, maps of 8 x 8 coloured squares, which differ only in two squares in the "
    "middle. Below, the same face nine times; only a patch at its eyes differs.",
)

# %% [markdown]
# *What to notice.* Each code has a place and speaks roughly for this place: two codes change, and a patch in
# the middle of the face with them. But these "words" have no meaning of their own, as syllables have none.
# What they are good for: a model of *sequences*, such as those that write texts, can now write pictures, code
# by code (the paper's own use, and that of the first DALL-E, arXiv 2102.12092).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A latent for diffusion
#
# Diffusion wants numbers that noise can be added to, not words out of a list. So take the autoencoder of
# notebook 02, with two changes. The code is a small *map*, 16 x 16 with four channels, not a row of numbers.
# And the weight of the KL term is tiny, $10^{-4}$: nobody will sample from $N(0, I)$ and decode that, for
# this is going to be the job of the diffusion model. The little that is left of it keeps the latents near 0
# and the decoder used to a little noise. This is a **KL autoencoder**, and the one of section 1 is one.

# %%
maps = latents.movedim(1, 0)  # channel by channel
low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
maps = ((maps - low) / (high - low) * 2 - 1)[:, :, None]  # (4, 8, 1, 16, 16), each on its own scale
rows = {"drawings": some.mean(1, keepdim=True)}
rows |= {f"channel {k + 1}": maps[k].repeat_interleave(4, 2).repeat_interleave(4, 3) for k in range(4)}
viz.rows(
    rows,
    scale=0.9,
    alt="Five rows of eight: the drawings in grey, and the four channels of their latents as maps of 16 x 16 "
    "squares. In each channel the outline of the thing can be made out; some channels follow its edges, "
    "some its brightness.",
)

# %% [markdown]
# *What to notice.* A latent is still a picture of sorts: what is at the top left there is at the top left
# here. That is why a U-Net can work on it. And how large are these numbers?

# %%
with torch.no_grad():
    many = coder.encode(captions.emoji_drawings("train").floats[::4])  # (270, 4, 16, 16)
each = ", ".join(f"{s:.2f}" for s in many.std((0, 2, 3)))
print(f"standard deviation of all numbers {many.std():.3f}; of each channel {each}")

# %% [markdown]
# ### Exercise 7.2: The size of a latent
# *difficulty 2 of 5, about 8 minutes*
#
# The noise has a standard deviation of 1. Pictures in $[-1, 1]$ are about as large; latents are as large as
# training happened to make them. So they are **measured once**, on pictures of the training set: $s$ is the
# standard deviation of *all their numbers together*, of all pictures, channels and places. From then on
#
# $$ z = \frac{\text{encoder}(x)}{s}, \qquad x = \text{decoder}(s\,z), $$
#
# (arXiv 2112.10752, appendix G). Between the two, diffusion lives in a world of size 1. Write a class that
# does this. It gets the encoder and the decoder as two functions, and pictures to measure on. Afterwards it
# is used on other pictures, and $s$ stays what it is. (The mean is left alone, as in the paper.
# And whether you divide by $N$ or by $N-1$ makes no difference: $N$ is some hundred thousands.)


# %% tags=["exercise", "ex-7.2"]
class ScaledLatents:
    """An autoencoder whose latents have a standard deviation of 1."""

    def __init__(self, encode, decode, x):
        """encode: pictures -> latents. decode: back. x (N, C, H, W): pictures to measure on."""
        self.encode, self.decode = encode, decode
        # SOLUTION
        self.scale = self.encode(x).std()
        # END SOLUTION
        # EXERCISE
        # | self.scale = ...  # one number
        # END EXERCISE

    def to_latents(self, x):
        """Pictures (B, C, H, W) -> scaled latents (B, c, h, w)."""
        # SOLUTION
        return self.encode(x) / self.scale
        # END SOLUTION
        # EXERCISE
        # | raise NotImplementedError
        # END EXERCISE

    def to_pictures(self, z):
        """Scaled latents (B, c, h, w) -> pictures (B, C, H, W)."""
        # SOLUTION
        return self.decode(z * self.scale)
        # END SOLUTION
        # EXERCISE
        # | raise NotImplementedError
        # END EXERCISE


# %%
check.text.latent_scale(ScaledLatents)

# %% [markdown]
# If you are stuck: `hint("7.2", 1)`, then `hint("7.2", 2)`.

# %%
hint("7.2", 1)

# %% [markdown]
# In the library `LatentDiffusion.use` measures, and `encode` and `decode` do the rest. `ldm_emoji` carries
# its $s$ with its weights:

# %%
ldm = zoo.load("ldm_emoji")
scaled = ldm.encode(some)
assert torch.allclose(scaled * ldm.scale, latents, atol=1e-4)
assert torch.allclose(ldm.decode(scaled), decoded, atol=1e-3)  # there and back: the scale cancels
print(f"its scale {ldm.scale:.3f}; measured here, on other drawings of the same kind, {many.std():.3f}")
print(f"standard deviation of scaled latents of eight unseen drawings: {scaled.std():.2f}")

# %% [markdown]
# Not exactly 1, for these eight drawings are not the ones that were measured. That is as it should be: a pale
# drawing has a pale latent, and if each were brought to 1 by itself, the decoder could not know any more how
# pale it was. (Other libraries keep $1/s$ and multiply; Stable Diffusion's 0.18215 is such a number.)

# %% [markdown]
# Why it matters: the noise schedule. It was made for data of about the size of the noise, 1. Multiply the
# latents by ten, and at $t = 500$, where half of the signal's power should be gone, you can read them like a
# book: the network spends half of its steps on nothing. Divide them by ten, and all is lost before it began.

# %%
a = alpha_bars(cosine_betas())[[100, 300, 500, 700, 900]].float()
g = torch.Generator().manual_seed(0)
unit = latents[:1] / many.std()
eps = torch.randn(5, 4, 16, 16, generator=g)
drowned = {}
for size in (10, 1, 0.1):
    noisy = add_noise((size * unit).expand(5, -1, -1, -1), eps, a)
    with torch.no_grad():
        drowned[f"size {size}"] = coder.decode(noisy / (size * a.sqrt()[:, None, None, None]) * many.std())
viz.rows(
    drowned,
    scale=1.4,
    quality=60,
    alt="Three rows of five: a drawing at times 100, 300, 500, 700 and 900, decoded from noisy latents. "
    "With latents ten times too large it stays recognisable in all but the last; with size 1 it fades "
    "away evenly; with latents ten times too small there is nothing but coloured specks at once.",
)

# %% [markdown]
# *One drawing at t = 100, 300, 500, 700 and 900, its latents scaled to three sizes before the noise came.* In
# the middle row the noise takes over evenly. That row is what `ldm_emoji` was trained on.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Latent diffusion was trained for a week, and its drawings are lovely, but lines of one pixel come out "
    "soft. What would make them sharp? (Below: drawings, and the same through the autoencoder alone.)",
    [
        (
            "A better autoencoder: more channels or places in its latent, or longer training of it.",
            True,
            "A picture comes out of the decoder, whatever the latent. If a line of one pixel does not "
            "survive encoding and decoding, diffusion cannot give it back: it learns the latents of just "
            "such drawings. (And diffusion must be trained anew afterwards, on the other latents.)",
        ),
        (
            "A second week of training for the diffusion model.",
            False,
            "Even if it learnt the latents perfectly, it would give the autoencoder's pictures: the lower "
            "row. This is as good as it gets.",
        ),
        (
            "More steps of the sampler.",
            False,
            "More steps follow the same path more closely, to the same latents. What the decoder cannot "
            "draw, it cannot draw in 1,000 steps either.",
        ),
        (
            "A larger weight of the KL term, so that latents are closer to N(0, I).",
            False,
            "It makes latents easier to sample, and takes information out of them: lines would get softer.",
        ),
        (
            "Dividing the latents by their standard deviation.",
            False,
            "That decides how well diffusion can be trained, not what fits into a latent. The scale cancels "
            "on the way back.",
        ),
    ],
    id="7.Q1",
    image=viz.rows({"drawings": some, "autoencoder": decoded}, scale=1.1, quality=70, alt="").png,
    alt="Two rows of eight drawings of things: the lower ones, which went through the autoencoder, are "
    "nearly the same, with slightly softer details.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Words
#
# How does a caption get into a network? First, as numbers. `words.tokenise` takes it apart, in lower case,
# leaves out what says nothing here ("skin", "tone", "a", "the"), and counts each word once. Each word has a
# number, its place in a list that was made from the training captions. 1 opens every caption, 0 fills it up.

# %%
caption = "A woman cook: medium-dark skin tone"
print(words.tokenise(caption))
print(painter.encode([caption, "zombie", ""]))
print(f"{len(painter.words)} words, such as {', '.join(painter.words[::12])}")
try:
    painter.encode(["noto woman plumber: dark skin tone"])
except CourseError as complaint:
    print(complaint)

# %% [markdown]
# A word that no training caption had is an unknown word, and the honest answer is to say so. (Systems that
# draw "anything" have a text encoder, trained on hundreds of millions of captions, so that a plumber lies
# near an electrician before the first picture is drawn. Ours knows 96 words, all of them from 2,118
# captions.)
#
# Then each word becomes a vector of 64 numbers that is *learnt* with everything else, as the class was in
# notebook 06. Captions have several words, though, and they concern different places: "cook" means the hat
# at the top, "dark" the face and the hands. So the network gets two ways to read. One is that of the class:
# the sum of all words is added to the time, for all places alike. The other is **cross-attention** (arXiv
# 2112.10752, section 3.3): each place asks its own question, and is answered by the words that fit.
#
# $$ \text{found} = \text{softmax}\Big(\frac{Q K^\top}{\sqrt d}\Big) V, \qquad
# Q \text{ from the places}, \quad K, V \text{ from the words}. $$

# %% [markdown]
# **By hand first.** One place, with a query $q$ of two numbers, asks three words. The second word answers
# best, so most of what the place finds is the second word's value:

# %%
q = torch.tensor([1.0, 2.0])
k = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-1.0, 0.5]])  # three words' keys: "I am about this"
v = torch.tensor([[10.0], [20.0], [30.0]])  # and their values: "this I have to say"
scores = k @ q / 2**0.5
print("scores ", [f"{s:.2f}" for s in scores.tolist()])
print("weights", [f"{w:.2f}" for w in scores.softmax(0).tolist()], "add up to 1")
print(f"found    {(scores.softmax(0) @ v).item():.1f}, between 10 and 30, and nearest to 20")

# %% [markdown]
# ### Exercise 7.3: Which word is for me?
# *difficulty 3 of 5, about 15 minutes*
#
# Now for all $P$ places and all $L$ words of a batch at once, and several times side by side: each **head**
# has queries, keys and values of its own, so that one may look for clothes and another for colours. Heads do
# not mix; they are one more axis.
#
# Two things to watch. **Divide by $\sqrt d$**, where a query has $d$ numbers: the spread of a sum of $d$
# products grows like $\sqrt d$, and large scores make a softmax that listens to a single word and hands no
# gradient to the others. And **hide the padding**, *before* the softmax: afterwards the true words may have
# no weight left to share out. Captions have different lengths, and the rows are filled up with token 0,
# which is no word. `mask` is True where there is a word. Where it is False, the weight has to be 0, and the
# weights of the true words have to add up to 1 all the same.


# %% tags=["exercise", "ex-7.3"]
def cross_attention(q, k, v, mask):
    """What positions find: q (B, heads, P, d), k and v (B, heads, L, d), mask (B, L) -> (B, heads, P, d)."""
    # SOLUTION
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5  # (B, heads, P, L)
    scores = scores.masked_fill(~mask[:, None, None, :], -torch.inf)
    weights = scores.softmax(-1)
    return weights @ v
    # END SOLUTION
    # EXERCISE
    # | scores = ...  # (B, heads, P, L)
    # | weights = ...  # the same shape; they add up to 1 over the words, and padding has none
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.text.cross_attention(cross_attention)

# %% [markdown]
# If you are stuck: `hint("7.3", 1)`, then `hint("7.3", 2)` and `hint("7.3", 3)`.

# %%
hint("7.3", 1)

# %% [markdown]
# torch has all of it in one call, `F.scaled_dot_product_attention`, and the library's `CrossAttention` uses
# that. Here they agree, on random numbers; and a layer of the network of the first picture, asked for its
# weights, does not look at the padding.

# %%
g = torch.Generator().manual_seed(0)
q, k, v = (torch.randn(2, 4, n, 16, generator=g) for n in (64, 5, 5))  # 64 places, 5 words, 4 heads
mask = torch.tensor([[True, True, True, True, True], [True, True, False, False, False]])
weights = (q @ k.transpose(2, 3) / 16**0.5).masked_fill(~mask[:, None, None], -torch.inf).softmax(-1)
at_once = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None])
assert torch.allclose(weights @ v, at_once, atol=1e-5)

reader = painter.net.read[0]
with torch.no_grad():
    tokens = painter.encode(["noto woman cook: dark skin tone"])  # (1, 12)
    vectors, mask = painter.words_net(tokens)  # (1, 12, 64), (1, 12)
    places = torch.randn(1, reader.q.in_channels, 8, 8, generator=g)
    weights = reader.weights(places, vectors, mask)  # (1, heads, 8, 8, 12)
assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5)  # over the words
assert (weights[..., ~mask[0]] == 0).all()  # nothing for the padding
print(f"{weights.shape[1]} heads, {places[0, 0].numel()} places, {mask.sum()} of {mask.numel()} tokens seen")

# %% [markdown]
# **What is missing here on purpose:** the order of the words. Nothing in this formula knows which word came
# first, so for this network a caption is a *set* of words. For "woman cook, dark" that is enough. Keep it in
# mind for a question later on.

# %% [markdown]
# ### Where does it look?
#
# The weights of this attention can be looked at: for each place of the picture, how much it listens to each
# word. We let the trained network draw, and half-way through the path we ask the finest of the layers
# that read, at 8 x 8 places.

# %%
reader, heard = painter.net.read[0], []


def listen(module, args, _):
    heard.append(module.weights(*args).mean(1)[0])  # (8, 8, 12), the mean of the heads


fig = viz.new_figure(8.4, 3.6)
captions_heard = ("noto woman firefighter: dark skin tone", "twemoji man cook: light skin tone")
for row, caption in zip(fig.subplots(2, 6), captions_heard, strict=True):
    heard.clear()
    listener = reader.register_forward_hook(listen)
    *_, last = painter.sample(1, captions=caption, guidance=1, generator=torch.Generator().manual_seed(2))
    listener.remove()
    told = ["(opening)", *words.tokenise(caption)]
    row[0].imshow(viz.to_uint8(last.x)[0])
    for k, (ax, word) in enumerate(zip(row[1:], told, strict=True)):
        ax.imshow(heard[15][:, :, k], vmin=0, cmap="viridis")  # the 16th of 30 steps
        ax.set_title(word, fontsize=9)
    for ax in row:
        ax.set_axis_off()
viz.figure(
    fig,
    alt="Two rows. In each a drawing, a firefighter and a cook, and five maps of 8 x 8 squares, one for each "
    "word of its caption and one for the opening, brighter where the word is listened to.",
)

# %% [markdown]
# *What to notice.* Nobody told the network what "dark" means or where a helmet is. It has found out from
# captions and pictures: "firefighter" is listened to where there are helmet and coat, "cook" at the hat and
# the collar, "dark" and "light" in the face, "woman" at the hair beside it. White places, which need no
# word, listen to the opening. Each map is on its own scale, and this is the neatest of the layers; do not
# read more into such maps than that, for the words also come in by the other door, all of them at once.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Learning to do without
#
# Guidance (notebook 06, section 6) needs two answers of one network: with the caption, and without.
#
# $$ \varepsilon_g = \varepsilon(x_t, \varnothing) + g\,\big(\varepsilon(x_t, \text{caption}) -
# \varepsilon(x_t, \varnothing)\big) $$
#
# If every picture in training comes with its caption, the network has never seen $\varnothing$, the empty
# caption, and what it says then is anybody's guess. So in training one caption in ten is left out, by chance,
# and the picture stays. Then "without a caption" means: *any* drawing, as often as it occurs in the data.

# %% [markdown]
# ### Exercise 7.4: Now and then, say nothing
# *difficulty 2 of 5, about 8 minutes*
#
# Captions come as rows of tokens: 1 opens each caption, then come its words (2 and up), and 0, `PAD`, fills
# the row up. Empty some of these captions. A caption goes **as a whole** or stays as a whole: without some of
# its words it would say something else ("woman, dark" is no empty caption). And **the opening stays** in all
# of them, so that attention has something to look at. A softmax over nothing would be $0/0$.
#
# Which ones go is decided by `chance`, a random number between 0 and 1 for each caption: those with
# `chance < share`. (The caller draws them, so that your function can be tested exactly.)


# %% tags=["exercise", "ex-7.4"]
def drop_captions(tokens, share, chance):
    """tokens (B, L) int64, share in 0 .. 1, chance (B,) in [0, 1) -> new tokens (B, L), some rows emptied."""
    # SOLUTION
    gone = (chance < share)[:, None]  # (B, 1): whole rows
    words_left = tokens[:, 1:].masked_fill(gone, PAD)
    return torch.cat([tokens[:, :1], words_left], 1)
    # END SOLUTION
    # EXERCISE
    # | gone = ...  # which captions, in a shape that fits (B, L)
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.text.drop_captions(drop_captions)

# %% [markdown]
# If you are stuck: `hint("7.4", 1)`, then `hint("7.4", 2)`.

# %%
hint("7.4", 1)

# %% [markdown]
# The library's `forget` draws its own chances. Six captions at a share of one half, to see something happen,
# and then many at the share of training:

# %%
torch.manual_seed(1)
six = ["noto woman cook: dark skin tone", "twemoji zombie", "noto man astronaut", "twemoji fairy",
       "noto person: red hair", "twemoji baby: light skin tone"]  # fmt: skip
for before, after in zip(six, words.decode(forget(painter.encode(six), 0.5), painter.words), strict=True):
    print(f"{before:36} -> {after or '(nothing)'}")
often = forget(painter.encode(six).repeat(5_000, 1), painter.drop)
print(f"of {len(often):,} captions {(often[:, 1:] == PAD).all(1).float().mean():.1%} were left out")

# %% [markdown]
# And this is what it is good for. Two noises for each of four captions, and more and more guidance:

# %%
four = (
    "noto woman cook: dark skin tone",
    "twemoji zombie",
    "noto pregnant person",
    "twemoji prince: light skin tone",
)
twice = [caption for caption in four for _ in range(2)]
louder = {}
for guidance in (0, 1, 2, 4, 8):
    g = torch.Generator().manual_seed(5)
    *_, last = painter.sample(8, captions=twice, guidance=guidance, steps=15, generator=g)
    louder[f"guidance {guidance}"] = last.x
viz.rows(
    louder,
    scale=1.8,
    quality=60,
    alt="Five rows of eight small drawings. At guidance 0 they are arbitrary people. With guidance 1 "
    "and 2 they are what was asked for: cooks with dark skin, zombies, pregnant people, princes. With "
    "4 and 8 the cooks and the princes get hard dots, and the zombies become glaring blue and black.",
)

# %% [markdown]
# *What to notice.* At 0 the captions are not heard, and there are people of any kind. From 1 on they are. A
# caption and a style say nearly all about such a drawing, so two noises give nearly the same picture: there
# is little variety to lose. What guidance costs can be seen all the same. The zombies, of which training had
# few, are unsure at 1, and instead of being settled they are *overdone*: at 4 and 8 each step pushes so hard
# that colours hit the ends of their range.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Draw me ...
#
# Your turn. Type a caption, or press words: the network reads them and draws **in this page**, eight times
# the same caption from other noise. Words that it never met are named under the line, with the nearest it
# knows. (In a saved notebook without a kernel a recorded run stands in its place: run the cell to type.)

# %% tags=["widget"]
CaptionBox(
    painter.eps,
    painter.alpha_bar,
    words=painter.words,
    length=painter.length,
    shape=(3, 32, 32),
    groups={
        "Style": ["noto", "twemoji"],
        "Skin tone": ["light", "medium-light", "medium", "medium-dark", "dark"],
        "Who": ["person", "woman", "man", "girl", "boy", "child", "baby"],
        "Hair": ["blond hair", "curly hair", "red hair", "white hair", "bald", "beard"],
        "Work": ["artist", "astronaut", "cook", "farmer", "firefighter", "judge", "pilot", "police officer"],
        "Legends": ["angel", "elf", "fairy", "genie", "mage", "ninja", "prince", "princess", "superhero"],
        "Doing": ["bowing", "climbing", "dancing", "facepalming", "kneeling", "running", "shrugging"],
    },
    caption="noto woman cook: dark skin tone",  # no picture in training had this caption
    guidance=2.0,
    title="Draw me ...",
    alt="A line with the caption noto woman cook: dark skin tone, and eight small drawings of her.",
)

# %% [markdown]
# Try this, with one thing changed at a time:
# 1. **A whole caption** leaves nothing open: from eight noises come eight pictures that are all but the same.
#    (A dark-skinned cook was not among the training pictures: it is put together from its words.)
# 2. **Take words out**, in the end all of them. Without the style both styles come. "woman" alone is eight
#    women, some of them half something else. With no caption each noise becomes whatever it likes.
# 3. **Keep the seed and press another tone, style or role.** What the new word does not speak of stays.
# 4. **Guidance 0:** the words are not heard at all. **1 or 2:** this caption does not need more. **8:** hard
#    edges and coloured dots, the price of pushing too far.
# 5. **Contradict yourself:** "light dark", "baby judge", "bald blond hair". It has to draw something.
# 6. **Type a word that it cannot know,** "dentist" for example. A list of words is all the language it has.
# 7. **Show the guess of the end** and pull the bar to the left: the cook is there from the first step on.
#    With no caption the first guesses are a blur, nearly the mean of many people, and slowly become someone.

# %% [markdown] slideshow={"slide_type": "slide"}
# ### Never seen, and yet
#
# Do the pictures follow the words? Our eyes are kind to our own pictures. So first put them beside what the
# artists drew for the same captions. The network has seen none of the upper row, nor any other tone-and-role
# pair like these, in either style:

# %%
held = data.people("held_out")  # 26 drawings, of which training had none
told = captions.with_style(held)
g = torch.Generator().manual_seed(0)
*_, last = painter.sample(26, captions=told, generator=g)
never = {"the artists'": held.floats, "the network's": last.x}
pick = [1, 2, 3, 5, 6, 9, 11, 12, 14, 17, 20, 25]
for k in pick:
    print(told[k], end=" | ")
viz.rows(
    {name: x[pick] for name, x in never.items()},
    scale=1.9,
    quality=70,
    alt="Two rows of twelve small drawings: above those of the artists, below those of the network for "
    "the same captions: cooks, astronauts, firefighters, a prince and mages. They agree in clothes, "
    "tone and pose; the network's have small flaws in the faces.",
)

# %% [markdown]
# Then let somebody else decide: a classifier that learnt style, tone, gender word and role from true
# drawings. It has a hard job, too: the combinations are as new to it as they are to the network. (So its
# verdict on the true drawings stands beside it: more than that cannot be expected.)

# %%
judge = zoo.load("people_features")
verdicts = {name: evaluate_text.words_right(judge, x, held) for name, x in never.items()}
measured = zoo.manifest()["t2i_people"]["scores"]
print(f"{'':12} {'artists':>8} {'drawn now':>10} {'guidance 1':>13} {'2':>6} {'4':>6}")
for head in ("style", "tone", "gender", "role"):
    now = [verdicts[name][head] for name in never]
    before = [measured[f"{head}, guidance {k}"] for k in (1, 2, 4)]
    print(f"{head:12} {now[0]:8.0%} {now[1]:10.0%} {before[0]:13.0%} {before[1]:6.0%} {before[2]:6.0%}")

# %% [markdown]
# *Share of pictures in which the judge finds what was asked for. The first two columns are of the pictures
# above; the others we measured beforehand, with four pictures of each caption.*
#
# Style, tone and role come out as asked, in combinations that the network has never met. The word for the
# gender does so less often, and *less* with more guidance. Look at a few of them: the difference between
# "person", "man" and "woman" is often a few pixels of hair, and in the data it differs from role to role.
# What is drawn large is learnt first.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
couples = ["woman with dark skin, man with light skin", "man with dark skin, woman with light skin"]
one, other = painter.encode(couples).tolist()
print(one, other, "the same words:", sorted(one) == sorted(other), sep="\n")
Quiz(
    'Suppose the data had couples, and somebody asks our network for "woman with dark skin, man with light '
    'skin", then for "man with dark skin, woman with light skin". What comes out? Tick all that is true.',
    [
        (
            "From the same noise, the same picture both times.",
            True,
            "Both captions are the same set of words. Attention is a sum over words, and a sum does not know "
            "in which order they came. The tokens above differ in their order only.",
        ),
        (
            "Who of the two is dark is left to chance, to the noise.",
            True,
            "The network knows that there is a woman, a man, dark and light. Which belongs to which was not "
            "said in a way that it could hear.",
        ),
        (
            "More couples in training would cure it.",
            False,
            "No amount of data tells apart what reaches the network as the same numbers.",
        ),
        (
            "More guidance would cure it.",
            False,
            "Guidance makes the caption louder. It says the same thing louder.",
        ),
        (
            "A vector for the place of each word, and layers in which the words look at each other, would "
            "help.",
            True,
            'Then "dark" after "woman" has another vector than "dark" after "man". That is a text encoder, '
            "and what it is for. (Large systems have them, and still mix up who wears what now and then.)",
        ),
        (
            "An error: unknown words.",
            False,
            "Each of the words is known. Only their connection is lost.",
        ),
    ],
    id="7.Q2",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Words, and a latent
#
# Now both together: 64 x 64 drawings of 366 faces, animals, plants and dishes, in three styles, with 419
# words. `LatentDiffusion` encodes them, divides by the scale, lets the network of section 4 learn the maps
# of 16 x 16, and decodes what comes out. Each thing stands in its training set at most three times, once for
# each style.

# %%
artist = zoo.load("ldm_emoji")  # trained by us beforehand: `course train ldm_emoji`
wishes = (
    "hot pepper",
    "red heart",
    "cat with wry smile",
    "pineapple",
    "tomato",
    "snail",
    "angry face",
    "unicorn",
)
asked = [f"{style} {thing}" for style in captions.EMOJI_STYLES for thing in wishes]
start = time.perf_counter()
*_, last = artist.latents(len(asked), captions=asked, steps=20, generator=torch.Generator().manual_seed(1))
middle = time.perf_counter()
pictures = artist.decode(last.x)
end = time.perf_counter()
print(f"{len(asked)} latents in 20 steps: {middle - start:.1f} s; decoded in {1000 * (end - middle):.0f} ms")
viz.rows(
    dict(zip(captions.EMOJI_STYLES, pictures.split(len(wishes)), strict=True)),
    scale=1.2,
    quality=60,
    alt="Three rows of eight drawings, a row for each style: a hot pepper, a heart, a cat's face, a "
    "pineapple, a tomato, a snail, an angry face and a unicorn. All can be recognised, and those of "
    "the third row have shades like solid things.",
)

# %% [markdown]
# Now you have 64 x 64 pixels for the price of 16 x 16: nearly all of the time goes into the latents, and the
# decoder is called once, at the end. It can be called before the end, too, to watch:

# %% tags=["widget"]
Denoiser(
    artist.sample(
        3,
        captions=["noto hot pepper", "twemoji unicorn", "fluent3d cat with wry smile"],
        steps=12,
        generator=torch.Generator().manual_seed(1),
    ),
    names=["hot pepper", "unicorn", "cat with wry smile"],
    title="From a latent full of noise to a drawing",
    alt="Three squares of coloured specks, decoded from latents full of noise, which turn into a hot "
    "pepper, a unicorn and a cat's face, step by step; beside each what the network takes it for.",
)

# %% [markdown]
# *What to notice.* Noise in a latent does not look like noise in pixels. Each number of a latent speaks for a
# patch of 4 x 4 pixels in three colours, so the specks are larger, and have edges: the decoder knows nothing
# else than bits of drawings.

# %% [markdown]
# These captions were in training. So what has it learnt: the things, the styles, or this list by heart? For
# 19 things we kept the solid style, `fluent3d`, from it. It has seen them twice, flat, and it has seen 347
# others both flat and solid:

# %%
held, seen = captions.emoji_drawings("held_out"), captions.emoji_drawings("train")
pick = [0, 4, 5, 6, 8, 9, 12, 14, 15, 17]
flat = [seen.captions.index(held.captions[k].replace("fluent3d", "noto")) for k in pick]
made = evaluate_text.draw(artist, [held.captions[k] for k in pick], guidance=2.0, seed=2)
print(" | ".join(held.captions[k].removeprefix("fluent3d ") for k in pick))
viz.rows(
    {"seen: noto": seen.floats[flat], "asked: fluent3d": made, "the artists'": held.floats[pick]},
    scale=1.1,
    quality=60,
    alt="Three rows of ten drawings: the flat drawings that training had, what the network draws when it "
    "is asked for them in the solid style, and the solid drawings by the artists.",
)

# %% [markdown]
# *Drawn in the cell above.* So how well does it do? Here is a question that a program can answer: of all
# 1,098 drawings, training and held out, which one does a picture resemble most? Does this drawing show the
# thing that was asked for, and is it of the right style?

# %%
measured = zoo.manifest()["ldm_emoji"]["scores"]
print(f"{'':33} {'thing':>6} {'style':>6}")
for name, text in ((" of training", "captions of training"), ("", "held-out captions")):
    for k in (1, 2, 4):
        style, thing = measured[f"style{name}, guidance {k}"], measured[f"thing{name}, guidance {k}"]
        print(f"{text + f', guidance {k}':33} {thing:6.0%} {style:6.0%}")
print(f"{'true held-out drawings':33} {measured['thing, true drawings']:6.0%}")

# %% [markdown]
# *Measured by us beforehand; four pictures of each held-out caption, and one of every twentieth of training.
# The last row: how often a true held-out drawing resembles a training drawing of its own thing most.*
#
# Captions of training: always right. That is knowledge by heart, and we shall come back to it in section 8.
# Of the others, four in ten show the right thing (by chance it would be one in 366), and half are in the
# right style. Look again at the three rows. Colours and shading are those of the solid style, and so is the
# heart. But the microbe and the sweet have come apart, and the faces have forgotten whether to laugh. People
# were different: *dark* means the same for every cook. What *fluent3d* does to a bison cannot be seen from
# any other drawing, since its artists drew the bison anew, from another side. **Words compose where what
# they stand for composes.**

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Is it new?
#
# A network that handed out its training drawings would follow captions to the letter, and would have learnt
# nothing. With 2,118 drawings and a hundred looks at each, that is a real worry, and it has happened to large
# models: single training pictures came out of them, pixel by pixel (N. Carlini et al., arXiv 2301.13188). So
# look, for each picture that was made, for the training drawing that is **nearest**, by the root of the mean
# squared difference of all numbers of the picture:
#
# $$ d(x) = \min_n \sqrt{\tfrac{1}{D}\,\|x - x_n\|^2}, \qquad D = 3 \cdot 32 \cdot 32. $$
#
# How near is suspicious? A small number alone proves nothing: one zombie looks much like the next. We need
# pictures of which we *know* that they are no copies, and there are some: drawings by the same artists that
# were **held out**. They have near neighbours, too, and they say what is usual. So draw the line where only 5
# of 100 held-out drawings are nearer, their 5% quantile. If clearly more than 5 of 100 made pictures are
# below it, something is being remembered.

# %% [markdown]
# ### Exercise 7.5: Is it new?
# *difficulty 3 of 5, about 12 minutes*
#
# Write this check: the distance of each made picture to its nearest training picture, and the share of made
# pictures that are nearer than the 5% quantile of the same distances of the held-out ones. The share is
# between 0 and 1. (How the quantile is interpolated makes no difference here.)


# %% tags=["exercise", "ex-7.5"]
def copies(made, held_out, train):
    """Three sets of pictures (N, C, H, W), N differs -> the made ones' distances (N,), and a share."""

    # SOLUTION
    def nearest(x):
        distances = torch.cdist(x.flatten(1), train.flatten(1))  # (N, M), with sums under the root
        return distances.min(1).values / x[0].numel() ** 0.5

    distance = nearest(made)
    line = nearest(held_out).quantile(0.05)
    return distance, (distance < line).float().mean()
    # END SOLUTION
    # EXERCISE
    # | distance = ...  # (N,)
    # | line = ...  # below it lie 5 of 100 held-out pictures
    # | raise NotImplementedError
    # END EXERCISE


# %%
check.text.copies(copies)

# %% [markdown]
# If you are stuck: `hint("7.5", 1)`, then `hint("7.5", 2)` and `hint("7.5", 3)`.

# %%
hint("7.5", 1)

# %% [markdown]
# And the library's, `nearest` and `copies` in `evaluate_text`. We ask the network for the very captions that
# it was trained on, where it is most tempted to remember, and for the held-out ones:

# %%
drawn = data.people("train")  # 2,118
truth = data.people("held_out")  # 26, which training had not
often_told = drawn.subset(slice(0, None, 80))  # 27 captions of training
told = captions.with_style(often_told) + captions.with_style(truth)
g = torch.Generator().manual_seed(0)
*_, last = painter.sample(len(told), captions=told, steps=15, generator=g)
groups = dict(zip(("captions of training", "new combinations"), last.x.split(len(often_told)), strict=True))
near = {name: evaluate_text.nearest(x, drawn.floats) for name, x in groups.items()}
near["held-out drawings"] = evaluate_text.nearest(truth.floats, drawn.floats)
for name, x in groups.items():
    share = evaluate_text.copies(x, truth.floats, drawn.floats)
    print(f"{name:22} {share:4.0%} suspicious, median distance {near[name].distance.median():.3f}")
usual = near["held-out drawings"].distance
below = (usual < usual.quantile(0.05)).float().mean()
print(f"{'held-out drawings':22} {below:4.0%} of only 26,  median distance {usual.median():.3f}")

# %%
suspects = {name: near[name].distance.argsort()[:9] for name in groups}
viz.rows(
    {
        f"{name}{what}": x
        for name, k in suspects.items()
        for what, x in (
            ("", groups[name][k]),
            (",\nnearest in training", drawn.floats[near[name].which[k]]),
        )
    },
    scale=1.8,
    quality=60,
    alt="Four rows of nine small drawings: the made pictures nearest to a training drawing, for captions of "
    "training and for new combinations, and below each of them that training drawing.",
)

# %% [markdown]
# *The nine most suspicious pictures of each group, and below each of them the training drawing that is
# nearest to it.*

# %%
fig = viz.new_figure(6.4, 3.0)
ax = fig.subplots()
for k, (name, found) in enumerate(near.items()):
    distances = found.distance.sort().values
    share = torch.arange(1, len(distances) + 1) / len(distances)
    ax.step(distances, share, where="post", color=viz.COLOURS[(0, 2, 3)[k]], label=name)
ax.axvline(usual.quantile(0.05), color=viz.COLOURS[6], lw=0.8, ls=":")
ax.set(xlim=(0, None), ylim=(0, 1), xlabel="distance to the nearest training drawing", ylabel="share below")
ax.legend(frameon=False)
viz.figure(
    fig,
    alt="The share of pictures whose nearest training drawing is nearer than the distance on the axis: one "
    "curve for pictures made from captions of training, one for new combinations, one for held-out "
    "drawings, and a dotted line at the 5% quantile of these.",
)

# %% [markdown]
# *How many pictures have a training drawing within a given distance. Left of the dotted line it gets
# suspicious.*
#
# **It remembers where it can.** Asked for a caption of training, it draws *that* drawing, down to the
# direction of a glance. How should it be otherwise? Each caption belongs to one drawing, and training has
# shown it a hundred times. Why are only a quarter of them suspicious, then? Because the line is strict. Some
# held-out drawings have a near twin in training, the same role in another tone, and our pictures carry a
# little noise, which alone keeps them away from any drawing. What is above the line is not proven to be new.
# **And it invents where it must.** For a new combination there is no drawing to be remembered, only its
# parts: the robe and the staff of one mage, the skin of somebody else. None of them is suspicious. Both come
# from one network, with the same weights. So "does it copy?" is a question about a model *and a caption*.
#
# Be careful with the number, too. The line rests on 26 held-out drawings, so really on the second and third
# nearest of them. And a copy that is shifted by one pixel is far away by pixels; features (notebook 06,
# section 8) would find it. What helps against copies: more pictures, fewer looks at each, and no picture
# twice in the data.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
shown, unshown = data.people("train").floats, data.people("validation").floats
g = torch.Generator().manual_seed(0)
cases = {
    "A": unshown[1::2],  # 126
    "B": shown[::17] + 0.05 * torch.randn(shown[::17].shape, generator=g),
    "C": torch.rand(126, 3, 32, 32, generator=g) * 2 - 1,
}
for name, x in cases.items():
    share = evaluate_text.copies(x, unshown[::2], shown)
    middle = evaluate_text.nearest(x, shown).distance.median()
    print(f"{name}: {share:4.0%} below the line, median distance {middle:.2f}")
Quiz(
    "Three models have been checked as in exercise 7.5, with about 126 pictures of each. Above: the share "
    "that is nearer than the 5% quantile of held-out drawings, and the median distance to the nearest "
    "training drawing. What follows? Tick all.",
    [
        (
            "B hands out training drawings, hardly changed.",
            True,
            "All of its pictures are nearer than nearly all true new drawings. (We made it so: training "
            "drawings with a little noise.)",
        ),
        (
            "A copies no more than an artist does who has never seen the training set.",
            True,
            "Its share is about that of held-out drawings, which cannot be copies. (They are indeed "
            "drawings that training did not have.)",
        ),
        (
            "C is the best model: none of its pictures is suspicious.",
            False,
            "The check asks one thing only. C makes pure noise, which is nobody's copy, and nobody's drawing "
            "either: its distance is far larger than that of true drawings. Ask for quality, too.",
        ),
        (
            "It is proven that A never copies.",
            False,
            "126 pictures show that copying is not the rule. One caption in a thousand could still bring a "
            "training drawing back; look for it with the captions that stood in the data most often.",
        ),
        (
            "A distance of 0.1 is a copy, whatever the data.",
            False,
            "Plain drawings lie near each other, photographs far apart. How near is near, only held-out "
            "pictures of the same kind can say.",
        ),
    ],
    id="7.Q3",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Which bug is this?
#
# Two bugs that raise no error and make pictures. Both were made with the networks of this notebook, just now.

# %% [markdown]
# ### Which bug is this? The first
#
# A colleague wants the things of section 7 and has written the way from noise to pictures again, step by
# step. Below, the library's pictures and the colleague's: the same network, the same captions, the same
# noise. (The cells are folded: answer first.)


# %% tags=["hide-input"] jupyter={"source_hidden": true}
artist = zoo.load("ldm_emoji")
dark_things = ["black heart", "penguin", "zebra", "grapes", "bison", "tomato"]
*_, last = artist.latents(
    6,
    captions=[f"noto {thing}" for thing in dark_things],
    steps=15,
    generator=torch.Generator().manual_seed(1),
)
end_of_path = last.x  # (6, 4, 16, 16): what diffusion makes


@torch.no_grad()
def colleague_decodes(z):
    """Latents of the diffusion model -> pictures. A line of it is wrong."""
    return artist.autoencoder.decode(z)


faded = {"library": artist.decode(end_of_path), "colleague": colleague_decodes(end_of_path)}
for name, x in faded.items():
    darkest = x.mean(1).flatten().quantile(0.01)
    print(f"{name:10} the darkest of 100 pixels {darkest:+.2f} (black is -1), all colours {x.std():.2f} wide")
seen = viz.rows(faded, scale=1.4, quality=70, alt="")
Quiz(
    "The same things at the same places, but what was black is grey now, and all colours are weaker. Which "
    "bug is this?",
    [
        (
            "The latents are decoded as diffusion made them: nobody has multiplied them by the scale.",
            True,
            "Diffusion lives in a world of size 1. The decoder has learnt latents of the encoder's size, "
            "here larger, so what it is shown is the same drawing, whispered. It does its best: the same "
            "shapes, everything nearer to the middle.",
        ),
        (
            "Guidance is too weak.",
            False,
            "Less guidance makes other pictures, less like their captions. Here each thing is the same, down "
            "to its outline. What differs comes after the last step.",
        ),
        (
            "Too few steps.",
            False,
            "Both rows come from one run of the sampler, the very same latents. And too few steps make "
            "pictures soft, not pale.",
        ),
        (
            "The pictures were brought to [0, 1] already, and are shown as if they were still in [-1, 1].",
            False,
            "A good thought, for that makes everything paler, too. But then black is 0, the middle grey, and "
            "nothing is darker; the darkest pixels above clearly are.",
        ),
        (
            "The autoencoder was not trained for long enough.",
            False,
            "It is the same autoencoder in both rows.",
        ),
    ],
    id="7.B1",
    image=seen.png,
    alt="Two rows of the same six things: a black heart, a penguin, a zebra, grapes, a bison and a "
    "tomato. Above black is black and colours are full; below black is grey, and all colours are "
    "weaker.",
)

# %% [markdown]
# Repair it: change the one line until the cell says 0.


# %%
@torch.no_grad()
def repaired_decodes(z):
    """The colleague's line: repair it."""
    return artist.autoencoder.decode(z)


off = (repaired_decodes(end_of_path) - faded["library"]).abs().mean()
print(f"mean difference from the library's pictures: {off:.3f}" + (", repaired!" if off < 1e-4 else ""))

# %% [markdown]
# The same latents in four sizes, from a third of what they should be to twice as large:

# %%
s = artist.scale
with torch.no_grad():
    shown = {f"times {f:.2f}": artist.autoencoder.decode(f * end_of_path) for f in (s / 3, 1, s, 2 * s)}
viz.rows(
    shown,
    scale=1.1,
    quality=60,
    alt="Four rows of the same six things. At a third of the right size they are washed out, at size 1 a "
    "little pale, with the right scale black is black, and at twice the scale colours are loud and edges "
    "hard.",
)

# %% [markdown]
# **The nearer the scale is to 1, the longer this bug lives.** With an autoencoder whose latents happen to
# have a spread of 1.05 nobody would notice. And it has a twin: forget the scale in *training*, too, and no
# picture is pale, for diffusion learns latents as they come, and the decoder gets what it knows. What suffers
# is the noise schedule (section 3): training is just a little worse than it could be, and no picture tells
# why.

# %% [markdown]
# ### Which bug is this? The second
#
# Another colleague has written guidance for the network of the first picture. Below, what was asked for, and
# what came out, at guidance 2.


# %% tags=["hide-input"] jupyter={"source_hidden": true}
people_asked = [
    "noto woman cook: dark skin tone",
    "twemoji man firefighter: light skin tone",
    "noto man astronaut: medium skin tone",
    "twemoji woman judge: dark skin tone",
    "noto person farmer: light skin tone",
]
painter = zoo.load("t2i_people")
tokens, silence = painter.encode(people_asked), painter.encode([""] * 5)
noise_of_people = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def second_colleague(told, untold, guidance):
    """The guided noise, out of what the network says with and without the caption. It is wrong."""
    return told + guidance * (untold - told)


@torch.no_grad()
def drawn_with(mix, guidance=2.0, steps=12):
    """From noise to pictures, where `mix` makes one answer out of two."""

    def eps(x, t):
        told, untold = painter.eps(x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([tokens, silence])).chunk(2)
        return mix(told, untold, guidance)

    *_, last = samplers.ddim(eps, noise_of_people, painter.alpha_bar, steps=steps)
    return last.x


strange = {"library": drawn_with(guide), "colleague": drawn_with(second_colleague)}
seen = viz.rows(strange, scale=2, quality=70, alt="")
Quiz(
    "Asked for, from left to right: " + "; ".join(people_asked) + ". Which bug is this?",
    [
        (
            "Told and untold are exchanged: each step walks away from the caption.",
            True,
            "At guidance 2 the colleague's answer is 2 untold - told, that is untold - (told - untold): "
            "guidance -1, as far from the empty caption as told itself, in the opposite direction. What "
            "the caption would make dark becomes light. A white hat becomes black: these are pictures of "
            "*anything but* what was asked.",
        ),
        (
            "Guidance is too strong.",
            False,
            "Then contrasts would be too stark as well, but a cook would be a cook, with a white hat and "
            "dark skin, and overdone. Here the colours are the opposite ones.",
        ),
        (
            "The pictures are shown as negatives, -x for x.",
            False,
            "Some look like it. But in a negative the white paper is black, in all of them, and shapes stay "
            "where they are.",
        ),
        (
            "The words have wrong numbers, each that of its neighbour in the list.",
            False,
            "Then they would be neat drawings of other people: the network draws any of its words well.",
        ),
        (
            "Padding is not hidden in attention.",
            False,
            "A good suspect, and it makes no people at all: see below.",
        ),
        (
            "The network was not trained for long enough.",
            False,
            "The upper row is the same network.",
        ),
    ],
    id="7.B2",
    image=seen.png,
    alt="Two rows of five small drawings. Above, a dark-skinned cook with a white hat, a firefighter with a "
    "red helmet, an astronaut, a judge and a farmer. Below, in their places, torn shapes in black, white and "
    "glaring colours: in the place of the cook a white face under a black hat.",
)

# %% [markdown]
# What does this bug look like at other strengths of guidance? And what *would* come out if the network
# listened to the padding?


# %%
@torch.no_grad()
def eps_unmasked(x, t):
    """The noise by a network that takes the padding for words."""
    vectors, mask = painter.words_net(tokens)
    v = painter.net(x, t, words=vectors, mask=torch.ones_like(mask))
    return eps_from_v(x, v, painter.alpha_bar[t])


*_, last = samplers.ddim(eps_unmasked, noise_of_people, painter.alpha_bar, steps=12)
viz.rows(
    {
        **{f"exchanged, guidance {g}": drawn_with(second_colleague, g) for g in (0, 1, 2)},
        "padding not hidden,\nguidance 1": last.x,
    },
    scale=1.8,
    quality=60,
    alt="Four rows of five. Told and untold exchanged: at guidance 0 all five are as asked, at guidance 1 "
    "they are blurred people, not those of the captions, at guidance 2 they are torn shapes in glaring "
    "colours. In the last row, with the padding not hidden, there is coloured noise only.",
)

# %% [markdown]
# **Read the exchanged formula once more**: $\text{told} + g\,(\text{untold} - \text{told})$. With $g = 0$ it
# is told, and all is well. With $g = 1$ it is untold: people whom nobody asked for. Whoever tries the code
# out with $g = 1$ will believe that the network cannot read, and train it for another night. So test the two
# ends of a formula, where you know what has to come out: guidance 0 must not depend on the caption, guidance
# 1 must be told.
#
# The last row is another kind of wrong. Token 0 has a vector, too, but training never let anybody look at it,
# so it is as random as on the first day. A network that listens to seven random vectors hears
# nothing else. (Had the mask been forgotten in training as well, the network would have learnt to live with
# it.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. What to take along
#
# | | VQ-VAE | KL autoencoder | diffusion in pixels | diffusion in a latent |
# | --- | --- | --- | --- | --- |
# | code | words out of a list | a map of numbers | as large as the picture | a map of numbers |
# | good for | models of sequences, storing | diffusion | small pictures, repairs | large pictures |
# | trained by | reconstruction, codebook | reconstruction, a little KL | regression | both, in turn |
# | loses | what the list has no word for | the finest detail | nothing | what its autoencoder loses |
#
# **Advantages.** Captions compose: parts that were learnt in different pictures meet in a new one. A latent
# makes large pictures affordable, and one autoencoder serves many models. **Disadvantages.** What the
# autoencoder loses, no diffusion brings back. The network knows the words of its captions and no more, and
# whatever prejudice is in them: who is drawn when nobody asks for a gender or a tone?
#
# **When to use it.** A latent from about 64 x 64 on; below, pixels are simpler. Words when a class is not
# enough, and when there are captions to learn from.
#
# **Left out.** Text encoders that were trained elsewhere (CLIP, T5), on which large systems rest; a
# perceptual and an adversarial loss for the autoencoder (arXiv 2012.09841); transformers in place of the
# U-Net (arXiv 2212.09748); networks that enlarge in steps (arXiv 2204.06125, 2205.11487).
#
# **Further reading.** VQ-VAE: van den Oord, Vinyals, Kavukcuoglu, arXiv 1711.00937. Latent diffusion:
# Rombach et al., arXiv 2112.10752. GLIDE: Nichol et al., arXiv 2112.10741. Attention: Vaswani et al., arXiv
# 1706.03762. Training data that came out again: Carlini et al., arXiv 2301.13188.
#
# **Next.** Diffusion has many relatives: in continuous time, with words in place of numbers, one pixel after
# another. Notebook 08 has a small example of each.
