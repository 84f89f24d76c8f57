"""float16 whose loss scale falls and falls."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts

LOWEST = 1.0
SHARE = 0.2
"""Of the steps that were skipped, of the first ones on."""
SKIPPED = 20


class LossScale(Rule):
    """The loss scale of float16 collapses."""

    name = "loss_scale"
    kinds = ("train",)
    help = f"float16's loss scale below {LOWEST:g}, or over {SHARE:.0%} of the steps skipped"

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether losses are scaled."""
        return facts.scaled

    def observe(self, record: Record) -> Symptom | None:
        """Look at the scale, and how many steps were skipped."""
        scale = record.get("precision/loss_scale")
        if scale is None or self.variant is not None:
            return None
        skipped, step = record.get("precision/skipped_steps", 0.0), record["step"]
        many = skipped > SKIPPED and skipped > SHARE * (step + skipped)
        if scale >= LOWEST and not many:
            return None
        return self.found(
            record,
            "the loss scale of float16 collapses: gradients overflow again and again",
            f"scale {scale:.3g}, {skipped:.0f} steps skipped",
            "numbers beyond float16's 65,504 in the loss, activations or gradients",
            "precision=bf16",
            self.facts.lower(10),
            severe=True,
            tags=("precision/loss_scale",),
        )
