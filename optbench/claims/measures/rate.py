"""How fast a metric falls: the slope of a line through it, on logarithmic axes."""

from __future__ import annotations

from statistics import fmean

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.config.flow import flow
from optbench.errors import UserError
from optbench.plots.png import Picture
from optbench.plots.rates import fit

MOST = 400
"""Points of a curve in the picture."""


def measure(
    found: Found,
    metric: str = "val/loss_gap",
    first: int | str = 10,
    last: int = 10**9,
    power: bool = True,
    over: str | None = None,
) -> Measured:
    """Return the slope of each part, and of each of its settings.

    Args:
        metric: that falls.
        first, last: the steps between which a line is laid, both included; `first: 50%` leaves out
            the first half of what there is.
        power: of log(metric) over log(step), the power of the step; else over the step, whose
            slope is the logarithm of the factor of a step.
        over: a part: slopes are told as parts of its mean one.
    """
    slopes: dict[str, dict[int, float | None]] = {}
    curves = {}
    for name, runs in found.groups():
        slopes[name] = {
            seed: _slope(ran, metric, (first, last), power) for seed, ran in runs.items()
        }
        steps, gaps = next(iter(runs.values())).series(metric)
        every = max(1, len(steps) // MOST)
        curves[name] = (steps[::every], gaps[::every])
    if over is not None:
        base = [value for value in slopes.pop(over, {}).values() if value is not None]
        if not base:
            raise UserError(f"measure: over={over}: no such part, or it has no slope")
        unit = fmean(base)
        slopes = {
            name: {seed: None if v is None else v / unit for seed, v in of_seed.items()}
            for name, of_seed in slopes.items()
        }
    picture = Picture(curves, title=metric, x_label="step", log_x=power, log_y=True)
    return Measured(slopes, [picture])


def _slope(ran: Ran, metric: str, between: tuple[int | str, int], power: bool) -> float | None:
    steps, gaps = ran.series(metric)
    first, last = between
    if isinstance(first, str):
        if not first.endswith("%") or not first[:-1].isdigit():
            raise UserError(f"measure: first={flow(first)}: expected a step, or such as 50%")
        first = int(int(first[:-1]) / 100 * steps[-1]) if steps else 0
    line = fit(steps, gaps, first, last, power)
    return line.slope if line and ran.ended_well else None
