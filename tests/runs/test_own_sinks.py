"""monitor.sinks: csv, Weights & Biases, MLflow, a class of the user's own."""

from __future__ import annotations

import importlib.machinery
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from optbench.config import fields
from optbench.errors import UserError
from optbench.monitor.record import Record
from optbench.runs.own_sinks import CLASSES, check_sinks, make_sinks

RECORD = Record("val", 7, 0.5, 8, 0.5, {"val/loss": 1.5}, time=2.0)
CONFIG = {"name": "run", "seed": 3, "optimizer": {"lr": 0.1, "groups": []}}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Makes a module that can be imported."""

    def make(name: str, **holds: Any) -> ModuleType:
        made = ModuleType(name)
        made.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(made).update(holds)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    return make


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_package_that_is_missing_is_told_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"needs {name}, .*pip install 'optbench\[{name}\]'"):
        check_sinks([name])


def test_weights_and_biases(module: Callable[..., ModuleType], tmp_path: Path) -> None:
    begun: list[dict[str, Any]] = []
    logged: list[Any] = []
    run = SimpleNamespace(
        log=lambda values, step: logged.append((values, step)),
        finish=lambda: logged.append("finished"),
    )
    module("wandb", init=lambda **given: begun.append(given) or run)
    said = [{"_target_": "wandb", "project": "mine", "mode": "offline"}]
    check_sinks(said)
    warned: list[str] = []
    for resumed_at in (None, 5):
        (sink,) = make_sinks(said, tmp_path, CONFIG, resumed_at, warned.append)
        sink.write(RECORD)
        sink.flush()
        sink.close()
    first, second = begun
    assert (first["project"], first["mode"], first["name"]) == ("mine", "offline", "run")
    assert first["config"] == CONFIG and first["resume"] == "allow" and first["id"] == second["id"]
    assert logged == [({"val/loss": 1.5, "epoch": 0.5}, 7), "finished"] * 2
    assert not warned


class Client:
    """As much of MLflow's as is used, its runs kept in the class."""

    runs: dict[str, dict[str, Any]]

    def __init__(self, tracking_uri: str | None) -> None:
        assert tracking_uri == "there"

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="4") if self.runs else None

    def create_experiment(self, name: str) -> str:
        return "4"

    def search_runs(self, experiments: list[str], filter_string: str) -> list[Any]:
        assert experiments == ["4"]
        return [
            SimpleNamespace(info=SimpleNamespace(run_id=key))
            for key, run in self.runs.items()
            if filter_string == f"tags.`optbench.folder` = '{run['tags']['optbench.folder']}'"
        ]

    def create_run(self, experiment: str, tags: dict[str, str], run_name: str) -> Any:
        self.runs["r"] = {"tags": tags, "name": run_name, "params": [], "metrics": [], "ends": 0}
        return SimpleNamespace(info=SimpleNamespace(run_id="r"))

    def update_run(self, run: str, status: str) -> None:
        assert status == "RUNNING"

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        self.runs[run]["metrics"] += metrics
        self.runs[run]["params"] += params

    def set_terminated(self, run: str) -> None:
        self.runs[run]["ends"] += 1


def test_mlflow(module: Callable[..., ModuleType], tmp_path: Path) -> None:
    Client.runs = {}
    module("mlflow", MlflowClient=Client)
    module("mlflow.entities", Param=lambda *said: said, Metric=lambda *said: said)
    said = [{"_target_": "mlflow", "tracking_uri": "there"}]
    check_sinks(said)
    for resumed_at in (None, 5):
        (sink,) = make_sinks(said, tmp_path, CONFIG, resumed_at, pytest.fail)
        sink.write(RECORD)
        sink.close()
    (run,) = Client.runs.values()
    assert run["name"] == "run" and run["ends"] == 2
    expected = [("name", "run"), ("seed", "3"), ("optimizer.lr", "0.1"), ("optimizer.groups", "[]")]
    assert run["params"] == expected
    assert run["metrics"] == [("val/loss", 1.5, 2000, 7)] * 2


class Mine:
    """A user's own."""

    def __init__(self, folder: Path, resumed_at: int | None, port: int = 1) -> None:
        self.made_with = (folder, resumed_at, port)
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)


class NoWrite:
    pass


class Refuses(Mine):
    def __init__(self) -> None:
        raise ValueError("no such port")


def test_a_class_of_ones_own_gets_what_it_asks_for(tmp_path: Path) -> None:
    said = [{"_target_": f"{__name__}.Mine", "port": 3}, "csv"]
    check_sinks(said)
    mine, csv = make_sinks(said, tmp_path, CONFIG, 5, pytest.fail)
    for sink in (mine, csv):
        sink.write(RECORD)
        sink.close()
    assert (tmp_path / "metrics.csv").read_text(encoding="utf-8").endswith("val/loss,1.5\n")


class Draws(Mine):
    def __init__(self) -> None:
        random.random()
        torch.rand(1)


def test_what_a_sink_draws_as_it_is_made_changes_no_run(tmp_path: Path) -> None:
    before = random.getstate(), torch.get_rng_state()
    make_sinks([{"_target_": f"{__name__}.Draws"}], tmp_path, CONFIG, None, pytest.fail)
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("cvs", r"monitor.sinks\[0\]=cvs: no such sink; did you mean csv\?"),
        ({"_target_": f"{__name__}.Mine", "prot": 1}, "unexpected keyword argument 'prot'"),
        ({"_target_": f"{__name__}.NoWrite"}, r"has no write\(record\)"),
        ({"_target_": f"{__name__}.Nobody"}, "has no Nobody"),
        ({"_target_": "csv", "path": 1}, "unexpected keyword argument 'path'"),
    ],
)
def test_what_is_refused_before_a_run(said: Any, why: str) -> None:
    with pytest.raises(UserError, match=why):
        check_sinks([said])


def test_what_is_refused_as_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"monitor.sinks\[0\].*no such port"):
        make_sinks([{"_target_": f"{__name__}.Refuses"}], tmp_path, CONFIG, None, pytest.fail)


def test_the_names_in_hints_are_those_that_there_are() -> None:
    assert set(fields.sink.names) == set(CLASSES)  # type: ignore[attr-defined]
