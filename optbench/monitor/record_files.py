"""The files of records, cut to where a checkpoint was written, with a count of what is gone.

A checkpoint says how long each file was (`Recorder.positions`). What a run writes anew from there
is dropped, and nothing else: a line that can't be read stays where it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.files import naming, open_regular, reading
from optbench.monitor.event_file import read_events
from optbench.rundir import RunDir, records

EVENT_FILES = "events.out.tfevents.*"


def cut(
    folder: RunDir,
    positions: Mapping[str, int],
    warn: Callable[[str], None],
    note: Callable[[str], None],
) -> dict[str, int]:
    """Drops what is after `positions` from the files of records.

    Args:
        folder: of the run.
        positions: the length of each file; a file that is not named had not begun.
        warn: is told of what is missing or can't be read.
        note: is told of what is dropped.

    Returns:
        The lengths of the event files that are left, for the positions of the next checkpoint.
    """
    _cut_lines(folder.metrics, positions.get(folder.metrics.name, 0), warn, note)
    left = {}
    present = [f"tb/{path.name}" for path in sorted(folder.tensorboard.glob(EVENT_FILES))]
    for name in dict.fromkeys([*(n for n in positions if n.startswith("tb/")), *present]):
        kept = _cut_events(folder.path / name, positions.get(name, 0), warn, note)
        if kept is not None:
            left[name] = kept
    return left


def _cut_lines(
    path: Path, length: int, warn: Callable[[str], None], note: Callable[[str], None]
) -> None:
    if not path.exists():
        if length:
            warn(f"{path.name} is missing: what had been recorded is lost")
        return
    lines = [(end, record is not None) for end, record in records(path)]
    kept = _kept(path, length, [end for end, _ in lines], warn)
    within = [good for end, good in lines if end <= kept]
    if bad := within.count(False):
        warn(f"{path.name}: {bad} of {len(within)} lines can't be read; they stay as they are")
    _shorten(path, kept, len(lines) - len(within), note)


def _cut_events(
    path: Path, length: int, warn: Callable[[str], None], note: Callable[[str], None]
) -> int | None:
    """The length that is left of the file, None if it is not there."""
    if not path.exists():
        if length:
            warn(f"tb/{path.name} is missing: what had been recorded in it is lost")
        return None
    with reading(path) as file:
        ends = [end for _, end in read_events(file)]
    kept = _kept(path, length, ends, warn)
    within = [0, *(end for end in ends if end <= kept)]
    if within[-1] < kept:
        warn(f"tb/{path.name} is damaged after byte {within[-1]:,}: TensorBoard stops there")
    _shorten(path, kept, len(ends) + 1 - len(within), note)
    return kept


def _kept(path: Path, length: int, ends: Sequence[int], warn: Callable[[str], None]) -> int:
    """What of a file is kept: `length`, or up to the last whole record of one too short for it."""
    size = path.stat().st_size
    if size >= length:
        return length
    warn(f"{path.name} has {size:,} of its {length:,} bytes: the records after them are lost")
    return max(ends, default=0)


def _shorten(path: Path, length: int, dropped: int, note: Callable[[str], None]) -> None:
    if path.stat().st_size == length:
        return
    note(f"{path.name}: {dropped} records after the checkpoint are dropped, and made again")
    with naming(path):
        opened = open_regular(path, os.O_WRONLY)
        try:
            os.ftruncate(opened, length)
            os.fsync(opened)
        finally:
            os.close(opened)


def positions_of(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How long the files of records were when a checkpoint was written, as its manifest says.

    Names that are of no file of records are left out: a manifest is not to be trusted.
    """
    listed = manifest.get("records")
    if not isinstance(listed, dict):
        return {}
    return {
        name: length
        for name, length in listed.items()
        if _NAMES.fullmatch(name) and type(length) is int and length >= 0
    }


_NAMES = re.compile(r"metrics\.jsonl|tb/events\.out\.tfevents\.[^/\0]+")
