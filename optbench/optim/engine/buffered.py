"""One large tensor that is computed with in memory which is used again and again.

A temporary of some megabytes comes from the system anew at each operation, page by page: on a CPU
that takes longer than the operation itself.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

KEPT = 16
"""Buffers that are kept unused: what needs more for a moment, as LAMB for a large tensor, gives the
others back."""


class Buffers:
    """Memory for the results of operations.

    Args:
        like: a tensor of their dtype and device.
        size: elements of the longest.

    Attributes:
        free: buffers that nobody uses, [size] each.
    """

    def __init__(self, like: Tensor, size: int) -> None:
        self._like, self.size = like, size
        self.free: list[Tensor] = []

    def another(self) -> Tensor:
        """A new buffer."""
        return self._like.new_empty(self.size)


class Buffered:
    """A vector whose operations write their results to buffers, with a tensor's arithmetic.

    A buffer is free again when the result in it is forgotten. The other operand is as long, or a
    number, or a tensor of one element.

    Args:
        tensor: [n], n at most the buffers' size.
        buffers: of its dtype and device.
    """

    __slots__ = ("_buffers", "tensor")

    def __init__(self, tensor: Tensor, buffers: Buffers) -> None:
        self.tensor, self._buffers = tensor, buffers

    def _result(self) -> Buffered:
        buffers = self._buffers
        own = buffers.free.pop() if buffers.free else buffers.another()
        size = self.tensor.numel()
        return _Result(own if size == buffers.size else own[:size], buffers, own)

    @property
    def device(self) -> torch.device:
        """As a tensor's."""
        return self.tensor.device

    def __add__(self, other: Any) -> Buffered:
        result = self._result()
        torch.add(self.tensor, _plain(other), out=result.tensor)
        return result

    def __sub__(self, other: Any) -> Buffered:
        result = self._result()
        torch.sub(self.tensor, _plain(other), out=result.tensor)
        return result

    def __mul__(self, other: Any) -> Buffered:
        result = self._result()
        torch.mul(self.tensor, _plain(other), out=result.tensor)
        return result

    def __truediv__(self, other: Any) -> Buffered:
        result = self._result()
        torch.div(self.tensor, _plain(other), out=result.tensor)
        return result

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Buffered:
        return (-self).add_(other)

    def __neg__(self) -> Buffered:
        result = self._result()
        torch.neg(self.tensor, out=result.tensor)
        return result

    def add(self, other: Buffered, *, alpha: float = 1.0) -> Buffered:
        """`self + alpha * other`."""
        result = self._result()
        torch.add(self.tensor, other.tensor, alpha=alpha, out=result.tensor)
        return result

    def add_(self, other: Any, *, alpha: float = 1.0) -> Self:
        """In place: `self + alpha * other`."""
        self.tensor.add_(_plain(other), alpha=alpha)
        return self

    def sub_(self, other: Any) -> Self:
        """In place."""
        self.tensor.sub_(_plain(other))
        return self

    def mul_(self, other: Any) -> Self:
        """In place."""
        self.tensor.mul_(_plain(other))
        return self

    def div_(self, other: Any) -> Self:
        """In place."""
        self.tensor.div_(_plain(other))
        return self

    def lerp(self, end: Buffered, weight: float) -> Buffered:
        """`self + weight * (end - self)`."""
        result = self._result()
        torch.lerp(self.tensor, end.tensor, weight, out=result.tensor)
        return result

    def lerp_(self, end: Buffered, weight: float) -> Self:
        """In place: `self + weight * (end - self)`."""
        self.tensor.lerp_(end.tensor, weight)
        return self

    def addcmul_(self, left: Buffered, right: Buffered, *, value: float = 1.0) -> Self:
        """In place: `self + value * left * right`."""
        self.tensor.addcmul_(left.tensor, right.tensor, value=value)
        return self

    def addcdiv_(self, over: Buffered, under: Buffered, *, value: float = 1.0) -> Self:
        """In place: `self + value * over / under`."""
        self.tensor.addcdiv_(over.tensor, under.tensor, value=value)
        return self

    def becomes_quotient_of(self, over: Buffered) -> Self:
        """In place: `over / self`."""
        torch.div(over.tensor, self.tensor, out=self.tensor)
        return self

    def reciprocal_(self) -> Self:
        """In place: one over it."""
        self.tensor.reciprocal_()
        return self

    def copy_(self, other: Buffered) -> Self:
        """In place."""
        self.tensor.copy_(other.tensor)
        return self

    def sqrt(self) -> Buffered:
        """Square roots."""
        result = self._result()
        torch.sqrt(self.tensor, out=result.tensor)
        return result

    def rsqrt_(self) -> Self:
        """In place: one over the square roots."""
        self.tensor.rsqrt_()
        return self

    def sign_(self) -> Self:
        """In place: -1, 0 or 1."""
        self.tensor.sign_()
        return self

    def clamp_min_(self, low: Any) -> Self:
        """In place: at least a number."""
        self.tensor.clamp_min_(low)
        return self

    def clamp_(self, low: Any, high: Any) -> Self:
        """In place: between two numbers."""
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            self.tensor.clamp_min_(low).clamp_max_(high)
        else:
            self.tensor.clamp_(low, high)
        return self

    def maximum_(self, other: Buffered) -> Self:
        """In place: the larger of two."""
        torch.maximum(self.tensor, other.tensor, out=self.tensor)
        return self

    def norm(self) -> Tensor:
        """The Euclidean norm."""
        norm: Tensor = torch.linalg.vector_norm(self.tensor)
        return norm


class _Result(Buffered):
    """What an operation gave, in a buffer of its own."""

    __slots__ = ("_own",)

    def __init__(self, tensor: Tensor, buffers: Buffers, own: Tensor) -> None:
        self.tensor, self._buffers, self._own = tensor, buffers, own

    def __del__(self) -> None:
        free = self._buffers.free
        if len(free) < KEPT:
            free.append(self._own)


def _plain(other: Any) -> Any:
    return other.tensor if isinstance(other, Buffered) else other
