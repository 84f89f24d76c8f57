"""Sweeps from Python, and runs and sweeps that are gone on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.program import assert_same_bits, call, final_state

import optbench

SMALL = ["model.hidden=[8]", "threads=1", "device=cpu"]


def test_the_grid_is_the_command_lines(capfd: pytest.CaptureFixture[str]) -> None:
    grid = ["optimizer=sgd,adam", "seed=1,2", "steps=3", *SMALL]
    results = optbench.sweep(*grid, folder="here")
    assert capfd.readouterr() == ("", "")
    assert [result.folder.path for result in results] == [
        Path("here").absolute() / str(number) for number in range(4)
    ]
    answer = call(["train", "-m", *grid, "hydra.sweep.dir=there"])
    assert answer.code == 0, answer.err
    theirs = optbench.find_runs("there")
    for result, other in zip(results, theirs, strict=True):
        assert result.run.overrides == other.overrides
        assert result.metrics["test/loss"] == other.summary["final"]["test/loss"]


def test_one_run_that_fails_stops_no_other() -> None:
    results = optbench.sweep("optimizer=sgd", "optimizer.lr=1e30,0.1", "steps=5", *SMALL)
    assert [result.state for result in results] == ["diverged", "finished"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["optimizer=sgd,adamm"], "did you mean adam"),
        (["hydra/launcher=nothing"], "hydra/launcher"),
    ],
)
def test_a_bad_grid_leaves_nothing(words: list[str], says: str, workplace: Path) -> None:
    with pytest.raises(optbench.UserError, match=says):
        optbench.sweep(*words, *SMALL)
    assert list(workplace.iterdir()) == []


def test_a_resumed_run_has_the_bits_of_one_that_was_never_stopped() -> None:
    whole = optbench.train(*SMALL, "steps=9", "eval.every=3", folder="whole")
    optbench.train(*SMALL, "steps=5", "eval.every=3", folder="cut")
    resumed = optbench.resume("cut", "steps=9")
    assert (resumed.state, resumed.step) == ("finished", 9)
    assert_same_bits(final_state(whole.folder), final_state(resumed.folder))


def test_a_run_that_has_ended_is_left_alone() -> None:
    optbench.train(*SMALL, "steps=3", folder="here")
    before = {path: path.stat().st_mtime_ns for path in Path("here").rglob("*")}
    assert optbench.resume("here").step == 3
    assert {path: path.stat().st_mtime_ns for path in Path("here").rglob("*")} == before


@pytest.mark.parametrize(
    ("path", "words", "says"),
    [
        ("nowhere", [], "no such run folder"),
        ("here", ["seed=3"], "seed=3: can't change when a run is resumed"),
        ("here", ["stepz=3"], "no such key"),
    ],
)
def test_what_can_not_go_on_is_refused(path: str, words: list[str], says: str) -> None:
    optbench.train(*SMALL, "steps=2", folder="here")
    with pytest.raises(optbench.UserError, match=says):
        optbench.resume(path, *words)


def test_a_sweep_goes_on_where_it_was() -> None:
    results = optbench.sweep("seed=0,1", "steps=3", *SMALL, folder="here")
    shutil.rmtree(results[1].folder.path)
    again = optbench.resume_sweep("here")
    assert [result.state for result in again] == ["finished", "finished"]
    assert again[1].metrics["test/loss"] == results[1].metrics["test/loss"]
    with pytest.raises(optbench.UserError):
        optbench.resume_sweep("nowhere")
