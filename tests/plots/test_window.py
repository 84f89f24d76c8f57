"""The scores that are shown."""

from __future__ import annotations

import math

import pytest

from optbench.plots.png import figure_of
from optbench.plots.window import Window


def test_what_is_far_off_and_what_is_no_score_has_no_place() -> None:
    window = Window.of([0.3, 0.4, 0.5, 0.6, 2.0, 4e3, math.inf, math.nan], less=True)
    assert (window.low, window.high) == (0.3, 2.0)
    assert [window.has(score) for score in (0.3, 2.0, 4e3, math.inf, math.nan)] == [
        True, True, False, False, False,
    ]  # fmt: skip
    more = Window.of([0.9, 0.8, 0.1, -1e6, -math.inf], less=False)
    assert (more.low, more.high) == (0.1, 0.9)


@pytest.mark.parametrize(
    ("scores", "less", "log"),
    [
        ([0.01, 0.1, 1.0], True, True),
        ([0.1, 0.2, 1.0], True, False),
        ([0.0, 0.1, 1.0], True, False),
        ([0.01, 0.1, 1.0], False, False),  # accuracies
    ],
)
def test_losses_over_decades_are_on_a_logarithm(scores: list[float], less: bool, log: bool) -> None:
    assert Window.of(scores, less).log is log


@pytest.mark.parametrize("less", [True, False])
@pytest.mark.parametrize("scores", [[0.5, 0.6], [0.5, 0.5], [0.0], [], [1e-3, 1.0], [-2.0, -2.0]])
def test_the_edge_is_beyond_all_that_has_a_place(scores: list[float], less: bool) -> None:
    axes = figure_of((4, 3), 100).add_subplot()
    window = Window.of([*scores, math.inf if less else -math.inf], less)
    window.put(axes, "val/loss", with_edge=True)
    for score in scores:
        at = axes.transAxes.inverted().transform(axes.transData.transform((0.0, score)))[1]
        assert 0.02 < at < 0.9 if less else 0.1 < at < 0.98
    assert (window.edge > 0.9, window.arrow) == ((True, "^") if less else (False, "v"))
