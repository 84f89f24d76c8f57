"""Foreach: many tensors at once, each operation one call for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.optim.engine.form import Form, finish, measured_operand
from optbench.optim.engine.number_list import NumberList, numbers_are_at_hand
from optbench.optim.engine.ops import Operand, norm
from optbench.optim.engine.tensor_list import TensorList

ALONE = 2**14
"""Elements from which on a CPU updates a tensor by itself: one call more costs less than
temporaries of many tensors at once, which no cache holds."""


class Slot(NamedTuple):
    """A parameter with its state."""

    parameter: Tensor
    state: Mapping[str, Tensor]


def run_foreach(form: Form, slots: Sequence[Slot], gradients: Sequence[Tensor], hp: Any) -> None:
    """Update all slots: on a GPU together, on a CPU the small ones together.

    Args:
        form: the optimizer's.
        slots: of one dtype and device.
        gradients: one for each slot.
        hp: the hyperparameters.
    """
    if form.measure is not None and numbers_are_at_hand(slots[0].parameter.device):
        # Norms are Python's numbers there, which do not go with tensors.
        hp = type(hp)(*[value.item() if isinstance(value, Tensor) else value for value in hp])
    for numbers in _batches(slots):
        some = [slots[number] for number in numbers]
        parameter = _operand([slot.parameter.detach() for slot in some])
        gradient = _operand([gradients[number] for number in numbers])
        state = {name: _operand([slot.state[name] for slot in some]) for name in some[0].state}
        own = hp
        if form.measure is not None:
            found = measured_operand(form, parameter, gradient, state, hp)
            own = hp._replace(norms=tuple(map(_norms, found)), measured=found[1])
        finish(form, parameter, gradient, state, own)


def _batches(slots: Sequence[Slot]) -> Iterator[list[int]]:
    """Yield the numbers of slots that are updated together."""
    cpu = slots[0].parameter.device.type == "cpu"
    together = []
    for number, slot in enumerate(slots):
        if cpu and slot.parameter.numel() >= ALONE:
            yield [number]
        else:
            together.append(number)
    if together:
        yield together


def _operand(tensors: list[Tensor]) -> Operand:
    return tensors[0] if len(tensors) == 1 else TensorList(tensors)


def _norms(operand: Operand) -> Any:
    """Return a number for one tensor, for several one for each.

    Those of a GPU stay there, as a tensor: to look at them would be to wait for them.
    """
    if isinstance(operand, TensorList):
        tensors = operand.norm().tensors
        if numbers_are_at_hand(tensors[0].device):
            return NumberList(tensor.item() for tensor in tensors)
        return torch.stack(tensors)
    found = norm(operand)
    return float(found) if numbers_are_at_hand(found.device) else found
