"""The verb `runs`: past runs side by side."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def test_a_table_has_a_line_a_run_with_what_differs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    answer = call("runs")
    assert (answer.code, answer.err) == (0, "")
    header, *rows = answer.out.partition("\n\n")[0].splitlines()
    first = ["begun", "state", "best", "run", "name", "tags", "optimizer"]
    assert header.split() == [*first, "optimizer.lr", "steps", "notes"]
    assert rows[0].split()[4:] == ["sweeps/day/time/0", "sgd", "0.1", "2"]
    assert rows[4].split()[4:7] == ["day/here", "mine", "a,wide"]
    assert "so, it=began" in rows[4] and " diverged " in rows[5]
    begun = [row.split()[1] for row in rows]
    assert begun == sorted(begun) and len(begun) == 6
    assert answer.out.splitlines()[-1] == "6 runs in runs; best val/accuracy"


def test_of_what_the_best_is_is_named_where_there_is_no_room(
    place: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("COLUMNS", "40")
    for name in ("one", "other"):
        run = workplace / "many" / name
        shutil.copytree(place / "day" / "here", run)
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        summary["best"]["metric"] = f"val/{name}"
        (run / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    said = " ".join(call("runs many").out.split())
    assert "the metric of best" in said and "differ" in said


def test_what_there_is_no_room_for_is_named(place: Path) -> None:
    answer = call("runs")
    lines = answer.out.splitlines()
    assert max(map(len, lines)) <= 80 and lines[0].split()[-2:] == ["optimizer", "steps"]
    assert len(lines) <= 6 + 5
    assert lines[-1] == "optimizer.lr, notes differ, too: --csv has all of it"


def test_many_unlike_runs_are_a_line_each(
    place: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    for number in range(40):
        run = workplace / "many" / str(number)
        shutil.copytree(place / "day" / "here", run)
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        own = {"batch_size": 10**9 + number, "seed": 10**12 + number, "notes": f"of {number}"}
        optimizer = {**config["optimizer"], "lr": 0.123456789 + number, "eps": 1 / (number + 3)}
        text = dump_yaml({**config, **own, "optimizer": optimizer, "name": f"run-{number}" * 5})
        (run / "config.yaml").write_text(text, encoding="utf-8")
    lines = call("runs many").out.splitlines()
    assert len(lines) < 40 + 8 and max(map(len, lines)) <= 80
    assert "more differ, too: --csv has all of it" in " ".join(lines[-2:])


def test_a_run_that_nobody_is_at_is_killed(made: Path, workplace: Path) -> None:
    run = copied(made, workplace)
    status = {**RunDir(run).read_json("status.json"), "state": "running"}
    RunDir(run).write_json("status.json", status)
    assert " killed " in call("runs").out
    assert json.loads(call("runs state=killed --json").out)[0]["state"] == "killed"
    assert call("runs state=running --json").out == "[]\n"
    with (run / "log.txt").open("a", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        assert " running " in call("runs").out
    elsewhere = {**RunDir(run).read_json("env.json"), "host": "another"}
    RunDir(run).write_json("env.json", elsewhere)  # whose locks may not be seen here
    assert " running " in call("runs").out
    assert RunDir(run).read_json("status.json") == status


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
        ("'notes=so, it=began'", ["here"]),
        ("'notes=x,\"so, it=began\"'", ["here"]),
        ("'optimizer=\"sgd\",adamw' state=finished", ["0", "1", "here"]),
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
        ("steps=twenty", "steps=twenty: not valid; expected a whole number, at least 1"),
        ("seed=0,b", "seed=b: not valid; expected a whole number"),
        ("deterministic=0", "deterministic=0: not valid; expected true or false"),
        ("model.hidden=8", "model.hidden=8: not valid; expected a list"),
        ("optimizer.lr=high", "optimizer.lr=high: not valid; expected a number"),
        ("resume=true", "resume=true: not valid; expected a run folder"),
        ("resume", "resume: no such folder\n"),
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


@pytest.mark.parametrize(
    "text", ["{a: [", "choices: [1]\n", "choices: {optimizer: [1], model: 3}\n"]
)
def test_one_whose_choices_are_damaged_is_listed(text: str, made: Path, workplace: Path) -> None:
    shutil.copytree(made / "day", "runs")
    (Path("runs") / "here" / "overrides.yaml").write_text(text, encoding="utf-8")
    answer = call("runs runs")
    assert answer.code == 0, answer.err
    assert "2 runs in runs" in answer.out
