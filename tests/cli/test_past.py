"""The verb `runs`: past runs side by side."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from optbench.files import dump_yaml
from optbench.rundir import RunDir
from optbench.runs.find import find_runs
from optbench.runs.past import Past, differing

from .program import SMALL, Answer, call, train

MORE = "checkpoint=none monitor.tensorboard=false steps=2"


@pytest.fixture(scope="module")
def made(shared_place: Path) -> Path:
    """Six runs, one a minute after the other."""
    runs = shared_place / "runs"
    grid = f"optimizer=sgd,adam optimizer.lr=0.1,0.01 hydra.sweep.dir={runs}/sweeps/day/time"
    answer = call(f"train -m {SMALL} {MORE} {grid}")
    assert answer.code == 0, answer.err
    train(f"{MORE} tags=[a,wide] notes='\"so, it=began\"' name=mine", runs / "day" / "here")
    call(f"train {SMALL} {MORE} optimizer.lr=1e30 steps=9 hydra.run.dir={runs}/day/off")
    folders = [
        *sorted((runs / "sweeps/day/time").glob("[0-9]")),
        runs / "day/here",
        runs / "day/off",
    ]
    for minute, folder in enumerate(folders):
        status = RunDir(folder).read_json("status.json")
        status["started"] = f"2026-03-01T10:{minute:02}:00+00:00"
        RunDir(folder).write_json("status.json", status)
    return runs


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """To work beside `runs`."""
    monkeypatch.chdir(made.parent)
    monkeypatch.setenv("TZ", "UTC")
    return made


def paths(answer: Answer) -> list[str]:
    assert (answer.code, answer.err) == (0, "")
    return [Path(row["path"]).name for row in json.loads(answer.out)]


def test_a_table_has_every_run_and_what_differs(place: Path) -> None:
    answer = call("runs")
    assert (answer.code, answer.err) == (0, "")
    header, *rows = answer.out.splitlines()
    assert header.split() == ["begun", "state", "best", "run"]
    text = " ".join(answer.out.split())
    assert "sweeps/day/time/0 optimizer=sgd" in text and "optimizer.lr=0.01" in text
    assert "day/here name=mine" in text and "tags=[a,wide] notes=so, it=began" in text
    assert "diverged" in text and text.endswith("6 runs in runs; best val/accuracy")
    assert max(map(len, answer.out.splitlines())) <= 80
    begun = [row.split()[1] for row in rows if row.startswith("03-01")]
    assert begun == sorted(begun) and len(begun) == 6


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["0", "1", "2", "3", "here", "off"]),
        ("state=diverged", ["off"]),
        ("state=finished optimizer=sgd", ["0", "1"]),
        ("optimizer=sgd,adamw state=finished", ["0", "1", "here"]),
        ("optimizer=adam*", ["2", "3", "here", "off"]),
        ("optimizer.lr=1e-1", ["0", "2"]),
        ("optimizer.lr=0.1,0.001", ["0", "2", "here"]),
        ("model.hidden=[8]", ["0", "1", "2", "3", "here", "off"]),
        ("seed=0 steps=9", ["off"]),
        ("steps=9.0", ["off"]),
        ("deterministic=false name=mine", ["here"]),
        ("deterministic=0", []),
        ("tag=a", ["here"]),
        ("tags=wide,other", ["here"]),
        ("tag=w*", ["here"]),
        ("tag=none", []),
        ("'notes=*it=began*'", ["here"]),
        ("'name=*adam'", ["2", "3"]),
        ("runs/day", ["here", "off"]),
        ("runs/day/off runs/sweeps optimizer=adam,adamw", ["2", "3", "off"]),
        ("epochs=null momentum_schedule=null state=finished tag=a", ["here"]),
    ],
)
def test_filters_and_folders(words: str, found: list[str], place: Path) -> None:
    assert paths(call(f"runs {words} --json")) == found


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("state=finishd", "state=finishd: no such state; did you mean finished?"),
        ("optimizer=adamm", "optimizer=adamm: no such optimizer; did you mean adam?"),
        ("optimizer=sgd,adamm", "no such optimizer; did you mean adam?"),
        ("optimzer=adam", "optimzer=adam: no such key; did you mean optimizer?"),
        ("lr=0.1", "lr=0.1: no such key; did you mean optimizer.lr?"),
        ("optimizer.lrr=0.1", "no such key; did you mean optimizer.lr?"),
        ("zzzzqqq=1", "no such key; such as state, tag"),
        ("state=", "state=: which state? a filter is key=value"),
        ("=", "a filter is key=value"),
        ("run", "run: no such folder; did you mean"),
        ("state", "state: no such folder; did you mean state=...?"),
        ("finished", "did you mean state=finished?"),
        ("adamw", "did you mean optimizer=adamw?"),
        ("runs/day/here/config.yaml", "config.yaml: a file, where a folder is meant"),
        ("a\0b", "can't be a run folder"),
        ("--cvs", "--cvs: no such flag; did you mean --csv?"),
        ("--csv --json", "--csv --json: one of them"),
    ],
)
def test_what_makes_no_sense_is_one_line(words: str, says: str, place: Path) -> None:
    answer = call(["runs", *words.split(" ")])
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1 and says in answer.err


def test_csv_has_a_column_for_what_differs(place: Path) -> None:
    answer = call("runs runs/sweeps --csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [row["optimizer"] for row in rows] == ["sgd", "sgd", "adam", "adam"]
    assert [row["optimizer.lr"] for row in rows] == ["0.1", "0.01", "0.1", "0.01"]
    assert rows[0]["best_metric"] == "val/accuracy" and float(rows[0]["best_value"]) <= 1
    assert {row["state"] for row in rows} == {"finished"}
    assert "steps" not in rows[0] and "optimizer.momentum" not in rows[0]


def test_json_tells_all_of_a_run(place: Path) -> None:
    (told,) = json.loads(call("runs runs/day/here --json").out)
    assert told["path"] == str(place / "day" / "here")
    assert (told["name"], told["state"], told["step"]) == ("mine", "finished", 2)
    assert (told["tags"], told["notes"]) == (["a", "wide"], "so, it=began")
    assert told["choices"]["optimizer"] == "adamw" and told["differs"] == {}
    assert told["best"]["metric"] == "val/accuracy"


@pytest.mark.parametrize("flag", ["", "--csv", "--json"])
def test_there_need_not_be_any(flag: str) -> None:
    answer = call(f"runs {flag}")
    assert (answer.code, answer.err) == (0, "")
    said = {"": "no runs below runs\n", "--json": "[]\n"}
    assert answer.out == said.get(flag, answer.out)
    assert call("runs state=finished").out == "no runs below runs\n"
    assert call("runs optimzer=adam").code == 2


def copied(place: Path, folder: Path) -> Path:
    shutil.copytree(place / "day" / "here", folder / "runs" / "one")
    return folder / "runs" / "one"


def test_a_run_that_can_not_be_read_is_told_of(made: Path, workplace: Path) -> None:
    run = copied(made, workplace)
    (run / "config.yaml").write_text("- nothing\n", encoding="utf-8")
    (run / "summary.json").write_text('{"best": 3}', encoding="utf-8")
    answer = call("runs")
    assert answer.code == 0 and "runs" in answer.out and "one" in answer.out
    assert answer.err.startswith("warning: ") and "not a run's config" in answer.err


@pytest.mark.parametrize(
    "values",
    [
        {"name": 3, "tags": 5, "notes": ["x"]},
        {"tags": ["\x1b[31mred"], "notes": "two\nlines\x1b[0m", "name": "\x1b[1m"},
        {"optimizer": "none", "model": [1]},
    ],
)
def test_what_no_run_says_is_shown_and_not_obeyed(
    values: dict[str, Any], made: Path, workplace: Path
) -> None:
    run = copied(made, workplace)
    config = Past.of(find_runs()[0]).config
    (run / "config.yaml").write_text(dump_yaml({**config, **values}), encoding="utf-8")
    RunDir(run).write_json(
        "status.json", {"state": "finished", "step": 1, "started": "\x1b[31mnever"}
    )
    for flag in ("", "--csv", "--json", "tag=a", "'optimizer=*'"):
        answer = call(f"runs {flag}")
        assert answer.code == 0, answer.err
        assert "\x1b" not in answer.out + answer.err


def test_what_differs_leaves_out_what_follows_from_a_choice(place: Path) -> None:
    every = [Past.of(run) for run in find_runs("runs/sweeps")]
    assert differing(every) == ["optimizer", "optimizer.lr"]
    assert differing(every[:2]) == ["optimizer.lr"]
    assert differing(every[:1]) == differing([]) == []


def test_completion_offers_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "optbench runs st")
    assert call("-sc query=bash").out.splitlines()[0] == "state=running"
    monkeypatch.setenv("COMP_LINE", "optbench runs opt")
    assert call("-sc query=bash").out == "optimizer=\n"
