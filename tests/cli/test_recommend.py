"""The verb `recommend`, and the recipes it reads."""

from __future__ import annotations

import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from optbench.compose.composer import hydra_session
from optbench.compose.paths import configs_folder
from optbench.config.as_written import Setting
from optbench.config.recipes import Recipe, choose, read_recipe
from optbench.rundir import RunDir

from .program import call, left_in, table_lines
from .test_bad_input import assert_refused

FILES = sorted(p for p in (configs_folder() / "recipe").glob("*.yaml") if p.stem != "none")
RECIPES = {
    path.stem: read_recipe(path.stem, path.read_text(encoding="utf-8"), path) for path in FILES
}
MODELS = sorted({path.stem for path in (configs_folder() / "model").glob("*.yaml")} - {"custom"})
FUNCTION = "function"

OF_MODELS = {
    **dict.fromkeys(["mlp", "2c2d", "3c3d", "resnet18", "torchvision", "wrn"], "vision"),
    **dict.fromkeys(["gpt", "vit"], "transformer"),
    **dict.fromkeys(["rnn", "lstm", "gru"], "rnn"),
    **dict.fromkeys(["autoencoder", "vae"], "autoencoder"),
    **dict.fromkeys(["dcgan"], "gan"),
    **dict.fromkeys(["logistic", "logistic_regression", "quadratic", "nesterov_worst"], "convex"),
    **dict.fromkeys(["onemax", "knapsack"], "discrete"),
}

IMAGES = "dataset=synthetic dataset.shape=[1,8,8] dataset.train_size=200 dataset.test_size=20"
FITTING = [
    ("vision", f"model=mlp model.hidden=[8] {IMAGES}"),
    ("vision", f"model=2c2d {IMAGES} batch_size=16"),
    ("transformer", f"model=vit model.depth=1 model.width=8 model.heads=2 {IMAGES}"),
    ("transformer", "model=gpt model.layers=1 model.width=8 model.heads=2 dataset=text"),
    ("rnn", "model=lstm model.width=8 dataset=text"),
    ("rnn", "model=rnn model.width=8 dataset=adding dataset.train_size=200 dataset.val_size=9"),
    ("autoencoder", "model=autoencoder model.hidden=[20] model.code=16 dataset=digits"),
    ("autoencoder", "model=vae model.hidden=[8] model.latent=2 dataset=digits"),
    ("gan", "model=dcgan model.width=4 dataset=digits"),
    ("convex", "model=logistic dataset=digits"),
    ("convex", "model=quadratic model.dim=20 dataset.train_size=50"),
    ("discrete", "model=onemax"),
]


@cache
def task_of(model: str) -> str:
    """The task that a model's file names."""
    values = yaml.safe_load(
        (configs_folder() / "model" / f"{model}.yaml").read_text(encoding="utf-8")
    )
    return str(values.get("task", "classification"))


def compose(line: str) -> dict[str, Any]:
    overrides = shlex.split(line)
    with hydra_session() as composer:
        return composer.spec(composer.compose(overrides), overrides).plain


def text_file() -> str:
    """A text to model, as overrides."""
    Path("a.txt").write_text("To be, or not to be, that is the question. " * 60, encoding="utf-8")
    return f"dataset.path={Path('a.txt').absolute()} dataset.context=16"


