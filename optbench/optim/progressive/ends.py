"""What ends a stage: a step, a metric that no longer improves, or one that passes a bound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Watched = dict[str, Any]
"""What a condition has seen since its stage began: plain data."""


class Condition(Protocol):
    """Something that records show."""

    @property
    def metric(self) -> str:
        """Its tag in the records."""

    def met(self, value: float, watched: Watched) -> bool:
        """Return whether the stage ends, now that this was recorded; keep what was seen."""
        ...


@dataclass(frozen=True)
class Plateau:
    """A metric that does not improve on its best in more than `patience` records in a row.

    What is better is what it is for the schedule of this name.

    Args:
        metric: its tag in the records.
        mode: `min` if less is better, `max` if more is.
        patience: records without improvement that are put up with.
        threshold: by how much one has to be better.
        threshold_mode: `rel`, of the best one's size, or `abs`.

    Raises:
        ValueError: one is out of range.
    """

    metric: str
    mode: str = "min"
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode={self.mode}: expected min or max")
        if self.threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode={self.threshold_mode}: expected rel or abs")
        if not _whole(self.patience) or self.patience < 0:
            raise ValueError(f"patience={self.patience}: expected a whole number, at least 0")
        if not _number(self.threshold) or self.threshold < 0:
            raise ValueError(f"threshold={self.threshold}: expected a number, at least 0")

    def met(self, value: float, watched: Watched) -> bool:
        """Return whether the stage ends."""
        best = watched.get("best")
        if not math.isnan(value) and (best is None or self._is_better(value, best)):
            watched["best"], watched["bad"] = value, 0
        else:
            watched["bad"] = watched.get("bad", 0) + 1
        return bool(watched["bad"] > self.patience)

    def _is_better(self, value: float, best: float) -> bool:
        upward = 1.0 if self.mode == "max" else -1.0
        size = abs(best) if self.threshold_mode == "rel" and math.isfinite(best) else 1.0
        return upward * value > upward * best + self.threshold * size


@dataclass(frozen=True)
class Bound:
    """A metric below or above a number.

    Args:
        metric: its tag in the records.
        bound: the number.
        side: on which side of it the stage ends.

    Raises:
        ValueError: the bound is no number.
    """

    metric: str
    bound: float
    side: Literal["below", "above"] = "below"

    def __post_init__(self) -> None:
        if not _number(self.bound):
            raise ValueError(f"{self.side}={self.bound}: expected a number")

    def met(self, value: float, watched: Watched) -> bool:
        """Return whether the stage ends."""
        return value < self.bound if self.side == "below" else value > self.bound


@dataclass(frozen=True)
class Until:
    """When a stage ends: at whatever of these comes first.

    Args:
        step: of the run.
        condition: that records show.
        settled: how near the estimate of the learning rate and its running mean have to be
            (Keskar & Socher 2017: 1e-9).

    Raises:
        ValueError: it is nothing.
    """

    step: int | None = None
    condition: Condition | None = None
    settled: float | None = None

    def __post_init__(self) -> None:
        if self.step is None and self.condition is None and self.settled is None:
            raise ValueError("until: a stage has to end by something")
        if self.settled is not None and not (_number(self.settled) and self.settled > 0):
            raise ValueError(f"swats={self.settled}: expected a positive number")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
