"""A metric of each part at its own best setting, which is chosen on the other seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots.png import Picture

Runs = Mapping[float, Mapping[int, Ran]]
"""By the value that is tuned, and by seed."""


def measure(
    found: Found,
    metric: str,
    by: str = "val/loss",
    over: str = "optimizer.lr",
    more: bool = False,
    ratio: str | None = None,
    extremes: bool = False,
) -> Measured:
    """Return the metric of each part, and of each of its other settings, at its own best value.

    The value of a seed's run is that which is best in the mean of all other seeds, so that no run
    is both what a choice rests on and what is judged by it. A run that diverged is worst.

    Args:
        metric: that is judged, such as `test/accuracy`.
        by: that chooses, at the end of a run.
        over: the key that is tuned; a part in which it does not vary has nothing to choose.
        more: whether more is better of `by`.
        ratio: a part; the metric is told as a part of this one's at the same seed.
        extremes: also `best` and `worst` of all quantities, chosen on the other seeds as well, so
            that noise alone makes no difference of them.
    """
    groups = dict(_groups(found, over))
    chosen = {name: _choices(runs, by, more) for name, runs in groups.items()}
    values: dict[str, dict[int, float | None]] = {
        name: {seed: groups[name][value][seed].final(metric) for seed, value in of_seed.items()}
        for name, of_seed in chosen.items()
    }
    if extremes:
        values |= _extremes(groups, chosen, values, (by, more))
    if ratio is not None:
        if ratio not in values:
            raise UserError(f"measure: ratio={ratio}: no such quantity, of {', '.join(values)}")
        base = values.pop(ratio)
        values = {
            name: {seed: _over(value, base[seed]) for seed, value in of_seed.items()}
            for name, of_seed in values.items()
        }
    notes = [
        f"{name}: {over.rpartition('.')[2]} of most seeds {median(of_seed.values()):g}"
        for name, of_seed in chosen.items()
        if len(groups[name]) > 1
    ]
    return Measured(values, _pictures(groups, by, over), notes)


def _groups(found: Found, over: str) -> Iterator[tuple[str, Runs]]:
    """Yield the runs of each part and of each of its other settings, by the value of a key."""
    for part in found.sweeps:
        by_name: dict[str, dict[float, dict[int, Ran]]] = {}
        for ran in found.runs(part):
            others = Ran(ran.result, [key for key in ran.varied if key != over])
            name = " ".join(filter(None, [part, others.label]))
            value = ran.setting(over)
            number = math.nan if value is None else float(value)
            by_name.setdefault(name, {}).setdefault(number, {})[ran.seed] = ran
        yield from by_name.items()


def score(ran: Ran, by: str, more: bool) -> float:
    """Return how good a run is, least being best: infinite where it diverged.

    Raises:
        UserError: it has no such metric.
    """
    value = ran.final(by)
    if value is None and ran.ended_well:
        raise UserError(f"measure: {ran.run.path}: it has no {by}")
    return math.inf if value is None or math.isnan(value) else -value if more else value


def _choices(runs: Runs, by: str, more: bool) -> dict[int, float]:
    """Return of each seed the value that is best in the mean of the others."""
    scores = {v: {s: score(ran, by, more) for s, ran in of.items()} for v, of in runs.items()}
    seeds = next(iter(scores.values()))
    return {seed: min(scores, key=lambda v: _mean_without(scores[v], seed)) for seed in seeds}


def _mean_without(by_seed: Mapping[int, float], seed: int) -> float:
    return fmean([v for s, v in by_seed.items() if s != seed] or by_seed.values())


def _extremes(
    groups: Mapping[str, Runs],
    chosen: Mapping[str, Mapping[int, float]],
    values: Mapping[str, Mapping[int, float | None]],
    by: tuple[str, bool],
) -> dict[str, dict[int, float | None]]:
    """Return the metric of what is best, and worst, at the other seeds."""
    at_best = {
        name: {s: score(groups[name][v][s], *by) for s, v in of_seed.items()}
        for name, of_seed in chosen.items()
    }
    found: dict[str, dict[int, float | None]] = {"best": {}, "worst": {}}
    for seed in next(iter(chosen.values())):
        order = sorted(at_best, key=lambda name: _mean_without(at_best[name], seed))
        found["best"][seed], found["worst"][seed] = values[order[0]][seed], values[order[-1]][seed]
    return found


def _over(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base


def _pictures(groups: Mapping[str, Runs], by: str, over: str) -> Sequence[Picture]:
    """Return the mean metric that chooses over the value, where no run diverged."""
    curves = {}
    for name, runs in groups.items():
        means = {}
        for value, of_seed in sorted(runs.items()):
            ends = [end for ran in of_seed.values() if (end := ran.final(by)) is not None]
            if len(ends) == len(of_seed):
                means[value] = fmean(ends)
        if len(means) > 1:
            curves[name] = ([*means], [*means.values()])
    if not curves:
        return []
    label = over.rpartition(".")[2]
    return [Picture(curves, title=f"{by}, mean", x_label=label, log_x=True, log_y="loss" in by)]
