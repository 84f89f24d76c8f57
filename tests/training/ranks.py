"""Launches under torchrun: two gloo ranks on this machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from .runs import small

PATIENCE = 900.0
"""Seconds after which a launch counts as hanging, on a machine with much else to do."""


def torchrun(
    program: list[str],
    arguments: list[str],
    restarts: int = 0,
    count: int = 2,
    meeting: Path | None = None,
) -> subprocess.Popen[str]:
    """Starts ranks of a program, `["-m", "optbench"]` or a script.

    `meeting`: a file at which another torchrun of the same launch, as of another machine, is met.
    """
    options = ["--local-addr=127.0.0.1", f"--nproc-per-node={count}", f"--max-restarts={restarts}"]
    if meeting is None:  # it takes a free port itself, which nobody else can take in between
        options.append("--standalone")
    else:
        options += ["--nnodes=1:2", "--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}"]
        options += ["--rdzv-id=one", "--rdzv-conf=store_type=file,last_call_timeout=30"]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *program, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], None]) -> Path:
    """A folder that is filled once in a session, whichever of its workers comes first."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (root / f"{name}.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / f"{name}.filled").exists():
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).mkdir()
            fill(root / name)
            (root / f"{name}.filled").touch()
    return root / name


def train_arguments(folder: Path, *overrides: str) -> list[str]:
    return ["train", *small(*overrides), f"hydra.run.dir={folder}"]


def ranks(
    arguments: list[str], program: tuple[str, ...] = ("-m", "optbench"), count: int = 2
) -> str:
    """Runs ranks to their end, which has to be a good one; what they said."""
    code, said = ended(torchrun(list(program), arguments, count=count))
    assert code == 0, said
    return said


def ended(launch: subprocess.Popen[str]) -> tuple[int, str]:
    """A launch's exit code and what it said; one that hangs fails the test, and tells where."""
    try:
        said, _ = launch.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        for process in [*workers(launch), launch.pid]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGABRT)  # faulthandler then prints the stacks
        said, _ = launch.communicate()
        raise AssertionError(f"the ranks hang: {said}") from None
    return launch.returncode, said


def workers(launch: subprocess.Popen[str]) -> list[int]:
    """The process ids of the ranks, each in a session of its own."""
    tasks = Path(f"/proc/{launch.pid}/task").glob("*/children")
    return [
        int(child) for children in tasks for child in children.read_text(encoding="utf-8").split()
    ]
