"""optbench.data.array_pickle"""

import os
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from optbench.data.array_pickle import load_array_pickle


@pytest.mark.parametrize("protocol", range(5))
def test_plain_data_and_arrays_load(protocol: int) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    loaded = load_array_pickle(pickle.dumps({"data": array, "labels": [1, 2, 3]}, protocol))
    assert loaded["data"].tolist() == array.tolist()
    assert loaded["labels"] == [1, 2, 3]


def test_python_2_strings_load() -> None:
    content = b"(dp0\nS'label'\np1\nS'\\xe9t\\xe9'\np2\ns."  # pickled by Python 2: a str of bytes
    assert load_array_pickle(content) == {"label": "été"}


class Command:
    """Pickles as a call which would run a command."""

    def __reduce__(self) -> Any:
        return os.system, ("true",)


class Called:
    """Pickles as a call of what numpy hands on, or with other arguments than numpy's."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("value", [Called(np.ndarray, 3), Called(np.dtype, "u1", 1, 2, 3, 4)])
def test_calls_that_numpy_does_not_pickle_are_refused(value: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="an array that numpy did not pickle"):
        load_array_pickle(pickle.dumps({"data": value}))


@pytest.mark.parametrize("value", [Command(), Fraction(1, 2), print])
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not allowed in a data file"):
        load_array_pickle(pickle.dumps(value))
