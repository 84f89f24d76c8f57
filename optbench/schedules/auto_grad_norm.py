"""Backs off when the gradient's norm jumps, grows while it is calm."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from optbench.schedules.checks import require_number, require_steps


@dataclass
class AutoGradNorm:
    """Cuts the learning rate on a spike of the gradient norm, and else lets it grow.

    An observation g is a spike if it is not finite or

        g > threshold * median(the last `window` observations before it)

    Each spike makes the multiplier m max(m * backoff, min_ratio); any other observation
    min(m * growth, max_ratio). So after a spike the rate recovers, and a rate that was far too
    small grows until the gradients object. The base learning rate is where it starts, not its
    peak.

    It sees the monitored steps (`monitor.every`) and no others: with `monitor.every=1`
    every one, which is what a rate that may be far too large needs. The norm is measured on
    unscaled gradients, before clipping.

    Args:
        metric: tag of the gradient norm in the records.
        window: observations in the median, at least 1.
        threshold: how many times the median a spike is, above 1.
        backoff: factor after a spike, in (0, 1).
        growth: factor after any other observation, at least 1.
        min_ratio: lower bound of the multiplier, in [0, 1].
        max_ratio: upper bound of the multiplier, at least 1.

    Raises:
        ValueError: if a field is out of its range.

    References:
        The rule is that of dynamic loss scaling (Micikevicius et al., Mixed Precision Training,
        2018, section 3.2), with the gradient norm for the overflow; the running reference for a
        spike is AutoClip's (Seetharaman et al. 2020).
    """

    metric: str = "grad_norm/total"
    window: int = 20
    threshold: float = 2.0
    backoff: float = 0.5
    growth: float = 1.05
    min_ratio: float = 0.0001
    max_ratio: float = 1000.0

    _multiplier: float = field(default=1.0, init=False)
    _norms: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        require_steps("window", self.window)
        require_number("threshold", self.threshold, 1, math.inf, open_low=True, open_high=True)
        require_number("backoff", self.backoff, 0, 1, open_low=True, open_high=True)
        require_number("growth", self.growth, 1, math.inf, open_high=True)
        require_number("min_ratio", self.min_ratio, 0, 1)
        require_number("max_ratio", self.max_ratio, 1, math.inf, open_high=True)

    def __call__(self, step: int, total_steps: int) -> float:
        return self._multiplier

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take one logged record, tag -> value; ignore it if `metric` is not in it."""
        if self.metric not in metrics:
            return
        norm = float(metrics[self.metric])
        if not math.isfinite(norm) or self._spikes(norm):
            self._multiplier = max(self._multiplier * self.backoff, self.min_ratio)
        else:
            self._multiplier = min(self._multiplier * self.growth, self.max_ratio)
        if math.isfinite(norm):
            self._norms = [*self._norms, norm][-self.window :]

    def _spikes(self, norm: float) -> bool:
        if not self._norms:
            return False
        usual = median(self._norms)
        return norm > usual * (self.threshold if usual >= 0.0 else 2.0 - self.threshold)

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here."""
        own = {"multiplier": self._multiplier, "norms": list(self._norms)}
        return {"metric": self.metric, **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, but for what was seen of another metric."""
        self._multiplier = min(max(state["multiplier"], self.min_ratio), self.max_ratio)
        if state.get("metric", self.metric) == self.metric:
            self._norms = list(state["norms"])[-self.window :]
