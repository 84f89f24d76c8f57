"""Grows while the training loss falls, backs off when it rises or stalls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optbench.schedules.checks import require_number, require_steps

NOISE_OF_AN_ALARM = 4.0
"""Standard deviations of the loss that an alarm is above its level, so that noise rings none."""


@dataclass
class AutoLoss:
    """Follows the trend of the training loss: a bold driver that waits until it can tell.

    A straight line is fitted to the losses seen since the last decision. With its slope s and
    the slope's standard error e, the multiplier m becomes, as soon as one of these holds,

        min(m * growth, max_ratio)       if s < -certainty e       (it falls)
        max(m * backoff, min_ratio)      if s >  certainty e       (it rises)
        max(m * backoff, min_ratio)      after `patience` losses (it stalls)

    and the next line begins. A line has at least `window` losses. One loss above `alarm`
    times the level l (the mean under the last line, at first the first loss; of a level below 0,
    as far above it: l + (alarm - 1) |l|) and out of the noise around that line, or one that is
    not finite, is not waited for: it cuts at once. The base learning rate is where the rate
    starts, not its peak.

    It sees the monitored steps (`monitor.every`): each `train/loss` is the mean over the
    examples since the last one, of a full batch at least. A rate that may be far too large
    needs `monitor.every=1`.

    Args:
        metric: tag of the loss in the records.
        window: losses that a line has at least, at least 3.
        patience: losses after which a line without a clear slope is a stall, at least `window`.
        certainty: how many standard errors a clear slope is from 0, at least 0.
        growth: factor after a fall, at least 1.
        backoff: factor of a cut, in (0, 1).
        alarm: a loss of so many times the level cuts at once, above 1.
        min_ratio: lower bound of the multiplier, in [0, 1].
        max_ratio: upper bound of the multiplier, at least 1.

    Raises:
        ValueError: if a field is out of its range.

    References:
        Vogl et al., Accelerating the convergence of the back-propagation method, 1988; Battiti,
        Accelerated backpropagation learning: two optimization methods, 1989 ("bold driver"). Both
        judge single losses of the full batch; the line makes it bear the noise of small ones.
    """

    metric: str = "train/loss"
    window: int = 5
    patience: int = 50
    certainty: float = 3.0
    growth: float = 1.5
    backoff: float = 0.25
    alarm: float = 1.5
    min_ratio: float = 0.0001
    max_ratio: float = 1000.0

    _multiplier: float = field(default=1.0, init=False)
    _level: float | None = field(default=None, init=False)
    _noise: float = field(default=0.0, init=False)
    _losses: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        require_steps("window", self.window, at_least=3)
        require_steps("patience", self.patience, at_least=self.window)
        require_number("certainty", self.certainty, 0, math.inf, open_high=True)
        require_number("growth", self.growth, 1, math.inf, open_high=True)
        require_number("backoff", self.backoff, 0, 1, open_low=True, open_high=True)
        require_number("alarm", self.alarm, 1, math.inf, open_low=True)
        require_number("min_ratio", self.min_ratio, 0, 1)
        require_number("max_ratio", self.max_ratio, 1, math.inf, open_high=True)

    def __call__(self, step: int, total_steps: int) -> float:
        return self._multiplier

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take one logged record, tag -> value; ignore it if `metric` is not in it."""
        if self.metric not in metrics:
            return
        loss = float(metrics[self.metric])
        if self._alarms(loss):
            self._scale(self.backoff)
            self._losses = []
            self._level = loss if math.isfinite(loss) else self._level
            return
        self._level = loss if self._level is None else self._level
        self._losses.append(loss)
        if len(self._losses) < self.window:
            return
        slope, error, noise = fit_line(self._losses)
        if slope < -self.certainty * error:
            self._decide(self.growth, noise)
        elif slope > self.certainty * error or len(self._losses) >= self.patience:
            self._decide(self.backoff, noise)

    def _alarms(self, loss: float) -> bool:
        if not math.isfinite(loss):
            return True
        if self._level is None:
            return False
        above = max((self.alarm - 1.0) * abs(self._level), NOISE_OF_AN_ALARM * self._noise)
        return loss > self._level + above

    def _decide(self, factor: float, noise: float) -> None:
        self._scale(factor)
        self._level = math.fsum(self._losses) / len(self._losses)
        self._noise, self._losses = noise, []

    def _scale(self, factor: float) -> None:
        self._multiplier = min(max(self._multiplier * factor, self.min_ratio), self.max_ratio)

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here."""
        return {
            "metric": self.metric,
            "multiplier": self._multiplier,
            "level": self._level,
            "noise": self._noise,
            "losses": list(self._losses),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, but for what was seen of another metric."""
        self._multiplier = min(max(state["multiplier"], self.min_ratio), self.max_ratio)
        if state.get("metric", self.metric) != self.metric:
            return
        self._level = state["level"]
        self._noise, self._losses = state["noise"], list(state["losses"])


def fit_line(values: Sequence[float]) -> tuple[float, float, float]:
    """Fit a line by least squares over 0, 1, 2, ...

    Args:
        values: at least three.

    Returns:
        Its slope, the standard error of that, and that of the residuals.
    """
    n = len(values)
    middle, mean = (n - 1) / 2.0, math.fsum(values) / n
    spread = n * (n * n - 1) / 12.0
    slope = math.fsum((x - middle) * (y - mean) for x, y in enumerate(values)) / spread
    rest = math.fsum((y - mean - slope * (x - middle)) ** 2 for x, y in enumerate(values))
    noise = math.sqrt(rest / (n - 2))
    return slope, noise / math.sqrt(spread), noise
