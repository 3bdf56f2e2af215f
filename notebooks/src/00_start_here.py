# %% [markdown] slideshow={"slide_type": "slide"}
# # Start here
#
# A model has seen many pictures, and now makes new ones: that is **generative modelling**. This course
# takes you from the simplest such model to text-to-image diffusion. You read an idea, then its equation,
# then the code that *is* the equation; you train it, play with it, break it on purpose and repair it.
#
# Everything runs on your own machine, on real data, without the internet. A GPU is used where there is one,
# and nothing needs it.
#
# **After this notebook you can**
# 1. tell whether your installation is complete,
# 2. move through a space of pictures with a widget,
# 3. solve an exercise, have it checked, and ask for a hint.
#
# You need Python, a little PyTorch (what a tensor is), and 10 to 15 minutes; running it all takes some
# seconds.
#
# To run a cell, click into it and press **Shift + Enter**. Go through the cells from top to bottom.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Is everything here?
#
# This cell says which versions you have, what your computer calculates on, and whether every data file is
# exactly the one that we published.

# %%
import platform
from importlib.metadata import version

import torch

from course_lib import check, data
from course_lib.check import hint
from course_lib.widgets import LatentPlane, Quiz

packages = ("torch", "jupyterlab", "anywidget")
print("Python", platform.python_version(), *(f"· {name} {version(name)}" for name in packages))
if torch.cuda.is_available():
    print("Networks will run on your GPU:", torch.cuda.get_device_name())
elif torch.backends.mps.is_available():
    print("Networks will run on the graphics cores of your Mac.")
else:
    print("Networks will run on your CPU. That is fine: every notebook is made for it.")

files = data.verify()
for _, healthy, sentence in files:
    if not healthy:
        print("PROBLEM:", sentence)
print(sum(healthy for _, healthy, _ in files), "of", len(files), "data files are as they should be.")

# %% [markdown]
# If a line begins with PROBLEM, it also says what to do. In a terminal, `course info` tells you more.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. A space of pictures
#
# Some ideas are better seen than read. Below are 2,000 pictures of clothes from the data set
# [Fashion-MNIST](https://github.com/zalandoresearch/fashion-mnist), squeezed into a plane: each dot is one
# picture, and its colour says what it shows. Every *place* in the plane, dot or not, stands for a picture.
#
# **Drag the point over the plane** (or click the plane and use the arrow keys). Notice how the picture
# changes *gradually*: between a shoe and a pullover lies a whole family of things that nobody ever
# photographed.

# %% tags=["widget"]
clothes = data.fashion("validation")
pixels = clothes.floats.flatten(1)  # (2000, 784): one row for each picture of 28 x 28 pixels
mean = pixels.mean(dim=0)
_, directions = torch.linalg.eigh(torch.cov(pixels.T))
axes = directions[:, [-1, -2]]  # (784, 2): the two directions in which the pictures differ most


def picture_at(z):
    """Places in the plane, (B, 2) -> pictures, (B, 1, 28, 28)."""
    return (mean + z @ axes.T).clamp(-1, 1).view(-1, 1, 28, 28)


LatentPlane(
    picture_at,
    points=(pixels - mean) @ axes,
    labels=clothes.y,
    names=clothes.names,
    title="Clothes in a plane",
    alt="A plane with 2,000 dots, one for each picture of a piece of clothing, coloured by kind. "
    "Shoes, pullovers with coats, and trousers with dresses lie in three different regions.",
)

