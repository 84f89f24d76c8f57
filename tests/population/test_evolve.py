"""Who copies whom, and which values follow: functions of the scores and the seed alone."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from optbench.population.evolve import Member, explored, first_round, next_round, ranked
from optbench.population.plan import PopulationPlan
from optbench.search.distribution import read_distribution
from optbench.search.space import read_space

SEARCH: dict[str, Any] = {
    "optimizer.lr": {"log": [1e-4, 1.0]},
    "optimizer.betas.0": {"one_minus_log": [0.02, 0.5]},
    "optimizer.nesterov": {"choice": [True, False]},
}
SPACE = read_space({"search": SEARCH}, "search")
BEFORE = first_round(SPACE, 8, seed=1)
REST = (1, "min", 0.25, 0.25)


def next_of(scores: list[float | None], number: int = 1) -> list[Member]:
    return next_round(SPACE, BEFORE, scores, number, *REST)


def test_the_worst_copy_the_best_and_the_others_go_on() -> None:
    scores: list[float | None] = [5.0, 0.1, 0.2, 3.0, 2.0, 9.0, 8.0, 4.0]
    after = next_of(scores)
    assert [m for m, each in enumerate(after) if each.copied] == [5, 6]
    for m, each in enumerate(after):
        if each.copied:
            assert each.parent in (1, 2)
            assert each.values != BEFORE[each.parent].values
        else:
            assert (each.parent, each.values) == (m, BEFORE[m].values)
    assert after == next_of(scores)
    assert next_of(scores, 2) != after


def test_of_equals_the_first_is_the_best_and_max_is_upside_down() -> None:
    assert ranked([1.0, None, 0.5, 0.5, 1.0], "min") == [2, 3, 0, 4]
    assert ranked([1.0, None, 0.5, 0.5, 2.0], "max") == [4, 0, 2, 3]


def test_members_that_are_lost_are_always_replaced() -> None:
    scores: list[float | None] = [None, None, None, 1.0, 2.0, None, None, 3.0]
    after = next_of(scores)
    assert [m for m, each in enumerate(after) if each.copied] == [0, 1, 2, 5, 6]
    assert {each.parent for each in after if each.copied} <= {3, 4}
    one: list[float | None] = [None] * 7 + [1.0]
    assert {each.parent for each in next_of(one)} == {7}
    assert not next_of(one)[7].copied
    with pytest.raises(ValueError, match="all members are lost"):
        next_of([None] * 8)


@pytest.mark.parametrize("members", [2, 3, 5])
def test_a_small_population_replaces_one_at_least_and_never_its_best(members: int) -> None:
    before = first_round(SPACE, members, 0)
    scores = [float(m) for m in range(members)]
    for quantile in (0.01, 0.5):
        after = next_round(SPACE, before, scores, 1, 0, "min", quantile, 0.25)
        copied = [m for m, each in enumerate(after) if each.copied]
        assert members - 1 in copied and 0 not in copied
        assert len(copied) <= members // 2


@pytest.mark.parametrize(
    "plain",
    [
        {"log": [1e-3, 1e-1]},
        {"uniform": [-1.0, 0.5]},
        {"one_minus_log": [0.02, 0.5]},
        {"int": [1, 4]},
        {"int": [-3, 3]},
        {"log_int": [1, 512]},
        {"choice": ["a", "b", "c"]},
    ],
    ids=str,
)
def test_what_is_explored_stays_in_its_range(plain: dict[str, Any]) -> None:
    each = read_distribution(plain, "x")
    for n in range(400):
        draws = Random(n)
        value = each.value(draws.random())
        found = explored(each, value, draws, 0.0 if n % 2 else 0.3)
        if each.kind == "choice":
            assert found in each.choices
            continue
        assert each.low - 1e-12 <= each.from_value(found) <= each.high + 1e-12
        if each.whole:
            assert isinstance(found, int)
            assert n % 2 == 0 or value == 0 or found != value
        elif n % 2 and value not in (each.value(0.0), each.value(1.0)):
            ratio = each.from_value(found) / each.from_value(value)
            at_end = found in (each.value(0.0), each.value(1.0))
            assert at_end or ratio == pytest.approx(0.8) or ratio == pytest.approx(1.2)


def test_resample_is_a_fresh_draw() -> None:
    each = read_distribution({"log": [1e-4, 1.0]}, "x")
    fresh = [explored(each, 0.01, Random(n), 1.0) for n in range(50)]
    assert not [value for value in fresh if value == pytest.approx(0.008)]
    assert min(fresh) < 1e-3 and max(fresh) > 0.1
    never = {round(explored(each, 0.01, Random(n), 0.0), 9) for n in range(50)}
    assert never == {0.008, 0.012}


def test_rounds_are_equal_parts_that_end_with_the_run() -> None:
    plan = PopulationPlan([], {}, "search", 4, 7, 0.25, 0.25, 100, "val/loss", "min")
    ends = [plan.end(number) for number in range(7)]
    assert ends[-1] == 100
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    assert set(lengths) == {14, 15}
