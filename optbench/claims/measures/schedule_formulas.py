"""How well the learning rates that runs record agree with the textbook's formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.plots.png import Picture

TAG = "lr/model"

Formula = Callable[[int, int, Callable[[str], float]], float]
"""From the step t, the run's length T, and the settings of the schedule, the multiplier of lr."""

FORMULAS: dict[str, Formula] = {
    "constant": lambda t, T, of: 1.0,
    "step": lambda t, T, of: of("gamma") ** (t // of("step_size")),
    "exponential": lambda t, T, of: of("gamma") ** t,
    "exponential_rate": lambda t, T, of: math.exp(-of("rate") * t),
    "cosine": lambda t, T, of: (
        of("min_ratio") + (1 - of("min_ratio")) * (1 + math.cos(math.pi * t / T)) / 2
    ),
    "linear": lambda t, T, of: 1 - t / T,
    "polynomial": lambda t, T, of: (1 - t / T) ** of("power"),
    "warmup_linear": lambda t, T, of: min(1.0, t / of("warmup_steps")),
    "warmup_cosine": lambda t, T, of: (
        (1 - math.cos(math.pi * min(1.0, t / of("warmup_steps")))) / 2
    ),
}
"""Section 6.2 to 6.7, by the names of parts."""


def measure(found: Found) -> Measured:
    """Return of each part recorded over computed, at the step where it is farthest from 1.

    Raises:
        UserError: a part whose name is no formula's, or whose runs do not record the lr.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for name, runs in found.groups():
        part = name.split()[0]
        if part not in FORMULAS:
            raise UserError(f"measure: {part}: no such formula; {did_you_mean(part, FORMULAS)}")
        values[name] = {seed: farthest(ran, FORMULAS[part]) for seed, ran in runs.items()}
        curves[name] = next(iter(runs.values())).series(TAG)
    return Measured(values, [Picture(curves, title="recorded learning rate", x_label="step")])


def farthest(ran: Ran, formula: Formula) -> float:
    """Return the ratio that is farthest from 1; infinity where the formula has 0 and it is not."""
    steps, rates = ran.series(TAG)
    if not steps:
        raise UserError(f"{ran.run.path}: it has no {TAG}; monitor.every=1 records it")
    length, most = int(ran.setting("steps")), float(ran.setting("optimizer.lr"))
    ratios = []
    for step, rate in zip(steps, rates, strict=True):
        wanted = most * formula(step - 1, length, lambda key: float(ran.setting(f"schedule.{key}")))
        ratios.append(rate / wanted if wanted else (math.inf if rate else 1.0))
    return max(ratios, key=lambda ratio: abs(ratio - 1))
