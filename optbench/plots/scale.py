"""From numbers to places along an axis, linear or logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`; with `log` both are positive and decades are equally long."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], log: bool = False) -> Scale:
        """Return the axis of all drawable values; without any [0, 1], or [1, 10] with `log`."""
        drawable = [value for value in values if can_be_drawn(value, log)]
        if not drawable:
            return cls(1.0, 10.0, True) if log else cls(0.0, 1.0)
        low, high = min(drawable), max(drawable)
        if low < high:
            return cls(low, high, log)
        if log:
            return cls(low / 2.0, low * 2.0, True)
        margin = abs(low) / 2.0 or 1.0
        return cls(low - margin, low + margin)

    def part(self, value: float) -> float:
        """Return where a value lies: 0 at `low`, 1 at `high`."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value(self, part: float) -> float:
        """Return the value at a part of the axis."""
        if self.log:
            return float(self.low * (self.high / self.low) ** part)
        return self.low + (self.high - self.low) * part


def can_be_drawn(value: float, log: bool) -> bool:
    """Return whether a value has a place on an axis: finite, and positive on a logarithmic one."""
    return math.isfinite(value) and (value > 0 or not log)
