"""The runs that were found, by workload, and each workload compared as far as it can be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optbench.comparison.benchmarks import Benchmarks
from optbench.comparison.compare import Asked, compare_records, runs_below
from optbench.comparison.metric import MODES
from optbench.comparison.record import Record
from optbench.comparison.result import Across, Comparisons, Workload
from optbench.comparison.sorted_out import made_another
from optbench.comparison.studies import without_benchmarks_trials
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
        counted: those that do; trials are among them.
        compared: what came of comparing those that do; None where they can't be.
        refused: why not.
    """

    name: str
    every: list[Record] = field(default_factory=list)
    counted: list[Record] = field(default_factory=list)
    compared: Workload | None = None
    refused: str = ""
    _paths: set[Path] = field(default_factory=set)

    def add(self, record: Record) -> None:
        """Add a run, once."""
        if record.path not in self._paths:
            self._paths.add(record.path)
            self.every.append(record)


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
    benchmarks = Benchmarks.of([record for record in every if record.config])
    plans = plans_of(every)
    found = _compared(every, Asked(metric, mode, baseline))
    of = _compared_in(found.workloads, benchmarks, plans)
    parts = _parts(_groups(every, benchmarks), found, of)
    for part in parts:
        part.counted = _counted(part.every, benchmarks)
    names = Names.of(every, benchmarks, plans)
    return Found(parts, found.across, found.warnings, names, plans)


def _groups(every: Sequence[Record], benchmarks: Benchmarks) -> dict[str, list[Record]]:
    """Return all runs by workload, under names that tell them apart."""
    known = [record for record in every if record.config]
    groups = {each.name: list(each.records) for each in by_workload(known, benchmarks)}
    unknown = [record for record in every if not record.config]
    return {**groups, UNREADABLE: unknown} if unknown else groups


def _compared(every: Sequence[Record], asked: Asked) -> Comparisons:
    """Return what came of comparing all that can be, which may be nothing.

    Raises:
        UserError: something that was asked for is in no workload.
    """
    try:
        return compare_records(every, asked)
    except UserError:
        if asked != Asked():
            raise
        return Comparisons((), None, ())


def _parts(
    groups: Mapping[str, Sequence[Record]], found: Comparisons, of: Mapping[Path, Sequence[str]]
) -> list[Part]:
    """Return the workloads that were compared, then the others, each with all its runs."""
    parts = {workload.name: Part(workload.name, compared=workload) for workload in found.workloads}
    refused = {record.path: each.reason for each in found.left for record in each.records}
    others = []
    for name, records in groups.items():
        votes = Counter(place for record in records for place in of.get(record.path, ()))
        reasons = [refused[record.path] for record in records if record.path in refused]
        if votes and votes.most_common(1)[0][1] >= len(reasons):
            own = parts[votes.most_common(1)[0][0]]
        else:
            named = f"{name} (not compared)" if name in parts else name
            own = Part(named, refused=reasons[0] if reasons else _why_not(records))
            others.append(own)
        for record in records:
            for part in [parts[place] for place in of.get(record.path, ())] or [own]:
                part.add(record)
    return [part for part in (*parts.values(), *others) if part.every]


def _compared_in(
    workloads: Sequence[Workload], benchmarks: Benchmarks, plans: Sequence[Plan]
) -> dict[Path, list[str]]:
    """Return by the folder of a run the names of the workloads that it was compared in.

    A benchmark's trials are of the workloads of what they chose.
    """
    found: dict[Path, list[str]] = {}
    chosen: dict[tuple[Path, str], dict[str, None]] = {}
    for workload in workloads:
        arms = [*workload.compared.arms, *(workload.defaults.arms if workload.defaults else ())]
        for path in dict.fromkeys(path for arm in arms for path in arm.runs.values()):
            found.setdefault(path, []).append(workload.name)
            for label in benchmarks.labelled(path):
                chosen.setdefault((label.folder, label.workload), {})[workload.name] = None
    for plan in plans:
        names = list(chosen.get((plan.folder, plan.workload), ()))
        for path in (path for paths in plan.trials.values() for path in paths):
            found.setdefault(path, []).extend(names)
    return found


def _why_not(records: Sequence[Record]) -> str:
    """Return why runs of one workload can't be compared."""
    try:
        compare_records(records, Asked())
    except UserError as error:
        return str(error)
    return "its runs can't be compared beside the others"


def _counted(every: Sequence[Record], benchmarks: Benchmarks) -> list[Record]:
    """Return the runs that ended as themselves; not those that a benchmark never planned."""
    whole = [record for record in every if not record.problem and not made_another(record)]
    kept, _ = without_benchmarks_trials(whole)
    left = {record.path for record in kept if benchmarks.unknown(record) is not None}
    return [record for record in whole if record.path not in left]
