"""Euclidean norms of tensors, right to six digits, at little more than what torch's cost.

torch adds up the squares of a whole tensor in its own precision and in a few sums: of a float32
layer with two million numbers the fourth digit is wrong, and of numbers that are all alike the
second. Here rows of `ROW` numbers are added up like that, and the rows in double precision. What
is beyond the range of a square (1e-23, 1e20) is divided by its largest number and taken again.

Memory is what they cost, and whole tensors at a time are what it gives fastest. A copy and its
norm, or a difference and its norm, in blocks that stay in a cache: at rest that took as long, and
on a busy machine longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

ROW = 2048
"""Numbers that are added up in their own precision."""

SHORTEST = 128
"""Of rows as a tensor's last dimension has them: each costs a call of its own inside torch's."""

TINY, HUGE = 1e-15, 1e18
"""Outside of them squares of float32 are not what they should be."""

SMALLEST = 1e-30
"""Of what has an inverse in float32."""

Norms = list[Tensor] | list[float]

_NARROW = {torch.float16, torch.bfloat16}


def norms(tensors: Sequence[Tensor]) -> Norms:
    """Return the norm of each: a number of what a processor holds, else a tensor, read later."""
    if tensors[0].device.type != "cpu":
        dtypes = {tensor.dtype for tensor in tensors}
        wide = reduce(torch.promote_types, dtypes, torch.float32) if dtypes & _NARROW else None
        return list(torch._foreach_norm(list(tensors), 2, wide))
    real = [torch.view_as_real(t) if t.is_complex() else t for t in tensors]
    parts = [t if t.numel() <= ROW else _rows(t) for t in real]  # a call less for each small one
    found = [n.item() for n in torch._foreach_norm(parts, 2, torch.float64)]
    return [
        norm if TINY < norm < HUGE or tensor.numel() <= ROW or math.isnan(norm) else _scaled(tensor)
        for norm, tensor in zip(found, real, strict=True)
    ]


class Snapshot:
    """Tensors as they were, to see how far they have moved.

    Args:
        tensors: whose values are to be kept; those given to the methods have their shapes.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._old = [torch.empty_like(tensor) for tensor in tensors]

    def take(self, tensors: Sequence[Tensor]) -> Norms:
        """Keep the values; return their norms."""
        found = norms(tensors)  # first: what has just been written is slow to read
        torch._foreach_copy_(self._old, list(tensors))
        return found

    def moved(self, tensors: Sequence[Tensor]) -> Norms:
        """Return the norms of what has changed since; once, for it replaces what was kept."""
        torch._foreach_sub_(self._old, list(tensors))
        return norms(self._old)


def _rows(tensor: Tensor) -> Tensor:
    """Return a tensor of the same norm: the norms of its rows and of what is left."""
    count = tensor.numel()
    if tensor.is_contiguous():
        row = ROW if count % ROW == 0 else tensor.shape[-1]
        if SHORTEST <= row <= ROW:
            return _of_each(tensor.view(-1, row))
    if not tensor.is_contiguous():  # its numbers as they lie in memory
        tensor = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    flat, whole = tensor.reshape(-1), count - count % ROW
    return torch.cat((_of_each(flat[:whole].view(-1, ROW)), _of_each(flat[whole:].view(1, -1))))


def _of_each(rows: Tensor) -> Tensor:
    dtype = torch.float32 if rows.dtype in _NARROW else None
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=dtype)
    return norms


def _scaled(tensor: Tensor) -> float:
    """Return the norm of what has no square in its own precision, by a multiple of it that has."""
    tensor = tensor.float() if tensor.dtype in _NARROW else tensor
    low, high = (end.item() for end in torch.aminmax(tensor))
    largest = max(-low, high)
    if largest == 0 or math.isinf(largest):
        return largest
    if largest < SMALLEST:
        return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))
    rows = _rows(tensor * (1 / largest))
    return largest * float(torch.linalg.vector_norm(rows, dtype=torch.float64))
