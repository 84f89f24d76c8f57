"""Ramp, smoothing and suggestion rules on curves whose answers are known."""

from __future__ import annotations

import math

import pytest

from optbench.search.lr_range import (
    Curve,
    Ramp,
    Smoother,
    Spread,
    limit,
    minimum_over_ten,
    steepest,
    suggest,
    valley,
)

RATES = [Ramp(1e-6, 1.0, 121).lr(step) for step in range(121)]  # 20 to a decade


def descent(lr: float, centre: float = 1e-3, width: float = 0.5, limit: float = 0.3) -> float:
    """A loss that falls around `centre` and rises linearly beyond `limit`."""
    fall = -math.tanh(math.log10(lr / centre) / width)
    return 2.0 + fall + max(0.0, lr - limit) * 20.0


def test_an_exponential_ramp_has_equal_ratios() -> None:
    ramp = Ramp(1e-7, 10.0, 9)
    assert [ramp.lr(step) for step in range(9)] == pytest.approx([10.0**k for k in range(-7, 2)])


def test_a_linear_ramp_has_equal_differences_and_ends_at_the_top() -> None:
    ramp = Ramp(1.0, 3.0, 5, linear=True)
    assert [ramp.lr(step) for step in range(7)] == [1.0, 1.5, 2.0, 2.5, 3.0, 3.0, 3.0]


def test_the_average_is_not_drawn_to_zero() -> None:
    smoother = Smoother(0.9)
    assert [smoother.add(5.0) for _ in range(3)] == pytest.approx([5.0, 5.0, 5.0])
    # by hand: (0.9 * 5 + 1 * 1) / 1.9 for the values 5, 1
    two = Smoother(0.9)
    two.add(5.0)
    assert two.add(1.0) == pytest.approx(5.5 / 1.9)


def test_smoothing_does_not_move_a_straight_line() -> None:
    line = Curve(RATES, [3.0 - math.log(lr) for lr in RATES]).smoothed()
    assert line.losses == pytest.approx([3.0 - math.log(lr) for lr in line.lrs])


def test_the_steepest_descent_is_the_middle_of_a_fall() -> None:
    found = steepest(RATES, [descent(lr) for lr in RATES])
    assert found == pytest.approx(1e-3, rel=1e-6)


def test_a_rise_after_the_minimum_is_no_descent() -> None:
    losses = [*[1.0 - k / 10 for k in range(5)], 9.0, 1.0, 1.0]
    lrs = [10.0**k for k in range(8)]
    found = steepest(lrs, losses)
    assert found is not None and found <= lrs[4]  # not the fall from 9, beyond the minimum


def test_a_tenth_of_the_minimum() -> None:
    losses = [(math.log10(lr) + 2.0) ** 2 for lr in RATES]
    assert minimum_over_ten(RATES, losses) == pytest.approx(1e-3)


def test_the_valley_is_half_of_the_way_down() -> None:
    # 30 flat, 60 falling, 30 rising: the fall's members are at 29 to 89, so n = 61 and e = 89.
    losses = [1.0] * 30 + [1.0 - k / 60 for k in range(1, 61)] + [2.0 + k for k in range(31)]
    start, third = 89 - 61, 61 / 3
    assert valley(RATES, losses) == RATES[start + int(third) + int(third / 2)]


def test_all_rules_find_the_fall_within_a_decade_and_a_half() -> None:
    found = suggest(Curve(RATES, [descent(lr) for lr in RATES]), 121)
    assert set(found) == {"valley", "steepest", "minimum_over_ten"}
    assert found["steepest"] == pytest.approx(1e-3, rel=0.5)
    for lr in found.values():
        assert lr is not None and 10**-4.5 < lr < 10**-1.5


def test_the_suggestions_follow_the_curve_along_the_axis() -> None:
    found = suggest(Curve(RATES, [descent(lr) for lr in RATES]), 121)
    later = Curve([lr * 100 for lr in RATES], [descent(lr) for lr in RATES])
    for rule, lr in suggest(later, 121).items():
        before = found[rule]
        assert before is not None and lr == pytest.approx(100 * before)


def test_a_divergence_does_not_hide_what_came_before() -> None:
    losses = [descent(lr, limit=2.0) for lr in RATES]
    diverged = [*losses, 1e6, 1e9]
    assert suggest(Curve([*RATES, 1.1, 1.2], diverged), 123) == suggest(Curve(RATES, losses), 123)


@pytest.mark.parametrize("losses", [[2.0] * 121, [2.0 + k for k in range(121)], [2.0, 1.0]])
def test_nothing_is_suggested_where_the_loss_does_not_fall(losses: list[float]) -> None:
    found = suggest(Curve(RATES[: len(losses)], losses), 121)
    assert set(found.values()) == {None}


def test_noise_is_no_descent() -> None:
    losses = [2.0 + 0.1 * math.sin(37.0 * k * k) for k in range(121)]
    assert set(suggest(Curve(RATES, losses), 121).values()) == {None}


def test_the_spread_is_geometric() -> None:
    assert Spread.of([1e-3, None, 1e-1]) == Spread(pytest.approx(1e-2), 1e-3, 1e-1)
    assert Spread.of([None]) == Spread(None, None, None)


@pytest.mark.parametrize("shift", [-1000.0, -2.0, -1.0, 1000.0])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e4])
def test_the_suggestions_do_not_depend_on_where_zero_is(shift: float, scale: float) -> None:
    losses = [descent(lr, limit=2.0) for lr in RATES]
    diverged = [*losses, 1e3, 1e4]
    moved = [scale * (loss + shift) for loss in diverged]
    lrs = [*RATES, 1.1, 1.2]
    expected = suggest(Curve(lrs, diverged), 123)
    found = suggest(Curve(lrs, moved), 123)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_divergence_is_measured_on_the_range() -> None:
    falling = [-1e-7, -1e-6, -1.0, -40.0, -78.0]
    assert limit(falling, falling) > 100.0
    assert limit([2.0, 1.0, 0.5], [2.0, 1.9, 1.8]) == pytest.approx(7.2)  # 4 x the best
    assert limit([2.0, 1.0, 0.5], [2.0, 1.0, 0.1]) == pytest.approx(7.7)  # 0.1 + 4 x the fall
    noise = [-1.0, -1.2, -0.9, -1.1]
    assert limit(noise, [-1.0, -1.1, -1.05, -1.05]) > max(noise)
    assert Curve([1.0], [-5.0]).before_divergence().losses == [-5.0]
    assert Curve([], []).before_divergence().losses == []
