"""The run as it goes on, in the terminal: a progress bar, or lines when it is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from optbench.monitor.record import Record

REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0
SCORE_LINES = 20
"""So many lines with scores, evenly spread, and the last, say what hundreds would."""

_SHOWN = {
    "loss": "train/loss",
    "grad norm": "grad_norm/total",
    "update ratio": "update_ratio/total",
}


class Terminal:
    """A sink that shows the newest numbers.

    Args:
        total: steps of the run.
        done: steps that an earlier part of the run has taken.
        say: prints a line, to the terminal and to the log.
        console: a terminal for the progress bar; None shows lines only.
        evaluate: every how many steps there are scores to come; 0 is only at the end.
    """

    def __init__(
        self,
        total: int,
        done: int,
        say: Callable[[str], None],
        console: Console | None,
        evaluate: int = 0,
    ) -> None:
        self._total, self._say = total, say
        self._values: dict[str, float] = {}
        evaluations = total // max(1, evaluate)
        often = 1 if console else -(-evaluations // SCORE_LINES)
        self._score_every = max(1, evaluate) * max(1, often)
        self._held: str | None = None
        self._bar: Progress | None = None
        self._task = TaskID(0)
        now = time.perf_counter()
        self._next = now + (REDRAW_SECONDS if console else LINE_SECONDS)
        self._started, self._first = now, done
        if console is not None:
            self._bar = Progress(
                TextColumn("{task.completed}/{task.total}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
                console=console,
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("train", total=total, completed=done, numbers="")
            self._bar.start()

    def write(self, record: Record) -> None:
        """Remembers the values; scores get a line of their own, if there are not too many."""
        self._values.update(record.values)
        if record.kind not in ("val", "test"):
            return
        scores = "  ".join(f"{tag} {value:.4f}" for tag, value in record.values.items())
        loss = self._values.get("train/loss")
        train = f"train/loss {loss:.4f}  " if loss is not None and record.kind == "val" else ""
        if record.kind == "test":
            self._say_held()
        self._held = f"step {record.step:>6}  epoch {record.epoch:6.2f}  {train}{scores}"
        if record.kind == "test" or record.step % self._score_every == 0:
            self._say_held()

    def _say_held(self) -> None:
        """The newest scores, unless they were said."""
        if self._held is not None:
            self._say(self._held)
            self._held = None

    def tick(self, step: int) -> None:
        """After every step: redraws when it is time to."""
        now = time.perf_counter()
        if now < self._next:
            return
        if self._bar is not None:
            self._next = now + REDRAW_SECONDS
            self._bar.update(self._task, completed=step, numbers=self._numbers(), refresh=True)
        else:
            self._next = now + LINE_SECONDS
            left = (now - self._started) / max(1, step - self._first) * (self._total - step)
            self._say(f"step {step:>6}/{self._total}  {self._numbers()}  {left:.0f} s left")

    def _numbers(self) -> str:
        shown = [f"{n} {self._values[tag]:.3g}" for n, tag in _SHOWN.items() if tag in self._values]
        lrs = [f"lr {v:.3g}" for tag, v in self._values.items() if tag.startswith("lr/")]
        speed = self._values.get("throughput/examples_per_second")
        return "  ".join([*shown, *lrs, *([f"{speed:,.0f} ex/s"] if speed else [])])

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Says the last scores, and takes the bar away."""
        self._say_held()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
