"""By which power of another key the best learning rate grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, linear_regression

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.config.better import mode_by_name
from optbench.plots.png import Picture

LR = "optimizer.lr"


def measure(found: Found, metric: str, over: str = "batch_size") -> Measured:
    """Return of each part the slope of log(best lr) over log(the key), by seed.

    The best lr of a seed is the lowest point of the parabola through the best point of its grid
    and that point's neighbours, in log(lr); the point itself at an end of the grid.

    Args:
        metric: at the end of a run; one that diverges is worse than any other.
        over: the key.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves, notes = {}, []
    for part in found.sweeps:
        values[part] = {}
        at_ends = 0
        bests: dict[float, list[float]] = {}
        by_key = found.by_setting(part, over)
        for seed in found.seeds:
            points = []
            for size in sorted(by_key):
                runs = [ran for ran in found.runs(part) if ran.setting(over) == size]
                best, at_end = best_of([ran for ran in runs if ran.seed == seed], metric, LR)
                at_ends += at_end
                points.append((math.log(size), best))
                bests.setdefault(float(size), []).append(best)
            values[part][seed] = linear_regression(*zip(*points, strict=True)).slope
        curves[part] = ([*bests], [math.exp(fmean(each)) for each in bests.values()])
        if at_ends:
            notes.append(f"{part}: {at_ends} best learning rates at an end of their grid")
    picture = Picture(
        curves, title="best lr, mean of its logarithm", x_label=over, log_x=True, log_y=True
    )
    return Measured(values, [picture], notes)


def best_of(runs: Sequence[Ran], metric: str, key: str) -> tuple[float, bool]:
    """Return the logarithm of a key where a metric is best, and whether that ends the grid."""
    sign = -1.0 if mode_by_name(metric) == "max" else 1.0
    found = sorted(
        (math.log(float(ran.setting(key))), math.inf if end is None else sign * end)
        for ran in runs
        for end in [ran.final(metric)]
    )
    least = min(range(len(found)), key=lambda index: found[index][1])
    if least in (0, len(found) - 1):
        return found[least][0], True
    (x0, y0), (x1, y1), (x2, y2) = found[least - 1 : least + 2]
    if math.isinf(y0 + y2):
        return x1, False
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    curvature = (right - left) / (x2 - x0)
    return ((x0 + x1) / 2 - left / (2 * curvature) if curvature > 0 else x1), False
