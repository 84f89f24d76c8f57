"""optbench.monitor.hparams, read as TensorBoard's plugin reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from optbench.monitor import hparams
from optbench.monitor.hparams import end_summary, metric_tags, start_summaries
from optbench.monitor.tensorboard import TensorBoard, write_anew

COLUMNS = {"model": "text", "optimizer.lr": "number", "nesterov": "bool", "clip.norm": "number"}
METRICS = ["val/loss", "train/loss"]


def plugin_data(folder: Path, tag: str) -> Any:
    found = EventAccumulator(str(folder))
    found.Reload()
    content = found.SummaryMetadata(tag).plugin_data.content
    return plugin_data_pb2.HParamsPluginData.FromString(content)


@pytest.mark.parametrize(
    ("target", "sets", "tags"),
    [
        (None, ("val",), ["val/loss", "val/perplexity"]),
        ("test/perplexity", ("test",), ["test/perplexity", "test/loss"]),
        (
            "val/perplexity",
            ("val", "test"),
            ["val/perplexity", "val/loss", "test/loss", "test/perplexity"],
        ),
    ],
)
def test_the_metrics_are_the_tasks(target: str | None, sets: list[str], tags: list[str]) -> None:
    task = ("val/loss", ("loss", "perplexity"))
    assert metric_tags(task, target, sets, ["model"]) == [*tags, "train/loss"]


def test_each_player_has_a_loss() -> None:
    found = metric_tags(("val/distance", ("distance",)), None, ["val"], ["a", "b"])
    assert found == ["val/distance", "train/loss/a", "train/loss/b"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    board = TensorBoard(tmp_path)
    values = {"model": "mlp", "optimizer.lr": 0.1, "nesterov": True}
    for summary in start_summaries(values, COLUMNS, METRICS, started=5.0):
        board.write_summary(summary)
    board.write_summary(end_summary("finished"))
    board.close()
    return tmp_path


def test_the_plugin_finds_the_values(run: Path) -> None:
    session = plugin_data(run, metadata.SESSION_START_INFO_TAG).session_start_info
    assert session.hparams["model"].string_value == "mlp"
    assert session.hparams["optimizer.lr"].number_value == 0.1
    assert session.hparams["nesterov"].bool_value is True
    assert "clip.norm" not in session.hparams
    assert session.start_time_secs == 5.0


def test_the_plugin_finds_the_columns(run: Path) -> None:
    experiment = plugin_data(run, metadata.EXPERIMENT_TAG).experiment
    types = {info.name: info.type for info in experiment.hparam_infos}
    assert types == {
        "model": api_pb2.DATA_TYPE_STRING,
        "optimizer.lr": api_pb2.DATA_TYPE_FLOAT64,
        "nesterov": api_pb2.DATA_TYPE_BOOL,
        "clip.norm": api_pb2.DATA_TYPE_FLOAT64,
    }
    assert [info.name.tag for info in experiment.metric_infos] == METRICS


def test_values_written_anew_take_the_place_of_the_first(run: Path) -> None:
    for lr in (0.2, 0.3):
        values = {"model": "mlp", "optimizer.lr": lr}
        write_anew(run, start_summaries(values, COLUMNS, METRICS, started=5.0))
    session = plugin_data(run, metadata.SESSION_START_INFO_TAG).session_start_info
    assert session.hparams["optimizer.lr"].number_value == 0.3
    assert len(list(run.iterdir())) == 2


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("finished", api_pb2.STATUS_SUCCESS),
        ("stopped_early", api_pb2.STATUS_SUCCESS),
        ("diverged", api_pb2.STATUS_FAILURE),
        ("preempted", api_pb2.STATUS_FAILURE),
    ],
)
def test_how_the_run_ended(tmp_path: Path, state: str, status: int) -> None:
    board = TensorBoard(tmp_path)
    board.write_summary(end_summary(state))
    board.close()
    ended = plugin_data(tmp_path, metadata.SESSION_END_INFO_TAG).session_end_info
    assert ended.status == status


@pytest.mark.parametrize(
    "name",
    [
        "PLUGIN_NAME",
        "PLUGIN_DATA_VERSION",
        "EXPERIMENT_TAG",
        "SESSION_START_INFO_TAG",
        "SESSION_END_INFO_TAG",
    ],
)
def test_the_constants_are_the_plugins(name: str) -> None:
    assert getattr(hparams, name) == getattr(metadata, name)
