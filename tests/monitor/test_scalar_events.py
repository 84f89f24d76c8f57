"""optbench.monitor.scalar_events, against what protobuf writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event

from optbench.monitor.scalar_events import MOST_KINDS, ScalarEvents

LARGEST = 3.4028234663852886e38


def by_protobuf(step: int, wall_time: float, values: dict[str, float]) -> Any:
    event = Event(step=step, wall_time=wall_time)
    for tag, value in values.items():
        event.summary.value.add(tag=tag, simple_value=value)
    return event


@given(
    step=st.integers(1, 2**63 - 1),
    wall_time=st.floats(1.0, 1e12),
    values=st.dictionaries(
        st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300),
        st.floats(-LARGEST, LARGEST) | st.sampled_from([float("inf"), -float("inf"), 0.0, 1e-50]),
        min_size=1,
        max_size=40,
    ),
)
def test_the_bytes_are_protobufs(step: int, wall_time: float, values: dict[str, float]) -> None:
    written = ScalarEvents().serialised(step, wall_time, values)
    assert written == by_protobuf(step, wall_time, values).SerializeToString()


def test_nan_is_told() -> None:
    written = ScalarEvents().serialised(1, 1.0, {"a": float("nan")})
    (value,) = Event.FromString(written).summary.value
    assert value.simple_value != value.simple_value


def test_each_event_has_its_own_numbers() -> None:
    events = ScalarEvents()
    for step in (1, 200, 3):
        values = {"train/loss": float(step), "lr/model": 0.5}
        written = events.serialised(step, 2.0 * step, values)
        assert written == by_protobuf(step, 2.0 * step, values).SerializeToString()
        more = {**values, "more": 1.0}
        written = events.serialised(step, 2.0, more)
        assert written == by_protobuf(step, 2.0, more).SerializeToString()


def test_more_kinds_than_are_kept() -> None:
    events = ScalarEvents()
    for number in (*range(2 * MOST_KINDS + 3), 0):
        values = {f"tag/{number}": 1.0}
        assert events.serialised(1, 1.0, values) == by_protobuf(1, 1.0, values).SerializeToString()


@pytest.mark.parametrize(
    ("step", "values"),
    [(0, {"a": 1.0}), (-1, {"a": 1.0}), (1, {}), (1, {"a": 1e39}), (1, {"a": "x"})],
)
def test_what_takes_an_event_is_left_to_it(step: int, values: dict[str, Any]) -> None:
    assert ScalarEvents().serialised(step, 1.0, values) is None
