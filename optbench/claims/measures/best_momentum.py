"""Which momentum is best, each at its own learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean

from optbench.claims.choice import chosen
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

MOMENTUM, RATE = "optimizer.momentum", "optimizer.lr"


def measure(found: Found, metric: str = "val/loss_gap") -> Measured:
    """Return of each part, by seed, the momentum with the least metric; `gain PART`, what it gains.

    Each momentum has the learning rate that is best in the mean of the other seeds. A gain is the
    logarithm, to base 10, of the metric without momentum over that with the best.
    """
    values: dict[str, dict[int, float | None]] = {}
    gains: dict[str, dict[int, float | None]] = {}
    curves = {}
    for part in found.sweeps:
        ends = {
            float(momentum): tuned_ends(runs, metric)
            for momentum, runs in _by_momentum(found, part).items()
        }
        seeds = [*next(iter(ends.values()))]
        best = {seed: min(ends, key=lambda g, seed=seed: ends[g][seed]) for seed in seeds}  # type: ignore[misc]
        values[part] = dict(best)
        gains[f"gain {part}"] = {
            seed: math.log10(ends[min(ends)][seed] / ends[momentum][seed])
            for seed, momentum in best.items()
        }
        means = {1 - momentum: fmean(of_seed.values()) for momentum, of_seed in ends.items()}
        curves[part] = ([*means], [*means.values()])
    title = f"{metric}, mean, each at its own lr"
    picture = Picture(curves, title=title, x_label="1 - momentum", log_x=True, log_y=True)
    return Measured({**values, **gains}, [picture])


def _by_momentum(found: Found, part: str) -> dict[float, dict[float, dict[int, Ran]]]:
    runs: dict[float, dict[float, dict[int, Ran]]] = {}
    for ran in found.runs(part):
        by_rate = runs.setdefault(float(ran.setting(MOMENTUM)), {})
        by_rate.setdefault(float(ran.setting(RATE)), {})[ran.seed] = ran
    return runs


def tuned_ends(runs: Mapping[float, Mapping[int, Ran]], metric: str) -> dict[int, float]:
    """Return the metric at the end by seed, each at the rate that the other seeds choose."""
    ends = {rate: {s: _end(ran, metric) for s, ran in of.items()} for rate, of in runs.items()}
    seeds = [*next(iter(ends.values()))]
    return {seed: ends[chosen(ends, seed)][seed] for seed in seeds}


def _end(ran: Ran, metric: str) -> float:
    """Return a metric at the end; infinite where the run diverged."""
    value = ran.final(metric)
    return math.inf if value is None else max(value, 1e-300)
