"""ONNX files: they compute what torch computes, and whoever asks for the impossible is told so."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import export
from course_lib.export import ExportError, frozen, to_onnx
from course_lib.nn.conv import ConvDecoder
from course_lib.nn.unet import UNet

onnx = pytest.importorskip("onnx", reason="the export needs the [lab] extra")
pytest.importorskip("onnxscript", reason="the export needs the [lab] extra")
from onnx.reference import ReferenceEvaluator  # noqa: E402


def randomized(module):
    """Every parameter and running statistic away from where it starts: zeros and ones would hide mistakes."""
    generator = torch.Generator().manual_seed(0)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator) * 0.1
            value.copy_(noise.abs() + 0.5 if "var" in name else value + noise)
    return module


def run(data, **inputs):
    return ReferenceEvaluator(onnx.load_from_string(data)).run(None, inputs)


@pytest.fixture(scope="module")
def decoder():
    return randomized(ConvDecoder(code=6, size=16)).train()


@pytest.fixture(scope="module")
def decoder_file(decoder):
    return to_onnx(decoder, {"z": torch.randn(2, 6)}, ["x"])


def test_a_decoder_computes_the_same_for_every_batch_size(decoder, decoder_file):
    decoder.eval()
    for batch in (1, 2, 7):
        z = torch.randn(batch, 6, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            true = decoder(z).numpy()
        (given,) = run(decoder_file, z=z.numpy())
        assert np.abs(given - true).max() < 1e-5 * np.abs(true).max()
    decoder.train()


def test_a_unet_with_time_class_and_attention(capfd, recwarn):
    unet = randomized(UNet(widths=(8, 16), blocks=1, classes=3, embed=16)).eval()
    generator = torch.Generator().manual_seed(0)
    example = {"x": torch.randn(1, 1, 8, 8), "t": torch.tensor([500]), "label": torch.tensor([3])}
    data = to_onnx(unet, example, ["eps"])
    x = torch.randn(3, 1, 8, 8, generator=generator)
    t, y = torch.tensor([1, 400, 1000]), torch.tensor([0, 2, 3])
    with torch.no_grad():
        true = unet(x, t, y).numpy()
    (given,) = run(data, x=x.numpy(), t=t.numpy(), label=y.numpy())
    assert np.abs(given - true).max() < 1e-4 * np.abs(true).max()
    assert capfd.readouterr() == ("", "")  # the exporter would tell its authors' readers a lot
    assert [w for w in recwarn if "torch" in str(w.filename)] == []


def test_the_module_is_left_as_it_was(decoder, decoder_file):
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    modes = [part.training for part in decoder.modules()]
    to_onnx(decoder.forward, {"z": torch.randn(2, 6)}, ["x"])  # a method: its module is found
    assert [part.training for part in decoder.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in decoder.state_dict().items())
    with pytest.raises(ExportError):
        to_onnx(nn.Sequential(decoder, Branch()), {"z": torch.randn(2, 6)}, ["x"])
    assert [part.training for part in decoder.modules()] == modes


def test_several_outputs_and_functions():
    data = to_onnx(
        lambda a, b: (a + b, a * b), {"a": torch.randn(2, 3), "b": torch.randn(2, 3)}, ["sum", "product"]
    )
    a, b = np.ones((4, 3), np.float32), np.full((4, 3), 3, np.float32)
    total, product = run(data, a=a, b=b)
    assert (total == 4).all()
    assert (product == 3).all()


def test_halved_weights_take_half_the_bytes_and_stay_close(decoder, decoder_file):
    data = to_onnx(decoder, {"z": torch.randn(2, 6)}, ["x"], half=True)
    assert len(data) < 0.6 * len(decoder_file)
    z = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    exact, near = run(decoder_file, z=z)[0], run(data, z=z)[0]
    assert near.dtype == np.float32
    assert 0 < np.abs(near - exact).max() < 5e-3 * np.abs(exact).max()


def test_a_file_names_no_source_and_is_the_same_twice(decoder, decoder_file):
    for word in (b"course_lib", b"site-packages", b".py", b"Sequential"):
        assert word not in decoder_file
    assert to_onnx(decoder, {"z": torch.randn(2, 6)}, ["x"]) == decoder_file


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


BAD = {
    "a branch on values": (Branch(), "cannot be written as ONNX: GuardOnDataDependent"),
    "numpy": (lambda x: torch.from_numpy(np.sin(np.asarray(x.tolist()))), "cannot be written as ONNX"),
    "random numbers": (torch.rand_like, "free of random numbers"),
    "NaN": (lambda x: x / 0 * 0, "NaN or infinity as 'y'"),
    "raises": (lambda x: x @ torch.zeros(7, 7), "cannot be written as ONNX: RuntimeError"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_exported_gets_a_sentence(case):
    fn, words = BAD[case]
    with pytest.raises(ExportError) as error:
        to_onnx(fn, {"x": torch.randn(2, 3)}, ["y"])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_computes_something_else_is_not_given_out(monkeypatch, decoder):
    written = export._written

    def spoilt(*arguments):
        model = written(*arguments)
        weight = max(model.graph.initializer, key=lambda w: np.prod(w.dims))
        array = onnx.numpy_helper.to_array(weight).copy()
        array.flat[0] += 0.05
        weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
        return model

    monkeypatch.setattr(export, "_written", spoilt)
    with pytest.raises(ExportError, match="differs from torch: 'x' is off by"):
        to_onnx(decoder, {"z": torch.randn(2, 6)}, ["x"])


def test_inputs_need_one_batch_size():
    with pytest.raises(ExportError, match=r"one common batch size, but they have \{'a': 2, 'b': 3\}"):
        to_onnx(torch.add, {"a": torch.zeros(2, 1), "b": torch.zeros(3, 1)}, ["c"])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match=r"needs onnx and onnxscript: pip install 'course-lib\[lab\]'"):
        to_onnx(torch.sin, {"x": torch.zeros(2, 1)}, ["y"])


def test_a_frozen_copy_does_not_learn():
    layer = nn.Linear(2, 2)
    x = torch.ones(1, 2)
    before = layer(x)
    copies = [frozen(layer), frozen(layer.forward)]
    with torch.no_grad():
        layer.weight += 1
    assert all(torch.equal(copied(x), before) for copied in copies)
    assert frozen(torch.sin) is torch.sin
