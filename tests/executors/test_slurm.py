"""Runs as jobs: of submitit's cluster of this machine, and of a SLURM that is shell scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import optbench
from optbench.errors import ArgumentError, UserError
from optbench.executors import slurm, slurm_jobs
from optbench.executors.base import WorkerDied
from optbench.executors.slurm import Slurm
from optbench.executors.slurm_jobs import SlurmJobs, last_line, refuse_never
from optbench.rundir import RunDir
from optbench.runs.result import RunResult

from .runs import SMALL, needs_submitit

# what a job is to be


@needs_submitit
def test_a_job_is_asked_for_as_sbatch_has_it(fake: Path, tmp_path: Path) -> None:
    executor = Slurm(
        partition="gpu",
        time=240,
        gpus=2,
        cpus=8,
        memory=1.5,
        setup=["module load cuda"],
        options={"qos": "high", "mail_type": "END", "exclusive": True},
    )
    text = executor._made(tmp_path)._make_submission_file_text("run it", "uid")
    executor.close()
    flags = [line.removeprefix("#SBATCH --") for line in text.splitlines() if "#SBATCH" in line]
    for wanted in (
        *("partition=gpu", "time=240", "gpus-per-node=2", "cpus-per-task=8", "mem=1536M"),
        *("qos=high", "mail-type=END", "exclusive", "no-requeue", "signal=USR2@90"),
    ):
        assert wanted in flags
    assert "srun --unbuffered" in text and "--cpus-per-task=8 run it" in text
    assert f"output={tmp_path}/slurm/%j_0_log.out" in flags
    assert text.index("module load cuda") < text.index("run it")
    tried = (fake / "asked").read_text(encoding="utf-8")
    assert "--test-only --partition=gpu --time=240 --cpus-per-task=8 --gpus-per-node=2" in tried


@needs_submitit
def test_what_sbatch_never_takes_is_refused_at_once(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSES", "Batch job submission failed: Invalid partition name specified")
    with pytest.raises(UserError, match=r"executor=slurm: .*Invalid partition name specified"):
        Slurm(partition="gpuu")
    monkeypatch.setenv("REFUSES", "Requested nodes are busy")
    Slurm().close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cpus": 1.5}, r"cpus=1\.5: a whole number, at least 1"),
        ({"gpus": 0.5}, r"gpus=0\.5: a whole number, at least 0"),
        ({"jobs": 0}, "jobs=0: a whole number, at least 1"),
        ({"memory": 0}, "memory=0: more than 0"),
        ({"time": 1, "grace": 60}, "grace=60: seconds, less than the 1 minutes of a job"),
        ({"setup": ["true"]}, "setup=.*: of SLURM's jobs, not local ones"),
        ({"gpus": 99}, "gpus=99: torch finds"),
    ],
)
@needs_submitit
def test_numbers_that_can_not_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        Slurm(cluster="local", **given)


@needs_submitit
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"array": "0-3"}, r"executor\.options\.array=0-3: this one is set by optbench"),
        ({"no_requeue": True}, "this one is set by optbench"),
        ({"q os": 1}, r"executor\.options\.q os=1: no option of sbatch"),
        ({"qos": "a\nrm"}, "no option of sbatch"),
    ],
)
def test_options_that_can_not_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Slurm(cluster="local", options=options)


@needs_submitit
def test_without_slurm_the_line_says_how_to_try_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"no sbatch here; executor\.cluster=local"):
        Slurm()


def test_without_submitit_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(
        UserError,
        match=r"executor=slurm: needs submitit, which is missing; pip install 'optbench\[slurm\]'",
    ):
        optbench.sweep(*SMALL, "seed=0,1", "executor=slurm", folder="s")
    assert not Path("s").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("executor.options={qos:[1]}", "expected options of sbatch, such as"),
        ("executor.options=qos", "expected options of sbatch, such as"),
        ("executor.cluster=slrum", "did you mean slurm"),
        ("executor.gpus=-1", "executor.gpus=-1: not valid"),
        ("executor.tiem=3", "did you mean executor.time"),
    ],
)
def test_bad_settings_are_told_by_key(line: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        optbench.sweep(*SMALL, "seed=0,1", "executor=slurm", line, folder="s")
    assert not Path("s").exists()


def test_the_last_line_of_a_command_is_what_it_refuses() -> None:
    assert last_line("sbatch: warning: x\nsbatch: error: Invalid qos\n") == "Invalid qos"
    assert last_line("allocation failure: Invalid account") == "Invalid account"
    assert last_line("") == "no reason is given"


def test_what_can_not_be_tried_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    refuse_never({}, {})


# what becomes of jobs, without any


def test_a_job_is_gone_once_two_looks_have_not_found_it(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str | None] = ["7 8", "8", None, "8", "8"]
    monkeypatch.setattr(slurm_jobs, "ASKS_SECONDS", -1.0)
    monkeypatch.setattr(slurm_jobs, "_said", lambda *command: listed.pop(0))
    jobs, job = SlurmJobs(), SimpleNamespace(job_id="7")
    assert [jobs.alive(job) for _ in range(4)] == [True, True, True, False]


class Given:
    """Stands in for submitit: each job's result is what the test says."""

    def __init__(self, folder: Path, results: list[Any]) -> None:
        self._folder, self._results = folder, results
        self.submitted = 0

    def submit(self, *arguments: Any) -> Any:
        number = str(self.submitted)
        self.submitted += 1
        found = self._results.pop(0)
        if found == "refused":
            raise RuntimeError("sbatch: error: Socket timed out")
        path = self._folder / f"{number}_result.pkl"
        if found is not None:
            path.touch()

        def result() -> Any:
            if isinstance(found, Exception):
                raise found
            return found

        paths = SimpleNamespace(result_pickle=path, stdout=self._folder)
        return SimpleNamespace(job_id=number, paths=paths, result=result, done=lambda: True)


