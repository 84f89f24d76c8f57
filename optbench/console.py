"""What is printed: standard output and error, which may go away while a run goes on."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from optbench.escape import escaped, escaped_lines
from optbench.layout import GAP, broken, columns, cut_short, room_for, text_width, widths
from optbench.layout import header as broken_header

WIDTH = 80
"""Columns of a terminal that nobody knows."""

_GONE = (errno.EPIPE, errno.EIO)
"""A pipe that nobody reads any more; a terminal that was closed."""

_CALLED = {"stdout": "standard output", "stderr": "standard error"}


@contextmanager
def lasting(stream: Any, called: str) -> Iterator[None]:
    """Let what is written to a stream that nobody reads any more go nowhere.

    Args:
        stream: it.
        called: what a disk that is full is told of, for messages.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            error.filename = error.filename or called
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
        """Write, if there is such a stream."""
        stream = getattr(sys, self._name)
        if stream is not None:
            with lasting(stream, _CALLED[self._name]):
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Bring what was written to its reader."""
        stream = getattr(sys, self._name)
        if stream is not None:
            with lasting(stream, _CALLED[self._name]):
                stream.flush()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        stream = getattr(sys, self._name)
        return stream is not None and bool(stream.isatty())

    @property
    def encoding(self) -> str | None:
        """What letters it takes, if that is known."""
        return getattr(getattr(sys, self._name), "encoding", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(sys, self._name), name)


OUT, ERR = Lasting("stdout"), Lasting("stderr")


def width() -> int:
    """Return how wide a line may be: as the terminal; elsewhere as `COLUMNS` says, or 80."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def picture_width() -> int:
    """Return how wide a picture of characters is: 72, less in a narrow terminal, at least 24."""
    return max(24, min(72, width()))


def print_lines(text: str) -> None:
    """Print lines on standard output, each escaped."""
    OUT.write(escaped_lines(text) + "\n")
    OUT.flush()


def print_text(text: str) -> None:
    """Print sentences on standard output, escaped, in lines that fit (`width`)."""
    print_lines(broken(escaped_lines(text), width()))


def print_error(text: str, lines: bool = False) -> None:
    """Print a line on standard error, escaped; or several, where a text has them rightly.

    A terminal gets it in lines that fit.
    """
    ERR.write((escaped_lines(text) if lines else fitting(escaped(text))) + "\n")


def fitting(line: str) -> str:
    """Break a line for standard error between words where it does not fit."""
    return line if fits(line) else broken(line, width())


def fits(line: str) -> bool:
    """Return whether a line needs no breaking on standard error.

    It does where somebody reads it in a terminal; a file, or a program, has it whole, unless
    `COLUMNS` says how wide.
    """
    measured = ERR.isatty() or os.environ.get("COLUMNS")
    return not measured or text_width(line) <= width()


def print_table(title: str, header: list[str], rows: list[list[str]], console: Any = None) -> None:
    """Print a table, no wider than the terminal: drawn in one, plain columns elsewhere.

    Words, and so paths, stay whole; see `layout.widths`. Elsewhere than in a terminal `COLUMNS`
    says how wide, by default 80.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    title = escaped(title)
    cells = [[escaped(cell) for cell in row] for row in [header, *rows]]
    console = console or Console(file=cast(IO[str], OUT), highlight=False)
    if not console.is_terminal:
        lines = [*([broken(title, width())] if title else []), *columns(cells, width())]
        OUT.write("\n".join(lines) + "\n")
        OUT.flush()
        return
    fitted = widths(cells, console.width - borders(len(header)))
    table = Table(title=escape(title) or None, title_justify="left", header_style="bold")
    for name, each in zip(cells[0], fitted, strict=True):
        shown = "\n".join(broken_header(name, each))
        table.add_column(escape(shown), width=each, overflow="fold")
    for row in cells[1:]:
        table.add_row(*map(escape, row))
    console.print(table)


def table_room(count: int) -> int:
    """Return how wide the cells of a table of so many columns may be in `print_table`."""
    return width() - (borders(count) if OUT.isatty() else len(GAP) * (count - 1))


def borders(count: int) -> int:
    """Return how wide the borders of a drawn table of so many columns are."""
    return 3 * count + 1


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def add_what_fits(
    table: dict[str, list[str]], more: Mapping[str, list[str]], longest: int
) -> list[str]:
    """Give a table further columns, as many as there is room for, each run on one line.

    Args:
        table: values by column, changed in place.
        more: further columns, in the order of their worth; empty ones are none.
        longest: columns of a value, which is cut short beyond.

    Returns:
        The names of the columns that are left out.
    """
    left = []
    for name, values in more.items():
        if not any(values):
            continue
        cut = [cut_short(escaped(value), longest) for value in values]
        cells = [[key, *column] for key, column in [*table.items(), (name, cut)]]
        wanted = [room_for(column[0], column[1:]) for column in cells]
        if sum(wanted) <= table_room(len(cells)):
            table[name] = cut
        else:
            left.append(name)
    return left
