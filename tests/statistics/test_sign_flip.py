"""The sign-flip test and its interval: against enumeration, scipy, and how often it is right."""

import itertools
import math

import numpy as np
import pytest

from optbench.statistics import sign_flip
from optbench.statistics.sign_flip import (
    sign_flip_coverage,
    sign_flip_interval,
    sign_flip_test,
)


def drawn(pairs: int, seed: int, centre: float = 0.0) -> list[float]:
    return list(np.random.default_rng(seed).normal(centre, 1.0, pairs))


def enumerated(differences: list[float]) -> float:
    """The p of a list, sign by sign, with sums that are rounded once."""
    seen = abs(math.fsum(differences))
    far = [
        abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True))) >= seen
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(far) / len(far)


@pytest.mark.parametrize("pairs", range(1, 11))
@pytest.mark.parametrize("centre", [0.0, 0.7, -2.0])
def test_p_is_that_of_all_signs(pairs: int, centre: float) -> None:
    for seed in range(5):
        differences = drawn(pairs, seed, centre)
        assert sign_flip_test(differences) == enumerated(differences)


@pytest.mark.parametrize("pairs", [2, 8, 11])
@pytest.mark.parametrize("centre", [0.0, 0.7])
def test_p_is_scipys(pairs: int, centre: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    differences = drawn(pairs, 7, centre)
    theirs = stats.permutation_test(
        (np.array(differences),),
        np.mean,
        permutation_type="samples",
        n_resamples=math.inf,
        alternative="two-sided",
    )
    assert sign_flip_test(differences) == pytest.approx(theirs.pvalue, rel=1e-12)


def test_equal_sums_that_rounding_tells_apart_count_as_equal() -> None:
    """0.1 + 0.2 is not 0.3: of [0.1, 0.2, -0.3] and its flips all are as far as 0."""
    assert sign_flip_test([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip_test([0.0] * 6) == 1.0
    tied = [0.1, 0.2, 0.3, 0.3, 0.1, 0.2, 0.2]
    assert sign_flip_test(tied) == sign_flip_test(tied[::-1]) == enumerated([1, 2, 3, 3, 1, 2, 2])


@pytest.mark.parametrize(("pairs", "confidence"), [(6, 0.95), (8, 0.95), (8, 0.9), (10, 0.99)])
def test_the_ends_of_the_interval_are_where_p_crosses_alpha(pairs: int, confidence: float) -> None:
    for seed in range(10):
        differences = drawn(pairs, seed, 0.3)
        low, high = sign_flip_interval(differences, confidence)
        assert min(differences) <= low < high <= max(differences)
        for inside, outside in [(low + 1e-9, low - 1e-9), (high - 1e-9, high + 1e-9)]:
            assert enumerated([d - inside for d in differences]) > 1 - confidence
            assert enumerated([d - outside for d in differences]) <= 1 - confidence + 1e-12


def test_the_interval_of_eight_ends_at_the_sixth_mean_from_either_side() -> None:
    differences = drawn(8, 3)
    means = sorted(
        math.fsum(chosen) / len(chosen)
        for many in range(1, 9)
        for chosen in itertools.combinations(differences, many)
    )
    assert len(means) == 255
    assert sign_flip_interval(differences) == pytest.approx((means[5], means[-6]), rel=1e-12)


def test_the_interval_moves_and_grows_with_the_differences() -> None:
    differences = drawn(9, 1)
    low, high = sign_flip_interval(differences)
    moved = sign_flip_interval([3 * d - 5 for d in differences])
    assert moved == pytest.approx((3 * low - 5, 3 * high - 5))
    assert sign_flip_interval([-d for d in differences]) == pytest.approx((-high, -low))


def test_six_pairs_are_the_least_for_five_percent() -> None:
    assert sign_flip_test([1.0] * 5) == 2 / 32
    assert sign_flip_interval([1.0] * 5) == (-math.inf, math.inf)
    assert sign_flip_coverage(5) == 1.0
    assert sign_flip_test([1.0] * 6) == 2 / 64
    assert sign_flip_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == (1.0, 6.0)
    assert sign_flip_coverage(6) == 1 - 2 / 64


def test_coverage_is_that_of_the_counted_parts() -> None:
    assert sign_flip_coverage(8) == 1 - 12 / 256
    assert sign_flip_coverage(8, 0.90625) == 0.90625  # 24 of 256, which floats only nearly say
    assert all(0.95 <= sign_flip_coverage(n) < 0.9502 for n in range(14, 21))


@pytest.mark.parametrize("draw", ["normal", "logistic", "triangular", "standard_cauchy"])
def test_the_interval_holds_the_centre_as_often_as_it_says(draw: str) -> None:
    """Of any symmetric distribution, to within four standard errors of 4,000 draws."""
    random, many, centre = np.random.default_rng(5), 4000, 2.5
    given = (-1, 0, 1) if draw == "triangular" else ()
    held = 0
    for _ in range(many):
        values = getattr(random, draw)(*given, size=8) + centre
        low, high = sign_flip_interval(list(values))
        held += low <= centre <= high
    expected = sign_flip_coverage(8)
    assert abs(held / many - expected) < 4 * math.sqrt(expected * (1 - expected) / many)


@pytest.mark.parametrize("pairs", [12, 13, 16])
def test_the_interval_that_is_counted_is_the_one_of_all_means(pairs: int) -> None:
    """On either side of where the way changes; with differences that tie, too."""
    for seed, ties in [(0, False), (1, False), (2, True)]:
        differences = drawn(pairs, seed, 0.5)
        if ties:
            differences = [round(d) + 0.0 for d in differences]
        means = sorted(sign_flip._all_means(np.array(differences)))
        k = math.floor(0.05 * 2 ** (pairs - 1))
        expected = (means[k - 1], means[-k])
        assert sign_flip_interval(differences) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_equal_differences_have_an_interval_of_no_width() -> None:
    for pairs in (8, 20, 40):
        assert sign_flip_interval([0.1] * pairs) == pytest.approx((0.1, 0.1), rel=1e-12)


def test_all_signs_of_thirty_differences_are_counted() -> None:
    """Of whole numbers the sums' distribution is a product of (x^d + x^-d) / 2."""
    differences = [1, 2, 2, 3, 5, -1, -4, 6, 7, 1, -2, 8, 9, 3, 1] * 2
    ways = {0: 1}
    for d in differences:
        ways = {s: ways.get(s - d, 0) + ways.get(s + d, 0) for s in range(-250, 251)}
    assert sum(ways.values()) == 2**30
    far = sum(many for s, many in ways.items() if abs(s) >= abs(sum(differences)))
    assert sign_flip_test([float(d) for d in differences]) == far / 2**30


def test_the_ends_of_an_interval_of_many_are_where_p_crosses_alpha() -> None:
    for pairs in (24, 40):
        differences = drawn(pairs, 2, 0.3)
        low, high = sign_flip_interval(differences)
        assert low < 0.3 < high
        for inside, outside in [(low + 1e-9, low - 1e-9), (high - 1e-9, high + 1e-9)]:
            assert sign_flip_test([d - inside for d in differences]) > 0.05
            assert sign_flip_test([d - outside for d in differences]) <= 0.05


def test_signs_that_are_drawn_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """To within five standard errors of 99,999 draws; and the same again."""
    for seed in range(3):
        differences = drawn(22, seed, 0.4)
        exact, interval = sign_flip_test(differences), sign_flip_interval(differences)
        with monkeypatch.context() as few:
            few.setattr(sign_flip, "EXACT", 20)
            p, ends = sign_flip_test(differences), sign_flip_interval(differences)
            assert sign_flip_test(differences) == p
        assert p != exact
        assert abs(p - exact) < 5 * math.sqrt(exact * (1 - exact) / 99_999)
        assert ends == pytest.approx(interval, abs=0.02)


def test_the_same_signs_are_drawn_each_time_and_the_scale_changes_nothing() -> None:
    differences = drawn(35, 0, 0.4)
    p, (low, high) = sign_flip_test(differences), sign_flip_interval(differences)
    sign_flip._kept.cache_clear()
    assert sign_flip_test(differences) == p == sign_flip_test([-8 * d for d in differences])
    moved = sign_flip_interval([8 * d - 1 for d in differences])
    assert moved == pytest.approx((8 * low - 1, 8 * high - 1))
    assert sign_flip_test([1.0] * 35) == 1e-5
    assert sign_flip_coverage(35) == pytest.approx(0.95, abs=1e-12)


def test_thirty_one_differences_and_more_keep_their_level() -> None:
    """The first that are drawn: 300 comparisons of one with itself."""
    random = np.random.default_rng(1)
    called = np.mean([sign_flip_test(list(random.normal(size=31))) <= 0.05 for _ in range(300)])
    assert abs(called - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 300)


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_what_is_no_list_of_differences_is_refused(bad: list[float]) -> None:
    for ask in (sign_flip_test, sign_flip_interval):
        with pytest.raises(ValueError, match="differences: "):
            ask(bad)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, -0.5, math.nan])
def test_a_confidence_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence="):
        sign_flip_interval([1.0, 2.0], confidence)
