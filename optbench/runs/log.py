"""What a run says: to the terminal, and to its log.txt."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO, cast

from optbench.console import ERR, fits, fitting, shown
from optbench.escape import escaped, escaped_lines
from optbench.files import open_regular
from optbench.launched import launched_rank
from optbench.runs.lock import lock

if TYPE_CHECKING:
    from rich.console import Console


class Log:
    """Says lines on standard error, and in the run's `log.txt` once it has one.

    Args:
        draws: may draw a progress bar, as one process alone may.
        quiet: says nothing, in no file either; by default as all ranks but 0 under torchrun.
        tells: says it on standard error too, not in the file alone.
    """

    def __init__(self, quiet: bool | None = None, draws: bool = True, tells: bool = True) -> None:
        self._draws, self._tells = draws and tells, tells
        self.quiet = launched_rank() > 0 if quiet is None else quiet
        self._file: TextIO | None = None
        self._path: Path | None = None

    @cached_property
    def console(self) -> Console:
        """Standard error; made when there is something to say, for rich takes time to import."""
        from rich.console import Console

        return Console(file=cast(IO[str], ERR), highlight=False, soft_wrap=True)

    @property
    def live(self) -> Console | None:
        """The terminal to draw a progress bar on, None if there is none."""
        draws = self._draws and not self.quiet and self.console.is_terminal
        return self.console if draws else None

    @property
    def tells(self) -> bool:
        """Whether lines are seen on standard error."""
        return self._tells and not self.quiet

    def open(self, path: Path) -> None:
        """Write from now on to this file too, which no other process may have open.

        Raises:
            Busy: one has; nothing was written to it.
            BadFile: it is a link, or no file.
        """
        if self.quiet or (self._file is not None and path == self._path):
            return
        self.close()
        opened = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        file = os.fdopen(opened, "a", encoding="utf-8", errors="backslashreplace", buffering=1)
        try:
            lock(file, path.parent, self.warn)
        except BaseException:
            file.close()
            raise
        self._file, self._path = file, path

    def say(self, line: str, *shorter: str) -> None:
        """Say a line to both; to a terminal that is too narrow the first `shorter` one that fits,
        or else the last."""
        if self.tells:
            forms = (line, *shorter)
            self.tell(next(filter(fits, forms), forms[-1]))
        self.note(line)

    def tell(self, line: str) -> None:
        """Say a line to the terminal only."""
        self._print(line)

    def warn(self, line: str) -> None:
        """Say a line that asks for attention."""
        self._print(f"warning: {line}", "yellow")
        self.note(f"warning: {line}")

    def note(self, line: str) -> None:
        """Write a line to the file only."""
        self._write(escaped(line))

    def note_lines(self, text: str) -> None:
        """Write several lines, such as a traceback, to the file only."""
        self._write(escaped_lines(text))

    def _print(self, line: str, style: str | None = None) -> None:
        if not self.tells:
            return
        self.console.print(fitting(escaped(line)), markup=False, style=style)

    def _write(self, text: str) -> None:
        if self._file is not None:
            now = datetime.now().isoformat(timespec="seconds")
            self._file.write(f"{now} {text}\n")

    def close(self) -> None:
        """End the file."""
        file, self._file, self._path = self._file, None, None
        if file is not None:
            file.close()


class _Heard(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.warn(record.getMessage())


def say_taken(wanted: str | os.PathLike[str], got: Path, log: Log) -> None:
    """Say so where a folder was there already and another was made in its place."""
    first = Path(wanted).expanduser().absolute()
    if got != first:
        log.say(f"{shown(first)} is there already: this goes to {shown(got)}")


@contextmanager
def heard(log: Log) -> Iterator[None]:
    """Say what other parts warn of by Python's logging, which is all that they know."""
    logger, handler = logging.getLogger("optbench"), _Heard(log)
    logger.addHandler(handler)
    propagated, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.propagate = propagated
        logger.removeHandler(handler)
