"""Curves as text."""

import io
from itertools import pairwise
from pathlib import Path

import pytest

from optbench.plots.terminal import ascii_only, curve

LINE = {"lr": ([0.0, 50.0, 100.0], [0.0, 0.5, 1.0])}


def test_its_size_is_what_was_asked_for() -> None:
    lines = curve(LINE, width=40, height=10, x_label="step", y_label="lr").split("\n")
    assert len(lines) == 10
    assert max(len(line) for line in lines) == 40


def test_a_rising_line_goes_from_lower_left_to_upper_right() -> None:
    rows = [line.split("┤")[-1].split("│")[-1] for line in curve(LINE).split("\n")[:-2]]
    first_dots = [len(row) - len(row.lstrip()) for row in rows]
    assert first_dots == sorted(first_dots, reverse=True)
    assert first_dots[-1] == 0 and len(rows[0]) == max(len(row) for row in rows)


def test_the_ends_of_both_axes_are_named() -> None:
    text = curve({"lr": ([10, 300], [1e-4, 2e-2])})
    assert text.split("\n")[0].lstrip().startswith("0.02 ┤")
    assert "0.0001 ┤" in text
    foot = text.split("\n")[-1].split()
    assert (foot[0], foot[-1]) == ("10", "300")


def test_on_logarithmic_axes_a_power_is_a_straight_line() -> None:
    rows = curve({"a": ([1.0, 10.0, 1e3], [1.0, 100.0, 1e6])}, log_x=True, log_y=True).split("\n")
    ends = [len(row.rstrip()) for row in rows[:-2]]
    steps = [above - below for above, below in pairwise(ends)]
    assert max(steps) - min(steps) <= 1
    bent = [
        len(row.rstrip()) for row in curve({"a": ([1.0, 10.0, 1e3], [1.0, 100.0, 1e6])}).split("\n")
    ]
    assert bent[1:-2] != ends[1:]


def test_several_series_have_a_letter_each() -> None:
    text = curve({"up": ([0, 1], [0, 1]), "down": ([0, 1], [1, 0])})
    assert "* up   o down" in text
    assert "*" in text.split("\n")[0] or "o" in text.split("\n")[0]


def test_what_is_not_finite_is_a_gap() -> None:
    with_gap = curve({"a": ([0, 1, 2, 3], [0, float("nan"), float("inf"), 3])})
    assert "nan" not in with_gap and "inf" not in with_gap
    assert curve({"a": ([1, 2], [0.0, -1.0])}, log_y=True)


def test_a_constant_and_nothing_at_all_can_be_drawn() -> None:
    rows = curve({"lr": ([0, 1], [0.1, 0.1])}).split("\n")[:-2]
    assert [row.strip()[:5] for row in rows] == ["│", "0.1 ┤", "│"]
    assert set(rows[1]) >= {"⠤"} or set(rows[1]) >= {"⠒"}
    assert curve({"lr": ([], [])}) and curve({})


def test_no_escape_codes() -> None:
    assert "\x1b" not in curve(LINE)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="lr: 2 x values, but 1 y values"):
        curve({"lr": ([0, 1], [0])})


def test_a_terminal_in_ascii_gets_letters(tmp_path: Path) -> None:
    assert curve(LINE, ascii_only=True).isascii()
    assert curve({"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])}, ascii_only=True).isascii()
    assert "*" in curve({"lr": ([0, 1], [0.1, 0.1])}, ascii_only=True)
    with (tmp_path / "a").open("w", encoding="ascii") as plain:
        assert ascii_only(plain)
    with (tmp_path / "a").open("w", encoding="utf-8") as wide:
        assert not ascii_only(wide)
    assert not ascii_only(io.StringIO())
