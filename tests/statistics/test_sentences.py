"""What verdicts and comparisons are called in plain words."""

import math

import numpy as np
import pytest

from optbench.statistics.compare import compare_all
from optbench.statistics.wording import FEWER, Unit, sentence, sentences

POINTS = Unit("points", 100)


def spread(mean: float, deviation: float, seeds: int) -> dict[int, float | None]:
    """Results with exactly this mean and deviation over seeds."""
    values = np.random.default_rng(0).normal(size=seeds)
    values = (values - values.mean()) / values.std(ddof=1)
    return dict(enumerate((mean + deviation * values).tolist()))


def said(mean: float, deviation: float, seeds: int, unit: Unit = POINTS) -> str:
    """The sentence on an optimizer that is better by so much."""
    table = {"SGD": dict.fromkeys(range(seeds), 0.0), "AdamW": spread(mean, deviation, seeds)}
    return sentence(compare_all(table, higher_is_better=True).row[0], unit)


def test_a_win_has_its_interval_and_its_pairs() -> None:
    assert (
        said(0.0031, 0.0027, 10) == "AdamW beats SGD by 0.31 points (95 %: 0.11 to 0.51, 10 pairs)"
    )
    assert said(3.1, 2.7, 10, Unit()) == "AdamW beats SGD by 3.1 (95 %: 1.1 to 5.1, 10 pairs)"
    assert said(310, 270, 10, Unit()) == "AdamW beats SGD by 310 (95 %: 110 to 510, 10 pairs)"


def test_a_loss_is_said_from_the_winners_side() -> None:
    table = {"SGD": dict.fromkeys(range(10), 0.0), "AdamW": spread(0.31, 0.27, 10)}
    found = compare_all(table, higher_is_better=False)
    assert sentence(found.verdict("AdamW", "SGD")).startswith("SGD beats AdamW by 0.31 (95 %: 0.11")


def test_what_is_not_told_apart_says_what_it_would_take() -> None:
    assert said(0.002, 0.004, 10) == (
        "AdamW and SGD are indistinguishable at 10 seeds: a difference of 0.20 points would need "
        "about 34"
    )
    assert said(0.00001, 0.004, 10).endswith("would need more than 1,000")
    assert said(0.0, 0.0, 10) == "SGD and AdamW came to the same at all 10 seeds"


def test_what_would_be_a_win_by_itself_says_how_many_were_compared() -> None:
    table = {name: spread(0.0, 0.001 * i, 11) for i, name in enumerate("abcdef", 1)}
    table["best"] = spread(0.005, 0.008, 11)
    text = sentence(compare_all(table, higher_is_better=True).verdict("best", "a"), POINTS)
    assert " at 11 seeds among 21 comparisons (p = 0.0" in text and "corrected for so many)" in text


def test_too_few_seeds_are_told_how_many_it_takes() -> None:
    pytest.importorskip("scipy")
    assert said(0.31, 0.1, 5, Unit()) == (
        "5 seeds can't decide between AdamW and SGD: 6 is the least (AdamW is ahead by 0.31; "
        "95 % by Student's t, which is weak: 0.19 to 0.43)"
    )
    table = {"a": {0: 0.5}, "b": {0: 0.4}}
    assert sentence(compare_all(table, higher_is_better=True).row[0]) == (
        "1 seed can't decide between a and b: 6 is the least (a is ahead by 0.10)"
    )


def test_seven_optimizers_at_five_seeds() -> None:
    """All 21 pairs count, whoever's row is read: 2 / 2^10 is the first p that passes 0.05 / 21."""
    pytest.importorskip("scipy")
    table = {name: spread(0.1 * i, 0.05, 5) for i, name in enumerate("abcdefg")}
    lines = sentences(compare_all(table, higher_is_better=True))
    assert lines[0] == "5 seeds can't decide among 7 optimizers: 10 is the least"
    assert lines[1].startswith("5 seeds can't decide between g and a in 21 comparisons: 10 is the")


def test_failures_are_said_with_the_verdict_and_by_themselves() -> None:
    table = {"SGD": dict.fromkeys(range(12), 0.0), "AdamW": spread(0.4, 0.1, 12)}
    table["SGD"] |= {2: math.nan, 5: None}
    lines = sentences(compare_all(table, higher_is_better=True), POINTS)
    assert lines[0] == "AdamW is the best of 2 optimizers"
    assert lines[1].endswith("10 pairs); SGD failed at 2 of 12 seeds, which are left out")
    assert lines[2:] == [
        "SGD failed at 2 of 12 seeds",
        FEWER,
    ]


def test_a_difference_that_is_not_that_of_the_means_is_said_to_be_none() -> None:
    """The mean of all of a's seeds is 2 behind; at the one seed that both ran it is 1."""
    unequal = {"a": {0: 2.0, 1: 0.0, 2: 1.0}, "b": {0: 3.0}}
    lines = sentences(compare_all(unequal, higher_is_better=True))
    assert "(b is ahead by 1.0)" in lines[1] and lines[2:] == [FEWER]
    equal = {"a": {0: 2.0, 1: 0.0}, "b": {0: 3.0, 1: 1.0}, "c": {0: 0.0, 1: 1.0, 2: None}}
    assert FEWER not in sentences(compare_all(equal, higher_is_better=True))


def test_who_is_ahead_but_fails_is_said_to_be_both() -> None:
    table = {"SGD": dict.fromkeys(range(8), 0.0), "AdamW": spread(4.0, 1.0, 8)}
    table["AdamW"][3] = None
    lines = sentences(compare_all(table, higher_is_better=True))
    assert lines[0] == "AdamW came first of 2 optimizers, but is not shown to be better than SGD"
    assert lines[1].startswith("AdamW is ahead by ") and lines[1].endswith(
        " at the 7 seeds where both finished, but failed at 1 of 8, SGD at 0: "
        "the means can't decide that"
    )


def test_headlines() -> None:
    close = {"a": spread(1.0, 0.1, 8), "b": dict(enumerate([1.0, 1.1] * 4)), "c": spread(0, 0.1, 8)}
    assert sentences(compare_all(close, higher_is_better=True))[0] == (
        "b came first of 3 optimizers, but is not shown to be better than a"
    )
    nobody = compare_all({"a": {0: None}, "b": {0: None}}, higher_is_better=True)
    assert sentences(nobody)[0] == "none of 2 optimizers finished at any seed"
    alone = compare_all({"a": {0: 1.0}, "b": {0: None}}, higher_is_better=True)
    assert sentences(alone, what="schedules")[:2] == [
        "only a of 2 schedules finished at any seed",
        "b failed at 1 of 1 seeds",
    ]
    apart = compare_all({"a": {0: 1.0}, "b": {1: 1.0}}, higher_is_better=True)
    assert sentences(apart)[1] == "a and b have no seed at which both finished"
    fixed = compare_all(close, higher_is_better=True, baseline="a")
    assert len(sentences(fixed)) == 2
