"""Populations: hyperparameters with a value for each member of a stack of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from optbench.optim.engine.ops import EmaWeights, per_member

PLAIN = frozenset({float, bool, int, type(None), EmaWeights})
"""Types of what has one value."""


def refuse_members(who: str, implementation: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError for what only the loop can do.

    Args:
        who: the optimizer, for the message.
        values: hyperparameters by name, `population` among them if there may be one.
    """
    if implementation == "loop":
        return
    for name, value in () if PLAIN.issuperset(map(type, values.values())) else values.items():
        if _several(value):
            raise ValueError(f"{_has_none(who, implementation)}, but {name} is several; {_LOOP}")
    if values.get("population", False):
        raise ValueError(f"{_has_none(who, implementation)}; {_LOOP}")


_LOOP = "the loop has"


def _has_none(who: str, implementation: str) -> str:
    return f"{who}: implementation={implementation} has no populations"


def _several(value: Any) -> bool:
    """Return whether a value is a tensor of several, or a tuple, such as betas, with one in it."""
    parts = value if isinstance(value, tuple | list) else (value,)
    tensors = [part for part in parts if isinstance(part, Tensor)]
    return bool(tensors) and any(tensor.numel() > 1 for tensor in tensors)


def for_members(hp: Any, ndim: int) -> Any:
    """Return hyperparameters as they go with a population's stack of so many dimensions."""
    return type(hp)(*[per_member(value, ndim) for value in hp])
