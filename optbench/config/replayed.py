"""The file of values, round by round, that a population leaves and `schedule=replay` reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

KEYS = ("steps", "ends", "lr", "values", "schedule")
LR = "optimizer.lr"
OURS = re.compile(r"optbench\.schedules\.\w+\.\w+")
"""Classes that the file may name: it is no part of a config that is sealed."""
REACTING = "hypergradient"
"""The schedule that reacts to the run without naming a metric."""


def fault(plain: Any) -> str | None:
    """Return why something is no such file, None if it is one.

    It has the run's length in `steps`, the steps at which rounds ended in `ends`, the learning rate
    that the others are multiples of in `lr`, lists of a value for each round in `values` by key,
    and the node of the schedule that went on all the while in `schedule`.
    """
    if not isinstance(plain, Mapping):
        return "expected a group of keys"
    lacking = [key for key in KEYS if key not in plain]
    if lacking:
        return f"{lacking[0]} is missing"
    steps, ends, values = plain["steps"], plain["ends"], plain["values"]
    if not isinstance(ends, list) or not ends or not all(type(end) is int for end in ends):
        return "ends: expected steps"
    if type(steps) is not int or ends[-1] != steps or sorted({0, *ends}) != [0, *ends]:
        return "ends: expected steps that rise to that of the run's end"
    if not _is_number(plain["lr"]) or not plain["lr"] > 0:
        return "lr: expected a number above 0"
    if not isinstance(values, Mapping):
        return "values: expected a group of keys"
    for key, each in values.items():
        if not isinstance(each, list) or len(each) != len(ends):
            return f"values: {key}: expected {len(ends)} values, one for each round"
    if not isinstance(plain["schedule"], Mapping):
        return "schedule: expected a schedule with its keys"
    return unplayable(plain["schedule"])


def unplayable(node: Mapping[str, Any]) -> str | None:
    """Return why a schedule's node can't go on under factors; None if it can."""
    target = node.get("_target_")
    if not isinstance(target, str) or not OURS.fullmatch(target):
        return f"schedule: {target}: expected one of optbench's own"
    if "scheduler" in node or "file" in node:  # which remembers more than its step; itself a file
        return f"schedule: {target}: expected a function of the step"
    if node.get("metric") is not None or REACTING in target:
        return f"schedule: {target} reacts to the run"
    parts = node.get("parts") or []
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        return "schedule: parts: expected a list of schedules"
    return next(filter(None, map(unplayable, parts)), None)


def numbers(values: list[Any]) -> bool:
    """Return whether a key's values are numbers that are not negative, as schedules set them."""
    return all(_is_number(value) and value >= 0 for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0
