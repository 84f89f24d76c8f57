"""What follows from values by seed: what holds, what does not, and what nobody knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from optbench.claims.judged import HOLDS, NOT, UNDECIDED, Judged, Region, judge
from optbench.claims.kinds import check_rule
from optbench.claims.measured import Measured
from optbench.claims.rules import judge_all
from optbench.claims.told import rule_text
from optbench.claims.verdict import verdict
from optbench.errors import UserError
from optbench.statistics import sign_flip_test

NEAR_ONE = [1.01, 0.99, 1.02, 0.98, 1.0, 1.005, 0.995, 1.01]


def by_seed(values: list[float | None]) -> dict[int, float | None]:
    return dict(enumerate(values))


def found(rule: Mapping[str, Any], **values: list[float | None]) -> Judged:
    check_rule(rule, "rule")
    measured = Measured({name: by_seed(each) for name, each in values.items()})
    (judged,) = judge_all([rule], measured, "claim=x")
    return judged


@pytest.mark.parametrize(
    ("value", "answer"), [(1.0, HOLDS), (1.03, HOLDS), (1.05, UNDECIDED), (1.2, NOT), (0.8, NOT)]
)
def test_near_a_value(value: float, answer: str) -> None:
    rule = {"near": "q", "value": value, "within": "5%"}
    assert found(rule, q=[*NEAR_ONE]).answer == answer


def test_without_a_percent_sign_it_is_a_distance() -> None:
    assert found({"near": "q", "value": 0, "within": 1.1}, q=[*NEAR_ONE]).answer == HOLDS
    assert found({"near": "q", "value": 0, "within": 0.5}, q=[*NEAR_ONE]).answer == NOT


def test_above_and_below_are_opposites() -> None:
    for bound, answer, other in ((0.5, HOLDS, NOT), (1.5, NOT, HOLDS)):
        assert found({"above": "q", "value": bound}, q=[*NEAR_ONE]).answer == answer
        assert found({"below": "q", "value": bound}, q=[*NEAR_ONE]).answer == other


def test_that_one_of_several_rules_fails_takes_more_seeds_and_says_how_many() -> None:
    measured = Measured({"q": by_seed([1.0, 1.1, 0.9, 1.2, 1.05, 0.95])})
    rules = [{"above": "q", "value": 0}, {"above": "q", "value": 2}]
    held, failed = judge_all(rules, measured, "claim=x")
    assert (held.answer, failed.answer) == (HOLDS, UNDECIDED)
    assert held.why == "" and failed.why == "7 seeds are the least that exclude one of 2 rules"
    (alone,) = judge_all(rules[1:], measured, "claim=x")
    assert alone.answer == NOT


def test_an_answers_p_is_the_sign_flip_tests() -> None:
    values = [0.3, 0.5, -0.1, 0.7, 0.9, 0.2, 0.4, 0.6]
    judged = found({"above": "q", "value": 0}, q=[*values])
    assert judged.answer == HOLDS and judged.p == sign_flip_test(values)


def test_five_seeds_decide_nothing() -> None:
    judged = found({"above": "q", "value": 0}, q=[1.0, 1.1, 0.9, 1.0, 1.05])
    assert judged.answer == UNDECIDED and judged.needed == 6
    assert "6 seeds are the least" in judged.why


def test_pairs_are_differences_by_seed() -> None:
    seeds = np.linspace(0, 10, 8)
    ahead = {"a": [*(seeds + 0.1 + 0.01 * np.sin(seeds))], "b": [*seeds]}
    for better, first, answer in (
        ("more", ["a", "b"], HOLDS),
        ("less", ["b", "a"], HOLDS),
        ("more", ["b", "a"], NOT),
        ("less", ["a", "b"], NOT),
    ):
        assert found({"paired": first, "better": better}, **ahead).answer == answer


def test_a_lead_that_does_not_matter_is_none() -> None:
    lead: list[float | None] = [0.01, 0.012, 0.011, 0.009, 0.01, 0.013, 0.008]
    none: list[float | None] = [0.0] * 7
    rule = {"paired": ["a", "b"], "better": "more"}
    assert found(rule, a=lead, b=none).answer == HOLDS
    assert found({**rule, "margin": 0.1}, a=lead, b=none).answer == NOT


def test_who_has_failed_decides_nothing() -> None:
    judged = found({"above": "q", "value": 0}, q=[*NEAR_ONE, None])
    assert (judged.answer, judged.why) == (UNDECIDED, "1 of 9 seeds gave no value")


def test_order_is_by_ranks_within_a_seed() -> None:
    offsets = [0.0, 5.0, -3.0, 2.0, 9.0, 1.0, 4.0]
    rising = {name: [o + i for o in offsets] for i, name in enumerate("abc")}
    names = {"ordered": ["a", "b", "c"]}
    assert found({**names, "way": "rising"}, **rising).answer == HOLDS
    assert found({**names, "way": "falling"}, **rising).answer == NOT
    assert found({"ordered": "*", "way": "rising"}, **rising).value == pytest.approx(1.0)
    by_lr = {f"rate lr={value}": values for value, values in rising.items()}
    shared = found({"ordered": "rate *", "way": "rising"}, **by_lr)
    assert shared.quantity == "rate lr: rank correlation, rising"


def test_shares_have_exact_intervals() -> None:
    judged = found({"share": "q", "above": 0.5}, q=[1.0] * 12)
    assert judged.answer == HOLDS
    assert judged.low == pytest.approx(0.025 ** (1 / 12))  # Clopper and Pearson, 12 of 12
    assert found({"share": "q", "above": 0.5}, q=[0.0] * 12).answer == NOT
    assert found({"share": "q", "above": 0.9}, q=[1.0] * 12).answer == UNDECIDED


def test_what_is_exact_is_compared() -> None:
    rule = {"near": "q", "value": -1, "within": "5%"}
    for value, answer in ((-0.96, HOLDS), (-0.94, NOT)):
        (judged,) = judge_all([rule], Measured({"q": {0: value}}), "claim=x", exact=True)
        assert (judged.answer, judged.p, judged.low) == (answer, None, value)


def test_false_verdicts_are_as_rare_as_they_are_told_to_be() -> None:
    """At the bound itself, neither answer is given in more than one case of twenty."""
    generator = np.random.default_rng(0)
    region = Region(low=0.0)
    answers = [judge("q", "", generator.normal(size=10), region).answer for _ in range(600)]  # type: ignore[arg-type]
    assert 600 * 0.01 < len(answers) - answers.count(UNDECIDED) < 600 * 0.085


def judged(answer: str, p: float | None = 0.01, needed: int | None = 20) -> Judged:
    return Judged("q", "", answer, 0.0, -1.0, 1.0, 8, p, needed)  # type: ignore[arg-type]


def test_all_rules_have_to_hold() -> None:
    assert verdict({"": [judged(HOLDS, 0.01), judged(HOLDS, 0.04)]}).p == 0.04
    assert verdict({"": [judged(HOLDS), judged(UNDECIDED, 0.3)]}).word == "undecided"
    assert verdict({"": [judged(HOLDS), judged(NOT)]}).word == "does not hold here"


def test_of_cases_it_is_said_where_it_holds() -> None:
    both = verdict({"a": [judged(HOLDS)], "b": [judged(NOT)], "c": [judged(UNDECIDED)]})
    assert both.said == "holds under these conditions: a; not: b; undecided: c"
    assert verdict({"a": [judged(HOLDS)], "b": [judged(HOLDS)]}).said == "holds"
    assert verdict({"a": [judged(NOT)], "b": [judged(NOT)]}).said == "does not hold here"
    open_one = verdict({"a": [judged(NOT)], "b": [judged(UNDECIDED, 0.2, 31)]})
    assert open_one.said == "undecided at 8 seeds: about 31 would do; does not hold: a"


def test_more_cases_want_more() -> None:
    values: list[float | None] = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95]
    measured = Measured({"q": by_seed(values)})
    rule = {"above": "q", "value": 0}
    (alone,) = judge_all([rule], measured, "claim=x")
    (of_two,) = judge_all([rule], measured, "claim=x", questions=2)
    assert (alone.answer, of_two.answer, of_two.needed) == (HOLDS, UNDECIDED, 7)


def test_a_quantity_that_is_not_measured_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="rule: slop: not of what the measure gives; did you mean"):
        found({"above": "slop", "value": 0}, slope=[1.0])


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("near", "rule=near: expected such as {above: slope, value: 0}"),
        ({"nearr": "q"}, "rule: nearr: no such kind; did you mean near?"),
        ({"value": 0}, "rule: value: no such kind; choose from"),
        ({"near": "q", "value": 1}, "rule: near: it has no within"),
        ({"near": "q", "value": 1, "within": "x%"}, "rule: near: within=x%: expected such as 5%"),
        ({"near": "q", "value": 1, "within": -1}, "rule: near: within=-1: must not be negative"),
        ({"above": "q", "valu": 1}, "rule: above: valu: no such key; did you mean value?"),
        ({"above": 3, "value": 1}, "rule: above=3: expected the name of a value"),
        ({"above": "q", "value": "x"}, "rule: above: value=x: expected a number"),
        ({"paired": "q", "better": "more"}, "rule: paired=q: expected two names"),
        ({"paired": ["a", "b"], "better": "mor"}, "rule: paired: better=mor: not valid; did you"),
        ({"share": "q"}, "rule: share: expected above or below"),
    ],
)
def test_what_is_no_rule(rule: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        check_rule(rule, "rule")
    assert str(error.value).startswith(said)


def test_nothing_measured_is_not_a_number() -> None:
    assert math.isnan(found({"above": "q", "value": 0}, q=[None, None]).value)


def test_what_is_nothing_beside_the_interval_is_told_as_0() -> None:
    values = {0: 0.01, 1: -0.01, 2: 0.02, 3: -0.02, 4: 0.03, 5: -0.03 + 1e-18}
    (judged,) = judge_all([{"above": "q", "value": 1}], Measured({"q": values}), "here")
    assert rule_text(asdict(judged), True).startswith("q: 0 (95 %: -0.0")
    plain = {**asdict(judged), "value": 2e-9, "low": "-inf", "high": "inf"}
    assert rule_text(plain, True).startswith("q: 2e-09 (95 %: -inf to inf, 6 seeds)")
    plain = {**asdict(judged), "value": -0.0, "low": -0.0, "high": 0.0}
    assert rule_text(plain, True).startswith("q: 0 (95 %: 0 to 0, 6 seeds)")
