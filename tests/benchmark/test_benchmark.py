"""`optbench benchmark`: equal trials, fresh seeds, nothing done twice, no kill seen."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import optbench
from optbench.benchmark.protocol import BenchmarkJobs
from optbench.cli.main import main
from optbench.executors.jobs import Job
from optbench.rundir import RunDir

from .conftest import write

SIZE = "trials=3 seeds=2 steps=20"
LINE = f"benchmark suite=tiny --config-dir own {SIZE} hydra.sweep.dir=b"


class Answer(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


def call(line: str) -> Answer:
    """`optbench LINE`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(line))
    return Answer(code, out.getvalue(), err.getvalue())


def report(folder: str = "b") -> dict[str, Any]:
    """What `report.json` says."""
    found: dict[str, Any] = json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))
    return found


def runs(folder: str = "b") -> dict[str, RunDir]:
    """The runs by name."""
    return {path.name: RunDir(path) for path in sorted(Path(folder, "runs").iterdir())}


def marks(folder: str = "b") -> dict[str, int]:
    """When each run was last written to, by name."""
    return {name: run.metrics.stat().st_mtime_ns for name, run in runs(folder).items()}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What runs were given to do, in order."""
    said: list[str] = []
    real = BenchmarkJobs.next

    def listening(self: BenchmarkJobs) -> Job | None:
        job = real(self)
        if job is not None:
            said.append(job.said)
        return job

    monkeypatch.setattr(BenchmarkJobs, "next", listening)
    return said


@pytest.mark.slow
def test_all_get_the_same_and_take_turns(given: Sequence[str]) -> None:
    found = call(f"{LINE} 'optimizers=[sgd,adamw]' sweep.population=off")
    assert found.code == 0, found.err
    assert max(map(len, found.out.splitlines())) <= 80
    tuning = [line.split()[:4] for line in given if " trial " in line]
    assert tuning == [
        [workload, name, "trial", str(number)]
        for workload in ("digits_mlp", "quadratic_deep")
        for number in range(3)
        for name in ("sgd", "adamw")
    ]
    fresh = [line.split() for line in given if " seed=" in line]
    assert [line.split()[0] for line in given] == sorted(line.split()[0] for line in given)
    turns = [words[1:3] for words in fresh if words[3] == "tuned" and words[0] == "digits_mlp"]
    assert turns == [[name, seed] for seed in ("seed=1", "seed=2") for name in ("sgd", "adamw")]
    assert "expected best val/accuracy of 1, 2 and 3 trials: sgd 0." in found.out
    digits, quadratic = report()["workloads"]
    assert (digits["chosen_by"], digits["scored_by"]) == ("val/accuracy", "test/accuracy")
    assert quadratic["scored_by"] == "val/loss" and "no test set" in quadratic["warnings"][-1]
    every = runs()
    for name in ("sgd", "adamw"):
        trials = digits["trials"][name]
        assert trials[0]["values"] == {} and trials[1]["values"]
        for trial in trials:
            final = every[trial["run"]].read_summary()["final"]
            assert final["val/accuracy"] == trial["score"] and "test/accuracy" not in final
        best = max(range(3), key=lambda n: trials[n]["score"])
        first, *others = [trial["score"] for trial in trials]
        one_more = sum(max(first, other) for other in others) / 2
        expected = pytest.approx([first, one_more, trials[best]["score"]])
        assert digits["expected_best"][name] == expected
        (arm,) = [each for each in digits["tuned"] if each["name"] == name]
        assert arm["trial"] == best and arm["values"] == trials[best]["values"]
        for run in arm["runs"]:
            assert run["score"] == every[run["run"]].read_summary()["final"]["test/accuracy"]
    places = [digits["trials"][name][1]["values"]["optimizer.lr"] for name in ("sgd", "adamw")]
    sgd, adamw = places[0] / 0.02, places[1] / 1e-4
    assert sgd ** (2 / 2.39794) == pytest.approx(adamw, rel=1e-4)  # of 250 and of 100


def test_nobody_waits_for_a_trial_while_there_is_another(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drain(jobs: BenchmarkJobs, *others: object) -> int:
        while jobs.next() is not None:
            pass
        assert jobs.next() is None
        return 0

    module = import_module("optbench.benchmark.benchmark")  # whose package has a function's name
    monkeypatch.setattr(module, "do_all", drain)
    call(f"{LINE} 'optimizers=[sgd,adamw]' sweep.population=off")
    trials = [line.split()[0] for line in given if " trial " in line]
    assert trials == ["digits_mlp"] * 6 + ["quadratic_deep"] * 6
    assert {line.split()[3] for line in given[6:] if " seed=" in line} == {"defaults"}
    assert len(given) == len(set(given)) == 6 + 4 + 6 + 4


@pytest.mark.slow
def test_nothing_is_done_twice(given: list[str]) -> None:
    assert call(f"{LINE} 'optimizers=[sgd,adamw]'").code == 0
    first, before = report(), marks()
    given.clear()
    again = call("resume b")
    assert (again.code, given, marks(), report()) == (0, [], before, first)
    more = call("resume b 'optimizers=[lion]'")
    assert more.code == 0, more.err
    assert given and all(" lion " in line for line in given)
    assert {name: mark for name, mark in marks().items() if name in before} == before
    assert [arm["name"] for arm in report()["workloads"][0]["tuned"]] == ["sgd", "adamw", "lion"]
    for one, other in zip(first["workloads"], report()["workloads"], strict=True):
        assert other["tuned"][:2] == one["tuned"] and other["hash"] == one["hash"]
    given.clear()
    assert call("resume b seeds=3").code == 0
    assert given and all("seed=3" in line for line in given)
    fewer = call("resume b seeds=2")
    assert fewer.code == 2 and "seeds=2: expected at least the 3 planned" in fewer.err
    assert call("resume b steps=9").err.startswith("optbench: steps=9: a benchmark goes on as")


@pytest.mark.slow
def test_a_kill_changes_nothing(workplace: Path) -> None:
    line = f"{LINE} 'optimizers=[sgd,adamw]'"
    assert call(line).code == 0
    root = str(Path(optbench.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "optbench"]
    first = [*words, *shlex.split(line.replace("dir=b", "dir=killed"))]
    for command, many in ((first, 3), ([*words, "resume", "killed"], 9)):
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            until = time.monotonic() + 120
            while time.monotonic() < until and process.poll() is None:
                if Path("killed/runs").is_dir() and len(runs("killed")) >= many:
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not Path("killed/report.json").exists()
    found = call("resume killed")
    assert found.code == 0, found.err
    assert Path("killed/report.json").read_bytes() == Path("b/report.json").read_bytes()


@pytest.mark.slow
def test_one_that_is_stopped_says_how_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"{LINE} 'optimizers=[sgd,adamw]'"
    real, left = BenchmarkJobs.next, iter(range(24))  # of 28 at most: all of digits, not all

    def few(self: BenchmarkJobs) -> Job | None:
        return real(self) if next(left, None) is not None else None

    with monkeypatch.context() as patch:
        patch.setattr(BenchmarkJobs, "next", few)
        found = call(line)
    assert found.code == 1 and found.out.endswith("\n  optbench resume b\n")
    assert [each["name"] for each in report()["workloads"]] in (["digits_mlp"], [])
    assert call("resume b").code == 0
    through = call(line.replace("dir=b", "dir=c"))
    assert through.code == 0 and report("b") == report("c")


@pytest.mark.slow
def test_an_optimizer_under_two_names_gives_no_verdict() -> None:
    found = call(
        "benchmark suite=tiny --config-dir own trials=2 seeds=6 steps=20 hydra.sweep.dir=b "
        "'optimizers=[adamw,{again: adamw}]'"
    )
    assert found.code == 0, found.err
    for each in report()["workloads"]:
        assert [verdict["outcome"] for verdict in each["verdicts"]] == ["indistinguishable"]
        assert "adamw and again came to the same at all 6 seeds" in each["said"]
        assert " beats " not in " ".join(each["said"])
        assert each["tuned"][0]["mean"] == each["tuned"][1]["mean"]


def test_what_diverges_is_a_miss() -> None:
    found = optbench.benchmark(
        *("workload=digits_mlp", "steps=20", "trials=1", "seeds=2", "threads=1"),
        "optimizers=[adamw, {wild: ['optimizer=sgd', 'optimizer.lr=1e30']}]",
        folder="b",
    )
    (each,) = found.report["workloads"]
    sgd = each["tuned"][1]
    assert (sgd["n"], sgd["failed"], sgd["misses"], sgd["mean"]) == (0, 2, 2, None)
    assert {run["state"] for run in sgd["runs"]} == {"diverged"}
    assert each["best"] == "adamw" and each["ranks"] == {"adamw": 1, "wild": 2}
    assert any(line.startswith("wild: ") for line in each["warnings"])


MINE = """
import torch


