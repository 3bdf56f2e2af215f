"""How long is one training step of CycleGAN, beside that of its authors' code? Measured, never asserted.

Theirs is github.com/junyanz/pytorch-CycleGAN-and-pix2pix, from a checkout that you name; ours is
`course_lib.methods.cyclegan` inside `fit`, with all that `fit` does around a step. Two comparisons, in one
precision (fp32), on the same pictures, with the same batch and threads:
- like for like: copies of the networks that they build, their weights of the losses, their pool. That both
  do the same is measured too: how far the weights are apart after a few steps;
- each at its own: our defaults against theirs, with networks of as many parameters.
Rounds go through all contenders in turn, so that a busy moment of the machine hits them alike.

    python benchmarks/cyclegan_step.py FOLDER [--size 64] [--batch 8] [--rounds 7] [--threads 2]
"""

import argparse
import io
import os
import platform
import statistics
import sys
import time
from argparse import Namespace
from contextlib import redirect_stdout
from copy import deepcopy

import torch

from course_lib.fit import fit
from course_lib.methods.cyclegan import CycleGAN

SAME = 5  # steps after which weights are compared: no pool of 50 is full by then, so no coin is tossed
THEIRS = Namespace(  # the defaults of their options/*.py, but for the networks
    isTrain=True, gpu_ids=[], device=torch.device("cpu"), checkpoints_dir="", name="", preprocess="none",
    input_nc=3, output_nc=3, netG="resnet_6blocks", netD="basic", n_layers_D=3, norm="instance",
    no_dropout=True, init_type="normal", init_gain=0.02, direction="AtoB", gan_mode="lsgan", lr=2e-4,
    beta1=0.5, pool_size=50, lambda_A=10.0, lambda_B=10.0, lambda_identity=0.5,
)  # fmt: skip


class Pictures:
    """Noise in place of two kinds of pictures; a batch is all of them."""

    def __init__(self, n, size):
        torch.manual_seed(0)
        self.a, self.b = torch.rand(2, n, 3, size, size) * 2 - 1

    def __len__(self):
        return len(self.a)

    def __getitem__(self, index):
        return self.a[index], self.b[index]


class Theirs:
    """Their model, driven as in their train.py."""

    def __init__(self, data, ngf, ndf):
        from models.cycle_gan_model import CycleGANModel

        torch.manual_seed(0)
        with redirect_stdout(io.StringIO()):
            self.model = CycleGANModel(Namespace(**vars(THEIRS), ngf=ngf, ndf=ndf))
        self.batch = {"A": data.a, "B": data.b, "A_paths": [], "B_paths": []}

    def run(self, steps, look):
        for _ in range(steps):
            self.model.set_input(self.batch)
            self.model.optimize_parameters()
            look()

    @property
    def networks(self):
        m = self.model
        return {"G": m.netG_A, "F": m.netG_B, "D_A": m.netD_B, "D_B": m.netD_A}  # the paper's names


class Ours:
    """Our method in our loop."""

    def __init__(self, data, method, channels_last=False):
        self.data, self.method = data, method
        if channels_last:
            method.to(memory_format=torch.channels_last)

    def run(self, steps, look):
        options = dict(device="cpu", hooks=(lambda step, logs: look(),), progress=False)
        fit(self.method, self.data, steps=steps, batch=len(self.data), **options)

    @property
    def networks(self):
        return {name: self.method.get_submodule(name) for name in ("G", "F", "D_A", "D_B")}


def with_their_networks(theirs, size):
    """Our CycleGAN around copies of their networks, with their settings: what differs is the step."""
    o = THEIRS
    method = CycleGAN(
        cycle=o.lambda_A, identity=o.lambda_identity * o.lambda_A, pool=o.pool_size, size=size,
        lr=o.lr, lr_d=o.lr, betas=(o.beta1, 0.999),
    )  # fmt: skip
    for name, network in theirs.networks.items():
        setattr(method, name, deepcopy(network))
    return method


