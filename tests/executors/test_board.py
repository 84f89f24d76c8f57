"""What is seen of many runs as they go on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from optbench.executors.board import Board, LiveBoard, Tally, board, duration, newest_record
from optbench.executors.jobs import Job, SweepJobs
from optbench.rundir import RunDir
from optbench.runs.log import Log
from optbench.runs.result import RunResult
from optbench.runs.sweep import ELSEWHERE, Sweep

ELSEWHERES = cast(Any, SimpleNamespace(here=False, slots=2))


def scored(number: int, value: float, mode: str = "max", state: str = "finished") -> RunResult:
    best = {"metric": "val/accuracy", "mode": mode, "value": value, "step": 1}
    return RunResult(RunDir(Path(str(number))), state, 1, best=best)


def test_the_best_is_by_the_mode_and_of_a_run_that_did_not_diverge() -> None:
    for mode, best in (("max", 2), ("min", 1)):
        tally = Tally(9)
        for number, value in enumerate([0.5, 0.25, 0.75, float("nan")]):
            tally.add(number, scored(number, value, mode), 1.0)
        tally.add(5, scored(5, 0.1 if mode == "min" else 0.9, mode, "diverged"), 1.0)
        assert tally.best is not None and tally.best[0] == str(best)
        assert (tally.ended, tally.failed) == (5, 1)


def test_what_is_left_takes_as_long_as_what_is_done() -> None:
    tally = Tally(10)
    assert tally.left(2) == ""
    tally.add(0, scored(0, 1.0), 10.0)
    tally.add(1, scored(1, 1.0), 30.0)
    assert tally.left(2) == "1 min 20 s"
    tally.add(2, RunResult(RunDir(Path("2")), ELSEWHERE, 0), 0.0)
    assert tally.left(1) == "2 min 20 s"
    again = Tally(10, before=7)
    again.add(7, scored(7, 1.0), 10.0)
    assert again.ended == 8 and again.left(1) == "20 s"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (3599.9, "1 h 0 min"), (90000, "25 h 0 min")],
)
def test_a_duration_has_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_newest_numbers_of_a_run_are_at_the_end_of_its_records(tmp_path: Path) -> None:
    folder = RunDir(tmp_path)
    assert newest_record(folder) == {}
    lines = [
        {"kind": "train", "step": 1, "epoch": 0.5, "train/loss": 2.0},
        {"kind": "train", "step": 2, "epoch": 1.0, "train/loss": 1.0, "note": "x" * 300_000},
        {"kind": "val", "step": 2, "val/loss": 3.0},
    ]
    folder.metrics.write_text(
        "".join(json.dumps(line) + "\n" for line in lines[::2]), encoding="utf-8"
    )
    assert newest_record(folder) == {"step": 1, "epoch": 0.5, "train/loss": 2.0}
    folder.metrics.write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "tr', encoding="utf-8"
    )
    assert newest_record(folder) == {}  # beyond what is looked at
    folder.metrics.write_bytes(b"\xff\xfe[1]\n" + b'{"kind": "train", "step": "1", "epoch": [1]}\n')
    assert newest_record(folder) == {}
    folder.metrics.unlink()
    folder.metrics.mkdir()
    assert newest_record(folder) == {}


def planned(folder: Path, count: int) -> SweepJobs:
    grid = [[f"optimizer.lr={n}e-05", "name=" + "long" * 30, f"seed={n}"] for n in range(count)]
    return SweepJobs(Sweep(RunDir(folder), grid, [cast(Any, None)] * count))


def given(jobs: SweepJobs, count: int) -> list[Job]:
    """The first runs."""
    return [job for _ in range(count) if (job := jobs.next()) is not None]


def test_the_live_table_fits_80_columns_and_says_what_there_is(tmp_path: Path) -> None:
    sweep = planned(tmp_path, 200)
    shown = LiveBoard(sweep, ELSEWHERES, Log(tells=False))
    jobs = given(sweep, 4)
    for job in jobs:
        job.folder.path.mkdir()
        shown.begins(job)
    record = {"kind": "train", "step": 20, "epoch": 12.25, "train/loss": 1.25e-7}
    (tmp_path / "3/metrics.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    shown.ends(jobs[0], scored(0, 0.98765))
    shown.ends(jobs[1], RunResult(RunDir(tmp_path / "1"), "failed", 0, "no such layer"))
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(shown._table())
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["run", "for", "epoch", "loss", "what", "varies"]
    assert [line.split()[0] for line in lines[1:3]] == ["2", "3"]
    assert "12.2" in lines[2] and "1.250e-07" in lines[2] and "optimizer.lr=3e-05" in lines[2]
    assert "name=" not in out.getvalue()
    told = " ".join(" ".join(lines[3:]).split())
    assert "2 of 200 done, 1 failed, best val/accuracy 0.9877 (run 0)" in told


def test_off_a_terminal_there_are_lines_only(tmp_path: Path) -> None:
    with board(planned(tmp_path, 2), ELSEWHERES, Log(tells=False)) as shown:
        assert type(shown) is Board


def test_on_a_terminal_the_table_goes_away_at_the_end(tmp_path: Path) -> None:
    log = Log()
    log.__dict__["console"] = Console(
        file=io.StringIO(), force_terminal=True, width=80, highlight=False
    )
    sweep = planned(tmp_path, 2)
    first, second = given(sweep, 2)
    with board(sweep, ELSEWHERES, log) as shown:
        assert type(shown) is LiveBoard
        shown.begins(first)
        shown.draw()
        shown.ends(first, scored(0, 0.5))
        shown.begins(second)
        shown.ends(second, RunResult(RunDir(tmp_path / "1"), "failed", 0, "no such layer"))
    told = cast(io.StringIO, log.console.file).getvalue()
    assert "failed: no such layer" in told
    assert "0.5000" not in told
