"""How large updates are beside the parameters, at the learning rate that is best."""

from __future__ import annotations

import math
from statistics import median

from optbench.claims.choice import chosen, cost, means
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
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
        settings = found.by_setting(part, over)
        costs = {v: {s: cost(ran, by) for s, ran in of.items()} for v, of in settings.items()}
        best = {seed: chosen(costs, seed) for seed in found.seeds}
        values[part] = {seed: _log_median(settings[value][seed]) for seed, value in best.items()}
        notes.append(f"{part}: chosen {', '.join(map(str, sorted({*best.values()})))}")
        scores[part] = means(settings, by)
        some = {value: next(iter(runs.values())) for value, runs in settings.items()}
        points = [(float(value), _log_median(ran)) for value, ran in some.items()]
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
