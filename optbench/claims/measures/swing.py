"""How much a run swings along the steep coordinate, and how soon it is there along the flat one."""

from __future__ import annotations

import math
from itertools import pairwise

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

FLAT, STEEP = "val/x0", "val/x1"
SHOWN = 60
"""Steps in the picture."""
SEEN = 3
"""Of the start, in the picture."""
FAR = 1e6
"""Of the start: what a way is that is longer, or has no end."""


def measure(found: Found, below: float = 0.01) -> Measured:
    """Return `PART swing` and `PART steps`, of runs on a function of two dimensions.

    A swing is the length of the way along the steep coordinate in units of its start: 1 for one
    that never turns back. Steps are those until the flat coordinate stays small. Of a grid they are
    those of the run in which both coordinates are small soonest.

    Args:
        below: what is small, in units of the start.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves, notes = {}, []
    for part in found.sweeps:
        best = min(found.runs(part), key=lambda ran: _there(ran, below))
        values[f"{part} swing"] = {0: swing(best)}
        values[f"{part} steps"] = {0: steps_to(best, FLAT, below)}
        ys = [x for x in way(best, STEEP)[: SHOWN + 1] if abs(x) < SEEN]
        curves[part] = ([*range(len(ys))], ys)
        notes.append(f"{part}: {best.label or 'its one run'}")
    picture = Picture(curves, title="the steep coordinate", x_label="step")
    return Measured(values, [picture], notes)


def swing(ran: Ran) -> float:
    """Return the length of the way along the steep coordinate, `FAR` of a run that diverged."""
    xs = way(ran, STEEP)
    length = sum(abs(a - b) for a, b in pairwise(xs)) / abs(xs[0])
    return length if length <= FAR else FAR


def steps_to(ran: Ran, coordinate: str, below: float) -> float | None:
    """Return after how many steps a coordinate stays small; None where it does not."""
    xs = way(ran, coordinate)
    last = max((step for step, x in enumerate(xs) if not abs(x) <= below * abs(xs[0])), default=0)
    return float(last + 1) if ran.ended_well and last + 1 < len(xs) else None


def way(ran: Ran, coordinate: str) -> list[float]:
    """Return a coordinate after each step, its start before them."""
    start = ran.setting("model.start")[(FLAT, STEEP).index(coordinate)]
    return [float(start), *ran.series(coordinate)[1]]


def _there(ran: Ran, below: float) -> float:
    steps = [steps_to(ran, coordinate, below) for coordinate in (FLAT, STEEP)]
    return max(math.inf if each is None else each for each in steps)
