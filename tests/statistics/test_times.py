"""The rank test of times to target: against scipy and all divisions, and how often it is wrong."""

import itertools
import math

import numpy as np
import pytest

from optbench.statistics.times import rank_test


def divided(first: list[float], second: list[float]) -> float:
    """The p of all ways to divide the runs, by ranks that ties share."""
    every = first + second
    ranks = [sum(o < x for o in every) + (sum(o == x for o in every) + 1) / 2 for x in every]
    centre = len(first) * (len(every) + 1) / 2
    seen = abs(sum(ranks[: len(first)]) - centre)
    sums = [
        abs(sum(ranks[i] for i in chosen) - centre) >= seen - 1e-9
        for chosen in itertools.combinations(range(len(every)), len(first))
    ]
    return sum(sums) / len(sums)


@pytest.mark.parametrize(("one", "other"), [(1, 1), (3, 4), (5, 5), (6, 2)])
def test_it_counts_all_divisions(one: int, other: int) -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        times = [math.inf if t > 6 else float(t) for t in random.integers(1, 9, one + other)]
        first, second = times[:one], times[one:]
        assert rank_test(first, second) == pytest.approx(divided(first, second), rel=1e-12)


def test_without_ties_it_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for one, other in [(5, 5), (10, 10), (4, 20), (30, 25)]:
        random = np.random.default_rng(one)
        first, second = list(random.random(one)), list(random.random(other) + 0.2)
        theirs = stats.mannwhitneyu(first, second, method="exact").pvalue
        assert rank_test(first, second) == pytest.approx(theirs, rel=1e-9)


def test_misses_are_behind_all_and_tied() -> None:
    first, second = [10.0, 20.0, 30.0], [15.0, None, math.nan]
    assert rank_test(first, second) == divided([10, 20, 30], [15, math.inf, math.inf])
    assert rank_test(second, first) == rank_test(first, second)
    assert rank_test([None] * 5, [math.inf] * 5) == 1.0
    assert rank_test([1.0] * 5, [None] * 5) == 2 / math.comb(10, 5)


@pytest.mark.parametrize("bad", [[], [-1.0]])
def test_what_is_no_time_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="second: "):
        rank_test([1.0], bad)


def test_it_is_seldom_wrong_and_finds_half_the_time() -> None:
    """With three runs in ten that miss, 10 of each: below 5 %, and some 80 %."""
    random = np.random.default_rng(0)

    def called(faster: float) -> float:
        found = 0
        for _ in range(600):
            first, second = random.lognormal(0, 0.6, 10) * faster, random.lognormal(0, 0.6, 10)
            late = math.exp(0.6 * 0.5244)  # 30 % of one as slow as the second
            found += (
                rank_test(*[[t if t < late else None for t in each] for each in (first, second)])
                <= 0.05
            )
        return found / 600

    assert called(1.0) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 600)
    assert called(0.5) > 0.5
