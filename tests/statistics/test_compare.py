"""Comparisons of optimizers by seed: pairs, Holm over all of them, the best's row, and failures."""

import math

import numpy as np
import pytest

from optbench.statistics.compare import Comparison, compare_all
from optbench.statistics.holm import holm
from optbench.statistics.paired import wilcoxon_test
from optbench.statistics.power import pairs_needed
from optbench.statistics.sign_flip import sign_flip_interval, sign_flip_test

Table = dict[str, dict[int, float | None]]


def drawn(seeds: int, seed: int = 0, **better: float) -> Table:
    """Results of optimizers, each better by so much; a seed's luck is the same for all."""
    random = np.random.default_rng(seed)
    luck = random.normal(0, 5, seeds)
    return {
        arm: {s: float(luck[s] + by + random.normal()) for s in range(seeds)}
        for arm, by in better.items()
    }


def paired(table: Table, one: str, other: str) -> list[float]:
    """Differences of the seeds at which both have a number."""
    first, second = table[one], table[other]
    return [
        a - b
        for s, a in first.items()
        if (b := second.get(s)) is not None and a is not None and math.isfinite(a - b)
    ]


def test_each_number_is_that_of_its_own_function() -> None:
    table = drawn(12, a=0.0, b=3.0, c=1.0)
    found = compare_all(table, higher_is_better=True)
    names = [("a", "b"), ("a", "c"), ("b", "c")]
    assert [(v.first, v.second) for v in found.verdicts] == names
    differences = [paired(table, one, other) for one, other in names]
    adjusted = holm([sign_flip_test(d) for d in differences])
    for verdict, d, p_adjusted in zip(found.verdicts, differences, adjusted, strict=True):
        assert verdict.difference == pytest.approx(np.mean(d), rel=1e-12)
        assert (verdict.low, verdict.high) == sign_flip_interval(d)
        assert (verdict.p, verdict.p_adjusted) == (sign_flip_test(d), p_adjusted)
        assert verdict.p_wilcoxon == wilcoxon_test(d)
        assert (verdict.pairs, verdict.comparisons, verdict.confidence) == (12, 3, 0.95)
        assert (verdict.test, verdict.interval, verdict.weak) == ("sign-flip", "sign-flip", False)
    assert found.means["b"] == pytest.approx(np.mean([*table["b"].values()]))


def test_the_best_has_a_row_against_all_others() -> None:
    found = compare_all(drawn(12, a=0.0, b=9.0, c=1.0, d=8.7), higher_is_better=True)
    assert found.best == "b"
    outcomes = {v.second: v.outcome for v in found.row}
    assert outcomes == {"a": "better", "c": "better", "d": "indistinguishable"}
    assert all(v.first == "b" for v in found.row)
    assert found.verdict("a", "b").outcome == "worse"


def test_less_is_better_of_a_loss() -> None:
    table = drawn(10, a=0.0, b=5.0)
    found = compare_all(table, higher_is_better=False)
    assert found.best == "a" and found.row[0].outcome == "better"
    assert found.row[0].difference == pytest.approx(np.mean(paired(table, "b", "a")))


def test_a_verdict_can_be_turned_around() -> None:
    found = compare_all(drawn(10, a=0.0, b=5.0), higher_is_better=True)
    one, other = found.verdict("a", "b"), found.verdict("b", "a")
    assert other.difference == -one.difference and (other.low, other.high) == (-one.high, -one.low)
    assert (one.outcome, other.outcome) == ("worse", "better")
    assert other.turned() == one
    with pytest.raises(KeyError):
        found.verdict("a", "z")


def test_all_pairs_count_unless_a_baseline_was_fixed_before() -> None:
    """At 8 seeds 6 comparisons can't be passed, 3 can."""
    table = drawn(8, a=9.0, b=0.0, c=0.0, d=0.0)
    every = compare_all(table, higher_is_better=True)
    assert every.row[0].p == 2 / 256 and every.row[0].p_adjusted == 12 / 256
    fixed = compare_all(table, higher_is_better=True, baseline="a")
    assert len(fixed.verdicts) == 3 and fixed.best == "a" and fixed.chosen_before
    assert fixed.row[0].p_adjusted == 6 / 256
    worse = compare_all(table, higher_is_better=True, baseline="b")
    assert [v.outcome for v in worse.row] == ["worse", "indistinguishable", "indistinguishable"]


def test_too_few_seeds_decide_nothing_however_large_the_difference() -> None:
    pytest.importorskip("scipy")
    for seeds in range(1, 6):
        verdict = compare_all(drawn(seeds, a=0.0, b=1e6), higher_is_better=True).row[0]
        assert (verdict.outcome, verdict.reason, verdict.weak) == ("undecidable", "pairs", True)
        assert verdict.interval == ("none" if seeds == 1 else "t")
    many = compare_all(drawn(9, **{name: i * 1e6 for i, name in enumerate("abcdefg")}), True)
    assert {v.outcome for v in many.verdicts} == {"undecidable"}
    assert not any(v.weak for v in many.verdicts), "each by itself could be decided"


def test_what_is_needed_follows_from_the_deviation_of_pairs() -> None:
    table = drawn(10, seed=4, a=0.0, b=0.3)
    verdict = compare_all(table, higher_is_better=True).row[0]
    assert verdict.outcome == "indistinguishable"
    d = paired(table, "b", "a")
    assert verdict.needed == pairs_needed(float(np.mean(d)), float(np.std(d, ddof=1))) > 10


