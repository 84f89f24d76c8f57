"""Scores that are too good to be true."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

SMALL = 0.005
"""Validation loss as a part of guessing's."""
EARLY = 0.5
"""Of the run."""
OF_TEXT = 0.12
"""The same of a text's characters, at any time; of larger vocabularies nobody knows."""
CHARACTERS = 1000


class TooGood(Rule):
    """Validation is nearly perfect, early: the answer may be in the question."""

    name = "too_good"
    kinds = ("val",)
    help = (
        f"validation loss below {SMALL:.1%} of guessing's in the first half, of text {OF_TEXT:.0%}"
    )

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether guessing's loss is known."""
        return facts.guessing is not None

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._seen = Recent(3)

    def observe(self, record: Record) -> Symptom | None:
        """Compare the validation loss with guessing's."""
        loss, guessing = record.get("val/loss"), self.facts.guessing
        if loss is None or guessing is None or self.variant is not None:
            return None
        text = self.facts.task == "Language" and self.facts.classes < CHARACTERS
        labels = self.facts.task == "Classification" and self.facts.done(record) <= EARLY
        if not (text or labels):
            return None
        self._seen.add(loss)
        if loss > (OF_TEXT if text else SMALL) * guessing or not self._seen.full:
            return None
        return self.found(
            record,
            "validation is too good to be true",
            f"val/loss {loss:.3g} after {self.facts.done(record):.0%} of the run, "
            f"guessing's {guessing:.3g}",
            "the label among the inputs, or validation examples in the training set",
            "dataset.split_seed=1",
            severe=True,
            tags=("val/loss",),
        )
