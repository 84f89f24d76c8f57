"""What a program gets of a claim that was tested. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Claimed:
    """What `optbench.claim` gives.

    Attributes:
        folder: of the claim; its runs are in it.
        plain: all that is known, which is what `claim.json` has.
    """

    folder: Path
    plain: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """`holds`, `holds under these conditions`, `does not hold here` or `undecided`."""
        return str(self.plain["verdict"])

    @property
    def said(self) -> str:
        """The verdict with all that belongs to it: at how many seeds, under which conditions."""
        return str(self.plain["said"])

    @property
    def p(self) -> float | None:
        """Of the test that the verdict rests on; None where it rests on none."""
        value = self.plain["p"]
        return None if value is None else float(value)

    @property
    def values(self) -> dict[str, dict[str, dict[int, float | None]]]:
        """What was measured, by case (`""` where there is one), by quantity and by seed."""
        return {
            case["name"]: {
                quantity: {int(seed): value for seed, value in of_seed.items()}
                for quantity, of_seed in case["values"].items()
            }
            for case in self.plain["cases"]
        }

    @property
    def picture(self) -> Path | None:
        """The picture; None where none could be drawn."""
        name = self.plain["picture"]
        return None if name is None else self.folder / str(name)
