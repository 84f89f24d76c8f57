"""What an optimizer asks for within a step: how much, and how long that takes."""

from __future__ import annotations

from time import perf_counter


class Meter:
    """Counts evaluations and their time.

    Attributes:
        thirds: of forward-backward passes; see `position.GRADIENT`.
        seconds: that they took.

    Example:
        >>> with meter.asked(GRADIENT):
        ...     loss.backward()
    """

    __slots__ = ("_begun", "seconds", "thirds")

    def __init__(self) -> None:
        self.thirds, self.seconds, self._begun = 0, 0.0, 0.0

    def asked(self, thirds: int) -> Meter:
        """Count an evaluation, which the block then makes."""
        self.thirds += thirds
        return self

    def __enter__(self) -> None:
        self._begun = perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds += perf_counter() - self._begun
