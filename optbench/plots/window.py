"""The part of an axis of scores that is shown: a few that are far off flatten no picture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

FAR = 30.0
"""So many times the median distance from the best is far off."""
DECADES = 20.0
"""The ratio of the greatest to the least from which on a logarithm shows more."""
EDGE = 0.96
"""Where a score without a place is marked, from the good end of the axes to the bad one."""


@dataclass(frozen=True)
class Window:
    """From `low` to `high` of the scores.

    Attributes:
        low, high: the least and the greatest that has a place.
        less: whether less is better.
        log: whether the axis is logarithmic.
    """

    low: float
    high: float
    less: bool
    log: bool

    @classmethod
    def of(cls, scores: Iterable[float], less: bool) -> Window:
        """Return the window of some scores; without any finite one it is [0, 1]."""
        finite = [score for score in scores if math.isfinite(score)]
        if not finite:
            return cls(0.0, 1.0, less, False)
        best = min(finite) if less else max(finite)
        far = FAR * median(abs(score - best) for score in finite)
        near = [score for score in finite if not far or abs(score - best) <= far]
        low, high = min(near), max(near)
        return cls(low, high, less, log=less and low > 0 and high / low > DECADES)

    def has(self, score: float) -> bool:
        """Return whether a score has a place: it is finite and not far off."""
        return self.low <= score <= self.high

    @property
    def edge(self) -> float:
        """Return the height of the others, as a part of the axes."""
        return EDGE if self.less else 1 - EDGE

    @property
    def arrow(self) -> str:
        """Return matplotlib's marker of the others: it points to where they are."""
        return "^" if self.less else "v"

    def put(self, axes: Any, label: str, with_edge: bool) -> None:
        """Make it the y axis of matplotlib's axes, with room for the others where there are any."""
        if self.log:
            axes.set_yscale("log")
        low, high = (math.log(end) if self.log else end for end in (self.low, self.high))
        pad = 0.07 * (high - low) or abs(high) / 10 or 0.1
        more = 0.14 * (high - low) if with_edge else 0.0
        bottom = low - pad - (0.0 if self.less else more)
        top = high + pad + (more if self.less else 0.0)
        axes.set_ylim(*(math.exp(end) if self.log else end for end in (bottom, top)))
        if self.log:
            from optbench.plots.axis import log_ticks, number

            places = log_ticks(self.low, self.high)
            axes.set_yticks(places, [number(place) for place in places])
            axes.minorticks_off()
        axes.set_ylabel(label, parse_math=False)
