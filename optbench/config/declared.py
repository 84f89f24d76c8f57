"""What each key of a config may hold: a run's own settings, and words that stand anywhere."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from optbench.config.fields import EXECUTOR, WORDS, Field
from optbench.config.run_config import NESTED, RunConfig
from optbench.config.setting import Setting, settings_of

SETTINGS: dict[str, Setting] = dict(settings_of(RunConfig, NESTED))
"""A run's settings by dotted key."""

FIXED = tuple(key for key, each in SETTINGS.items() if each.fixed)
"""Those that a resumed run can't change."""

_OWN = {key: each.field for key, each in SETTINGS.items() if each.field is not None} | EXECUTOR


def field_of(key: str) -> Field | None:
    """Return how the value of a dotted key is read; None where its default alone tells."""
    return _OWN.get(key) or WORDS.get(key.rpartition(".")[2])


def holds_numbers(key: str) -> bool | None:
    """Return whether a key holds nothing but numbers and null; None of a key not reserved.

    A length may be `10` and `10%`, Adafactor's eps a number and a pair of them: these do not.

    Args:
        key: dotted.
    """
    field = field_of(key)
    if field is None:
        return None
    return _reads(field, 0, 0.5, 1, 2) and not _reads(field, "10%", "full", "word", [1.0, 1.0])


def takes(key: str, value: Any) -> bool:
    """Return whether a key takes a value; not known of a key not reserved, which is no.

    Args:
        key: dotted.
        value: such as YAML has it.
    """
    field = field_of(key)
    return field is not None and _reads(field, value)


def _reads(field: Field, *values: Any) -> bool:
    """Return whether a field takes one of some values."""
    for value in values:
        with suppress(ValueError, TypeError):
            field.read(value)
            return True
    return False
