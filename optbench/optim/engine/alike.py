"""Parameters that are updated together, and how it is noticed that they no longer can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.blocks import Plan, Slot, block_for


class Alike:
    """Parameters of a group with as many steps taken, updated together as long as they have.

    Their counts of steps become one tensor, so that one addition counts for all: `state["step"]`
    of each is a view of it.

    Args:
        parameters: of one device and dtype.
        states: of the optimizer.
        names: of the rule's state.
        vector: what the rule is told of them.
        small: too small to be worth calling a compiled kernel for each.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        states: Any,
        names: Sequence[str],
        vector: bool,
        small: bool = False,
    ) -> None:
        self.slots = [Slot(p, {name: states[p][name] for name in names}) for p in parameters]
        self.vector, self.small = vector, small
        self.step = int(states[parameters[0]]["step"])
        self._steps = torch.full((len(parameters),), float(self.step))
        for parameter, step in zip(parameters, self._steps.unbind(), strict=True):
            states[parameter]["step"] = step
        self._version = self._steps._version

    def count(self) -> None:
        """One step more."""
        self._steps.add_(1)
        self._version = self._steps._version
        self.step += 1

    def holds(self) -> bool:
        """Whether nobody else has changed a count of steps in place."""
        return self._steps._version == self._version

    @cached_property
    def plan(self) -> Plan:
        """For foreach."""
        return Plan(self.slots, block_for(self.slots[0].parameter.device))


def whereabouts(parameters: Sequence[Tensor], states: Mapping[Any, Any]) -> list[int]:
    """Which tensors these are and where they lie, their state included: equal as long as nobody
    replaces or moves one. Those compared with have to be alive still, or a new one might take the
    place of an old one."""
    found: list[int] = []
    for parameter in parameters:
        found += (id(parameter), parameter.data_ptr())
        for value in states[parameter].values():
            found += (id(value), value.data_ptr() if isinstance(value, Tensor) else 0)
    return found
