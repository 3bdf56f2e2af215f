"""What every method promises, and what the loop promises to every method.

The library's methods are found by themselves; a few small ones (see helpers.py) stand for the families that
are shaped differently: two players, a player who moves now and then, a pool, a sampler.
"""

import json
from contextlib import nullcontext

import pytest
import torch
from helpers import METHODS, Rows, Sampling, copied, each, everything, library_methods, python, same, tiny
from safetensors.torch import load_file
from torch import nn
from two_players import numbered_draws

from course_lib import zoo
from course_lib.fit import fit
from course_lib.method import CanSample, Method, Step

methods = pytest.mark.parametrize("cls", METHODS, ids=lambda c: c.__name__)
library = pytest.mark.parametrize("cls", library_methods(), ids=lambda c: c.__name__)


@pytest.fixture
def train(device, dtype):
    """A function that trains a tiny instance: train(cls, seed=..., any argument of `fit`)."""

    def run(cls, *, weights=0, **options):
        method, data = tiny(cls, dtype, weights)
        given = {"batch": 8, "ema": 0.9, "progress": False, "device": device}
        return fit(method, data, **(given | options))

    return run


def test_the_library_has_methods_and_they_are_found():
    assert {"LinearAutoencoder", "Autoencoder", "DenoisingAutoencoder", "Colorizer", "FeatureNet"} <= {
        cls.__name__ for cls in library_methods()
    }


@methods
def test_losses_are_finite_scalars_for_optimizers_that_exist(cls, device, dtype):
    method, data = tiny(cls, dtype)
    method, data = method.to(device).train(), data.to(device)
    assert isinstance(method, Method)
    assert all(isinstance(method.get_submodule(name), nn.Module) for name in method.ema)
    assert all(isinstance(method.get_submodule(name), nn.Module) for name in left_out(cls))
    assert not set(left_out(cls)) & set(method.ema), "what is averaged is what one publishes"
    names = method.optimizers().keys()
    yielded = set()
    for step in range(6):
        for loss in method.losses(data[torch.arange(8, device=device)], step):
            yielded.add(loss.opt)
            assert loss.value.shape == ()
            assert torch.isfinite(loss.value)
            assert loss.value.requires_grad
            assert not any(value.requires_grad or value.dim() for value in loss.logs.values())
    assert yielded == names  # all of them, within six steps


@methods
def test_a_loss_moves_its_own_player_and_nobody_else(cls, device, dtype):
    method, data = tiny(cls, dtype)
    method.to(device)
    opts = method.optimizers()
    players = {name: [p for group in o.param_groups for p in group["params"]] for name, o in opts.items()}
    everybody = {id(p): p for p in method.parameters()}
    assert {id(p) for player in players.values() for p in player} == everybody.keys(), "nobody moves some"
    last = {id(p): None for p in everybody.values()}  # the gradient of each parameter at its last own step
    alive = set()  # parameters that had a gradient other than 0

    def watch(name):
        mine = {id(p) for p in players[name]}

        def before(*_):
            now = {k: (p.detach().clone(), copied([p.grad])[0]) for k, p in everybody.items()}
            for k, (_, grad) in now.items():
                if k in mine:
                    assert grad is not None, f"a parameter of {name} gets no gradient"
                    if grad.any():
                        alive.add(k)
                    last[k] = grad
                else:
                    assert same(grad, last[k]), f"the step of {name} leaves a gradient elsewhere"
            watch.values = {k: value for k, (value, _) in now.items()}

        def after(*_):
            for k, p in everybody.items():
                assert k in mine or torch.equal(p, watch.values[k]), f"the step of {name} moves others"

        opts[name].register_step_pre_hook(before)
        opts[name].register_step_post_hook(after)

    for name in opts:
        watch(name)
    method.optimizers = lambda: opts
    fit(method, data, steps=6, batch=8, device=device, progress=False)
    assert alive == everybody.keys(), "some parameters never had a gradient other than 0"