def test_the_six_kinds_of_the_guideline_are_there_and_discrete_problems() -> None:
    guideline = {"vision", "transformer", "rnn", "gan", "autoencoder", "convex"}
    assert set(RECIPES) == {*guideline, "discrete"}


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_its_recipe(model: str) -> None:
    found = choose(RECIPES.values(), model, task_of(model))
    assert found is not None
    expected = "convex" if task_of(model) == FUNCTION else ""
    assert found.name == OF_MODELS.get(model, expected)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_setting_has_its_reason(recipe: Recipe) -> None:
    assert [s.key for s in recipe.settings if len(s.why) < 10] == []
    assert len(recipe.settings) >= 6
    assert all([recipe.description, recipe.purpose, recipe.why, recipe.tasks or recipe.models])
    keys = {setting.key.partition(".")[0] for setting in recipe.settings}
    assert not keys & {"model", "dataset", "task"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_read_from_the_file_is_what_hydra_reads(path: Path) -> None:
    """Every value of the file is found, and no other."""
    recipe = RECIPES[path.stem]
    plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    del plain["_about_"]
    chosen = plain.pop("defaults", [])
    flat = {k.removeprefix("override /"): v for entry in chosen for k, v in entry.items()}

    def walk(node: Any, at: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{at}{key}.")
            else:
                flat[f"{at}{key}"] = value

    walk(plain, "")
    assert {s.key: yaml.safe_load(s.value) for s in recipe.settings} == flat


def test_a_recipe_of_a_task_that_brings_the_optimizer_names_it() -> None:
    players = compose("model=dcgan recipe=gan")["player"]
    targets = {player["optimizer"]["_target_"] for player in players.values()}
    assert targets == {"torch.optim.Adam"}
    assert RECIPES["gan"].optimizer == "adam"
    assert [r.name for r in RECIPES.values() if not r.optimizer and not r.value("optimizer")] == []


def test_reading() -> None:
    lines = [
        *("# @package _global_", "_about_:", '  description: "A: b"', "  for: 'x: y'"),
        *("  tasks: t", "  models: [m, n]", "  why: because", "defaults:"),
        *("  - override /optimizer: sgd  # r1", "optimizer:", "  lr: 1e-2   # r2: #3", "clip:"),
        *("  norm: 1.0", "batch_size: 8 # r4"),
    ]
    recipe = read_recipe("a", "\n".join(lines), "a.yaml")
    assert (recipe.description, recipe.purpose, recipe.why) == ("A: b", "x: y", "because")
    assert (recipe.tasks, recipe.models) == (("t",), ("m", "n"))
    assert recipe.settings == (
        Setting("optimizer", "sgd", "r1"),
        Setting("optimizer.lr", "1e-2", "r2: #3"),
        Setting("clip.norm", "1.0", ""),
        Setting("batch_size", "8", "r4"),
    )
    other = read_recipe("b", "_about_: {description: B, tasks: [u]}", "b.yaml")
    assert choose([other, recipe], "m", "u") is recipe, "a model's own goes before its task's"
    assert choose([other, recipe], "o", "u") is other
    assert choose([other, recipe], "o", "v") is None


@pytest.mark.parametrize(("recipe", "line"), FITTING)
def test_every_recipe_trains(recipe: str, line: str) -> None:
    line = f"{line} {text_file()}" if "dataset=text" in line else line
    steps = "steps=2 threads=1 device=cpu checkpoint=none"
    answer = call(f"train recipe={recipe} {line} {steps} hydra.run.dir=run")
    assert answer.code == 0, answer.err
    assert RunDir(Path("run")).read_json("status.json")["state"] == "finished"


def test_the_table() -> None:
    answer = call("recommend")
    header, *lines = answer.out.splitlines()
    assert (answer.code, answer.err) == (0, "")
    assert header.split()[0] == "recipe"
    assert all(len(line) <= 80 for line in lines)
    table = "\n".join(lines).split("\n\n")[0]
    names = [line.split()[0] for line in table.splitlines() if not line.startswith(" ")]
    assert names == sorted(RECIPES)
    for recipe in RECIPES.values():
        for setting in recipe.settings:
            value = setting.value.replace(", ", ",")
            assert f"{setting.key}={value}" in " ".join(table.split())
    for recipe in RECIPES.values():
        assert " ".join(recipe.why.split()) in " ".join(table.split())


CHOSEN = [
    ("model=gpt", "transformer", "model=gpt dataset=tiny_shakespeare"),
    ("dataset=adding", "rnn", "model=lstm dataset=adding"),
    ("dataset=mnist model=logistic", "convex", "model=logistic dataset=mnist"),
    ("task=vae", "autoencoder", "model=vae dataset=mnist task=vae"),
    ("model=dcgan seed=3", "gan", "model=dcgan dataset=fashion_mnist seed=3"),
    ("workload=fmnist_2c2d", "vision", "workload=fmnist_2c2d"),
    ("workload=knapsack", "discrete", "workload=knapsack"),
    ("recipe=transformer", "transformer", "model=mlp dataset=digits"),
    ("'model.hidden=[3, 4]'", "vision", "model=mlp dataset=digits 'model.hidden=[3, 4]'"),
]


@pytest.mark.parametrize(("line", "recipe", "command"), CHOSEN)
def test_the_one_for_a_model_and_the_command(line: str, recipe: str, command: str) -> None:
    answer = call(f"recommend {line}")
    assert (answer.code, answer.err) == (0, "")
    first, *_, last = answer.out.splitlines()
    middle = table_lines(answer.out.partition("\n\n")[2])
    assert first.startswith(f"recipe={recipe} for model=")
    assert last == f"optbench train {command} recipe={recipe}"
    for setting in RECIPES[recipe].settings:
        (row,) = [row for row in middle if row.startswith(f"{setting.key} ")]
        assert row.split(None, 1)[1].startswith(setting.value)
        assert row.endswith(setting.why)
    assert left_in(Path.cwd()) == []


def test_ones_own_recipe_for_ones_own_model(tmp_path: Path) -> None:
    for group, text in {
        "model": "# Mine\n_target_: optbench.models.mlp.MLP\n",
        "recipe": "# @package _global_\n_about_: {for: x, models: mine}\nepochs: 3  # short\n",
    }.items():
        (tmp_path / "own" / group).mkdir(parents=True)
        (tmp_path / "own" / group / "mine.yaml").write_text(text, encoding="utf-8")
    own = f"--config-dir {tmp_path / 'own'}"
    assert "recipe=mine" in call(f"recommend {own} model=mine").out
    assert "\nmine " in call(f"recommend {own}").out
    (tmp_path / "own" / "recipe" / "mine.yaml").unlink()
    assert "recipe=vision" in call(f"recommend {own} model=mine").out


OWN_RECIPES = [
    ("_about_: {fro: x}\nepochs: 3\n", "_about_.fro: no such key; did you mean for?"),
    ("epochs: [3\n", "line 3, column 1: "),
]


@pytest.mark.parametrize(("text", "said"), OWN_RECIPES)
def test_a_recipe_that_can_not_be_read_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own" / "recipe" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"# @package _global_\n{text}", encoding="utf-8")
    assert_refused(f"recommend --config-dir {tmp_path / 'own'}", [f"{path}: {said}"])


def test_a_recipe_that_says_nothing_of_itself_has_its_settings_alone(tmp_path: Path) -> None:
    path = tmp_path / "own" / "recipe" / "mine.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\n# Mine\nepochs: 3  # short\n", encoding="utf-8")
    lines = call(f"recommend --config-dir {tmp_path / 'own'}").out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("mine "))
    assert lines[at].split() == ["mine", "epochs=3"] and lines[at + 1] == ""


