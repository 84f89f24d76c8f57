"""Where the real data sets are, and the devices to try."""

import os

import pytest
import torch

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> str:
    """The folder with real data sets; without OPTBENCH_DATA the test is skipped."""
    root = os.environ.get("OPTBENCH_DATA", "")
    if not os.path.isdir(root):
        pytest.skip("OPTBENCH_DATA names no folder")
    return root


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Each device there is."""
    return torch.device(request.param)
