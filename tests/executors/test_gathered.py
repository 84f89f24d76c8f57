"""Runs that are thought of one by one, and done at once where they have one shape."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.compose.composer import hydra_session
from optbench.executors import gathered
from optbench.executors.gathered import Gathered
from optbench.executors.jobs import Job
from optbench.executors.many import do_all
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.together import Asked

SMALL = ["threads=1", "device=cpu", "dataset=digits", "steps=5", "sweep.population=8"]


@pytest.fixture
def composer() -> Iterator[Any]:
    with hydra_session() as found:
        yield found


class Given:
    """Jobs of these widths: the second half is thought of when the first half is over."""

    before = 0

    def __init__(
        self, composer: Any, widths: Sequence[int], folder: Path, *more: str, callbacks: Any = ()
    ) -> None:
        lines = [*SMALL, *more]
        self.total = len(widths)
        self.jobs = [
            Job(
                number,
                f"run {number}",
                composer.variant([*lines, f"model.hidden=[{width}]", f"seed={number}"]),
                RunDir(folder / str(number)),
                callbacks=callbacks,
            )
            for number, width in enumerate(widths)
        ]
        self.left = list(self.jobs)
        self.taken: list[tuple[int, str]] = []

    def next(self) -> Job | None:
        half = self.total // 2
        if len(self.taken) < half and len(self.left) <= self.total - half:
            return None
        return self.left.pop(0) if self.left else None

    def take(self, job: Job, result: RunResult) -> None:
        self.taken.append((job.number, result.state))


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is done together, and by itself, in this order."""
    done: list[list[str]] = []

    def one(spec: Any, folder: RunDir, *more: Any) -> RunResult:
        done.append([folder.path.name])
        code = 128 + signal.SIGTERM if folder.path.name == "signal" else 0
        return RunResult(folder, "finished", 5, exit_code=code)

    def several(asked: Sequence[Asked], log: Log, draws: bool) -> list[RunResult | None]:
        done.append([each.folder.path.name for each in asked])
        return [RunResult(each.folder, "finished", 5) for each in asked]

    monkeypatch.setattr(gathered, "run_one", one)
    monkeypatch.setattr("optbench.executors.population.run_together", several)
    return done


def test_runs_of_one_shape_are_done_when_there_are_no_more_of_them(
    composer: Any, units: list[list[str]], tmp_path: Path
) -> None:
    jobs = Given(composer, [4, 5, 4, 6, 5, 4, 4, 5, 6, 9, 4, 5], tmp_path)
    log = Log(quiet=True)
    assert do_all(jobs, Gathered(log), log) == 0
    assert units[0] == ["0", "2", "5"]
    assert units[1:] == [["1", "4"], ["3"], ["6", "10"], ["7", "11"], ["8"], ["9"]]
    assert sorted(jobs.taken) == [(number, "finished") for number in range(12)]


def test_no_more_wait_than_there_are_slots(
    composer: Any, units: list[list[str]], tmp_path: Path
) -> None:
    jobs = Given(composer, [4] * 12, tmp_path)
    log = Log(quiet=True)
    do_all(jobs, Gathered(log, slots=3), log)
    assert units == [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"], ["9", "10", "11"]]


def test_a_shape_is_tried_once_and_told_of_once(
    composer: Any, units: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = Given(composer, [4] * 6, tmp_path, "optimizer=lbfgs")
    log = Log()
    do_all(jobs, Gathered(log), log)
    assert units == [[str(number)] for number in range(6)]
    told = capsys.readouterr().err
    assert told.count("one by one") == 1 and "LBFGS asks for more than gradients" in told


class EachStep(optbench.Callback):
    def on_step_end(self, trainer: Any, step: int) -> None: ...


def test_who_is_told_of_each_step_goes_by_itself(
    composer: Any, units: list[list[str]], tmp_path: Path
) -> None:
    jobs = Given(composer, [4] * 4, tmp_path, callbacks=[EachStep()])
    log = Log(quiet=True)
    do_all(jobs, Gathered(log), log)
    assert units == [["0"], ["1"], ["2"], ["3"]]


def test_after_a_signal_none_that_waits_begins(
    composer: Any, units: list[list[str]], tmp_path: Path
) -> None:
    jobs = Given(composer, [4, 5, 6, 7, 8, 9], tmp_path)
    object.__setattr__(jobs.jobs[1], "folder", RunDir(tmp_path / "signal"))
    log = Log(quiet=True)
    assert do_all(jobs, Gathered(log), log) == signal.SIGTERM
    assert units == [["0"], ["signal"]]
    assert [number for number, _ in jobs.taken] == [0, 1]


def test_each_run_is_told_of_when_it_begins(
    composer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = Given(composer, [4, 5, 4, 4], tmp_path)
    log = Log()
    do_all(jobs, Gathered(log), log)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert told == [f"[{number + 1}/4] run {number}" for number in range(4)]
    assert [job.folder.state for job in jobs.jobs] == ["finished"] * 4
