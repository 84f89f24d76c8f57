"""What overlays (workloads, recipes, tasks) say about a model, data set, optimizer or schedule that
somebody replaces, and the choices of players."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode

from optbench.compose.composer import hydra_session
from optbench.compose.sweeps import expand
from optbench.config.run_spec import RunSpec
from optbench.files import load_yaml
from optbench.rundir import RunDir
from optbench.runs.sweep import specs_of

from .program import call
from .test_bad_input import assert_refused

DCGAN = ("model=dcgan", "dataset=digits")
QUICK = "steps=2 threads=1 device=cpu model.width=4 batch_size=8"
RMSPROP_LR = 1e-3
TASKS_LR = 2e-4


@cache
def spec_of(*overrides: str, config_dir: Path | None = None) -> RunSpec:
    with hydra_session(None if config_dir is None else str(config_dir)) as composer:
        return composer.spec(composer.compose(overrides), overrides)


def optimizers(*overrides: str) -> dict[str, dict[str, Any]]:
    """Each player's optimizer."""
    players = spec_of(*DCGAN, *overrides).plain["player"]
    return {name: player["optimizer"] for name, player in players.items()}


def grid(*overrides: str) -> list[RunSpec]:
    """The specs of a sweep."""
    with hydra_session() as composer:
        cfg = composer.compose(overrides, RunMode.MULTIRUN)
        return specs_of(composer, expand(composer, cfg, composer.parse(overrides)))


def test_a_workload_sets_the_optimizer_that_it_chose() -> None:
    plain = spec_of("workload=fmnist_2c2d").plain
    assert plain["optimizer"]["_target_"] == "torch.optim.Adam"
    assert plain["optimizer"]["lr"] == 2.51e-4


def test_another_optimizer_has_its_own_settings() -> None:
    plain = spec_of("workload=fmnist_2c2d", "optimizer=sgd").plain
    assert plain["optimizer"] == spec_of("optimizer=sgd").plain["optimizer"]
    assert plain["batch_size"] == 128, "what is not the optimizer's stays the workload's"


def test_the_command_line_goes_over_an_overlay_whatever_is_chosen() -> None:
    for chosen in ([], ["optimizer=sgd"]):
        plain = spec_of("workload=fmnist_2c2d", *chosen, "optimizer.lr=0.5").plain
        assert plain["optimizer"]["lr"] == 0.5


def test_a_setting_that_the_other_does_not_have_is_gone() -> None:
    plain = spec_of("recipe=transformer", "optimizer=sgd").plain
    assert "betas" not in plain["optimizer"]
    assert plain["optimizer"]["weight_decay"] == 0.0
    assert plain["optimizer"]["decay_norm_and_bias"] is True
    assert plain["clip"]["norm"] == 1.0


def test_another_schedule_has_its_own_settings() -> None:
    plain = spec_of("recipe=transformer", "schedule=linear").plain
    assert plain["schedule"] == spec_of("schedule=linear").plain["schedule"]
    assert plain["optimizer"]["betas"] == [0.9, 0.95]


@pytest.mark.parametrize(
    ("workload", "group", "other"),
    [("adding_rnn", "model", "lstm"), ("cifar100_wrn", "dataset", "cifar10")],
)
def test_another_model_or_data_set_has_its_own_settings(
    workload: str, group: str, other: str
) -> None:
    alone = spec_of(f"{group}={other}", *(["task=regression"] if other == "lstm" else []))
    plain = spec_of(f"workload={workload}", f"{group}={other}").plain
    assert plain[group] == alone.plain[group]
    assert plain["optimizer"] == spec_of(f"workload={workload}").plain["optimizer"]


def test_a_typed_setting_of_another_model_holds() -> None:
    plain = spec_of("workload=adding_rnn", "model=lstm", "model.width=64").plain
    assert (plain["model"]["width"], plain["model"]["recurrent_init"]) == (64, "default")
    assert_refused(
        "train workload=adding_rnn model=lstm model.nonlinearity=relu", ["model.nonlinearity"]
    )


