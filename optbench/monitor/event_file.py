"""TensorBoard's file format, written at once instead of by a thread."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
from tensorboard.compat.proto.event_pb2 import Event

_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_LENGTH = struct.Struct("<Q")
_number = itertools.count()


class EventFile:
    """Appends events to a file of TFRecords: length, its checksum, data, its checksum.

    tensorboard's own writer computes the CRC-32C in Python, byte by byte, in a thread that holds
    the interpreter's lock: 5 us a scalar, which the training waits for.

    Args:
        folder: of the run; the file gets a name of its own in it.
        flush_seconds: events reach the file system at most so much later.
    """

    def __init__(self, folder: Path, flush_seconds: float = 5.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_number):06d}"
        self._file = (folder / f"events.out.tfevents.{name}").open("wb")
        self._flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self.add(Event(file_version="brain.Event:2"))
        self.flush()

    def add(self, event: Any, when: float | None = None) -> None:
        """Appends one event, dated now unless it says `when`."""
        event.wall_time = time.time() if when is None else when
        data = event.SerializeToString()
        length = _LENGTH.pack(len(data))
        self._file.write(_HEADER.pack(len(data), masked_crc(length)))
        self._file.write(data)
        self._file.write(_FOOTER.pack(masked_crc(data)))
        if time.monotonic() - self._flushed > self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """To the file system, where a running TensorBoard sees it."""
        self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Writes what is left and closes the file."""
        self._file.close()


def masked_crc(data: bytes) -> int:
    """The CRC-32C as TFRecords have it: rotated and shifted, lest a checksum of checksums be 0."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def read_events(data: bytes) -> Iterator[tuple[Any, int]]:
    """The events of a file's content, each with the position after it; ends before a torn one."""
    position = 0
    while position + _HEADER.size <= len(data):
        length, _ = _HEADER.unpack_from(data, position)
        start = position + _HEADER.size
        position = start + length + _FOOTER.size
        if position > len(data):
            return
        record = data[start : start + length]
        if _FOOTER.unpack_from(data, start + length)[0] != masked_crc(record):
            return
        yield Event.FromString(record), position
