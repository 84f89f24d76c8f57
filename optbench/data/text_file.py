"""Text files as numbers: the ids of their characters or bytes, and what each id stands for."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optbench.errors import UserError

MAPPED_FROM = 64 << 20  # bytes; a file at least as large is mapped, not read, where ids are bytes
CODE_POINTS = 0x110000
PLAIN = b"\t\n" + bytes(range(ord(" "), 127))


@dataclass(frozen=True)
class Text:
    """A file as ids.

    Attributes:
        ids: [length], uint8, int16 or int32, the narrowest that holds all ids; read-only where the
            file is mapped.
        vocabulary: what each id stands for.
        mapped: the ids stay in the file; only what is looked at comes into memory.
    """

    ids: npt.NDArray[Any]
    vocabulary: list[str]
    mapped: bool = False


def read_characters(path: Path) -> Text:
    """A UTF-8 file by characters; an id is the place in the sorted set of those that occur.

    The whole file is read, for nothing less knows its characters. Line ends stay as they are.
    Raises UserError on a file that is missing, empty or not UTF-8.
    """
    _check(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x};"
            " dataset.by=bytes takes any file"
        ) from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    occurs = np.zeros(CODE_POINTS, bool)
    occurs[codes] = True
    alphabet = np.flatnonzero(occurs)
    id_of = np.zeros(CODE_POINTS, _narrowest(len(alphabet)))
    id_of[alphabet] = np.arange(len(alphabet))
    return Text(id_of[codes], [chr(code) for code in alphabet.tolist()])


def read_bytes(path: Path, mapped_from: int = MAPPED_FROM) -> Text:
    """Any file by bytes: 256 ids. Those that are no printable ASCII show as `\\x` and two digits.

    A file of at least `mapped_from` bytes (default 64 MiB) is mapped into memory and never read as
    a whole. Raises UserError on a file that is missing or empty.
    """
    _check(path)
    vocabulary = [chr(code) if code in PLAIN else f"\\x{code:02x}" for code in range(256)]
    try:
        if path.stat().st_size < mapped_from:
            # A copy that may be written to, for torch warns of tensors over anything else.
            return Text(np.frombuffer(bytearray(path.read_bytes()), np.uint8), vocabulary)
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return Text(np.frombuffer(content, np.uint8), vocabulary, mapped=True)


def _check(path: Path) -> None:
    if not os.path.exists(path):
        raise UserError(f"dataset.path={path}: no such file")
    if not os.path.isfile(path):
        raise UserError(f"dataset.path={path}: not a file")
    if os.path.getsize(path) == 0:
        raise UserError(f"dataset.path={path}: the file is empty")


def _narrowest(count: int) -> type[np.integer[Any]]:
    """The integers for ids from 0 to count - 1, of those that torch can index with."""
    if count <= 1 << 8:
        return np.uint8
    return np.int16 if count <= 1 << 15 else np.int32
