"""Optimizers one after another over the same parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.optim.needs import Needs, needs_of, together
from optbench.optim.progressive import swats
from optbench.optim.progressive.ends import Until
from optbench.optim.progressive.handover import (
    AVERAGES,
    along,
    check_keep,
    decayed,
    hand_over,
    running_lrs,
)
from optbench.optim.steps import evaluated
from optbench.torch_internals import take_step

OWN = ("stage", "stepped", "steps", "begun", "factors", "estimate", "watched", "handed", "lrs")
"""What a checkpoint has beside the optimizers."""


class NoRateError(RuntimeError):
    """A stage is over, and no step of it told a learning rate for the next."""


@dataclass(frozen=True)
class Stage:
    """One optimizer, and when the next takes its place.

    Attributes:
        optimizer: over the parameters that it trains.
        until: None for the last one.
        keep: what it goes on with of the one before: `momentum`, `squares`.
        estimated: `swats` or `matched`: its learning rates are in units of what the steps before
            it tell of a rate for SGD; empty: they are rates.
    """

    optimizer: torch.optim.Optimizer
    until: Until | None = None
    keep: tuple[str, ...] = ()
    estimated: str = ""


@dataclass(frozen=True)
class Clock:
    """Where a stage is.

    Attributes:
        stepped: whether it is its turn, and it has taken a step: records tell of it.
        begun: the updates before its first; None before that.
        factor: of its learning rates.
    """

    stepped: bool
    begun: int | None
    factor: float


class Progressive(torch.optim.Optimizer):
    """Steps one of several optimizers, which hold groups of the same parameters.

    `param_groups` are those of the optimizer whose turn it is, `every_group` has all. Parameters
    that it does not train are `resting`: whoever has their gradients leaves them out.

    Args:
        stages: in order; all but the last have an end.
        parameters: that have gradients; those that no stage trains always rest.

    Raises:
        ValueError: no stages, an end that is missing, or not after the one before; state that an
            optimizer can't go on with; one that changes the weights for evaluations, or compares
            losses where SWATS has to see its steps.

    Attributes:
        members: the optimizers.
        stage: the number of the one whose turn it is, from 0.
        steps: updates taken.
        lrs: of the present stage's groups, the learning rates that its momentum was made with:
            their running means.
        measured: `stage`, of the last step; `swats_lr`, `matched_lr`, where they are estimated.

    References:
        Keskar & Socher, Improving Generalization Performance by Switching from Adam to SGD, 2017,
        arXiv:1712.07628.
    """

    def __init__(self, stages: Sequence[Stage], parameters: Iterable[Tensor] = ()) -> None:
        _check(stages)
        self._parameters = list(parameters)
        self._stages = tuple(stages)
        self.members = [each.optimizer for each in stages]
        self._base = [[float(g["lr"]) for g in m.param_groups] for m in self.members]
        self.stage = self.stepped = self.steps = 0
        self.begun: list[int | None] = [0, *[None] * (len(stages) - 1)]
        self.factors = [1.0] * len(stages)
        self.estimate = swats.nothing()
        self.watched: dict[str, Any] = {}
        self.handed = True
        self.lrs: list[float] = []
        self.measured: dict[str, float] = {"stage": 0.0}
        self._made = False
        super().__init__([{"params": p} for p in self._all()], {})
        self._made = True

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the optimizer whose turn it is."""
        return self.members[self.stage].param_groups

    @param_groups.setter
    def param_groups(self, groups: Any) -> None:
        pass  # torch's own, which would be of no optimizer

    @property
    def every_group(self) -> list[dict[str, Any]]:
        """The groups of all optimizers, in order."""
        return [group for member in self.members for group in member.param_groups]

    @property
    def stepped_groups(self) -> range:
        """Which of `every_group` the last step was of."""
        sizes = [len(member.param_groups) for member in self.members]
        first = sum(sizes[: self.stepped])
        return range(first, first + sizes[self.stepped])

    @property
    def stepped_member(self) -> torch.optim.Optimizer:
        """The optimizer that took the last step."""
        return self.members[self.stepped]

    @property
    def resting(self) -> list[Tensor]:
        """Parameters that are not trained at present."""
        active = {p for group in self.param_groups for p in group["params"]}
        return [p for p in self._all() if p not in active]

    @property
    def needs(self) -> Needs:
        """What the optimizers need together."""
        return together(map(needs_of, self.members))

    def _all(self) -> list[Tensor]:
        trained = [p for group in self.every_group for p in group["params"]]
        return list(dict.fromkeys(trained + self._parameters))

    @property
    def ends(self) -> list[int | None]:
        """The steps at which the stages are over at the latest; None: nobody knows."""
        return [None if each.until is None else each.until.step for each in self._stages]

    def clock(self, stage: int) -> Clock:
        """Return where a stage is."""
        begun = self.begun[stage]
        stepped = self.stage == stage and begun is not None and self.steps > begun
        return Clock(stepped, begun, self.factors[stage])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one update of the optimizer whose turn it is; `closure` as it wants it.

        Raises:
            NoRateError: the stage is over, and no step told the learning rate that is next.
        """
        member = self.members[self.stage]
        if not self.handed:
            before = self.members[self.stage - 1]
            hand_over(self._stages[self.stage].keep, before, member, self.lrs)
            _forget(before)
            self.handed, self.lrs = True, []
        self.lrs = running_lrs(self.lrs, self.param_groups)
        parameters = [p for group in self.param_groups for p in group["params"]]
        copies: list[Tensor] | None = None

        def before_step(*_: Any) -> None:  # after a hook that decays the weights
            nonlocal copies
            copies = decayed(member)

        hook = member.register_step_pre_hook(before_step) if self._estimates() else None
        try:
            if needs_of(member).closure:
                loss = member.step(closure)
            else:
                loss = evaluated(closure)
                take_step(member)
        finally:
            if hook is not None:
                hook.remove()
        self.steps += 1
        self.stepped = self.stage
        self.measured = {"stage": float(self.stage)}
        if copies is not None:
            group, base = self.param_groups[0], self._base[self.stage][0]
            beta = (group.get("betas") or (0.0, swats.BETA))[1]
            multiplier = float(group["lr"]) / base if base else 0.0
            self.estimate = swats.seen(
                self.estimate, copies, parameters, along(member), multiplier, beta
            )
            found = {f"{word}_lr": swats.rate(self.estimate, word) for word in swats.RATES}
            self.measured |= found
        if self._is_over():
            self._go_on()
        return loss

    def _estimates(self) -> bool:
        """Return whether the steps of this stage tell what the next one's learning rate is."""
        until, following = self._stages[self.stage].until, self.stage + 1
        if until is None:
            return False
        return until.settled is not None or bool(self._stages[following].estimated)

    def _is_over(self) -> bool:
        until = self._stages[self.stage].until
        if until is None:
            return False
        if until.step is not None and self.steps >= until.step:
            return True
        if not self._can_go_on():
            return False
        if self.watched.get("met"):
            return True
        return until.settled is not None and swats.settled(self.estimate, until.settled)

    def _can_go_on(self) -> bool:
        """Return whether there is a learning rate to go on with."""
        word = self._stages[self.stage + 1].estimated
        return not word or swats.rate(self.estimate, word) > 0

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take one record, tag -> value; go on to the next stage where it ends this one."""
        until = self._stages[self.stage].until
        condition = until.condition if until is not None else None
        if condition is None or condition.metric not in metrics:
            return
        if not self.clock(self.stage).stepped:  # it tells of the stage before
            return
        if condition.met(float(metrics[condition.metric]), self.watched):
            self.watched["met"] = True
        if self._is_over():
            self._go_on()

    def _go_on(self) -> None:
        stage = self._stages[self.stage + 1]
        if stage.estimated:
            group = stage.optimizer.param_groups[0]
            rate = swats.rate(self.estimate, stage.estimated)
            rate = rate or swats.rate(self.estimate, swats.MATCHED)
            if not rate:
                raise NoRateError(
                    f"no step until {self.steps} told a learning rate for stage {self.stage + 1}, "
                    f"lr={stage.estimated}: none moved a weight, or there was no gradient"
                )
            self.factors[self.stage + 1] = swats.for_sgd(rate, group)
        self.stage += 1
        self.begun[self.stage] = self.steps
        self.estimate, self.watched = swats.nothing(), {}
        self.handed = False

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters, resting ones too."""
        for member in self.members:
            member.zero_grad(set_to_none)
        for parameter in self.resting:
            parameter.grad = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse a group once the optimizer is made: those there are are its members'.

        Raises:
            ValueError: always then.
        """
        if self._made:
            names = ", ".join(type(member).__name__ for member in self.members)
            raise ValueError(f"add_param_group: which of {names} should take the new group?")

    def state_dict(self) -> dict[str, Any]:
        """Return the state dicts of the optimizers, and where they are."""
        return {
            "members": [member.state_dict() for member in self.members],
            "stages": {name: _copy(getattr(self, name)) for name in OWN},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore from `state_dict()`."""
        for member, state in zip(self.members, state_dict["members"], strict=True):
            member.load_state_dict(state)
        for name, value in state_dict["stages"].items():
            setattr(self, name, _copy(value))

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but hooks, which torch leaves out too."""
        return {k: v for k, v in vars(self).items() if k != "step" and "_hooks" not in k}


def _forget(optimizer: Any) -> None:
    optimizer.state.clear()
    for member in getattr(optimizer, "members", ()):
        _forget(member)


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else value


def _check(stages: Sequence[Stage]) -> None:
    if not stages:
        raise ValueError("stages: at least one")
    last = 0
    for number, stage in enumerate(stages):
        name = type(stage.optimizer).__name__
        if (stage.until is None) != (number == len(stages) - 1):
            raise ValueError(f"stage {number}: all but the last end, by until")
        if stage.until is not None and stage.until.step is not None:
            if stage.until.step <= last:
                raise ValueError(f"stage {number}: ends at {stage.until.step}, not after {last}")
            last = stage.until.step
        if all(callable(getattr(stage.optimizer, mode, None)) for mode in ("train", "eval")):
            raise ValueError(f"{name} evaluates at other weights, which no other can go on with")
        estimates = stage.until is not None and stage.until.settled is not None
        following = stages[number + 1] if number + 1 < len(stages) else None
        estimates |= following is not None and bool(following.estimated)
        if estimates and not isinstance(stage.optimizer, AVERAGES):
            what = (following.estimated if following is not None else "") or swats.SWATS
            raise ValueError(f"{what} goes by steps of Adam and its kin; {name} is none of them")
        if stage.keep:
            if not number:
                raise ValueError("keep: there is nothing before the first stage")
            check_keep(stage.keep, stages[number - 1].optimizer, stage.optimizer)
        if stage.estimated and not number:
            raise ValueError(f"lr={stage.estimated}: there are no steps before the first stage")
