"""What came of a probing, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optbench.console import shown
from optbench.probe.measure import Measured
from optbench.probe.printing import lines
from optbench.probe.write import as_json


@dataclass(frozen=True)
class Probed:
    """What was measured of a run at its checkpoints.

    Attributes:
        run: the run's folder.
        measured: by instrument, with tables and pictures.
        settings: what was asked for, plain data.
        folder: with probe.json, pictures and TensorBoard's events; None where nothing was written.
        missing: what is not there, and why, such as pictures without matplotlib.
    """

    run: Path
    measured: Measured
    settings: Mapping[str, Any]
    folder: Path | None = None
    missing: tuple[str, ...] = ()

    @property
    def steps(self) -> list[int]:
        """The steps that were looked at."""
        return [*self.measured.steps]

    @property
    def values(self) -> dict[str, dict[int, float]]:
        """Each value by step."""
        found: dict[str, dict[int, float]] = {}
        for taken in self.measured.taken:
            for step, point in taken.points.items():
                for name, value in point.values.items():
                    found.setdefault(name, {})[step] = value
        return found

    @property
    def lacking(self) -> dict[str, str]:
        """Why an instrument could not measure, of those that could nowhere."""
        return {
            taken.name: next(iter(taken.lacking.values()))
            for taken in self.measured.taken
            if taken.lacking and not taken.points
        }

    @property
    def notes(self) -> list[str]:
        """What to bear in mind, in lines: of how many examples, who was left out."""
        return [*self.measured.notes, *lines(self.measured.taken), *self.missing]

    @property
    def plain(self) -> dict[str, Any]:
        """All of it as plain data: what `--json` prints."""
        where = None if self.folder is None else shown(self.folder)
        return {**as_json(shown(self.run), self.measured, self.settings), "folder": where}
