"""What benchmarks' reports say of runs: which arm of which workload each is.

A report may be anybody's. Nothing but names is taken of it: what is compared are the runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from optbench.comparison.record import Record
from optbench.console import shown
from optbench.rundir import RunDir
from optbench.which_run import BENCHMARK, REPORT, RUNS, study_in

LONGEST, MOST_LINES = 300, 20
"""Letters of a line, and lines, that a report may say of a workload."""
Family = Literal["tuned", "defaults"]
FAMILIES: tuple[Family, Family] = ("tuned", "defaults")


@dataclass(frozen=True)
class Label:
    """What a benchmark made a run for.

    Attributes:
        folder: the benchmark's.
        workload, arm: their names; an arm's is its optimizer's.
        family: whether its settings were chosen, or are the defaults.
        values: that were chosen, by key.
    """

    folder: Path
    workload: str
    arm: str
    family: Family
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Benchmarks:
    """What benchmarks say of the runs that were found.

    Attributes:
        labels: by the folder of a run. One run may be of two arms: where the defaults were chosen.
        warnings: the benchmarks' own, by their folder and the workload.
        reported: the folders of those that have a report.
        said: a line each of those that have none that can be used.
    """

    labels: dict[Path, list[Label]] = field(default_factory=dict)
    warnings: dict[tuple[Path, str], list[str]] = field(default_factory=dict)
    reported: set[Path] = field(default_factory=set)
    said: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Benchmarks:
        """Read the reports of the benchmarks that some of the runs lie in; some have none yet."""
        found = cls()
        paths = {record.path for record in records}
        for folder in dict.fromkeys(path.parent.parent for path in paths):
            if study_in(folder) == BENCHMARK:
                for workload in _groups(RunDir(folder).read_json(REPORT), "workloads", "name"):
                    found._add(folder, workload, paths)
                if folder not in found.reported:
                    has = os.path.lexists(folder / REPORT)
                    why = f"its {REPORT} can't be used" if has else f"it has no {REPORT} yet"
                    found.said.append(f"{shown(folder)}: {why}; arms are taken from the configs")
        return found

    def _add(self, folder: Path, workload: Mapping[str, Any], paths: set[Path]) -> None:
        name = workload["name"]
        said = workload.get("warnings")
        lines = [line for line in said if isinstance(line, str)] if isinstance(said, list) else []
        lines = [line[:LONGEST] for line in lines[:MOST_LINES]]
        self.warnings[folder, name] = lines
        for family in FAMILIES:
            for arm in _groups(workload, family, "optimizer"):
                values = arm.get("values")
                values = dict(values) if isinstance(values, dict) else {}
                label = Label(folder, name, arm["optimizer"], family, values)
                for run in _groups(arm, "runs", "run"):
                    path = folder / RUNS / run["run"]
                    if (
                        path in paths
                        and path.name == run["run"]
                        and label not in self.labelled(path)
                    ):
                        self.labels.setdefault(path, []).append(label)
                        self.reported.add(folder)

    def labelled(self, path: Path) -> list[Label]:
        """Return what a run is, by its folder."""
        return self.labels.get(path, [])

    def of_run(self, record: Record, family: Family, workload: str) -> list[Label]:
        """Return what a run is in one family of a workload's arms."""
        labels = self.labelled(record.path)
        return [each for each in labels if (each.family, each.workload) == (family, workload)]

    def unknown(self, record: Record) -> Path | None:
        """Return the benchmark whose report says nothing of a run of its own; None of others."""
        folder = record.path.parent.parent
        of_it = record.path.parent.name == RUNS and folder in self.reported
        return folder if of_it and record.path not in self.labels else None


def _groups(node: Mapping[str, Any], key: str, named: str) -> Iterator[Mapping[str, Any]]:
    """Yield the groups of values below a key that have a name."""
    below = node.get(key)
    for each in below if isinstance(below, list) else []:
        if isinstance(each, dict) and isinstance(each.get(named), str):
            yield each
