"""Every test here runs on one thread."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _kernels_for_small_tensors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested as compiled is compiled, and what is tested as foreach has tensors that are
    worked on alone, and others together, though they are too small to be worth it."""
    monkeypatch.setattr("optbench.optim.engine.compiled.SMALL", 0)
    monkeypatch.setattr("optbench.optim.engine.foreach.ALONE", 10)
