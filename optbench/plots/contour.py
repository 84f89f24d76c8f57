"""The paths of optimizers on a function of two numbers, by matplotlib: a picture, an animation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.plots.png import COLOURS, figure_of, write, writing

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Least and greatest x, least and greatest y."""

LEVELS = 18
SHADES = ("#fbfcfd", "#a9b8c6")
"""Of the lowest and of the highest level: pale, so that the paths are seen."""
LINES = "#8796a5"
REACH = 2.0
"""A path is followed to so many times the size of the region around starts and minima."""
FRAMES = 90
SECONDS = 6.0
LONGEST_DOTTED = 80
"""Points of a path up to which each is marked."""


@dataclass(frozen=True)
class Landscape:
    """A function on a grid.

    Attributes:
        title: of the picture.
        xs, ys: the grid.
        gaps: the value less the minimum, a row for each y.
        minima: where it is least.
    """

    title: str
    xs: Sequence[float]
    ys: Sequence[float]
    gaps: Sequence[Sequence[float]]
    minima: Sequence[Point]


@dataclass(frozen=True)
class Trail:
    """The points where an optimizer was, from its start on."""

    name: str
    points: Sequence[Point]


def region(fixed: Sequence[Point], trails: Sequence[Trail]) -> Box:
    """Return what a picture shows: starts, minima (`fixed`), and the paths unless they run away."""
    core = _around(fixed)
    size = max(core[1] - core[0], core[3] - core[2]) or 1.0
    reach = REACH * size
    within = [
        (x, y)
        for trail in trails
        for x, y in trail.points
        if core[0] - reach <= x <= core[1] + reach and core[2] - reach <= y <= core[3] + reach
    ]
    left, right, low, high = _around([*fixed, *within])
    size = max(right - left, high - low) or 1.0
    margins = [
        max(0.12 * size, (0.6 * size - side) / 2) for side in (right - left, high - low)
    ]  # no narrow strips
    return left - margins[0], right + margins[0], low - margins[1], high + margins[1]


def _around(points: Sequence[Point]) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), max(xs), min(ys), max(ys)


def save(path: str | Path, panels: Sequence[tuple[Landscape, Sequence[Trail]]]) -> None:
    """Draw landscapes side by side, each with its paths and a legend, into one PNG.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    figure = figure_of((6.0 * len(panels), 5.0), dpi=110)
    for number, (landscape, trails) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), number)
        _draw(axes, landscape)
        lines, heads = _lines(axes, trails), _heads(axes, trails)
        for line, head, trail in zip(lines, heads, trails, strict=True):
            _show(line, trail.points)
            _show(head, trail.points[-1:])
        _start(axes, trails)
        axes.legend(fontsize="x-small", framealpha=0.8, loc="best")
    write(figure, path)


def animate(path: str | Path, landscape: Landscape, trails: Sequence[Trail]) -> None:
    """Draw one landscape as a GIF in which the paths grow, at most FRAMES frames in SECONDS.

    Every path has one point for each of the same steps; a shorter one stays where it ended.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    figure = figure_of((5.4, 4.5), dpi=90)
    from PIL import Image

    axes = figure.add_subplot(1, 1, 1)
    _draw(axes, landscape)
    lines, heads = _lines(axes, trails), _heads(axes, trails)
    _start(axes, trails)
    axes.legend(fontsize="x-small", framealpha=0.8, loc="best")
    figure.tight_layout()
    canvas = figure.canvas
    canvas.draw()
    ground = canvas.copy_from_bbox(figure.bbox)  # drawn once: the contours take most of the time
    longest = max(len(trail.points) for trail in trails)
    frames = []
    for end in sorted({round(1 + (longest - 1) * n / (FRAMES - 1)) for n in range(FRAMES)}):
        canvas.restore_region(ground)
        for line, head, trail in zip(lines, heads, trails, strict=True):
            _show(line, trail.points[:end])
            _show(head, trail.points[:end][-1:])
            axes.draw_artist(line)
            axes.draw_artist(head)
        size = canvas.get_width_height()
        frames.append(Image.frombytes("RGBA", size, bytes(canvas.buffer_rgba())).convert("RGB"))
    palette = _palette(frames[-1])  # one for all frames, or they would flicker
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    milliseconds = round(1000 * SECONDS / len(frames))
    with writing(path) as file:
        first.save(
            file, format="GIF", save_all=True, append_images=others, duration=milliseconds, loop=0
        )


def _palette(frame: Any) -> Any:
    """Return 256 colours of a frame, among them those of the paths, however thin."""
    from PIL import Image

    stripe = frame.height // 20
    sample = Image.new("RGB", (frame.width, frame.height + stripe * len(COLOURS)))
    sample.paste(frame)
    for number, colour in enumerate(COLOURS):
        low = frame.height + stripe * number
        sample.paste(colour, (0, low, frame.width, low + stripe))
    return sample.quantize(256)


def _show(line: Any, points: Sequence[Point]) -> None:
    line.set_data([x for x, _ in points], [y for _, y in points])


def _draw(axes: Any, landscape: Landscape) -> None:
    """Draw the contours, evenly spaced in the logarithm of the gap, and the minima."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    shades = LinearSegmentedColormap.from_list("shades", SHADES)
    positive = sorted(gap for row in landscape.gaps for gap in row if 0 < gap < math.inf)
    low, high = positive[len(positive) // 500], positive[-1]
    low = min(low, high / 10)
    levels = [low * (high / low) ** (n / (LEVELS - 1)) for n in range(LEVELS)]
    heights = [[max(gap, low) for gap in row] for row in landscape.gaps]
    grid = (landscape.xs, landscape.ys, heights)
    axes.contourf(*grid, levels=levels, norm=LogNorm(low, high), cmap=shades)
    axes.contour(*grid, levels=levels, colors=LINES, linewidths=0.4)
    for number, (x, y) in enumerate(landscape.minima):
        label = None if number else "minimum"
        style = {"color": "black", "markersize": 11, "linestyle": "none", "zorder": 5}
        axes.plot([x], [y], "*", label=label, **style)
    axes.set_xlim(landscape.xs[0], landscape.xs[-1])
    axes.set_ylim(landscape.ys[0], landscape.ys[-1])
    axes.set_title(landscape.title, fontsize="medium")
    axes.set_xlabel("$x_0$")
    axes.set_ylabel("$x_1$")


def _lines(axes: Any, trails: Sequence[Trail]) -> list[Any]:
    """Draw an empty line for each path, in its colour, and return them."""
    lines = []
    for number, trail in enumerate(trails):
        dots = "." if len(trail.points) <= LONGEST_DOTTED else None
        dashes = "-" if number < len(COLOURS) else "--"
        style = {"color": COLOURS[number % len(COLOURS)], "linestyle": dashes, "marker": dots}
        lines += axes.plot([], [], label=trail.name, linewidth=1.5, markersize=4, **style)
    return lines


def _heads(axes: Any, trails: Sequence[Trail]) -> list[Any]:
    """Draw a dot for the end of each path, and return them."""
    heads = []
    for number, _ in enumerate(trails):
        colour = COLOURS[number % len(COLOURS)]
        heads += axes.plot([], [], "o", color=colour, markersize=6, markeredgecolor="white")
    return heads


def _start(axes: Any, trails: Sequence[Trail]) -> None:
    starts = sorted({trail.points[0] for trail in trails})
    for number, (x, y) in enumerate(starts):
        label = None if number else "start"
        axes.plot([x], [y], "s", color="black", markersize=5, label=label, linestyle="none")
