"""How many pairs it takes: to show a difference, and to be able to show any."""

from __future__ import annotations

import math
from statistics import NormalDist

from optbench.statistics.sign_flip import sign_flip_coverage

MOST = 1_000_000
"""Pairs: what needs more is not counted."""


def least_pairs(comparisons: int = 1, confidence: float = 0.95) -> int:
    """Return the least pairs with which the sign-flip test can pass Holm's first step.

    Its least p is 2 / 2^n, whatever the differences are.

    Args:
        comparisons: how many are made at once: k (k - 1) / 2 for all pairs of k optimizers.

    Example:
        >>> [least_pairs(many) for many in (1, 3, 5, 7, 28)]
        [6, 7, 8, 9, 11]
    """
    if comparisons < 1 or not 0 < confidence < 1:
        raise ValueError("expected at least 1 comparison, and a confidence between 0 and 1")
    n = 1
    while 2.0 ** (1 - n) * comparisons > (1 - confidence) * (1 + 1e-9):
        n += 1
    return n


def pairs_needed(
    difference: float,
    deviation: float,
    comparisons: int = 1,
    confidence: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """Return about how many pairs a difference needs to be shown, with a power of 80 %.

    The normal approximation with Guenther's correction for the t test (1981), which the sign-flip
    test follows closely; and no less than `least_pairs`.

    Args:
        difference: of the means.
        deviation: the standard deviation of paired differences.
        comparisons: how many are made at once; the first step of Holm is to be passed.

    Returns:
        None where no number would do: a difference of 0, or over a million pairs.

    Example:
        >>> pairs_needed(1.0, 1.0), pairs_needed(0.2, 0.4)
        (10, 34)
    """
    if not (math.isfinite(difference) and deviation >= 0):
        raise ValueError("expected a finite difference, and a deviation that is not negative")
    least = least_pairs(comparisons, confidence)
    effect = abs(difference) / deviation if deviation else math.inf
    if not effect or effect == math.inf:
        return least if difference else None
    told = (1 - confidence) / comparisons
    at_least = _by_approximation(told, power, effect)
    if at_least > MOST:
        return None
    n = max(least, math.floor(at_least))
    while _by_approximation(1 - sign_flip_coverage(n, 1 - told), power, effect) > n:
        n += 1  # few pairs test at less than they are told, so they need more
    return n


def _by_approximation(level: float, power: float, effect: float) -> float:
    """Return how many pairs a test of this level needs, of a difference in deviations."""
    far = NormalDist().inv_cdf(1 - level / 2)
    return float(((far + NormalDist().inv_cdf(power)) / effect) ** 2 + far**2 / 2)
