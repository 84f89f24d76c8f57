"""Records as lines of JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

from optbench.monitor.record import Record
from optbench.rundir import strict

_STRICT = json.JSONEncoder(allow_nan=False)


class JsonLines:
    """Appends one object a line to a file; a kill leaves at most one torn line, the last.

    Args:
        path: `metrics.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._dirty = False

    def write(self, record: Record) -> None:
        """One line."""
        line = {
            "kind": record.kind,
            "step": record.step,
            "epoch": round(record.epoch, 6),
            "examples": record.examples,
            "seconds": round(record.seconds, 6),
            **record.values,
        }
        try:
            text = _STRICT.encode(line)
        except ValueError:
            text = _STRICT.encode(strict(line))
        self._file.write(text + "\n")
        self._dirty = True

    def flush(self) -> None:
        """To the disk."""
        if self._dirty:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._dirty = False

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
