"""How many pairs it takes: against what the test can reject, and by simulation."""

import math

import numpy as np
import pytest

from optbench.statistics.holm import holm
from optbench.statistics.power import least_pairs, pairs_needed
from optbench.statistics.sign_flip import sign_flip_test


@pytest.mark.parametrize("comparisons", [1, 3, 5, 7, 10, 21, 28])
def test_the_least_pairs_are_those_with_which_the_clearest_difference_passes(
    comparisons: int,
) -> None:
    least = least_pairs(comparisons)
    others = [1.0] * (comparisons - 1)
    assert holm([sign_flip_test([1.0] * least), *others])[0] <= 0.05
    assert holm([sign_flip_test([1.0] * (least - 1)), *others])[0] > 0.05


def test_the_least_pairs_of_some_numbers() -> None:
    assert [least_pairs(many) for many in (1, 3, 5, 7, 28)] == [6, 7, 8, 9, 11]
    assert least_pairs(1, 0.99) == 8
    assert least_pairs(1, 0.9375) == 5, "2 of 32 are 1 - 0.9375"


@pytest.mark.parametrize("effect", [0.7, 1.0, 1.5])
def test_with_the_pairs_needed_four_in_five_are_shown(effect: float) -> None:
    pairs = pairs_needed(effect, 1.0)
    assert pairs is not None

    def shown(pairs: int) -> float:
        random = np.random.default_rng(0)
        drawn = random.normal(effect, 1, (1500, pairs)).tolist()
        return float(np.mean([sign_flip_test(differences) <= 0.05 for differences in drawn]))

    assert shown(pairs) > 0.77, "0.8, but for what an approximation and 1,500 draws may miss"
    assert shown(pairs - 2) < 0.8


def test_more_comparisons_and_smaller_differences_need_more() -> None:
    assert pairs_needed(0.2, 0.4) == 34
    assert pairs_needed(-0.2, 0.4) == 34
    assert pairs_needed(0.2, 0.4, comparisons=21) == 65
    assert pairs_needed(0.2, 0.4, power=0.9) == 44
    assert pairs_needed(9.0, 0.1) == 6 and pairs_needed(9.0, 0.1, comparisons=28) == 11


def test_no_number_would_do_for_no_difference() -> None:
    assert pairs_needed(0.0, 1.0) is None and pairs_needed(0.0, 0.0) is None
    assert pairs_needed(1e-5, 1.0) is None
    assert pairs_needed(0.1, 0.0) == 6


def test_what_is_no_question_is_refused() -> None:
    with pytest.raises(ValueError):
        pairs_needed(math.nan, 1.0)
    with pytest.raises(ValueError):
        pairs_needed(1.0, -1.0)
    with pytest.raises(ValueError):
        least_pairs(0)
