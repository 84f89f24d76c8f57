"""A schedule that multiplies another one by a factor for each part of the run."""

from __future__ import annotations

import pytest

from optbench.schedules.cosine import Cosine
from optbench.schedules.cyclic import Cyclic
from optbench.schedules.replay import Replay, ReplayedSetting


def test_each_part_has_its_factor() -> None:
    schedule, cosine = Replay([1.0, 0.5, 2.0], [4, 6, 10], Cosine()), Cosine()
    factors = [1.0] * 4 + [0.5] * 2 + [2.0] * 4
    for step, factor in enumerate(factors):
        assert schedule(step, 10) == factor * cosine(step, 10)
    assert schedule(10, 10) == 2.0 * cosine(10, 10)
    assert Replay([3.0], [5])(2, 5) == 3.0


def test_the_momentum_is_the_inner_schedules() -> None:
    inner = Cyclic(4, cycle_momentum=True)
    assert Replay([0.5], [8], inner).momentum(3, 8) == inner.momentum(3, 8) is not None
    assert Replay([0.5], [8], Cosine()).momentum(3, 8) is None


@pytest.mark.parametrize(
    ("factors", "ends", "said"),
    [
        ([], [], "factors and ends must be as many, and not none; got 0 factors and 0 ends"),
        ([1.0], [1, 2], "got 1 factors and 2 ends"),
        ([-1.0], [1], r"factors must be a number in \[0, inf\), got -1.0"),
        ([1.0, 1.0], [3, 3], "ends must be an integer >= 4, got 3"),
        ([1.0], [0], "ends must be an integer >= 1, got 0"),
    ],
)
def test_what_can_not_be_is_refused(factors: list[float], ends: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Replay(factors, ends)


def test_a_setting_has_its_value_in_each_part_and_other_items_stay() -> None:
    eps = ReplayedSetting("eps", None, [1e-8, 1e-4], [3, 5], frozenset({0}))
    assert [eps.value(step, 1.0) for step in range(6)] == [1e-8] * 3 + [1e-4] * 3
    second = ReplayedSetting("betas", 1, [0.9, 0.99], [3, 5], frozenset({0}))
    assert second.value(2, (0.8, 0.999)) == (0.8, 0.9)
    assert second.value(3, (0.8, 0.999)) == (0.8, 0.99)
    both = ReplayedSetting("betas", None, [[0.9, 0.5]], [5], frozenset({0}))
    assert both.value(0, (0.8, 0.999)) == (0.9, 0.5)
