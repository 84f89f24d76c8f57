"""Records as lines of JSON, of which the first says the format too."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

from optbench.files import appending, checksum, naming, strict
from optbench.monitor.record import Position, Record
from optbench.rundir import FORMAT

_STRICT = json.JSONEncoder(allow_nan=False)


class JsonLines:
    """Appends one object a line to a file; a kill leaves at most one torn line, the last.

    Args:
        path: `metrics.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._crc = checksum(path) if path.exists() else 0
        self._file = appending(path)
        self._begun = self._file.tell() > 0
        self._dirty = False

    def write(self, record: Record) -> None:
        """One line."""
        line = {
            **({} if self._begun else {"format": FORMAT}),
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
        self._begun = True
        data = text.encode("utf-8") + b"\n"
        with naming(self._path):
            self._file.write(data)
        self._crc = zlib.crc32(data, self._crc)
        self._dirty = True

    def flush(self) -> None:
        """To the disk."""
        if self._dirty:
            with naming(self._path):
                self._file.flush()
                os.fsync(self._file.fileno())
            self._dirty = False

    def positions(self) -> dict[str, Position]:
        """The file's length and checksum by its name in the run folder, what is flushed."""
        return {self._path.name: (os.fstat(self._file.fileno()).st_size, self._crc)}

    def close(self) -> None:
        """Closes the file."""
        with naming(self._path):
            self._file.close()
