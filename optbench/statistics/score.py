"""Which numbers are scores, and who comes where by them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

LARGEST = 1e150
"""Beyond it a number can't be squared, and its run has diverged, whatever it says."""


def is_score(value: float) -> bool:
    """Return whether a number is a score: not NaN, nor infinite, nor too large to be squared.

    Example:
        >>> is_score(0.5), is_score(float("nan")), is_score(1e200)
        (True, False, False)
    """
    return abs(value) <= LARGEST


def places(scores: Mapping[str, Sequence[float | None]], higher_is_better: bool) -> dict[str, int]:
    """Return the place of each optimizer by the mean of what finished, from 1; equals share one.

    Who failed (None) at half of its seeds or more comes after all that did not.

    Example:
        >>> places({"a": [0.7, 0.8], "b": [0.9, None], "c": [0.6, 0.6]}, higher_is_better=True)
        {'a': 1, 'b': 3, 'c': 2}
    """

    def key(given: Sequence[float | None]) -> tuple[bool, bool, float]:
        own = [score for score in given if score is not None]
        mean = math.fsum(own) / len(own) if own else 0.0
        return 2 * len(own) <= len(given), not own, -mean if higher_is_better else mean

    order = sorted(map(key, scores.values()))
    return {name: 1 + order.index(key(own)) for name, own in scores.items()}
