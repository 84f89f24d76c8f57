"""What a search tried, as pictures: the scores over each key, and how much each key decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.plots import png
from optbench.plots.axis import CHOICE, Axis
from optbench.plots.png import COLOURS
from optbench.plots.window import Window

WIDTH, DPI = 9.0, 100
MOST_COLUMNS = 3
BEST = COLOURS[1]
JITTER = 0.3
"""How far apart, at most, values lie that are the same of a list or of whole numbers."""


@dataclass(frozen=True)
class Dot:
    """A trial.

    Attributes:
        place: from 0, in the order of the trials.
        at: the place on each axis (`Axis.place`; the index of a choice); nan: none.
        score: infinite where it has none.
        scores: of its runs.
        pruned: whether it was given up.
    """

    place: int
    at: Sequence[float]
    score: float
    scores: Sequence[float] = ()
    pruned: bool = False


def slices(
    path: str | Path,
    axes: Sequence[Axis],
    dots: Sequence[Dot],
    *,
    label: str,
    less: bool,
    best: int | None = None,
    title: str = "",
) -> None:
    """Draw the scores over the values of each key, a panel each.

    Args:
        path: of the PNG; its folder is made if it is not there.
        axes: of the keys.
        dots: the trials.
        label: what the scores are.
        less: whether less is better.
        best: the best trial's place in order.
        title: above all.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    figure = slices_figure(axes, dots, label, less, best, title)
    write(figure, path)


def slices_figure(
    axes: Sequence[Axis],
    dots: Sequence[Dot],
    label: str,
    less: bool,
    best: int | None,
    title: str,
) -> Any:
    """Return the figure of `slices`."""
    columns = len(axes) if len(axes) < MOST_COLUMNS else 2 if len(axes) == 4 else MOST_COLUMNS
    rows = math.ceil(len(axes) / columns)
    figure = figure_of(1.0 + (3.6 if columns == 1 else 2.8) * rows)
    window = Window.of([score for dot in dots for score in (dot.score, *dot.scores)], less)
    shown = None
    for number, axis in enumerate(axes):
        panel = figure.add_subplot(rows, columns, number + 1)
        shown = _panel(panel, axis, number, dots, window, best)
        axis.put(panel, columns)
        with_edge = not all(window.has(dot.score) for dot in dots)
        window.put(panel, label if number % columns == 0 else "", with_edge)
        if number % columns:
            panel.tick_params(labelleft=False)
        panel.grid(True, linewidth=0.4, alpha=0.5)
    if shown is not None:
        bar = figure.colorbar(shown, ax=figure.axes, label="trial", pad=0.01, aspect=30)
        bar.locator = _locator()
        bar.update_ticks()
    finish(figure, title)
    return figure


def _panel(
    panel: Any, axis: Axis, number: int, dots: Sequence[Dot], window: Window, best: int | None
) -> Any:
    """Draw the trials over one key; return what has their colours."""
    colours = {"cmap": "viridis_r", "vmin": 0, "vmax": max(max(d.place for d in dots), 1)}
    apart = _apart(axis, [dot.at[number] for dot in dots])
    size = 26 if len(dots) <= 100 else 12
    edge = panel.get_xaxis_transform()
    shown = None
    for pruned, inside in ((False, True), (True, True), (False, False), (True, False)):
        some = [d for d in dots if (d.pruned, window.has(d.score)) == (pruned, inside)]
        if not some:
            continue
        marker = "x" if pruned else "o" if inside else window.arrow
        xs = [dot.at[number] + apart * _aside(dot.place) for dot in some]
        shown = panel.scatter(
            xs,
            [dot.score if inside else window.edge for dot in some],
            c=[dot.place for dot in some],
            s=size if inside else 1.4 * size,
            marker=marker,
            linewidths=1.3 if pruned else 0.0,
            label="given up" if pruned else "" if inside else "no score, or far off",
            transform=panel.transData if inside else edge,
            zorder=2 if pruned else 3,
            **colours,
        )
        if inside and not pruned:
            _ranges(panel, xs, some, window)
    for dot in dots:
        if dot.place == best:
            x = dot.at[number] + apart * _aside(dot.place)
            panel.scatter(
                [x], [dot.score], marker="*", s=170, c=BEST, edgecolors="black",
                linewidths=0.7, zorder=5, label=f"the best, trial {best}",
            )  # fmt: skip
    return shown


def _ranges(panel: Any, xs: Sequence[float], dots: Sequence[Dot], window: Window) -> None:
    """Draw a line from the least to the greatest score of each trial's runs."""
    several = [(x, dot.scores) for x, dot in zip(xs, dots, strict=True) if len(dot.scores) > 1]
    if several:
        lows = [max(min(scores), window.low) for _, scores in several]
        highs = [min(max(scores), window.high) for _, scores in several]
        panel.vlines([x for x, _ in several], lows, highs, colors="0.6", linewidth=0.9, zorder=1)


def _apart(axis: Axis, places: Sequence[float]) -> float:
    """Return how far apart trials are drawn that have the same value, if there are any."""
    if len(set(places)) == len(places):
        return 0.0
    return JITTER if axis.kind == CHOICE or (axis.whole and axis.high - axis.low < 20) else 0.0


def _aside(place: int) -> float:
    """Return a number within -1 and 1: others for neighbours, and the same each time."""
    return 2 * ((place * 0.618034) % 1.0) - 1


def importance(path: str | Path, shares: Mapping[str, float], *, title: str = "") -> None:
    """Draw how much each key decides, as bars.

    Args:
        path: of the PNG; its folder is made if it is not there.
        shares: by key; together 1.
        title: above.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    write(importance_figure(shares, title), path)


def importance_figure(shares: Mapping[str, float], title: str) -> Any:
    """Return the figure of `importance`: the greatest on top."""
    order = sorted(shares, key=lambda key: shares[key])
    figure = figure_of(1.1 + 0.34 * len(order))
    panel = figure.add_subplot()
    panel.barh(range(len(order)), [100 * shares[key] for key in order], color=COLOURS[0])
    panel.set_yticks(range(len(order)), order, parse_math=False)
    for number, key in enumerate(order):
        panel.text(100 * shares[key] + 1, number, f"{shares[key]:.0%}", va="center", fontsize=9)
    panel.set_xlim(0, 108)
    panel.set_ylim(-0.6, len(order) - 0.4)
    panel.set_xlabel("importance in percent (PED-ANOVA)")
    panel.grid(True, axis="x", linewidth=0.4, alpha=0.5)
    panel.set_axisbelow(True)
    finish(figure, title)
    return figure


def figure_of(height: float) -> Any:
    """Return an empty figure of 900 pixels by so many inches, which keeps room for all texts."""
    figure = png.figure_of((WIDTH, height), DPI)
    figure.set_layout_engine("constrained")
    return figure


def finish(figure: Any, title: str) -> None:
    """Give a figure its title, and one legend below for what all its axes name."""
    if title:
        figure.suptitle(title, fontsize="medium", parse_math=False)
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if named:
        figure.legend(
            named.values(), named, loc="outside lower center", ncols=4, fontsize="small",
            frameon=False,
        )  # fmt: skip


def write(figure: Any, path: str | Path) -> None:
    """Write a figure into a PNG; its folder is made if it is not there."""
    with png.writing(path) as file:
        figure.savefig(file, format="png")


def _locator() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10])
