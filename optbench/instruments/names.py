"""The instruments by name; each is imported when it is asked for."""

from __future__ import annotations

CLASSES: dict[str, str] = {}
"""`optbench.instruments.MODULE.CLASS` by name, in the order in which they are listed."""

SETS: dict[str, tuple[str, ...]] = {}
"""Names of several instruments together, such as `economy`."""
