"""Runs compared, from their folders alone: read, grouped, paired by seed, judged, doubted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from optbench.comparison.across import across
from optbench.comparison.arms import Group
from optbench.comparison.benchmarks import Benchmarks
from optbench.comparison.doubts import doubts
from optbench.comparison.metric import Metric, metric_of
from optbench.comparison.record import Record, Unit, taking_part
from optbench.comparison.result import Arm, Compared, Comparisons, Pair, Refused, Workload
from optbench.comparison.sorted_out import Sorted, Usable, sort_out, usable
from optbench.comparison.to_target import AXES, times_to_target
from optbench.comparison.workloads import OfWorkload, by_workload, differences
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.runs.find import find_runs, of_no_run, without_runs
from optbench.runs.read import Run
from optbench.statistics import Comparison, compare_all, failure_rate, sentences, unit_of

LEAST = 2
"""Of arms."""


@dataclass(frozen=True)
class Asked:
    """By what runs are compared, see `compare`."""

    metric: str | None = None
    mode: str | None = None
    baseline: str | None = None
    axis: str = "steps"


def compare(
    *folders: str | os.PathLike[str],
    metric: str | None = None,
    mode: str | None = None,
    baseline: str | None = None,
) -> Compared:
    """Compare runs of one workload: which settings are better, and how sure.

    Args:
        folders: of runs, sweeps, studies, benchmarks, or what holds such. Default: `runs`.
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
    found = compare_workloads(*folders, metric=metric, mode=mode, baseline=baseline)
    if len(found.workloads) > 1:
        names = ", ".join(each.name for each in found.workloads)
        raise UserError(f"runs of different workloads: {names}; compare_workloads compares each")
    only = found.workloads[0].compared
    return only.with_warnings([*found.warnings, *only.warnings])


def compare_workloads(
    *folders: str | os.PathLike[str],
    metric: str | None = None,
    mode: str | None = None,
    baseline: str | None = None,
    axis: str = "steps",
) -> Comparisons:
    """Compare runs as `optbench compare` does: those of each workload by themselves, then across.

    Args:
        folders, metric, mode, baseline: as `compare` has them; each workload has to have them.
        axis: of times to target: `steps`, or `seconds` of training.

    Raises:
        UserError: a folder without runs, nothing that could be compared, no metric in common.

    Example:
        >>> found = optbench.compare_workloads("runs/grid")
        >>> [workload.name for workload in found.workloads]
        ['mlp on digits']
    """
    if axis not in AXES:
        raise UserError(f"axis={axis}: expected {' or '.join(AXES)}")
    runs = runs_below(*folders)
    found = compare_records([Record.of(run) for run in runs], Asked(metric, mode, baseline, axis))
    return replace(found, warnings=(*without_runs(folders, runs), *found.warnings))


def runs_below(*folders: str | os.PathLike[str]) -> list[Run]:
    """Return the runs below some folders; raise UserError where there is none."""
    runs = find_runs(*folders)
    if not runs:
        where = " ".join(str(folder) for folder in folders) or "runs"
        raise UserError(f"no runs below {where}{of_no_run(folders)}")
    return runs


def compare_records(every: Sequence[Record], asked: Asked) -> Comparisons:
    """Compare runs that were read, as `compare_workloads` does."""
    records, unread = taking_part(every)
    left = usable(records, unread)
    workloads, refused = _workloads(left, asked)
    said = [f"left out: {each.name}: {each.reason}" for each in refused]
    return Comparisons(
        tuple(workloads), across(workloads), tuple([*left.said, *said]), tuple(refused)
    )


