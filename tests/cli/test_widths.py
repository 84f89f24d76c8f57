"""What is printed fits a terminal of 80 columns; commands to paste and paths may stick out."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from optbench.cli.listing import files, groups
from optbench.cli.main import VERBS
from optbench.compose.paths import configs_folder
from optbench.console import add_what_fits
from optbench.files import load_yaml, parse_yaml
from optbench.layout import (
    broken,
    columns,
    cut_short,
    header,
    text_width,
    widths,
    yaml_line,
)

from .program import SMALL, call

COLUMNS = 80
URL = re.compile(r"^ *(\w+:|-) https?://\S+$")
TO_PASTE = re.compile(r"^ *(optbench|tensorboard) ")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))


@pytest.fixture(scope="module")
def made(shared_place: Path) -> Iterator[Path]:
    """A place with a run on digits, one on rosenbrock, and a sweep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(COLUMNS))
        (shared_place / "said.json").write_text(
            json.dumps(
                [
                    fitting(f"train {SMALL} steps=42 hydra.run.dir=digits"),
                    fitting(
                        "train model=rosenbrock threads=1 steps=200 eval.every=20"
                        " hydra.run.dir=function"
                    ),
                    fitting(
                        f"train -m {SMALL} steps=2 optimizer=sgd,adam optimizer.lr=0.1"
                        " optimizer.weight_decay=0,0.01 batch_size=16,32 model.dropout=0.1"
                        " schedule=cosine,constant hydra.sweep.dir=sweep"
                    ),
                ]
            ),
            encoding="utf-8",
        )
    yield shared_place


def too_wide(text: str) -> list[str]:
    return [s for s in text.splitlines() if len(s) > COLUMNS and not TO_PASTE.match(s)]


def fitting(line: str, code: int = 0) -> str:
    """What a command prints, which has to fit."""
    answer = call(line)
    assert answer.code == code, answer.err
    said = answer.out + answer.err
    assert said and too_wide(said) == []
    return said


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")  # a pipe, too
    fitting(f"{verb} --help")


@pytest.mark.parametrize("group", groups())
def test_every_choice(group: str) -> None:
    """A URL that is too wide stays whole; what a file says is the same YAML."""
    for file in files(group):
        answer = call(f"list {group} {file.stem}")
        assert answer.code == 0, answer.err
        assert [line for line in too_wide(answer.out) if not URL.match(line)] == []
        if group != "optimizer":  # a table
            assert parse_yaml(answer.out, file) == load_yaml(file)


@pytest.mark.parametrize("group", ["", *groups()])
def test_lists(group: str) -> None:
    fitting(f"list {group}")


def tasks() -> list[str]:
    found = {path.stem for path in (configs_folder() / "task").glob("[!_]*.yaml")}
    return sorted(found - {"auto", "custom", "regression"})  # without data, or without a recipe


@pytest.mark.parametrize("line", ["", *(f"task={task}" for task in tasks())])
def test_recommendations(line: str) -> None:
    answer = call(f"recommend {line}")
    assert answer.code in (0, 2) and too_wide(answer.out + answer.err) == []


