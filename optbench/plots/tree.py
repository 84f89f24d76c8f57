"""Who copied whom in a population, by matplotlib: rounds from left to right, members below one
another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.plots.png import COLOURS, figure_of, write

LOST = "#888888"
MOST_OUT = 0.05
"""The part of the scores at either end that colours don't tell apart: one bad one hides no rest."""

FAR = 10
"""Scores whose ends are so many times apart are told apart by their logarithms."""


@dataclass(frozen=True)
class Node:
    """A member in a round.

    Attributes:
        number: the round, from 0.
        member: its number.
        parent: the member of the round before that it goes on from; None in the first round.
        score: None of one that is lost.
        best: whether it is the best member, or one of its ancestors.
    """

    number: int
    member: int
    parent: int | None
    score: float | None
    best: bool = False


def save(
    path: str | Path, nodes: Sequence[Node], metric: str, less_is_better: bool, title: str = ""
) -> None:
    """Draw the tree: a point for each member in each round, in the colour of its score.

    Lines lead from parents; of those that were copied they are thick, of the best member's line of
    ancestors in another colour. Lost members are crosses.

    Args:
        path: of the PNG.
        nodes: in any order.
        metric: of the scores, for the scale.
        less_is_better: the better, the lighter.
        title: above.

    Raises:
        UserError: matplotlib is not installed, or the file can't be written.
    """
    rounds = 1 + max(node.number for node in nodes)
    members = 1 + max(node.member for node in nodes)
    width = min(max(5.0, 1.6 + 0.7 * rounds), 16.0)
    height = min(max(2.8, 1.2 + 0.4 * members), 12.0)
    figure = figure_of((width, height), dpi=120)
    axes = figure.add_subplot(1, 1, 1)
    for node in nodes:
        _line(axes, node)
    good = [node for node in nodes if node.score is not None]
    lost = [node for node in nodes if node.score is None]
    if good:
        points = _points(axes, good, less_is_better)
        figure.colorbar(points, ax=axes, label=metric, pad=0.02)
    axes.scatter([n.number for n in lost], [n.member for n in lost], c=LOST, marker="x", zorder=3)
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("round")
    axes.set_ylabel("member")
    axes.set_xticks(_ticks(0, rounds - 1))
    axes.set_yticks(_ticks(0, members - 1))
    axes.set_ylim(members - 0.4, -0.6)
    write(figure, path)


def _line(axes: Any, node: Node) -> None:
    """Draw the line from a member's parent."""
    if node.parent is None:
        return
    copied = node.parent != node.member
    axes.plot(
        [node.number - 1, node.number],
        [node.parent, node.member],
        color=COLOURS[1] if node.best else "#b0b0b0",
        linewidth=2.6 if copied else 1.0,
        zorder=2 if node.best else 1,
    )


def _points(axes: Any, nodes: Sequence[Node], less_is_better: bool) -> Any:
    scores = sorted(node.score for node in nodes if node.score is not None)
    out = int(MOST_OUT * len(scores))
    low, high = scores[out], scores[-1 - out]
    logarithmic = 0 < low * FAR < high
    return axes.scatter(
        [node.number for node in nodes],
        [node.member for node in nodes],
        c=[node.score for node in nodes],
        cmap="viridis_r" if less_is_better else "viridis",
        norm="log" if logarithmic else None,
        vmin=low,
        vmax=high,
        edgecolors="#404040",
        linewidths=0.6,
        s=52,
        zorder=3,
    )


def _ticks(low: int, high: int) -> list[int]:
    """Return whole numbers for an axis, some twenty at most."""
    every = 1 + (high - low) // 20
    return list(range(low, high + 1, every))
