"""A loss below zero where there is none."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import ABOVE_0


class NegativeLoss(Rule):
    """The loss is negative, where it is a distance or a negative logarithm of a probability."""

    name = "negative_loss"
    kinds = ("train", "val")
    help = "a negative loss of a task whose loss is none (cross-entropy, squared error)"

    def observe(self, record: Record) -> Symptom | None:
        """Look at the sign."""
        tag = f"{record['kind']}/loss"
        loss = record.get(tag)
        if loss is None or not loss < 0 or self.variant is not None:  # NaN is neither
            return None
        if self.facts.task not in ABOVE_0:
            return None
        return self.found(
            record,
            "the loss is negative",
            f"{tag} {loss:.3g}",
            "a loss that wants other inputs (NLLLoss: logarithms of probabilities), a wrong sign, "
            "targets outside of their range",
            "task.loss._target_=null",
            severe=True,
            tags=("train/loss",),
        )
