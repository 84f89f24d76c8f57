"""Arms side by side, for papers: scores and leads, curves with bands, arrivals, profiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from optbench.errors import UserError
from optbench.plots import png
from optbench.plots.png import COLOURS
from optbench.plots.window import Window

FORMATS = ("png", "pdf", "svg")
SIZE, DPI = (6.4, 3.6), 200
ROW = 0.34
"""Inches for an arm."""
LONGEST = 48
"""Letters of a name or title."""
DASHES = ("-", "--", ":", "-.")
SHADE = 0.15
JITTER = 0.22
TEXT_STAYS_TEXT: Any = {"pdf.fonttype": 42, "svg.fonttype": "none"}
"""In PDF and SVG letters can be searched and set anew."""


@dataclass(frozen=True)
class ArmScores:
    """The final scores of an arm.

    Attributes:
        name: of the arm.
        scores: of the runs that finished.
        failed: how many did not.
        lead: of the first arm over this one: difference and interval; None of the first itself, or
            where no pair finished.
    """

    name: str
    scores: Sequence[float]
    failed: int = 0
    lead: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Line:
    """A curve of an arm, with a band around it where `low` and `high` are given."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def draw_scores(
    path: str | Path,
    arms: Sequence[ArmScores],
    *,
    less: bool,
    label: str,
    lead: str,
    title: str = "",
) -> None:
    """Draw each arm's scores, and beside them by how much the first is ahead, with intervals.

    Args:
        path: of the file; its ending says which of `FORMATS` it has.
        arms: the best first.
        less: whether less is better.
        label: what the scores are.
        lead: what the lead is.
        title: above all.

    Raises:
        UserError: matplotlib is not installed, another ending, or the file can't be written.
    """
    figure = figure_of((SIZE[0], 1.2 + ROW * len(arms)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    window = Window.of([score for arm in arms for score in arm.scores], less)
    leads = Window.of([arm.lead[0] for arm in arms if arm.lead is not None], less=True)
    for place, arm in enumerate(arms):
        _dots(left, place, arm, window)
        if arm.lead is not None and not leads.has(arm.lead[0]):
            _note(right, place, f"{arm.lead[0]:.2g}", at_right=True)
        elif arm.lead is not None:
            middle, low, high = arm.lead
            right.plot([low, high], [place, place], color="0.35", linewidth=1.2)
            right.plot([middle], [place], "o", color=_colour(place), markersize=5)
    left.set_yticks(range(len(arms)), [_with_failed(arm) for arm in arms])
    left.set_ylim(len(arms) - 0.4, -0.6)
    left.set_xlabel(drawable(label))
    if window.log:
        left.set_xscale("log")
    right.axvline(0.0, color="0.6", linewidth=0.8)
    right.set_xlabel(drawable(lead))
    for axes in (left, right):
        axes.grid(True, axis="x", linewidth=0.4, alpha=0.5)
        axes.tick_params(axis="y", length=0)
    write(figure, path, title)


def _dots(axes: Any, place: int, arm: ArmScores, window: Window) -> None:
    inside = [score for score in arm.scores if window.has(score)]
    count = max(len(inside) - 1, 1)
    apart = [place + JITTER * (2 * (i * 7 % (count + 1)) / count - 1) for i in range(len(inside))]
    axes.scatter(inside, apart, s=9, color=_colour(place), alpha=0.55, linewidths=0)
    if arm.scores and window.has(mean := fmean(arm.scores)):
        axes.plot([mean, mean], [place - 0.32, place + 0.32], color=_colour(place), linewidth=2)
    if far := len(arm.scores) - len(inside):
        _note(axes, place, f"{far} far off", at_right=window.less)


def _note(axes: Any, place: int, text: str, at_right: bool) -> None:
    """Say at a side of the axes what has no place in them."""
    axes.annotate(
        text, (0.97 if at_right else 0.03, place), fontsize="x-small", color="0.4", va="center",
        xycoords=("axes fraction", "data"), ha="right" if at_right else "left",
    )  # fmt: skip


def _with_failed(arm: ArmScores) -> str:
    name = drawable(arm.name)
    return f"{name} ({arm.failed} failed)" if arm.failed else name


def draw_lines(
    path: str | Path,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    less: bool = True,
    title: str = "",
    target: float | None = None,
) -> None:
    """Draw curves of arms, each with its band.

    Args:
        path: of the file, see `draw_scores`.
        lines: of the arms; values that are not finite are gaps.
        less: whether less is better: then a wide range has a logarithmic axis.
        target: a value that is marked.

    Raises:
        UserError: as `draw_scores`.
    """
    figure = figure_of(SIZE)
    axes = figure.subplots()
    ends = [y for line in lines for y in (line.ys[len(line.ys) // 4 :] or line.ys)]
    window = Window.of(ends, less)
    for place, line in enumerate(lines):
        axes.plot(
            line.xs, line.ys, color=_colour(place), linestyle=_dash(place), linewidth=1.4,
            label=drawable(line.name),
        )  # fmt: skip
        if len(line.low):
            axes.fill_between(
                line.xs, line.low, line.high, color=_colour(place), alpha=SHADE, linewidth=0
            )
    if target is not None:
        axes.axhline(target, color="0.5", linewidth=0.8, linestyle=(0, (1, 2)))
    window.put(axes, drawable(y_label), False)
    axes.set_xlabel(drawable(x_label))
    axes.grid(True, linewidth=0.4, alpha=0.5)
    _legend(figure, axes, len(lines))
    write(figure, path, title)


def draw_shares(
    path: str | Path,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    start: float = 0.0,
    title: str = "",
) -> None:
    """Draw shares of arms that rise in steps, such as of the runs that arrived, from 0 to 1.

    Args:
        path: of the file, see `draw_scores`.
        lines: of the arms.
        start: of the other axis.

    Raises:
        UserError: as `draw_scores`.
    """
    figure = figure_of(SIZE)
    axes = figure.subplots()
    for place, line in enumerate(lines):
        colour = _colour(place)
        axes.step(
            line.xs, line.ys, where="post", color=colour, linestyle=_dash(place), linewidth=1.4,
            label=drawable(line.name),
        )  # fmt: skip
        if len(line.low):
            axes.fill_between(
                line.xs, line.low, line.high, step="post", color=colour, alpha=SHADE / 2,
                linewidth=0,
            )  # fmt: skip
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(left=start)
    axes.set_xlabel(drawable(x_label))
    axes.set_ylabel(drawable(y_label))
    axes.grid(True, linewidth=0.4, alpha=0.5)
    _legend(figure, axes, len(lines))
    write(figure, path, title)


def drawable(text: str) -> str:
    """Return a text that can be drawn: as long as there is room, without invisible letters."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 3]}..."


def ending_of(path: str | Path) -> str:
    """Return which of `FORMATS` a file's name ends with.

    Raises:
        UserError: none of them.
    """
    ending = Path(path).suffix.lstrip(".").lower()
    if ending not in FORMATS:
        raise UserError(f"{path}: a picture ends with {', '.join(f'.{f}' for f in FORMATS)}")
    return ending


def write(figure: Any, path: str | Path, title: str) -> None:
    """Write a figure; what looks like a formula in a name is text."""
    import matplotlib
    from matplotlib.text import Text

    ending = ending_of(path)
    if title:
        figure.suptitle(drawable(title), fontsize="medium")
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with png.writing(path) as file, matplotlib.rc_context(TEXT_STAYS_TEXT):
        figure.savefig(file, format=ending)


def figure_of(size: tuple[float, float]) -> Any:
    """Return an empty figure of this size in inches, which keeps room for all texts."""
    figure = png.figure_of(size, DPI)
    figure.set_layout_engine("constrained")
    return figure


def _legend(figure: Any, axes: Any, many: int) -> None:
    if many > 1:
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", fontsize="small", frameon=False)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _dash(place: int) -> str:
    return DASHES[place // len(COLOURS) % len(DASHES)]
