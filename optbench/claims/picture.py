"""A claim's picture: what its measure draws, and its quantities beside what the claim says."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.claims.claim import Claim
from optbench.claims.judged import HOLDS, NOT, Judged
from optbench.claims.measured import Measured
from optbench.errors import UserError
from optbench.plots import heatmap, png
from optbench.plots.heatmap import HeatMap
from optbench.plots.png import COLOURS, Picture

PANEL = (4.6, 3.1)
"""Inches."""
DPI = 80
ANSWERS = {HOLDS: COLOURS[2], NOT: COLOURS[1]}
OPEN = "#7f7f7f"
MOST_SERIES = 12
LONGEST, WIDEST = 34, 46
"""Letters of a quantity's name in the picture, and of a line of its title."""


def draw(
    path: Path,
    claim: Claim,
    measured: Mapping[str, Measured],
    judged: Mapping[str, Sequence[Judged]],
) -> str:
    """Draw a claim's picture; return why there is none, empty where there is one."""
    columns = 1 + max(len(each.pictures) for each in measured.values())
    try:
        figure = png.figure_of((PANEL[0] * columns, PANEL[1] * len(judged)), DPI)
        for row, (case, rules) in enumerate(judged.items()):
            pictures = measured[case].pictures
            for column, picture in enumerate(pictures, 1):
                axes = figure.add_subplot(len(judged), columns, row * columns + column)
                _one(axes, picture, case)
            place = row * columns + len(pictures) + 1
            _quantities(figure.add_subplot(len(judged), columns, place), rules, case)
        figure.suptitle(f"{claim.name} [{', '.join(claim.section)}]", fontsize="medium")
        png.write(figure, path)
    except UserError as error:
        return str(error)
    return ""


def _one(axes: Any, picture: Picture | HeatMap, case: str) -> None:
    """Draw what a measure gives."""
    if isinstance(picture, HeatMap):
        heatmap.draw(axes, picture)
    else:
        _lines(axes, picture)
    _title(axes, case, picture.title)
    axes.set_xlabel(picture.x_label, fontsize="small")
    axes.set_ylabel(picture.y_label, fontsize="small")
    axes.tick_params(labelsize="x-small")


def _lines(axes: Any, picture: Picture) -> None:
    for number, (name, (xs, ys)) in enumerate(picture.series.items()):
        style = "-" if len(xs) > 12 else "o-"
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(xs, ys, style, label=name, color=colour, linewidth=1.3, markersize=3.5)
    for name, x in picture.markers.items():
        axes.axvline(x, label=name, color="0.3", linestyle="--", linewidth=1.0)
    png.set_scales(axes, picture)
    axes.grid(True, linewidth=0.4, alpha=0.5)
    if 1 < len(picture.series) + len(picture.markers) <= MOST_SERIES:
        axes.legend(fontsize="xx-small", framealpha=0.6)


def _quantities(axes: Any, rules: Sequence[Judged], case: str) -> None:
    """Draw each quantity's values, mean and interval; those near a value as parts of it."""
    relative = all(each.target for each in rules)
    for row, each in enumerate(reversed(rules)):
        unit = each.target if relative and each.target else 1.0
        colour = ANSWERS.get(each.answer, OPEN)
        low, high = each.region
        ends = [value / unit for value in (low, high) if math.isfinite(value)]
        for end in ends:
            axes.plot([end, end], [row - 0.4, row + 0.4], color="0.35", linewidth=1.4)
        if len(ends) == 2:
            axes.fill_betweenx([row - 0.4, row + 0.4], *ends, color="0.85", zorder=0)
        if len(each.values) > 1:
            values = [value / unit for value in each.values]
            axes.plot(values, [row - 0.2] * len(values), ".", color="0.5", markersize=4)
        if math.isfinite(each.value):
            axes.plot([each.value / unit], [row], "o", color=colour, markersize=5)
        if math.isfinite(each.low) and math.isfinite(each.high):
            axes.plot([each.low / unit, each.high / unit], [row, row], color=colour, linewidth=2)
    axes.set_yticks(range(len(rules)))
    axes.set_yticklabels([_short(each.quantity) for each in reversed(rules)], fontsize="x-small")
    axes.set_ylim(-0.6, len(rules) - 0.4)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="x", labelsize="x-small")
    axes.set_xlabel("of what the claim says" if relative else "value", fontsize="small")
    _title(axes, case, "measured, and what is claimed")
    axes.grid(True, axis="x", linewidth=0.4, alpha=0.5)


def _title(axes: Any, case: str, said: str) -> None:
    """Put a case over its picture, in as many lines as it takes."""
    lines = textwrap.wrap(": ".join(filter(None, [case, said])), WIDEST)
    axes.set_title("\n".join(lines), fontsize="small")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
