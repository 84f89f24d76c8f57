"""At which seeds each part's runs come to a level."""

from __future__ import annotations

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.claims.measures.reached import step_at
from optbench.plots.png import Picture


def measure(found: Found, metric: str, level: float) -> Measured:
    """Return of each part, and of each of its settings, 1 where a run comes to a level, else 0.

    Args:
        metric: such as `val/accuracy`; a run that diverges may have come there before.
        level: up to or beyond which it has to come.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for name, runs in found.groups():
        values[name] = {
            seed: float(step_at(ran, metric, level) is not None) for seed, ran in runs.items()
        }
        curves[name] = next(iter(runs.values())).series(metric)
    return Measured(values, [Picture(curves, title=f"{metric}, first seed", x_label="step")])
