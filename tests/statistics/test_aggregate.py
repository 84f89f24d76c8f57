"""Interquartile means and their bands: against scipy and an analysis by hand."""

import math

import numpy as np
import pytest

from optbench.statistics.aggregate import iqm, iqm_bands, leave_one_out


def scores(seeds: int = 10, shift: float = 0.05) -> dict[str, dict[str, dict[int, float]]]:
    """Two optimizers on three workloads, where a seed's luck is the same for both."""
    random = np.random.default_rng(0)
    luck = {w: random.normal(0, 1, seeds) for w in "xyz"}
    return {
        arm: {
            w: {s: float(luck[w][s] + better + random.normal(0, 0.01)) for s in range(seeds)}
            for w in "xyz"
        }
        for arm, better in (("a", shift), ("b", 0.0))
    }


def test_the_interquartile_mean_is_scipys_trimmed_mean() -> None:
    stats = pytest.importorskip("scipy.stats")
    for many in (1, 3, 4, 7, 30):
        values = np.random.default_rng(many).normal(size=many)
        assert iqm(values) == pytest.approx(stats.trim_mean(values, 0.25), rel=1e-12)


def test_it_is_of_all_runs_of_all_workloads() -> None:
    given = scores()
    found = iqm_bands(given)
    pooled = [v for each in given["a"].values() for v in each.values()]
    assert found.arms["a"].value == pytest.approx(iqm(pooled)) and found.runs == 30
    one, other = found.arms["a"], found.arms["b"]
    assert found.differences["a", "b"].value == pytest.approx(one.value - other.value)
    assert one.low < one.value < one.high


def test_seeds_stay_paired_so_that_luck_cancels() -> None:
    found = iqm_bands(scores())
    wide, narrow = found.arms["a"], found.differences["a", "b"]
    assert narrow.high - narrow.low < 0.1 * (wide.high - wide.low)
    assert narrow.low > 0


def test_the_band_is_the_percentiles_of_seeds_drawn_within_workloads() -> None:
    """Against a bootstrap in plain loops, with another generator."""
    given, random = scores(), np.random.default_rng(99)
    draws = [
        iqm([given["a"][w][s] for w in "xyz" for s in random.integers(0, 10, 10)])
        for _ in range(2000)
    ]
    found = iqm_bands(given).arms["a"]
    assert (found.low, found.high) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.05)


def test_the_same_seed_draws_the_same_and_nobody_elses_generator_moves() -> None:
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    assert iqm_bands(scores(), draws=50) == iqm_bands(scores(), draws=50)
    assert iqm_bands(scores(), draws=50) != iqm_bands(scores(), draws=50, seed=1)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index,union-attr]


def test_seeds_that_one_lacks_are_left_out() -> None:
    given = scores()
    given["a"]["x"][77] = 1e6
    assert iqm_bands(given) == iqm_bands(scores())


def test_what_can_not_be_put_together_is_refused() -> None:
    for bad, said in [
        ({"a": {"x": {0: 1.0}}, "b": {"y": {0: 1.0}}}, "same workloads"),
        ({"a": {"x": {0: 1.0}}, "b": {"x": {1: 1.0}}}, "no seed of x"),
        ({"a": {"x": {0: math.nan}}}, "of x not all are finite"),
        ({}, "same workloads"),
    ]:
        with pytest.raises(ValueError, match=said):
            iqm_bands(bad)


def test_leaving_one_out_shows_a_workload_that_decides() -> None:
    given = {"a": {"x": 0.9, "y": 0.8, "z": 0.0}, "b": {"x": 0.8, "y": 0.7, "z": 0.9}}
    orders = leave_one_out(
        "xyz", lambda left: {arm: sum(each[w] for w in left) for arm, each in given.items()}
    )
    assert orders == {"x": ["b", "a"], "y": ["b", "a"], "z": ["a", "b"]}
    with pytest.raises(ValueError, match="at least 2"):
        leave_one_out(["x"], lambda left: {})
