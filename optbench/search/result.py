"""What a learning rate range test came to, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RangeTest:
    """What a learning rate range test came to.

    Attributes:
        folder: with `find-lr.json`.
        plain: all of that file: suggestions, curves by seed, the recommended rate and its caveats.
    """

    folder: Path
    plain: Mapping[str, Any]

    @property
    def lr(self) -> float | None:
        """The rate that is recommended, of the median seed; None where the loss never falls."""
        found: float | None = self.plain["recommended"]["lr"]
        return found

    @property
    def by_seed(self) -> dict[int, float | None]:
        """The same of each seed."""
        rule = self.plain["recommended"]["rule"]
        return {int(s): each["suggestions"][rule] for s, each in self.plain["seeds"].items()}

    @property
    def caveats(self) -> list[str]:
        """What speaks against it, in lines."""
        return list(self.plain["recommended"]["caveats"])
