"""What watching costs: counted by part, told in the summary, kept over a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from training.experiments import experiment
from training.runs import newest, train, whole_and_resumed

from optbench.monitor.watching import Watching
from optbench.rundir import RunDir

RUN = ["dataset=digits", "steps=12", "checkpoint.every=4", "monitor.every=2", "eval.every=0"]


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return found


def test_seconds_are_summed_by_part_and_per_cent_are_of_the_unwatched_training() -> None:
    watching = Watching()
    watching.add("norms", 2.0, inside=True)
    watching.add("records", 1.0)
    watching.add("norms", 1.0, inside=True)
    told = watching.told(training_seconds=53.0)
    assert told["monitor/seconds"] == 4.0
    assert told["monitor/percent"] == pytest.approx(100 * 4 / 50)
    assert told["monitor/parts"] == {"norms": 3.0, "records": 1.0}
    again = Watching()
    again.load_state_dict(watching.state_dict())
    assert again.told(53.0) == told
    assert Watching().told(0.0)["monitor/percent"] is None


def test_a_block_is_counted_whatever_it_raises() -> None:
    watching = Watching()
    with pytest.raises(KeyError), watching.of("probe"):
        raise KeyError
    assert watching.parts["probe"] > 0 and watching.inside == 0


@pytest.mark.parametrize(
    "state",
    [
        {"parts": {"a": "b"}, "inside": 0.0, "whole": True},
        {"parts": {}, "inside": "c", "whole": True},
    ],
)
def test_something_else_than_seconds_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="watching"):
        Watching().load_state_dict(state)


def test_a_run_tells_its_parts_and_one_that_nobody_watches_has_none(tmp_path: Path) -> None:
    histograms = "monitor.histograms=6"
    assert train(tmp_path / "watched", *RUN, histograms) == 0
    told = summary(tmp_path / "watched")
    parts = {"activations", "gradient_norms", "histograms", "records", "update_ratios"}
    assert set(told["monitor/parts"]) == parts
    assert 0 < told["monitor/seconds"] < told["wall_seconds"]
    made = experiment(*RUN[:2], "monitor.every=0")
    made.trainer().fit()
    assert set(made.state.watching.parts) <= {"records"}


def test_seconds_go_on_over_a_resume_and_an_older_checkpoint_has_none(tmp_path: Path) -> None:
    whole, resumed = whole_and_resumed(9, *RUN, at=tmp_path)
    state = torch.load(newest(resumed) / "state.pt", weights_only=True)["watching"]
    both = summary(resumed)["monitor/parts"]
    assert state["whole"] and set(both) == set(summary(whole)["monitor/parts"])
    made = experiment(*RUN)
    made.state.watching.load_state_dict(state)
    made.state.watching.add("records", 0.0)
    assert made.state.watching.parts["records"] == state["parts"]["records"] > 0
    made.state.watching.load_state_dict(None)
    assert made.state.watching.told(1.0)["monitor/seconds"] is None
    assert made.state.watching.told(1.0)["monitor/percent"] is None
    assert RunDir(resumed).read_summary()["monitor/seconds"] == pytest.approx(sum(both.values()))
