"""Warmup by its formula, and what it passes through of the schedule inside."""

import copy
import math
import pickle

import pytest

from optbench.schedules.base import Schedule, is_reactive
from optbench.schedules.cosine import Cosine
from optbench.schedules.cyclic import Cyclic
from optbench.schedules.one_cycle import OneCycle
from optbench.schedules.plateau import Plateau
from optbench.schedules.warmup import Warmup


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_linear(start: float) -> None:
    schedule = Warmup(Cosine(), 10, start=start)
    expected = [start + (1 - start) * t / 10 for t in range(10)]
    assert [schedule(t, 97) for t in range(10)] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_cosine(start: float) -> None:
    schedule = Warmup(Cosine(), 10, "cosine", start)
    expected = [start + (1 - start) * (1 - math.cos(math.pi * t / 10)) / 2 for t in range(10)]
    assert [schedule(t, 97) for t in range(10)] == pytest.approx(expected, abs=1e-15)


def test_inner_schedule_has_the_rest_of_the_run() -> None:
    schedule = Warmup(Cosine(), 10)
    assert [schedule(t, 97) for t in range(10, 98)] == [Cosine()(t, 87) for t in range(88)]


def test_without_steps_it_is_the_inner_schedule() -> None:
    schedule = Warmup(Cosine(), 0)
    assert [schedule(t, 97) for t in range(98)] == [Cosine()(t, 97) for t in range(98)]


@pytest.mark.parametrize("inner", [Cosine(), OneCycle()], ids=repr)
def test_run_that_ends_in_its_warmup(inner: Schedule) -> None:
    schedule = Warmup(inner, 10)
    assert [schedule(t, 5) for t in range(5)] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert schedule.momentum(0, 5) == (None if isinstance(inner, Cosine) else 0.95)
    assert schedule(10, 10) == inner(0, 1)


def test_momentum_waits_for_the_inner_schedule() -> None:
    inner = Cyclic(5)
    schedule = Warmup(inner, 10)
    assert {schedule.momentum(t, 97) for t in range(11)} == {0.9}
    assert [schedule.momentum(t + 10, 97) for t in range(80)] == [
        inner.momentum(t, 87) for t in range(80)
    ]


def test_no_momentum_where_the_inner_schedule_has_none() -> None:
    assert Warmup(Cosine(), 10).momentum(20, 97) is None
    assert Warmup(Cyclic(5, cycle_momentum=False), 10).momentum(20, 97) is None


def test_is_reactive_exactly_when_the_inner_schedule_is() -> None:
    pure, reactive = Warmup(Cosine(), 10), Warmup(Plateau(), 10)
    assert is_reactive(Plateau()) and is_reactive(reactive)
    assert not is_reactive(Cosine()) and not is_reactive(pure)
    assert not hasattr(pure, "observe")
    with pytest.raises(AttributeError, match="'Warmup' object has no attribute 'observ'"):
        reactive.observ  # noqa: B018


def test_plateau_inside_is_fed_and_saved() -> None:
    schedule = Warmup(Plateau(metric="val/accuracy", mode="max", factor=0.5, patience=0), 10)
    assert schedule.metric == "val/accuracy"
    schedule.observe({"val/accuracy": 0.9})
    schedule.observe({"val/accuracy": 0.8})
    assert schedule(5, 97) == 0.5  # the warmup's own value
    assert schedule(10, 97) == 0.5
    resumed = Warmup(Plateau(metric="val/accuracy", mode="max", factor=0.5, patience=0), 10)
    resumed.load_state_dict(schedule.state_dict())
    assert resumed(10, 97) == 0.5


def test_is_copied_and_pickled() -> None:
    schedule = Warmup(Cosine(0.1), 10, "cosine")
    assert copy.deepcopy(schedule) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
