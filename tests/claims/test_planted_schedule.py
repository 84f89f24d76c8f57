"""A planted error changes the verdict that it should: a schedule that is off by ten per cent."""

from __future__ import annotations

from pathlib import Path

from tests.cli.program import call

from .conftest import write

OFF = """
import math


class Off:
    def __init__(self, min_ratio=0.0):
        self.least = min_ratio

    def __call__(self, step, total_steps):
        half = (1 + math.cos(math.pi * step / total_steps)) / 2
        return 1.1 * (self.least + (1 - self.least) * half)
"""


def test_a_schedule_that_is_off_by_ten_per_cent_is_found(workplace: Path) -> None:
    write(workplace / "off_by_ten.py", OFF)
    write(workplace / "own" / "schedule" / "off.yaml", "_target_: off_by_ten.Off\nmin_ratio: 0.0\n")
    right = call("claim schedule_formulas steps=120")
    assert "verdict: holds" in right.out, right.err
    wrong = call("claim schedule_formulas steps=120 'instead={cosine: off}' --config-dir own")
    assert "cosine: 1.1 (nothing is drawn)" in wrong.out, wrong.err
    assert "verdict: does not hold here" in wrong.out
