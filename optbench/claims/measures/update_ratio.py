"""How large updates are beside the parameters, at the learning rate that is best."""

from __future__ import annotations

import math
from statistics import median

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.claims.measures.chosen import best_but, curve
from optbench.plots.png import Picture

TAG = "update_ratio/total"


def measure(found: Found, by: str, over: str = "optimizer.lr") -> Measured:
    """Return of each part log10 of the median ratio over a run, at the lr the other seeds choose.

    Args:
        by: the metric that chooses.
        over: the key that the grid is over.
    """
    values: dict[str, dict[int, float | None]] = {}
    scores, ratios, notes = {}, {}, []
    for part in found.sweeps:
        settings = dict(found.groups(part))
        chosen = {seed: best_but(settings, by, seed) for seed in found.seeds}
        values[part] = {seed: _log_median(settings[name][seed]) for seed, name in chosen.items()}
        notes.append("chosen " + ", ".join(sorted(set(chosen.values()))))
        scores[part] = curve(settings, by, over)
        some = [next(iter(runs.values())) for runs in settings.values()]
        points = [(float(ran.setting(over)), _log_median(ran)) for ran in some]
        known = [(lr, 10**ratio) for lr, ratio in points if ratio is not None]
        ratios[part] = ([lr for lr, _ in known], [ratio for _, ratio in known])
    at_all = [lr for xs, _ in ratios.values() for lr in xs]
    if at_all:
        ratios["1e-3"] = ([min(at_all), max(at_all)], [1e-3, 1e-3])
    return Measured(
        values,
        [
            Picture(scores, title=f"{by}, mean of the seeds", x_label="lr", log_x=True),
            Picture(
                ratios,
                title="median update ratio, first seed",
                x_label="lr",
                log_x=True,
                log_y=True,
            ),
        ],
        notes,
    )


def _log_median(ran: Ran) -> float | None:
    _, seen = ran.series(TAG)
    middle = median(seen) if seen else 0.0
    return math.log10(middle) if middle > 0 and math.isfinite(middle) else None
