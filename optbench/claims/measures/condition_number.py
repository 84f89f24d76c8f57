"""How the number of steps grows with the condition number of a quadratic."""

from __future__ import annotations

import math
from statistics import linear_regression

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots.png import Picture


def measure(found: Found, below: float, metric: str = "val/loss_gap") -> Measured:
    """Return the power of the condition number, of parts whose names have the same beginning.

    Args:
        below: part of the first value that has to be reached.
        metric: that falls.
    """
    steps: dict[str, dict[float, float]] = {}
    for part in found.sweeps:
        for ran in found.runs(part):
            name, kappa = part.rpartition("_")[0], float(ran.setting("model.condition"))
            steps.setdefault(name, {})[kappa] = steps_to(ran, below, metric)
    values: dict[str, dict[int, float | None]] = {}
    for name, by_kappa in steps.items():
        x = [math.log(kappa) for kappa in by_kappa]
        values[name] = {0: linear_regression(x, [*map(math.log, by_kappa.values())]).slope}
    picture = Picture(
        {name: ([*by_kappa], [*by_kappa.values()]) for name, by_kappa in steps.items()},
        title=f"steps to {below:g} of the first loss gap",
        x_label="condition number",
        log_x=True,
        log_y=True,
    )
    return Measured(values, [picture])


def steps_to(ran: Ran, below: float, metric: str) -> float:
    """Return the first step at which a metric is that part of its first value.

    Raises:
        UserError: it never is.
    """
    steps, values = ran.series(metric)
    for step, value in zip(steps, values, strict=True):
        if value <= below * values[0]:
            return float(step)
    raise UserError(f"{ran.run.path}: {metric} never falls to {below:g} of its first value")
