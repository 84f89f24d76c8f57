"""Euclidean norms of tensors, right to six digits, at little more than what torch's cost.

torch adds up the squares of a whole tensor in its own precision and in a few sums: of a float32
layer with two million numbers the fourth digit is wrong, and of numbers that are all alike the
second. Here pieces of some thousand are added up like that, and the pieces in double precision.
What is beyond the range of a square (1e-23, 1e20) is divided by its largest number and taken again.

Between two steps the caches are full of the model. Of a small layer it is then the calls that
cost, torch's far more than numpy's, which reach less code. Of a large one it is memory, and whole
tensors at a time are what torch gives fastest. A copy and its norm, or a difference and its norm,
in blocks that stay in a cache: at rest that took as long, and on a busy machine longer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import reduce
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

ROW = 2048
"""Numbers that torch adds up in their own precision."""

PIECE = 8192
"""The same of numpy, which has more sums at a time; of more numbers it would use threads."""

SMALL = 1 << 18
"""Numbers up to which a tensor is numpy's: 1 MiB of float32."""

SHORTEST = 128
"""Of rows as a tensor's last dimension has them: each costs a call of its own inside torch's."""

TINY, HUGE = 1e-15, 1e18
"""Outside of them squares of float32 are not what they should be."""

SMALLEST = 1e-30
"""Of what has an inverse in float32."""

Norms = list[Tensor] | list[float]

_NARROW = {torch.float16, torch.bfloat16}
_NUMPYS = {torch.float32, torch.float64}


class Snapshot(Protocol):
    """Norms of tensors, and of how far they have moved since they were kept.

    Norms are numbers of what a processor holds, else tensors.
    """

    def norms(self, tensors: Sequence[Tensor]) -> Norms:
        """Return the norm of each."""
        ...

    def take(self, tensors: Sequence[Tensor]) -> Norms:
        """Keep the values; return their norms."""
        ...

    def moved(self, tensors: Sequence[Tensor]) -> Norms:
        """Return the norms of what has changed since; once, for it replaces what was kept."""
        ...


def snapshot(like: Sequence[Tensor]) -> Snapshot:
    """Return a snapshot of tensors with the number, shapes and types of these.

    Which calls fit them is found out once: to ask each time costs as much as a norm.
    """
    small = [_is_small(tensor) for tensor in like]
    if all(small):
        return _InNumpy()
    return _InBoth(small) if any(small) else _InTorch()


class _InNumpy:
    """A snapshot of small tensors."""

    def __init__(self) -> None:
        self._addresses: list[int] = []
        self._views: list[Any] = []
        self._old: list[Any] = []
        self._pieces: list[list[Any]] = []
        self._tame = False  # of inf - inf numpy warns; to say not to costs more than the rest

    def norms(self, tensors: Sequence[Tensor]) -> list[float]:
        return [_of_pieces(_pieces(tensor.detach().numpy())) for tensor in tensors]

    def take(self, tensors: Sequence[Tensor]) -> list[float]:
        new = self._arrays(tensors)
        if not self._old:
            self._old = [np.empty_like(array, order="C") for array in new]
            self._pieces = [_pieces(array) for array in self._old]
        for old, array in zip(self._old, new, strict=True):
            np.copyto(old, array)
        found = [_of_pieces(pieces) for pieces in self._pieces]
        self._tame = all([norm < HUGE for norm in found])
        return found

    def moved(self, tensors: Sequence[Tensor]) -> list[float]:
        with nullcontext() if self._tame else np.errstate(all="ignore"):
            for old, array in zip(self._old, self._arrays(tensors), strict=True):
                np.subtract(old, array, out=old)
        return [_of_pieces(pieces) for pieces in self._pieces]

    def _arrays(self, tensors: Sequence[Tensor]) -> list[Any]:
        """Return the tensors as arrays, which they stay as long as they lie where they did.

        To ask where costs a tenth of making an array. Nothing else comes to lie there meanwhile,
        for an array keeps its memory.
        """
        addresses = [tensor.data_ptr() for tensor in tensors]
        if addresses != self._addresses:
            self._views = [tensor.detach().numpy() for tensor in tensors]
            self._addresses = addresses
        return self._views


class _InTorch:
    """A snapshot of tensors that are large, of a rare type, or on a GPU."""

    def __init__(self) -> None:
        self._old: list[Tensor] = []

    @torch.no_grad()
    def norms(self, tensors: Sequence[Tensor]) -> Norms:
        return _of_tensors(tensors)

    @torch.no_grad()
    def take(self, tensors: Sequence[Tensor]) -> Norms:
        if not self._old:
            self._old = [torch.empty_like(tensor) for tensor in tensors]
        found = _of_tensors(tensors)
        torch._foreach_copy_(self._old, list(tensors))
        return found

    @torch.no_grad()
    def moved(self, tensors: Sequence[Tensor]) -> Norms:
        torch._foreach_sub_(self._old, list(tensors))
        return _of_tensors(self._old)


class _InBoth:
    """A snapshot of tensors of which some are small."""

    def __init__(self, small: Sequence[bool]) -> None:
        self._small, self._numpy, self._torch = small, _InNumpy(), _InTorch()

    def norms(self, tensors: Sequence[Tensor]) -> Norms:
        small, large = self._split(tensors)
        return self._joined(self._numpy.norms(small), self._torch.norms(large))

    def take(self, tensors: Sequence[Tensor]) -> Norms:
        small, large = self._split(tensors)
        return self._joined(self._numpy.take(small), self._torch.take(large))

    def moved(self, tensors: Sequence[Tensor]) -> Norms:
        small, large = self._split(tensors)
        return self._joined(self._numpy.moved(small), self._torch.moved(large))

    def _split(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        pairs = list(zip(self._small, tensors, strict=True))
        return [t for small, t in pairs if small], [t for small, t in pairs if not small]

    def _joined(self, small: Norms, large: Norms) -> Norms:
        of_small, of_large = iter(small), iter(large)
        found: list[Any] = [next(of_small if own else of_large) for own in self._small]
        return found


def _is_small(tensor: Tensor) -> bool:
    plain = type(tensor) in (Tensor, nn.Parameter) and tensor.device.type == "cpu"
    return plain and tensor.dtype in _NUMPYS and tensor.numel() <= SMALL


def _pieces(array: Any) -> list[Any]:
    if array.size <= PIECE:
        return [array]
    numbers = array.reshape(-1)
    return [numbers[start : start + PIECE] for start in range(0, array.size, PIECE)]


def _of_pieces(pieces: list[Any]) -> float:
    """Return the norm of an array in pieces; vdot, unlike dot, warns of no overflow."""
    if len(pieces) == 1:
        norm = math.sqrt(np.vdot(pieces[0], pieces[0]))
    else:
        norm = math.sqrt(sum([float(np.vdot(piece, piece)) for piece in pieces]))
    if TINY < norm < HUGE or math.isnan(norm):
        return norm
    return _scaled(torch.from_numpy(np.concatenate([piece.reshape(-1) for piece in pieces])))


def _of_tensors(tensors: Sequence[Tensor]) -> Norms:
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
