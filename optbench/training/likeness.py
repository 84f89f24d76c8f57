"""Whether what a file says is of the kind that a run works with, before it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def refuse_unlike(saved: Any, fresh: Any, where: str) -> None:
    """Refuse saved data whose values are of other types than those that they replace.

    Any number may stand for any other but a bool, and anything for None. Of mappings, the keys
    that both have are compared; of lists and tuples, the values that both have.

    Args:
        saved: what was read.
        fresh: the state of what goes on from it, before it does.
        where: the name of both, for the message.

    Raises:
        ValueError: the first place where the types differ.
    """
    if isinstance(fresh, Mapping) and isinstance(saved, Mapping):
        for key in fresh.keys() & saved.keys():
            refuse_unlike(saved[key], fresh[key], f"{where}.{key}")
    elif isinstance(fresh, list | tuple) and isinstance(saved, list | tuple):
        for number, (one, other) in enumerate(zip(saved, fresh, strict=False)):
            refuse_unlike(one, other, f"{where}.{number}")
    elif not _may_replace(saved, fresh):
        raise ValueError(f"{where} is {saved!r:.40}, not of type {type(fresh).__name__}")


def _may_replace(saved: Any, fresh: Any) -> bool:
    if fresh is None or isinstance(saved, type(fresh)):
        return True
    return not isinstance(fresh, bool) and _is_number(saved) and _is_number(fresh)


def _is_number(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    return isinstance(value, int | float)
