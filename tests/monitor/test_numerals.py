"""optbench.monitor.numerals"""

import math

import pytest

from optbench.monitor.numerals import significant


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.94444, "0.9444"),
        (1.0, "1.000"),
        (123.456, "123.5"),
        (1234.5, "1234"),
        (12345.0, "1.234e+04"),
        (1e-5, "1.000e-05"),
        (0.00012345, "0.0001234"),
        (-2.5, "-2.500"),
        (0.0, "0"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_four_digits(value: float, text: str) -> None:
    assert significant(value) == text
