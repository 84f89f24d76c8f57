"""One process at a run: a lock on its log.txt, which ends with the process."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from optbench.errors import UserError

_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""What a lock that another process has is called; EACCES by some network file systems."""

_warned = False


class Busy(UserError):
    """Another process is at the run."""


def lock(file: TextIO, folder: Path, warn: Callable[[str], None]) -> None:
    """Locks an open file; where the file system has no locks, says so, once a process.

    Args:
        folder: the run's, for messages.

    Raises:
        Busy: another process has locked it.
    """
    global _warned
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    """Whether another process is at the run with this log, as far as can be told."""
    with suppress(OSError), path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _TAKEN
    return False
