"""Fitted rates."""

from __future__ import annotations

import math

import pytest

from optbench.plots.rates import fit

STEPS = list(range(1, 201))


def test_a_power_law_is_found() -> None:
    found = fit(STEPS, [5.0 * step**-1.5 for step in STEPS], 10, 200, power=True)
    assert found is not None
    assert found.slope == pytest.approx(-1.5)
    assert found.gap(4.0) == pytest.approx(5.0 / 8.0)
    assert (found.first, found.last, found.words) == (10, 200, "slope -1.500")


def test_a_linear_rate_is_found() -> None:
    found = fit(STEPS, [3.0 * 0.9**step for step in STEPS], 1, 200, power=False)
    assert found is not None
    assert found.factor == pytest.approx(0.9)
    assert found.gap(2.0) == pytest.approx(3.0 * 0.81)
    assert found.words == "x 0.9 a step"


def test_only_the_range_counts_and_in_it_what_has_a_logarithm() -> None:
    gaps = [float(step) if step < 50 else 100.0 / step for step in STEPS]
    gaps[59], gaps[69], gaps[79] = 0.0, math.nan, math.inf
    found = fit(STEPS, gaps, 50, 150, power=True)
    assert found is not None and found.slope == pytest.approx(-1.0)
    assert (found.first, found.last) == (50, 150)


def test_too_few_points_have_no_line() -> None:
    assert fit([1, 2, 3], [1.0, 0.5, 0.0], 1, 3, power=True) is None
    assert fit([0, 1, 2], [1.0, 0.5, 0.2], 0, 2, power=False) is None  # before any step
    assert fit([1, 2, 3], [1.0, 0.5, 0.2], 1, 3, power=True) is not None
