"""How fast a metric falls: the slope of a line through it, on logarithmic axes."""

from __future__ import annotations

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.plots.png import Picture
from optbench.plots.rates import fit

MOST = 400
"""Points of a curve in the picture."""


def measure(
    found: Found,
    metric: str = "val/loss_gap",
    first: int = 10,
    last: int = 10**9,
    power: bool = True,
) -> Measured:
    """Return the slope of each part, and of each of its settings.

    Args:
        metric: that falls.
        first, last: the steps between which a line is laid, both included.
        power: of log(metric) over log(step), the power of the step; else over the step, whose
            slope is the logarithm of the factor of a step.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for name, runs in found.groups():
        values[name] = {}
        for seed, ran in runs.items():
            steps, gaps = ran.series(metric)
            line = fit(steps, gaps, first, last, power)
            values[name][seed] = line.slope if line and ran.ended_well else None
            if name not in curves:
                every = max(1, len(steps) // MOST)
                curves[name] = (steps[::every], gaps[::every])
    picture = Picture(
        curves, x_label="step", y_label=metric, log_x=power, log_y=True, title="what falls"
    )
    return Measured(values, [picture])