def _workloads(left: Usable, asked: Asked) -> tuple[list[Workload], list[Refused]]:
    """Return what came of each workload, and those that have nothing to compare."""
    found: list[Workload] = []
    refused: list[Refused] = []
    failed: list[UserError] = []
    records, benchmarks = left.records, left.benchmarks
    parts = by_workload(records, benchmarks)
    for part in parts:
        arms = sort_out(part, benchmarks)
        try:
            if len(arms.groups) < LEAST:
                many = len(part.records)
                its = f"its {many} runs are" if many > 1 else "its one run is"
                raise UserError(f"{its} of one arm")
            found.append(_workload(part, arms, benchmarks, asked))
        except UserError as error:
            refused.append(Refused(part.name, part.records, f"{error}"))
            failed += [error] if len(arms.groups) >= LEAST else []
    if found:
        return found, refused
    if len(failed) == 1 or (failed and len(parts) == len(failed)):
        raise failed[0]
    if len(parts) > 1:
        raise UserError(
            f"runs of different workloads can't be compared: {differences(records)}; "
            "name those of one"
        )
    differ = f"{len(records)} runs differ" if len(records) > 1 else "one run differs"
    more = f"; {len(left.said) - 1} more" if len(left.said) > 1 else ""
    others = f" ({left.said[0]}{more})" if left.said else ""
    raise UserError(
        f"{differ} in nothing that could be compared; name runs of two settings or more{others}"
    )


def _workload(part: OfWorkload, arms: Sorted, benchmarks: Benchmarks, asked: Asked) -> Workload:
    groups = arms.groups
    by = metric_of([r for g in groups for r in g.records], asked.metric, asked.mode)
    notes = _notes(part.records, benchmarks)
    compared = _compared(arms, by, asked.baseline, notes)
    target, times, failures = None, None, {}
    try:
        target, times, why = times_to_target(groups, by.tag, asked.axis, asked.baseline)
        if why:
            compared = compared.with_warnings([*compared.warnings, f"no times to target: {why}"])
        failures = {arm.name: failure_rate(arm.failed, len(arm.scores)) for arm in compared.arms}
    except UserError as error:  # no scipy
        compared = compared.with_warnings([*compared.warnings, f"no times, no rates: {error}"])
    return Workload(
        name=part.name,
        compared=compared,
        defaults=_at_defaults(part, groups, benchmarks, by),
        records={g.name: {r.unit: r for r in g.records} for g in groups},
        target=target,
        times=times,
        failures=failures,
    )


def _at_defaults(
    part: OfWorkload, groups: Sequence[Group], benchmarks: Benchmarks, by: Metric
) -> Compared | None:
    """Return a benchmark's optimizers at their defaults; None where it chose no other settings."""
    arms = sort_out(part, benchmarks, "defaults")
    chosen = {r.path for g in groups if g.planned for r in g.records}
    if len(arms.groups) < LEAST or {r.path for g in arms.groups for r in g.records} <= chosen:
        return None
    return _compared(arms, by, None, [])


def _notes(records: Sequence[Record], benchmarks: Benchmarks) -> list[str]:
    """Return what benchmarks warn of, that some of the runs are of."""
    labels = [label for r in records for label in benchmarks.labels.get(r.path, [])]
    planned = dict.fromkeys((label.folder, label.workload) for label in labels)
    return [line for key in planned for line in benchmarks.warnings.get(key, [])]


def _compared(
    sorted_out: Sorted, by: Metric, baseline: str | None, notes: Sequence[str]
) -> Compared:
    arms = _arms(sorted_out.groups, by)
    if baseline is not None and baseline not in [arm.name for arm in arms]:
        known = did_you_mean(baseline, [arm.name for arm in arms])
        raise UserError(f"baseline={baseline}: no such arm; {known}")
    units = sorted({unit for arm in arms for unit in arm.scores})
    folds = any(fold for _, fold in units)
    number = {unit: i if folds else unit[0] for i, unit in enumerate(units)}
    results = {arm.name: {number[u]: v for u, v in arm.scores.items()} for arm in arms}
    comparison = compare_all(results, higher_is_better=by.mode == "max", baseline=baseline)
    if baseline is None:  # who failed at many seeds is not the best, whatever its mean
        arms = tuple(sorted(arms, key=lambda arm: arm.name != comparison.best))
    scores = [score for arm in arms for score in arm.finished.values()]
    return Compared(
        metric=by.tag,
        mode=by.mode,
        arms=arms,
        pairs=_pairs(arms, comparison, units, 1.0 if by.mode == "max" else -1.0),
        comparison=comparison,
        sentences=tuple(sentences(comparison, unit_of(by.tag, scores), "arms")),
        warnings=tuple([*sorted_out.said, *doubts(sorted_out, arms, by), *notes]),
    )


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
