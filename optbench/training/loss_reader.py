"""The training loss as a number, read without making a GPU wait."""

from __future__ import annotations

import torch
from torch import Tensor


class LossReader:
    """Turns each step's loss into a float, at once on a CPU and one step late on a GPU.

    Reading a number from a GPU waits until all that was asked of it is done. A copy to pinned
    memory, read one step later, waits for nothing but the step before.

    Args:
        late: one step late.
    """

    def __init__(self, late: bool) -> None:
        self._late = late
        self._pending: tuple[int, Tensor, torch.cuda.Event | None] | None = None

    def push(self, step: int, loss: Tensor) -> tuple[int, float] | None:
        """Gives a step's loss; returns a step and its loss that can be read, if there is one."""
        if not self._late:
            return step, loss.item()
        ready = self.settle()
        if loss.is_cuda:
            copy = torch.empty((), dtype=loss.dtype, pin_memory=True)
            copy.copy_(loss, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
            self._pending = (step, copy, event)
        else:
            self._pending = (step, loss.clone(), None)
        return ready

    def settle(self) -> tuple[int, float] | None:
        """The step and loss still under way."""
        if self._pending is None:
            return None
        step, copy, event = self._pending
        if event is not None:
            event.synchronize()
        self._pending = None
        return step, copy.item()
