"""Which of the runs that were found count, and what is said of those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optbench.comparison.arms import BUDGET, CHOSEN, Group, decides, grouped
from optbench.comparison.benchmarks import Benchmarks, Family
from optbench.comparison.record import Record, Unit
from optbench.comparison.studies import (
    Searched,
    chosen_on,
    studies_among,
    to_compare,
    without_benchmarks_trials,
)
from optbench.comparison.workloads import OfWorkload
from optbench.config.counted import counted
from optbench.console import shown
from optbench.errors import UserError

LISTED = 3
"""Of the seeds or runs in a line."""
FRESH = "a choice scores better by luck on what it was made on, so score it on fresh seeds"


@dataclass(frozen=True)
class Usable:
    """The runs that can be compared.

    Attributes:
        records: they, the oldest first.
        said: a line each of what was left out.
        benchmarks: what these say of some of them.
    """

    records: list[Record]
    said: list[str]
    benchmarks: Benchmarks


@dataclass(frozen=True)
class Sorted:
    """The runs of one workload that count, by arm.

    Attributes:
        groups: the arms.
        said: a line each of what was left out, and of seeds that chose.
    """

    groups: list[Group]
    said: list[str]


def usable(records: Sequence[Record], unread: Sequence[tuple[Path, str]]) -> Usable:
    """Return the runs without those that a resume made others, and without benchmarks' trials.

    Args:
        records: of runs that ended, the oldest first.
        unread: folders that could not take part, with why.

    Raises:
        UserError: nothing is left.
    """
    said = [f"left out: {shown(path)}: {why}" for path, why in unread]
    whole = []
    for record in records:
        changed = made_another(record)
        if changed:
            how = ", ".join(f"{key}={new} (was {old})" for key, (old, new) in changed.items())
            said.append(f"left out: {shown(record.path)}: a resume went on with {how}")
        else:
            whole.append(record)
    whole, trials = without_benchmarks_trials(whole)
    for folder, of_it in trials.items():
        on = said_of(sorted({record.unit for record in of_it}))
        said.append(
            f"left out: {counted(len(of_it), 'trial')} on {on}, by which {shown(folder)} chose"
        )
    if not whole and trials:
        raise UserError("no run is left to compare: all are trials, by which a benchmark chose")
    if not whole:
        raise UserError("no run is left to compare: a resume went on with other settings in each")
    benchmarks = Benchmarks.of(whole)
    unknown = [place for record in whole if (place := benchmarks.unknown(record)) is not None]
    for place in dict.fromkeys(unknown):
        many = unknown.count(place)
        said.append(
            f"left out: {many} runs of {shown(place)} of which its report says nothing: it goes "
            "on, or was stopped"
        )
    said += benchmarks.said
    known = [record for record in whole if benchmarks.unknown(record) is None]
    return Usable(known, said, benchmarks)


def sort_out(part: OfWorkload, benchmarks: Benchmarks, family: Family = "tuned") -> Sorted:
    """Return the arms of one workload's runs: no seed twice, no trial beside what it chose.

    Args:
        part: the runs of one workload.
        benchmarks: what these say of some of the runs.
        family: which of a benchmark's arms are compared. With its defaults nothing else is.
    """
    planned, rest = _planned(part, benchmarks, family)
    studies, others = studies_among(rest)
    compared = others if planned else to_compare(studies, others)
    groups: list[Group] = []
    said: list[str] = []
    for group in [*planned, *_beside(grouped(compared) if compared else [], planned)]:
        once, lines = _once(group)
        fresh, more = _fresh(once, studies) if planned or others else (once, [])
        groups.append(fresh)
        said += [*lines, *more]
    if not planned and not others:
        for study in studies:
            on = f"{said_of(sorted(study.units))}, on which {shown(study.folder)} chose"
            said.append(f"tuned on the seeds it is scored on: its trials have {on}; {FRESH}")
    return Sorted(groups, said)


def _planned(
    part: OfWorkload, benchmarks: Benchmarks, family: Family
) -> tuple[list[Group], list[Record]]:
    """Return the arms of benchmarks, and the runs that are none of theirs."""
    found: dict[tuple[str, Path], list[Record]] = {}
    values = {}
    rest = []
    for record in part.records:
        for label in benchmarks.of_run(record, family, part.planned):
            key = (label.arm, label.folder)
            found.setdefault(key, []).append(record)
            values[key] = {CHOSEN: label.arm, **label.values}
        if record.path not in benchmarks.labels and family == "tuned":
            rest.append(record)
    names = [arm for arm, _ in found]
    groups = []
    for (arm, folder), of_it in found.items():
        name = arm if names.count(arm) == 1 else f"{arm} of {shown(folder)}"
        groups.append(Group(name, values[arm, folder], tuple(of_it), planned=True))
    return groups, rest


def _beside(groups: Sequence[Group], planned: Sequence[Group]) -> list[Group]:
    """Return arms under names that are none of a benchmark's."""
    taken = [group.name for group in planned]
    named = []
    for group in groups:
        name = group.name
        if planned and len(groups) == 1:
            name = group.records[0].past.choices.get(CHOSEN, name)
        named.append(replace(group, name=f"{name} (another run)" if name in taken else name))
    return named


def made_another(record: Record) -> dict[str, tuple[str, str]]:
    """Return the keys that a resume changed to make it another run: all but those of its length."""
    lengths = (*BUDGET, "early_stopping.patience")
    given = record.changed.items()
    return {key: of_it for key, of_it in given if decides(key) and key not in lengths}


def _once(group: Group) -> tuple[Group, list[str]]:
    """Return an arm with the first run alone of each seed."""
    found: dict[Unit, Record] = {}
    said = []
    for record in group.records:
        first = found.setdefault(record.unit, record)
        if first is not record:
            said.append(
                f"left out: {shown(record.path)}: {group.name} has {said_of([record.unit])} "
                f"already, of {shown(first.path)}"
            )
    return replace(group, records=tuple(found.values())), said


def _fresh(group: Group, studies: Sequence[Searched]) -> tuple[Group, list[str]]:
    """Return an arm without the seeds that chose its settings, if it has others."""
    said = []
    for folder, units in chosen_on(studies, group).items():
        used = [record.unit for record in group.records if record.unit in units]
        if not used:
            continue
        left = tuple(record for record in group.records if record.unit not in units)
        chose = f"{said_of(used)} chose the settings of {group.name} ({shown(folder)})"
        if left:
            said.append(f"left out: {chose}; its score there is luck in part")
            group = replace(group, records=left)
        else:
            said.append(f"tuned on the seeds it is scored on: {chose}; {FRESH}")
    return group, said


def said_of(units: Sequence[Unit]) -> str:
    """Return seeds, with their folds, as they are told."""
    names = [f"{seed}" + (f" fold {fold}" if fold else "") for seed, fold in units]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"seed{'s' * (len(names) > 1)} {', '.join(names[:LISTED])}{more}"
