"""Members' tensors as views of stacked ones, `[members, ...]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

PADDED = 64
"""Numbers that a member's row is a multiple of: kernels compute whole vectors, and what is left
over by other code, so without padding a member's bits would depend on where it stands."""


class Rows:
    """Tensors of equal dtype of several members, each member's in one row of `flat`.

    Args:
        shapes: of one member's tensors.
        members: how many.
        like: has the dtype and device.

    Attributes:
        flat: [members, numbers], a row a member.
        stacks: for each tensor [members, *shape], a view of `flat`.
    """

    def __init__(self, shapes: Sequence[torch.Size], members: int, like: Tensor) -> None:
        self._shapes = shapes
        width = -(-sum(map(prod, shapes)) // PADDED) * PADDED
        self.flat = torch.zeros(members, width, dtype=like.dtype, device=like.device)
        self.stacks = self.parts_of(self.flat)

    def parts_of(self, flat: Tensor) -> list[Tensor]:
        """Return rows [members, numbers] cut into tensors, [members, *shape] each."""
        parts, first = [], 0
        for shape in self._shapes:
            part = flat[:, first : first + prod(shape)]
            parts.append(part.view(len(flat), *shape))
            first += prod(shape)
        return parts

    def fill(self, tensors: Sequence[Tensor]) -> None:
        """Take values [members, *shape] in, one tensor for each, unless it is the stack itself."""
        pairs = zip(self.stacks, tensors, strict=True)
        apart = [(stack, value) for stack, value in pairs if value is not stack]
        if apart:
            stacks, values = zip(*apart, strict=True)
            torch._foreach_copy_(stacks, values)


def rehome(tensors: Sequence[Tensor], stack: Tensor) -> None:
    """Have members' tensors be views of a stack, which takes their values.

    Whoever holds one of them, as an optimizer does, finds its values there from now on.

    Args:
        tensors: one of each member, leaves or without gradients.
        stack: [members, *shape].
    """
    with torch.no_grad():
        for tensor, place in zip(tensors, stack.unbind(0), strict=True):
            place.copy_(tensor)
            tensor.data = place


class ModuleStack:
    """The parameters and buffers of several members' modules, stacked.

    Args:
        modules: alike but for their values.

    Attributes:
        trained: names of the parameters that want gradients, in the module's order.
        others: stacks of all else, by name.
        own: of each member, its trained parameters in that order.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        first = dict(modules[0].named_parameters())
        self.trained = [name for name, each in first.items() if each.requires_grad]
        named = [dict(module.named_parameters()) for module in modules]
        self.own = [[own[name] for name in self.trained] for own in named]
        self.others: dict[str, Tensor] = {}
        pairs = zip(modules, named, strict=True)
        kept = [{**dict(module.named_buffers()), **own} for module, own in pairs]
        for name, one in kept[0].items():
            if name in first and first[name].requires_grad:
                continue
            stack = one.detach().new_empty((len(modules), *one.shape))
            rehome([own[name] for own in kept], stack)
            self.others[name] = stack


def batch_stack(batches: Sequence[Any]) -> Any:
    """Return members' batches as one, each tensor `[members, ...]`.

    Raises:
        TypeError: something of a batch is no tensor.
    """
    first = batches[0]
    if isinstance(first, Tensor):
        return torch.stack(list(batches))
    if isinstance(first, Mapping):
        return {key: batch_stack([each[key] for each in batches]) for key in first}
    if isinstance(first, tuple | list):
        return tuple(batch_stack(parts) for parts in zip(*batches, strict=True))
    raise TypeError(f"a batch with a {type(first).__name__}")


def batch_rows(batch: Any, members: int) -> Any:
    """Return a batch of all members' examples, one member's after the other's, as one of each."""
    if isinstance(batch, Tensor):
        return batch.view(members, -1, *batch.shape[1:])
    if isinstance(batch, Mapping):
        return {key: batch_rows(each, members) for key, each in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(batch_rows(each, members) for each in batch)
    raise TypeError(f"a batch with a {type(batch).__name__}")


def batch_for_all(batch: Any, members: int) -> Any:
    """Return a batch as one of each member's, all of them the same memory.

    Raises:
        TypeError: something of a batch is no tensor.
    """
    if isinstance(batch, Tensor):
        return batch.expand(members, *batch.shape)
    if isinstance(batch, Mapping):
        return {key: batch_for_all(each, members) for key, each in batch.items()}
    if isinstance(batch, tuple | list):
        return tuple(batch_for_all(each, members) for each in batch)
    raise TypeError(f"a batch with a {type(batch).__name__}")


def member_of(batch: Any, number: int) -> Any:
    """Return one member's part of a stacked batch."""
    if isinstance(batch, Tensor):
        return batch[number]
    if isinstance(batch, Mapping):
        return {key: member_of(each, number) for key, each in batch.items()}
    return tuple(member_of(each, number) for each in batch)
