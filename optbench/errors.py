"""What goes wrong for reasons outside the program, and how it is told."""

from __future__ import annotations

import errno
import os


class UserError(Exception):
    """Bad input: one clear line for the user; the command line prints it and exits with 2.

    Attributes:
        rank: the one that met it, where that is known to be one alone.
    """

    rank: int | None = None


class OwnCodeError(UserError):
    """Code of the user's own fails; the command line prints its traceback and exits with 1."""


_REASONS = {
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files (see ulimit -n)",
    errno.EIO: "the disk failed (input/output error)",
    errno.ESTALE: "the network file system lost it (stale file handle)",
    errno.ELOOP: "a link stands where a file is meant",
}
"""Where the system's own words say too little."""


def reason(error: OSError) -> str:
    """What the system refused, in a line: the path where it is known, and why."""
    why = _REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    path = error.filename2 or error.filename
    if path is None or isinstance(path, int):
        return why
    return f"{os.fsdecode(path)}: {why}"
