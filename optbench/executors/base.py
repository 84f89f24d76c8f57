"""What everything that does many runs asks of whoever does them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback


class WorkerDied(Exception):
    """The process that was at a run is gone; the run goes on from its checkpoint elsewhere."""


class OverLimit(Exception):
    """A run took more time or memory than it may have, and was ended; its message is a line."""


class Executor(Protocol):
    """Does runs, so many at a time.

    Its future gives the run's `RunResult`, or raises `WorkerDied` or `OverLimit`. A run that has a
    checkpoint goes on from it, so one that is submitted again loses little.

    Attributes:
        here: whether runs are done by this process itself, while `submit` waits.
    """

    here: bool

    @property
    def slots(self) -> int:
        """The runs that it can be at together; no more are submitted before one is done."""
        ...

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Begin a run in a folder of its own, or go on with it.

        Args:
            spec: what to run.
            folder: where; one that has ended is left as it is.
            seals: of the configs that the run had before.
            callbacks: told of the run; copies of them, where another process does it.
        """
        ...

    def stop(self, number: int) -> None:
        """Ask all runs to end with a checkpoint, as a signal of this number does."""
        ...

    def close(self) -> None:
        """End all processes, whatever they are at."""
        ...
