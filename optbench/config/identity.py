"""What decides the result of a run, as a hash: runs of one hash are one run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from optbench.config.deciding import what_decides
from optbench.config.moved import once, with_paths

LENGTH = 16
"""Letters of a hash."""


def identity(plain: Mapping[str, Any]) -> str:
    """Return the hash of what decides a run's result, of its resolved config.

    Example:
        >>> identity({"seed": 1, "name": "a"}) == identity({"seed": 1, "name": "b"})
        True
    """
    kept = what_decides(plain)
    target = kept.get("target")
    if isinstance(target, Mapping):
        kept["target"] = {key: value for key, value in target.items() if key != "source"}
    return digest(with_paths(kept, once))


def digest(plain: Any) -> str:
    """Return the hash of plain data, whatever the order of its keys."""
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]
