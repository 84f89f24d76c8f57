"""Units that are 0 whatever comes in."""

from __future__ import annotations

from optbench.symptoms.base import Record, Symptom
from optbench.symptoms.layers import OfLayers


class DeadReLU(OfLayers):
    """Most of a layer's ReLUs are dead."""

    name = "dead_relu"
    group, share = "dead_units/", 0.6
    help = f"more than {share:.0%} of a layer's ReLUs are 0 for all of a batch, twice in a row"

    def observe(self, record: Record) -> Symptom | None:
        """Look at each layer's share of dead units."""
        if self.variant is not None or (found := self.worst(record)) is None:
            return None
        tag, share = found
        return self.found(
            record,
            "ReLUs are dead: 0 for every example of a batch, so they learn nothing",
            f"{share:.0%} of the units of {tag.partition('/')[2]}",
            "a learning rate too high at first, biases far below 0, inputs that are not normalised",
            self.facts.lower(10),
            "schedule.warmup_steps=10%",
            severe=True,
            tags=(tag,),
        )
