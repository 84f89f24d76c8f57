"""What a library refuses, in the words of the config that led there. No torch."""

from __future__ import annotations

from optbench.config.flow import flow
from optbench.errors import Argument, ArgumentError, Choice

ENVIRONMENT = {"dataset.root": "OPTBENCH_DATA"}
"""Keys that an environment variable sets too."""


def in_keys(error: ArgumentError, at: str | None) -> str:
    """Return the message as the command line has it: `dataset.noise=-1 must not be negative`.

    Args:
        at: the key that the arguments stand below; None where no key leads to them.
    """
    return "".join(_worded(part, at) for part in error.parts)


def names_key(error: ArgumentError, at: str | None) -> bool:
    """Return whether the message says itself which keys it is about."""
    return at is not None and any(isinstance(part, Argument) for part in error.parts)


def _worded(part: str | Argument | Choice, at: str | None) -> str:
    if isinstance(part, Choice):
        return f"{part.kind}={part.name}"
    if isinstance(part, str) or at is None:
        return str(part)
    key = f"{at}.{part.name}"
    if part.value is not ...:
        return f"{key}={flow(part.value)}"
    return f"{key} (or {ENVIRONMENT[key]})" if key in ENVIRONMENT else key
