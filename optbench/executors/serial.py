"""Runs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.sweep import run_one
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback


class Serial:
    """Does each run as it is submitted, in this warm process.

    Args:
        log: whom the runs tell.
    """

    slots, here = 1, True

    def __init__(self, log: Log | None = None) -> None:
        self._log = Log() if log is None else log

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Do a run; return a future that is done."""
        future: Future[RunResult] = Future()
        future.set_result(run_one(spec, folder, self._log, seals, callbacks))
        return future

    def stop(self, number: int) -> None:
        """Nothing: a run here takes the signal itself."""

    def close(self) -> None:
        """Nothing is left."""
