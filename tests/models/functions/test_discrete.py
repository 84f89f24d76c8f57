"""Functions of bits, against all points there are; who solves them, and who does not."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from few import few

import optbench
from optbench.models.functions.discrete import Knapsack, OneMax

BITS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=10)), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_packing_is_the_best_of_all(seed: int) -> None:
    knapsack = Knapsack(dim=10, seed=seed)
    fits = knapsack.capacity >= BITS @ knapsack.weights
    worth = (BITS @ knapsack.profits)[fits].max()
    assert knapsack.best == worth > 0
    values = knapsack.value(BITS)
    assert torch.equal(values[fits], worth - (BITS @ knapsack.profits)[fits])
    assert values.min() == 0 == knapsack.value(knapsack.minima[0])
    assert values[~fits].min() > worth
    assert knapsack.capacity == int(knapsack.weights.sum()) // 2


def test_onemax_counts_zeros() -> None:
    assert torch.equal(OneMax(dim=10).value(BITS), 10 - BITS.sum(dim=1))
    assert float(OneMax(dim=3).value(torch.tensor([0.51, 0.5, 7.0]))) == 1


RUN = ["eval.every=50", "checkpoint=none", "monitor.tensorboard=false", "batch_size=1"]


@pytest.mark.parametrize("seed", few(range(3), 1))
@pytest.mark.parametrize("choice", ["workload=knapsack", "model=onemax"])
def test_the_genetic_algorithm_solves_it(choice: str, seed: int, tmp_path: Path) -> None:
    lines = ["optimizer=ga", "optimizer.values=[0,1]", "steps=250", f"seed={seed}"]
    run = optbench.train(choice, *lines, *RUN, folder=tmp_path / "run")
    assert run.metrics["val/loss_gap"] == 0


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lbfgs"])
def test_what_goes_by_gradients_stays_where_it_is(optimizer: str, tmp_path: Path) -> None:
    lines = ["model=onemax", f"optimizer={optimizer}", "optimizer.lr=0.1", "steps=5"]
    run = optbench.train(*lines, *RUN, folder=tmp_path / "run")
    assert run.state == "finished" and run.metrics["val/loss_gap"] == 100


def test_a_network_of_two_weights_is_trained(tmp_path: Path) -> None:
    lines = ["model=mlp", "model.hidden=[]", "dataset=digits", "optimizer=ga", "steps=60"]
    lines += ["optimizer.values=[-1,1]", "batch_size=256", "checkpoint=final"]
    run = optbench.train(*lines, "monitor.tensorboard=false", folder=tmp_path / "run")
    assert run.metrics["val/accuracy"] > 0.5  # of ten classes
    (weight, _) = optbench.open_run(run.folder.path).model("last", trust=True).parameters()
    assert set(weight.unique().tolist()) == {-1.0, 1.0}
