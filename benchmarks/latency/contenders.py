"""What widget_latency.py compares: cells of a notebook, and where the keys go in each.

Adding a widget is one line in WIDGETS.
"""

from typing import NamedTuple

SETUP = """
import time
import ipywidgets, matplotlib.pyplot as plt, numpy as np, torch
from torch import nn
from course_lib import schedules
from course_lib.method import Step
from course_lib.nn.unet import UNet
from course_lib.widgets import *
from course_lib.widgets.film import Frame
%matplotlib inline
torch.manual_seed(1)
torch.set_num_threads(1)

class Decoder(nn.Module):
    "Latent points (B, d) -> images (B, 1, 28, 28); random weights, made large so that every step is seen."
    def __init__(self, d):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(d, 64 * 49), nn.Unflatten(1, (64, 7, 7)), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh())
        with torch.no_grad():
            for weight in self.parameters():
                weight.mul_(2.2)
    def forward(self, z):
        return self.net(z)

decode, decode8 = Decoder(2).eval(), Decoder(8).eval()
def slow(z):
    "A model that takes 50 ms for a point."
    time.sleep(0.05 if len(z) == 1 else 0)
    return decode(z)
with torch.no_grad():
    way = decode(torch.stack([torch.linspace(-2, 2, 64), torch.full((64,), 0.5)], dim=1))
    other = decode(torch.stack([torch.linspace(-2, 2, 64), torch.full((64,), -0.5)], dim=1))
noise = torch.randn(64, 1, 28, 28)
share = torch.linspace(0, 1, 64)[:, None, None, None]
steps = [Step(i, 63, (share[i] * way[:4] + (1 - share[i]) * noise[:4]), way[i : i + 1].expand(4, -1, -1, -1)) for i in range(64)]
network = UNet(classes=10).eval()
alpha_bar = schedules.alpha_bars(schedules.linear_betas())
def drift(points):
    x = torch.zeros(200, 2)
    for step in range(1, 500):
        x = x + 0.05 * (points[:200] - x)
        yield PlayFrame(step, x, torch.sigmoid(4 * (field_points(24) - x[0]).sum(1)).reshape(24, 24), None, {"loss": 1 / step})
def picture(x=-1.5, y=0.5):
    with torch.no_grad():
        image = decode(torch.tensor([[x, y]]))[0, 0]
    plt.imshow(image, cmap="gray", vmin=-1, vmax=1)
    plt.axis("off")
    plt.show()
"""  # noqa: E501


class Contender(NamedTuple):
    """One row of the table."""

    name: str
    cell: str  # shows the widget
    keys: str  # a CSS selector in the cell's output: what has the focus
    turn: int = 45  # so many steps to the right, then as many to the left: a range that the widget has


INTERACT = Contender(
    "interact + matplotlib",
    "ipywidgets.interact(picture, x=(-3.0, 3.0, 0.06), y=ipywidgets.fixed(0.5));",
    ".noUi-handle",
)
WIDGETS = [
    Contender("LatentPlane", "LatentPlane(decode)", ".cw-plane"),
    Contender("Interpolation", "Interpolation(decode, torch.tensor([[-2.0, 1], [2, -1]]))", ".cw-track"),
    Contender("Interpolation, 4", "Interpolation(decode, 2 * torch.randn(4, 2))", ".cw-pad", 20),
    Contender("Denoiser", "Denoiser(steps)", ".cw-scrub", 5),
    Contender(
        "TrainingFilm",
        "TrainingFilm([Frame(i, way[i : i + 8], {'loss': 1 / (i + 1)}) for i in range(56)])",
        ".cw-scrub",
        10,
    ),
    Contender("Compare", "Compare({'one': way[::8], 'two': other[::8]}, truth=way[1::8])", ".cw-pick", 7),
    Contender("Translate", "Translate(way[::8], other[::8], way[1::8])", ".cw-divider"),
    Contender("LatentSliders", "LatentSliders(decode8, 8)", "input[type=range]"),
]
LIVE = Contender("LatentPlane, live", "LatentPlane(decode, live=True)", ".cw-plane")
SLOW = Contender("LatentPlane, live, 50 ms", "LatentPlane(slow, live=True)", ".cw-plane")
SAMPLER = Contender(
    "LiveDenoiser", "LiveDenoiser(network, alpha_bar, names=[str(i) for i in range(10)], null=10)", "button"
)
QUIZ = "Quiz('Which?', [('this', True, 'yes'), ('that', False, 'no')], id='1.Q1')"
PLAYGROUND = "Playground2D(drift, points='moons')"

# The notebook whose size and opening are measured: ten widgets.
TEN = [row.cell for row in WIDGETS if row.name != "Interpolation, 4"] + [SAMPLER.cell, PLAYGROUND, QUIZ]
