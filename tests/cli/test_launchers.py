"""`optbench train -m hydra/launcher=...`: what is told when a launcher's processes end badly."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus

from optbench.rundir import RunDir
from optbench.runs import left
from optbench.runs.log import Log

from .program import SMALL, Answer, call

LINE = f"train -m {SMALL} hydra/launcher=joblib seed=0,1,2 steps=4 hydra.sweep.dir=mine"
SAID = "A worker process was terminated.\n\nThe exit codes of the workers are {SIGKILL(-9)}"


class Launcher:
    """Stands for joblib's: it does in this process what a test wants it to."""

    def __init__(self, launch: Callable[[list[RunDir]], Any]) -> None:
        self._launch = launch

    def launch(self, lines: list[list[str]], initial_job_idx: int) -> Any:
        return self._launch([RunDir(Path("mine").absolute() / str(n)) for n in range(len(lines))])


@pytest.fixture
def launching(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[RunDir]], Any]], Answer]:
    def launched(launch: Callable[[list[RunDir]], Any]) -> Answer:
        monkeypatch.setattr(left, "PATIENCE_SECONDS", 0.0)
        made = Launcher(launch)
        monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: made)
        return call(LINE)

    return launched


def states(answer: Answer) -> list[str]:
    """The state of each run in the table, which is in the order of their numbers here."""
    rows = answer.out.split("\n\n")[0].splitlines()[2:]
    return [re.split(r"\s{2,}", row)[2] for row in rows]


def begun(folder: RunDir, state: str = "running") -> None:
    """A run that a process of the launcher's began."""
    folder.path.mkdir()
    folder.log.touch()
    folder.write_status(state, 2)


def test_a_killed_process_is_told_in_one_line_with_the_table(launching: Any) -> None:
    held = Log(quiet=False)

    def launch(folders: list[RunDir]) -> None:
        begun(folders[0])
        begun(folders[1])
        held.open(folders[1].log)
        raise BrokenProcessPool(SAID)

    answer = launching(launch)
    held.close()
    assert answer.code == 1
    assert answer.err.splitlines() == [
        f"a process of the sweep was killed: BrokenProcessPool: {' '.join(SAID.split())}"
    ]
    assert states(answer) == ["killed", "running elsewhere", "not begun"]
    assert not Path("mine/log.txt").exists()
    again = call("resume mine")
    assert again.code == 0
    assert [RunDir(Path(f"mine/{n}")).state for n in range(3)] == ["finished"] * 3


def test_another_error_of_the_launchers_leaves_its_traceback(launching: Any) -> None:
    def launch(folders: list[RunDir]) -> None:
        begun(folders[0], "preempted")
        raise TypeError("can't pickle")

    answer = launching(launch)
    assert answer.code == 1
    assert answer.err.splitlines()[0] == "the launcher failed: TypeError: can't pickle"
    assert "in launch" in Path("mine/log.txt").read_text(encoding="utf-8")
    assert states(answer) == ["preempted", "not begun", "not begun"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_sweep_with_the_table(number: signal.Signals, launching: Any) -> None:
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]

    def launch(folders: list[RunDir]) -> None:
        begun(folders[0])
        os.kill(os.getpid(), number)
        signal.pause()

    answer = launching(launch)
    assert answer.code == 128 + number
    assert answer.err.splitlines() == [f"the sweep was stopped ({number.name})"]
    assert states(answer) == ["killed", "not begun", "not begun"]
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


def test_what_fails_around_a_run_is_told(launching: Any) -> None:
    def launch(folders: list[RunDir]) -> list[JobReturn]:
        failed = JobReturn(status=JobStatus.FAILED)
        failed.return_value = ValueError("no such\nthing")
        for folder in folders[1:]:
            begun(folder, "finished")
        return [failed, JobReturn(), JobReturn()]

    answer = launching(launch)
    assert answer.code == 1
    assert answer.err.splitlines() == ["[1/3] failed: ValueError: no such thing"]
    assert states(answer) == ["failed", "finished", "finished"]
