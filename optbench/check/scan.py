"""One pass over a split: what every example is, in numbers; some of them kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from optbench.check.data_reading import batches
from optbench.check.structure import pair
from optbench.data.dataset import Source

CHUNK = 512
KEPT = 3000
"""Examples kept for neighbours."""
SIDE = 32
"""Pixels that kept images have at most."""
MOST_NUMBERS = 4e9
"""That are read of a split."""


@dataclass
class Scan:
    """What a split is like.

    Attributes:
        name: of the split.
        total: examples in it.
        hashes: int64 [n], of inputs and their shape; equal inputs have equal ones.
        labels: int64 [n]; None where targets are no labels.
        kept, kept_labels: float [k, ...] and [k], evenly spread.
        dtype: of the inputs.
        channel_mean, channel_std: of the first dimension of an example with several.
        low, high: least and largest input.
        bad: examples with a number that is not finite.
        constant: columns of vectors that never change.
        columns: standard deviations of vectors' columns.
        targets: dtype, mean and deviation of numbers to be predicted.
    """

    name: str
    total: int
    hashes: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    labels: Tensor | None = None
    kept: Tensor | None = None
    kept_labels: Tensor | None = None
    dtype: torch.dtype | None = None
    shape: tuple[int, ...] = ()
    channel_mean: Tensor | None = None
    channel_std: Tensor | None = None
    low: float = 0.0
    high: float = 0.0
    bad: int = 0
    constant: int = 0
    column_mean: Tensor | None = None
    column_std: Tensor | None = None
    target_dtype: torch.dtype | None = None
    target_mean: float = 0.0
    target_std: float = 0.0
    bad_targets: int = 0

    @property
    def count(self) -> int:
        """How many examples were looked at."""
        return len(self.hashes)

    @property
    def of_how_many(self) -> str:
        """How many were looked at, in words."""
        if self.count == self.total:
            return f"{self.total:,}"
        return f"{self.count:,} of {self.total:,}"

    @property
    def whole(self) -> bool:
        """Whether all were looked at."""
        return self.count == self.total


def scan(name: str, source: Source, indices: Tensor, seconds: float, numbers: int = 1000) -> Scan:
    """Look at the examples of a split, without augmentation; evenly spread ones if all take long.

    Args:
        numbers: of an example's inputs, about.

    Raises:
        ValueError: examples that have no tensor of inputs.
        Unreadable: one of them can't be read.
    """
    total = len(indices)
    found = Scan(name, total)
    order = torch.randperm(total, generator=torch.Generator().manual_seed(0))
    chunk = max(8, min(CHUNK, int(2e6) // max(1, numbers)))
    bounds = [(low, min(low + chunk, total)) for low in range(0, total, chunk)]
    sums = _Sums()
    end = time.perf_counter() + seconds
    for batch in batches(name, source, indices[order], bounds):
        sums.add(batch)
        if time.perf_counter() > end or sums.numbers > MOST_NUMBERS:
            break
    sums.into(found)
    return found


class _Sums:
    """What a scan adds up."""

    def __init__(self) -> None:
        self.numbers = 0.0
        self._hashes: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._kept: list[Tensor] = []
        self._kept_count = 0
        self._labelled = True
        self._weights: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None
        self._low = self._high = None  # type: Any
        self._first: Tensor | None = None
        self._targets: list[Tensor] = []
        self._bad = self._bad_targets = 0
        self._inputs: Tensor | None = None

    def add(self, batch: Any) -> None:
        """Take a batch in."""
        inputs, targets = pair(batch)
        if inputs is None:
            raise ValueError("examples without a tensor of inputs")
        inputs = inputs.detach().cpu()
        if inputs.ndim == 1:
            inputs = inputs[:, None]
        self._inputs = inputs[:1]
        self.numbers += inputs.numel()
        self._hashes.append(self._hashed(inputs))
        if self._kept_count < KEPT:
            some = inputs[: KEPT - self._kept_count]
            self._kept.append(_small(some))
            self._kept_count += len(some)
        self._moments(inputs)
        self._take_targets(targets)

    def _hashed(self, inputs: Tensor) -> Tensor:
        """Return a number of each example's bits, by multiplication modulo 2^64."""
        flat = inputs.flatten(1).contiguous()
        size = flat.element_size()
        words = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size]
        if flat.dtype == torch.bool:
            flat = flat.to(torch.int8)
        flat = (flat + 0.0 if flat.is_floating_point() else flat).view(words).to(torch.int64)
        if self._weights is None or len(self._weights) != flat.shape[1]:
            generator = torch.Generator().manual_seed(1)
            drawn = torch.randint(-(2**62), 2**62, (flat.shape[1],), generator=generator)
            self._weights = drawn * 2 + 1
        mixed = flat ^ (flat >> 17)
        hashed: Tensor = (mixed * self._weights).sum(1)
        return hashed

    def _moments(self, inputs: Tensor) -> None:
        flat = inputs.flatten(1).float()
        finite = flat.isfinite()
        self._bad += int((~finite.all(1)).sum())
        flat = flat.nan_to_num(0.0, 0.0, 0.0)
        total, squares = flat.sum(0, dtype=torch.float64), flat.square().sum(0, dtype=torch.float64)
        low, high = flat.amin(0), flat.amax(0)
        if self._sum is None or self._squares is None or len(total) != len(self._sum):
            self._sum, self._squares, self._low, self._high = total, squares, low, high
            return
        self._sum += total
        self._squares += squares
        self._low, self._high = torch.minimum(self._low, low), torch.maximum(self._high, high)

    def _take_targets(self, targets: Tensor | None) -> None:
        if targets is None:
            self._labelled = False
            return
        targets = targets.detach().cpu()
        if targets.is_floating_point():
            self._bad_targets += int((~targets.isfinite()).sum())
        if targets.is_floating_point() or targets.ndim != 1:
            self._labelled = False
            if sum(len(t) for t in self._targets) < 20_000:
                self._targets.append(targets)
            return
        self._labels.append(targets)
        self._targets = [targets[:1]]

    def into(self, found: Scan) -> None:
        """Give a scan what was added up."""
        if self._inputs is None or self._sum is None or self._squares is None:
            return
        found.hashes = torch.cat(self._hashes)
        found.dtype, found.shape = self._inputs.dtype, tuple(self._inputs.shape[1:])
        count = len(found.hashes)
        mean = self._sum / count
        variance = (self._squares / count - mean.square()).clamp(min=0)
        found.column_mean, found.column_std = mean, variance.sqrt()
        found.constant = int((self._low == self._high).sum())
        found.low, found.high = float(self._low.min()), float(self._high.max())
        found.bad, found.bad_targets = self._bad, self._bad_targets
        places = found.shape[0] if len(found.shape) > 1 else 1
        by_channel = mean.view(places, -1).mean(1)
        second = (self._squares / count).view(places, -1).mean(1)
        found.channel_mean = by_channel
        found.channel_std = (second - by_channel.square()).clamp(min=0).sqrt()
        found.kept = torch.cat(self._kept)
        if self._labelled and self._labels:
            found.labels = torch.cat(self._labels).long()
            found.kept_labels = found.labels[: len(found.kept)]
        if self._targets:
            targets = torch.cat(self._targets)
            found.target_dtype = targets.dtype
            numbers = targets.double()
            found.target_mean = float(numbers.mean())
            found.target_std = float(numbers.std()) if numbers.numel() > 1 else 0.0


def _small(inputs: Tensor) -> Tensor:
    """Return inputs with no more pixels than neighbours are looked for with."""
    if inputs.ndim == 4 and inputs.is_floating_point() and min(inputs.shape[2:]) > SIDE:
        return adaptive_avg_pool2d(inputs, SIDE)
    return inputs.clone()
