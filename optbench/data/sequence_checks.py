"""Checks of the settings of texts and made-up sequences."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from optbench.errors import Argument, ArgumentError


def check_whole(name: str, key: str, value: object, low: int, why: str = "") -> None:
    """Raise ArgumentError unless the value is a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        reason = f", {why}" if why else ""
        what = f" must be a whole number, at least {low}{reason}"
        raise ArgumentError(f"{name}: ", Argument(key, value), what)


def check_choice(name: str, key: str, value: object, known: Iterable[str]) -> None:
    """Raise ArgumentError unless the value is one of the words, and name the nearest."""
    words = list(known)
    if value not in words:
        nearest = difflib.get_close_matches(str(value).lower(), words, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        what = f" is not known{hint} (one of {', '.join(words)})"
        raise ArgumentError(f"{name}: ", Argument(key, value), what)
