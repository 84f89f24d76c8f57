"""What a program gives as arguments: overrides, texts one by one, and flags."""

from __future__ import annotations

from collections.abc import Iterable

from optbench.errors import UserError


def check_texts(function: str, overrides: Iterable[object]) -> None:
    """Raise UserError for an override that is no text, such as a list of them, or a flag.

    Args:
        function: that was given them.
    """
    for override in overrides:
        if not isinstance(override, str):
            kind = "None" if override is None else f"of type {type(override).__name__}"
            several = isinstance(override, list | tuple)
            hint = f"; of a list: {function}(*overrides)" if several else ""
            raise UserError(
                f"{function}: overrides are texts, such as 'epochs=3', not {kind}{hint}"
            )
        if override.startswith("-"):
            sweeps = override in ("-m", "--multirun")
            hint = "optbench.sweep needs none" if sweeps else f"see help(optbench.{function})"
            raise UserError(f"{override}: a flag of the command line; {hint}")


def check_flag(name: str, value: object) -> None:
    """Raise UserError unless an argument is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{name}={value!r}: expected True or False")
