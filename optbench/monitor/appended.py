"""A file of records that grows line by line, and is cut where a checkpoint was written."""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path

from optbench.files import appending, checksum, naming
from optbench.monitor.record import Position

SEEN_SECONDS = 1.0
"""After which lines reach the file system at the latest when the next one comes."""


class Appended:
    """Appends lines to a file, where others see them soon; a kill leaves at most one torn line, the
    last.

    Args:
        path: of the file, made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._crc = checksum(path) if path.exists() else 0
        self._file = appending(path)
        self._begun = self._file.tell() > 0
        self._dirty = False
        self._seen = time.monotonic()

    def _append(self, data: bytes) -> None:
        """Append a whole line or several, with their ends."""
        self._begun = True
        with naming(self._path):
            self._file.write(data)
            if time.monotonic() - self._seen > SEEN_SECONDS:
                self._file.flush()
                self._seen = time.monotonic()
        self._crc = zlib.crc32(data, self._crc)
        self._dirty = True

    def flush(self) -> None:
        """Flush the file to the disk."""
        if self._dirty:
            with naming(self._path):
                self._file.flush()
                os.fsync(self._file.fileno())
            self._dirty = False

    def positions(self) -> dict[str, Position]:
        """Return length and checksum of what is flushed, by the file's name in the run folder."""
        return {self._path.name: (os.fstat(self._file.fileno()).st_size, self._crc)}

    def close(self) -> None:
        """Close the file."""
        with naming(self._path):
            self._file.close()
