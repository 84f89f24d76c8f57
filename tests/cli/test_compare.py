"""The verb `compare`, of a real sweep."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from optbench.console import WIDTH

from .program import SMALL, call

MORE = "checkpoint=none monitor.tensorboard=false epochs=1"


@pytest.fixture(scope="module")
def swept(shared_place: Path) -> Path:
    """Two optimizers with six seeds each; sgd hardly moves."""
    pytest.importorskip("scipy")
    grid = "optimizer=sgd,adam optimizer.lr=0.01 seed=0,1,2,3,4,5"
    folder = shared_place / "to-compare"
    assert call(f"train -m {SMALL} {MORE} {grid} hydra.sweep.dir={folder}").code == 0
    return folder


def test_a_table_sentences_and_no_warning(swept: Path) -> None:
    answer = call(["compare", str(swept)])
    assert (answer.code, answer.err) == (0, "")
    title, header, best, other = answer.out.splitlines()[:4]
    assert title == "test/accuracy in %, higher is better"
    assert header.split()[:4] == ["arm", "seeds", "mean", "sd"]
    assert best.split()[:2] == ["adam", "6"] and other.split()[0] == "sgd"
    assert "adam is the best of 2 arms" in answer.out
    assert "adam beats sgd by " in answer.out and "6 pairs" in answer.out
    assert max(map(len, answer.out.splitlines())) <= WIDTH


def test_json_csv_and_latex_say_the_same(swept: Path) -> None:
    (said,) = json.loads(call(["compare", str(swept), "--json"]).out)["workloads"]
    (verdict,) = said["verdicts"]
    scores = {
        (arm["name"], run["seed"]): run["score"] for arm in said["arms"] for run in arm["runs"]
    }
    first, second = verdict["first"], verdict["second"]
    differences = [scores[first, seed] - scores[second, seed] for seed in range(6)]
    assert sum(differences) / 6 == pytest.approx(verdict["difference"], abs=1e-12)
    rows = list(csv.DictReader(io.StringIO(call(["compare", str(swept), "--csv"]).out)))
    assert [row["arm"] for row in rows] == ["adam", "sgd"]
    assert float(rows[1]["ahead_by"]) == pytest.approx(abs(verdict["difference"]), abs=1e-15)
    assert r"\bottomrule" in call(["compare", str(swept), "--latex"]).out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--csv --json", "--csv --json: one of them"),
        ("--metrik loss", "--metrik: no such flag; did you mean --metric?"),
        ("--metric", "--metric: it wants a value"),
        ("--metric test/los", "did you mean test/loss?"),
        ("--mode up", "mode=up: expected min or max"),
        ("--baseline adm", "baseline=adm: no such arm; did you mean adam?"),
    ],
)
def test_bad_input_is_one_line(swept: Path, line: str, said: str) -> None:
    answer = call(["compare", str(swept), *line.split()])
    assert answer.code == 2 and said in answer.err and answer.err.count("\n") == 1


def test_no_folder_and_one_run(swept: Path) -> None:
    answer = call("compare nowhere")
    assert answer.code == 2 and "nowhere: no such folder" in answer.err
    answer = call(["compare", str(swept / "0")])
    assert answer.code == 2 and "one run differs in nothing" in answer.err


def test_a_resume_with_another_lr_is_known_by_its_log(workplace: Path) -> None:
    pytest.importorskip("scipy")
    small = f"train {SMALL} monitor.tensorboard=false steps=4"
    for name, line in (
        ("sgd", "optimizer=sgd"),
        ("adam", "optimizer=adam"),
        ("odd", "optimizer=sgd seed=1"),
    ):
        assert call(f"{small} {line} hydra.run.dir=these/{name}").code == 0
    assert call("resume these/odd steps=8 optimizer.lr=0.5").code == 0
    answer = call("compare these")
    assert answer.code == 0
    assert "left out: these/odd: a resume went on with optimizer.lr=0.5 (was 0.1)" in answer.err
