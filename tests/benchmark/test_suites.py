"""Files of the group `suite`, the points that all optimizers get, and what makes two runs one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optbench
from optbench.benchmark.asked import with_overrides
from optbench.benchmark.points import points, values_of
from optbench.benchmark.suite import read_suite
from optbench.compose.paths import config_files, configs_folder
from optbench.config.deciding import DECIDES_NOTHING
from optbench.config.identity import identity
from optbench.errors import UserError
from optbench.files import dump_yaml, load_yaml, parse_yaml
from optbench.search.space import read_space

SUITES = config_files(configs_folder() / "suite")
WORKLOADS = [path.stem for path in config_files(configs_folder() / "workload")]
PAGE = Path(__file__).parents[2] / "docs" / "benchmark.md"


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_a_suites_workloads_can_be_composed(path: Path) -> None:
    suite = read_suite(load_yaml(path), path.stem, WORKLOADS)
    assert suite.source
    assert f"| `{path.stem}` | " in PAGE.read_text(encoding="utf-8")
    for name, lines in suite.workloads.items():
        spec = optbench.compose(*lines)
        assert spec.plain["dataset"]["val_fraction"] != 0, name


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ([], "expected a group of keys"),
        ({"workload": {}}, "workload: no such key; did you mean workloads?"),
        ({"workloads": {}}, "workloads: expected some"),
        ({"workloads": {"digits_mpl": None}}, "digits_mpl: no such workload; did you mean"),
        ({"workloads": {"digits_mlp": 3}}, "digits_mlp=3: expected keys with values"),
        ({"workloads": {"digits_mlp": {"a b": 1}}}, "digits_mlp: a b: can't be a key"),
        ({"workloads": {"digits_mlp": {"seed": 1}}}, "digits_mlp: seed: not of a suite"),
        ({"workloads": {"digits_mlp": {"optimizer.lr": 1}}}, "digits_mlp: optimizer.lr: not of a"),
        ({"overrides": 3, "workloads": {"digits_mlp": None}}, "overrides=3: expected keys"),
        ({"source": 3, "workloads": {"digits_mlp": None}}, "source=3: expected a text"),
    ],
)
def test_what_is_no_suite(plain: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        read_suite(plain, "mine", WORKLOADS)
    assert str(error.value).startswith(f"suite=mine: {said}")


def test_a_commands_overrides_hold_against_a_suites() -> None:
    lines = ["workload=digits_mlp", "epochs=4", "clip.norm=1"]
    assert with_overrides(lines, ["steps=20"]) == ["workload=digits_mlp", "clip.norm=1", "steps=20"]
    assert with_overrides(lines, ["clip.norm=2"]) == [*lines[:2], "clip.norm=2"]


def test_all_optimizers_get_the_same_places_and_more_begin_with_these() -> None:
    assert points(0, 3) == []
    long = np.array(points(64, 4))
    assert points(64, 2) == long[:, :2].tolist()
    assert points(5, 4) == long[:5].tolist()
    for column in long.T:  # 64 points of a net: one in each 64th of every axis
        assert sorted(np.floor(column * 64).astype(int)) == list(range(64))


def test_the_first_trial_is_the_defaults() -> None:
    space = read_space({"search": {"optimizer.lr": {"log": [1e-3, 1.0]}}}, "space")
    first, second, third = values_of(space, 3)
    assert first == {} and 1e-3 <= second["optimizer.lr"] != third["optimizer.lr"] <= 1


def test_runs_are_one_if_nothing_differs_that_decides() -> None:
    small = ("workload=digits_mlp", "steps=5")
    base = optbench.compose(*small).plain
    read = parse_yaml(dump_yaml(base), "config.yaml")
    assert identity(read) == identity(base) and len(identity(base)) == 16
    same = (
        "name=x",
        "tags=[a]",
        "notes=b",
        "monitor.every=1",
        "checkpoint=none",
        "target.source=c",
    )
    assert identity(optbench.compose(*small, *same).plain) == identity(base)
    for other in ("seed=1", "steps=6", "optimizer.lr=0.1", "eval.test=false", "target.value=0.9"):
        assert identity(optbench.compose(*small, other).plain) != identity(base), other
    assert set(DECIDES_NOTHING) <= set(base)
