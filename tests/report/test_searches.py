"""What a page says of learning rates, optimizers and schedules, and what these are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from comparison.folders import Folders

from optbench.comparison.benchmarks import Benchmarks, Label
from optbench.comparison.record import Record
from optbench.report.gather import gather
from optbench.report.names import Names, told_apart
from optbench.report.searches import heat
from optbench.runs.read import Run

pytest.importorskip("scipy")


def rated(folders: Folders, optimizer: str, **more: Any) -> None:
    """Write runs of three rates."""
    for place, lr in enumerate((0.01, 0.1, 1.0)):
        settings = {"optimizer.lr": lr, **more.get("settings", {})}
        how = {**more, "settings": settings}
        target = str(settings.get("optimizer._target_", ""))
        name = f"{optimizer}-{target}-{place}"
        folders.write(name, optimizer, 0, 0.9 - place / 100, **how)


def workload_of(top: Path) -> dict[str, Any]:
    (workload,) = gather(top)["page"]["workloads"]
    return workload


def test_a_rate_that_a_resume_changed_is_no_point(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    rated(folders, "sgd")
    log = "12:00:00 changed: optimizer.lr=10.0 (was 0.1)\n"
    folders.write("resumed", "sgd", 0, 0.99, settings={"optimizer.lr": 10.0}, log=log)
    log = "12:00:00 changed: epochs=30 (was 20)\n"
    folders.write("longer", "sgd", 0, 0.5, settings={"optimizer.lr": 0.001}, log=log)
    (line,) = workload_of(tmp_path)["lr"]
    assert [point[0] for point in line["points"]] == [0.001, 0.01, 0.1, 1]


def test_users_own_optimizers_are_told_by_their_classes(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    for name in ("my.One", "my.Two", "other.Two"):
        rated(folders, "custom", settings={"optimizer._target_": name})
    page = gather(tmp_path)["page"]
    kinds = [line["kind"] for line in page["workloads"][0]["lr"]]
    assert sorted(kinds) == ["One", "my.Two", "other.Two"]
    assert {row["optimizer"] for row in page["runs"]} == set(kinds)
    assert {arm["optimizer"] for arm in page["workloads"][0]["arms"]} == set(kinds)


def test_a_rate_that_is_no_float_is_none(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    rated(folders, "sgd")
    huge = folders.write("huge", "sgd", 1, 0.9)
    text = (huge / "config.yaml").read_text(encoding="utf-8")
    assert "lr: 0.1\n" in text
    (huge / "config.yaml").write_text(text.replace("lr: 0.1\n", f"lr: 0x{'f' * 400}\n"), "utf-8")
    rows = {row["id"]: row["lr"] for row in gather(tmp_path)["page"]["runs"]}
    assert rows["huge"] is None and rows["sgd--0"] == 0.01


def test_an_arm_with_a_schedule_is_its_optimizers(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    path = folders.write("a", "sgd", 0, 0.9, choices={"schedule": "cosine"})
    record = Record.of(Run(path))
    labels = [Label(tmp_path, "x", arm, "tuned", {}) for arm in ("fast+cosine", "slow")]
    names = Names.of([record], Benchmarks({path: labels}), [])
    assert names.optimizer(record) == "fast" and names.optimizer(record, "slow") == "slow"
    assert names.kinds(record, several_schedules=True) == ["fast+cosine", "slow"]
    free = Names.of([record], Benchmarks(), [])
    assert free.kinds(record, several_schedules=True) == ["sgd cosine"]


def test_the_best_of_each_pair() -> None:
    arms = [
        {"optimizer": o, "schedule": s, "mean": mean, "name": f"{o}+{s}"}
        for o, s, mean in (("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 3.0), ("b", "x", 4.0))
    ]
    found = heat(arms, "min")
    assert found is not None and found["cells"] == [
        [[1.0, "a+x"], [3.0, "b+x"]],
        [[2.0, "a+y"], None],
    ]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/a/x/study", "/a/y/study"], ["x/study", "y/study"]),
        (["/a/x", "/a/y"], ["x", "y"]),
        (["/s", "/a/s"], ["/s", "a/s"]),
        (["/a/s"], ["s"]),
    ],
)
def test_folders_are_told_apart_by_their_ends(paths: list[str], expected: list[str]) -> None:
    assert list(told_apart(list(map(Path, paths))).values()) == expected
