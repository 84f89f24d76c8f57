"""A loss that stands still, far from where it should be."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.progress import Course

GAIN = 0.15
"""Of the loss at first: what a run that stands still has gained at most."""
STILL = 0.02
"""Of the loss, between the middle and the end of what there is."""
PARTS = 16


class Plateau(Rule):
    """The loss stands still, hardly below where it began."""

    name = "plateau"
    kinds = ("train",)
    help = f"less than {GAIN:.0%} of the loss gained, and nothing since the middle of the run"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._course = Course()
        self._seen = 0

    def observe(self, record: Record) -> Symptom | None:
        """Compare the newest part of the course with its middle and its beginning."""
        loss = record.get("train/loss")
        if loss is None or self.variant is not None:
            return None
        self._course.add(loss)
        self._seen += 1
        if self._seen % 8 or len(self._course.parts) < PARTS or self.facts.done(record) < 0.3:
            return None
        course = self._course
        first, middle, last = course.between(0, 0), course.between(0.4, 0.6), course.between(0.8, 1)
        assert first is not None and middle is not None and last is not None
        first = max(first, self.facts.guessing or 0.0)
        if first <= 0 or not -STILL * first < middle - last < STILL * first:
            return None
        if not -GAIN * first < first - last < GAIN * first:
            return None
        cause = (
            "labels that do not go with the inputs, a bad initialisation, a learning rate far off"
        )
        if not self.facts.examples:
            cause = "a learning rate far off, or no slope where it began"
        return self.found(
            record,
            "the loss stands still near where it began",
            f"train/loss {first:.3g} at first, {middle:.3g} half way, {last:.3g} now",
            cause,
            self.facts.lower(0.1),
            self.facts.lower(10),
            tags=("train/loss",),
        )
