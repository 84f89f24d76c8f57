"""Schedules that are named inside the config: parts of a chain, of groups, of other settings."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from optbench.config.conform import conform
from optbench.config.fields import number
from optbench.config.flow import flow
from optbench.config.keys import join
from optbench.config.lengths import is_positive
from optbench.errors import UserError

VALUE_KEYS = ("momentum_schedule", "beta2_schedule", "weight_decay_schedule")
"""The keys of config.yaml that move a setting of the optimizer from one value to another."""

_RANGES: dict[str, tuple[float, bool]] = {
    "momentum_schedule": (1.0, True),
    "beta2_schedule": (1.0, True),
    "weight_decay_schedule": (float("inf"), False),
}

ReferenceOf = Callable[[str, str], Mapping[str, Any]]
"""From a schedule's name, and the key that names it, to all its keys with their defaults."""


def expand_schedules(plain: Mapping[str, Any], reference_of: ReferenceOf) -> dict[str, Any]:
    """Give every schedule that is named (`{schedule: cosine, min_ratio: 0.1}`) all its keys.

    What is expanded already stays as it is, so the result is enough to run again.

    Args:
        plain: the conformed config.
        reference_of: finds the file of a name; UserError for one that there is not.

    Raises:
        UserError: an unknown name or key, a wrong value, a length that is missing.
    """
    out = {**plain, **_expanded(plain, "", reference_of)}
    players = (plain.get("player") or {}).items()
    out["player"] = {
        name: {**node, **_expanded(node, f"player.{name}.", reference_of)} for name, node in players
    }
    for key in VALUE_KEYS:
        if plain.get(key) is not None:
            out[key] = _value(plain[key], key, reference_of)
    return out


def _expanded(node: Mapping[str, Any], at: str, reference_of: ReferenceOf) -> dict[str, Any]:
    """Expand the schedule, and the optimizer's, of the run or of one of its players."""
    groups = []
    for index, group in enumerate(node["optimizer"].get("groups") or []):
        if isinstance(group, Mapping) and "schedule" in group:
            key = f"{at}optimizer.groups[{index}].schedule"
            group = {**group, "schedule": named_schedule(group["schedule"], key, reference_of)}
        groups.append(group)
    return {
        "schedule": _with_parts(node["schedule"], f"{at}schedule", reference_of),
        "optimizer": {**node["optimizer"], "groups": groups},
    }


def _with_parts(node: Mapping[str, Any], at: str, reference_of: ReferenceOf) -> dict[str, Any]:
    if "parts" not in node:
        return dict(node)
    parts, at = node["parts"], join(at, "parts")
    if not isinstance(parts, list) or not parts:
        raise UserError(
            f"{at}={flow(parts)}: name at least one schedule, such as [{{schedule: cosine}}]"
        )
    expanded = [_part(part, f"{at}[{i}]", reference_of) for i, part in enumerate(parts)]
    for number_, part in enumerate(expanded[:-1]):
        if part["for"] is None:
            raise UserError(f"{at}[{number_}]: for how long? add for: 100, 5ep or 10%")
    if expanded[-1]["for"] is not None:
        last = f"{at}[{len(parts) - 1}].for={expanded[-1]['for']}"
        raise UserError(f"{last}: the last part takes what is left; leave it out")
    return {**node, "parts": expanded}


_NAMES = {"schedule", "_target_"}
_OF_A_PART, _OF_A_VALUE = ("for", "scale"), ("from", "to", "for")
"""What stands beside a schedule's own keys."""


def _part(part: Any, at: str, reference_of: ReferenceOf) -> dict[str, Any]:
    own, rest = _split(part, _OF_A_PART)
    _refuse_unnamed(part, rest, at, "constant" if own.get("for") is not None else "cosine")
    scale = own.get("scale", 1.0)
    return {
        "for": _length(own.get("for"), f"{at}.for"),
        "scale": _number(scale, f"{at}.scale", float("inf"), False),
        **named_schedule(rest, at, reference_of, _OF_A_PART),
    }


