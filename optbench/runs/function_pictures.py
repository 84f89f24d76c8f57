"""What is drawn of runs on test functions: paths over contours, loss gaps with fitted rates."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.plots import contour, gaps
from optbench.plots.rates import fit
from optbench.runs.function_runs import FunctionRun

GRID = 241
"""Points along each side of a contour plot's grid."""


def paths(
    runs: Sequence[FunctionRun], names: Sequence[str]
) -> tuple[contour.Landscape, list[contour.Trail]]:
    """Return the function around all paths, and the paths, each from its own run's start."""
    from optbench.assemble.landscape import plane

    planes = [plane(run.config["model"]) for run in runs]
    trails = [
        contour.Trail(name, [own.start, *(run.points or [])])
        for run, name, own in zip(runs, names, planes, strict=True)
    ]
    fixed = [*planes[0].minima, *(own.start for own in planes)]
    left, right, low, high = contour.region(fixed, trails)
    xs = [left + (right - left) * n / (GRID - 1) for n in range(GRID)]
    ys = [low + (high - low) * n / (GRID - 1) for n in range(GRID)]
    title = runs[0].function
    return contour.Landscape(title, xs, ys, planes[0].gaps(xs, ys), planes[0].minima), trails


def gaps_of(run: FunctionRun, name: str, asked: tuple[int, int] | None) -> gaps.Gaps:
    """Return loss gaps with the lines fitted to them; `asked`: first and last step of these."""
    if run.diverged:
        return gaps.Gaps(name, run.steps, run.gaps)
    first, last = asked or (max(1, run.steps[-1] // 10), run.steps[-1])
    power = fit(run.steps, run.gaps, first, last, power=True)
    linear = fit(run.steps, run.gaps, first, last, power=False)
    return gaps.Gaps(name, run.steps, run.gaps, power, linear)
