"""What a run measured, as polars frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.rundir import RECORD_KEYS

if TYPE_CHECKING:
    import polars

MOST_CELLS = 100_000_000
"""Of a frame: 800 MB. A record may have any tags, so a file of these may be much smaller."""


def _polars() -> Any:
    try:
        import polars
    except ImportError:
        raise UserError(
            "frames need polars, which is not installed: pip install 'optbench[frames]'"
        ) from None
    return polars


def frame(records: Iterable[Mapping[str, Any]], name: str) -> polars.DataFrame:
    """Return a frame with a row a record and a column a tag; null where a record has none.

    Args:
        records: lines of `metrics.jsonl`, whoever wrote them.
        name: of the run, for messages.
    """
    pl = _polars()
    texts: list[str | None] = []
    numbers: dict[str, list[float | None]] = {"epoch": [], "seconds": [], "passes": []}
    whole: dict[str, list[int | None]] = {"step": [], "examples": []}
    tags: dict[str, dict[int, float]] = {}
    for row, record in enumerate(records):
        kind = record.get("kind")
        texts.append(kind if isinstance(kind, str) else None)
        for key, column in numbers.items():
            column.append(_number(record.get(key)))
        for key, counts in whole.items():
            counts.append(_count(record.get(key)))
        for tag, value in record.items():
            if tag not in RECORD_KEYS:
                found = _number(value)
                if found is not None:
                    tags.setdefault(tag, {})[row] = found
        if (row + 1) * len(tags) > MOST_CELLS:
            raise UserError(f"{name}: more than {MOST_CELLS:,} values; see Run.records and series")
    columns = {
        "kind": pl.Series(texts, dtype=pl.String),
        "step": pl.Series(whole["step"], dtype=pl.Int64),
        "epoch": pl.Series(numbers["epoch"], dtype=pl.Float64),
        "examples": pl.Series(whole["examples"], dtype=pl.Int64),
        "seconds": pl.Series(numbers["seconds"], dtype=pl.Float64),
        "passes": pl.Series(numbers["passes"], dtype=pl.Float64),
    }
    for tag, values in tags.items():
        columns[tag] = pl.Series([values.get(row) for row in range(len(texts))], dtype=pl.Float64)
    return pl.DataFrame(columns)


def series(records: Iterable[Mapping[str, Any]], tag: str, name: str) -> polars.DataFrame:
    """Return a tag's values by step, the last of each; raise UserError if nothing has the tag."""
    if not isinstance(tag, str):
        raise UserError(f"series: expected a tag, such as 'val/loss', not {tag!r:.80}")
    pl = _polars()
    values: dict[int, float] = {}
    tags: set[str] = set()
    for record in records:
        found = _number(record.get(tag))
        step = _count(record.get("step"))
        if found is not None and step is not None and tag not in RECORD_KEYS:
            values[step] = found
        elif not values:
            tags |= {other for other in record if other not in RECORD_KEYS}
    if not values:
        hint = did_you_mean(tag, tags) if tags else "nothing was"
        raise UserError(f"{name}: {tag} was not measured; {hint}")
    ordered = sorted(values.items())
    return pl.DataFrame(
        {
            "step": pl.Series([step for step, _ in ordered], dtype=pl.Int64),
            "value": pl.Series([value for _, value in ordered], dtype=pl.Float64),
        }
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of four hundred digits
        return math.inf if value > 0 else -math.inf


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and abs(value) < 2**63 else None
