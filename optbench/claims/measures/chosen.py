"""What each part comes to with the setting of its grid that the other seeds choose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.config.better import mode_by_name
from optbench.errors import UserError
from optbench.plots.png import Picture


def measure(
    found: Found,
    metric: str,
    by: str | None = None,
    over: str = "optimizer.lr",
    at: str | None = None,
    leads: Mapping[str, Sequence[str]] | None = None,
    diverged: float | None = None,
) -> Measured:
    """Return a quantity for each part, tuned: no seed has a say in the setting it is judged at.

    Of each seed it is the value with that setting of the part's grid whose mean over all other
    seeds is best. A setting at which one of these diverges is not chosen.

    Args:
        metric: that is judged, at the end of a run.
        by: the metric that chooses; `metric` itself by default.
        over: the key that the picture draws the grid over.
        at: a part whose best setting all parts are judged at; each has its own by default.
        leads: further quantities by name: by how much the first of two parts is better.
        diverged: what a run counts that diverges; by default its seed has no value.
    """
    by = by or metric
    values: dict[str, dict[int, float | None]] = {}
    curves, notes = {}, []
    for part in found.sweeps:
        settings = dict(found.groups(part))
        chooses = settings if at is None else dict(found.groups(at))
        chosen = {seed: best_but(chooses, by, seed) for seed in found.seeds}
        chosen = {seed: _same(name, at, part, settings) for seed, name in chosen.items()}
        values[part] = {
            seed: _or(settings[name][seed].final(metric), diverged) for seed, name in chosen.items()
        }
        curves[part] = curve(settings, metric, over)
        notes.append(f"chosen {_told([*chosen.values()], curves[part][0], settings, over)}")
    better = 1.0 if mode_by_name(metric) == "max" else -1.0
    for name, (one, other) in (leads or {}).items():
        if not {one, other} <= set(found.sweeps):
            raise UserError(f"measure: leads: {name}: expected two parts, not {one}, {other}")
        values[name] = {
            seed: _lead(values[one][seed], values[other][seed], better) for seed in found.seeds
        }
    label = over.rpartition(".")[2]
    picture = Picture(curves, title=f"{metric}, mean of the seeds", x_label=label, log_x=True)
    return Measured(values, [picture], notes)


def _same(name: str, at: str | None, part: str, settings: Iterable[str]) -> str:
    """Return the setting of a part that has the same values as another part's."""
    there = part + name.removeprefix(at) if at is not None else name
    if there not in settings:
        raise UserError(f"measure: at={at}: {part} has no {there}; all parts need the same grid")
    return there


def best_but(settings: Mapping[str, Mapping[int, Ran]], by: str, seed: int) -> str:
    """Return the setting whose mean over all seeds but one is best; the first where none is."""
    sign = 1.0 if mode_by_name(by) == "max" else -1.0

    def goodness(name: str) -> float:
        runs = settings[name]
        seen = [ran.final(by) for other, ran in runs.items() if other != seed or len(runs) == 1]
        mean = mean_of(seen)
        return -math.inf if mean is None else sign * mean

    return max(settings, key=goodness)


def mean_of(seen: Sequence[float | None]) -> float | None:
    """Return the mean of values; None where one of them is none."""
    known = [value for value in seen if value is not None and math.isfinite(value)]
    return fmean(known) if known and len(known) == len(seen) else None


def curve(
    settings: Mapping[str, Mapping[int, Ran]], metric: str, over: str
) -> tuple[list[float], list[float]]:
    """Return the mean of a metric over a key, where no seed diverges."""
    points = []
    for runs in settings.values():
        mean = mean_of([ran.final(metric) for ran in runs.values()])
        at = next(iter(runs.values())).setting(over)
        if mean is not None and isinstance(at, int | float):
            points.append((float(at), mean))
    points.sort()
    return [x for x, _ in points], [y for _, y in points]


def _or(value: float | None, diverged: float | None) -> float | None:
    return diverged if value is None or not math.isfinite(value) else value


def _lead(one: float | None, other: float | None, sign: float) -> float | None:
    return None if one is None or other is None else sign * (one - other)


def _told(
    chosen: Sequence[str],
    drawn: Sequence[float],
    settings: Mapping[str, Mapping[int, Ran]],
    over: str,
) -> str:
    """Return which settings were chosen, how often, and which of them end their grid."""
    said = []
    for name, times in Counter(chosen).most_common():
        at = next(iter(settings[name].values())).setting(over)
        ends = len(drawn) > 1 and at in (drawn[0], drawn[-1])
        said.append(f"{name} ({times}{', an end of the grid' if ends else ''})")
    return ", ".join(said)
