"""The ranges of hyperparameters: a ValueError names the key and the value, as torch's do.

Tensors pass: looking at one would wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor


def at_least_zero(group: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError unless each is at least 0."""
    _each(group, names, lambda value: value >= 0, "must be at least 0")


def above_zero(group: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError unless each is above 0."""
    _each(group, names, lambda value: value > 0, "must be above 0")


def in_unit_interval(group: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError unless each lies in [0, 1)."""
    _each(group, names, lambda value: 0 <= value < 1, "must be in [0, 1)")


def betas_in_range(betas: Iterable[Any]) -> None:
    """Raise ValueError unless every one lies in [0, 1)."""
    named = {f"beta{number}": beta for number, beta in enumerate(betas, start=1)}
    in_unit_interval(named, *named)


def _each(
    group: Mapping[str, Any], names: Iterable[str], holds: Callable[[Any], bool], what: str
) -> None:
    for name in names:
        value = group[name]
        if not isinstance(value, Tensor) and not holds(value):
            raise ValueError(f"{name} {what}, got {value}")
