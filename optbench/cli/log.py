"""What a run says: to the terminal, and to its log.txt."""

from __future__ import annotations

import fcntl
import os
import sys
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from optbench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


class Log:
    """Says lines on standard error, and in the run's `log.txt` once it has one.

    Args:
        draws: may draw a progress bar, as one process alone may.
        quiet: says nothing; by default as all ranks but 0 under torchrun.
    """

    def __init__(self, quiet: bool | None = None, draws: bool = True) -> None:
        self._draws = draws
        self.quiet = os.environ.get("RANK", "0") != "0" if quiet is None else quiet
        self._file: TextIO | None = None

    @cached_property
    def console(self) -> Console:
        """Standard error; made when there is something to say, for rich takes time to import."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.quiet, highlight=False, soft_wrap=True)

    @property
    def live(self) -> Console | None:
        """The terminal to draw a progress bar on, None if there is none."""
        draws = self._draws and self.console.is_terminal and not self.quiet
        return self.console if draws else None

    def open(self, path: Path) -> None:
        """From now on to this file too, which no other process may have open.

        Raises:
            UserError: one has.
        """
        if not self.quiet:
            self.close()
            self._file = path.open("a", encoding="utf-8", buffering=1)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"{path.parent}: another process is at this run") from None

    def say(self, line: str) -> None:
        """One line, to both."""
        self.tell(line)
        self.note(line)

    def tell(self, line: str) -> None:
        """To the terminal only."""
        self.console.print(line, markup=False)

    def warn(self, line: str) -> None:
        """A line that asks for attention."""
        self.console.print(f"warning: {line}", markup=False, style="yellow")
        self.note(f"warning: {line}")

    def note(self, line: str) -> None:
        """To the file only."""
        if self._file is not None:
            now = datetime.now().isoformat(timespec="seconds")
            self._file.write(f"{now} {line}\n")

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def print_table(title: str, header: list[str], rows: list[list[str]], console: Any = None) -> None:
    """A table on standard output: drawn in a terminal, plain columns elsewhere."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = console or Console(highlight=False, soft_wrap=True)
    if console.is_terminal:
        table = Table(title=title or None, title_justify="left", header_style="bold")
        for name in header:
            table.add_column(name)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
        return
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [title] if title else []
    for row in [header, *rows]:
        lines.append("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
