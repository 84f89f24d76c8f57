"""A module with its own parameters, optimizer and schedule."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from optbench.optim.exact_state import load_exactly
from optbench.schedules.base import Schedule, is_reactive
from optbench.training.ema import Ema


@dataclass
class Player:
    """What the trainer steps; an ordinary run has one, `model`.

    Attributes:
        name: in TensorBoard's tags and in checkpoints.
        module: the bare module, whose state dict is saved.
        forward: what is called: the module, or DistributedDataParallel around it.
        optimizer: over the module's parameters.
        schedule: the learning rate's multiplier.
        total_steps: the run's length, for the schedule.
        ema: the average of the weights, if there is one.
        step: updates taken.
    """

    name: str
    module: nn.Module
    forward: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    total_steps: int
    ema: Ema | None = None
    step: int = 0
    base_lrs: list[float] = field(init=False)
    needs_closure: bool = field(init=False)

    def __post_init__(self) -> None:
        self.base_lrs = [float(group["lr"]) for group in self.optimizer.param_groups]
        self._configured = [_settings(group) for group in self.optimizer.param_groups]
        self.needs_closure = needs_closure(self.optimizer)
        named = [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self._momentum = getattr(self.schedule, "momentum", None)
        self._reactive = self.schedule if is_reactive(self.schedule) else None
        self._multiplier: float | None = None
        self.apply_schedule()

    def apply_schedule(self) -> None:
        """Sets the learning rate, and the momentum if it is cycled, of the next update."""
        multiplier = self.schedule(self.step, self.total_steps)
        if multiplier != self._multiplier:
            self._multiplier = multiplier
            for group, lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
                group["lr"] = lr * multiplier
        if self._momentum is not None:
            momentum = self._momentum(self.step, self.total_steps)
            if momentum is not None:
                self._set_momentum(momentum)

    def _set_momentum(self, momentum: float) -> None:
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum

    def advance(self) -> None:
        """One update was taken."""
        self.step += 1
        if self.ema is not None:
            self.ema.update()
        self.apply_schedule()

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Gives a schedule that reacts what was logged."""
        if self._reactive is not None:
            self._reactive.observe(metrics)
            self.apply_schedule()

    @property
    def lr(self) -> float:
        """The learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def lrs(self) -> dict[str, float]:
        """The learning rates by tag: the first group's, and the others' where they differ."""
        lrs = {f"lr/{self.name}": self.lr}
        for number, group in enumerate(self.optimizer.param_groups[1:], start=1):
            if group["lr"] != self.lr:
                lrs[f"lr/{self.name}/{number}"] = float(group["lr"])
        return lrs

    def clear_gradients(self) -> None:
        """Gradients to None, which frees their memory."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """All that the player needs to go on, as plain data and tensors."""
        return {
            "step": self.step,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "settings": self._configured,
            "schedule": self._reactive.state_dict() if self._reactive is not None else None,
            "ema": self.ema.averages if self.ema is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict()`; settings that were configured anew since then hold."""
        self.step = state["step"]
        self.module.load_state_dict(state["module"])
        load_exactly(self.optimizer, state["optimizer"])
        groups = zip(self.optimizer.param_groups, self._configured, state["settings"], strict=True)
        for group, now, then in groups:
            anew = {k: v for k, v in now.items() if k not in then or then[k] != v}
            cycled = {k: now[k] for k in ("momentum", "betas") if k in now}
            group.update(anew | cycled)
        if self._reactive is not None and state["schedule"] is not None:
            self._reactive.load_state_dict(state["schedule"])
        if self.ema is not None and state["ema"] is not None:
            torch._foreach_copy_(self.ema.averages, state["ema"])
        self._multiplier = None
        self.apply_schedule()


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k not in ("params", "param_names")}


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether `step` can't do without a closure, as L-BFGS's."""
    # Looked up on the class: torch.optim wraps the instance's method.
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
