"""Training and validation that part."""

from __future__ import annotations

from math import isfinite

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

GAP = 0.15
"""Of validation over training loss, as a part of the loss at first."""
WORSE = 0.08
"""That the validation loss is above its best, as a part of that."""
IN_A_ROW = 3


class _OfBoth(Rule):
    """Base of rules that compare validation with training."""

    kinds = ("train", "val")

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether training and validation have examples that could differ."""
        return facts.examples

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._train = Recent(5)
        self._first: float | None = facts.guessing
        self._in_a_row = 0

    def observe(self, record: Record) -> Symptom | None:
        """Remember the training loss; at an evaluation, compare."""
        if self.variant is not None:
            return None
        if record["kind"] == "train":
            loss = record.get("train/loss")
            if loss is not None and isfinite(loss):
                self._train.add(loss)
                if self._first is None:
                    self._first = loss
            return None
        loss = record.get("val/loss")
        if loss is None or not isfinite(loss) or not len(self._train) or self._first is None:
            return None
        return self._compared(record, loss, self._train.median, self._first)

    def _compared(self, record: Record, val: float, train: float, first: float) -> Symptom | None:
        raise NotImplementedError

    def _again(self, bad: bool) -> bool:
        self._in_a_row = self._in_a_row + 1 if bad else 0
        return self._in_a_row >= IN_A_ROW


class Gap(_OfBoth):
    """Validation is far worse than training."""

    name = "gap"
    help = f"validation over training loss by {GAP:.0%} of the loss at first, {IN_A_ROW} times"

    def _compared(self, record: Record, val: float, train: float, first: float) -> Symptom | None:
        if not self._again(val - train > GAP * abs(first)):
            return None
        return self.found(
            record,
            "validation is far behind training",
            f"val/loss {val:.3g}, train/loss {train:.3g}",
            "too few examples for the model, or other data in validation",
            "optimizer.weight_decay=0.1",
            "early_stopping.patience=5",
            tags=("train/loss", "val/loss"),
        )


class Overfitting(_OfBoth):
    """Validation gets worse while training gets better."""

    name = "overfitting"
    help = f"validation loss {WORSE:.0%} above its best, {IN_A_ROW} times, while training's falls"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._best = self._then = float("inf")
        self._step = 0

    def _compared(self, record: Record, val: float, train: float, first: float) -> Symptom | None:
        if val < self._best:
            self._best, self._then, self._step = val, train, int(record["step"])
        worse = val > (1 + WORSE) * self._best and val - self._best > 0.01 * abs(first)
        if not self._again(worse and train < self._then):
            return None
        return self.found(
            record,
            "validation gets worse while training gets better",
            f"val/loss {self._best:.3g} at step {self._step}, now {val:.3g}; "
            f"train/loss {self._then:.3g}, now {train:.3g}",
            "overfitting",
            "early_stopping.patience=5",
            "optimizer.weight_decay=0.1",
            tags=("train/loss", "val/loss"),
        )
