"""The training loss as a number, read without making a GPU wait."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

Mark = TypeVar("Mark")


class LossReader(Generic[Mark]):
    """Turns each step's loss into a float, at once on a CPU and one step late on a GPU.

    Several losses, [K], are read as a list. Reading a number from a GPU waits until all that was
    asked of it is done. A copy to pinned memory, read one step later, waits for nothing but the
    step before.

    Args:
        late: one step late.
    """

    def __init__(self, late: bool) -> None:
        self._late = late
        self._pending: tuple[Mark, Tensor, torch.cuda.Event | None] | None = None

    def push(self, mark: Mark, loss: Tensor) -> tuple[Mark, Any] | None:
        """Give a loss; return one that can be read, if there is one, with the mark it came with.

        Args:
            mark: what is to be known of the loss when it is read, such as its step.
        """
        if not self._late:
            return mark, loss.tolist()
        ready = self.settle()
        if loss.is_cuda:
            copy = torch.empty(loss.shape, dtype=loss.dtype, pin_memory=True)
            copy.copy_(loss, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = (mark, copy, event)
        else:
            self._pending = (mark, loss.clone(), None)
        return ready

    def settle(self) -> tuple[Mark, Any] | None:
        """Return the loss still under way, with its mark."""
        if self._pending is None:
            return None
        mark, copy, event = self._pending
        if event is not None:
            event.synchronize()
        self._pending = None
        return mark, copy.tolist()
