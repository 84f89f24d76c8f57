"""How far apart the curves of a metric are in pairs of parts."""

from __future__ import annotations

import math

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots.png import Picture


def measure(found: Found, other: str, metric: str = "val/loss") -> Measured:
    """Return the largest difference of each part's curve from that of its other form.

    Args:
        other: what is added to a part's name in that of its other form, such as ` rescaled`.
        metric: whose differences are told as parts of what it falls by along the curve.

    Raises:
        UserError: no part has another form.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for part in found.sweeps:
        if part + other not in found.sweeps:
            continue
        twins = {ran.seed: ran for ran in found.runs(part + other)}
        values[part] = {}
        for ran in found.runs(part):
            steps, here = ran.series(metric)
            _, there = twins[ran.seed].series(metric)
            fall = max(here) - min(here)
            pairs = zip(here, there, strict=True) if len(here) == len(there) else None
            apart = max(abs(a - b) for a, b in pairs) / fall if pairs and fall else math.inf
            values[part][ran.seed] = apart
            if part not in curves:
                curves[part], curves[part + other] = (steps, here), (steps, there)
    if not values:
        raise UserError(f"measure: other={other}: no part is called as another with it")
    return Measured(values, [Picture(curves, title=metric, x_label="step", log_y=True)])
