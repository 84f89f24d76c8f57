"""Whether there is more negative curvature where the loss is higher, along each run."""

from __future__ import annotations

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.claims.measures.sharpness_and_error import correlation
from optbench.errors import UserError
from optbench.plots.png import Picture

NAMES = {"share": "spectrum/negative_share", "mass": "spectrum/negative_mass"}
"""By what they are called here, the values of the instrument `spectrum`."""


def measure(found: Found, runs: str, looks: str) -> Measured:
    """Return, by seed, rank correlations of the training loss with the negative eigenvalues.

    `share` is with how many there are, `mass` with their part of all absolute values; both over all
    checkpoints that are probed, whose losses are those of the steps that end there.

    Args:
        runs: the part that is probed.
        looks: the probe, at several checkpoints.

    Raises:
        UserError: no spectrum was measured, or at one checkpoint only.
    """
    losses = {
        ran.seed: dict(zip(*ran.series("train/loss"), strict=True)) for ran in found.runs(runs)
    }
    values: dict[str, dict[int, float | None]] = {name: {} for name in NAMES}
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for each in found.others[looks]:
        seed = each["seed"]
        for name, value in NAMES.items():
            by_step = {int(step): found for step, found in each["values"].get(value, {}).items()}
            steps = sorted(step for step in by_step if step in losses[seed])
            if len(steps) < 2:
                raise UserError(f"measure: {looks}: {value} is not there at two steps or more")
            at = [losses[seed][step] for step in steps]
            seen = [by_step[step] for step in steps]
            values[name][seed] = correlation(at, seen)
            if name == "share" and len(curves) < 6:
                curves[f"seed {seed}"] = (at, seen)
    title = "share of negative eigenvalues over the loss"
    return Measured(values, [Picture(curves, title=title, x_label="training loss", log_x=True)])
