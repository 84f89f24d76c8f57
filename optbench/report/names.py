"""What optimizers are called: as a benchmark calls them, else as they were chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optbench.comparison.arms import CHOSEN
from optbench.comparison.benchmarks import Benchmarks
from optbench.comparison.record import Record
from optbench.rundir import RunDir
from optbench.which_run import BENCHMARK, REPORT, RUNS, study_in

CUSTOM = "custom"
"""The choice for a class of somebody's own."""
CLASS = f"{CHOSEN}._target_"


@dataclass(frozen=True)
class Plan:
    """What a benchmark's report says of the trials of one of its workloads; it may be anybody's.

    Attributes:
        folder: of the benchmark.
        workload: its name there.
        metric, mode: by which was chosen.
        trials: by optimizer, the folders of its trials.
        expected: by optimizer, what the best of 1, 2, ... trials is expected to be.
    """

    folder: Path
    workload: str
    metric: str
    mode: str
    trials: Mapping[str, Sequence[Path]]
    expected: Mapping[str, Sequence[Any]]


def plans_of(every: Sequence[Record]) -> list[Plan]:
    """Return what the benchmarks say that some of the runs lie in."""
    found = []
    for runs in dict.fromkeys(record.path.parent for record in every):
        if runs.name != RUNS or study_in(runs.parent) != BENCHMARK:
            continue
        report = RunDir(runs.parent).read_json(REPORT)
        for said in _groups(report.get("workloads")):
            trials = {
                name: [runs / trial["run"] for trial in _groups(each) if _named(trial)]
                for name, each in _by_name(said.get("trials"))
            }
            expected = dict(_by_name(said.get("expected_best")))
            metric, mode = (str(said.get(key)) for key in ("chosen_by", "mode"))
            found.append(Plan(runs.parent, str(said.get("name")), metric, mode, trials, expected))
    return found


def _groups(node: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in node if isinstance(each, dict)) if isinstance(node, list) else ()


def _by_name(node: Any) -> Iterator[tuple[str, list[Any]]]:
    for name, values in node.items() if isinstance(node, dict) else ():
        if isinstance(values, list):
            yield str(name), values


def _named(trial: Mapping[str, Any]) -> bool:
    return isinstance(trial.get("run"), str)


@dataclass(frozen=True)
class Names:
    """What the optimizers of some runs are called.

    Attributes:
        planned: by the folder of a run, the arms that benchmarks made it for.
        several: last parts of users' classes that are of more than one class.
    """

    planned: Mapping[Path, Sequence[str]] = field(default_factory=dict)
    several: frozenset[str] = frozenset()

    @classmethod
    def of(cls, every: Sequence[Record], benchmarks: Benchmarks, plans: Sequence[Plan]) -> Names:
        """Take them from benchmarks, and from the classes that runs have."""
        planned: dict[Path, dict[str, None]] = {}
        for path, labels in benchmarks.labels.items():
            planned.setdefault(path, {}).update((label.arm, None) for label in labels)
        for plan in plans:
            for name, paths in plan.trials.items():
                for path in paths:
                    planned.setdefault(path, {})[name] = None
        classes: dict[str, set[str]] = {}
        for record in every:
            whole = _own_class(record)
            classes.setdefault(whole.rpartition(".")[2], set()).add(whole)
        several = frozenset(last for last, wholes in classes.items() if len(wholes) > 1)
        return cls({path: list(names) for path, names in planned.items()}, several)

    def arms(self, record: Record) -> list[str]:
        """Return the benchmarks' arms that a run is of, several where two have one setting."""
        return list(self.planned.get(record.path, ()))

    def optimizer(self, record: Record, arm: Any = None) -> str:
        """Return what a run's optimizer is called, without its schedule.

        Args:
            record: the run.
            arm: of a benchmark, which of its arms is meant.
        """
        arms = self.arms(record)
        if arms:
            named = arm if arm in arms else arms[0]
            return named.removesuffix(f"+{record.past.choices.get('schedule')}")
        own = _own_class(record)
        last = own.rpartition(".")[2]
        if own:
            return own if last in self.several else last
        return record.past.choices.get(CHOSEN, "")

    def kinds(self, record: Record, several_schedules: bool) -> list[str]:
        """Return what a run's settings are told under: its optimizer, and its schedule."""
        arms = self.arms(record)
        if arms:
            return arms
        name = self.optimizer(record) or "unknown"
        schedule = record.past.choices.get("schedule", "")
        return [f"{name} {schedule}" if several_schedules and schedule else name]


def _own_class(record: Record) -> str:
    """Return a class of somebody's own; empty of a run that has none."""
    if record.past.choices.get(CHOSEN) != CUSTOM:
        return ""
    named = record.past.settings.get(CLASS)
    return named if isinstance(named, str) else ""


def told_apart(paths: Sequence[Path]) -> dict[Path, str]:
    """Return the ends of paths, as short as tells each from the others.

    Example:
        >>> told_apart([Path("/a/x/study"), Path("/a/y/study")])[Path("/a/x/study")]
        'x/study'
    """
    found = {}
    for path in paths:
        others = [other for other in paths if other != path]
        for length in range(1, len(path.parts) + 1):
            end = path.parts[-length:]
            if all(other.parts[-length:] != end for other in others):
                break
        found[path] = Path(*end).as_posix()
    return found
