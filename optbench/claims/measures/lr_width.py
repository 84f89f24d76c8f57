"""How wide the range of learning rates is at which a run is nearly as good as at the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from statistics import fmean

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.plots.png import Picture


def measure(
    found: Found,
    metric: str,
    margin: float,
    more: bool = True,
    over: str = "optimizer.lr",
) -> Measured:
    """Return by seed, of each part, the decades around its best in which no run is worse by more.

    Between two runs of the grid the metric is taken for a straight line over the logarithm; a run
    that diverged is worse. What lies beyond the grid is not counted, so it has to be wide enough.

    Args:
        metric: at the end of a run.
        margin: by how much it may be worse.
        more: whether more is better.
        over: the key whose range it is.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves, notes = {}, []
    for part in found.sweeps:
        by_value = dict(sorted(found.by_setting(part, over).items()))
        values[part] = {}
        edges = 0
        for seed in next(iter(by_value.values())):
            ends = {float(v): runs[seed].final(metric) for v, runs in by_value.items()}
            good = {v: _good(end, more) for v, end in ends.items()}
            values[part][seed], at_the_edge = width(good, margin)
            edges += at_the_edge
        if edges:
            notes.append(f"{part}: good up to an end of the grid at {edges} seeds")
        means = {}
        for value, runs in by_value.items():
            known = [end for ran in runs.values() if (end := ran.final(metric)) is not None]
            if len(known) == len(runs):
                means[value] = fmean(known)
        curves[part] = ([*means], [*means.values()])
    label = over.rpartition(".")[2]
    picture = Picture(curves, title=f"{metric}, mean", x_label=label, log_x=True)
    return Measured(values, [picture], notes)


def _good(end: float | None, more: bool) -> float:
    return -math.inf if end is None or math.isnan(end) else end if more else -end


def width(good: Mapping[float, float], margin: float) -> tuple[float, bool]:
    """Return the decades around the best value, and whether they end where the grid does.

    Args:
        good: how good each value is, in their order.
        margin: that the worst may be below the best.
    """
    points = [(math.log10(value), how) for value, how in good.items()]
    best = max(range(len(points)), key=lambda number: points[number][1])
    bound = points[best][1] - margin
    up, last = _reach(points[best:], bound)
    down, first = _reach(points[best::-1], bound)
    return abs(up) + abs(down), last or first


def _reach(points: list[tuple[float, float]], bound: float) -> tuple[float, bool]:
    """Return how far it is from the first point to where the line through all falls to a bound."""
    for (x, above), (next_x, below) in pairwise(points):
        if below < bound:
            part = 0.0 if math.isinf(below) else (above - bound) / (above - below)
            return x + part * (next_x - x) - points[0][0], False
    return points[-1][0] - points[0][0], True
