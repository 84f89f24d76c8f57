"""Performance profiles: by hand, and as AlgoPerf's scoring has them."""

import itertools
import math

import numpy as np
import pytest

from optbench.statistics.profiles import performance_profiles


def test_a_curve_counts_workloads_within_tau_times_the_fastest() -> None:
    found = performance_profiles(
        {"a": {"x": 10, "y": 30, "z": 5}, "b": {"x": 25, "y": 10, "z": None}}
    )
    assert found.ratios == {
        "a": {"x": 1, "y": 3, "z": 1},
        "b": {"x": 2.5, "y": 1, "z": math.inf},
    }
    assert found.taus == pytest.approx(np.linspace(1, 4, 100))
    curve = dict(zip(found.taus, found.curves["a"], strict=True))
    assert {t: v for t, v in curve.items() if t < 3} == {t: 2 / 3 for t in curve if t < 3}
    assert found.curves["a"][-1] == 1 and found.curves["b"][-1] == 2 / 3


def test_the_score_is_the_trapezoids_of_all_curves_over_three() -> None:
    random = np.random.default_rng(0)
    times = {a: {w: float(random.lognormal()) for w in "pqrst"} for a in "abc"}
    found = performance_profiles(times)
    for arm in times:
        ratios = [times[arm][w] / min(times[b][w] for b in times) for w in "pqrst"]
        curve = [sum(r <= tau for r in ratios) / 5 for tau in np.linspace(1, 4, 100)]
        score = sum((a + b) / 2 for a, b in itertools.pairwise(curve)) * (3 / 99) / 3
        assert found.scores[arm] == pytest.approx(score, rel=1e-12)


def test_over_four_times_the_fastest_is_not_solved() -> None:
    found = performance_profiles({"a": {"x": 10}, "b": {"x": 40}, "c": {"x": 40.1}})
    assert found.ratios["b"]["x"] == 4 and found.ratios["c"]["x"] == math.inf
    assert found.scores["b"] > 0 == found.scores["c"]


def test_a_miss_is_never_a_success() -> None:
    """NaN would be less than no time, and of a workload that nobody solves all are as bad."""
    found = performance_profiles({"a": {"x": math.nan, "y": None}, "b": {"x": 7, "y": math.inf}})
    assert found.scores == {"a": 0.0, "b": 0.5}


@pytest.mark.parametrize(
    "bad", [{}, {"a": {}}, {"a": {"x": 1}, "b": {"y": 1}}, {"a": {"x": 0}}, {"a": {"x": -1}}]
)
def test_what_can_not_be_compared_is_refused(bad: dict[str, dict[str, float]]) -> None:
    with pytest.raises(ValueError):
        performance_profiles(bad)
