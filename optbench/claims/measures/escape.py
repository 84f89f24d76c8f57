"""How many steps noise needs to carry a run out of the well that it begins in."""

from __future__ import annotations

import math
from statistics import median

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture


def measure(found: Found) -> Measured:
    """Return log10 of the steps of each setting, of runs on a double well from its right minimum.

    A run is out where it is halfway to the left minimum from the barrier at 0. One that stays
    counts with all its steps, so that what differs is told too small, never too large.
    """
    values = {
        name: {seed: math.log10(steps_out(ran)) for seed, ran in runs.items()}
        for name, runs in found.groups()
    }
    stayed = [
        f"{name}: {sum(not out(ran) for ran in runs.values())} of {len(runs)} stayed"
        for name, runs in found.groups()
        if any(not out(ran) for ran in runs.values())
    ]
    curves = {}
    for part in found.sweeps:
        medians = [10 ** median(values[name].values()) for name, _ in found.groups(part)]
        if len(medians) > 1:
            curves[part] = ([*range(1, len(medians) + 1)], medians)
    title, label = "median steps until it is out", "setting, the least first"
    return Measured(values, [Picture(curves, title=title, x_label=label, log_y=True)], stayed)


def steps_out(ran: Ran) -> int:
    """Return the first step at which a run is out; all its steps, where it never is."""
    return out(ran) or ran.result.step


def out(ran: Ran) -> int:
    """Return the first step at which a run is out; 0 where it never is."""
    beyond = -float(ran.setting("model.left")) / 2
    return next((step for step, x in zip(*ran.series("val/x0"), strict=True) if x < beyond), 0)
