"""The comments at the top of every optimizer's YAML."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from optbench.compose.paths import configs_folder
from optbench.config.about import KEYS, About, about

YAMLS = sorted((configs_folder() / "optimizer").glob("*.yaml"))
each_yaml = pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)


def of(path: Path) -> About:
    return about(path.read_text(encoding="utf-8").splitlines())


def test_the_comments_are_read() -> None:
    lines = ["# X (A 2000): b", "# @package x", "# family: f", "# paper: P: Q, 2000", "# state: 2"]
    lines += ["# implementations: loop", "# good for: all", "lr: 1", "# family: later"]
    assert about(lines) == About("X (A 2000): b", "f", "P: Q, 2000", "2", "loop", "all")
    assert about(["# only this", "lr: 1"]) == About("only this", "", "", "", "", "")


@each_yaml
def test_every_optimizer_says_all_of_it_in_order(path: Path) -> None:
    found = of(path)
    assert [f.name for f in fields(found) if not getattr(found, f.name)] == []
    heads = [
        line[2:].partition(": ")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:6]
    ]
    assert heads == list(KEYS)


@each_yaml
def test_the_paper_has_a_year_and_the_state_a_number(path: Path) -> None:
    found = of(path)
    assert re.search(r"\b(19|20)\d\d\b", found.paper) or found.paper.startswith("its own")
    assert re.match(r"(< )?[0-9.]+(;|$)|as ", found.state)
    words = set(found.implementations.split(", "))
    assert words <= {"loop", "foreach", "fused", "compiled"} or found.implementations == "its own"
