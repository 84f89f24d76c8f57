"""What notes the operations of a function and repeats them: a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

Replay = Callable[[], None]


class Graphs(Protocol):
    """What is asked of a device that can repeat what it was told to do."""

    def aside(self) -> AbstractContextManager[None]:
        """Do what is in the block as what is noted later will be done."""
        ...

    def note(self, function: Callable[[], None]) -> Replay:
        """Call a function once, which changes nothing on the device, and return what does its
        operations there, at the same places in memory.

        Raises:
            RuntimeError: it does what can't be repeated, such as reading a number.
        """
        ...

    def why_no_room(self) -> str | None:
        """Return why a graph, which keeps its memory for itself, is not worth it, if so."""
        ...


class CudaGraphs:
    """CUDA's, by torch. Its generators are known to it: each replay draws on.

    Args:
        device: of the model.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run the block in the stream that is noted from, before and after all others' work."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)

    def note(self, function: Callable[[], None]) -> Replay:
        """Return the replay of what the function launches."""
        graph = torch.cuda.CUDAGraph()
        # Threads that load data may allocate and copy meanwhile: only this one is watched.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            function()
        return graph.replay

    def why_no_room(self) -> str | None:
        """Return a reason where steps in and beside the graph would need most of the memory."""
        peak = torch.cuda.max_memory_allocated(self._device)
        whole = torch.cuda.get_device_properties(self._device).total_memory
        if 2 * peak <= 0.8 * whole:
            return None
        return f"a step takes {peak / whole:.0%} of the memory, and a graph takes it once more"