def test_a_recipe_goes_over_a_workload() -> None:
    """The workload's Adam has been replaced, so what it says of it is left out."""
    both = spec_of("workload=fmnist_2c2d", "recipe=vision").plain
    assert both["optimizer"] == spec_of("recipe=vision").plain["optimizer"]
    assert (both["epochs"], both["target"]["value"]) == (100, 0.922)
    same = spec_of("workload=fmnist_mlp", "recipe=transformer").plain
    assert same["optimizer"]["weight_decay"] == 0.1


def test_an_overlay_that_chooses_none_holds_for_any(tmp_path: Path) -> None:
    folder = tmp_path / "own" / "recipe"
    folder.mkdir(parents=True)
    text = "# @package _global_\noptimizer:\n  lr: 0.7\nmodel:\n  width: 6\n"
    (folder / "fast.yaml").write_text(text, encoding="utf-8")
    for optimizer, model in (("adamw", "rnn"), ("sgd", "lstm")):
        chosen = ("recipe=fast", f"optimizer={optimizer}", f"model={model}")
        plain = spec_of(*chosen, config_dir=folder.parent).plain
        assert (plain["optimizer"]["lr"], plain["model"]["width"]) == (0.7, 6)


def test_a_task_sets_its_players_optimizers() -> None:
    for own in optimizers().values():
        assert own["_target_"] == "torch.optim.Adam"
        assert (own["lr"], own["betas"]) == (TASKS_LR, [0.5, 0.999])


def test_another_optimizer_of_a_player_has_its_own_settings() -> None:
    found = optimizers("player.generator.optimizer=rmsprop")
    assert found["generator"]["_target_"] == "torch.optim.RMSprop"
    assert found["generator"]["lr"] == RMSPROP_LR
    assert "betas" not in found["generator"]
    assert found["discriminator"] == optimizers()["discriminator"]


def test_a_players_settings() -> None:
    found = optimizers("player.generator.optimizer.lr=1e-4")
    assert (found["generator"]["lr"], found["discriminator"]["lr"]) == (1e-4, TASKS_LR)
    both = optimizers("player.generator.optimizer=rmsprop", "player.generator.optimizer.lr=3e-4")
    assert both["generator"]["lr"] == 3e-4


def test_a_players_schedule() -> None:
    plain = spec_of(*DCGAN, "player.generator.schedule=step", "player.generator.schedule.gamma=0.3")
    schedule = plain.plain["player"]["generator"]["schedule"]
    assert (schedule["gamma"], schedule["step_size"]) == (0.3, "30%")
    other = plain.plain["player"]["discriminator"]["schedule"]
    assert other["_target_"].endswith("Constant")


def test_a_recipe_for_players() -> None:
    found = optimizers("recipe=gan")
    assert (found["discriminator"]["lr"], found["generator"]["lr"]) == (4e-4, 1e-4)
    typed = optimizers("recipe=gan", "player.generator.optimizer.lr=3e-3")
    assert typed["generator"]["lr"] == 3e-3
    replaced = optimizers("recipe=gan", "player.generator.optimizer=rmsprop")
    assert replaced["generator"]["lr"] == RMSPROP_LR
    assert "betas" not in replaced["generator"]
    assert replaced["discriminator"]["lr"] == 4e-4


def test_a_run_trains_each_player_as_told() -> None:
    line = " ".join(DCGAN) + " player.generator.optimizer=rmsprop recipe=gan monitor.every=1"
    answer = call(f"train {line} {QUICK} hydra.run.dir=run")
    assert answer.code == 0, answer.err
    folder = RunDir(Path("run"))
    rates = [r for r in folder.read_metrics() if "lr/generator" in r][-1]
    assert (rates["lr/generator"], rates["lr/discriminator"]) == (RMSPROP_LR, 4e-4)
    assert load_yaml(folder.config)["player"]["generator"]["optimizer"]["alpha"] == 0.99


def names(specs: Sequence[RunSpec]) -> list[str]:
    return [spec.plain["player"]["generator"]["optimizer"]["_target_"][12:] for spec in specs]


def test_a_sweep_over_a_players_optimizers() -> None:
    specs = grid(*DCGAN, "player.generator.optimizer=adam,sgd")
    assert names(specs) == ["Adam", "SGD"]
    rates = [spec.plain["player"]["generator"]["optimizer"]["lr"] for spec in specs]
    assert rates == [TASKS_LR, 0.1]
    assert specs[0].varied == ("player.generator.optimizer",)


