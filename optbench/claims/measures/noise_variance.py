"""The power of the batch size by which the variance of its gradient falls."""

from __future__ import annotations

from typing import Any

from optbench.claims.found import Found
from optbench.claims.measured import Measured
from optbench.plots.png import Picture

INSTRUMENT = "gradient_variance"


def measure(found: Found) -> Measured:
    """Return the exponent that fits, of each probe."""
    values: dict[str, dict[int, float | None]] = {}
    curves = {}
    for part, probed in found.others.items():
        values[part] = {each["seed"]: _last(each, "exponent") for each in probed}
        first = probed[0]
        sizes = sorted(int(n.rpartition("/b")[2]) for n in first["values"] if "/b" in n)
        curves[part] = (sizes, [_last(first, f"b{size}") for size in sizes])
    theory = curves[next(iter(curves))]
    at_one = theory[1][0]
    curves["1 / B"] = (theory[0], [at_one / size for size in theory[0]])
    picture = Picture(
        curves,
        title="variance of the gradient, first seed",
        x_label="batch size B",
        log_x=True,
        log_y=True,
    )
    return Measured(values, [picture])


def _last(probed: dict[str, Any], name: str) -> float:
    by_step = probed["values"][f"{INSTRUMENT}/{name}"]
    return float(by_step[max(by_step, key=int)])
