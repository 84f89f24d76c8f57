"""Euclidean norms of tensors, right to six digits, at little more than what torch's cost.

torch adds up the squares of a whole tensor in its own precision and in a few sums: of a float32
layer with two million numbers the fourth digit is wrong, and of numbers that are all alike the
second. Here rows of `ROW` numbers are added up like that, and the rows in double precision. What
is beyond the range of a square (1e-23, 1e20) is taken again in double precision.

Memory is what they cost, and whole tensors at a time are what it gives fastest. A copy and its
norm, or a difference and its norm, in blocks that stay in a cache: at rest that took as long, and
on a busy machine longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor

ROW = 1024
"""Numbers that are added up in their own precision. Tensors of no more are measured together."""

TINY, HUGE = 1e-15, 1e18
"""Outside of them squares of float32 are not what they should be."""

Norms = list[Tensor] | list[float]

_NARROW = {torch.float16, torch.bfloat16}


def norms(tensors: Sequence[Tensor]) -> Norms:
    """A norm each: numbers of what a processor holds, else tensors, which are read later."""
    if tensors[0].device.type != "cpu":
        return _together(tensors)
    found = dict(_small(tensors))
    return [found[i] if i in found else _large(tensor) for i, tensor in enumerate(tensors)]


class Snapshot:
    """Tensors as they were, to see how far they have moved.

    Args:
        tensors: whose values are to be kept; those given to the methods have their shapes.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._old = [torch.empty_like(tensor) for tensor in tensors]

    def take(self, tensors: Sequence[Tensor]) -> Norms:
        """Keeps the values; their norms."""
        found = norms(tensors)  # first: what has just been written is slow to read
        torch._foreach_copy_(self._old, list(tensors))
        return found

    def moved(self, tensors: Sequence[Tensor]) -> Norms:
        """The norms of what has changed since; once, for it takes the place of what was kept."""
        torch._foreach_sub_(self._old, list(tensors))
        return norms(self._old)


def _together(tensors: Sequence[Tensor]) -> list[Tensor]:
    dtypes = {tensor.dtype for tensor in tensors}
    wide = reduce(torch.promote_types, dtypes, torch.float32) if dtypes & _NARROW else None
    return list(torch._foreach_norm(list(tensors), 2, wide))


def _small(tensors: Sequence[Tensor]) -> Iterator[tuple[int, float]]:
    """The norms of those that are small, by their place."""
    places = [i for i, tensor in enumerate(tensors) if tensor.numel() <= ROW]
    if not places:
        return
    for i, norm in zip(places, _together([tensors[i] for i in places]), strict=True):
        value = norm.item()
        yield i, value if _in_range(value) else _exact(tensors[i])


def _large(tensor: Tensor) -> float:
    norm = _whole(_rows(_flat(tensor)))
    return norm if _in_range(norm) else _exact(tensor)


def _rows(flat: Tensor) -> list[Tensor]:
    """The norms of the rows, and of what is left."""
    dtype = torch.float32 if flat.dtype in _NARROW else None
    whole = flat.numel() - flat.numel() % ROW
    found = [torch.linalg.vector_norm(flat[:whole].view(-1, ROW), dim=1, dtype=dtype)]
    if whole < flat.numel():
        found.append(torch.linalg.vector_norm(flat[whole:], dtype=dtype).view(1))
    return found


def _whole(rows: Sequence[Tensor]) -> float:
    """From the norms of a tensor's rows to its own."""
    return float(torch.linalg.vector_norm(torch.cat(tuple(rows)), dtype=torch.float64))


def _exact(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor, dtype=_wide(tensor)))


def _in_range(norm: float) -> bool:
    return TINY < norm < HUGE or math.isnan(norm)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64


def _flat(tensor: Tensor) -> Tensor:
    """Its numbers in the order in which they lie in memory, whatever its shape's is."""
    if not tensor.is_contiguous():
        tensor = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return tensor.reshape(-1)
