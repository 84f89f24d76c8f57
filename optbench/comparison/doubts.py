"""What speaks against a comparison, a line each: none of it is counted silently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optbench.comparison.arms import CHOSEN, Group
from optbench.comparison.metric import Metric
from optbench.comparison.record import Record
from optbench.comparison.result import Arm
from optbench.comparison.sorted_out import LISTED, Sorted, said_of
from optbench.config.flow import flow
from optbench.console import shown

ALIKE = 0.01
"""Budgets that differ by less are one: a last batch may be smaller."""
LEAST_VALUES = 3
"""Of a learning rate, so that its best can be at an edge."""
COMMIT = 9
"""Letters of one."""
SURROUNDINGS: dict[str, tuple[tuple[str, ...], ...]] = {
    "code versions": (("versions", "optbench"), ("git", "commit"), ("git", "dirty")),
    "versions of torch": (("versions", "torch"),),
    "hardware": (("device",), ("cuda",), ("host",), ("world_size",)),
}
"""What has to be the same in env.json, as it is called in a warning."""


def doubts(sorted_out: Sorted, arms: Sequence[Arm], by: Metric) -> list[str]:
    """Return what is to be said against a comparison of some arms."""
    groups = sorted_out.groups
    records = [record for group in groups for record in group.records]
    free = [group for group in groups if not group.planned]
    return [
        *_budgets(groups, records),
        *_resumed(records),
        *_silent(records),
        *_mislabelled(groups),
        *_surroundings(groups, records),
        *_precision(groups),
        *_tuned(free),
        *_perhaps_tuned(free),
        *_edges(free, arms, by),
        *_unplanned(groups),
        *_chosen_on_test(groups),
        *_validation(records, by),
        *_no_chance(arms),
    ]


def _budgets(groups: Sequence[Group], records: Sequence[Record]) -> list[str]:
    """Say who was given more: of those that ended as planned, in examples, or else steps."""
    ran = [record for record in records if record.past.state == "finished"]
    for what, of in (("examples", _examples), ("steps", _steps)):
        taken = {record.path: of(record) for record in ran}
        known = [value for value in taken.values() if value]
        if len(known) < len(ran) or not known or max(known) <= min(known) * (1 + ALIKE):
            continue
        alike = len({str(record.config.get("batch_size")) for record in ran}) == 1
        if what == "steps" and not alike:
            continue  # of other batches, with as many examples
        usual = max(set(known), key=known.count)
        odd = [record for record in ran if abs((taken[record.path] or 0) - usual) > ALIKE * usual]
        named = [f"{_name(record, groups)} took {taken[record.path]:,.0f}" for record in odd]
        return [f"unequal budgets: {_some(named)}, where {usual:,.0f} {what} are usual"]
    return []


def _examples(record: Record) -> float | None:
    return record.examples


def _steps(record: Record) -> float | None:
    return record.steps


def _resumed(records: Sequence[Record]) -> list[str]:
    said = []
    for record in records:
        for key, (old, new) in record.changed.items():
            if key not in ("tags", "notes", "name"):
                said.append(f"{shown(record.path)} with {key}={new} (was {old})")
        seals = record.past.status.get("config")
        several = isinstance(seals, list) and len(seals) > 1
        if several and not record.changed and not record.labelled:
            said.append(f"{shown(record.path)}, whose log does not say which")
    return [f"a resume went on with other settings: {_some(said)}"] if said else []


def _silent(records: Sequence[Record]) -> list[str]:
    """Say of which runs nobody knows whether a resume changed them."""
    paths = [shown(record.path) for record in records if record.silent]
    return [f"a resume may have changed them, no log can be read: {_some(paths)}"] if paths else []


def _mislabelled(groups: Sequence[Group]) -> list[str]:
    """Say which arms of benchmarks are the same runs, or have others' optimizers."""
    lines = []
    planned = [group for group in groups if group.planned]
    of = {g.name: {str(r.past.choices.get(CHOSEN)) for r in g.records} for g in planned}
    for i, group in enumerate(planned):
        paths = {record.path for record in group.records}
        for other in planned[i + 1 :]:
            if paths & {record.path for record in other.records}:
                lines.append(f"{group.name} and {other.name} have runs in common")
        others = {choice for name, own in of.items() if name != group.name for choice in own}
        if len(of[group.name]) > 1 or (group.name in others and group.name not in of[group.name]):
            choices = ", ".join(sorted(of[group.name]))
            lines.append(f"{group.name} is called so by a report, its runs have {choices}")
    return lines


