"""What is seen of many runs as they go on: a table on a terminal, a line for each run elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optbench.escape import escaped
from optbench.executors.base import Executor
from optbench.executors.jobs import Job, Jobs
from optbench.files import MIB, parse_json, reading
from optbench.monitor.numerals import significant
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.result import RunResult, score
from optbench.runs.sweep import ELSEWHERE

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

DRAWS_SECONDS = 0.5
TAIL = MIB // 4
"""Bytes at the end of a run's records in which its newest ones are looked for."""


@dataclass
class Tally:
    """How many runs have ended and how, and which is the best so far.

    Attributes:
        total: how many there will be.
        before: how many of them had ended before, however.
        states: how the others ended, by number.
        seconds: how long they took.
        best: of them: the run's name, the metric, its value.
    """

    total: int
    before: int = 0
    states: dict[int, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    best: tuple[str, str, float] | None = None

    @property
    def ended(self) -> int:
        """How many are not waiting and not being done."""
        return self.before + len(self.states)

    @property
    def failed(self) -> int:
        """How many of them have no result to go by."""
        good = ("finished", "stopped_early", ELSEWHERE)
        return sum(state not in good for state in self.states.values())

    def add(self, number: int, result: RunResult, seconds: float) -> None:
        """Take in a run's result, the newer one of two."""
        self.states[number] = result.state
        if result.state != ELSEWHERE:
            self.seconds.append(seconds)
        metric = result.best.get("metric")
        value = None if metric is None else score(result, str(metric))
        if metric is None or value is None or value != value or result.state == "diverged":
            return
        sign = -1 if result.best.get("mode") == "max" else 1
        if self.best is None or sign * value < sign * self.best[2]:
            self.best = (result.folder.path.name, str(metric), value)

    def left(self, slots: int) -> str:
        """Return how long the rest takes, if it takes as long as what is done."""
        if not self.seconds or self.ended >= self.total:
            return ""
        mean = sum(self.seconds) / len(self.seconds)
        return duration(mean * (self.total - self.ended) / slots)


class Board:
    """Tells of runs as they begin and end, a line each.

    Args:
        jobs: the runs.
        executor: who does them.
        log: whom to tell.
    """

    def __init__(self, jobs: Jobs, executor: Executor, log: Log) -> None:
        self._executor, self._log = executor, log
        self._tally = Tally(jobs.total, jobs.before)
        self._running: dict[int, tuple[Job, float]] = {}

    def begins(self, job: Job) -> None:
        """Tell of a run that begins, where it is seen; those elsewhere are told of at their end."""
        self._running[job.number] = (job, time.monotonic())
        if self._executor.here:
            self._log.tell(f"{self._count(job)} {job.said}")

    def again(self, job: Job, why: str) -> None:
        """Tell of a run that goes on in another process."""
        self._running.pop(job.number, None)
        self._log.tell(f"{self._count(job)} {why}: it goes on from its checkpoint")

    def ends(self, job: Job, result: RunResult) -> None:
        """Tell what a run came to."""
        self._tally_up(job, result)
        if not self._executor.here:
            self._log.tell(f"{self._count(job)} {self._line(job, result)}")
        elif result.state == ELSEWHERE:
            self._log.tell(result.message)
        elif result.state == "failed":
            self._log.tell(f"failed: {result.message}")

    def _tally_up(self, job: Job, result: RunResult) -> None:
        now = time.monotonic()
        _, began = self._running.pop(job.number, (job, now))
        self._tally.add(job.number, result, now - began)

    def draw(self) -> None:
        """Show how it stands, if it is time to."""

    def _count(self, job: Job) -> str:
        return f"[{job.number + 1}/{self._tally.total}]"

    def _line(self, job: Job, result: RunResult) -> str:
        """Return what varies of a run, how it ended, and how many are left."""
        state = result.state.replace("_", " ")
        if result.message and result.state not in ("finished", "stopped_early"):
            state += f": {result.message}"
        metric = result.best.get("metric")
        value = None if metric is None else score(result, str(metric))
        scored = "" if value is None else f"  {metric} {significant(value)}"
        rest = self._tally.total - self._tally.ended
        left = f"  {rest} left" if rest else ""
        about = self._tally.left(self._executor.slots)
        said = job.differs or job.said
        return f"{said}: {state}{scored}{left}{f', about {about}' if about else ''}"


class LiveBoard(Board):
    """Shows the runs that are being done in a table that is drawn anew."""

    live: Live

    def ends(self, job: Job, result: RunResult) -> None:
        """Count a run; a line tells of one that has no result to go by."""
        if result.state in ("finished", "stopped_early"):
            self._tally_up(job, result)
        else:
            super().ends(job, result)

    def draw(self) -> None:
        """Draw the table, twice a second at most."""
        self.live.update(self._table())

    def _table(self) -> RenderableType:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, expand=False)
        for name, right in (("run", True), ("for", True), ("epoch", True), ("loss", True)):
            table.add_column(name, justify="right" if right else "left", no_wrap=True)
        table.add_column("what varies", overflow="ellipsis", no_wrap=True)
        now = time.monotonic()
        for _, (job, began) in sorted(self._running.items()):
            newest = newest_record(job.folder)
            cells = [f"{newest['epoch']:.1f}" if "epoch" in newest else ""]
            cells.append(significant(newest["train/loss"]) if "train/loss" in newest else "")
            said = escaped(job.differs or job.said)
            table.add_row(job.folder.path.name, duration(now - began), *cells, said)
        table.caption = self._caption()
        table.caption_justify = "left"
        return table

    def _caption(self) -> str:
        tally = self._tally
        said = [f"{tally.ended} of {tally.total} done"]
        if tally.failed:
            said.append(f"{tally.failed} failed")
        if tally.best is not None:
            name, metric, value = tally.best
            said.append(f"best {metric} {significant(value)} (run {name})")
        about = tally.left(self._executor.slots)
        return ", ".join([*said, *([f"about {about} left"] if about else [])])


@contextmanager
def board(jobs: Jobs, executor: Executor, log: Log) -> Iterator[Board]:
    """Yield what shows the runs: a live table on a terminal, where other processes do them."""
    console = None if executor.here else log.live
    if console is None:
        yield Board(jobs, executor, log)
        return
    from rich.live import Live

    shown = LiveBoard(jobs, executor, log)
    with Live(console=console, refresh_per_second=1 / DRAWS_SECONDS, transient=True) as live:
        shown.live = live
        yield shown


def newest_record(folder: RunDir) -> Mapping[str, Any]:
    """Return the newest numbers of a run's training that are in its file; empty if there are none.

    A file that can't be read has none: it is only looked at.
    """
    for line in reversed(_tail(folder)):
        try:
            record = parse_json(line)
        except ValueError:  # the first line may be half a one, and the last
            continue
        if isinstance(record, dict) and record.get("kind") == "train":
            shown = {key: record.get(key) for key in ("step", "epoch", "train/loss")}
            return {k: v for k, v in shown.items() if isinstance(v, int | float)}
    return {}


def _tail(folder: RunDir) -> Sequence[bytes]:
    try:
        with reading(folder.metrics) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            return file.read(TAIL).splitlines()
    except Exception:  # whatever it is, it is the run's to say
        return []


def duration(seconds: float) -> str:
    """Return a duration in two units.

    Example:
        >>> duration(42.3), duration(192), duration(7980)
        ('42 s', '3 min 12 s', '2 h 13 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
