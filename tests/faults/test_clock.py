"""The time of day is set back by an hour, while runs go on or before they are resumed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import optbench
from optbench.rundir import RunDir

HERE = Path(__file__).parent
RUNS = (
    *("threads=1", "device=cpu", "model.hidden=[8]", "optimizer=adamw"),
    *("steps=600", "eval.every=200", "checkpoint.every=50"),
)
LINES = {
    "sweep": ("train", "-m", "seed=0,1,2"),
    "tune": ("tune", "space=adamw", "trials=3", "sampler=random"),
}
EXECUTORS = {"serial": ("executor=serial",), "local": ("executor=local", "executor.workers=2")}


class Machine:
    """A machine whose time of day can be set back, for the programs that it runs."""

    def __init__(self, folder: Path) -> None:
        shim = folder / "clock.so"
        build = ["cc", "-shared", "-fPIC", "-O1", "-o", shim, HERE / "clock.c", "-ldl"]
        subprocess.run(build, check=True)
        self._back = folder / "back"
        self._env = {**os.environ, "LD_PRELOAD": str(shim), "CLOCK_FILE": str(self._back)}

    def set_back(self) -> None:
        self._back.touch()

    def begin(self, words: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "optbench", *words],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    monkeypatch.chdir(tmp_path)
    return Machine(tmp_path)


def wait_for_checkpoint(folder: Path) -> None:
    until = time.monotonic() + 120
    while not list(folder.glob("*/checkpoints/step*[0-9]")):
        assert time.monotonic() < until
        time.sleep(0.02)


def scores(folder: str) -> list[object]:
    runs = optbench.find_runs(folder)
    assert [run.state for run in runs] == ["finished"] * 3
    return [run.summary["best"] for run in runs]


def marks(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [(record["kind"], record["step"]) for record in map(json.loads, lines)]


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("kind", LINES)
def test_what_runs_come_to_does_not_depend_on_the_time_of_day(
    kind: str, executor: str, killed: bool, machine: Machine, tmp_path: Path
) -> None:
    if kind == "tune":
        pytest.importorskip("optuna")
    words = [*LINES[kind], *RUNS, *EXECUTORS[executor]]
    whole = machine.begin([*words, "hydra.sweep.dir=whole"])
    assert whole.communicate(timeout=300)[0] and whole.returncode == 0
    program = machine.begin([*words, "hydra.sweep.dir=back"])
    wait_for_checkpoint(tmp_path / "back")
    if killed:
        program.send_signal(signal.SIGKILL)
        program.communicate(timeout=60)
    machine.set_back()
    if killed:
        program = machine.begin(["resume", "back"])
    said = program.communicate(timeout=300)[0]
    assert program.returncode == 0, said
    assert "Traceback" not in said and "warning" not in said.lower()
    assert not re.search(r"about (-|\d+ h)", said)  # how long the rest takes
    assert scores("back") == scores("whole")
    for number in range(3):
        run = RunDir(tmp_path / "back" / str(number))
        assert len(marks(run.path)) == len(set(marks(run.path)))
        assert 0 < run.read_summary()["wall_seconds"] < 300
        assert all(record["seconds"] >= 0 for record in run.read_metrics())
    status = run.read_status()
    assert datetime.now().astimezone() - datetime.fromisoformat(status["updated"]) > timedelta(
        minutes=50
    ), "the shim is at work"
    if kind == "tune":
        journal = (tmp_path / "back/journal.log").read_text(encoding="utf-8")
        told = [json.loads(line) for line in journal.splitlines()]
        ended = [each["trial_id"] for each in told if each["op_code"] == 6]
        assert sorted(ended) == [0, 1, 2]
