"""What a config may name, whoever wrote it."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.runs.trust import foreign


@pytest.mark.parametrize(
    ("task", "keys"),
    [
        ({"loss": {"_target_": "torch.nn.HuberLoss", "arguments": {"delta": 2.0}}}, []),
        ({"loss": {"_target_": None, "arguments": None}}, []),
        ({"loss": "cross_entropy"}, []),
        ({"loss": {"_target_": "torch.nn.Linear"}}, ["task.loss._target_"]),
        ({"loss": {"_target_": "torch.nn.modules.loss.HuberLoss"}}, ["task.loss._target_"]),
        ({"loss": {"_target_": "os.system"}}, ["task.loss._target_"]),
        (
            {
                "loss": {
                    "_target_": "torch.nn.NLLLoss",
                    "arguments": {"w": {"_target_": "os.abort"}},
                }
            },
            ["task.loss.arguments.w._target_"],
        ),
        ({"_target_": "mine.Task", "arguments": None}, ["task._target_"]),
    ],
)
def test_losses_of_torch_are_anybodys(task: dict[str, Any], keys: list[str]) -> None:
    assert [key for key, _ in foreign({"task": task})] == keys


@pytest.mark.parametrize("split", ["arguments", "train", "val", "test"])
def test_arguments_of_a_data_set_name_no_classes(split: str) -> None:
    node = {"_target_": "optbench.data.digits.digits", split: {"transform": {"_target_": "a.b"}}}
    assert list(foreign({"dataset": node})) == [(f"dataset.{split}.transform._target_", "a.b")]


@pytest.mark.parametrize(
    ("sinks", "keys"),
    [
        (["csv", {"_target_": "csv"}], []),
        (["wandb"], ["monitor.sinks[0]"]),
        (["csv", {"_target_": "mlflow"}], ["monitor.sinks[1]._target_"]),
        ([{"_target_": "mine.Sink"}], ["monitor.sinks[0]._target_"]),
    ],
)
def test_a_strangers_measurements_go_to_files_only(sinks: list[Any], keys: list[str]) -> None:
    assert [key for key, _ in foreign({"monitor": {"sinks": sinks}})] == keys


def test_no_path_leads_through_an_instruments_module() -> None:
    bad = ["os.system", "optbench.instruments.look.torch.hub.load", {"_target_": "a.Own"}]
    good = ["economy", {"_target_": "noise_scale", "examples": 3}]
    found = foreign({"probe": {"instruments": [*good, *bad]}})
    keys = ("probe.instruments[2]", "probe.instruments[3]", "probe.instruments[4]._target_")
    assert tuple(key for key, _ in found) == keys
