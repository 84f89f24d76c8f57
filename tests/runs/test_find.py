"""Which runs there are below some folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli.program import train

import optbench
from optbench.runs import find


def made(*paths: str) -> None:
    """Folders that look like runs."""
    for path in paths:
        Path(path).mkdir(parents=True)
        Path(path, "config.yaml").write_text("{}\n", encoding="utf-8")
        Path(path, "status.json").write_text("{}\n", encoding="utf-8")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names(*paths: str) -> list[str]:
    return [str(run.path.relative_to(Path.cwd())) for run in optbench.find_runs(*paths)]


def test_runs_sweeps_and_folders_of_them() -> None:
    made("runs/sweeps/day/time/10", "runs/sweeps/day/time/2", "runs/day/b", "runs/day/a")
    Path("runs/sweeps/day/time/sweep.yaml").write_text("grid: []\n", encoding="utf-8")
    sweep = ["runs/sweeps/day/time/2", "runs/sweeps/day/time/10"]
    assert names() == ["runs/day/a", "runs/day/b", *sweep]
    assert names("runs/sweeps/day/time") == sweep
    assert names("runs/day/a", "runs/day") == ["runs/day/a", "runs/day/b"]


def test_what_is_no_run_is_passed_over() -> None:
    made("runs/a", "runs/.hidden/b", "elsewhere/c", "runs/a/inside")
    Path("runs/configs").mkdir()
    Path("runs/configs/config.yaml").write_text("{}\n", encoding="utf-8")
    os.symlink(Path("elsewhere").absolute(), "runs/link")
    Path("runs/linked").mkdir()
    os.symlink(Path("elsewhere/c/config.yaml").absolute(), "runs/linked/config.yaml")
    Path("runs/linked/status.json").write_text("{}\n", encoding="utf-8")
    Path("runs/file").write_text("", encoding="utf-8")
    assert names() == ["runs/a"]
    assert [run.path.name for run in optbench.find_runs("runs/link")] == ["c"]


def test_there_need_not_be_any() -> None:
    assert names() == []
    Path("runs").mkdir()
    assert names() == []


def test_a_path_that_is_no_folder() -> None:
    Path("file").write_text("", encoding="utf-8")
    for path in ("nowhere", "file", "a\0b", "x" * 300):
        with pytest.raises(optbench.UserError):
            optbench.find_runs(path)


def test_the_search_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made("runs/a/b/c", "runs/d")
    monkeypatch.setattr(find, "DEEPEST", 2)
    assert names() == ["runs/d"]
    monkeypatch.setattr(find, "MOST_FOLDERS", 2)
    with pytest.raises(optbench.UserError, match="more than 2 folders"):
        optbench.find_runs()


def test_opening_what_is_no_run() -> None:
    made("runs/here")
    Path("sweep").mkdir()
    Path("sweep/sweep.yaml").write_text("grid: []\n", encoding="utf-8")
    with pytest.raises(optbench.UserError, match="runs/her: no such run folder; did you mean"):
        optbench.open_run("runs/her")
    with pytest.raises(optbench.UserError, match="a sweep's folder"):
        optbench.open_run("sweep")
    with pytest.raises(optbench.UserError, match="not a run folder"):
        optbench.open_run("runs")


def test_a_result_is_a_run_too(tmp_path: Path) -> None:
    train("steps=1", tmp_path / "here")
    result = optbench.resume("here")
    assert optbench.open_run(result) == optbench.open_run("here") == result.run
