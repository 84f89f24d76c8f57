"""optbench on several ranks, begun by a program: its end, and that of who began it."""

from __future__ import annotations

import os
import signal
import threading
import time
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
