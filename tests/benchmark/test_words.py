"""What is said of a benchmark's own words, flags and bare words that make no sense."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optbench.benchmark.contenders import contenders
from optbench.compose.composer import hydra_session

from .test_benchmark import SIZE, call

REST = "--config-dir own steps=20 hydra.sweep.dir=b"
BOTH = "suite=tiny 'optimizers=[sgd,adamw]'"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("suite=tiny 'optimizer=[sgd,adamw]'", "optimizer=[sgd,adamw]: write optimizers=[sgd,adam"),
        ("suite=tiny optimizer=sgd,adamw", "optimizer=sgd,adamw: write optimizers=[sgd,adamw]"),
        ("suite=tiny optim=sgd", "optim=sgd: no such key; did you mean optimizers=[sgd]?"),
        (f"{BOTH} schedule=a,b", "schedule=a,b: write schedules=[a,b]"),
        (f"{BOTH} space=lr", "space=lr: of one optimizer: search={NAME: lr}"),
        ("suite=tiny optimizers=sgd,adamw", "optimizers=sgd,adamw: a list is written in brackets"),
        (
            "suite=tiny,quick 'optimizers=[sgd]'",
            "suite=tiny,quick: suite takes one value, not several\n",
        ),
        ("'suite=[tiny,cpu]' 'optimizers=[sgd]'", "suite=[tiny,cpu]: no such suite; choose from"),
        ("suites=tiny 'optimizers=[sgd]'", "suites=tiny: no such key; did you mean suite=tiny?"),
        (f"{BOTH} n_trials=3", "n_trials=3: no such key; did you mean trials=3?"),
        (f"{BOTH} batchsize=3", "batchsize=3: no such key; did you mean batch_size?"),
        ("digits_mlp", "digits_mlp: expected key=value; did you mean workload=digits_mlp?"),
        ("tiny 'optimizers=[sgd]'", "tiny: expected key=value; did you mean suite=tiny?"),
        ("suite = tiny", "suite: expected key=value; without spaces: suite=tiny"),
        ("sgd adamw", "sgd adamw: expected key=value; did you mean optimizers=[sgd,adamw]?"),
        ("own/done", "own/done: the folder of a benchmark; optbench resume own/done goes on"),
        ("resume own/done", "own/done: the folder of a benchmark; optbench resume own/done goes"),
        (f"{BOTH} optimizer.lr=1", "optimizer.lr=1: of one optimizer: 'optimizers=[{NAME: [\"opti"),
        ("suite=tiny 'optimizers=[ademamux]'", "optimizers: ademamux: no such optimizer; did you"),
        (f"{BOTH} trials=null", "trials=null: not valid; expected a whole number from 1"),
        (f"{BOTH} seeds=null", "seeds=null: not valid; expected a whole number from 1 to 1000"),
        (f"{BOTH} trials=1e3", "trials=1e3: not valid"),
        (f"{BOTH} trials=true", "trials=true: not valid"),
        (
            f"{BOTH} 'search={{sgd: {{optimizer.lr: {{log: [1, 0]}}}}}}'",
            "search: sgd: optimizer.lr: log=[1, 0]: 0 and less have no logarithm; low has to be ab",
        ),
        (
            f"{BOTH} eval.examples=99999999999999999999",
            "eval.examples=99999999999999999999: not valid; expected a whole number, at least 1, "
            "and at most 2^53",
        ),
        ("'--optimizers=[sgd]'", "--optimizers: no such flag; did you mean optimizers=[sgd]?"),
        ("--optimizer sgd", "--optimizer: no such flag; did you mean optimizers=[sgd]?"),
        ("--suite tiny", "--suite: no such flag; did you mean suite=tiny?"),
        ("--seed 3", "--seed: no such flag; did you mean seed=3?"),
    ],
)
def test_bad_words_are_a_line_and_leave_nothing(words: str, said: str, workplace: Path) -> None:
    Path("own/done").mkdir()
    Path("own/done/benchmark.yaml").touch()
    found = call(f"benchmark {words} {REST}")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"optbench: {said}") and found.err.count("\n") == 1
    assert sorted(os.listdir(workplace)) == ["own"]


@pytest.mark.parametrize("word", ["trials=null", "seeds=null", "seeds=1e1"])
def test_a_resume_counts_as_carefully(word: str) -> None:
    line = f"benchmark workload=digits_mlp 'optimizers=[sgd]' {SIZE} threads=1"
    begun = call(f"{line} monitor.tensorboard=false hydra.sweep.dir=b")
    assert begun.code == 0
    assert begun.err.startswith("one optimizer: nothing is compared")
    plan = Path("b/benchmark.yaml").read_text(encoding="utf-8")
    found = call(f"resume b {word}")
    assert found.code == 2 and f"{word}: not valid" in found.err
    assert Path("b/benchmark.yaml").read_text(encoding="utf-8") == plan


def test_the_zoos_are_named_as_ours_are() -> None:
    with hydra_session() as composer:
        (own,) = contenders(composer, ["ademamix"], None)
    assert (own.name, own.choice) == ("ademamix", "zoo")
    assert list(own.lines) == ["optimizer=zoo", "optimizer.name=ademamix"]
