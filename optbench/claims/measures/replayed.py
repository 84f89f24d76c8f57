"""What runs come to that are trained with what populations found, and what these found."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

LR = "optimizer.lr"


def measure(found: Found, metric: str) -> Measured:
    """Return a metric at the end of each run, by part and seed.

    Args:
        metric: such as `test/loss`.
    """
    values = {
        name: {seed: ran.final(metric) for seed, ran in runs.items()}
        for name, runs in found.groups()
    }
    curves = {name: _mean_rates(each) for name, each in found.others.items() if _is_pbt(each)}
    picture = Picture(
        {name: _steps(rates) for name, rates in curves.items()},
        title="best member's lr, mean of its logarithm",
        x_label="part of the training",
        log_y=True,
    )
    return Measured(values, [picture])


def _steps(rates: list[float]) -> tuple[list[float], list[float]]:
    """Return both ends of each round, as parts of the training, and its rate at both."""
    many = len(rates)
    ends = [place / many for number in range(many) for place in (number, number + 1)]
    return ends, [rate for rate in rates for _ in range(2)]


def _is_pbt(said: Any) -> bool:
    return bool(said) and all(isinstance(each, dict) and "rounds" in each for each in said)


def _mean_rates(said: list[dict[str, Any]]) -> list[float]:
    """Return the mean over the seeds of the logarithm of the best member's lr, by round."""
    rows = [[math.log(each["values"][LR]) for each in found["rounds"]] for found in said]
    return [math.exp(fmean(row)) for row in zip(*rows, strict=True)]
