"""What happens when a loss or a gradient is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from optbench.training.batches import StepBatch
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

    def check(
        self, what: str, step: int, value: float, work: Callable[[], StepBatch] | None = None
    ) -> bool:
        """Return whether `value` is finite; if not, and the policy says so, have the run end.

        Args:
            what: it is.
            step: whose value it is.
            value: to look at.
            work: gives the examples that it is of.

        Raises:
            FloatingPointError: the policy is `raise`.
        """
        if math.isfinite(value):
            return True
        if self._ends and not self.at:
            self.end(step, f"{what} is {value}", work)
        return False

    def check_norms(self, step: int, norms: Mapping[str, float]) -> None:
        """Look at the total gradient norms among what was measured."""
        alone = norms.get("grad_norm/total")  # of one player, as most runs have
        if alone is not None and math.isfinite(alone):
            return
        for tag, value in norms.items():
            if tag.startswith("grad_norm/") and tag.endswith("total"):
                self.check("gradient norm", step, value)

    def check_weights(self, step: int) -> bool:
        """Return whether the weights are finite; if not, have the run end.

        The loss tells at the next step, and there may be none.
        """
        if not all([each.weights_are_finite() for each in self._steps]):
            self.end(step, "a parameter is not finite")
            return False
        return True

    def end(self, step: int, what: str, work: Callable[[], StepBatch] | None = None) -> None:
        """Have the run end for this reason; `work` gives the examples that may be to blame."""
        self.at = step
        found = _of_examples(work()) if work is not None else ""
        self.message = f"{what} at step {step}{found or self._first()}"
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


def _of_examples(work: StepBatch) -> str:
    """Return how many examples hold what is not finite, empty where none does."""
    bad = examples = 0
    for batch, _ in work.micros:
        tensors = [each for each in _tensors(batch) if each.ndim]
        count = len(tensors[0]) if tensors else 0
        rows = torch.zeros(count, dtype=torch.bool)
        for tensor in tensors:
            if tensor.is_floating_point() and len(tensor) == count:
                rows |= ~tensor.isfinite().reshape(count, -1).all(dim=1).cpu()
        bad, examples = bad + int(rows.sum()), examples + count
    verb = "is" if bad == 1 else "are"
    return f"; of the batch's {examples} examples {bad} {verb} not finite" if bad else ""


def _tensors(batch: Any) -> Iterator[Tensor]:
    """Yield the tensors of a batch."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping | tuple | list):
        for part in batch.values() if isinstance(batch, Mapping) else batch:
            yield from _tensors(part)
