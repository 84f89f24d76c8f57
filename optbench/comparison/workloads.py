"""Which runs are of one workload: of one model, data set and task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.comparison.arms import WORKLOAD, deciding, value_of
from optbench.comparison.benchmarks import Benchmarks
from optbench.comparison.record import Record

MOST_NAMED = 3
"""Of the keys in which workloads differ, and of their values."""


@dataclass(frozen=True)
class OfWorkload:
    """The runs of one workload.

    Attributes:
        name: as short as tells it from the others.
        records: the oldest first.
    """

    name: str
    records: tuple[Record, ...]


def by_workload(records: Sequence[Record], benchmarks: Benchmarks) -> list[OfWorkload]:
    """Return the runs by workload, in the order in which each was first begun.

    Runs that a benchmark made for one workload are of one, whatever its optimizers change of it.
    """
    keys = telling(records)
    groups: dict[tuple[str, ...], list[Record]] = {}
    of_plan: dict[tuple[str, str], tuple[str, ...]] = {}
    for record in records:
        own = tuple(value_of(record.past, key) for key in keys)
        for label in benchmarks.labels.get(record.path, [])[:1]:
            own = of_plan.setdefault((str(label.folder), label.workload), own)
        groups.setdefault(own, []).append(record)
    found = list(groups.items())
    names = [_called(of_it, benchmarks) for _, of_it in found]
    return [
        OfWorkload(
            name
            if name and names.count(name) == 1
            else " ".join([name, *_said(keys, own)]).strip(),
            tuple(of_it),
        )
        for name, (own, of_it) in zip(names, found, strict=True)
    ]


def telling(records: Sequence[Record]) -> list[str]:
    """Return the keys in which the workloads of runs differ."""
    return [key for key in deciding(records) if key.partition(".")[0] in WORKLOAD]


def differences(records: Sequence[Record]) -> str:
    """Return in what the workloads of runs differ, for a message."""
    keys = telling(records)
    said = []
    for key in keys[:MOST_NAMED]:
        values = list(dict.fromkeys(record.past.value(key) or "none" for record in records))
        more = ", ..." if len(values) > MOST_NAMED else ""
        said.append(f"{key} is {', '.join(values[:MOST_NAMED])}{more}")
    left = len(keys) - MOST_NAMED
    more = f" and {left} more setting{'s' * (left > 1)}" if left > 0 else ""
    return f"{'; '.join(said)}{more}"


def _called(records: Sequence[Record], benchmarks: Benchmarks) -> str:
    """Return how a benchmark, or all their configs, call the workload of some runs."""
    planned = {
        label.workload for record in records for label in benchmarks.labels.get(record.path, [])
    }
    named = planned or {record.past.choices.get("workload", "none") for record in records}
    if len(named) == 1 and named != {"none"}:
        return named.pop()
    first = records[0].past.choices
    parts = [first[group] for group in ("model", "dataset") if first.get(group, "none") != "none"]
    return " on ".join(parts)


def _said(keys: Sequence[str], values: Sequence[str]) -> list[str]:
    """Return what tells a workload from its namesakes."""
    pairs = list(zip(keys, values, strict=True))
    return [f"{key}={value}" for key, value in pairs[:MOST_NAMED] if value]
