"""The lines of `metrics.jsonl`, whatever has happened to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optbench.files import MIB, parse_json, reading

MOST_LINE = 64 * MIB


def records(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Yield from each line of a `metrics.jsonl` the position after it, and its record.

    The record is None where the line can't be read. A line without an end, the last one, is not
    given at all: a kill tore it.
    """
    position, torn = 0, False
    with reading(path) as file:
        while line := file.readline(MOST_LINE):
            position += len(line)
            ended = line.endswith(b"\n")
            if ended:
                yield position, None if torn else _parse(line)
            torn = not ended  # a part of a line that is longer than any of ours


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):  # an exception for each of a million empty lines takes long
        return None
    try:
        record = parse_json(line)
    except ValueError:
        return None
    step = record.get("step") if isinstance(record, dict) else None
    whole = isinstance(step, int) and not isinstance(step, bool) and abs(step) < 2**63
    return record if whole else None