def apart():
    """How far the weights of both are apart after a few steps from the same start, and how far they moved.

    In double precision and with small networks, so that nothing but a different step could part them.
    """
    torch.set_default_dtype(torch.float64)
    data = Pictures(2, 32)
    theirs = Theirs(data, 4, 4)
    ours = Ours(data, with_their_networks(theirs, 32))
    start = torch.cat([p.detach().flatten() for net in theirs.networks.values() for p in net.parameters()])
    ends = []
    for contender in (theirs, ours):
        contender.run(SAME, lambda: None)
        nets = contender.networks.values()
        ends.append(torch.cat([p.detach().flatten() for net in nets for p in net.parameters()]))
    torch.set_default_dtype(torch.float32)
    return (ends[0] - ends[1]).abs().max().item(), (ends[0] - start).abs().max().item()


def timed(contender, steps):
    """Seconds by the clock, and of the processor, for each of `steps` steps after a first one."""
    marks = []
    contender.run(steps + 1, lambda: marks.append((time.perf_counter(), time.process_time())))
    return [(b[0] - a[0], b[1] - a[1]) for a, b in zip(marks, marks[1:], strict=False)]


def measure(contenders, rounds, steps):
    found = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, contender in contenders.items():
            found[name] += timed(contender, steps)
        print(f"round {turn + 1} of {rounds}: load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return found


def size_of(network):
    return sum(p.numel() for p in network.parameters())


def like(target, build):
    """The width whose network has nearest to `target` parameters."""
    with redirect_stdout(io.StringIO()), torch.device("meta"):  # counted, not made
        return min(range(4, 129), key=lambda width: abs(size_of(build(width)) - target))


def widths_like(ours):
    """ngf and ndf that give their networks as many parameters as ours have."""
    from models import networks

    o = THEIRS
    ngf = like(size_of(ours.G), lambda w: networks.define_G(3, 3, w, o.netG, o.norm, False))
    ndf = like(size_of(ours.D_A), lambda w: networks.define_D(3, w, o.netD, o.n_layers_D, o.norm))
    return ngf, ndf


def print_table(title, contenders, found):
    print(f"\n{title}")
    print(f"{'':28}{'G':>11}{'D':>9}{'ms':>8}{'theirs / this':>15}{'CPU ms':>9}{'theirs / this':>15}")
    middle = {k: [statistics.median(t[i] for t in times) for i in (0, 1)] for k, times in found.items()}
    for name, contender in contenders.items():
        nets, row = contender.networks, f"{name:28}"
        row += f"{size_of(nets['G']):11,}{size_of(nets['D_A']):9,}"
        for width, mine, their in zip((8, 9), middle[name], middle["theirs"], strict=True):
            row += f"{1000 * mine:{width}.0f}{their / mine:15.2f}"
        print(row)


def main(options):
    if not options.folder or not os.path.exists(os.path.join(options.folder, "models", "cycle_gan_model.py")):
        print(
            "Name the folder of a checkout of github.com/junyanz/pytorch-CycleGAN-and-pix2pix: nothing was "
            "measured."
        )
        return
    sys.path.insert(0, options.folder)
    torch.set_num_threads(options.threads)
    size, data = options.size, Pictures(options.batch, options.size)

    theirs = Theirs(data, options.ngf, options.ngf)
    same = {"theirs": theirs, "ours, their networks": Ours(data, with_their_networks(theirs, size))}
    torch.manual_seed(0)
    defaults = CycleGAN(size=size)
    own = {
        "theirs": Theirs(data, *widths_like(defaults)),
        "ours": Ours(data, defaults),
        "ours, channels last": Ours(data, deepcopy(defaults), channels_last=True),
    }
    before = os.getloadavg()[0]
    found = [measure(contenders, options.rounds, options.steps) for contenders in (same, own)]

    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} threads used,")
    print(f"load {before:.1f} before and {os.getloadavg()[0]:.1f} after (1 is one busy core).")
    steps = options.rounds * options.steps
    print(f"Pictures {size} x {size}, batch {options.batch}, fp32; medians of {steps} steps,")
    print("by the clock and in time of the processor, which a busy machine disturbs less.")
    difference, way = apart()
    print(
        f"{SAME} of our steps and of theirs, from one start, end {difference:.0e} apart; they move {way:.0e}."
    )
    print_table("Like for like: lambda 10, identity 0.5, pool 50", same, found[0])
    print_table("Each at its own: theirs as above, ours with neither identity loss nor pool", own, found[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", help="checkout of the authors' code")
    parser.add_argument("--size", type=int, default=64, help="height and width of the pictures")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--ngf", type=int, default=24, help="width of their networks, like for like")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="measured steps of each contender in a round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    main(parser.parse_args())
