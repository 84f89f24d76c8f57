"""When a run comes to a level, or what else it has there, tuned as in `chosen`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from statistics import fmean

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.config.better import mode_by_name
from optbench.plots.png import Picture


def measure(found: Found, metric: str, level: float, gives: str = "step") -> Measured:
    """Return of each part what it has when it comes to a level.

    Of each seed it is that of the setting of the part's grid with which the other seeds come there
    soonest in the mean; a setting with which one of them never does is not chosen.

    Args:
        metric: that comes to the level, such as `val/accuracy`.
        level: up to or beyond which it has to come.
        gives: `step`, the first one there; or another metric, whose first value from there on.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves, notes = {}, []
    for part in found.sweeps:
        settings = dict(found.groups(part))
        steps = {
            name: {seed: step_at(ran, metric, level) for seed, ran in runs.items()}
            for name, runs in settings.items()
        }
        chosen = {seed: soonest_but(steps, seed) for seed in found.seeds}
        values[part] = {}
        for seed, name in chosen.items():
            ran, at = settings[name][seed], steps[name][seed]
            values[part][seed] = at if gives == "step" or at is None else first(ran, gives, at)
        often = Counter(chosen.values()).most_common()
        notes.append("chosen " + ", ".join(f"{name} ({times})" for name, times in often))
        curves[often[0][0]] = settings[often[0][0]][found.seeds[0]].series(metric)
    picture = Picture(curves, title=f"{metric}, first seed", x_label="step")
    return Measured(values, [picture], notes)


def step_at(ran: Ran, metric: str, level: float) -> float | None:
    """Return the first step at which a metric is at a level or beyond; None where it never is."""
    sign = 1.0 if mode_by_name(metric) == "max" else -1.0
    for step, value in zip(*ran.series(metric), strict=True):
        if sign * value >= sign * level:
            return float(step)
    return None


def first(ran: Ran, metric: str, at: float) -> float | None:
    """Return a metric's first value from a step on."""
    steps, values = ran.series(metric)
    return next((value for step, value in zip(steps, values, strict=True) if step >= at), None)


def soonest_but(steps: Mapping[str, Mapping[int, float | None]], seed: int) -> str:
    """Return the setting with which all seeds but one come there soonest; else the first."""

    def mean(name: str) -> float:
        of_seed = steps[name]
        seen = [step for other, step in of_seed.items() if other != seed or len(of_seed) == 1]
        known = [step for step in seen if step is not None]
        return fmean(known) if known and len(known) == len(seen) else math.inf

    return min(steps, key=mean)
