"""Which runs are of one workload: of one model, data set and task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from optbench.comparison.arms import WORKLOAD, deciding, value_of
from optbench.comparison.benchmarks import Benchmarks
from optbench.comparison.record import Record

Settings = tuple[str, ...]
MOST_NAMED = 3
"""Of the keys in which workloads differ, and of their values."""


@dataclass(frozen=True)
class OfWorkload:
    """The runs of one workload.

    Attributes:
        name: as short as tells it from the others.
        planned: what benchmarks call it; empty where none has it.
        records: the oldest first.
    """

    name: str
    planned: str
    records: tuple[Record, ...]


def by_workload(records: Sequence[Record], benchmarks: Benchmarks) -> list[OfWorkload]:
    """Return the runs by workload, in the order in which each was first begun.

    Runs that a benchmark made for one workload are of one, whatever its optimizers change of it,
    and none of another's. Runs beside it belong to the one that has their settings.
    """
    keys = telling(records)
    settings = {r.path: tuple(value_of(r.past, key) for key in keys) for r in records}
    planned = _planned(records, benchmarks, settings)
    groups: dict[tuple[str, Settings], list[Record]] = {}
    for record in records:
        own = settings[record.path]
        alike = [key for key in set(planned.values()) if key[1] == own]
        named = {(f"{label.folder}", label.workload) for label in benchmarks.labelled(record.path)}
        beside = alike[0] if len(alike) == 1 else ("", own)
        for key in dict.fromkeys(planned[name] for name in sorted(named)) or [beside]:
            groups.setdefault(key, []).append(record)
    called = [_called(plan, of_it) for (plan, _), of_it in groups.items()]
    said = [[(k, v) for k, v in zip(keys, own, strict=True) if v] for _, own in groups]
    names = _names(called, said)
    return [
        OfWorkload(name, plan, tuple(of_it))
        for name, ((plan, _), of_it) in zip(names, groups.items(), strict=True)
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


def _planned(
    records: Sequence[Record], benchmarks: Benchmarks, settings: Mapping[Path, Settings]
) -> dict[tuple[str, str], tuple[str, Settings]]:
    """Return for each workload of each benchmark what tells it from others: its name, settings.

    The settings are its first run's: some optimizers may have others.
    """
    found: dict[tuple[str, str], tuple[str, Settings]] = {}
    for record in records:
        for label in benchmarks.labelled(record.path):
            key = (f"{label.folder}", label.workload)
            found.setdefault(key, (label.workload, settings[record.path]))
    return found


def _adds(key: str) -> bool:
    """Return whether a key says more of a workload than its name, of model and data set, does."""
    return key not in ("model", "dataset") and not key.endswith("._target_")


def _called(planned: str, records: Sequence[Record]) -> str:
    """Return how a benchmark, or all their configs, call the workload of some runs."""
    if planned:
        return planned
    named = {record.past.choices.get("workload", "none") for record in records}
    if len(named) == 1 and named != {"none"}:
        return named.pop()
    first = records[0].past.choices
    parts = [first[group] for group in ("model", "dataset") if first.get(group, "none") != "none"]
    return " on ".join(parts)


def _names(called: Sequence[str], said: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
    """Return a name each that no other has: as short as that allows, or else with a number.

    Args:
        called: what they are called, which several may be.
        said: key and value of what tells them apart.
    """
    adding = [[f"{k}={v}" for k, v in own if _adds(k)] for own in said]
    whole = [[f"{k}={v}" for k, v in own] for own in said]
    ways = [(whole, 0), (adding, MOST_NAMED), (adding, None), (whole, MOST_NAMED), (whole, None)]
    for settings, most in ways:
        names = [
            name if most == 0 or called.count(name) == 1 else " ".join([name, *own[:most]])
            for name, own in zip(called, settings, strict=True)
        ]
        if len(set(names)) == len(names) and all(names):
            return names
    return [f"{name} {number}".strip() for number, name in enumerate(names, 1)]
