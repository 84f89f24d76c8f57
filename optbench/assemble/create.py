"""An object from a node with a `_target_`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import partial, reduce
from typing import Any

from optbench.assemble.own import module_of, told
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
        OwnCodeError: a module of the user's own fails when it is imported.
    """
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        if not all(parts):
            break
        module = _module(".".join(parts[:cut]), path, key)
        if module is None:
            continue
        try:
            found: Any = reduce(getattr, parts[cut:], module)
        except Exception:  # a module may look for names in ways of its own
            break
        if not callable(found):
            raise UserError(f"{key}={path}: expected a class or function, found {kind_of(found)}")
        return found
    raise UserError(f"{key}={path}: no such class or function")


def _module(name: str, path: str, key: str) -> Any:
    """A module by its dotted name, None if there is none."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in EXTRAS or not (name + ".").startswith(f"{error.name}."):
            hint = EXTRAS.get(str(error.name), "")
            raise UserError(f"{key}={path}: needs {error.name}, which is missing{hint}") from error
        return None
    except (Exception, SystemExit) as error:
        raise told(error, f"{key}={path}: can't be imported", [name]) from error


def parameters_of(target: Any) -> Mapping[str, inspect.Parameter]:
    """What a class or function takes, by name; of some in C nothing is known."""
    try:
        return inspect.signature(target).parameters
    except (ValueError, TypeError):
        return {}


def kind_of(value: Any) -> str:
    """What something is, for messages."""
    return "nothing" if value is None else f"an object of {type(value).__name__}"


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
    """Calls a component.

    Raises:
        UserError: it does not take the arguments, or refuses their values.
        OwnCodeError: a class or function of the user's own fails otherwise.
    """
    try:
        return target(*positional, **given)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise told(error, key, [module_of(target)], refuses=ValueError) from error


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return create(value, str(value["_target_"]))
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value
