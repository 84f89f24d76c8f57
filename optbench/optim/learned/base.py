"""What a learned update rule is: a pure function of its weights, which can be differentiated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

Weights = Mapping[str, Tensor]
"""Of a rule, by name."""

CHUNK = 16_384
"""Coordinates that go through a network at once, which bounds what a step takes in memory."""


class Sizes(NamedTuple):
    """A tensor among others that lie one behind the other.

    Attributes:
        size: how many coordinates it has.
        dims: its number of dimensions.
    """

    size: int
    dims: int


class LearnedRule(Protocol):
    """An architecture.

    Attributes:
        memory: numbers kept for each coordinate.
    """

    memory: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its weights."""
        ...

    def draw(self, seed: int) -> dict[str, Tensor]:
        """Return weights to begin meta-training with."""
        ...

    def update(
        self,
        weights: Weights,
        point: Tensor,
        gradient: Tensor,
        memory: Tensor,
        tensors: Sequence[Sizes],
        step: int,
    ) -> tuple[Tensor, Tensor]:
        """Return what is added to the coordinates, and their new memory.

        Args:
            weights: the rule's.
            point: coordinates of one or more tensors, [n].
            gradient: at them, [n].
            memory: [n, memory], zeros at first.
            tensors: which the coordinates are of, in this order.
            step: the number of the update, from 1.
        """
        ...
