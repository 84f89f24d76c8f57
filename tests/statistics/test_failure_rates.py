"""Failure rates: Wilson's interval by its formula, and tests of two rates by all tables."""

import math

import pytest

from optbench.statistics.rates import failure_rate, rates_test

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize(("failed", "runs"), [(0, 10), (3, 10), (10, 10), (1, 1), (7, 200)])
def test_the_interval_is_where_the_score_is_as_far_as_allowed(failed: int, runs: int) -> None:
    z, share = 1.959963984540054, failed / runs
    middle = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = math.sqrt(share * (1 - share) / runs + z * z / (4 * runs**2)) * z / (1 + z * z / runs)
    found = failure_rate(failed, runs)
    assert found.share == share
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_fishers_is_the_sum_of_tables_no_likelier() -> None:
    tables = [math.comb(10, k) * math.comb(10, 5 - k) / math.comb(20, 5) for k in range(6)]
    expected = sum(t for t in tables if t <= tables[0] * (1 + 1e-9))
    assert rates_test((0, 10), (5, 10), test="fisher") == pytest.approx(expected)


def test_boschloos_is_the_worst_rate_of_fishers_rejections() -> None:
    """At any common rate, how often Fisher's one-sided p is as small; the worst, times two."""
    ways = {
        (i, j): float(stats.hypergeom.cdf(i, 20, i + j, 10)) for i in range(11) for j in range(11)
    }
    small = [table for table, p in ways.items() if p <= ways[0, 4] + 1e-12]
    worst = max(
        sum(
            math.comb(10, i) * math.comb(10, j) * r ** (i + j) * (1 - r) ** (20 - i - j)
            for i, j in small
        )
        for r in [k / 1000 for k in range(1, 1000)]
    )
    assert rates_test((0, 10), (4, 10)) == pytest.approx(2 * worst, abs=1e-4)
    assert rates_test((0, 10), (4, 10)) < 0.05 < rates_test((0, 10), (4, 10), test="fisher")


def test_equal_rates_do_not_differ() -> None:
    assert rates_test((0, 10), (0, 10)) == rates_test((10, 10), (4, 4)) == 1.0
    assert rates_test((2, 10), (2, 10)) == pytest.approx(1.0)
    assert rates_test((1, 10), (6, 9)) == pytest.approx(rates_test((6, 9), (1, 10)))


@pytest.mark.parametrize(("failed", "runs"), [(0, 0), (3, 2), (-1, 4)])
def test_what_is_no_rate_is_refused(failed: int, runs: int) -> None:
    with pytest.raises(ValueError, match=f"{failed} of {runs}"):
        failure_rate(failed, runs)
    with pytest.raises(ValueError, match=f"{failed} of {runs}"):
        rates_test((1, 2), (failed, runs))
