"""A loss that does not move at all."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts

RANGE = 1e-3
"""Of the loss: a training whose batches differ jumps by more."""
SETTLED = 10


class ConstantLoss(Rule):
    """The training loss is the same from the beginning on."""

    name = "constant_loss"
    help = f"training loss within {RANGE:g} of its first value for {SETTLED} records"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._low, self._high, self._seen = float("inf"), float("-inf"), 0

    def observe(self, record: Record) -> Symptom | None:
        """Widen the range, until it is too wide for a constant."""
        loss = record.get("train/loss")
        if loss is None or self._seen < 0:
            return None
        self._low, self._high = min(self._low, loss), max(self._high, loss)
        self._seen += 1
        if not self._high - self._low <= RANGE * abs(self._high):
            self._seen = -1
            return None
        if self._seen < SETTLED:
            return None
        self._seen = -1
        return self.found(
            record,
            "the loss does not move",
            f"from {self._low:.6g} to {self._high:.6g} in {SETTLED} records",
            "a model cut off from its loss or its parameters (detached, frozen, zeros), "
            "or a learning rate of next to nothing",
            "freeze=[]",
            self.facts.lower(0.01),
            severe=True,
            tags=("train/loss",),
        )
