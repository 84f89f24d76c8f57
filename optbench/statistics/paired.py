"""What stands beside the sign-flip test of pairs: Student's t interval, and Wilcoxon's test."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optbench.statistics.scipys import stats
from optbench.statistics.sign_flip import sign_flip_test


def t_interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return Student's interval for the mean difference: for a look at 2 to 5 pairs.

    It is weak: it supposes that differences are normal, which nobody can see from so few. Where
    results fall into two heaps, two pairs of it tell an optimizer from itself in 7 cases of 100.
    So no verdict rests on it.

    Args:
        differences: one a pair, at least 2.

    Raises:
        ValueError: too few, or one that is not finite.
        UserError: scipy is missing.

    Example:
        >>> low, high = t_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: expected a number between 0 and 1")
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError("differences: expected a list of at least 2 finite numbers")
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    far = float(stats().t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return mean - far, mean + far


def wilcoxon_test(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of Wilcoxon's signed-rank test, ties and all.

    It is the sign-flip test of signed ranks: without ties and zeros what `scipy.stats.wilcoxon`
    gives with `method="exact"`, whose table holds for these alone. Equal differences share their
    mean rank. Zeros take part in the ranking and are then left out (Pratt 1959).

    Example:
        >>> wilcoxon_test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        0.03125
    """
    values = np.asarray(differences, dtype=np.float64)
    if np.isfinite(values).all() and values.ndim == 1:  # else the test tells what is wrong
        values = np.sign(values) * mid_ranks(np.abs(values))
    return sign_flip_test(values)  # type: ignore[arg-type]


def mid_ranks(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1; equal ones share the mean of theirs, as `scipy.stats.rankdata` has it.

    Example:
        >>> mid_ranks([3.0, 1.0, 3.0]).tolist()
        [2.5, 1.0, 2.5]
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    ranks: NDArray[np.float64] = (below + up_to + 1) / 2
    return ranks
