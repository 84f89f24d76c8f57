"""A search space: which keys of a config are searched, and where. No torch.

A YAML of the group `space` says it:

    optimizers: [adamw]       # that it is for; null: any that has the keys
    source: AlgoPerf          # who says so
    search:
      optimizer.lr: {log: [1e-4, 1e-2]}
      optimizer.betas.0: {one_minus_log: [0.02, 0.5]}   # an item of a list

One that chooses files of groups has further keys with each of them, those of the space of its name
or what is said:

    choose:
      optimizer: [adamw, sgd]
      schedule: {constant: {}, cosine: {schedule.min_ratio: {uniform: [0, 0.1]}}}

or, instead of `search`, settings that are tried as they stand, in this order:

    list:
      - {optimizer.lr: 1e-3, optimizer.weight_decay: 0.1}
      - {optimizer.lr: 1e-2, optimizer.weight_decay: 0}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optbench.compose.quoting import value_text
from optbench.config.conform import conform_value
from optbench.config.flow import flow
from optbench.config.keys import find, meant
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.search.distribution import (
    CHOICE,
    INT,
    KINDS,
    LOG_INT,
    Distribution,
    read_distribution,
)

KEYS = ("optimizers", "source", "search", "choose")
"""Of a space's file."""
CHOSEN = ("optimizer", "schedule")
"""Groups whose files may be chosen."""
LIST = "list"
"""In the place of `search`."""
KEY = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
INSIDE = 0.381966
"""A place within a range at which no round number is to be expected."""


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        keys: distributions by dotted key of the config; one that ends in a number is an item of a
            list, as `optimizer.betas.0`.
        optimizers: choices of the group that it is for; none: any that has the keys.
        source: who says so.
        where: what it is called in messages.
        chosen: by group, among whose files the key of its name chooses, and by file what else is
            searched with it.
        rows: of a list, values by key; then `keys` have what occurs of each.
    """

    keys: Mapping[str, Distribution]
    optimizers: tuple[str, ...] = ()
    source: str | None = None
    where: str = "space"
    chosen: Mapping[str, Mapping[str, Mapping[str, Distribution]]] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()

    @property
    def every(self) -> list[str]:
        """All keys that are searched in some trial."""
        more = [key for by in self.chosen.values() for keys in by.values() for key in keys]
        return list(dict.fromkeys([*self.keys, *more]))

    def choices(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the files that values choose, by group."""
        return {group: values[group] for group in self.chosen if group in values}

    def given(self, choices: Mapping[str, Any]) -> Space:
        """Return what is searched with some files: no choice but these."""
        more = {
            key: each
            for group, by in self.chosen.items()
            if group in choices
            for key, each in by[choices[group]].items()
        }
        return replace(self, keys={**self.keys, **more}, chosen={})

    def named(self, choices: Mapping[str, Any]) -> dict[str, tuple[str, Distribution]]:
        """Return key and distribution by a name that no other key, or distribution, has."""
        found = {key: (key, each) for key, each in self.keys.items()}
        for group, by in self.chosen.items():
            for key, each in by[choices[group]].items():
                found[f"{group}={choices[group]} {key}"] = (key, each)
        return found

    @property
    def dimensions(self) -> int:
        """The most numbers that say a point of it."""
        most = (max(map(len, by.values())) for by in self.chosen.values())
        return len(self.keys) + sum(most)

    def at(self, point: Sequence[float]) -> dict[str, Any]:
        """Return the values by key at a point of the unit cube."""
        first = dict(zip(self.keys.items(), point, strict=False))
        values = {key: each.value(u) for (key, each), u in first.items()}
        rest = list(point[len(self.keys) :])
        for group, by in self.chosen.items():
            own = by[values[group]]
            pairs = zip(own.items(), rest, strict=False)
            values |= {key: each.value(u) for (key, each), u in pairs}
            rest = rest[max(map(len, by.values())) :]
        return values

    def as_plain(self) -> dict[str, Any]:
        """Return what stands in a YAML for it."""
        if self.rows:
            rows = [dict(row) for row in self.rows]
            return {"optimizers": list(self.optimizers) or None, "source": self.source, LIST: rows}
        own = {key: each for key, each in self.keys.items() if key not in self.chosen}
        plain: dict[str, Any] = {
            "optimizers": list(self.optimizers) or None,
            "source": self.source,
            "search": _as_plain(own),
        }
        if self.chosen:
            plain["choose"] = {
                group: {name: _as_plain(keys) for name, keys in by.items()}
                for group, by in self.chosen.items()
            }
        return plain


def _as_plain(keys: Mapping[str, Distribution]) -> dict[str, Any]:
    return {key: found.as_plain() for key, found in keys.items()}


FileOf = Callable[[str, str], Any]
"""From a group and a choice to what its space searches; UserError for what there is not."""


