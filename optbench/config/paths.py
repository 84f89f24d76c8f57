"""The settings that are paths: absolute, so that a run finds its data from any folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from optbench.config.reserved import OF_CUSTOM, PATHS
from optbench.config.schedules import VALUE_KEYS

PRETRAINED = "torchvision"
"""`weights=torchvision` or `weights=torchvision:NAME`: no path, but weights by name."""


def is_pretrained(path: Any) -> bool:
    """Return whether `weights.path` is torchvision's; a file of that name is `./torchvision`."""
    return isinstance(path, str) and path.partition(":")[0] == PRETRAINED


def with_absolute_paths(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the paths to data and weights absolute, and `~` a folder.

    So are arguments of these names of a user's own data set, where they name what there is.
    """
    node = dict(plain["dataset"])
    for name in OF_CUSTOM:
        if isinstance(node.get(name), Mapping):
            node[name] = {
                key: _absolute(value) if key in PATHS and _is_there(value) else value
                for key, value in node[name].items()
            }
    for key in PATHS:
        if key in node:
            node[key] = _absolute(node[key])
    paths = {"data_root": _absolute(plain["data_root"]), "dataset": node}
    if "weights" in plain:  # an older run has none
        path = plain["weights"]["path"]
        path = path if is_pretrained(path) else _absolute(path)
        paths["weights"] = {**plain["weights"], "path": path}
    for key in ("schedule", *VALUE_KEYS):
        schedule = plain.get(key)
        if isinstance(schedule, Mapping) and "file" in schedule:
            paths[key] = {**schedule, "file": _absolute(schedule["file"])}
    return {**plain, **paths}


def _is_there(value: Any) -> bool:
    return (
        isinstance(value, str) and "\0" not in value and os.path.exists(os.path.expanduser(value))
    )


def _absolute(value: Any) -> Any:
    if not isinstance(value, str) or not value or "://" in value:
        return value
    return os.path.abspath(os.path.expanduser(value))
