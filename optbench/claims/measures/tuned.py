"""A metric of each part at its own best setting, which the other seeds choose."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optbench.claims.choice import chosen, cost, mean_without, means
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured, Values
from optbench.config.better import mode_by_name
from optbench.errors import UserError
from optbench.plots.png import Picture

Setting = tuple[Any, ...]
Runs = Mapping[Setting, Mapping[int, Ran]]
"""By the values of the keys that are tuned, and by seed."""


def measure(
    found: Found,
    metric: str,
    by: str | None = None,
    over: str | Sequence[str] = "optimizer.lr",
    at: str | None = None,
    leads: Mapping[str, Sequence[str]] | None = None,
    ratio: str | None = None,
    extremes: bool = False,
    diverged: float | None = None,
) -> Measured:
    """Return the metric of each part, and of each of its other settings, tuned.

    A seed is judged at the setting whose mean over all other seeds is best. One at which one of
    these diverges is worse than any other.

    Args:
        metric: that is judged, at the end of a run, such as `test/accuracy`.
        by: the metric that chooses; `metric` itself by default.
        over: the key that is tuned, or several together; where none of them varies, nothing is.
        at: a part whose best setting all parts are judged at; each has its own by default.
        leads: further quantities by name: by how much the first of two is better.
        ratio: a quantity; the metric is told as a part of this one's at the same seed.
        extremes: also `best` and `worst` of all quantities, chosen by the other seeds as well, so
            that luck alone makes no difference of them.
        diverged: what a run counts that diverges; by default its seed has no value.
    """
    by = by or metric
    keys = [over] if isinstance(over, str) else [*over]
    groups = dict(_groups(found, keys))
    costs = {name: _costs(runs, by) for name, runs in groups.items()}
    settings = {name: _settings(name, at, costs, found.seeds) for name in groups}
    values: dict[str, Values] = {
        name: {s: _end(groups[name][at_seed][s], metric, diverged) for s, at_seed in of.items()}
        for name, of in settings.items()
    }
    if extremes:
        values |= _extremes(costs, settings, values)
    if leads:
        values |= _leads(leads, values, metric)
    if ratio is not None:
        values = _parts_of(ratio, values)
    notes = [
        f"{name}: {_told(settings[name].values(), [*costs[name]], keys)}"
        for name in groups
        if len(costs[name]) > 1
    ]
    return Measured(values, _pictures(groups, dict.fromkeys([metric, by]), keys[0]), notes)


def _groups(found: Found, keys: Sequence[str]) -> Iterator[tuple[str, Runs]]:
    """Yield the runs of each part and of each of its other settings, by what is tuned."""
    for part in found.sweeps:
        by_name: dict[str, dict[Setting, dict[int, Ran]]] = {}
        for ran in found.runs(part):
            name = " ".join(filter(None, [part, ran.label_without(keys)]))
            setting = tuple(ran.setting(key) for key in keys)
            by_name.setdefault(name, {}).setdefault(setting, {})[ran.seed] = ran
        yield from by_name.items()


def _costs(runs: Runs, by: str) -> dict[Setting, dict[int, float]]:
    return {
        setting: {seed: cost(ran, by) for seed, ran in of_seed.items()}
        for setting, of_seed in runs.items()
    }


def _settings(
    name: str,
    at: str | None,
    costs: Mapping[str, Mapping[Setting, Mapping[int, float]]],
    seeds: Sequence[int],
) -> dict[int, Setting]:
    """Return by seed what a quantity is judged at.

    Raises:
        UserError: another part's setting, which this one lacks.
    """
    if at is not None and at not in costs:
        raise UserError(f"measure: at={at}: no such quantity, of {', '.join(costs)}")
    found = {seed: chosen(costs[at or name], seed) for seed in seeds}
    for setting in found.values():
        if setting not in costs[name]:
            said = ", ".join(map(str, setting))
            raise UserError(f"measure: at={at}: {name} has no {said}; all need the same grid")
    return found


def _end(ran: Ran, metric: str, diverged: float | None) -> float | None:
    value = ran.final(metric)
    return diverged if value is None or not math.isfinite(value) else value


def _extremes(
    costs: Mapping[str, Mapping[Setting, Mapping[int, float]]],
    settings: Mapping[str, Mapping[int, Setting]],
    values: Mapping[str, Values],
) -> dict[str, Values]:
    """Return the metric of what is best, and worst, at the other seeds."""
    at_best = {
        name: {s: costs[name][at_seed][s] for s, at_seed in of.items()}
        for name, of in settings.items()
    }
    best: dict[int, float | None] = {}
    worst: dict[int, float | None] = {}
    for seed in next(iter(settings.values())):
        order = sorted(at_best, key=lambda name: mean_without(at_best[name], seed))
        best[seed], worst[seed] = values[order[0]][seed], values[order[-1]][seed]
    return {"best": best, "worst": worst}


def _leads(
    leads: Mapping[str, Sequence[str]], values: Mapping[str, Values], metric: str
) -> dict[str, Values]:
    better = 1.0 if mode_by_name(metric) == "max" else -1.0
    found: dict[str, Values] = {}
    for name, pair in leads.items():
        if len(pair) != 2 or not {*pair} <= {*values}:
            raise UserError(f"measure: leads: {name}: expected two parts, not {', '.join(pair)}")
        one, other = (values[each] for each in pair)
        lead: dict[int, float | None] = {}
        for seed, first in one.items():
            second = other[seed]
            lead[seed] = None if first is None or second is None else better * (first - second)
        found[name] = lead
    return found


def _parts_of(ratio: str, values: Mapping[str, Values]) -> dict[str, Values]:
    """Return all but one quantity as parts of that one."""
    if ratio not in values:
        raise UserError(f"measure: ratio={ratio}: no such quantity, of {', '.join(values)}")
    base = values[ratio]
    found: dict[str, Values] = {}
    for name, of_seed in values.items():
        pairs = {seed: (value, base[seed]) for seed, value in of_seed.items()}
        parts = {
            s: None if v is None or not whole else v / whole for s, (v, whole) in pairs.items()
        }
        if name != ratio:
            found[name] = parts
    return found


def _told(chosen_ones: Any, grid: Sequence[Setting], keys: Sequence[str]) -> str:
    """Return what was chosen, how often, and which of it ends its grid."""
    rows = [{*row} for row in zip(*grid, strict=True)]
    ends = [(min(row), max(row)) if len(row) > 2 else () for row in rows]
    said = []
    for setting, times in Counter(chosen_ones).most_common():
        pairs = zip(keys, setting, strict=True)
        values = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in pairs)
        at_end = any(value in end for value, end in zip(setting, ends, strict=True))
        said.append(f"{values} ({times}{', an end of the grid' if at_end else ''})")
    return ", ".join(said)


def _pictures(groups: Mapping[str, Runs], metrics: Any, key: str) -> list[Picture]:
    """Return the mean over the first key that is tuned, where no run diverged."""
    found = []
    for metric in metrics:
        curves = {}
        for name, runs in groups.items():
            by_number = {float(setting[0]): of for setting, of in runs.items() if _number(setting)}
            if len(by_number) == len(runs) > 1:
                curves[name] = means(by_number, metric)
        if curves:
            label, log_y = key.rpartition(".")[2], "loss" in metric
            title = f"{metric}, mean of the seeds"
            found.append(Picture(curves, title=title, x_label=label, log_x=True, log_y=log_y))
    return found


def _number(setting: Setting) -> bool:
    return isinstance(setting[0], int | float)
