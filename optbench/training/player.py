"""A module with its own parameters, optimizer and schedule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
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
    state_bytes,
)
from optbench.optim.needs import Needs, needs_of
from optbench.schedules.base import Schedule
from optbench.schedules.replay import ReplayedSetting
from optbench.schedules.value import ValueSchedule
from optbench.training.averaged import (
    evaluation_weights,
    recalibrated,
    scored_state,
    statistics,
    with_modes,
)
from optbench.training.ema import Ema
from optbench.training.hyperparameters import HyperparameterScheduler
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
        replayed: settings that have another value in each part of the run.
        every: updated every `every` steps of the run.
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
    replayed: Sequence[ReplayedSetting] = ()
    every: int = 1
    step: int = 0
    loss: TrainingLoss = field(default_factory=TrainingLoss)
    needs: Needs = field(init=False)

    def __post_init__(self) -> None:
        self._fresh = attributes(self.optimizer)
        self._switched = with_modes(self.optimizer)
        self._statistics: dict[str, torch.Tensor] = {}
        for optimizer in self._switched:
            optimizer.train()
        self.needs = needs_of(self.optimizer)
        if self._switched and self.ema is not None:
            raise UserError(
                f"ema: {type(self._switched[0]).__name__} averages the weights itself; use ema=0"
            )
        named = [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.hyperparameters = HyperparameterScheduler(
            self.name,
            self.optimizer,
            self.schedule,
            self.schedule_steps,
            group_schedules=self.group_schedules,
            values=self.values,
            replayed=self.replayed,
        )

    def last_turn(self, step: int) -> int:
        """Return the last step up to `step` at which the player is updated."""
        return step // self.every * self.every

    def advance(self) -> None:
        """Count an update that was taken."""
        self.step += 1
        if self.ema is not None:
            self.ema.update()
        self.hyperparameters.advance(self.step)

    @property
    def lr(self) -> float:
        """The learning rate of the first group, as the next update takes it."""
        return float(self.optimizer.param_groups[0]["lr"])

    def clear_gradients(self) -> None:
        """Set the gradients to None, which frees their memory."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return all that the player needs to go on, as plain data and tensors."""
        return {**self._trained(), "averaged": self._averaged()}

    def remembered(self) -> dict[str, Any]:
        """Return what an update that is to be undone may change, copied.

        An average of the weights is not among it: it moves when the update was taken.
        """
        return copy.deepcopy(self._trained())

    def go_back(self, state: dict[str, Any]) -> None:
        """Undo all that changed since `remembered()`."""
        self._load(state)

    def _trained(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "module": self.module.state_dict(),
            "optimizer": exact_state(self.optimizer),
            "attributes": changed(attributes(self.optimizer), self._fresh),
            **self.hyperparameters.state_dict(),
        }

    @property
    def state_bytes(self) -> int:
        """Bytes of the optimizer's tensors, as a checkpoint has them; numbers count nothing."""
        own = changed(attributes(self.optimizer), self._fresh)
        return state_bytes([exact_state(self.optimizer), own])

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
        """Return the state dict of the module as it is evaluated; None if that is as trained."""
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
        """Have the weights to evaluate stand in the module: the optimizer's own, or the EMA's.

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
        """Go on from `state_dict()`; settings that were configured anew since then hold."""
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
        self.hyperparameters.load_state_dict(state, self.step)
