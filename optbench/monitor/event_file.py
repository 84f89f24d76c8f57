"""TensorBoard's file format, written at once instead of by a thread."""

from __future__ import annotations

import itertools
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

from optbench.files import naming

PREFIX = "events.out.tfevents."
HPARAMS_FILE = f"{PREFIX}{0:010d}.hparams"
"""What the HParams dashboard reads, before all others by its name; written anew by each resume."""
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_LENGTH = struct.Struct("<Q")
_SECONDS = re.compile(rf"{re.escape(PREFIX)}([0-9]{{10}})\.")
_number = itertools.count()


class EventFile:
    """Appends events to a file of TFRecords: length, its checksum, data, its checksum.

    tensorboard's own writer computes the CRC-32C in Python, byte by byte, in a thread that holds
    the interpreter's lock: 5 us a scalar, which the training waits for.

    Args:
        folder: of the run; the file gets a name of its own in it.
        flush_seconds: events reach the file system at most so much later.
        path: a name in the folder that is not taken; by default one that says when and where.
    """

    def __init__(self, folder: Path, flush_seconds: float = 5.0, path: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = _next_path(folder) if path is None else path
        self._file = self.path.open("xb")
        self._flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self.add(Event(file_version="brain.Event:2"))
        self.flush()

    def add(self, event: Any, when: float | None = None) -> None:
        """Append one event, dated now unless it says `when`."""
        event.wall_time = time.time() if when is None else when
        self.add_serialised(event.SerializeToString())

    def add_serialised(self, data: bytes) -> None:
        """Append one event that is serialised, with its date in it."""
        length = _LENGTH.pack(len(data))
        header, footer = _HEADER.pack(len(data), masked_crc(length)), _FOOTER.pack(masked_crc(data))
        with naming(self.path):
            self._file.write(b"".join((header, data, footer)))
        if time.monotonic() - self._flushed > self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Flush to the file system, where a running TensorBoard sees it."""
        with naming(self.path):
            self._file.flush()
        self._flushed = time.monotonic()

    def sync(self) -> None:
        """Flush to the disk."""
        self.flush()
        with naming(self.path):
            os.fsync(self._file.fileno())

    def length(self) -> int:
        """Return how many bytes are flushed."""
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Write what is left and close the file."""
        with naming(self.path):
            self._file.close()


def _next_path(folder: Path) -> Path:
    """Return a new file's path, with when and where in its name, behind all that are there.

    TensorBoard reads them in the order of their names. Two of a run may be of one second, the later
    one with the smaller process number, and a clock may be set back.
    """
    taken = (_SECONDS.match(name) for name in os.listdir(folder))
    seconds = max([int(time.time()), *(int(found[1]) + 1 for found in taken if found)])
    name = f"{seconds:010d}.{socket.gethostname()}.{os.getpid()}.{next(_number):06d}"
    return folder / f"{PREFIX}{name}"


def masked_crc(data: bytes) -> int:
    """Return a TFRecord's CRC-32C: rotated and shifted, lest a checksum of checksums be 0."""
    crc: int = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(file: BinaryIO) -> Iterator[tuple[Any, int]]:
    """Yield a file's events, each with the position after it; end before one that is damaged."""
    position, size = 0, file.seek(0, os.SEEK_END)
    file.seek(0)
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        length, checksum = _HEADER.unpack(header)
        end = position + _HEADER.size + length + _FOOTER.size
        if checksum != masked_crc(header[: _LENGTH.size]) or end > size:
            return
        data, footer = file.read(length), file.read(_FOOTER.size)
        if _FOOTER.unpack(footer)[0] != masked_crc(data):
            return
        try:
            event = Event.FromString(data)
        except DecodeError:
            return
        position = end
        yield event, position
