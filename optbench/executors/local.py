"""Runs in processes of this machine that stay warm from one run to the next.

One that dies raises WorkerDied of its run, which `many.py` tries again from its checkpoint.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optbench.config.run_spec import RunSpec
from optbench.errors import Argument, ArgumentError
from optbench.executors.base import OverLimit, WorkerDied
from optbench.executors.worker import begin, work
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.trust import Seal
from optbench.runs.with_parent import GRACE_SECONDS

if TYPE_CHECKING:
    from optbench.training.callback import Callback

LOOKS_SECONDS = 0.2
"""Between two looks at a run's time and memory."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What libraries read once, when they are loaded."""

LEAKS = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
"""loky ends a process that has grown by 300 MB, where psutil is installed: data that is loaded once
for many runs is no leak, and the process that takes its place would not be one that has begun."""

PAGE = os.sysconf("SC_PAGE_SIZE")
_STARTING = threading.Lock()


class Local:
    """Does runs in `workers` processes, each with a share of the processor's cores.

    A process that dies takes one run with it, whose future raises `WorkerDied`; the next run gets a
    new process.

    Args:
        workers: processes; by default one for each core.
        threads: of torch in each, for runs that don't say `threads`; by default its share of the
            cores. With as many as elsewhere, results are the same to the bit.
        timeout: seconds that a run may take; it is then asked to end with a checkpoint.
        memory: GiB that a process may take; it is then killed.

    Raises:
        ArgumentError: a number that can't be.
    """

    here = False

    def __init__(
        self,
        workers: int | None = None,
        threads: int | None = None,
        timeout: float | None = None,
        memory: float | None = None,
    ) -> None:
        for name, value in (("workers", workers), ("threads", threads)):
            if value is not None and value < 1:
                raise ArgumentError(Argument(name, value), ": at least 1")
        for name, limit in (("timeout", timeout), ("memory", memory)):
            if limit is not None and limit <= 0:
                raise ArgumentError(Argument(name, limit), ": more than 0, or null for no limit")
        if memory is not None and not Path("/proc/self/statm").exists():
            raise ArgumentError(Argument("memory", memory), ": only where there is /proc")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.slots = workers or cores or 1
        share = threads or max(1, (cores or 1) // self.slots)
        self._limits = _Limits(timeout, memory)
        self._stopped = threading.Event()
        self._all = [_Worker(share, self._stopped) for _ in range(self.slots)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in reversed(self._all):
            self._free.put(worker)
        self._waiting = ThreadPoolExecutor(self.slots, "run")

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Do a run in the next process that is free."""
        return self._waiting.submit(self._do, spec, folder, tuple(seals), tuple(callbacks))

    def _do(self, *job: Any) -> RunResult:
        worker = self._free.get()
        try:
            return worker.do(job, self._limits)
        finally:
            self._free.put(worker)

    def stop(self, number: int) -> None:
        """Send all processes the signal: those at a run end it with a checkpoint."""
        self._stopped.set()  # also for a process that is just starting, and hears nothing yet
        for worker in self._all:
            worker.signal(signal.SIGTERM if number == signal.SIGHUP else number)

    def close(self) -> None:
        """End all processes, at once."""
        for worker in self._all:
            worker.kill()
        self._waiting.shutdown(cancel_futures=True)


class _Limits:
    """What a run may take: seconds, and GiB; None for no limit."""

    def __init__(self, timeout: float | None, memory: float | None) -> None:
        self.timeout, self.memory = timeout, memory

    def check(self, began: float, process: int) -> None:
        """Raise OverLimit for a run that began then, in this process."""
        if self.timeout is not None and time.monotonic() - began > self.timeout:
            raise OverLimit(f"it took longer than executor.timeout={self.timeout:g} seconds")
        if self.memory is not None and (taken := _memory(process)) > self.memory:
            raise OverLimit(
                f"its process took {taken:.2f} GiB, more than executor.memory={self.memory:g}"
            )


class _Worker:
    """One process, made when it is first needed, and anew when it has died.

    loky ends all processes of a pool when one dies, so each has a pool of its own.

    Args:
        threads: of torch.
        stopped: set when no run begins any more, and those that are at work end.
    """

    def __init__(self, threads: int, stopped: threading.Event) -> None:
        self._threads, self._stopped = threads, stopped
        self._pool: Any = None
        self._process: int | None = None
        self._closed = False

    def do(self, job: Sequence[Any], limits: _Limits) -> RunResult:
        """Do a run; raise WorkerDied if the process dies, OverLimit if the run takes too much."""
        from loky.process_executor import ShutdownExecutorError

        try:
            future = self._submitted(job)
            assert self._process is not None
            return self._wait(future, limits, time.monotonic(), self._process)
        except (BrokenProcessPool, ShutdownExecutorError) as error:
            self._forget()
            raise WorkerDied(_why(error)) from None

    def _submitted(self, job: Sequence[Any]) -> Future[RunResult]:
        """Give the process a run; one that has died since its last run is not this one's fault."""
        for last in (False, True):
            self._begin()
            if self._stopped.is_set() or self._closed:
                raise WorkerDied("no run begins any more")
            try:
                future: Future[RunResult] = self._pool.submit(work, *job)
                return future
            except BrokenProcessPool:
                self._forget()
                if last:
                    raise
        raise AssertionError

    def _wait(
        self, future: Future[RunResult], limits: _Limits, began: float, process: int
    ) -> RunResult:
        while True:
            try:
                return future.result(LOOKS_SECONDS)
            except NotYet:
                if future.done():  # it is the run's own error
                    raise
            if self._stopped.is_set():  # once more: the run may not have listened before
                self.signal(signal.SIGTERM)
                continue
            try:
                limits.check(began, process)
            except OverLimit:
                self._end(future)
                ended = future.result() if future.done() and not future.exception() else None
                if ended is not None and ended.exit_code <= 128:
                    return ended  # it had come to its end
                raise

    def _end(self, future: Future[RunResult]) -> None:
        """Let a run write its checkpoint, then end the process: it may hang, or be too large."""
        self.signal(signal.SIGTERM)
        with suppress(Exception):
            future.result(GRACE_SECONDS)
        self._kill_process()
        with suppress(Exception):
            future.result()
        self._forget()

    def _begin(self) -> None:
        """Start the process, if there is none and there is to be one."""
        if self._process is not None or self._closed or self._stopped.is_set():
            return
        from loky.process_executor import ProcessPoolExecutor

        _start_tracker()
        env = {**dict.fromkeys(THREADS, str(self._threads)), **LEAKS}
        self._pool = ProcessPoolExecutor(max_workers=1, env=env)
        if self._closed:  # just now, so that it was not closed with the others
            self._pool.shutdown(wait=False, kill_workers=True)
        self._process = self._pool.submit(begin, os.getpid(), self._threads).result()

    def signal(self, number: int) -> None:
        """Send the process a signal, if there is one."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, number)

    def kill(self) -> None:
        """Kill the process, and all that it has started; none is started any more."""
        self._closed = True
        self._kill_process()
        if self._pool is not None:
            self._pool.shutdown(wait=False, kill_workers=True)

    def _kill_process(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process, signal.SIGKILL)

    def _forget(self) -> None:
        """Leave a process that has died; whatever its run had started ends too."""
        self._kill_process()
        self._pool = self._process = None


def _start_tracker() -> None:
    """Start, once, the process that removes loky's semaphores when this one is killed.

    It would warn of each that it has to remove, on the terminal, after the program is gone.
    """
    from loky.backend import resource_tracker

    quiet = "ignore:resource_tracker:UserWarning"
    with _STARTING:
        sys.warnoptions.append(quiet)  # which it is started with
        try:
            resource_tracker.ensure_running()
        finally:
            sys.warnoptions.remove(quiet)


def _memory(process: int) -> float:
    """Return the resident memory of a process, in GiB; 0 of one that is gone."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0.0
    return int(pages) * PAGE / 2**30


def _why(error: BaseException) -> str:
    """Return how a process ended, as loky tells it: `{SIGKILL(-9)}` and the like."""
    text = str(error)
    code = text.partition("{")[2].partition("}")[0]
    return f"its process ended by {code}" if code else "its process is gone"
