"""Which runs are one arm: those that differ in nothing but the seed and what decides no result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.comparison.record import Record
from optbench.config.deciding import DECIDES_NOTHING
from optbench.config.flow import flow
from optbench.runs.past import Past, differing

WORKLOAD = ("model", "dataset", "task")
"""What has to be the same for scores to be of one thing."""
BUDGET = ("steps", "epochs")
NO_RESULT = (
    *DECIDES_NOTHING,
    "workload",
    "recipe",
    "seed",
    "target",
    "eval",
    "device",
    "threads",
    "deterministic",
    "compile",
    "channels_last",
    "activation_checkpointing",
)
"""Keys and groups that decide no result, or nothing beyond the settings that they stand for."""
OF_THE_SEED = ("dataset.split_seed", "dataset.fold")
LONGEST = 60
"""Letters of a value in a name."""
CHOSEN = "optimizer"
"""Of its choice the value alone is a name."""

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """The runs of an arm.

    Attributes:
        name: as short as tells it from the others.
        settings: all that differs among the arms, as this one has it.
        records: the oldest first.
        planned: whether a benchmark gave it the same chances as its others.
    """

    name: str
    settings: Mapping[str, Any]
    records: tuple[Record, ...]
    planned: bool = False


def decides(key: str) -> bool:
    """Return whether a setting may decide a result."""
    return key.partition(".")[0] not in NO_RESULT and key not in OF_THE_SEED


def grouped(records: Sequence[Record]) -> list[Group]:
    """Return the arms of one workload's runs, in the order in which each was first begun.

    A difference in length alone makes arms only where nothing else does.
    """
    keys = [key for key in deciding(records) if key.partition(".")[0] not in WORKLOAD]
    others = [key for key in keys if key not in BUDGET]
    found = _by_key(records, others)
    if len(found) < 2:
        others = keys
        found = _by_key(records, others)
    names = _names(list(found), {key for each in records for key in each.past.choices})
    groups = []
    for (key, of_it), name in zip(found.items(), names, strict=True):
        first = of_it[0].past
        settings = {k: first.choices.get(k, first.settings.get(k)) for k, _ in key}
        groups.append(Group(name, settings, tuple(of_it)))
    return groups


def deciding(records: Sequence[Record]) -> list[str]:
    """Return the settings and choices that differ among runs and may decide a result."""
    return [key for key in _differing(records) if decides(key)]


def _differing(records: Sequence[Record]) -> list[str]:
    """Return keys that differ, classes too, which are told by their choice elsewhere."""
    runs = [record.past for record in records]
    found = differing(runs)
    targets = dict.fromkeys(k for run in runs for k in run.settings if k.endswith("._target_"))
    for key in targets:
        group = key.rpartition(".")[0]
        if group not in found and len({repr(run.settings.get(key)) for run in runs}) > 1:
            found.append(key)
        elif group in found:
            by_choice: dict[str | None, set[str]] = {}
            for run in runs:
                of_it = by_choice.setdefault(run.choices.get(group), set())
                of_it.add(repr(run.settings.get(key)))
            if any(len(each) > 1 for each in by_choice.values()):
                found.append(key)
    return found


def _by_key(records: Sequence[Record], keys: Sequence[str]) -> dict[Key, list[Record]]:
    values = [{key: value_of(record.past, key) for key in keys} for record in records]
    telling = [key for key in keys if len({each[key] for each in values}) > 1]
    found: dict[Key, list[Record]] = {}
    for record, own in zip(records, values, strict=True):
        arm = tuple((key, own[key]) for key in telling)
        found.setdefault(arm, []).append(record)
    return found


def value_of(run: Past, key: str) -> str:
    """Return what a choice or setting is; of numbers 1 and 1.0 are one."""
    value = run.choices.get(key, run.settings.get(key))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if key not in run.choices and key not in run.settings:
        return ""
    return flow(value)


def _names(arms: Sequence[Key], choices: set[str]) -> list[str]:
    """Return a name each: choices, then the settings in which arms of one name differ."""
    parts = [_chosen(arm, choices) for arm in arms]
    clusters: dict[tuple[str, ...], list[int]] = {}
    for i, part in enumerate(parts):
        clusters.setdefault(tuple(part), []).append(i)
    every = [key for key, _ in arms[0]]
    for same in clusters.values():
        for at, key in enumerate(every):
            values = [arms[i][at][1] for i in same]
            if key not in choices and len(set(values)) > 1:
                for i, value in zip(same, _shorter(values), strict=True):
                    if value:
                        parts[i].append(f"{_short(key, every)}={value}")
    names = [" ".join(part) or "as it is" for part in parts]
    if len(set(names)) < len(names):  # where a value is empty, or a text has a space
        return [" ".join(f"{key}={value}" for key, value in arm) for arm in arms]
    return names


def _chosen(arm: Key, choices: set[str]) -> list[str]:
    chosen = [(key, value) for key, value in arm if key in choices and value]
    alone = len(arm) == 1
    return [value if key == CHOSEN or alone else f"{key}={value}" for key, value in chosen]


def _shorter(values: Sequence[str]) -> list[str]:
    """Return values with four digits of each number, and the beginning of each long text.

    As they are where that does not tell them apart.
    """
    shorter = []
    for value in values:
        try:
            number = f"{float(value):.4g}"
        except ValueError:
            number = value if len(value) <= LONGEST else f"{value[: LONGEST - 3]}..."
        shorter.append(number if len(number) < len(value) else value)
    return shorter if len(set(shorter)) == len(set(values)) else list(values)


def _short(key: str, every: Sequence[str]) -> str:
    last = key.rpartition(".")[2]
    return last if [k.rpartition(".")[2] for k in every].count(last) == 1 else key
