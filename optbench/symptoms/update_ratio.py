"""Steps that are far too long or short beside the weights that they change."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

LOW, HIGH = 1e-5, 0.055
"""About 1e-3 is usual; outside of these it is far from it."""
SCALED = ("adam", "rmsprop", "lion", "lamb")
"""Optimizers whose updates have the learning rate's size from the first step on."""
SETTLED = 8


class UpdateRatio(Rule):
    """Updates are far from 1e-3 of the weights."""

    name = "update_ratio"
    kinds = ("monitor", "train")
    help = f"median update over weight norm below {LOW:g}, or first or median above {HIGH:g}"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._recent = Recent(SETTLED)
        self._most = self._lr = 0.0
        self._scaled = any(part in facts.optimizer.lower() for part in SCALED)

    def observe(self, record: Record) -> Symptom | None:
        """Look at the newest ratios, while the learning rate is not far below its highest."""
        if record["kind"] == "train":
            self._lr = record.get("lr/model", self._lr)
            self._most = max(self._most, self._lr)
            return None
        ratio = record.get("update_ratio/total")
        if ratio is None or self._lr < 0.5 * self._most:
            return None
        if self.variant is not None:
            return None
        first = not len(self._recent) and self._scaled
        self._recent.add(ratio)
        if LOW <= ratio <= HIGH or not (self._recent.full or (first and ratio > HIGH)):
            return None
        usual = self._recent.median
        variant = "low" if usual < LOW else "high" if usual > HIGH else None
        if variant is None:
            return None
        high = variant == "high"
        return self.found(
            record,
            f"updates are very {'long' if high else 'short'} beside the weights",
            f"{'first' if first else 'median'} ratio {usual:.2g}, usual is about 1e-3",
            f"a learning rate too {variant}" + ("" if high else ", or weights drawn too large"),
            self.facts.lower(10 if high else 0.1),
            variant=variant,
            tags=("update_ratio/total",),
        )
