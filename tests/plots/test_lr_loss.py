"""The learning rate against the loss, and the sweet spot."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from optbench.plots.axis import LOG, Axis
from optbench.plots.lr_loss import Rate, SweetSpot, lr_loss, lr_loss_figure, sweet_spot

AXIS = Axis("optimizer.lr", LOG, 1e-4, 10.0)
RATES = [
    Rate(1e-4, [2.0, 2.2]),
    Rate(1e-3, [0.9, 1.1]),
    Rate(1e-2, [0.55, 0.65]),
    Rate(0.1, [0.4, 0.8]),
    Rate(1.0, [0.5, math.inf]),
    Rate(10.0, [math.inf, math.inf]),
]


def drawn(rates: list[Rate] = RATES, best: float | None = None, **more: Any) -> Any:
    return lr_loss_figure(AXIS, rates, "val/loss", True, best, more.get("ranges", ()), "lr")


def dots(axes: Any, name: str) -> list[tuple[float, float]]:
    found = [c for c in axes.collections if c.get_label() == name]
    return [(float(x), float(y)) for c in found for x, y in c.get_offsets()]


def test_the_sweet_spot_is_within_one_standard_error_of_the_best_mean() -> None:
    """Means 0.9, 0.6, 0.6, 0.65, 0.65 and the standard error of two runs, |a - b| / 2."""
    rates = [
        Rate(lr, [mean - spread, mean + spread])
        for lr, mean, spread in [
            (1e-4, 0.64, 0.0),  # as good, but beyond one that is not
            (1e-3, 0.9, 0.0),
            (1e-2, 0.65, 0.0),
            (0.1, 0.59, 0.1),
            (1.0, 0.68, 0.0),
            (10.0, 0.7, 0.0),
        ]
    ]
    spot = sweet_spot(rates[::-1], less=True)
    assert spot is not None and spot.error == pytest.approx(0.1)
    assert (spot.lr, spot.low, spot.high) == (0.1, 1e-2, 1.0)
    turned = [Rate(rate.lr, [-score for score in rate.scores]) for rate in rates]
    assert sweet_spot(turned, less=False) == spot


def test_a_rate_that_diverged_with_one_seed_is_in_no_sweet_spot() -> None:
    spot = sweet_spot(RATES, less=True)
    assert spot is not None
    assert spot == SweetSpot(spot.lr, 1e-2, 0.1, spot.error)


def test_one_run_has_no_standard_error_and_a_repeated_trial_adds_none() -> None:
    one = [Rate(0.1, [0.5]), Rate(0.01, [0.5001]), Rate(0.1, [0.5])]
    assert sweet_spot(one, less=True) == SweetSpot(0.1, 0.1, 0.1, None)
    assert sweet_spot([Rate(0.1, [math.inf])], less=True) is None
    assert sweet_spot([Rate(0.1, [0.1], pruned=True), Rate(1.0, [0.4])], less=True) == SweetSpot(
        1.0, 1.0, 1.0, None
    )


@pytest.mark.parametrize(
    ("spot", "words"),
    [
        (SweetSpot(0.1, 0.1, 0.1, None), "the best is 0.1"),
        (SweetSpot(0.1, 0.1, 0.1, 0.2), "the best is 0.1, no other within one standard error"),
        (SweetSpot(0.1, 0.01, 1, 0.2), "the best is 0.1, 0.01 to 1 within one standard error"),
    ],
)
def test_the_sweet_spot_in_words(spot: SweetSpot, words: str) -> None:
    assert spot.words == words


def test_each_run_is_a_dot_and_what_diverged_is_at_the_edge() -> None:
    (axes,) = drawn().axes
    inside = sorted(dots(axes, "a run"))
    wanted = [(r.lr, s) for r in RATES for s in r.scores if math.isfinite(s)]
    assert inside == sorted(wanted)
    edge = dots(axes, "no score, or far off")
    assert [lr for lr, _ in edge] == [1.0, 10.0, 10.0] and {y for _, y in edge} == {0.96}


def test_the_means_are_joined_as_far_as_all_runs_have_a_score() -> None:
    figure = drawn()
    (axes,) = figure.axes
    (line,) = [line for line in axes.lines if line.get_label() == "mean of the runs"]
    assert list(line.get_xdata()) == [rate.lr for rate in RATES]
    means = list(line.get_ydata())
    assert means[:4] == pytest.approx([2.1, 1.0, 0.6, 0.6]) and all(map(math.isnan, means[4:]))
    assert "0.01 to 0.1 within one standard error" in figure.get_suptitle()
    spans = [patch for patch in axes.patches if patch.get_label() == "within one standard error"]
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in spans] == [pytest.approx((0.01, 0.1))]


def test_where_other_settings_differ_nothing_is_joined() -> None:
    figure = drawn(best=1e-2)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["lr 0.01"]
    assert not axes.patches
    assert "the best trial has 0.01 (the other settings differ, too)" in figure.get_suptitle()


def test_a_range_test_is_drawn_on_its_own_axis_within_the_study(tmp_path: Path) -> None:
    lrs = [1e-7, 1e-5, 1e-3, 1e-2, 0.1, 1.0]
    losses = [2.0, 2.0, 1.5, 1.0, 1.2, 90.0]
    axes, other = drawn(ranges=[(lrs, losses)]).axes
    (line,) = other.lines
    assert list(line.get_xdata()) == lrs[2:]
    seen = list(line.get_ydata())
    assert seen[:3] == losses[2:5] and math.isnan(seen[3])  # it leaves the picture
    assert axes.get_xlim() == other.get_xlim() == AXIS.ends
    assert "find-lr" in other.get_ylabel()
    outside = ([1e-9, 1e-8], [1.0, 1.0])
    assert len(drawn(ranges=[outside]).axes) == 1
    path = tmp_path / "lr.png"
    lr_loss(path, AXIS, RATES, label="val/loss", less=True, ranges=[(lrs, losses)])
    assert path.stat().st_size > 1000


def test_no_run_with_a_score_is_a_picture_too() -> None:
    figure = drawn([Rate(0.1, [math.inf]), Rate(1.0, [math.inf])])
    assert figure.get_suptitle() == "lr: none has a score of all its runs"
