"""What reacts to scores: the best step so far, early stopping, the target.

`Evaluations.validate` gives them each evaluation of the validation set; early stopping is a
`BestTracker` whose `since` reaches the patience.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optbench.training.likeness import refuse_unlike
from optbench.training.position import Progress


@dataclass
class BestTracker:
    """The best value of a metric, and the step that had it.

    Attributes:
        metric: such as `val/accuracy`; None watches nothing.
        mode: `min` or `max`.
        min_delta: what counts as better.
    """

    metric: str | None
    mode: str = "min"
    min_delta: float = 0.0
    value: float | None = None
    step: int = 0
    since: int = 0

    def update(self, metrics: Mapping[str, float], step: int) -> bool:
        """Take an evaluation in; return whether it is the best so far, which NaN never is."""
        if self.metric is None or self.metric not in metrics:
            return False
        value = metrics[self.metric]
        sign = 1 if self.mode == "max" else -1
        better = value == value and (
            self.value is None or sign * (value - self.value) > self.min_delta
        )
        if better:
            self.value, self.step, self.since = value, step, 0
        else:
            self.since += 1
        return better

    @property
    def lapse(self) -> str:
        """Since when there is nothing better, in words."""
        best = "any value" if self.value is None else f"{self.value:.6g}"
        return f"{self.metric} has not improved on {best} since step {self.step}"

    def state_dict(self) -> dict[str, Any]:
        """Return plain data."""
        of = {"metric": self.metric, "mode": self.mode}
        return {**of, "value": self.value, "step": self.step, "since": self.since}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`, unless that was of another metric."""
        if (state["metric"], state["mode"]) != (self.metric, self.mode):
            return
        for key in ("value", "step", "since"):
            if key != "value" or state[key] is not None:
                refuse_unlike(state[key], 0.0, f"best.{key}")
        self.value, self.step, self.since = state["value"], state["step"], state["since"]


@dataclass
class TargetTracker:
    """When a run first was good enough.

    Attributes:
        metric: such as `val/accuracy`; None asks nothing.
        value: of it that is good enough.
        mode: whether less (`min`) or more (`max`) is better.
        step: of the first evaluation that was; None as long as there was none.
        seconds: of training until then.
        examples, passes: until then; None where nobody knows.
    """

    metric: str | None = None
    value: float = 0.0
    mode: str = "min"
    step: int | None = None
    seconds: float | None = None
    examples: int | None = None
    passes: float | None = None

    def update(self, metrics: Mapping[str, float], progress: Progress) -> None:
        """Take an evaluation in."""
        if self.step is not None or self.metric is None or self.metric not in metrics:
            return
        sign = 1 if self.mode == "max" else -1
        if sign * (metrics[self.metric] - self.value) >= 0:
            self.step, self.seconds = progress.step, progress.seconds
            self.examples, self.passes = progress.examples, progress.passes

    def state_dict(self) -> dict[str, Any]:
        """Return plain data."""
        of = {"metric": self.metric, "value": self.value, "mode": self.mode}
        at = {"step": self.step, "seconds": self.seconds}
        return {**of, **at, "examples": self.examples, "passes": self.passes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`, unless another value was asked for then."""
        if (state["metric"], state["value"], state["mode"]) != (self.metric, self.value, self.mode):
            return
        if (state["step"] is None) != (state["seconds"] is None):
            raise ValueError(f"reached at step {state['step']!r}, at {state['seconds']!r} seconds")
        if state["step"] is not None:
            refuse_unlike([state["step"], state["seconds"]], [0, 0.0], "reached")
        self.step, self.seconds = state["step"], state["seconds"]
        later = state.get("examples"), state.get("passes")  # older checkpoints have neither
        for value in later:
            refuse_unlike(0 if value is None else value, 0, "reached")
        self.examples, self.passes = later
