"""Plain data as it is typed: on one line, as YAML and overrides have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flow(value: Any) -> str:
    """Return a value as it is typed, without the quotes that some texts need.

    Example:
        >>> flow({"a": [True, None, 0.5, "b"]})
        '{a: [true, null, 0.5, b]}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
