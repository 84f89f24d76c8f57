"""The examples of all members, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from optbench.data.order import epoch_key
from optbench.training.batches import BatchStream
from optbench.training.together.stack import batch_rows, batch_stack
from optbench.training.together.traced import tensors_of


class StackedFeed:
    """Each member's own batches, in its own order, as one stacked batch a step.

    Where all train on one source that augments nothing, they are picked in one call.

    Args:
        feeds: the members', of equal lengths.
    """

    def __init__(self, feeds: Sequence[BatchStream]) -> None:
        self.feeds = feeds
        first = feeds[0]
        self.steps_per_epoch = first.steps_per_epoch
        same = all(feed.source is first.source for feed in feeds)
        self.picks_at_once = same and not getattr(first.source, "augments", True)

    def share_like(self, batch: Any) -> float:
        """Return the share of steps whose batch is as large as a stacked one."""
        first = self.feeds[0]
        size, count = first.batch_size, len(first.indices)
        examples = next((each.shape[1] for each in tensors_of(batch) if each.ndim > 1), size)
        alike = count // size if examples == size else int(count % size == examples)
        return alike / self.steps_per_epoch

    def epoch(self, epoch: int, start: int) -> Iterator[tuple[Any, int]]:
        """Yield (batch, examples of one member) of an epoch from its step `start` on."""
        first = self.feeds[0]
        size, end = first.batch_size, len(first.indices)
        firsts = range(start * size, end, size)
        bounds = [(low, min(low + size, end)) for low in firsts]
        orders = [feed.order(epoch) for feed in self.feeds]
        if not self.picks_at_once:
            keys = [epoch_key(feed.seed, epoch) for feed in self.feeds]
            streams = [
                feed.source.stream(order, bounds, key)
                for feed, order, key in zip(self.feeds, orders, keys, strict=True)
            ]
            for batches, (low, high) in zip(zip(*streams, strict=True), bounds, strict=True):
                yield batch_stack(batches), high - low
            return
        members, stacked = len(orders), torch.stack(orders)
        picked = torch.cat([stacked[:, low:high].reshape(-1) for low, high in bounds])
        origin = bounds[0][0]
        all_bounds = [((low - origin) * members, (high - origin) * members) for low, high in bounds]
        stream = first.source.stream(picked, all_bounds, epoch_key(first.seed, epoch))
        for batch, (low, high) in zip(stream, bounds, strict=True):
            yield batch_rows(batch, members), high - low
