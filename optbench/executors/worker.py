"""What a process that does runs for another one does, one run after the other."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.trust import Seal
from optbench.runs.with_parent import end_with

if TYPE_CHECKING:
    from optbench.training.callback import Callback

_busy = False


def begin(parent: int, threads: int) -> int:
    """Prepare this process: its own process group, its threads, and an end with its parent's.

    A group of its own keeps Ctrl-C from it, which its parent hands on as it sees fit, and lets the
    parent end whatever the run started. Importing torch here, once, is what makes it warm.

    Args:
        parent: the process that it works for.
        threads: of torch, for runs that say nothing of them.

    Returns:
        The process number.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import torch

    torch.set_num_threads(threads)
    import optbench.assemble.experiment
    import optbench.runs.execute  # noqa: F401

    end_with(parent, lambda: _busy)
    return os.getpid()


def work(
    spec: RunSpec, folder: RunDir, seals: Sequence[Seal], callbacks: Sequence[Callback]
) -> RunResult:
    """Do one run; it tells its log.txt, and nobody else."""
    from optbench.runs.process import left_as_found
    from optbench.runs.sweep import run_one

    global _busy
    _busy = True
    try:
        with left_as_found():
            return run_one(spec, folder, Log(draws=False, tells=False), seals, callbacks)
    finally:
        _busy = False
