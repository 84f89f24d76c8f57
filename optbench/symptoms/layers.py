"""What the rules of activations share: a share of units by layer, at some monitored steps."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts


class OfLayers(Rule):
    """Base of rules that look at the shares of all layers; see `monitor/activations.py`.

    Attributes:
        group: what the tags of the shares begin with.
        share: more than this of a layer is too much.
        in_a_row: so many times.
        what, of, cause: as in a `Symptom`; `of` what the share is, such as `the units`.
        remedy: an override beside a lower learning rate.
    """

    kinds = ("monitor",)
    group = ""
    share = 0.5
    in_a_row = 2
    what, of, cause, remedy = "", "", "", ""

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._keys, self._above = 0, 0
        self._tags: list[str] = []

    def observe(self, record: Record) -> Symptom | None:
        """Look at each layer's share."""
        if self.variant is not None or (found := self.worst(record)) is None:
            return None
        tag, share = found
        return self.found(
            record,
            self.what,
            f"{share:.0%} of {self.of} of {tag.partition('/')[2]}",
            self.cause,
            self.facts.lower(10),
            self.remedy,
            severe=True,
            tags=(tag,),
        )

    def worst(self, record: Record) -> tuple[str, float] | None:
        """Return the layer with the largest share, where it is large again and again."""
        if len(record) != self._keys or any(tag not in record for tag in self._tags):
            self._keys = len(record)
            self._tags = [tag for tag in record if tag.startswith(self.group)]
        if not self._tags:
            return None
        value, tag = max((record[tag], tag) for tag in self._tags)
        self._above = self._above + 1 if value > self.share else 0
        return (tag, value) if self._above >= self.in_a_row else None
