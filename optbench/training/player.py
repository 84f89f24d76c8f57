"""A module with its own parameters, optimizer and schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from optbench.errors import UserError
from optbench.optim.exact_state import (
    attributes,
    changed,
    exact_state,
    load_exactly,
    set_attributes,
)
from optbench.optim.plain_state import plain
from optbench.optim.traits import needs_closure, traits
from optbench.schedules.base import Schedule, is_reactive, watches_updates
from optbench.schedules.saving import restore, save
from optbench.schedules.value import ValueSchedule
from optbench.training.alignment import Alignment
from optbench.training.averaged import (
    evaluation_weights,
    recalibrated,
    scored_state,
    statistics,
    with_modes,
)
from optbench.training.distributed import World
from optbench.training.ema import Ema
from optbench.training.likeness import refuse_unlike
from optbench.training.losses import TrainingLoss


@dataclass
class Player:
    """What the trainer steps; an ordinary run has one, `model`.

    Attributes:
        name: in TensorBoard's tags and in checkpoints.
        module: the bare module, whose state dict is saved.
        forward: what is called: the module, or DistributedDataParallel around it.
        optimizer: over the module's parameters.
        schedule: the learning rate's multiplier.
        schedule_steps: the length that the schedule is given, in steps of this player.
        ema: the average of the weights, if there is one.
        group_schedules: of the optimizer's groups, in order; None follows `schedule`.
        values: schedules of other settings than the learning rate.
        every: it is updated at every so-manieth step of the run.
        step: updates taken.
        loss: of its steps, on this rank.
    """

    name: str
    module: nn.Module
    forward: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    schedule_steps: int
    ema: Ema | None = None
    group_schedules: Sequence[Schedule | None] = ()
    values: Sequence[ValueSchedule] = ()
    every: int = 1
    step: int = 0
    loss: TrainingLoss = field(default_factory=TrainingLoss)
    base_lrs: list[float] = field(init=False)
    needs_closure: bool = field(init=False)

    def __post_init__(self) -> None:
        self.base_lrs = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._configured = [_settings(group) for group in self.optimizer.param_groups]
        self._fresh = attributes(self.optimizer)
        self._switched = with_modes(self.optimizer)
        self._statistics: dict[str, torch.Tensor] = {}
        for optimizer in self._switched:
            optimizer.train()
        self.needs_closure = needs_closure(self.optimizer)
        self.traits = traits(self.optimizer)
        self.create_graph = "create_graph" in self.traits
        if self._switched and self.ema is not None:
            raise UserError(
                f"ema: {type(self._switched[0]).__name__} averages the weights itself; use ema=0"
            )
        named = [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        groups = self.optimizer.param_groups
        own = [*self.group_schedules, *[None] * (len(groups) - len(self.group_schedules))]
        self._followed = [self.schedule if schedule is None else schedule for schedule in own]
        self._distinct = {id(schedule): schedule for schedule in self._followed}
        distinct = list(self._distinct.values())
        self._reactive = [schedule for schedule in distinct if is_reactive(schedule)]
        self._alignments: dict[int, Alignment] = {}
        for number, schedule in enumerate(distinct):
            if watches_updates(schedule):
                followers = [i for i, other in enumerate(self._followed) if other is schedule]
                self._alignments[number] = Alignment(schedule, self.optimizer, followers)
        self._stays = all(getattr(s, "constant", False) for s in distinct) and not self.values
        self._moves = bool(self.values) or any(hasattr(s, "momentum") for s in distinct)
        self._moved = False
        self._multipliers: list[float] | None = None
        self._replaced: list[float] | None = None
        self.apply_schedule()

    def apply_schedule(self) -> None:
        """Sets the learning rate, and whatever else is scheduled, of the next update."""
        found = {key: s(self.step, self.schedule_steps) for key, s in self._distinct.items()}
        multipliers = [found[id(schedule)] for schedule in self._followed]
        if multipliers != self._multipliers:
            self._multipliers = multipliers
            if self._replaced is None and self.step:
                self._replaced = [group["lr"] for group in self.optimizer.param_groups]
            groups = zip(self.optimizer.param_groups, self.base_lrs, multipliers, strict=True)
            for group, lr, multiplier in groups:
                group["lr"] = lr * multiplier
        if self._moves:
            self._move()

    def _move(self) -> None:
        """Sets momentum, betas and weight decay of the next update, where they are scheduled."""
        groups = zip(self.optimizer.param_groups, self._followed, self._configured, strict=True)
        for group, schedule, own in groups:
            cycle = getattr(schedule, "momentum", None)
            if cycle is not None:
                momentum = cycle(self.step, self.schedule_steps)
                if momentum is not None or self._moved:
                    _set(group, "momentum", _get(own, "momentum") if momentum is None else momentum)
                    self._moved = True
            for value in self.values:
                if value.setting == "weight_decay" and group.get("undecayed", False):
                    continue
                now = value(self.step, self.schedule_steps, _get(own, value.setting))
                _set(group, value.setting, now)

    def see_gradients(self, world: World) -> None:
        """Shows the gradients, unscaled and not yet clipped, to schedules that watch updates."""
        if not self._alignments:
            return
        alignments = self._alignments.values()
        finite = [alignment.look(world) for alignment in alignments]
        self.apply_schedule()
        for alignment, fine in zip(alignments, finite, strict=True):
            if fine:
                alignment.remember()

    def last_turn(self, step: int) -> int:
        """The last step up to `step` that it is updated at."""
        return step // self.every * self.every

    def advance(self) -> None:
        """One update was taken."""
        self.step += 1
        self._replaced = None  # what the groups have now is what it took
        if self.ema is not None:
            self.ema.update()
        if not self._stays:
            self.apply_schedule()

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Gives a schedule that reacts what was logged."""
        if self._reactive:
            for schedule in self._reactive:
                schedule.observe(metrics)
            self.apply_schedule()

    @property
    def lr(self) -> float:
        """The learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def used(self) -> list[float]:
        """The learning rates of the last update, by group; before the first, those it will take."""
        if self._replaced is not None:
            return self._replaced
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    @property
    def lrs(self) -> dict[str, float]:
        """The last update's learning rates by tag: the first group's, and others that differ.

        Empty as long as there was no update.
        """
        if not self.step:
            return {}
        first, *others = self.used
        lrs = {f"lr/{self.name}/{k}": lr for k, lr in enumerate(others, start=1) if lr != first}
        return {f"lr/{self.name}": first, **lrs}

    def clear_gradients(self) -> None:
        """Gradients to None, which frees their memory."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """All that the player needs to go on, as plain data and tensors."""
        return {**self._trained(), "averaged": self._averaged()}

    def remembered(self) -> dict[str, Any]:
        """What an update that is to be undone may change, copied.

        An average of the weights is not among it: it moves when the update was taken.
        """
        return copy.deepcopy(self._trained())

    def go_back(self, state: dict[str, Any]) -> None:
        """Undoes all that changed since `remembered()`."""
        self._load(state)

    def _trained(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "module": self.module.state_dict(),
            "optimizer": exact_state(self.optimizer),
            "attributes": changed(attributes(self.optimizer), self._fresh),
            "settings": self._configured,
            "multipliers": self._multipliers,
            "used": self.used,
            "schedules": [save(schedule) for schedule in self._distinct.values()],
            "alignments": {n: alignment.state_dict() for n, alignment in self._alignments.items()},
        }

    @property
    def scored(self) -> str | None:
        """Which weights are evaluated, None for those that are trained."""
        if self.ema is not None:
            return f"EMA {self.ema.decay:g}"
        if self._switched:
            return f"averaged by {type(self._switched[0]).__name__}"
        return None

    @property
    def recalibrates(self) -> bool:
        """Whether batch norm's statistics are taken anew for the weights that are evaluated."""
        return bool(self._switched and statistics(self.module))

    def _averaged(self) -> dict[str, Any] | None:
        """A state dict of the module as it is evaluated, where that is not the one trained."""
        if self.ema is not None:
            averages = self.ema.averages
        elif self._switched:
            with evaluation_weights(self._switched, self.parameters):
                averages = [parameter.detach().clone() for parameter in self.parameters]
        else:
            return None
        return scored_state(self.module, self.parameters, averages) | self._statistics

    @contextmanager
    def evaluated(self, calibrate: Callable[[], None]) -> Iterator[None]:
        """The weights to evaluate stand in the module: the optimizer's own, or the EMA's.

        `calibrate` passes training batches through the module, for the former's batch norms.
        """
        with ExitStack() as stack:
            if self._switched:
                stack.enter_context(evaluation_weights(self._switched, self.parameters))
                stack.enter_context(recalibrated(self.module, calibrate))
                self._statistics = {k: b.clone() for k, b in statistics(self.module).items()}
            elif self.ema is not None:
                stack.enter_context(self.ema.applied())
            yield

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict()`; settings that were configured anew since then hold."""
        if self.ema is not None:
            averages = [state["averaged"][name] for name in self.names]
            torch._foreach_copy_(self.ema.averages, averages)
        self._load(state)

    def _load(self, state: dict[str, Any]) -> None:
        refuse_unlike(state["step"], self.step, "step")
        self.step = state["step"]
        self.module.load_state_dict(state["module"])
        refuse_unlike(state["optimizer"], exact_state(self.optimizer), "optimizer")
        load_exactly(self.optimizer, state["optimizer"])
        set_attributes(self.optimizer, self._fresh)
        set_attributes(self.optimizer, state["attributes"])
        # An optimizer that changes its lr itself goes on with what it has made of it.
        self._multipliers = state["multipliers"]
        groups = zip(self.optimizer.param_groups, self._configured, state["settings"], strict=True)
        for group, now, then in groups:
            anew = {k: v for k, v in now.items() if k not in then or then[k] != v}
            cycled = {k: now[k] for k in ("momentum", "betas") if k in now}
            group.update(anew | cycled)
            if "lr" in anew:
                self._multipliers = None
        self._load_schedules(state)
        self.apply_schedule()
        self._replaced = state["used"]

    def _load_schedules(self, state: dict[str, Any]) -> None:
        """What schedules remember; one that was changed for another since then starts anew."""
        # The groups can't change, so neither can which schedule has which place.
        for schedule, saved in zip(self._distinct.values(), state["schedules"], strict=True):
            fresh = save(schedule)
            if saved is not None and fresh is not None and saved["kind"] == fresh["kind"]:
                refuse_unlike(saved, fresh, f"schedule of {self.name}")
            restore(schedule, saved)
        for number, alignment in self._alignments.items():
            if number in state["alignments"]:
                alignment.load_state_dict(state["alignments"][number])


def _get(group: Mapping[str, Any], setting: str) -> float:
    """A setting of a group; Adam's kin have their momentum, and beta2, under betas."""
    if setting == "beta2" or (setting == "momentum" and "betas" in group):
        return float(group["betas"][1 if setting == "beta2" else 0])
    return float(group[_key(group, setting)])


def _set(group: dict[str, Any], setting: str, value: float) -> None:
    if setting == "beta2":
        group["betas"] = (group["betas"][0], value, *group["betas"][2:])
    elif setting == "momentum" and "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group[_key(group, setting)] = value


def _key(group: Mapping[str, Any], setting: str) -> str:
    """Where a setting stands: `assemble/decay.py` moves the weight decay out of the optimizer's."""
    apart = setting == "weight_decay" and "decay_base_lr" in group
    return "decay" if apart else setting


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = plain(group)
    return {k: v for k, v in own.items() if k not in ("params", "param_names")}
