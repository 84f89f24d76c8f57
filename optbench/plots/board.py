"""Arms by workloads in one picture: who beats how many others, and who is not told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.plots.arms import drawable, figure_of, write

WIDTH, HEIGHT = 1.15, 0.36
"""Inches of a cell."""
NAMES, HEADS, BAR = 1.3, 1.0, 1.0
LIGHT = 0.55
"""From this share on a cell is dark, and its letters are white."""


@dataclass(frozen=True)
class Cell:
    """An arm on a workload.

    Attributes:
        share: the part of the other arms that it beats at the same seed.
        text: its score.
        first: whether it is the best there, or can't be told from the best.
    """

    share: float
    text: str
    first: bool = False


def draw_board(
    path: str | Path,
    arms: Sequence[str],
    workloads: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    *,
    heads: Sequence[str] = (),
    title: str = "",
) -> None:
    """Draw a table of arms (rows, the best first) by workloads (columns), coloured by share.

    Args:
        path: of the file; its ending says which format it has.
        cells: for each arm one a workload.
        heads: below each workload's name, such as its metric.
        title: above all.

    Raises:
        UserError: matplotlib is not installed, another ending, or the file can't be written.
    """
    size = (NAMES + WIDTH * len(workloads) + BAR, HEADS + HEIGHT * len(arms))
    figure = figure_of(size)
    axes = figure.subplots()
    shares = [[cell.share for cell in row] for row in cells]
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            _put(axes, x, y, cell)
    below = heads or [""] * len(workloads)
    pairs = [f"{name}\n{head}" for name, head in zip(workloads, below, strict=True)]
    labels = ["\n".join(map(drawable, pair.strip().split("\n"))) for pair in pairs]
    axes.set_xticks(range(len(workloads)), labels, fontsize="small")
    axes.set_yticks(range(len(arms)), [drawable(arm) for arm in arms])
    axes.tick_params(top=True, bottom=False, labeltop=True, labelbottom=False, length=0)
    for edge in axes.spines.values():
        edge.set_visible(False)
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
    bar.set_label("share of others beaten", fontsize="small")
    axes.set_xlabel("framed: the best, or not told apart from it", fontsize="small", color="0.35")
    bar.outline.set_visible(False)
    write(figure, path, title)


def _put(axes: Any, x: int, y: int, cell: Cell) -> None:
    from matplotlib.patches import Rectangle

    colour = "white" if cell.share > LIGHT else "0.15"
    weight = "bold" if cell.first else "normal"
    axes.text(
        x, y, cell.text, ha="center", va="center", color=colour, fontsize="small", weight=weight
    )
    if cell.first:
        frame = Rectangle(
            (x - 0.47, y - 0.44), 0.94, 0.88, fill=False, edgecolor="#d55e00", linewidth=1.6
        )
        axes.add_patch(frame)
