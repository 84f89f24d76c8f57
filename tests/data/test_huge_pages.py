"""optbench.data.huge_pages, and the examples that lie on them."""

from __future__ import annotations

import gc
import mmap
from typing import Any

import pytest
import torch

from optbench.data.huge_pages import LEAST, room
from optbench.data.normalise import Normaliser
from optbench.data.tensor_source import TensorSource

CPU = torch.device("cpu")
MANY = LEAST // (4 * 64)
linux = pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="has no huge pages")


@linux
def test_room_is_memory_as_any_other() -> None:
    place = room((MANY, 1, 8, 8), CPU)
    assert place is not None and place.shape == (MANY, 1, 8, 8) and place.dtype == torch.float32
    part = place[1:].fill_(2.0)
    del place
    gc.collect()
    assert part.sum() == 2 * 64 * (MANY - 1)  # a view keeps it


def test_few_examples_or_another_device_need_none() -> None:
    assert room((MANY - 1, 1, 8, 8), CPU) is None
    assert room((MANY, 1, 8, 8), torch.device("meta")) is None
    assert room((0, 1, 8, 8), CPU) is None


class Refusing(mmap.mmap):
    """Of a kernel that was built without huge pages."""

    def madvise(self, *arguments: Any) -> None:
        raise OSError(22, "Invalid argument")


@linux
def test_a_kernel_without_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "mmap", Refusing)
    assert room((MANY, 1, 8, 8), CPU) is None


@linux
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_examples_are_the_same_to_the_bit(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(0, 256, (MANY, 1, 8, 8), dtype=torch.uint8).to(dtype)
    labels = torch.arange(MANY)
    normaliser = Normaliser([0.4], [0.3], CPU)
    order = torch.randperm(MANY)
    for given in (normaliser, None) if dtype == torch.float32 else (normaliser,):
        found = TensorSource(images, labels, given)
        ((batch, targets),) = found.stream(order, [(0, 50)])
        with monkeypatch.context() as patch:
            patch.setattr("optbench.data.tensor_source.room", lambda *_: None)
            plain = TensorSource(images, labels, given)
        ((wanted, _),) = plain.stream(order, [(0, 50)])
        assert torch.equal(batch, wanted) and torch.equal(targets, order[:50])
        assert found._images.data_ptr() % mmap.PAGESIZE == 0 and found._images is not images
