"""A run as TensorBoard itself reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

from optbench.rundir import RunDir

from .program import SMALL, call, records, train

HParams = dict[str, Any]


def read(folder: RunDir) -> EventAccumulator:
    events = EventAccumulator(str(folder.tensorboard), {"tensors": 0, "scalars": 0})
    events.Reload()
    return events


def scalars(events: EventAccumulator) -> set[tuple[str, int]]:
    """All tags and steps."""
    return {(tag, event.step) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)}


def hparams(events: EventAccumulator) -> HParams:
    """The records of the HParams dashboard, by their tags."""
    found = {}
    for tag, content in events.PluginTagToContent(metadata.PLUGIN_NAME).items():
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        found[tag] = getattr(data, str(data.WhichOneof("data")))
    return found


@pytest.fixture(scope="module")
def folder(shared_place: Path) -> RunDir:
    line = "epochs=1 monitor.every=10 monitor.histograms=20 optimizer.lr=0.01 schedule=cosine"
    return train(line, shared_place / "run")


def test_every_metric_is_a_scalar(folder: RunDir) -> None:
    events = read(folder)
    expected = {
        (tag, record["step"]): value
        for record in folder.read_metrics()
        for tag, value in record.items()
        if "/" in tag
    }
    found = {
        (tag, event.step): event.value
        for tag in events.Tags()["scalars"]
        for event in events.Scalars(tag)
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_tags_that_dashboards_are_made_of(folder: RunDir) -> None:
    wanted = {
        *("train/loss", "val/loss", "val/accuracy", "test/loss", "test/accuracy", "lr/model"),
        *("grad_norm/total", "grad_norm/head.weight", "update_ratio/total"),
        *("update_ratio/head.bias", "param_norm/total", "throughput/examples_per_second"),
        "memory/peak_mib",
    }
    assert wanted <= set(read(folder).Tags()["scalars"])


def test_histograms_of_parameters_and_gradients(folder: RunDir) -> None:
    events = read(folder)
    assert set(events.Tags()["histograms"]) == {
        f"{kind}/{name}"
        for kind in ("parameters", "gradients")
        for name in ("blocks.0.0.weight", "blocks.0.0.bias", "head.weight", "head.bias")
    }
    (histogram,) = events.Histograms("parameters/head.weight")
    assert histogram.step == 20
    assert histogram.histogram_value.num == 80


def test_the_hyperparameters_of_a_run(folder: RunDir) -> None:
    found = hparams(read(folder))
    columns = {info.name for info in found[metadata.EXPERIMENT_TAG].hparam_infos}
    metrics = {info.name.tag for info in found[metadata.EXPERIMENT_TAG].metric_infos}
    values = found[metadata.SESSION_START_INFO_TAG].hparams
    assert columns == set(values)
    assert {"optimizer", "optimizer.lr", "schedule", "seed", "epochs"} <= columns
    assert {"val/accuracy", "val/loss", "test/accuracy"} <= metrics
    assert values["optimizer"].string_value == "adamw"
    assert values["schedule"].string_value == "cosine"
    assert values["optimizer.lr"].number_value == 0.01
    assert found[metadata.SESSION_END_INFO_TAG].status == api_pb2.STATUS_SUCCESS


def test_the_hyperparameters_of_players(workplace: Path) -> None:
    chosen = "model=dcgan dataset=digits model.width=4 player.generator.optimizer=sgd"
    line = f"train {chosen} steps=1 batch_size=8 threads=1 device=cpu hydra.run.dir=run"
    assert call(line).code == 0
    found = hparams(read(RunDir(workplace / "run")))
    columns = {info.name: info.differs for info in found[metadata.EXPERIMENT_TAG].hparam_infos}
    metrics = [info.name.tag for info in found[metadata.EXPERIMENT_TAG].metric_infos]
    values = found[metadata.SESSION_START_INFO_TAG].hparams
    assert not {"optimizer", "optimizer.lr", "schedule"} & set(columns)
    assert values["player.generator.optimizer"].string_value == "sgd"
    assert values["player.discriminator.optimizer.lr"].number_value == 2e-4
    assert columns["player.generator.optimizer"]
    assert metrics[0] == "val/sliced_wasserstein"
    assert metrics[-2:] == ["train/loss/discriminator", "train/loss/generator"]


def test_a_run_that_diverges_is_a_failure_in_the_table(workplace: Path) -> None:
    call(f"train {SMALL} optimizer=sgd optimizer.lr=1e30 steps=5 hydra.run.dir=run")
    found = hparams(read(RunDir(workplace / "run")))
    assert found[metadata.SESSION_END_INFO_TAG].status == api_pb2.STATUS_FAILURE


def test_the_runs_of_a_sweep_have_the_same_columns(workplace: Path) -> None:
    grid = "optimizer=sgd,adamw seed=0,1 steps=1 hydra.sweep.dir=sweep"
    assert call(f"train -m {SMALL} {grid}").code == 0
    columns = [hparams(read(RunDir(workplace / "sweep" / str(run)))) for run in range(4)]
    names = [
        [info.name for info in found[metadata.EXPERIMENT_TAG].hparam_infos] for found in columns
    ]
    assert set(names[0]) >= {"optimizer", "optimizer.lr", "optimizer.weight_decay", "seed"}
    assert [set(found) - set(names[0]) for found in names] == [set()] * 4


def test_a_resumed_run_has_every_event_once(workplace: Path, folder: RunDir) -> None:
    line = "epochs=1 monitor.every=10 optimizer.lr=0.01"
    short = train(line, workplace / "short")
    assert call(f"resume {short.path} epochs=2").code == 0
    whole = train(line.replace("epochs=1", "epochs=2"), workplace / "whole")
    for tag in read(short).Tags()["scalars"]:
        steps = [event.step for event in read(short).Scalars(tag)]
        assert steps == sorted(set(steps))
    assert scalars(read(short)) == scalars(read(whole))
    assert len(records(short, "test")) == 1


def test_a_run_without_tensorboard_has_no_events(workplace: Path) -> None:
    folder = train("steps=1 monitor.tensorboard=false", workplace / "run")
    assert not folder.tensorboard.exists()
