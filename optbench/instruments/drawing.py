"""What instruments draw on matplotlib's axes: curves, contours, paths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.plots.png import COLOURS

LEVELS = 20
SHADES = ("#fbfcfd", "#7d93a8")
LINES = "#8796a5"

Grid = Sequence[Sequence[float]]
"""A row for each y; not all need be finite."""


@dataclass(frozen=True)
class Curves:
    """Lines through points.

    Attributes:
        xs: of all of them.
        series: the values by name; the names make a legend if there are several.
        title, x_label, y_label: texts.
        log_y: a logarithmic axis.
        marks: name -> x of a vertical line.
    """

    xs: Sequence[float]
    series: Mapping[str, Sequence[float]]
    title: str
    x_label: str
    y_label: str
    log_y: bool = False
    marks: Mapping[str, float] | None = None

    def __call__(self, axes: Any) -> None:
        """Draw."""
        for number, (name, ys) in enumerate(self.series.items()):
            dots = "." if len(self.xs) < 30 else None
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(self.xs, ys, label=name, color=colour, linewidth=1.4, marker=dots)
        for name, x in (self.marks or {}).items():
            axes.axvline(x, label=name, color="black", linestyle="--", linewidth=0.9)
        values = [y for ys in self.series.values() for y in ys if math.isfinite(y)]
        if self.log_y and values and min(values) > 0:
            axes.set_yscale("log")
        if all(isinstance(x, int) for x in self.xs):
            axes.locator_params(axis="x", nbins=6, integer=True)
        _label(axes, self.title, self.x_label, self.y_label)
        axes.grid(True, linewidth=0.4, alpha=0.5)
        if len(self.series) > 1 or self.marks:
            axes.legend(fontsize="x-small", framealpha=0.6)


@dataclass(frozen=True)
class Contours:
    """A loss over a plane, with the path through it.

    Attributes:
        xs, ys: the grid.
        losses: on the grid.
        title, x_label, y_label: texts.
        path: the points that a run came by, from its start on; none for a plane around one point.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    losses: Grid
    title: str
    x_label: str
    y_label: str
    path: Sequence[tuple[float, float]] = ()

    def __call__(self, axes: Any) -> None:
        """Draw contours, evenly spaced in the loss's logarithm where it is above 0."""
        finite = sorted(loss for row in self.losses for loss in row if math.isfinite(loss))
        if finite and finite[-1] > finite[0]:
            self._ground(axes, finite)
        if self.path:
            xs, ys = zip(*self.path, strict=True)
            axes.plot(xs, ys, color=COLOURS[1], linewidth=1.4, marker=".", markersize=4)
            axes.plot(xs[:1], ys[:1], "s", color="black", markersize=5, label="start")
            axes.plot(xs[-1:], ys[-1:], "o", color=COLOURS[1], markersize=7, label="end")
            axes.legend(fontsize="x-small", framealpha=0.8)
        else:
            axes.plot([0], [0], "o", color=COLOURS[1], markersize=6)
        axes.locator_params(nbins=5)
        _label(axes, self.title, self.x_label, self.y_label)

    def _ground(self, axes: Any, finite: Sequence[float]) -> None:
        from matplotlib.colors import LinearSegmentedColormap, LogNorm

        shades = LinearSegmentedColormap.from_list("shades", SHADES)
        low, high = finite[0], finite[-1]
        if low > 0 and high > 2 * low:
            levels = [low * (high / low) ** (n / (LEVELS - 1)) for n in range(LEVELS)]
            how: dict[str, Any] = {"norm": LogNorm(low, high)}
        else:
            levels = [low + (high - low) * n / (LEVELS - 1) for n in range(LEVELS)]
            how = {}
        grid = (self.xs, self.ys, [[_drawable(loss) for loss in row] for row in self.losses])
        drawn = axes.contourf(*grid, levels=levels, cmap=shades, extend="both", **how)
        axes.contour(*grid, levels=levels, colors=LINES, linewidths=0.4)
        bar = axes.figure.colorbar(drawn, ax=axes, format=_short)
        bar.set_label("loss")


def _drawable(loss: float) -> float:
    return loss if math.isfinite(loss) else math.nan


def _short(value: float, place: object) -> str:
    return f"{value:.3g}"


def _label(axes: Any, title: str, x_label: str, y_label: str) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
