"""Loss gaps on logarithmic axes, with the lines fitted to them, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.plots.png import COLOURS, figure_of, write
from optbench.plots.rates import Fit


@dataclass(frozen=True)
class Gaps:
    """One run's loss gaps.

    Attributes:
        name: in the legend.
        steps: ascending, from 1.
        gaps: at these steps.
        power: the power law fitted, drawn where both axes are logarithmic.
        linear: the linear rate fitted, drawn where only the gap's is.
    """

    name: str
    steps: Sequence[int]
    gaps: Sequence[float]
    power: Fit | None = None
    linear: Fit | None = None


def save(path: str | Path, runs: Sequence[Gaps], title: str = "") -> None:
    """Draw all runs twice, side by side: over the logarithm of the step, and over the step.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    figure = figure_of((11.0, 4.4), dpi=110)
    for number, power in enumerate((True, False), start=1):
        axes = figure.add_subplot(1, 2, number)
        for place, run in enumerate(runs):
            _draw(axes, run, COLOURS[place % len(COLOURS)], run.power if power else run.linear)
        axes.set_yscale("log")
        if power:
            axes.set_xscale("log")
        axes.set_title(title, fontsize="medium")
        axes.set_xlabel("step")
        axes.set_ylabel("loss gap")
        axes.grid(True, linewidth=0.4, alpha=0.5)
        axes.legend(fontsize="x-small", framealpha=0.8)
    write(figure, path)


def _draw(axes: Any, run: Gaps, colour: str, line: Fit | None) -> None:
    """Draw one run in its colour, with the fitted line dashed beside it."""
    name = run.name if line is None else f"{run.name}: {line.words}"
    positive = [gap if gap > 0 else float("nan") for gap in run.gaps]
    axes.plot(run.steps, positive, label=name, color=colour, linewidth=1.3)
    if line is not None:
        ends = _between(line)
        heights = [line.gap(step) for step in ends]
        axes.plot(ends, heights, color=colour, linewidth=2.5, linestyle=":", alpha=0.8)


def _between(line: Fit) -> list[float]:
    """Return the ends of the fitted range: a fitted line is straight on its axes."""
    return [float(line.first), float(line.last)]
