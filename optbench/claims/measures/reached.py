"""When a run comes to a level, or what else it has there; at its best setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from optbench.claims.choice import chosen
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.config.better import mode_by_name
from optbench.plots.png import Picture


def measure(
    found: Found, metric: str, level: float, gives: str = "step", never: float | None = None
) -> Measured:
    """Return of each part what it has when it comes to a level.

    Of each seed it is that of the setting of the part's grid whose mean over the other seeds is
    best; a setting with which one of them never comes there is not chosen.

    Args:
        metric: that comes to the level, such as `val/accuracy`.
        level: up to or beyond which it has to come.
        gives: `step`, the first one there; or another metric, whose first value from there on.
        never: what a run counts that does not come there; by default its seed has no value.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves, notes = {}, []
    sign = -1.0 if gives != "step" and mode_by_name(gives) == "max" else 1.0
    for part in found.sweeps:
        settings = dict(found.groups(part))
        given = {
            name: {seed: _given(ran, metric, level, gives) for seed, ran in runs.items()}
            for name, runs in settings.items()
        }
        costs = {name: _costs(of_seed, sign) for name, of_seed in given.items()}
        names = {seed: chosen(costs, seed) for seed in found.seeds}
        ends = {seed: given[name][seed] for seed, name in names.items()}
        values[part] = {seed: never if end is None else end for seed, end in ends.items()}
        often = Counter(names.values()).most_common()
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


def _costs(of_seed: Mapping[int, float | None], sign: float) -> dict[int, float | None]:
    return {seed: None if value is None else sign * value for seed, value in of_seed.items()}


def _given(ran: Ran, metric: str, level: float, gives: str) -> float | None:
    at = step_at(ran, metric, level)
    return at if at is None or gives == "step" else first(ran, gives, at)
