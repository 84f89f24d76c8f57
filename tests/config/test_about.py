"""What YAMLs say about themselves under `_about_`, every optimizer's among them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from optbench.compose.paths import configs_folder, description_of
from optbench.config.about import KEYS, About, about, described
from optbench.errors import UserError

YAMLS = sorted((configs_folder() / "optimizer").glob("*.yaml"))
each_yaml = pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)

SAID = """\
# no description
_about_:
  description: "X (A 2000): b"
  family: f
  paper: "P: Q, 2000"
  state: 2.0
  implementations: [loop, foreach]
  good_for: all
lr: 1
family: another
"""


def of(path: Path) -> About:
    return about(description_of(path))


def read(text: str, group: str = "optimizer") -> dict[str, str]:
    return described(text, group, "a.yaml")


def test_it_is_read_as_it_is_written() -> None:
    found = about(read(SAID))
    assert found == About("X (A 2000): b", "f", "P: Q, 2000", "2.0", "loop, foreach", "all")


NONE = ["# @package x\n# only this\nlr: 1\n", "# only this\n_about_:\n", "# only this\nlr: [\n"]


@pytest.mark.parametrize("text", NONE)
def test_a_file_that_says_nothing_is_described_by_its_first_comment(text: str) -> None:
    assert about(read(text)) == About("only this", "", "", "", "", "")


def test_the_comments_of_older_files_are_no_more_than_a_description() -> None:
    assert read("# Mine\n# family: f\n# state: 2\nlr: 1\n") == {"description": "Mine"}


BAD = [
    ("optimizer", "{famly: x}", "_about_.famly: no such key; did you mean family?"),
    ("optimizer", "{good for: x}", "_about_.good for: no such key; did you mean good_for?"),
    ("recipe", "{task: x}", "_about_.task: no such key; did you mean tasks?"),
    ("wrapper", "{family: x}", "_about_.family: no such key; choose from description"),
    ("model", "{descripton: x}", "_about_.descripton: no such key; did you mean description?"),
    ("recipe", "{[a]: x}", "_about_.?: no such key; choose from description, for, "),
    ("optimizer", "{family: {a: b}}", "_about_.family: expected a text, or a list of such"),
    ("optimizer", "{family: [[a]]}", "_about_.family: expected a text, or a list of such"),
    ("wrapper", "3", "_about_: expected a group of keys, of description"),
]


@pytest.mark.parametrize(("group", "value", "said"), BAD)
def test_what_it_can_not_say_is_refused(group: str, value: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        read(f"_about_: {value}\n", group)
    assert str(refused.value).startswith(f"a.yaml: {said}")


@each_yaml
def test_every_optimizer_says_all_of_it_in_order(path: Path) -> None:
    found = of(path)
    assert [f.name for f in fields(found) if not getattr(found, f.name)] == []
    heads = list(yaml.safe_load(path.read_text(encoding="utf-8"))["_about_"])
    assert heads == ["description", *KEYS["optimizer"]]


@each_yaml
def test_the_paper_has_a_year_and_the_state_a_number(path: Path) -> None:
    found = of(path)
    assert re.search(r"\b(19|20)\d\d\b", found.paper) or found.paper.startswith("its own")
    assert re.match(r"(< )?[0-9.]+(;|$)|as ", found.state)
    words = set(found.implementations.split(", "))
    assert words <= {"loop", "foreach", "fused", "compiled"} or found.implementations == "its own"
