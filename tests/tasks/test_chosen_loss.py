"""Losses that stand in a task's place of its own, against torch's own means."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.assemble.own_loss import chosen_loss
from optbench.errors import UserError
from optbench.tasks.base import Task
from optbench.tasks.chosen_loss import mean_loss
from optbench.tasks.classification import Classification
from optbench.tasks.regression import Regression

IDENTITY = {"model": nn.Identity()}


def named(path: str, **arguments: Any) -> Any:
    return chosen_loss({"loss": {"_target_": path, "arguments": arguments or None}})


def absolute(outputs: Tensor, targets: Tensor, power: float = 1.0) -> Tensor:
    return (outputs - targets).abs().pow(power).mean()


HERE = __name__
REGRESSION = [
    ("torch.nn.HuberLoss", {"delta": 0.3}, nn.HuberLoss(delta=0.3)),
    ("torch.nn.L1Loss", {}, nn.L1Loss()),
    ("torch.nn.MSELoss", {}, nn.MSELoss()),
    ("torch.nn.SmoothL1Loss", {}, nn.SmoothL1Loss()),
    (f"{HERE}.absolute", {"power": 2.0}, nn.MSELoss()),
    (f"{HERE}.absolute", {}, nn.L1Loss()),
]
SMOOTH = {"label_smoothing": 0.1}
CLASSIFICATION = [
    (
        "torch.nn.CrossEntropyLoss",
        {"label_smoothing": 0.1},
        nn.CrossEntropyLoss(label_smoothing=0.1),
    ),
    ("torch.nn.MultiMarginLoss", {"margin": 0.5}, nn.MultiMarginLoss(margin=0.5)),
    ("torch.nn.NLLLoss", {}, nn.NLLLoss()),
]


def regression_batch() -> tuple[Tensor, Tensor]:
    return torch.randn(6, 3), torch.randn(6, 3)


def labelled_batch() -> tuple[Tensor, Tensor]:
    return torch.randn(6, 3), torch.tensor([0, 2, 1, 0, 1, 2])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("task", "batch", "row"),
    [
        *((Regression, regression_batch, row) for row in REGRESSION),
        *((Classification, labelled_batch, row) for row in CLASSIFICATION),
    ],
)
def test_training_and_score_are_torchs_mean(task: Any, batch: Any, row: Any) -> None:
    path, arguments, torchs = row
    chosen: Task = task(loss=named(path, **arguments))
    data = batch()
    close(chosen.loss(IDENTITY, data, "model"), torchs(*data))
    close(chosen.score(IDENTITY, data)["loss"], torchs(*data) * 6)


def test_parts_of_a_batch_make_the_whole_with_class_weights() -> None:
    loss = named("torch.nn.CrossEntropyLoss", weight=[1.0, 2.0, 5.0])
    outputs, targets = labelled_batch()
    parts = [mean_loss(loss, outputs[a:b], targets[a:b]) * (b - a) for a, b in ((0, 2), (2, 6))]
    close(sum(parts, torch.zeros(())) / 6, mean_loss(loss, outputs, targets))
    weights = torch.tensor([1.0, 2.0, 5.0])[targets]
    close(
        mean_loss(loss, outputs, targets),
        (weights * nn.CrossEntropyLoss(reduction="none")(outputs, targets)).mean(),
    )


def test_single_numbers_are_rows_of_one() -> None:
    outputs, targets = torch.randn(5, 1), torch.randn(5, dtype=torch.float64)
    expected = (outputs[:, 0] - targets.float()).square().mean()
    close(Regression().loss(IDENTITY, (outputs, targets), "model"), expected)
    close(Regression().score(IDENTITY, (outputs, targets))["loss"], expected * 5)
    with pytest.raises(ValueError, match=r"numbers \[5, 2\], the targets are \[5, 1\]"):
        Regression().score(IDENTITY, (torch.randn(5, 2), targets))


def test_nothing_named_is_the_tasks_own() -> None:
    assert chosen_loss({"loss": {"_target_": None, "arguments": None}}) is None


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        ("torch.nn.HuberLoss", {"reduction": "sum"}, "reduction: it is always the mean"),
        (
            "torch.nn.HuberLoss",
            {"delt": 1},
            "takes none of this name; did you mean delta",
        ),
        ("torch.nn.HuberLoss", {"_x_": 1}, "no argument begins with _"),
        ("torch.nn.Hubert", {}, "torch.nn has no Hubert"),
        (None, {"delta": 1}, "of which loss"),
    ],
)
def test_what_is_refused(path: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        named(path, **arguments)


def test_a_loss_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="gives \\[2\\], not a number for each of 3"):
        mean_loss(lambda outputs, targets: torch.zeros(2), torch.zeros(3, 1), torch.zeros(3, 1))
