"""The runs that were found, by workload, and each workload compared as far as it can be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from optbench.comparison.benchmarks import Benchmarks
from optbench.comparison.compare import Asked, compare_records, runs_below
from optbench.comparison.metric import MODES
from optbench.comparison.record import Record
from optbench.comparison.result import Across, Comparisons, Workload
from optbench.comparison.workloads import by_workload
from optbench.errors import UserError
from optbench.report.names import Names, Plan, plans_of

UNREADABLE = "config can't be read"
"""In place of the workload of runs that have none."""


@dataclass
class Part:
    """All runs of one workload.

    Attributes:
        name: as short as tells it from the others.
        every: those that do not count too, the oldest first.
        compared: what came of comparing those that do; None where they can't be.
        refused: why not.
    """

    name: str
    every: list[Record] = field(default_factory=list)
    compared: Workload | None = None
    refused: str = ""


@dataclass(frozen=True)
class Found:
    """All that was found.

    Attributes:
        parts: the runs by workload.
        across: what these come to together.
        warnings: what was left out.
        names: of optimizers.
        plans: what benchmarks say of their trials.
    """

    parts: list[Part]
    across: Across | None
    warnings: tuple[str, ...]
    names: Names
    plans: list[Plan]


def workloads_below(
    *folders: str | os.PathLike[str],
    metric: str | None = None,
    mode: str | None = None,
    baseline: str | None = None,
) -> Found:
    """Find the runs below some folders, and compare those of each workload.

    Runs that can't be compared are shown all the same; where something was asked for that no
    workload has, it is refused.

    Raises:
        UserError: no run is there; no such metric or baseline, or `mode` is no word.
    """
    if mode not in (None, *MODES):
        raise UserError(f"mode={mode}: expected min or max")
    every = [Record.of(run) for run in runs_below(*folders)]
    every.sort(key=lambda record: (record.past.started, str(record.path)))
    asked = Asked(metric, mode, baseline)
    benchmarks = Benchmarks.of([record for record in every if record.config])
    groups = _groups(every, benchmarks)
    found, refused = _compared(every, groups, asked)
    plans = plans_of(every)
    return Found(
        _parts(groups, found, refused),
        None if found is None else found.across,
        () if found is None else found.warnings,
        Names.of(every, benchmarks, plans),
        plans,
    )


def _groups(every: Sequence[Record], benchmarks: Benchmarks) -> dict[str, list[Record]]:
    """Return all runs by workload, under names that tell them apart."""
    known = [record for record in every if record.config]
    groups = {each.name: list(each.records) for each in by_workload(known, benchmarks)}
    unknown = [record for record in every if not record.config]
    return {**groups, UNREADABLE: unknown} if unknown else groups


def _compared(
    every: Sequence[Record], groups: dict[str, list[Record]], asked: Asked
) -> tuple[Comparisons | None, dict[str, str]]:
    """Return what came of comparing all, or else those workloads that can be; and why not others.

    Raises:
        UserError: something that was asked for is in none.
    """
    refused: dict[str, str] = {}
    try:
        return compare_records(every, asked), refused
    except UserError as error:
        first = error
    fine = []
    for name, records in groups.items():
        try:
            compare_records(records, asked)
            fine += records
        except UserError as error:
            refused[name] = str(error)
    if fine and len(fine) < len(every):
        return compare_records(sorted(fine, key=list(every).index), asked), refused
    if asked != Asked():
        raise first
    return None, refused


def _parts(
    groups: dict[str, list[Record]], found: Comparisons | None, refused: dict[str, str]
) -> list[Part]:
    """Return the workloads that were compared, then the others, each with all its runs."""
    compared = [] if found is None else list(found.workloads)
    parts = {workload.name: Part(workload.name, [], workload) for workload in compared}
    of = {
        record.path: workload.name
        for workload in compared
        for records in workload.records.values()
        for record in records.values()
    }
    for name, records in groups.items():
        own = next((of[record.path] for record in records if record.path in of), None)
        for record in records:
            to = of.get(record.path, own)
            if to is None:
                why = refused.get(name, "its runs are of one arm")
                to = parts.setdefault(name, Part(name, refused=why)).name
            parts[to].every.append(record)
    return [part for part in parts.values() if part.every]
