"""A run that is interrupted or goes wrong: Ctrl-C, NaN and infinity."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT, Gan, Pooled, Rows, everything, points, same, tiny
from torch import nn
from torch.nn import functional as F

from course_lib.errors import NonFiniteLoss
from course_lib.fit import fit
from course_lib.method import Loss
from course_lib.methods.autoencoder import Autoencoder, LinearAutoencoder
from course_lib.methods.features import FeatureNet


def quick(cls, *, weights=0, **options):
    method, data = tiny(cls, seed=weights)
    given = {"batch": 5, "ema": 0.9, "device": "cpu", "progress": False}
    return fit(method, options.pop("data", data), **(given | options))


def press(*steps, times=1):
    """A hook that presses Ctrl-C at these steps."""

    def hook(step, logs):
        for _ in range(times if step in steps else 0):
            signal.raise_signal(signal.SIGINT)

    return hook


# ---- Ctrl-C


@pytest.mark.parametrize("cls", [Autoencoder, Gan, Pooled], ids=lambda c: c.__name__)
def test_ctrl_c_saves_and_returns_and_the_resumed_run_is_bitwise_whole(cls, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "c.pt"
    stopped = quick(cls, steps=12, checkpoint=path, hooks=(press(4),))
    assert signal.getsignal(signal.SIGINT) is before
    assert stopped.stopped
    assert stopped.step == torch.load(path)["step"] == 5  # the step under way was finished
    assert repr(stopped).startswith("stopped after step 5")
    assert not stopped.method.training
    resumed = quick(cls, weights=9, steps=12, checkpoint=path, resume=True)
    assert not resumed.stopped
    assert same(everything(resumed), everything(quick(cls, steps=12)))


def test_ctrl_c_in_the_last_step_is_a_finished_run():
    run = quick(Gan, steps=3, hooks=(press(2),))
    assert (run.step, run.stopped) == (3, False)


def test_a_second_ctrl_c_breaks_off_and_leaves_the_checkpoint(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    path = tmp_path / "c.pt"
    with pytest.raises(KeyboardInterrupt):
        quick(Gan, steps=12, checkpoint=path, every=2, hooks=(press(4, times=2),))
    assert signal.getsignal(signal.SIGINT) is before
    assert torch.load(path)["step"] == 4
    resumed = quick(Gan, steps=12, checkpoint=path, resume=True)
    assert same(everything(resumed), everything(quick(Gan, steps=12)))


def test_ctrl_c_from_outside_stops_the_command_and_prints_how_to_go_on(tmp_path):
    from course_lib import recipes

    out = tmp_path / "my run"
    command = [sys.executable, "-m", "course_lib", "train", "ae2_fashion", "--every", "1", "--device", "cpu"]
    command += ["--steps", "500", "--seed", "3", "--out", str(out)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        patience = time.monotonic() + 120
        while not (out / "checkpoint.pt").exists() and run.poll() is None and time.monotonic() < patience:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        said, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    assert "Traceback" not in errors
    saved = torch.load(out / "checkpoint.pt")
    assert f"stopped after step {saved['step']} " in said
    assert f"Go on with: course train ae2_fashion --resume --steps 500 --out '{out}' --seed 3\n" in said
    assert os.listdir(out) == ["checkpoint.pt"]  # no weights are published from half a run
    plan = recipes.ae2_fashion(500)
    torch.manual_seed(3)
    method = recipes.build(plan)
    fit(method, plan.data(), steps=saved["step"], seed=3, device="cpu", progress=False, **plan.fit)
    assert same(saved["parts"]["method"], method.state_dict())


# ---- NaN and infinity


class Fragile(nn.Module):
    """Its loss or its gradient goes wrong at step 3, after batch normalisation has seen the batch."""

    ema = ("net",)
    how = "nan"

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    def optimizers(self):
        return {"net": torch.optim.Adam(self.parameters(), 1e-2)}

    def losses(self, x, step):
        loss = F.mse_loss(self.net(x), x)
        if step == 3:
            broken = {
                "nan": loss * float("nan"),
                "inf": loss + float("inf"),
                "gradient": loss + (self.net[0].weight.flatten()[0] * 0).abs().sqrt(),  # 0, with slope 1/0
            }
            loss = broken[self.how]
        yield Loss("net", loss)

    @classmethod
    def tiny(cls):
        return cls(), points()


@pytest.mark.parametrize(
    ("how", "words"),
    [("nan", "the loss is nan"), ("inf", "the loss is inf"), ("gradient", "its gradient is nan")],
)
def test_non_finite_loss_leaves_the_last_good_state(how, words, tmp_path, monkeypatch):
    monkeypatch.setattr(Fragile, "how", how)
    path = tmp_path / "c.pt"
    good = quick(Fragile, steps=3)
    method, data = tiny(Fragile)
    options = dict(steps=9, batch=5, ema=0.9, device="cpu", progress=False, checkpoint=path, every=2)
    with pytest.raises(NonFiniteLoss) as caught:
        fit(method, data, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in ("step 3", '"net"', words, "smaller learning rate than 0.01", "clip=1.0"):
        assert part in sentence
    assert same(method.state_dict(), good.method.state_dict())  # batch statistics too
    assert torch.load(path)["step"] == 2
    monkeypatch.setattr(Fragile, "how", "nan")
    with pytest.raises(NonFiniteLoss):  # again at the same step, and the file is still the same
        fit(tiny(Fragile)[0], data, **options, resume=True)
    assert torch.load(path)["step"] == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_in_the_data_gives_the_remedy_for_data(value):
    x, y = tiny(FeatureNet)[1].batch
    x = x.clone()
    x[6, 0, 3, 3] = value
    method = tiny(FeatureNet)[0]
    before = {k: v.clone() for k, v in method.state_dict().items()}
    with pytest.raises(NonFiniteLoss, match="step 0.*the batch itself holds NaN or infinite values: clean"):
        fit(method, Rows((x, y)), steps=1, batch=8, device="cpu", progress=False)
    assert same(method.state_dict(), before)


def test_too_large_a_learning_rate_is_diagnosed_as_such():
    class Steep(LinearAutoencoder):
        def optimizers(self):
            return {"ae": torch.optim.SGD(self.parameters(), 1e6)}

    with pytest.raises(NonFiniteLoss, match=r"smaller learning rate than 1e\+06"):
        quick(Steep, steps=30)


def test_second_player_goes_wrong_after_the_first_has_moved():
    """The first player's good update stays, the second player is as before."""

    class Broken(Gan):
        def losses(self, x, step):
            for loss in super().losses(x, step):
                yield loss._replace(value=loss.value / 0) if (step, loss.opt) == (1, "G") else loss

    method, data = tiny(Broken)
    with pytest.raises(NonFiniteLoss, match='step 1: in "G"'):
        fit(method, data, steps=2, batch=5, device="cpu", progress=False)
    one = quick(Gan, steps=1, ema=0.0).method
    two = quick(Gan, steps=2, ema=0.0).method
    assert same(method.G.state_dict(), one.G.state_dict())
    assert same(method.D.state_dict(), two.D.state_dict())
