"""Which numbers are scores, who comes where, and in what unit it is said."""

from __future__ import annotations

import math

import pytest

from optbench.statistics import is_score, mean_bands, places, unit_of


@pytest.mark.parametrize(
    ("value", "good"),
    [(0.0, True), (-1e150, True), (1.1e150, False), (math.inf, False), (math.nan, False)],
)
def test_a_score_can_be_squared(value: float, good: bool) -> None:
    assert is_score(value) is good


def test_places_are_by_means_and_who_fails_at_half_is_behind() -> None:
    scores = {"a": [0.7, 0.9], "b": [0.95, None], "c": [0.8, 0.8], "d": [None, None]}
    assert places(scores, higher_is_better=True) == {"a": 1, "b": 3, "c": 1, "d": 4}
    losses = {"a": [0.7, 0.9], "b": [0.1, 0.2, None], "c": [0.75, 0.8]}
    assert places(losses, higher_is_better=False) == {"a": 3, "b": 1, "c": 2}


@pytest.mark.parametrize(
    ("metric", "scores", "scale"),
    [
        ("test/accuracy", [0.5, 1.0], 100),
        ("test/accuracy", [0.5, 93.0], 1),
        ("val/loss", [0.5], 1),
    ],
)
def test_accuracies_that_are_parts_of_one_are_said_in_points(
    metric: str, scores: list[float], scale: float
) -> None:
    assert unit_of(metric, scores).scale == scale


def test_each_workload_weighs_the_same_in_a_mean() -> None:
    scores = {
        "a": {"x": dict.fromkeys(range(9), 1.0), "y": {0: 0.0}},
        "b": {"x": dict.fromkeys(range(9), 0.0), "y": {0: 1.0}},
    }
    found = mean_bands(scores)
    assert found.arms["a"].value == found.arms["b"].value == 0.5
    assert found.differences["a", "b"].value == 0.0 and found.runs == 10
