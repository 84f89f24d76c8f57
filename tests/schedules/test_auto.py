"""The schedules that set the rate by themselves."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from optbench.schedules.auto_grad_norm import AutoGradNorm
from optbench.schedules.auto_loss import AutoLoss, fit_line
from optbench.schedules.base import Update
from optbench.schedules.hypergradient import Hypergradient

NORM, LOSS = "grad_norm/total", "train/loss"


def after(schedule: Any, tag: str, values: list[float]) -> float:
    for value in values:
        schedule.observe({tag: value})
    multiplier: float = schedule(0, 1)
    return multiplier


def test_a_calm_norm_lets_the_rate_grow_as_far_as_the_bound() -> None:
    assert after(AutoGradNorm(growth=1.1), NORM, [1.0] * 5) == pytest.approx(1.1**5)
    assert after(AutoGradNorm(growth=1.1, max_ratio=1.2), NORM, [1.0] * 5) == 1.2


def test_a_spike_cuts_and_the_rate_recovers() -> None:
    schedule = AutoGradNorm(growth=1.1, backoff=0.5)
    assert after(schedule, NORM, [1.0] * 4 + [2.1]) == pytest.approx(0.5 * 1.1**4)
    assert after(schedule, NORM, [1.0]) == pytest.approx(0.5 * 1.1**5)


def test_a_spike_is_held_against_the_median_of_the_window() -> None:
    norms = [1.0, 1.0, 10.0, 10.0, 10.0]  # two spikes, then the median of three is 10
    schedule = AutoGradNorm(window=3, growth=1.0)
    assert after(schedule, NORM, norms) == 0.25
    assert after(schedule, NORM, [19.0]) == 0.25
    assert after(schedule, NORM, [21.0]) == 0.125


def test_a_norm_that_is_not_finite_is_a_spike_and_not_remembered() -> None:
    schedule = AutoGradNorm(growth=1.0)
    assert after(schedule, NORM, [math.nan, math.inf]) == 0.25
    assert after(schedule, NORM, [1.0, 1.9, 2.0]) == 0.25


@pytest.mark.parametrize("make", [AutoGradNorm, AutoLoss])
def test_other_records_are_ignored(make: Callable[[], Any]) -> None:
    assert after(make(), "val/accuracy", [0.1, 0.9, math.nan]) == 1.0


def test_a_line_is_least_squares() -> None:
    slope, error, noise = fit_line([1.0, 3.0, 2.0, 4.0])
    assert (slope, noise) == (pytest.approx(0.8), pytest.approx(math.sqrt(1.8 / 2)))
    assert error == pytest.approx(noise / math.sqrt(5.0))
    assert fit_line([5.0, 4.0, 3.0]) == (-1.0, 0.0, 0.0)


def noisy(slope: float, count: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [2.0 + slope * step + draw.gauss(0.0, 0.02) for step in range(count)]


def test_a_clear_fall_raises_and_a_clear_rise_cuts() -> None:
    assert after(AutoLoss(), LOSS, noisy(-0.02, 10)) > 1.0
    assert after(AutoLoss(), LOSS, noisy(0.02, 10)) < 1.0


def test_a_slow_fall_in_noise_is_seen_in_the_end() -> None:
    """A twentieth of the noise a step: single losses say nothing, forty of them do."""
    schedules = [AutoLoss() for _ in range(20)]
    ends = [after(s, LOSS, noisy(-0.001, 49, seed)) for seed, s in enumerate(schedules)]
    assert sum(end > 1.0 for end in ends) >= 15
    assert sum(end < 1.0 for end in ends) <= 3


def test_a_stall_cuts_after_the_patience() -> None:
    flat = [1.0, 1.1] * 10
    schedule = AutoLoss(patience=20, backoff=0.5)
    assert after(schedule, LOSS, flat[:19]) == 1.0
    assert after(schedule, LOSS, flat[19:]) == 0.5


def test_one_loss_far_above_the_level_cuts_at_once() -> None:
    schedule = AutoLoss(backoff=0.25)
    assert after(schedule, LOSS, [2.0, 3.1]) == 0.25
    assert after(schedule, LOSS, [3.5]) == 0.25, "the level is the new one"
    assert after(schedule, LOSS, [math.nan]) == 0.25**2


def test_noise_about_a_small_loss_is_no_alarm() -> None:
    draw = random.Random(1)
    small = [abs(draw.gauss(0.1, 0.03)) for _ in range(40)]
    assert max(small) > 1.5 * sum(small) / 40, "no loss here is even near the alarm"
    ends = []
    for noise in (0.03, 0.0):
        schedule = AutoLoss(backoff=0.5, certainty=1e9)  # no trend is clear enough
        schedule.load_state_dict({"multiplier": 1.0, "level": 0.1, "noise": noise, "losses": []})
        ends.append(after(schedule, LOSS, small))
    assert ends[0] == 1.0 > ends[1]


UPDATE = Update(dot=0.3, gradient_norm=2.0, update_norm=0.5, lr=0.1, base_lr=0.2)


def test_the_multiplicative_hypergradient() -> None:
    schedule = Hypergradient(hyper_lr=0.1)
    schedule.observe_update(UPDATE)
    assert schedule(0, 1) == pytest.approx(1 + 0.1 * 0.3)
    schedule.observe_update(replace(UPDATE, dot=-1.0))
    assert schedule(0, 1) == pytest.approx((1 + 0.03) * (1 - 0.1))


def test_the_additive_hypergradient() -> None:
    schedule = Hypergradient("additive", hyper_lr=0.01)
    schedule.observe_update(UPDATE)  # alpha: 0.2 + 0.01 * 0.3 / 0.1
    assert schedule(0, 1) * 0.2 == pytest.approx(0.23)


def test_the_hypergradient_keeps_to_its_bounds() -> None:
    schedule = Hypergradient("additive", hyper_lr=10.0, min_ratio=0.5, max_ratio=2.0)
    schedule.observe_update(UPDATE)
    assert schedule(0, 1) == 2.0
    schedule.observe_update(replace(UPDATE, dot=-5.0))
    assert schedule(0, 1) == 0.5


@pytest.mark.parametrize(
    "still", [replace(UPDATE, lr=0.0), Update(0.0, 1.0, 0.0, 0.1, 0.1), Update(0, 0, 0, 0.1, 0.1)]
)
def test_an_update_of_nothing_says_nothing(still: Update) -> None:
    schedule = Hypergradient()
    schedule.observe_update(still)
    assert schedule(0, 1) == 1.0


@pytest.mark.parametrize(("make", "tag"), [(AutoGradNorm, NORM), (AutoLoss, LOSS)])
def test_goes_on_from_its_state_with_the_same_bits(make: Callable[[], Any], tag: str) -> None:
    values = [*noisy(-0.02, 30), *noisy(0.0, 60), 9.0, *noisy(0.0, 20)]
    whole, first, second = make(), make(), make()
    after(first, tag, values[:47])
    second.load_state_dict(first.state_dict())
    assert after(second, tag, values[47:]) == after(whole, tag, values) != 1.0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AutoGradNorm(window=0), "window must be an integer >= 1, got 0"),
        (lambda: AutoGradNorm(threshold=1), r"threshold must be a number in \(1, inf\), got 1"),
        (lambda: AutoGradNorm(backoff=1), r"backoff must be a number in \(0, 1\), got 1"),
        (lambda: AutoGradNorm(growth=0.9), r"growth must be a number in \[1, inf\), got 0.9"),
        (lambda: AutoLoss(window=2), "window must be an integer >= 3, got 2"),
        (lambda: AutoLoss(patience=4), "patience must be an integer >= 5, got 4"),
        (lambda: AutoLoss(alarm=1), r"alarm must be a number in \(1, inf\], got 1"),
        (lambda: AutoLoss(max_ratio=0.5), r"max_ratio must be a number in \[1, inf\), got 0.5"),
        (lambda: Hypergradient("addtive"), "form must be one of multiplicative, additive"),
        (lambda: Hypergradient(hyper_lr=1), r"hyper_lr must be a number in \[0, 1\), got 1"),
    ],
)
def test_a_field_out_of_its_range(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("make", [AutoGradNorm, AutoLoss, Hypergradient])
def test_bounds_that_were_changed_hold_for_a_state_from_before(make: Callable[..., Any]) -> None:
    high, low = make(), make()
    high.load_state_dict({**high.state_dict(), "multiplier": 50.0})
    low.load_state_dict({**low.state_dict(), "multiplier": 0.01})
    narrow = make(min_ratio=0.5, max_ratio=2.0)
    narrow.load_state_dict(high.state_dict())
    assert narrow(0, 1) == 2.0
    narrow.load_state_dict(low.state_dict())
    assert narrow(0, 1) == 0.5


@pytest.mark.parametrize("make", [AutoGradNorm, AutoLoss])
def test_what_was_seen_of_another_metric_is_forgotten(make: Callable[..., Any]) -> None:
    before, after_it = make(), make(metric="other")
    for _ in range(4):
        before.observe({before.metric: 1.0})
    after_it.load_state_dict({**before.state_dict(), "multiplier": 3.0})
    assert after_it(0, 1) == 3.0
    after_it.observe({"other": 100.0})  # no spike, no alarm: the first that is seen
    assert after_it(0, 1) >= 3.0


def test_a_metric_below_zero_that_stands_still_is_no_alarm() -> None:
    assert after(AutoLoss(window=3, patience=99), LOSS, [-78.0, -77.9, -78.0]) == 1.0
    assert after(AutoLoss(window=3, patience=99), LOSS, [-78.0, -38.0]) == 0.25
    assert after(AutoGradNorm(growth=1.0), NORM, [-1.0, -0.9]) == 1.0
    assert after(AutoGradNorm(growth=1.0), NORM, [-1.0, 0.1]) == 0.5
