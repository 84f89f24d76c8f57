"""Which task a run has, and configs that differ with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.types import RunMode

from optbench.compose.composer import hydra_session
from optbench.compose.sweeps import expand
from optbench.config.run_spec import RunSpec
from optbench.files import load_yaml
from optbench.runs.sweep import specs_of

from .program import call
from .test_bad_input import assert_refused

GAN = "model=dcgan model.width=2 dataset=digits"
PLAYERS = """# @package _global_
defaults:
{choices}  - override /optimizer@player.generator.optimizer: sgd

player:
  generator:
    optimizer:
      lr: 0.05
"""
DCGAN = "  - override /model: dcgan\n  - override /dataset: digits\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A workload and a recipe that choose an optimizer for a player."""
    for name, choices in {"workload": DCGAN, "recipe": ""}.items():
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / "mine.yaml").write_text(
            PLAYERS.format(choices=choices), encoding="utf-8"
        )
    return tmp_path / "own"


def spec_of(own: Path, *overrides: str) -> RunSpec:
    with hydra_session(str(own)) as composer:
        return composer.spec(composer.compose(overrides), overrides)


def grid(*overrides: str) -> list[RunSpec]:
    with hydra_session() as composer:
        cfg = composer.compose(overrides, RunMode.MULTIRUN)
        return specs_of(composer, expand(composer, cfg, composer.parse(overrides)))


@pytest.mark.parametrize("line", ["workload=mine", f"recipe=mine {GAN}"])
def test_an_overlay_may_choose_for_a_player(own: Path, line: str) -> None:
    found = spec_of(own, *line.split())
    assert found.choices["task"] == "adversarial"
    optimizer = found.plain["player"]["generator"]["optimizer"]
    assert (optimizer["_target_"], optimizer["lr"]) == ("torch.optim.SGD", 0.05)
    assert "betas" not in optimizer


def test_what_it_says_holds_for_its_own_choice_only(own: Path) -> None:
    chosen = spec_of(own, "workload=mine", "player.generator.optimizer=rmsprop")
    assert chosen.plain["player"]["generator"]["optimizer"]["lr"] == 1e-3
    typed = spec_of(own, "workload=mine", "player.generator.optimizer.lr=0.5")
    assert typed.plain["player"]["generator"]["optimizer"]["lr"] == 0.5


def test_a_players_choice_where_there_are_no_players(own: Path) -> None:
    line = f"train --config-dir {own} model=mlp recipe=mine"
    assert_refused(line, ["recipe=mine: player.generator.optimizer: ", "no such player"])


@pytest.mark.parametrize(
    ("said", "line", "by"),
    [
        ("generator: {optimizer: {lr: 1}}", "workload=odd model=mlp", "workload=odd: player.gen"),
        ("generator: {optimizer: {lr: 1}}", "workload=odd recipe=vision", "workload=odd: player"),
        ("generator: 5", f"workload=odd {GAN}", "player.generator"),
        ("generator: 5", "workload=odd model=mlp", "workload=odd: player.generator"),
        ("5", f"workload=odd {GAN}", "player"),
        ("5", "workload=odd model=mlp", "player"),
    ],
)
def test_the_file_that_sets_a_player_is_named(own: Path, said: str, line: str, by: str) -> None:
    text = f"# @package _global_\nplayer: {{{said}}}\n".replace("{5}", "5")
    (own / "workload" / "odd.yaml").write_text(text, encoding="utf-8")
    assert_refused(f"train --config-dir {own} {line}", [by])


@pytest.mark.parametrize("key", ["task.carry=true", "dataset.context=16"])
def test_a_sweep_over_models_has_the_keys_of_their_task(key: str) -> None:
    assert [j.choices["task"] for j in grid("model=lstm,gru", key)] == ["language"] * 2


def test_auto_typed_out_is_what_nobody_types(own: Path) -> None:
    assert spec_of(own, "task=auto", "model=lstm").plain == spec_of(own, "model=lstm").plain
    found = grid("task=auto,regression", "dataset=synthetic")
    assert [j.choices["task"] for j in found] == ["classification", "regression"]


@pytest.mark.parametrize("line", ["optimizer=adamw", "optimizer.lr=1e-3", "schedule=constant"])
def test_a_default_typed_for_nobody_is_refused(line: str) -> None:
    assert_refused(f"train {GAN} {line}", [f"{line}: ", f"player.generator.{line}"])


def test_the_config_that_is_shown_is_the_runs(own: Path) -> None:
    line = "workload=fmnist_2c2d optimizer=sgd task=auto"
    whole = call(f"train {line} --cfg job")
    (own / "shown.yaml").write_text(whole.out, encoding="utf-8")
    assert load_yaml(own / "shown.yaml") == spec_of(own, *line.split()).plain
    part = call(f"train {line} --cfg job --resolve -p optimizer").out
    assert part.startswith("# @package optimizer\n") and "\nlr: 0.1\n" in part
    task = call(f"train {line} --cfg hydra -p hydra.overrides.task").out
    assert "auto" not in task and "- task=classification" in task
    assert_refused(f"train {line} --cfg job -p optimiser", ["--package optimiser", "optimizer?"])


@pytest.mark.slow
def test_a_launcher_is_told_the_task_and_writes_what_was_typed() -> None:
    typed = [*GAN.split(), "steps=2", "device=cpu", "threads=1", "player.generator.optimizer=sgd"]
    launcher = "hydra/launcher=joblib hydra.launcher.n_jobs=1 hydra.sweep.dir=mine"
    answer = call(f"train -m {' '.join(typed)} {launcher}")
    assert answer.code == 0, answer.err
    said = load_yaml(Path("mine/0/overrides.yaml"))
    assert said["overrides"] == typed
    assert said["choices"]["task"] == "adversarial"


@pytest.mark.parametrize("quoted", ['model="gpt"', "model= gpt", "model='gpt'"])
def test_a_quoted_choice_leads_to_the_same_task(quoted: str) -> None:
    with hydra_session() as composer:
        found = composer.spec(composer.compose([quoted]), [quoted])
    assert found.choices["task"] == "language"