@methods
def test_same_seed_same_run_other_seed_other_run(cls, train):
    first, second, other = (train(cls, steps=4, batch=4, seed=seed) for seed in (3, 3, 4))
    assert same(everything(first), everything(second))
    assert not same(first.method.state_dict(), other.method.state_dict())


@methods
def test_stopped_and_resumed_is_bitwise_uninterrupted(cls, train, tmp_path):
    options = dict(batch=5, lr=lambda step: 1 / (1 + step))  # batches of 5 straddle the epochs of 8
    whole, first, second = tmp_path / "whole.pt", tmp_path / "a.pt", tmp_path / "b.pt"
    run = train(cls, steps=12, checkpoint=whole, **options)
    train(cls, steps=7, checkpoint=first, **options)
    first.rename(second)
    torch.rand(7)  # whatever else happened in the meantime
    resumed = train(cls, weights=99, steps=12, checkpoint=second, resume=True, **options)
    assert same(torch.load(whole), torch.load(second))  # method, optimizers, averages, step, history
    assert same(everything(run), everything(resumed))


@pytest.fixture
def no_noise(monkeypatch):
    """Random draws that do not depend on how a batch is cut."""
    draws = {"randn": 0.3, "rand": 0.3, "randn_like": 0.3, "rand_like": 0.3}
    for name, value in draws.items():
        like = name.endswith("_like")

        def draw(*size, value=value, like=like, generator=None, **options):
            if like:
                return torch.full_like(size[0], value)
            shape = size[0] if size and not isinstance(size[0], int) else size
            return torch.full(tuple(shape), value, **options)

        monkeypatch.setattr(torch, name, draw)
    monkeypatch.setattr(torch, "randint", lambda low, high, size, **o: torch.full(size, low, **o))


def four_times(t):
    """32 different samples out of 8: floats are scaled, labels repeated."""
    scale = torch.linspace(0.5, 1, 32, dtype=torch.float64).view(-1, *[1] * (t.dim() - 1))
    repeated = torch.cat([t] * 4)
    return repeated * scale if t.is_floating_point() else repeated


@methods
def test_accumulating_four_parts_is_one_large_batch(cls, device, no_noise):
    """Except for methods that say why not; and what they say must be true."""
    parameters, histories = [], []
    for batch, accumulate in ((32, 1), (8, 4)):
        method, data = tiny(cls, torch.float64)
        start = copied(method.parameters())
        data = Rows(each(data.batch, four_times))
        # noise that is equal for all samples would leave a generator's batch normalisation nothing to see
        makes_noise = hasattr(method, "batch_statistics") and len(method.optimizers()) > 1
        with numbered_draws() if makes_noise else nullcontext():
            options = dict(steps=3, batch=batch, accumulate=accumulate, device=device, progress=False)
            run = fit(method, data, **options)
        parameters.append(copied(method.parameters()))
        histories.append([value for values in run.history.values() for _, value in values])
    apart, moved = (max_distance(parameters[0], other) for other in (parameters[1], start))
    if hasattr(method, "batch_statistics"):
        assert isinstance(method.batch_statistics, str)
        assert apart > 1e-6, "it declares itself exempt, but there is no need"
    else:
        assert apart < 1e-8 < 1e-4 < moved
        assert histories[0] == pytest.approx(histories[1], rel=1e-6)