def _surroundings(groups: Sequence[Group], records: Sequence[Record]) -> list[str]:
    lines = []
    for what, paths in SURROUNDINGS.items():
        values: dict[str, list[Record]] = {}
        for record in records:
            found = [_word(path[-1], _at(record.environment, path)) for path in paths]
            values.setdefault(" ".join(filter(None, found)), []).append(record)
        if len(values) > 1:
            lines.append(f"different {what}: {_by_value(values, groups)}")
    return lines


def _word(what: str, value: Any) -> str:
    """Return a value of env.json as it is told."""
    if what == "dirty":
        return "with changes" if value is True else ""
    return "" if value is None else flow(value)[: COMMIT if what == "commit" else None]


def _precision(groups: Sequence[Group]) -> list[str]:
    values: dict[str, list[Record]] = {}
    for group in groups:
        for record in group.records:
            name = record.past.settings.get("precision.name", "unknown")
            values.setdefault(str(name), []).append(record)
    others = {key for group in groups for key in group.settings if "precision" not in key}
    if len(values) > 1 and others:  # else it is what is compared
        return [f"different precision: {_by_value(values, groups)}"]
    return []


def _tuned(groups: Sequence[Group]) -> list[str]:
    """Say which optimizers are at their defaults, where others are not."""
    if len({group.settings.get(CHOSEN) for group in groups}) < 2:
        return []
    tuned: dict[str, list[str]] = {}
    for group in groups:
        first = group.records[0].past
        own = [key for key in first.overridden if key.startswith(f"{CHOSEN}.")]
        recipe = first.choices.get("recipe", "none")
        tuned[group.name] = [*own, *([f"recipe={recipe}"] if recipe != "none" else [])]
    with_ = [f"{name} ({', '.join(keys)})" for name, keys in tuned.items() if keys]
    without = [name for name, keys in tuned.items() if not keys]
    if not with_ or not without:
        return []
    return [
        f"unequal tuning: {_some(with_)} {_was(with_)} given settings, "
        f"{_some(without)} {_was(without)} left at the defaults"
    ]


def _unplanned(groups: Sequence[Group]) -> list[str]:
    """Say which arms a benchmark gave equal chances, and which others are compared with them."""
    planned = [group.name for group in groups if group.planned]
    others = [group.name for group in groups if not group.planned]
    if not planned or not others:
        return []
    return [
        f"unequal tuning: {_some(planned)} had the same trials in a benchmark, {_some(others)} had "
        "none of them"
    ]


def _perhaps_tuned(groups: Sequence[Group]) -> list[str]:
    """Say where one setting of an optimizer has more seeds than its others, which have but few."""
    families: dict[str, list[Group]] = {}
    for group in groups:
        families.setdefault(str(group.settings.get(CHOSEN)), []).append(group)
    lines = []
    for family in families.values():
        first, *others = sorted(family, key=lambda group: -len(group.records))
        units = [{record.unit for record in group.records} for group in others]
        own = {record.unit for record in first.records}
        if others and all(each == units[0] for each in units) and units[0] < own:
            many = f"{len(others)} other settings have" if len(others) > 1 else "another has"
            lines.append(
                f"perhaps tuned on seeds it is scored on: beside {first.name}, {many} only "
                f"{said_of(sorted(units[0]))}; if these chose it, its score there is luck in part"
            )
    return lines


