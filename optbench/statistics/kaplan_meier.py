"""What part of the runs has not reached its target yet, over time: Kaplan and Meier's curve."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optbench.statistics.scipys import stats


@dataclass(frozen=True)
class Survival:
    """The part that has not arrived, after each time at which a run arrived or ended.

    Attributes:
        times: ascending; before the first the part is 1.
        share: of runs, not there yet after each of them.
        low, high: its pointwise band (log-log; after the last arrival of all: 0 and the one
            before).
        median: when half have arrived; infinite where they have not.
        median_low, median_high: where the band's sides cross a half (Brookmeyer and Crowley 1982).
    """

    times: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    median: float
    median_low: float
    median_high: float


def kaplan_meier(
    times: Sequence[float], reached: Sequence[bool], confidence: float = 0.95
) -> Survival:
    """Return the curve of runs of which some never reached the target.

    Args:
        times: when each reached it, or else when it ended.
        reached: which of the two.

    Raises:
        ValueError: none, not as many of one as of the other, or a time that is not finite.
        UserError: scipy is missing.

    Example:
        >>> kaplan_meier([2, 3, 5, 5], [True, True, True, False]).share
        (0.75, 0.5, 0.25)
    """
    when, there = np.asarray(times, dtype=np.float64), np.asarray(reached, dtype=bool)
    if when.ndim != 1 or not len(when) or when.shape != there.shape:
        raise ValueError("times: expected at least one, and as many of them as of `reached`")
    if not np.isfinite(when).all():
        raise ValueError("times: not all are finite; a run that missed has the time it ended at")
    scipy_stats = stats()
    data = scipy_stats.CensoredData(uncensored=when[there], right=when[~there])
    curve = scipy_stats.ecdf(data).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of ends that are filled in here
        band = curve.confidence_interval(confidence_level=confidence, method="log-log")
    share = curve.probabilities
    low = np.where(share >= 1, 1.0, np.where(share <= 0, 0.0, band.low.probabilities))
    high = np.where(share >= 1, 1.0, band.high.probabilities)
    for place in np.flatnonzero(share <= 0):
        high[place] = high[place - 1] if place else 1.0
    moments = curve.quantiles
    return Survival(
        times=tuple(map(float, moments)),
        share=tuple(map(float, share)),
        low=tuple(map(float, low)),
        high=tuple(map(float, high)),
        median=_half(moments, share),
        median_low=_half(moments, low),
        median_high=_half(moments, high),
    )


def _half(times: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Return the first time from which on no more than half are on their way."""
    there = np.flatnonzero(share <= 0.5 + 1e-12)
    return float(times[there[0]]) if len(there) else math.inf
