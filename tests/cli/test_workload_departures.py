"""A run whose model, data or task is not its workload's is not called it, nor judged as it."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.rundir import RunDir

from .program import call
from .test_overlays import grid, spec_of

JUDGED = {"metric": "test/accuracy", "value": 0.922}
QUICK = "steps=2 threads=1 device=cpu"


def target(*overrides: str) -> dict[str, object]:
    found = spec_of(*overrides).plain["target"]
    return {key: found[key] for key in ("metric", "value")}


@pytest.mark.parametrize(
    "own",
    [
        "optimizer=sgd",
        "optimizer.lr=0.1 schedule=cosine",
        "epochs=1",
        "steps=10",
        "batch_size=64 seed=3 clip.norm=1",
        "precision=bf16 ema=0.9 recipe=vision",
        "dataset.root=/elsewhere dataset.download=false",
        "dataset.split_seed=5",
        "model=2c2d dataset=fashion_mnist task=classification",
        "model.init=trunc_normal",
        "data_root=/elsewhere model.init=trunc_normal",
    ],
)
def test_what_one_compares_in_a_workload_leaves_it(own: str) -> None:
    found = spec_of("workload=fmnist_2c2d", *own.split())
    assert found.warnings == () and found.choices["workload"] == "fmnist_2c2d"
    assert found.plain["name"].startswith("fmnist_2c2d-")
    assert target("workload=fmnist_2c2d", *own.split()) == JUDGED
    assert "DeepOBS" in found.plain["target"]["source"]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("model=mlp", "model=mlp"),
        ("model=mlp dataset=digits", "model=mlp dataset=digits"),
        ("dataset=mnist optimizer=sgd", "dataset=mnist"),
        ("task=regression", "task=regression"),
        ("model.init=kaiming", "model.init=kaiming"),
        ("dataset.val_fraction=0.1", "dataset.val_fraction=0.1"),
        ("dataset.crop=2 dataset.flip=true", "dataset.crop=2 dataset.flip=true"),
        ("model=gpt dataset=tiny_shakespeare", "model=gpt dataset=tiny_shakespeare"),
    ],
)
def test_another_problem_is_not_called_the_workload(own: str, said: str) -> None:
    found = spec_of("workload=fmnist_2c2d", *own.split())
    dropped = "no longer workload fmnist_2c2d, so its target is not judged"
    assert found.warnings == (f"{said}: {dropped}",)
    assert found.choices["workload"] == "none"
    choices = found.choices
    assert found.plain["name"] == "-".join(choices[g] for g in ("dataset", "model", "optimizer"))
    assert f"/{found.folder}".endswith(f"-{found.plain['name']}")
    assert found.plain["target"] == spec_of().plain["target"]


def test_many_departures_are_one_line() -> None:
    settings = ["dataset.crop=2", "dataset.flip=true", "model.init=zeros", "model.init_std=1.0"]
    (line,) = spec_of("workload=fmnist_2c2d", *settings).warnings
    assert line.startswith("model.init=zeros model.init_std=1.0 dataset.crop=2 and 1 more: ")


def test_a_name_of_ones_own_stays() -> None:
    assert spec_of("workload=fmnist_2c2d", "model=mlp", "name=mine").plain["name"] == "mine"


def test_a_target_of_ones_own_is_judged_but_has_no_source_of_others() -> None:
    found = spec_of("workload=fmnist_2c2d", "model=mlp", "target.value=0.5")
    assert found.plain["target"] == {
        **JUDGED,
        "value": 0.5,
        "mode": "auto",
        "source": None,
    }
    assert found.warnings == ("model=mlp: no longer workload fmnist_2c2d",)
    own = spec_of("workload=fmnist_2c2d", "model=mlp", "target.value=0.5", "target.source=me")
    assert own.plain["target"]["source"] == "me"


OWN = {
    "workload/open.yaml": """
        # @package _global_
        defaults:
          - override /dataset: digits
        name: open
        dataset:
          flip: true
        target:
          metric: val/accuracy
          value: 0.5
        """,
    "workload/named.yaml": """
        # @package _global_
        defaults:
          - override /dataset: digits
          - override /model: mlp
        name: the_one
        """,
    "recipe/changes.yaml": """
        # @package _global_
        model:
          dropout: 0.5
        """,
    "recipe/asks.yaml": """
        # @package _global_
        name: asked
        model:
          dropout: 0.5
        target:
          metric: val/accuracy
          value: 0.7
        """,
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    for name, text in OWN.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        lines = [line[8:] for line in text.splitlines()[1:]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_what_a_workload_leaves_open_is_any_runs(own: Path) -> None:
    found = spec_of("workload=open", "model=logistic", "model.init=zeros", config_dir=own)
    assert (found.warnings, found.plain["name"]) == ((), "open")
    assert found.plain["target"]["value"] == 0.5
    other = spec_of("workload=open", "dataset.flip=false", config_dir=own)
    assert other.warnings and other.plain["target"]["value"] is None
    assert other.plain["name"] == "digits-mlp-adamw"


def test_a_workload_without_a_target_has_none_to_lose(own: Path) -> None:
    found = spec_of("workload=named", "model.dropout=0.5", config_dir=own)
    assert found.warnings == ("model.dropout=0.5: no longer workload named",)
    assert found.plain["name"] == "digits-mlp-adamw"


def test_a_recipe_may_make_it_another(own: Path) -> None:
    (line,) = spec_of("workload=digits_mlp", "recipe=changes", config_dir=own).warnings
    assert line.startswith("model.dropout=0.5: no longer workload digits_mlp, so its target")
    found = spec_of("workload=digits_mlp", "recipe=asks", config_dir=own)
    assert (found.plain["name"], found.plain["target"]["value"]) == ("asked", 0.7)
    assert found.plain["target"]["source"] is None


def test_in_a_sweep_each_run_is_looked_at() -> None:
    specs = grid("workload=fmnist_2c2d,digits_mlp", "model=2c2d,mlp")
    names = [(each.choices["workload"], each.plain["target"]["value"]) for each in specs]
    assert names == [
        *[("fmnist_2c2d", 0.922), ("none", None)],
        *[("none", None), ("digits_mlp", 0.96)],
    ]


def test_the_run_says_so_once(tmp_path: Path) -> None:
    line = "model.hidden=[8]: no longer workload digits_mlp, so its target is not judged"
    run = RunDir(tmp_path / "run")
    ended = call(f"train workload=digits_mlp model.hidden=[8] {QUICK} hydra.run.dir={run.path}")
    assert ended.code == 0
    assert ended.err.count(f"warning: {line}\n") == 1 and "target" not in ended.out
    assert run.log.read_text(encoding="utf-8").count(line) == 1
    assert run.read_overrides()["choices"]["workload"] == "none"
    assert run.read_json("summary.json")["target"] == {}
    again = call(f"resume {run.path} steps=4")
    assert again.code == 0 and "no longer" not in again.err