def test_a_sweep_over_workloads_and_optimizers() -> None:
    specs = grid("workload=fmnist_2c2d,digits_mlp", "optimizer=adam,sgd")
    rates = [spec.plain["optimizer"]["lr"] for spec in specs]
    assert rates == [2.51e-4, 0.1, 1e-3, 0.1]


BAD = [
    (
        "model=dcgan optimizer=sgd",
        [
            *("optimizer=sgd: discriminator and generator",),
            "player.discriminator.optimizer=sgd player.generator.optimizer=sgd",
        ],
    ),
    ("model=dcgan optimizer.lr=0.5", ["optimizer.lr=0.5", "player.generator.optimizer.lr=0.5"]),
    ("model=dcgan schedule=cosine", ["schedule=cosine", "player.generator.schedule=cosine"]),
    ("model=dcgan recipe=vision", ["player.generator.optimizer=sgd"]),
    ("model=dcgan player.gen.optimizer=sgd", ["player.gen.optimizer=sgd", "mean generator?"]),
    (
        "model=dcgan player.generator.optimizer=sdg",
        ["player.generator.optimizer=sdg", "did you mean sgd?"],
    ),
    (
        "model=dcgan player.generator.optimizer.lrr=1",
        ["player.generator.optimizer.lrr=1", "did you mean player.generator.optimizer.lr?"],
    ),
    ("model=mlp player.model.optimizer=sgd", ["player.model.optimizer=sgd", "one player"]),
    ("model=mlp recipe=gan", ["recipe=gan", "task=classification has one player", "model=dcgan"]),
    ("++player.generator.optimizer.lr=1", ["player.generator", "task=classification has one"]),
    ("++player.generator=1", ["player.generator", "task=classification has one player"]),
]


@pytest.mark.parametrize(("line", "named"), BAD)
def test_what_is_wrong_is_said_in_one_line(line: str, named: list[str]) -> None:
    assert_refused(f"train {line}", named)


@pytest.mark.parametrize(
    ("typed", "epochs", "steps"), [("steps=3", None, 3), ("epochs=2", 2, None)]
)
def test_the_command_line_says_how_long_a_workload_runs(
    typed: str, epochs: int | None, steps: int | None
) -> None:
    for workload in ("digits_mlp", "shakespeare_gpt"):  # one in epochs, one in steps
        config = spec_of(f"workload={workload}", typed).config
        assert (config.epochs, config.steps) == (epochs, steps)


def test_a_workload_made_of_another_has_chosen_what_that_one_chose(tmp_path: Path) -> None:
    (tmp_path / "workload").mkdir()
    head = "# @package _global_\ndefaults:\n  - adding_rnn\n"
    (tmp_path / "workload" / "longer.yaml").write_text(
        head + "  - _self_\nsteps: 30\n", encoding="utf-8"
    )
    (tmp_path / "workload" / "gated.yaml").write_text(
        head + "  - override /model: lstm\n  - _self_\n", encoding="utf-8"
    )
    plain = spec_of("workload=longer", "model=lstm", config_dir=tmp_path).plain
    assert plain["model"] == spec_of("workload=adding_rnn", "model=lstm").plain["model"]
    assert plain["steps"] == 30
    sgd = spec_of("workload=longer", "optimizer=sgd", config_dir=tmp_path).plain["optimizer"]
    assert sgd == spec_of("workload=adding_rnn", "optimizer=sgd").plain["optimizer"]
    assert "nonlinearity" not in spec_of("workload=gated", config_dir=tmp_path).plain["model"]


def test_a_task_file_is_an_overlay_too(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    text = "# @package _global_\ndefaults:\n  - regression\n  - override /model: rnn\n  - _self_\n"
    (tmp_path / "task" / "mine.yaml").write_text(
        text + "model:\n  nonlinearity: relu\n", encoding="utf-8"
    )
    assert spec_of("task=mine", config_dir=tmp_path).plain["model"]["nonlinearity"] == "relu"
    other = spec_of("task=mine", "model=lstm", config_dir=tmp_path).plain["model"]
    assert "nonlinearity" not in other
