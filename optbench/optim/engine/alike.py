"""Parameters that are updated together, and how it is noticed that they no longer can be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from operator import is_, methodcaller
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.blocks import Plan, Slot, block_for
from optbench.torch_internals import version


class ParameterBatch:
    """Parameters of a group with as many steps taken, updated together as long as they have.

    Their counts of steps become one tensor, so that one addition counts for all: `state["step"]`
    of each is a view of it.

    Args:
        parameters: of one device and dtype.
        states: of the optimizer.
        names: of the rule's state.
        light, layerwise: of the rule; see `block_for`.
        vector: what the rule is told of them.
        small: too small to be worth calling a compiled kernel for each.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        states: Any,
        names: Sequence[str],
        light: bool,
        layerwise: bool,
        vector: bool,
        small: bool = False,
    ) -> None:
        self.slots = [Slot(p, {name: states[p][name] for name in names}) for p in parameters]
        self.vector, self.small, self._kind = vector, small, (light, layerwise)
        self.step = int(states[parameters[0]]["step"])
        self._steps = torch.full((len(parameters),), float(self.step))
        self._one = torch.ones(())  # a number would be made a tensor at every step
        for parameter, step in zip(parameters, self._steps.unbind(), strict=True):
            states[parameter]["step"] = step
        self._version = version(self._steps)

    def count(self) -> None:
        """One step more."""
        self._steps.add_(self._one)
        self._version = version(self._steps)
        self.step += 1

    def holds(self) -> bool:
        """Whether nobody else has changed a count of steps in place."""
        return version(self._steps) == self._version

    @cached_property
    def scratch(self) -> Tensor:
        """Memory for what a compiled rule measures of one tensor, as wide as the state."""
        like = next(iter(self.slots[0].state.values()))
        return like.new_empty(max(slot.parameter.numel() for slot in self.slots))

    @cached_property
    def plan(self) -> Plan:
        """For foreach."""
        return Plan(self.slots, block_for(self.slots, *self._kind))


class StorageFingerprint:
    """Which tensors these are and where they lie, their state included.

    It keeps them alive, or a new one might take the place of an old one. It is asked at every step,
    from a cold cache: everything is compared in loops that are not Python's.
    """

    def __init__(self, parameters: Sequence[Tensor], states: Mapping[Any, Any]) -> None:
        self._parameters = [*parameters]
        self._states = [states[parameter] for parameter in parameters]
        self._tensors = [*self._now()]
        self._places = _places(self._tensors)

    def hold(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are the same, and nobody has moved one, or put another in its state; that
        each still has the state it had, the optimizer sees for all at once."""
        if not self._places:  # somebody keeps something else in a state
            return False
        return same(parameters, self._parameters) and _places(self._now()) == self._places

    def _now(self) -> Iterable[Any]:
        return chain(self._parameters, chain.from_iterable(map(_VALUES, self._states)))


_VALUES = methodcaller("values")


def _places(tensors: Iterable[Any]) -> list[int]:
    """Where they lie; an empty list if something is no tensor."""
    try:
        return [*map(Tensor.data_ptr, tensors)]
    except TypeError:
        return []


def same(some: Collection[Any], others: Collection[Any]) -> bool:
    """Whether they are the same objects in the same order."""
    return len(some) == len(others) and all(map(is_, some, others))
