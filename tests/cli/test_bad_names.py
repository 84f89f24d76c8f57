"""Names and folders that a run can't have: one line, before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from .program import call, left_in

BAD_NAMES = (
    *("a" * 201, "日" * 70, "../up", "a/b", "", " ", ".", ".."),
    *("a\x1b[2Jb", "a\tb", "a\x7fb", "a\x85b", "a\u2028b", "a\udcffb"),
)


def assert_one_line(line: list[str], said: str) -> None:
    answer = call(line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"optbench: {said}")
    assert answer.err.removesuffix("\n").isprintable()
    assert left_in(Path.cwd()) == []


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_folder_can_have_is_refused(name: str) -> None:
    assert_one_line(["train", f'name="{name}"'], "name=")


@pytest.mark.parametrize("name", ["a" * 200, "日" * 66, "-x", "a b", "...", "it's", "a\\b", "ü"])
def test_other_names_are_taken(name: str) -> None:
    quoted = '"' + name.replace("\\", "\\\\") + '"' if "\\" in name else f'"{name}"'
    assert call(["train", f"name={quoted}", "--cfg", "job", "--package", "name"]).code == 0


@pytest.mark.parametrize("text", ["a\udcff", "a\0b", "a\\${b}"])
def test_a_text_that_no_config_can_hold_is_refused(text: str) -> None:
    assert_one_line(["train", f'data_root="{text}"'], "data_root=")
    groups = f'optimizer.groups=[{{params: "{text}"}}]'
    assert_one_line(["train", groups], "optimizer.groups[0].params=")


@pytest.mark.parametrize("wanted", ["", "/", "/proc/run", "/dev/null/run", "a" * 300])
def test_a_folder_that_can_not_be_made_is_refused(wanted: str) -> None:
    small = ["threads=1", "device=cpu", "model.hidden=[8]", "steps=1"]
    said = f"={wanted}: no folder can be made there"
    assert_one_line(["train", *small, f"hydra.run.dir={wanted}"], f"hydra.run.dir{said}")
    assert_one_line(["find-lr", *small, f"hydra.run.dir={wanted}"], f"hydra.run.dir{said}")
    many = ["train", "-m", *small, f"hydra.sweep.dir={wanted}"]
    assert_one_line(many, f"hydra.sweep.dir{said}")
