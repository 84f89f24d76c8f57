"""The learning rate of each group, and whatever else is scheduled, set for each update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from optbench.optim.groups import every_group
from optbench.optim.needs import needs_of
from optbench.optim.plain_state import plain
from optbench.schedules.base import Schedule, is_reactive, watches_updates
from optbench.schedules.replay import ReplayedSetting
from optbench.schedules.saving import restore, save
from optbench.schedules.value import ValueSchedule
from optbench.training.alignment import Alignment
from optbench.training.distributed import World
from optbench.training.likeness import refuse_unlike


class HyperparameterScheduler:
    """Applies schedules to the groups of an optimizer, and lets those that react see the run.

    Args:
        name: of the player, for tags and messages.
        optimizer: its groups have the base values now.
        schedule: the learning rate's multiplier.
        schedule_steps: the length that schedules are given, in updates.
        group_schedules: of the groups, in order; None follows `schedule`.
        values: schedules of other settings than the learning rate.
        replayed: settings that have another value in each part of the run.

    Attributes:
        base_lrs: the learning rate of each group that its multiplier is of.
    """

    def __init__(
        self,
        name: str,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        schedule_steps: int,
        group_schedules: Sequence[Schedule | None] = (),
        values: Sequence[ValueSchedule] = (),
        replayed: Sequence[ReplayedSetting] = (),
    ) -> None:
        self._name, self._optimizer, self._schedule_steps = name, optimizer, schedule_steps
        groups = every_group(optimizer)
        self._has_lr = needs_of(optimizer).lr
        self.base_lrs = [float(group["lr"]) for group in groups]
        self._configured = [_settings(group) for group in groups]
        self._values, self._replayed_settings = values, replayed
        own = [*group_schedules, *[None] * (len(groups) - len(group_schedules))]
        self._followed = [schedule if each is None else each for each in own]
        self._distinct = {id(each): each for each in self._followed}
        distinct = list(self._distinct.values())
        self._reactive = [each for each in distinct if is_reactive(each)]
        self._optimizer_reacts = hasattr(optimizer, "observe")
        self._alignments: dict[int, Alignment] = {}
        for number, each in enumerate(distinct):
            if watches_updates(each):
                followers = [i for i, other in enumerate(self._followed) if other is each]
                self._alignments[number] = Alignment(each, optimizer, followers)
        moves = bool(values) or bool(replayed)
        self._stays = all(getattr(s, "constant", False) for s in distinct) and not moves
        self._moves = moves or any(hasattr(s, "momentum") for s in distinct)
        self._moved = False
        self._step = 0
        self._multipliers: list[float] | None = None
        self._replaced: list[float] | None = None
        self._apply()

    def advance(self, step: int) -> None:
        """Set what the next update takes; `step` have been taken in all."""
        self._step = step
        self._replaced = None  # what the groups have now is what it took
        if not self._stays:
            self._apply()

    def _apply(self) -> None:
        """Set the learning rate, and whatever else is scheduled, of the next update."""
        found = {key: s(self._step, self._schedule_steps) for key, s in self._distinct.items()}
        multipliers = [found[id(schedule)] for schedule in self._followed]
        if multipliers != self._multipliers:
            self._multipliers = multipliers
            if self._replaced is None and self._step:
                self._replaced = [group["lr"] for group in every_group(self._optimizer)]
            groups = zip(every_group(self._optimizer), self.base_lrs, multipliers, strict=True)
            for group, lr, multiplier in groups:
                group["lr"] = lr * multiplier
        if self._moves:
            self._move()

    def _move(self) -> None:
        """Set momentum, betas and weight decay of the next update, where they are scheduled."""
        groups = zip(every_group(self._optimizer), self._followed, self._configured, strict=True)
        for place, (group, schedule, configured) in enumerate(groups):
            own = self._replay(place, group, configured)
            cycle = getattr(schedule, "momentum", None)
            if cycle is not None:
                momentum = cycle(self._step, self._schedule_steps)
                if momentum is not None or self._moved:
                    _set(group, "momentum", _get(own, "momentum") if momentum is None else momentum)
                    self._moved = True
            for value in self._values:
                if value.setting == "weight_decay" and group.get("undecayed", False):
                    continue
                now = value(self._step, self._schedule_steps, _get(own, value.setting))
                _set(group, value.setting, now)

    def _replay(
        self, place: int, group: dict[str, Any], configured: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Set what is replayed in a group; return its settings as if they were configured so."""
        own = dict(configured)
        for each in self._replayed_settings:
            if place in each.groups:
                key = _key(group, each.setting)
                group[key] = own[key] = each.value(self._step, own[key])
        return own

    @property
    def stays(self) -> bool:
        """Whether nothing is scheduled, so that each update takes what the first took."""
        return self._stays

    @property
    def moves(self) -> bool:
        """Whether settings beside the learning rate have schedules of their own."""
        return bool(self._values) or bool(self._replayed_settings)

    @property
    def watches_updates(self) -> bool:
        """Whether a schedule wants to see the gradients of every step."""
        return bool(self._alignments)

    @property
    def reacts(self) -> bool:
        """Whether a schedule, or the optimizer, wants to see what is logged."""
        return bool(self._reactive) or self._optimizer_reacts

    def see_gradients(self, world: World) -> None:
        """Show the gradients, unscaled and not yet clipped, to schedules that watch updates."""
        if not self._alignments:
            return
        alignments = self._alignments.values()
        finite = [alignment.look(world) for alignment in alignments]
        self._apply()
        for alignment, fine in zip(alignments, finite, strict=True):
            if fine:
                alignment.remember()

    def observe(self, metrics: Mapping[str, float]) -> bool:
        """Tell what was logged to schedules that react, and to an optimizer that does; return
        whether a learning rate changed."""
        if not self.reacts:
            return False
        before = self._multipliers
        for schedule in self._reactive:
            schedule.observe(metrics)
        if self._optimizer_reacts:
            self._optimizer.observe(metrics)  # type: ignore[attr-defined]
        self._apply()
        return self._multipliers != before

    @property
    def used(self) -> list[float]:
        """The learning rates of the last update, by group; before the first, those it will take."""
        if self._replaced is not None:
            return self._replaced
        return [float(group["lr"]) for group in every_group(self._optimizer)]

    @property
    def lrs(self) -> dict[str, float]:
        """The last update's learning rates by tag: the first group's, and others that differ.

        Empty as long as there was no update, and where there is no learning rate.
        """
        if not self._step or not self._has_lr:
            return {}
        stepped = getattr(self._optimizer, "stepped_groups", range(len(self.base_lrs)))
        first, *others = [self.used[place] for place in stepped]
        lrs = {f"lr/{self._name}/{k}": lr for k, lr in enumerate(others, start=1) if lr != first}
        return {f"lr/{self._name}": first, **lrs}

    def state_dict(self) -> dict[str, Any]:
        """Return plain data and tensors."""
        return {
            "settings": self._configured,
            "multipliers": self._multipliers,
            "used": self.used,
            "schedules": [save(schedule) for schedule in self._distinct.values()],
            "alignments": {n: alignment.state_dict() for n, alignment in self._alignments.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any], step: int) -> None:
        """Go on from `state_dict()`, in groups that are loaded; what was configured anew holds.

        Args:
            state: from a run with as many groups.
            step: updates taken until then.

        Raises:
            ValueError: a value of another type than its place has.
        """
        self._step = step
        # An optimizer that changes its lr itself goes on with what it has made of it.
        self._multipliers = state["multipliers"]
        groups = zip(every_group(self._optimizer), self._configured, state["settings"], strict=True)
        for group, now, then in groups:
            anew = {k: v for k, v in now.items() if k not in then or then[k] != v}
            cycled = {k: now[k] for k in ("momentum", "betas") if k in now}
            group.update(anew | cycled)
            if "lr" in anew:
                self._multipliers = None
        self._load_schedules(state)
        self._apply()
        self._replaced = state["used"]

    def _load_schedules(self, state: Mapping[str, Any]) -> None:
        """Load what schedules remember; one that was changed for another since then starts anew."""
        # The groups can't change, so neither can which schedule has which place.
        for schedule, saved in zip(self._distinct.values(), state["schedules"], strict=True):
            fresh = save(schedule)
            if saved is not None and fresh is not None and saved["kind"] == fresh["kind"]:
                refuse_unlike(saved, fresh, f"schedule of {self._name}")
            restore(schedule, saved)
        for number, alignment in self._alignments.items():
            if number in state["alignments"]:
                alignment.load_state_dict(state["alignments"][number])


def _get(group: Mapping[str, Any], setting: str) -> float:
    """Return a setting of a group; Adam's kin have their momentum, and beta2, under betas."""
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
    """Return where a setting stands: `assemble/decay.py` moves the weight decay out of the
    optimizer's."""
    apart = setting == "weight_decay" and "decay_base_lr" in group
    return "decay" if apart else setting


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = plain(group)
    return {k: v for k, v in own.items() if k not in ("params", "param_names")}
