"""Runs as tasks of Ray, on this machine or a cluster."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import need
from optbench.config.run_spec import RunSpec
from optbench.errors import Argument, ArgumentError, UserError
from optbench.executors.base import WorkerDied
from optbench.executors.ray_nodes import QUIET, Resources, fitting, nodes_of
from optbench.executors.worker import work
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback

STORE_BYTES = 128 * 2**20
"""Of memory that a Ray of our own sets aside for objects; runs share none."""

BREAKPOINT = "PYTHONBREAKPOINT"
"""In the environment, which Ray takes for a debugger of its own."""

END_SECONDS = 10.0
"""How long tasks that are being killed may take to be gone."""


class Ray:
    """Does each run as a task of Ray; its processes stay warm from one run to the next.

    A process or a node that dies is `WorkerDied` for each of its runs.

    Args:
        address: `host:port` of a cluster's head, or `auto` for the one that this machine is of;
            None is a Ray of our own on this machine, which ends with us.
        cpus: cores of a run, and threads of torch for runs that don't say `threads`.
        gpus: of a run; a part of one shares it.
        workers: runs at once; None is as many as there is room for.
        connect_timeout: seconds in which a cluster has to answer.

    Raises:
        ArgumentError: a number that can't be, a cluster that can't be reached, no room for a run.
        UserError: Ray is missing.
    """

    here = False

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        workers: int | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        need("ray", "ray", "executor=ray")
        cpus, gpus = _typed(cpus), _typed(gpus)
        if cpus <= 0:
            raise ArgumentError(Argument("cpus", cpus), ": more than 0")
        if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
            raise ArgumentError(Argument("gpus", gpus), ": a part of one, or a whole number")
        if workers is not None and workers < 1:
            raise ArgumentError(Argument("workers", workers), ": at least 1")
        self._address = None if address == "local" else address
        if self._address is None:
            nodes = [_this_machine(cpus, gpus, workers)]
        else:
            nodes = nodes_of(self._address, connect_timeout)
        room = fitting(nodes, cpus, gpus)
        if not room and (self._address is None or workers is None):
            raise _no_room(nodes, cpus, gpus)
        self.slots = workers or room
        self._own = nodes[0] if self._address is None else None
        self._cpus, self._gpus = cpus, gpus
        self._task: Any = None
        self._ours = False
        self._before: dict[str, str] = {}
        self._closed = False
        self._number = 0
        self._going: dict[Future[RunResult], Any] = {}

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Submit a task."""
        if self._closed:
            raise RuntimeError("the executor is closed")
        if self._task is None:
            self._begin()
        threads = max(1, int(self._cpus))
        task = self._task.remote(threads, spec, folder, tuple(seals), tuple(callbacks))
        future: Future[RunResult] = Future()
        self._going[future] = task
        task.future().add_done_callback(lambda done: self._take(done, folder, future))
        return future

    def _begin(self) -> None:
        """Start a Ray of our own, or join the cluster; one that the program has joined is used."""
        self._before = _environment()
        with _unchanged():
            os.environ.update(QUIET)
            import ray

            if not ray.is_initialized():
                given: dict[str, Any] = {"address": self._address}
                if self._own is not None:
                    given = {
                        "address": "local",
                        "num_cpus": math.ceil(self._own["CPU"]),
                        "num_gpus": int(self._own["GPU"]),
                        "include_dashboard": False,
                        "object_store_memory": STORE_BYTES,
                    }
                try:
                    ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **given)
                except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                    raise UserError(f"executor=ray: {_first_line(error)}") from None
                self._ours = True
        self._task = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=0)(do_in_task)

    def _take(self, done: Future[RunResult], folder: RunDir, future: Future[RunResult]) -> None:
        """Hand on how a task ended."""
        self._going.pop(future, None)
        error = done.exception()
        if error is not None:
            future.set_exception(_meaning(error))
            return
        found = done.result()
        if self._number and found.exit_code > 128:
            found = replace(found, exit_code=128 + self._number)
        future.set_result(found)

    def stop(self, number: int) -> None:
        """Interrupt all tasks: runs end with a checkpoint, those that wait are not begun."""
        self._number = number
        self._cancel(force=False)

    def _cancel(self, force: bool) -> None:
        if self._going:
            import ray

            for task in list(self._going.values()):
                with suppress(Exception):  # it may have ended
                    ray.cancel(task, force=force)

    def close(self) -> None:
        """Kill what goes on, and leave the cluster; a Ray of our own ends."""
        self._closed = True
        if self._task is None:
            return
        import ray

        left = list(self._going.values())
        with _unchanged():
            if left and not (self._ours and self._own):
                self._cancel(force=True)
                with suppress(Exception):
                    ray.wait(left, num_returns=len(left), timeout=END_SECONDS)
            if self._ours:
                ray.shutdown()
        for name in set(_environment()) - set(self._before):
            del os.environ[name]
        os.environ.update(self._before)
        self._task = None


