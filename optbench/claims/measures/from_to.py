"""Whether an optimizer begins as one other, and ends as another."""

from __future__ import annotations

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture
from optbench.plots.rates import fit

WHERE, HOW_FAR = "val/x0", "val/loss_gap"


def measure(found: Found, part: str, first: str, last: str, steps: int) -> Measured:
    """Return how far it has moved at the beginning, and how fast it falls at the end.

    Args:
        part: the optimizer's, on a function of one dimension.
        first: the part that it is held against at the beginning.
        last: the part that it is held against over the second half of all steps.
        steps: of the beginning.

    Returns:
        `moved`: from the first evaluation to that at `steps`, and `falls`: the slope of the loss
        gap's logarithm over the second half; each over that of the other part.
    """
    runs = {name: {ran.seed: ran for ran in found.runs(name)} for name in (part, first, last)}
    moves, slopes = {}, {}
    for seed, ran in runs[part].items():
        moves[seed] = moved(ran, steps) / moved(runs[first][seed], steps)
        here, there = slope(ran), slope(runs[last][seed])
        slopes[seed] = here / there if here is not None and there else None
    values: dict[str, dict[int, float | None]] = {"moved": {**moves}, "falls": slopes}
    curves = {name: next(iter(of_seed.values())).series(HOW_FAR) for name, of_seed in runs.items()}
    return Measured(values, [Picture(curves, title=HOW_FAR, x_label="step", log_y=True)])


def moved(ran: Ran, steps: int) -> float:
    """Return how far it goes from the first evaluation to that of a step."""
    at, xs = ran.series(WHERE)
    return xs[at.index(steps)] - xs[0]


def slope(ran: Ran) -> float | None:
    """Return the slope of the loss gap's logarithm over the second half of the steps."""
    at, gaps = ran.series(HOW_FAR)
    line = fit(at, gaps, at[-1] // 2, at[-1], False)
    return line.slope if line else None
