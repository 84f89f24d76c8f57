"""The examples of each step, cut into micro-batches: a pure function of the position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from optbench.data.dataset import Source
from optbench.data.epoch_length import steps_per_epoch
from optbench.data.order import epoch_key, epoch_order, part_of_order, share
from optbench.data.permutation import Indices, Span
from optbench.tasks.base import Batch, Lanes

Part = tuple[tuple[int, int], float]
"""Bounds of a micro-batch, and its weight."""


AT_ONCE = 1 << 16
"""Examples whose places in the order are computed together, where it is not stored."""


class MicroBatch(NamedTuple):
    """One micro-batch, with the factor that makes the sum over all of them the batch's mean."""

    batch: Batch
    weight: float


class StepBatch(NamedTuple):
    """One rank's part of one step.

    Attributes:
        micros: the micro-batches, drawn as they are needed.
        parts: how many there are.
        examples: in the step, over all ranks.
    """

    micros: Iterable[MicroBatch]
    parts: int
    examples: int

    def repeatable(self) -> StepBatch:
        """Return the same work with its micro-batches at hand, for more than one look at them."""
        return self._replace(micros=list(self.micros))


class BatchStream:
    """Batches of a training set, from any position.

    An epoch's last batch holds what is left over. Each batch is cut among the ranks, each rank's
    share into micro-batches; neither changes the batch's gradient. DistributedDataParallel averages
    over ranks, which the weights undo.

    Args:
        source: the training set.
        indices: the examples that are used, int64; of very many, all of them.
        batch_size: examples in a step, over all ranks.
        accumulate: micro-batches in a rank's share.
        seed: of the order and the augmentation.
        rank, ranks: this process among all.
        lanes: each example of a step goes on where the one in its place ended the step before. What
            does not fill a batch is left out of the epoch, and nothing is shuffled.
        shuffle: as in `epoch_order`.
    """

    def __init__(
        self,
        source: Source,
        indices: Indices,
        batch_size: int,
        accumulate: int = 1,
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        lanes: bool = False,
        shuffle: str = "epoch",
    ) -> None:
        self.source, self.indices, self.batch_size = source, indices, batch_size
        self.accumulate, self.seed, self.rank, self.ranks = accumulate, seed, rank, ranks
        self.lanes, self.shuffle = lanes, shuffle
        self.steps_per_epoch = steps_per_epoch(len(indices), batch_size, lanes)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[StepBatch]:
        """Yield the steps of an epoch from its step `start` on."""
        key = epoch_key(self.seed, epoch)
        if not isinstance(self.indices, Span):
            yield from self._steps(self.order(epoch), key, epoch, start, self.steps_per_epoch)
            return
        for first in range(start, self.steps_per_epoch, self._at_once):
            stop = min(first + self._at_once, self.steps_per_epoch)
            order = self._part(self.indices, epoch, first, stop)
            yield from self._steps(order, key, epoch, first, stop, first * self.batch_size)

    def _steps(
        self, order: Tensor, key: int, epoch: int, start: int, stop: int, before: int = 0
    ) -> Iterator[StepBatch]:
        """Yield the steps from `start` to `stop`, whose examples stand in `order`.

        Args:
            order: of the epoch, without the first `before` examples.
            key: of the augmentation.
        """
        if self.ranks == 1 and self.accumulate == 1 and not self.lanes:
            yield from self._whole_batches(order, key, start, stop, before)
            return
        cuts = [self._cut(step) for step in range(start, stop)]
        bounds = [(low - before, high - before) for cut, _ in cuts for (low, high), _ in cut]
        stream = self.source.stream(order, bounds, key)
        for step, (cut, examples) in enumerate(cuts, start):
            weights = [weight for _, weight in cut]
            batches: Iterable[Batch] = islice(stream, len(cut))
            if self.lanes:
                batches = self._in_lanes(batches, cut, epoch, step)
            # map over zip: drawn lazily, so that one micro-batch at a time is in memory
            yield StepBatch(
                map(MicroBatch._make, zip(batches, weights, strict=True)), len(cut), examples
            )

    def whole(self, batch_size: int | None = None) -> BatchStream:
        """Return the same examples in the same order as one process has them, in one piece a step.

        Args:
            batch_size: of its steps; None is this one's.
        """
        size = self.batch_size if batch_size is None else batch_size
        return BatchStream(
            self.source, self.indices, size, seed=self.seed, lanes=self.lanes, shuffle=self.shuffle
        )

    def step_at(self, epoch: int, index: int) -> StepBatch:
        """Return one step, for more than one look at it."""
        return next(self.epoch(epoch, index)).repeatable()

    @property
    def _at_once(self) -> int:
        """How many steps' examples are looked up together, of very many."""
        return max(1, AT_ONCE // self.batch_size)

    def _part(self, every: Span, epoch: int, start: int, stop: int) -> Tensor:
        """Return the examples of some steps, of so many that no list of all is made."""
        if self.lanes:
            lanes = torch.arange(self.batch_size) * self.steps_per_epoch
            return (torch.arange(start, stop)[:, None] + lanes).flatten()
        places = every[start * self.batch_size : stop * self.batch_size]
        return part_of_order(len(every), places, self.seed, epoch, self.shuffle)

    def order(self, epoch: int) -> Tensor:
        """Return the examples of an epoch in their order, int64 [n], where these are listed."""
        assert not isinstance(self.indices, Span)
        if not self.lanes:
            return epoch_order(self.indices, self.seed, epoch, self.shuffle)
        used = self.indices[: self.batch_size * self.steps_per_epoch]
        return used.view(self.batch_size, self.steps_per_epoch).t().reshape(-1)

    def _in_lanes(
        self, batches: Iterable[Batch], cut: list[Part], epoch: int, step: int
    ) -> Iterator[Lanes]:
        """Yield micro-batches that know which lanes they are."""
        first, end = cut[0][0][0], cut[-1][0][1]
        position = epoch * self.steps_per_epoch + step
        for batch, ((low, _), _) in zip(batches, cut, strict=True):
            yield Lanes(batch, low - first, end - first, position, step == 0)

    def _whole_batches(
        self, order: Tensor, key: int, start: int, stop: int, before: int
    ) -> Iterator[StepBatch]:
        """Yield the same where nothing is cut, which is most runs: 4 us a step less."""
        size = self.batch_size
        end = min(stop * size, len(self.indices)) - before
        firsts = range(start * size - before, end, size)
        bounds = [(first, min(first + size, end)) for first in firsts]
        batches = self.source.stream(order, bounds, key)
        for batch, (first, stop) in zip(batches, bounds, strict=True):
            yield StepBatch([MicroBatch(batch, 1.0)], 1, stop - first)

    def _cut(self, step: int) -> tuple[list[Part], int]:
        """Return the bounds and weights of this rank's micro-batches, and the step's examples."""
        first = step * self.batch_size
        examples = min(self.batch_size, len(self.indices) - first)
        low, high = share(examples, self.ranks, self.rank)
        cut = []
        for part in range(self.accumulate):
            start, stop = share(high - low, self.accumulate, part)
            if stop > start:
                weight = (stop - start) * self.ranks / examples
                cut.append(((first + low + start, first + low + stop), weight))
        # A rank without a share works through one example at weight 0, for the others wait for it.
        return cut or [((first, first + 1), 0.0)], examples
