"""Steps and examples until a metric is good enough, each batch size at its own learning rate."""

from __future__ import annotations

import math
from statistics import fmean, median

from optbench.claims.choice import chosen
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.claims.measures.to_target import steps
from optbench.plots.png import Picture


def measure(found: Found, over: str = "optimizer.lr") -> Measured:
    """Return `steps PART` and `examples PART` of parts of one batch size each, as log10, by seed.

    Those of a seed's run are at the value that takes the fewest steps in the mean of the other
    seeds. A run that does not get to its `target` counts as the whole run.

    Args:
        over: the key that is tuned in each part.
    """
    values: dict[str, dict[int, float | None]] = {}
    drawn: dict[str, tuple[list[float], list[float]]] = {"steps": ([], []), "examples": ([], [])}
    notes = []
    for part in found.sweeps:
        by_value = found.by_setting(part, over)
        costs = {v: {seed: steps(ran) for seed, ran in of.items()} for v, of in by_value.items()}
        best = {seed: chosen(costs, seed) for seed in next(iter(costs.values()))}
        runs = {seed: by_value[v][seed] for seed, v in best.items()}
        size = examples(next(iter(runs.values())))
        there = sum(ran.result.target.get("step") is not None for ran in runs.values())
        label = over.rpartition(".")[2]
        notes.append(f"{part}: {label} {median(best.values()):g}, {there} of {len(runs)} get there")
        taken = {seed: steps(ran) for seed, ran in runs.items()}
        for unit, each in {"steps": 1, "examples": size}.items():
            values[f"{unit} {part}"] = {s: math.log10(n * each) for s, n in taken.items()}
            drawn[unit][0].append(size)
            drawn[unit][1].append(fmean(taken.values()) * each)
    title = "to the target, mean of the seeds"
    picture = Picture(drawn, title=title, x_label="batch size", log_x=True, log_y=True)
    return Measured(values, [picture], notes)


def examples(ran: Ran) -> int:
    """Return the examples of a step."""
    return round(int(ran.result.costs["examples"]) / ran.result.step)
