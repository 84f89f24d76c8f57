"""Training on test functions, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.files import load_yaml
from optbench.plots.rates import fit
from optbench.rundir import RunDir

from .program import call, left_in, records

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
SMALL = "threads=1 device=cpu monitor.tensorboard=false checkpoint=none"
FUNCTIONS = sorted(
    path.stem for path in CONFIGS.glob("*.yaml") if load_yaml(path).get("task") == "function"
)


def train(line: str, folder: Path) -> RunDir:
    answer = call(f"train {SMALL} {line} hydra.run.dir={folder}")
    assert answer.code == 0, answer.err
    return RunDir(folder)


OF_BITS = ("knapsack", "onemax")
"""Those without a slope."""


def test_they_are_all_here() -> None:
    assert len(FUNCTIONS) == 16 and {*OF_BITS} < {*FUNCTIONS}


@pytest.mark.parametrize("name", OF_BITS)
def test_what_has_no_slope_is_for_those_that_need_none(name: str, tmp_path: Path) -> None:
    line = f"model={name} model.dim=10 optimizer=ga optimizer.values=[0,1] steps=15"
    gaps = [r["val/loss_gap"] for r in records(train(line, tmp_path / "run"), "val")]
    assert len(gaps) == 15 and 0 <= gaps[-1] < gaps[0]


@pytest.mark.parametrize("name", OF_BITS)
def test_what_goes_by_gradients_is_warned_of_where_there_are_none(name: str) -> None:
    said = "has no slope anywhere, so SGD, which goes by gradients, stays where it begins"
    answer = call(f"train {SMALL} model={name} model.dim=10 optimizer=sgd steps=1")
    assert answer.code == 0 and said in " ".join(answer.err.split())
    line = f"train {SMALL} model={name} model.dim=10 recipe=discrete steps=1"
    assert "slope" not in call(line).err


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in OF_BITS])
def test_a_functions_name_is_all_that_is_needed(name: str, tmp_path: Path) -> None:
    run = train(f"model={name} optimizer=adam optimizer.lr=0.01 steps=15", tmp_path / "run")
    found = records(run, "val")
    assert [record["step"] for record in found] == list(range(1, 16))  # the whole path
    gaps = [record["val/loss_gap"] for record in found]
    assert 0 < gaps[-1] < gaps[0]
    assert found[-1]["val/distance"] > 0
    dim = load_yaml(run.config)["model"]["dim"]
    assert [f"val/x{n}" in found[0] for n in range(3)] == [dim < 3, dim == 2, False]
    assert run.read_json("summary.json")["best"]["metric"] == "val/loss_gap"


def test_a_path_is_recorded_whole_and_told_in_twenty_lines(tmp_path: Path) -> None:
    line = f"train {SMALL} model=rosenbrock steps=100 hydra.run.dir={tmp_path / 'run'}"
    told = [line for line in call(line).err.splitlines() if "val/loss_gap" in line]
    assert len(told) == 20
    assert len(records(RunDir(tmp_path / "run"), "val")) == 100


def test_the_task_alone_is_a_run_too(tmp_path: Path) -> None:
    config = load_yaml(train("task=function steps=1", tmp_path / "run").config)
    assert config["model"]["_target_"].endswith("Quadratic")
    assert config["dataset"]["dim"] == config["model"]["dim"] == 100


def test_gradient_descent_is_exactly_what_it_is_by_hand(tmp_path: Path) -> None:
    line = "model=quadratic model.dim=2 model.condition=4 optimizer=sgd optimizer.lr=1 steps=3"
    x = 1.0
    for record in records(train(line, tmp_path / "run"), "val"):
        x -= 0.25 * x
        assert (record["val/x0"], record["val/x1"]) == (x, 0.0)
        assert record["val/loss_gap"] == record["val/loss"] == 0.125 * x * x
        assert record["val/distance"] == x


def test_noise_is_in_the_gradients_and_not_in_the_scores(tmp_path: Path) -> None:
    line = "model=himmelblau optimizer=sgd optimizer.lr=1e-3 steps=4 batch_size=2 dataset.noise="
    quiet, loud = (records(train(f"{line}{n}", tmp_path / f"{n}"), "val") for n in ("0", "3"))
    assert quiet[-1]["val/x0"] != loud[-1]["val/x0"]
    assert all(record["val/loss"] == record["val/loss_gap"] for record in loud)


def test_every_seed_sees_the_same_draws_in_another_order(tmp_path: Path) -> None:
    line = "model=noisy_quadratic dataset.noise=1 dataset.train_size=4 optimizer=sgd steps=1"
    runs = [
        records(train(f"{line} batch_size={size} seed={seed}", tmp_path / f"{size}{seed}"), "val")
        for size in (4, 1)
        for seed in (0, 1)
    ]
    whole, again, one, other = (found[-1]["val/loss_gap"] for found in runs)
    assert whole == pytest.approx(again, rel=1e-12) and one != other


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("model=beale model.dim=3", "dim=3: beale has only 2 dimensions"),
        ("model=rosenbrock model.dim=1", "dim=1: rosenbrock has at least 2 dimensions"),
        ("model=quadratic model.dim=0", "dim=0: a quadratic has at least 1 dimension"),
        ("model=quadratic_deep model.dim=1", "dim=1: quadratic_deep has at least 2"),
        ("model=logistic_regression model.dim=65", "dim=65: logistic regression of these examples"),
        ("model=quadratic model.spectrum=lin", "did you mean linear?"),
        ("model=beale model.start=[1]", "start=[1]: expected 2 finite numbers"),
        ("model=beale dataset=digits", "take dataset=draws"),
        ("dataset=draws model=mlp", "noise for test functions, but the model is none"),
        ("model=beale dataset.noise=-1", "dataset.noise=-1.0 must not be negative"),
        ("model=beale model.dimm=2", "did you mean model.dim?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(line: str, says: str, workplace: Path) -> None:
    answer = call(f"train {SMALL} {line}")
    assert answer.code == 2 and says in answer.err
    assert answer.err.count("\n") == 1 and left_in(workplace) == []


NESTEROV = "optimizer=nag 'momentum_schedule={schedule: nesterov, from: 0, to: 0.9999999999999999}'"


@pytest.mark.parametrize(
    ("line", "slope"), [("optimizer=sgd", -1.0), (NESTEROV, -2.0)], ids=["descent", "nesterov"]
)
def test_convex_rates(line: str, slope: float, tmp_path: Path) -> None:
    model = "model=quadratic model.dim=200 model.condition=1e5 batch_size=1 monitor.every=0"
    run = train(f"{model} {line} optimizer.lr=1 steps=100", tmp_path / "run")
    gaps = [record["val/loss_gap"] for record in records(run, "val")]
    found = fit(range(1, 101), gaps, 10, 100, power=True)
    assert found is not None and found.slope == pytest.approx(slope, abs=0.1 * abs(slope))


def test_the_steps_to_a_tolerance_are_in_the_summary(tmp_path: Path) -> None:
    model = "model=quadratic model.dim=3 model.condition=1 optimizer=sgd optimizer.lr=0.5"
    target = "target.metric=val/loss_gap target.value=1e-3 target.mode=min"
    run = train(f"{model} {target} steps=9", tmp_path / "run")
    # the gap is 3/2 at the start and a quarter of itself after each step
    assert run.read_json("summary.json")["target"]["step"] == 6
