"""Processes that make batches ahead of the training."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from optbench.data.image_settings import Loading

GRACE_SECONDS = 60


def loader(
    examples: TorchDataset[Any],
    indices: Tensor,
    bounds: Sequence[tuple[int, int]],
    loading: Loading,
    pinned: bool,
    collate: Callable[[Any], Any],
) -> DataLoader[Any]:
    """Make the loader of a batch for each (start, stop) of bounds, in order; see `Source.stream`.

    Args:
        examples: asked for a list of numbers at once, by `__getitems__`.
        pinned: whether the batches lie in pinned memory.
        collate: makes a batch of what was given, in the worker.
    """
    batches = (indices[start:stop].tolist() for start, stop in bounds)
    workers = min(loading.workers, len(bounds), cores())
    return DataLoader(
        examples,
        batch_sampler=batches,
        num_workers=workers,
        prefetch_factor=loading.prefetch if workers else None,
        collate_fn=collate,
        pin_memory=pinned,
        worker_init_fn=_leave_signals,
        # Its own: the loader draws a seed, which must not move torch's global generator.
        generator=torch.Generator(),
    )


def cores() -> int:
    """Return how many cores this process may use; only Linux tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def unchanged(batch: Any) -> Any:
    """Return the batch, which is whole as it comes."""
    return batch


def _leave_signals(worker: int) -> None:
    """Leave signals to the training, also those that all processes of a job get.

    The training ends its workers. A SIGTERM ends one that is still there after a while.
    """
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE_SECONDS))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
