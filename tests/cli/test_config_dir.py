"""A user's own configs: `--config-dir DIR` with DIR/optimizer/mine.yaml, DIR/recipe/mine.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.files import load_yaml
from optbench.rundir import RunDir

from .program import SMALL, call, left_in, records
from .test_bad_input import assert_refused

PACKAGE = "# @package _global_\n"  # Hydra wants it in the first line

OWN = {
    "optimizer/mine.yaml": "_target_: torch.optim.AdamW\nlr: 0.02\nbetas: [0.8, 0.99]\n",
    "optimizer/extended.yaml": "defaults:\n  - sgd\nlr: 0.05\nmomentum: 0.9\n",
    "recipe/short.yaml": f"{PACKAGE}defaults:\n  - override /optimizer: sgd\nsteps: 3\n"
    "optimizer:\n  lr: 0.25\n",
}
WRONG = {
    "recipe/key.yaml": f"{PACKAGE}epohcs: 3\n",
    "recipe/deep.yaml": f"{PACKAGE}optimizer:\n  lrr: 3\n",
    "recipe/value.yaml": f"{PACKAGE}optimizer:\n  lr: abc\n",
    "recipe/choice.yaml": f"{PACKAGE}defaults:\n  - override /optimizer: adamm\n",
    "recipe/torn.yaml": f"{PACKAGE}epochs\n  lr: [\n",
    "optimizer/argument.yaml": "_target_: torch.optim.SGD\nlr: 0.1\nmomentun: 0.9\n",
    "optimizer/no_class.yaml": "_target_: os.system\nlr: 1\n",
    "optimizer/no_lr.yaml": "_target_: torch.optim.SGD\nmomentum: 0.9\n",
    "optimizer/no_target.yaml": "lr: 0.1\n",
}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of a user's own configs, right ones and wrong ones."""
    folder = tmp_path / "own"
    for name, text in (OWN | WRONG).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def train_own(own: Path, line: str) -> RunDir:
    """A run with a user's own configs, which has to end well."""
    answer = call(f"train --config-dir {own} {SMALL} steps=2 {line} hydra.run.dir=run")
    assert answer.code == 0, answer.err
    return RunDir(Path.cwd() / "run")


def test_an_optimizer_of_ones_own(own: Path) -> None:
    folder = train_own(own, "optimizer=mine")
    optimizer = load_yaml(folder.config)["optimizer"]
    assert (optimizer["lr"], optimizer["betas"]) == (0.02, [0.8, 0.99])
    assert records(folder, "train")[0]["lr/model"] == 0.02
    assert load_yaml(folder.overrides)["choices"]["optimizer"] == "mine"


def test_an_optimizer_that_extends_one_of_ours(own: Path) -> None:
    optimizer = load_yaml(train_own(own, "optimizer=extended").config)["optimizer"]
    assert optimizer["_target_"] == "torch.optim.SGD"
    assert (optimizer["lr"], optimizer["momentum"], optimizer["nesterov"]) == (0.05, 0.9, False)


def test_its_keys_can_be_overridden_and_are_checked(own: Path) -> None:
    folder = train_own(own, "optimizer=extended optimizer.nesterov=true")
    assert load_yaml(folder.config)["optimizer"]["nesterov"] is True
    answer = call(f"train --config-dir {own} optimizer=extended optimizer.momentun=0.5")
    wrong = "optbench: optimizer.momentun=0.5"
    assert answer.err == f"{wrong}: no such key; did you mean optimizer.momentum?\n"


def test_a_recipe_goes_over_the_defaults_and_under_the_command_line(own: Path) -> None:
    config = load_yaml(train_own(own, "recipe=short batch_size=32").config)
    assert config["optimizer"]["_target_"] == "torch.optim.SGD"
    assert (config["optimizer"]["lr"], config["steps"], config["batch_size"]) == (0.25, 2, 32)


def test_a_sweep_over_ones_own_and_ours(own: Path) -> None:
    line = f"train -m --config-dir {own} {SMALL} steps=1 optimizer=mine,sgd hydra.sweep.dir=sweep"
    assert call(line).code == 0
    found = [load_yaml(RunDir(Path("sweep") / run).config)["optimizer"] for run in "01"]
    assert [optimizer["_target_"] for optimizer in found] == [
        "torch.optim.AdamW",
        "torch.optim.SGD",
    ]


