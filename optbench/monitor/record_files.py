"""The files of records, cut to where a checkpoint was written, with a count of what is gone.

A checkpoint says how long each file was (`Recorder.positions`). What a run writes anew from there
is dropped, and nothing else: a line that can't be read stays where it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.files import checksum, naming, open_regular, reading
from optbench.metric_lines import records
from optbench.monitor.csv_lines import CSV_FILE, csv_lines
from optbench.monitor.event_file import HPARAMS_FILE, read_events
from optbench.monitor.record import Position
from optbench.rundir import RunDir

EVENT_FILES = "events.out.tfevents.*"

Line = tuple[int, tuple[int, Any] | None]
"""The position after a line, and its step and kind; None if it can't be read."""


def cut(
    folder: RunDir,
    positions: Mapping[str, Position],
    step: int,
    warn: Callable[[str], None],
    note: Callable[[str], None],
) -> dict[str, Position]:
    """Drop what is after `positions` from the files of records.

    Args:
        folder: of the run.
        positions: of each file; one that is not named had not begun.
        step: the checkpoint's.
        warn: is told of what is missing, has changed or can't be read.
        note: is told of what is dropped.

    Returns:
        Of the files that are left and may have no sink any more, for the next checkpoint.
    """
    nothing: Position = (0, 0)
    left: dict[str, Position] = {}
    for path, lines in ((folder.metrics, _json_lines), (folder.path / CSV_FILE, csv_lines)):
        position = positions.get(path.name, nothing)
        _cut_lines(path, lines, position, step, warn, note)
        if path.name == CSV_FILE and path.exists():  # it may have no sink from now on
            left[path.name] = (path.stat().st_size, checksum(path))
    files = sorted(folder.tensorboard.glob(EVENT_FILES))
    present = [f"tb/{path.name}" for path in files if path.name != HPARAMS_FILE]
    for name in dict.fromkeys([*(n for n in positions if n.startswith("tb/")), *present]):
        kept = _cut_events(folder.path / name, positions.get(name, nothing)[0], warn, note)
        if kept is not None:
            left[name] = (kept, None)
    return left


def _cut_lines(
    path: Path,
    read: Callable[[Path], Iterable[Line]],
    position: Position,
    step: int,
    warn: Callable[[str], None],
    note: Callable[[str], None],
) -> None:
    length, crc = position
    if not path.exists():
        if length:
            warn(f"{path.name} is missing: what had been recorded is lost")
        return
    size = path.stat().st_size
    lines = list(read(path))
    kept = length
    if size < length or checksum(path, length) != crc:
        kept = _told_by_records(lines, length, step)
        bad = [of for end, of in lines if end <= kept].count(None)
        warn(f"{path.name} is not what it was at step {step}: {_what_became(size, length, bad)}")
    _shorten(path, kept, sum(end > kept for end, _ in lines), note)


def _what_became(size: int, length: int, bad: int) -> str:
    """Return what is wrong with a file that was `length` bytes long, and had no bad lines."""
    if not size:
        return f"it is empty, and the {length:,} bytes that had been recorded are lost"
    said = [f"{size:,} of {length:,} bytes are left"] if size < length else []
    if bad:
        stay = "line can't be read, and stays as it is"
        said.append(f"1 {stay}" if bad == 1 else f"{bad} lines can't be read, and stay as they are")
    return ", ".join(said) or "its bytes are others"


def _json_lines(path: Path) -> Iterable[Line]:
    return ((end, _step_and_kind(record)) for end, record in records(path))


def _step_and_kind(record: Mapping[str, Any] | None) -> tuple[int, Any] | None:
    return None if record is None else (record["step"], record.get("kind"))


def _told_by_records(lines: Sequence[Line], length: int, step: int) -> int:
    """Return where to cut lines that have been damaged, so that their bytes tell nothing.

    What is of a later step comes again, and so does a test score. A line that can't be read is
    kept if it began before `length`.
    """
    kept = start = 0
    for end, of in lines:
        if of is not None and (of[0] > step or of[1] == "test"):
            break
        if of is not None or start < length:
            kept = end
        start = end
    return kept


def _cut_events(
    path: Path, length: int, warn: Callable[[str], None], note: Callable[[str], None]
) -> int | None:
    """Return the length that is left of the file, None if it is not there."""
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
    """Return how much of a file is kept: `length`, or its whole records if it is too short."""
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


def positions_of(manifest: Mapping[str, Any]) -> dict[str, Position]:
    """Return the files of records as they were when a checkpoint was written, as its manifest says.

    Names that are of no file of records are left out: a manifest is not to be trusted.
    """
    listed = manifest.get("records")
    found: dict[str, Position] = {}
    for name, position in listed.items() if isinstance(listed, dict) else ():
        length, crc = position if isinstance(position, list) and len(position) == 2 else (-1, 0)
        if _NAMES.fullmatch(name) and type(length) is int and length >= 0:
            found[name] = (length, crc)
    return found


_NAMES = re.compile(r"metrics\.(jsonl|csv)|tb/events\.out\.tfevents\.[^/\0]+")