@pytest.mark.parametrize("miss", [None, math.nan, math.inf, -math.inf])
def test_a_miss_is_never_a_success(miss: float | None) -> None:
    """Nothing, NaN and infinities of either sign are left out of means, and counted apart."""
    for higher in (True, False):
        table = drawn(12, a=0.0, b=5.0 if higher else -5.0)
        table["a"][3] = table["a"][7] = miss
        found = compare_all(table, higher_is_better=higher)
        assert found.failed == {"a": (2, 12), "b": (0, 12)}
        assert found.best == "b" and found.row[0].outcome == "better"
        assert (found.row[0].pairs, found.row[0].failed, found.row[0].seeds) == (10, (0, 2), 12)
        assert len(found.seeds) == 10 and 3 not in found.seeds
        assert found.means["b"] == pytest.approx(
            np.mean([v for s, v in table["b"].items() if s not in (3, 7)])
        )


def test_who_fails_more_often_has_to_be_ahead_in_spite_of_it() -> None:
    """As if each failure alone were the largest difference, lost."""
    table = drawn(12, a=0.0, b=5.0)
    d = paired(table, "b", "a")
    for failures, wins in [(1, True), (2, True), (3, False)]:
        for seed in range(failures):
            table["b"][seed] = None
        verdict = compare_all(table, higher_is_better=True).row[0]
        assert verdict.p_adjusted < 0.05 and verdict.low > 0
        kept = d[failures:]
        assert (sign_flip_test([*kept, *[-max(kept)] * failures]) <= 0.05) == wins
        assert (verdict.outcome, verdict.reason) == (
            ("better", "") if wins else ("undecidable", "failures")
        )
    for seed in range(9, 12):
        table["a"][seed] = None  # it fails as often
    assert compare_all(table, higher_is_better=True).row[0].outcome == "better"


def test_failing_where_it_would_have_lost_wins_nothing() -> None:
    """Both are the same, but one of them fails at its worst seeds in place of scoring them."""
    random, called, plain = np.random.default_rng(0), 0, 0
    for first, second in random.normal(size=(400, 2, 20)):
        results = {
            "a": {s: float(v) if v > -0.84 else None for s, v in enumerate(first)},
            "b": dict(enumerate(second)),
        }
        verdict = compare_all(results, higher_is_better=True).verdict("a", "b")
        called += verdict.outcome == "better"
        plain += verdict.p <= 0.05 and verdict.difference > 0
    assert called == 0 and plain / 400 > 0.1


def test_seeds_that_were_not_run_are_no_failures() -> None:
    table = drawn(12, a=0.0, b=5.0)
    del table["b"][0], table["a"][11]
    found = compare_all(table, higher_is_better=True)
    assert found.failed == {"a": (0, 11), "b": (0, 11)}
    assert found.seeds == tuple(range(1, 11)) and found.row[0].pairs == 10


def test_who_failed_everywhere_is_compared_with_nobody() -> None:
    table = drawn(8, a=0.0, b=5.0)
    table["c"] = dict.fromkeys(range(8), math.nan)
    found = compare_all(table, higher_is_better=True)
    assert len(found.verdicts) == 1 and found.best == "b"
    assert found.failed["c"] == (8, 8) and math.isnan(found.means["c"])
    assert not math.isnan(found.means["a"])
    nobody = compare_all({name: {0: None} for name in "ab"}, higher_is_better=True)
    assert nobody.best is None and not nobody.verdicts and not nobody.row


def test_who_failed_at_half_of_the_seeds_is_not_the_best() -> None:
    table = drawn(8, a=0.0, b=5.0)
    table["b"].update(dict.fromkeys(range(4)))
    pytest.importorskip("scipy")
    assert compare_all(table, higher_is_better=True).best == "a"


def test_without_a_common_seed_nothing_is_said() -> None:
    found = compare_all({"a": {0: 1.0}, "b": {1: 2.0}}, higher_is_better=True)
    verdict = found.verdicts[0]
    assert (verdict.pairs, verdict.p, verdict.test) == (0, 1.0, "none")
    assert verdict.outcome == "undecidable" and math.isnan(verdict.difference)


def test_the_same_results_are_not_told_apart() -> None:
    same = {s: float(s) for s in range(10)}
    verdict = compare_all({"a": same, "b": dict(same)}, higher_is_better=True).verdicts[0]
    assert (verdict.p, verdict.low, verdict.high) == (1.0, 0.0, 0.0)
    assert verdict.outcome == "indistinguishable" and verdict.needed is None


@pytest.mark.parametrize(
    ("names", "baseline", "said"), [("a", None, "at least two"), ("ab", "c", "baseline=c")]
)
def test_what_can_not_be_compared_is_refused(names: str, baseline: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compare_all({n: {0: 1.0} for n in names}, higher_is_better=True, baseline=baseline)


def test_fresh_seeds_take_back_what_the_tuning_seed_said() -> None:
    """DeepOBS on fmnist_2c2d: 0.76 points on the tuning seed, none on nine others."""
    random = np.random.default_rng(42)
    fresh: Table = {arm: dict(enumerate(92.28 + 0.2 * random.normal(size=9))) for arm in "xy"}
    table = {"adam": {42: 92.94, **fresh["x"]}, "sgd": {42: 92.18, **fresh["y"]}}
    alone = {arm: {42: each[42]} for arm, each in table.items()}
    assert compare_all(alone, higher_is_better=True).row[0].outcome == "undecidable"
    assert compare_all(table, higher_is_better=True).row[0].outcome == "indistinguishable"


def test_results_are_left_as_they_were() -> None:
    table = drawn(7, a=0.0, b=1.0)
    before = {arm: dict(each) for arm, each in table.items()}
    assert isinstance(compare_all(table, higher_is_better=True), Comparison)
    assert table == before
