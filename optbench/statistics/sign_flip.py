"""The exact sign-flip test of paired differences, and the interval that inverts it. No torch.

If nothing tells the two of a pair apart, each difference is as likely with the other sign. Nothing
is supposed of how they are distributed but that they are independent, and symmetric about the
centre. Below 6 pairs no difference is shown at 5 %, however large it is.

Up to 30 pairs all 2^n signs are counted: the sums of one half of the differences, against the
sorted sums of the other. Of more, 99,999 sets of signs that are drawn, always the same ones for a
number of pairs, stand for all; with the signs as they are they make a test that is valid at any
level (Phipson and Smyth 2010).

References:
    Fisher, The Design of Experiments, 1935, section 21.
    Hartigan, Using Subsample Values as Typical Values, JASA 64, 1969: the interval's ends.
    Phipson and Smyth, Permutation P-values Should Never Be Zero, SAGMB 9, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

EXACT = 30
"""Differences of which all signs are counted."""
LISTED = 12
"""Differences of which the means of all sets are held at once: 4,095; of more they are counted."""
DRAWN = 99_999
"""Sets of signs that stand for all 2^n of more differences."""
CHUNK = 10_000
"""Of them, at once."""
ROUNDING = 1e-12
"""Relative to the differences: sums that are this near are the same one, added in another order."""


def sign_flip_test(differences: Sequence[float]) -> float:
    """Return the two-sided p of the mean of paired differences, against a centre of 0.

    Args:
        differences: one a pair; exact up to 30.

    Returns:
        The part of all 2^n signs with which the mean is at least as far from 0.

    Raises:
        ValueError: none, or one that is not finite.

    Example:
        >>> sign_flip_test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        0.03125
    """
    values = _checked(differences)
    seen = abs(float(values.sum())) - ROUNDING * float(np.abs(values).sum())
    if seen <= 0:
        return 1.0
    if len(values) > EXACT:
        total = float(values.sum())
        sums = (2 * (kept @ values) - total for kept in _drawn(len(values)))
        return (1 + sum(int((np.abs(each) >= seen).sum()) for each in sums)) / (1 + DRAWN)
    half = len(values) // 2
    others = np.sort(_signed_sums(values[half:]))
    below = np.searchsorted(others, seen - _signed_sums(values[:half]), side="left")
    return 2 * float((len(others) - below).sum()) / 2.0 ** len(values)


def sign_flip_interval(
    differences: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of those centres that the test does not reject.

    Its ends are the k-th least and the k-th greatest mean of all sets of differences but the empty
    one. Below 6 pairs it is everything at 95 %.

    Args:
        differences: one a pair; exact up to 30.
        confidence: at least so often it holds the centre; how often, `sign_flip_coverage` says.

    Raises:
        ValueError: as `sign_flip_test`; a confidence that is not between 0 and 1.

    Example:
        >>> sign_flip_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        (1.0, 6.0)
    """
    values = _checked(differences)
    k = _outside(len(values), confidence)
    if not k:
        return -math.inf, math.inf
    if LISTED < len(values) <= EXACT:
        return _kth_mean(values, k), -_kth_mean(-values, k)
    means = _all_means(values) if len(values) <= LISTED else _drawn_means(values)
    ends = np.partition(means, [k - 1, len(means) - k])
    return float(ends[k - 1]), float(ends[-k])


def sign_flip_coverage(pairs: int, confidence: float = 0.95) -> float:
    """Return how often the interval of so many pairs holds the centre: no less than it is told.

    Example:
        >>> sign_flip_coverage(8)
        0.953125
    """
    return 1 - _outside(pairs, confidence) / _opposites(pairs)


def _opposites(pairs: int) -> float:
    """Return how many sets of signs there are, each with its opposite counted as one."""
    return 2.0 ** (pairs - 1) if pairs <= EXACT else float(1 + DRAWN)


def _outside(pairs: int, confidence: float) -> int:
    """Return k: how many of the equally likely parts lie beyond either end."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: expected a number between 0 and 1")
    return math.floor(round((1 - confidence) * _opposites(pairs), 6))


def _signed_sums(values: Numbers) -> Numbers:
    """Return the sums of values with each of all signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _set_sums(values: Numbers) -> Numbers:
    """Return the sums of all sets of values, that of the empty one first."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _all_means(values: Numbers) -> Numbers:
    """Return the means of all sets of values but the empty one."""
    means: Numbers = _set_sums(values)[1:] / _set_sums(np.ones(len(values)))[1:]
    return means


def _kth_mean(values: Numbers, k: int) -> float:
    """Return the k-th least mean of all sets of values but the empty one, by halving.

    A set's mean is no more than m if its differences from m sum to no more than 0.
    """
    half = len(values) // 2
    one, other = _set_sums(values[:half]), _set_sums(values[half:])
    ones = _set_sums(np.ones(half)), _set_sums(np.ones(len(values) - half))
    low, high = float(values.min()), float(values.mean())  # half of all have a mean below this
    while True:
        middle = low + (high - low) / 2
        if not low < middle < high:
            return high
        sums = np.sort(other - middle * ones[1])
        most = np.sort(middle * ones[0] - one)  # in order they are found sooner
        many = int(np.searchsorted(sums, most, side="right").sum()) - 1
        low, high = (low, middle) if many >= k else (middle, high)


@lru_cache(maxsize=2)
def _kept(pairs: int) -> NDArray[np.bool_]:
    """Return the sets of signs that stand for all: where the sign is kept.

    The first one's always is, so that no set is another's opposite; all of them are in none.
    """
    kept: NDArray[np.bool_] = np.random.default_rng(pairs).integers(0, 2, (DRAWN, pairs)) == 1
    kept[:, 0] = True
    kept[kept.all(axis=1), -1] = False
    return kept


def _drawn(pairs: int) -> Iterator[Numbers]:
    """Yield these sets in chunks, 1 where the sign is kept, else 0."""
    for start in range(0, DRAWN, CHUNK):
        yield _kept(pairs)[start : start + CHUNK].astype(np.float64)


def _drawn_means(values: Numbers) -> Numbers:
    """Return the means of the sets of values whose signs are drawn, and of what each leaves."""
    total, parts = float(values.sum()), []
    for kept in _drawn(len(values)):
        sums, counts = kept @ values, kept.sum(axis=1)
        parts += [sums / counts, (total - sums) / (len(values) - counts)]
    return np.concatenate(parts)


def _checked(differences: Sequence[float]) -> Numbers:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        many = "none of them" if values.ndim == 1 else f"shape {values.shape}"
        raise ValueError(f"differences: {many}; expected a list of at least 1")
    if not np.isfinite(values).all():
        raise ValueError("differences: not all are finite")
    return values
