"""What a search of n trials is expected to find, from one of N: the expected best of n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BestOf:
    """What the best of n trials comes to, for n of 1 to N.

    Attributes:
        trials: 1 to N.
        expected: the mean over all searches of so many.
        low, high: where they end, but for the worst and the best tenth (at `band` 0.8). What a
            search has luck for; nothing of it is an error of the mean.
    """

    trials: tuple[int, ...]
    expected: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def expected_best(
    values: Sequence[float | None],
    higher_is_better: bool,
    replacement: bool = False,
    band: float = 0.8,
) -> BestOf:
    """Return the curve of the expected best over the number of trials (Dodge et al. 2019).

    Trials have to be drawn independently (random search): those of TPE depend on earlier ones.

    Args:
        values: what each trial came to. One that failed (None, or not finite) is as bad as the
            worst that did not.
        replacement: draw trials as Dodge et al. do, with replacement, which is biased downwards.
            Without it the estimator has no bias (Tang et al. 2020), and ends at the best trial.
        band: of all searches, how many end between `low` and `high`.

    Raises:
        ValueError: no trial that did not fail; a band that is not between 0 and 1.

    Example:
        >>> expected_best([0.7, 0.9, 0.8], higher_is_better=True).expected
        (0.8, 0.8666666666666667, 0.9)
    """
    given = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    fine = np.isfinite(given)
    if not fine.any() or not 0 < band < 1:
        raise ValueError("values: expected a trial that did not fail; band: between 0 and 1")
    sign = 1.0 if higher_is_better else -1.0
    ordered = np.sort(np.where(fine, sign * given, (sign * given[fine]).min()))
    below = _below(len(ordered), replacement)
    expected = [sign * float(ordered @ np.diff(each)) for each in below]
    ends = [
        sorted(
            sign * float(ordered[_first(each, part)]) for part in ((1 - band) / 2, (1 + band) / 2)
        )
        for each in below
    ]
    return BestOf(
        tuple(range(1, len(ordered) + 1)),
        tuple(expected),
        tuple(low for low, _ in ends),
        tuple(high for _, high in ends),
    )


def _below(trials: int, replacement: bool) -> list[NDArray[np.float64]]:
    """Return how likely the best of n is among the i worst, for i of 0 to all, for each n."""
    worst, every = np.arange(trials + 1.0), []
    likely = np.ones(trials + 1)
    for drawn in range(trials):
        gone = 0 if replacement else drawn
        likely = likely * np.maximum(worst - gone, 0) / (trials - gone)
        every.append(likely)
    return every


def _first(below: NDArray[np.float64], part: float) -> int:
    """Return the place of the least trial that so large a part of searches does not beat."""
    return int(np.searchsorted(below[1:], part - 1e-12, side="left"))
