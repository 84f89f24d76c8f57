"""The value of a metric at the end of each run."""

from __future__ import annotations

from optbench.claims.found import Found
from optbench.claims.measured import Measured


def measure(found: Found, metric: str, best: bool = False) -> Measured:
    """Return a quantity for each part, and for each of its settings: `sgd`, `sgd lr=0.1`.

    Args:
        metric: such as `test/accuracy`, or `train/loss`, which is the last record's.
        best: its best evaluation, where the runs' evaluations go by this metric.
    """
    values = {
        name: {seed: (ran.best if best else ran.final)(metric) for seed, ran in runs.items()}
        for name, runs in found.groups()
    }
    return Measured(values)