def max_distance(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


@methods
def test_bf16_does_not_leak_out_of_the_loop(cls, device, tmp_path):
    method, data = tiny(cls)
    seen, outside = set(), []
    for module in method.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(lambda m, x, out: seen.add(out.dtype))
    run = fit(
        method, data, steps=4, batch=8, ema=0.9, precision="bf16", device=device, progress=False,
        checkpoint=tmp_path / "c.pt",
        hooks=(lambda step, logs: outside.append(torch.is_autocast_enabled(device)),),
    )  # fmt: skip
    assert seen == {torch.bfloat16}, "nothing was computed in bf16"
    assert outside == [False] * 4
    assert torch.bfloat16 not in dtypes(torch.load(tmp_path / "c.pt")) | dtypes(everything(run))
    exact = fit(tiny(cls)[0], data, steps=1, batch=8, device=device, progress=False)
    for name, ((_, value),) in exact.history.items():  # bf16 has about three digits
        assert run.history[name][0][1] == pytest.approx(value, rel=0.1, abs=0.05)


def dtypes(state):
    """The dtypes of all tensors in nested dicts and lists."""
    if isinstance(state, torch.Tensor):
        return {state.dtype}
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return set().union(*map(dtypes, parts))


@library
def test_learns_eight_samples_by_heart(cls, train):
    """A third of the loss is gone after 150 steps. (With several players there is no such promise.)"""
    if len(tiny(cls)[0].optimizers()) > 1:
        pytest.skip("several players")
    history = train(cls, steps=150).history
    (losses,) = (values for name, values in history.items() if name.startswith("loss/"))
    first, last = (sum(value for _, value in part) / 10 for part in (losses[:10], losses[-10:]))
    assert last < first * 2 / 3


@library
def test_weights_file_gives_the_same_outputs(cls, train, tmp_path):
    """Within the rounding of the stored fp16 matrices; what is loaded is stored again without any change."""
    model = train(cls, steps=5).model.cpu().float()
    kwargs = tiny_kwargs(cls)
    zoo.save(tmp_path / "a.safetensors", model, kwargs, step=5)
    loaded = zoo.read(tmp_path / "a.safetensors")
    assert type(loaded) is cls
    assert not any(module.training for module in loaded.modules())
    zoo.save(tmp_path / "b.safetensors", loaded, kwargs, step=5)
    again, stored = zoo.read(tmp_path / "b.safetensors").state_dict(), load_file(tmp_path / "a.safetensors")
    assert stored.keys() == {k for k in model.state_dict() if k.split(".")[0] not in left_out(cls)}
    for name in stored:
        a, b = model.state_dict()[name], loaded.state_dict()[name]
        assert torch.allclose(a, b, rtol=2**-11, atol=2**-25), name  # half a unit in the last place of fp16
        assert same(again[name], b), name
    for name in left_out(cls):  # a loss needs what a file does not hold
        loaded.get_submodule(name).load_state_dict(model.get_submodule(name).state_dict())
    batch = tiny(cls)[1].batch
    torch.manual_seed(0)
    a = next(model.losses(batch, 0))
    torch.manual_seed(0)
    b = next(loaded.losses(batch, 0))
    assert a.value.item() == pytest.approx(b.value.item(), rel=5e-3)


def left_out(cls):
    """Names of the sub-modules that a weights file does not hold."""
    return getattr(cls, "left_out", ())


def tiny_kwargs(cls):
    """The keyword arguments that `tiny` passes to its class."""
    given = {}
    original = cls.__init__

    def spy(self, **kwargs):
        given.update(kwargs)
        original(self, **kwargs)

    cls.__init__ = spy
    try:
        cls.tiny()
    finally:
        cls.__init__ = original
    return given


def check_sampler(method, device="cpu", n=3):
    """What a sampler promises; raises AssertionError where it breaks the promise."""

    def generator():
        return torch.Generator(device).manual_seed(1)

    for training in (True, False):
        method.train(training)
        before = torch.get_rng_state()
        steps = []
        for step in method.sample(n, generator=generator()):
            assert isinstance(step, Step)
            assert torch.is_grad_enabled(), "grad mode is off between two steps"
            assert all(module.training == training for module in method.modules()), "train mode changed"
            steps.append(step._replace(x=step.x.clone()))
        assert all(module.training == training for module in method.modules()), "train mode changed"
        assert torch.equal(torch.get_rng_state(), before), "global random numbers were drawn"
        numbers = [step.i for step in steps]
        assert numbers == sorted(set(numbers)), "i does not increase"
        assert numbers[-1] == steps[-1].n
        assert {step.x.shape for step in steps} == {steps[-1].x.shape}
        assert steps[-1].x.dim() == 4
        assert len(steps[-1].x) == n
        assert steps[-1].x.min() >= -1 - 1e-4, "out of range"
        assert steps[-1].x.max() <= 1 + 1e-4, "out of range"
        assert not steps[-1].x.requires_grad
        *_, again = method.sample(n, generator=generator())
        assert torch.equal(again.x, steps[-1].x), "the generator does not decide everything"
    early = method.sample(n, generator=generator())
    next(early)
    early.close()
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in method.modules())


