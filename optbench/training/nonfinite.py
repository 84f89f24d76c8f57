"""What happens when a loss or a gradient is not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from optbench.training.train_step import TrainStep


class NonFinite:
    """Notices losses and gradient norms that are not finite, by a policy.

    Under fp16 the gradient scaler is the policy, until its scale has shrunk to nothing.

    Args:
        policy: `stop`, `skip` or `raise`.
        steps: where to look for the first parameter concerned.
        scaled: whether a gradient scaler skips such steps.

    Attributes:
        at: the step of the event that ends the run, 0 if there was none.
        message: what it was.
    """

    def __init__(self, policy: str, steps: Sequence[TrainStep], scaled: bool) -> None:
        self._ends = policy != "skip" and not scaled
        self._raises = policy == "raise"
        self._steps = steps
        self.at = 0
        self.message = ""

    def check(self, what: str, step: int, value: float) -> bool:
        """Return whether `value` is finite; if not, and the policy says so, have the run end.

        Raises:
            FloatingPointError: the policy is `raise`.
        """
        if math.isfinite(value):
            return True
        if self._ends and not self.at:
            self.end(step, f"{what} is {value}")
        return False

    def check_norms(self, step: int, norms: Mapping[str, float]) -> None:
        """Look at the total gradient norms among what was measured."""
        for tag, value in norms.items():
            if tag.startswith("grad_norm/") and tag.endswith("total"):
                self.check("gradient norm", step, value)

    def check_weights(self, step: int) -> bool:
        """Return whether the weights are finite; if not, have the run end.

        The loss tells at the next step, and there may be none.
        """
        if any(each.first_nonfinite_parameter() for each in self._steps):
            self.end(step, "a parameter is not finite")
            return False
        return True

    def end(self, step: int, what: str) -> None:
        """Have the run end for this reason."""
        self.at = step
        self.message = f"{what} at step {step}{self._first()}"
        if self._raises:
            raise FloatingPointError(self.message)

    def _first(self) -> str:
        for step in self._steps:
            of = f" of {step.player.name}" if len(self._steps) > 1 else ""
            name = step.first_nonfinite_parameter()
            if name is not None:
                return f"; first parameter{of} not finite: {name}"
            name = step.first_nonfinite_gradient()
            if name is not None:
                return f"; first gradient{of} not finite: {name}"
        return ""
