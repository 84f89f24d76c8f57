"""Checkpoints as a stranger may write them: all checksums hold, one value is none of that place."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training.runs import resume, train

from optbench.training import checkpoint

KINDS: dict[str, list[str]] = {
    "sam": ["optimizer=adamw", "wrapper=sam", "ema=0.9", "early_stopping.patience=9"],
    "momentum": [
        "optimizer=momentum",
        "schedule=plateau",
        "target.metric=val/loss",
        "target.value=0",
    ],
    "hypergradient": ["optimizer=sgd", "schedule=hypergradient"],
    "prodigy": ["optimizer=zoo", "optimizer.name=prodigy"],
}
WRONG: list[Any] = ["x", None, [], {}, [[1, 2]], -1, float("nan"), torch.zeros(3), {"<object>": 1}]
SHORT = ["batch_size=200", "checkpoint.every=5", "monitor.every=2", "eval.every=3"]
FILES = ("state.pt", "rank-0.pt")
STATE = ("players", "model", "optimizer", "members", 0)
EXAMPLES: list[tuple[tuple[Any, ...], Any]] = [
    (("players", "model", "step"), "x"),
    (("best", "step"), "x"),
    (("reached", "seconds"), 1.0),
    ((*STATE, "param_groups", 0, "maximize"), -1),
    ((*STATE, "param_groups", 0, "betas"), "x"),
    ((*STATE, "state", 0, "exp_avg"), torch.zeros(3)),  # a fused kernel would read beyond it
    (("players", "model", "attributes"), [{"step": 1}, {}]),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for one run of each kind."""
    return tmp_path_factory.mktemp("runs")


def run_of(kind: str, runs: Path) -> Path:
    """A run of ten steps that wants twenty."""
    folder = runs / kind
    if not folder.exists():
        assert train(folder, *SHORT, *KINDS[kind], "steps=10") == 0
    return folder


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values; of a long list only the first three's."""
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value[:3]):
            yield from places(one, (*path, number))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """A copy of nested data with another value at one place."""
    if not path:
        return by
    kept = dict(value) if isinstance(value, dict) else list(value)
    kept[path[0]] = replaced(value[path[0]], path[1:], by)
    return type(value)(kept) if isinstance(value, tuple) else kept


def craft(folder: Path, name: str, content: Any) -> None:
    """Writes a file of the newest checkpoint anew, and the manifest for it."""
    path = folder / "checkpoints" / "step-00000010"
    torch.save(content, path / name)
    data = (path / name).read_bytes()
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["sha256"] = checkpoint.checksum(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def outcome(kind: str, runs: Path, name: str, path: tuple[Any, ...], by: Any) -> str | None:
    """What is wrong with how `resume` takes it; None if nothing is."""
    whole = run_of(kind, runs)
    folder = runs / "crafted"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    state = torch.load(folder / "checkpoints" / "step-00000010" / name, weights_only=True)
    craft(folder, name, replaced(state, path, copy.deepcopy(by)))
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "log.txt"}
    try:
        code = resume(folder, "steps=20")
    except BaseException as error:
        return f"{kind} {name} {path} {by!r}: {type(error).__name__}: {error}"
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "log.txt"}
    if code == 2 and before != after:
        return f"{kind} {name} {path} {by!r}: refused, but changed"
    if code == 1 and not inside_an_optimizer(path):
        state = json.loads((folder / "status.json").read_text(encoding="utf-8"))["state"]
        return None if state == "diverged" else f"{kind} {name} {path} {by!r}: exit code 1"
    return None if code in (0, 1, 2) else f"{kind} {name} {path} {by!r}: exit code {code}"


def inside_an_optimizer(path: tuple[Any, ...]) -> bool:
    """Whether the value is one that nobody but an optimizer or a scheduler can judge."""
    return path[2:3] in (("optimizer",), ("schedules",)) and len(path) > 3


@pytest.mark.parametrize(("path", "by"), EXAMPLES)
def test_a_value_of_another_type_is_refused(
    path: tuple[Any, ...], by: Any, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_of("sam", runs)
    assert outcome("sam", runs, "state.pt", path, by) is None
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("optbench: ") and "it does not fit this run (" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_value_at_any_place_breaks_a_training(kind: str, name: str, runs: Path) -> None:
    run_of(kind, runs)
    at = runs / kind / "checkpoints" / "step-00000010" / name
    every = list(places(torch.load(at, weights_only=True)))
    found = [outcome(kind, runs, name, path, by) for path in every for by in WRONG]
    assert not [problem for problem in found if problem]
