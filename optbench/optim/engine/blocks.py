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

from optbench.optim.engine.buffered import Buffered, Buffers
from optbench.optim.engine.form import Form, finish, measured_operand
from optbench.optim.engine.number_list import NumberList
from optbench.optim.engine.ops import Operand, norm
from optbench.optim.engine.tensor_list import TensorList

BLOCK = 2**18
"""Elements worked on at once: 1 MiB of float32 for each tensor of the rule. Smaller ones cost more
in calls than they save in the nearer caches."""

ALONE = 2**14
"""Elements from which on a tensor is worked on by itself, with buffers for what is computed."""

CACHE = 2**24
"""Bytes of parameters, gradients and state that stay in the farthest cache, 16 MiB. Cutting gains
nothing there for a rule that makes next to nothing of its own."""


class Slot(NamedTuple):
    """A parameter with its state."""

    parameter: Tensor
    state: Mapping[str, Tensor]


class Piece(NamedTuple):
    """A part of the parameter of that number, in the order of its memory; all of it where `stop` is
    None."""

    number: int
    start: int = 0
    stop: int | None = None


class Batch(NamedTuple):
    """What one call of the rule works on.

    Attributes:
        of: the number of the tensor that this is a part of; of tensors that are worked on together
            a number below 0, each batch its own.
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
        self._orders: dict[int, tuple[int, ...] | None] = {}
        sizes = [slot.parameter.numel() for slot in slots]
        longest = max(sizes) if block is None else min(max(sizes), block)
        self._buffers = Buffers(slots[0].parameter, longest)
        flat: dict[int, Slot] = {}
        parts, together = [], []
        for number, slot in enumerate(slots):
            size = sizes[number]
            cut = None if block is None or size < ALONE else _flat(slot)
            if cut is None:
                together.append(Piece(number))
                flat[number] = Slot(slot.parameter.detach(), slot.state)
                continue
            order, flat[number] = cut
            self._orders[number] = None if order == tuple(range(len(order))) else order
            starts = range(0, size, longest)
            parts += [Piece(number, at, min(at + longest, size)) for at in starts]
        # First the small ones: large ones push the interpreter itself out of the nearer caches.
        self.batches = [_batch(some, flat) for some in _together(together, sizes, block)]
        self.batches += [self._part(piece, flat[piece.number]) for piece in parts]

    def gradients(self, given: Sequence[Tensor]) -> list[Operand]:
        """The gradients of the slots, in the same order, cut and batched like the parameters."""
        flat: dict[int, Tensor] = {}
        for number, order in self._orders.items():
            gradient = given[number]
            if order is None and gradient.is_contiguous():
                flat[number] = gradient.view(-1)
            else:
                flat[number] = gradient.permute(order or (*range(gradient.ndim),)).reshape(-1)
        return [
            self._wrapped(flat[batch.of], batch.pieces[0])
            if batch.of >= 0
            else _operand([given[piece.number] for piece in batch.pieces])
            for batch in self.batches
        ]

    def _part(self, piece: Piece, slot: Slot) -> Batch:
        state = {name: self._wrapped(tensor, piece) for name, tensor in slot.state.items()}
        return Batch(piece.number, [piece], self._wrapped(slot.parameter, piece), state)

    def _wrapped(self, flat: Tensor, piece: Piece) -> Buffered:
        whole = piece.stop == flat.numel() and not piece.start
        return Buffered(flat if whole else flat[piece.start : piece.stop], self._buffers)


def _together(
    pieces: Sequence[Piece], sizes: Sequence[int], block: int | None
) -> list[list[Piece]]:
    """Neighbours of at most `block` elements in all."""
    batches: list[list[Piece]] = []
    room = 0.0
    for piece in pieces:
        if not batches or sizes[piece.number] > room:
            batches.append([])
            room = math.inf if block is None else block
        batches[-1].append(piece)
        room -= max(1, sizes[piece.number])
    return batches


def _batch(pieces: list[Piece], flat: Mapping[int, Slot]) -> Batch:
    first = pieces[0].number
    state = {
        name: _operand([flat[p.number].state[name] for p in pieces]) for name in flat[first].state
    }
    return Batch(~first, pieces, _operand([flat[p.number].parameter for p in pieces]), state)


def _operand(tensors: list[Tensor]) -> Operand:
    return tensors[0] if len(tensors) == 1 else TensorList(tensors)


def memory_order(tensor: Tensor) -> tuple[int, ...]:
    """The dimensions as they lie in memory, such as (0, 2, 3, 1) for channels_last."""
    return tuple(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))


def _flat(slot: Slot) -> tuple[tuple[int, ...], Slot] | None:
    """The dimensions' order in memory, and views of one dimension; None where there are none, or
    where the state is wider than the parameter."""
    if any(tensor.dtype != slot.parameter.dtype for tensor in slot.state.values()):
        return None
    order = memory_order(slot.parameter)
    views = [t.detach().permute(order) for t in (slot.parameter, *slot.state.values())]
    if not all(view.is_contiguous() for view in views):
        return None
    parameter, *state = [view.view(-1) for view in views]
    return order, Slot(parameter, dict(zip(slot.state, state, strict=True)))


def block_for(slots: Sequence[Slot], light: bool, layerwise: bool) -> int | None:
    """The size of a batch; None for everything at once, as a GPU works.

    Args:
        slots: what is updated.
        light: whether the rule makes at most one tensor of its own.
        layerwise: whether it needs the norms of each tensor, which is quicker one after the other.
    """
    if slots[0].parameter.device.type != "cpu":
        return None
    if not light or not _in_cache(slots):
        return BLOCK
    return sum(slot.parameter.numel() for slot in slots) if layerwise else None


def _in_cache(slots: Sequence[Slot]) -> bool:
    """Whether all that a step reads stays in the farthest cache."""
    tensors = [t for slot in slots for t in (slot.parameter, slot.parameter, *slot.state.values())]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) <= CACHE


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
    if pairs[0][0].parameter.device.type == "cpu":
        # Norms are Python's numbers there, which do not go with tensors.
        h = type(h)(*[value.item() if isinstance(value, Tensor) else value for value in h])
    found = [measured_operand(form, b.parameter, g, b.state, h) for b, g in pairs]
    if len(pairs) == 1:
        norms = tuple(_norms(operand) for operand in found[0])
    else:
        columns = zip(*found, strict=True)
        norms = tuple(math.hypot(*[float(norm(o)) for o in column]) for column in columns)
    for (batch, gradient), (_, measured) in zip(pairs, found, strict=True):
        with_norms = h._replace(norms=norms, measured=measured)
        finish(form, batch.parameter, gradient, batch.state, with_norms)


def _norms(operand: Operand) -> Any:
    """A number of one tensor, of several one for each. Those of a GPU stay there, as a
    tensor: to look at them would be to wait for them."""
    if isinstance(operand, TensorList):
        tensors = operand.norm().tensors
        if tensors[0].device.type == "cpu":
            return NumberList(tensor.item() for tensor in tensors)
        return torch.stack(tensors)
    found = norm(operand)
    return float(found) if found.device.type == "cpu" else found
