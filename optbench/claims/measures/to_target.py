"""Steps and seconds until a metric is good enough, each part at its own best setting."""

from __future__ import annotations

from statistics import median

from optbench.claims.choice import chosen
from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

MOST_CURVES = 6


def measure(found: Found, over: str = "optimizer.lr", seconds: bool = True) -> Measured:
    """Return `steps PART` and `seconds PART`, by seed, to the runs' `target`.

    Steps of a seed's run are those at the value that takes the fewest in the mean of the other
    seeds, seconds likewise. A run that does not get there counts as the whole run.

    Args:
        over: the key that is tuned in each part.
        seconds: those of training, which are worth something where runs are trained one by one,
            `sweep.population=off`.
    """
    values: dict[str, dict[int, float | None]] = {}
    notes: list[str] = []
    curves: dict[str, tuple[list[int], list[float]]] = {}
    label = over.rpartition(".")[2]
    for part in found.sweeps:
        by_value = found.by_setting(part, over)
        for unit, cost in {"steps": steps, "seconds": seconds_of}.items():
            if unit == "seconds" and not seconds:
                continue
            costs = {v: {seed: cost(ran) for seed, ran in of.items()} for v, of in by_value.items()}
            best = {seed: chosen(costs, seed) for seed in next(iter(costs.values()))}
            values[f"{unit} {part}"] = {seed: costs[v][seed] for seed, v in best.items()}
            if unit == "steps":
                runs = [by_value[v][seed] for seed, v in best.items()]
                there = sum(ran.result.target.get("step") is not None for ran in runs)
                notes.append(f"{part}: {label} {median(best.values()):g}, {there} get there")
                if len(curves) < MOST_CURVES:
                    curves[part] = runs[0].series(str(runs[0].setting("target.metric")))
    picture = Picture(curves, title="first seed, at its best", x_label="step", log_x=True)
    return Measured(values, [picture], notes)


def steps(ran: Ran) -> float:
    """Return the steps to the target, or of the whole run."""
    return float(ran.result.target.get("step") or ran.setting("steps") or ran.result.step)


def seconds_of(ran: Ran) -> float:
    """Return the seconds of training to the target, or of the whole run."""
    taken = ran.result.target.get("seconds") or ran.result.costs["training_seconds"]
    return float(taken)
