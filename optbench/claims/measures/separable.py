"""Whether the best value of one setting is the same whatever another one is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, linear_regression

from optbench.claims.choice import chosen, cost, mean_without
from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.claims.measures.best_lr_power import best_of
from optbench.config.better import mode_by_name
from optbench.plots.heatmap import HeatMap

Pair = tuple[float, float]
Costs = Mapping[Pair, Mapping[int, float]]
"""By both settings, and by seed; less is better."""


def measure(
    found: Found,
    metric: str,
    best: str = "optimizer.weight_decay",
    over: str = "optimizer.lr",
) -> Measured:
    """Return three quantities of each part, by seed.

    `PART power`: by which power of `over` the best value of `best` grows, 0 where it stays the
    same. `PART`: how far that is from 0. `PART lost`: by how much the metric is worse where `best`
    is tuned at some value of `over`, and `over` afterwards, than where both are tuned together;
    the mean of all values to begin with, all tuned on the other seeds.

    Args:
        metric: at the end of a run.
        best: the key whose best value is looked for, for each seed the lowest point of a parabola.
        over: the other key.
    """
    names = [key.rpartition(".")[2] for key in (best, over)]
    values: dict[str, dict[int, float | None]] = {}
    pictures, notes = [], []
    for part in found.sweeps:
        costs: dict[Pair, dict[int, float]] = {}
        for ran in found.runs(part):
            pair = (float(ran.setting(best)), float(ran.setting(over)))
            costs.setdefault(pair, {})[ran.seed] = cost(ran, metric)
        powers, at_ends = {}, 0
        for seed in found.seeds:
            powers[seed], ends = _power(found, part, seed, metric, (best, over))
            at_ends += ends
        values[f"{part} power"] = {**powers}
        values[part] = {seed: abs(power) for seed, power in powers.items()}
        values[f"{part} lost"] = {seed: _lost(costs, seed) for seed in found.seeds}
        pictures.append(_picture(costs, f"{part}: {metric}", names, metric))
        at_each = {at: chosen(_line(costs, 1, at))[0] for at in _values(costs, 1)}
        said = ", ".join(f"{value:g} at {at:g}" for at, value in at_each.items())
        notes.append(f"{part}: best {names[0]} at each {names[1]}: {said}")
        if at_ends:
            notes.append(f"{part}: {at_ends} best values at an end of their grid")
    return Measured(values, pictures, notes)


def _power(
    found: Found, part: str, seed: int, metric: str, keys: tuple[str, str]
) -> tuple[float, int]:
    """Return the slope of a seed's best values on logarithmic axes, and how many end the grid."""
    best, over = keys
    runs = [ran for ran in found.runs(part) if ran.seed == seed]
    xs = sorted({float(ran.setting(over)) for ran in runs})
    found_ones = [best_of([r for r in runs if r.setting(over) == x], metric, best) for x in xs]
    ys, at_ends = zip(*found_ones, strict=True)
    return linear_regression([math.log(x) for x in xs], ys).slope, sum(at_ends)


def _lost(costs: Costs, seed: int) -> float | None:
    """Return what one seed loses in the mean of all beginnings; None where a run has no cost."""
    together = costs[chosen(costs, seed)][seed]
    ends = []
    for begun in _values(costs, 1):
        found = chosen(_line(costs, 1, begun), seed)[0]
        ends.append(costs[chosen(_line(costs, 0, found), seed)][seed])
    lost = fmean(ends) - together if math.isfinite(together) else math.inf
    return lost if math.isfinite(lost) else None


def _values(costs: Costs, place: int) -> list[float]:
    """Return the values of one of both settings, rising."""
    return sorted({pair[place] for pair in costs})


def _line(costs: Costs, place: int, value: float) -> Costs:
    """Return the costs at one value of one of both settings."""
    return {pair: of_seed for pair, of_seed in costs.items() if pair[place] == value}


def _picture(costs: Costs, title: str, names: list[str], metric: str) -> HeatMap:
    """Return the mean over the seeds: dots are the best of each column, the ring is of all.

    Colours of a loss end at half more than the least.
    """
    ys, xs = _values(costs, 0), _values(costs, 1)
    sign = -1.0 if mode_by_name(metric) == "max" else 1.0
    dots = [(number, ys.index(chosen(_line(costs, 1, x))[0])) for number, x in enumerate(xs)]
    first, then = chosen(costs)
    least = mean_without(costs[first, then])
    return HeatMap(
        xs,
        ys,
        [[sign * mean_without(costs[y, x]) for x in xs] for y in ys],
        title=title,
        x_label=names[1],
        y_label=names[0],
        most=1.5 * least if 0 < least < math.inf else None,
        dots=dots,
        ring=(xs.index(then), ys.index(first)),
    )
