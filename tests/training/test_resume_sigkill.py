"""A real process, really killed, and resumed: equal to the one that was left alone.

It kills itself, by its own processor time: whoever watched it from outside would come too late on a
busy machine. SIGVTALRM, which nothing handles, ends it as SIGKILL does, in the middle of anything.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .runs import assert_same_run, newest, resume, small, status_of, train
from .test_resume_exact import HARD, NAMED, OPTIMIZERS, schedule_for

QUICK = ("adamw",)
LONG = [*HARD, "epochs=16"]
FIRST, LAST = 60, 250
"""Steps between which the run is killed, of 416; each seventh is saved."""


def optimizers() -> list[object]:
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in OPTIMIZERS]


@pytest.mark.parametrize("optimizer", optimizers())
def test_every_optimizer(optimizer: str) -> None:
    overrides = [*LONG, *schedule_for(optimizer), f"optimizer={optimizer}"]
    compare_with_killed(*overrides, *NAMED.get(optimizer, []))


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", ["precision=fp16", "precision=bf16", "checkpoint=async", "ema=0.9"]
)
def test_every_part_of_the_state(more: str) -> None:
    compare_with_killed(*LONG, *schedule_for("adamw"), more)


def compare_with_killed(*overrides: str) -> None:
    step = kill_at_random(Path("killed"), *overrides)
    assert status_of(Path("killed"))["state"] == "running"
    assert step - 14 < int(newest(Path("killed")).name[-8:]) < 416
    assert resume(Path("killed")) == 0
    assert train(Path("whole"), *overrides) == 0
    assert_same_run(Path("whole"), Path("killed"))


DYING = """
import random, signal, sys
from optbench.cli.main import main
from optbench.monitor.record import Recorder

step, tick = int(sys.argv.pop(1)), Recorder.tick

def dying(self, now):
    tick(self, now)
    if now == step:
        signal.setitimer(signal.ITIMER_VIRTUAL, random.SystemRandom().uniform(1e-6, 0.03))

Recorder.tick = dying
sys.exit(main())
"""


def kill_at_random(folder: Path, *overrides: str) -> int:
    """Kills a run some time after a step chosen at random, which is returned."""
    step = random.randint(FIRST, LAST)
    command = [sys.executable, "-c", DYING, str(step), "train", *small(*overrides)]
    process = subprocess.run([*command, f"hydra.run.dir={folder}"])
    assert process.returncode == -signal.SIGVTALRM
    return step
