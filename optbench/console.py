"""What is printed: standard output and error, which may go away while a run goes on."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from optbench.escape import escaped, escaped_lines

WIDTH = 80
"""Columns of a terminal that nobody knows."""

NARROWEST = 20
"""Columns of a table's last cell, whatever is before it."""

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


def print_lines(text: str) -> None:
    """Lines on standard output, each escaped."""
    OUT.write(escaped_lines(text) + "\n")
    OUT.flush()


def print_error(text: str, lines: bool = False) -> None:
    """One line on standard error, escaped; or several, where a text has them rightly."""
    ERR.write((escaped_lines(text) if lines else escaped(text)) + "\n")


def print_table(title: str, header: list[str], rows: list[list[str]], console: Any = None) -> None:
    """Print a table, no wider than the terminal: drawn in one, plain columns elsewhere.

    What does not fit into plain columns is the last cell's, which goes on below; words, and so
    paths, stay whole. Elsewhere than in a terminal `COLUMNS` says how wide, by default 80.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    title = escaped(title)
    header, *rows = [[escaped(cell) for cell in row] for row in [header, *rows]]
    console = console or Console(file=cast(IO[str], OUT), highlight=False)
    if console.is_terminal:
        table = Table(title=escape(title) or None, title_justify="left", header_style="bold")
        for name in header:
            table.add_column(escape(name), overflow="fold")
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
        return
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    before = sum(width + 2 for width in widths[:-1])
    last = max(shutil.get_terminal_size((WIDTH, 24)).columns - before, NARROWEST)
    lines = [title] if title else []
    for row in [header, *rows]:
        first, *more = _wrapped(row[-1], last)
        cells = [c.ljust(w) for c, w in zip(row[:-1], widths[:-1], strict=True)]
        lines.append("  ".join([*cells, first]).rstrip())
        lines += [f"{'':<{before}}{line}" for line in more]
    OUT.write("\n".join(lines) + "\n")
    OUT.flush()


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def shown(path: Path) -> str:
    """A path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
