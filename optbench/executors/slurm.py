"""Runs as jobs of SLURM, by submitit."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import threading
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from optbench.assemble.create import need
from optbench.config.run_spec import RunSpec
from optbench.errors import Argument, ArgumentError, UserError
from optbench.executors.base import WorkerDied
from optbench.executors.slurm_jobs import (
    Jobs,
    LocalJobs,
    SlurmJobs,
    do_in_job,
    last_line,
    refuse_never,
)
from optbench.executors.worker import work
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback

LOGS = "slurm"
"""The folder in a sweep's in which jobs write what they print; of a later part `slurm-2`, ..."""

LOOKS_SECONDS = 1.0
"""Between two looks whether a job's result is there."""

LAG_SECONDS = {"slurm": 15.0, "local": 1.0}
"""How long the result of a job that is over may take to be seen; file systems of clusters lag."""

TRIES, AGAIN_SECONDS = 20, 30.0
"""How often sbatch is asked for a job, and the pause, when it has taken others before."""

OURS = frozenset(
    {
        "array",
        "error",
        "no-requeue",
        "open-mode",
        "output",
        "requeue",
        "signal",
        "test-only",
        "wrap",
    }
)
"""Options of sbatch that belong to what jobs are here."""


class Slurm:
    """Does each run in a job of its own.

    A job whose time is over, or that another one takes the place of, ends with a checkpoint, and
    its run goes on in another job as long as each gets it further. A job that dies otherwise is
    `WorkerDied`.

    Args:
        cluster: `slurm`; for trying, `local` has processes of this machine do them, `debug` this
            one. They know nothing of partitions, memory and options.
        partition: of SLURM; None for its default.
        time: minutes of a job.
        gpus: of a job.
        cpus: cores of a job, and threads of torch for runs that don't say `threads`.
        memory: GiB of a job; None for SLURM's default.
        jobs: how many are in the queue or running at once.
        grace: seconds before a job's time is over in which its run writes a checkpoint.
        setup: shell lines before a run.
        options: more of sbatch's, by their long names.

    Raises:
        ArgumentError: a number that can't be.
        UserError: submitit or SLURM is missing, or SLURM says that there can be no such job.
    """

    def __init__(
        self,
        cluster: str | None = None,
        partition: str | None = None,
        time: float = 60,
        gpus: float = 0,
        cpus: float = 1,
        memory: float | None = None,
        jobs: int = 32,
        grace: int = 90,
        setup: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        need("submitit", "slurm", "executor=slurm")
        self._cluster = cluster or "slurm"
        _check_numbers(time, gpus, cpus, memory, jobs, grace)
        options = _checked(options or {})
        self.here = self._cluster == "debug"
        self.slots = jobs
        self._threads = int(cpus)
        self._executor: Any = None
        self._jobs: Jobs = SlurmJobs()
        self._parameters: dict[str, Any] = {}
        if self._cluster == "slurm":
            self._parameters = _of_sbatch(partition, time, gpus, cpus, memory, grace, setup)
            self._parameters["additional_parameters"] = {"no-requeue": True, **options}
            if shutil.which("sbatch") is None:
                raise UserError(
                    "executor=slurm: there is no sbatch here; executor.cluster=local tries it "
                    "without SLURM"
                )
            refuse_never(self._parameters, options)
        else:
            self._of_this_machine(time, gpus, grace, setup)
        self._waiting = ThreadPoolExecutor(self.slots, "job")
        self._submitting, self._changing = threading.Lock(), threading.Lock()
        self._live: dict[str, Any] = {}
        self._taken = False
        self._stopping, self._closed = threading.Event(), threading.Event()
        self._number = 0

    def _of_this_machine(self, time: float, gpus: float, grace: int, setup: Sequence[str]) -> None:
        """Prepare for the clusters that are for trying."""
        if setup:
            raise ArgumentError(
                Argument("setup", list(setup)), f": of SLURM's jobs, not {self._cluster} ones"
            )
        if gpus:
            import torch

            if gpus > torch.cuda.device_count():
                there = torch.cuda.device_count()
                raise ArgumentError(Argument("gpus", int(gpus)), f": torch finds {there} here")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.slots = 1 if self.here else min(self.slots, max(1, (cores or 1) // self._threads))
        self._jobs = LocalJobs()
        if not self.here:
            self._parameters = {
                "timeout_min": time,
                "gpus_per_node": int(gpus),
                "signal_delay_s": grace,
            }

    def submit(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal] = (),
        callbacks: Sequence[Callback] = (),
    ) -> Future[RunResult]:
        """Submit a job; its files lie in a folder of the sweep's."""
        if self._executor is None:
            self._executor = self._made(folder.path.parent)
        job = (spec, folder, tuple(seals), tuple(callbacks))
        if self.here:
            future: Future[RunResult] = Future()
            future.set_result(self._executor.submit(work, *job).result())
            return future
        return self._waiting.submit(self._do, *job)

    def _made(self, sweep: Path) -> Any:
        import submitit

        logging.getLogger("submitit").setLevel(logging.CRITICAL)
        made = {
            "slurm": submitit.SlurmExecutor,
            "local": submitit.LocalExecutor,
            "debug": submitit.DebugExecutor,
        }[self._cluster](RunDir.reserve(sweep / LOGS, "executor").path)
        made.update_parameters(**self._parameters)
        return made

    def _do(
        self,
        spec: RunSpec,
        folder: RunDir,
        seals: Sequence[Seal],
        callbacks: Sequence[Callback],
    ) -> RunResult:
        """Do a run, in as many jobs as it takes."""
        step = folder.read_status().get("step", 0)
        while True:
            job = self._submitted(self._threads, spec, folder, seals, callbacks)
            try:
                found = self._result(job)
            finally:
                with self._changing:
                    self._live.pop(job.job_id, None)
            if found.exit_code <= 128:
                return found
            if self._stopping.is_set():
                return replace(found, exit_code=128 + self._number)
            if found.step <= step:
                return found
            step = found.step

    def _submitted(self, *arguments: Any) -> Any:
        """Submit a job; ask again later where sbatch refuses one after it has taken others."""
        for left in reversed(range(TRIES)):
            with self._submitting, _uninterrupted():
                if self._stopping.is_set():
                    raise WorkerDied("it was not submitted")
                try:
                    job = self._executor.submit(do_in_job, *arguments)
                except Exception as error:
                    said = last_line(str(error))
                else:
                    self._taken = True
                    with self._changing:
                        self._live[job.job_id] = job
                    break
            if not self._taken:
                raise UserError(f"executor=slurm: no job can be submitted: {said}")
            if not left:
                raise WorkerDied(f"no job could be submitted for it: {said}")
            self._stopping.wait(AGAIN_SECONDS)
        if self._stopping.is_set():  # meanwhile
            self._jobs.end([job])
        return job

    def _result(self, job: Any) -> RunResult:
        """Wait for a job's result; raise WorkerDied if it ends without."""
        path, over = job.paths.result_pickle, None
        while path.name not in os.listdir(path.parent):  # asked of the server, where there is one
            if self._closed.wait(LOOKS_SECONDS):
                raise WorkerDied("the executor is closed")
            if self._jobs.alive(job):
                continue
            over = over or clock.monotonic()
            lag = LAG_SECONDS[self._cluster] if job.paths.stdout.exists() else 0.0  # if it began
            if clock.monotonic() - over > lag:
                raise WorkerDied(self._jobs.why(job))
        try:
            return cast(RunResult, job.result())
        except Exception as error:
            raise WorkerDied(f"its job {job.job_id} failed: {_last_of_trace(error)}") from None

    def stop(self, number: int) -> None:
        """Let jobs that have begun end with a checkpoint; take the others out of the queue."""
        self._number = number
        self._stopping.set()
        self._jobs.stop(self._now())

    def close(self) -> None:
        """Cancel all jobs."""
        self._stopping.set()
        self._closed.set()
        with self._submitting:  # so that none is submitted any more
            self._jobs.end(self._now())
        self._waiting.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> list[Any]:
        with self._changing:
            return list(self._live.values())


def _check_numbers(
    time: float, gpus: float, cpus: float, memory: float | None, jobs: int, grace: int
) -> None:
    """Raise ArgumentError for a number that can't be."""
    for name, value, least in (("gpus", gpus, 0), ("cpus", cpus, 1), ("jobs", jobs, 1)):
        if value < least or value != int(value):
            raise ArgumentError(Argument(name, value), f": a whole number, at least {least}")
    if time <= 0:
        raise ArgumentError(Argument("time", time), ": more than 0 minutes")
    if memory is not None and memory <= 0:
        raise ArgumentError(Argument("memory", memory), ": more than 0, or null")
    if not 0 < grace < time * 60:
        raise ArgumentError(
            Argument("grace", grace), f": seconds, less than the {time:g} minutes of a job"
        )


def _checked(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options of sbatch as it has them; raise UserError for those that can't be."""
    made: dict[str, Any] = {}
    for key, value in options.items():
        name = key.lstrip("-").replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z0-9-]+", name) or "\n" in str(value) or value is False:
            raise UserError(f"executor.options.{key}={value}: no option of sbatch, as in qos=high")
        if name in OURS:
            raise UserError(f"executor.options.{key}={value}: this one is set by optbench")
        made[name] = value
    return made


def _of_sbatch(
    partition: str | None,
    time: float,
    gpus: float,
    cpus: float,
    memory: float | None,
    grace: int,
    setup: Sequence[str],
) -> dict[str, Any]:
    """Return what a job is to be, as submitit's executor for SLURM has it."""
    made: dict[str, Any] = {
        "job_name": "optbench",
        "time": max(1, round(time)),
        "cpus_per_task": int(cpus),
        "signal_delay_s": grace,
        "srun_args": [f"--cpus-per-task={int(cpus)}"],  # newer ones don't take sbatch's
    }
    if partition is not None:
        made["partition"] = partition
    if gpus:
        made["gpus_per_node"] = int(gpus)
    if memory is not None:
        made["mem"] = f"{round(memory * 1024)}M"
    if setup:
        made["setup"] = list(setup)
    return made


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keep Ctrl-C, and the end of the terminal, from the processes that this thread starts."""
    blocked = {signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _last_of_trace(error: BaseException) -> str:
    """Return the line that says what went wrong in a job, of all that submitit says."""
    rule = "\n----------------------\n"
    return last_line(str(error).rpartition(rule)[0] or str(error))
