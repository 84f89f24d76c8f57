"""`dataset.fold=2/5` and `tune folds=5`: k-fold cross-validation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import optbench
from optbench.assemble.data import Split, dataset
from optbench.assemble.experiment import build_experiment
from optbench.data.order import split_fold
from optbench.files import dump_yaml, load_yaml
from optbench.rundir import RunDir
from optbench.training.distributed import join

from .program import SMALL, call, left_in

LINE = f"train {SMALL} steps=3 hydra.run.dir=run"


@pytest.mark.parametrize(("size", "folds"), [(10, 3), (1437, 5), (7, 7), (100, 2)])
def test_folds_are_disjoint_and_complete(size: int, folds: int) -> None:
    parts = [split_fold(size, fold, folds, seed=3) for fold in range(folds)]
    validation = torch.cat([val for _, val in parts])
    assert torch.equal(validation.sort().values, torch.arange(size))
    sizes = [len(val) for _, val in parts]
    assert max(sizes) - min(sizes) <= 1
    for train, val in parts:
        assert torch.equal(torch.cat((train, val)).sort().values, torch.arange(size))
    assert size < 50 or not torch.equal(parts[0][1], split_fold(size, 0, folds, seed=4)[1])


def test_a_run_trains_on_the_rest_and_scores_its_fold() -> None:
    seen = []
    for fold in (1, 2, 3):
        spec = optbench.compose(*SMALL.split(), f"dataset.fold={fold}/3", "seed=7")
        loaded = dataset(spec.config)
        experiment = build_experiment(spec.config, loaded, join("cpu"))
        assert experiment.validation is not None
        split = Split.of(spec.config, loaded)
        assert (split.train, split.validation) == (
            len(experiment.feed.indices),
            len(experiment.validation.indices),
        )
        assert not set(experiment.feed.indices.tolist()) & set(
            experiment.validation.indices.tolist()
        )
        seen += experiment.validation.indices.tolist()
    assert sorted(seen) == list(range(loaded.train_size))


def test_a_run_of_a_fold_goes_on_and_can_be_scored() -> None:
    assert call(f"{LINE} dataset.fold=2/4").code == 0
    assert call("resume run steps=5").code == 0
    last = RunDir(Path("run")).read_summary()["final"]["val/loss"]
    scored = call("evaluate run --at last")
    assert scored.code == 0 and f"{last:#.4g}" in scored.out


def test_a_run_that_is_older_than_folds_goes_on() -> None:
    from optbench.runs.trust import sealed

    assert call(LINE).code == 0
    folder = RunDir(Path("run"))
    plain = load_yaml(folder.config)
    del plain["dataset"]["fold"], plain["eval"]["test"]
    status = folder.read_status()
    folder.write_config(dump_yaml(plain), folder.read_overrides())
    folder.write_status(status["state"], status["step"], config=sealed(dump_yaml(plain), []))
    assert call("resume run steps=5").code == 0


def test_every_trial_has_a_run_for_each_fold() -> None:
    line = f"tune {SMALL} steps=6 optimizer=adamw space=lr trials=2 folds=3 hydra.sweep.dir=study"
    answer = call(line)
    assert answer.code == 0, answer.err
    configs = [load_yaml(Path(f"study/{n}-{k}/config.yaml")) for n in (0, 1) for k in (0, 1, 2)]
    assert [config["dataset"]["fold"] for config in configs] == ["1/3", "2/3", "3/3"] * 2
    assert "over its runs" in " ".join(answer.out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("dataset.fold=5", "dataset.fold=5: not valid; expected such as 2/5"),
        ("dataset.fold=0/5", "dataset.fold=0/5: not valid"),
        ("dataset.fold=6/5", "dataset.fold=6/5: not valid"),
        ("dataset.fold=1/1", "dataset.fold=1/1: not valid"),
        ("dataset.fold=1/1000000", "dataset.fold=1/1000000: there are 1437 examples"),
        ("dataset.fold=1/x", "dataset.fold=1/x: not valid"),
    ],
)
def test_bad_folds_are_a_line(words: str, said: str) -> None:
    answer = call(f"{LINE} {words}")
    assert answer.code == 2 and said in answer.err
    assert left_in(Path()) == []
