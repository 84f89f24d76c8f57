"""A hidden state carried from each step to the next, lane by lane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from optbench.tasks.base import Lanes


class CarriedState:
    """Where each lane's sequence stands. Gradients do not reach over steps.

    A step that is looked at several times, as by an optimizer that evaluates the loss itself,
    begins each time with the same state, and leaves the one of its first look, at the weights that
    the step before has made.
    """

    def __init__(self) -> None:
        self._position = -1
        self._start: list[Tensor] = []
        self._end: list[Tensor] = []
        self._kept: set[int] = set()
        self._keeps = True

    def of(self, lanes: Lanes) -> Any:
        """Return the state in which a micro-batch begins.

        A tensor `[layers, n, width]`, two of an LSTM, or None at first.
        """
        start = self._start_of(lanes)
        if not start or start[0].shape[1] != lanes.lanes:  # of other ranks than now
            return None
        stop = lanes.first + len(lanes.batch[0])
        device = lanes.batch[0].device
        parts = [t[:, lanes.first : stop].to(device).contiguous() for t in start]
        return parts[0] if len(parts) == 1 else tuple(parts)

    def keep(self, lanes: Lanes, state: Tensor | Sequence[Tensor]) -> None:
        """Take the state in which a micro-batch ended."""
        if not self._keeps:
            return
        if lanes.position != self._position:
            self._start = self._start_of(lanes)
            self._end, self._kept, self._position = [], set(), lanes.position
        if lanes.first in self._kept:
            return
        self._kept.add(lanes.first)
        parts = [state] if isinstance(state, Tensor) else list(state)
        if not self._end:
            self._end = [
                torch.zeros(p.shape[0], lanes.lanes, *p.shape[2:], dtype=p.dtype, device=p.device)
                for p in parts
            ]
        stop = lanes.first + len(lanes.batch[0])
        for whole, part in zip(self._end, parts, strict=True):
            whole[:, lanes.first : stop] = part.detach()

    def _start_of(self, lanes: Lanes) -> list[Tensor]:
        """Return all lanes' states at the step's beginning."""
        if lanes.position == self._position:
            return self._start
        return [] if lanes.fresh else self._end

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Keep nothing in the block."""
        before, self._keeps = self._keeps, False
        try:
            yield
        finally:
            self._keeps = before

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept, as plain data and tensors."""
        return {"position": self._position, "end": self._end}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self._position, self._start, self._end = state["position"], [], list(state["end"])
