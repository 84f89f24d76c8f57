"""Times to target: who is ahead, who missed, and when nothing is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import optbench
from optbench.comparison.result import Workload

from .folders import Folders

pytest.importorskip("scipy")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "runs")


def write(folders: Folders, arm: str, steps: Sequence[int | None], **more: Any) -> None:
    for seed, step in enumerate(steps):
        said = {"metric": "val/accuracy", "value": 0.9, "mode": "max", "step": step, "seconds": 1.0}
        folders.write(f"{arm}-{seed}", arm, seed, 0.9, **{"target": said, **more})


def only(folders: Folders, **more: Any) -> Workload:
    return optbench.compare_workloads(folders.top, **more).workloads[0]


def test_a_run_that_came_to_no_number_has_missed(folders: Folders) -> None:
    """Though it was good enough on the way."""
    write(folders, "sgd", [10] * 6, final={"test/accuracy": math.nan, "val/accuracy": 0.9})
    write(folders, "adam", [300] * 6)
    times = only(folders, metric="test/accuracy").times
    assert times is not None and (times.missed("sgd"), times.missed("adam")) == (6, 0)
    assert times.sentences[0].startswith("adam reaches val/accuracy 0.9 sooner than sgd")


def test_ranks_say_who_is_ahead_not_medians(folders: Folders) -> None:
    write(folders, "sgd", [100] * 11 + [None] * 10)
    write(folders, "adam", [90] * 10 + [110] * 11)
    times = only(folders).times
    assert times is not None and times.verdicts[0].ahead == "adam"
    assert times.curves["sgd"].median < times.curves["adam"].median
    assert times.sentences[0].startswith(
        "adam reaches val/accuracy 0.9 sooner than sgd: median 110"
    )


def test_who_stopped_early_and_missed_never_arrives(folders: Folders) -> None:
    write(folders, "adam", [150] * 10)
    write(folders, "sgd", [100] * 4)
    for seed in range(4, 10):
        settings = {"early_stopping.patience": 3}
        folders.write(f"s{seed}", "sgd", seed, 0.5, state="stopped_early", step=50,
                      target={"metric": "val/accuracy", "value": 0.9, "mode": "max", "step": None},
                      settings=settings)  # fmt: skip
    for seed in range(4):
        assert (folders.top / f"sgd-{seed}").exists()
    times = next(w.times for w in optbench.compare_workloads(folders.top).workloads)
    assert times is not None
    arm = next(name for name in times.times if "3" in name)
    assert times.missed(arm) == 6 and set(times.until[arm].values()) == {420.0}
    assert math.isinf(times.curves[arm].median)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"step": 840, "examples": 64 * 420}, "runs were planned for other lengths"),
        ({"settings": {"eval.every": 7}}, "not all runs were evaluated as often (eval.every)"),
        ({"target": {"metric": "val/accuracy", "value": 0.8, "mode": "max", "step": 3}},
         "a run's summary has another target than its config"),
        ({"target": {"metric": "val/accuracy", "value": 0.8, "mode": "max", "step": 3},
          "settings": {"target.value": 0.8}}, "not all runs have the same target"),
    ],
)  # fmt: skip
def test_times_that_can_not_be_compared_are_not(
    folders: Folders, more: dict[str, Any], why: str
) -> None:
    write(folders, "sgd", [10] * 6)
    write(folders, "adam", [20] * 6, **more)
    found = only(folders)
    assert found.times is None
    assert f"no times to target: {why}" in found.compared.warnings


@pytest.mark.parametrize(
    "target",
    [
        {"metric": ["a"], "value": 0.9},
        {"metric": "val/loss", "value": 16**400},
        {"metric": "val/loss", "value": True},
        {"metric": "val/loss", "value": 0.9, "mode": {"a": 1}},
        [1],
        "x",
    ],
)
def test_a_target_may_be_anything(folders: Folders, target: Any) -> None:
    for arm in ("sgd", "adam"):
        for seed in range(2):
            folders.write(f"{arm}-{seed}", arm, seed, 0.9, {"target": target})
    times = only(folders, metric="test/accuracy").times
    assert times is None or times.sentences[0].startswith("no run reached val/loss 0.9")


def test_a_baseline_is_that_of_times_too(folders: Folders) -> None:
    for arm, step in (("sgd", 30), ("adam", 20), ("lion", 10)):
        write(folders, arm, [step + seed for seed in range(6)])
    times = only(folders, baseline="sgd").times
    assert times is not None and len(times.verdicts) == 2
    assert [line.split()[0] for line in times.sentences] == ["adam", "lion"]