def preempted(step: int) -> RunResult:
    return RunResult(RunDir(Path("run")), "preempted", step, exit_code=143)


FINISHED = RunResult(RunDir(Path("run")), "finished", 9)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    pytest.importorskip("submitit")
    monkeypatch.setattr(slurm, "LOOKS_SECONDS", 0.01)
    monkeypatch.setattr(slurm, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(slurm, "LAG_SECONDS", {"local": 0.05})
    made = Slurm(cluster="local", jobs=1)
    yield made
    made.close()


def outcome(executor: Slurm, folder: Path, *results: Any) -> tuple[int, RunResult]:
    executor._executor = given = Given(folder, list(results))
    spec: Any = None
    found = executor.submit(spec, RunDir(folder / "run")).result(20)
    return given.submitted, found


def test_a_run_goes_on_in_another_job_as_long_as_each_gets_it_further(
    executor: Slurm, tmp_path: Path
) -> None:
    assert outcome(executor, tmp_path, preempted(3), preempted(5), FINISHED) == (3, FINISHED)


def test_a_run_that_gets_no_further_is_handed_back(executor: Slurm, tmp_path: Path) -> None:
    assert outcome(executor, tmp_path, preempted(3), preempted(3)) == (2, preempted(3))


def test_a_job_that_ends_without_a_result_has_died(executor: Slurm, tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match="its job 0 is gone"):
        outcome(executor, tmp_path, None)


def test_a_job_that_fails_around_its_run_has_died(executor: Slurm, tmp_path: Path) -> None:
    rule = "-" * 22
    error = RuntimeError(
        f"Job failed during processing with trace:\n{rule}\nTraceback:\n  x\nImportError: no m\n"
        f"\n{rule}\nYou can check full logs"
    )
    with pytest.raises(WorkerDied, match=r"its job 0 failed: ImportError: no m$"):
        outcome(executor, tmp_path, error)


def test_the_first_job_that_is_refused_is_bad_input(executor: Slurm, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no job can be submitted: Socket timed out"):
        outcome(executor, tmp_path, "refused")


def test_a_later_job_that_is_refused_is_asked_for_again(executor: Slurm, tmp_path: Path) -> None:
    executor._taken = True
    assert outcome(executor, tmp_path, "refused", "refused", FINISHED) == (3, FINISHED)
