"""optbench.runs.columns: the columns of TensorBoard's table of runs, each of one kind."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from optbench.runs.columns import cells, columns_of, row

from .program import call

CONFIG = {
    "batch_size": 64,
    "seed": 0,
    "optimizer": {"lr": 0.1, "betas": [0.9, 0.99], "nesterov": True, "momentum": None},
    "schedule": {"warmup_steps": "5ep"},
    "clip": {"norm": None},
}
CHOICES = {"model": "mlp", "optimizer": "sgd", "precision": "fp32"}
QUICK = "threads=1 device=cpu model.hidden=[4] steps=1 checkpoint=final"


def test_choices_and_values_are_columns() -> None:
    found = row(CONFIG, CHOICES, [])
    assert found == {
        "model": "mlp",
        "optimizer": "sgd",
        "optimizer.lr": 0.1,
        "batch_size": 64,
        "precision": "fp32",
        "seed": 0,
    }
    kinds = columns_of([found])
    assert {key for key, kind in kinds.items() if kind == "text"} == set(CHOICES)
    assert {kinds[key] for key in kinds if key not in CHOICES} == {"number"}


def test_each_player_has_its_own_columns() -> None:
    players = {
        name: {"optimizer": {"lr": lr, "momentum": 0.9}, "schedule": {}, "update_every": 1}
        for name, lr in (("discriminator", 0.4), ("generator", 0.2))
    }
    own = {
        f"player.{name}.{group}": choice
        for name in players
        for group, choice in (("optimizer", "sgd"), ("schedule", "cosine"))
    }
    found = row({**CONFIG, "player": players}, {**CHOICES, **own}, [])
    assert found == {
        "model": "mlp",
        **own,
        "player.discriminator.optimizer.lr": 0.4,
        "player.discriminator.optimizer.momentum": 0.9,
        "player.generator.optimizer.lr": 0.2,
        "player.generator.optimizer.momentum": 0.9,
        "batch_size": 64,
        "precision": "fp32",
        "seed": 0,
    }


def test_what_was_overridden_is_a_column_too() -> None:
    overridden = ["schedule.warmup_steps", "optimizer.betas", "optimizer.nesterov", "clip.norm"]
    found = row(CONFIG, CHOICES, [*overridden, "optimizer.lr", "hydra.run.dir"])
    assert found["clip.norm"] is None and "hydra.run.dir" not in found
    kinds = columns_of([found])
    assert [kinds[key] for key in overridden] == ["text", "text", "bool", "number"]
    shown = cells(found, kinds, 64)
    assert [shown.get(key) for key in overridden] == ["5ep", "[0.9, 0.99]", True, None]


@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([None, 1.0], "text", ["null", "1.0"]),
        ([10, "10%"], "text", ["10", "10%"]),
        ([10, 20], "number", [10, 20]),
        ([1, 0.5], "number", [1, 0.5]),
        ([True, False], "bool", [True, False]),
        ([True, None], "text", ["true", "null"]),
        ([True, 1], "text", ["true", "1"]),
        ([0.1, math.inf], "text", ["0.1", "inf"]),
        ([0.1, math.nan], "text", ["0.1", "nan"]),
        ([[0.9], [0.8]], "text", ["[0.9]", "[0.8]"]),
        ([1, [1]], "text", ["1", "[1]"]),
        (["a", "b"], "text", ["a", "b"]),
        ([{"from": 1}, None], "text", ["{from: 1}", "null"]),
    ],
)
def test_what_is_varied_is_of_one_kind_in_all_runs(
    values: list[Any], kind: str, shown: list[Any]
) -> None:
    rows = [{"eval.every": value} for value in values]
    kinds = columns_of(rows, ["eval.every"])
    assert kinds == {"eval.every": kind}
    assert [cells(each, kinds, 64)["eval.every"] for each in rows] == shown


@pytest.mark.parametrize(
    ("key", "values", "kind"),
    [
        ("eval.every", [10, "10%"], "text"),
        ("clip.norm", [None, 1.0], "number"),
        ("batch_size", [64, "full"], "number"),
        ("optimizer.eps", [1e-8, [None, 1e-3]], "text"),
        ("optimizer.mine", [1, math.inf], "number"),
        ("optimizer.flag", [True, None], "bool"),
        ("device", ["cpu", "auto"], "text"),
    ],
)
def test_a_key_is_of_one_kind_in_runs_that_know_nothing_of_each_other(
    key: str, values: list[Any], kind: str
) -> None:
    found = [columns_of([{key: value}]) for value in values]
    assert all(kinds in ({key: kind}, {}) for kinds in found) and {key: kind} in found
    for value, kinds in zip(values, found, strict=True):
        for cell in cells({key: value}, kinds, 1293).values():
            assert isinstance(cell, str) == (kind == "text")
            assert kind == "text" or math.isfinite(cell)  # type: ignore[arg-type]


def test_a_column_that_a_run_lacks_is_there() -> None:
    rows: list[dict[str, Any]] = [{"optimizer": "sgd", "momentum": 0.9}, {"optimizer": "adam"}]
    kinds = columns_of(rows, ["optimizer"])
    assert kinds == {"optimizer": "text", "momentum": "number"}
    assert cells(rows[1], kinds, 64) == {"optimizer": "adam"}


def sorted_by_all(folder: Path) -> dict[str, list[Any]]:
    """The runs' values by column, after TensorBoard has sorted its table by each of them."""
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(TBContext(data_provider=provider, logdir=str(folder)))
    request = RequestContext()
    found = context.experiment_from_metadata(
        request, "0", True, context.hparams_metadata(request, "0"), None
    )
    shown: dict[str, list[Any]] = {}
    statuses = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_UNKNOWN]
    for info in found.hparam_infos:
        column = api_pb2.ColParams(hparam=info.name, order=api_pb2.ORDER_ASC)
        asked = api_pb2.ListSessionGroupsRequest(
            allowed_statuses=statuses, col_params=[column], start_index=0, slice_size=100
        )
        handler = list_session_groups.Handler(request, context, "0", asked)
        groups = handler.run().session_groups
        values = [group.hparams[info.name] for group in groups if info.name in group.hparams]
        shown[info.name] = [getattr(value, value.WhichOneof("kind")) for value in values]
    return shown


