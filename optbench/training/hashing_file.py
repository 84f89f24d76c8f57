"""Saving while a second thread computes the checksum of what is written."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from pathlib import Path
from typing import Any, BinaryIO

import torch


class HashingFile:
    """A file for `torch.save` that hashes what passes through it, in a thread of its own.

    SHA-256 takes about as long as the writing; hashlib lets go of the interpreter's lock, so the
    two go on side by side.

    Args:
        file: open for writing in binary.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.size = 0

    def write(self, data: Any) -> int:
        """Writes, and hands a copy over for hashing."""
        chunk = bytes(data)
        self._file.write(chunk)
        self._queue.put(chunk)
        self.size += len(chunk)
        return len(chunk)

    def flush(self) -> None:
        """As of any file."""
        self._file.flush()

    def digest(self) -> str:
        """The checksum of all that was written, in hexadecimal; nothing may be written after."""
        self._queue.put(None)
        self._thread.join()
        return self._hash.hexdigest()

    def _work(self) -> None:
        while (chunk := self._queue.get()) is not None:
            self._hash.update(chunk)


def save_hashed(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """`torch.save`, flushed to the disk; returns the manifest's entry: size and SHA-256."""
    with path.open("wb", buffering=0) as file:
        hashing = HashingFile(file)
        torch.save(state, hashing)  # type: ignore[arg-type]
        os.fsync(file.fileno())
        return {"size": hashing.size, "sha256": hashing.digest()}
