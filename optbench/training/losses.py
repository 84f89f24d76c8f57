"""The training loss as it is reported: a mean over examples."""

from __future__ import annotations

from collections import deque
from typing import Any

from optbench.training.likeness import refuse_unlike

Sum = tuple[float, int]
"""Of the losses of so many examples."""

NOTHING: Sum = (0.0, 0)


class TrainingLoss:
    """A player's losses on this rank, since they were last reported and by epoch.

    What is reported is over a full batch at least: right after a report, or after the short last
    batch of an epoch, a few examples would tell more of themselves than of the model. So the newest
    steps, as few as hold a full batch, are kept beyond a report.

    Args:
        full_batch: examples in a step that is not an epoch's last.
    """

    def __init__(self, full_batch: int = 1) -> None:
        self.full_batch = full_batch
        self._total, self._examples = NOTHING
        self._newest: deque[Sum] = deque()
        self._held = 0  # examples in those
        self._epoch, self._within, self._complete = 0, NOTHING, NOTHING

    def add(self, mean: float, examples: int, epoch: int) -> None:
        """Take a step's loss in: a mean over so many examples of this pass over the data."""
        total = mean * examples
        self._total += total
        self._examples += examples
        if epoch != self._epoch:
            if self._within[1]:
                self._complete = self._within
            self._epoch, self._within = epoch, NOTHING
        self._within = (self._within[0] + total, self._within[1] + examples)
        newest = self._newest
        newest.append((total, examples))
        self._held += examples
        while self._held - newest[0][1] >= self.full_batch:
            self._held -= newest.popleft()[1]

    def report(self) -> Sum:
        """Return the losses since the last report, of a full batch at least; nothing without any.

        The next report begins here.
        """
        since = (self._total, self._examples)
        self._total, self._examples = NOTHING
        if 0 < since[1] < self.full_batch:
            return sum(total for total, _ in self._newest), self._held
        return since

    def last_epoch(self, complete: int) -> Sum:
        """Return the losses of the last epoch that is complete; of the present one if none is.

        Args:
            complete: passes over the data.
        """
        if self._epoch < complete or not self._complete[1]:
            return self._within
        return self._complete

    def state_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "since": [self._total, self._examples],
            "newest": [list(step) for step in self._newest],
            "epoch": self._epoch,
            "within": list(self._within),
            "complete": list(self._complete),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        pairs = [state["since"], *state["newest"], state["within"], state["complete"]]
        for total, examples in pairs:
            refuse_unlike([total, examples, state["epoch"]], [0.0, 0, 0], "losses")
        self._total, self._examples = state["since"]
        self._newest = deque((total, examples) for total, examples in state["newest"])
        self._held = sum(examples for _, examples in self._newest)
        self._epoch = state["epoch"]
        self._within, self._complete = tuple(state["within"]), tuple(state["complete"])
