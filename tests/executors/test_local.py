"""Runs in processes of this machine, which are real ones here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import optbench
from optbench.errors import ArgumentError, UserError
from optbench.executors import local
from optbench.executors.base import OverLimit, WorkerDied
from optbench.executors.local import Local
from optbench.rundir import RunDir

from .runs import LONG, SMALL, has_checkpoint, wait_for


@pytest.fixture
def executor() -> Iterator[Local]:
    made = Local(workers=1)
    yield made
    made.close()


def kept(run: RunDir) -> dict[str, float]:
    """What does not depend on the clock."""
    final = json.loads((run.path / "summary.json").read_text(encoding="utf-8"))["final"]
    return {k: v for k, v in final.items() if k.partition("/")[0] not in ("throughput", "memory")}


def process_of(executor: Local) -> int:
    (process,) = [worker._process for worker in executor._all]
    assert process is not None
    return process


def children() -> set[int]:
    """The processes of this one's pools that live; loky's tracker is none."""
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        for each in path.read_text(encoding="ascii").split():
            command = Path(f"/proc/{each}/cmdline").read_bytes()
            if b"popen_loky" in command and not gone(int(each)):
                found.add(int(each))
    return found


def gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2]
    except OSError:
        return True
    return state.split()[0] == "Z"


@pytest.mark.slow
def test_results_are_those_of_one_run_after_the_other_to_the_bit(tmp_path: Path) -> None:
    grid = (*SMALL, "optimizer=sgd,adam", "seed=0,1", "steps=12")
    serial = optbench.sweep(*grid, folder=tmp_path / "serial")
    local = optbench.sweep(*grid, "executor=local", "executor.workers=2", folder=tmp_path / "local")
    assert [r.state for r in local] == ["finished"] * 4
    assert [kept(r.folder) for r in local] == [kept(r.folder) for r in serial]
    for one, other in zip(local, serial, strict=True):
        assert one.best == other.best
        configs = [
            (r.folder.path / "config.yaml").read_text(encoding="utf-8") for r in (one, other)
        ]
        assert configs[0] == configs[1]


@pytest.mark.slow
def test_a_process_that_is_killed_costs_its_run_nothing_but_time(
    tmp_path: Path, executor: Local
) -> None:
    spec = optbench.compose(*SMALL, *LONG)
    future = executor.submit(spec, RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    first = process_of(executor)
    assert os.getpgid(first) == first  # Ctrl-C does not reach it
    os.kill(first, signal.SIGKILL)
    with pytest.raises(WorkerDied, match=r"its process ended by SIGKILL\(-9\)"):
        future.result(60)
    shorter = optbench.compose(*SMALL, "steps=5")
    assert executor.submit(shorter, RunDir(tmp_path / "next")).result(60).state == "finished"
    assert process_of(executor) != first


@pytest.mark.slow
def test_a_program_that_is_killed_leaves_no_word_on_the_terminal(tmp_path: Path) -> None:
    words = [*SMALL, *LONG, "seed=0,1", "executor=local", "hydra.sweep.dir=s"]
    program = subprocess.Popen(
        [sys.executable, "-m", "optbench", "train", "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    wait_for(lambda: has_checkpoint(tmp_path / "s/0"))
    program.kill()
    assert program.communicate(timeout=60)[0] == ""  # its processes and their tracker are gone
    assert RunDir(tmp_path / "s/0").state == "preempted"


@pytest.mark.slow
def test_a_process_that_died_with_nothing_to_do_is_replaced(
    tmp_path: Path, executor: Local
) -> None:
    spec = optbench.compose(*SMALL, "steps=5")
    executor.submit(spec, RunDir(tmp_path / "one")).result(60)
    first = process_of(executor)
    os.kill(first, signal.SIGKILL)
    end = time.monotonic() + 60
    while not gone(first):
        assert time.monotonic() < end
        time.sleep(0.02)
    results = []
    for name in ("two", "three"):  # of the first loky may not know yet
        try:
            results.append(executor.submit(spec, RunDir(tmp_path / name)).result(60).state)
        except WorkerDied:
            continue
    assert results[-1:] == ["finished"]


def test_asked_to_stop_a_run_ends_with_a_checkpoint(tmp_path: Path, executor: Local) -> None:
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    executor.stop(signal.SIGINT)
    ended = future.result(60)
    assert (ended.state, ended.exit_code) == ("preempted", 130)
    assert RunDir(tmp_path / "run").read_status()["checkpoint"] == ended.step


@pytest.mark.slow
def test_a_signal_while_a_process_starts_is_not_lost(tmp_path: Path, executor: Local) -> None:
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    executor.stop(signal.SIGTERM)  # torch is being imported there
    with pytest.raises(WorkerDied):
        future.result(60)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_signal_that_a_run_did_not_hear_comes_again(tmp_path: Path, executor: Local) -> None:
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    executor._stopped.set()
    assert future.result(60).state == "preempted"


def test_what_can_not_be_sent_is_a_failed_run(tmp_path: Path) -> None:
    class Holding(optbench.Callback):
        def __init__(self) -> None:
            self.lock = threading.Lock()

    results = optbench.sweep(
        *SMALL,
        "seed=0,1",
        "steps=3",
        "executor=local",
        "executor.workers=1",
        folder=tmp_path / "s",
        callbacks=[Holding()],
    )
    assert [result.state for result in results] == ["failed", "failed"]
    assert "ickl" in results[0].message


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_ended(tmp_path: Path, executor: Local) -> None:
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    executor._limits.timeout = 0.5
    with pytest.raises(OverLimit, match=r"it took longer than executor\.timeout=0\.5 seconds"):
        future.result(60)
    assert RunDir(tmp_path / "run").state == "preempted"


@pytest.mark.slow
def test_a_run_that_hangs_is_killed(
    tmp_path: Path, executor: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.5)
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    process = process_of(executor)
    os.kill(process, signal.SIGSTOP)
    executor._limits.timeout = 0.5
    with pytest.raises(OverLimit):
        future.result(60)
    assert gone(process)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_run_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    executor = Local(workers=1, memory=0.01)
    try:
        future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
        with pytest.raises(OverLimit, match=r"GiB, more than executor\.memory=0\.01"):
            future.result(60)
    finally:
        executor.close()


PSUTIL = """
class Process:
    def __init__(self, pid):
        pass

    def memory_info(self):
        Process.rss += 1 << 30
        return self

    rss = 0
