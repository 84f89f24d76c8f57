"""The learning rate range test, as far as it is arithmetic: ramp, smoothing, suggestions. No torch.

Smith 2017, Cyclical Learning Rates for Training Neural Networks, section 3.3: train for a few steps
while the learning rate rises from far too small to far too large, and look where the loss falls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from optbench.errors import UserError

SMOOTHING = 0.9
"""The decay of the averages: about the last ten steps count."""
DIVERGED = 4.0
"""How many times the best loss (fastai's rule), and the fall before it, diverge: `limit`."""
SKIPPED = 0.1
"""The part of the steps at the start that no rule looks at: the average is of too few there."""
RECOMMENDED = "steepest"
"""The rule that depends least on seed, --from and --steps: docs/results/find-lr.md."""


@dataclass(frozen=True)
class Ramp:
    """Learning rates that rise from `low` to `high` in `steps` steps.

    Attributes:
        low, high: of the first and the last step; 0 < low < high.
        steps: at least 2.
        linear: by equal differences; else by equal ratios.
    """

    low: float
    high: float
    steps: int
    linear: bool = False

    def lr(self, step: int) -> float:
        """Return the rate of the update after `step` updates; `high` from the last one on."""
        part = min(step / (self.steps - 1), 1.0)
        if self.linear:
            return self.low + (self.high - self.low) * part
        return float(self.low * (self.high / self.low) ** part)


class Smoother:
    """An exponential moving average whose first values are not drawn to 0.

    After t values it is sum_i beta^(t-i) x_i / sum_i beta^(t-i), which is Adam's bias correction
    (Kingma & Ba 2015, section 3).

    Args:
        beta: the decay, in [0, 1).
    """

    def __init__(self, beta: float = SMOOTHING) -> None:
        self._beta, self._sum, self._weight = beta, 0.0, 0.0

    def add(self, value: float) -> float:
        """Take a value in; return the average."""
        self._sum = self._beta * self._sum + value
        self._weight = self._beta * self._weight + 1.0
        return self._sum / self._weight


def limit(losses: Sequence[float], smoothed: Sequence[float]) -> float:
    """Return the smoothed loss above which a test has diverged, by what was seen of the range.

    It is as far above the best one as `DIVERGED` times the fall from the highest before it, and
    the usual jump from one loss to the next, are; of a positive best one, which fastai's rule
    multiplies, at least `DIVERGED` times that. So losses may be negative, or pass through 0.

    Args:
        losses, smoothed: at least one.
    """
    at = int(np.argmin(smoothed))
    best = float(smoothed[at])
    fell = float(max(smoothed[: at + 1])) - best
    return best + max((DIVERGED - 1.0) * best, DIVERGED * fell, DIVERGED * jump(losses))


def jump(losses: Sequence[float]) -> float:
    """Return the median distance between a loss and the next."""
    return float(np.median(np.abs(np.diff(losses)))) if len(losses) > 1 else 0.0


def skipped(steps: int) -> int:
    """Return how many steps at the start, of so many, no rule looks at."""
    return max(1, round(SKIPPED * steps))


@dataclass(frozen=True)
class Curve:
    """Losses against learning rates.

    Attributes:
        lrs: rising.
        losses: of each, as many.
    """

    lrs: list[float]
    losses: list[float]

    def smoothed(self) -> Curve:
        """Return the curve with log lr and loss averaged with the same weights.

        An average of the losses alone lags behind by about ten steps, which would move every
        suggestion to the right. Averaged alike, a straight line stays where it is.
        """
        loss, log = Smoother(), Smoother()
        lrs = [float(np.exp(log.add(float(np.log(lr))))) for lr in self.lrs]
        return Curve(lrs, [loss.add(value) for value in self.losses])

    def before_divergence(self) -> Curve:
        """Return the curve without the losses at the end that all exceed the `limit`.

        One loss of a thousand in an average of ten would hide the steps before it.
        """
        end = len(self.losses)
        most = limit(self.losses, self.smoothed().losses) if end else 0.0
        while end > 1 and self.losses[end - 1] > most:
            end -= 1
        return Curve(self.lrs[:end], self.losses[:end])


def suggest(curve: Curve, steps: int) -> dict[str, float | None]:
    """Return what each rule suggests; None from all if the loss falls by no more than its noise.

    Args:
        curve: of the losses as they were measured.
        steps: planned; the first tenth of them is left out.
    """
    curve = curve.before_divergence()
    smooth = curve.smoothed()
    skip = skipped(steps)
    lrs, losses = smooth.lrs[skip:], smooth.losses[skip:]
    if len(losses) < 4 or losses[0] - min(losses) <= _noise(curve, smooth, skip):
        return dict.fromkeys(RULES)
    return {name: rule(lrs, losses) for name, rule in RULES.items()}


def _noise(curve: Curve, smooth: Curve, skip: int) -> float:
    """Return how far losses lie from their average at the start, where the rate hardly matters."""
    several = slice(0, 2 * skip)
    return float(np.std(np.subtract(curve.losses[several], smooth.losses[several])))


def steepest(lrs: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the rate at the steepest descent of the loss over log lr, before the minimum."""
    end = int(np.argmin(losses)) + 1
    if end < 2:
        return None
    slope = np.gradient(np.asarray(losses), np.log(lrs))[:end]
    at = int(np.argmin(slope))
    return float(lrs[at]) if slope[at] < 0 else None


def minimum_over_ten(lrs: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return a tenth of the rate with the smallest loss (Howard & Gugger 2020, chapter 5)."""
    at = int(np.argmin(losses))
    return float(lrs[at]) / 10.0 if at else None


def valley(lrs: Sequence[float], losses: Sequence[float]) -> float | None:
    """Return the middle of the longest descent, fastai's default.

    `fastai.callback.schedule.valley`: the longest decreasing subsequence of the losses ends at e
    and has n members; the rate is that half of the way from e - n to e: the first third of the way
    and half of the second.
    """
    length = [1] * len(losses)
    for i in range(1, len(losses)):
        before = [length[j] for j in range(i) if losses[i] < losses[j]]
        length[i] = 1 + max(before, default=0)
    end = int(np.argmax(length))
    if length[end] < 3:
        return None
    start = max(end - length[end], 0)
    third = (end - start) / 3
    return float(lrs[start + int(third) + int(third / 2)])


RULES: dict[str, Callable[[Sequence[float], Sequence[float]], float | None]] = {
    "valley": valley,
    "steepest": steepest,
    "minimum_over_ten": minimum_over_ten,
}


def check_test(low: Any, high: Any, steps: Any, seeds: Any) -> None:
    """Raise UserError for numbers of a program that make no range test."""
    for name, rate in (("low", low), ("high", high)):
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not number or not 0 < rate < math.inf:
            raise UserError(f"{name}={rate!r}: expected a learning rate above 0")
    if low >= high:
        raise UserError(f"low={low!r}: not below high={high!r}")
    for name, count, least in (("ramp_steps", steps, 10), ("seeds", seeds, 1)):
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise UserError(f"{name}={count!r}: expected a whole number, at least {least}")


@dataclass(frozen=True)
class Spread:
    """A rule's suggestions over the seeds: geometric median, least, greatest; None without any."""

    median: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Return the spread over those seeds that have a suggestion."""
        found = [value for value in values if value is not None]
        if not found:
            return cls(None, None, None)
        return cls(float(np.exp(np.median(np.log(found)))), min(found), max(found))