def test_an_own_choice_is_suggested_too(own: Path) -> None:
    answer = call(f"train --config-dir {own} optimizer=mime")
    assert answer.err == "optbench: optimizer=mime: no such optimizer; did you mean mine?\n"
    assert left_in(Path.cwd()) == []


TYPOS: list[tuple[str, list[str]]] = [
    ("recipe=key", ["epohcs=3", "did you mean epochs?"]),
    ("recipe=deep", ["optimizer.lrr=3", "did you mean optimizer.lr?"]),
    ("recipe=value", ["optimizer.lr=abc", "a number"]),
    ("optimizer=argument", ["optimizer", "momentun"]),
]
UNUSABLE: list[tuple[str, list[str]]] = [
    ("recipe=choice", ["adamm", "adam"]),
    ("recipe=torn", ["torn.yaml"]),
    ("optimizer=no_lr", ["optimizer", "lr"]),
    ("optimizer=no_class", ["optimizer", "system"]),
    ("optimizer=no_target", ["optimizer", "_target_"]),
]


@pytest.mark.parametrize(("line", "named"), TYPOS)
def test_what_is_wrong_in_a_users_file_is_said_in_one_line(
    own: Path, line: str, named: list[str]
) -> None:
    assert_refused(f"train --config-dir {own} {line}", named)


@pytest.mark.parametrize(("line", "named"), UNUSABLE)
def test_a_users_file_that_can_not_be_used_is_named(own: Path, line: str, named: list[str]) -> None:
    assert_refused(f"train --config-dir {own} {line}", named)


def test_the_list_has_ones_own_too(own: Path) -> None:
    (own / "optimizer" / "sgd.yaml").write_text(
        "# Not ours\n_target_: torch.optim.SGD\nlr: 7.0\n", encoding="utf-8"
    )
    said = f"--config-dir {own}"
    listed = " ".join(call(f"list {said}").out.split())
    assert " argument extended mine no_class no_lr no_target precision" in listed
    optimizers = call(f"list optimizers {said}").out
    assert "\nmine\n" in optimizers and "Not ours" not in optimizers
    assert "lr: 7.0" not in call(f"train {said} optimizer=sgd --cfg job").out
    assert call(f"list --config-dir={own} recipes").out.splitlines()[-1].startswith("value")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("list --config-dir nowhere", ["--config-dir=nowhere", "no such folder"]),
        ("list model --config-dir", ["--config-dir: it wants a value"]),
        ("list --foo", ["--foo: no such flag", "--config-dir"]),
    ],
)
def test_list_refuses_other_flags_and_folders(line: str, named: list[str]) -> None:
    assert_refused(line, named)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("recipe=key", "recipe=key: epohcs=3: no such key; did you mean epochs?"),
        ("recipe=deep", "recipe=deep: optimizer.lrr=3: no such key; did you mean optimizer.lr?"),
        ("recipe=key epohcs=4", "epohcs=4: no such key; did you mean epochs?"),
        ("recipe=choice", "recipe=choice: optimizer=adamm: no such optimizer; did you mean adam"),
        ("optimizer=argument", "optimizer.momentun: no argument of SGD; did you mean momentum?"),
    ],
)
def test_a_fault_in_an_own_file_names_the_file(line: str, said: str, own: Path) -> None:
    answer = call(f"train --config-dir {own} {line} steps=1")
    assert answer.code == 2 and answer.err.startswith(f"optbench: {said}")


def test_an_own_group_that_is_none_of_ours_is_told(own: Path) -> None:
    (own / "optimizer").rename(own / "optimiser")
    answer = call(f"train --config-dir {own} optimiser=mine")
    assert answer.err == "optbench: optimiser=mine: no such group; did you mean optimizer?\n"


def test_a_groups_own_folder_is_no_folder_of_configs(own: Path) -> None:
    answer = call(f"train --config-dir {own / 'optimizer'} steps=1")
    assert answer.code == 2
    assert answer.err.endswith(f"name the folder that it is in, --config-dir {own}\n")
