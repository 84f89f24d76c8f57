"""Many comparisons at once, without more false alarms than one may have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p adjusted for all that were looked at, in the order given (Holm 1979).

    The least is multiplied by how many there are, the next by one less, and so on; none falls
    below one before it. Whoever rejects what is no more than 0.05 then rejects any true hypothesis
    at all in at most 5 % of cases, however the comparisons depend on each other.

    Who picks the best from the same results and compares it with the rest has looked at all pairs:
    give all of them, then read the best's row. With the row alone, one family of eight equal
    optimizers in ten has a false winner.

    Raises:
        ValueError: one that is not between 0 and 1.

    Example:
        >>> holm([0.01, 0.04, 0.03, 0.005])
        [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p_values: expected a list of numbers between 0 and 1")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]