def test_a_sweep_can_be_sorted_by_every_column(tmp_path: Path) -> None:
    varied = "clip.norm=null,1.0 monitor.every=1,50% optimizer=sgd,lion"
    ended = call(f"train -m {varied} {QUICK} hydra.sweep.dir={tmp_path}/sweep")
    assert ended.code == 0
    shown = sorted_by_all(tmp_path)
    assert shown["clip.norm"] == ["1.0"] * 4 + ["null"] * 4
    assert shown["monitor.every"] == ["1"] * 4 + ["50%"] * 4
    assert shown["optimizer"] == ["lion"] * 4 + ["sgd"] * 4
    assert shown["optimizer.momentum"] == [0.0] * 4, "what only some have is a column too"
    assert call(f"resume {tmp_path}/sweep/0 steps=2 clip.norm=0.5").code == 0
    assert sorted_by_all(tmp_path)["clip.norm"] == ["0.5", *["1.0"] * 4, *["null"] * 3]


def test_processes_of_a_launcher_know_the_sweeps_columns(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = "hydra/launcher=joblib hydra.launcher.n_jobs=1"
    ended = call(f"train -m clip.norm=null,1.0 {launcher} {QUICK} hydra.sweep.dir={tmp_path}/sweep")
    assert ended.code == 0
    assert sorted_by_all(tmp_path)["clip.norm"] == ["1.0", "null"]


def test_a_run_that_goes_on_with_other_values_shows_these(tmp_path: Path) -> None:
    run = tmp_path / "run"
    lines = f"{QUICK} batch_size=full optimizer.lr=0.5 hydra.run.dir={run}"
    assert call(f"train {lines}").code == 0
    assert sorted_by_all(tmp_path)["optimizer.lr"] == [0.5]
    assert sorted_by_all(tmp_path)["batch_size"] == [1293]
    for lr in (0.25, 0.125):
        steps = int(1 / lr)
        assert call(f"resume {run} steps={steps} optimizer.lr={lr} eval.every=10%").code == 0
        shown = sorted_by_all(tmp_path)
        assert (shown["optimizer.lr"], shown["eval.every"]) == ([lr], ["10%"])
