"""A real process, really killed, and resumed: equal to the one that was left alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optbench.training import checkpoint

from .runs import assert_same_run, newest, resume, small, status_of, train
from .test_resume_exact import HARD, OPTIMIZERS, schedule_for

QUICK = ("adamw",)
LONG = [*HARD, "epochs=16"]
FIRST, LAST = 60, 250
"""Steps between which the run is killed, of 416."""


def optimizers() -> list[object]:
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in OPTIMIZERS]


@pytest.mark.parametrize("optimizer", optimizers())
def test_every_optimizer(optimizer: str) -> None:
    overrides = [*LONG, *schedule_for(optimizer), f"optimizer={optimizer}"]
    compare_with_killed(*overrides)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", ["precision=fp16", "precision=bf16", "checkpoint=async", "ema=0.9"]
)
def test_every_part_of_the_state(more: str) -> None:
    compare_with_killed(*LONG, *schedule_for("adamw"), more)


def compare_with_killed(*overrides: str) -> None:
    kill_at_random(Path("killed"), *overrides)
    assert status_of(Path("killed"))["state"] == "running"
    assert FIRST <= int(newest(Path("killed")).name[-8:]) < 416
    assert resume(Path("killed")) == 0
    assert train(Path("whole"), *overrides) == 0
    assert_same_run(Path("whole"), Path("killed"))


def kill_at_random(folder: Path, *overrides: str) -> None:
    """Waits for a checkpoint chosen at random, then a little more, then kills."""
    wanted = random.randint(FIRST, LAST)
    command = [sys.executable, "-m", "optbench", "train", *small(*overrides)]
    process = subprocess.Popen([*command, f"hydra.run.dir={folder}"])
    try:
        while max(checkpoint.steps(folder / "checkpoints"), default=0) < wanted:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.03))
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
