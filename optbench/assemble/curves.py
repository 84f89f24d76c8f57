"""What is scheduled in a run, step by step, without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optbench.assemble.create import own_target, parameters_of
from optbench.assemble.data import Split, batch_size, dataset
from optbench.assemble.schedule import Base, build_schedule, build_values
from optbench.config.counted import counted
from optbench.config.run_config import PlayerConfig, RunConfig
from optbench.config.schema import DEFAULT_EPOCHS
from optbench.data.epoch_length import steps_per_epoch
from optbench.errors import UserError
from optbench.schedules.base import is_reactive, watches_updates

MOST_POINTS = 2000
"""Points of a curve; a longer run is sampled evenly."""


@dataclass
class Curves:
    """What is scheduled in a run.

    Attributes:
        steps: of the run, at which the values hold.
        rates: learning rates; `lr`, and of each group with a schedule of its own.
        others: of momentum, beta2 and weight decay, as far as they change.
        reacts: what of it depends on the run.
        epoch: steps of one.
    """

    steps: list[int]
    rates: dict[str, list[float]] = field(default_factory=dict)
    others: dict[str, list[float]] = field(default_factory=dict)
    reacts: list[str] = field(default_factory=list)
    epoch: int = 1


def curves_of(config: RunConfig) -> Curves:
    """Return the curves of a run; load its data set for the length of an epoch.

    Where a task has several players, the names of their curves end in ` of PLAYER`; one that is
    updated at every k-th step keeps its values for k steps.

    Raises:
        UserError: as a training would, of the schedule and the data.
    """
    per_epoch, total = _lengths(config)
    wanted = range(total) if total <= MOST_POINTS else _sample(total)
    curves = Curves(list(wanted), epoch=per_epoch)
    for name, own in config.players.items():
        try:
            _add(curves, config, own, f" of {name}" if config.player else "", total)
        except UserError as error:
            raise UserError(f"{own.at}{error}") from None
    return curves


def _add(curves: Curves, config: RunConfig, own: PlayerConfig, suffix: str, total: int) -> None:
    """Add the curves of a player, over the steps of the run."""
    every = own.update_every
    updates = total // every
    if not updates:
        raise UserError(f"update_every={every}: longer than the run of {counted(total, 'step')}")
    this = Curves([step // every for step in curves.steps], epoch=-(-curves.epoch // every))
    optimizer = own.optimizer
    lr = _rate(optimizer) * _factor(config)
    _draw(this, "lr", "schedule", own.schedule, Base.of(optimizer, lr), updates)
    for group in optimizer["groups"]:
        if "schedule" not in group:
            continue
        base = Base.of({**optimizer, **group}, lr)
        if "lr" in group:
            base = Base(float(group["lr"]) * _factor(config), base.momentum)
        name = f"lr of {group['params']}"
        _draw(this, name, "optimizer.groups: schedule", group["schedule"], base, updates)
    for value in build_values(config, this.epoch, updates, optimizer):
        start = _own(optimizer, value.setting)
        this.others[value.setting] = [value(step, updates, start) for step in this.steps]
    curves.rates |= {name + suffix: values for name, values in this.rates.items()}
    curves.others |= {name + suffix: values for name, values in this.others.items()}
    curves.reacts += [name + suffix for name in this.reacts]


def _rate(optimizer: Mapping[str, Any]) -> float:
    """Return the learning rate: what is said, or else the default of a class of the user's own.

    Raises:
        UserError: it has none.
    """
    if optimizer["lr"] is not None:
        return float(optimizer["lr"])
    target = own_target(optimizer, "optimizer")
    given = parameters_of(target).get("lr")
    name = getattr(target, "__name__", target)
    if given is None:
        raise UserError(f"optimizer: {name} has no learning rate to draw")
    if not isinstance(given.default, int | float):
        raise UserError(f"optimizer.lr=null: which learning rate? {name} has no default")
    return float(given.default)


def _draw(
    curves: Curves, name: str, key: str, node: Mapping[str, Any], base: Base, total: int
) -> None:
    schedule = build_schedule(_decided(node), curves.epoch, total, base, key)
    momentum = getattr(schedule, "momentum", None)
    rates, momenta = [], []
    for step in curves.steps:
        rates.append(base.lr * schedule(step, total))
        if momentum is not None:
            momenta.append(momentum(step, total))
    curves.rates[name] = rates
    if any(value is not None for value in momenta):
        of = "momentum" if name == "lr" else f"momentum{name.removeprefix('lr')}"
        curves.others[of] = [float("nan") if v is None else v for v in momenta]
    if is_reactive(schedule) or watches_updates(schedule):
        curves.reacts.append(name)


def _lengths(config: RunConfig) -> tuple[int, int]:
    """Return the steps of an epoch, and of the run."""
    data = dataset(config)
    examples, carries = Split.of(config, data).train, bool(config.task.get("carry"))
    per_epoch = steps_per_epoch(examples, batch_size(config, data), lanes=carries)
    return per_epoch, config.steps or (config.epochs or DEFAULT_EPOCHS) * per_epoch


def _sample(total: int) -> list[int]:
    return sorted({round(k * (total - 1) / (MOST_POINTS - 1)) for k in range(MOST_POINTS)})


def _factor(config: RunConfig) -> float:
    if config.scale_lr == "none":
        return 1.0
    from optbench.assemble.optimizer import lr_factor  # the one thing here that needs torch

    return lr_factor(config.scale_lr, batch_size(config, dataset(config)), config.base_batch_size)


def _decided(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node with a `mode` for `auto`: only the task knows it, and no curve differs."""
    decided = dict(node)
    if decided.get("mode") == "auto":
        decided["mode"] = "min"
    if "parts" in decided:
        decided["parts"] = [_decided(part) for part in decided["parts"]]
    return decided


def _own(optimizer: Mapping[str, Any], setting: str) -> float:
    if setting in optimizer:
        return float(optimizer[setting])
    return float(optimizer["betas"][1 if setting == "beta2" else 0])
