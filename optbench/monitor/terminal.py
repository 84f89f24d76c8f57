"""The run as it goes on, in the terminal: a progress bar, or lines when it is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from optbench.monitor.numerals import significant
from optbench.monitor.record import Record

REDRAW_SECONDS = 0.1
BAR = 10
BESIDE = BAR + 13
"""Columns that the bar, the time that is left, the slash and the spaces take."""
LINE_SECONDS = 10.0
SCORE_LINES = 20
"""So many lines with scores, evenly spread, and the last, say what hundreds would."""

_SHOWN = {"loss": "train/loss", "grad": "grad_norm/total", "update": "update_ratio/total"}
BEST = "best"
WIDTH = 80
"""Columns that a line may have; what does not fit is left out of the progress."""


def shorter(line: str) -> str:
    """Return a line of scores with each set said once: `val/loss 1  accuracy 0.5`."""
    cells: list[str] = []
    last = ""
    for cell in line.split("  "):
        set_name, slash, rest = cell.partition("/")
        cells.append(rest if slash and set_name == last != "" else cell)
        last = set_name if slash else ""
    return "  ".join(cells)


def shortest(line: str) -> str:
    """Return the same without the epoch, which the step says too."""
    cells = shorter(line).split("  ")
    return "  ".join(cell for cell in cells if not cell.startswith("epoch "))


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
        self._score_every = max(1, evaluate) * max(1, -(-evaluations // SCORE_LINES))
        self._held: str | None = None
        self._best: str | None = None
        self._due = self._fresh = self._improved = False
        self._bar: Progress | None = None
        self._task = TaskID(0)
        now = time.perf_counter()
        self._next = now + (REDRAW_SECONDS if console else LINE_SECONDS)
        self._started, self._first = now, done
        if console is not None:
            self._bar = Progress(
                TextColumn("{task.completed}/{task.total}"),
                BarColumn(bar_width=BAR),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
                console=console,
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("train", total=total, completed=done, numbers="")
            self._bar.start()

    def write(self, record: Record) -> None:
        """Remember the values; say scores in a line of their own, if there are not too many.

        They are said a little later, with what they have decided.
        """
        self._values.update(record.values)
        if record.kind not in ("val", "test"):
            return
        scores = "  ".join(f"{tag} {significant(v)}" for tag, v in record.values.items())
        loss = self._values.get("train/loss")
        known = loss is not None and record.kind == "val"
        train = f"train/loss {significant(loss)}  " if known and loss is not None else ""
        self._settle()
        if record.kind == "test":
            self._say_held()
        self._held = f"step {record.step}  epoch {record.epoch:.4g}  {train}{scores}"
        self._fresh, self._improved = record.kind == "val", False
        self._due = record.kind == "test" or record.step % self._score_every == 0

    def decided(self, what: str) -> None:
        """Have the newest scores said, and what they have decided.

        `best` is said once it stands: when the next scores are no better, or the run ends.
        """
        if self._held is not None:
            self._held += f"  {what}"
        self._improved |= what == BEST
        self._due |= what != BEST

    def _settle(self) -> None:
        """Say what is due, once what the newest scores have decided is known."""
        if self._fresh and not self._improved and self._best is not None:
            self._say(self._best)
        if self._fresh:
            self._best = self._held if self._improved and not self._due else None
            self._fresh = False
        if self._due:
            self._say_held()

    def _say_held(self) -> None:
        """Say the newest scores, unless they were said."""
        if self._held is not None:
            self._say(self._held)
        self._held, self._due = None, False

    def tick(self, step: int) -> None:
        """Say, after every step, scores that are due, and redraw when it is time to."""
        if self._fresh or self._due:
            self._settle()
        now = time.perf_counter()
        if now < self._next:
            return
        if self._bar is not None:
            self._next = now + REDRAW_SECONDS
            room = self._bar.console.width - 2 * len(str(self._total)) - BESIDE
            self._bar.update(self._task, completed=step, numbers=self._numbers(room), refresh=True)
        else:
            self._next = now + LINE_SECONDS
            left = (now - self._started) / max(1, step - self._first) * (self._total - step)
            at, end = f"step {step}/{self._total}  ", f"  {left:.0f} s left"
            self._say(f"{at}{self._numbers(WIDTH - len(at) - len(end))}{end}")

    def _numbers(self, width: int) -> str:
        """Return the newest values, as many as there is room for."""
        shown = [f"{n} {self._values[tag]:.3g}" for n, tag in _SHOWN.items() if tag in self._values]
        lrs = [f"lr {v:.3g}" for tag, v in self._values.items() if tag.startswith("lr/")]
        speed = self._values.get("throughput/examples_per_second")
        every = [*shown, *lrs, *([f"{speed:,.0f} ex/s"] if speed else [])]
        while len(every) > 1 and len("  ".join(every)) > width:
            every.pop()
        return "  ".join(every)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Say the last scores, and take the bar away."""
        self._settle()
        self._say_held()
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
