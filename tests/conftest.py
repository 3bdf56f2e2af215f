"""Options of the tests: `pytest --device cuda --dtype float64` runs every method there and so."""

import os
import sys

import pytest

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # the networks here are tiny, and some tests compare bit for bit


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", choices=("cpu", "cuda", "mps"), help="where methods run")
    parser.addoption("--dtype", default="float32", choices=("float32", "float64"), help="of their parameters")


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("there is no CUDA device here")


@pytest.fixture(scope="session")
def device(request):
    """The name of the device that methods run on."""
    return request.config.getoption("--device")


@pytest.fixture(scope="session")
def dtype(request):
    """The dtype of methods and batches."""
    import torch

    return getattr(torch, request.config.getoption("--dtype"))


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random state."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
