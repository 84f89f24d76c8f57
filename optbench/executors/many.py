"""Many runs by one executor: each once, again if its process died, until told to stop."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from optbench.errors import is_machines, memory_wanting
from optbench.executors.base import Executor, OverLimit, WorkerDied
from optbench.executors.board import Board, board
from optbench.executors.gathered import Gathered
from optbench.executors.jobs import Job, Jobs, SweepJobs
from optbench.executors.population import AtOnce, tells_each_step
from optbench.executors.serial import Serial
from optbench.launched import launched_ranks
from optbench.rundir import RunDir
from optbench.runs.left import KILLED, left
from optbench.runs.lock import is_locked
from optbench.runs.log import Log
from optbench.runs.populations import populations
from optbench.runs.result import EXIT_FAILED, RunResult
from optbench.runs.sweep import ELSEWHERE, Sweep
from optbench.runs.with_parent import GRACE_SECONDS

if TYPE_CHECKING:
    from optbench.training.callback import Callback
    from optbench.training.signals import Interruption

LOOKS_SECONDS = 0.25
"""Between two looks whether a signal has come, and two pictures of the board."""

OVER_LIMIT = "over limit"
"""The state in the table of a run that took more time or memory than it may have."""


def run_all(
    planned: Sweep, executor: Executor, log: Log, callbacks: Sequence[Callback] = ()
) -> list[RunResult | None]:
    """Do the runs of a sweep; what an earlier part of it has done is not done again.

    Args:
        planned: the sweep.
        executor: who does the runs; closed at the end.
        log: whom to tell.
        callbacks: told of each run.

    Returns:
        What each run came to; None for those that were not begun here.
    """
    jobs = SweepJobs(planned, callbacks)
    if isinstance(executor, Serial):
        executor = at_once(planned, jobs.folders, executor, log, callbacks)
    number = do_all(jobs, executor, log)
    results: list[RunResult | None] = []
    for run, folder in enumerate(jobs.folders):
        result, code = jobs.results.get(run), 128 + number if number else EXIT_FAILED
        if result is None and not executor.here:
            result = left(folder, code, "")
        stopped = result is not None and (result.exit_code > 128 or result.state == "preempted")
        if result is not None and number and stopped:
            result = replace(result, exit_code=code)  # by whatever signal it was sent on
        results.append(result)
    return results


def at_once(
    planned: Sweep,
    folders: Sequence[RunDir],
    executor: Executor,
    log: Log,
    callbacks: Sequence[Callback],
) -> Executor:
    """Return who trains runs of one shape at once, if there are such, else the executor.

    Args:
        planned: the sweep.
        folders: of its runs.
        executor: does runs in this process, one after the other.
        log: is told why runs of one shape are not.
        callbacks: one that wants to be told of each step keeps runs apart.
    """
    if launched_ranks() > 1 or any(map(tells_each_step, callbacks)):
        return executor
    found = planned.populations
    if found is None:
        left = [number for number, folder in enumerate(folders) if not folder.done]
        found = populations(planned.specs, log.tell) if left else []
    if not found:
        return executor
    return AtOnce(log, {folders[n].path: group for group in found for n in group.numbers})


def do_all(jobs: Jobs, executor: Executor, log: Log) -> int:
    """Do runs as long as there are any.

    A run whose process dies goes on from its checkpoint, as long as it comes further each time.
    Runs that another program is at are looked at again at the end, and waited for a moment. Of a
    signal all runs end with a checkpoint, and the whole with them; of a second Ctrl-C at once.

    Args:
        jobs: gives the runs, and takes what they came to.
        executor: who does them; closed at the end.
        log: whom to tell.

    Returns:
        The number of the signal that ended it, 0 for none.
    """
    from optbench.training.signals import Interruption

    interruption = Interruption()
    with ExitStack() as stack:
        stack.callback(executor.close)
        if not executor.here:  # else each run takes the signals itself
            stack.enter_context(interruption.listening())
        shown = stack.enter_context(board(jobs, executor, log))
        runs = _Runs(jobs, executor, log, shown)
        try:
            runs.do(interruption)
        except KeyboardInterrupt:
            if executor.here:
                raise
            log.tell("stopped at once: runs go on from the checkpoints that they have")
    return interruption.number or runs.ended_by


class _Runs:
    """The runs that are being done, and those that are to be done again."""

    def __init__(self, jobs: Jobs, executor: Executor, log: Log, shown: Board) -> None:
        self._jobs, self._executor, self._log, self._board = jobs, executor, log, shown
        self._again: deque[Job] = deque()
        self._elsewhere: deque[Job] = deque()
        self._running: dict[Future[RunResult], Job] = {}
        self._died: dict[int, int] = {}
        self._seen_twice: set[int] = set()
        self._patient_until: float | None = None
        self._stopping = False
        self.ended_by = 0

    def do(self, interruption: Interruption) -> None:
        """Go on until nothing is left to do, or to wait for."""
        while True:
            while len(self._running) < self._executor.slots:
                job = self._next()
                if job is None:
                    break
                self._submit(job)
            if not self._running:
                if not self._elsewhere or self._stopping:
                    return
                time.sleep(LOOKS_SECONDS)
                if interruption.number:
                    self._stop(interruption.number)
                continue
            if isinstance(self._executor, Gathered):
                self._do_some(self._executor)
            done, _ = wait(self._running, LOOKS_SECONDS, FIRST_COMPLETED)
            for future in sorted(done, key=lambda each: self._running[each].number):
                self._take(self._running.pop(future), future.result)
            self._board.draw()
            if interruption.number and not self._stopping:
                if self._running:
                    count = len(self._running)
                    self._log.tell(f"stopping: {count} runs write their checkpoints")
                self._stop(interruption.number)

    def _next(self) -> Job | None:
        """Return a run that was cut short, or a new one, or at the end one that was elsewhere."""
        if self._stopping:
            return None
        if self._again:
            return self._again.popleft()
        job = self._jobs.next()
        if job is None and not self._running and self._elsewhere:
            return self._one_of_elsewhere()
        return job

    def _one_of_elsewhere(self) -> Job | None:
        """Return a run that was elsewhere once nobody is at it, or it has been waited for enough.

        Processes of a program that was killed are at their runs until they have a checkpoint.
        """
        now = time.monotonic()
        if self._patient_until is None:
            self._patient_until = now + GRACE_SECONDS
        free = [job for job in self._elsewhere if not is_locked(job.folder.log)]
        job = free[0] if free else self._elsewhere[0]
        if not free and now < self._patient_until:
            return None
        self._elsewhere.remove(job)
        return job

    def _submit(self, job: Job) -> None:
        if not isinstance(self._executor, Gathered):
            self._board.begins(job)
        future = self._executor.submit(job.spec, job.folder, job.seals, job.callbacks)
        self._running[future] = job

    def _do_some(self, executor: Gathered) -> None:
        """Have the next of the runs that wait be done: there are no more to give now."""
        for future in executor.next_unit():
            self._board.begins(self._running[future])
        executor.do_unit()

    def _take(self, job: Job, result: Callable[[], RunResult]) -> None:
        """Take a run's result, or do it again if its process has died once."""
        try:
            found = result()
            if not self._executor.here and found.exit_code > 128 and not self._stopping:
                raise WorkerDied(f"its process was ended by signal {found.exit_code - 128}")
        except CancelledError:  # it waited for others, and was not begun
            return
        except WorkerDied as died:
            if self._stopping:
                return
            kept = job.folder.read_status().get("checkpoint", 0)
            if kept > self._died.get(job.number, -1):  # it came further than when it died before
                self._died[job.number] = kept
                self._again.append(job)
                self._board.again(job, str(died))
                return
            step = job.folder.read_status().get("step", 0)
            found = RunResult(job.folder, KILLED, step, f"{died}, again", exit_code=EXIT_FAILED)
        except OverLimit as over:
            step = job.folder.read_status().get("step", 0)
            found = RunResult(job.folder, OVER_LIMIT, step, str(over), exit_code=EXIT_FAILED)
        except Exception as error:  # it could not be sent there, or its result back
            wanting = memory_wanting(error)
            said = wanting or f"{type(error).__name__}: {' '.join(str(error).split())}"
            found = RunResult(
                job.folder,
                "failed",
                0,
                said,
                exit_code=EXIT_FAILED,
                machines=wanting is not None or is_machines(error),
            )
        if found.state == ELSEWHERE and job.number not in self._seen_twice:
            self._seen_twice.add(job.number)
            self._elsewhere.append(job)
        self._board.ends(job, found)
        self._jobs.take(job, found)
        self._after(job, found)

    def _after(self, job: Job, found: RunResult) -> None:
        """Stop, where nothing more is to be done after such a result."""
        if found.state == "failed" and job.spec.config.sweep.fail_fast:
            self._log.tell("sweep.fail_fast=true: the sweep stops here")
            self._stop()
        elif found.exit_code > 128 and self._executor.here:
            self.ended_by = found.exit_code - 128
            self._stop()
        elif found.state == "failed" and launched_ranks() > 1:
            self._log.tell("the ranks may be out of step: resume the sweep to go on")
            self._stop()

    def _stop(self, number: int = signal.SIGTERM) -> None:
        """Begin no more runs; let those that are at work end with a checkpoint."""
        self._stopping = True
        self._executor.stop(number)
