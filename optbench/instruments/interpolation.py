"""The loss on the straight line between two points: whether a barrier lies between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.instruments import directions
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.drawing import Curves
from optbench.instruments.landscape import counted
from optbench.instruments.look import CHUNK, Look, Mode, Split
from optbench.instruments.loss import Loss, at_least, one_of
from optbench.instruments.points import (
    AFTERWARDS,
    Point,
    State,
    check_fits,
    here,
    parameters_of,
    placed,
)
from optbench.training.averaged import recalibrated
from optbench.training.objective import Objective

Statistics = Literal["recomputed", "interpolated"]
ROUNDING = 1e-6
"""Of the loss: below it a rise is rounding, and no barrier."""


class Interpolation:
    """The loss at (1 - a) w + a w', w' another run's point, or this run's first checkpoint.

    The barrier is the greatest rise of the loss above the straight line between its values at both
    ends (Frankle et al. 2020). None at all, where two runs began at the same weights, says that
    they are in one valley. Two runs that began at different weights may also differ by the order of
    their units, which has a barrier and means nothing (Entezari et al. 2022).

    Args:
        to: the folder of the other run; None is this run, its first checkpoint.
        at: which point of the other run: `best`, `last`, or a step.
        points: on the line, at least 3, both ends among them.
        examples, split, mode, chunk: of the loss; see `Loss`.
        batch_norm: its statistics between the ends: `recomputed` of the loss's own examples, for
            those between the ends' belong to no model (Izmailov et al. 2018; Jordan et al. 2023),
            or `interpolated`. Where there is none, it is of no use.

    Raises:
        ValueError: an argument out of range.
    """

    name = "interpolation"
    what = "the loss on the line to another run's point, and the barrier between"
    once = False

    def __init__(
        self,
        *,
        to: str | None = None,
        at: str | int = "last",
        points: int = 25,
        examples: int | None = 1024,
        split: Split = "train",
        mode: Mode = "eval",
        chunk: int = CHUNK,
        batch_norm: Statistics = "recomputed",
    ) -> None:
        at_least("points", points, 3)
        one_of("batch_norm", batch_norm, get_args(Statistics))
        self.to, self.at = to, str(at)
        self.points, self.loss = points, Loss(examples, split, mode, chunk)
        self.batch_norm = batch_norm

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run."""
        return self.loss.lacking(look)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Raise a UserError: it is of several points."""
        raise UserError(AFTERWARDS)

    def measure_along(
        self, look: Look, points: Sequence[Point], progress: Progress = unwatched
    ) -> Measurement:
        """Measure from the point that is looked at to the first of these.

        Raises:
            UserError: there is none, or one of another model.
        """
        if not points:
            raise UserError("interpolation: no point to go to; interpolation.to=RUN names a run")
        one, other = here(look), points[0]
        check_fits(other, look)
        shares = [n / (self.points - 1) for n in range(self.points)]
        losses = []
        told_of = counted(progress, self.points)
        with self.loss.objective(look) as objective:
            for share in shares:
                with placed(look, between(one.state, other.state, share)):
                    losses.append(self._loss(look, objective))
                told_of()
        apart = directions.norm(
            directions.minus(parameters_of(other, look), parameters_of(one, look))
        )
        return self._told(look, other, shares, losses, apart)

    def _loss(self, look: Look, objective: Objective) -> float:
        if self.batch_norm == "interpolated" or not self.loss.normalises(look):
            return float(objective.loss())
        with recalibrated(look.module, lambda: _forward(look, self.loss)):
            return float(objective.loss())

    def _told(
        self,
        look: Look,
        other: Point,
        shares: Sequence[float],
        losses: Sequence[float],
        apart: float,
    ) -> Measurement:
        height, at = barrier(shares, losses)
        rounding = ROUNDING * max(abs(losses[0]), abs(losses[-1]))
        found = height if height > rounding else 0.0
        values = {
            "interpolation/barrier": found,
            "interpolation/here": losses[0],
            "interpolation/there": losses[-1],
            "interpolation/distance": apart,
        }
        there = f"step {other.step}" + (f" of {other.run}" if other.run else "")
        if found > 0:
            said = (
                f"a barrier of {found:.3g} above the line between both losses, at {at:g} of the way"
            )
        else:
            said = "no barrier: the loss is nowhere above the line between its values at the ends"
        notes = [
            f"from step {look.step} to {there}, {self.points} points: {said}",
            self.loss.of(look),
        ]
        if self.loss.normalises(look):
            how = "taken anew from these examples" if self.batch_norm == "recomputed" else (
                "interpolated between the ends'"
            )  # fmt: skip
            notes.append(f"batch norm's statistics are {how} at each point")
        tables = {"shares": [*shares], "losses": [*losses], "barrier_at": at if found else None}
        line = [(1 - a) * losses[0] + a * losses[-1] for a in shares]
        series = {"loss": losses, "between its ends": line}
        title = f"from step {look.step} to {there}"
        picture = Curves(shares, series, title, "share of the way", "loss")
        return Measurement(values, tables, notes, {"line": picture})


def barrier(shares: Sequence[float], losses: Sequence[float]) -> tuple[float, float]:
    """Return the greatest rise above the line between both ends, and where it is; a loss on the way
    that is no number is an infinite one."""
    first, last = losses[0], losses[-1]
    rises = [
        (loss - ((1 - a) * first + a * last) if math.isfinite(loss) else math.inf, a)
        for a, loss in zip(shares, losses, strict=True)
    ]
    return max(rises, key=lambda each: each[0])


@torch.no_grad()
def between(one: State, other: State, share: float) -> dict[str, Tensor]:
    """Return a state on the line between two; what is no real number, such as a count, is the
    first's, and at the other end the second's."""
    made = {}
    for name, tensor in one.items():
        there = other[name].to(tensor.device)
        if share in (0.0, 1.0) or not tensor.is_floating_point():
            made[name] = there if share == 1.0 else tensor
        else:
            made[name] = tensor * (1 - share) + there.to(tensor.dtype) * share
    return made


def _forward(look: Look, loss: Loss) -> None:
    """Pass the loss's examples through the module, for its batch norms."""
    trainer = look.trainer
    for batch, _ in loss.batch(look).micros:
        with trainer.state.precision.forward():
            trainer.state.task.loss(look.modules, batch, look.player.name)
