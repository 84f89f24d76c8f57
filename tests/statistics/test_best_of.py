"""The expected best of n trials: against all searches that could have been."""

import itertools
import math

import numpy as np
import pytest

from optbench.statistics.best_of import expected_best

VALUES = [0.71, 0.93, 0.88, 0.93, 0.12, 0.5]


@pytest.mark.parametrize("higher", [True, False])
def test_without_replacement_it_is_the_mean_over_all_sets_of_trials(higher: bool) -> None:
    best = max if higher else min
    found = expected_best(VALUES, higher)
    for n, expected in zip(found.trials, found.expected, strict=True):
        every = [best(chosen) for chosen in itertools.combinations(VALUES, n)]
        assert expected == pytest.approx(sum(every) / len(every), rel=1e-12)
    assert found.trials == (1, 2, 3, 4, 5, 6) and found.expected[-1] == best(VALUES)


def test_with_replacement_it_is_dodges() -> None:
    found = expected_best(VALUES[:4], True, replacement=True)
    for n, expected in zip(found.trials, found.expected, strict=True):
        every = [max(drawn) for drawn in itertools.product(VALUES[:4], repeat=n)]
        assert expected == pytest.approx(sum(every) / len(every), rel=1e-12)


def test_between_low_and_high_end_most_searches() -> None:
    values = list(np.random.default_rng(0).random(20))
    found = expected_best(values, False)
    for n in (1, 3):
        every = sorted(min(chosen) for chosen in itertools.combinations(values, n))
        low, high = found.low[n - 1], found.high[n - 1]
        assert low <= found.expected[n - 1] <= high
        inside = sum(low <= v <= high for v in every) / len(every)
        assert 0.8 <= inside < 0.95
        assert sum(v < low for v in every) / len(every) <= 0.1 + 1e-9
        assert sum(v > high for v in every) / len(every) <= 0.1 + 1e-9
    assert found.low[-1] == found.high[-1] == min(values)


@pytest.mark.parametrize("failed", [None, math.nan, math.inf, -math.inf])
def test_a_trial_that_failed_is_as_bad_as_the_worst(failed: float | None) -> None:
    assert expected_best([0.5, failed, 0.9], True) == expected_best([0.5, 0.5, 0.9], True)
    assert expected_best([0.5, failed, 0.9], False) == expected_best([0.5, 0.9, 0.9], False)


def test_a_thousand_trials_are_no_trouble() -> None:
    values = list(np.random.default_rng(0).random(1000))
    found = expected_best(values, True)
    assert found.expected[0] == pytest.approx(np.mean(values))
    assert found.expected[8] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("bad", [[], [None, math.nan]])
def test_without_a_trial_there_is_no_best(bad: list[float | None]) -> None:
    with pytest.raises(ValueError, match="a trial that did not fail"):
        expected_best(bad, True)
