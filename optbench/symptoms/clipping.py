"""Clipping that acts at every step, or at none."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts

SETTLED = 15
ALWAYS, TIMES = 0.95, 4.0
"""At so many of the monitored steps, gradients are so many times longer than they may be."""
NEVER = 0.1
"""The longest gradient as a part of what it may be."""


class ClippedAlways(Rule):
    """Gradients are always cut, to a small part of what they are."""

    name = "clipped_always"
    kinds = ("monitor",)
    help = f"gradients over {TIMES:g} times clip.norm at {ALWAYS:.0%} of the monitored steps"

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether there is a bound."""
        return facts.clip is not None

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._seen = self._cut = 0

    def observe(self, record: Record) -> Symptom | None:
        """Count the steps at which gradients are far longer than they may be."""
        clip, norm = self.facts.clip, record.get("grad_norm/total")
        if clip is None or norm is None or self.variant is not None:
            return None
        self._seen += 1
        self._cut += norm > TIMES * clip
        if self._seen < SETTLED or self._cut < ALWAYS * self._seen:
            return None
        return self.found(
            record,
            "clipping acts at every step: the bound, not the gradient, sets their length",
            f"{self._cut} of {self._seen} monitored steps, now {norm / clip:.3g} times clip.norm",
            "a bound far below the usual gradient norm",
            f"clip.norm={2 * norm:.1g}",
            tags=("grad_norm/total",),
        )


class ClippedNever(Rule):
    """Clipping never acts, by far."""

    name = "clipped_never"
    kinds = ("monitor",)
    help = f"no gradient over {NEVER:g} times clip.norm, from the first monitored step to half way"

    @classmethod
    def applies(cls, facts: Facts) -> bool:
        """Return whether there is a bound."""
        return facts.clip is not None

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._longest = 0.0
        self._seen = 0

    def observe(self, record: Record) -> Symptom | None:
        """Remember the longest gradient."""
        clip, norm = self.facts.clip, record.get("grad_norm/total")
        if clip is None or norm is None or self.variant is not None:
            return None
        self._seen += 1
        self._longest = max(self._longest, norm)
        if self._seen < SETTLED or self.facts.done(record) < 0.5 or self._longest > NEVER * clip:
            return None
        return self.found(
            record,
            "clipping has never acted, and is far from it",
            f"longest gradient {self._longest:.3g} of {self._seen}, clip.norm {clip:g}",
            "a bound far above the usual gradient norm",
            f"clip.norm={2 * self._longest:.1g}",
            "clip.norm=null",
            tags=("grad_norm/total",),
        )
