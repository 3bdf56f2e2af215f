"""How many pictures a second does our U-Net learn from, beside two others? Measured, never asserted.

The others are `UNet2DModel` of the diffusers library and `Unet` of denoising_diffusion_pytorch, which are no
part of the course: pip install diffusers denoising_diffusion_pytorch. All learn from the same pictures in the
same loop (noise, one prediction, backward, AdamW), in fp32, each in both layouts of memory:
- like for like: the same widths, residual blocks at each size and attention (between the positions of the
  smallest size), all behind the same 2x2 fold, for which the others are made with four channels at half the
  size. Their shapes have blocks that ours has not; so the table says how much each computes, and diffusers
  stands there a second time with one layer a block, which is nearest to our number of blocks;
- each at its own: our default beside what their authors teach for such pictures (the first unit of the
  diffusers course; the README of denoising_diffusion_pytorch, on pictures padded to 32 x 32, as it cannot
  take 28), and beside the second with the first one's widths.
Rounds go through all contenders in turn, so that a busy moment of the machine hits them alike.

    python benchmarks/unet_training.py [--batch 64] [--rounds 5] [--steps 2] [--threads 2] [--compile]
"""

import argparse
import os
import platform
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from course_lib.nn.unet import UNet
from course_lib.schedules import add_noise, alpha_bars, linear_betas

SIZE = 28
WIDTHS, BLOCKS, HEADS, GROUPS = (32, 64), 2, 4, 8  # of our default
OURS, HF, LUCID = "ours", "diffusers", "denoising_diffusion_pytorch"


class Sample(nn.Module):
    """diffusers' network, which answers with a record."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t):
        return self.net(x, t).sample


class Folded(nn.Module):
    """A network that sees pictures as ours does: four channels at half the size."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t):
        return F.pixel_shuffle(self.net(F.pixel_unshuffle(x, 2), t), 2)


class Padded(nn.Module):
    """A network that takes multiples of 8 only."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x, t):
        return self.net(F.pad(x, (2, 2, 2, 2), value=-1.0), t)[..., 2:-2, 2:-2]


def like_for_like():
    from denoising_diffusion_pytorch import Unet

    return {
        OURS: UNet(1, WIDTHS, BLOCKS),
        HF: Folded(same_as_ours(BLOCKS)),
        f"{HF}, 1 layer a block": Folded(same_as_ours(1)),
        LUCID: Folded(
            Unet(WIDTHS[0], dim_mults=(1, 2), channels=4, attn_heads=HEADS, attn_dim_head=WIDTHS[-1] // HEADS)
        ),
    }


def same_as_ours(layers):
    from diffusers import UNet2DModel

    return Sample(
        UNet2DModel(
            sample_size=SIZE // 2, in_channels=4, out_channels=4, layers_per_block=layers,
            block_out_channels=WIDTHS, down_block_types=("DownBlock2D",) * 2,
            up_block_types=("UpBlock2D",) * 2, attention_head_dim=WIDTHS[-1] // HEADS,
            norm_num_groups=GROUPS, resnet_time_scale_shift="scale_shift",
        )
    )  # fmt: skip


def each_at_its_own():
    from denoising_diffusion_pytorch import Unet

    return {
        OURS: UNet(1),
        HF: Sample(of_the_diffusers_course()),
        f"{LUCID}, README": Padded(Unet(64, dim_mults=(1, 2, 4, 8), channels=1)),
        f"{LUCID}, 32/64/64": Unet(32, dim_mults=(1, 2, 2), channels=1),
    }


def of_the_diffusers_course():
    """For 28 x 28 grey pictures; all else at its defaults."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=SIZE, in_channels=1, out_channels=1, layers_per_block=2, block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip


class Contender:
    """A network in training."""

    def __init__(self, net, channels_last, compiled):
        if channels_last:
            net.to(memory_format=torch.channels_last)
        self.net = net.train()
        self.run = torch.compile(net) if compiled else net
        self.optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
        self.table = alpha_bars(linear_betas()).float()

    def step(self, x0):
        t = torch.randint(1, 1001, (len(x0),))
        eps = torch.randn_like(x0)
        loss = F.mse_loss(self.run(add_noise(x0, eps, self.table[t]), t), eps)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @property
    def parameters(self):
        return sum(p.numel() for p in self.net.parameters())

    @property
    def work(self):
        """Multiplications of one picture on its way through, in millions."""
        counter = FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            self.net(torch.zeros(1, 1, SIZE, SIZE), torch.ones(1, dtype=torch.int64))
        return counter.get_total_flops() / 2e6


def in_both_layouts(build, compiled):
    """Contenders by name, the plain layout first."""
    made = {}
    for last, kind in ((False, ""), (True, "; channels last")):
        torch.manual_seed(0)
        made.update({name + kind: Contender(net, last, compiled) for name, net in build().items()})
    return made


def measure(contenders, x0, rounds, steps):
    """Seconds of each step, by contender."""
    for contender in contenders.values():
        contender.step(x0)  # not measured: memory is reserved, code compiled
    found = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, contender in contenders.items():
            for _ in range(steps):
                began = time.perf_counter()
                contender.step(x0)
                found[name].append(time.perf_counter() - began)
        print(f"round {turn + 1} of {rounds}: load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def print_table(title, contenders, found, batch):
    speed = {name: batch / statistics.median(times) for name, times in found.items()}
    print(f"\n{title}")
    print(f"{'':52}{'weights':>11}{'M mult.':>9}{'images/s':>10}{'G mult./s':>11}{'ours / this':>13}")
    for name, contender in contenders.items():
        ours = speed[OURS + name[name.find(";") :] if ";" in name else OURS]  # in the same layout
        row = f"{name:52}{contender.parameters:11,}{contender.work:9.0f}{speed[name]:10.1f}"
        print(f"{row}{contender.work * speed[name] / 1000:11.1f}{ours / speed[name]:13.2f}")
    best = {}
    for name, value in speed.items():
        plain = name.split(";")[0]
        best[plain] = max(value, best.get(plain, 0.0))
    others = [f"{best[OURS] / value:.2f} times {name}" for name, value in best.items() if name != OURS]
    print(f"Each in its faster layout: ours {best[OURS]:.1f} images/s, {', '.join(others)}.")


def main(options):
    try:
        import denoising_diffusion_pytorch  # noqa: F401
        import diffusers
    except ImportError:
        print("Nothing was measured: pip install diffusers denoising_diffusion_pytorch first.")
        return
    torch.set_num_threads(options.threads)
    x0 = torch.rand(options.batch, 1, SIZE, SIZE) * 2 - 1
    sets = {
        "Like for like: widths 32/64 behind a 2x2 fold, 2 blocks, attention at 7 x 7": like_for_like,
        "Each at its own: what one gets without thinking about it": each_at_its_own,
    }
    before = os.getloadavg()[0]
    made = {title: in_both_layouts(build, options.compile) for title, build in sets.items()}
    everybody = {(title, name): c for title, set_ in made.items() for name, c in set_.items()}
    found = measure(everybody, x0, options.rounds, options.steps)

    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads used,")
    print(f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after (1 is one busy core).")
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}. Pictures {SIZE} x {SIZE}, batch")
    print(f"{options.batch}, fp32{', compiled' if options.compile else ''}; medians of", end=" ")
    print(f"{options.rounds * options.steps} steps. Ratios above 1: ours is faster.")
    for title, contenders in made.items():
        print_table(title, contenders, {name: found[title, name] for name in contenders}, options.batch)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="measured steps of each contender in a round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="use torch.compile; needs a C++ compiler")
    main(parser.parse_args())
