"""Whole runs whose steps are one graph, by a CPU's double of CUDA's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from optbench.assemble import experiment as assembled
from optbench.assemble import steps as made_steps
from optbench.assemble.steps import ways_of
from optbench.config.run_config import RunConfig
from optbench.training.checkpointer import RunState
from optbench.training.graph.graphed_step import GraphedStep
from optbench.training.graph.why_in_pieces import held_or_why

from .runs import CLOCKED, Killed, dies, resume, train
from .tape import TapeGraphs

LINES = ["steps=60", "monitor.every=10", "eval.every=20", "checkpoint=default", "ema=0.9"]
OPTIMIZERS = [["optimizer=adamw", "schedule=cosine"], ["optimizer=lion", "model.dropout=0.3"]]


@pytest.fixture
def taped(monkeypatch: pytest.MonkeyPatch) -> list[TapeGraphs]:
    """Has runs go by tape; gives what has noted their steps."""
    found: list[TapeGraphs] = []

    def graph_of(config: RunConfig, state: RunState) -> Any:
        return held_or_why(state, ways_of(config))

    def graphs(device: torch.device) -> TapeGraphs:
        found.append(TapeGraphs())
        return found[-1]

    monkeypatch.setattr(assembled, "graph_of", graph_of)
    monkeypatch.setattr(made_steps, "CudaGraphs", graphs)
    return found


def state_of(folder: Path) -> dict[str, Any]:
    """The last checkpoint."""
    newest = max((folder / "checkpoints").iterdir())
    loaded: dict[str, Any] = torch.load(newest / "state.pt", weights_only=True)
    return loaded


def records(folder: Path) -> list[dict[str, Any]]:
    """What was measured, without what a clock says."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CLOCKED} for line in lines]


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the bit, but for what a clock says."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
        )
    if isinstance(one, dict):
        clocked = ("seconds", "optimizer_seconds", "watching", "metrics")
        return one.keys() == other.keys() and all(
            key in clocked or same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and type(one) is type(other)


@pytest.mark.parametrize("lines", OPTIMIZERS, ids=lambda lines: lines[0])
def test_a_run_is_the_same_in_pieces_and_as_a_graph(
    lines: list[str], tmp_path: Path, taped: list[TapeGraphs], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(tmp_path / "graph", *LINES, *lines) == 0
    assert [len(each.tapes) for each in taped] == [1]
    monkeypatch.setattr(TapeGraphs, "why_no_room", lambda self: "it is full")
    assert train(tmp_path / "pieces", *LINES, *lines) == 0
    assert taped[1].tapes == []
    assert same(state_of(tmp_path / "graph"), state_of(tmp_path / "pieces"))
    assert records(tmp_path / "graph") == records(tmp_path / "pieces")
    said = [
        json.loads((tmp_path / n / "env.json").read_text(encoding="utf-8"))["cuda_graph"]
        for n in ("graph", "pieces")
    ]
    assert said == ["whole step", "in pieces: it is full"]


@pytest.mark.parametrize("lines", OPTIMIZERS, ids=lambda lines: lines[0])
def test_a_killed_run_goes_on_to_the_same_bits(
    lines: list[str], tmp_path: Path, taped: list[TapeGraphs], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [*LINES, *lines, "checkpoint.every=15"]
    assert train(tmp_path / "whole", *every) == 0
    steps = [0]
    update = GraphedStep.update

    def dying(self: GraphedStep, *given: Any) -> bool:
        steps[0] += 1
        if steps[0] == 41:
            raise Killed
        return update(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(GraphedStep, "update", dying)
        dies(lambda: train(tmp_path / "killed", *every))
    assert resume(tmp_path / "killed") == 0
    assert same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))
    assert len(taped) == 3 and all(each.tapes for each in taped)


def test_a_checkpoint_has_the_form_that_it_has_without_a_graph(
    tmp_path: Path, taped: list[TapeGraphs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a run goes on where there are no graphs."""
    for name in ("momentum", "adamw", "sgd"):
        lines = ["steps=20", "monitor.every=0", "checkpoint=default", f"optimizer={name}"]
        assert train(tmp_path / f"{name}-graph", *lines) == 0
        with monkeypatch.context() as patch:
            patch.setattr(assembled, "graph_of", lambda config, state: None)
            assert train(tmp_path / name, *lines) == 0
            graph, ever = (form(state_of(tmp_path / f"{name}{end}")) for end in ("-graph", ""))
            assert graph == ever
            assert resume(tmp_path / f"{name}-graph", "steps=30") == 0


def form(value: Any) -> Any:
    """The types, shapes and dtypes of plain data."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.device
    if isinstance(value, dict):
        return {key: form(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [form(part) for part in value]
    return type(value)


def test_who_asks_is_told_why_there_is_none(
    tmp_path: Path,
    taped: list[TapeGraphs],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from optbench.runs import surroundings

    monkeypatch.setattr(surroundings, "check_graph", lambda config: None)
    lines = ["steps=20", "checkpoint=none", "cuda_graph=true"]
    assert train(tmp_path / "own", *lines, "optimizer=muon") == 0
    said = "torch's Muon is not capturable"
    assert f"cuda_graph=true: steps are taken in pieces: {said}" in capsys.readouterr().err
    assert (
        json.loads((tmp_path / "own/env.json").read_text(encoding="utf-8"))["cuda_graph"]
        == f"in pieces: {said}"
    )
    monkeypatch.setattr(TapeGraphs, "why_no_room", lambda self: "it is full")
    assert train(tmp_path / "late", *lines, "optimizer=lion") == 0
    assert "steps are taken in pieces: it is full" in capsys.readouterr().err


def test_on_a_cpu_nobody_is_told_but_who_asks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["steps=3", "checkpoint=none", "monitor.every=0"]
    assert train(tmp_path / "auto", *lines) == 0
    assert (
        json.loads((tmp_path / "auto/env.json").read_text(encoding="utf-8"))["cuda_graph"] is None
    )
    assert "graph" not in capsys.readouterr().err
    assert train(tmp_path / "true", *lines, "cuda_graph=true") == 2
    assert not (tmp_path / "true").exists()
    said = "optbench: cuda_graph=true: device=cpu has none; use cuda_graph=auto"
    assert said in capsys.readouterr().err
    assert train(tmp_path / "word", *lines, "cuda_graph=maybe") == 2
    assert "cuda_graph=maybe: not valid; expected auto, true or false" in capsys.readouterr().err
