"""The exact sign-flip test of paired differences, and the interval that inverts it. No torch.

If nothing tells the two of a pair apart, each difference is as likely with the other sign. Nothing
is supposed of how they are distributed but that they are independent, and symmetric about the
centre. Below 6 pairs no difference is shown at 5 %, however large it is.

References:
    Fisher, The Design of Experiments, 1935, section 21.
    Hartigan, Using Subsample Values as Typical Values, JASA 64, 1969: the interval's ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST = 20
"""Differences that are enumerated: of 20, a million signs."""
ROUNDING = 1e-12
"""Relative to the differences: sums that are this near are the same one, added in another order."""


def sign_flip_test(differences: Sequence[float]) -> float:
    """Return the exact two-sided p of the mean of paired differences, against a centre of 0.

    Args:
        differences: one a pair, from 1 to 20.

    Returns:
        The part of all 2^n signs with which the mean is at least as far from 0.

    Raises:
        ValueError: none, too many, or one that is not finite.

    Example:
        >>> sign_flip_test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        0.03125
    """
    values = _checked(differences)
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    near = ROUNDING * float(np.abs(values).sum())
    return float(np.mean(np.abs(sums) >= abs(float(values.sum())) - near))


def sign_flip_interval(
    differences: Sequence[float], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the interval of those centres that the test does not reject.

    Its ends are the k-th least and the k-th greatest mean of all sets of differences but the empty
    one. Below 6 pairs it is everything at 95 %.

    Args:
        differences: one a pair, from 1 to 20.
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
    sums, counts = np.zeros(1), np.zeros(1)
    for value in values:
        sums, counts = (
            np.concatenate([sums, sums + value]),
            np.concatenate([counts, counts + 1]),
        )
    means = np.sort(sums[1:] / counts[1:])  # the first is of the empty set
    return float(means[k - 1]), float(means[-k])


def sign_flip_coverage(pairs: int, confidence: float = 0.95) -> float:
    """Return how often the interval of so many pairs holds the centre: no less than it is told.

    Example:
        >>> sign_flip_coverage(8)
        0.953125
    """
    return 1 - 2 * _outside(pairs, confidence) / 2.0**pairs


def _outside(pairs: int, confidence: float) -> int:
    """Return k: how many of 2^n equally likely parts lie beyond either end."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: expected a number between 0 and 1")
    return math.floor(round((1 - confidence) * 2.0**pairs / 2, 6))


def _checked(differences: Sequence[float]) -> NDArray[np.float64]:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not 1 <= len(values) <= MOST:
        many = f"{len(values)} of them" if values.ndim == 1 else f"shape {values.shape}"
        raise ValueError(f"differences: {many}; expected a list of 1 to {MOST}")
    if not np.isfinite(values).all():
        raise ValueError("differences: not all are finite")
    return values
