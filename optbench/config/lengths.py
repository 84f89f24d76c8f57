"""Lengths of time in a training: steps, epochs or a part of the run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

_PATTERN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ep|epochs?|%|steps?)?\s*$")


@dataclass(frozen=True)
class Length:
    """A length in optimizer steps (`100`), epochs (`5ep`) or a part of the run (`10%`, `0.1`).

    Inside a schedule that has a length of its own (a chain's part, a setting's schedule with `for`)
    a part is of that length.

    Attributes:
        value: how many of `unit`; a part of the run is between 0 and 1.
        unit: `steps`, `epochs` or `run`.
    """

    value: float
    unit: Literal["steps", "epochs", "run"] = "steps"

    @classmethod
    def parse(cls, value: object) -> Length:
        """Read `100`, `"5ep"`, `"10%"` or `0.1`; raise ValueError for anything else."""
        if isinstance(value, Length):
            return value
        if isinstance(value, bool) or value is None:
            raise ValueError(f"{value!r} is no length")
        if isinstance(value, int | float):
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{value!r} is no length")
            if value == int(value):
                return cls(int(value), "steps")
            if value < 1:
                return cls(value, "run")
            raise ValueError(f"{value!r} is not a whole number of steps")
        match = _PATTERN.match(str(value))
        if match is None:
            raise ValueError(f"{value!r} is no length")
        number, unit = float(match[1]), match[2] or ""
        if unit.startswith("ep"):
            return cls(number, "epochs")
        if unit == "%":
            if number > 100:
                raise ValueError(f"{value!r} is more than the run")
            return cls(number / 100, "run")
        return cls.parse(number)

    def steps(self, steps_per_epoch: int, total_steps: int) -> int:
        """Return this length in optimizer steps; at least 1 unless it is 0."""
        scale = {"steps": 1, "epochs": steps_per_epoch, "run": total_steps}[self.unit]
        return max(1, round(self.value * scale)) if self.value else 0


def is_positive(value: object) -> bool:
    """Return whether a value is a length above 0."""
    try:
        return Length.parse(value).value > 0
    except ValueError:
        return False
