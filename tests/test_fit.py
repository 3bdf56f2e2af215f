"""The arithmetic of the training loop: what is updated when, by how much, and on which samples."""

import math
import signal
import threading
from functools import partial

import pytest
import torch
from helpers import DetachedGan, Gan, Rows, everything, points, same, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from course_lib.engine import many_devices, moving_average, one_device
from course_lib.errors import CourseError
from course_lib.fit import batch_indices, fit, warmup_cosine
from course_lib.method import Loss
from course_lib.methods.autoencoder import Autoencoder, LinearAutoencoder


class Walk(nn.Module):
    """A loss of `slopes . w` and plain gradient descent: w = -rate * slopes * steps."""

    ema = ("net",)

    def __init__(self, slopes=(-1.0,), rate=1.0):
        super().__init__()
        self.net = nn.Module()
        self.net.w = nn.Parameter(torch.zeros(len(slopes)))
        self.net.register_buffer("count", torch.tensor(0))
        self.slopes, self.rate = torch.tensor(slopes), rate

    @property
    def w(self):
        return self.net.w.tolist()

    def optimizers(self):
        return {"walk": torch.optim.SGD(self.parameters(), self.rate)}

    def losses(self, x, step):
        self.net.count += 1
        yield Loss("walk", (self.slopes * self.net.w).sum())


def walk(method=None, **options):
    given = {"steps": 1, "batch": 2, "device": "cpu", "progress": False}
    return fit(method or Walk(), torch.zeros(4, 1), **(given | options))


def quick(cls, *, weights=0, **options):
    method, data = tiny(cls, seed=weights)
    given = {"batch": 8, "device": "cpu", "progress": False}
    return fit(method, options.pop("data", data), **(given | options))


# ---- two players


def test_gan_equals_a_loop_written_by_hand():
    """The textbook's loop, in plain PyTorch, gives the same weights to the last bit."""
    run = quick(DetachedGan, steps=9)
    method, data = tiny(DetachedGan)
    opts = method.optimizers()
    for step in range(9):
        x = data[batch_indices(8, seed=0, start=8 * step, count=8)]
        torch.manual_seed(step * 4096)
        fake = method.G(torch.randn_like(x))
        opts["D"].zero_grad()
        (F.softplus(-method.D(x)).mean() + F.softplus(method.D(fake.detach())).mean()).backward()
        opts["D"].step()
        opts["G"].zero_grad()
        F.softplus(-method.D(fake)).mean().backward()
        opts["G"].step()
    assert same(run.method.state_dict(), method.state_dict())


def test_a_forgotten_detach_does_not_matter():
    """Only the player's own parameters receive gradients, so the graph through G is not even walked."""
    assert same(quick(Gan, steps=5).method.state_dict(), quick(DetachedGan, steps=5).method.state_dict())


def test_the_second_loss_sees_the_first_update():
    class Watching(Gan):
        def losses(self, x, step):
            for loss in super().losses(x, step):
                seen.append((loss.opt, self.D[0].weight.detach().clone()))
                yield loss

    seen = []
    quick(Watching, steps=2)
    assert [opt for opt, _ in seen] == ["D", "G", "D", "G"]
    (_, before), (_, after), (_, later), _ = seen
    assert not torch.equal(before, after)
    assert torch.equal(after, later)  # G's update leaves D alone


def test_history_has_every_loss_and_log_of_every_step():
    run = quick(Gan, steps=3)
    assert run.history.keys() == {"loss/D", "D(x)", "loss/G"}
    assert all([step for step, _ in values] == [0, 1, 2] for values in run.history.values())
    assert 0 < run.history["D(x)"][0][1] < 1
    assert (run.step, run.samples, run.stopped) == (3, 24, False)
    for word in ("step 3", "loss/D", f"{run.history['loss/G'][-1][1]:.4g}"):
        assert word in repr(run)


# ---- sizes of steps


def test_gradient_is_clipped_to_the_norm_asked_for():
    for clip, length in ((None, 5.0), (10.0, 5.0), (1.0, 1.0), (2.5, 2.5)):
        method = Walk((3.0, -4.0))
        walk(method, clip=clip)
        assert method.w == pytest.approx([-0.6 * length, 0.8 * length], rel=1e-5)


def test_learning_rate_is_the_optimizers_own_times_the_factor():
    method = Walk(rate=0.5)
    walk(method, steps=4, lr=lambda step: (1.0, 0.0, 2.0, 0.25)[step])
    assert method.w == pytest.approx([0.5 * 3.25])


def test_accumulated_gradient_is_the_mean():
    method = Walk()
    assert walk(method, accumulate=3).samples == 6
    assert method.w == [1.0]


def test_warmup_cosine_in_closed_form():
    lr = warmup_cosine(1000, warmup=50)
    assert [lr(0), lr(24)] == pytest.approx([1 / 50, 25 / 50], rel=2e-3)  # the cosine has hardly begun
    assert lr(500) == pytest.approx(0.5)
    assert lr(250) == pytest.approx(0.5 + 0.5 * math.sqrt(0.5))
    assert lr(1000) == pytest.approx(0.0, abs=1e-15)
    assert lr(2000) == pytest.approx(0.0, abs=1e-15)  # a run that goes on stays at 0
    flat = warmup_cosine(1000, warmup=50, flat=0.4)
    assert [flat(step) for step in (50, 399, 400)] == [1.0, 1.0, 1.0]
    assert flat(700) == pytest.approx(0.5)
    assert flat(1000) == pytest.approx(0.0, abs=1e-15)


