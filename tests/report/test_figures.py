"""`optbench compare --figures`: pictures for papers, from runs that were compared."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.program import call
from comparison.folders import Folders

import optbench
from optbench.report import figures
from optbench.report.figures import draw_figures
from optbench.rundir import RunDir

pytest.importorskip("matplotlib")
QUADRATIC = {"choices": {"model": "cnn/../x"}, "settings": {"model._target_": "my.Model"}}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Runs of two workloads, which reach their target."""
    made = Folders(tmp_path / "runs")
    target = {"metric": "val/accuracy", "value": 0.9, "mode": "max", "seconds": 1.0}
    for place, more in (("a", {}), ("b", QUADRATIC)):
        for arm, start in (("sgd", 0.8), ("adam", 0.9)):
            for seed in range(6):
                name, score = f"{place}/{arm}-{seed}", start + 0.001 * seed
                said: dict[str, Any] = {**more, "target": {**target, "step": 10 + seed}}
                path = made.write(name, arm, seed, score, **said)
                lines = "\n".join(
                    f'{{"kind": "val", "step": {step}, "val/accuracy": {score * step / 420}}}'
                    for step in (100, 200, 420)
                )
                RunDir(path).metrics.write_text(lines + "\n", encoding="utf-8")
    return made


def test_each_workload_has_its_pictures(folders: Folders, tmp_path: Path) -> None:
    found = optbench.compare_workloads(folders.top)
    drawn = draw_figures(found, tmp_path / "figures", "svg")
    names = [f"{w}-{what}.svg" for w in ("mlp-on-digits", "cnn-x-on-digits")
             for what in ("scores", "curves", "times")]  # fmt: skip
    assert [path.name for path in drawn] == [*names, "workloads.svg", "profiles.svg"]
    texts = [path.read_text(encoding="utf-8") for path in drawn]
    assert "adam ahead by (points), 95 %" in texts[0]
    assert "val/accuracy, mean and range over seeds" in texts[1]
    assert "part of the runs at val/accuracy 0.9, 95 %" in texts[2]
    assert "90.25" in texts[6] and "80.25" in texts[6]  # means of both arms


def test_curves_are_means_and_ranges_of_the_records(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(figures, "draw_lines", lambda path, lines, **more: given.append(lines))
    draw_figures(optbench.compare_workloads(folders.top / "a"), tmp_path / "f")
    adam, _ = given[0]
    assert adam.name == "adam" and list(adam.xs) == [100, 200, 420]
    assert adam.ys[-1] == pytest.approx(0.9025, abs=1e-4)
    assert (adam.low[-1], adam.high[-1]) == (0.9, 0.905)


def test_shares_begin_at_none_and_end_with_the_runs(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(figures, "draw_shares", lambda path, lines, **more: given.append(lines))
    draw_figures(optbench.compare_workloads(folders.top / "a"), tmp_path / "f")
    line = given[0][0]
    assert line.xs[:2] == [0.0, 10.0] and line.ys[:2] == pytest.approx([0.0, 1 / 6])
    assert line.xs[-1] == 15 and line.ys[-1] == 1.0


def test_the_command_line_writes_them(folders: Folders, tmp_path: Path) -> None:
    line = ["compare", str(folders.top), "--figures", str(tmp_path / "f")]
    answer = call(line)
    assert answer.code == 0 and "profiles.png" in answer.out
    metrics = RunDir(folders.top / "a" / "sgd-0").metrics
    metrics.unlink()
    metrics.mkdir()
    answer = call([*line, "--format", "pdf", "--csv"])
    assert f"warning: no curves: {metrics}: a folder" in answer.err
    assert answer.code == 0 and "profiles" not in answer.out
    assert (tmp_path / "f" / "profiles.pdf").read_bytes().startswith(b"%PDF")
    for bad, said in (("--format gif", "format=gif: expected png, pdf, svg"),):
        answer = call([*line, *bad.split()])
        assert (answer.code, answer.out) == (2, "") and said in answer.err
    answer = call(["compare", str(folders.top), "--format", "pdf"])
    assert (
        answer.code == 2
        and "--format: it is of figures, which --figures FOLDER draws" in answer.err
    )


def test_a_link_in_a_pictures_place_is_replaced(folders: Folders, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("notes", encoding="utf-8")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "profiles.png").symlink_to(mine)
    draw_figures(optbench.compare_workloads(folders.top), tmp_path / "f")
    assert mine.read_text(encoding="utf-8") == "notes"
    assert not (tmp_path / "f" / "profiles.png").is_symlink()
    assert not [path for path in (tmp_path / "f").iterdir() if path.suffix != ".png"]


def test_each_workload_has_files_of_its_own() -> None:
    made: Any = [SimpleNamespace(name=name) for name in ("a-2", "a", "a!", "A", "", "?")]
    names = figures._names(made)
    assert len({name.lower() for name in names}) == 6
