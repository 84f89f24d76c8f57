"""The runs that are to be done, from a list or as they are thought of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from optbench.compose.composer import keys_of
from optbench.compose.sweeps import varied_keys
from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.sweep import Sweep
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback


@dataclass(frozen=True)
class Job:
    """One run that is to be done.

    Attributes:
        number: from 0; no other job has it.
        said: what it is among the others, for those who look on.
        spec: what to run.
        folder: where.
        seals: of the configs that the run had before.
        callbacks: told of the run.
        differs: what differs from the others; `said` by default.
    """

    number: int
    said: str
    spec: RunSpec
    folder: RunDir
    seals: Sequence[Seal] = ()
    callbacks: Sequence[Callback] = ()
    differs: str = ""


class Jobs(Protocol):
    """Gives runs one by one, each when there is somebody to do it.

    Attributes:
        total: how many there will be.
        before: how many of them were done before, and are not given.
    """

    total: int
    before: int

    def next(self) -> Job | None:
        """Return the next run; None if there is none, or none before another has ended."""
        ...

    def take(self, job: Job, result: RunResult) -> None:
        """Take what a run came to; of one that was elsewhere a second time."""
        ...


class SweepJobs:
    """The runs of a sweep, in the order of its grid.

    Args:
        planned: the sweep.
        callbacks: told of each run.

    Attributes:
        folders: of the runs.
        results: what they came to, by number.
    """

    before = 0  # those that are done are given, too

    def __init__(self, planned: Sweep, callbacks: Sequence[Callback] = ()) -> None:
        self.total = len(planned.specs)
        self.folders = [RunDir(planned.folder.path / str(n)) for n in range(self.total)]
        self.results: dict[int, RunResult] = {}
        self._planned, self._callbacks = planned, callbacks
        self._varied = varied_keys(planned.grid)
        self._numbers = iter(range(self.total))

    def next(self) -> Job | None:
        """Return the next run of the grid."""
        number = next(self._numbers, None)
        if number is None:
            return None
        grid, seals = self._planned.grid[number], self._planned.seals
        differs = [line for line in grid if keys_of([line])[0] in self._varied]
        return Job(
            number,
            " ".join(grid),
            self._planned.specs[number],
            self.folders[number],
            seals[number] if seals else (),
            self._callbacks,
            " ".join(differs or grid),
        )

    def take(self, job: Job, result: RunResult) -> None:
        """Keep a run's result."""
        self.results[job.number] = result
