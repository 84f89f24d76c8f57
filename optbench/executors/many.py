"""Many runs by one executor: each once, a second time if its process died, until told to stop."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING

from optbench.executors.base import Executor, OverLimit, WorkerDied
from optbench.executors.board import Board, board
from optbench.launched import launched_ranks
from optbench.rundir import RunDir
from optbench.runs.left import KILLED, left
from optbench.runs.log import Log
from optbench.runs.result import EXIT_FAILED, RunResult
from optbench.runs.sweep import ELSEWHERE, Sweep

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

    A run whose process dies goes on from its checkpoint once more. Runs that another program is at
    are looked at again at the end. Of a signal all runs end with a checkpoint, and the sweep with
    them; of a second Ctrl-C at once.

    Args:
        planned: the sweep.
        executor: who does the runs; closed at the end.
        log: whom to tell.
        callbacks: told of each run.

    Returns:
        What each run came to; None for those that were not begun.
    """
    from optbench.training.signals import Interruption

    interruption = Interruption()
    with ExitStack() as stack:
        stack.callback(executor.close)
        if not executor.here:  # else each run takes the signals itself
            stack.enter_context(interruption.listening())
        shown = stack.enter_context(board(planned, executor, log))
        runs = _Runs(planned, executor, log, shown, callbacks)
        try:
            runs.do(interruption)
        except KeyboardInterrupt:
            if executor.here:
                raise
            log.tell("stopped at once: runs go on from the checkpoints that they have")
    return runs.results(interruption.number)


class _Runs:
    """The runs of a sweep that are waiting, being done and done."""

    def __init__(
        self,
        planned: Sweep,
        executor: Executor,
        log: Log,
        shown: Board,
        callbacks: Sequence[Callback],
    ) -> None:
        self._planned, self._executor, self._log, self._board = planned, executor, log, shown
        self._callbacks = callbacks
        self._folders = [RunDir(planned.folder.path / str(n)) for n in range(len(planned.specs))]
        self._waiting = deque(range(len(planned.specs)))
        self._running: dict[Future[RunResult], int] = {}
        self._results: dict[int, RunResult] = {}
        self._died: set[int] = set()
        self._seen_twice: set[int] = set()
        self._stopping = False

    def do(self, interruption: Interruption) -> None:
        """Go on until nothing is left to do, or to wait for."""
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._executor.slots:
                self._submit(self._waiting.popleft())
            done, _ = wait(self._running, LOOKS_SECONDS, FIRST_COMPLETED)
            for future in done:
                self._take(self._running.pop(future), future.result)
            self._board.draw()
            if interruption.number and not self._stopping:
                count = len(self._running)
                if count:
                    self._log.tell(f"stopping: {count} runs write their checkpoints")
                self._stop(interruption.number)
            if not self._waiting and not self._running and not self._stopping:
                self._look_again()

    def _submit(self, number: int) -> None:
        self._board.begins(number)
        seals = self._planned.seals[number] if self._planned.seals else ()
        spec = self._planned.specs[number]
        future = self._executor.submit(spec, self._folders[number], seals, self._callbacks)
        self._running[future] = number

    def _take(self, number: int, result: Callable[[], RunResult]) -> None:
        """Take a run's result, or do it again if its process has died once."""
        folder = self._folders[number]
        try:
            found = result()
            if not self._executor.here and found.exit_code > 128 and not self._stopping:
                raise WorkerDied(f"its process was ended by signal {found.exit_code - 128}")
        except WorkerDied as died:
            if self._stopping:
                return
            if number not in self._died:
                self._died.add(number)
                self._waiting.appendleft(number)
                self._board.again(number, str(died))
                return
            step = folder.read_status().get("step", 0)
            found = RunResult(folder, KILLED, step, f"{died}, twice", exit_code=EXIT_FAILED)
        except OverLimit as over:
            step = folder.read_status().get("step", 0)
            found = RunResult(folder, OVER_LIMIT, step, str(over), exit_code=EXIT_FAILED)
        self._results[number] = found
        self._board.ends(number, found)
        self._after(found)

    def _after(self, found: RunResult) -> None:
        """Stop, where nothing more is to be done after such a result."""
        config = self._planned.specs[0].config
        if found.state == "failed" and config.sweep.fail_fast:
            self._log.tell("sweep.fail_fast=true: the sweep stops here")
            self._stop()
        elif found.exit_code > 128 and self._executor.here:
            self._stop()
        elif found.state == "failed" and launched_ranks() > 1:
            self._log.tell("the ranks may be out of step: resume the sweep to go on")
            self._stop()

    def _look_again(self) -> None:
        """Look once more at the runs that another program was at."""
        self._waiting.extend(
            number
            for number, found in sorted(self._results.items())
            if found.state == ELSEWHERE and number not in self._seen_twice
        )
        self._seen_twice |= set(self._waiting)

    def _stop(self, number: int = 0) -> None:
        """Begin no more runs; let those that are at work end with a checkpoint."""
        self._stopping = True
        self._waiting.clear()
        self._executor.stop(number or signal.SIGTERM)

    def results(self, number: int) -> list[RunResult | None]:
        """Return what each run came to; `number`: of the signal that ended them, 0 for none."""
        found: list[RunResult | None] = []
        for run, folder in enumerate(self._folders):
            result = self._results.get(run)
            if result is None and not self._executor.here:
                result = left(folder, 128 + number if number else EXIT_FAILED, "")
            found.append(result)
        return found