class Mine(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
"""


def test_an_optimizer_of_ones_own_joins(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(workplace))
    write(workplace / "our_optimizers.py", MINE)
    small = ("workload=digits_mlp", "steps=20", "trials=2", "seeds=2", "threads=1")
    found = optbench.benchmark(*small, "optimizers=[sgd,our_optimizers.Mine]", folder="b")
    (each,) = found.report["workloads"]
    assert [list(trial["values"]) for trial in each["trials"]["Mine"]] == [[], ["optimizer.lr"]]
    assert found.done and found.said["digits_mlp"][0].startswith("2 seeds can't decide")
    own = "_target_: our_optimizers.Mine\nlr: 0.1\n"
    write(workplace / "own/optimizer/mine.yaml", f"# Mine\n{own}")
    joined = optbench.benchmark("optimizers=[mine]", folder="b", config_dir="own")
    trials = joined.report["workloads"][0]["trials"]
    assert list(trials["mine"][1]["values"]) == ["optimizer.lr"]
    assert trials["mine"][1]["values"]["optimizer.lr"] in (1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0)
    search = "search={other: {optimizer.lr: {log: [0.1, 1]}}}"
    last = optbench.benchmark("optimizers=[{other: mine}]", search, folder="b")
    lr = last.report["workloads"][0]["trials"]["other"][1]["values"]["optimizer.lr"]
    assert 0.1 < lr < 1


def test_an_optimizer_that_cannot_is_left_out_and_said() -> None:
    found = call(f"{LINE} 'optimizers=[sgd,muon]' trials=1")
    assert found.code == 0, found.err
    digits, quadratic = report()["workloads"]
    assert [arm["name"] for arm in digits["tuned"]] == ["sgd", "muon"]
    assert [arm["name"] for arm in quadratic["tuned"]] == ["sgd"]
    assert any(line.startswith("muon is left out: ") for line in quadratic["warnings"])


def test_a_changed_run_does_not_count() -> None:
    line = "benchmark workload=digits_mlp 'optimizers=[sgd,adamw]' trials=1 seeds=1 steps=20"
    assert call(f"{line} threads=1 hydra.sweep.dir=b").code == 0
    name = report()["workloads"][0]["tuned"][0]["runs"][0]["run"]
    assert call(f"resume b/runs/{name} steps=30").code == 0
    found = call("resume b")
    assert found.code == 2 and "its config is not the one that it was begun with" in found.err
    shutil.rmtree(f"b/runs/{name}")
    assert call("resume b").code == 0
    plan = Path("b/benchmark.yaml")
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace("seeds: 1", "seeds: 2"), encoding="utf-8")
    assert "not the one that the study was begun with here" in call("resume b").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("suite=quik 'optimizers=[sgd]'", "suite=quik: no such suite; did you mean quick?"),
        ("suite=tiny", "benchmark: which optimizers? optimizers=[sgd,adamw]"),
        (
            "suite=tiny 'optimizers=[sgdd]'",
            "optimizers: sgdd: no such optimizer; did you mean sgd?",
        ),
        ("suite=tiny 'optimizers=[sgd,sgd]'", "optimizers: sgd: twice"),
        ("suite=tiny 'optimizers=[]'", "optimizers=[]: expected some"),
        ("suite=tiny 'optimizers=[3]'", "optimizers: 3: expected a name"),
        ("suite=tiny 'optimizers=[no.such.Class]'", "optimizer._target_=no.such.Class: "),
        ("suite=tiny 'optimizers=[sgd]' trials=0", "trials=0: not valid; expected a whole number"),
        ("suite=tiny 'optimizers=[sgd]' seeds=0", "seeds=0: not valid; expected a whole number"),
        ("suite=tiny optimizer=sgd", "optimizer=sgd: write optimizers=[sgd]"),
        ("suite=tiny 'optimizers=[sgd]' optimizer.lr=1", "optimizer.lr=1: of one optimizer"),
        ("suite=tiny 'optimizers=[sgd]' eval.test=true", "eval.test=true: the test set is scored"),
        ("suite=tiny workload=digits_mlp 'optimizers=[sgd]'", "workload=digits_mlp: beside suite="),
        (
            "suite=tiny 'optimizers=[sgd]' 'search={sgd: adamw}'",
            "search: sgd=adamw: for optimizer=adamw; this is optimizer=sgd",
        ),
        ("suite=tiny 'optimizers=[sgd]' 'search={lion: lr}'", "search: lion: not among"),
        ("suite=tiny 'optimizers=[sgd]' 'search={sgd: lrr}'", "search: sgd=lrr: no such space"),
        (
            "suite=tiny 'optimizers=[sgd]' 'search={sgd: {optimizer.lrr: {log: [1, 2]}}}'",
            "search: sgd: optimizer.lrr: no such key",
        ),
        (
            "workload=digits_mlp dataset.val_fraction=0 'optimizers=[sgd]'",
            "benchmark: digits-mlp: there is no validation set to choose by",
        ),
    ],
)
def test_bad_input_is_a_line_and_leaves_nothing(words: str, said: str, workplace: Path) -> None:
    found = call(f"benchmark {words} --config-dir own steps=20 hydra.sweep.dir=b")
    assert found.code == 2
    assert found.err.startswith(f"optbench: {said}")
    assert found.err.count("\n") == 1
    assert sorted(os.listdir(workplace)) == ["own"]


def test_a_run_has_no_suite_and_a_benchmark_is_no_run() -> None:
    assert "said to optbench benchmark" in call("train suite=quick").err
    Path("b").mkdir()
    Path("b/benchmark.yaml").touch()
    assert "a benchmark's folder; its runs are in b/runs" in call("evaluate b").err
