"""Values from the environment, which knows texts only, in the types of their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from optbench.rundir import load_yaml

from .program import call, train
from .test_bad_input import assert_refused

KEYS: list[tuple[str, str, Any]] = [
    ("optimizer.lr", "0.05", 0.05),
    ("optimizer.lr", "1e-3", 1e-3),
    ("optimizer.lr", "1", 1.0),
    ("optimizer.amsgrad", "true", True),
    ("optimizer.betas", "[0.5, 0.9]", [0.5, 0.9]),
    ("epochs", "3", 3),
    ("epochs", "null", None),
    ("clip.norm", "1e-1", 0.1),
    ("schedule.warmup_steps", "10%", "10%"),
    ("schedule.warmup_steps", "7", 7),
    ("batch_size", "full", "full"),
    ("batch_size", "32", 32),
    ("model.hidden", "[8]", [8]),
    ("name", "007", "007"),
    ("name", "null", "null"),
    ("shuffle", "once", "once"),
]


def shown(key: str, *overrides: str) -> Any:
    answer = call(["train", *overrides, "--cfg", "job", "--package", key])
    assert answer.code == 0, answer.err
    return yaml.safe_load(answer.out)


@pytest.mark.parametrize(("key", "text", "value"), KEYS)
def test_a_text_becomes_what_its_key_wants(
    key: str, text: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IT", text)
    found = shown(key, f"{key}=${{oc.env:IT}}")
    assert (found, type(found)) == (value, type(value))


def test_parts_of_lists_and_nested_references_do_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IT", "0.5")
    assert shown("optimizer.betas", "optimizer.betas=[${oc.env:IT},${oc.env:IT}]") == [0.5, 0.5]
    groups = 'optimizer.groups=[{params: "*", lr: ${oc.env:IT}}]'
    assert shown("optimizer.groups", groups) == [{"params": "*", "lr": 0.5}]
    assert shown("optimizer.lr", "optimizer.lr=${oc.decode:${oc.env:IT}}") == 0.5
    assert shown("optimizer.lr", "optimizer.lr=${oc.env:NOT_SET,0.25}") == 0.25
    monkeypatch.setenv("IT", "5")
    assert shown("dataset.split_seed", "seed=${oc.env:IT}") == 5


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("'optimizer.lr=${oc.env:NOT_SET}'", ["optimizer.lr=${oc.env:NOT_SET}: no environment"]),
        (
            "'optimizer.lr=${optimizer.lrr}'",
            ["optimizer.lrr; did you mean optimizer.lr?"],
        ),
        ("'optimizer.lr=${optimizer.lr}'", ["optimizer.lr=${optimizer.lr}: "]),
        ("'name=${nope}'", ["name=${nope}: no such key"]),
        ("'hydra.run.dir=${nope}'", ["hydra.run.dir=${nope}: no such key"]),
        ("'optimizer.groups=[{lr: ${nope}}]'", ["optimizer.groups[0].lr=${nope}: no such key"]),
        ("'optimizer.lr=${oc.env:PATH}'", ["optimizer.lr=", "a number"]),
    ],
)
def test_what_can_not_be_resolved_is_named_with_its_key(line: str, named: list[str]) -> None:
    assert_refused(f"train {line}", named)


def test_a_resumed_run_takes_them_too(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("steps=1", workplace / "run")
    monkeypatch.setenv("IT", "0.25")
    answer = call("resume run steps=2 'optimizer.lr=${oc.env:IT}'")
    assert answer.code == 0, answer.err
    assert load_yaml(workplace / "run" / "config.yaml")["optimizer"]["lr"] == 0.25
    answer = call("resume run steps=3 'optimizer.lr=${oc.env:NOT_SET}'")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "optimizer.lr=${oc.env:NOT_SET}: no environment variable NOT_SET" in answer.err


def test_an_empty_name_of_the_datas_folder_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/nobodys")
    monkeypatch.setenv("OPTBENCH_DATA", "")
    assert "data_root: /nobodys/optbench\n" in call("train --cfg job").out
    monkeypatch.setenv("OPTBENCH_DATA", "/own")
    assert "data_root: /own\n" in call("train --cfg job").out
