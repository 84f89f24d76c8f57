"""What does not go together with an optimizer that compares losses: one line, and no folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from .program import call, left_in

ROWS: list[tuple[str, list[str]]] = [
    ("optimizer=es optimizer.population=1", ["population=1", "at least 2 members"]),
    ("optimizer=cma_es optimizer.population=1", ["population=1", "at least 2 members"]),
    ("optimizer=ga optimizer.population=1", ["population=1", "at least 2 members"]),
    ("optimizer=pso optimizer.population=1", ["population=1", "at least 2 members"]),
    ("optimizer=es optimizer.population=7", ["population=7", "in pairs", "an even number"]),
    (
        "optimizer=cma_es optimizer.covariance=full model.hidden=[4000,2500]",
        ["10,287,510 parameters", "2 PiB", "8 GiB", "covariance=separable"],
    ),
    (
        "optimizer=cma_es model.hidden=[4000,2500]",
        ["10,287,510 parameters", "a population of 52 of 12 GiB"],
    ),
    (
        "model=dcgan dataset=synthetic dataset.shape=[1,28,28] task.mean=[0] task.std=[1] "
        "player.generator.optimizer=es",
        ["player.generator.optimizer: ES", "2 players", "by gradients"],
    ),
    ("optimizer=cma_es optimizer.lr=0.1", ["optimizer.lr=0.1", "CMAES has no learning rate"]),
    ("optimizer=cma_es schedule=cosine", ["schedule", "CMAES has no learning rate"]),
    ("optimizer=ga optimizer.groups=[{params:head.*,sigma:0.3}]", ["groups", "one group"]),
    ("optimizer=pso optimizer.layer_decay=0.9", ["optimizer.layer_decay=0.9"]),
    ("optimizer=ga optimizer.decay_norm_and_bias=false", ["decay_norm_and_bias", "weight_decay"]),
    ("optimizer=es precision=fp16", ["precision=fp16", "ES", "bf16 or fp32"]),
    ("optimizer=es clip.norm=1", ["clip.norm=1.0", "ES", "leave it out"]),
    ("optimizer=es clip.adaptive=0.1", ["clip.adaptive=0.1", "ES"]),
    ("optimizer=es optimizer.centralize_gradients=true", ["centralize_gradients=true", "ES"]),
    ("optimizer=es optimizer.decay=decoupled", ["optimizer.decay=decoupled", "decay=own"]),
    ("optimizer=es optimizer.decay=coupled", ["optimizer.decay=coupled", "decay=own"]),
    ("optimizer=es wrapper=sam", ["wrapper=SAM", "ES", "wrapper=none"]),
    ("optimizer=pso wrapper=lookahead", ["wrapper=Lookahead", "PSO", "wrapper=none"]),
    ("optimizer=es schedule=hypergradient", ["Hypergradient", "ES", "does not watch"]),
    ("optimizer=es schedule=auto_grad_norm", ["schedule.metric=grad_norm/total", "train/loss"]),
    ("optimizer=es optimizer.implementation=foreach", ["implementation=foreach", "only loop"]),
    ("optimizer=es optimizer.way=vmpa", ["way=vmpa", "vmap or loop"]),
    ("optimizer=ga optimizer.values=[1]", ["values=[1]", "at least 2"]),
    ("optimizer=cma_es optimizer.restarts=bipop", ["restarts=bipop", "evaluate=best"]),
]


@pytest.mark.parametrize(("line", "named"), ROWS, ids=[row[0] for row in ROWS])
def test_it_is_said_in_one_line(line: str, named: list[str]) -> None:
    first = [] if "dataset=" in line else ["dataset=digits"]
    answer = call(["train", *first, *line.split(), "threads=1"])
    assert answer.code == 2
    assert len(answer.err.strip().splitlines()) == 1
    assert all(each in answer.err for each in named), answer.err
    assert left_in(Path.cwd()) == []


@pytest.mark.parametrize("optimizer", ["cma_es", "ga", "pso"])
def test_there_is_no_learning_rate_to_find(optimizer: str) -> None:
    answer = call(["find-lr", "dataset=digits", f"optimizer={optimizer}"])
    assert answer.code == 2 and len(answer.err.strip().splitlines()) == 1
    assert "no learning rate" in answer.err or "no lr" in answer.err
