"""The newest of some numbers, and what is usual among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import pairwise


class Recent:
    """The newest numbers, up to `most`.

    Args:
        most: that are kept.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[float] = deque(maxlen=most)

    def add(self, value: float) -> None:
        """Take a number in; the oldest goes."""
        self._kept.append(value)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[float]:
        return iter(self._kept)

    @property
    def full(self) -> bool:
        """Whether there are as many as are kept."""
        return len(self._kept) == self._kept.maxlen

    @property
    def least(self) -> float:
        """The smallest one, which is found sooner than the median and bounds it."""
        return min(self._kept, default=0.0)

    @property
    def median(self) -> float:
        """The middle one; of two the upper."""
        ordered = sorted(self._kept)
        return ordered[len(ordered) // 2]

    @property
    def spread(self) -> float:
        """The median distance of neighbours: how much they jump, whatever their trend."""
        values = list(self._kept)
        jumps = sorted(abs(b - a) for a, b in pairwise(values))
        return jumps[len(jumps) // 2] if jumps else 0.0
