"""Kaplan and Meier's curve: of published patients, and by hand."""

import math

import pytest

from optbench.statistics.kaplan_meier import kaplan_meier

pytest.importorskip("scipy")

WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
"""Remission under 6-MP: Freireich et al. 1963, as in Kalbfleisch and Prentice 1980, table 1.1."""


def test_the_curve_is_the_published_one() -> None:
    found = kaplan_meier(WEEKS, [bool(r) for r in RELAPSED])
    at = dict(zip(found.times, found.share, strict=True))
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {t: round(at[t], 3) for t in published} == published
    assert (found.median, found.median_high) == (23, math.inf)


def test_the_band_is_greenwoods_on_the_scale_of_log_log() -> None:
    found = kaplan_meier(WEEKS, [bool(r) for r in RELAPSED])
    share, at_risk, variance = 1.0, len(WEEKS), 0.0
    for time in sorted(set(WEEKS)):
        events = sum(r for t, r in zip(WEEKS, RELAPSED, strict=True) if t == time)
        share *= 1 - events / at_risk
        variance += events / (at_risk * (at_risk - events))
        wide = 1.959963984540054 * math.sqrt(variance) / abs(math.log(share))
        place = found.times.index(time)
        assert found.share[place] == pytest.approx(share)
        assert found.low[place] == pytest.approx(share ** math.exp(wide))
        assert found.high[place] == pytest.approx(share ** math.exp(-wide))
        at_risk -= sum(t == time for t in WEEKS)
    low = next(t for t, part in zip(found.times, found.low, strict=True) if part <= 0.5)
    assert found.median_low == low


def test_who_ends_when_another_arrives_was_still_on_the_way() -> None:
    assert kaplan_meier([5, 5], [True, False]).share == (0.5,)


def test_without_misses_it_is_the_part_that_is_left() -> None:
    found = kaplan_meier([3, 1, 2, 4], [True] * 4)
    assert found.times == (1, 2, 3, 4)
    assert found.share == pytest.approx((0.75, 0.5, 0.25, 0))
    assert found.median == 2
    assert found.low[-1] == 0 and found.high[-1] == found.high[-2] < 1


def test_if_nobody_arrives_the_part_stays_one() -> None:
    found = kaplan_meier([9, 9, 9], [False] * 3)
    assert (found.share, found.low, found.high) == ((1.0,), (1.0,), (1.0,))
    assert found.median == found.median_low == found.median_high == math.inf


def test_one_run_that_arrives_says_little() -> None:
    found = kaplan_meier([7], [True])
    assert (found.share, found.low, found.high) == ((0.0,), (0.0,), (1.0,))


@pytest.mark.parametrize(
    ("times", "reached"), [([], []), ([1.0], []), ([math.inf], [False]), ([math.nan], [True])]
)
def test_what_is_no_run_is_refused(times: list[float], reached: list[bool]) -> None:
    with pytest.raises(ValueError, match="times: "):
        kaplan_meier(times, reached)
