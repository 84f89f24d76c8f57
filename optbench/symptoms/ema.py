"""An average of weights that still holds the first ones."""

from __future__ import annotations

from math import exp, log

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

HELD = 0.05
"""Share of the first weights in the average."""
BEHIND = 0.1
"""What validation is behind training, as a part of the loss at first."""


class EmaCold(Rule):
    """The average of the weights is not warmed up when it is scored."""

    name = "ema_cold"
    kinds = ("train", "val")
    help = f"in the run's second half the average holds over {HELD:.0%} of the first weights"

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether there is an average."""
        return facts.ema > 0

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._train = Recent(5)
        self._first: float | None = None

    def observe(self, record: Record) -> Symptom | None:
        """Look at what is left of the first weights, and whether it shows."""
        if not self.facts.ema or self.variant is not None:
            return None
        if record["kind"] == "train":
            loss = record.get("train/loss")
            if loss is not None:
                self._train.add(loss)
                self._first = loss if self._first is None else self._first
            return None
        loss = record.get("val/loss")
        if loss is None or self._first is None or self.facts.done(record) < 0.5:
            return None
        held = exp(record["step"] * log(self.facts.ema)) if self.facts.ema < 1 else 1.0
        train = self._train.median
        if held < HELD or loss - train < BEHIND * abs(self._first):
            return None
        steps = max(1, record["step"] // 10)
        return self.found(
            record,
            "the scored average of the weights still holds the first ones",
            f"{held:.0%} of them at step {record['step']}; val/loss {loss:.3g}, "
            f"train/loss {train:.3g}",
            "a decay too long for the run",
            f"ema={1 - 1 / steps:.2g}",
            "ema=0",
            tags=("train/loss", "val/loss"),
        )
