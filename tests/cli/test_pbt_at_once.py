"""`optbench pbt sweep.population=K`: members are trained at once, and come to the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.rundir import RunDir

from .program import SMALL, call, left_in, records
from .test_pbt import OF_ADAMW, at, killed_at, parent_of

LINE = f"pbt {SMALL} monitor.every=2 optimizer=adamw members=4 rounds=3 steps=12 {OF_ADAMW}"


def trained_with(run: RunDir) -> int:
    found: int = run.read_json("env.json").get("population", 1)
    return found


def test_members_are_trained_at_once_and_copy_whom_they_would_one_by_one() -> None:
    together = call(f"{LINE} sweep.population=4 hydra.sweep.dir=study")
    assert together.code == 0, together.err
    assert "training 4 runs at once in study: 2-0 to 2-3" in together.err
    assert call(f"{LINE} hydra.sweep.dir=alone").code == 0
    for number in range(3):
        for m in range(4):
            mine, theirs = at(number, m), at(number, m, "alone")
            assert (trained_with(mine), trained_with(theirs)) == (4, 1)
            assert mine.read_status()["message"] == theirs.read_status()["message"]
            if number:
                assert parent_of(mine) == parent_of(theirs)
            losses = [[r["val/loss"] for r in records(run, "val")] for run in (mine, theirs)]
            assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    (command,) = [line for line in together.out.splitlines() if "  optbench train" in line]
    assert "sweep." not in command


def test_kills_change_nothing(shared_place: Path) -> None:
    whole = call(f"{LINE} sweep.population=4 hydra.sweep.dir={shared_place}/at_once")
    assert whole.code == 0, whole.err
    line = f"{LINE} sweep.population=4 hydra.sweep.dir=study"
    for number, (what, count) in enumerate([("write_status", 7), ("_copy", 2), ("_copy", 3)]):
        assert killed_at(what, count, "resume study" if number else line) == 9
    ended = call("resume study")
    assert ended.code == 0, ended.err
    for m in range(4):
        theirs = at(2, m, str(shared_place / "at_once"))
        assert parent_of(at(2, m)) == parent_of(theirs)
        mine, others = ([r["val/loss"] for r in records(run, "val")] for run in (at(2, m), theirs))
        assert mine == pytest.approx(others, rel=1e-5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("executor=local", "sweep.population=4: this process trains runs at once"),
        ("precision=bf16", "sweep.population=4: these runs can't be trained at once (precision="),
    ],
)
def test_a_number_that_can_not_be_is_a_line(more: str, said: str) -> None:
    found = call(f"{LINE} sweep.population=4 {more}")
    assert found.code == 2 and found.err.startswith(f"optbench: {said}")
    assert found.err.count("\n") == 1 and left_in(Path()) == []
