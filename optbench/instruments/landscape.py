"""The loss along random directions through the point, and over the plane of two of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

from torch import Tensor

from optbench.instruments import directions
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.directions import Direction
from optbench.instruments.drawing import Contours, Curves
from optbench.instruments.look import CHUNK, Look, Mode, Split
from optbench.instruments.loss import Loss, above_zero, at_least
from optbench.training.objective import Objective

Told = Callable[[], None]


class Landscape:
    """The loss at w + a d, and at w + a d + b e, d and e random, normalised by filter (Li et al.
    2018): a filter of d is as long as the point's, so that 1 is as far as all weights are big.

    Two directions among many: what is seen is the trace's share in them, not the steepest ways,
    which a random direction hardly touches. `plane` has the directions that the run itself took.

    Args:
        span: how far to both sides, in units of the point's filters.
        points: along a line, odd, so that the point itself is among them.
        lines: random directions that lines are drawn along, at least 1.
        grid: points along each side of the plane, odd; 0 for no plane.
        examples, split, mode, chunk: of the loss; see `Loss`.
        seed: of the directions.

    Raises:
        ValueError: a number out of range.
    """

    name = "landscape"
    what = "the loss along random filter-normalised directions, and over the plane of two"

    def __init__(
        self,
        *,
        span: float = 1.0,
        points: int = 41,
        lines: int = 3,
        grid: int = 21,
        examples: int | None = 512,
        split: Split = "train",
        mode: Mode = "eval",
        chunk: int = CHUNK,
        seed: int = 0,
    ) -> None:
        above_zero("span", span)
        at_least("points", points, 3)
        at_least("lines", lines, 1)
        at_least("grid", grid, 0)
        at_least("seed", seed, 0)
        if points % 2 == 0:
            raise ValueError(f"points={points}: expected an odd number, the point in the middle")
        if grid and (grid < 3 or grid % 2 == 0):
            raise ValueError(f"grid={grid}: expected an odd number of at least 3, or 0")
        self.span, self.points, self.lines, self.grid = span, points, lines, grid
        self.loss, self.seed = Loss(examples, split, mode, chunk), seed

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run."""
        return self.loss.lacking(look)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure the lines, then the plane."""
        generator = directions.generator(self.seed)
        ways = [
            directions.filter_normalised(
                directions.normal(look.parameters, generator), look.parameters
            )
            for _ in range(max(self.lines, 2 if self.grid else 1))
        ]
        told_of = counted(progress, self.lines * self.points + self.grid**2)
        along, side = steps_of(self.span, self.points), steps_of(self.span, self.grid)
        with self.loss.objective(look) as objective:
            centre = [each.detach().clone() for each in look.parameters]
            lines = [
                losses_along(look, objective, centre, way, along, told_of)
                for way in ways[: self.lines]
            ]
            plane = [
                losses_along(look, objective, directions.plus(centre, ways[1], y), ways[0], side,
                             told_of)
                for y in side
            ]  # fmt: skip
        return self._told(look, along, lines, side, plane)

    def _told(
        self,
        look: Look,
        along: Sequence[float],
        lines: Sequence[list[float]],
        side: Sequence[float],
        plane: list[list[float]],
    ) -> Measurement:
        loss = lines[0][len(along) // 2]
        ends = [(line[0] + line[-1]) / 2 - loss for line in lines]
        least = min(
            (x for line in [*lines, *plane] for x in line if math.isfinite(x)), default=loss
        )
        values = {
            "landscape/loss": loss,
            "landscape/rise": fmean(ends),
            "landscape/lower_nearby": loss - least,
        }
        notes = [
            f"{self.loss.of(look)}; {self.lines} random directions, "
            f"{self.span:g} times the norm of each filter to both sides",
            *self.loss.notes(look),
        ]
        tables = {"along": [*along], "lines": [*lines], "side": [*side], "plane": plane}
        named = {f"direction {n}": line for n, line in enumerate(lines, start=1)}
        title = f"loss around step {look.step}"
        in_filters = "times the norm of each filter"
        curves = Curves(along, named, title, in_filters, "loss", log_y=min(map(min, lines)) > 0)
        pictures: dict[str, Curves | Contours] = {"line": curves}
        if plane:
            words = ("direction 1", "direction 2")
            pictures["plane"] = Contours(side, side, plane, title, words[0], words[1])
        return Measurement(values, tables, notes, pictures)


def steps_of(span: float, points: int) -> list[float]:
    """Return so many numbers, evenly from -span to span; the middle one of an odd number is 0."""
    half = (points - 1) / 2
    return [span * ((n - half) / half) for n in range(points)]


def losses_along(
    look: Look,
    objective: Objective,
    start: Sequence[Tensor],
    way: Direction,
    steps: Sequence[float],
    told_of: Told,
) -> list[float]:
    """Return the loss at start + step way for each step."""
    losses = []
    for step in steps:
        with look.moved(directions.plus(start, way, step)):
            losses.append(float(objective.loss()))
        told_of()
    return losses


def counted(progress: Progress, of: int) -> Told:
    """Return what tells of one more of so many."""

    def numbers() -> Iterator[int]:
        yield from range(1, of + 1)

    done = numbers()
    return lambda: progress(next(done, of), of)