@pytest.mark.parametrize("cls", [c for c in METHODS if hasattr(c, "sample")], ids=lambda c: c.__name__)
def test_sampler_keeps_its_promises(cls, train, device):
    model = train(cls, steps=3).model
    assert isinstance(model, CanSample)
    check_sampler(model, device)


class DrawsGlobally(Sampling):
    def sample(self, n, *, generator=None):
        yield Step(1, 1, torch.rand(n, 1, 4, 4))


class StopsTraining(Sampling):
    def sample(self, n, *, generator=None):
        self.eval()
        yield from super().sample(n, generator=generator)


class YieldsInsideNoGrad(Sampling):
    def sample(self, n, *, generator=None):
        with torch.no_grad():
            yield Step(1, 1, torch.zeros(n, 1, 4, 4))


class CountsDown(Sampling):
    def sample(self, n, *, generator=None):
        yield from reversed(list(super().sample(n, generator=generator)))


class LeavesRange(Sampling):
    def sample(self, n, *, generator=None):
        yield Step(1, 1, torch.full((n, 1, 4, 4), 1.01))


class DropsSome(Sampling):
    def sample(self, n, *, generator=None):
        yield Step(1, 1, torch.zeros(n - 1, 1, 4, 4))


BROKEN = [DrawsGlobally, StopsTraining, YieldsInsideNoGrad, CountsDown, LeavesRange, DropsSome]


@pytest.mark.parametrize("cls", BROKEN, ids=lambda c: c.__name__)
def test_broken_sampler_is_found_out(cls):
    with pytest.raises(AssertionError):
        check_sampler(tiny(cls)[0])


def test_two_ranks_without_jupyter_stay_equal_and_do_what_one_process_does(tmp_path):
    """One launch for all methods: see two_ranks.py for what each rank does."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    finished = python(*launch, "tests/two_ranks.py", str(tmp_path))
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert finished.stderr.count("0/6 [") == 1  # one bar, that of rank 0
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert (first.pop("rank"), second.pop("rank")) == (0, 1)
    assert not same(first.pop("drawn"), second.pop("drawn"))  # each rank has noise of its own
    assert first.keys() == {*(c.__name__ for c in METHODS), "resumed", "stopped"}
    assert same(first, second)
    assert first["stopped"] == 3  # rank 1 was interrupted in its third step, and both ranks stopped there
    assert same(first["resumed"], first["Gan"])
    # LinearAutoencoder draws nothing: two ranks with batches of 4 do what one process does with 8
    method, data = tiny(METHODS[[c.__name__ for c in METHODS].index("LinearAutoencoder")])
    run = fit(method, data, steps=6, batch=8, ema=0.9, device="cpu", progress=False)
    for a, b in zip(method.parameters(), first["LinearAutoencoder"]["method"].values(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    for name, values in run.history.items():
        assert [v for _, v in values] == pytest.approx(
            [v for _, v in first["LinearAutoencoder"]["history"][name]], rel=1e-5
        )


def test_weights_of_every_method_are_plain_json(tmp_path):
    for cls in library_methods():
        kwargs = tiny_kwargs(cls)
        assert cls(**json.loads(json.dumps(kwargs))).state_dict().keys() == cls(**kwargs).state_dict().keys()
