"""Large tables of alike tests: a few of their rows in every run, all of them among the slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

ParameterSet = type(pytest.param())


def few(rows: Iterable[Any], ordinary: int) -> list[Any]:
    """Return the rows of a table with all but `ordinary` of them, evenly spread, marked as slow.

    A tuple is a row of several arguments.
    """
    table = list(rows)
    kept = {number * len(table) // ordinary for number in range(min(ordinary, len(table)))}
    return [row if number in kept else _slow(row) for number, row in enumerate(table)]


def _slow(row: Any) -> Any:
    if isinstance(row, ParameterSet):
        return pytest.param(*row.values, marks=[*row.marks, pytest.mark.slow], id=row.id)
    return pytest.param(*(row if isinstance(row, tuple) else (row,)), marks=pytest.mark.slow)
