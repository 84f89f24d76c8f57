"""Members' hyperparameters as tensors, a value for each member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optbench.optim.engine.ops import EmaWeights

Group = dict[str, Any]


class MemberSettings:
    """The numbers of one parameter group of all members, `[members, 1]`, in double precision.

    They lie where the parameters do, and are sent there only when one has changed.

    Args:
        groups: of each member, the optimizer's group, which schedules change.
        device: of the parameters.
    """

    def __init__(self, groups: Sequence[Group], device: torch.device) -> None:
        self._groups = groups
        self._places: list[tuple[str, int | None]] = []
        for name, value in groups[0].items():
            if _is_number(value):
                self._places.append((name, None))
            elif isinstance(value, tuple) and value and all(map(_is_number, value)):
                self._places += [(name, place) for place in range(len(value))]
        self._array = np.zeros((len(self._places), len(groups), 1))
        self._numbers = torch.from_numpy(self._array)
        self._changed = False
        for member in range(len(groups)):
            self.read(member)
        self._sent = self._numbers if device.type == "cpu" else self._numbers.to(device)
        self._values: dict[str, Any] = {**groups[0]}
        parts = list(self._sent.unbind(0))
        for (name, place), part in zip(self._places, parts, strict=True):
            self._values[name] = part if place is None else self._tuple(name, parts)
        self._changed = False

    @property
    def values(self) -> dict[str, Any]:
        """The group's settings by name, a tensor for each number."""
        if self._changed and self._sent is not self._numbers:
            self._sent.copy_(self._numbers, non_blocking=True)
        self._changed = False
        return self._values

    def _tuple(self, name: str, parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
        pairs = zip(self._places, parts, strict=True)
        return tuple(part for (other, _), part in pairs if other == name)

    def read(self, member: int) -> bool:
        """Take a member's numbers as they are now; return whether one has changed."""
        group, array, moved = self._groups[member], self._array, False
        for row, (name, place) in enumerate(self._places):
            now = group[name] if place is None else group[name][place]
            if array[row, member, 0] != now:
                array[row, member, 0] = now
                self._changed = moved = True
        return moved

    def alike(self) -> list[list[int]]:
        """Return the members by which of them have the same numbers."""
        found: dict[bytes, list[int]] = {}
        for member in range(len(self._groups)):
            found.setdefault(self._array[:, member].tobytes(), []).append(member)
        return list(found.values())


def cast(values: Mapping[str, Any], like: Tensor) -> dict[str, Any]:
    """Return values with their tensors in the dtype of another, in one pass."""
    found: list[Tensor] = []
    for value in values.values():
        found += _tensors(value)
    if not found:
        return dict(values)
    moved = iter(torch.stack(found).to(like.dtype).unbind(0))
    return {name: _replaced(value, moved) for name, value in values.items()}


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [v for v in value if isinstance(v, Tensor)] if isinstance(value, EmaWeights) else []


def _replaced(value: Any, moved: Any) -> Any:
    if isinstance(value, Tensor):
        return next(moved)
    if isinstance(value, EmaWeights):
        return type(value)(*[next(moved) if isinstance(v, Tensor) else v for v in value])
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
