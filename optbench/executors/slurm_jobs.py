"""What is done with jobs of SLURM, and of the cluster that submitit makes of one machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from optbench.config.run_spec import RunSpec
from optbench.errors import UserError
from optbench.executors.worker import begin, work
from optbench.rundir import RunDir
from optbench.runs.result import RunResult
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback

ASKS_SECONDS = 20.0
"""Between two looks at SLURM's queue, one for all jobs."""

MISSED = 2
"""Looks at the queue in a row in which a job that is over was missing."""

COMMAND_SECONDS = 60.0
"""How long a command of SLURM may take."""

GONE_SECONDS = 2.0
"""How long processes that are killed may take to be gone."""

NEVER = re.compile(r"invalid|unrecognized|unknown|not a valid|configuration is not available", re.I)
"""What sbatch says of jobs that can never be; others it may take later."""


class Jobs(Protocol):
    """What is asked of jobs of one kind, and done with them."""

    def alive(self, job: Any) -> bool:
        """Return whether a job is waiting or running, as far as is known."""
        ...

    def why(self, job: Any) -> str:
        """Return how a job ended that gave no result."""
        ...

    def stop(self, jobs: Sequence[Any]) -> None:
        """Ask jobs to end with a checkpoint; those that wait in the queue leave it."""
        ...

    def end(self, jobs: Sequence[Any]) -> None:
        """End jobs, whatever they are at."""
        ...


class SlurmJobs:
    """Jobs of SLURM."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._missing: dict[str, int] = {}
        self._hurried = False

    def alive(self, job: Any) -> bool:
        """Return whether a job is in the queue, or was in one of the last looks at it."""
        with self._lock:
            self._missing.setdefault(job.job_id, 0)
            pause = min(2.0, ASKS_SECONDS) if self._hurried else ASKS_SECONDS
            if time.monotonic() - self._asked > pause:
                self._ask()
            return self._missing[job.job_id] < MISSED

    def _ask(self) -> None:
        self._asked = time.monotonic()
        # not sacct, which clusters without accounting lack
        said = _said("squeue", "--noheader", f"--user={os.getuid()}", "--format=%A")
        if said is not None:
            listed = said.split()
            for job, before in self._missing.items():
                self._missing[job] = 0 if job in listed else before + 1

    def why(self, job: Any) -> str:
        """Return how a job ended, as SLURM's accounting tells it, if there is one."""
        format = ("--noheader", "--allocations", "--parsable2", "--format=State")
        state = (_said("sacct", *format, f"--jobs={job.job_id}") or "").strip()
        ended = f"ended as {state.splitlines()[-1]}" if state else "is gone"
        return f"its SLURM job {job.job_id} {ended}"

    def stop(self, jobs: Sequence[Any]) -> None:
        """Take jobs out of the queue, and signal those that have begun."""
        if jobs:
            self._hurried = True
            numbers = [job.job_id for job in jobs]
            _said("scancel", "--quiet", "--state=PENDING", *numbers)
            _said("scancel", "--quiet", "--signal=TERM", *numbers)

    def end(self, jobs: Sequence[Any]) -> None:
        """Cancel jobs; SLURM gives those that have begun a moment for a checkpoint."""
        if jobs:
            _said("scancel", "--quiet", *[job.job_id for job in jobs])


class LocalJobs:
    """Jobs of submitit's cluster of this machine; a job's number is its process's."""

    def alive(self, job: Any) -> bool:
        """Return whether a job's process goes on."""
        return not job.done()

    def why(self, job: Any) -> str:
        """Return that a job is gone; nobody knows more of it."""
        return f"its job {job.job_id} is gone"

    def stop(self, jobs: Sequence[Any]) -> None:
        """Signal jobs, which hand it on to their runs."""
        for job in jobs:
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)

    def end(self, jobs: Sequence[Any]) -> None:
        """Kill jobs; their runs end with a checkpoint once they notice; see `worker.begin`."""
        for job in jobs:
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGKILL)
        until = time.monotonic() + GONE_SECONDS
        while not all([job.done() for job in jobs]) and time.monotonic() < until:
            time.sleep(0.01)


def refuse_never(parameters: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise UserError where SLURM says that there can never be such a job; none is submitted.

    Args:
        parameters: as submitit has them.
        options: more of sbatch's.
    """
    named = ("partition", "time", "cpus_per_task", "gpus_per_node", "mem")
    flags = {key.replace("_", "-"): parameters[key] for key in named if key in parameters}
    given = [f"--{k}" if v is True else f"--{k}={v}" for k, v in {**flags, **options}.items()]
    command = ["sbatch", "--test-only", *given, "--wrap=true"]
    with suppress(OSError, subprocess.TimeoutExpired):
        tried = _run(command)
        line = last_line(tried.stderr)
        if tried.returncode and NEVER.search(line):
            raise UserError(f"executor=slurm: {line}")


def last_line(text: str) -> str:
    """Return the last thing that a command of SLURM said, without whose words they are."""
    lines = [line for line in text.strip().splitlines() if line.strip()] or ["no reason is given"]
    return re.sub(r"^(sbatch: )?(error: )?(allocation failure: )?", "", lines[-1].strip())


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=COMMAND_SECONDS,
        check=False,
    )


def _said(*command: str) -> str | None:
    """Return what a command printed, None if it failed."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = _run(command)
        if done.returncode == 0:
            return done.stdout
    return None


def do_in_job(
    threads: int,
    spec: RunSpec,
    folder: RunDir,
    seals: Sequence[Seal],
    callbacks: Sequence[Callback],
) -> RunResult:
    """Do one run as a job; when its time is nearly over it ends with a checkpoint, as of SIGTERM.

    submitit would ignore SIGTERM, and submit the job anew itself; who submits it does that here.

    Args:
        threads: of torch, for runs that say nothing of them.
        spec, folder, seals, callbacks: see `Executor.submit`.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    name = os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")
    signal.signal(getattr(signal, f"SIG{name}"), _as_sigterm)
    controller = os.environ.get("SUBMITIT_LOCAL_JOB_ID")
    if controller:
        begin(int(controller), threads)
    else:
        import torch

        torch.set_num_threads(threads)
    return work(spec, folder, seals, callbacks)


def _as_sigterm(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
