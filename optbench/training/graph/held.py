"""Optimizers whose numbers, the learning rate first of all, lie in tensors during a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from optbench.optim.combined import Combined
from optbench.optim.engine.held import HeldNumbers
from optbench.optim.engine.rule_optimizer import RuleOptimizer
from optbench.torch_internals import let_step_uncaptured


class Held(Protocol):
    """An optimizer that may be noted."""

    def standing(self, noted: bool = False) -> Any:
        """Return a context in which a step finds its numbers in tensors; `noted`: it is being
        noted, and nothing of the host's is to happen."""
        ...

    def is_ready(self) -> bool:
        """Return whether the next step is what was noted but for numbers that lie in tensors."""
        ...

    def advance(self) -> None:
        """Do the host's part of that step."""
        ...

    def tensors(self) -> list[Tensor]:
        """Return what has to stay where it is on the device."""
        ...


class _Rule:
    """One of ours."""

    def __init__(self, optimizer: RuleOptimizer) -> None:
        self._optimizer, self._numbers = optimizer, HeldNumbers()

    @contextmanager
    def standing(self, noted: bool = False) -> Iterator[None]:
        self._numbers.repeating, self._optimizer.held = noted, self._numbers
        try:
            yield
        finally:
            self._numbers.repeating = False
            del self._optimizer.held  # the class's is None: an attribute would be in checkpoints

    def is_ready(self) -> bool:
        with self.standing():
            return self._optimizer.is_ready()

    def advance(self) -> None:
        self._numbers.advance()

    def tensors(self) -> list[Tensor]:
        numbers = [update.numbers for update in self._numbers.updates]
        return [*numbers, *_state(self._optimizer, ("step",))]


class _Torchs:
    """One of torch's: `lr` is a tensor during a step, and steps are counted on the device."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._lrs = [
            torch.zeros((), device=group["params"][0].device) for group in optimizer.param_groups
        ]
        self._noted: list[dict[str, Any]] = []
        let_step_uncaptured(optimizer)

    @contextmanager
    def standing(self, noted: bool = False) -> Iterator[None]:
        if noted:
            self._noted = self._settings()
        else:
            self.advance()
            self._bring_counts()
        kept = [dict(group) for group in self._optimizer.param_groups]
        for group, lr in zip(self._optimizer.param_groups, self._lrs, strict=True):
            group["lr"] = lr
            if "capturable" in group:
                group["capturable"] = True
        try:
            yield
        finally:
            for group, own in zip(self._optimizer.param_groups, kept, strict=True):
                group.update({key: own[key] for key in ("lr", "capturable") if key in own})

    def is_ready(self) -> bool:
        return self._settings() == self._noted

    def advance(self) -> None:
        for lr, group in zip(self._lrs, self._optimizer.param_groups, strict=True):
            lr.fill_(group["lr"])

    def tensors(self) -> list[Tensor]:
        return [*self._lrs, *_state(self._optimizer)]

    def _bring_counts(self) -> None:
        """Have counts be on the device that were loaded as the host's, of a run without graphs."""
        for parameter, state in self._optimizer.state.items():
            count = state.get("step")
            if isinstance(count, Tensor) and count.device != parameter.device:
                state["step"] = count.to(parameter.device)

    def _settings(self) -> list[dict[str, Any]]:
        """Return all else that a kernel is given as a number."""
        return [
            {key: value for key, value in group.items() if key not in _NO_NUMBERS}
            for group in self._optimizer.param_groups
        ]


_NO_NUMBERS = ("params", "param_names", "lr", "initial_lr")


class _Several:
    """Several that are stepped together."""

    def __init__(self, members: list[Held]) -> None:
        self._members = members

    @contextmanager
    def standing(self, noted: bool = False) -> Iterator[None]:
        with ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.standing(noted))
            yield

    def is_ready(self) -> bool:
        return all(member.is_ready() for member in self._members)

    def advance(self) -> None:
        for member in self._members:
            member.advance()

    def tensors(self) -> list[Tensor]:
        return [tensor for member in self._members for tensor in member.tensors()]


CAPTURABLE: Mapping[str, Sequence[str]] = {
    "Adadelta": ("foreach",),
    "Adagrad": ("fused",),
    "Adam": ("loop", "foreach", "fused"),
    "AdamW": ("loop", "foreach", "fused"),
    "Adamax": ("loop", "foreach"),
    "ASGD": ("loop", "foreach"),
    "NAdam": ("loop", "foreach"),
    "RAdam": ("loop", "foreach"),
    "RMSprop": ("foreach",),
    "SGD": ("fused",),
}
"""Torch's optimizers by class, with the implementations that never read a tensor `lr`."""


def hold(optimizer: torch.optim.Optimizer, moves: bool = False) -> Held | str:
    """Return an optimizer with its numbers held, or why they can't be.

    Args:
        optimizer: of a player.
        moves: more than its learning rate is scheduled.
    """
    name = type(optimizer).__name__
    if any("decay_base_lr" in group for group in optimizer.param_groups):
        return f"optimizer.decay has {name} take numbers of the host before its step"
    if type(optimizer) is Combined:
        members = [hold(member, moves) for member in optimizer.members]
        reason = next((each for each in members if isinstance(each, str)), None)
        return reason or _Several([each for each in members if not isinstance(each, str)])
    if isinstance(optimizer, RuleOptimizer):
        if optimizer.is_rule_alone():
            return _Rule(optimizer)
        return f"a step of {name} is more than its rule"
    if type(optimizer) is getattr(torch.optim, name, None):
        return _of_torch(optimizer, name, moves)
    return f"nobody knows which numbers of its own {name} goes by"


def _of_torch(optimizer: torch.optim.Optimizer, name: str, moves: bool) -> Held | str:
    if name not in CAPTURABLE:
        return f"torch's {name} is not capturable"
    if moves:
        return f"torch's {name} is given what is scheduled beside lr as numbers of the host"
    ways = {_implementation(group) for group in optimizer.param_groups}
    for way in sorted(ways - {*CAPTURABLE[name]}):
        return f"torch's {name} reads lr on the host when it is {way}"
    return _Torchs(optimizer)


def _implementation(group: Mapping[str, Any]) -> str:
    """Return which implementation takes a group's step; torch's own choice on a GPU is foreach."""
    if group.get("fused"):
        return "fused"
    asked = group.get("foreach")
    on_gpu = group["params"][0].device.type == "cuda"
    return "foreach" if asked or (asked is None and on_gpu) else "loop"


def _state(optimizer: torch.optim.Optimizer, without: tuple[str, ...] = ()) -> list[Tensor]:
    return [
        value
        for state in optimizer.state.values()
        for name, value in state.items()
        if isinstance(value, Tensor) and name not in without
    ]