def read_space(plain: Any, where: str, file_of: FileOf | None = None) -> Space:
    """Read a space from what stands in its file.

    Args:
        plain: the file as plain data.
        where: what it is called in messages, such as `space=adamw`.
        file_of: finds what is searched with a file that is chosen by its name alone.

    Raises:
        UserError: it is none; the key, what is wrong, and the nearest that would not be.
    """
    if not isinstance(plain, Mapping):
        raise UserError(f"{where}: expected a group of keys: {', '.join(KEYS)}")
    if LIST in plain:
        return _read_list(plain, where)
    for key in plain:
        if key not in KEYS:
            value = plain[key]
            searched = isinstance(value, Mapping) and (set(value) & set(KINDS) or "." in str(key))
            hint = "what is searched stands under search" if searched else None
            raise UserError(f"{where}: {key}: no such key; {hint or did_you_mean(str(key), KEYS)}")
    source = plain.get("source")
    if source is not None and not isinstance(source, str):
        raise UserError(f"{where}: source={flow(source)}: expected a text")
    search = plain.get("search")
    if search is not None and not isinstance(search, Mapping):
        raise UserError(f"{where}: search={flow(search)}: expected keys, each with a distribution")
    chosen = _chosen(plain.get("choose"), where, file_of)
    if not search and not chosen:
        raise UserError(f"{where}: search: no keys to search")
    keys = {group: Distribution(CHOICE, choices=tuple(by)) for group, by in chosen.items()}
    keys |= _keys(search or {}, where)
    space = Space(keys, _optimizers(plain.get("optimizers"), where), source, where, chosen)
    for group, by in chosen.items():
        for name, own in by.items():
            both = sorted(own.keys() & keys.keys())
            if both:
                raise UserError(f"{where}: {both[0]}: searched with {group}={name} already")
    return space


def _keys(search: Mapping[Any, Any], where: str) -> dict[str, Distribution]:
    keys = {}
    for key in search:
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise UserError(f"{where}: {key}: can't be a key; expected one such as optimizer.lr")
        keys[key] = read_distribution(search[key], f"{where}: {key}")
        if key in CHOSEN:
            raise UserError(f"{where}: {key}: stands under choose, as {{{key}: [NAME, ...]}}")
    for key in keys:
        for other in keys:
            if key.startswith(f"{other}."):
                raise UserError(f"{where}: {key}: {other} is searched as a whole")
    return keys


def _chosen(
    said: Any, where: str, file_of: FileOf | None
) -> dict[str, dict[str, dict[str, Distribution]]]:
    """Return what `choose` says, with what is searched with each file."""
    if said is None:
        return {}
    if not isinstance(said, Mapping) or not said:
        raise UserError(
            f"{where}: choose={flow(said)}: expected such as {{optimizer: [sgd, adam]}}"
        )
    found: dict[str, dict[str, dict[str, Distribution]]] = {}
    for group, names in said.items():
        if group not in CHOSEN:
            raise UserError(f"{where}: choose.{group}: {did_you_mean(str(group), CHOSEN)}")
        if not isinstance(names, Mapping | list) or not names:
            raise UserError(f"{where}: choose.{group}={flow(names)}: expected a list of names")
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise UserError(f"{where}: choose.{group}={flow(names)}: expected names, each once")
        own = names if isinstance(names, Mapping) else dict.fromkeys(names)
        found[group] = {}
        for name, search in own.items():
            at = f"{where}: {group}={name}"
            if search is None and file_of is not None:
                search = file_of(group, name)
            if not isinstance(search, Mapping | None):
                raise UserError(f"{at}: {flow(search)}: expected keys, each with a distribution")
            found[group][name] = _keys(search or {}, at)
            strange = next((k for k in found[group][name] if not k.startswith(f"{group}.")), None)
            if strange is not None:
                raise UserError(f"{at}: {strange}: expected keys of {group}; others go to search")
    return found


def _read_list(plain: Mapping[str, Any], where: str) -> Space:
    """Read a space that is a list of settings: each row has a value for each of the same keys."""
    rows = plain[LIST]
    beside = next((key for key in ("search", "choose") if key in plain), None)
    if beside is not None:
        raise UserError(f"{where}: {beside}: beside list; one of them")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        raise UserError(f"{where}: list={flow(rows)}: expected such as [{{optimizer.lr: 0.1}}]")
    for number, row in enumerate(rows, 1):
        for key in {**rows[0], **row}:
            if key not in row or key not in rows[0]:
                raise UserError(f"{where}: list: {key}: in the first or in row {number} only")
    found: dict[str, list[Any]] = {key: [] for key in rows[0]}
    read: list[dict[str, Any]] = [{} for _ in rows]
    for key, seen in found.items():
        for row, own in zip(rows, read, strict=True):
            one = read_distribution({CHOICE: [row[key]]}, f"{where}: list: {key}")
            own[key] = one.choices[0]
            if not any(type(own[key]) is type(e) and own[key] == e for e in seen):
                seen.append(own[key])
    search = {key: {CHOICE: seen} for key, seen in found.items()}
    rest = {key: value for key, value in plain.items() if key != LIST}
    return replace(read_space({**rest, "search": search}, where), rows=tuple(read))


