"""A number over two settings, as colours in one pair of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLOURS = "viridis"


@dataclass(frozen=True)
class HeatMap:
    """What stands in one pair of axes.

    Attributes:
        xs, ys: the settings, rising; neighbours are drawn equally far apart.
        values: a row for each of `ys`; what is not finite is drawn like what is `most` or more.
        title, x_label, y_label: texts.
        most: where the colours end; the largest value by default.
        dots: places in `xs` and `ys` that are marked, such as the best of each column.
        ring: a place that is marked otherwise, such as the best of all.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    values: Sequence[Sequence[float]]
    title: str = ""
    x_label: str = ""
    y_label: str = ""
    most: float | None = None
    dots: Sequence[tuple[int, int]] = ()
    ring: tuple[int, int] | None = None


def draw(axes: Any, heatmap: HeatMap) -> None:
    """Draw it into matplotlib's axes, with a bar that says which colour is which value."""
    known = [value for row in heatmap.values for value in row if math.isfinite(value)]
    most = heatmap.most if heatmap.most is not None else max(known, default=1.0)
    rows = [
        [value if math.isfinite(value) and value < most else most for value in row]
        for row in heatmap.values
    ]
    image = axes.imshow(rows, origin="lower", aspect="auto", cmap=COLOURS, vmax=most)
    bar = axes.figure.colorbar(image, ax=axes)
    bar.ax.tick_params(labelsize="x-small")
    if heatmap.dots:
        axes.plot(*zip(*heatmap.dots, strict=True), "o", color="white", markersize=4)
    if heatmap.ring is not None:
        x, y = heatmap.ring
        axes.plot([x], [y], "o", markerfacecolor="none", color="white", markersize=10)
    for values, ticks, labels in (
        (heatmap.xs, axes.set_xticks, axes.set_xticklabels),
        (heatmap.ys, axes.set_yticks, axes.set_yticklabels),
    ):
        ticks(range(len(values)))
        labels([f"{value:g}" for value in values])
