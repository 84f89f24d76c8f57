"""By which power of a setting the number of steps grows that a metric takes to fall."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, linear_regression

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.claims.measures.condition_number import steps_to
from optbench.plots.png import Picture


def measure(found: Found, key: str, below: float, metric: str = "val/loss_gap") -> Measured:
    """Return the power by seed, of parts whose names are alike up to the last `_`.

    Args:
        key: the setting, a number, such as `model.dim`.
        below: part of the first value that has to be reached.
        metric: that falls.
    """
    steps: dict[str, dict[int, dict[float, float]]] = {}
    for part in found.sweeps:
        for ran in found.runs(part):
            of_seed = steps.setdefault(part.rpartition("_")[0], {}).setdefault(ran.seed, {})
            of_seed[float(ran.setting(key))] = steps_to(ran, below, metric)
    values = {
        name: {seed: power(by_value) for seed, by_value in by_seed.items()}
        for name, by_seed in steps.items()
    }
    curves = {}
    for name, by_seed in steps.items():
        settings = [*next(iter(by_seed.values()))]
        means = [fmean(of_seed[x] for of_seed in by_seed.values()) for x in settings]
        curves[name] = (settings, means)
    picture = Picture(
        curves,
        title=f"steps to {below:g} of the first {metric}, mean",
        x_label=key,
        log_x=True,
        log_y=True,
    )
    return Measured(values, [picture])


def power(by_value: Mapping[float, float]) -> float:
    """Return the slope of a line through the steps, on logarithmic axes."""
    x = [math.log(value) for value in by_value]
    return linear_regression(x, [math.log(steps) for steps in by_value.values()]).slope
