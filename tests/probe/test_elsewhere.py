"""Instruments that want other points: all checkpoints of the run, or one of another run's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cli.program import call, left_in, train

LINE = "interpolation.points=3 examples=50"
FEW = f"{LINE} plane.grid=2"


def state(run: Path, step: int) -> dict[str, torch.Tensor]:
    saved = torch.load(run / f"checkpoints/step-{step:08d}/state.pt", weights_only=True)
    module: dict[str, torch.Tensor] = saved["players"]["model"]["module"]
    return module


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return float(torch.cat([(one[n] - other[n]).double().reshape(-1) for n in one]).norm())


def test_the_path_is_of_all_checkpoints_wherever_the_look_is(run: Path) -> None:
    answer = call(f"probe mine --at 2,4 instruments=[path,plane,interpolation] {FEW} --json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)["instruments"]
    (point,) = said["path"]["points"]
    assert point["step"] == 4 and point["tables"]["steps"] == [2, 4, 6]
    far = distance(state(run, 6), state(run, 2))
    assert point["values"]["path/distance"] == pytest.approx(far)
    assert [p["tables"]["steps"] for p in said["plane"]["points"]] == [[2, 4, 6]]
    lines = said["interpolation"]["points"]  # to the first checkpoint, from each
    assert [p["step"] for p in lines] == [2, 4]
    apart = [p["values"]["interpolation/distance"] for p in lines]
    assert apart == pytest.approx([0, distance(state(run, 4), state(run, 2))])


def test_a_line_goes_to_another_runs_checkpoint(run: Path) -> None:
    train("steps=2 checkpoint.every=1 checkpoint.keep_last=9 eval.every=1 seed=1", Path("other"))
    words = f"probe mine --at last instruments=interpolation interpolation.to=other {LINE} --json"
    answer = call(f"{words} interpolation.at=1")
    assert answer.code == 0, answer.err
    (point,) = json.loads(answer.out)["instruments"]["interpolation"]["points"]
    far = distance(state(run, 6), state(Path("other"), 1))
    assert point["values"]["interpolation/distance"] == pytest.approx(far)
    assert "from step 6 to step 1 of other" in point["notes"][0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("interpolation.to=nowhere", "nowhere: no such run folder"),
        ("interpolation.to=mine interpolation.at=3", "no checkpoint of step 3"),
        ("interpolation.points=1", "interpolation.points=1: expected"),
    ],
)
def test_what_there_is_not_is_said_and_nothing_left(run: Path, words: str, said: str) -> None:
    answer = call(f"probe mine instruments=interpolation {words}")
    assert answer.code == 2
    assert said in answer.err.replace("\n", " "), answer.err
    assert left_in(Path("probes")) == [] if Path("probes").exists() else True
