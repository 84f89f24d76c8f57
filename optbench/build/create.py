"""An object from a node with a `_target_`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from optbench.errors import UserError

EXTRAS = {
    "pytorch_optimizer": "; pip install 'optbench[zoo]'",
    "schedulefree": "; pip install 'optbench[zoo]'",
    "einops": "; pip install 'optbench[zoo]'",
}
"""Packages that are not always there, and where they come from."""


def locate(path: str, key: str) -> Any:
    """The class or function with this dotted path.

    Raises:
        UserError: there is none; `key` is named.
    """
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:cut])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name in EXTRAS or not (name + ".").startswith(f"{error.name}."):
                hint = EXTRAS.get(str(error.name), "")
                raise UserError(
                    f"{key}={path}: needs {error.name}, which is missing{hint}"
                ) from None
            continue
        try:
            for part in parts[cut:]:
                found = getattr(found, part)
        except AttributeError:
            break
        return found
    raise UserError(f"{key}={path}: no such class or function")


def arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node's keyword arguments: its keys but `_..._`, nested nodes created."""
    return {key: _value(value) for key, value in node.items() if not key.startswith("_")}


def create(node: Mapping[str, Any], key: str, *positional: Any, **extra: Any) -> Any:
    """Calls the node's `_target_` with its arguments; `_partial_: true` gives the bound callable.

    Args:
        node: from the config.
        key: of the node, for messages.
        positional, extra: further arguments.

    Raises:
        UserError: no such target, or it refuses its arguments.
    """
    target = locate(str(node["_target_"]), f"{key}._target_")
    given = arguments(node) | extra
    if node.get("_partial_"):
        return partial(target, *positional, **given)
    return call(target, key, *positional, **given)


def call(target: Any, key: str, *positional: Any, **given: Any) -> Any:
    """Calls a component; what it raises about its arguments becomes one line for the user."""
    try:
        return target(*positional, **given)
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        message = " ".join(str(error).split())
        raise UserError(f"{key}: {message}") from error


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return create(value, str(value["_target_"]))
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value
