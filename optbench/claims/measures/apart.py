"""How far a metric's curve of each part is from that of another part."""

from __future__ import annotations

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots.png import Picture

LEAST = 1e-12
"""What no difference is drawn as."""


def measure(found: Found, to: str, metric: str = "train/loss") -> Measured:
    """Return the largest difference of each part's curve, in parts of the other's value, by seed.

    Args:
        to: the part that the others are held against; its runs are alike but for the seed.
        metric: recorded at the same steps in all runs.
    """
    values: dict[str, dict[int, float | None]] = {}
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for name, ran, other in found.against(to):
        steps, seen = differences(ran, other, metric)
        values.setdefault(name, {})[ran.seed] = max(seen) if ran.ended_well else None
        curves.setdefault(name, (steps, [max(each, LEAST) for each in seen]))
    title = f"{metric}: relative difference from {to}, first seed"
    return Measured(values, [Picture(curves, title=title, x_label="step", log_y=True)])


def differences(ran: Ran, other: Ran, metric: str) -> tuple[list[int], list[float]]:
    """Return steps, and how far two runs are apart at each, in parts of the other's value.

    Raises:
        UserError: they do not record it at the same steps.
    """
    (steps, values), (steps_of_other, others) = ran.series(metric), other.series(metric)
    if not steps or steps != steps_of_other:
        raise UserError(
            f"{ran.run.path}: {metric} is not recorded at the same steps as in the other"
        )
    pairs = zip(values, others, strict=True)
    return steps, [abs(one - two) / (abs(two) or 1.0) for one, two in pairs]
