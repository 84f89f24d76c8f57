"""A number over two settings: its colours, its ticks, its marks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from optbench.plots import png
from optbench.plots.heatmap import HeatMap, draw


def test_rows_are_of_the_second_setting_and_what_diverged_has_the_last_colour(
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib")
    values = [[1.0, 2.0, 3.0], [4.0, math.inf, 6.0]]
    heatmap = HeatMap([0.1, 1.0, 10.0], [1e-4, 1e-3], values, most=5.0, dots=[(0, 1)], ring=(2, 0))
    figure = png.figure_of((4, 3), 80)
    axes = figure.add_subplot()
    draw(axes, heatmap)
    (image,) = axes.get_images()
    assert image.get_array().tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 5.0]]
    assert image.origin == "lower" and image.get_clim() == (1.0, 5.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.1", "1", "10"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["0.0001", "0.001"]
    marks = [list(zip(*line.get_data(), strict=True)) for line in axes.get_lines()]
    assert marks == [[(0, 1)], [(2, 0)]]
    png.write(figure, tmp_path / "heat.png")
    assert (tmp_path / "heat.png").stat().st_size


def test_the_colours_end_at_the_largest_that_is_finite() -> None:
    pytest.importorskip("matplotlib")
    axes = png.figure_of((4, 3), 80).add_subplot()
    draw(axes, HeatMap([1.0, 2.0], [1.0], [[3.0, math.nan]]))
    (image,) = axes.get_images()
    assert image.get_array().tolist() == [[3.0, 3.0]]
