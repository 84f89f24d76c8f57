"""A run as the process that was at it left it."""

from __future__ import annotations

import time

from optbench.rundir import RunDir
from optbench.runs.lock import is_locked
from optbench.runs.result import RunResult, load_result
from optbench.runs.sweep import ELSEWHERE

NOT_BEGUN, KILLED = "not begun", "killed"
"""States in the table of runs that other processes were to do."""
PATIENCE_SECONDS = 3.0
"""How long processes that are being ended may still hold their runs."""


def left(folder: RunDir, code: int, message: str) -> RunResult:
    """Return a run as the processes left it that were to do it.

    Args:
        code: the exit code for one that is not done.
        message: what went wrong before it began, if something did.
    """
    state = folder.state
    if state is None:
        named = "failed" if message else NOT_BEGUN
        return RunResult(folder, named, 0, message, exit_code=code)
    found = load_result(folder)
    if state != "running":
        return found
    until = time.monotonic() + PATIENCE_SECONDS
    while (locked := is_locked(folder.log)) and time.monotonic() < until:
        time.sleep(0.05)
    if folder.state != "running":
        return load_result(folder)
    return RunResult(folder, ELSEWHERE if locked else KILLED, found.step, exit_code=code)
