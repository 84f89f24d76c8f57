"""optbench on several ranks, begun by a program: its end, and that of who began it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from optbench.rundir import RunDir
from optbench.runs.torchrun import torchrun
from optbench.training.signals import Stopped, stoppable

WORDS = ["train", "device=cpu", "threads=1", "model.hidden=[8]", "monitor.tensorboard=false"]


def test_what_is_wrong_is_said_in_a_line(tmp_path: Path) -> None:
    said = torchrun(1, [*WORDS, "stesp=3", f"hydra.run.dir={tmp_path / 'run'}"])
    assert said == "optbench: stesp=3: no such key; did you mean steps?"
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_signal_ends_the_ranks_with_a_checkpoint(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")

    def stop() -> None:
        while not (run.metrics.exists() and any(run.read_metrics())):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Stopped) as raised, stoppable():
        torchrun(2, [*WORDS, "steps=1000000", f"hydra.run.dir={run.path}"])
    assert raised.value.code == 128 + signal.SIGTERM
    assert run.state == "preempted" and any(run.checkpoints.iterdir())


PARENT = """
import sys
from optbench.runs.torchrun import torchrun

torchrun(int(sys.argv[1]), sys.argv[2:])
"""


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_it_ends_with_who_began_it(ranks: int, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    words = [str(ranks), *WORDS, "steps=1000000", f"hydra.run.dir={run.path}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", PARENT, *words], env=environment) as parent:
        try:
            assert until(lambda: run.metrics.exists() and any(run.read_metrics()))
        finally:
            parent.kill()
    assert until(lambda: run.state == "preempted") and any(run.checkpoints.iterdir())
    assert until(lambda: not at_work(str(run.path)))


def at_work(word: str) -> list[Path]:
    """The processes with a word in their command lines."""

    def said(line: Path) -> bytes:
        with suppress(OSError):
            return line.read_bytes()
        return b""

    return [line for line in Path("/proc").glob("[0-9]*/cmdline") if word.encode() in said(line)]


def until(answer: Callable[[], object], seconds: float = 60.0) -> object:
    """What is answered, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := answer()) and time.monotonic() < end:
        time.sleep(0.05)
    return found
