"""Files that others wrote: regular ones alone, read within bounds."""

from __future__ import annotations

import os
import stat
import zlib
from io import BufferedReader
from pathlib import Path

from optbench.errors import Argument, ArgumentError
from optbench.files import kind

LIMIT = 1 << 30
"""Bytes that a file is read, or unpacked, into memory to: far more than any data set here has."""

_PIECE = 1 << 20
_IDLE = 1000  # members of a gzip file that may hold nothing


class Unreadable(Exception):
    """Why a file cannot be read, in a few words."""


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file, to be read from its beginning.

    Raises:
        Unreadable: it is missing, forbidden or not a regular file: a pipe would wait for its
            writer, and a device need not end.
    """
    try:
        _refuse_others(os.stat(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    except ValueError as error:  # a NUL in the name
        raise Unreadable(str(error)) from error
    try:
        _refuse_others(os.fstat(descriptor))  # it may be another one by now
    except Unreadable:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | Path, limit: int = LIMIT) -> bytes:
    """Return the whole content of a regular file of at most `limit` bytes.

    Raises:
        Unreadable: it is another, or can't be read.
    """
    with open_regular(path) as file:
        size = size_of(file)
        if size > limit:
            raise Unreadable(f"it has {size:,} bytes, and at most {limit:,} are read")
        try:
            return file.read(size)
        except (OSError, MemoryError) as error:
            raise Unreadable(reason_of(error)) from error


def size_of(file: BufferedReader) -> int:
    """Return the number of bytes in an open file."""
    return os.fstat(file.fileno()).st_size


def reason_of(error: BaseException) -> str:
    """Return what an error says, in a line of reasonable length; its type where it says nothing."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 200 else f"{words[:200]}..."


def damaged(path: str | Path, reason: str, elsewhere: bool = True) -> ArgumentError:
    """Return the error for a file of a data set; `elsewhere`: it could be downloaded again."""
    again = (", or delete it and set ", Argument("download", True)) if elsewhere else ()
    return ArgumentError(f"{path} cannot be read ({reason}): replace it by a good copy", *again)


def _refuse_others(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(f"it is {kind(status.st_mode)}, not a file")


class Gunzipped:
    """What a gzip file unpacks to, as a stream: no more of it is in memory than is asked for.

    Raises Unreadable on what is no gzip file, is damaged or cut short, and when more than `limit`
    bytes come out: a few million bytes can unpack to thousands of times as many.
    """

    def __init__(self, file: BufferedReader, limit: int = LIMIT) -> None:
        self._file, self._limit, self._left = file, limit, limit
        self._engine = zlib.decompressobj(wbits=31)
        self._packed = b""
        self._idle = 0

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end only."""
        pieces = []
        while size:
            piece = self._piece(min(size, _PIECE))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; return how many bytes there were for it."""
        filled = 0
        while filled < len(buffer):
            piece = self._piece(min(len(buffer) - filled, _PIECE))
            if not piece:
                break
            buffer[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _piece(self, most: int) -> bytes:
        """Return at least one byte, or none at the end."""
        while True:
            if self._engine.eof and not self._next_member():
                return b""
            packed = self._packed or self._file.read(_PIECE)
            if not packed:
                raise Unreadable("it is cut short")
            try:
                piece = self._engine.decompress(packed, most)
            except zlib.error as error:
                told = reason_of(error) if self._left < self._limit else "it is not a gzip file"
                raise Unreadable(told) from error
            self._packed = self._engine.unconsumed_tail
            if piece:
                self._idle = 0
                self._left -= len(piece)
                if self._left < 0:
                    raise Unreadable(f"it unpacks to more than {self._limit:,} bytes")
                return piece

    def _next_member(self) -> bool:
        """Go on to what was packed behind the last one, if anything; zeros may fill the file up."""
        rest = self._engine.unused_data
        while not rest.lstrip(b"\0"):
            rest = self._file.read(_PIECE)
            if not rest:
                return False
        self._idle += 1
        if self._idle > _IDLE:
            raise Unreadable("it holds one empty part after the other")
        self._packed = rest.lstrip(b"\0")
        self._engine = zlib.decompressobj(wbits=31)
        return True
