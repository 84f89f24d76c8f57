"""What is seen of a meta-training: a bar in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from optbench.meta.trainer import MetaStep
from optbench.runs.log import Log

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_SECONDS, REDRAW_SECONDS = 30.0, 0.2
WINDOW = 50
"""Meta-steps over which the loss that is shown is a mean: tasks differ much."""


class Live:
    """Shows the meta-step, the meta-loss and the time left.

    Args:
        log: says lines, and has the terminal.
        total: meta-steps.
        done: before.
    """

    def __init__(self, log: Log, total: int, done: int) -> None:
        self._log, self._total, self._first = log, total, done
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._begun = self._said = time.monotonic()
        self._bar: Progress | None = None
        if log.live is not None:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("meta-step {task.completed}/{task.total}"),
                BarColumn(bar_width=20),
                TextColumn("meta-loss {task.fields[loss]}"),
                TimeRemainingColumn(),
                console=log.live,
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total, completed=done, loss="")
            self._bar.start()

    def show(self, done: MetaStep) -> None:
        """Show a meta-step, if it is time."""
        self._losses.append(done.loss)
        now = time.monotonic()
        last = done.step == self._total
        if now - self._said < (REDRAW_SECONDS if self._bar else LINE_SECONDS) and not last:
            return
        self._said = now
        loss = f"{sum(self._losses) / len(self._losses):.4f}"
        if self._bar is not None:
            self._bar.update(self._task, completed=done.step, loss=loss)
            self._bar.refresh()
            return
        each = (now - self._begun) / max(1, done.step - self._first)
        left = duration(each * (self._total - done.step))
        self._log.say(f"meta-step {done.step}/{self._total}  meta-loss {loss}  {left} left")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def duration(seconds: float) -> str:
    """Return a time in words: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
