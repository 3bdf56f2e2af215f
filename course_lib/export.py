"""A trained network -> ONNX, the format that the widgets' runtime reads in the page.

`torch.onnx.export` writes it, and nothing is given out unchecked: an independent evaluator (the one that
comes with onnx, in plain numpy) must give what torch gives, on the example and on a batch of another size.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from course_lib.errors import CourseError

if TYPE_CHECKING:
    from onnx import ModelProto

_EXACT = 1e-4  # largest error that is rounding, relative to the largest output
_HALVED = 1e-2  # the same where weights were rounded to 16 bits
_SMALL = 256  # numbers: smaller tensors are not worth a Cast


class ExportError(CourseError):
    """A network cannot be written as ONNX, or what was written does not compute the same."""


def to_onnx(
    fn: Callable[..., Tensor | tuple[Tensor, ...]],
    inputs: dict[str, Tensor],
    outputs: list[str],
    *,
    half: bool = False,
) -> bytes:
    """`fn` as the bytes of an ONNX file, for any batch size.

    fn:      a module, a method of one, or any function of torch tensors. It is called with the inputs in
             their order and gives one tensor, or a tuple of them. A module (also that of a method) is
             exported in eval mode and left in the mode it was in; models that a function merely uses are
             taken as they are.
    inputs:  example tensors by name, (B, ...) each with one common B >= 1, on fn's device; floats or
             integers. Integers must stay valid when they are shuffled along the batch.
    outputs: the names of the outputs, (B, ...) each.
    half:    store weights as 16-bit floats and compute with 32: half the bytes, for an error of about 0.1%.

    Raises `ExportError` where onnx or onnxscript is missing, where `fn` does what ONNX cannot express (numpy
    code, Python branches on values, a fixed batch size), or where the result differs from torch by more than
    1e-4 of the largest output (1e-2 with `half`).
    """
    _need_onnx()
    sizes = {name: len(value) for name, value in inputs.items()}
    if len(set(sizes.values())) != 1:
        raise ExportError(f"The example inputs need one common batch size, but they have {sizes}.")
    module = _Exported(fn)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        two = {name: value.repeat(2, *[1] * (value.ndim - 1)) for name, value in inputs.items()}  # B > 1
        model = _written(module, two, outputs)
        batches = [(batch, _called(module, batch)) for batch in (inputs, _shuffled(inputs))]
    finally:
        for part, mode in modes:
            part.training = mode
    _check(model, batches, _EXACT)
    if half:
        _halve(model)
        _check(model, batches, _HALVED)
    return model.SerializeToString(deterministic=True)


def frozen(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a module (of a method, the copy's) that training leaves alone; others as they are."""
    owner = getattr(fn, "__self__", None)
    with contextlib.suppress(Exception):  # modules that cannot be copied are taken as they are
        if isinstance(fn, nn.Module):
            return copy.deepcopy(fn)
        if isinstance(owner, nn.Module):
            return getattr(copy.deepcopy(owner), fn.__name__)
    return fn


class _Exported(nn.Module):
    """Any callable as a module, which is what torch.onnx.export takes."""

    def __init__(self, fn: Callable[..., Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.fn = fn
        owner = getattr(fn, "__self__", None)
        self.owner = owner if isinstance(owner, nn.Module) else None  # so that its weights are found

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.fn(*inputs)


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ExportError("Writing ONNX needs onnx and onnxscript: pip install 'course-lib[lab]'.") from None


def _written(module: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> ModelProto:
    batch = torch.export.Dim("batch")
    try:
        with _silence(), torch.no_grad():
            traced = torch.export.export(
                module,
                tuple(inputs.values()),
                dynamic_shapes=(tuple({0: batch} for _ in inputs),),
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,  # torch 2.9 cannot write its guards as ONNX
            )
            program = torch.onnx.export(
                traced, (), input_names=list(inputs), output_names=outputs, dynamo=True, verbose=False
            )
    except Exception as error:  # the exporter wraps whatever went wrong, several times over
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (str(cause).strip() or "no reason given").split("\n")[0][:200]
        raise ExportError(
            f"This function cannot be written as ONNX: {type(cause).__name__}: {reason} "
            "Use torch operations only, and any batch size."
        ) from error
    assert program is not None  # torch gives None only when it writes a file
    model = program.model_proto
    _forget_where(model)
    return model


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No progress report, no advice: they speak to the authors of exporters."""
    before = logging.root.manager.disable
    quiet = io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _forget_where(model: ModelProto) -> None:
    """Drop the exporter's notes: they hold file names of this machine and make up a tenth of the bytes."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.initializer,
        *graph.value_info,
        *graph.input,
        *graph.output,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")


def _halve(model: ModelProto) -> None:
    """Keep the large weights as float16, and cast them back when the network is opened."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALL:
            continue
        name = weight.name
        array = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(array, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)


def _called(module: nn.Module, inputs: dict[str, Tensor]) -> list[NDArray[np.float32]]:
    with torch.no_grad():
        result = module(*inputs.values())
    results = result if isinstance(result, tuple | list) else (result,)
    return [value.detach().float().cpu().numpy() for value in results]


def _shuffled(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Other inputs of the same kind, one more of them: normal noise, or integers drawn from the example's."""
    generator = torch.Generator().manual_seed(0)
    other = {}
    for name, value in inputs.items():
        shape = (len(value) + 1, *value.shape[1:])
        if value.is_floating_point():
            new = torch.randn(shape, generator=generator).to(value)
        else:
            new = value[torch.randint(len(value), shape[:1], generator=generator)]
        other[name] = new
    return other


def _check(
    model: ModelProto, batches: list[tuple[dict[str, Tensor], list[NDArray[np.float32]]]], tolerance: float
) -> None:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)
    for inputs, wanted in batches:
        arrays = {name: value.cpu().numpy() for name, value in inputs.items()}
        with np.errstate(all="ignore"):
            results = evaluator.run(None, arrays)
        for name, given, true in zip(evaluator.output_names, results, wanted, strict=True):
            if not np.isfinite(true).all():
                raise ExportError(
                    f"The network gives NaN or infinity as {name!r}: has the training diverged?"
                )
            if given.shape != true.shape:
                raise ExportError(
                    f"ONNX gives {name!r} the shape {given.shape} where torch gives {true.shape}: "
                    "the function must treat every element of the batch alike."
                )
            error = float(np.abs(given - true).max()) / max(float(np.abs(true).max()), 1e-6)
            if not error <= tolerance:
                raise ExportError(
                    f"The ONNX network differs from torch: {name!r} is off by {error:.1e} of its largest "
                    f"value, and at most {tolerance:.0e} is allowed. Is it in eval mode and free of random "
                    "numbers?"
                )