"""


@pytest.mark.slow
def test_data_that_is_kept_for_the_next_run_is_no_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "psutil.py").write_text(PSUTIL, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    executor, others = Local(workers=1), children()
    try:
        processes = set()
        for name in ("one", "two", "three"):
            spec = optbench.compose(*SMALL, "steps=5")
            assert executor.submit(spec, RunDir(tmp_path / name)).result(60).state == "finished"
            time.sleep(1.1)  # loky looks once a second
            processes |= {process_of(executor), *(children() - others)}
        assert processes == {process_of(executor)}
    finally:
        executor.close()


@pytest.mark.slow
def test_a_run_that_is_bad_input_is_a_failed_run(tmp_path: Path, executor: Local) -> None:
    spec = optbench.compose(*SMALL, "steps=5", "dataset.val_fraction=0.1")
    spec.plain["optimizer"]["lr"] = spec.config.optimizer["lr"] = "none"
    ended = executor.submit(spec, RunDir(tmp_path / "run")).result(60)
    assert ended.state == "failed"


@pytest.mark.parametrize("name", ["workers", "threads", "timeout", "memory"])
def test_numbers_that_can_not_be_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name}=0"):
        Local(**{name: 0})


def test_by_default_there_is_a_process_for_each_core() -> None:
    executor = Local()
    assert executor.slots == len(os.sched_getaffinity(0))
    executor.close()


def test_a_closed_executor_starts_nothing(tmp_path: Path) -> None:
    executor = Local(workers=1)
    executor.close()
    with pytest.raises(RuntimeError):
        executor.submit(optbench.compose(*SMALL, "steps=5"), RunDir(tmp_path / "run"))


@pytest.mark.slow
def test_a_sweep_is_gone_on_with_by_who_began_it(tmp_path: Path) -> None:
    grid = (*SMALL, "seed=0,1", "steps=4")
    optbench.sweep(*grid, "executor=local", "executor.workers=1", folder=tmp_path / "s")
    plan = (tmp_path / "s/sweep.yaml").read_text(encoding="utf-8")
    assert "- executor=local\n- executor.workers=1\n" in plan
    assert "executor" not in (tmp_path / "s/0/config.yaml").read_text(encoding="utf-8")
    results = optbench.resume_sweep(tmp_path / "s", "executor=serial")
    assert [r.state for r in results] == ["finished"] * 2
    with pytest.raises(UserError, match="a sweep is resumed as it was planned"):
        optbench.resume_sweep(tmp_path / "s", "seed=3")
