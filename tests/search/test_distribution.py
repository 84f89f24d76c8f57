"""Ranges and lists: what they give, where their ends are, and which are none."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optbench.errors import UserError
from optbench.search.distribution import KINDS, Distribution, read_distribution


def listed(*choices: Any, points: int | None = None) -> Distribution:
    return Distribution("choice", choices=choices, points=points)


PLACES = st.floats(0, 1)
SIDES = st.sampled_from(["low", "high"])


def pair(numbers: Any) -> Any:
    return st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)


RANGES = st.one_of(
    st.tuples(st.just("uniform"), pair(st.floats(-1e6, 1e6))),
    st.tuples(st.just("log"), pair(st.floats(1e-12, 1e6))),
    st.tuples(st.just("int"), pair(st.integers(-50, 10**6))),
    st.tuples(st.just("log_int"), pair(st.integers(1, 10**6))),
    st.tuples(st.just("one_minus_log"), pair(st.floats(1e-9, 0.999))),
).map(lambda found: Distribution(found[0], *found[1]))
NUMBERS = pair(st.sampled_from([1e-3, 0.01, 0.1, 0.5, 1.0, 2.0, 10.0]))
LISTS = (
    st.lists(st.sampled_from(["a", "b", None, True, 3, 0.5, [1, 2]]), min_size=1, unique_by=repr)
    | NUMBERS
).map(lambda items: listed(*items))
ANY = RANGES | LISTS


def is_in(value: Any, found: Distribution) -> bool:
    if found.kind == "choice":
        return value in found.choices
    low, high = sorted((found.to_value(found.low), found.to_value(found.high)))
    return bool(low <= value <= high)


@given(ANY, PLACES)
def test_a_value_is_of_its_distribution(found: Distribution, u: float) -> None:
    assert is_in(found.value(u), found)
    assert isinstance(found.value(u), int) or not found.whole


@given(ANY)
def test_the_ends_are_reached(found: Distribution) -> None:
    if found.kind == "choice":
        ends = [found.choices[0], found.choices[-1]]
    else:
        ends = [found.to_value(found.low), found.to_value(found.high)]
    assert [found.value(0.0), found.value(1.0)] == ends


@given(RANGES, PLACES, PLACES)
def test_values_follow_their_places(found: Distribution, u: float, v: float) -> None:
    one, other = (found.from_value(found.value(place)) for place in sorted((u, v)))
    assert one <= other


@given(RANGES, PLACES)
def test_a_place_is_found_again(found: Distribution, u: float) -> None:
    assume(not found.whole and found.high > found.low * (1 + 1e-6))
    value = found.value(u)
    again = found.value(found.place(value))  # type: ignore[arg-type]
    assert again == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_the_middle_of_a_range_is_on_its_own_scale() -> None:
    assert Distribution("log", 1e-4, 1e-2).value(0.5) == pytest.approx(1e-3)
    assert Distribution("uniform", 1.0, 3.0).value(0.5) == 2.0
    assert Distribution("log_int", 1, 10000).value(0.5) == round(math.sqrt(0.5 * 10000.5))
    assert Distribution("one_minus_log", 0.01, 1e-1).value(0.5) == pytest.approx(1 - 0.1**1.5)


def test_whole_numbers_are_equally_likely() -> None:
    counts = Counter(Distribution("int", 1, 4).value((k + 0.5) / 400) for k in range(400))
    assert counts == {1: 100, 2: 100, 3: 100, 4: 100}
    counts = Counter(listed("a", "b").value(k / 100) for k in range(100))
    assert counts == {"a": 50, "b": 50}


@pytest.mark.parametrize(
    ("number", "value"), [(0.43, 0.57), (0.02, 0.98), (0.1, 0.9), (1e-9, 1 - 1e-9)]
)
def test_one_minus_a_number_has_no_digits_of_its_own(number: float, value: float) -> None:
    found = Distribution("one_minus_log", 1e-9, 0.5)
    assert found.to_value(number) == value and found.from_value(value) == number


GRIDS: list[tuple[Distribution, list[Any]]] = [
    (Distribution("log", 1e-4, 1e-2), [1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2]),
    (Distribution("log", 1e-4, 1e-2, points=3), [1e-4, 1e-3, 1e-2]),
    (Distribution("uniform", 0.0, 1.0), [0.0, 0.25, 0.5, 0.75, 1.0]),
    (Distribution("int", 2, 5), [2, 3, 4, 5]),
    (Distribution("int", 1, 10), list(range(1, 11))),
    (Distribution("int", 0, 100), [0, 25, 50, 75, 100]),
    (Distribution("int", 1, 10, points=2), [1, 10]),
    (Distribution("log_int", 1, 10000), [1, 10, 100, 1000, 10000]),
    (Distribution("one_minus_log", 0.01, 0.1, points=2), [0.99, 0.9]),
    (Distribution("one_minus_log", 0.02, 0.5, points=3), [0.98, 0.9, 0.5]),
    (listed("a", None, "b"), ["a", None, "b"]),
    (listed(1, 2, 3, 4, 5, points=3), [1, 3, 5]),
    (listed(*range(12)), list(range(12))),
]


@pytest.mark.parametrize(("found", "grid"), GRIDS)
def test_a_grid(found: Distribution, grid: list[Any]) -> None:
    assert found.grid() == grid


@given(ANY, st.none() | st.integers(2, 40))
def test_a_grid_has_no_doubles_and_the_points_that_were_asked_for(
    found: Distribution, points: int | None
) -> None:
    found = Distribution(found.kind, found.low, found.high, found.choices, points)
    grid = found.grid()
    assert all(is_in(value, found) for value in grid)
    assert {repr(found.value(0.0)), repr(found.value(1.0))} <= {repr(value) for value in grid}
    assert len(grid) <= (points or max(10, len(found.choices)))
    if found.kind in ("uniform", "log") and found.high > found.low + 1e-6 * abs(found.low):
        assert len(set(grid)) == (points or 5)


EDGES: list[tuple[Distribution, Any, str | None]] = [
    (Distribution("log", 1e-4, 1e-2), 1e-4, "low"),
    (Distribution("log", 1e-4, 1e-2), 1.2e-4, "low"),
    (Distribution("log", 1e-4, 1e-2), 1.4e-4, None),
    (Distribution("log", 1e-4, 1e-2), 8.5e-3, "high"),
    (Distribution("log", 1e-4, 1e-2), 1.0, "high"),
    (Distribution("log", 1e-4, 1e-2), 0.0, "low"),
    (Distribution("uniform", 0.0, 1.0), 0.04, "low"),
    (Distribution("uniform", 0.0, 1.0), 0.06, None),
    (Distribution("one_minus_log", 0.02, 0.5), 0.98, "low"),
    (Distribution("one_minus_log", 0.02, 0.5), 0.5, "high"),
    (Distribution("one_minus_log", 0.02, 0.5), 0.9, None),
    (Distribution("one_minus_log", 0.02, 0.5), 1.0, "low"),
    (Distribution("int", 1, 2), 1, None),
    (Distribution("int", 1, 3), 1, "low"),
    (Distribution("int", 1, 3), 2, None),
    (Distribution("log_int", 1, 1000), 1000, "high"),
    (listed(0.1, 0.01, 0.001), 0.001, "low"),
    (listed(0.001, 0.01, 0.1), 0.1, "high"),
    (listed(0.001, 0.01, 0.1), 0.01, None),
    (listed(0.0, 0.9), 0.9, None),
    (listed(2, 1, 3), 3, None),
    (listed("a", "b", "c"), "a", None),
    (listed(False, True, None), True, None),
    (Distribution("log", 1e-4, 1e-2), "a", None),
]


@pytest.mark.parametrize(("found", "value", "edge"), EDGES)
def test_the_edge_that_a_value_is_at(found: Distribution, value: Any, edge: str | None) -> None:
    assert found.at_edge(value) == edge


def test_the_share_of_the_edge_may_be_given() -> None:
    found = Distribution("uniform", 0.0, 1.0)
    assert [found.at_edge(0.15, share) for share in (0.1, 0.2)] == [None, "low"]


WIDER: list[tuple[Distribution, str, Distribution]] = [
    (Distribution("log", 1e-4, 1e-2), "low", Distribution("log", 1e-5, 1e-2)),
    (Distribution("log", 1e-4, 5e-3), "high", Distribution("log", 1e-4, 0.05)),
    (Distribution("uniform", 1.0, 4.0), "high", Distribution("uniform", 1.0, 5.0)),
    (Distribution("uniform", 0.5, 2.0), "low", Distribution("uniform", 0.0, 2.0)),
    (Distribution("uniform", 0.0, 0.5), "low", Distribution("uniform", 0.0, 0.5)),
    (Distribution("uniform", -1.0, 2.0), "low", Distribution("uniform", -2.0, 2.0)),
    (Distribution("int", 4, 10), "low", Distribution("int", 2, 10)),
    (Distribution("int", 2, 10), "low", Distribution("int", 1, 10)),
    (Distribution("int", 1, 10), "low", Distribution("int", 1, 10)),
    (Distribution("int", 0, 10), "low", Distribution("int", 0, 10)),
    (Distribution("int", -1, 5), "low", Distribution("int", -3, 5)),
    (Distribution("int", 1, 2), "high", Distribution("int", 1, 3)),
    (Distribution("log_int", 16, 128), "low", Distribution("log_int", 1, 128)),
    (Distribution("log_int", 16, 128), "high", Distribution("log_int", 16, 1280)),
    (Distribution("one_minus_log", 0.02, 0.5), "low", Distribution("one_minus_log", 0.002, 0.5)),
    (Distribution("one_minus_log", 4e-3, 0.05), "high", Distribution("one_minus_log", 4e-3, 0.5)),
    (Distribution("one_minus_log", 0.02, 0.5), "high", Distribution("one_minus_log", 0.02, 0.95)),
    (listed(1e-3, 1e-2), "low", listed(1e-4, 1e-3, 1e-2)),
    (listed(0.1, 0.01), "low", listed(0.1, 0.01, 1e-3)),
    (listed(0.1, 0.01), "high", listed(1.0, 0.1, 0.01)),
    (listed(16, 32, 64), "high", listed(16, 32, 64, 128)),
    (listed(1, 2, 3), "high", listed(1, 2, 3, 4)),
    (listed(1, 2, 3), "low", listed(1, 2, 3)),
    (listed(0.0, 1e-3, 0.01), "low", listed(0.0, 1e-3, 0.01)),
    (listed(0.0, 1e-4, 1e-3, 0.01), "high", listed(0.0, 1e-4, 1e-3, 0.01, 0.1)),
    (listed("a", "b"), "high", listed("a", "b")),
    (Distribution("log", 1.0, 1e308), "high", Distribution("log", 1.0, 1e308)),
    (Distribution("log", 5e-324, 1.0), "low", Distribution("log", 5e-324, 1.0)),
]


@pytest.mark.parametrize(("found", "side", "wider"), WIDER)
def test_a_wider_distribution(found: Distribution, side: Any, wider: Distribution) -> None:
    assert found.wider(side) == wider


@given(ANY, SIDES)
def test_a_wider_distribution_has_all_that_it_was_wider_than(
    found: Distribution, side: Any
) -> None:
    wider = found
    for _ in range(5):  # over and over, until nothing is beyond
        before, wider = wider, wider.wider(side)
        if found.kind == "choice":
            assert set(map(repr, before.choices)) <= set(map(repr, wider.choices))
        else:
            assert wider.low <= before.low and before.high <= wider.high
        assert read_distribution(wider.as_plain(), "space: key") == wider
    values = [wider.value(u) for u in (0.0, 0.3, 1.0)]
    if found.kind == "one_minus_log":
        assert all(0 < value < 1 for value in values)
    if found.whole and found.low >= 1:
        assert wider.low >= 1


@given(ANY, st.none() | st.integers(2, 9))
def test_what_stands_in_a_yaml_is_read_back(found: Distribution, points: int | None) -> None:
    found = Distribution(found.kind, found.low, found.high, found.choices, points)
    again = read_distribution(found.as_plain(), "space: key")
    assert again == found
    assert isinstance(again.low, int) == isinstance(found.low, int) or found.kind == "choice"


NO_DISTRIBUTION: list[tuple[Any, str]] = [
    ({"lgo": [1, 2]}, "lgo: no such kind; did you mean log?"),
    ({"loguniform": [1, 2]}, "loguniform: no such kind; did you mean log?"),
    ({"categorical": [1, 2]}, "categorical: no such kind; did you mean choice?"),
    (
        {"zzz": 1},
        "zzz: no such kind; choose from choice, int, log, log_int, one_minus_log, uniform",
    ),
    ({"log": [1, 2], "step": 3}, "step: no such key; beside log there is points"),
    ({"log": [1, 2], "uniform": [1, 2]}, "log and uniform: expected one kind"),
    ({}, "{}: expected one kind"),
    ({"points": 3}, "{points: 3}: expected one kind"),
    (0.1, "0.1: expected a kind, such as {log: [0.0001, 0.01]}"),
    ([1e-4, 1e-2], "[0.0001, 0.01]: expected a kind"),
    (None, "null: expected a kind"),
    ({"log": [0.1]}, "log=[0.1]: expected [low, high]"),
    ({"log": {"low": 1, "high": 2}}, "log={low: 1, high: 2}: expected [low, high]"),
    ({"log": [1, 0]}, "log=[1, 0]: 0 and less have no logarithm; low has to be above 0"),
    ({"one_minus_log": [2, 0.5]}, "it is of 1 - value, within 0 and 1"),
    ({"log": [1e-2, 1e-4]}, "log=[0.01, 0.0001]: upside down; did you mean [0.0001, 0.01]?"),
    ({"int": [3, 3]}, "int=[3, 3]: the range is empty"),
    ({"log": [0, 1]}, "log=[0, 1]: 0 and less have no logarithm; low has to be above 0"),
    ({"log": [-1, 1]}, "log=[-1, 1]: 0 and less have no logarithm"),
    ({"log_int": [0, 8]}, "log_int=[0, 8]: 0 and less have no logarithm; low has to be at least 1"),
    ({"uniform": ["a", 1]}, "uniform=[a, 1]: a: expected numbers"),
    ({"uniform": [0, True]}, "uniform=[0, true]: true: expected numbers"),
    ({"uniform": [None, 1]}, "uniform=[null, 1]: null: expected numbers"),
    ({"uniform": [math.nan, 1.0]}, "uniform=[nan, 1.0]: nan: expected numbers"),
    ({"uniform": [0.0, math.inf]}, "uniform=[0.0, inf]: inf: expected numbers"),
    ({"uniform": [0, 10**400]}, ": expected numbers"),
    ({"uniform": [-1.7e308, 1.7e308]}, "wider than floats go"),
    ({"int": [1, 2.5]}, "int=[1, 2.5]: 2.5: expected whole numbers"),
    ({"int": [1, 2**60]}, "whole numbers end at 2^53"),
    ({"one_minus_log": [0, 0.5]}, "it is of 1 - value, within 0 and 1"),
    ({"one_minus_log": [0.5, 1]}, "it is of 1 - value, within 0 and 1"),
    ({"one_minus_log": [0.5, 0.98, 1]}, "expected [low, high]"),
    ({"one_minus_log": [1e-300, 0.5]}, "it is of 1 - value, within 0 and 1"),
    ({"choice": []}, "choice=[]: nothing to choose from"),
    ({"choice": 3}, "choice=3: expected a list of values"),
    ({"choice": "adam"}, "choice=adam: expected a list of values"),
    ({"choice": [1, 2, 1.0]}, "choice: 1.0 is there twice"),
    ({"choice": [[1], [1]]}, "choice: [1] is there twice"),
    ({"choice": [{"a": 1}]}, "choice: {a: 1}: expected numbers, texts"),
    ({"choice": [[[1]]]}, "choice: [[1]]: expected numbers, texts"),
    ({"choice": [math.nan]}, "choice: nan: expected numbers, texts"),
    ({"log": [1, 2], "points": 1}, "points=1: expected a whole number from 2 to 1000"),
    ({"log": [1, 2], "points": 2.5}, "points=2.5: expected a whole number"),
    ({"log": [1, 2], "points": True}, "points=true: expected a whole number"),
    ({"log": [1, 2], "points": 10**9}, "points=1000000000: expected a whole number"),
    ({"lr": {"log": [1, 2]}}, "optimizer.lr: keys are written whole, with dots"),
]


@pytest.mark.parametrize(("plain", "said"), NO_DISTRIBUTION)
def test_what_is_no_distribution_is_refused_in_a_line(plain: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_distribution(plain, "space=mine: optimizer")
    message = str(caught.value)
    assert said in message and message.startswith("space=mine: optimizer")
    assert "\n" not in message


def test_what_differs_in_kind_is_no_double() -> None:
    found = read_distribution({"choice": [1, True, "1", None, [1], "true"]}, "space: key")
    assert found.choices == (1, True, "1", None, [1], "true")


def test_whole_floats_are_whole_numbers() -> None:
    found = read_distribution({"log_int": [1.0, 8.0]}, "space: key")
    assert (found.low, found.high) == (1, 8) and isinstance(found.low, int)


def test_every_kind_is_tried_here() -> None:
    assert {found.kind for found, _ in GRIDS} == {found.kind for found, *_ in WIDER} == set(KINDS)
