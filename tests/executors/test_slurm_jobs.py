"""Real jobs: of submitit's cluster of this machine, and of a SLURM that is shell scripts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import optbench
from optbench.executors.base import WorkerDied
from optbench.executors.slurm import Slurm
from optbench.rundir import RunDir

from .runs import LONG, SMALL, has_checkpoint, needs_submitit, wait_for


@pytest.mark.slow
@needs_submitit
def test_a_slurm_of_scripts_does_a_sweep(fake: Path, tmp_path: Path) -> None:
    grid = (*SMALL, "optimizer=sgd,adam", "steps=12")
    jobs = optbench.sweep(*grid, "executor=slurm", "executor.jobs=2", folder=tmp_path / "jobs")
    serial = optbench.sweep(*grid, folder=tmp_path / "serial")
    assert [r.state for r in jobs] == ["finished"] * 2
    assert [r.best for r in jobs] == [r.best for r in serial]
    assert sorted(path.name for path in (tmp_path / "jobs/slurm").glob("*_result.pkl")) == [
        "100_0_result.pkl",
        "101_0_result.pkl",
    ]
    assert "--gpus" not in (fake / "100.sh").read_text(encoding="utf-8")


@pytest.mark.slow
@needs_submitit
def test_a_job_of_slurm_ends_with_a_checkpoint_and_one_that_waits_is_not_begun(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Slurm(jobs=2)
    spec = optbench.compose(*SMALL, *LONG)
    going = executor.submit(spec, RunDir(tmp_path / "going"))
    wait_for(lambda: has_checkpoint(tmp_path / "going"))
    monkeypatch.setenv("HELD", "1")
    waits = executor.submit(spec, RunDir(tmp_path / "waits"))
    wait_for(lambda: (fake / "101.held").exists())
    executor.stop(signal.SIGINT)
    ended = going.result(60)
    assert (ended.state, ended.exit_code) == ("preempted", 130)
    assert RunDir(tmp_path / "going").read_status()["checkpoint"] == ended.step
    with pytest.raises(WorkerDied):
        waits.result(60)
    assert not (tmp_path / "waits").exists()
    executor.close()


@pytest.mark.slow
@needs_submitit
def test_a_job_of_slurm_whose_time_is_over_goes_on_in_another(fake: Path, tmp_path: Path) -> None:
    executor = Slurm(jobs=1)
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    os.kill(int((fake / "100.step").read_text(encoding="utf-8")), signal.SIGUSR2)
    wait_for(lambda: "resuming" in (tmp_path / "run/log.txt").read_text(encoding="utf-8"))
    assert (fake / "101.pid").exists()
    executor.close()
    assert "101" in (fake / "cancelled").read_text(encoding="utf-8")
    with pytest.raises(WorkerDied):
        future.result(60)


@pytest.mark.slow
@needs_submitit
def test_a_job_of_slurm_that_dies_says_how(fake: Path, tmp_path: Path) -> None:
    executor = Slurm(jobs=1)
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    os.kill(int((fake / "100.step").read_text(encoding="utf-8")), signal.SIGKILL)
    with pytest.raises(WorkerDied, match="its SLURM job 100 ended as NODE_FAIL"):
        future.result(60)
    executor.close()


@pytest.mark.slow
@needs_submitit
def test_a_job_here_that_is_killed_costs_its_run_nothing_but_time(tmp_path: Path) -> None:
    executor = Slurm(cluster="local", jobs=1)
    spec = optbench.compose(*SMALL, *LONG)
    future = executor.submit(spec, RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    (controller,) = executor._live
    (run,) = (
        Path(f"/proc/{controller}/task/{controller}/children").read_text(encoding="ascii").split()
    )
    os.kill(int(run), signal.SIGKILL)
    with pytest.raises(WorkerDied, match=f"its job {controller} is gone"):
        future.result(60)
    shorter = optbench.compose(*SMALL, "steps=5")
    assert executor.submit(shorter, RunDir(tmp_path / "next")).result(60).state == "finished"
    executor.close()


@pytest.mark.slow
@needs_submitit
def test_jobs_here_end_with_the_executor(tmp_path: Path) -> None:
    executor = Slurm(cluster="local", jobs=1)
    future = executor.submit(optbench.compose(*SMALL, *LONG), RunDir(tmp_path / "run"))
    wait_for(lambda: has_checkpoint(tmp_path / "run"))
    executor.close()
    with pytest.raises(WorkerDied):
        future.result(60)
    wait_for(lambda: RunDir(tmp_path / "run").state == "preempted", 20)


@pytest.mark.filterwarnings("ignore:.*slurm/DEBUG_:pytest.PytestUnraisableExceptionWarning")
@needs_submitit
def test_this_process_may_be_the_cluster(tmp_path: Path) -> None:
    grid = (*SMALL, "seed=0,1", "steps=3", "executor=slurm", "executor.cluster=debug")
    results = optbench.sweep(*grid, folder=tmp_path / "s")
    assert [r.state for r in results] == ["finished"] * 2
