"""Parameters that are updated together, and how it is noticed that they no longer can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.blocks import Plan, Slot, block_for, in_cache


class Alike:
    """Parameters of a group with as many steps taken, updated together as long as they have.

    Their counts of steps become one tensor, so that one addition counts for all: `state["step"]`
    of each is a view of it.

    Args:
        parameters: of one device and dtype.
        states: of the optimizer.
        names: of the rule's state.
        light: whether the rule makes at most one tensor of its own.
        vector: what the rule is told of them.
        small: too small to be worth calling a compiled kernel for each.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        states: Any,
        names: Sequence[str],
        light: bool,
        vector: bool,
        small: bool = False,
    ) -> None:
        self.slots = [Slot(p, {name: states[p][name] for name in names}) for p in parameters]
        self.vector, self.small, self._light = vector, small, light
        self.step = int(states[parameters[0]]["step"])
        self._steps = torch.full((len(parameters),), float(self.step))
        self._one = torch.ones(())  # a number would be made a tensor at every step
        for parameter, step in zip(parameters, self._steps.unbind(), strict=True):
            states[parameter]["step"] = step
        self._version = self._steps._version

    def count(self) -> None:
        """One step more."""
        self._steps.add_(self._one)
        self._version = self._steps._version
        self.step += 1

    def holds(self) -> bool:
        """Whether nobody else has changed a count of steps in place."""
        return self._steps._version == self._version

    @cached_property
    def scratch(self) -> Tensor:
        """Memory for what a compiled rule measures of one tensor, as wide as the state."""
        like = next(iter(self.slots[0].state.values()))
        return like.new_empty(max(slot.parameter.numel() for slot in self.slots))

    @cached_property
    def plan(self) -> Plan:
        """For foreach."""
        block = block_for(self.slots[0].parameter.device)
        if self._light and in_cache(self.slots):
            block = None
        return Plan(self.slots, block)


class Whereabouts:
    """Which tensors these are and where they lie, their state included.

    It keeps them alive, or a new one might take the place of an old one.
    """

    def __init__(self, parameters: Sequence[Tensor], states: Mapping[Any, Any]) -> None:
        self._numbers = _numbers(parameters, states)
        self._values = [value for p in parameters for value in states[p].values()]
        self._tensors = [*parameters]
        for parameter in parameters:  # where steps lie matters to nobody
            state = states[parameter].items()
            self._tensors += [t for name, t in state if isinstance(t, Tensor) and name != "step"]
        self._places = [tensor.data_ptr() for tensor in self._tensors]

    def hold(self, parameters: Sequence[Tensor], states: Mapping[Any, Any]) -> bool:
        """Whether these are the same, and nobody has moved one."""
        return self._numbers == _numbers(parameters, states) and self._places == [
            tensor.data_ptr() for tensor in self._tensors
        ]


def _numbers(parameters: Sequence[Tensor], states: Mapping[Any, Any]) -> list[int]:
    found = [*map(id, parameters)]
    for parameter in parameters:
        found += map(id, states[parameter].values())
    return found
