"""How often runs fail: a rate with its interval, and whether two differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optbench.statistics.scipys import stats


@dataclass(frozen=True)
class Rate:
    """So many of so many, and Wilson's interval of the rate behind them."""

    failed: int
    runs: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Return the part that failed."""
        return self.failed / self.runs


def failure_rate(failed: int, runs: int, confidence: float = 0.95) -> Rate:
    """Return a rate with its interval (Wilson 1927), which is none too sure at 0 of 10.

    Raises:
        ValueError: no runs, or more failures than runs.
        UserError: scipy is missing.

    Example:
        >>> round(failure_rate(0, 10).high, 3)
        0.278
    """
    _check(failed, runs)
    found = stats().binomtest(failed, runs).proportion_ci(confidence, method="wilson")
    return Rate(failed, runs, float(found.low), float(found.high))


def rates_test(
    first: tuple[int, int],
    second: tuple[int, int],
    test: Literal["boschloo", "fisher"] = "boschloo",
) -> float:
    """Return the two-sided p that two rates of failures are one.

    Boschloo's test (1970) is exact where two numbers of runs are given, as here. Fisher's supposes
    that the number of failures is given too, and is weaker: 0 and 4 failures of 10 runs each
    differ by Boschloo's (p = 0.042), not by Fisher's (0.087).

    Args:
        first: how many failed, of how many.
        second: the same of the other.

    Example:
        >>> round(rates_test((0, 10), (5, 10), test="fisher"), 4)
        0.0325
    """
    for failed, runs in (first, second):
        _check(failed, runs)
    table = [[first[0], second[0]], [first[1] - first[0], second[1] - second[0]]]
    if first[0] + second[0] in (0, first[1] + second[1]):
        return 1.0
    call = stats().boschloo_exact if test == "boschloo" else stats().fisher_exact
    return min(1.0, float(call(table).pvalue))


def _check(failed: int, runs: int) -> None:
    if runs < 1 or not 0 <= failed <= runs:
        raise ValueError(f"{failed} of {runs}: expected at least one run, and no more failures")
