"""Runs in this process: those of one shape at once, all others one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.populations import Population
from optbench.runs.result import RunResult
from optbench.runs.sweep import run_one
from optbench.runs.together import Asked, run_together
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback


class AtOnce:
    """Does a run as it is submitted, or with the others of its population once it has them all.

    Args:
        log: whom the runs tell.
        populations: of the runs, by their folders.
    """

    here = True

    def __init__(self, log: Log, populations: Mapping[Path, Population]) -> None:
        self._log, self._populations = log, dict(populations)
        self._waiting: dict[Population, list[tuple[Asked, Future[RunResult]]]] = {}

    @property
    def slots(self) -> int:
        """The runs that are waiting for others, and one."""
        return 1 + sum(map(len, self._waiting.values()))

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Do a run, or keep it until the last one of its population comes."""
        future: Future[RunResult] = Future()
        population = self._populations.pop(folder.path, None)  # again only alone
        if population is None:
            future.set_result(run_one(spec, folder, self._log, seals, callbacks))
            return future
        waiting = self._waiting.setdefault(population, [])
        waiting.append((Asked(spec, folder, seals, callbacks), future))
        if len(waiting) == len(population.numbers):
            del self._waiting[population]
            do_together(waiting, self._log, population.draws)
        return future

    def stop(self, number: int) -> None:
        """Begin none of those that wait; runs at work take the signal themselves."""
        for waiting in self._waiting.values():
            for _, future in waiting:
                cancel(future)
        self._waiting.clear()

    def close(self) -> None:
        """Nothing is left."""


def do_together(waiting: Sequence[tuple[Asked, Future[RunResult]]], log: Log, draws: bool) -> None:
    """Do runs of one shape at once, and set their futures.

    Args:
        waiting: the runs, each with its future.
        log: whom to tell.
        draws: whether a forward pass drops something.
    """
    results = run_together([asked for asked, _ in waiting], log, draws)
    for (_, future), result in zip(waiting, results, strict=True):
        if result is None:
            cancel(future)
        else:
            future.set_result(result)


def cancel(future: Future[RunResult]) -> None:
    """Have whoever waits see that a run was not begun."""
    future.cancel()
    future.set_running_or_notify_cancel()


def tells_each_step(callback: Callback) -> bool:
    """Return whether a callback is told of each step, which keeps its run apart."""
    from optbench.training.callback import overrides_step_end

    return overrides_step_end(callback)
