"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class Ema:
    """`average <- decay * average + (1 - decay) * weights`, after every step taken.

    Buffers, such as batch statistics, are not averaged: evaluation uses the model's.

    Args:
        parameters: the weights to average; the average starts as a copy of them.
        decay: between 0 and 1.

    Attributes:
        averages: in the order of the parameters.
        ahead: the next update has been taken already, within a step that is one graph.

    Reference: Polyak & Juditsky 1992; in this form Szegedy et al. 2016, section 8.
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float) -> None:
        self._parameters = list(parameters)  # not their memory, which others may exchange
        self.decay = decay
        self.averages = [p.detach().clone() for p in self._parameters]
        self.ahead = False

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights in."""
        if self.ahead:
            self.ahead = False
            return
        torch._foreach_lerp_(self.averages, self._parameters, 1 - self.decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the averages stand in the model; put the weights back afterwards, bit for bit."""
        weights = [p.detach().clone() for p in self._parameters]
        self._put(self.averages)
        try:
            yield
        finally:
            self._put(weights)

    @torch.no_grad()
    def _put(self, weights: Sequence[Tensor]) -> None:
        torch._foreach_copy_(self._parameters, list(weights))
