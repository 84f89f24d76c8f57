"""Foreach: many small tensors at once, and large ones block by block.

A rule of ten operations on tensors that are larger than the processor's cache moves each of them
through memory ten times. Cut into blocks that stay in the cache, they come from memory once: a
quarter of the time. On a GPU there is one batch of everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from optbench.optim.engine.form import Form, finish, measured_operands
from optbench.optim.engine.ops import Operand, norm
from optbench.optim.engine.tensor_list import TensorList

BLOCK = 2**18
"""Elements worked on at once: 1 MiB of float32 for each tensor of the rule. Smaller ones cost more
in calls than they save in the nearer caches."""


class Slot(NamedTuple):
    """A parameter with its state."""

    parameter: Tensor
    state: Mapping[str, Tensor]


class Piece(NamedTuple):
    """A part of the parameter of that number; whole where `stop` is None."""

    number: int
    start: int = 0
    stop: int | None = None


class Batch(NamedTuple):
    """What one call of the rule works on.

    Attributes:
        of: the number of the tensor that this is a part of; of whole tensors a number below 0,
            each batch its own.
    """

    of: int
    pieces: list[Piece]
    parameter: Operand
    state: dict[str, Operand]


class Plan:
    """How some parameters are cut and batched; made once, for tensors that stay where they are.

    Args:
        slots: of one dtype and device.
        block: elements in a batch; None puts everything in one.
    """

    def __init__(self, slots: Sequence[Slot], block: int | None) -> None:
        self._orders: dict[int, tuple[int, ...]] = {}
        self._block = block or 1
        flat: dict[int, Slot] = {}
        pieces: list[Piece] = []
        for number, slot in enumerate(slots):
            size = slot.parameter.numel()
            cut = None if block is None or size <= block else _flat(slot)
            if cut is None or block is None:
                pieces.append(Piece(number))
                flat[number] = Slot(slot.parameter.detach(), slot.state)
                continue
            self._orders[number], flat[number] = cut
            pieces += [Piece(number, at, min(at + block, size)) for at in range(0, size, block)]
        sizes = [slot.parameter.numel() for slot in slots]
        self.batches = [_batch(some, flat) for some in _together(pieces, sizes, block)]

    def gradients(self, given: Sequence[Tensor]) -> list[Operand]:
        """The gradients of the slots, in the same order, cut and batched like the parameters."""
        parts: dict[int, Sequence[Tensor]] = {}
        for number, order in self._orders.items():
            parts[number] = given[number].permute(order).reshape(-1).split(self._block)
        return [
            parts[batch.of][batch.pieces[0].start // self._block]
            if batch.of >= 0
            else _operand([given[piece.number] for piece in batch.pieces])
            for batch in self.batches
        ]


def _together(
    pieces: Sequence[Piece], sizes: Sequence[int], block: int | None
) -> list[list[Piece]]:
    """Neighbouring tensors of at most `block` elements in all; parts of a tensor by themselves."""
    if block is None:
        return [list(pieces)]
    batches: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        size = block if piece.stop is not None else max(1, sizes[piece.number])
        if not batches or size > room:
            batches.append([])
            room = block
        batches[-1].append(piece)
        room -= size
    return batches


def _batch(pieces: list[Piece], flat: Mapping[int, Slot]) -> Batch:
    names = flat[pieces[0].number].state
    state = {
        name: _operand([_cut(flat[p.number].state[name], p) for p in pieces]) for name in names
    }
    of = ~pieces[0].number if pieces[0].stop is None else pieces[0].number
    return Batch(of, pieces, _operand([_cut(flat[p.number].parameter, p) for p in pieces]), state)


def _operand(tensors: list[Tensor]) -> Operand:
    return tensors[0] if len(tensors) == 1 else TensorList(tensors)


def _cut(tensor: Tensor, piece: Piece) -> Tensor:
    return tensor if piece.stop is None else tensor[piece.start : piece.stop]


def memory_order(tensor: Tensor) -> tuple[int, ...]:
    """The dimensions as they lie in memory, such as (0, 2, 3, 1) for channels_last."""
    return tuple(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))


def _flat(slot: Slot) -> tuple[tuple[int, ...], Slot] | None:
    """The dimensions' order in memory, and views of one dimension; None where there are none."""
    order = memory_order(slot.parameter)
    views = [t.detach().permute(order) for t in (slot.parameter, *slot.state.values())]
    if not all(view.is_contiguous() for view in views):
        return None
    parameter, *state = [view.view(-1) for view in views]
    return order, Slot(parameter, dict(zip(slot.state, state, strict=True)))


def block_for(device: torch.device) -> int | None:
    """The size of a batch; a GPU works on everything at once."""
    return BLOCK if device.type == "cpu" else None


def run_blocks(form: Form, plan: Plan, given: Sequence[Tensor], h: Any) -> None:
    """Updates all slots of a plan, batch after batch; with norms, tensor after tensor."""
    pairs = zip(plan.batches, plan.gradients(given), strict=True)
    if form.measure is None:
        for batch, gradient in pairs:
            finish(form, batch.parameter, gradient, batch.state, h)
        return
    for _, same in groupby(pairs, key=lambda pair: pair[0].of):
        _measured_run(form, list(same), h)


def _measured_run(form: Form, pairs: Sequence[tuple[Batch, Operand]], h: Any) -> None:
    """A batch of whole tensors, or all the batches of one: first the norms, then the update."""
    found = [measured_operands(form, b.parameter, g, b.state, h) for b, g in pairs]
    if len(pairs) == 1:
        columns = [_norms(operand) for operand in found[0]]
    else:
        columns = [
            math.hypot(*[float(norm(operand)) for operand in column])
            for column in zip(*found, strict=True)
        ]
    for (batch, gradient), operands in zip(pairs, found, strict=True):
        with_norms = h._replace(norms=tuple(columns), measured=operands)
        finish(form, batch.parameter, gradient, batch.state, with_norms)


def _norms(operand: Operand) -> Any:
    """A number of one tensor, of several a tensor with an element for each. Those of a GPU stay
    there: to look at them would be to wait for them."""
    if isinstance(operand, TensorList):
        found = torch.stack(operand.norm().tensors)
        return found.double() if found.device.type == "cpu" else found
    found = norm(operand)
    return float(found) if found.device.type == "cpu" else found
