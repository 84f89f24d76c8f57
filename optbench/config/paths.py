"""The settings that are paths to data: absolute, so that a run finds its data from any folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from optbench.config.reserved import PATHS


def with_absolute_paths(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The config with `data_root`, `dataset.path` and `dataset.root` absolute, and `~` a folder."""
    node = dict(plain["dataset"])
    for key in PATHS:
        if key in node:
            node[key] = _absolute(node[key])
    return {**plain, "data_root": _absolute(plain["data_root"]), "dataset": node}


def _absolute(value: Any) -> Any:
    if not isinstance(value, str) or not value or "://" in value:
        return value
    return os.path.abspath(os.path.expanduser(value))
