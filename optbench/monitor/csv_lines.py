"""Records as lines of CSV, one for each number: which tags there are, is not known beforehand."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from optbench.files import MIB, reading
from optbench.monitor.appended import Appended
from optbench.monitor.record import Record

COLUMNS = ("kind", "step", "epoch", "examples", "seconds", "tag", "value")
CSV_FILE = "metrics.csv"
MOST_LINE = MIB
STEP = re.compile(r"[0-9]{1,18}")


class CsvLines(Appended):
    """`metrics.csv` of a run: a header, then kind, step, epoch, examples, seconds, tag, value.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / CSV_FILE)

    def write(self, record: Record) -> None:
        """Write a line for each value; what is no number is `nan`, `inf` or `-inf`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._begun:
            writer.writerow(COLUMNS)
        at = (record.kind, record.step, round(record.epoch, 6), record.examples)
        for tag, value in record.values.items():
            writer.writerow((*at, round(record.seconds, 6), tag, repr(float(value))))
        self._append(text.getvalue().encode())


def csv_lines(path: Path) -> Iterator[tuple[int, tuple[int, str] | None]]:
    """Yield the position after each whole line of a `metrics.csv`, and its step and kind.

    None for a line that can't be read; of the header it is step 0 and no kind.
    """
    position = 0
    with reading(path) as file:
        while line := file.readline(MOST_LINE):
            position += len(line)
            if not line.endswith(b"\n"):
                continue
            yield position, _step_and_kind(line)


def _step_and_kind(line: bytes) -> tuple[int, str] | None:
    try:
        (fields,) = csv.reader([line.decode("utf-8").rstrip("\n")], strict=True)
    except (ValueError, csv.Error):
        return None
    if tuple(fields) == COLUMNS:
        return 0, ""
    if len(fields) != len(COLUMNS) or not fields[0].isalpha() or not STEP.fullmatch(fields[1]):
        return None
    return int(fields[1]), fields[0]
