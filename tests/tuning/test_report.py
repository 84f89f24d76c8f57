"""What a study ends with: the command for its best can be pasted."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from few import few

import optbench
from optbench.compose.quoting import quoted
from optbench.search.space import overrides as lines_of
from optbench.search.space import read_space
from optbench.tuning.plan import StudyPlan
from optbench.tuning.report import command
from optbench.tuning.study import Study, Tried

pytest.importorskip("optuna")

ODD = (
    "two words",
    "it's",
    "(a) {b: 1} [c, 2]",
    '$HOME `ls` "q" !x',
    "a,b=c",
    "back\\slash\\",
    "tail\\'",
    "#no comment",
    "null",
    "1e-3",
    "",
    "  blanks  ",
    "*?~;&|<>",
    "'",
    "\\",
    "two\n\tlines",
    "\x1b[31m",
    "größe",
)


def command_for(text: str, folder: Path, overrides: list[str]) -> str:
    space = read_space({"search": {"notes": {"choice": [text, "other"]}}}, "search")
    plan: dict[str, Any] = {"space": space.as_plain(), "named": "search", "pruner": "none"}
    plan |= {"metric": "val/loss", "mode": "min", "trials": 1, "sampler": "grid", "runs": [[]]}
    study = Study(folder, StudyPlan(overrides=overrides, **plan), space)
    best = Tried(0, {"notes": text}, 1.0, [1.0], "complete")
    return command(study, lines_of(space, best.values, optbench.compose(*overrides).plain))


@pytest.mark.parametrize("text", few(ODD, 9))
def test_the_command_for_the_best_can_be_pasted(text: str, tmp_path: Path) -> None:
    plain = text.isprintable() and text.strip()
    overrides = ["steps=3", *([f"name={quoted(f'n {text}')}"] if plain else [])]
    line = command_for(text, tmp_path, overrides)
    assert line.isprintable() and line.startswith("optbench train ")
    told = line.replace("optbench train", "printf '%s\\0'", 1)
    pasted = subprocess.run(["bash", "-c", told], capture_output=True, check=True).stdout
    words = pasted.decode().split("\0")[:-1]
    if text.isprintable():
        assert shlex.split(line)[2:] == words
    again = optbench.compose(*words).plain
    assert again["notes"] == text and again["steps"] == 3
    if plain:
        assert again["name"] == f"n {text}"
