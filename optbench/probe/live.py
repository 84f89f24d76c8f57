"""How far a probing has come: a bar in a terminal, else nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskID, TextColumn

if TYPE_CHECKING:
    from rich.console import Console

REDRAW_SECONDS = 0.1


class Live:
    """Shows the step, the instrument, and how much of it is done.

    Args:
        console: the terminal; None shows nothing.
        total: measurements to come, each instrument at each checkpoint.
    """

    def __init__(self, console: Console | None, total: int) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._total, self._begun = total, 0
        self._now: tuple[int, str] | None = None
        self._next = 0.0
        if console is not None:
            self._bar = Progress(
                TextColumn("{task.fields[at]}"),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[done]}"),
                console=console,
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("probe", total=1.0, at="", done="")
            self._bar.start()

    def show(self, step: int, instrument: str, done: int, of: int) -> None:
        """Show it, a few times a second."""
        if (step, instrument) != self._now:
            self._now = step, instrument
            self._begun += 1
        clock = time.monotonic()
        if self._bar is None or clock < self._next:
            return
        self._next = clock + REDRAW_SECONDS
        part = (self._begun - 1 + done / max(1, of)) / max(1, self._total)
        self._bar.update(
            self._task,
            completed=part,
            at=f"step {step}  {instrument}",
            done=f"{self._begun} of {self._total}",
            refresh=True,
        )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
