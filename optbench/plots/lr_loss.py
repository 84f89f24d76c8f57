"""The learning rate against the loss of whole runs, and the rates that do about as well as any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from optbench.plots.axis import Axis, number
from optbench.plots.png import COLOURS
from optbench.plots.study import BEST, figure_of, finish, write
from optbench.plots.window import Window

SHADE = 0.18


@dataclass(frozen=True)
class Rate:
    """The runs of a trial.

    Attributes:
        lr: theirs.
        scores: of the runs; infinite where one has none.
        pruned: whether the trial was given up, so that runs are missing.
    """

    lr: float
    scores: Sequence[float]
    pruned: bool = False


@dataclass(frozen=True)
class SweetSpot:
    """The best learning rate and its neighbours that are as good, as far as can be told.

    Attributes:
        lr: with the best mean over its runs.
        low, high: the ends of the plateau: the rates next to it, and next to these, whose mean is
            within one standard error of the best (the rule of Breiman et al. 1984, 3.4.3).
        error: the standard error of the best mean; None of a single run.
    """

    lr: float
    low: float
    high: float
    error: float | None

    @property
    def words(self) -> str:
        """Return it as a sentence's part."""
        if self.error is None:
            return f"the best is {number(self.lr)}"
        if self.low == self.high:
            return f"the best is {number(self.lr)}, no other within one standard error"
        plateau = f"{number(self.low)} to {number(self.high)}"
        return f"the best is {number(self.lr)}, {plateau} within one standard error"


def by_lr(rates: Sequence[Rate]) -> dict[float, list[float]]:
    """Return the scores of the runs with each learning rate, ascending, without what was pruned."""
    found: dict[float, list[float]] = {}
    for rate in sorted(rates, key=lambda rate: rate.lr):
        if (
            not rate.pruned
        ):  # a second trial with the rate has the same seeds, and tells nothing new
            found.setdefault(rate.lr, list(rate.scores))
    return found


def sweet_spot(rates: Sequence[Rate], less: bool) -> SweetSpot | None:
    """Return the best learning rate; None where none has a score of all its runs."""
    sign = 1 if less else -1
    runs = by_lr(rates)
    means = {lr: sign * fmean(scores) for lr, scores in runs.items() if scores}
    good = {lr: mean for lr, mean in means.items() if math.isfinite(mean)}
    if not good:
        return None
    best = min(good, key=lambda lr: good[lr])
    if len(runs[best]) < 2:
        return SweetSpot(best, best, best, None)
    error = stdev(runs[best]) / math.sqrt(len(runs[best]))
    order = list(means)
    first = last = order.index(best)
    while first > 0 and means[order[first - 1]] <= good[best] + error:
        first -= 1
    while last + 1 < len(order) and means[order[last + 1]] <= good[best] + error:
        last += 1
    return SweetSpot(best, order[first], order[last], error)


Line = tuple[Sequence[float], Sequence[float]]
"""Learning rates and losses."""


