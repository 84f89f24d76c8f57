"""Classes that stood elsewhere: configs of then name them so, and mean the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_FAMILIES = {
    "first_order": "adabelief adabound adagrad_eps_inside adan amsgrad heavy_ball lamb lars lion "
    "momentum nag rmsprop_eps_inside sparse_adam",
    "second_order": "sophia",
    "wrappers": "lookahead sam",
}
"""Modules of `optbench.optim` that became modules of its parts."""

_NOW = {
    f"optbench.optim.{module}": f"optbench.optim.{family}.{module}"
    for family, modules in _FAMILIES.items()
    for module in modules.split()
}
_NOW["optbench.instruments.updates"] = "optbench.instruments.next_updates"
_ONCE = {now: once for once, now in _NOW.items()}


def now(path: str) -> str:
    """Return the dotted path of a class as it is now.

    Example:
        >>> now("optbench.optim.lion.Lion")
        'optbench.optim.first_order.lion.Lion'
    """
    return _renamed(path, _NOW)


def once(path: str) -> str:
    """Return the dotted path that a class had first, by which runs are known."""
    return _renamed(path, _ONCE)


def _renamed(path: str, names: Mapping[str, str]) -> str:
    module, dot, name = path.rpartition(".")
    return names.get(module, module) + dot + name


def with_paths(plain: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with the path of each `_target_` changed."""
    if isinstance(plain, Mapping):
        return {
            key: change(value)
            if key == "_target_" and isinstance(value, str)
            else with_paths(value, change)
            for key, value in plain.items()
        }
    if isinstance(plain, list):
        return [with_paths(item, change) for item in plain]
    return plain
