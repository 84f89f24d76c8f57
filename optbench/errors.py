"""What goes wrong for reasons outside the program, and how it is told."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import Any

from optbench.escape import escaped


class UserError(Exception):
    """Bad input: one clear line for the user; the command line prints it and exits with 2.

    Attributes:
        rank: the one that met it, where that is known to be one alone.
        begun: whether a run had begun, whose folder says that it failed; the exit code is 1 then.
    """

    rank: int | None = None
    begun: bool = False

    def met(self, begun: bool) -> UserError:
        """Return it, told whether a run had begun."""
        self.begun = begun
        return self

    def __str__(self) -> str:
        """Return the line; what a terminal would obey is shown in it."""
        return escaped(super().__str__())


class OwnCodeError(UserError):
    """Code of the user's own fails; the command line prints its traceback and exits with 1."""


@dataclass(frozen=True)
class Argument:
    """An argument of what was called, as an `ArgumentError` names it: `noise=-1`, or `noise`.

    Attributes:
        name: as in the signature.
        value: what it is or could be; left out, the argument is named alone.
    """

    name: str
    value: Any = ...

    def __str__(self) -> str:
        """Return the argument as Python has it."""
        if self.value is ...:
            return self.name
        value = os.fspath(self.value) if isinstance(self.value, os.PathLike) else self.value
        return f"{self.name}={value!r}"


@dataclass(frozen=True)
class Choice:
    """A part of optbench that an `ArgumentError` points to: of a kind (`model`), by its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return the choice in words."""
        return f"the {self.kind} {self.name}"


class ArgumentError(ValueError):
    """What a library refuses, in terms of its own arguments; it knows no keys of a config.

    Where a config led there, `assemble/wording.py` says the same with its keys.

    Example:
        >>> print(ArgumentError(Argument("noise", -1), " must not be negative"))
        noise=-1 must not be negative

    Args:
        parts: of the message, one line in all.
    """

    def __init__(self, *parts: str | Argument | Choice) -> None:
        super().__init__(*parts)
        self.parts = parts

    def __str__(self) -> str:
        """Return the message for those who called from Python."""
        return "".join(map(str, self.parts))


_REASONS = {
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files (see ulimit -n)",
    errno.EIO: "the disk failed (input/output error)",
    errno.ESTALE: "the network file system lost it (stale file handle)",
    errno.ELOOP: "a link stands where a file is meant",
}
"""Where the system's own words say too little."""


_MACHINES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS)


def is_machines(error: BaseException) -> bool:
    """Return whether what went wrong is the machine's, not any input's: another would not do."""
    return isinstance(error, OSError) and error.errno in _MACHINES


_PATHS = ("EACCES", "EPERM", "ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ENAMETOOLONG", "ELOOP")


def of_a_path(error: OSError) -> bool:
    """Return whether the system refused the path that was named: another would do."""
    named = isinstance(error.filename, str | bytes)
    return named and error.errno in {getattr(errno, name) for name in _PATHS}


def reason(error: OSError) -> str:
    """Return what the system refused, in a line: the path where it is known, and why."""
    why = _REASONS.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__
    path = error.filename2 or error.filename
    if path is None or isinstance(path, int):
        return why
    return f"{os.fsdecode(path)}: {why}"


def memory_wanting(error: BaseException) -> str | None:
    """Return that memory does not suffice, and for how much, in words; None of another error.

    Example:
        >>> memory_wanting(MemoryError())
        'not enough memory'
    """
    message, name = str(error), type(error).__name__
    library, _, unmapped = message.partition(": failed to map segment")
    if isinstance(error, ImportError) and unmapped:
        return f"not enough memory to load {library} (see ulimit -v)"
    if not (isinstance(error, MemoryError) or name == "OutOfMemoryError" or "Allocator" in message):
        return None
    size = re.search(r"allocate [\d.]+ \w+", message)
    where = " on the GPU" if "CUDA" in message else ""
    return f"not enough memory{where}{f' to {size[0]}' if size else ''}"
