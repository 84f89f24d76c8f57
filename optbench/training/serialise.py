"""State to bytes in memory, and bytes to a file with their checksum."""

from __future__ import annotations

import copy
import hashlib
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from optbench.files import naming

HASH_IN_A_THREAD = 1 << 20  # bytes; below, starting a thread costs more than it saves


class CheckpointBuffer:
    """A buffer that `torch.save` writes to, used again for each checkpoint.

    Filling memory that is at hand takes a fifth of the time that a file takes, so a training that
    saves in the background waits for nothing else; and with the bytes in memory the file can be
    written while a second thread computes its checksum.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(1 << 16))
        self._size = 0

    def write(self, data: Any) -> int:
        """Append, as `torch.save` asks of a file."""
        chunk = memoryview(data).cast("B")
        end = self._size + len(chunk)
        if end > len(self._buffer):
            grown = memoryview(bytearray(max(end, 2 * len(self._buffer))))
            grown[: self._size] = self._buffer[: self._size]
            self._buffer = grown
        self._buffer[self._size : end] = chunk
        self._size = end
        return len(chunk)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def fill(self, state: dict[str, Any]) -> memoryview:
        """Return the bytes of a state, valid until the next call."""
        self._size = 0
        before = torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)  # the manifest's SHA-256 says more
        try:
            torch.save(compact(state), self)  # type: ignore[arg-type]
        finally:
            torch.serialization.set_crc32_options(before)
        return self._buffer[: self._size]


def compact(state: Any) -> Any:
    """Return plain data with tensors that have no more memory than they show.

    `torch.save` writes all that a tensor is a part of: of a member of a population, the others'
    weights.
    """
    return _Compacted().of(state)


class _Compacted:
    """Copies of tensors, and of what holds them; what was shared stays shared."""

    def __init__(self) -> None:
        self._tensors: dict[tuple[Any, ...], torch.Tensor] = {}
        self._holders: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        """Return a value without spare memory; itself where it has none."""
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if type(value) not in (dict, OrderedDict, list, tuple):
            return value
        if id(value) not in self._holders:  # each once, however often it is met
            self._holders[id(value)] = value
            self._holders[id(value)] = self._holder(value)
        return self._holders[id(value)]

    def _tensor(self, value: torch.Tensor) -> torch.Tensor:
        if value.untyped_storage().nbytes() <= value.numel() * value.element_size():
            return value
        place = (value.data_ptr(), value.dtype, value.shape, value.stride())
        if place not in self._tensors:
            self._tensors[place] = value.detach().clone()
        return self._tensors[place]

    def _holder(self, value: Any) -> Any:
        if isinstance(value, dict):
            items = {key: self.of(item) for key, item in value.items()}
            if all(items[key] is item for key, item in value.items()):
                return value
            copied = copy.copy(value)  # with what a module's state says of its version
            copied.update(items)
            return copied
        found = [self.of(item) for item in value]
        same = all(one is other for one, other in zip(found, value, strict=True))
        return value if same else type(value)(found)


def write_hashed(data: memoryview, path: Path) -> dict[str, Any]:
    """Write a file and flush it to the disk; return the manifest's entry: its size and SHA-256."""
    digest = hashlib.sha256()
    thread = threading.Thread(target=digest.update, args=(data,))
    if len(data) >= HASH_IN_A_THREAD:
        thread.start()
    else:
        digest.update(data)
    try:
        with naming(path), path.open("wb", buffering=0) as file:
            written = 0
            while written < len(data):  # one write is at most 2 GiB
                written += file.write(data[written:])
            os.fsync(file.fileno())
    finally:
        if thread.ident is not None:
            thread.join()
    return {"size": len(data), "sha256": digest.hexdigest()}
