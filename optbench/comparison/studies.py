"""Runs that are a study's trials, and the seeds that chose somebody's settings."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optbench.comparison.arms import Group
from optbench.comparison.record import Record, Unit
from optbench.errors import UserError
from optbench.files import BadFile, load_yaml
from optbench.which_run import BENCHMARK, RUNS, study_in

ROUNDED = 1e-3
"""By how much a value may differ that was typed with four digits."""


@dataclass(frozen=True)
class Searched:
    """A study whose runs were found.

    Attributes:
        folder: its own.
        keys: what it searched.
        metric, mode: by which it chose; empty where nobody knows.
        records: of its trials.
    """

    folder: Path
    keys: tuple[str, ...]
    metric: str
    mode: str
    records: list[Record] = field(default_factory=list)

    @property
    def units(self) -> set[Unit]:
        """Return the seeds that its trials were scored on."""
        return {record.unit for record in self.records}

    def has(self, record: Record) -> bool:
        """Return whether a run has the settings of one of the trials."""
        return any(_alike(record, trial, self.keys) for trial in self.records)

    def best(self) -> list[Record]:
        """Return the runs of the best trial, all runs where none has a score."""
        trials: list[list[Record]] = []
        for record in self.records:
            same = next((t for t in trials if _alike(record, t[0], self.keys)), None)
            if same is None:
                trials.append([record])
            else:
                same.append(record)
        scored = [(self._value(trial), trial) for trial in trials]
        good = [(value, trial) for value, trial in scored if math.isfinite(value)]
        sign = -1.0 if self.mode == "min" else 1.0
        return max(good, key=lambda each: sign * each[0])[1] if good else self.records

    def _value(self, trial: Sequence[Record]) -> float:
        values = []
        for record in trial:
            best = record.past.best
            known = best and best["metric"] == self.metric
            value = best["value"] if known else record.final.get(self.metric, math.nan)
            values.append(math.nan if record.missed else float(value))
        return math.fsum(values) / len(values)


def studies_among(records: Sequence[Record]) -> tuple[list[Searched], list[Record]]:
    """Return the studies that some of the runs are trials of, and the other runs."""
    found: dict[Path, Searched] = {}
    others = []
    for record in records:
        folder = record.path.parent
        if folder not in found and not study_in(folder):
            others.append(record)
            continue
        found.setdefault(folder, _study(folder)).records.append(record)
    return list(found.values()), others


def without_benchmarks_trials(
    records: Sequence[Record],
) -> tuple[list[Record], dict[Path, list[Record]]]:
    """Return the runs that no benchmark chose by, and by benchmark those that it did.

    Its trials leave the test set alone; what it scores are the runs with fresh seeds beside them.
    """
    kept: list[Record] = []
    trials: dict[Path, list[Record]] = {}
    for record in records:
        runs = record.path.parent
        own = runs.name == RUNS and os.path.lexists(runs.parent / BENCHMARK)
        if own and record.past.settings.get("eval.test") is False:
            trials.setdefault(runs.parent, []).append(record)
        else:
            kept.append(record)
    return kept, trials


def _study(folder: Path) -> Searched:
    """Return what a study's plan says of itself, whoever wrote it."""
    try:
        said = load_yaml(folder / study_in(folder))
    except (OSError, BadFile, UserError):
        said = None
    plan: Mapping[str, Any] = said if isinstance(said, dict) else {}
    space = plan.get("space")
    search = space.get("search") if isinstance(space, dict) else None
    keys = tuple(str(key) for key in search) if isinstance(search, dict) else ()
    return Searched(folder, keys, str(plan.get("metric", "")), str(plan.get("mode", "")))


def to_compare(studies: Sequence[Searched], others: Sequence[Record]) -> list[Record]:
    """Return the runs that are compared: not the trials where there are others.

    Of several studies it is the best trial of each; of one alone, its trials.
    """
    if others:
        return list(others)
    if len(studies) == 1:
        return list(studies[0].records)
    return [record for study in studies for record in study.best()]


def chosen_on(studies: Sequence[Searched], group: Group) -> dict[Path, set[Unit]]:
    """Return by study the seeds that chose the settings of an arm."""
    return {
        study.folder: study.units
        for study in studies
        if any(study.has(record) for record in group.records)
    }


def _alike(one: Record, other: Record, keys: Sequence[str]) -> bool:
    """Return whether two runs have the same optimizer, and the same values of some keys."""
    if one.past.choices.get("optimizer") != other.past.choices.get("optimizer"):
        return False
    pairs = [(_of(one, key), _of(other, key)) for key in keys]
    return all(_same(mine, others) for mine, others in pairs)


def _of(record: Record, key: str) -> Any:
    settings = record.past.settings
    above, _, place = key.rpartition(".")
    within = settings.get(above)
    if key not in settings and place.isdigit() and isinstance(within, list):
        return within[int(place)] if int(place) < len(within) else None
    return record.past.choices.get(key, settings.get(key))


def _same(one: Any, other: Any) -> bool:
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (one, other)]
    try:
        return bool(one == other) or (all(numbers) and math.isclose(one, other, rel_tol=ROUNDED))
    except OverflowError:  # a number that no optimizer has
        return False
