"""How memory and time of a method that keeps a matrix of all parameters grow with their number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import linear_regression

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots.png import Picture

SOLVING = "throughput/solve_seconds"


def measure(found: Found, timed: str = "newton", kept: str = "bfgs") -> Measured:
    """Return the powers of the number of parameters, by seed.

    Args:
        timed: the part whose seconds of solving are taken, the shortest of its steps and repeats.
        kept: the part whose optimizer's state is counted in bytes.
    """
    seconds: dict[int, dict[int, float]] = {}
    for ran in found.runs(timed):
        size, (_, taken) = int(ran.setting("model.dim")), ran.series(SOLVING)
        of_seed = seconds.setdefault(ran.seed, {})
        if not taken:
            raise UserError(f"measure: {ran.result.folder.path}: it has no {SOLVING}, as on a GPU")
        of_seed[size] = min(of_seed.get(size, math.inf), *taken)
    size_of: dict[int, dict[int, float]] = {}
    for ran in found.runs(kept):
        of_seed = size_of.setdefault(ran.seed, {})
        of_seed[int(ran.setting("model.dim"))] = float(ran.result.costs["state_bytes"])
    values = {
        "seconds": {seed: power(by_size) for seed, by_size in seconds.items()},
        "bytes": {seed: power(by_size) for seed, by_size in size_of.items()},
    }
    sizes = sorted(next(iter(seconds.values())))
    least = [min(of_seed[size] for of_seed in seconds.values()) for size in sizes]
    cubic = [least[-1] * (size / sizes[-1]) ** 3 for size in sizes]
    picture = Picture(
        {"shortest of all": (sizes, least), "n cubed": (sizes, cubic)},
        title="seconds of solving",
        x_label="parameters n",
        log_x=True,
        log_y=True,
    )
    return Measured(values, [picture])


def power(by_size: Mapping[int, float]) -> float:
    """Return the slope of a line through the values, on logarithmic axes."""
    x = [math.log(size) for size in by_size]
    return linear_regression(x, [math.log(value) for value in by_size.values()]).slope
