"""A loss that swings instead of falling."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts
from optbench.symptoms.recent import Recent

SWING = 0.1
"""Median jump of the validation loss from one evaluation to the next, as a part of it."""
OF_FIRST = 0.03
"""The same as a part of the loss at first: near 0 everything jumps."""
SETTLED = 8


class Oscillation(Rule):
    """The loss oscillates: the learning rate is too high."""

    name = "oscillation"
    kinds = ("val",)
    help = f"validation loss jumps by {SWING:.0%} from one evaluation to the next, and turns"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._recent = Recent(SETTLED)
        self._first = facts.guessing

    def observe(self, record: Record) -> Symptom | None:
        """Look at the newest evaluations: how far they jump, how often they turn."""
        loss = record.get("val/loss")
        if loss is None or self.variant is not None or not isfinite(loss):
            return None
        recent = self._recent
        self._first = loss if self._first is None else self._first
        recent.add(loss)
        if not recent.full:
            return None
        values = list(recent)
        jumps = [b - a for a, b in pairwise(values)]
        turns = sum(a * b < 0 for a, b in pairwise(jumps))
        usual = recent.median
        least = max(SWING * usual, OF_FIRST * abs(self._first))
        if turns < len(jumps) // 2 or usual <= 0 or recent.spread < least:
            return None
        return self.found(
            record,
            "the validation loss swings",
            f"jumps of {recent.spread:.3g} around {usual:.3g}, {turns} turns in {len(jumps)}",
            "a learning rate too high, or a batch too small",
            self.facts.lower(3),
            "schedule=cosine",
            tags=("val/loss",),
        )
