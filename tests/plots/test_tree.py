"""The tree of who copied whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.plots.png import figure_of
from optbench.plots.tree import Node, _line, save

pytest.importorskip("matplotlib")


def test_copies_are_thick_and_the_best_ones_line_is_in_colour() -> None:
    axes = figure_of((4.0, 3.0), 80).add_subplot(1, 1, 1)
    for node in (Node(1, 0, 0, 1.0), Node(1, 1, 0, 1.0), Node(2, 1, 1, 0.5, best=True)):
        _line(axes, node)
    _line(axes, Node(0, 0, None, 1.0))
    own, copied, best = axes.get_lines()
    assert copied.get_linewidth() > own.get_linewidth() == best.get_linewidth()
    assert best.get_color() != own.get_color() == copied.get_color()
    assert (list(copied.get_xdata()), list(copied.get_ydata())) == ([0, 1], [0, 1])


@pytest.mark.parametrize("scores", [(1.0, 0.5, None), (None, None, None), (1e3, 1e-3, -1.0)])
def test_it_is_drawn_whatever_the_scores_are(
    scores: tuple[float | None, ...], tmp_path: Path
) -> None:
    nodes = [Node(0, m, None, score) for m, score in enumerate(scores)]
    save(tmp_path / "tree.png", nodes, "val/loss", True)
    assert (tmp_path / "tree.png").read_bytes().startswith(b"\x89PNG")