BAD = [
    ("recommend model=gtp", ["model=gtp", "did you mean gpt?"]),
    ("recommend modle=gpt", ["modle=gpt", "did you mean model?"]),
    ("recommend gpt", ["gpt", "key=value"]),
    ("recommend -m model=gpt", ["--multirun", "not with recommend"]),
    ("recommend model=mlp,gpt", ["model=mlp,gpt", "need optbench train -m, recommend takes one"]),
    ("recommend model=mlp recipe=gan", ["recipe=gan", "task=classification"]),
    ("recommend --config-dir nowhere", ["--config-dir=nowhere", "no such folder"]),
]


@pytest.mark.parametrize(("line", "named"), BAD)
def test_a_wrong_choice_is_refused(line: str, named: list[str]) -> None:
    assert_refused(line, named)


@pytest.mark.parametrize("words", ["'recommend'", "'recommend', 'model=gpt'"])
def test_it_needs_no_torch(words: str) -> None:
    program = (
        "import sys; from optbench.cli.main import main; "
        f"assert main([{words}]) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("model=gpt dataset=digits", "are not sequences of tokens"),
        ("model=rosenbrock dataset=digits", "take dataset=draws"),
    ],
)
def test_what_does_not_fit_together_is_not_recommended(line: str, said: str) -> None:
    assert_refused(f"recommend {line}", [said])


def test_nothing_is_downloaded_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked for"))
    assert call("recommend model=gpt data_root=nowhere").code == 0
    assert left_in(Path.cwd()) == []