def _value(node: Any, key: str, reference_of: ReferenceOf) -> dict[str, Any]:
    own, rest = _split(node, _OF_A_VALUE)
    if "to" in own:
        _refuse_unnamed(node, rest, key, "linear", to=own["to"])
    else:
        numeric = isinstance(node, int | float) and not isinstance(node, bool)
        to = node if numeric else 0.1 if key == "weight_decay_schedule" else 0.99
        _refuse_unended(node, key, to)
    start, most = own.get("from"), _RANGES[key]
    schedule = named_schedule(rest, key, reference_of, _OF_A_VALUE)
    if any(node.get("metric") is not None for _, node in _nodes(schedule, key)):
        raise UserError(f"{key}: can't follow a schedule that reacts to the run")
    return {
        "from": None if start is None else _number(start, f"{key}.from", *most),
        "to": _number(own["to"], f"{key}.to", *most),
        "for": _length(own.get("for"), f"{key}.for"),
        **schedule,
    }


def _refuse_unnamed(node: Any, rest: Any, at: str, schedule: str, **more: Any) -> None:
    """Refuse a mapping that names no schedule, and say how it would with all that it has.

    Args:
        rest: what the node has of a schedule's own.
        schedule: the one to name.
    """
    if isinstance(rest, str) or (isinstance(rest, Mapping) and rest.keys() & _NAMES):
        return
    if not isinstance(node, Mapping):
        raise UserError(f"{at}={flow(node)}: which schedule? such as {{schedule: cosine}}")
    said = {key: value for key, value in node.items() if key != "name"}
    meant = {"schedule": node.get("name") or schedule, **said, **more}
    raise UserError(f"{at}={flow(node)}: which schedule? such as {_typed(at, meant)}")


def _refuse_unended(node: Any, key: str, to: Any) -> NoReturn:
    """Refuse a schedule of a value that does not say what it is to become."""
    said = (
        {"schedule": node} if isinstance(node, str) else node if isinstance(node, Mapping) else {}
    )
    meant = {**({} if said.keys() & _NAMES else {"schedule": "linear"}), **said, "to": to}
    raise UserError(f"{key}={flow(node)}: to which value? such as {_typed(key, meant)}")


def _typed(at: str, meant: Mapping[str, Any]) -> str:
    """Return an override as a shell takes it, or the mapping alone where it stands in a list."""
    return flow(meant) if "[" in at else shlex.quote(f"{at}={flow(meant)}")


def _split(node: Any, keys: tuple[str, ...]) -> tuple[dict[str, Any], Any]:
    if not isinstance(node, Mapping):
        return {}, node
    own = {k: v for k, v in node.items() if k in keys}
    return own, {k: v for k, v in node.items() if k not in keys}


def named_schedule(
    node: Any, at: str, reference_of: ReferenceOf, besides: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return a schedule given by its name, or by its name and some of its keys, with all of them.

    Args:
        besides: keys that were taken out of the node, for messages.
    """
    if isinstance(node, str):
        node = {"schedule": node}
    if isinstance(node, Mapping) and "schedule" in node:
        reference = {**dict.fromkeys(besides), **reference_of(str(node["schedule"]), at)}
        overrides = {k: v for k, v in node.items() if k != "schedule"}
        conformed = conform({**reference, **overrides}, reference, at)
        node = {k: v for k, v in conformed.items() if k not in besides}
    elif not isinstance(node, Mapping) or "_target_" not in node:
        raise UserError(f"{at}={flow(node)}: which schedule? such as {{schedule: cosine}}")
    return _with_parts(node, at, reference_of)


def _length(value: Any, at: str) -> Any:
    if value is None or is_positive(value):
        return value
    raise UserError(
        f"{at}={flow(value)}: not valid; expected steps (100), epochs (5ep) or a part (10%)"
    )


def _number(value: Any, at: str, high: float, high_open: bool) -> float:
    try:
        return number(0, high, high_open=high_open)(value)
    except ValueError:
        upto = "" if high == float("inf") else f", below {high:g}"
        raise UserError(
            f"{at}={flow(value)}: not valid; expected a number, at least 0{upto}"
        ) from None


def schedules_of(
    schedule: Mapping[str, Any], groups: list[Any], at: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield key and node of every schedule of learning rates: the run's, its parts, the groups'.

    Args:
        schedule: of the run or of a player.
        groups: of its optimizer.
        at: what comes before the keys, such as `player.generator.`.
    """
    yield from _nodes(schedule, f"{at}schedule")
    for index, group in enumerate(groups):
        if isinstance(group, Mapping) and "schedule" in group:
            yield from _nodes(group["schedule"], f"{at}optimizer.groups[{index}].schedule")


def _nodes(node: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield at, node
    for index, part in enumerate(node.get("parts") or []):
        if isinstance(part, Mapping):
            yield from _nodes(part, f"{at}.parts[{index}]")