# ---- the moving average


def test_moving_average_in_closed_form():
    """The weight is 1, 2, 3, ... after each step. The average starts as a copy, then warms up."""
    for decay in (0.9, 0.1):
        run = walk(steps=20, ema=decay)
        average = 1.0
        for n in range(1, 20):
            d = min(decay, (1 + n) / (10 + n))
            average = d * average + (1 - d) * (n + 1)
        assert run.averaged["net"].w.item() == pytest.approx(average, rel=1e-5)
        assert run.method.w == [20.0]
        assert run.averaged["net"].count == 20  # a buffer is copied, not averaged


def test_moving_average_after_its_warm_up():
    average = moving_average(nn.Linear(1, 1, bias=False), 0.9)
    average.n_averaged.fill_(1000)
    average.module.weight.data.fill_(1.0)
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(2.0)
    average.update_parameters(net)
    assert average.module.weight.item() == pytest.approx(0.9 * 1 + 0.1 * 2)


def test_published_model_has_the_averages_and_is_a_copy():
    run = quick(Autoencoder, steps=5, ema=0.9)
    model = run.model
    assert same(model.encoder.state_dict(), run.averaged["encoder"].state_dict())
    assert not same(model.encoder.state_dict(), run.method.encoder.state_dict())
    assert not any(m.training for net in (model, run.method, *run.averaged.values()) for m in net.modules())
    for p in model.parameters():
        p.data.zero_()
    assert any(p.any() for p in run.method.parameters())
    assert any(p.any() for p in run.averaged["encoder"].parameters())
    plain = quick(Autoencoder, steps=5)
    assert plain.averaged == {}
    assert same(plain.model.state_dict(), plain.method.state_dict())


# ---- hooks, and what must not disturb a run


def test_hooks_see_every_step_and_cannot_disturb_the_next():
    def nosy(step, logs):
        calls.append((step, dict(logs)))
        torch.rand(step + 1)
        method.eval()
        logs.clear()

    calls = []
    method, data = tiny(Autoencoder)
    run = fit(method, data, steps=6, batch=5, ema=0.9, device="cpu", progress=False, hooks=(nosy, nosy))
    assert [step for step, _ in calls] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [logs["loss/ae"] for _, logs in calls[::2]] == [value for _, value in run.history["loss/ae"]]
    assert same(everything(run), everything(quick(Autoencoder, steps=6, batch=5, ema=0.9)))


def test_data_that_draws_numbers_does_not_disturb_the_step(tmp_path):
    """Its noise is the same whatever the data set drew before, and is not what the data set drew."""
    noise, drawn = [], []

    class Noisy(Gan):
        def losses(self, x, step):
            noise.append(torch.rand(2))
            yield from super().losses(x, step)

    class Drawing(Rows):
        def __getitem__(self, index):
            drawn.append(torch.rand(2))
            return super().__getitem__(index)

    quick(Noisy, steps=3)
    quick(Noisy, steps=3, data=Drawing(points()))
    assert same(noise[:3], noise[3:])
    assert len({tuple(pair.tolist()) for pair in noise[:3] + drawn}) == 6


def test_data_that_draws_numbers_resumes_bitwise(tmp_path):
    class Drawing(Rows):
        def __getitem__(self, index):
            x = super().__getitem__(index)
            return x + torch.randn_like(x)

    whole = quick(Gan, steps=6, data=Drawing(points()))
    quick(Gan, steps=4, data=Drawing(points()), checkpoint=tmp_path / "c.pt")
    torch.rand(5)
    resumed = quick(Gan, steps=6, data=Drawing(points()), checkpoint=tmp_path / "c.pt", resume=True)
    assert same(everything(whole), everything(resumed))


def test_progress_bar_shows_loss_and_speed_and_changes_nothing(capsys, monkeypatch):
    silent = quick(Gan, steps=3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("course_lib.fit.tqdm", partial(tqdm, mininterval=0))
    shown = quick(Gan, steps=3, progress=True)
    bar = capsys.readouterr().err
    assert "2/3 " in bar
    assert f"G {shown.history['loss/G'][1][1]:.4f}" in bar
    assert "images/s" in bar
    assert same(everything(silent), everything(shown))


# ---- which samples


streams = {"n": st.integers(1, 40), "seed": st.integers(0, 2**40), "start": st.integers(0, 200)}


@settings(max_examples=60, deadline=None)
@given(**streams, count=st.integers(1, 90), cut=st.integers(1, 89))
def test_any_split_of_the_stream_is_the_stream(n, seed, start, count, cut):
    whole = batch_indices(n, seed=seed, start=start, count=count)
    assert len(whole) == count
    cut = min(cut, count)
    parts = [batch_indices(n, seed=seed, start=start, count=cut)]
    if cut < count:
        parts.append(batch_indices(n, seed=seed, start=start + cut, count=count - cut))
    assert torch.equal(whole, torch.cat(parts))


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 40), seed=st.integers(0, 2**40), epoch=st.integers(0, 10**6))
def test_each_epoch_has_every_sample_once(n, seed, epoch):
    stream = batch_indices(n, seed=seed, start=epoch * n, count=n)
    assert torch.equal(stream.sort().values, torch.arange(n))


