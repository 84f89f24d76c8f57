"""A loss that still falls as it did when the run ends."""

from __future__ import annotations

from math import inf

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.progress import Course
from optbench.symptoms.recent import Recent

GAIN = 0.5
"""Of the loss at first, that is lost in the whole run at most."""
RATIO = 3e-4
"""Of update over weights, at most."""
LATE = 0.15
"""Of the gain, that comes in the last quarter at least."""
PARTS, SCORES = 8, 6
"""Of the training loss, or of validation's, which is steadier, at least."""


class TooSlow(Rule):
    """Training is too slow: the learning rate is too low."""

    name = "too_slow"
    kinds = ("train", "monitor", "val", "end")
    help = f"at the end: still falling, and updates below {RATIO:g} of the weights"
    at_end = True

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._course, self._scores, self._ratios = Course(), Course(), Recent(200)

    def observe(self, record: Record) -> Symptom | None:
        """Follow the loss; judge at the end."""
        kind = record["kind"]
        if kind == "train":
            if "train/loss" in record:
                self._course.add(record["train/loss"])
            return None
        if kind == "val":
            self._scores.add(record.get("val/loss", inf))
            return None
        if kind == "monitor":
            if "update_ratio/total" in record:
                self._ratios.add(record["update_ratio/total"])
            return None
        if len(self._course.parts) < PARTS or not len(self._ratios):
            return None
        return self._judged(record)

    def _judged(self, record: Record) -> Symptom | None:
        scored = len(self._scores.parts) >= SCORES
        course, ratio = self._scores if scored else self._course, self._ratios.median
        tag = "val/loss" if scored else "train/loss"
        first, late, last = course.between(0, 0), course.between(0.7, 0.8), course.between(0.9, 1)
        if first is None or late is None or last is None or first <= 0:
            return None
        gain = first - last
        if ratio > RATIO or not 0 < gain <= GAIN * first or late - last < LATE * gain:
            return None
        return self.found(
            record,
            "the loss was still falling as ever when the run ended",
            f"{tag} {first:.3g} to {last:.3g}, {late - last:.2g} of it in the last fifth; "
            f"median update ratio {ratio:.1g}",
            "a learning rate too low",
            self.facts.lower(0.1),
            tags=(tag,),
        )
