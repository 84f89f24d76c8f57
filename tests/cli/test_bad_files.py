"""A user's own config files that are none: one line, which names the file and where in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .program import call
from .test_bad_input import assert_refused

SGD = b"_target_: torch.optim.SGD\nlr: 0.1\n"
ALIASES = b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40))

FILES = [
    (b"lr 0.1\n", "expected `key: value` on each line, found the text 'lr 0.1'"),
    (b"_target_: torch.optim.SGD\nlr 0.1\n", "line 2, column 1: "),
    (b"- a\n- b\n", "expected `key: value` on each line, found a list"),
    (b"3\n", "found the text '3'"),
    (SGD + b"\tmomentum: 0\n", "line 3, column 1: "),
    (SGD + b"lr: 0.2\n", "found duplicate key lr"),
    (SGD + b"x: \xff\n", "not in UTF-8 (byte 0xff at 37)"),
    (SGD + b"---\nlr: 3\n", "line 3, column 1: expected a single document"),
    (SGD + b"x: " + b"[" * 500 + b"]" * 500, "nested too deeply"),
    (SGD + b"x: " + b"[" * 5000 + b"]" * 5000, "nesting depth"),
    (SGD + b"a0: &a0 [x, x]\n" + ALIASES, "aliases stand for more than"),
    (SGD + b"x: &x [*x]\n", "an alias that contains itself"),
    (SGD + b"x: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    (SGD + b"x: " + b"a" * 300_000, "larger than 256 KiB"),
    (SGD + b"null: 3\n", "Incompatible key type"),
]

SAID = [
    (b"", ".yaml names no _target_"),
    (b"defaults: 5\n" + SGD, "defaults must be a list"),
    (b"defaults: [nope]\n" + SGD, "Could not load 'optimizer/nope'"),
    (b"defaults: [/model: nope]\n" + SGD, "model=nope: no such model"),
    (b"# @package a b\n" + SGD, "Too many components"),
    (b"# @package _global_\n" + SGD, "optimizer._target_: missing"),
    (b"_target_: 5\nlr: 0.1\n", "optimizer._target_=5: expected such as my.module.Class"),
    (SGD + b"groups: 5\n", "optimizer.groups=5: not valid; expected a list"),
    (SGD.replace(b"0.1", b"[1]"), "optimizer.lr=[1]: not valid"),
]

OVERLAYS = [
    ("recipe", "# @package _global_\noptimizer: 5\n", "recipe=mine: optimizer=5"),
    ("recipe", "# @package _global_\nplayer: {g: 3}\n", "recipe=mine: player.g"),
    ("recipe", "# @package _global_\ndefaults:\n  - override /optimizer: x\n", "recipe=mine: "),
    ("recipe", "lr: 3\n", "recipe: no such key"),
    ("workload", "# @package _global_\nmodel: [1]\n", "workload=mine: "),
    ("task", "task: 5\nplayer: 7\n", "task=mine: player: expected"),
    ("task", "task: {_target_: x}\nplayer: {a: 1}\n", "task=mine: a: expected"),
    ("model", "_target_: a\ntask: [1]\n", "model=mine: no such task"),
]


def write(group: str, content: bytes) -> Path:
    path = Path("cfg", group, "mine.yaml").resolve()
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def refused(group: str, said: str) -> None:
    answer = call(f"train --config-dir cfg {group}=mine")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("optbench: ") and answer.err.count("\n") == 1
    assert said in answer.err
    assert os.listdir() == ["cfg"]


@pytest.mark.parametrize(("content", "said"), FILES)
def test_a_file_that_is_no_config_is_named(content: bytes, said: str) -> None:
    path = write("optimizer", content)
    refused("optimizer", f"{path}: ")
    refused("optimizer", said)


@pytest.mark.parametrize("content", [content for content, _ in FILES])
def test_one_that_is_not_chosen_hides_no_hint(content: bytes) -> None:
    write("optimizer", content)
    answer = call("train --config-dir cfg optimizer=sgd optimizer.learning_rate=0.9")
    assert answer.err.startswith("optbench: optimizer.learning_rate=0.9: ")
    assert answer.code == 2 and "did you mean optimizer.lr?" in answer.err
    assert "optimizer=adadelta" in call("train --config-dir cfg optimizer=sgd optimizer.rho=1").err


@pytest.mark.parametrize(("content", "said"), SAID)
def test_a_config_that_says_nonsense_is_refused(content: bytes, said: str) -> None:
    write("optimizer", content)
    refused("optimizer", said)


@pytest.mark.parametrize(("group", "content", "said"), OVERLAYS)
def test_an_overlay_that_says_nonsense_is_refused(group: str, content: str, said: str) -> None:
    write(group, content.encode())
    refused(group, said)


def test_anchors_and_merge_keys_are_yaml(workplace: Path) -> None:
    write("optimizer", b"x: &x {a: 1}\n" + SGD + b"y:\n  <<: *x\n  b: 2\n")
    answer = call("train --config-dir cfg optimizer=mine --cfg job --package optimizer.y")
    assert answer.out.splitlines()[1:] == ["a: 1", "b: 2"]


def test_a_pipe_and_a_folder_are_no_files(workplace: Path) -> None:
    path = write("optimizer", SGD)
    os.mkfifo(path.with_name("pipe.yaml"))
    path.with_name("folder.yaml").mkdir()
    path.with_name("bytes.yaml").write_bytes(b"# \xff\xfe\n")
    for name in ("pipe", "folder"):
        answer = call(f"train --config-dir cfg optimizer={name}")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
    for line in ("list optimizers", "list", "recommend"):
        assert call(f"{line} --config-dir cfg").code == 0


@pytest.mark.parametrize("folder", ["nowhere", "file", "a" * 300])
def test_a_folder_of_configs_that_is_none_is_refused(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    wanted = tmp_path / "file" if folder == "file" else folder
    says = "a file, where a folder is meant" if folder == "file" else "no such folder"
    assert_refused(f"train --config-dir {wanted}", ["--config-dir=", says])
