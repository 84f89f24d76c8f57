"""A loss that leaves, and stays away from, where it was."""

from __future__ import annotations

from math import isfinite

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts

FACTOR = 2.0
IN_A_ROW = 3
NEVER = 8
"""Records after one like this without a loss as good as at first."""
LOST = 10.0
"""Times its best that a validation loss, beyond FACTOR times its first, is lost at once."""


class Divergence(Rule):
    """The training diverges."""

    name = "divergence"
    kinds = ("train", "val", "end")
    help = f"loss {FACTOR:g} times its first {IN_A_ROW} times, never as good again, or no number"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._first: float | None = facts.guessing
        self._above = self._since = 0
        self._first_score: float | None = facts.guessing
        self._best: float | None = None

    def observe(self, record: Record) -> Symptom | None:
        """Compare the loss with the first."""
        if self.variant is not None:
            return None
        if record["kind"] == "end":
            bad = record.get("state") == "diverged"
            return self._found(record, str(record.get("message") or "diverged")) if bad else None
        if record["kind"] == "val":
            score = record.get("val/loss")
            return None if score is None else self._of_score(record, score)
        loss = record.get("train/loss")
        if loss is None:
            return None
        if self._first is None:
            self._first = loss
        bad = not isfinite(loss) or loss > FACTOR * abs(self._first)
        self._above = self._above + 1 if bad else 0
        lost = bad or (self._since > 0 and loss > abs(self._first))
        self._since = self._since + 1 if lost else 0
        if self._above < IN_A_ROW and self._since < NEVER:
            return None
        return self._found(record, f"loss {loss:.3g}, at first {self._first:.3g}")

    def _of_score(self, record: Record, score: float) -> Symptom | None:
        """Look at a loss of the validation set."""
        if not isfinite(score):
            return self._found(record, f"val/loss {score:.3g}")
        first, best = self._first_score, self._best
        self._first_score = score if first is None else first
        self._best = score if best is None else min(score, best)
        if first is None or best is None or score <= FACTOR * abs(first):
            return None
        if score <= LOST * abs(best):
            return None
        return self._found(record, f"val/loss {score:.3g}, at its best {best:.3g}")

    def _found(self, record: Record, evidence: str) -> Symptom:
        return self.found(
            record,
            "the training diverges",
            evidence,
            "a learning rate too high, or no warmup",
            self.facts.lower(10),
            "schedule.warmup_steps=10%",
            severe=True,
            tags=("train/loss",),
        )