def _edges(groups: Sequence[Group], arms: Sequence[Arm], by: Metric) -> list[str]:
    """Say where the best of some learning rates is the least or the largest."""
    means = {arm.name: arm.mean for arm in arms if arm.finished}
    lines = []
    for key in dict.fromkeys(key for group in groups for key in group.settings):
        if key.rpartition(".")[2] != "lr":
            continue
        families: dict[str, list[Group]] = {}
        for group in groups:
            others = {k: v for k, v in group.settings.items() if k != key}
            families.setdefault(repr(sorted(others.items())), []).append(group)
        for family in families.values():
            values = [(group.settings[key], group) for group in family if group.name in means]
            numbers = sorted({v for v, _ in values if _number(v)})
            if len(numbers) < LEAST_VALUES:
                continue
            pick = max if by.mode == "max" else min
            value, best = pick(values, key=lambda each: means[each[1].name])
            if value in (numbers[0], numbers[-1]):
                lines.append(
                    f"optimum at an edge: {best.name} is the best of {key} from "
                    f"{flow(numbers[0])} to {flow(numbers[-1])}; search further"
                )
    return lines


def _chosen_on_test(groups: Sequence[Group]) -> list[str]:
    """Say whose test scores have chosen something: when to stop, which step is the best."""
    found: dict[str, list[Record]] = {}
    for group in groups:
        for record in group.records:
            settings = record.past.settings
            watched = {
                "best": record.past.best.get("metric"),
                "checkpoint.best": settings.get("checkpoint.best"),
                "early_stopping.metric": settings.get("early_stopping.metric")
                if settings.get("early_stopping.patience")
                else None,
            }
            for key, metric in watched.items():
                if isinstance(metric, str) and metric.startswith("test"):
                    found.setdefault(f"{key}={metric}", []).append(record)
    return [f"chosen on the test set: {_by_value(found, groups)}"] if found else []


def _validation(records: Sequence[Record], by: Metric) -> list[str]:
    """Say where pairs have no common validation set, and what folds are."""
    splits: dict[tuple[int, str], set[str]] = {}
    for record in records:
        split = str(record.past.settings.get("dataset.split_seed"))
        splits.setdefault(record.unit, set()).add(split)
    lines = []
    parts = {flow(record.past.settings.get("eval.examples")) for record in records}
    if by.tag.startswith("val/") and len(parts) > 1:
        lines.append("runs are scored by other numbers of examples: eval.examples differs")
    if by.tag.startswith("val/") and any(len(each) > 1 for each in splits.values()):
        lines.append("runs of one seed have other validation sets: dataset.split_seed differs")
    if any(fold for _, fold in splits):
        lines.append(
            "folds share their training examples, so they are no independent pairs: "
            "intervals are too narrow"
        )
    return lines


def _no_chance(arms: Sequence[Arm]) -> list[str]:
    """Say where seeds change nothing: so many are one run, done so many times."""
    several = [arm for arm in arms if len(arm.finished) > 1]
    if several and all(len(set(arm.finished.values())) == 1 for arm in several):
        return ["all seeds of each arm came to the same: they are no sample, and no test is of use"]
    return []


def _by_value(values: Mapping[str, Sequence[Record]], groups: Sequence[Group]) -> str:
    """Return who has which value: whole arms by their names, else how many runs."""
    said = []
    for value, records in values.items():
        paths = {record.path for record in records}
        whole = [g for g in groups if {record.path for record in g.records} <= paths]
        if len(paths) == sum(len(group.records) for group in whole):
            who = _some([group.name for group in whole])
        elif len(paths) == 1:
            who = _name(records[0], groups)
        else:
            who = f"{len(paths)} runs"
        said.append(f"{value or 'unknown'} ({who})")
    return _some(said)


def _name(record: Record, groups: Sequence[Group]) -> str:
    group = next(group for group in groups if record in group.records)
    return f"{group.name} seed {record.unit[0]}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(node: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = node
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