def _optimizers(said: Any, where: str) -> tuple[str, ...]:
    if said is None:
        return ()
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: optimizers={flow(said)}: expected a list of names, or null")
    if not names:
        raise UserError(f"{where}: optimizers=[]: for none; for any optimizer write null")
    return tuple(names)


def overrides(space: Space, values: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return the overrides that give keys of a space their values, exactly.

    Args:
        values: by key; a key that lacks one keeps what it has.
        config: plain, composed with what is chosen: where the other items of lists come from.

    Example:
        >>> space = read_space({"search": {"betas.0": {"one_minus_log": [0.02, 0.5]}}}, "space")
        >>> overrides(space, {"betas.0": 0.93}, {"betas": [0.9, 0.999]})
        ['betas=[0.93, 0.999]']
    """
    found: dict[str, Any] = {}
    for key in space.given(space.choices(values)).keys:
        if key not in values:
            continue
        whole, index = _list_of(key, config)
        if index is None:
            found[key] = values[key]
        else:
            found.setdefault(whole, list(find(config, whole)))[index] = values[key]
    return [
        f"{key}={value if key in space.chosen else value_text(value)}"
        for key, value in found.items()
    ]


def refuse_strangers(space: Space, config: Mapping[str, Any], optimizer: str) -> None:
    """Refuse a space that a config has no place for.

    Args:
        config: plain, composed without the space.
        optimizer: its choice of the group.

    Raises:
        UserError: a key that there is not, or that can't take a value of its distribution; a space
            for another optimizer.
    """
    if space.optimizers and optimizer not in space.optimizers:
        names = " or ".join(f"optimizer={name}" for name in space.optimizers)
        raise UserError(f"{space.where}: for {names}; this is optimizer={optimizer}")
    for key, distribution in space.keys.items():
        problem = refusal(key, distribution, config)
        if problem is not None:
            raise UserError(f"{space.where}: {problem}")


def refusal(key: str, distribution: Distribution, config: Mapping[str, Any]) -> str | None:
    """Return why a key of a config can't take a value of a distribution; None if it can all.

    Of a range both ends are tried, and a value within.

    Args:
        key: dotted; an item of a list ends in its number.
        config: plain, composed.
    """
    whole, index = _list_of(key, config)
    parent, _, last = whole.rpartition(".")
    beside = find(config, parent) if parent else config
    if not isinstance(beside, Mapping) or last not in beside:
        return _no_such(key, config)
    default = beside[last]
    item = default if index is None else default[index] if index < len(default) else None
    if index is not None and index >= len(default):
        return f"{key}: {whole} has {len(default)} items, and the first is {whole}.0"
    if isinstance(item, Mapping):
        return f"{key}: a group of keys; each value is a key of its own"
    for value in _samples(distribution):
        given = value if index is None else [*default[:index], value, *default[index + 1 :]]
        try:
            conform_value(given, default, whole, beside)
        except UserError as error:
            return f"{error}{_as_whole(distribution, given, default, whole)}"
    return None


def _samples(distribution: Distribution) -> list[Any]:
    if distribution.kind == CHOICE:
        return list(distribution.choices)
    return [distribution.value(u) for u in (0.0, 1.0, INSIDE)]


def _as_whole(distribution: Distribution, given: Any, default: Any, key: str) -> str:
    """Return the hint for a range of numbers where whole ones are wanted."""
    if distribution.kind == CHOICE or distribution.whole or isinstance(given, list):
        return ""
    try:
        conform_value(round(given), default, key)
    except UserError:
        return ""
    return f"; of whole numbers write {LOG_INT if distribution.logarithmic else INT}"


def _no_such(key: str, config: Mapping[str, Any]) -> str:
    """Return the line for a key that there is not, with the nearest."""
    whole, _, last = key.rpartition(".")
    group = key.partition(".")[0]
    if last.isdecimal() and whole:
        if not isinstance(find(config, whole), Mapping | None):
            return f"{key}: {whole} is no list"
        key, last = whole, f".{last}"
    else:
        last = ""
    hint = meant(key, None, config)
    if hint == f"{group} takes no keys":  # as wrapper=none
        hint = f"choose one that has it with {group}=NAME"
    return f"{key}{last}: no such key; {hint}"


def _list_of(key: str, config: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return the list that a key is an item of, and the place; else the key itself, and None."""
    whole, _, last = key.rpartition(".")
    if last.isdecimal() and isinstance(find(config, whole), list):
        return whole, int(last)
    return key, None
