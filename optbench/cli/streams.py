"""Standard output and error, which may go away while a run goes on."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GONE = (errno.EPIPE, errno.EIO)
"""A pipe that nobody reads any more; a terminal that was closed."""


@contextmanager
def lasting(stream: Any) -> Iterator[None]:
    """What is written to a stream that nobody reads any more goes nowhere."""
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
        with suppress(OSError, ValueError):  # one that has no descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


class Lasting:
    """`sys.stdout` or `sys.stderr`, whatever they are just now; writing never fails for want of a
    reader.

    Args:
        name: `stdout` or `stderr`.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """Writes, if there is such a stream."""
        stream = getattr(sys, self._name)
        if stream is not None:
            with lasting(stream):
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Brings what was written to its reader."""
        stream = getattr(sys, self._name)
        if stream is not None:
            with lasting(stream):
                stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        stream = getattr(sys, self._name)
        return stream is not None and bool(stream.isatty())

    @property
    def encoding(self) -> str | None:
        """What letters it takes, if that is known."""
        return getattr(getattr(sys, self._name), "encoding", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)


OUT, ERR = Lasting("stdout"), Lasting("stderr")
