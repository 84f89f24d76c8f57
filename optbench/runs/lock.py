"""One process at a run: a lock on its log.txt, which ends with the process."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from optbench.errors import UserError
from optbench.files import BadFile, reading

_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""What a lock that another process has is called; EACCES by some network file systems."""

PATIENCE_SECONDS = 0.1
"""For whoever only looks whether the log is locked, which is over at once."""

_warned = False


class Busy(UserError):
    """Another process is at the run."""


def lock(file: TextIO, folder: Path, warn: Callable[[str], None]) -> None:
    """Lock an open file; where the file system has no locks, say so, once a process.

    Args:
        folder: the run's, for messages.

    Raises:
        Busy: another process has locked it.
    """
    global _warned
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno not in _TAKEN or time.monotonic() > until:
                    raise
            time.sleep(0.01)
    except OSError as error:
        if error.errno in _TAKEN:
            raise Busy(f"{folder}: another process is at this run") from None
        if not _warned:
            _warned = True
            warn(
                f"{folder}: its file system does not lock files ({error.strerror}), so nothing "
                "keeps a second process from the same run"
            )


def is_locked(path: Path) -> bool:
    """Return whether another process is at the run with this log, as far as can be told."""
    return _taken(path) is True


def is_free(path: Path) -> bool:
    """Return whether, as far as can be told, no process of this machine is at this log's run."""
    return _taken(path) is False


def _taken(path: Path) -> bool | None:
    """Return whether a log is locked; None if that can't be told. Nothing is written to it."""
    with suppress(OSError, BadFile), reading(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return True if error.errno in _TAKEN else None
        return False
    return None
