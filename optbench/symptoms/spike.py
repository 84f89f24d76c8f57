"""A loss that jumps up, and comes back or does not."""

from __future__ import annotations

from math import isfinite

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

WEIGHTS = 1.3
"""Times the weights' norm of one monitored step before."""
FACTOR = 1.5
NOISES = 8.0
SETTLED = 8


class Spike(Rule):
    """The training loss jumps."""

    name = "spike"
    kinds = ("train", "monitor")
    help = f"training loss {FACTOR:g} times its usual, far above its noise; weights {WEIGHTS:g}"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._recent = Recent(12)
        self._weights, self._seen = 0.0, 0

    def observe(self, record: Record) -> Symptom | None:
        """Compare the loss, and the weights' norm, with those before."""
        if self.variant is not None:
            return None
        if record["kind"] == "monitor":
            return self._of_weights(record)
        loss = record.get("train/loss")
        if loss is None:
            return None
        recent = self._recent
        if len(recent) >= SETTLED and isfinite(loss) and loss > FACTOR * recent.least:
            usual, noise = recent.median, recent.spread
            above = loss - max(usual, 0.0)
            if usual > 0 and loss > FACTOR * usual and above > NOISES * noise:
                return self.found(
                    record,
                    "the training loss jumped",
                    f"{loss:.3g}, before {usual:.3g} with jumps of {noise:.2g}",
                    "a bad batch, or a learning rate at the edge",
                    "clip.norm=1.0",
                    self.facts.lower(3),
                    tags=("train/loss",),
                )
        recent.add(loss)
        return None

    def _of_weights(self, record: Record) -> Symptom | None:
        """Look for one step, or a few, that moved the weights far."""
        last, norm = self._weights, record.get("param_norm/total")
        if norm is None:
            return None
        self._weights = norm
        self._seen += 1
        if self._seen <= SETTLED // 2 or not norm > WEIGHTS * last > 0:
            return None
        return self.found(
            record,
            "the weights jumped",
            f"their norm is {norm:.3g}, one monitored step before {last:.3g}",
            "a learning rate that jumped, or a bad batch",
            "clip.norm=1.0",
            self.facts.lower(3),
            tags=("param_norm/total", "train/loss"),
        )
