"""Decay when a metric stops improving."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from optbench.schedules.checks import require_choice, require_number, require_steps

# A smaller cut is not made, as in torch, so that the rate does not creep towards 0 for ever.
SMALLEST_CUT = 1e-8


@dataclass
class Plateau:
    """Multiplies the learning rate by `factor` when a metric stops improving.

    It is the one schedule that reacts to the run: the multiplier does not depend on the
    step but on what was observed. Each record with the metric in it counts as one
    observation v, which is better than the best so far, b, if

                rel                      abs
        min     v < b - |b| threshold    v < b - threshold
        max     v > b + |b| threshold    v > b + threshold

    by `threshold_mode` and `mode`. After more than `patience` observations in a row
    that are not better, the multiplier m becomes max(m * factor, `min_ratio`), unless
    that changes it by 1e-8 or less; during the `cooldown` observations that follow none
    counts as bad. A NaN is never better.

    It equals torch's `ReduceLROnPlateau(min_lr=min_ratio * lr, eps=1e-8 * lr)` with one
    `step(v)` per observation, but for a best one below 0 with "rel": torch multiplies it by
    1 - threshold there too, so that a loss that stands still counts as better. Torch's eps is
    an absolute change of the learning rate, 1e-8 unless told; here the same number is relative
    to the base learning rate.

    Args:
        metric: tag of the metric in the records.
        mode: "min" if less is better, "max" if more is.
        factor: factor of one cut, in (0, 1).
        patience: observations without improvement that are put up with, at least 0.
        threshold: by how much an observation must be better to count, at least 0; below 1
            with "rel".
        threshold_mode: "rel", of the best observation's size, or "abs".
        cooldown: observations after a cut in which none counts as bad, at least 0.
        min_ratio: lower bound of the multiplier, in [0, 1].

    Raises:
        ValueError: if a field is out of its range, or a mode is unknown.

    References:
        `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    """

    metric: str = "val/loss"
    mode: Literal["min", "max"] = "min"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: Literal["rel", "abs"] = "rel"
    cooldown: int = 0
    min_ratio: float = 0.0

    _multiplier: float = field(default=1.0, init=False)
    _best: float = field(init=False)
    _bad_observations: int = field(default=0, init=False)
    _cooldown_left: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.metric, str) or not self.metric:
            raise ValueError(f"metric must be the tag of a metric, got {self.metric!r}")
        require_choice("mode", self.mode, ("min", "max"))
        require_number("factor", self.factor, 0, 1, open_low=True, open_high=True)
        require_steps("patience", self.patience, at_least=0)
        require_choice("threshold_mode", self.threshold_mode, ("rel", "abs"))
        most = 1.0 if self.threshold_mode == "rel" else math.inf
        require_number("threshold", self.threshold, 0, most, open_high=True)
        require_steps("cooldown", self.cooldown, at_least=0)
        require_number("min_ratio", self.min_ratio, 0, 1)
        self._best = math.inf if self.mode == "min" else -math.inf

    def __call__(self, step: int, total_steps: int) -> float:
        return self._multiplier

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take one logged record, tag -> value; ignore it if `metric` is not in it."""
        if self.metric not in metrics:
            return
        value = float(metrics[self.metric])
        if self._is_better(value):
            self._best = value
            self._bad_observations = 0
        else:
            self._bad_observations += 1
        if self._cooldown_left > 0:
            self._cooldown_left -= 1
            self._bad_observations = 0
        if self._bad_observations > self.patience:
            self._cut()
            self._cooldown_left = self.cooldown
            self._bad_observations = 0

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here."""
        return {
            "metric": [self.metric, self.mode],
            "multiplier": self._multiplier,
            "best": self._best,
            "bad_observations": self._bad_observations,
            "cooldown_left": self._cooldown_left,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, but for what was seen of another metric.

        Raises:
            KeyError: if the state lacks a number.
        """
        self._multiplier = max(float(state["multiplier"]), self.min_ratio)
        mine = [self.metric, self.mode]
        if state.get("metric", mine) != mine:
            return
        self._best = float(state["best"])
        self._bad_observations = int(state["bad_observations"])
        self._cooldown_left = int(state["cooldown_left"])

    def _is_better(self, value: float) -> bool:
        upward = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            away = upward if self._best >= 0.0 else -upward  # a size, whatever the sign
            bound = self._best * (1.0 + away * self.threshold)
        else:
            bound = self._best + upward * self.threshold
        return upward * value > upward * bound

    def _cut(self) -> None:
        lower = max(self._multiplier * self.factor, self.min_ratio)
        if self._multiplier - lower > SMALLEST_CUT:
            self._multiplier = lower
