"""`optbench evaluate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.program import call, left_in, table_lines, train


@pytest.fixture
def run(shared_place: Path, workplace: Path) -> Path:
    there = shared_place / "run"
    if not there.is_dir():
        train("steps=12 eval.every=3 checkpoint.every=3 ema=0.5", there)
    return Path(shutil.copytree(there, workplace / "mine"))


def test_a_table_of_the_best_and_of_a_step(run: Path) -> None:
    best = json.loads((run / "summary.json").read_text(encoding="utf-8"))["best"]
    rows = dict(line.split(maxsplit=1) for line in table_lines(call("evaluate mine").out))
    assert rows["checkpoint"] == f"step {best['step']} (best)" and rows["weights"] == "EMA 0.5"
    assert rows["val/accuracy"] == f"{best['value']:#.4g}"
    assert "checkpoint     step 9\n" in call("evaluate mine --at=9").out


def test_json_has_all_digits(run: Path) -> None:
    said = json.loads(call("evaluate mine --at last --json").out)
    final = json.loads((run / "summary.json").read_text(encoding="utf-8"))["final"]
    assert said["run"] == "mine" and said["step"] == 12 and said["weights"] == "EMA 0.5"
    assert said["scores"] == {tag: final[tag] for tag in said["scores"]}
    assert set(said["scores"]) == {"val/loss", "val/accuracy", "test/loss", "test/accuracy"}


def test_without_a_best_it_is_the_last(workplace: Path) -> None:
    train("steps=2 dataset.val_fraction=0", workplace / "mine")
    out = call("evaluate mine").out
    assert "step 2 (last)" in out and "val/" not in out and "test/loss" in out


def test_another_split_is_warned_of(run: Path) -> None:
    answer = call("evaluate mine dataset.split_seed=3")
    assert answer.code == 0 and "may have been trained on" in answer.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "which run?"),
        ("--json", "which run?"),
        ("dataset=mnist", "which run?"),
        ("yours", "yours: no such run folder"),
        ("mine --at 5", "no checkpoint of step 5; there are 9, 12"),
        ("mine --at newest", "--at newest: expected best, last or a step\n"),
        ("mine --at bset", "--at bset: expected best, last or a step; did you mean best?"),
        ("mine --at", "--at: it wants a value"),
        ("mine --jsn", "--jsn: no such flag"),
        ("mine epochs=3", "epochs=3: not when a run is evaluated"),
        ("mine datset=mnist", "did you mean dataset?"),
        ("mine ~model", "not deleted"),
        ("mine seed=1,2", "not when a run is evaluated"),
    ],
)
def test_bad_input_is_one_line(run: Path, line: str, said: str) -> None:
    before = left_in(Path.cwd())
    answer = call(f"evaluate {line}")
    assert answer.code == 2 and said in answer.err, answer.err
    assert answer.err.count("\n") == 1 and answer.out == ""
    assert left_in(Path.cwd()) == before


def test_a_config_that_the_run_did_not_have_is_refused(run: Path) -> None:
    config = run / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("\nseed: 0\n", "\nseed: 3\n"), encoding="utf-8")
    answer = call("evaluate mine")
    assert answer.code == 2 and "not the one that the run had" in answer.err


def test_a_run_of_which_only_the_summary_is_left_does_not_begin_anew(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    for name in ("status.json", "metrics.jsonl"):
        (run / name).unlink()
    before = (run / "summary.json").read_bytes()
    answer = call("resume mine")
    assert answer.code == 2 and "no checkpoint is there" in answer.err
    assert (run / "summary.json").read_bytes() == before
