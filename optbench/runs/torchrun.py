"""optbench on several ranks of this machine, by torchrun, in processes of its own."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from optbench.runs.with_parent import GRACE_SECONDS, end_with
from optbench.training.signals import Stopped, held, stoppable

PROGRAM = "from optbench.runs.torchrun import launched; launched()"


def torchrun(ranks: int, words: Sequence[str], seconds: float | None = None) -> str:
    """Run `optbench WORDS` on so many ranks, each with one thread, to its end.

    What ends this program meanwhile ends them too, with checkpoints where the run keeps any, and is
    then given to whoever had it before.

    Args:
        ranks: 1 is a process without torchrun.
        words: as on the command line, the verb first.
        seconds: that it may take.

    Returns:
        Why it did not end well, in a line; empty where it did.

    Raises:
        TimeoutError: it takes longer.
    """
    try:
        with stoppable():
            return _run(ranks, words, seconds)
    except Stopped as stopped:
        signal.raise_signal(stopped.code - 128)
        raise


def _run(ranks: int, words: Sequence[str], seconds: float | None) -> str:
    ranked = ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    module = [*ranked, "-m", "optbench.runs.rank"] if ranks > 1 else ["optbench"]
    begin = [sys.executable, "-c", PROGRAM, str(os.getpid()), *module]
    path = os.pathsep.join(part or os.getcwd() for part in sys.path)
    program, said = None, ""
    try:
        with held():  # or a signal that comes as it begins would leave it
            program = subprocess.Popen(
                [*begin, *words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        _, said = program.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        if program is not None:
            _end(program)
    if program.returncode == 0:
        return ""
    lines = [line for line in said.splitlines() if line.startswith("optbench: ")]
    return (lines or said.strip().splitlines() or ["it ended"])[0][:200]


def launched() -> None:
    """Run a module with arguments, as `python -m` does, which ends with whoever began it.

    In `sys.argv` are, after the program's name, that process's number, the module, its arguments.
    """
    _, parent, module, *words = sys.argv
    end_with(int(parent))
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end(program: subprocess.Popen[str]) -> None:
    """End a launcher, if it is there still, and the ranks that it has."""
    try:
        if program.poll() is None:
            program.terminate()  # it hands that on to the ranks, which are in sessions of their own
            with suppress(subprocess.TimeoutExpired):
                program.wait(GRACE_SECONDS)
    finally:
        with program, suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
