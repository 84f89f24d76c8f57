"""What a measure gives: quantities by seed, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.plots.heatmap import HeatMap
from optbench.plots.png import Picture

Values = Mapping[int, float | None]
"""By seed; None where a run diverged or has no such value."""


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        values: of each quantity by seed, in the order in which they are shown.
        pictures: at most two, which the claim's picture shows beside the quantities.
        notes: what to bear in mind, in lines.
    """

    values: Mapping[str, Values]
    pictures: Sequence[Picture | HeatMap] = ()
    notes: Sequence[str] = ()
