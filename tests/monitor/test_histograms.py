"""optbench.monitor.histograms"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from optbench.monitor.histograms import BINS, SAMPLE, Histogram, histograms


def of(tensor: Tensor) -> Histogram:
    return histograms(["t"], [tensor])["t"]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(7,), (100, 100), (SAMPLE,)])
def test_a_small_tensor_is_counted_whole_as_by_numpy(shape: tuple[int, ...]) -> None:
    values = normal(*shape)
    found = of(values)
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values.double().numpy(), BINS, (low, high))
    assert (found.low, found.high, found.count) == (low, high, values.numel())
    assert sum(found.counts) == values.numel()
    # A value on an edge may fall to either side in 32 bits.
    assert np.abs(np.array(found.counts) - counts).sum() <= 4
    assert found.edges == pytest.approx(edges[1:].tolist(), abs=1e-6)
    assert found.total == pytest.approx(float(values.double().sum()), abs=1e-3)
    assert found.squares == pytest.approx(float(values.double().square().sum()), rel=1e-5)


def test_a_large_tensor_is_sampled_evenly() -> None:
    values = normal(1_000_003)
    found = of(values)
    assert SAMPLE / 2 < found.count <= SAMPLE
    shares = np.array(found.counts) / found.count
    true, _ = np.histogram(values.numpy(), BINS, (found.low, found.high))
    assert np.abs(shares - true / true.sum()).max() < 0.02
    # Every part of the tensor has its share: here only the last tenth is not zero.
    last = torch.cat([torch.zeros(900_000), torch.ones(100_000)])
    assert of(last).total / of(last).count == pytest.approx(0.1, rel=0.02)


def test_equal_values_fall_into_one_bin() -> None:
    found = of(torch.full((5,), 2.5))
    assert (found.low, found.high, found.counts, found.edges) == (2.5, 2.5, [5], [2.5])


@pytest.mark.parametrize(
    "tensor",
    [None, torch.empty(0), torch.tensor([1.0, torch.nan]), torch.tensor([1.0, torch.inf])],
    ids=["none", "empty", "nan", "inf"],
)
def test_what_has_no_histogram_is_left_out(tensor: Tensor | None) -> None:
    assert list(histograms(["bad", "good"], [tensor, torch.ones(2)])) == ["good"]


def test_other_layouts_and_dtypes() -> None:
    dense = normal(10, 10)
    for tensor in (dense.to_sparse(), dense.T, dense.double(), dense.requires_grad_()):
        assert sorted(of(tensor).counts) == sorted(of(dense.detach()).counts)
    assert of(dense.to(torch.bfloat16)).count == 100
