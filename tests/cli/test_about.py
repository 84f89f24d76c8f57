"""`_about_` in the configs: what a file says of itself, which is no part of any config."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from optbench.compose.composer import hydra_session
from optbench.compose.paths import configs_folder

from .program import SMALL, call, left_in
from .test_bad_input import assert_refused
from .test_help_and_list import complete

MINE = "_target_: torch.optim.SGD\nlr: 0.1\n"


def write(folder: Path, text: str, group: str = "optimizer") -> str:
    """A choice of a user's own; the flag that finds it."""
    path = folder / "own" / group / "mine.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"--config-dir {folder / 'own'}"


@pytest.mark.parametrize("line", ["", "optimizer=lion wrapper=sam recipe=vision", "model=dcgan"])
def test_it_is_in_no_config(line: str) -> None:
    assert "_about_" not in call(f"train {line} --cfg job").out
    assert "_about_" not in call(f"train {line} --cfg all").out
    overrides = line.split()
    with hydra_session() as composer:
        assert "_about_" not in str(composer.compose(overrides))
        spec = composer.spec(composer.compose(overrides), overrides)
        assert "_about_" not in str(composer.files.reference(spec.choices))


def test_a_program_that_is_hydras_itself_reads_its_files_as_before() -> None:
    call("train --cfg all")
    with initialize_config_dir(str(configs_folder()), version_base="1.3"):
        assert "_about_" in compose(overrides=["+optimizer=sgd"]).optimizer


def test_completion_does_not_offer_it(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = complete("optbench train optimizer._", monkeypatch)
    assert offered == ["optimizer._target_="]


def test_an_own_file_is_trained_with_and_listed(tmp_path: Path) -> None:
    about = "_about_:\n  description: 'Mine: the best'\n  family: ${nope}\n  paper: ???\n"
    own = write(tmp_path, about + MINE)
    answer = call(f"train {own} optimizer=mine {SMALL} steps=1 hydra.run.dir=run")
    assert answer.code == 0, answer.err
    saved = Path("run/config.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(saved)["optimizer"]["lr"] == 0.1 and "_about_" not in saved
    said = call(f"list optimizer mine {own}").out
    assert "Mine: the best" in said and "${nope}" in said and "lr=0.1" in said


def test_a_file_in_the_older_form_has_its_description(tmp_path: Path) -> None:
    own = write(tmp_path, f"# Mine: the best\n# family: sign\n{MINE}")
    assert "Mine: the best" in call(f"list optimizer mine {own}").out
    assert "Mine: the best" in call(f"list optimizers {own}").out
    own = write(tmp_path, "# @package _global_\n# What I do\nepochs: 3\n", "recipe")
    assert "What I do" in call(f"list recipe {own}").out


WRONG = [
    ("famly: x", "_about_.famly: no such key; did you mean family?"),
    ("family: {a: b}", "_about_.family: expected a text"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
@pytest.mark.parametrize("verb", ["train optimizer=mine", "list optimizers", "show optimizer=mine"])
def test_a_wrong_key_is_told_with_its_file(verb: str, text: str, said: str, tmp_path: Path) -> None:
    own = write(tmp_path, f"_about_:\n  {text}\n{MINE}")
    assert_refused(f"{verb} {own}", [f"{tmp_path}/own/optimizer/mine.yaml: {said}"])


SET = [
    *("optimizer._about_.family=x", "+optimizer._about_.x=1", "'+optimizer._about_={x: 1}'"),
    *("++_about_.x=1", "_about_=null", "wrapper._about_.description=x"),
]


@pytest.mark.parametrize("override", SET)
def test_it_can_not_be_set(override: str) -> None:
    said = "_about_ is what a file says of itself; it sets nothing"
    assert_refused(f"train {override}", [f"{override.strip(chr(39))}: {said}"])


def test_neither_on_a_resume_nor_in_a_sweep_nor_by_a_recipe(tmp_path: Path) -> None:
    assert call(f"train {SMALL} steps=1 hydra.run.dir={tmp_path}/run").code == 0
    line = f"resume {tmp_path}/run steps=2 optimizer._about_.x=1"
    assert_refused(line, ["optimizer._about_.x=1: _about_ is what"])
    assert_refused("train -m optimizer._about_.family=a,b", ["_about_ is what a file says"])
    own = write(tmp_path, "# @package _global_\noptimizer: {_about_: {family: x}}\n", "recipe")
    assert_refused(f"train {own} recipe=mine", ["optimizer._about_: no such key"])
    assert left_in(Path.cwd()) == []
