"""A best checkpoint that chance has chosen."""

from __future__ import annotations

from math import sqrt

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts

NOISE = 0.03
"""Standard error of the best accuracy, below which nobody minds."""
FEW = 100
"""Examples, from which on the best is not told to be chosen by chance alone."""
SETTLED = 8


class NoisyValidation(Rule):
    """The validation set is too small to tell which checkpoint is best."""

    name = "noisy_validation"
    kinds = ("val", "end")
    help = f"at the end: under {FEW} examples, whose noise is more than what chose the best"
    at_end = True

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._seen: list[float] = []

    def observe(self, record: Record) -> Symptom | None:
        """Remember the accuracies; at the end, compare the best with its rivals."""
        if record["kind"] == "val":
            if "val/accuracy" in record:
                self._seen.append(record["val/accuracy"])
            return None
        size = self.facts.validated
        if not size or size >= FEW or len(self._seen) < SETTLED:
            return None
        best = max(self._seen)
        part = (best * size + 1) / (size + 2)  # of a few examples all may be right
        noise = sqrt(part * (1 - part) / size)
        rivals = sorted(self._seen[len(self._seen) // 2 :])
        lead = best - rivals[len(rivals) // 2]
        if noise < NOISE or lead > 2 * noise:
            return None
        return self.found(
            record,
            "the best checkpoint was chosen by less than the validation's noise",
            f"best accuracy {best:.3g} leads the median of the second half by {lead:.2g}; standard "
            f"error of {size} examples {noise:.2g}",
            "too few validation examples",
            "eval.examples=null",
            "dataset.val_fraction=0.2",
            tags=("val/accuracy",),
        )
