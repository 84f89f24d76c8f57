"""When a run of CMA-ES is at its end, and with what the next one begins."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

RESTARTS = ("none", "ipop", "bipop")
MOST_DOUBLED = 9
"""How often a population is doubled; `cma` restarts as often."""


def stops(run: dict[str, Any], spread: tuple[float, float, float], size: int) -> str | None:
    """Return why a run can't get further, None while it may (Hansen 2009, section 2.2).

    Args:
        run: `began` (its first generation's number), `generation`, `population`, `sigma0`, `bests`
            and `medians` of its generations, `losses` of the last one.
        spread: sigma times the greatest and the least standard deviation, and their ratio.
        size: dimensions.
    """
    population, bests = run["population"], run["bests"]
    widest, _, condition = spread
    window = 10 + math.ceil(30 * size / population)
    lasting = run["generation"] - run["began"]
    recent = [*bests[-window:], *run["losses"]]
    if lasting >= window and max(recent) - min(recent) < 1e-12:
        return "the losses are equal"
    if widest < 1e-11 * run["sigma0"]:
        return "the steps are too small"
    if widest > 1e4 * run["sigma0"]:
        return "the steps grow"
    if condition > 1e7:  # of standard deviations: 1e14 of variances
        return "the covariance is ill-conditioned"
    if lasting > 100 + 150 * (size + 3) ** 2 / math.sqrt(population):
        return "it has taken long"
    if run["small"] and run["limit"] and lasting * population > run["limit"]:
        return "it has taken long for a small one"
    return "it stagnates" if _stagnates(run, size) else None


def _stagnates(run: dict[str, Any], size: int) -> bool:
    least = 120 + math.ceil(30 * size / run["population"])
    count = max(least, int(0.2 * len(run["bests"])))
    if len(run["bests"]) < count:
        return False
    edge = max(1, int(0.3 * count))
    for history in (run["bests"][-count:], run["medians"][-count:]):
        if statistics.median(history[-edge:]) < statistics.median(history[:edge]):
            return False
    return True


def next_run(ended: dict[str, Any], restarts: str, draw: random.Random) -> dict[str, Any]:
    """Return what the next run begins with.

    IPOP doubles the population each time (Auger & Hansen 2005). BIPOP has a large regime, which
    does so, and a small one, of a random smaller population and step size; the next run is of the
    one that has spent less (Hansen 2009, section 2.1). The first run counts as small.

    Args:
        ended: the run, with `first` (its first population and sigma), `doubled` (how often),
            `spent` (evaluations of the large and the small regime), `small`.
    """
    used = (ended["generation"] - ended["began"]) * ended["population"]
    spent = [ended["spent"][0] + used * (not ended["small"]), ended["spent"][1]]
    spent[1] += used * ended["small"]
    population, sigma = ended["first"]
    doubled, small = ended["doubled"], restarts == "bipop" and spent[1] < spent[0]
    limit = ended["limit"] if ended["small"] else used // 2
    if small:
        population = int(population * (0.5 * 2**doubled) ** (draw.random() ** 2))
        population = max(population, ended["first"][0])
        sigma *= 10 ** (-2 * draw.random())
    else:
        doubled = min(doubled + 1, MOST_DOUBLED)
        population *= 2**doubled
    return {
        **{"first": ended["first"], "population": population, "sigma0": sigma, "small": small},
        **{"doubled": doubled, "spent": spent, "limit": limit, "began": ended["generation"]},
        "number": ended["number"] + 1,
    }
