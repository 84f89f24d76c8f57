"""The expected best of n trials: of studies that drew theirs independently, and of benchmarks."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.comparison.record import PRUNED, Record, Unit
from optbench.comparison.sorted_out import made_another
from optbench.comparison.studies import Searched, studies_among, without_benchmarks_trials
from optbench.errors import UserError
from optbench.files import BadFile, load_yaml
from optbench.report.curves import number_of, rounded
from optbench.report.names import Names, Plan, told_apart
from optbench.report.searches import common_tag, score_of
from optbench.statistics import expected_best
from optbench.which_run import POPULATION, STUDY, study_in

LEAST_TRIALS = 3
INDEPENDENT = ("random", "qmc", "grid")
"""Samplers none of whose trials depend on earlier ones."""
_OF_SEVERAL = re.compile(r"([0-9]+)-[0-9]+")
"""How `optbench tune` calls the runs of a trial that has several."""


@dataclass(frozen=True)
class Best:
    """What so many trials are expected to find.

    Attributes:
        lines: plain data for a page, one a study and a benchmark's optimizer, all of one metric.
        left: a line each of what is not among them.
    """

    lines: list[dict[str, Any]]
    left: list[str]


def trials_among(every: Sequence[Record]) -> set[Path]:
    """Return the folders of the runs that are trials, and are over."""
    over = [record for record in every if not record.problem or given_up(record)]
    others, benchmarks = without_benchmarks_trials(over)
    studies, _ = studies_among(others)
    sets = [*benchmarks.values(), *(study.records for study in studies)]
    return {record.path for records in sets for record in records}


def given_up(record: Record) -> bool:
    """Return whether a run's study gave it up, which it did for its bad score."""
    said = str(record.past.status.get("message"))
    pruned = record.past.state == "stopped_early" and said.startswith(PRUNED)
    return pruned and isinstance(record.config.get("seed"), int)


def best_of(
    every: Sequence[Record], tag: str, mode: str, names: Names, plans: Sequence[Plan]
) -> Best:
    """Return the expected best of n trials, of each study and of a benchmark's optimizers.

    Args:
        every: the runs of a workload.
        tag: of the score. Where there are benchmarks it is what they chose by.
        mode: `min` or `max`.
        names: of optimizers.
        plans: what benchmarks say.
    """
    others, benchmarks = without_benchmarks_trials(every)
    studies, _ = studies_among(others)
    shown = told_apart([*benchmarks, *(study.folder for study in studies)])
    endings = {path: "" if len(shown) < 2 else f" ({name})" for path, name in shown.items()}
    found = Best([], [])
    by = None
    for folder, records in benchmarks.items():
        paths = {record.path for record in records}
        own = [p for p in plans if p.folder == folder and _is_of(p, paths)]
        if not own:
            found.left.append(f"{shown[folder]}: its report says nothing of its trials yet")
        for plan in own:
            by = by or (plan.metric, plan.mode)
            if plan.metric == by[0]:
                _add_planned(found, plan, endings[folder])
            else:
                also = f"chosen by {plan.metric}, not shown beside {by[0]}"
                found.left.append(f"{shown[folder]}: {also}")
    fine = [r for study in studies for r in study.records if not r.problem]
    by = by or (common_tag(fine, tag), mode)
    for study in studies:
        why = _dependent(study)
        if why:
            found.left.append(f"{shown[study.folder]}: {why}")
            continue
        for kind, records in _by_kind(study.records, names).items():
            _add_study(found, f"{kind}{endings[study.folder]}", study, records, by)
    return found


def _is_of(plan: Plan, paths: set[Path]) -> bool:
    return any(path in paths for own in plan.trials.values() for path in own)


def _add_planned(found: Best, plan: Plan, ending: str) -> None:
    """Add what a benchmark says: its first trial is the defaults, whatever else is drawn."""
    for name, values in plan.expected.items():
        expected = [rounded(number_of(value)) for value in values]
        if len(expected) >= LEAST_TRIALS and any(value is not None for value in expected):
            count = list(range(1, len(expected) + 1))
            line = {"name": f"{name}{ending}", "metric": plan.metric, "n": count}
            found.lines.append(line | {"expected": expected, "low": None, "high": None})


def _dependent(study: Searched) -> str:
    """Return why trials of a study can't be drawn anew; empty where they can."""
    kind = study_in(study.folder)
    if kind == POPULATION:
        return "members of pbt go on from one another: no independent trials"
    try:
        plan = load_yaml(study.folder / STUDY) if kind == STUDY else None
    except (OSError, BadFile, UserError):
        plan = None
    sampler = plan.get("sampler") if isinstance(plan, dict) else None
    if not isinstance(sampler, str):
        return "nobody knows whether its trials depend on earlier ones"
    if sampler not in INDEPENDENT:
        return f"trials of sampler={sampler} depend on earlier ones: no independent trials"
    return ""


def _by_kind(records: Sequence[Record], names: Names) -> dict[str, list[Record]]:
    schedules = {record.past.choices.get("schedule") for record in records}
    found: dict[str, list[Record]] = {}
    for record in records:
        for kind in names.kinds(record, len(schedules) > 1):
            found.setdefault(kind, []).append(record)
    return found


def _add_study(
    found: Best, name: str, study: Searched, records: Sequence[Record], by: tuple[str, str]
) -> None:
    tag, mode = by
    if any(not r.problem and not r.missed and tag not in r.final for r in records):
        found.left.append(f"{name}: not all of its trials have {tag}")
        return
    units = {r.unit for r in study.records if not r.problem or given_up(r)}
    trials = _trials(records, study.keys)
    over = [trial for trial in trials if _is_over(trial, units)]
    if len(over) < len(trials):
        lost = f"{len(trials) - len(over)} of {len(trials)}"
        found.left.append(f"{name}: {lost} trials have not ended as they were begun")
    values = [_value(trial, tag) for trial in over]
    if len(values) < LEAST_TRIALS or all(value is None for value in values):
        return
    curve = expected_best(values, higher_is_better=mode == "max")
    lines = {"expected": curve.expected, "low": curve.low, "high": curve.high}
    said = {key: [rounded(v) for v in values] for key, values in lines.items()}
    found.lines.append({"name": name, "metric": tag, "n": list(curve.trials), **said})


def _trials(records: Sequence[Record], keys: Sequence[str]) -> list[list[Record]]:
    """Return the runs of each trial: by its number, or else by the values that were searched."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    times: Counter[tuple[Any, ...]] = Counter()
    for record in records:
        past = record.past
        numbered = _OF_SEVERAL.fullmatch(record.path.name)
        own: tuple[Any, ...] = (numbered[1],) if numbered else ()
        if not numbered:
            values = tuple(past.choices.get(key, past.texts.get(key)) for key in keys)
            at = (values, past.texts.get("seed"), past.texts.get("dataset.fold"))
            own = (values, times[at])  # the same values with the same seed are another trial
            times[at] += 1
        found.setdefault(own, []).append(record)
    return list(found.values())


def _is_over(trial: Sequence[Record], units: set[Unit]) -> bool:
    """Return whether all runs of a trial have ended as themselves, or one of them was lost."""
    if any(map(made_another, trial)):
        return False
    if any(map(_lost, trial)):
        return True
    return not any(r.problem for r in trial) and {r.unit for r in trial} == units


def _lost(record: Record) -> bool:
    return given_up(record) or (record.missed and not record.problem)


def _value(trial: Sequence[Record], tag: str) -> float | None:
    """Return the mean of a trial's runs; None where one of them was lost."""
    values = [None if _lost(record) else score_of(record, tag) for record in trial]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None
