"""The course of the training loss, thinned to a few points, whatever the run's length."""

from __future__ import annotations

from math import isfinite

MOST = 64


class Course:
    """Means of neighbouring losses, in at most `MOST` parts of equally many records.

    Where there are more, neighbours are joined, so that it costs the same however long a run is.
    """

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._each, self._open, self._count = 1, 0.0, 0

    def add(self, loss: float) -> None:
        """Take a loss in; one that is not finite is left out."""
        if not isfinite(loss):
            return
        self._open += loss
        self._count += 1
        if self._count < self._each:
            return
        self._sums.append(self._open / self._count)
        self._open, self._count = 0.0, 0
        if len(self._sums) == MOST:
            pairs = zip(self._sums[::2], self._sums[1::2], strict=True)
            self._sums = [(a + b) / 2 for a, b in pairs]
            self._each *= 2

    @property
    def parts(self) -> list[float]:
        """The means, in order."""
        return self._sums

    def between(self, start: float, end: float) -> float | None:
        """Return the mean loss of a stretch of the course so far, from 0 to 1; None of nothing."""
        count = len(self._sums)
        chosen = self._sums[int(start * count) : max(int(end * count), int(start * count) + 1)]
        return sum(chosen) / len(chosen) if chosen else None
