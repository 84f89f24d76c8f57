"""The columns of TensorBoard's table of runs: which there are, and the one type of each.

TensorBoard takes the columns from one run of those that it shows, and sorts by comparing values, so
all runs of a sweep have the same columns, and no column holds numbers and texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optbench.config.declared import holds_numbers
from optbench.config.flow import flow

RUNS = ("model", "dataset")
PLAYERS = (
    "optimizer",
    "optimizer.lr",
    "optimizer.weight_decay",
    "optimizer.momentum",
    "schedule",
)
"""What each player has of its own; an ordinary run's only one under no name."""
REST = ("batch_size", "precision", "seed")

NUMBER, BOOL, TEXT = "number", "bool", "text"
KINDS = (NUMBER, BOOL, TEXT)

Row = dict[str, Any]
"""A run's hyperparameters by column, null among them."""


def row(config: Mapping[str, Any], choices: Mapping[str, str], overridden: Sequence[str]) -> Row:
    """Return a run's standard hyperparameters, and what the command line overrides.

    Args:
        config: the resolved config, plain.
        choices: the choice of each group, a player's under `player.NAME.optimizer`.
        overridden: keys that the command line set.
    """
    at = [f"player.{name}." for name in config.get("player") or ()] or [""]
    standard = (*RUNS, *(prefix + key for prefix in at for key in PLAYERS), *REST)
    found: Row = {}
    for key in dict.fromkeys((*standard, *overridden)):
        if key in choices:
            found[key] = choices[key]
            continue
        value = _select(config, key)
        standing = value is not None and not isinstance(value, Mapping)
        if value is not _MISSING and (standing or key in overridden):
            found[key] = value
    return found


def columns_of(rows: Sequence[Row], varied: Sequence[str] = ()) -> dict[str, str]:
    """Return the columns that some runs have in common, each with its kind.

    What a sweep varies is of the kind that all its values are, or text. Any other key is of the
    same kind whatever its value and whichever the run, so that runs which know nothing of each
    other can stand in one table.

    Args:
        rows: of all runs of a sweep, or of one run.
        varied: the keys that differ among them.
    """
    found: dict[str, str] = {}
    for key in dict.fromkeys(key for each in rows for key in each):
        values = [each[key] for each in rows if key in each]
        kinds = set(map(_kind, values)) if key in varied else set(_kinds_of(key, values))
        if kinds:
            found[key] = kinds.pop() if len(kinds) == 1 else TEXT
    return found


def cells(own: Row, columns: Mapping[str, str], batch_size: int) -> dict[str, str | float | bool]:
    """Return what a run has in the columns; a cell is empty without a value of the column's kind.

    Args:
        own: the run's row.
        columns: with their kinds.
        batch_size: what `full` is.
    """
    found: dict[str, str | float | bool] = {}
    for key, kind in columns.items():
        if key not in own:
            continue
        value = own[key]
        if kind == TEXT:
            found[key] = flow(value)
        elif kind == NUMBER and key == "batch_size" and value == "full":
            found[key] = batch_size
        elif kind == _kind(value):
            found[key] = value
    return found


def _kinds_of(key: str, values: Sequence[Any]) -> Iterator[str]:
    """Yield the kinds of a key's values: what it is said to hold, wherever that is known."""
    known = True if key == "batch_size" else holds_numbers(key)
    for value in values:
        if isinstance(value, str) and key != "batch_size":
            yield TEXT
        elif known is not None:
            yield NUMBER if known else TEXT
        elif isinstance(value, bool):
            yield BOOL
        elif value is not None:
            yield NUMBER if isinstance(value, int | float) else TEXT


def _kind(value: Any) -> str:
    """Return the kind of a value; TensorBoard's numbers are finite."""
    if isinstance(value, bool):
        return BOOL
    return NUMBER if isinstance(value, int | float) and math.isfinite(value) else TEXT


_MISSING = object()


def _select(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return _MISSING
        node = node[part]
    return node
