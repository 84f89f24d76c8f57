"""Up to which learning rate each part still trains."""

from __future__ import annotations

import math

from optbench.claims.choice import means
from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.config.better import mode_by_name
from optbench.plots.png import Picture


def measure(found: Found, metric: str, level: float, over: str = "optimizer.lr") -> Measured:
    """Return of each part log10 of the largest learning rate that ends beyond a level, by seed.

    Where none does, it is one step of the grid below the least.

    Args:
        metric: at the end of a run.
        level: that it has to reach; a run that diverges does not.
        over: the key whose largest value is looked for.
    """
    sign = 1.0 if mode_by_name(metric) == "max" else -1.0
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for part in found.sweeps:
        largest: dict[int, float] = {}
        for ran in found.runs(part):
            end, lr = ran.final(metric), float(ran.setting(over))
            if end is not None and sign * end >= sign * level:
                largest[ran.seed] = max(lr, largest.get(ran.seed, 0.0))
        least, second, *_ = sorted(found.by_setting(part, over))
        none = least**2 / second
        values[part] = {seed: math.log10(largest.get(seed, none)) for seed in found.seeds}
        curves[part] = means(found.by_setting(part, over), metric)
    picture = Picture(curves, title=f"{metric}, mean of the seeds", x_label="lr", log_x=True)
    return Measured(values, [picture])
