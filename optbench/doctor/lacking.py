"""What a run's folder lacks of what it had, as far as its files tell without being loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optbench.errors import UserError
from optbench.files import BadFile, load_json
from optbench.metric_lines import records
from optbench.rundir import DONE, RunDir
from optbench.runs.read import Run
from optbench.step_folders import CHECKPOINTS, checkpoint_step


class Lines:
    """The lines of a run's `metrics.jsonl` that are records, and afterwards which are none.

    Args:
        path: of the file; one that is not there has no lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unread: list[int] = []
        self._end = self._count = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Yield them, as whoever wrote them may have left them."""
        try:
            for end, record in records(self._path):
                self._end, self._count = end, self._count + 1
                if record is None:
                    self._unread.append(self._count)
                elif isinstance(record.get("kind"), str):
                    yield record
        except FileNotFoundError:
            return

    def lacking(self, ended: bool) -> str:
        """Return which lines can't be read, in a line; empty where all can.

        Args:
            ended: whether the run wrote all that it had to write: a last line without its end is
                damage then, and else what a kill may leave.
        """
        unread = list(self._unread)
        if ended and self._path.exists() and self._path.stat().st_size > self._end:
            unread.append(self._count + 1)
        if not unread:
            return ""
        if len(unread) == 1:
            return f"line {unread[0]:,} of metrics.jsonl can't be read"
        return f"{len(unread):,} lines of metrics.jsonl can't be read, the first is {unread[0]:,}"


def records_lacking(run: Run, state: str, last: int, lines: Lines) -> str:
    """Return which file says less than it did, in a line; empty where none does.

    Args:
        run: whose.
        state: of it.
        last: the last step of its records, 0 where there are none.
        lines: that were read.
    """
    if state == "unknown":
        return "status.json is missing or can't be read"
    said, metrics = run.status.get("step"), RunDir(run.path).metrics
    begun = isinstance(said, int) and said > 0
    if begun and not metrics.exists():
        return f"metrics.jsonl is missing, where status.json says step {said}"
    # a run that measures nothing leaves it empty
    if begun and not last and metrics.stat().st_size:
        return f"metrics.jsonl has no record, where status.json says step {said}"
    return lines.lacking(ended=state in DONE)


def summary_lacking(run: Run, state: str) -> str:
    """Return what is wrong with the summary of a run that has ended; empty where nothing is."""
    damaged = [line for line in RunDir(run.path).damaged() if line.startswith("summary.json")]
    if damaged:
        return damaged[0]
    there = RunDir(run.path).path / "summary.json"
    return "summary.json is missing" if state in DONE and not there.exists() else ""


def checkpoints_lacking(run: Run) -> list[str]:
    """Return a line for each checkpoint of which a file is missing, or not as long as it was.

    A file that was changed and is as long as before is found when it is loaded.
    """
    found = []
    for folder in sorted(RunDir(run.path).checkpoints.glob(CHECKPOINTS)):
        step = checkpoint_step(folder.name)
        wrong = _wrong(folder) if step is not None else ""
        if wrong:
            found.append(f"the checkpoint of step {step} is damaged: {wrong}")
    return found


def _wrong(folder: Path) -> str:
    """Return what is wrong with a checkpoint's files; empty where nothing is."""
    try:
        files = load_json(folder / "manifest.json").get("files")
    except (BadFile, UserError, OSError, ValueError):
        return "manifest.json is missing or can't be read"
    if not isinstance(files, Mapping):
        return "manifest.json names no files"
    for name, said in files.items():
        size = said.get("size") if isinstance(said, Mapping) else None
        path = folder / name
        if path.parent != folder or not isinstance(size, int):
            return "manifest.json is not as it was written"
        try:
            there = path.lstat().st_size
        except OSError:
            return f"{name} is missing"
        if there != size:
            return f"{name} has {there:,} bytes of {size:,}"
    return ""
