"""How far apart the paths of several optimizers are."""

from __future__ import annotations

import math

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

COORDINATES = ("val/x0", "val/x1")
LEAST = 1e-18
"""What a distance of 0 is drawn as."""


def measure(found: Found, to: str) -> Measured:
    """Return the largest distance of each part's path from another's, in parts of its way.

    Args:
        to: the part that the others are held against; its runs are on a function of two
            dimensions, and alike but for the seed.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for name, ran, other in found.against(to):
        here, there = path(ran), path(other)
        way = math.dist(there[0], there[-1])
        apart = [math.dist(*pair) / way for pair in zip(here, there, strict=True)]
        values.setdefault(name, {})[ran.seed] = max(apart)
        seen = [max(each, LEAST) for each in apart]
        curves.setdefault(name, ([*range(1, len(apart) + 1)], seen))
    title = f"distance from {to}, in parts of its way"
    return Measured(values, [Picture(curves, title=title, x_label="step", log_y=True)])


def path(ran: Ran) -> list[tuple[float, float]]:
    """Return the point after each step."""
    return [*zip(*(ran.series(tag)[1] for tag in COORDINATES), strict=True)]
