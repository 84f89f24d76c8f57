"""What a population's best member had, by round, from the file that `optbench pbt` left. No torch
of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import call, locate
from optbench.config.replayed import LR, fault, numbers
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError, reason
from optbench.files import load_yaml
from optbench.schedules.base import Schedule
from optbench.schedules.replay import Replay, ReplayedSetting
from optbench.schedules.warmup import Warmup

if TYPE_CHECKING:
    import torch

REPLAY = "optbench.schedules.replay.Replay"
MAIN, DECAY = "schedule", "weight_decay"
OTHERWISE = ("params", "param_names", "lr", "decay", "decay_base_lr", "undecayed", "initial_lr")
"""What stands in a group and is no setting of the optimizer by this name."""


def build_replay(
    node: Mapping[str, Any],
    total_steps: int,
    key: str,
    build: Callable[[Mapping[str, Any]], Schedule],
) -> Schedule:
    """Return the schedule of a node that names such a file.

    Args:
        node: with `file` and `of`.
        total_steps: of what it is the schedule of.
        key: of the node, for messages.
        build: makes the schedule that went on all the while.

    Raises:
        UserError: no such file, another file, one of a run of another length, or without the key.
    """
    path, of = node["file"], node["of"]
    at = f"{key}.file={path}"
    plain = _read(path, key)
    if of is None and key != MAIN:
        keys = " or ".join([LR, *(each for each in plain["values"] if each != LR)])
        raise UserError(f"{key}.of=null: all of it is for schedule=replay; say which: {keys}")
    if plain["steps"] != total_steps:
        raise UserError(
            f"{at}: of a run of {plain['steps']} steps; this is one of {total_steps}"
            + ("; it has its warmup itself" if node.get("warmup_steps") else "")
        )
    values = plain["values"]
    if of in (None, LR):
        rates = values.get(LR, [plain["lr"]] * len(plain["ends"]))
        if not numbers(rates):
            raise UserError(f"{at}: not what optbench pbt writes (values: {LR}: no learning rates)")
        try:
            inner = build(plain["schedule"])
        except (KeyError, TypeError) as error:
            why = f"schedule: {error} is missing" if isinstance(error, KeyError) else str(error)
            raise UserError(f"{at}: not what optbench pbt writes ({why})") from None
        return _made(key, [rate / plain["lr"] for rate in rates], plain["ends"], inner)
    if of not in values:
        raise UserError(f"{key}.of={of}: not in {path}; {did_you_mean(str(of), [LR, *values])}")
    if not numbers(values[of]):
        raise UserError(f"{key}.of={of}: its values are no numbers from 0 on")
    return _made(key, list(map(float, values[of])), plain["ends"])


def _read(path: Any, key: str) -> Mapping[str, Any]:
    if path is None:
        raise UserError(
            f"{key}.file=null: which file? such as {key}.file=STUDY/replay.yaml, by optbench pbt"
        )
    try:
        plain = load_yaml(str(path))
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(f"{key}.file: {why}") from None
    why_not = fault(plain)
    if why_not is not None:
        raise UserError(f"{key}.file={path}: not what optbench pbt writes ({why_not})")
    found: Mapping[str, Any] = plain
    return found


def replayed_settings(
    node: Mapping[str, Any], settings: Mapping[str, Any], optimizer: torch.optim.Optimizer
) -> list[ReplayedSetting]:
    """Return the optimizer's settings that a run's schedule replays beside the learning rate.

    Args:
        node: the config's `schedule`.
        settings: its `optimizer`.
        optimizer: made of it.

    Raises:
        UserError: one that the optimizer does not have so.
    """
    if node.get("_target_") != REPLAY or node["of"] is not None:
        return []
    plain, found = _read(node["file"], MAIN), []
    for key, values in plain["values"].items():
        if key == LR:
            continue
        why = unplayable_setting(key, values, settings, optimizer)
        if why is not None:
            raise UserError(
                f"{MAIN}.file={node['file']}: {key}: {why}; {MAIN}.of={LR} replays that alone"
            )
        name, index = _place(key)
        groups = frozenset(_having(name, optimizer))
        found.append(ReplayedSetting(name, index, values, plain["ends"], groups))
    return found


def unplayable_setting(
    key: str, values: Sequence[Any], settings: Mapping[str, Any], optimizer: torch.optim.Optimizer
) -> str | None:
    """Return why a key's values can't be set from round to round; None if they can.

    What an optimizer looks up at each step stands in its parameter groups. Those of a companion are
    not meant, and where a group was given a value of its own, it would have to keep it.

    Args:
        key: of the config.
        values: by round.
        settings: the config's `optimizer`.
        optimizer: made of it.
    """
    name, index = _place(key)
    having = _having(name, optimizer)
    if not having or name in OTHERWISE:
        return "nothing that the optimizer looks up at each step"
    if any(name in group for group in settings.get("groups") or []):
        return f"optimizer.groups has its own {name}"
    group = optimizer.param_groups[having[0]]
    own = group["decay" if name == DECAY and "decay_base_lr" in group else name]
    if index is not None:
        if not isinstance(own, tuple | list) or index >= len(own):
            return f"{name} has no item {index}"
        own = own[index]
    if not all(_alike(own, value) for value in values):
        return f"expected values such as {own}"
    return None


def _place(key: str) -> tuple[str, int | None]:
    """Return the name of an optimizer's setting, empty for what is none, and the item's place."""
    group, _, rest = key.partition(".")
    name, _, item = rest.partition(".")
    if group != "optimizer" or (item and not item.isdecimal()):
        return "", None
    return name, int(item) if item else None


def _having(name: str, optimizer: torch.optim.Optimizer) -> list[int]:
    """Return the places of the groups that follow the config's setting of this name."""
    own = optimizer.param_groups[: groups_but_companions(optimizer)]
    return [
        place
        for place, group in enumerate(own)
        if name in group and not (name == DECAY and group.get("undecayed", False))
    ]


def groups_but_companions(optimizer: torch.optim.Optimizer) -> int:
    """Return how many groups are the optimizer's own; its companion's come after them."""
    from optbench.optim.combined import Combined

    while isinstance(optimizer, Combined):  # a wrapper of one; or of two the second a companion
        optimizer = optimizer.members[0]
    return len(optimizer.param_groups)


def without_factors(schedule: Schedule) -> Schedule:
    """Return what goes on under the factors of a schedule that replays."""
    if isinstance(schedule, Warmup):
        return replace(schedule, inner=without_factors(schedule.inner))
    return schedule.inner if isinstance(schedule, Replay) else schedule


def _alike(own: Any, value: Any) -> bool:
    """Return whether a value can stand in the place of another: of its kind, and finite."""
    if isinstance(own, tuple | list):
        return isinstance(value, list) and len(value) == len(own) and all(map(_alike, own, value))
    if isinstance(own, bool) or isinstance(value, bool):
        return isinstance(own, bool) and isinstance(value, bool)
    return isinstance(own, int | float) and isinstance(value, int | float) and value - value == 0


def _made(key: str, *arguments: Any) -> Schedule:
    made: Schedule = call(locate(REPLAY, key), key, *arguments)
    return made
