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
from optbench.runs.with_parent import GRACE_SECONDS
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


HANGING = """
import time
from torch import nn

class Hanging(nn.Linear):
    def __init__(self):
        super().__init__(64, 10)
        self.passes = 0

    def forward(self, inputs):
        self.passes += 1
        if self.passes == 100:  # those before a training are few
            open("HUNG", "w").close()
            while True:
                time.sleep(1)
        return super().forward(inputs.flatten(1))
"""


@pytest.mark.slow
def test_ranks_that_hang_end_with_who_began_them(tmp_path: Path) -> None:
    """Each is in a session of its own, and is left behind where its launcher is killed."""
    program = HANGING.replace("HUNG", str(tmp_path / "hung"))
    (tmp_path / "hanging.py").write_text(program, encoding="utf-8")
    words = ["2", *WORDS[:3], "steps=1000000", "model=custom", "model._target_=hanging.Hanging"]
    words += [f"hydra.run.dir={tmp_path / 'run'}"]
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}:{tmp_path}"}
    with subprocess.Popen([sys.executable, "-c", PARENT, *words], env=environment) as parent:
        try:
            assert until((tmp_path / "hung").exists)
        finally:
            parent.kill()
    assert at_work(str(tmp_path / "run"))
    assert until(lambda: not at_work(str(tmp_path / "run")), 3 * GRACE_SECONDS)


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