# %% [markdown]
# The pictures look like double exposures: two numbers, and a plane that is *flat*, are too little for
# clothes. In notebook 01 a neural network bends the plane, and the pictures become sharp.
#
# Widgets go on working when you open a saved notebook without running it, and also on the course's web
# page.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
Quiz(
    "Find a place far from all dots where the picture looks like no piece of clothing. How can "
    "there be such places?",
    [
        (
            "Rounding errors have damaged those pictures.",
            False,
            "Floats are exact to about seven digits here; such errors would be invisible.",
        ),
        (
            "Every place gives a picture, but the plane was laid out for pictures near the dots.",
            True,
            "What is far from all data is not wrong, it is *unknown*. To make new pictures one must "
            "know where to look: this course comes back to that question again and again.",
        ),
        (
            "More training steps would have made them look like clothes.",
            False,
            "This plane needed no training steps: the two directions were computed exactly.",
        ),
    ],
    id="0.Q1",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. An exercise, a check, a hint
#
# Files store grey values as whole numbers from 0 (black) to 255 (white). Networks learn best from numbers
# around zero, so inside this course **every picture goes from -1 to 1**. Your first exercise is that
# conversion.
#
# ### Exercise 0.1: Pixels from -1 to 1
# *difficulty 1 of 5, about 4 minutes*
#
# Complete `to_signed`. Black must become exactly -1, white exactly 1, and the steps between stay equally
# large. The picture that is handed in must not change.


# %% tags=["exercise", "ex-0.1"]
def to_signed(pixels):
    """Whole numbers 0 to 255 (uint8) -> floats from -1 (black) to 1 (white), of the same shape."""
    # SOLUTION
    return pixels / 127.5 - 1
    # END SOLUTION
    # EXERCISE
    # | raise NotImplementedError  # replace this line by your code
    # END EXERCISE


# %% [markdown]
# Run the cell above when you have changed it, then this one. The check tries your function on new random
# pixels each time. If something is wrong, it says what your mistake probably is.

# %%
check.start.to_signed(to_signed)

# %% [markdown]
# Stuck? Every exercise has hints, from a nudge to nearly the solution. Ask for one at a time:

# %%
hint("0.1", 1)

# %% [markdown]
# Now look at a check that fails. This answer is a frequent one; `seed=3` only makes it meet the same pixels
# each time.

# %%
check.start.to_signed(lambda pixels: pixels / 255, seed=3)

# %% [markdown]
# Three things to know:
#
# - Leave an exercise out if you like. **Later cells never need your answer**; they use the course's own
#   version, here `course_lib.data.to_floats`.
# - All solutions are in the notebook of the same name in the folder `solutions`. Try a hint first: an
#   answer that you found stays longer than one that you read.
# - If you got lost, choose *Kernel → Restart Kernel and Run All Cells*. Unsolved exercises don't get in the
#   way.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Where things are
#
# | | |
# | --- | --- |
# | `notebooks/` | the course; each notebook is one sitting of 60 to 110 minutes |
# | `notebooks/solutions/` | the same notebooks with every exercise solved |
# | `course_lib/` | the models and the training loop, one short file for each paper: made to be read |
# | `data/` | the data sets and trained models, with their sources and licences |
#
# The road through the course. A notebook without a link is still to come.
#
# | | notebook | its question |
# | --- | --- | --- |
# | 01 | [Autoencoders](01_autoencoders.ipynb) | How few numbers does a picture need? |
# | 02 | [Variational autoencoders](02_variational_autoencoders.ipynb) | Where do we look for new pictures? |
# | 03 | [Generative adversarial networks](03_gans.ipynb) | Can two networks teach each other by deceit? |
# | 04 | The GAN zoo | Which small changes made such pictures sharp and controllable? |
# | 05 | [From image to image](05_image_to_image.ipynb) | Can a drawing become a picture, a map a photo? |
# | 06 | [Diffusion](06_diffusion.ipynb) | What if a network only ever learns to remove a little noise? |
# | 07 | [Latent diffusion](07_latent_and_text_to_image.ipynb) | How do words steer a picture? |
# | 08 | Families of diffusion | What else can flow from noise to data? |
# | 09 | Autoregressive models | What if we predict one pixel after the other? |
# | 10 | Flows | Can we bend a plane so that nothing is lost? |
# | 11 | Energy-based models | What does "unlikely" look like as a landscape? |
# | 12 | Beyond images | Does it all work for shapes and sequences? |
# | 13 | The showdown | Which family for which task? |
#
# ## 5. Before you go on
#
# Go back to the plane and put the point *between* the shoes and the pullovers. Two numbers describe every
# place, 784 describe every picture. **How few numbers does a picture of a shoe really need, and who finds
# them?** That is where notebook 01 begins.
