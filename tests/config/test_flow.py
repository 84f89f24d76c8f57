"""Values as they are typed."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.config.flow import flow


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        (True, "true"),
        (None, "null"),
        (0.5, "0.5"),
        ([8, False, "a"], "[8, false, a]"),
        ({"a": (True, None)}, "{a: [true, null]}"),
    ],
)
def test_a_value_is_said_as_it_is_typed(value: Any, typed: str) -> None:
    assert flow(value) == typed
