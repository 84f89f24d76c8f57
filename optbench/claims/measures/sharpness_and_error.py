"""Whether sharpness tells how a run generalises: rank correlations over the runs of a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.plots.png import Picture
from optbench.statistics.paired import mid_ranks

NAMES = {
    "largest eigenvalue": "hessian/largest",
    "steepest ascent": "sharpness/sam",
    "adaptive": "sharpness/adaptive",
    "random directions": "sharpness/average",
}
"""By what they are called here, the values of the instruments `hessian` and `sharpness`."""


def measure(found: Found, runs: str, looks: str, drawn: str = "largest eigenvalue") -> Measured:
    """Return of each sharpness, by seed, its rank correlation with the test error.

    Args:
        runs: the part whose settings differ.
        looks: the probe of them; what it does not measure is left out.
        drawn: which sharpness the picture is of.

    Raises:
        UserError: it does not measure this one.
    """
    errors = {
        (ran.label, ran.seed): 1 - (ran.final("test/accuracy") or 0.0) for ran in found.runs(runs)
    }
    values: dict[str, dict[int, float | None]] = {}
    curves: dict[str, tuple[list[float], list[float]]] = {}
    looked = found.others[looks]
    there = {n: value for n, value in NAMES.items() if all(value in x["values"] for x in looked)}
    if drawn not in there:
        raise UserError(f"measure: drawn={drawn}: not measured; {did_you_mean(drawn, [*there])}")
    for name, value in there.items():
        sharp: dict[int, list[float]] = {}
        wrong: dict[int, list[float]] = {}
        for each in looked:
            by_step = each["values"][value]
            sharp.setdefault(each["seed"], []).append(by_step[max(by_step, key=int)])
            wrong.setdefault(each["seed"], []).append(errors[each["label"], each["seed"]])
        values[name] = {seed: correlation(sharp[seed], wrong[seed]) for seed in sharp}
        if name == drawn:
            curves = {f"seed {seed}": _sorted(sharp[seed], wrong[seed]) for seed in [*sharp][:6]}
    title = f"test error over sharpness ({drawn})"
    return Measured(values, [Picture(curves, title=title, log_x=True)])


def correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's correlation; 0 where either is the same throughout."""
    ranks = mid_ranks(one), mid_ranks(other)
    if min(float(each.std()) for each in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _sorted(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    pairs = sorted(zip(xs, ys, strict=True))
    return [x for x, _ in pairs], [y for _, y in pairs]
