"""Text files as numbers: the ids of their characters or bytes, and what each id stands for."""

from __future__ import annotations

import codecs
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optbench.data.files import LIMIT, Unreadable, open_regular, reason_of, size_of
from optbench.errors import Argument, ArgumentError

MAPPED_FROM = 64 << 20  # bytes; a file at least as large is mapped, not read, where ids are bytes
CODE_POINTS = 0x110000
_PIECE = 1 << 22
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


def read_characters(path: Path, limit: int = LIMIT) -> Text:
    """Read a UTF-8 file by characters; an id is the place in the sorted set of those that occur.

    The file is read twice, piece by piece: nothing less than the whole knows its characters. Line
    ends stay as they are.

    Raises:
        ArgumentError: the file is missing, empty, not UTF-8, or of more than `limit` bytes.
    """
    size = _size(path)
    if size > limit:
        raise ArgumentError(
            Argument("path", path),
            f": {size:,} bytes, and ",
            Argument("by", "characters"),
            f" takes at most {limit:,}; ",
            Argument("by", "bytes"),
            " takes any number",
        )
    occurs, count = np.zeros(CODE_POINTS, bool), 0
    for codes in _code_points(path):
        occurs[codes] = True
        count += len(codes)
    alphabet = np.flatnonzero(occurs)
    id_of = np.zeros(CODE_POINTS, _narrowest(len(alphabet)))
    id_of[alphabet] = np.arange(len(alphabet))
    ids, at = np.empty(count, id_of.dtype), 0
    for codes in _code_points(path):
        if at + len(codes) > count:
            break
        np.take(id_of, codes, out=ids[at : at + len(codes)])
        at += len(codes)
    if at != count:
        raise ArgumentError(Argument("path", path), ": something writes to the file")
    return Text(ids, [chr(code) for code in alphabet.tolist()])


def read_bytes(path: Path, mapped_from: int = MAPPED_FROM) -> Text:
    """Read any file by bytes: 256 ids, shown as `\\x` and two digits unless printable ASCII.

    A file of at least `mapped_from` bytes (default 64 MiB) is mapped into memory and never read as
    a whole.

    Raises:
        ArgumentError: the file is missing or empty.
    """
    size = _size(path)
    vocabulary = [chr(code) if code in PLAIN else f"\\x{code:02x}" for code in range(256)]
    try:
        with open_regular(path) as file:
            if size >= mapped_from:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                return Text(np.frombuffer(content, np.uint8), vocabulary, mapped=True)
            # A copy that may be written to, for torch warns of tensors over anything else.
            return Text(np.frombuffer(bytearray(file.read(size)), np.uint8), vocabulary)
    except (Unreadable, OSError, ValueError) as error:
        raise ArgumentError(Argument("path", path), f": {reason_of(error)}") from None


def _size(path: Path) -> int:
    """Return the number of bytes in the file.

    Raises:
        ArgumentError: it is not a regular one that has some.
    """
    try:
        with open_regular(path) as file:
            size = size_of(file)
    except Unreadable as error:
        missing = isinstance(error.__cause__, FileNotFoundError | NotADirectoryError)
        told = "no such file" if missing else error
        raise ArgumentError(Argument("path", path), f": {told}") from None
    if size == 0:
        raise ArgumentError(Argument("path", path), ": the file is empty")
    return size


def _code_points(path: Path) -> Iterator[npt.NDArray[np.uint32]]:
    """Yield the code points of a UTF-8 file, piece by piece."""
    decoder, at = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        with open_regular(path) as file:
            while True:
                piece = file.read(_PIECE)
                held = len(decoder.getstate()[0])  # of a character that the last piece cut
                text = decoder.decode(piece, final=not piece)
                yield np.frombuffer(text.encode("utf-32-le"), np.uint32)
                if not piece:
                    return
                at += len(piece)
    except UnicodeDecodeError as error:
        raise ArgumentError(
            f"{path} is not UTF-8: byte {at - held + error.start} is"
            f" 0x{error.object[error.start]:02x}; ",
            Argument("by", "bytes"),
            " takes any file",
        ) from None
    except (Unreadable, OSError) as error:
        raise ArgumentError(Argument("path", path), f": {reason_of(error)}") from None


def _narrowest(count: int) -> type[np.integer[Any]]:
    """Return the narrowest type for ids from 0 to count - 1, of those that torch can index with."""
    if count <= 1 << 8:
        return np.uint8
    return np.int16 if count <= 1 << 15 else np.int32
