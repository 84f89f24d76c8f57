"""Nested state as data that can be saved without pickling code, and back."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import Any

import torch

_QUEUE, _OBJECT, _GENERATOR = "<queue>", "<object>", "<generator>"
_ATOMS = (bool, int, float, str, type(None), torch.Tensor, torch.dtype)
CODE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type, Enum)
WITHIN = (*_ATOMS, list, tuple, dict, deque, torch.Generator)
"""The types that attributes may have to count as data."""


def plain(value: Any) -> Any:
    """Return plain data for a value: queues, generators and objects become dictionaries.

    Functions, classes and enumerations inside a dictionary are left out: they do not change.
    """
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items() if not isinstance(v, CODE)}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value) if type(value) in (list, tuple) else value
    if isinstance(value, deque):
        return {_QUEUE: [plain(item) for item in value], "maxlen": value.maxlen}
    if isinstance(value, torch.Generator):
        return {_GENERATOR: value.get_state()}
    if isinstance(value, _ATOMS) or not hasattr(value, "__dict__"):
        return value
    return {_OBJECT: plain(vars(value))}


def unplain(value: Any, like: Any = None) -> Any:
    """Return the value that `plain` was given.

    Args:
        value: what `plain` gave.
        like: the value that it replaces, whose objects are filled.
    """
    if isinstance(value, Mapping):
        if _QUEUE in value:
            items = [unplain(item) for item in value[_QUEUE]]
            return deque(items, maxlen=value["maxlen"])
        if _GENERATOR in value:
            like.set_state(value[_GENERATOR])
            return like
        if _OBJECT in value:
            for key, item in value[_OBJECT].items():
                if isinstance(getattr(like, key, None), CODE):
                    raise ValueError(f"{key} is not an attribute of {type(like).__name__}")
                setattr(like, key, unplain(item, getattr(like, key, None)))
            return like
        inside = like if isinstance(like, Mapping) else {}
        return {k: unplain(v, inside.get(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        others = like if isinstance(like, list | tuple) and len(like) == len(value) else None
        pairs = zip(value, others or [None] * len(value), strict=True)
        return type(value)(unplain(item, other) for item, other in pairs)
    return value


def holds_objects(value: Any) -> bool:
    """Return whether plain data stands for objects, which must exist before they are filled."""
    if isinstance(value, Mapping):
        return _OBJECT in value or any(map(holds_objects, value.values()))
    return isinstance(value, list | tuple) and any(map(holds_objects, value))
