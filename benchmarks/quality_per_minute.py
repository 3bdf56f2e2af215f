"""How good are the pictures after two and a half minutes of training? Measured, never asserted.

Every row trains for the same time on two cores, from the same 18,000 pictures of Fashion-MNIST, without
classes, in batches of 64. Then 1,000 samples are drawn in 30 steps of `samplers.ddim`, the same for all, and
compared with the 10,000 test pictures by the course's Fréchet distance (lower is better). Two networks, each
trained in two ways:
- the network: ours, or `UNet2DModel` of the diffusers library in the size that the first unit of the
  diffusers course gives it for such pictures (32/64/64, two layers a block, attention in the two lower
  levels);
- plainly: the loss and the linear schedule of DDPM, AdamW with 1e-3, nothing else, as in that unit;
- our way: `methods.ddpm` in `fit`, that is v-prediction on the cosine schedule, a learning rate of 2e-3 that
  warms up and falls to 0, a moving average of the weights, clipped gradients.
So the first row is a plain diffusers loop, the last is ours, and those between say what each choice is worth.
diffusers is no part of the course: pip install diffusers.

    python benchmarks/quality_per_minute.py [--seconds 150] [--samples 1000] [--steps 30] [--threads 2]
"""

import argparse
import os
import platform
import signal
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from course_lib import data, samplers, zoo
from course_lib.fit import batch_indices, fit, warmup_cosine
from course_lib.methods.ddpm import DDPM
from course_lib.metrics import embed, frechet_distance
from course_lib.nn.unet import UNet
from course_lib.schedules import add_noise, alpha_bars, linear_betas

BATCH = 64
ENDLESS = 10**9  # steps: the clock ends the training
SHARE = 0.1  # of the training that the moving average reaches back


class Theirs(nn.Module):
    """diffusers' network, called as ours is."""

    def __init__(self):
        from diffusers import UNet2DModel

        super().__init__()
        self.net = UNet2DModel(
            sample_size=28, in_channels=1, out_channels=1, layers_per_block=2,
            block_out_channels=(32, 64, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip

    def forward(self, x, t, y=None):
        return self.net(x, t).sample


def plainly(net, pictures, seconds):
    """Train as in the diffusers course. Gives `eps`, its alpha_bar, and how many pictures were seen."""
    table = alpha_bars(linear_betas()).float()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
    seen, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        x0 = pictures[batch_indices(len(pictures), seed=0, start=seen, count=BATCH)]
        t, noise = torch.randint(1, len(table), (BATCH,)), torch.randn_like(x0)
        loss = F.mse_loss(net(add_noise(x0, noise, table[t]), t), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += BATCH
    return net.eval(), table, seen


def our_way(net, pictures, seconds):
    """Train with our method and our loop, around any network. Gives the same."""
    method = DDPM()
    method.net = net
    steps = seconds / seconds_a_step(method, pictures)
    course, began = warmup_cosine(1000), time.monotonic()  # a run of 1000 parts, 50 of them to warm up

    def rate(step):
        return course(int(1000 * (time.monotonic() - began) / seconds))

    def stop(step, logs):
        if time.monotonic() - began >= seconds:
            signal.raise_signal(signal.SIGINT)  # fit's stop button: it ends after this step

    average = max(0.0, 1 - 1 / (SHARE * steps))
    run = fit(
        method, pictures, steps=ENDLESS, batch=BATCH, lr=rate, ema=average, clip=1.0, device="cpu",
        hooks=(stop,), progress=False,
    )  # fmt: skip
    return run.model.eps, run.model.alpha_bar, run.samples


def seconds_a_step(method, pictures, steps=4):
    """Roughly, on weights that are put back: how far a moving average should reach depends on it."""
    kept = {name: value.clone() for name, value in method.state_dict().items()}
    run = fit(method, pictures, steps=steps, batch=BATCH, device="cpu", progress=False)
    method.load_state_dict(kept)
    return run.seconds / steps


@torch.no_grad()
def samples(eps, table, count, steps):
    generator, made = torch.Generator().manual_seed(0), []
    for start in range(0, count, 250):
        x = torch.randn(min(250, count - start), 1, 28, 28, generator=generator)
        *_, last = samplers.ddim(eps, x, table, steps=steps)
        made.append(last.x)
    return torch.cat(made)


def main(options):
    try:
        import diffusers
    except ImportError:
        print("Nothing was measured: pip install diffusers first.")
        return
    torch.set_num_threads(options.threads)
    pictures, held = data.fashion("train").floats, data.fashion("test").floats
    features = zoo.load("fashion_features")
    floor = frechet_distance(held, pictures[: options.samples], features)
    with torch.no_grad():
        total = embed(features, held).var(0).sum().item()
    rows = {
        "diffusers' network, plainly": (Theirs, plainly),
        "diffusers' network, our way": (Theirs, our_way),
        "our network, plainly": (UNet, plainly),
        "our network, our way": (UNet, our_way),
    }
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads used,", end=" ")
    print(f"diffusers {diffusers.__version__}. {options.seconds:g} s of training,")
    print(f"Fréchet distance of {options.samples:,} samples in {options.steps} steps. Of as many training")
    print(f"pictures it is {floor:.2f}; the test features' total variance is {total:.1f}.\n")
    print(f"{'':30}{'weights':>11}{'images seen':>13}{'distance':>10}{'load':>7}")
    for name, (build, train) in rows.items():
        torch.manual_seed(0)
        net = build()
        weights = sum(p.numel() for p in net.parameters())
        eps, table, seen = train(net, pictures, options.seconds)
        load = os.getloadavg()[0]
        print(f"{name}: trained, now sampling", file=sys.stderr, flush=True)
        distance = frechet_distance(held, samples(eps, table, options.samples, options.steps), features)
        print(f"{name:30}{weights:11,}{seen:13,}{distance:10.2f}{load:7.1f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=150.0, help="of training, for each row")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=30, help="of the sampler")
    parser.add_argument("--threads", type=int, default=2)
    main(parser.parse_args())
