"""A benchmark's runs of one shape are trained at once, and it comes to the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.training.runs import CLOCKED

from .conftest import SUITE, write
from .test_benchmark import call, report, runs

SIZE = "trials=2 seeds=3 steps=20 monitor.every=5"
LINE = f"benchmark suite=tiny --config-dir own {SIZE}"
TWO = "optimizers=[adamw,sgd]"


def lines(run: Any) -> list[dict[str, Any]]:
    """What a run recorded, but for times."""
    return [{k: v for k, v in record.items() if k not in CLOCKED} for record in run.read_metrics()]


def rounded(found: Any) -> Any:
    """Nested plain data to be compared to rounding."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(each) for each in found]
    return pytest.approx(found, rel=1e-4, abs=1e-9) if isinstance(found, float) else found


def decided(folder: str) -> dict[str, Any]:
    """The report, but for what says how the runs were done."""
    found = report(folder)
    found.pop("suite_hash")
    for problem in found["workloads"]:
        problem["overrides"] = [x for x in problem["overrides"] if "population" not in x]
    return found


def populations(folder: str) -> list[int]:
    found = [run.read_json("env.json").get("population", 1) for run in runs(folder).values()]
    return sorted(found)


def test_the_report_is_that_of_one_by_one() -> None:
    answer = call(f"{LINE} {TWO} sweep.population=16 hydra.sweep.dir=b")
    assert answer.code == 0, answer.err
    assert call(f"{LINE} {TWO} sweep.population=off hydra.sweep.dir=off").code == 0
    assert set(runs("b")) == set(runs("off"))
    assert decided("b") == rounded(decided("off"))
    assert set(populations("off")) == {1} and populations("b").count(1) < 6
    for name, run in runs("b").items():
        assert lines(run) == rounded(lines(runs("off")[name]))
    again = call("resume b seeds=4")
    assert again.code == 0, again.err
    assert set(runs("off")) < set(runs("b"))


def test_one_workload_follows_another() -> None:
    """Also where the next one's trials could go on while what is chosen is not known."""
    answer = call(f"{LINE} {TWO} sweep.population=16 hydra.sweep.dir=b")
    begun = [line.split()[1] for line in answer.err.splitlines() if line.startswith("[")]
    assert len(begun) > 12 and begun == sorted(begun) and len(set(begun)) == 2


def test_what_can_not_go_is_told_once_and_done_one_by_one() -> None:
    line = "benchmark workload=digits_mlp model.hidden=[8] threads=1 device=cpu trials=1 seeds=3"
    answer = call(f"{line} steps=5 optimizers=[muon,adamw] sweep.population=3 hydra.sweep.dir=b")
    assert answer.code == 0, answer.err
    assert answer.err.count("one by one: Combined has no update for many models at once") == 1
    assert populations("b") == [1] * 5 + [3] * 3  # muon's four, adamw's trial, its seeds


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (f"{TWO} sweep.population=4 executor=local", "sweep.population=4: this process trains"),
        ("optimizers=[lbfgs] sweep.population=4", "LBFGS asks for more than gradients"),
        (f"{TWO} sweep.population=1", "sweep.population=1: not valid; expected auto, off or a"),
        (f"{TWO} population=4", "population=4: no such key; did you mean sweep.population?"),
    ],
)
def test_a_number_that_can_not_be_is_a_line(more: str, wanted: str) -> None:
    answer = call(f"{LINE} {more} hydra.sweep.dir=b")
    assert answer.code == 2 and wanted in answer.err
    assert answer.err.startswith("optbench: ") and len(answer.err.splitlines()) == 1
    assert not Path("b").exists()


@pytest.mark.slow
def test_two_kills_are_not_seen() -> None:
    """What is cut short goes on from each run's checkpoint, again at once."""
    write(Path("own/suite/tiny.yaml"), SUITE.replace("  quadratic_deep:\n", ""))
    line = f"benchmark suite=tiny --config-dir own {TWO} trials=3 seeds=8 steps=400"
    line += " eval.every=50 checkpoint.every=100 monitor.every=10"
    assert call(f"{line} hydra.sweep.dir=whole").code == 0
    words = [*line.split(), "hydra.sweep.dir=b"]
    for wanted in (200, 400):
        program = subprocess.Popen([sys.executable, "-m", "optbench", *words])
        until = time.monotonic() + 120
        while recorded() < wanted and program.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert program.poll() is None, "it ended before it was killed"
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        words = ["resume", "b"]
    answer = call("resume b")
    assert answer.code == 0, answer.err
    assert decided("b") == rounded(decided("whole"))
    for name, run in runs("b").items():
        kept = [(record["kind"], record["step"]) for record in lines(run)]
        assert len(set(kept)) == len(kept)
        assert lines(run) == rounded(lines(runs("whole")[name]))


def recorded() -> int:
    """How many records there are so far."""
    return sum(path.read_bytes().count(b"\n") for path in Path("b").glob("runs/*/metrics.jsonl"))
