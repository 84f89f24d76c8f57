"""Axes of keys, each on its own scale."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.plots.axis import (
    CHOICE,
    LINEAR,
    LOG,
    MOST_CHOICES,
    ONE_MINUS,
    Axis,
    log_ticks,
    number,
)
from optbench.plots.png import figure_of


def put(axis: Axis, columns: int = 1) -> Any:
    axes = figure_of((4, 3), 100).add_subplot()
    axis.put(axes, columns)
    return axes


def texts(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (1e-4, 1e-2, [1e-4, 1e-3, 1e-2]),
        (1e-7, 10.0, [1e-7, 1e-5, 1e-3, 0.1, 10.0]),
        (0.02, 0.5, [0.02, 0.05, 0.1, 0.2, 0.5]),
        (0.02, 0.11, [0.02, 0.05, 0.1]),
        (0.02, 2.0, [0.03, 0.1, 0.3, 1.0]),
        (0.3, 0.4, [0.3, 0.346, 0.4]),
    ],
)
def test_ticks_are_round_and_few(low: float, high: float, wanted: list[float]) -> None:
    assert log_ticks(low, high) == wanted


def test_numbers_are_as_short_as_they_are_typed() -> None:
    given = [1e-5, 0.001, 0.0316227, 1.0, 512.0, 1024.0, 3e7, 1.06e-4, 0.0]
    said = ["1e-5", "0.001", "0.0316", "1", "512", "1024", "3e7", "1.06e-4", "0"]
    assert list(map(number, given)) == said


def test_momentum_is_logarithmic_in_its_distance_to_1_and_grows_to_the_right() -> None:
    axis = Axis("momentum", ONE_MINUS, 0.01, 0.5)
    assert axis.place(0.9) == pytest.approx(0.1)
    axes = put(axis)
    left, right = axes.get_xlim()
    assert axes.get_xscale() == "log" and left > 0.5 > 0.01 > right
    found = dict(zip(texts(axes), axes.get_xticks(), strict=True))
    assert found["0.9"] == pytest.approx(0.1) and found["0.99"] == pytest.approx(0.01)


def test_choices_are_even_and_long_ones_are_cut_and_turned() -> None:
    labels = ["a_short_one", "an_option_with_a_long_name", "x$y$_2"]
    axes = put(Axis("model.activation", CHOICE, labels=labels), columns=3)
    assert texts(axes) == ["a_short_one", "an_option_with_a_…", "x$y$_2"]
    assert list(axes.get_xticks()) == [0, 1, 2]
    assert axes.get_xticklabels()[0].get_rotation() == 30
    many = Axis("seed", CHOICE, labels=[str(n) for n in range(100)])
    assert len(many.ticks()[0]) <= MOST_CHOICES


def test_whole_numbers_have_whole_ticks_and_room_beside_the_ends() -> None:
    axes = put(Axis("model.depth", LINEAR, 1, 3, whole=True), columns=3)
    left, right = axes.get_xlim()
    assert left <= 0.5 and right >= 3.5
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_a_long_name_keeps_its_end() -> None:
    name = ".".join(["group"] * 10 + ["lr"])
    said = put(Axis(name, LOG, 1e-4, 1.0), 3).get_xlabel()
    assert said.startswith("…") and said.endswith(".group.lr") and len(said) <= 28
    assert put(Axis(name, LOG, 1e-4, 1.0), 1).get_xlabel() == name


@pytest.mark.parametrize("kind", [LINEAR, LOG, ONE_MINUS])
def test_an_axis_of_one_value_has_a_width(kind: str) -> None:
    left, right = Axis("a", kind, 0.25, 0.25).ends
    assert left != right
