"""Sharpness: how much the loss rises near the point, in four of the literature's senses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from optbench.instruments import directions
from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.directions import Direction
from optbench.instruments.look import CHUNK, Look, Mode, Split
from optbench.instruments.loss import Loss, above_zero, at_least
from optbench.training.objective import Objective

WARNING = (
    "sharpness follows the learning rate more than it predicts generalisation (Andriushchenko et "
    "al. 2023): compare it between runs of one learning rate, if at all"
)


class Sharpness:
    """How much the loss rises near the point.

    In the symbols of the papers, L the mean loss, w the D parameters, T diagonal:

        sam          max of L(w + e) - L(w) over ||e|| <= rho (Foret et al. 2021)
        adaptive     the same over ||T^-1 e|| <= adaptive_rho, T = |w| (Kwon et al. 2021)
        average      the mean of L(w + e) - L(w), e normal of E ||e||^2 = rho^2
        average_adaptive   the same, of E ||T^-1 e||^2 = adaptive_rho^2
        filter_normalised  the mean along random directions, each filter (row) of which is `reach`
                           times as long as the point's (Li et al. 2018)

    The first two come as `.../first_order`, at e = rho g / ||g||, where SAM's step looks, and as
    the highest point that `ascents` steps of e <- rho g(w + e) / ||g(w + e)|| come by. This is the
    conditional gradient method: it needs no step size, and where the loss is convex it rises with
    every step. It finds a lower bound of the maximum. Means are over pairs of opposite directions,
    so that the slope at the point has no part in them.

    Args:
        rho: radius; SAM's usual one.
        adaptive_rho: radius in units of the weights; ASAM's usual one.
        reach: along filter-normalised directions, at least 0.
        ascents: steps, at least 1.
        draws: directions that means are of, at least 2.
        examples, split, mode, chunk: of the loss; see `Loss`.
        seed: of the directions.

    Raises:
        ValueError: a number out of range.
    """

    name = "sharpness"
    what = "how much the loss rises near the point: SAM's, adaptive, average, by filters"

    def __init__(
        self,
        *,
        rho: float = 0.05,
        adaptive_rho: float = 0.5,
        reach: float = 0.1,
        ascents: int = 20,
        draws: int = 10,
        examples: int | None = 1024,
        split: Split = "train",
        mode: Mode = "eval",
        chunk: int = CHUNK,
        seed: int = 0,
    ) -> None:
        above_zero("rho", rho)
        above_zero("adaptive_rho", adaptive_rho)
        above_zero("reach", reach)
        at_least("ascents", ascents, 1)
        at_least("draws", draws, 2)
        at_least("seed", seed, 0)
        self.rho, self.adaptive_rho, self.reach = rho, adaptive_rho, reach
        self.ascents, self.draws = ascents, draws
        self.loss, self.seed = Loss(examples, split, mode, chunk), seed

    def lacking(self, look: Look) -> str | None:
        """Return why it can't measure this run."""
        return self.loss.lacking(look)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure all of them, on the same examples."""
        steps = _Counted(progress, 2 * self.ascents + 3 * self.draws)
        generator = directions.generator(self.seed)
        with self.loss.objective(look) as objective:
            around = _Around(look, objective, steps)
            sizes = [each.detach().abs() for each in look.parameters]
            balls = {
                "sam": around.ascent(self.rho, None, self.ascents, generator),
                "adaptive": around.ascent(self.adaptive_rho, sizes, self.ascents, generator),
            }
            length = directions.count(look.parameters) ** -0.5
            drawn = [directions.normal(look.parameters, generator) for _ in range(self.draws)]
            means = {
                "average": [around.rise(way, None, self.rho * length) for way in drawn],
                "average_adaptive": [
                    around.rise(way, sizes, self.adaptive_rho * length) for way in drawn
                ],
                "filter_normalised": [
                    around.rise(
                        directions.filter_normalised(way, look.parameters), None, self.reach
                    )
                    for way in drawn
                ],
            }
        return self._told(look, around.loss, balls, means)

    def _told(
        self,
        look: Look,
        loss: float,
        balls: dict[str, list[float]],
        means: dict[str, list[float]],
    ) -> Measurement:
        values = {"sharpness/loss": loss}
        for name, rises in balls.items():
            values[f"sharpness/{name}/first_order"] = rises[0]
            values[f"sharpness/{name}"] = max((r for r in rises if r == r), default=rises[0])
        values |= {f"sharpness/{name}": fmean(rises) for name, rises in means.items()}
        errors = {name: stdev(rises) / len(rises) ** 0.5 for name, rises in means.items()}
        tables: dict[str, Any] = {
            "radii": {"sam": self.rho, "adaptive": self.adaptive_rho, "filters": self.reach},
            "ascents": balls,
            "standard_errors": errors,
        }
        notes = [
            f"rises of {self.loss.of(look)}, all at once, where SAM takes a batch's",
            *self.loss.notes(look),
            WARNING,
        ]
        return Measurement(values, tables, notes)


@dataclass
class _Counted:
    progress: Progress
    of: int
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        self.progress(self.done, self.of)


class _Around:
    """Losses around the point of a look, against that at it."""

    def __init__(self, look: Look, objective: Objective, step: _Counted) -> None:
        self._look, self._objective, self._step = look, objective, step
        self._parameters = look.parameters
        self._centre = [each.detach().clone() for each in self._parameters]
        self.loss = float(objective.loss())

    def ascent(
        self,
        rho: float,
        sizes: Sequence[Tensor] | None,
        steps: int,
        generator: torch.Generator,
    ) -> list[float]:
        """Return the rise at each point of an ascent in a ball; the first is SAM's own."""
        _, gradients = self._objective.gradients(self._parameters)
        rises: list[float] = []
        size = 0.0
        for _ in range(steps):
            way = directions.scaled(gradients, sizes)
            if directions.norm(way) == 0:  # no slope at all: from somewhere near
                way = directions.scaled(directions.normal(self._centre, generator), sizes)
            size = directions.norm(way)
            if not 0 < size < float("inf"):  # all weights are 0; or a slope that is no number
                break
            far = [each * (rho / size) for each in directions.scaled(way, sizes)]
            with self._look.moved(directions.plus(self._centre, far)):
                loss, gradients = self._objective.gradients(self._parameters)
            rises.append(float(loss) - self.loss)
            self._step()
        return rises or [0.0 if size == 0 else float("nan")]

    def rise(self, way: Direction, sizes: Sequence[Tensor] | None, far: float) -> float:
        """Return the mean rise on both sides along a direction."""
        there = directions.scaled(way, sizes)
        losses = []
        for side in (far, -far):
            with self._look.moved(directions.plus(self._centre, there, side)):
                losses.append(float(self._objective.loss()))
        self._step()
        return fmean(losses) - self.loss
