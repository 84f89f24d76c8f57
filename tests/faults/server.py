"""A warm process that forks a child for each run of the program, and may harm it while it runs.

Starting Python and importing torch takes 3 s, a run of a few steps 0.2 s. So one process imports
everything and runs the program once, and what tests map over their cases runs in workers forked
from it, where `program` forks once more for each command. The process has `shim.c` preloaded.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import multiprocessing
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODES = ("off", "count", "kill before", "kill within", "fail from", "fail once", "fail short")
"""As `enum mode` of shim.c has them."""

HANGS_AFTER = 30.0
"""Seconds; an undisturbed run takes a fifth of one."""

MEMORY = 3 << 30
"""Bytes of address space that a run may have on top of what the warm process has."""


@dataclass(frozen=True)
class Fault:
    """What happens to a process: `mode` (of MODES) at its operation `at` below the folder."""

    mode: str
    at: int
    error: int = 0

    def __str__(self) -> str:
        name = f" {errno.errorcode[self.error]}" if self.error else ""
        return f"{self.mode} {self.at}{name}"


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (minus the signal's number; None if it hung and was
    stopped), what it wrote, its operations on the folder by name, path and size, and by how many
    MiB it grew."""

    code: int | None
    out: str
    err: str
    operations: list[tuple[str, str, int]]
    grown: int

    @property
    def killed(self) -> bool:
        """Whether the fault, rather than the program, ended it."""
        return self.code == -signal.SIGKILL

    @property
    def last(self) -> str:
        """The last operation, in words."""
        return " ".join(map(str, self.operations[-1][:2])) if self.operations else "nothing"


def program(
    arguments: Sequence[str | os.PathLike[str]],
    below: Path,
    fault: Fault | None = None,
    denied: tuple[Path, int] | None = None,
    open_files: int | None = None,
    state: Path | None = None,
) -> Ended:
    """Runs `optbench ARGUMENTS` in a child.

    Args:
        arguments: the command line.
        below: the folder whose operations count.
        fault: what happens at one of them.
        denied: a path that can't be read, and the error that one gets.
        open_files: a limit, instead of the usual one.
        state: the folder of the user's state, if another user's is meant.
    """
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.TemporaryFile() as trace,
    ):
        before = _resident()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                if state is not None:
                    os.environ["XDG_STATE_HOME"] = str(state)
                words = [os.fspath(a) for a in arguments]
                _be_the_program(words, below, fault, denied, trace, open_files)
            finally:
                os._exit(99)
        code, peak = _wait(child)
        said = [_text(file) for file in (out, err, trace)]
    lines = [line.rsplit(" ", 1) for line in said[2].splitlines()]
    operations = [(*head.split(" ", 1), int(size)) for head, size in lines]
    return Ended(code, said[0], said[1], operations, (peak - before) >> 20)


def _be_the_program(
    arguments: list[str],
    below: Path,
    fault: Fault | None,
    denied: tuple[Path, int] | None,
    trace: Any,
    open_files: int | None,
) -> None:
    from optbench.cli.main import main

    _end_with_parent()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(trace.fileno(), 3)
    os.closerange(4, 1024)
    if open_files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    limit = _address_space() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    shim = ctypes.CDLL(None)
    if denied is not None:
        shim.faults_deny(os.fsencode(denied[0]), ctypes.c_int(denied[1]))
    fault = fault or Fault("count", 0)
    told = ctypes.c_int(3)
    mode, number = ctypes.c_int(MODES.index(fault.mode)), ctypes.c_long(fault.at)
    shim.faults_arm(os.fsencode(below), mode, number, ctypes.c_int(fault.error), told)
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(child: int) -> tuple[int | None, int]:
    descriptor = os.pidfd_open(child)
    try:
        ended = select.select([descriptor], [], [], HANGS_AFTER)[0]
        if not ended:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(status) if ended else None, usage.ru_maxrss << 10


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def _address_space() -> int:
    return _pages(0)


def _resident() -> int:
    return _pages(1)


def _pages(column: int) -> int:
    """A column of statm, in bytes."""
    pages = Path("/proc/self/statm").read_bytes().split()
    return int(pages[column]) * os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True)
class Broken:
    """The answer of a case where the test itself went wrong."""

    traceback: str


class Server:
    """The warm process, seen from the tests.

    Args:
        scratch: a folder for the shim.
        workers: how many cases run at once.
    """

    def __init__(self, scratch: Path, workers: int) -> None:
        shim = scratch / "shim.so"
        build = ["cc", "-shared", "-fPIC", "-O1", "-o", shim, HERE / "shim.c", "-ldl"]
        subprocess.run(build, check=True)
        paths = os.pathsep.join([str(HERE.parent), str(HERE.parents[1]), *sys.path])
        more = {"LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        more["XDG_STATE_HOME"] = str(scratch / "state")
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve({workers})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **more},
            cwd=scratch,
        )

    def each(self, function: Callable[[Any], Any], cases: Sequence[Any]) -> Iterator[Any]:
        """`function` of each case, in order; it has to be known by name in its module."""
        assert self._process.stdin is not None and self._process.stdout is not None
        pickle.dump((function, list(cases)), self._process.stdin)
        self._process.stdin.flush()
        for _ in cases:
            answer = pickle.load(self._process.stdout)
            assert not isinstance(answer, Broken), f"a case can't be tried: {answer.traceback}"
            yield answer

    def map(self, function: Callable[[Any], Any], cases: Sequence[Any]) -> list[Any]:
        """The same, all at once."""
        return list(self.each(function, cases))

    def close(self) -> None:
        """Ends it, and closes both pipes to it."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


def _end_with_parent() -> None:
    """Nothing stays when the tests are stopped."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(workers: int) -> None:
    """The loop of the warm process."""
    _end_with_parent()
    os.environ.pop("LD_PRELOAD")  # for the programs that it starts
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _warm()
    gc.collect()
    gc.freeze()
    with multiprocessing.get_context("fork").Pool(workers, _end_with_parent) as pool:
        while True:
            try:
                function, cases = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            for answer in pool.imap(partial(_tried, function), cases):
                pickle.dump(answer, answers)
                answers.flush()


def _tried(function: Callable[[Any], Any], case: Any) -> Any:
    try:
        return function(case)
    except Exception:
        return Broken(f"{case}\n{traceback.format_exc()}")


def _warm() -> None:
    """Imports everything, and keeps what is parsed of the configs."""
    import conftest
    from omegaconf import OmegaConf
    from training.runs import MACHINE

    from optbench.cli.main import main

    OmegaConf.load = staticmethod(conftest.load_text_once)
    with (
        tempfile.TemporaryDirectory() as scratch,
        open(os.devnull, "w", encoding="utf-8") as silence,
    ):
        sys.stdout, sys.stderr, usual = silence, silence, (sys.stdout, sys.stderr)
        try:
            run = f"hydra.run.dir={scratch}/run"
            main(["train", *MACHINE, "steps=2", "model.hidden=[8]", "batch_size=50", run])
            main(["resume", f"{scratch}/run", "steps=3"])
        finally:
            sys.stdout, sys.stderr = usual
