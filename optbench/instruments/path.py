"""The way that a run has come: how far from its start, how straight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from torch import Tensor

from optbench.errors import UserError
from optbench.instruments import directions
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.directions import Direction
from optbench.instruments.drawing import Curves
from optbench.instruments.look import Look
from optbench.instruments.points import Point, parameters_of


class Path:
    """Distance from the start, and the cosine of successive displacements.

    Afterwards over all checkpoints, from the first one on. While a run trains, from one look to the
    next, and the first look is the start; so of a run that was resumed the way since then. A
    displacement between points that lie many steps apart is a sum of updates, and straighter than
    these are; `updates` has the updates themselves.
    """

    name = "path"
    what = "distance from the start, and the cosine of successive displacements"
    once = True
    to: str | None = None
    at = "last"

    def __init__(self) -> None:
        self._start: list[Tensor] | None = None
        self._since = 0
        self._before: list[Tensor] = []
        self._moved: Direction | None = None
        self._length = 0.0

    def lacking(self, look: Look) -> str | None:
        """Return None: any run has a path."""
        return None

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure from the last look to this one."""
        now = [each.detach().clone() for each in look.parameters]
        if self._start is None:
            self._start, self._before, self._since = now, now, look.step
        moved = directions.minus(now, self._before)
        size = directions.norm(moved)
        self._length += size
        values = _of(now, self._start, self._length)
        if size > 0:
            values["path/displacement"] = size
            if self._moved is not None:
                values["path/cosine"] = directions.cosine(moved, self._moved)
            self._moved = moved
        self._before = now
        progress(1, 1)
        since = f"since the first look, at step {self._since}"
        return Measurement(values, notes=[since])

    def measure_along(
        self, look: Look, points: Sequence[Point], progress: Progress = unwatched
    ) -> Measurement:
        """Measure over checkpoints, oldest first.

        Raises:
            UserError: fewer than two, or points of another model.
        """
        if len(points) < 2:
            raise UserError(
                f"path: {len(points)} checkpoint, and a path takes 2; keep more with "
                "checkpoint.every=... checkpoint.keep_last=..."
            )
        start = before = parameters_of(points[0], look)
        moved: Direction | None = None
        rows, cosines = [], [math.nan]
        length = 0.0
        for number, point in enumerate(points[1:], start=2):
            now = parameters_of(point, look)
            last, moved = moved, directions.minus(now, before)
            length += directions.norm(moved)
            if last is not None:
                cosines.append(directions.cosine(moved, last))
            rows.append({"path/displacement": directions.norm(moved), **_of(now, start, length)})
            before = now
            progress(number, len(points))
        return _told([point.step for point in points], rows, cosines)


def _of(now: Sequence[Tensor], start: Sequence[Tensor], length: float) -> dict[str, float]:
    """Return how far a point is from the start, and by how long a way."""
    far, size = directions.norm(directions.minus(now, start)), directions.norm(start)
    values = {"path/distance": far, "path/length": length}
    if size > 0:
        values["path/relative_distance"] = far / size
    if length > 0:
        values["path/straightness"] = far / length
    return values


def _told(
    steps: Sequence[int], rows: Sequence[dict[str, float]], cosines: Sequence[float]
) -> Measurement:
    values = dict(rows[-1])
    known = [each for each in cosines if math.isfinite(each)]
    if known:
        values["path/cosine"] = fmean(known)
    tables = {"steps": [*steps], "rows": [*rows], "cosines": [*cosines]}
    gaps = [b - a for a, b in pairwise(steps)]
    apart = f"{gaps[0]}" if min(gaps) == max(gaps) else f"{min(gaps)} to {max(gaps)}"
    notes = [
        f"from the checkpoint of step {steps[0]} on; checkpoints are {apart} steps apart, so "
        "displacements are sums of updates"
    ]
    far = [row["path/distance"] for row in rows]
    of_far = Curves(steps[1:], {"distance": far}, "distance from the start", "step", "distance")
    pictures = {"distance": of_far}
    if known:
        named = {"cosine": cosines[1:]}
        title = "cosine of successive displacements"
        pictures["cosine"] = Curves(steps[2:], named, title, "step", "cosine")
    return Measurement(values, tables, notes, pictures)
