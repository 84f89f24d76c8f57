"""How fast a loss gap falls: lines fitted on logarithmic axes. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

FEWEST = 3
"""Points that a line is fitted through at least."""


@dataclass(frozen=True)
class Fit:
    """A line through log(gap) over steps, or over their logarithms, by least squares.

    Attributes:
        slope: of log(gap) over log(step) for a power law, over the step for a linear rate; natural
            logarithms.
        intercept: of that line.
        power: whether it is a power law.
        first, last: the steps of the first and the last point.
    """

    slope: float
    intercept: float
    power: bool
    first: int
    last: int

    def gap(self, step: float) -> float:
        """Return the line's gap at a step."""
        return math.exp(self.intercept + self.slope * (math.log(step) if self.power else step))

    @property
    def factor(self) -> float:
        """Of a linear rate: the gap after a step over that before it."""
        return math.exp(self.slope)

    @property
    def words(self) -> str:
        """Such as `slope -1.002`, or `x 0.98 a step`."""
        return f"slope {self.slope:.3f}" if self.power else f"x {self.factor:.5g} a step"


def fit(
    steps: Sequence[int], gaps: Sequence[float], first: int, last: int, power: bool
) -> Fit | None:
    """Fit a line through all points at steps `first` to `last` with a positive and finite gap.

    Args:
        steps: ascending.
        gaps: at these steps.
        first, last: the range that counts, both included.
        power: a power law, gap ~ step^slope; otherwise a linear rate, gap ~ factor^step.

    Returns:
        None with fewer than FEWEST such points.
    """
    points = [
        (step, math.log(gap))
        for step, gap in zip(steps, gaps, strict=True)
        if first <= step <= last and step > 0 and math.isfinite(gap) and gap > 0
    ]
    if len(points) < FEWEST:
        return None
    at = [math.log(step) if power else float(step) for step, _ in points]
    slope, intercept = linear_regression(at, [height for _, height in points])
    return Fit(slope, intercept, power, points[0][0], points[-1][0])
