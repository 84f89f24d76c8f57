"""A number for each of several tensors."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def numbers_are_at_hand(device: torch.device) -> bool:
    """Return whether to read a number from a device is to wait for nobody."""
    return device.type == "cpu"


class NumberList:
    """Python's numbers, computed with all at once: for a few, ten times faster than a tensor.

    Args:
        values: one for each tensor of a `TensorList`.
    """

    __slots__ = ("values",)

    def __init__(self, values: Iterable[float]) -> None:
        self.values = list(values)

    def __add__(self, other: NumberList) -> NumberList:
        return NumberList(map(float.__add__, self.values, other.values))

    def __mul__(self, other: float) -> NumberList:
        return NumberList(value * other for value in self.values)

    def over_or_one(self, other: NumberList) -> NumberList:
        """Return `self / other` where both are positive, else 1."""
        pairs = zip(self.values, other.values, strict=True)
        return NumberList(over / under if over > 0 and under > 0 else 1.0 for over, under in pairs)