def test_training_and_what_is_said_of_runs(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    for line in (
        *("runs", "runs digits sweep", "runs sweep state=finished", "evaluate digits"),
        *("resume sweep", "resume digits", "export digits -o digits.pt --force"),
        *("draw function", "draw function --fit 10:100"),
    ):
        fitting(line)


def test_what_is_wrong_with_a_command(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    for line in (
        *("evaluate sweep", "train batch_size=1000000", "train optimizer=lionn", "show --nowhere"),
        *("runs optimizer.lrr=1", "resume digits model=2c2d", "train steps=0 epochs=3"),
    ):
        fitting(line, code=2)


def test_schedules_and_rates(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    fitting("show schedule=one_cycle epochs=3")
    answer = call(f"find-lr {SMALL} steps=3 --steps 12 --seeds 1 schedule=cosine ema=0.9 epochs=3")
    assert answer.code in (0, 1, 2) and too_wide(answer.out + answer.err) == []
    answer = call(f"find-lr {SMALL} --steps 12 --seeds 1")
    assert "raise --steps" in " ".join(answer.out.split())
    assert too_wide(answer.out + answer.err) == []


def test_a_terminal_draws_tables_that_fit(made: Path) -> None:
    env = {**os.environ, "TERM": "xterm", "COLUMNS": str(COLUMNS)}
    for words in (["resume", "sweep"], ["runs", "sweep"], ["list", "optimizer"], ["recommend"]):
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "optbench", *words]
        done = subprocess.Popen(command, stdout=follower, stderr=follower, cwd=made, env=env)
        os.close(follower)
        said = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # how the other end is closed
                break
            if not piece:
                break
            said += piece
        os.close(leader)
        assert done.wait() == 0
        text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode("utf-8"))
        assert "│" in text and too_wide(text) == []


def test_a_line_is_broken_between_words_or_cells() -> None:
    assert broken("  one two three", 12) == "  one two\n    three"
    assert broken("step 1  loss 2  best", 14) == "step 1  loss 2\n  best"
    assert broken("step 1  loss 2.5  best", 14) == "step 1\n  loss 2.5\n  best"
    assert broken("a/path/that/is/long", 5) == "a/path/that/is/long"


def test_a_line_of_yaml_goes_on_below() -> None:
    assert yaml_line("key: of several words", 12) == "key: of\n    several\n    words"
    assert yaml_line("- _target_: my.own.Class", 20) == "- _target_:\n    my.own.Class"
    assert yaml_line("lr: 0.1  # how far a step goes downhill", 31).splitlines() == [
        "lr: 0.1  # how far a step goes",
        "         # downhill",
    ]
    assert yaml_line("# words of a long comment", 22) == "# words of a long\n# comment"
    assert yaml_line("url: https://long/#anchor", 10) == "url: https://long/#anchor"


def test_what_room_there_is_goes_to_words_then_to_cells() -> None:
    rows = [["run", "batch_size", "last test/accuracy"], ["0", "16", "0.9444"]]
    assert [line.split() for line in columns(rows, 30)] == [
        ["run", "batch_size", "last"],
        ["test/accuracy"],
        ["0", "16", "0.9444"],
    ]
    assert columns(rows, 27)[1].split() == ["size", "test/accuracy"], "that broke in three"
    rows = [["begun", "dataset.num_classes"], ["11-29 09:01", "10"]]
    assert widths(rows, 30) == [11, 19] and widths(rows, 29) == [10, 19]


def test_a_column_whose_header_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"begun": ["11-29 09:01"], "run": ["a" * 40]}
    more = {"dataset.num_classes": ["10"], "seed": ["0"], "device": ["auto"]}
    monkeypatch.setenv("COLUMNS", "67")
    assert add_what_fits(table, more, 24) == ["dataset.num_classes"]
    header, cells = list(table), [values[0] for values in table.values()]
    assert header == ["begun", "run", "seed", "device"] and len(columns([header, cells], 67)) == 2


def test_a_table_is_narrowed_by_its_header_then_by_sentences() -> None:
    rows = [["run", "optimizer.lr", "why"], ["0", "0.1", "it is said to be good"]]
    assert header("best val/accuracy", 8) == ["best", "val/", "accuracy"]
    assert header("last test/accuracy", 13) == ["last", "test/accuracy"]
    assert widths(rows, 100) == [3, 12, 21]
    assert widths(rows, 25) == [3, 12, 10]
    assert columns(rows, 29)[:2] == ["run  optimizer.lr  why", "0    0.1           it is said"]
    assert max(map(len, columns(rows, 24))) <= 24


def test_what_is_to_be_pasted_stays_in_one_line() -> None:
    hint = """'optimizers=[sgd,{fast: ["optimizer=sgd", "optimizer.lr=0.1"]}]'"""
    told = broken(f"it can't be read, so that it is too wide for a line; write {hint}, or not", 60)
    assert f"  {hint},\n" in told


def test_letters_of_east_asia_take_two_columns() -> None:
    assert [text_width(text) for text in ("loss", "größe", "损失", "ロス1", "e\u0301")] == [
        4,
        5,
        4,
        5,
        1,
    ]
    lines = columns([["name", "notes"], ["损失 函数", "a"], ["x", "b"]], 80)
    assert lines == ["name       notes", "损失 函数  a", "x          b"]
    assert [text_width(line.rpartition(" ")[0]) for line in lines[1:]] == [10, 10]
    words = "损失 函数 很小 了"
    assert broken(words, 10) == "损失 函数\n  很小 了" and broken(words, 17) == words
    assert broken("warning: '很 小' 损失", 12) == "warning:\n  '很 小'\n  损失"
    assert cut_short("损失函数", 8) == "损失函数" and cut_short("损失函数", 7) == "损失..."
