"""The sign-flip test and its interval: against enumeration, scipy, and how often it is right."""

import itertools
import math

import numpy as np
import pytest

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


def test_twenty_differences_are_enumerated() -> None:
    differences = drawn(20, 0, 1.0)
    low, high = sign_flip_interval(differences)
    assert 0 < low < 1 < high
    assert sign_flip_test(differences) < 0.05


@pytest.mark.parametrize("bad", [[], [0.1] * 21, [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_what_is_no_list_of_differences_is_refused(bad: list[float]) -> None:
    for ask in (sign_flip_test, sign_flip_interval):
        with pytest.raises(ValueError, match="differences: "):
            ask(bad)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, -0.5, math.nan])
def test_a_confidence_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence="):
        sign_flip_interval([1.0, 2.0], confidence)
