"""Student's interval and Wilcoxon's test: against scipy, and sign by sign."""

import itertools
import math

import numpy as np
import pytest

from optbench.statistics.paired import mid_ranks, t_interval, wilcoxon_test

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_scipys(confidence: float) -> None:
    for pairs in range(2, 6):
        differences = list(np.random.default_rng(pairs).normal(0.3, 1.0, pairs))
        theirs = stats.ttest_1samp(differences, 0.0).confidence_interval(confidence)
        assert t_interval(differences, confidence) == pytest.approx(theirs, rel=1e-12)


def test_differences_that_are_one_and_the_same_leave_no_width() -> None:
    assert t_interval([0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("bad", [[], [1.0], [1.0, math.nan], [[1.0], [2.0]]])
def test_an_interval_takes_two_numbers(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="differences: "):
        t_interval(bad)


def test_wilcoxon_is_scipys_where_nothing_ties() -> None:
    for pairs in (1, 5, 9, 17, 26):
        differences = list(np.random.default_rng(pairs).normal(0.4, 1.0, pairs))
        theirs = stats.wilcoxon(differences, method="exact").pvalue
        assert wilcoxon_test(differences) == pytest.approx(theirs, rel=1e-12)


def test_wilcoxon_with_ties_and_zeros_counts_all_signs_of_their_ranks() -> None:
    differences = [1.0, 1.0, -1.0, 2.0, 0.0, 2.0, 5.0, 0.0]
    ranks = [
        d and math.copysign(r, d)
        for d, r in zip(differences, [4, 4, 4, 6.5, 0, 6.5, 8, 0], strict=True)
    ]
    far = [
        abs(sum(s * r for s, r in zip(signs, ranks, strict=True))) >= abs(sum(ranks))
        for signs in itertools.product((1, -1), repeat=8)
    ]
    assert wilcoxon_test(differences) == sum(far) / 256


def test_wilcoxon_does_not_see_how_far_a_difference_is() -> None:
    assert wilcoxon_test([1, 2, 3, 4, 5, 6, 7]) == wilcoxon_test([1, 2, 3, 4, 5, 6, 7e6]) == 2 / 128


def test_wilcoxon_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="not all are finite"):
        wilcoxon_test([1.0, math.inf])


def test_ranks_are_scipys() -> None:
    for seed in range(5):
        values = list(np.random.default_rng(seed).integers(0, 6, 12).astype(float)) + [math.inf] * 2
        assert mid_ranks(values).tolist() == stats.rankdata(values).tolist()
