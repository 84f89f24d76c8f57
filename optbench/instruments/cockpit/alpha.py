"""Alpha: how far a step goes across the valley that it stands on the side of.

Source: F. Schneider, F. Dangel, P. Hennig, "Cockpit" (NeurIPS 2021), section 3.1, figure 3: a
parabola through noisy losses and slopes before and after the step, along it. -1: it stays; 0: it
ends at the bottom; 1: as high on the other side; above 1 it goes up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from optbench.instruments.base import Measurement, Progress, unwatched
from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import along, dot, each_chunk, following, why_not
from optbench.training.batches import StepBatch

LEAST = 1e-10
"""Variance in place of none, as in Cockpit."""


class Seen(NamedTuple):
    """Loss and slope along the step at one end of it, with single examples' variances."""

    loss: float
    slope: float
    loss_variance: float
    slope_variance: float


def alpha(start: Seen, end: Seen, length: float) -> float:
    """Return alpha by the parabola that fits best, each observation by its variance.

    Args:
        start, end: what is seen before and after the step.
        length: of the step.
    """
    t = length
    at = [[1, 0, 0], [1, t, t**2], [0, 1, 0], [0, 1, 2 * t]]
    values = [start.loss, end.loss, start.slope, end.slope]
    variances = [s.loss_variance for s in (start, end)] + [s.slope_variance for s in (start, end)]
    weights = torch.tensor([1 / math.sqrt(v or LEAST) for v in variances], dtype=torch.float64)
    design = torch.tensor(at, dtype=torch.float64) * weights.unsqueeze(1)
    seen = torch.tensor(values, dtype=torch.float64) * weights
    _, slope, bend = torch.linalg.lstsq(design, seen).solution.tolist()
    if bend <= 0:
        return -1.0  # as in Cockpit: where it goes down ever faster, the bottom is far away
    return 2 * t / (-slope / bend) - 1 if slope else math.inf


class Alpha:
    """Where the next step would end in the valley along it; it is tried, and taken back.

    Args:
        mode: of the modules, as losses are compared.
    """

    name = "alpha"
    what = "where the next step ends in its valley: 0 the bottom, 1 as high on the other side"

    def __init__(self, mode: Mode = "eval") -> None:
        self._mode = mode

    def lacking(self, look: Look) -> str | None:
        """Return why the step can't be tried, or single examples have no gradients here."""
        if look.player.needs.closure:
            name = type(look.player.optimizer).__name__
            return f"optimizer: a step of {name} evaluates the loss itself, and can't be tried"
        return look.shared_out or why_not(look, self._mode)

    def measure(self, look: Look, progress: Progress = unwatched) -> Measurement:
        """Measure; a step of no length, as at lr 0, gives nothing."""
        now, then = following(look, 0), following(look, 1)
        before = [p.detach().clone() for p in look.parameters]
        after = _stepped(look)
        direction = [new - old for new, old in zip(after, before, strict=True)]
        length = math.sqrt(dot(direction, direction))
        if not 0 < length < math.inf:
            return Measurement({}, notes=[f"the next step has length {length:g}"])
        start = self._seen(look, now, direction, length)
        with look.moved(after):
            end = self._seen(look, then, direction, length)
        notes = [f"by the next two steps' {now.examples} and {then.examples} examples"]
        return Measurement({self.name: alpha(start, end, length)}, notes=notes)

    def _seen(
        self, look: Look, work: StepBatch, direction: Sequence[Tensor], length: float
    ) -> Seen:
        losses, slopes = list[Tensor](), list[Tensor]()

        def see(found: Tensor, gradients: list[Tensor]) -> None:
            losses.append(found.double())
            slopes.append(along(gradients, direction) / length)

        each_chunk(look, work, see, self._mode)
        loss, slope = torch.cat(losses), torch.cat(slopes)
        spread = [float(each.var()) if len(each) > 1 else 0.0 for each in (loss, slope)]
        return Seen(float(loss.mean()), float(slope.mean()), *spread)


def _stepped(look: Look) -> list[Tensor]:
    """Return where the run's next step would lead; everything is put back."""
    player = look.player
    kept = player.remembered()
    try:
        with look.next_step() as objective:
            objective()
            player.optimizer.step()
        return [p.detach().clone() for p in look.parameters]
    finally:
        player.go_back(kept)
