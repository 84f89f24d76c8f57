"""Spaces that are lists of settings, which go together."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.errors import UserError
from optbench.search.space import read_space
from optbench.tuning.samplers import grid_of, size_of

ROWS = [
    {"optimizer.lr": 1e-3, "optimizer.betas": [0.9, 0.99]},
    {"optimizer.lr": 1e-2, "optimizer.betas": [0.5, 0.99]},
    {"optimizer.lr": 1e-3, "optimizer.betas": [0.5, 0.99]},
]


def test_a_list_is_tried_as_it_stands() -> None:
    found = read_space({"source": "me", "list": ROWS}, "space=mine")
    assert [*grid_of(found)] == ROWS and size_of(found) == 3
    assert found.keys["optimizer.lr"].choices == (1e-3, 1e-2)
    assert read_space(found.as_plain(), "space=mine") == found


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"list": []}, "list=[]: expected such as"),
        ({"list": [1]}, "list=[1]: expected such as"),
        ({"list": ROWS, "search": {"a": {"log": [1, 2]}}}, "search: beside list; one of them"),
        ({"list": [{"a": 1}, {"b": 1}]}, "list: a: in the first or in row 2 only"),
        ({"list": [{"a": {"log": [1, 2]}}]}, "list: a: "),
        ({"list": [{"a..b": 1}]}, "a..b: can't be a key"),
    ],
)
def test_what_is_no_list_is_refused_in_a_line(plain: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_space(plain, "space=mine")
    assert str(caught.value).startswith("space=mine: ") and said in str(caught.value)
