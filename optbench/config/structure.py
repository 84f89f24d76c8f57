"""What every config has to have, whatever the files that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from optbench.config.conform import conform
from optbench.config.flow import flow
from optbench.config.reserved import settable_in_a_group
from optbench.config.stages import settings_of, stages_of
from optbench.config.suggest import nearest
from optbench.config.zoo import check_named, settable_in_groups
from optbench.errors import UserError

COMPONENTS = ("model", "dataset", "optimizer", "schedule", "task")


def refuse_strange_texts(value: Any, at: str = "") -> None:
    """Raise UserError for texts that no config can hold: half a letter, a null character, `${`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_strange_texts(str(key), at)
            refuse_strange_texts(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_strange_texts(item, f"{at}[{index}]")
    elif isinstance(value, str):
        if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
            raise UserError(f"{at}={value}: expected letters in UTF-8")
        if "${" in value:  # a resumed run would take it for a reference
            raise UserError(f"{at}={value}: a text can't have ${{ in it")


def refuse_missing(
    plain: Mapping[str, Any],
    reference: Mapping[str, Any],
    called: Callable[[str], str],
    at: str = "",
) -> None:
    """Refuse deleted keys (`~key`), and components that do not say what they are.

    Args:
        plain: what was composed.
        reference: the defaults.
        called: tells what a group's file is called, for messages.
        at: the dotted key of `plain` itself.
    """
    for key, default in reference.items():
        name = f"{at}.{key}" if at else key
        if key not in plain:
            raise UserError(f"{name}: missing; has its file another # @package?")
        if isinstance(default, Mapping) and isinstance(plain[key], Mapping):
            refuse_missing(plain[key], default, called, name)
    if not at:
        for group in COMPONENTS:
            if not isinstance(plain[group], Mapping) or "_target_" not in plain[group]:
                raise UserError(f"{called(group)} names no _target_, such as my.module.Class")
            target = plain[group]["_target_"]
            if target is not None and not isinstance(target, str):
                raise UserError(f"{group}._target_={target}: expected such as my.module.Class")
        if "lr" not in plain["optimizer"]:
            raise UserError(f"{called('optimizer')} has no lr, which schedules need")


def optimizers_of(plain: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield key and node of every optimizer: the run's, or its players', and of their stages."""
    players = plain.get("player") or {}
    found = {f"player.{name}.optimizer": own["optimizer"] for name, own in players.items()}
    for at, node in (found or {"optimizer": plain["optimizer"]}).items():
        yield at, node
        for where, stage in stages_of(node, at):
            yield where, settings_of(stage)


def check_parameter_groups(optimizer: Mapping[str, Any], key: str = "optimizer") -> None:
    """Raise UserError for a setting, or parameter group's key, that the optimizer does not have."""
    check_named(optimizer)
    settable = settable_in_a_group(optimizer)
    if "arguments" in optimizer:
        settable = settable_in_groups(optimizer)
    for index, group in enumerate(optimizer["groups"]):
        at = f"{key}.groups[{index}]"
        if not isinstance(group, Mapping) or "params" not in group:
            near = nearest("params", group) if isinstance(group, Mapping) else None
            hint = f"; did you mean params in place of {near}?" if near else ""
            expected = "expected a mapping with params, a pattern of names"
            raise UserError(f"{at}={flow(group)}: {expected}{hint}")
        conform(group, {"params": "*", "schedule": None, **settable}, at)
