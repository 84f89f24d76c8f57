"""optbench.training.loss_reader"""

from __future__ import annotations

import pytest
import torch

from optbench.training.loss_reader import LossReader

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def test_at_once() -> None:
    reader = LossReader(late=False)
    assert reader.push(1, torch.tensor(0.5)) == (1, 0.5)
    assert reader.settle() is None


@pytest.mark.parametrize("device", DEVICES)
def test_one_step_late(device: str) -> None:
    reader = LossReader(late=True)
    read = [reader.push(step, torch.tensor(step / 4, device=device)) for step in range(1, 5)]
    assert read == [None, (1, 0.25), (2, 0.5), (3, 0.75)]
    assert reader.settle() == (4, 1.0)
    assert reader.settle() is None
    assert reader.push(5, torch.tensor(1.25, device=device)) is None


@pytest.mark.parametrize("device", DEVICES)
def test_what_happens_to_the_loss_later_is_not_read(device: str) -> None:
    reader = LossReader(late=True)
    loss = torch.tensor(2.0, device=device)
    reader.push(1, loss)
    loss.zero_()
    assert reader.settle() == (1, 2.0)