def test_epochs_and_seeds_shuffle_differently():
    orders = [batch_indices(50, seed=s, start=50 * e, count=50).tolist() for s in range(3) for e in range(3)]
    assert len({tuple(order) for order in orders}) == 9
    assert list(range(50)) not in orders


def test_a_step_sees_its_part_of_the_stream():
    class Watching(Rows):
        def __getitem__(self, index):
            seen.append(index.clone())
            return super().__getitem__(index)

    seen = []
    quick(Gan, steps=2, batch=3, accumulate=2, seed=5, data=Watching(points()))
    assert [len(index) for index in seen] == [3] * 4
    assert torch.equal(torch.cat(seen), batch_indices(8, seed=5, start=0, count=12))


def test_batches_may_be_larger_than_the_data():
    run = quick(Gan, steps=2, batch=20)
    assert run.samples == 40


# ---- arguments that cannot work


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(steps=0), "steps .* at least 1, got 0"),
        (dict(steps=-3), "steps .* got -3"),
        (dict(steps=1e4), "steps .* whole number .* got 10000.0"),
        (dict(batch=0), "batch .* got 0"),
        (dict(batch=2.5), "batch .* whole number .* got 2.5"),
        (dict(batch=float("nan")), "batch .* got nan"),
        (dict(accumulate=0), "accumulate .* got 0"),
        (dict(every=0), "every .* got 0"),
        (dict(ema=1.0), "ema .* less than 1, got 1.0"),
        (dict(ema=-0.1), "ema .* got -0.1"),
        (dict(clip=0), "clip .* greater than 0.* got 0"),
        (dict(clip=float("nan")), "clip .* got nan"),
        (dict(data=torch.zeros(0, 2)), "data set is empty"),
        (dict(device="tpu"), 'Device "tpu" .* this machine has .*cpu.*"auto"'),
        (dict(precision="fp8"), 'Unknown precision "fp8".* fp32, bf16'),
    ],
    ids=str,
)
def test_impossible_argument_gives_one_sentence(options, words):
    with pytest.raises(CourseError, match=words) as caught:
        quick(Gan, **({"steps": 1} | options))
    assert "\n" not in str(caught.value)


def test_large_seeds_work():
    seeds = (1, 2**31 + 1, 2**63 - 1, -2)
    ends = [quick(Gan, steps=1, batch=4, seed=seed).method.state_dict() for seed in seeds]
    assert not any(same(a, b) for i, a in enumerate(ends) for b in ends[:i])


def test_cuda_asked_for_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CourseError, match='"cuda" was asked for, but this machine has cpu'):
        quick(Gan, steps=1, device="cuda")


def test_one_sample_and_batch_normalisation():
    with pytest.raises(CourseError, match="at least 2 samples in a batch: use a larger batch"):
        quick(Autoencoder, steps=1, batch=1)
    assert quick(LinearAutoencoder, steps=1, batch=1).step == 1


def test_unknown_optimizer_is_named():
    class Confused(Gan):
        def losses(self, x, step):
            yield Loss("E", self.D(x).mean())

    with pytest.raises(CourseError, match=r"loss for \"E\", but its optimizers are \['D', 'G'\]"):
        quick(Confused, steps=1)


# ---- where it runs


def test_world_of_one_process_is_one_device(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert many_devices("cpu").world_size == one_device("cpu").world_size == 1


def test_two_nodes_of_one_process_each_are_two_ranks(monkeypatch):
    """Not one device twice: each node would train alone and nobody would notice."""
    given = {}

    class Spy:
        def __init__(self, **options):
            given.update(options)

        def launch(self):
            pass

    monkeypatch.setattr("course_lib.engine.Fabric", Spy)
    for world, local, nodes in ((2, 1, 2), (8, 4, 2), (2, 2, 1)):
        monkeypatch.setenv("WORLD_SIZE", str(world))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
        many_devices("cpu")
        assert (given["devices"], given["num_nodes"]) == (local, nodes)


def test_trains_in_a_thread_and_leaves_the_stop_button_alone():
    before = signal.getsignal(signal.SIGINT)
    runs = []
    thread = threading.Thread(target=lambda: runs.append(quick(Gan, steps=3)))
    thread.start()
    thread.join()
    assert same(everything(runs[0]), everything(quick(Gan, steps=3)))
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.gpu
def test_trains_on_a_gpu():
    method, data = tiny(Autoencoder)
    run = fit(method, data, steps=150, batch=8, ema=0.9, precision="bf16", progress=False)
    losses = [value for _, value in run.history["loss/ae"]]
    assert next(run.model.parameters()).is_cuda
    assert losses[-1] < losses[0] / 3
