"""The loss over the plane in which a run's path lies best, with the path projected onto it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.instruments import directions
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.directions import Direction
from optbench.instruments.drawing import Contours
from optbench.instruments.landscape import counted, losses_along
from optbench.instruments.look import CHUNK, Look, Mode, Split
from optbench.instruments.loss import Loss, above_zero, at_least
from optbench.instruments.points import AFTERWARDS, Point, parameters_of, placed

FEWEST = 3
WALK = (6 / math.pi**2, 6 / (4 * math.pi**2))
"""The shares that a random walk in many dimensions has along its first two principal directions:
6 / (pi k)^2 (Antognini & Sohl-Dickstein 2018)."""


@dataclass(frozen=True)
class Principal:
    """The first two principal directions of a path.

    Attributes:
        ways: orthonormal.
        path: each point's coordinates, from the last point as the origin.
        shares: of the path's variance, along each.
    """

    ways: tuple[Direction, Direction]
    path: list[tuple[float, float]]
    shares: tuple[float, float]


class Plane:
    """The loss over the plane through the last checkpoint along the two principal directions of all
    checkpoints (Li et al. 2018, section 7), and the path projected onto it.

    The plane shows as much of the path as its share of variance says. A random walk has most of its
    variance in two directions as well, which is said beside it.

    Args:
        grid: points along each side.
        margin: around the path, in units of its extent.
        examples, split, mode, chunk: of the loss; see `Loss`.

    Raises:
        ValueError: a number out of range.
    """

    name = "plane"
    what = "the loss over the plane of the checkpoints' principal directions, with the path"
    once = True
    to: str | None = None
    at = "last"

    def __init__(
        self,
        *,
        grid: int = 25,
        margin: float = 0.25,
        examples: int | None = 512,
        split: Split = "train",
        mode: Mode = "eval",
        chunk: int = CHUNK,
    ) -> None:
        at_least("grid", grid, 2)
        above_zero("margin", margin)
        self.grid, self.margin = grid, margin
        self.loss = Loss(examples, split, mode, chunk)

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run."""
        return self.loss.lacking(look)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Raise a UserError: it is of several points."""
        raise UserError(AFTERWARDS)

    def measure_along(
        self, look: Look, points: Sequence[Point], progress: Progress = unwatched
    ) -> Measurement:
        """Measure over the plane of these points, oldest first.

        Raises:
            UserError: too few points, points of another model, or all in one place.
        """
        if len(points) < FEWEST:
            raise UserError(
                f"plane: {len(points)} checkpoints, and a plane takes {FEWEST}; keep more with "
                "checkpoint.every=... checkpoint.keep_last=..."
            )
        there = [parameters_of(point, look) for point in points]
        found = principal([directions.minus(each, there[-1]) for each in there])
        xs, ys = [self._side([at[k] for at in found.path]) for k in (0, 1)]
        told_of = counted(progress, len(xs) * len(ys) + 2 * len(points))
        rows, real, flat = [], [], []
        with (
            placed(look, points[-1].state),
            self.loss.objective(look) as objective,
        ):
            for y in ys:
                start = directions.plus(there[-1], found.ways[1], y)
                rows.append(losses_along(look, objective, start, found.ways[0], xs, told_of))
            for each, (x, y) in zip(there, found.path, strict=True):
                real += losses_along(look, objective, each, each, [0.0], told_of)
                start = directions.plus(there[-1], found.ways[1], y)
                flat += losses_along(look, objective, start, found.ways[0], [x], told_of)
        return self._told(look, points, found, (xs, ys, rows), (real, flat))

    def _side(self, path: Sequence[float]) -> list[float]:
        low, high = min(path), max(path)
        room = self.margin * (high - low) or 1e-3
        low, high = low - room, high + room
        return [low + (high - low) * n / (self.grid - 1) for n in range(self.grid)]

    def _told(
        self,
        look: Look,
        points: Sequence[Point],
        found: Principal,
        grid: tuple[list[float], list[float], list[list[float]]],
        losses: tuple[list[float], list[float]],
    ) -> Measurement:
        xs, ys, rows = grid
        real, flat = losses
        off = max(abs(a - b) for a, b in zip(real, flat, strict=True))
        shares = [100 * share for share in found.shares]
        values = {"plane/share_1": found.shares[0], "plane/share_2": found.shares[1]}
        values |= {"plane/share": sum(found.shares), "plane/loss_off_the_plane": off}
        notes = [
            f"{self.loss.of(look)}; {len(points)} checkpoints of "
            f"steps {points[0].step} to {points[-1].step}",
            f"the plane has {shares[0]:.1f} % and {shares[1]:.1f} % of the path's variance; a "
            f"random walk in many dimensions has {100 * WALK[0]:.0f} % and {100 * WALK[1]:.0f} % "
            "there (Antognini & Sohl-Dickstein 2018)",
            f"a checkpoint's own loss is up to {off:.3g} from that at its shadow on the plane",
            *self.loss.notes(look, points[-1].step),
        ]
        tables = {
            "steps": [point.step for point in points],
            "path": [list(at) for at in found.path],
            "losses": real,
            "losses_on_the_plane": flat,
            "xs": xs,
            "ys": ys,
            "plane": rows,
        }
        words = [
            f"{name} principal direction ({share:.1f} %)"
            for name, share in zip(("first", "second"), shares, strict=True)
        ]
        title = f"loss around the path of {len(points)} checkpoints"
        picture = Contours(xs, ys, rows, title, words[0], words[1], found.path)
        return Measurement(values, tables, notes, {"plane": picture})


def principal(offsets: Sequence[Direction]) -> Principal:
    """Return the first two principal directions of points, given by their offsets from one.

    They are found by the Gram matrix of the centred points, which is small where there are few
    points in many dimensions. Each is turned so that the first point is on its positive side.

    Raises:
        UserError: all points are in one place, or on one line.
    """
    means = [torch.stack(parts).mean(dim=0) for parts in zip(*offsets, strict=True)]
    centred = [directions.minus(each, means) for each in offsets]
    stacked = [
        torch.stack(parts).flatten(start_dim=1).double() for parts in zip(*centred, strict=True)
    ]
    gram = torch.stack([each @ each.T for each in stacked]).sum(dim=0).cpu()
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0).clamp_min(0.0), vectors.flip(1)
    if not values[1] > 1e-12 * values[0] or not values[0] > 0:
        raise UserError("plane: the checkpoints are all on one line, which no plane is of")
    ways = []
    for k in (0, 1):
        way = _combined(centred, vectors[:, k] / values[k].sqrt())
        side = directions.inner(offsets[0], way)
        ways.append([-each for each in way] if side < 0 else way)
    total = values.sum()
    path = [(directions.inner(o, ways[0]), directions.inner(o, ways[1])) for o in offsets]
    shares = (float(values[0] / total), float(values[1] / total))
    return Principal((ways[0], ways[1]), path, shares)


def _combined(parts: Sequence[Direction], weights: Tensor) -> Direction:
    """Return the sum of directions, each times a number."""
    made = [torch.zeros_like(each) for each in parts[0]]
    for weight, part in zip(weights.tolist(), parts, strict=True):
        torch._foreach_add_(made, part, alpha=weight)
    return made
