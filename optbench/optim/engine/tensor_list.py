"""Many tensors that are computed with as if they were one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from optbench.optim.engine.number_list import NumberList, numbers_are_at_hand


class TensorList:
    """A list of tensors with a tensor's arithmetic, each operation one `torch._foreach_*` call.

    A rule that is written for tensors runs on lists of them unchanged, on a GPU with one kernel
    launch for many tensors. The other operand is a list of as many tensors, a vector or
    `NumberList` with a number for each, a number, or a tensor of one element.

    Args:
        tensors: of one dtype and device.
    """

    __slots__ = ("tensors",)

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    @property
    def device(self) -> torch.device:
        """As a tensor's."""
        return self.tensors[0].device

    def __add__(self, other: Any) -> TensorList:
        if _is_number_of_device(other):
            return TensorList(torch._foreach_add(self.tensors, other, alpha=1.0))
        return TensorList(torch._foreach_add(self.tensors, _plain(other)))

    def __sub__(self, other: Any) -> TensorList:
        if _is_number_of_device(other):
            return TensorList(torch._foreach_add(self.tensors, -other, alpha=1.0))
        return TensorList(torch._foreach_sub(self.tensors, _plain(other)))

    def __mul__(self, other: Any) -> TensorList:
        return TensorList(torch._foreach_mul(self.tensors, _plain(other)))

    def __truediv__(self, other: Any) -> TensorList:
        return TensorList(torch._foreach_div(self.tensors, _plain(other)))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> TensorList:
        return (-self).add_(other)

    def __neg__(self) -> TensorList:
        return TensorList(torch._foreach_neg(self.tensors))

    def add(self, other: Any, *, alpha: float = 1.0) -> TensorList:
        """Return `self + alpha * other`, where `other` is a list."""
        return TensorList(torch._foreach_add(self.tensors, _plain(other), alpha=alpha))

    def add_(self, other: Any, *, alpha: float = 1.0) -> Self:
        """Set to `self + alpha * other` in place; with an alpha, `other` is a list."""
        if alpha == 1.0 and not _is_number_of_device(other):
            torch._foreach_add_(self.tensors, _plain(other))
        else:
            torch._foreach_add_(self.tensors, _plain(other), alpha=alpha)
        return self

    def sub_(self, other: Any) -> Self:
        """Subtract in place."""
        if _is_number_of_device(other):
            return self.add_(-other)
        torch._foreach_sub_(self.tensors, _plain(other))
        return self

    def mul_(self, other: Any) -> Self:
        """Multiply in place."""
        torch._foreach_mul_(self.tensors, _plain(other))
        return self

    def div_(self, other: Any) -> Self:
        """Divide in place."""
        torch._foreach_div_(self.tensors, _plain(other))
        return self

    def lerp(self, end: TensorList, weight: float) -> TensorList:
        """Return `self + weight * (end - self)`."""
        return TensorList(torch._foreach_lerp(self.tensors, end.tensors, weight))

    def lerp_(self, end: TensorList, weight: float) -> Self:
        """Set to `self + weight * (end - self)` in place."""
        torch._foreach_lerp_(self.tensors, end.tensors, weight)
        return self

    def addcmul_(self, left: TensorList, right: TensorList, *, value: float = 1.0) -> Self:
        """Set to `self + value * left * right` in place."""
        torch._foreach_addcmul_(self.tensors, left.tensors, right.tensors, value)
        return self

    def addcdiv_(self, over: TensorList, under: TensorList, *, value: float = 1.0) -> Self:
        """Set to `self + value * over / under` in place."""
        torch._foreach_addcdiv_(self.tensors, over.tensors, under.tensors, value)
        return self

    def copy_(self, other: TensorList) -> Self:
        """Copy in place."""
        torch._foreach_copy_(self.tensors, other.tensors)
        return self

    def sqrt(self) -> TensorList:
        """Return the square roots."""
        return TensorList(torch._foreach_sqrt(self.tensors))

    def reciprocal_(self) -> Self:
        """Take one over each in place."""
        torch._foreach_reciprocal_(self.tensors)
        return self

    def rsqrt_(self) -> Self:
        """Take one over the square roots in place."""
        torch._foreach_rsqrt_(self.tensors)
        return self

    def sign_(self) -> Self:
        """Take the signs in place."""
        torch._foreach_sign_(self.tensors)
        return self

    def clamp_min_(self, low: Any) -> Self:
        """Bound in place to at least a number."""
        torch._foreach_clamp_min_(self.tensors, self._each(low))
        return self

    def clamp_(self, low: Any, high: Any) -> Self:
        """Bound in place between two numbers."""
        torch._foreach_clamp_min_(self.tensors, self._each(low))
        torch._foreach_clamp_max_(self.tensors, self._each(high))
        return self

    def _each(self, bound: Any) -> Any:
        """Return a bound as torch takes it without looking at its number."""
        return [bound] * len(self.tensors) if _is_number_of_device(bound) else bound

    def maximum_(self, other: TensorList) -> Self:
        """Take the larger of two in place."""
        torch._foreach_maximum_(self.tensors, other.tensors)
        return self

    def norm(self) -> TensorList:
        """Return the Euclidean norm of each tensor."""
        return TensorList(torch._foreach_norm(self.tensors))

    def to(self, dtype: torch.dtype) -> TensorList:
        """Return the tensors in another dtype."""
        return TensorList([tensor.to(dtype) for tensor in self.tensors])

    def __iter__(self) -> Any:
        return iter(self.tensors)


def _is_number_of_device(value: Any) -> bool:
    """Return whether it is a tensor of one number, which torch may read to have Python's: a GPU
    would be waited for."""
    return isinstance(value, Tensor) and value.ndim == 0


def _plain(other: Any) -> Any:
    if isinstance(other, TensorList):
        return other.tensors
    if isinstance(other, Tensor) and other.ndim == 1 and len(other) > 1:
        return other.tolist() if numbers_are_at_hand(other.device) else list(other.unbind())
    return other.values if isinstance(other, NumberList) else other