def lr_loss(
    path: str | Path,
    axis: Axis,
    rates: Sequence[Rate],
    *,
    label: str,
    less: bool,
    best: float | None = None,
    ranges: Sequence[Line] = (),
    title: str = "",
) -> None:
    """Draw each run's score over its learning rate.

    Args:
        path: of the PNG; its folder is made if it is not there.
        axis: of the learning rate.
        rates: the trials.
        label: what the scores are.
        less: whether less is better.
        best: the learning rate of the best trial, where other settings differ too; None where the
            learning rate is all that differs: then the means are joined by a line, what lies
            between the runs is shaded, and the title says how wide the sweet spot is.
        ranges: curves of learning rate range tests, on an axis of their own at the right.
        title: above, before what is said of the sweet spot.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    write(lr_loss_figure(axis, rates, label, less, best, ranges, title), path)


def lr_loss_figure(
    axis: Axis,
    rates: Sequence[Rate],
    label: str,
    less: bool,
    best: float | None,
    ranges: Sequence[Line],
    title: str,
) -> Any:
    """Return the figure of `lr_loss`."""
    figure = figure_of(4.6)
    axes = figure.add_subplot()
    scores = [score for rate in rates for score in rate.scores]
    window = Window.of(scores, less)
    if best is None:
        spot = sweet_spot(rates, less)
        _curve(axes, by_lr(rates), window)
        _spot(axes, spot)
        words = spot.words if spot else "none has a score of all its runs"
    else:
        axes.axvline(best, color=BEST, linestyle="--", linewidth=1.0, label=f"lr {number(best)}")
        words = f"the best trial has {number(best)} (the other settings differ, too)"
    _dots(axes, rates, window)
    axis.put(axes)
    window.put(axes, label, not all(map(window.has, scores)))
    axes.grid(True, linewidth=0.4, alpha=0.5)
    _ranges(axes, axis, ranges)
    finish(figure, f"{title}: {words}" if title else words)
    return figure


def _curve(axes: Any, runs: dict[float, list[float]], window: Window) -> None:
    """Draw the means and what lies between the runs; both end where a run has no place."""
    lrs = list(runs)
    means = [
        fmean(scores) if all(map(window.has, scores)) else math.nan for scores in runs.values()
    ]
    several = any(len(scores) > 1 for scores in runs.values())
    axes.plot(
        lrs, means, color=COLOURS[0], linewidth=1.4, zorder=3,
        label="mean of the runs" if several else "",
    )  # fmt: skip
    if several:
        known = [[s for s in scores if window.has(s)] or [math.nan] for scores in runs.values()]
        axes.fill_between(
            lrs, list(map(min, known)), list(map(max, known)), color=COLOURS[0], alpha=SHADE,
            linewidth=0, zorder=1, label="between the runs",
        )  # fmt: skip


def _spot(axes: Any, spot: SweetSpot | None) -> None:
    if spot is None:
        return
    axes.axvline(spot.lr, color=BEST, linestyle="--", linewidth=1.0, label="the best")
    if spot.low < spot.high:
        axes.axvspan(
            spot.low, spot.high, color=COLOURS[2], alpha=SHADE, linewidth=0, zorder=0,
            label="within one standard error",
        )  # fmt: skip


def _dots(axes: Any, rates: Sequence[Rate], window: Window) -> None:
    """Draw a dot for each run; at the edge those without a place."""
    for pruned, inside in ((False, True), (True, True), (False, False), (True, False)):
        points = [
            (rate.lr, score)
            for rate in rates
            if rate.pruned == pruned
            for score in rate.scores
            if window.has(score) == inside
        ]
        if not points:
            continue
        axes.scatter(
            [lr for lr, _ in points],
            [score if inside else window.edge for _, score in points],
            s=22 if inside else 34,
            marker="x" if pruned else "o" if inside else window.arrow,
            color=COLOURS[6] if not inside else COLOURS[0],
            transform=axes.transData if inside else axes.get_xaxis_transform(),
            zorder=4,
            label="given up" if pruned else "a run" if inside else "no score, or far off",
        )


def _ranges(axes: Any, axis: Axis, ranges: Sequence[Line]) -> None:
    """Draw the curves of range tests as far as the axis goes, up to where they diverge."""
    low, high = axis.ends
    lines = []
    for lrs, losses in ranges:
        some = [(x, y) for x, y in zip(lrs, losses, strict=True) if low <= x <= high]
        lines += [some] if len(some) > 1 else []
    if not lines:
        return
    least = min(y for some in lines for _, y in some)
    top = max(some[0][1] for some in lines)
    top += (top - least) / 2 or abs(top) / 10
    other = axes.twinx()
    for some in lines:
        seen = [(x, y if y <= top else math.nan) for x, y in some]
        other.plot(
            [x for x, _ in seen], [y for _, y in seen], color=COLOURS[3], linewidth=1.2,
            label="find-lr",
        )  # fmt: skip
    other.set_ylabel("find-lr: training loss, smoothed", color=COLOURS[3])
    axes.set_zorder(other.get_zorder() + 1)
    axes.patch.set_visible(False)
