"""`optbench tune space=nadamw_list`: a list of settings is tried in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.compose.paths import configs_folder
from optbench.files import load_yaml

from .program import SMALL, call

pytest.importorskip("optuna")


def test_the_list_is_tried_in_order_and_the_best_kept() -> None:
    line = f"tune {SMALL} optimizer=nadam steps=4 hydra.sweep.dir=study space=nadamw_list"
    answer = call(f"{line} trials=3")
    assert answer.code == 0, answer.err
    rows = load_yaml(configs_folder() / "space" / "nadamw_list.yaml")["list"]
    for number, row in enumerate(rows[:3]):
        config = load_yaml(Path("study", str(number), "config.yaml"))["optimizer"]
        assert config["lr"] == float(row["optimizer.lr"])
        assert config["betas"] == row["optimizer.betas"]
        assert config["weight_decay"] == row["optimizer.weight_decay"]
        assert config["decoupled_weight_decay"] is True
    assert "the best as a recipe" in answer.out
    assert 10 <= len(rows) <= 20 and call("resume study trials=4").code == 0
    assert load_yaml(Path("study/3/config.yaml"))["optimizer"]["lr"] == 2e-3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tune sampler=tpe", "sampler=tpe: space=nadamw_list is a list, tried in its order"),
        ("tune optimizer=adamw", "space=nadamw_list: for optimizer=nadam"),
        ("pbt", "space=nadamw_list: a list of settings, which optbench tune tries in order"),
    ],
)
def test_where_a_list_does_not_fit_it_is_said_in_a_line(line: str, said: str) -> None:
    verb, *more = line.split()
    chosen = more or ["optimizer=nadam"]
    if "sampler" in line:
        chosen.append("optimizer=nadam")
    answer = call(f"{verb} {SMALL} steps=40 space=nadamw_list {' '.join(chosen)}")
    assert answer.code == 2 and said in answer.err
    assert not Path("runs").exists()


def test_a_benchmark_tries_points_of_its_own() -> None:
    lines = "optimizers=[nadam] 'search={nadam: nadamw_list}' suite=quick"
    answer = call(f"benchmark {lines}")
    assert answer.code == 2 and "a list of settings" in answer.err