def do_in_task(
    threads: int,
    spec: RunSpec,
    folder: RunDir,
    seals: Sequence[Seal],
    callbacks: Sequence[Callback],
) -> RunResult:
    """Do one run as a task; `threads`: of torch, for runs that say nothing of them."""
    import torch

    torch.set_num_threads(threads)
    return work(spec, folder, seals, callbacks)


def _typed(number: float) -> float:
    """Return a whole number as one, as it is typed."""
    return int(number) if number == int(number) else number


def _this_machine(cpus: float, gpus: float, workers: int | None) -> Resources:
    """Return what a Ray of our own is to have: room for all workers, as cores are only counted."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    counted = cores or 1 if workers is None else math.ceil(workers * cpus)
    there = 0
    if gpus:
        import torch

        there = torch.cuda.device_count()
    return {"CPU": float(counted), "GPU": float(there)}


def _no_room(nodes: Sequence[Resources], cpus: float, gpus: float) -> ArgumentError:
    """Return the error for a run that is too large for any node."""
    most = {key: max((node.get(key, 0.0) for node in nodes), default=0.0) for key in ("CPU", "GPU")}
    where = "this machine has" if len(nodes) == 1 else "the largest node has"
    if gpus > most["GPU"]:
        return ArgumentError(Argument("gpus", gpus), f": {where} {most['GPU']:g}")
    if cpus > most["CPU"]:
        return ArgumentError(Argument("cpus", cpus), f": {where} {most['CPU']:g}")
    return ArgumentError(Argument("cpus", cpus), " ", Argument("gpus", gpus), ": no node has both")


def _meaning(error: BaseException) -> Exception:
    """Return what an error of Ray's is to whoever submitted the run."""
    from ray import exceptions as of_ray

    if isinstance(error, of_ray.TaskCancelledError):
        return WorkerDied("it was cancelled")
    if isinstance(error, of_ray.OutOfMemoryError):
        return WorkerDied("Ray ended its process, for its node was out of memory")
    if isinstance(error, of_ray.NodeDiedError):
        return WorkerDied("its node died")
    if isinstance(error, of_ray.RayTaskError):  # before the run began: what it raises is a result
        return UserError(f"executor=ray: a worker can't do runs: {_first_line(error.cause)}")
    if isinstance(error, of_ray.WorkerCrashedError | of_ray.ObjectLostError):
        return WorkerDied("its process died, or its node")
    return WorkerDied(_first_line(error))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


@contextmanager
def _unchanged() -> Iterator[None]:
    """Keep Ray from our signal handlers and our terminal while the block runs."""
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                stack.callback(signal.signal, number, signal.getsignal(number))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def _environment() -> dict[str, str]:
    """Return what the environment says to Ray, and what Ray says to itself there."""
    names = [name for name in os.environ if name.startswith("RAY_") or name == BREAKPOINT]
    return {name: os.environ[name] for name in names}
