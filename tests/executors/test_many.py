"""Many runs by one executor: who is asked for what, and what becomes of those that go wrong."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from optbench.executors import many
from optbench.executors.base import OverLimit, WorkerDied
from optbench.executors.many import run_all
from optbench.rundir import RunDir
from optbench.runs import left
from optbench.runs.lock import is_locked
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.sweep import ELSEWHERE, Sweep

Ends = Callable[[RunDir, int], RunResult]
"""What becomes of a run, given how often it was submitted before."""


def finished(folder: RunDir, before: int = 0) -> RunResult:
    number = int(folder.path.name)
    best = {"metric": "val/loss", "mode": "min", "value": 1.0 + number, "step": 3}
    folder.path.mkdir(exist_ok=True)
    folder.write_status("finished", 3)
    return RunResult(folder, "finished", 3, metrics={"val/loss": 1.0 + number}, best=best)


class Executor:
    """Does what a test says becomes of each run; of two slots, unless it is this process."""

    def __init__(self, ends: Mapping[int, Ends] | None = None, here: bool = False) -> None:
        self.here, self.slots = here, 1 if here else 2
        self._ends = ends or {}
        self.submitted: list[int] = []
        self.stopped: list[int] = []
        self.closed = False
        self.open: dict[int, Future[RunResult]] = {}

    def submit(self, spec: Any, folder: RunDir, *more: Any) -> Future[RunResult]:
        number = int(folder.path.name)
        before = self.submitted.count(number)
        self.submitted.append(number)
        future: Future[RunResult] = Future()
        try:
            found = self._ends.get(number, finished)(folder, before)
        except (WorkerDied, OverLimit) as error:
            future.set_exception(error)
            return future
        if found.state == "goes on":
            self.open[number] = future
        else:
            future.set_result(found)
        return future

    def stop(self, number: int) -> None:
        self.stopped.append(number)
        for run, future in self.open.items():
            folder = RunDir(Path(f"sweep/{run}"))
            future.set_result(RunResult(folder, "preempted", 2, exit_code=128 + number))

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(left, "PATIENCE_SECONDS", 0.0)
    Path("sweep").mkdir()


def sweep(count: int, fail_fast: bool = False) -> Sweep:
    config = SimpleNamespace(sweep=SimpleNamespace(fail_fast=fail_fast))
    spec = cast(Any, SimpleNamespace(config=config))
    grid = [[f"seed={number}", "steps=3"] for number in range(count)]
    return Sweep(RunDir(Path("sweep")), grid, [spec] * count)


def done(planned: Sweep, executor: Executor) -> tuple[Sequence[RunResult | None], str]:
    """The results, and what was told."""
    told = io.StringIO()
    with redirect_stderr(told):
        results = run_all(planned, executor, Log())
    assert executor.closed
    return results, told.getvalue()


def states(results: Sequence[RunResult | None]) -> list[str | None]:
    return [None if result is None else result.state for result in results]


@pytest.mark.parametrize("here", [False, True])
def test_each_run_is_done_once(here: bool) -> None:
    executor = Executor(here=here)
    results, _ = done(sweep(5), executor)
    assert executor.submitted == [0, 1, 2, 3, 4]
    assert states(results) == ["finished"] * 5


def test_a_line_says_what_a_run_came_to_and_what_is_left() -> None:
    _, told = done(sweep(3), Executor())
    lines = told.splitlines()
    assert lines[0].startswith("[1/3] seed=0: finished  val/loss 1.000  2 left")
    assert lines[2] == "[3/3] seed=2: finished  val/loss 3.000"


def dies(times: int) -> Ends:
    def end(folder: RunDir, before: int) -> RunResult:
        if before < times:
            raise WorkerDied("its process ended by SIGKILL(-9)")
        return finished(folder)

    return end


def test_a_run_whose_process_died_is_done_again_before_the_others() -> None:
    executor = Executor({0: dies(1)})
    results, told = done(sweep(4), executor)
    assert states(results) == ["finished"] * 4
    assert sorted(executor.submitted) == [0, 0, 1, 2, 3]
    assert executor.submitted.index(0, 1) <= 3
    assert "[1/4] its process ended by SIGKILL(-9): it goes on from its checkpoint\n" in told


def test_a_run_whose_process_died_twice_is_given_up_and_no_other_one() -> None:
    executor = Executor({1: dies(2)})
    results, told = done(sweep(3), executor)
    assert states(results) == ["finished", "killed", "finished"]
    assert executor.submitted.count(1) == 2
    assert results[1] is not None and results[1].exit_code == 1
    assert "its process ended by SIGKILL(-9), again" in told


def test_a_run_that_comes_further_each_time_is_not_given_up() -> None:
    def further(folder: RunDir, before: int) -> RunResult:
        if before == 4:
            return finished(folder)
        folder.path.mkdir(exist_ok=True)
        folder.write_status("running", before, checkpoint=10 * before)
        raise WorkerDied("its process ended by SIGKILL(-9)")

    executor = Executor({0: further})
    results, _ = done(sweep(2), executor)
    assert states(results) == ["finished", "finished"]
    assert executor.submitted.count(0) == 5


def test_a_process_that_somebody_ended_by_a_signal_counts_as_one_that_died() -> None:
    def preempted(folder: RunDir, before: int) -> RunResult:
        ended = RunResult(folder, "preempted", 2, exit_code=128 + signal.SIGTERM)
        return finished(folder) if before else ended

    executor = Executor({0: preempted})
    results, told = done(sweep(2), executor)
    assert states(results) == ["finished"] * 2
    assert executor.stopped == []
    assert "its process was ended by signal 15" in told


def test_a_run_over_its_limit_is_not_done_again() -> None:
    def over(folder: RunDir, before: int) -> RunResult:
        raise OverLimit("it took longer than executor.timeout=2 seconds")

    executor = Executor({0: over})
    results, told = done(sweep(2), executor)
    assert states(results) == ["over limit", "finished"]
    assert executor.submitted == [0, 1]
    assert "executor.timeout=2" in told


def failed(folder: RunDir, before: int) -> RunResult:
    return RunResult(folder, "failed", 0, "no such layer", exit_code=1)


@pytest.mark.parametrize("here", [False, True])
def test_a_run_that_fails_stops_no_other_unless_that_is_wanted(here: bool) -> None:
    results, told = done(sweep(4), Executor({0: failed}, here))
    assert states(results) == ["failed", *["finished"] * 3]
    assert "failed: no such layer" in told

    executor = Executor({0: failed}, here)
    results, told = done(sweep(4, fail_fast=True), executor)
    assert executor.stopped
    assert "sweep.fail_fast=true: the sweep stops here" in told
    assert 3 not in executor.submitted


def test_runs_that_are_elsewhere_are_looked_at_once_more_at_the_end() -> None:
    def elsewhere(folder: RunDir, before: int) -> RunResult:
        return finished(folder) if before else RunResult(folder, ELSEWHERE, 0, "busy")

    def always(folder: RunDir, before: int) -> RunResult:
        return RunResult(folder, ELSEWHERE, 0, "busy", exit_code=1)

    executor = Executor({0: elsewhere, 1: always})
    results, told = done(sweep(3), executor)
    assert states(results) == ["finished", ELSEWHERE, "finished"]
    assert executor.submitted == [0, 1, 2, 0, 1]
    assert "-1 left" not in told


def held(folder: RunDir) -> Callable[[], None]:
    """Be at a run, as a process of a program that was killed; return what lets go of it."""
    folder.path.mkdir()
    file = folder.log.open("a", encoding="utf-8")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file.close


def test_who_is_about_to_let_go_of_a_run_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LOOKS_SECONDS", 0.02)

    def elsewhere(folder: RunDir, before: int) -> RunResult:
        if before:
            return finished(folder) if not is_locked(folder.log) else failed(folder, before)
        threading.Timer(0.3, held(folder)).start()
        return RunResult(folder, ELSEWHERE, 0, "busy")

    executor = Executor({1: elsewhere})
    results, _ = done(sweep(3), executor)
    assert states(results) == ["finished"] * 3
    assert executor.submitted == [0, 1, 2, 1]


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LOOKS_SECONDS", 0.02)
    monkeypatch.setattr(many, "GRACE_SECONDS", 0.1)
    letting_go = []

    def elsewhere(folder: RunDir, before: int) -> RunResult:
        if not before:
            letting_go.append(held(folder))
        return RunResult(folder, ELSEWHERE, 0, "busy", exit_code=1)

    executor = Executor({0: elsewhere, 1: elsewhere})
    results, _ = done(sweep(2), executor)
    assert states(results) == [ELSEWHERE, ELSEWHERE]
    assert executor.submitted == [0, 1, 0, 1]
    for let_go in letting_go:
        let_go()


def test_a_signal_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LOOKS_SECONDS", 0.02)
    letting_go = []

    def elsewhere(folder: RunDir, before: int) -> RunResult:
        letting_go.append(held(folder))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return RunResult(folder, ELSEWHERE, 0, "busy", exit_code=1)

    executor = Executor({0: elsewhere})
    done(sweep(1), executor)
    assert executor.submitted == [0]
    letting_go[0]()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_at_a_signal_all_runs_end_with_a_checkpoint_and_none_begins(number: int) -> None:
    def goes_on(folder: RunDir, before: int) -> RunResult:
        folder.path.mkdir()
        folder.write_status("preempted", 2)
        if folder.path.name == "1":
            os.kill(os.getpid(), number)
        return RunResult(folder, "goes on", 0)

    executor = Executor({0: goes_on, 1: goes_on})
    results, told = done(sweep(4), executor)
    assert executor.stopped == [number]
    assert executor.submitted == [0, 1]
    assert states(results) == ["preempted", "preempted", "not begun", "not begun"]
    assert {result.exit_code for result in results if result} == {128 + number}
    assert "stopping: 2 runs write their checkpoints" in told
    assert "it goes on from its checkpoint" not in told


def test_a_process_that_ends_as_it_is_stopped_is_no_failure() -> None:
    """Its run has written its checkpoint; only the result did not come back."""

    def goes_on(folder: RunDir, before: int) -> RunResult:
        folder.path.mkdir()
        folder.write_status("preempted", 2)
        os.kill(os.getpid(), signal.SIGTERM)
        return RunResult(folder, "goes on", 0)

    class Dying(Executor):
        def stop(self, number: int) -> None:
            for future in self.open.values():
                future.set_exception(WorkerDied("its process ended by SIGTERM(-15)"))

    results, _ = done(sweep(1), Dying({0: goes_on}))
    (result,) = results
    assert result is not None and (result.state, result.exit_code) == ("preempted", 143)


def test_a_second_interrupt_stops_at_once() -> None:
    def goes_on(folder: RunDir, before: int) -> RunResult:
        os.kill(os.getpid(), signal.SIGINT)
        return RunResult(folder, "goes on", 0)

    class Deaf(Executor):
        def stop(self, number: int) -> None:
            os.kill(os.getpid(), number)

    executor = Deaf({0: goes_on})
    results, told = done(sweep(2), executor)
    assert "stopped at once" in told
    assert states(results) == ["not begun", "finished"]


def test_a_run_here_that_a_signal_ended_is_the_last_one() -> None:
    def preempted(folder: RunDir, before: int) -> RunResult:
        return RunResult(folder, "preempted", 2, exit_code=130)

    executor = Executor({1: preempted}, here=True)
    results, _ = done(sweep(4), executor)
    assert executor.submitted == [0, 1]
    assert states(results) == ["finished", "preempted", None, None]
