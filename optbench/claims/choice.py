"""Which setting a seed is judged at: what the other seeds choose.

So no run is both what a choice rests on and what is judged by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import TypeVar

from optbench.claims.found import Ran
from optbench.config.better import mode_by_name
from optbench.errors import UserError

Setting = TypeVar("Setting")


def chosen(costs: Mapping[Setting, Mapping[int, float | None]], seed: int | None = None) -> Setting:
    """Return the setting that costs least in the mean of the other seeds; the first of equals.

    Args:
        costs: by setting, and by seed; none, or one that is not finite, is worse than any other.
        seed: that has no say, unless it is the only one; by default all have.
    """
    return min(costs, key=lambda setting: mean_without(costs[setting], seed))


def mean_without(of_seed: Mapping[int, float | None], seed: int | None = None) -> float:
    """Return the mean over all other seeds; infinite where one of them has no finite value."""
    seen = [value for other, value in of_seed.items() if other != seed] or [*of_seed.values()]
    known = [value for value in seen if value is not None and math.isfinite(value)]
    return fmean(known) if known and len(known) == len(seen) else math.inf


def cost(ran: Ran, metric: str) -> float:
    """Return a metric at the end of a run, less being better; infinite where it diverged.

    Raises:
        UserError: it has no such metric.
    """
    value = ran.final(metric)
    if value is None and ran.ended_well:
        raise UserError(f"measure: {ran.run.path}: it has no {metric}")
    if value is None or math.isnan(value):
        return math.inf
    return -value if mode_by_name(metric) == "max" else value


def means(
    settings: Mapping[float, Mapping[int, Ran]], metric: str
) -> tuple[list[float], list[float]]:
    """Return the mean of a metric over a number that runs differ in, where no seed diverged."""
    found = {
        value: mean_without({seed: ran.final(metric) for seed, ran in runs.items()})
        for value, runs in sorted(settings.items())
    }
    known = {value: mean for value, mean in found.items() if math.isfinite(mean)}
    return [*known], [*known.values()]
