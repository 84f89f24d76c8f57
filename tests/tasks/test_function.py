"""The task of test functions."""

from __future__ import annotations

import pytest
import torch

from optbench.models.functions.classical import Beale
from optbench.models.functions.noisy_quadratic import NoisyQuadratic
from optbench.models.functions.quadratic import Quadratic
from optbench.tasks.function import Function


def test_the_loss_is_the_mean_value_and_has_its_gradient() -> None:
    task, function = Function((2,)), Beale()
    loss = task.loss({"model": function}, (torch.zeros(5, 2),), "model")
    assert loss.item() == pytest.approx(14.203125)
    loss.backward()
    assert function.x.grad is not None and function.x.grad.tolist() == [0.0, 27.75]


def test_scores_are_sums_of_the_loss_the_gap_the_distance_and_the_point() -> None:
    task, function = Function((2,)), Quadratic(dim=2, eigenvalues=[1.0, 9.0], start=[3.0, -4.0])
    with torch.no_grad():
        scores = task.score({"model": function}, (torch.zeros(2, 2),))
    means = {name: value.item() / 2 for name, value in scores.items()}
    assert means == {"loss": 76.5, "loss_gap": 76.5, "distance": 5.0, "x0": 3.0, "x1": -4.0}
    assert tuple(scores) == task.metrics


def test_noise_is_in_the_loss_and_not_in_the_gap() -> None:
    task, function = Function((3,)), NoisyQuadratic(dim=3)
    noise = torch.ones(4, 3)
    with torch.no_grad():
        scores = task.score({"model": function}, (noise,))
        without = task.score({"model": function}, (torch.zeros(4, 3),))
    assert scores["loss"] == 0 < without["loss"]
    assert scores["loss_gap"] == without["loss_gap"] == without["loss"]


def test_only_a_point_that_can_be_drawn_is_among_the_scores() -> None:
    assert Function((1,)).metrics == ("loss", "loss_gap", "distance", "x0")
    assert Function((3,)).metrics == ("loss", "loss_gap", "distance")


def test_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \[1, 8, 8\] .* take the dataset draws"):
        Function((1, 8, 8))
