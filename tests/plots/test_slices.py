"""What a search tried, as pictures: what stands in their axes."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from optbench.plots.axis import CHOICE, LINEAR, LOG, Axis
from optbench.plots.study import Dot, importance, importance_figure, slices, slices_figure

LR = Axis("optimizer.lr", LOG, 1e-4, 1.0)
KIND = Axis("model.kind", CHOICE, labels=["a", "b"])
DOTS = [
    Dot(0, [1e-3, 0], 0.5, [0.4, 0.6]),
    Dot(1, [1e-2, 1], 0.3, [0.3, 0.3]),
    Dot(2, [0.5, 1], math.inf, [math.inf, 0.7]),
    Dot(3, [0.1, 0], 0.6, [0.6], pruned=True),
    Dot(4, [0.9, 0], math.inf, [], pruned=True),
    Dot(5, [2e-2, 0], 0.4, [0.35, 0.45]),
]


def drawn(axes: list[Axis], dots: list[Dot] = DOTS, best: int | None = 1) -> Any:
    return slices_figure(axes, dots, "val/loss", less=True, best=best, title="six trials")


def groups(panel: Any) -> list[tuple[str, list[float], list[float]]]:
    """Of each group of dots: its name, its xs, and the trials in it."""
    found = [c for c in panel.collections if hasattr(c, "get_sizes") and len(c.get_sizes())]
    return [
        (
            c.get_label() if not c.get_label().startswith("_") else "",
            [float(x) for x in c.get_offsets()[:, 0]],
            [] if c.get_array() is None else [float(n) for n in c.get_array()],
        )
        for c in found
    ]


def test_each_trial_is_once_in_each_panel_in_the_colour_of_its_order() -> None:
    figure = drawn([LR, KIND])
    panels = figure.axes[:2]
    assert [panel.get_xlabel() for panel in panels] == ["optimizer.lr", "model.kind"]
    for panel in panels:
        trials = sorted(n for _, _, numbers in groups(panel) for n in numbers)
        assert trials == [0, 1, 2, 3, 4, 5]
    named = {name: (xs, numbers) for name, xs, numbers in groups(panels[0])}
    assert named["no score, or far off"] == ([0.5], [2])
    assert named["the best, trial 1"][0] == [1e-2]
    assert named[""] == ([1e-3, 1e-2, 2e-2], [0, 1, 5])
    assert panels[0].get_ylabel() == "val/loss" and panels[1].get_ylabel() == ""
    assert figure.axes[2].get_ylabel() == "trial"


def test_what_was_given_up_is_a_cross_where_it_was_and_at_the_edge_without_a_score() -> None:
    found = [group for group in groups(drawn([LR]).axes[0]) if group[0] == "given up"]
    assert [(xs, numbers) for _, xs, numbers in found] == [([0.1], [3]), ([0.9], [4])]
    (legend,) = drawn([LR]).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["given up", "no score, or far off", "the best, trial 1"]


def test_the_runs_of_a_trial_have_a_line() -> None:
    (lines,) = [c for c in drawn([LR]).axes[0].collections if not hasattr(c, "get_sizes")]
    spans = [(float(s[0][0]), float(s[0][1]), float(s[1][1])) for s in lines.get_segments()]
    assert spans == [(1e-3, 0.4, 0.6), (1e-2, 0.3, 0.3), (2e-2, 0.35, 0.45)]


def test_trials_with_the_same_choice_lie_beside_each_other_within_its_place() -> None:
    places = {
        trial: x
        for _, xs, numbers in groups(drawn([LR, KIND]).axes[1])
        for x, trial in zip(xs, numbers, strict=False)
    }
    assert len(set(places.values())) == len(DOTS)
    assert all(abs(places[dot.place] - dot.at[1]) < 0.4 for dot in DOTS)
    alone = drawn([KIND], [Dot(0, [0], 1.0), Dot(1, [1], 2.0)], best=None)
    assert groups(alone.axes[0])[0][1] == [0, 1]


@pytest.mark.parametrize(("keys", "rows"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3)])
def test_many_keys_have_rows(keys: int, rows: int, tmp_path: Path) -> None:
    axes = [Axis(f"key{n}", LINEAR, 0.0, 1.0) for n in range(keys)]
    dots = [Dot(n, [n / 4] * keys, n / 4) for n in range(4)]
    figure = drawn(axes, dots, best=0)
    assert len(figure.axes) == keys + 1  # the bar of colours
    assert len({panel.get_subplotspec().rowspan.start for panel in figure.axes[:keys]}) == rows
    slices(tmp_path / "new" / "s.png", axes, dots, label="val/loss", less=True)
    with Image.open(tmp_path / "new" / "s.png") as picture:
        assert picture.width == 900


def test_no_text_lies_over_another_panel() -> None:
    """Long names and choices: what matplotlib would let run into each other."""
    name = ".".join(["a_long_group"] * 5)
    options = Axis(f"{name}.kind", CHOICE, labels=["a_long_option", "another_long_one", "third"])
    axes = [options, Axis(f"{name}.lr", LOG, 1e-7, 1.0), Axis(f"{name}.more", LOG, 1e-5, 1.0)]
    figure = drawn(axes, [Dot(n, [n, 1e-4, 1e-4], n / 4) for n in range(3)], best=0)
    figure.draw_without_rendering()
    spans = [panel.xaxis.label.get_window_extent() for panel in figure.axes[:3]]
    assert all(one.x1 < other.x0 for one, other in pairwise(spans))
    for panel in figure.axes[1:3]:
        ticks = [label.get_window_extent() for label in panel.get_xticklabels()]
        assert all(one.x1 < other.x0 for one, other in pairwise(ticks))


def test_importances_are_bars_the_greatest_on_top(tmp_path: Path) -> None:
    shares = {"lr": 0.2, "momentum": 0.7, "model.depth": 0.1}
    (panel,) = importance_figure(shares, "what decides").axes
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        "model.depth", "lr", "momentum",
    ]  # fmt: skip
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([10, 20, 70])
    assert [text.get_text() for text in panel.texts] == ["10%", "20%", "70%"]
    importance(tmp_path / "i.png", shares)
    assert (tmp_path / "i.png").stat().st_size > 1000
