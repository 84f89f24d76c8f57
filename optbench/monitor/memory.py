"""The most memory that a run needed."""

from __future__ import annotations

import resource
import sys
import time

import torch

REFRESH_SECONDS = 1.0


class PeakMemory:
    """Peak memory in MiB: what tensors took on the GPU, or all that the process took on a CPU.

    A peak only grows, and the system takes 25 us to tell: on a CPU it is asked once a second.

    Args:
        device: where the run computes; on a GPU the count starts anew.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._asked = float("-inf")
        self._known = 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def mib(self) -> float:
        """Return the peak so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        now = time.monotonic()
        if now - self._asked > REFRESH_SECONDS:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self._known = peak / (2**20 if sys.platform == "darwin" else 2**10)
            self._asked = now
        return self._known
