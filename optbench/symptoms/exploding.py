"""Gradients far larger than they were, or than the weights."""

from __future__ import annotations

from math import isfinite

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

FACTOR = 100.0
"""Times the usual gradient norm."""
OF_LOSS = 50.0
"""Gradient times weight norm over the loss at first, at several monitored steps in a row: weights
that change by 2 % change the loss by all of it."""
SETTLED, IN_A_ROW = 5, 3


class Exploding(Rule):
    """Gradients explode."""

    name = "exploding"
    kinds = ("train", "monitor")
    help = f"gradient norm {FACTOR:g} times its usual; {OF_LOSS:g} times loss at first over weights"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._recent, self._large = Recent(20), 0
        self._first: float | None = facts.guessing

    def observe(self, record: Record) -> Symptom | None:
        """Compare the gradient's norm with what it was."""
        if self.variant is not None:
            return None
        if record["kind"] == "train":
            self._first = record.get("train/loss") if self._first is None else self._first
            return None
        norm = record.get("grad_norm/total")
        if norm is None:
            return None
        recent, usual = self._recent, 0.0
        if len(recent) >= SETTLED and norm > FACTOR * recent.least:
            usual = recent.median
        recent.add(norm)
        weights = record.get("param_norm/total") or 0.0
        most = OF_LOSS * abs(self._first or 0.0)
        self._large = self._large + 1 if weights and norm * weights > most > 0 else 0
        jumped = usual > 0 and norm > FACTOR * usual
        if isfinite(norm) and not jumped and self._large < IN_A_ROW:
            return None
        than = f"usually {usual:.3g}" if jumped else f"the weights' {weights:.3g}, "
        than += "" if jumped else f"loss at first {self._first or 0.0:.3g}"
        return self.found(
            record,
            "gradients explode",
            f"gradient norm {norm:.3g}, {than}",
            "a learning rate too high, an initialisation too large, or a few bad examples",
            "clip.norm=1.0",
            self.facts.lower(10),
            severe=True,
            tags=("grad_norm/total",),
        )
