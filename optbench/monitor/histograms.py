"""Histograms of large tensors, from a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SAMPLE = 16_384
BINS = 64


@dataclass(frozen=True)
class Histogram:
    """Counts between edges; `edges[i]` is the upper end of bin i."""

    low: float
    high: float
    count: int
    total: float
    squares: float
    edges: list[float]
    counts: list[float]


def histograms(names: Sequence[str], tensors: Sequence[Tensor | None]) -> dict[str, Histogram]:
    """Return a histogram for each name, of at most SAMPLE values at equal strides.

    Tensors that are None, empty, or hold values that are not finite are left out.
    """
    made = {name: _histogram(t) for name, t in zip(names, tensors, strict=True) if t is not None}
    return {name: h for name, h in made.items() if h is not None}


@torch.no_grad()
def _histogram(tensor: Tensor) -> Histogram | None:
    flat = (tensor.to_dense() if tensor.is_sparse else tensor).detach().reshape(-1)
    stride = max(1, -(-flat.numel() // SAMPLE))
    sample = flat[::stride].float().cpu()  # histc is not deterministic on a GPU
    if not sample.numel():
        return None
    low, high = sample.aminmax()
    stats = torch.stack([low, high, sample.sum(), sample.square().sum()]).tolist()
    if not all(abs(value) < float("inf") for value in stats):
        return None
    first, last = stats[0], stats[1]
    if first == last:
        return Histogram(first, last, len(sample), stats[2], stats[3], [last], [len(sample)])
    counts = torch.histc(sample, BINS, first, last).tolist()
    width = (last - first) / BINS
    edges = [first + width * (i + 1) for i in range(BINS)]
    return Histogram(first, last, len(sample), stats[2], stats[3], edges, counts)
