"""Holm's correction: against the closed tests that it stands for, and how often it is wrong."""

import itertools

import numpy as np
import pytest

from optbench.statistics.holm import holm


def closed(p: list[float]) -> list[float]:
    """Each p adjusted as the worst Bonferroni p of all sets of hypotheses that it is in."""
    adjusted = []
    for i in range(len(p)):
        sets = [
            chosen
            for many in range(1, len(p) + 1)
            for chosen in itertools.combinations(range(len(p)), many)
            if i in chosen
        ]
        adjusted.append(max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets))
    return adjusted


@pytest.mark.parametrize("many", range(1, 8))
def test_it_is_the_shortcut_of_all_closed_tests(many: int) -> None:
    for seed in range(10):
        p = list(np.random.default_rng(seed).random(many) ** 3)
        assert holm(p) == pytest.approx(closed(p), rel=1e-12)


def test_ties_order_and_nothing() -> None:
    assert holm([0.02, 0.02, 0.5]) == pytest.approx([0.06, 0.06, 0.5])
    assert holm([0.5, 0.02, 0.02]) == pytest.approx([0.5, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("bad", [[0.5, 1.1], [-0.1], [float("nan")], [[0.1]]])
def test_what_is_no_p_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="p_values"):
        holm(bad)
