"""Runs compared, from their folders alone: read, grouped, paired by seed, judged, doubted."""

from __future__ import annotations

import os
from collections.abc import Sequence

from optbench.comparison.arms import Group
from optbench.comparison.doubts import doubts
from optbench.comparison.metric import Metric, metric_of
from optbench.comparison.record import Unit, read_records
from optbench.comparison.result import Arm, Compared, Pair, unit_of
from optbench.comparison.sorted_out import Sorted, sort_out
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.runs.find import find_runs
from optbench.statistics import Comparison, compare_all, sentences


def compare(
    *folders: str | os.PathLike[str],
    metric: str | None = None,
    mode: str | None = None,
    baseline: str | None = None,
) -> Compared:
    """Compare runs, as `optbench compare` does: which settings are better, and how sure.

    Args:
        folders: of runs, sweeps, studies, or what holds such. Default: `runs`.
        metric: such as `val/loss`, or `loss`. Default: the runs' own, of the test set where all
            have one; always the last value, so that no set chooses the step it is scored at.
        mode: `min` or `max`, where the metric's name does not say it.
        baseline: the name of an arm that was fixed before, to compare all others with.

    Raises:
        UserError: a folder without runs, runs of different workloads, no metric in common.

    Example:
        >>> compared = optbench.compare("runs/grid", metric="val/loss")
        >>> len(compared.arms) > 1
        True
    """
    runs = find_runs(*folders)
    if not runs:
        where = " ".join(str(folder) for folder in folders) or "runs"
        raise UserError(f"no runs below {where}")
    records, unread = read_records(runs)
    sorted_out = sort_out(records, unread)
    groups = sorted_out.groups
    by = metric_of([r for group in groups for r in group.records], metric, mode)
    arms = _arms(groups, by)
    if baseline is not None and baseline not in [arm.name for arm in arms]:
        known = did_you_mean(baseline, [arm.name for arm in arms])
        raise UserError(f"baseline={baseline}: no such arm; {known}")
    return _compared(arms, by, sorted_out, baseline)


def _arms(groups: Sequence[Group], by: Metric) -> tuple[Arm, ...]:
    arms = [
        Arm(
            group.name,
            group.settings,
            {record.unit: record.score(by.tag) for record in group.records},
            {record.unit: record.path for record in group.records},
        )
        for group in groups
    ]
    sign = -1.0 if by.mode == "max" else 1.0
    return tuple(sorted(arms, key=lambda arm: (not arm.finished, sign * arm.mean)))


def _compared(
    arms: tuple[Arm, ...], by: Metric, sorted_out: Sorted, baseline: str | None
) -> Compared:
    units = sorted({unit for arm in arms for unit in arm.scores})
    folds = any(fold for _, fold in units)
    number = {unit: i if folds else unit[0] for i, unit in enumerate(units)}
    results = {arm.name: {number[u]: v for u, v in arm.scores.items()} for arm in arms}
    comparison = compare_all(results, higher_is_better=by.mode == "max", baseline=baseline)
    if baseline is None:  # who failed at many seeds is not the best, whatever its mean
        arms = tuple(sorted(arms, key=lambda arm: arm.name != comparison.best))
    return Compared(
        metric=by.tag,
        mode=by.mode,
        arms=arms,
        pairs=_pairs(arms, comparison, units, 1.0 if by.mode == "max" else -1.0),
        comparison=comparison,
        sentences=tuple(sentences(comparison, unit_of(by.tag, arms), "arms")),
        warnings=tuple([*sorted_out.said, *doubts(sorted_out, arms, by)]),
    )


def _pairs(
    arms: tuple[Arm, ...], comparison: Comparison, units: Sequence[Unit], sign: float
) -> tuple[Pair, ...]:
    scores = {arm.name: arm.finished for arm in arms}
    return tuple(
        Pair(v.first, v.second, *unit, sign * (scores[v.first][unit] - scores[v.second][unit]))
        for v in comparison.verdicts
        for unit in units
        if unit in scores[v.first] and unit in scores[v.second]
    )
