"""How good the learning rate is that a range test suggests, held against a grid's best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from optbench.claims.choice import chosen, cost, means
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots.png import Picture
from optbench.search.lr_range import RECOMMENDED, Curve, suggest

Grid = Mapping[float, Mapping[int, Ran]]
"""Runs by learning rate, and by seed."""


def measure(found: Found, metric: str, by: str, ramp: str = "ramp", grid: str = "grid") -> Measured:
    """Return `suggested`: the metric at the suggestion as a part of that at the grid's best.

    `optbench find-lr`'s rule reads a suggestion from the losses of each seed's ramp; the run of the
    grid that is nearest to it, on a logarithmic axis, is judged. The grid's best is that of the
    mean of the other seeds. `factor` is the suggestion over the best, as log10.

    Args:
        metric: that is judged, of which more is better.
        by: that chooses in the grid, of which less is better.
        ramp: the part whose learning rate rises.
        grid: the part whose learning rates are constant.

    Raises:
        UserError: a ramp suggests nothing.
    """
    rates: Grid = found.by_setting(grid, "optimizer.lr")
    shares: dict[int, float | None] = {}
    factors: dict[int, float | None] = {}
    suggestions = []
    costs = {rate: {s: cost(ran, by) for s, ran in of.items()} for rate, of in rates.items()}
    for ran in found.runs(ramp):
        lrs, losses = ran.series("lr/model")[1], ran.series("train/loss")[1]
        many = min(len(lrs), len(losses))
        lr = suggest(Curve(lrs[:many], losses[:many]), int(ran.setting("steps")))[RECOMMENDED]
        if lr is None:
            raise UserError(f"{ran.run.path}: the range test suggests no learning rate")
        nearest = min(rates, key=lambda rate, lr=lr: abs(math.log(rate / lr)))  # type: ignore[misc]
        best = chosen(costs, ran.seed)
        top = rates[best][ran.seed].final(metric)
        here = rates[nearest][ran.seed].final(metric)
        shares[ran.seed] = None if not top else (here or 0.0) / top
        factors[ran.seed] = math.log10(lr / best)
        suggestions.append(lr)
    curves = {name: means(rates, name) for name in (metric, by)}
    markers = {"suggested": median(suggestions)}
    picture = Picture(curves, title="grid", x_label="lr", log_x=True, log_y=True, markers=markers)
    notes = [f"suggested {min(suggestions):.2g} to {max(suggestions):.2g}"]
    return Measured({"suggested": shares, "factor": factors}, [picture], notes)
