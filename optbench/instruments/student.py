"""Student's t, without scipy, which not everybody has."""

from __future__ import annotations

import math


def cdf(t: float, freedom: int) -> float:
    """Return the probability of a value below t (Abramowitz & Stegun, 26.7.3 and 26.7.4).

    Args:
        t: any number.
        freedom: degrees of freedom, at least 1.
    """
    angle = math.atan(t / math.sqrt(freedom))
    squared = math.cos(angle) ** 2
    odd = freedom % 2
    if freedom == 1:
        return 0.5 + angle / math.pi
    term, total = 1.0, 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= squared * (k - 1) / k
        total += term
    within = math.sin(angle) * total
    if odd:
        within = (angle + within * math.cos(angle)) * 2 / math.pi
    return 0.5 + within / 2


def quantile(probability: float, freedom: int) -> float:
    """Return the value below which t is with a probability between 1/2 and 1.

    Example:
        >>> round(quantile(0.975, 9), 4)
        2.2622
    """
    low, high = 0.0, 1.0
    while cdf(high, freedom) < probability:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle, freedom) < probability else (low, middle)
    return high
