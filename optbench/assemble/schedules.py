"""All schedules of a player: of the run, of parameter groups, of other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from optbench.assemble.metric_checks import with_modes
from optbench.assemble.optimizer import check_schedule
from optbench.assemble.replay import (
    REPLAY,
    groups_but_companions,
    replayed_settings,
    without_factors,
)
from optbench.assemble.schedule import Base, build_schedule, build_values
from optbench.config.run_config import RunConfig
from optbench.config.stages import RATES, stages_of
from optbench.errors import UserError
from optbench.optim.groups import every_group
from optbench.optim.progressive.progressive import Progressive
from optbench.schedules.base import Schedule, watches_updates
from optbench.schedules.chain import Chain
from optbench.schedules.constant import Constant
from optbench.schedules.replay import Replay, ReplayedSetting
from optbench.schedules.staged import Factored, Staged
from optbench.schedules.value import ValueSchedule
from optbench.schedules.warmup import Warmup
from optbench.tasks.base import Task


@dataclass(frozen=True)
class Schedules:
    """What a `Player` is given: the run's schedule, the groups' own, those of other settings, and
    which of them have another value in each part of the run."""

    main: Schedule
    groups: list[Schedule | None]
    values: list[ValueSchedule]
    replayed: list[ReplayedSetting]


def build_schedules(
    config: RunConfig,
    optimizer: torch.optim.Optimizer,
    task: Task,
    steps_per_epoch: int,
    total_steps: int,
) -> Schedules:
    """Return the schedules of a run; take each group's node out of the optimizer's groups.

    Raises:
        UserError: a schedule refuses its arguments, or the optimizer can't follow it.
    """

    def build(node: Mapping[str, Any], group: Mapping[str, Any], key: str) -> Schedule:
        decided = with_modes(node, task)
        schedule = build_schedule(decided, steps_per_epoch, total_steps, Base.of(group), key)
        for each in _every(schedule):
            check_schedule(config.optimizer, optimizer, each, not isinstance(each, Constant))
        return schedule

    groups = every_group(optimizer)
    nodes = [group.pop("schedule", None) for group in groups]
    main = build(config.schedule, groups[0], "schedule")
    own = [
        None if node is None else build(node, group, "optimizer.groups: schedule")
        for node, group in zip(nodes, groups, strict=True)
    ]
    if isinstance(optimizer, Progressive):
        own = staged(config, optimizer, task, main, own, steps_per_epoch, total_steps)
    if config.schedule["_target_"] == REPLAY and _has_own_lr(config.optimizer.get("companion")):
        first = groups_but_companions(optimizer)
        inner = without_factors(main)
        own[first:] = [inner if each is None else each for each in own[first:]]
    values = [v for g in groups for v in build_values(config, steps_per_epoch, total_steps, g)]
    values = values[: len(values) // len(groups)]
    cycles = [s for s in (main, *own) if s is not None and _cycles(s)]
    if cycles and any(value.setting == "momentum" for value in values):
        raise UserError(
            "momentum_schedule: the schedule cycles the momentum itself; "
            "set schedule.cycle_momentum=false, or leave momentum_schedule out"
        )
    replayed = replayed_settings(config.schedule, config.optimizer, optimizer)
    if isinstance(main, Warmup):  # which the file's parts come after
        replayed = [
            replace(each, ends=[end + main.steps for end in each.ends]) for each in replayed
        ]
    return Schedules(main, own, values, replayed)


def staged(
    config: RunConfig,
    optimizer: Progressive,
    task: Task,
    main: Schedule,
    own: list[Schedule | None],
    steps_per_epoch: int,
    total_steps: int,
) -> list[Schedule | None]:
    """Return the schedules of the groups of all stages: a stage's begins when it does.

    Raises:
        UserError: a schedule that follows updates, or a population's values, over all stages.
    """
    found = list(own)
    place = begin = 0
    for number, (at, stage) in enumerate(stages_of(config.optimizer, "optimizer")):
        clock = partial(optimizer.clock, number)
        end = optimizer.ends[number]
        length = max((total_steps if end is None else end) - begin, 1)
        for group in optimizer.members[number].param_groups:
            schedule = found[place]
            if schedule is None and stage["schedule"] is not None:
                node, key = with_modes(stage["schedule"], task), f"{at}.schedule"
                inner = build_schedule(node, steps_per_epoch, length, Base.of(group), key)
                schedule = Staged(inner, clock, end)
            elif number and stage.get("lr") in RATES:
                schedule = Factored(schedule or main, clock)
            found[place] = schedule
            place += 1
        begin = end or begin
    for each in (main, *found):
        for part in () if each is None else _every(each):
            if watches_updates(part) or isinstance(part, Replay):
                name = type(part).__name__
                raise UserError(f"schedule: {name} follows one optimizer's steps, not its stages'")
    return found


def _has_own_lr(companion: Any) -> bool:
    return isinstance(companion, Mapping) and companion.get("lr") is not None


def _every(schedule: Schedule) -> Iterator[Schedule]:
    """Yield a schedule, and what it is made of."""
    if isinstance(schedule, Chain):
        for part in schedule.parts:
            yield from _every(part.schedule)
    elif isinstance(schedule, Warmup | Replay | Staged | Factored):
        yield schedule
        yield from _every(schedule.inner)
    else:
        yield schedule


def _cycles(schedule: Schedule) -> bool:
    for each in _every(schedule):
        momentum = getattr(each, "momentum", None)
        if momentum is not None and momentum(0, 1) is not None:
            return True
    return False
